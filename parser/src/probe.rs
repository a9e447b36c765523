//! The eight tools that x-tracer can run, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One BCC tool. The name is the tool's file name, the label in a record and the last token of a
/// subject, so that one word means the same thing everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// TCP connections opened, accepted and closed.
    Tcptracer,
    /// Calls of `connect` on a TCP socket.
    Tcpconnect,
    /// Returns of `accept` on a TCP socket.
    Tcpaccept,
    /// TCP sessions, reported when they end.
    Tcplife,
    /// Programs executed.
    Execsnoop,
    /// Block device requests.
    Biosnoop,
    /// Page cache use by process.
    Cachetop,
    /// Page cache use of the whole node. It names no process, so it can't be limited to a pod.
    Cachestat,
}

impl Probe {
    /// Every tool whose lines the parser knows.
    pub const ALL: [Self; 8] = [
        Self::Tcptracer,
        Self::Tcpconnect,
        Self::Tcpaccept,
        Self::Tcplife,
        Self::Execsnoop,
        Self::Biosnoop,
        Self::Cachetop,
        Self::Cachestat,
    ];

    /// The seven tools that name a process, in the order of the original's `tools` variable.
    pub const SEVEN: [Self; 7] = [
        Self::Tcptracer,
        Self::Tcpconnect,
        Self::Tcpaccept,
        Self::Tcplife,
        Self::Execsnoop,
        Self::Biosnoop,
        Self::Cachetop,
    ];

    /// The tool's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcptracer => "tcptracer",
            Self::Tcpconnect => "tcpconnect",
            Self::Tcpaccept => "tcpaccept",
            Self::Tcplife => "tcplife",
            Self::Execsnoop => "execsnoop",
            Self::Biosnoop => "biosnoop",
            Self::Cachetop => "cachetop",
            Self::Cachestat => "cachestat",
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is none of the tools'.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown probe `{}`: the probes are {}", .0.escape_default(), Probe::ALL.map(Probe::name).join(", "))]
pub struct UnknownProbe(String);

impl FromStr for Probe {
    type Err = UnknownProbe;

    fn from_str(name: &str) -> Result<Self, UnknownProbe> {
        Self::ALL
            .into_iter()
            .find(|probe| probe.name() == name)
            .ok_or_else(|| UnknownProbe(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for probe in Probe::ALL {
            assert_eq!(probe.to_string().parse(), Ok(probe));
        }
    }

    #[test]
    fn a_stranger_is_named_and_the_choice_shown() {
        let error = "tcp\x1btop".parse::<Probe>().unwrap_err().to_string();
        assert!(error.starts_with("unknown probe `tcp\\u{1b}top`: the probes are tcptracer, "));
    }
}

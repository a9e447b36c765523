//! The size of a tool's perf rings, as the command lines have it.

use std::fmt;
use std::str::FromStr;

use crate::{Probe, UnknownProbe};

/// Pages that one ring may have at most, 256 MiB a CPU where a page is 4 KiB: a slip of the finger must
/// not take a node's memory.
const MOST: u32 = 1 << 16;

/// Pages of the ring that each CPU has for a tool's events, at least: a tool that asks for more gets more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerfPages {
    /// The tool.
    pub probe: Probe,
    /// A power of two.
    pub pages: u32,
}

/// Why a size can't be one. Each says what to type instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PerfPagesError {
    /// It is no pair.
    #[error("expected TOOL=PAGES, as in biosnoop=256")]
    Syntax,
    /// There is no such tool.
    #[error(transparent)]
    UnknownProbe(#[from] UnknownProbe),
    /// The tool counts in the kernel.
    #[error("{0} has no perf ring: it reads counters from a map")]
    NoRing(Probe),
    /// The kernel takes no other number.
    #[error(
        "`{}` pages: the number must be a power of two from 1 to {MOST}, as in biosnoop=256",
        .0.escape_default()
    )]
    Pages(String),
}

impl FromStr for PerfPages {
    type Err = PerfPagesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (probe, pages) = text.split_once('=').ok_or(PerfPagesError::Syntax)?;
        let probe: Probe = probe.trim().parse()?;
        if matches!(probe, Probe::Cachetop | Probe::Cachestat) {
            return Err(PerfPagesError::NoRing(probe));
        }
        let number: Option<u32> = pages.trim().parse().ok();
        match number {
            Some(pages) if pages.is_power_of_two() && pages <= MOST => Ok(Self { probe, pages }),
            _ => Err(PerfPagesError::Pages(pages.to_owned())),
        }
    }
}

impl fmt::Display for PerfPages {
    /// As it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.probe, self.pages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_tool_and_a_power_of_two() {
        let size: PerfPages = "biosnoop=256".parse().unwrap();
        assert_eq!((size.probe, size.pages), (Probe::Biosnoop, 256));
        assert_eq!(size.to_string().parse(), Ok(size));
        for pages in ["0", "-8", "12", "131072", "8K", "", "99999999999"] {
            let error = format!("tcplife={pages}").parse::<PerfPages>().unwrap_err();
            assert!(error.to_string().contains("a power of two"), "{error}");
        }
        assert_eq!("256".parse::<PerfPages>(), Err(PerfPagesError::Syntax));
        let error = "tcptop=8".parse::<PerfPages>().unwrap_err().to_string();
        assert!(error.starts_with("unknown probe `tcptop`"), "{error}");
        let error = "cachetop=8".parse::<PerfPages>().unwrap_err();
        assert_eq!(error, PerfPagesError::NoRing(Probe::Cachetop));
    }
}

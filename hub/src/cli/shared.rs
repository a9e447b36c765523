//! Flags that several commands have, and how their values read.

use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use probeparser::Probe;
use probeparser::wire::PerfPages;

use crate::exit::{Exit, Failure};
use crate::session::Settings;
use crate::show::Format;

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// The original x-tracer's lines
    Classic,
    /// One JSON object a line
    Json,
}

impl From<Output> for Format {
    fn from(output: Output) -> Self {
        match output {
            Output::Classic => Self::Classic,
            Output::Json => Self::Json,
        }
    }
}

/// How to show it, and for how long.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Form of the lines
    #[arg(short, long, value_enum, default_value_t = Output::Classic, value_name = "FORM")]
    pub output: Output,
    #[command(flatten)]
    end: EndArgs,
}

/// When it ends, and what a loss means.
#[derive(Args, Debug)]
pub(super) struct EndArgs {
    /// End after this long: 30 or 30s, 5m, 1h, 500ms
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Exit with status 6 if anything was lost
    #[arg(long)]
    strict: bool,
}

impl ShowArgs {
    /// The session's settings.
    pub(super) fn settings(&self, probes: Vec<Probe>) -> Settings {
        self.end.settings(probes, self.output.into())
    }
}

impl EndArgs {
    /// The session's settings.
    pub(super) fn settings(&self, probes: Vec<Probe>, format: Format) -> Settings {
        Settings {
            probes,
            format,
            timeout: self.timeout,
            strict: self.strict,
        }
    }
}

/// How much of a burst the tools hold.
#[derive(Args, Debug)]
pub(super) struct RingArgs {
    /// Pages of the ring that each CPU has for a tool's events, at least: a power of two, as in
    /// biosnoop=256; separate several by commas or repeat it [default: the tool's own]
    #[arg(
        long,
        env = "XTRACER_PERF_PAGES",
        value_name = "TOOL=PAGES",
        value_delimiter = ','
    )]
    pub(super) perf_pages: Vec<PerfPages>,
}

/// A list of probes, each once, in the original's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProbeList(pub Vec<Probe>);

/// Reads a list of probes: names, `tcp` for the four TCP tools, `all` for the seven.
pub(super) fn probes(list: &str) -> Result<ProbeList, String> {
    let mut wanted = Vec::new();
    for name in list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        match name {
            "all" => wanted.extend(Probe::SEVEN),
            "tcp" => wanted.extend(&Probe::SEVEN[..4]),
            name => match name.parse() {
                Ok(probe) => wanted.push(probe),
                Err(error) => {
                    return Err(format!(
                        "{error}; `tcp` means the first four, `all` the first seven"
                    ));
                }
            },
        }
    }
    if wanted.is_empty() {
        return Err("no probe is named".into());
    }
    Ok(ProbeList(
        Probe::ALL
            .into_iter()
            .filter(|probe| wanted.contains(probe))
            .collect(),
    ))
}

impl ProbeList {
    /// The probes, if each of them can be limited to a target.
    ///
    /// # Errors
    /// For cachestat.
    pub(super) fn of_target(self) -> Result<Vec<Probe>, Failure> {
        if self.0.contains(&Probe::Cachestat) {
            let error = anyhow!(
                "cachestat reports the whole node and names no process, so it can't be limited to a target: use cachetop"
            );
            return Err(Failure::new(Exit::Usage, error));
        }
        Ok(self.0)
    }
}

/// Reads a time: a number of seconds, or one with a unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a time above zero, as in 30, 30s, 5m, 1h or 500ms".to_owned();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    match number.checked_mul(milliseconds) {
        None | Some(0) => Err(wrong()),
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_with_and_without_a_unit() {
        for (text, seconds) in [("30", 30), ("30s", 30), ("5m", 300), ("1h", 3600)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for text in [
            "",
            "0",
            "0s",
            "s",
            "-1",
            "1.5s",
            "5 m",
            "5d",
            "99999999999999999999",
            "18446744073709551615h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_of_probes_has_no_order_and_no_repeats() {
        let list = probes("tcplife,execsnoop, tcplife,").unwrap();
        assert_eq!(list.0, [Probe::Tcplife, Probe::Execsnoop]);
        assert_eq!(probes("tcp").unwrap().0, Probe::SEVEN[..4]);
        assert_eq!(probes("all,tcp").unwrap().0, Probe::SEVEN);
        assert_eq!(probes("cachestat").unwrap().0, [Probe::Cachestat]);
        assert!(
            probes("tcptop")
                .unwrap_err()
                .contains("unknown probe `tcptop`")
        );
        assert!(probes(" ,").is_err());
    }
}

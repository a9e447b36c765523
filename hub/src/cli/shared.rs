//! Flags that several commands have, and how their values read.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, ColorChoice, ValueEnum, value_parser};
use probeparser::Probe;
use probeparser::wire::PerfPages;

use crate::exit::{Exit, Failure};
use crate::session::Settings;
use crate::show::Format;

/// The form of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// The original x-tracer's lines
    Classic,
    /// The same columns for every probe; they name pod and container
    Columns,
    /// One JSON object a line
    Json,
    /// One JSON object over several lines
    #[value(name = "jsonpretty")]
    JsonPretty,
    /// One YAML document a record
    Yaml,
}

impl From<Output> for Format {
    fn from(output: Output) -> Self {
        match output {
            Output::Classic => Self::Classic,
            Output::Columns => Self::Columns,
            Output::Json => Self::Json,
            Output::JsonPretty => Self::JsonPretty,
            Output::Yaml => Self::Yaml,
        }
    }
}

/// How to show it, for how long, and what a loss means.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(super) struct ShowArgs {
    /// Form of the records [default: classic]
    #[arg(short, long, value_enum, value_name = "FORM")]
    pub(super) output: Option<Output>,
    /// Colour the probes' names in columns
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
    /// Leave out the line above the columns
    #[arg(long)]
    no_headers: bool,
    /// End after so many records
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    max_entries: Option<u64>,
    /// Say only what goes wrong
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// End after this long: 30 or 30s, 5m, 1h30m, 500ms
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Exit with status 6 if anything was lost
    #[arg(long)]
    strict: bool,
}

impl ShowArgs {
    /// The session's settings.
    pub(super) fn settings(&self, probes: Vec<Probe>) -> Settings {
        Settings {
            probes,
            format: self.output.unwrap_or(Output::Classic).into(),
            painted: is_painted(self.color),
            headers: !self.no_headers,
            max_entries: self.max_entries,
            timeout: self.timeout,
            strict: self.strict,
        }
    }
}

/// Whether colours are wanted: on a terminal, unless the environment says that they are not.
fn is_painted(choice: ColorChoice) -> bool {
    let is = |name, value: &str| std::env::var_os(name).is_some_and(|set| set == value);
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => std::io::stdout().is_terminal() && !unwanted && !is("TERM", "dumb"),
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

/// Reads a time above zero.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a time above zero, as in 30, 30s, 5m, 1h30m or 500ms".to_owned();
    time(text).filter(|time| !time.is_zero()).ok_or_else(wrong)
}

/// Reads a time that zero leaves without an end, as kubectl's do.
pub(super) fn limit(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a time, as in 30, 30s, 5m, or 0 for no limit".to_owned();
    time(text).ok_or_else(wrong)
}

/// A number of seconds, or numbers with units: `1h30m`, as Go's programs take it.
fn time(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return text
            .starts_with(|c: char| c.is_ascii_digit())
            .then(|| Duration::from_secs(seconds));
    }
    let mut rest = text;
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let letters = behind.find(|c: char| c.is_ascii_digit());
        let (unit, behind) = behind.split_at(letters.unwrap_or(behind.len()));
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(milliseconds)?;
        sum = sum.checked_add(part)?;
        rest = behind;
    }
    (!text.is_empty()).then(|| Duration::from_millis(sum))
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
        assert_eq!(duration("1h2m3s4ms"), Ok(Duration::from_millis(3_723_004)));
        for text in [
            "",
            "0",
            "0s",
            "s",
            "-1",
            "+1",
            "1.5s",
            "1h30",
            "mm",
            "5 m",
            "5d",
            "99999999999999999999",
            "18446744073709551615h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_may_be_none() {
        assert_eq!(limit("0"), Ok(Duration::ZERO));
        assert_eq!(limit("0s"), Ok(Duration::ZERO));
        assert_eq!(limit("5m"), Ok(Duration::from_secs(300)));
        assert!(limit("").is_err() && limit("never").is_err());
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

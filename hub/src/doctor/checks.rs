//! Line by line: what is there, what is not, and what gives it.

mod software;
mod system;

use probeparser::Probe;
use serde::Serialize;

use super::facts::Facts;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// There.
    Ok,
    /// Not there, and something is poorer for it.
    Warn,
    /// Not there, and the tools can't do without.
    Missing,
}

/// One line.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    /// What was looked at.
    #[serde(rename = "check")]
    pub(crate) name: String,
    pub(crate) state: State,
    /// What was found.
    pub(crate) found: String,
    /// What mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

fn check(name: &str, state: State, found: impl Into<String>) -> Check {
    Check {
        name: name.to_owned(),
        state,
        found: found.into(),
        remedy: None,
    }
}

fn lack(name: &str, state: State, found: impl Into<String>, remedy: impl Into<String>) -> Check {
    Check {
        remedy: Some(remedy.into()),
        ..check(name, state, found)
    }
}

/// All lines, the ones that everything depends on first.
pub(crate) fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![
        system::rights(facts),
        system::pid_namespace(facts),
        system::kernel(facts),
        system::lockdown(facts),
        system::kprobes(facts),
        system::perf_events(facts),
        system::btf(facts),
        system::raw_tracepoints(facts),
        system::skipped_runs(facts),
    ];
    checks.extend(
        [
            ("tracefs", &facts.tracefs),
            ("debugfs", &facts.debugfs),
            ("bpffs", &facts.bpffs),
        ]
        .map(|(name, filesystem)| system::mounted(name, filesystem, facts)),
    );
    checks.extend(system::locked_memory(facts));
    checks.extend([
        software::headers(facts),
        software::python_bcc(facts),
        software::libbcc(facts),
        software::libpython(facts),
    ]);
    checks.extend(Probe::SEVEN.map(|probe| software::tool(probe, facts)));
    checks.extend([software::nats_server(facts), software::agent(facts)]);
    checks
}

//! What is installed.

use probeparser::Probe;

use super::{Check, State, check, lack};
use crate::doctor::facts::{Facts, Tool};
use crate::doctor::remedy;

pub(super) fn headers(facts: &Facts) -> Check {
    match &facts.headers {
        Some(place) => check("kernel headers", State::Ok, place.clone()),
        None => lack(
            "kernel headers",
            State::Missing,
            format!(
                "none of kernel {}: no /lib/modules/{0}/build, no kheaders; BCC can't compile",
                facts.release
            ),
            remedy::headers(facts),
        ),
    }
}

pub(super) fn python_bcc(facts: &Facts) -> Check {
    let Some(folder) = &facts.bcc else {
        return lack(
            "Python's bcc",
            State::Missing,
            "not installed",
            remedy::tools(facts),
        );
    };
    let version = facts
        .bcc_version
        .map_or("unknown version".to_owned(), |version| version.to_string());
    let package = facts
        .bcc_package
        .as_ref()
        .map(|package| format!(", {package}"));
    check(
        "Python's bcc",
        State::Ok,
        format!("{version}, {folder}{}", package.unwrap_or_default()),
    )
}

pub(super) fn libbcc(facts: &Facts) -> Check {
    match &facts.libbcc {
        Some(path) => check("libbcc", State::Ok, path.clone()),
        None => lack(
            "libbcc",
            State::Missing,
            "not installed",
            remedy::tools(facts),
        ),
    }
}

pub(super) fn libpython(facts: &Facts) -> Check {
    if facts.libpython.is_empty() {
        return lack(
            "libpython",
            State::Missing,
            "not installed; the agent embeds it",
            remedy::python(facts),
        );
    }
    check("libpython", State::Ok, facts.libpython.join(", "))
}

pub(super) fn tool(probe: Probe, facts: &Facts) -> Check {
    match facts.tools.get(&probe) {
        Some(Tool::Python(path)) => check(probe.name(), State::Ok, path.display().to_string()),
        Some(Tool::Other(path)) => lack(
            probe.name(),
            State::Missing,
            format!(
                "{} is no Python program (libbpf-tools has programs of the same names)",
                path.display()
            ),
            remedy::tools(facts),
        ),
        _ => lack(
            probe.name(),
            State::Missing,
            "not installed",
            remedy::tools(facts),
        ),
    }
}

pub(super) fn nats_server(facts: &Facts) -> Check {
    match &facts.nats_server {
        Some(path) => check("nats-server", State::Ok, path.clone()),
        None => lack(
            "nats-server",
            State::Warn,
            "not installed; `x-tracer local` then needs --nats URL",
            remedy::nats(facts),
        ),
    }
}

pub(super) fn agent(facts: &Facts) -> Check {
    match &facts.agent {
        Some(path) => check("x-agent", State::Ok, path.display().to_string()),
        None => lack(
            "x-agent",
            State::Warn,
            "not beside x-tracer and not on the PATH",
            "cargo build -p x-agent, or name it with XTRACER_AGENT",
        ),
    }
}

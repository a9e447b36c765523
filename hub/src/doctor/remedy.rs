//! The one command that mends a lack, in the words of the machine's own distribution.

use super::facts::Facts;

/// The family of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Debian,
    Fedora,
    Arch,
    Alpine,
    Unknown,
}

fn family(facts: &Facts) -> Family {
    let names: Vec<_> = facts.distribution.split_whitespace().collect();
    let is = |wanted: &[&str]| names.iter().any(|name| wanted.contains(name));
    if is(&["debian", "ubuntu"]) {
        Family::Debian
    } else if is(&["fedora", "rhel", "centos", "amzn"]) {
        Family::Fedora
    } else if is(&["arch"]) {
        Family::Arch
    } else if is(&["alpine"]) {
        Family::Alpine
    } else {
        Family::Unknown
    }
}

/// Installs the tools, and with them Python's bcc module.
pub(crate) fn tools(facts: &Facts) -> String {
    match family(facts) {
        Family::Debian => "apt-get install bpfcc-tools python3-bpfcc",
        Family::Fedora => "dnf install bcc-tools python3-bcc",
        Family::Arch => "pacman -S bcc-tools python-bcc",
        Family::Alpine => "apk add bcc-tools py3-bcc",
        Family::Unknown => "install BCC's Python tools (bpfcc-tools or bcc-tools), or name their folder with --tools-dir",
    }
    .into()
}

/// Installs the headers of the running kernel.
pub(crate) fn headers(facts: &Facts) -> String {
    let release = &facts.release;
    match family(facts) {
        Family::Debian => format!(
            "apt-get install linux-headers-{release} (there is none for a kernel that is not the distribution's own)"
        ),
        Family::Fedora => format!("dnf install kernel-devel-{release}"),
        Family::Arch => "pacman -S linux-headers".into(),
        Family::Alpine => "apk add linux-lts-dev".into(),
        Family::Unknown => format!(
            "install the headers of kernel {release}, or name their folder in BCC_KERNEL_SOURCE"
        ),
    }
}

/// Installs a kernel that has what this one lacks.
pub(crate) fn kernel(facts: &Facts) -> String {
    match family(facts) {
        Family::Debian => "apt-get install linux-image-amd64 linux-headers-amd64, then boot it; or `make lab`, which boots one in a virtual machine".into(),
        _ => "boot your distribution's own kernel; or `make lab`, which boots one in a virtual machine".into(),
    }
}

/// Installs the library that the agent embeds.
pub(crate) fn python(facts: &Facts) -> String {
    match family(facts) {
        Family::Debian => "apt-get install libpython3-stdlib libpython3-dev",
        Family::Fedora => "dnf install python3-libs",
        Family::Arch => "pacman -S python",
        Family::Alpine => "apk add python3",
        Family::Unknown => "install Python 3's shared library",
    }
    .into()
}

/// Installs the NATS server.
pub(crate) fn nats(facts: &Facts) -> String {
    match family(facts) {
        Family::Debian => "apt-get install nats-server".into(),
        _ => "install nats-server, or name one with XTRACER_NATS_SERVER, or a running one with --nats".into(),
    }
}

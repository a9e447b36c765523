//! The options that each tool is run with, so that its lines carry all that a record holds.

use probeparser::Probe;
use probeparser::wire::PerfPages;

/// The tool's arguments. Each gives the most columns that every release since BCC 0.11 knows.
#[must_use]
pub(crate) fn argv(probe: Probe) -> &'static [&'static str] {
    match probe {
        Probe::Tcptracer | Probe::Tcpconnect => &["-t"],
        Probe::Tcpaccept | Probe::Execsnoop => &["-T", "-t"],
        // Comma separated: the name is neither cut nor padded.
        Probe::Tcplife => &["-s", "-T", "-t"],
        Probe::Biosnoop => &[],
        // The interval in seconds; the original's was 1, the tool's own default is 5.
        Probe::Cachetop => &["1"],
        Probe::Cachestat => &["-T"],
    }
}

/// Pages of this tool's rings; what was said last counts.
#[must_use]
pub(crate) fn pages(sizes: &[PerfPages], probe: Probe) -> Option<u32> {
    let mut sizes = sizes.iter().rev();
    sizes
        .find(|size| size.probe == probe)
        .map(|size| size.pages)
}

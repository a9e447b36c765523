//! Pairings of a BCC release and a kernel that are known not to work, and how they show.
//!
//! The kernel's numbers are those where the trouble was seen or reported, so that a backport may
//! bring it earlier. Numbers with a `#` are issues and pull requests of the BCC project.

use std::cmp::Reverse;

use probeparser::Probe;

use super::version::Version;

/// What a bad pairing does to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It cannot start.
    Fails,
    /// It attaches and never reports anything.
    Blind,
    /// It reports, but not the whole truth.
    Partial,
    /// It would not report the whole truth; the agent takes another way.
    Mended,
}

/// One bad pairing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pairing {
    probes: &'static [Probe],
    /// The first kernel that has it.
    kernel: Version,
    /// The BCC releases: the first one, and the first one that is mended.
    bcc: (Version, Version),
    pub(crate) effect: Effect,
    pub(crate) why: &'static str,
}

impl Pairing {
    /// The BCC release that mended it.
    pub(crate) fn mended(&self) -> Version {
        self.bcc.1
    }
}

const TCP: &[Probe] = &[
    Probe::Tcptracer,
    Probe::Tcpconnect,
    Probe::Tcpaccept,
    Probe::Tcplife,
];
const ANY: Version = Version(0, 0, 0);

/// Headers of that kernel use a type of the kernel's BPF interface that the `linux/bpf.h` inside
/// that BCC does not know.
const fn headers(kernel: Version, mended: Version, why: &'static str) -> Pairing {
    Pairing {
        probes: TCP,
        kernel,
        bcc: (ANY, mended),
        effect: Effect::Fails,
        why,
    }
}

const PAIRINGS: [Pairing; 20] = [
    headers(
        Version(5, 15, 0),
        Version(0, 21, 0),
        "does not compile: `struct bpf_timer` in the kernel's headers (#4758, #3993)",
    ),
    headers(
        Version(5, 19, 0),
        Version(0, 25, 0),
        "does not compile: `struct bpf_dynptr` in the kernel's headers",
    ),
    headers(
        Version(6, 2, 0),
        Version(0, 26, 0),
        "does not compile: `struct bpf_list_head` in the kernel's headers",
    ),
    headers(
        Version(6, 3, 0),
        Version(0, 28, 0),
        "does not compile: `struct bpf_rb_root` in the kernel's headers (#4575, #4866)",
    ),
    headers(
        Version(6, 10, 0),
        Version(0, 31, 0),
        "does not compile: `struct bpf_wq` in the kernel's headers (#5231)",
    ),
    headers(
        Version(6, 15, 0),
        Version(0, 35, 0),
        "does not compile: `BPF_LOAD_ACQ` in the kernel's headers (#5295)",
    ),
    headers(
        Version(6, 18, 0),
        Version(0, 36, 1),
        "does not compile: `struct bpf_task_work` in the kernel's headers (#5444, #5451)",
    ),
    Pairing {
        probes: &[Probe::Execsnoop],
        kernel: Version(6, 19, 0),
        bcc: (ANY, Version(0, 37, 0)),
        effect: Effect::Fails,
        why: "does not compile: an assertion on `struct filename` in the kernel's headers (#5501, #5525)",
    },
    Pairing {
        probes: &[Probe::Tcpaccept],
        kernel: Version(5, 6, 0),
        bcc: (ANY, Version(0, 25, 0)),
        effect: Effect::Blind,
        why: "attaches and never reports: it reads `sk_protocol` where it was before 5.6 (#3845)",
    },
    Pairing {
        probes: &[Probe::Tcpaccept],
        kernel: Version(6, 9, 0),
        bcc: (Version(0, 25, 0), Version(0, 36, 0)),
        effect: Effect::Mended,
        why: "attaches and never reports: `struct sock` was reorganised (#5316, seen on 6.12); the agent finds out, and lets it read `sk_protocol` by its name",
    },
    Pairing {
        probes: &[Probe::Tcptracer, Probe::Tcpconnect, Probe::Tcpaccept],
        kernel: Version(4, 16, 0),
        bcc: (ANY, Version(0, 10, 0)),
        effect: Effect::Blind,
        why: "prints threads and wrong PIDs, which belong to nobody's target (#2304)",
    },
    Pairing {
        probes: &[Probe::Tcptracer],
        kernel: ANY,
        bcc: (Version(0, 9, 0), Version(0, 17, 0)),
        effect: Effect::Partial,
        why: "IPv6 addresses and ports are garbage (#2781, #3114)",
    },
    Pairing {
        probes: &[Probe::Biosnoop],
        kernel: Version(5, 17, 0),
        bcc: (ANY, Version(0, 25, 0)),
        effect: Effect::Fails,
        why: "does not compile: `struct request` has moved (#3869)",
    },
    Pairing {
        probes: &[Probe::Biosnoop],
        kernel: Version(5, 8, 0),
        bcc: (Version(0, 16, 0), Version(0, 19, 0)),
        effect: Effect::Partial,
        why: "BYTES is always 0 (#3099)",
    },
    Pairing {
        probes: &[Probe::Biosnoop],
        kernel: Version(6, 12, 0),
        bcc: (Version(0, 29, 0), Version(0, 36, 0)),
        effect: Effect::Mended,
        why: "reads the direction of a request two bytes early and loses writes (#5366, seen on 6.12); the agent makes it do without that tracepoint",
    },
    Pairing {
        probes: &[Probe::Cachetop],
        kernel: Version(5, 15, 0),
        bcc: (ANY, Version(0, 23, 0)),
        effect: Effect::Fails,
        why: "cannot attach: `account_page_dirtied` is gone (#3687, #4434)",
    },
    Pairing {
        probes: &[Probe::Cachetop],
        kernel: Version(5, 16, 0),
        bcc: (Version(0, 23, 0), Version(0, 32, 0)),
        effect: Effect::Mended,
        why: "misses are always near 0 and hits too few: the page cache counts folios (#5144); the agent finds out, and attaches it to their functions",
    },
    Pairing {
        probes: &[Probe::Cachetop],
        kernel: ANY,
        bcc: (ANY, Version(0, 21, 0)),
        effect: Effect::Partial,
        why: "prints threads in place of processes",
    },
    Pairing {
        probes: &Probe::SEVEN,
        kernel: ANY,
        bcc: (Version(0, 9, 0), Version(0, 10, 0)),
        effect: Effect::Fails,
        why: "fails under Python 3 on its first event",
    },
    Pairing {
        probes: &[Probe::Execsnoop],
        kernel: ANY,
        bcc: (ANY, Version(0, 11, 0)),
        effect: Effect::Fails,
        why: "has no option -T, with which the agent runs it",
    },
];

/// The pairings that hold for a probe here: of each effect the one that is mended last, worst effect
/// first.
pub(crate) fn pairings(probe: Probe, kernel: Version, bcc: Version) -> Vec<Pairing> {
    let mut found: Vec<_> = PAIRINGS
        .into_iter()
        .filter(|pairing| {
            let (first, mended) = pairing.bcc;
            pairing.probes.contains(&probe)
                && kernel >= pairing.kernel
                && (first..mended).contains(&bcc)
        })
        .collect();
    found.sort_by_key(|pairing| (pairing.effect as u8, Reverse(pairing.mended())));
    found.dedup_by_key(|pairing| pairing.effect as u8);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(kernel: Version, bcc: Version) -> Vec<(Probe, Effect)> {
        let worst = |probe| {
            let first = pairings(probe, kernel, bcc).first().copied();
            first.map(|pairing| (probe, pairing.effect))
        };
        Probe::SEVEN.into_iter().filter_map(worst).collect()
    }

    /// What was measured with the stock tools of three Debian releases on their own kernels.
    #[test]
    fn says_of_debian_what_was_measured_there() {
        assert_eq!(
            effects(Version(5, 10, 0), Version(0, 18, 0)),
            [
                (Probe::Tcpaccept, Effect::Blind),
                (Probe::Biosnoop, Effect::Partial),
                (Probe::Cachetop, Effect::Partial),
            ]
        );
        assert_eq!(
            effects(Version(6, 1, 0), Version(0, 26, 0)),
            [(Probe::Cachetop, Effect::Mended)]
        );
        assert_eq!(
            effects(Version(6, 12, 0), Version(0, 31, 0)),
            [
                (Probe::Tcpaccept, Effect::Mended),
                (Probe::Biosnoop, Effect::Mended),
                (Probe::Cachetop, Effect::Mended),
            ]
        );
    }

    #[test]
    fn a_compile_error_outranks_what_would_come_after_it() {
        let found = pairings(Probe::Tcpaccept, Version(6, 18, 0), Version(0, 26, 0));
        assert_eq!(found[0].effect, Effect::Fails);
        assert_eq!(
            found[0].mended(),
            Version(0, 36, 1),
            "the release that compiles"
        );
        assert_eq!(found.last().unwrap().effect, Effect::Mended);
    }

    #[test]
    fn the_newest_release_has_no_entry() {
        assert_eq!(effects(Version(7, 2, 0), Version(0, 37, 0)), []);
    }
}

//! Which image of the agent fits a node: the only place that knows.
//!
//! BCC compiles its tools on the node, against the node's kernel headers, with its own copy of
//! `linux/bpf.h` in place of the kernel's. Headers that mention a structure which that copy lacks do not
//! compile, so **BCC must not be older than the kernel**. Each image carries the BCC of one Debian release:
//!
//! | image | BCC | newest kernel | because |
//! | --- | --- | --- | --- |
//! | debian13 | 0.31 | 6.14 | knows `struct bpf_wq` (6.10); 6.15's `BPF_LOAD_ACQ` came with 0.35 (iovisor/bcc#5295) |
//! | debian12 | 0.26 | 6.2 | knows `struct bpf_list_head` (6.2); 6.3's `struct bpf_rb_root` came with 0.28 (iovisor/bcc#4575) |
//!
//! The newer image is the default wherever it fits: a newer BCC on an older kernel mostly works, and the
//! kernels of several distributions carry BPF structures that are newer than their version says.

use std::fmt;
use std::str::FromStr;

use crate::text::{list, visible};

/// The Debian release that an image is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Debian 13 (trixie).
    Debian13,
    /// Debian 12 (bookworm).
    Debian12,
}

/// What one image can do.
#[derive(Debug, Clone, Copy)]
struct Fit {
    release: Release,
    bcc: &'static str,
    newest: Kernel,
}

/// In the order of preference.
const FITS: [Fit; 2] = [
    Fit {
        release: Release::Debian13,
        bcc: "0.31",
        newest: Kernel {
            major: 6,
            minor: 14,
        },
    },
    Fit {
        release: Release::Debian12,
        bcc: "0.26",
        newest: Kernel { major: 6, minor: 2 },
    },
];

/// Architectures that images are built for, in Go's names, as the API gives them.
const ARCHITECTURES: [&str; 1] = ["amd64"];

/// A kernel's version as far as it decides anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kernel {
    /// The 6 of 6.12.
    pub major: u32,
    /// The 12 of 6.12.
    pub minor: u32,
}

/// Why no image fits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoImage {
    /// The kernel is newer than every image's BCC.
    #[error(
        "no image fits the kernel {kernel} of the node {node}: {fits}; name an image with a newer BCC by --image"
    )]
    Kernel {
        /// The node.
        node: String,
        /// Its kernel.
        kernel: String,
        /// What each image is good for.
        fits: String,
    },
    /// No image is built for the node's processor.
    #[error(
        "no image fits the architecture {architecture} of the node {node}: images are built for {built}; name one of your own by --image"
    )]
    Architecture {
        /// The node.
        node: String,
        /// Its architecture.
        architecture: String,
        /// What images are built for.
        built: String,
    },
}

/// The image to use on a node: the wanted release, or the first that fits.
///
/// A kernel version that cannot be read takes the default image: the agent names what does not compile.
///
/// # Errors
/// [`NoImage`], saying what each image is good for.
pub fn choose(
    node: &str,
    kernel: &str,
    architecture: &str,
    wanted: Option<Release>,
) -> Result<Release, NoImage> {
    if !ARCHITECTURES.contains(&architecture) {
        return Err(NoImage::Architecture {
            node: node.to_owned(),
            architecture: visible(architecture),
            built: list(&ARCHITECTURES),
        });
    }
    let candidates: Vec<_> = FITS
        .iter()
        .filter(|fit| wanted.is_none_or(|wanted| wanted == fit.release))
        .collect();
    let parsed = kernel.parse::<Kernel>().ok();
    candidates
        .iter()
        .find(|fit| parsed.is_none_or(|kernel| kernel <= fit.newest))
        .map(|fit| fit.release)
        .ok_or_else(|| NoImage::Kernel {
            node: node.to_owned(),
            kernel: visible(kernel),
            fits: candidates
                .iter()
                .map(|fit| {
                    format!(
                        "{} (BCC {}) goes up to {}",
                        fit.release, fit.bcc, fit.newest
                    )
                })
                .collect::<Vec<_>>()
                .join(", "),
        })
}

impl fmt::Display for Release {
    /// The tag's part: `debian13`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Debian13 => "debian13",
            Self::Debian12 => "debian12",
        })
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Kernel {
    type Err = ();

    /// Reads what distributions make of a version: `6.1.0-18-amd64`, `5.14.0-427.el9`, `6.12+deb13-cloud`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.split(|character: char| !character.is_ascii_digit());
        let mut number = || {
            numbers
                .next()
                .and_then(|digits| digits.parse().ok())
                .ok_or(())
        };
        Ok(Self {
            major: number()?,
            minor: number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Kernel, NoImage, Release, choose};

    fn on(kernel: &str) -> Result<Release, NoImage> {
        choose("n1", kernel, "amd64", None)
    }

    #[test]
    fn the_newer_image_is_taken_wherever_it_fits() {
        for kernel in [
            "5.10.0-32-amd64",
            "5.14.0-427.el9.x86_64",
            "6.1.0-18-cloud-amd64",
            "6.12.117+deb13-amd64",
            "6.14.0",
        ] {
            assert_eq!(on(kernel), Ok(Release::Debian13), "{kernel}");
        }
    }

    #[test]
    fn a_wanted_release_must_fit_too() {
        assert_eq!(
            choose("n1", "6.2.0-39-generic", "amd64", Some(Release::Debian12)),
            Ok(Release::Debian12)
        );
        let error = choose("n1", "6.3.1", "amd64", Some(Release::Debian12)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no image fits the kernel 6.3.1 of the node n1: debian12 (BCC 0.26) goes up to 6.2; name an image with a newer BCC by --image"
        );
    }

    #[test]
    fn a_kernel_newer_than_every_image_says_so() {
        let error = on("7.0.0-rc3").unwrap_err().to_string();
        assert!(
            error.contains(
                "debian13 (BCC 0.31) goes up to 6.14, debian12 (BCC 0.26) goes up to 6.2"
            ),
            "{error}"
        );
        on("6.15").unwrap_err();
    }

    #[test]
    fn an_unreadable_version_takes_the_default() {
        assert_eq!(on(""), Ok(Release::Debian13));
        assert_eq!(on("custom"), Ok(Release::Debian13));
        assert_eq!("99999999999.1".parse::<Kernel>(), Err(()));
    }

    #[test]
    fn architecture_comes_first() {
        let error = choose("n1", "6.1", "riscv64", None)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("riscv64") && error.contains("amd64"),
            "{error}"
        );
    }
}

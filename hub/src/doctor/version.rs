//! Versions of kernels and of BCC, as far as they can be compared.

use std::fmt;

/// A version's first three numbers; what is missing counts as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32, pub(crate) u32);

impl Version {
    /// Reads the numbers that a text begins with: `6.1.0-44-cloud-amd64`, `0.26.0+ds`, `v0.31`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut numbers = text.trim_start_matches('v').split('.').map_while(|part| {
            let end = part
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(part.len());
            part.get(..end)?.parse().ok()
        });
        let first = numbers.next()?;
        Some(Self(
            first,
            numbers.next().unwrap_or(0),
            numbers.next().unwrap_or(0),
        ))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        match patch {
            0 => write!(f, "{major}.{minor}"),
            patch => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_distributions_write() {
        for (text, version) in [
            ("6.1.0-44-cloud-amd64", Version(6, 1, 0)),
            ("6.18.44-fc-v595", Version(6, 18, 44)),
            ("5.10", Version(5, 10, 0)),
            ("0.26.0+ds", Version(0, 26, 0)),
            ("v0.31.0", Version(0, 31, 0)),
            ("7", Version(7, 0, 0)),
        ] {
            assert_eq!(Version::read(text), Some(version), "{text}");
        }
        assert_eq!(Version::read("git"), None);
        assert!(Version(0, 9, 0) < Version(0, 36, 1));
    }
}

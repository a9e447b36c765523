//! Names that nobody guesses, and files that nobody else reads.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use tempfile::NamedTempFile;

/// A random name of `bytes` random bytes, in hexadecimal.
///
/// # Errors
/// When the system has no randomness to give.
pub(crate) fn random_name(bytes: usize) -> io::Result<String> {
    let mut random = vec![0; bytes];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let mut name = String::with_capacity(2 * bytes);
    for byte in random {
        write!(name, "{byte:02x}").expect("a string takes every write");
    }
    Ok(name)
}

/// The secret in a file, without the newline that editors leave.
pub(crate) fn read_secret(path: &Path) -> anyhow::Result<String> {
    let secret = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the secret in {}", path.display()))?;
    Ok(secret.trim_end_matches(['\n', '\r']).to_owned())
}

/// Writes a new file that only its owner may read.
pub(crate) fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

/// Puts a file that only its owner may read in the place of another: whoever reads it finds all of the
/// one or all of the other.
pub(crate) fn replace_secret(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn names_differ() {
        let (one, other) = (random_name(16).unwrap(), random_name(16).unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }

    #[test]
    fn a_secret_is_ours_alone_and_never_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        write_secret(&path, "t").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_secret(&path, "u").is_err());
    }

    #[test]
    fn one_that_is_replaced_stays_ours_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        write_secret(&path, "t").unwrap();
        replace_secret(&path, "u").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_secret(&path).unwrap(), "u");
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    }
}

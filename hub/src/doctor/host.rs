//! The files of a machine, below a root of the caller's choosing: tests make their own machines.

use std::fs;
use std::path::{Path, PathBuf};

/// A machine's files.
pub(crate) struct Host {
    root: PathBuf,
}

impl Host {
    /// The machine that this runs on.
    pub(crate) fn this() -> Self {
        Self::below("/")
    }

    /// The machine whose files are below `root`.
    pub(crate) fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether these are the files of the machine that this runs on.
    pub(crate) fn is_this(&self) -> bool {
        self.root == Path::new("/")
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A file's text, trimmed; none if it can't be read.
    pub(crate) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = fs::read(self.path(path.as_ref())).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// A file's first bytes, at most `length`.
    pub(crate) fn head(&self, path: impl AsRef<Path>, length: u64) -> Option<Vec<u8>> {
        let mut head = Vec::new();
        let file = fs::File::open(self.path(path.as_ref())).ok()?;
        std::io::Read::read_to_end(&mut std::io::Read::take(file, length), &mut head).ok()?;
        Some(head)
    }

    /// Whether there is such a file or folder; a link must lead somewhere.
    pub(crate) fn has(&self, path: impl AsRef<Path>) -> bool {
        self.path(path.as_ref()).exists()
    }

    /// Where a link points to.
    pub(crate) fn link(&self, path: impl AsRef<Path>) -> Option<String> {
        let target = fs::read_link(self.path(path.as_ref())).ok()?;
        Some(target.to_string_lossy().into_owned())
    }

    /// The names in a folder, sorted; none if it can't be read.
    pub(crate) fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder.as_ref()))
            .into_iter()
            .flatten();
        let mut names: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
        names.sort();
        names
    }
}

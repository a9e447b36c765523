//! `--durable`: a stream of the server keeps the records, so that whoever shows them may go and come back.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use probeparser::wire::{Store, encode_token};

use crate::exit::Failure;
use crate::receive::{Address, Connection, Part, Source};
use crate::server::Keep;
use crate::session::Reading;
use crate::show::Bookmark;

/// How records are kept.
#[derive(Clone, Debug)]
pub(crate) struct Durable {
    /// What a stream made by us keeps.
    pub store: Store,
    /// Where the streams of a server of our own stay; without it they are gone with the server.
    pub folder: Option<PathBuf>,
    /// What holds how far was shown, if the user named it.
    pub bookmark: Option<PathBuf>,
}

impl Durable {
    /// What becomes of the streams of a server of our own.
    pub(crate) fn keep(&self) -> Keep {
        match &self.folder {
            Some(folder) => Keep::Folder(folder.join("streams")),
            None => Keep::Session,
        }
    }

    /// Where agents of ours keep their journals, so that those of the hub that comes back go on with them.
    pub(crate) fn journal(&self) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        Some(folder.join("agents"))
    }

    /// The session of a folder, so that who comes back goes on with it; a new one, without.
    ///
    /// # Errors
    /// When the folder can't be used.
    pub(crate) fn session(&self, fresh: String) -> anyhow::Result<String> {
        let Some(folder) = &self.folder else {
            return Ok(fresh);
        };
        let path = folder.join("session");
        let failed = || format!("cannot keep the session's name in {}", path.display());
        match std::fs::read_to_string(&path) {
            Ok(name) => Ok(name.trim_end().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::create_dir_all(folder).with_context(failed)?;
                std::fs::write(&path, &fresh).with_context(failed)?;
                Ok(fresh)
            }
            Err(error) => Err(error).with_context(failed),
        }
    }

    /// How far was shown of what a server of our own keeps; none if that is gone with it.
    ///
    /// # Errors
    /// When it can't be kept, or somebody else goes by it.
    pub(crate) fn own_bookmark(&self) -> Result<Option<Bookmark>, Failure> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let path = self.bookmark.clone();
        let path = path.unwrap_or_else(|| folder.join("bookmark"));
        Ok(Some(Bookmark::open(&path)?))
    }

    /// How far was shown of a session, or of all, on the user's server.
    ///
    /// # Errors
    /// When it can't be kept, or somebody else goes by it.
    pub(crate) fn bookmark_at(
        &self,
        address: &Address,
        session: Option<&str>,
    ) -> Result<Bookmark, Failure> {
        let path = match &self.bookmark {
            Some(path) => path.clone(),
            None => state_folder()?.join(name(address, session)),
        };
        Ok(Bookmark::open(&path)?)
    }
}

/// Reads a stream that is made if there is none, on from a bookmark or from the beginning.
///
/// # Errors
/// When the server has no streams, or does not let us have one.
pub(crate) async fn reading(
    connection: Connection,
    session: Option<&str>,
    durable: &Durable,
    bookmark: Option<Bookmark>,
) -> Result<Reading, Failure> {
    connection.keep(durable.store).await?;
    let mark = bookmark.as_ref().map(Bookmark::mark);
    let part = Part::After(mark.unwrap_or_default());
    let reader = connection.read(session, part).await?;
    Ok(Reading {
        connection,
        source: Source::Kept(Box::new(reader)),
        bookmark,
    })
}

/// Where programs of this user keep what they are to remember.
fn state_folder() -> anyhow::Result<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|folder| !folder.is_empty());
    let state = folder("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| Some(Path::new(&folder("HOME")?).join(".local/state")));
    let state = state.ok_or_else(|| {
        anyhow!("there is no home to keep in how far was shown: name a file with --bookmark")
    })?;
    Ok(state.join("x-tracer"))
}

/// A file's name for a session, or all, on a server.
fn name(address: &Address, session: Option<&str>) -> String {
    let address = address.to_string();
    let session = session.map_or("all".into(), encode_token);
    format!("{}.{session}.bookmark", encode_token(&address))
}

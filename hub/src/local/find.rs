//! Where the programs are that the hub starts.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A program that is nowhere.
#[derive(Debug, thiserror::Error)]
#[error("{program} was not found in {}: {remedy}, or name it with {variable}", .places.join(", "))]
pub(crate) struct NotFound {
    /// Its name.
    pub program: &'static str,
    /// Where it was looked for.
    pub places: Vec<String>,
    /// What gives it.
    pub remedy: &'static str,
    /// The environment variable that names it.
    pub variable: &'static str,
}

/// The agent: `XTRACER_AGENT`, else beside this program, else on the PATH.
///
/// # Errors
/// When it is nowhere.
pub(crate) fn find_agent() -> Result<PathBuf, NotFound> {
    let beside = env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.to_owned()));
    let search = Search {
        program: "x-agent",
        variable: "XTRACER_AGENT",
        remedy: "build it with `cargo build -p x-agent`",
    };
    search.find(beside.into_iter().chain(path_folders()))
}

/// The NATS server: `XTRACER_NATS_SERVER`, else on the PATH or in the folders for servers.
///
/// # Errors
/// When it is nowhere.
pub(crate) fn find_server() -> Result<PathBuf, NotFound> {
    let search = Search {
        program: "nats-server",
        variable: "XTRACER_NATS_SERVER",
        remedy: "run `apt-get install nats-server`, give --nats URL",
    };
    let servers = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"].map(PathBuf::from);
    search.find(path_folders().into_iter().chain(servers))
}

fn path_folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // An empty or relative entry would mean the current folder, which may be anybody's.
    env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .collect()
}

struct Search {
    program: &'static str,
    variable: &'static str,
    remedy: &'static str,
}

impl Search {
    fn find(self, folders: impl IntoIterator<Item = PathBuf>) -> Result<PathBuf, NotFound> {
        let named = env::var_os(self.variable)
            .filter(|name| !name.is_empty())
            .map(PathBuf::from);
        self.find_in(named, folders)
    }

    fn find_in(
        self,
        named: Option<PathBuf>,
        folders: impl IntoIterator<Item = PathBuf>,
    ) -> Result<PathBuf, NotFound> {
        let mut places: Vec<PathBuf> = Vec::new();
        match named {
            Some(file) if is_program(&file) => return Ok(file),
            // Who names a program wants no other.
            Some(file) => places.push(file),
            None => {
                for folder in folders {
                    let file = folder.join(self.program);
                    if is_program(&file) {
                        return Ok(file);
                    }
                    if !places.contains(&folder) {
                        places.push(folder);
                    }
                }
            }
        }
        Err(NotFound {
            program: self.program,
            places: places
                .iter()
                .map(|place| place.display().to_string())
                .collect(),
            remedy: self.remedy,
            variable: self.variable,
        })
    }
}

fn is_program(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search() -> Search {
        Search {
            program: "sh",
            variable: "XTRACER_SH",
            remedy: "run `apt-get install dash`",
        }
    }

    #[test]
    fn the_first_folder_that_has_it_wins() {
        let folders = ["/nonexistent", "/bin", "/usr/bin"].map(PathBuf::from);
        assert_eq!(
            search().find_in(None, folders).unwrap(),
            Path::new("/bin/sh")
        );
    }

    #[test]
    fn a_named_program_is_taken_or_missed_alone() {
        let folders = || [PathBuf::from("/bin")];
        let named = search()
            .find_in(Some("/bin/true".into()), folders())
            .unwrap();
        assert_eq!(named, Path::new("/bin/true"));
        let missed = search()
            .find_in(Some("/etc/passwd".into()), folders())
            .unwrap_err();
        assert_eq!(
            missed.to_string(),
            "sh was not found in /etc/passwd: run `apt-get install dash`, or name it with XTRACER_SH"
        );
    }
}

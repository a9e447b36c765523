//! Where a tool's file is, whichever distribution put it there.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Enough of a file to know what runs it.
const HEAD: u64 = 4096;

/// Why there is nothing to run.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ToolError {
    /// The name holds something that no tool's name does.
    #[error("'{0}' is no name of a tool: letters, digits, '-' and '_' only")]
    BadName(String),
    /// No file of that name.
    #[error("no tool '{name}': looked for {}", list(searched))]
    Missing {
        /// The tool.
        name: String,
        /// Every path that was tried.
        searched: Vec<PathBuf>,
    },
    /// There are files of that name, and none is Python: libbpf-tools ships programs of the same names.
    #[error("'{}' is not a Python program but {what}", path.display())]
    NotPython {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// It is there and cannot be read.
    #[error("'{}': {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

/// Finds the tool `name`: in `dirs` first, in their order, then where distributions install BCC.
///
/// # Errors
/// [`ToolError`]: it is nowhere, or what is there is not Python.
pub fn find_tool(name: &str, dirs: &[PathBuf]) -> Result<PathBuf, ToolError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(ToolError::BadName(name.to_owned()));
    }
    let candidates = candidates(name, dirs);
    let mut refused = None;
    for path in &candidates {
        match check(path) {
            Ok(true) => return Ok(path.clone()),
            Ok(false) => {}
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or(ToolError::Missing {
        name: name.to_owned(),
        searched: candidates,
    }))
}

fn candidates(name: &str, dirs: &[PathBuf]) -> Vec<PathBuf> {
    let debian = format!("{name}-bpfcc");
    let own = dirs.iter().flat_map(|dir| {
        [name.to_owned(), format!("{name}.py"), debian.clone()].map(|file| dir.join(file))
    });
    let installed = [
        // Debian, Ubuntu
        format!("/usr/sbin/{debian}"),
        // Fedora, RHEL, Arch, Alpine, upstream
        format!("/usr/share/bcc/tools/{name}"),
        format!("/usr/bin/{debian}"),
        format!("/usr/local/share/bcc/tools/{name}"),
        // NixOS wraps its tools: the Python is beside the wrapper.
        format!("/run/current-system/sw/share/bcc/tools/.{name}-wrapped"),
    ];
    own.chain(installed.into_iter().map(PathBuf::from))
        .collect()
}

/// True for a Python file, false for nothing at all.
fn check(path: &Path) -> Result<bool, ToolError> {
    let unreadable = |error: std::io::Error| ToolError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let mut head = Vec::new();
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(unreadable(error));
        }
        Ok(_) | Err(_) => return Ok(false),
    }
    File::open(path)
        .and_then(|file| file.take(HEAD).read_to_end(&mut head))
        .map_err(unreadable)?;
    match kind_of(&head) {
        None => Ok(true),
        Some(what) => Err(ToolError::NotPython {
            path: path.to_owned(),
            what,
        }),
    }
}

/// `None` for Python, otherwise what the file is.
fn kind_of(head: &[u8]) -> Option<&'static str> {
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if head.starts_with(b"\x7fELF") {
        Some("a compiled program (libbpf-tools has tools of the same names)")
    } else if first.starts_with(b"#!") {
        let python = first.windows(6).any(|word| word == b"python");
        (!python).then_some("a script for another interpreter")
    } else {
        head.contains(&0).then_some("a binary file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        folder
    }

    #[test]
    fn the_first_folder_wins_under_any_of_the_three_names() {
        for name in ["zz-tool", "zz-tool.py", "zz-tool-bpfcc"] {
            let first = folder(&[(name, b"#! /usr/bin/python3\nprint()\n")]);
            let second = folder(&[("zz-tool", b"print()")]);
            let dirs = [first.path().to_owned(), second.path().to_owned()];
            assert_eq!(find_tool("zz-tool", &dirs), Ok(first.path().join(name)));
        }
    }

    #[test]
    fn compiled_tools_and_shell_wrappers_are_passed_over_or_named() {
        let compiled = folder(&[("zz-tool", b"\x7fELF\x02\x01\0\0")]);
        let shell = folder(&[("zz-tool", b"#!/bin/sh\nexec python3 x\n")]);
        let python = folder(&[("zz-tool", b"#!/usr/bin/env python\n")]);
        let dirs = [compiled.path(), shell.path(), python.path()].map(Path::to_owned);
        assert_eq!(
            find_tool("zz-tool", &dirs),
            Ok(python.path().join("zz-tool"))
        );
        let refused = find_tool("zz-tool", &dirs[..2]).expect_err("nothing to run");
        assert!(refused.to_string().contains("libbpf-tools"), "{refused}");
    }

    #[test]
    fn a_missing_tool_names_every_place_and_a_strange_name_none() {
        let missing = find_tool("zz-tool", &["/nowhere".into()])
            .expect_err("missing")
            .to_string();
        for place in [
            "/nowhere/zz-tool.py",
            "/usr/sbin/zz-tool-bpfcc",
            "/usr/share/bcc/tools/zz-tool",
        ] {
            assert!(missing.contains(place), "{missing}");
        }
        for name in ["", "../x", "a b", "a/b", "a\n"] {
            assert_eq!(
                find_tool(name, &[]),
                Err(ToolError::BadName(name.to_owned()))
            );
        }
    }
}

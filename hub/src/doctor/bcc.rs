//! Where BCC is: its tools, its Python module, its library, and the headers that it compiles with.

use std::path::PathBuf;

use probeparser::Probe;

use super::facts::Tool;
use super::host::Host;

/// Where BCC will find the kernel's headers; the order is its own.
pub(crate) fn headers(host: &Host, release: &str) -> Option<String> {
    let modules = format!("/lib/modules/{release}");
    let kheaders = ["", ".xz", ".zst", ".gz"]
        .map(|packed| format!("{modules}/kernel/kernel/kheaders.ko{packed}"));
    let mut places = vec![
        format!("{modules}/build"),
        format!("{modules}/source"),
        "/sys/kernel/kheaders.tar.xz".to_owned(),
    ];
    places.extend(kheaders);
    if let Some(place) = std::env::var("BCC_KERNEL_SOURCE")
        .ok()
        .filter(|_| host.is_this())
    {
        places.insert(0, place);
    }
    places.into_iter().find(|place| host.has(place))
}

/// The folder of Python's bcc module.
pub(crate) fn python_module(host: &Host) -> Option<String> {
    let pythons = ["/usr/lib", "/usr/local/lib", "/usr/lib64"].map(|lib| {
        let names = host.names(lib).into_iter();
        let pythons = names
            .filter(|name| name.starts_with("python3"))
            .collect::<Vec<_>>();
        (lib, pythons)
    });
    let folders = pythons.into_iter().flat_map(|(lib, pythons)| {
        pythons.into_iter().flat_map(move |python| {
            ["dist-packages", "site-packages"]
                .map(|packages| format!("{lib}/{python}/{packages}/bcc"))
        })
    });
    folders
        .into_iter()
        .find(|folder| host.has(format!("{folder}/__init__.py")))
}

/// The version of a Debian package.
pub(crate) fn package(host: &Host, name: &str) -> Option<String> {
    let status = host.text("/var/lib/dpkg/status")?;
    let start = format!("Package: {name}\n");
    let entry = status
        .split("\n\n")
        .find(|entry| entry.starts_with(&start))?;
    if !entry.contains("\nStatus: install ok installed") {
        return None;
    }
    let version = entry
        .lines()
        .find_map(|line| line.strip_prefix("Version: "))?;
    Some(format!("{name} {version}"))
}

/// The files of a library, in the folders for libraries.
pub(crate) fn library(host: &Host, start: &str) -> Vec<String> {
    let mut folders = vec![
        "/usr/lib".to_owned(),
        "/usr/lib64".into(),
        "/usr/local/lib".into(),
    ];
    let multiarch = host
        .names("/usr/lib")
        .into_iter()
        .filter(|name| name.contains("-linux-gnu"));
    folders.extend(multiarch.map(|name| format!("/usr/lib/{name}")));
    let files = folders.into_iter().flat_map(|folder| {
        let names = host.names(&folder).into_iter();
        let names = names.filter(|name| name.starts_with(start) && name.contains(".so."));
        names
            .map(|name| format!("{folder}/{name}"))
            .collect::<Vec<_>>()
    });
    files.collect()
}

/// A tool's file, where the agent looks for it.
pub(crate) fn tool(host: &Host, probe: Probe, dirs: &[PathBuf]) -> Tool {
    let name = probe.name();
    let own = dirs.iter().flat_map(|dir| {
        [
            name.to_owned(),
            format!("{name}.py"),
            format!("{name}-bpfcc"),
        ]
        .map(|file| dir.join(file))
    });
    let installed = [
        format!("/usr/sbin/{name}-bpfcc"),
        format!("/usr/share/bcc/tools/{name}"),
        format!("/usr/bin/{name}-bpfcc"),
        format!("/usr/local/share/bcc/tools/{name}"),
        format!("/run/current-system/sw/share/bcc/tools/.{name}-wrapped"),
    ];
    let mut other = Tool::Missing;
    for path in own.chain(installed.map(PathBuf::from)) {
        let Some(head) = host.head(&path, 4096) else {
            continue;
        };
        let first = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let python = if first.starts_with(b"#!") {
            first.windows(6).any(|word| word == b"python")
        } else {
            !head.contains(&0)
        };
        if python {
            return Tool::Python(path);
        }
        other = Tool::Other(path);
    }
    other
}

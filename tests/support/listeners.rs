//! Where processes listen, as the kernel tells it.

use std::collections::BTreeSet;
use std::fs;

/// A process and all that it has started.
pub(crate) fn family(eldest: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name before it may hold anything.
            let (_, rest) = stat.rsplit_once(") ")?;
            Some((pid, rest.split(' ').nth(1)?.parse().ok()?))
        })
        .collect();
    let mut family = vec![eldest];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        let children = parents.iter().filter(|(_, of)| *of == parent);
        family.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    family
}

/// The sockets that a process has open, by inode.
fn sockets(pid: u32) -> Vec<String> {
    let open = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    let links = open.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    let inode = |link: std::path::PathBuf| {
        let link = link.to_str()?.strip_prefix("socket:[")?;
        Some(link.strip_suffix(']')?.to_owned())
    };
    links.filter_map(inode).collect()
}

/// Where these sockets listen: protocol, address and port as the kernel writes them.
fn listening(sockets: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    // A datagram socket that is bound takes from everybody; raw ones take everything.
    for (table, state) in [
        ("tcp", "0A"),
        ("tcp6", "0A"),
        ("udp", "07"),
        ("udp6", "07"),
        ("raw", "07"),
        ("raw6", "07"),
    ] {
        let text = fs::read_to_string(format!("/proc/net/{table}")).unwrap();
        for line in text.lines().skip(1) {
            let words: Vec<_> = line.split_whitespace().collect();
            if words[3] == state && sockets.contains(words[9]) {
                found.push(format!("{table} {}", words[1]));
            }
        }
    }
    found
}

/// Where these processes listen.
pub(crate) fn listeners(processes: Vec<u32>) -> Vec<String> {
    listening(&processes.into_iter().flat_map(sockets).collect())
}

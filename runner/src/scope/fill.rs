//! Processes that are older than the kernel table, written into it from `/proc`.

use std::collections::HashMap;

use super::entry::Entry;
use super::error::Warning;
use super::lineage::Lineage;
use super::namespace::PidNamespace;
use super::procfs::{Missing, Process, Procfs};
use super::table::Table;

/// Writes down the processes that are older than the table, so that they too cost one look-up.
/// Where that fails nothing is wrong: `/proc` knows the living, and their death is written down.
pub(crate) fn fill(table: &Table, procfs: &Procfs) -> Option<Warning> {
    // Held open until the end, or an inode could change its meaning during the scan.
    let mut namespaces: HashMap<u32, (PidNamespace, Lineage)> = HashMap::new();
    let mut hidden = 0;
    for pid in procfs.pids().unwrap_or_default() {
        match procfs
            .process(pid)
            .and_then(|process| describe(&process, &mut namespaces))
        {
            Ok(entry) => {
                if let Err(error) = table.add_missing(pid, &entry) {
                    tracing::debug!(pid, "not written into the kernel table: {error}");
                }
            }
            Err(Missing::Denied) => hidden += 1,
            Err(Missing::Gone) => {}
            Err(Missing::Odd(error)) => tracing::debug!(pid, "not read: {error}"),
        }
    }
    (hidden > 0).then_some(Warning::Hidden { processes: hidden })
}

fn describe(
    process: &Process,
    namespaces: &mut HashMap<u32, (PidNamespace, Lineage)>,
) -> Result<Entry, Missing> {
    let numbers = process.numbers()?;
    if numbers.level == 0 {
        return Ok(Entry::living(&Lineage::HOST, numbers.inner));
    }
    let inode = process.pid_namespace_inode()?;
    if let Some((_, lineage)) = namespaces.get(&inode) {
        return Ok(Entry::living(lineage, numbers.inner));
    }
    let namespace = process.pid_namespace()?;
    let lineage = namespace.lineage()?;
    namespaces.insert(namespace.inode(), (namespace, lineage));
    Ok(Entry::living(&lineage, numbers.inner))
}

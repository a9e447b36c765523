//! What the kernel table said last, so that the events of a busy process cost no system call each.

use std::sync::{Mutex, PoisonError};

use super::entry::Entry;

/// Entries that are kept, each at the place that its PID gives it.
const PLACES: usize = 64;

/// One answer.
#[derive(Clone, Copy, Debug)]
struct Answer {
    pid: u32,
    /// The number of the table's changes before it was given.
    changes: u64,
    entry: Entry,
}

/// The last answers. One holds as long as nothing in the table has changed, and no longer: a PID may
/// be of another process at any moment.
#[derive(Debug)]
pub(super) struct Recent(Mutex<[Option<Answer>; PLACES]>);

impl Default for Recent {
    fn default() -> Self {
        Self(Mutex::new([None; PLACES]))
    }
}

impl Recent {
    /// The entry of `pid` in a table that has changed so often, from here or from the table.
    pub(super) fn get(
        &self,
        pid: u32,
        changes: u64,
        look_up: impl FnOnce() -> Option<Entry>,
    ) -> Option<Entry> {
        // Each answer is written whole: a panic elsewhere leaves none half done.
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = &mut places[pid as usize % PLACES];
        if let Some(answer) = place
            && answer.pid == pid
            && answer.changes == changes
        {
            return Some(answer.entry);
        }
        // That there is no entry is not kept: the agent adds older processes without a change.
        let entry = look_up()?;
        *place = Some(Answer {
            pid,
            changes,
            entry,
        });
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(level: u32) -> Entry {
        let nothing = Entry::from_bytes(&[0; Entry::SIZE]);
        Entry { level, ..nothing }
    }

    #[test]
    fn an_answer_holds_until_the_table_changes() {
        let recent = Recent::default();
        let level = |pid, changes, now| {
            let entry = recent.get(pid, changes, || now);
            entry.map(|entry: Entry| entry.level)
        };
        assert_eq!(level(7, 1, None), None);
        assert_eq!(
            level(7, 1, Some(entry(1))),
            Some(1),
            "no entry is no answer"
        );
        assert_eq!(level(7, 1, Some(entry(2))), Some(1));
        assert_eq!(level(7, 2, Some(entry(2))), Some(2));
        assert_eq!(level(7, 3, None), None);
        let same_place = 7 + u32::try_from(PLACES).unwrap();
        assert_eq!(level(same_place, 2, Some(entry(3))), Some(3));
        assert_eq!(level(7, 2, Some(entry(4))), Some(4));
    }
}

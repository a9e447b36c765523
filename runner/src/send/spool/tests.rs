//! Batches on a real disk.

use std::path::Path;
use std::sync::Arc;

use probeparser::Probe;

use super::*;
use crate::ledger::{End, Ledger};
use crate::send::{JournalError, Message};

fn spool(limit: u64) -> Spool {
    let folder = std::env::temp_dir();
    Spool::new(SpoolConfig { folder, limit })
}

fn batch(number: u32, ledger: Option<&Arc<Ledger>>) -> Batch {
    let message = |part: &str| Message {
        subject: "xtracer.v1.s.n.status".into(),
        payload: format!("{number} {part}").into(),
        ledger: ledger.map(Arc::clone),
    };
    Batch::new(2 * u64::from(number) - 1, vec![message("one"), message("")])
}

#[test]
fn what_goes_in_comes_out_in_order_and_the_files_go_with_it() {
    let mut spool = spool(800);
    let ledger = Arc::new(Ledger::default());
    for number in 1..=100 {
        spool
            .push(&batch(number, (number % 2 == 0).then_some(&ledger)))
            .unwrap();
    }
    assert!(spool.files.len() > 8 && spool.is_full());
    for number in 1..=100 {
        let found = spool.pop().unwrap().unwrap();
        let wanted = batch(number, None);
        assert_eq!(found.first, wanted.first);
        for (found, wanted) in found.messages.iter().zip(&wanted.messages) {
            assert_eq!(found.payload, wanted.payload);
            assert_eq!(found.subject, wanted.subject);
            assert_eq!(found.ledger.is_some(), number % 2 == 0);
        }
        found.ended(End::Published);
    }
    assert!(spool.pop().unwrap().is_none() && spool.is_empty());
    assert_eq!(ledger.snapshot().published, 100);
}

#[test]
fn a_disk_that_is_full_leaves_it_as_it_was() {
    let mut spool = spool(1 << 20);
    spool.push(&batch(1, None)).unwrap();
    let file = &mut spool.files[0].file;
    let good = std::mem::replace(file, File::create("/dev/full").unwrap());
    spool.push(&batch(2, None)).unwrap_err();
    spool.files[0].file = good;
    spool.push(&batch(3, None)).unwrap();
    let payloads = [(); 2].map(|()| spool.pop().unwrap().unwrap().messages[0].payload.clone());
    assert_eq!(payloads, ["1 one", "3 one"]);
    assert!(spool.pop().unwrap().is_none());
}

#[test]
fn a_file_that_is_cut_short_is_counted() {
    let mut spool = spool(1 << 20);
    spool.push(&batch(1, None)).unwrap();
    spool.push(&batch(2, None)).unwrap();
    spool.pop().unwrap();
    spool.files[0].file.set_len(0).unwrap();
    assert_eq!(spool.pop().unwrap_err().0, 2);
    assert!(spool.pop().unwrap().is_none());
}

/// The spool of an agent after one that was killed, and what that has left.
fn after_a_kill(folder: &Path) -> (Spool, Option<Left>, Arc<Ledger>) {
    let journal = Journal::open(folder, "s", "n").unwrap();
    let ledger = journal.ledger(Probe::Execsnoop).unwrap();
    let config = SpoolConfig {
        folder: folder.to_owned(),
        limit: 64 << 20,
    };
    let (spool, left) = Spool::kept(config, journal).unwrap();
    (spool, left, ledger)
}

#[test]
fn what_has_not_come_to_its_end_is_there_for_the_next_agent() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, left, ledger) = after_a_kill(folder.path());
    assert_eq!(left, None);
    let printed = |ledger: &Ledger| (0..2).for_each(|_| ledger.printed());
    for number in 1..=20 {
        printed(&ledger);
        let batch = batch(number, Some(&ledger));
        // The first half is in memory too.
        if number <= 10 {
            spool.note(&batch).unwrap();
        } else {
            spool.push(&batch).unwrap();
        }
    }
    for number in 1..=5 {
        let batch = batch(number, Some(&ledger));
        spool.ended(&batch);
        batch.ended(End::Published);
    }
    // One line was read and is in no file, and one message more has come to its end.
    ledger.printed();
    let (one, _) = batch(6, Some(&ledger)).split();
    spool.ended(&one);
    one.ended(End::Published);
    drop((spool, ledger, one));

    let (mut spool, left, ledger) = after_a_kill(folder.path());
    let waiting = 40 - 11;
    assert_eq!(left, Some(Left { waiting, lost: 1 }));
    let mut numbers = Vec::new();
    while let Some(batch) = spool.pop().unwrap() {
        spool.ended(&batch);
        batch.ended(End::Published);
        numbers.extend((batch.first..).take(batch.messages.len()));
    }
    assert_eq!(numbers, (12..41).collect::<Vec<_>>());
    let counted = ledger.snapshot();
    assert_eq!(
        (counted.printed, counted.published, counted.dropped),
        (41, 40, 1)
    );
    drop((spool, ledger));

    let (mut spool, left, _) = after_a_kill(folder.path());
    assert_eq!(left, Some(Left::default()));
    assert!(spool.pop().unwrap().is_none());
}

#[test]
fn a_batch_that_a_kill_has_cut_is_lost_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _, ledger) = after_a_kill(folder.path());
    for number in 1..=2 {
        (0..2).for_each(|_| ledger.printed());
        spool.push(&batch(number, Some(&ledger))).unwrap();
    }
    let last = spool.files.back().unwrap();
    last.file.set_len(last.written - 1).unwrap();
    drop((spool, ledger));
    let (mut spool, left, ledger) = after_a_kill(folder.path());
    assert_eq!(
        left,
        Some(Left {
            waiting: 2,
            lost: 2
        })
    );
    assert_eq!(spool.pop().unwrap().unwrap().first, 1);
    spool.push(&batch(3, Some(&ledger))).unwrap();
    assert_eq!(spool.pop().unwrap().unwrap().first, 5);
    assert!(spool.pop().unwrap().is_none());
}

#[test]
fn files_go_when_their_messages_have_come_to_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _, ledger) = after_a_kill(folder.path());
    let large = |number| {
        let mut batch = batch(number, Some(&ledger));
        batch.messages[1].payload = vec![b'x'; 1 << 20].into();
        batch
    };
    for number in 1..=8 {
        spool.note(&large(number)).unwrap();
    }
    assert_eq!(spool.files.len(), 8);
    spool.ended(&large(2));
    assert_eq!(spool.files.len(), 8, "the first is still wanted");
    spool.ended(&large(1));
    assert_eq!(spool.files.len(), 6);
    for number in 3..=8 {
        spool.ended(&large(number));
    }
    assert_eq!(spool.files.len(), 1);
    let journal = spool.into_journal().unwrap();
    assert_eq!(journal.ended(), 16);
    journal.remove().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_journal_is_one_agents() {
    let folder = tempfile::tempdir().unwrap();
    let open = |node| Journal::open(folder.path(), "s", node);
    let first = open("n").unwrap();
    assert!(matches!(open("n"), Err(JournalError::Taken(_))));
    open("other").unwrap();
    drop(first);
    open("n").unwrap();
}

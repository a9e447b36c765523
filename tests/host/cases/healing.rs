//! What heals a tool that sees nothing: only where it is asked for, only where it fits.

use super::Case;
use super::programs::{Journal, interrupted, run};
use crate::agent::{Event, Spec};
use crate::harness::{installed, lines};

pub(crate) const CASES: &[Case] = &[
    ("what_could_be_healed_is_announced", announced),
    ("a_blind_tcpaccept_sees_again", program),
    ("cachetop_counts_what_the_kernel_uses", functions),
];

/// The functions of a kernel that has folios.
const FOLIOS: (&str, &str) = (
    "XTRACER_STANDIN_FUNCTIONS",
    "folio_account_dirtied,filemap_add_folio,folio_mark_accessed",
);

fn announced() {
    let heals = |events: &[Event]| -> Vec<Event> {
        let is_one = |event: &&Event| matches!(event, Event::Healable(_) | Event::Healed(_));
        events.iter().filter(is_one).cloned().collect()
    };
    for (tool, settings, expected) in [
        ("tcpaccept", vec![], vec!["accepts"]),
        ("cachetop", vec![FOLIOS], vec!["MISSES", "HITS"]),
        // Where the kernel has no such functions, they can't help.
        ("cachetop", vec![], vec![]),
        ("tcpconnect", vec![], vec![]),
    ] {
        let settings = [settings, vec![("XTRACER_STANDIN_END", "stop")]].concat();
        let events = if tool == "cachetop" {
            interrupted(&installed(tool, &["1"]), &Journal::new(), &settings)
        } else {
            run(&installed(tool, &[]), &Journal::new(), &settings)
        };
        let expected: Vec<_> = expected
            .into_iter()
            .map(|dead| Event::Healable(dead.to_owned()))
            .collect();
        assert_eq!(heals(&events), expected, "{tool}: {events:?}");
    }
}

fn program() {
    let needs = [("XTRACER_STANDIN_NEEDS", "newsk->sk_protocol != IPPROTO_TCP")];
    let blind = run(&installed("tcpaccept", &[]), &Journal::new(), &needs);
    assert_eq!(seen(&blind), 0, "{blind:?}");
    let spec = Spec {
        heal: vec!["accepts".to_owned()],
        ..installed("tcpaccept", &[])
    };
    let healed = run(&spec, &Journal::new(), &needs);
    assert_eq!(seen(&healed), 12, "{healed:?}");
    let why = healed
        .iter()
        .any(|event| matches!(event, Event::Healed(reason) if reason.contains("protocol")));
    assert!(why, "{healed:?}");
}

fn functions() {
    let journal = Journal::new();
    let spec = Spec {
        heal: vec!["MISSES".to_owned(), "HITS".to_owned()],
        ..installed("cachetop", &["1"])
    };
    let needs = (
        "XTRACER_STANDIN_NEEDS",
        "filemap_add_folio,folio_mark_accessed",
    );
    let events = interrupted(&spec, &journal, &[FOLIOS, needs]);
    let done = journal.lines();
    for attach in [
        "filemap_add_folio",
        "folio_mark_accessed",
        "mark_buffer_dirty",
    ] {
        let attach = format!("attach kprobe {attach} do_count");
        assert!(done.contains(&attach), "{attach}: {done:?}");
    }
    assert!(
        !done
            .iter()
            .any(|line| line.contains("add_to_page_cache_lru")),
        "{done:?}"
    );
    // The tool knows what it counts by the functions' names: they are those that it has asked for.
    let row = lines(&events)
        .into_iter()
        .map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned())
        .find(|line| line.contains("tmux"));
    let columns: Vec<_> = row.iter().flat_map(|row| row.split_whitespace()).collect();
    assert_eq!(
        columns[columns.len() - 5..columns.len() - 2],
        ["38", "32", "7"],
        "{events:?}"
    );
}

fn seen(events: &[Event]) -> usize {
    lines(events).iter().filter(|(_, event)| *event).count()
}

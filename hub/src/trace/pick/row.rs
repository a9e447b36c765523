//! A pod as a line of the list, and how well it fits what is typed.

use std::fmt;
use std::time::SystemTime;

use x_k8s::find::PodRow;

use crate::show::sanitize;

/// What stands before a row on the screen.
const MARGIN: usize = 2;

/// A line of the list.
pub(super) struct Row {
    /// What is shown.
    shown: String,
    /// What is typed to find it, in lower case: its name first, then the rest.
    name: String,
    rest: String,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Row {
    /// The pods as a table of that many columns of text, with their namespaces if there are several;
    /// a width of 0 is none that is known.
    pub(super) fn table(pods: &[PodRow], now: SystemTime, width: usize) -> Vec<Self> {
        let several = pods
            .iter()
            .any(|pod| Some(&pod.namespace) != pods.first().map(|first| &first.namespace));
        let cells: Vec<_> = pods
            .iter()
            .enumerate()
            .map(|(number, pod)| cells(number, pod, several, now))
            .collect();
        let widths: [usize; 6] = std::array::from_fn(|column| {
            let widths = cells.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or_default()
        });
        let rows = pods.iter().zip(&cells);
        rows.map(|(pod, cells)| Self {
            shown: line(cells, &widths, width),
            name: pod.name.to_lowercase(),
            rest: format!("{} {}", pod.namespace, cells[1..].join(" ")).to_lowercase(),
        })
        .collect()
    }

    /// How well it fits what is typed, if it does: every word must be in it. Its number comes before a
    /// name that begins so, that before one with it inside, and that before any other column.
    pub(super) fn score(&self, typed: &str, number: usize) -> Option<i64> {
        let number = number.to_string();
        let words = typed.split_whitespace().map(str::to_lowercase);
        let scores = words.map(|word| {
            if number == word {
                Some(5)
            } else if number.starts_with(&word) {
                Some(4)
            } else if self.name.starts_with(&word) {
                Some(3)
            } else if self.name.contains(&word) {
                Some(2)
            } else {
                self.rest.contains(&word).then_some(1)
            }
        });
        scores.sum()
    }
}

/// Number, name, ready, status, node, age.
fn cells(number: usize, pod: &PodRow, several: bool, now: SystemTime) -> [String; 6] {
    let name = if several {
        format!("{}/{}", pod.namespace, pod.name)
    } else {
        pod.name.clone()
    };
    [
        format!("{number} :"),
        name,
        format!("{}/{}", pod.ready, pod.containers),
        pod.status.clone(),
        pod.node.clone().unwrap_or_else(|| "<none>".to_owned()),
        pod.age_seconds(now).map(age).unwrap_or_default(),
    ]
    .map(|cell| sanitize::visible(&cell).into_owned())
}

/// A row's cells, one under the other, cut at the terminal's edge.
fn line(cells: &[String; 6], widths: &[usize; 6], width: usize) -> String {
    let [number, others @ ..] = cells;
    let others: Vec<_> = others
        .iter()
        .zip(&widths[1..])
        .map(|(cell, width)| format!("{cell:width$}"))
        .collect();
    let text = format!("{number:>0$} ", widths[0]) + &others.join("  ");
    let text = text.trim_end();
    let room = width.saturating_sub(MARGIN);
    if room == 0 || text.chars().count() <= room {
        return text.to_owned();
    }
    let cut: String = text.chars().take(room - 1).collect();
    cut + "…"
}

/// An age in the largest unit of which there are a few.
fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn pod(namespace: &str, name: &str, status: &str, node: Option<&str>) -> PodRow {
        PodRow {
            namespace: namespace.into(),
            name: name.into(),
            status: status.into(),
            ready: 1,
            containers: 2,
            restarts: 0,
            node: node.map(str::to_owned),
            created: Some(SystemTime::UNIX_EPOCH),
        }
    }

    fn table(pods: &[PodRow], width: usize) -> Vec<String> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(3 * 3600);
        let rows = Row::table(pods, now, width);
        rows.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn columns_stand_under_each_other_and_strangers_text_is_escaped() {
        let mut pods = vec![
            pod("shop", "web-0", "Running", Some("node-1")),
            pod("shop", "db", "\x1b[2JEvil", None),
        ];
        assert_eq!(
            table(&pods, 80),
            [
                "0 : web-0  1/2  Running      node-1  3h",
                "1 : db     1/2  \\x1b[2JEvil  <none>  3h",
            ]
        );
        pods.push(pod("dev", "web-0", "Running", Some("node-1")));
        assert!(table(&pods, 0)[2].starts_with("2 : dev/web-0   1/2"));
    }

    #[test]
    fn a_row_is_cut_at_the_terminals_edge() {
        let pods = [pod("shop", "web-0", "Running", Some("node-1"))];
        assert_eq!(table(&pods, 14), ["0 : web-0  …"]);
        assert_eq!(table(&pods, 3), ["…"]);
        assert_eq!(table(&pods, 1)[0].len(), 35);
    }

    #[test]
    fn what_is_typed_finds_numbers_names_and_columns_in_this_order() {
        let mut pods: Vec<_> = (0..12)
            .map(|_| pod("shop", "db", "Running", Some("n")))
            .collect();
        pods[3] = pod("shop", "my-web", "Running", Some("n"));
        pods[5] = pod("shop", "web-1", "Pending", None);
        let rows = Row::table(&pods, SystemTime::UNIX_EPOCH, 0);
        let found = |typed: &str| {
            let mut scored: Vec<_> = rows
                .iter()
                .enumerate()
                .filter_map(|(index, row)| Some((row.score(typed, index)?, index)))
                .collect();
            scored.sort_by_key(|&(score, index)| (-score, index));
            scored
                .into_iter()
                .map(|(_, index)| index)
                .collect::<Vec<_>>()
        };
        assert_eq!(found(""), (0..12).collect::<Vec<_>>());
        assert_eq!(found("WEB"), [5, 3]);
        assert_eq!(found("web pend"), [5]);
        // Every row has a ready of 1/2; its own number is first.
        assert_eq!(found("1")[..3], [1, 10, 11]);
        assert_eq!(found("nothing"), [0; 0]);
    }

    #[test]
    fn ages_read_as_kubectls() {
        for (seconds, text) in [(0, "0s"), (119, "119s"), (150, "2m"), (7200, "2h")] {
            assert_eq!(age(seconds), text);
        }
        assert_eq!(age(400 * 86400), "400d");
    }
}

//! The cases, by theme.

mod ends;
mod foreground;
mod healing;
mod lines;
mod lives;
mod programs;

/// A case: its name and what it does.
pub(crate) type Case = (&'static str, fn());

/// All of them, in order.
pub(crate) fn all() -> Vec<Case> {
    [
        lines::CASES,
        programs::CASES,
        healing::CASES,
        ends::CASES,
        lives::CASES,
        foreground::CASES,
    ]
    .concat()
}

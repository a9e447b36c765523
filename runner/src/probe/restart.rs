//! Whether a tool that failed is started again, and when. Values in, values out: no clock in here.

use std::time::Duration;

use super::failure::FailureKind;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A tool that worked for this long has shown that it can: its failures are counted anew.
const PROVEN_AFTER: Duration = Duration::from_secs(60);
/// Failures in a row, without proof in between, after which trying again is noise.
const PATIENCE: u32 = 5;

/// The memory of one probe's failures.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct RestartPolicy {
    failures: u32,
}

impl RestartPolicy {
    /// The pause before the next attempt after a failure of this kind, or `None` to give up.
    /// `worked` is how long the tool had been attached.
    pub(crate) fn after(&mut self, kind: FailureKind, worked: Duration) -> Option<Duration> {
        if worked >= PROVEN_AFTER {
            self.failures = 0;
        }
        self.failures += 1;
        if kind.is_lasting() || self.failures >= PATIENCE {
            return None;
        }
        let doublings = self.failures - 1;
        Some((FIRST_PAUSE * 2u32.saturating_pow(doublings)).min(LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(pause: Option<Duration>) -> Option<u64> {
        pause.map(|pause| pause.as_secs())
    }

    #[test]
    fn pauses_double_and_then_it_is_enough() {
        let mut policy = RestartPolicy::default();
        let pauses: Vec<_> = (0..6)
            .map(|_| seconds(policy.after(FailureKind::Crashed, Duration::ZERO)))
            .collect();
        assert_eq!(pauses, [Some(1), Some(2), Some(4), Some(8), None, None]);
    }

    #[test]
    fn a_tool_that_worked_for_a_minute_starts_with_a_clean_record() {
        let mut policy = RestartPolicy::default();
        for _ in 0..100 {
            assert_eq!(
                seconds(policy.after(FailureKind::Crashed, PROVEN_AFTER)),
                Some(1)
            );
        }
    }

    #[test]
    fn what_no_restart_can_cure_is_not_tried_again() {
        for kind in [
            FailureKind::MissingTool,
            FailureKind::Compile,
            FailureKind::Headers,
            FailureKind::Usage,
        ] {
            assert_eq!(
                RestartPolicy::default().after(kind, PROVEN_AFTER),
                None,
                "{kind:?}"
            );
        }
    }
}

//! One probe of one agent: pure, no I/O.

use probeparser::wire::{Ledger, Sight, State, Status, Verdict};

/// One probe of one agent.
#[derive(Clone, Debug)]
pub(in crate::session) struct Standing {
    /// Its last state that is one of its life: notes and reports are none.
    pub state: State,
    /// Whether it has ever attached, or come to its own end.
    pub worked: bool,
    /// How often it failed, or its agent was killed, after it had worked: what happened until it was
    /// back was not seen.
    pub interruptions: u64,
    /// Its latest ledger.
    pub ledger: Option<Ledger>,
    /// Whether it sees, as far as that is proven.
    pub sight: Option<Sight>,
}

impl Default for Standing {
    /// On its way up.
    fn default() -> Self {
        Self {
            state: State::Starting,
            worked: false,
            interruptions: 0,
            ledger: None,
            sight: None,
        }
    }
}

impl Standing {
    /// Enters what its agent says of it.
    pub(super) fn enter(&mut self, status: &Status) {
        if !matches!(status.state, State::Note | State::Report) {
            if status.state == State::Failed {
                self.interrupt();
            }
            self.state = status.state;
            self.worked |= matches!(status.state, State::Attached | State::Finished);
        }
        self.ledger = status.ledger.or(self.ledger);
        if status.sight.is_some() {
            self.sight.clone_from(&status.sight);
        }
    }

    /// It sees nothing now, until it is back.
    pub(super) fn interrupt(&mut self) {
        self.interruptions += u64::from(self.worked);
    }

    /// Another agent brings it up anew. The ledger stays until that one gives its own.
    pub(super) fn begin_anew(&mut self) {
        self.state = State::Starting;
        self.worked = false;
        self.sight = None;
    }

    /// Whether nothing more will come from it.
    pub(super) fn is_final(&self) -> bool {
        self.state == State::Stopped || self.is_spent()
    }

    /// Whether it has come to an end of its own, so that no other agent would do better.
    pub(super) fn is_spent(&self) -> bool {
        matches!(self.state, State::Finished | State::GivenUp)
    }

    /// What is proven of its sight.
    pub(in crate::session) fn verdict(&self) -> Option<Verdict> {
        self.sight.as_ref().map(|sight| sight.verdict)
    }

    /// Whether it shows nothing whatever happens.
    pub(super) fn is_blind(&self) -> bool {
        self.state == State::GivenUp || self.verdict() == Some(Verdict::Blind)
    }

    /// Whether it is past its start.
    pub(super) fn is_settled(&self) -> bool {
        self.worked || self.is_final()
    }
}

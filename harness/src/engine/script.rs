//! Where one client stands in its script: attempts, sessions, pauses, until it ends.

use rand_chacha::ChaCha8Rng;

use super::client::Client;
use super::tale::Tale;
use crate::plan::Nanos;

/// A client at work.
pub(super) struct Script {
    pub(super) client: Client,
    pub(super) rng: ChaCha8Rng,
    /// When its next attempt is due, or its last one was.
    pub(super) intended: Nanos,
    /// Which of its cohort's connects its attempts make.
    pub(super) ask: u16,
    /// Where it stands in its script, if it has one.
    pub(super) tale: Option<Tale>,
    /// Attempts without session, in a row.
    pub(super) failures: u32,
    /// Sessions that it opens after this one.
    pub(super) reconnects_left: u32,
    /// The slot that it fills, in a closed model.
    pub(super) slot: Option<usize>,
    pub(super) state: State,
    /// Changes with the state, so that an appointment can be told to be out of date.
    pub(super) serial: u32,
}

/// What a client is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for its next attempt.
    Pausing,
    /// It makes one, on this connection.
    Attempting(usize),
    /// It holds a session, on this connection.
    Holding(usize),
    /// It leaves it.
    Leaving(usize),
}

impl Script {
    pub(super) const fn enter(&mut self, state: State) {
        self.state = state;
        self.serial = self.serial.wrapping_add(1);
    }
}

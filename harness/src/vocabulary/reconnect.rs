//! What a client does between attempts, and with a session.

use super::DurationRange;

/// What a client does after an attempt without session, or after it lost one.
#[derive(Debug, Clone, PartialEq)]
pub struct ReconnectPolicy {
    /// Pause before the next attempt.
    pub backoff: Backoff,
    /// Attempts in a row without a session after which the client gives up; `None` = never.
    pub attempts_max: Option<u32>,
    /// Which refusals end the script at once: those that trying again cannot cure.
    pub gives_up_on_refusal: GiveUp,
    /// Whether it does what the gateway's answer says about trying again.
    pub hints: bool,
    /// After "pairing required" it waits until an operator of the run has approved it, and then this long: somebody walks
    /// over and starts it again. `None` = it tries again by itself.
    pub told: Option<DurationRange>,
}

/// Pause between attempts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Backoff {
    /// 1 s doubling to 30 s, reset by a session; `jitter` is the share of the pause that is random (official: 0).
    Official {
        /// 0.0 to 1.0
        jitter: f64,
    },
    /// The same pause each time.
    Fixed(DurationRange),
    /// The next attempt starts at once.
    Tight,
}

/// Which refusals end a client's script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// None: it tries again whatever the answer.
    Never,
    /// Every refusal but pairing required, which an operator may cure.
    UnlessPairing,
    /// Those on the list of 2026.9.6's official client, but for pairing required.
    PauseList,
    /// Every refusal.
    Always,
}

/// What a client does once it holds a session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionScript {
    /// How long it stays; `None` = until the run's `duration` ends or the gateway closes.
    pub hold: Option<DurationRange>,
    /// How many further sessions it opens after leaving one by itself.
    pub reconnects: u32,
}

//! When a client tries again, and when it gives up.

use std::time::Duration;

use rand::{Rng, RngExt as _};

use crate::observation::{Outcome, Refusal};
use crate::plan::{Backoff, DurationRange, GiveUp, ReconnectPolicy};

/// First pause of the official clients (reference, section 11).
const OFFICIAL_FIRST: Duration = Duration::from_secs(1);
/// Longest pause of the official clients.
const OFFICIAL_LONGEST: Duration = Duration::from_secs(30);

/// What a client does after an attempt that gave no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It tries again after this pause.
    Retry(Duration),
    /// It gives up.
    GiveUp,
}

/// Decides after an attempt without session. `failures` counts such attempts in a row, this one included.
pub fn after_failure(
    policy: &ReconnectPolicy,
    outcome: &Outcome,
    failures: u32,
    time_scale: f64,
    rng: &mut impl Rng,
) -> Next {
    if policy.attempts_max.is_some_and(|max| failures >= max) || ends_script(policy, outcome) {
        return Next::GiveUp;
    }
    Next::Retry(pause(policy, failures, time_scale, rng))
}

/// Pause before attempt number `failures + 1` after a session or a failure; `failures` is 1 after a lost session.
pub fn pause(policy: &ReconnectPolicy, failures: u32, time_scale: f64, rng: &mut impl Rng) -> Duration {
    let unscaled = match policy.backoff {
        Backoff::Tight => Duration::ZERO,
        Backoff::Fixed(range) => draw(range, rng),
        Backoff::Official { jitter } => {
            let doublings = failures.saturating_sub(1).min(5);
            let full = (OFFICIAL_FIRST * 2_u32.pow(doublings)).min(OFFICIAL_LONGEST);
            full.mul_f64(1.0 - jitter.clamp(0.0, 1.0) * rng.random::<f64>())
        }
    };
    unscaled.mul_f64(time_scale)
}

/// Draws from a range.
pub fn draw(range: DurationRange, rng: &mut impl Rng) -> Duration {
    if range.max <= range.min {
        return range.min;
    }
    range.min + (range.max - range.min).mul_f64(rng.random::<f64>())
}

fn ends_script(policy: &ReconnectPolicy, outcome: &Outcome) -> bool {
    match policy.gives_up_on_refusal {
        GiveUp::Never => false,
        GiveUp::Always => matches!(outcome, Outcome::Refused(_) | Outcome::UpgradeRefused { .. }),
        GiveUp::UnlessPairing => {
            matches!(outcome, Outcome::Refused(refusal) if !is_pairing(refusal) && !is_temporary(refusal))
        }
    }
}

/// Whether time cures it: a gateway that starts or drains says `UNAVAILABLE`.
fn is_temporary(refusal: &Refusal) -> bool {
    refusal.code == "UNAVAILABLE"
}

/// Whether an operator could cure the refusal. Releases before 2026.2.22 send no details, only the code and the text.
fn is_pairing(refusal: &Refusal) -> bool {
    refusal.detail_code.as_deref() == Some("PAIRING_REQUIRED")
        || (refusal.code == "NOT_PAIRED" && refusal.message.starts_with("pairing required"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    fn policy(backoff: Backoff) -> ReconnectPolicy {
        ReconnectPolicy { backoff, attempts_max: Some(3), gives_up_on_refusal: GiveUp::UnlessPairing }
    }

    fn refusal(detail: &str) -> Outcome {
        Outcome::Refused(Refusal {
            code: "INVALID_REQUEST".to_owned(),
            message: String::new(),
            detail_code: Some(detail.to_owned()),
            reason: None,
            auth_reason: None,
            next_step: None,
            request_id: None,
            close: None,
        })
    }

    #[test]
    fn the_official_pause_doubles_to_thirty_seconds() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let policy = policy(Backoff::Official { jitter: 0.0 });
        let pauses: Vec<u64> = (1..=8).map(|n| pause(&policy, n, 1.0, &mut rng).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn a_client_gives_up_on_what_waiting_cannot_cure() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let policy = policy(Backoff::Tight);
        let mut after =
            |outcome: &Outcome, failures| after_failure(&policy, outcome, failures, 1.0, &mut rng);
        assert_eq!(after(&refusal("AUTH_TOKEN_MISMATCH"), 1), Next::GiveUp);
        assert_eq!(after(&refusal("PAIRING_REQUIRED"), 1), Next::Retry(Duration::ZERO));
        assert_eq!(after(&refusal("PAIRING_REQUIRED"), 3), Next::GiveUp);
        assert_eq!(after(&Outcome::ConnectionRefused, 2), Next::Retry(Duration::ZERO));
        let Outcome::Refused(refused) = refusal("") else { return };
        let starting = Outcome::Refused(Refusal { code: "UNAVAILABLE".to_owned(), ..refused });
        assert_eq!(after(&starting, 1), Next::Retry(Duration::ZERO), "it will have started");
    }
}

//! `[cohort.NAME.reconnect]`: what a client does after an attempt without a session.
//!
//! What official clients do is from the shared handshake reference, section 11: seen at 2026.2.19, 2026.3.13 and 2026.9.6.

use std::time::Duration;

use protocol::ProfileName;

use super::document::Value;
use super::reader::{Fields, count, duration_range, number, truth, word};
use crate::vocabulary::{Backoff, DurationRange, GiveUp, Persona, ReconnectPolicy};

/// How long somebody takes to get to a client and start it again, if the scenario does not say.
const WALK: DurationRange = DurationRange { min: Duration::from_secs(2), max: Duration::from_secs(10) };
/// What a cohort does that says nothing.
const USUAL: ReconnectPolicy = ReconnectPolicy {
    backoff: Backoff::Official { jitter: 0.0 },
    attempts_max: None,
    gives_up_on_refusal: GiveUp::UnlessPairing,
    hints: false,
    told: None,
};

/// Back-offs that have keys of their own.
const SHAPES: [&str; 3] = ["official", "fixed", "tight"];

/// What the official client does that a persona imitates, where somebody has seen it; else the usual pause, 1 s doubling to 30 s.
#[must_use]
pub fn official(persona: Persona, release: ProfileName) -> ReconnectPolicy {
    match (persona, release) {
        (_, ProfileName::Article) => USUAL,
        // A command ends with its error, whatever the release.
        (Persona::Cli, _) => ReconnectPolicy { gives_up_on_refusal: GiveUp::Always, ..USUAL },
        (_, ProfileName::V2026_9_6) => {
            ReconnectPolicy { gives_up_on_refusal: GiveUp::PauseList, hints: true, told: Some(WALK), ..USUAL }
        }
        // `node run` exits after the first "pairing required": its timer does not keep it alive.
        (Persona::NodeHost, _) => ReconnectPolicy { gives_up_on_refusal: GiveUp::Always, ..USUAL },
        _ => USUAL,
    }
}

/// Reads the policy of a cohort of clients like `persona`.
pub(super) fn read(cohort: &Fields<'_>, persona: Persona, release: ProfileName) -> ReconnectPolicy {
    let Some(entry) = cohort.entry("reconnect") else { return USUAL };
    if let Value::Text(_) = &entry.node.value {
        let words = [
            ("official", official(persona, release)),
            ("tight", ReconnectPolicy { backoff: Backoff::Tight, ..USUAL }),
            ("hints", ReconnectPolicy { hints: true, told: Some(WALK), ..USUAL }),
            ("paused", ReconnectPolicy { told: Some(WALK), ..USUAL }),
            ("exits", ReconnectPolicy { gives_up_on_refusal: GiveUp::Always, ..USUAL }),
        ];
        return cohort.read("reconnect", word(&words)).unwrap_or(USUAL);
    }
    let Some(fields) = cohort.sub_table(entry) else { return USUAL };
    let mut policy = USUAL;
    policy.attempts_max = fields.read("attempts_max", count(1, 1_000_000));
    let give_up =
        [("never", GiveUp::Never), ("unless-pairing", GiveUp::UnlessPairing), ("always", GiveUp::Always)];
    if let Some(give_up) = fields.read("give_up", word(&give_up)) {
        policy.gives_up_on_refusal = give_up;
    }
    policy.hints = fields.read("hints", truth).unwrap_or(false);
    policy.told = fields.read("told", duration_range);
    let named = SHAPES.iter().any(|shape| fields.entry(shape).is_some());
    if named
        && let Some((shape, entry)) = fields.one_of(&SHAPES, "a back-off")
        && let Some(backoff) = fields.sub_table(entry).and_then(|inner| backoff(shape, inner))
    {
        policy.backoff = backoff;
    }
    if policy.told.is_some() && policy.gives_up_on_refusal == GiveUp::Always {
        let help = Some("keep `told`, or give_up = \"always\"".to_owned());
        let message = "a client that gives up at the first refusal is not there to be told";
        fields.sink.report("conflict", &fields.span("told"), message, help);
    }
    fields.finish();
    policy
}

fn backoff(shape: &str, fields: Fields<'_>) -> Option<Backoff> {
    let backoff = match shape {
        "official" => {
            let jitter = fields.read("jitter", number(0.0, 1.0)).unwrap_or(0.0);
            Some(Backoff::Official { jitter })
        }
        "fixed" => fields
            .required("pause", "for example \"1s\" or \"200ms..1s\"", duration_range)
            .map(Backoff::Fixed),
        _ => Some(Backoff::Tight),
    };
    fields.finish();
    backoff
}

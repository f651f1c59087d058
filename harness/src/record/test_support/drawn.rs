//! A run that a seed draws.

use super::{MS, Story, mismatch, outcomes, refusal_for, session};
use crate::history::RestartStamps;
use crate::oracle::verdict::InvariantFinding;
use crate::oracle::{Breach, MismatchKind};
use crate::vocabulary::invariant::Invariant;

/// Numbers that follow from a seed (SplitMix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

impl Story {
    /// A run of `events` events that `seed` draws: whatever a history can hold, in no sensible order.
    pub(crate) fn drawn(seed: u64, events: usize) -> Self {
        let mut draw = Draw(seed);
        let clients = 1 + draw.below(12) as u32;
        let mut story = Self::new(&[("phones", clients), ("tabs", 5)]);
        let clients = clients + 5;
        let mut attempts = vec![0_u32; clients as usize];
        for _ in 0..events {
            let client = draw.below(u64::from(clients)) as u32;
            let made = attempts[client as usize];
            let earlier = draw.below(u64::from(made) + 1) as u32;
            let (at, took) = (draw.below(12_000), draw.below(3_000));
            let request = format!("r{}", draw.below(6));
            match draw.below(16) {
                0 => story.approve(draw.below(2) as u16, client, &request, at, Some(at + took)),
                1 => match draw.below(3) {
                    0 => story.operation_refused(0, client, &request, at, at + took),
                    1 => story.approve(0, client, &request, at, None),
                    _ => {
                        story.approve(0, client, &request, at, Some(at + took));
                        story.history.operations.last_mut().expect("just pushed").client = None;
                    }
                },
                2 => story.notice(draw.below(2) as u16, client, &request, at),
                3 => story.session_left(client, earlier, at),
                4 => story.session_ended_by_gateway(client, earlier, at),
                5 => story.session_lost(client, earlier, at, &format!("nothing happened at {at} ms")),
                6 if draw.below(4) == 0 => {
                    let stamps = RestartStamps {
                        port_closed: Some((at + 1) * MS),
                        exited: None,
                        spawned: (draw.below(2) == 0).then_some((at + 100) * MS),
                        port_open: (draw.below(2) == 0).then_some((at + 200) * MS),
                    };
                    story.restart(at, stamps);
                }
                7 => story.judgement.breaches.push(Breach {
                    kind: MismatchKind::LeakedEvent,
                    client,
                    attempt: earlier,
                    at: at * MS,
                    expected: "nothing".to_owned(),
                    observed: request,
                    why: format!("it was heard at {at} ms"),
                }),
                8 => story.judgement.invariants.push(InvariantFinding {
                    invariant: Invariant::ApprovalIsKept,
                    client,
                    attempt: earlier,
                    why: format!("it was lost at {at} ms"),
                }),
                _ => {
                    let outcome = match draw.below(12) {
                        0..4 => session(),
                        4..7 => refusal_for(&request),
                        pick => outcomes().swap_remove(pick as usize - 3),
                    };
                    // Rarely the same attempt twice.
                    let number = if draw.below(40) == 0 { earlier } else { made };
                    attempts[client as usize] = made.max(number + 1);
                    let builder = story.any_attempt(client, number, at, took, outcome);
                    let kind = MismatchKind::ALL[draw.below(9) as usize];
                    match draw.below(6) {
                        0 => builder.verdict(mismatch(
                            kind,
                            &[["session", "not-paired"][draw.below(2) as usize]],
                            ["1009", "(nobody)", &request][draw.below(3) as usize],
                            &format!("client {client} was late by {took} ms"),
                        )),
                        1 => builder.indeterminate("a gap"),
                        _ => builder,
                    };
                }
            }
        }
        story.judgement.invariants.sort_by_key(|finding| (finding.client, finding.attempt));
        story.history.ended = 14_000 * MS;
        story
    }
}

//! What the gateway answers, looked for and held against what was recorded.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::Replay;
use crate::conform::compare::{self, Comparison};
use crate::conform::reconstruct::EVENTS_COMPARED;
use crate::conform::session::{Entry, Outgoing, Seen, What};
use crate::conform::wires::Wire;

/// Event that a race may or may not have.
const REQUESTED: &str = "device.pair.requested";

impl Replay<'_> {
    pub(super) async fn saw(&mut self, step: usize, index: usize, recorded: &Seen, at_ms: i64) {
        if self.unreached.contains(&index) {
            return;
        }
        let event = matches!(recorded, Seen::Frame(frame) if frame.get("event").is_some());
        let race = self.case.session.races.contains(&step);
        if race && !self.race_shows(step, index, recorded) {
            return;
        }
        let took = self.last.map_or(0, |(_, last)| at_ms - last);
        let took = Duration::from_millis(u64::try_from(took).unwrap_or_default());
        #[expect(clippy::disallowed_methods, reason = "a deadline for an answer that may never come")]
        let deadline =
            Instant::now() + took + if event { self.manner.patience / 3 } else { self.manner.patience };
        let live = loop {
            if let Some(found) = self.take(index, recorded) {
                break Some(found);
            }
            let open = self.wires.wires.get(index).is_some_and(Wire::open);
            if !open || !self.wires.arrive(deadline).await {
                break self.take(index, recorded);
            }
        };
        let Some(live) = live else {
            let got = self.instead(index);
            self.differ(step, &missing(recorded), &brief(recorded), &got);
            return;
        };
        if let (Seen::Frame(recorded), Some(wire)) = (recorded, self.wires.wires.get(index))
            && recorded.get("event").and_then(Value::as_str) == Some("connect.challenge")
            && let (Some(then), Some(now)) =
                (recorded.pointer("/payload/nonce").and_then(Value::as_str), &wire.nonce)
        {
            self.identities.pair(then, now);
        }
        if race && let (Seen::Frame(recorded), Seen::Frame(live)) = (recorded, &live) {
            let asked = self.asked(index);
            if recorded.get("event").is_none()
                && recorded.get("id") == asked.as_ref().and_then(|a| a.get("id"))
            {
                let compared = compare::race(asked.as_ref(), live);
                self.raced.insert(index, live.get("ok").and_then(Value::as_bool).unwrap_or_default());
                self.keep(step, vec![compared]);
                return;
            }
        }
        let method = self.method(step);
        let result =
            Comparison::new(&mut self.identities, &self.present).of_method(&method).seen(recorded, &live);
        self.foreign += result.foreign;
        self.keep(step, result.compared);
    }

    /// Whether what was recorded in a race is looked for at all: a request that may not have been made is not, and the
    /// close after a refusal only when there was one.
    fn race_shows(&mut self, step: usize, index: usize, recorded: &Seen) -> bool {
        match recorded {
            Seen::Frame(frame) if frame.get("event").and_then(Value::as_str) == Some(REQUESTED) => {
                // It may have been looked for by an earlier step as well.
                drop(self.take(index, recorded));
                false
            }
            Seen::Close { .. } => {
                let own = self.case.session.timeline.iter().any(|entry| {
                    entry.step == step && matches!(entry.what, What::Open(other) if other == index)
                });
                !own || !self.raced.get(&index).copied().unwrap_or_default()
            }
            _ => true,
        }
    }

    /// The connect that was recorded on a connection.
    fn asked(&self, index: usize) -> Option<Value> {
        self.case.session.timeline.iter().find_map(|entry| match &entry.what {
            What::Send(other, Outgoing::Connect { frame, .. }) if *other == index => Some(frame.clone()),
            _ => None,
        })
    }

    /// The method that a step called, empty when it is no call.
    fn method(&self, step: usize) -> String {
        let sent = |entry: &Entry| match &entry.what {
            What::Send(_, Outgoing::Frame(frame)) if entry.step == step => {
                frame.get("method").and_then(Value::as_str).map(str::to_owned)
            }
            _ => None,
        };
        self.case.session.timeline.iter().find_map(sent).unwrap_or_default()
    }

    /// Takes out of the inbox what answers to `recorded`.
    fn take(&mut self, index: usize, recorded: &Seen) -> Option<Seen> {
        let wanted = match recorded {
            Seen::Frame(frame) => Some(frame),
            _ => None,
        };
        let text =
            |frame: &Value, pointer: &str| frame.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let subject = wanted.and_then(|frame| {
            text(frame, "/payload/deviceId")
                .or_else(|| text(frame, "/payload/nodeId"))
                .map(|id| self.identities.text(&id))
        });
        let wire = self.wires.wires.get_mut(index)?;
        let place = wire.inbox.iter().position(|seen| match (recorded, seen) {
            (Seen::Answer(_), Seen::Answer(_)) | (Seen::Close { .. }, Seen::Close { .. }) => true,
            (Seen::Frame(recorded), Seen::Frame(live)) => match recorded.get("event") {
                Some(event) => {
                    let device = || text(live, "/payload/deviceId").or_else(|| text(live, "/payload/nodeId"));
                    Some(event) == live.get("event")
                        && (subject.is_none() || device() == subject)
                        && recorded.pointer("/payload/decision") == live.pointer("/payload/decision")
                }
                None => live.get("event").is_none() && recorded.get("id") == live.get("id"),
            },
            _ => false,
        })?;
        wire.inbox.remove(place)
    }

    /// What came on a connection instead of what was waited for.
    fn instead(&self, index: usize) -> String {
        let Some(wire) = self.wires.wires.get(index) else { return "nothing".to_owned() };
        let close = wire.inbox.iter().find(|seen| matches!(seen, Seen::Close { .. }));
        match close {
            Some(close) => brief(close),
            None if wire.open() => "nothing".to_owned(),
            None => "nothing, the connection has ended".to_owned(),
        }
    }

    /// What came and nobody recorded: answers, pairing events, and closes of connections that stayed open.
    pub(super) fn unasked(&mut self) {
        let mut found = Vec::new();
        for (index, wire) in self.wires.wires.iter().enumerate() {
            let opened = self.case.session.timeline.iter().find_map(|entry| match entry.what {
                What::Open(other) if other == index => Some(entry.step),
                _ => None,
            });
            let Some(step) = opened else { continue };
            for seen in &wire.inbox {
                let explained = self.steps.get(step).is_some_and(|step| {
                    step.compared.iter().any(|field| field.field == "accepted" && field.difference.is_some())
                });
                let counts = match seen {
                    // The close that follows from an answer that differs is no difference of its own.
                    Seen::Close { .. } if explained => false,
                    Seen::Answer(_) => false,
                    Seen::Close { .. } if self.raced.contains_key(&index) => false,
                    Seen::Close { .. } => !wire.left && self.closes(index),
                    Seen::Frame(frame) if self.of_race(frame) => false,
                    Seen::Frame(frame) => match frame.get("event").and_then(Value::as_str) {
                        Some(event) => {
                            EVENTS_COMPARED.contains(&event) && !wire.left && event != "connect.challenge"
                        }
                        None => !wire.left,
                    },
                };
                if counts {
                    found.push((step, brief(seen)));
                }
            }
        }
        for (step, got) in found {
            self.differ(step, "unrecorded", "nothing more", &got);
        }
    }

    /// Whether this is a request of a device whose connect raced a decision.
    fn of_race(&self, frame: &Value) -> bool {
        frame.get("event").and_then(Value::as_str) == Some(REQUESTED)
            && self.raced.keys().any(|index| {
                let asked = self.asked(*index);
                let device =
                    asked.as_ref().and_then(|a| a.pointer("/params/device/id")).and_then(Value::as_str);
                device.map(|device| self.identities.text(device)).as_deref()
                    == frame.pointer("/payload/deviceId").and_then(Value::as_str)
            })
    }

    /// Whether a close that nobody recorded on a connection tells something: not where the recording saw its upgrade refused.
    fn closes(&self, index: usize) -> bool {
        !self.case.session.timeline.iter().any(|entry| match &entry.what {
            What::Saw(other, Seen::Close { .. }) => *other == index,
            What::Saw(other, Seen::Answer(page)) => *other == index && page.status != 101,
            _ => false,
        })
    }
}

fn missing(recorded: &Seen) -> String {
    match recorded {
        Seen::Answer(_) => "http.status".to_owned(),
        Seen::Close { .. } => "close".to_owned(),
        Seen::Frame(frame) => match frame.get("event").and_then(Value::as_str) {
            Some(event) => format!("event {event}"),
            None => "answer".to_owned(),
        },
    }
}

fn brief(seen: &Seen) -> String {
    match seen {
        Seen::Answer(page) => format!("HTTP {}", page.status),
        Seen::Close { code, reason } => format!("close {code} \"{reason}\""),
        Seen::Frame(frame) => match frame.get("event").and_then(Value::as_str) {
            Some(event) => {
                let decision = frame.pointer("/payload/decision").and_then(Value::as_str);
                format!("event {event}{}", decision.map(|d| format!(" {d}")).unwrap_or_default())
            }
            None => {
                let ok = frame.get("ok").and_then(Value::as_bool) == Some(true);
                let message = frame.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
                format!("answer {}{message}", if ok { "ok" } else { "error: " })
            }
        },
    }
}

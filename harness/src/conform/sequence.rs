//! What follows from the order of what was done and seen, once it is known.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::reconstruct::forwards;
use super::session::{Action, Entry, NotReplayed, Outgoing, Page, Reason, Seen, Session, What};

/// Decisions on a device.
const DECISIONS: [&str; 3] = ["device.pair.approve", "device.pair.reject", "device.pair.remove"];

/// Whether a gateway that stops answers a dial like this: with 503, or no more.
pub(super) fn turned_away(page: &Page) -> bool {
    page.status == 503 || page.status == 0
}

/// Steps whose connect was under way while a decision on the same device was.
pub(super) fn races(session: &Session) -> BTreeSet<usize> {
    let mut decisions: Vec<(usize, usize, String)> = Vec::new();
    let mut connects: Vec<(usize, usize, String, usize)> = Vec::new();
    for (from, entry) in session.timeline.iter().enumerate() {
        match &entry.what {
            What::Send(conn, Outgoing::Frame(frame)) => {
                let method = frame.get("method").and_then(Value::as_str).unwrap_or_default();
                let Some((to, answer)) = answer(session, from, *conn, frame) else { continue };
                let device =
                    ["/payload/device/deviceId", "/payload/deviceId"].iter().find_map(|p| answer.pointer(p));
                if let Some(device) = device.and_then(Value::as_str)
                    && DECISIONS.contains(&method)
                {
                    decisions.push((from, to, device.to_owned()));
                }
            }
            What::Send(conn, Outgoing::Connect { frame, .. }) => {
                let Some((to, _)) = answer(session, from, *conn, frame) else { continue };
                if let Some(device) = frame.pointer("/params/device/id").and_then(Value::as_str) {
                    connects.push((from, to, device.to_owned(), entry.step));
                }
            }
            _ => {}
        }
    }
    let crosses = |from: usize, to: usize, device: &str| {
        decisions.iter().any(|(start, end, other)| other == device && from < *end && *start < to)
    };
    connects
        .into_iter()
        .filter(|(from, to, device, _)| crosses(*from, *to, device))
        .map(|(.., s)| s)
        .collect()
}

/// The answer to a request sent at place `from`, and its place.
fn answer<'a>(session: &'a Session, from: usize, conn: usize, request: &Value) -> Option<(usize, &'a Value)> {
    let id = request.get("id")?;
    session.timeline.iter().enumerate().skip(from).find_map(|(place, entry)| match &entry.what {
        What::Saw(other, Seen::Frame(frame))
            if *other == conn && frame.get("event").is_none() && frame.get("id") == Some(id) =>
        {
            Some((place, frame))
        }
        _ => None,
    })
}

/// Clients that dialled while the gateway stopped were turned away before the connected ones were told: SIGTERM was sent
/// before the first of them.
pub(super) fn signal_before_refusals(session: &mut Session) {
    let pages: BTreeMap<usize, bool> = session
        .timeline
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Saw(conn, Seen::Answer(page)) => Some((*conn, turned_away(page))),
            _ => None,
        })
        .collect();
    let terminated = |entry: &Entry| matches!(entry.what, What::Act(Action::Terminate));
    let Some(place) = session.timeline.iter().position(terminated) else { return };
    let mut first = place;
    for (before, entry) in session.timeline.iter().enumerate().take(place).rev() {
        match &entry.what {
            What::Open(conn) if pages.get(conn).copied().unwrap_or_default() => first = before,
            What::Open(_) => break,
            _ => {}
        }
    }
    if let Some(earlier) = session.timeline.get(first).map(|entry| (entry.line, entry.at_ms))
        && first < place
    {
        let mut signal = session.timeline.remove(place);
        (signal.line, signal.at_ms) = earlier;
        session.timeline.insert(first, signal);
    }
}

/// A remote device that is accepted although nothing in the recording could have paired it was paired before: what it does
/// cannot be done again on a fresh gateway, nor what comes after.
pub(super) fn earlier_sessions(session: &mut Session) {
    let mut devices: BTreeMap<usize, (String, Value)> = BTreeMap::new();
    let mut paired: BTreeSet<String> = BTreeSet::new();
    let mut found = None;
    for (place, entry) in session.timeline.iter().enumerate() {
        match &entry.what {
            What::Send(conn, Outgoing::Connect { frame, .. }) => {
                if let Some(device) = frame.pointer("/params/device/id").and_then(Value::as_str) {
                    let id = frame.get("id").cloned().unwrap_or_default();
                    devices.insert(*conn, (device.to_owned(), id));
                }
            }
            What::Saw(conn, Seen::Frame(frame)) => {
                let accepted = frame.get("ok").and_then(Value::as_bool) == Some(true);
                let approved = frame.pointer("/payload/device/deviceId").and_then(Value::as_str);
                paired.extend(approved.map(str::to_owned));
                let asked = devices.get(conn).filter(|(_, id)| accepted && frame.get("id") == Some(id));
                let Some((device, _)) = asked else { continue };
                let remote = session.connections.get(*conn).is_some_and(|c| forwards(&c.headers));
                if remote && !paired.contains(device) {
                    found = Some((place, *conn));
                    break;
                }
                paired.insert(device.clone());
            }
            // Not known what it was; it may have been a decision.
            What::Act(Action::Unknown) => return,
            _ => {}
        }
    }
    let Some((_, conn)) = found else { return };
    let opened = session.timeline.iter().position(|entry| matches!(entry.what, What::Open(c) if c == conn));
    let Some(opened) = opened else { return };
    let Some(entry) = session.timeline.get(opened) else { return };
    let (line, at_ms, step) = (entry.line, entry.at_ms, entry.step);
    session.not_replayed.push(NotReplayed {
        line,
        what: session.steps.get(step).map(|step| step.name.clone()).unwrap_or_default(),
        reason: Reason::EarlierSession,
    });
    session.timeline.insert(opened, Entry { line, at_ms, step, what: What::Act(Action::Unknown) });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::signing::Signing;
    use super::*;

    fn entry(step: usize, what: What) -> Entry {
        Entry { line: step + 1, at_ms: 0, step, what }
    }

    fn connect(device: &str) -> Outgoing {
        let frame = json!({"id": "1", "method": "connect", "params": {"device": {"id": device}}});
        Outgoing::Connect { frame, signing: Signing::Literal, binary: false }
    }

    fn saw(conn: usize, frame: Value) -> What {
        What::Saw(conn, Seen::Frame(frame))
    }

    fn approval() -> (What, What) {
        let asked = Outgoing::Frame(json!({"id": "2", "method": "device.pair.approve", "params": {}}));
        let done = json!({"id": "2", "ok": true, "payload": {"device": {"deviceId": "d"}}});
        (What::Send(0, asked), saw(0, done))
    }

    #[test]
    fn a_connect_that_crosses_the_approval_of_its_own_device_is_a_race() {
        let answered = || saw(1, json!({"id": "1", "ok": false}));
        let with = |device: &str, crossing: bool| {
            let (asked, done) = approval();
            let mut session = Session::default();
            session.timeline.push(entry(0, asked));
            if !crossing {
                session.timeline.push(entry(0, done.clone()));
            }
            session.timeline.push(entry(1, What::Send(1, connect(device))));
            if crossing {
                session.timeline.push(entry(0, done));
            }
            session.timeline.push(entry(1, answered()));
            races(&session)
        };
        assert_eq!(with("d", true), BTreeSet::from([1]));
        assert_eq!(with("d", false), BTreeSet::new(), "one after the other");
        assert_eq!(with("e", true), BTreeSet::new(), "another device");
    }

    #[test]
    fn the_signal_goes_before_the_dials_that_were_turned_away() {
        let answer = |status| Seen::Answer(Page { status, ..Page::default() });
        let mut session = Session::default();
        for (step, what) in [
            What::Open(0),
            What::Saw(0, answer(101)),
            What::Open(1),
            What::Act(Action::Terminate),
            What::Saw(1, answer(503)),
        ]
        .into_iter()
        .enumerate()
        {
            session.timeline.push(entry(step, what));
        }
        signal_before_refusals(&mut session);
        assert_eq!(session.timeline[2].what, What::Act(Action::Terminate));
        assert_eq!(session.timeline[2].line, 3);
        assert_eq!(session.timeline[3].what, What::Open(1));
    }

    #[test]
    fn a_remote_device_that_nobody_approved_was_paired_before() {
        let hello = || saw(0, json!({"id": "1", "ok": true, "payload": {"type": "hello-ok"}}));
        let with = |headers: &[(&str, &str)], approved: bool| {
            let mut session = Session::default();
            let headers = headers.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
            session.connections.push(super::super::session::Connection { headers, ..Default::default() });
            if approved {
                session.timeline.push(entry(0, approval().1));
            }
            session.timeline.push(entry(0, What::Open(0)));
            session.timeline.push(entry(0, What::Send(0, connect("d"))));
            session.timeline.push(entry(0, hello()));
            earlier_sessions(&mut session);
            session.not_replayed.len()
        };
        assert_eq!(with(&[("X-Forwarded-For", "203.0.113.7")], false), 1);
        assert_eq!(with(&[("X-Forwarded-For", "203.0.113.7")], true), 0);
        assert_eq!(with(&[], false), 0, "a local one pairs by itself");
    }
}

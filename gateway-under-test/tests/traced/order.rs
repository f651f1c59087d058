//! Write, fsync, rename, fsync of the folder, and then the answer on the socket.

use protocol::ProfileName;
use rustix::process::Signal;
use serde_json::json;

use crate::model::{Model, Step};
use crate::support::{Device, State, Way, pairing};
use crate::tracer::{Did, Trace, Traced};

/// One approval, and everything that the gateway did.
fn approve(profile: ProfileName, more: &[&str]) -> Trace {
    let mut state = State::of(profile);
    let traced = Traced::start(&mut state, None, more);
    let mut operator = traced.gateway.operator_of(profile);
    let (_, request) = {
        let refused = traced.gateway.refused(&Way::remote("203.0.113.7"), &Device::new(1).of(profile));
        assert_eq!(refused.0["code"], "NOT_PAIRED", "{}", refused.0);
        pairing_of(&refused)
    };
    for (id, method, params) in [
        ("the-approval", "device.pair.approve", json!({"requestId": request})),
        // Behind whatever the store's thread still does for the approval.
        ("the-list", "device.pair.list", json!({})),
    ] {
        operator.send(json!({"type": "req", "id": id, "method": method, "params": params}).to_string());
        let answer = operator.response();
        assert_eq!((&answer["id"], &answer["ok"]), (&json!(id), &json!(true)), "{answer}");
    }
    traced.end(Signal::KILL)
}

fn pairing_of(refused: &(serde_json::Value, Option<(u16, String)>)) -> (String, String) {
    if refused.0["details"]["code"] == "PAIRING_REQUIRED" && refused.0["message"] == "pairing required" {
        return pairing(refused);
    }
    (String::new(), refused.0["details"]["requestId"].as_str().unwrap().to_owned())
}

/// Steps of the approval until its answer, in words: what is done to which file. `Err` = it was answered first.
fn until_answered(trace: &Trace) -> Result<Vec<String>, String> {
    let (begin, end) = (approval_begins(trace), trace.sent("\"id\":\"the-approval\""));
    let mut model = Model::from_image(&trace.root, &trace.at_start);
    let mut words: Vec<String> = Vec::new();
    for (at, did) in trace.did.iter().enumerate() {
        let Did::Step(step) = did else { continue };
        let name = |file: usize, model: &Model| {
            let path = model.path_of(file).unwrap();
            path.strip_prefix(&trace.root).unwrap().to_str().unwrap().to_owned()
        };
        let below =
            |path: &std::path::Path| path.strip_prefix(&trace.root).unwrap().to_str().unwrap().to_owned();
        let word = match step {
            Step::Create(path) => format!("create {}", below(path)),
            Step::Write { file, .. } => format!("write {}", name(*file, &model)),
            Step::SetLength { file, .. } => format!("cut {}", name(*file, &model)),
            Step::SyncFile(file) => format!("fsync {}", name(*file, &model)),
            Step::SyncFolder(path) => format!("fsync {}", below(path)),
            Step::Rename(from, to) => format!("rename {} {}", below(from), below(to)),
            Step::Remove(path) => format!("remove {}", below(path)),
            Step::MakeFolder(path) => format!("make {}", below(path)),
        };
        model.apply(step).unwrap();
        if at < begin {
            continue;
        }
        if at > end {
            return Err(format!("answered before: {word}"));
        }
        if words.last() != Some(&word) {
            words.push(word);
        }
    }
    // The process id is in the names.
    let plain = |word: &String| {
        let mut parts: Vec<&str> = word.split('.').collect();
        parts.retain(|part| part.parse::<u32>().is_err());
        parts.join(".")
    };
    Ok(words.iter().map(plain).collect())
}

/// The steps of the approval begin behind the answer before it: that of the connect that made the request.
fn approval_begins(trace: &Trace) -> usize {
    let end = trace.sent("\"id\":\"the-approval\"");
    let last = |did: &Did| did.sends("NOT_PAIRED");
    trace.did[..end].iter().rposition(last).unwrap()
}

const JSON: [&str; 10] = [
    "create devices/.paired.json.tmp",
    "write devices/.paired.json.tmp",
    "fsync devices/.paired.json.tmp",
    "rename devices/.paired.json.tmp devices/paired.json",
    "fsync devices",
    "create devices/.pending.json.tmp",
    "write devices/.pending.json.tmp",
    "fsync devices/.pending.json.tmp",
    "rename devices/.pending.json.tmp devices/pending.json",
    "fsync devices",
];
const SQLITE: [&str; 2] = ["write state/openclaw.sqlite-wal", "fsync state/openclaw.sqlite-wal"];

#[test]
fn an_approval_is_written_and_synced_before_it_is_answered() {
    for profile in [ProfileName::Article, ProfileName::V2026_3_13] {
        assert_eq!(until_answered(&approve(profile, &[])).unwrap(), JSON, "{profile}");
    }
    let steps = until_answered(&approve(ProfileName::V2026_9_6, &[])).unwrap();
    // A connect's note may be written by itself before it.
    assert_eq!(steps[steps.len() - 2..], SQLITE, "{steps:?}");
    assert!(steps.chunks(2).all(|steps| steps == SQLITE), "{steps:?}");
}

#[test]
fn an_early_acknowledgement_is_seen() {
    for profile in [ProfileName::Article, ProfileName::V2026_3_13, ProfileName::V2026_9_6] {
        let trace = approve(profile, &["--defect", "early-acknowledgement"]);
        let early = until_answered(&trace).unwrap_err();
        assert!(early.starts_with("answered before: "), "{profile}: {early}");
    }
}

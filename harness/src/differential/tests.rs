//! Tales are scenarios, are the same every time, reach everything they are meant to, and get simpler without end.

use std::collections::BTreeSet;

use protocol::ProfileName;

use super::*;
use crate::plan::{Overrides, Step, unfold};
use crate::scenario;

fn read(book: &Book) -> scenario::Scenario {
    let text = render(book, "drawn", "Drawn.");
    scenario::parse("drawn.toml", &text, &[])
        .unwrap_or_else(|errors| panic!("{}\n{text}", scenario::render(&errors, false)))
}

#[test]
fn every_book_is_a_scenario() {
    for seed in 0..6 {
        for profile in [ProfileName::Article, ProfileName::V2026_2_19] {
            for book in draw(seed, profile, 500) {
                // The profile is the oracle's business, not the generator's.
                let scenario = read(&Book { profile: ProfileName::Article, ..book.clone() });
                assert_eq!(scenario.cohorts.len(), book.tales.len());
                let told: usize = book.tales.iter().map(|tale| tale.moves.len()).sum();
                assert_eq!(scenario.steps.len(), told);
                unfold(&scenario, &Overrides::default()).unwrap();
            }
        }
    }
}

#[test]
fn a_seed_is_enough_to_tell_it_again() {
    let article = ProfileName::Article;
    assert_eq!(draw(7, article, 200), draw(7, article, 200));
    assert_ne!(draw(7, article, 200)[0].tales, draw(8, article, 200)[0].tales);
    // More steps only add tales.
    let (few, many) = (draw(7, article, 100), draw(7, article, 300));
    assert!(many[0].tales.starts_with(&few[0].tales));
}

#[test]
fn a_gateway_is_restarted_once_a_book() {
    for book in draw(3, ProfileName::V2026_9_6, 2_000) {
        assert_eq!(book.tales.iter().map(Tale::restarts).sum::<usize>(), 1);
        // OpenClaw has no reload.
        assert!(book.tales.iter().flat_map(|tale| &tale.moves).all(|step| step.kind() != "reload"));
    }
}

/// A generator that never draws something tests nothing of it.
#[test]
fn everything_is_drawn_sooner_or_later() {
    let mut seen = BTreeSet::new();
    for book in draw(1, ProfileName::Article, 4_000) {
        for step in book.tales.iter().flat_map(|tale| &tale.moves) {
            seen.insert(step.kind().to_owned());
            for (key, value) in &step.0 {
                seen.insert(match value {
                    Value::Text(text) => format!("{key} {text}"),
                    Value::Path(path) => format!("{path:?}"),
                    _ => key.clone(),
                });
                if let Value::Table(inner) = value {
                    seen.extend(inner.iter().map(|(inner, _)| format!("{key} {inner}")));
                }
            }
        }
    }
    for wanted in [
        "approve",
        "reject",
        "remove",
        "rotate",
        "revoke",
        "edit",
        "drop",
        "restart",
        "reload",
        "as",
        "hold",
        "approve latest",
        "restart SIGTERM",
        "Remote",
        "ForgedLeft",
        "LoopbackRight",
        "Untrusted",
        "Headerless",
        "ForeignHost",
        "role unknown",
        "role absent",
        "role node",
        "persona backend",
        "persona webchat",
        "credential first-device-token",
        "credential wrong-token",
        "credential forged-device-token",
        "credential missing",
        "credential password",
        "signature v2",
        "deviation no-device",
        "deviation bad-signature",
        "deviation signature-v1",
        "deviation wrong-nonce",
        "deviation blank-nonce",
        "deviation foreign-device-id",
        "deviation unknown-key",
        "deviation not-json",
        "deviation wrong-method",
        "deviation oversized",
        "deviation clock-skew",
        "deviation protocol",
        "origin null",
        "platform  darwin ",
        "device_family iPad",
        "rotate give",
        "rotate scopes",
        "rotate role",
        "revoke role",
        "edit entry",
        "edit scopes",
    ] {
        assert!(seen.contains(wanted), "`{wanted}` was never drawn; drawn: {seen:?}");
    }
}

#[test]
fn simpler_tales_are_smaller_and_lead_down_to_almost_nothing() {
    let mut tale = draw::tale(5, ProfileName::Article, 0);
    let book = |tale: &Tale| Book {
        seed: 5,
        profile: ProfileName::Article,
        launch: tale::IN_REPO.to_owned(),
        tales: vec![tale.clone()],
    };
    let reads = |tale: &Tale| {
        scenario::parse("x.toml", &render(&book(tale), "x", "x"), &[]).is_ok_and(|scenario| {
            // What is being looked for: some connect.
            scenario.steps.iter().any(|step| matches!(step, Step::Connect(_)))
        })
    };
    while let Some(smaller) = simpler(&tale).into_iter().find(|it| it.size() < tale.size() && reads(it)) {
        tale = smaller;
    }
    assert_eq!(tale.moves.len(), 1, "{tale:?}");
    assert_eq!(tale.size(), (1, 3), "persona, count and a bare connect: {tale:?}");
}

//! What an ask makes of a waiting request.

use super::*;

#[test]
fn a_waiting_request_grows_and_expires() {
    let mut world = World::new();
    let (_, id) = world.refused(&attempt(&["operator.read"]));
    world.now_ms += 200_000;
    let node = DeviceAttempt { role: "node".to_owned(), ..attempt(&["operator.write", "operator.read"]) };
    assert_eq!(world.refused(&node).1, id);
    let request = world.pending.clone().unwrap();
    assert_eq!(request.roles, ["operator", "node"]);
    assert_eq!(request.scopes, ["operator.read", "operator.write"]);
    assert_eq!((request.role.as_deref(), request.ts), (Some("node"), world.now_ms));
    assert_eq!(world.events.len(), 1, "only the first ask is broadcast");
    // A plain repeat changes nothing but the time.
    let view = world.view();
    let again = admit(&world.rules, &node, &view, world.now_ms + 5, &mut Counter::default());
    assert!(!again.effects.is_durable());
    assert_eq!(again.effects.touch, Some(Touch::AskedAgain));

    world.now_ms += 299_999;
    assert_eq!(world.refused(&node).1, id);
    world.now_ms += 300_000;
    let gone =
        approve(&world.rules, &Caller::owner(), &world.view(), &id, world.now_ms, &mut Counter::default());
    assert_eq!(gone.unwrap_err().message, "unknown requestId");
    assert_ne!(world.refused(&node).1, id);
}

/// Scopes that nobody else asks.
fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("scope.{number}")).collect()
}

#[test]
fn a_request_holds_so_many_scopes_and_no_more() {
    let mut world = World::new();
    let ask = |range| DeviceAttempt { scopes: numbered(range), ..attempt(&[]) };
    world.refused(&ask(0..5_000));
    assert_eq!(world.pending.as_ref().unwrap().scopes, numbered(0..4_096));
    let PairingEvent::Requested(event) = &world.events[0] else { panic!("{:?}", world.events) };
    assert_eq!(event.scopes.len(), 4_096);
    world.refused(&ask(4_096..4_097));
    assert_eq!(world.pending.as_ref().unwrap().scopes, numbered(0..4_096));

    // A larger one, which an older gateway left, stays what it is; asking the same again commits nothing.
    for held in [4_095, 4_096, 6_000] {
        world.pending.as_mut().unwrap().scopes = numbered(0..held);
        let before = world.pending.clone();
        world.now_ms += 5;
        let again = admit(&world.rules, &ask(0..held), &world.view(), world.now_ms, &mut Counter::default());
        assert_eq!(again.effects.pending, Change::Keep, "{held}");
        assert_eq!(again.effects.touch, Some(Touch::AskedAgain), "{held}");
        world.refused(&ask(held..held + 1));
        let mut expected = before.unwrap();
        expected.ts = world.now_ms;
        if held < 4_096 {
            expected.scopes.push(format!("scope.{held}"));
        }
        assert_eq!(world.pending.as_ref(), Some(&expected), "{held}");
    }

    // Nobody's silent approval is cut: it asks no more than the entry then holds.
    let mut world = World::new();
    let local = DeviceAttempt { place: Place::Local, ..ask(0..5_000) };
    assert!(world.connect(&local).is_ok());
    assert_eq!(world.entry().scopes().len(), 5_000);
}

#[test]
fn a_request_holds_so_many_bytes_of_scopes() {
    let mut world = World::new();
    let ask = |letter: &str| DeviceAttempt { scopes: vec![letter.repeat(60_000)], ..attempt(&[]) };
    for letter in ["a", "b", "c", "d", "e"] {
        world.refused(&ask(letter));
    }
    let held = |world: &World| world.pending.as_ref().unwrap().scopes.iter().map(String::len).sum::<usize>();
    assert_eq!(held(&world), 4 * 60_000);
    // What does not fit is left out, and what does is not.
    world.refused(&attempt(&["small"]));
    assert_eq!(held(&world), 4 * 60_000 + 5);
    let again = admit(&world.rules, &ask("e"), &world.view(), world.now_ms, &mut Counter::default());
    assert_eq!(again.effects.pending, Change::Keep);
}

#[test]
fn another_key_replaces_the_request() {
    let mut world = World::new();
    let (_, id) = world.refused(&attempt(&[]));
    let other = DeviceAttempt { public_key: "other".to_owned(), ..attempt(&[]) };
    assert_ne!(world.refused(&other).1, id);
    assert_eq!(world.pending.unwrap().public_key, "other");
}

#[test]
fn a_changed_ask_meets_the_waiting_one_as_each_release_has_it() {
    for profile in checking() {
        let mut world = World::on(profile, None);
        let asks = |scopes: &[&str]| attempt_on(profile, scopes);
        let (_, first) = world.refused(&asks(&["operator.read"]));
        let (_, wider) = world.refused(&asks(&["operator.admin"]));
        let held = world.pending.as_ref().unwrap().scopes.clone();
        match profile.pending_merge {
            PendingMerge::Frozen => {
                assert_eq!((&wider, held), (&first, strings(&["operator.read"])), "{}", profile.version);
            }
            PendingMerge::Union | PendingMerge::UnionFirstRole => {
                let both = strings(&["operator.read", "operator.admin"]);
                assert_eq!((&wider, held), (&first, both), "{}", profile.version);
            }
            PendingMerge::NewIdIfWider => {
                assert_ne!(wider, first, "{}", profile.version);
                assert!(held.contains(&"operator.admin".to_owned()), "{}", profile.version);
            }
        }
        let (_, narrower) = world.refused(&asks(&["operator.read"]));
        assert_eq!(narrower, wider, "{}", profile.version);
    }
}

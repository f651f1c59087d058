//! Which reason applies, who is approved silently, and who is not looked at.

use super::*;

#[test]
fn the_first_reason_that_applies_is_given() {
    let everything_differs = DeviceAttempt { role: "node".to_owned(), ..attempt(&["operator.admin"]) };
    let mut world = World::new();
    assert_eq!(world.refused(&everything_differs).0, PairingReason::NotPaired);

    let mut world = World::approved(&["operator.read"]);
    world.entry().platform = Some("darwin".to_owned());
    assert_eq!(world.refused(&everything_differs).0, PairingReason::MetadataUpgrade);
    world.entry().platform = Some(" LINUX ".to_owned());
    assert_eq!(world.refused(&everything_differs).0, PairingReason::RoleUpgrade);
    world.entry().roles = None;
    world.entry().role = Some("node".to_owned());
    assert_eq!(world.refused(&everything_differs).0, PairingReason::ScopeUpgrade);
    world.entry().scopes = Some(strings(&["operator.admin"]));
    assert!(world.connect(&everything_differs).is_ok());
    world.entry().public_key = "another".to_owned();
    assert_eq!(world.refused(&everything_differs).0, PairingReason::NotPaired);
}

#[test]
fn metadata_is_compared_only_where_stored() {
    let mut world = World::approved(&[]);
    let mut asks = attempt(&[]);
    asks.client.device_family = Some("Mac".to_owned());
    assert!(world.connect(&asks).is_ok(), "a family that is not stored is not compared");
    world.entry().device_family = Some("mac".to_owned());
    assert!(world.connect(&asks).is_ok(), "case does not matter");
    asks.client.device_family = None;
    assert_eq!(world.refused(&asks).0, PairingReason::MetadataUpgrade, "stored, but not claimed");
}

#[test]
fn a_legacy_entry_waits_for_a_load() {
    let mut world = World::approved(&["operator.read"]);
    world.entry().platform = None;
    let (reason, waiting) = world.refused(&attempt(&["operator.read"]));
    assert_eq!(reason, PairingReason::MetadataUpgrade);
    world.repairable = true;
    // The repair goes on with the next checks: here it is refused for its scopes, under a new request.
    let (reason, next) = world.refused(&attempt(&["operator.write"]));
    assert_eq!(reason, PairingReason::ScopeUpgrade);
    assert_ne!(waiting, next);
    assert_eq!(world.entry().platform.as_deref(), Some("linux"));
    assert!(world.connect(&attempt(&["operator.read"])).is_ok());
}

#[test]
fn who_is_let_in_without_a_look_at_the_entry() {
    for profile in ALL {
        let mut world = World::on(profile, None);
        let outcome = world.connect(&attempt_on(profile, &["operator.read"]));
        assert_eq!(
            outcome.is_ok(),
            profile.skip_pairing == SkipPairing::SharedOperators,
            "{}",
            profile.version
        );
        assert!(world.entry.is_none(), "{}", profile.version);
    }
}

/// Reference, section 8.2; cases a10, b02. What node hosts and apps may call their system is read in 9.6.
#[test]
fn metadata_is_held_against_the_entry_as_each_release_does() {
    use protocol::{ClientId, ClientMode};
    let cli = (ClientId::Cli, ClientMode::Cli);
    let node = (ClientId::NodeHost, ClientMode::Node);
    let ios = (ClientId::Ios, ClientMode::Ui);
    let mac = (ClientId::MacOs, ClientMode::Ui);
    let plain = ("linux", None);
    // Stored, claimed, and whether 2.19, 3.13 and 9.6 want an approval.
    let rows = [
        (cli, plain, plain, [false, false, false]),
        (cli, plain, (" LINUX ", None), [false, false, false]),
        (cli, plain, ("darwin", None), [false, true, true]),
        (cli, ("", None), ("darwin", None), [false, false, false]),
        (cli, plain, ("linux", Some("Mac")), [false, false, false]),
        (cli, ("linux", Some("Mac")), ("linux", Some("mac")), [false, false, false]),
        (cli, ("linux", Some("Mac")), ("linux", Some("Linux")), [false, true, true]),
        (cli, ("linux", Some("Mac")), plain, [false, true, true]),
        (cli, ("linux", Some("Mac")), ("darwin", Some("Mac")), [false, true, true]),
        (cli, ("darwin", None), ("macos", None), [false, true, true]),
        (node, ("darwin", None), ("macos", None), [false, true, false]),
        (node, ("macos", None), ("darwin", None), [false, true, false]),
        (node, ("macos 15.1", None), ("darwin", None), [false, true, false]),
        (node, ("macos", Some("Mac")), ("darwin", None), [false, true, false]),
        (node, ("windows", Some("Windows")), ("win32", None), [false, true, false]),
        (node, ("linux", Some("Linux")), ("linux", None), [false, true, false]),
        (node, ("macos", Some("Mac")), ("darwin", Some("iPhone")), [false, true, true]),
        (node, ("linux", None), ("darwin", None), [false, true, true]),
        (ios, ("iOS 18.0", None), ("iOS 18.1", None), [false, true, false]),
        (ios, ("iOS 18.0", None), ("iPadOS 18.0", None), [false, true, false]),
        (ios, ("iOS 18.0", None), ("android 15", None), [false, true, true]),
        (cli, ("iOS 18.0", None), ("iOS 18.1", None), [false, true, true]),
        (mac, ("macOS 15.1", None), ("macOS 15.2.1", None), [false, true, false]),
        (mac, ("darwin", None), ("macOS 15.2", None), [false, true, false]),
        (mac, ("macOS 15.1", None), ("macOS next", None), [false, true, true]),
    ];
    for (client, stored, claimed, expected) in rows {
        for (profile, expected) in [&V2026_2_19, &V2026_3_13, &V2026_9_6].into_iter().zip(expected) {
            let mut world = known_on(profile, &["operator.read"]);
            let entry = world.entry();
            entry.platform = (!stored.0.is_empty()).then(|| stored.0.to_owned());
            entry.device_family = stored.1.map(str::to_owned);
            let mut asks = attempt_on(profile, &["operator.read"]);
            (asks.client.id, asks.client.mode) = client;
            asks.client.platform = claimed.0.to_owned();
            asks.client.device_family = claimed.1.map(str::to_owned);
            let expected = expected.then_some(PairingReason::MetadataUpgrade);
            let context = format!("{} {client:?} {stored:?} {claimed:?}", profile.version);
            assert_eq!(reason(&mut world, &asks), expected, "{context}");
        }
    }
}

/// Reference, section 8.4, "legacy repair"; case r04.
#[test]
fn an_entry_that_lacks_something_is_taken_as_each_release_takes_it() {
    const ROLE: Option<PairingReason> = Some(PairingReason::RoleUpgrade);
    const SCOPE: Option<PairingReason> = Some(PairingReason::ScopeUpgrade);
    // An entry without roles, without scopes, without both, and without tokens only.
    let rows = [
        (&V2026_2_19, [ROLE, SCOPE, ROLE, None]),
        (&V2026_2_21, [ROLE, SCOPE, None, None]),
        (&V2026_3_13, [ROLE, None, ROLE, None]),
        (&V2026_9_6, [ROLE, None, ROLE, ROLE]),
    ];
    for (profile, expected) in rows {
        let asks = attempt_on(profile, &["operator.read"]);
        let without: [fn(&mut DeviceEntry); 4] = [
            |entry| (entry.role, entry.roles) = (None, None),
            |entry| entry.scopes = None,
            |entry| (entry.role, entry.roles, entry.scopes) = (None, None, None),
            |entry| entry.tokens.clear(),
        ];
        for (position, (take, expected)) in without.into_iter().zip(expected).enumerate() {
            let mut world = known_on(profile, &["operator.read"]);
            take(world.entry());
            assert_eq!(reason(&mut world, &asks), expected, "{} {position}", profile.version);
        }
    }
}

/// Reference, section 8.4: who needs no operator; cases a01, a02, a03, a10.
#[test]
fn who_is_approved_without_an_operator() {
    use protocol::{ClientId, ClientMode};
    const READ: &[&str] = &["operator.read"];
    let local = |profile| DeviceAttempt { place: Place::Local, ..attempt_on(profile, READ) };
    // 2.19, 2.21, 3.13, 9.6.
    let releases = [&V2026_2_19, &V2026_2_21, &V2026_3_13, &V2026_9_6];
    let check = |what: &str, expected: [bool; 4], outcome: &dyn Fn(&'static Profile) -> bool| {
        for (profile, expected) in releases.into_iter().zip(expected) {
            assert_eq!(outcome(profile), expected, "{what} on {}", profile.version);
        }
    };
    let stranger = |asks: &DeviceAttempt, profile| reason(&mut World::on(profile, None), asks).is_none();
    check("a local stranger", [true; 4], &|profile| stranger(&local(profile), profile));
    check("a remote stranger", [false; 4], &|profile| stranger(&attempt_on(profile, READ), profile));
    check("a command line from a page", [true, true, false, false], &|profile| {
        stranger(&DeviceAttempt { has_origin: true, ..local(profile) }, profile)
    });
    check("a control UI from a page", [true; 4], &|profile| {
        let mut asks = DeviceAttempt { has_origin: true, ..local(profile) };
        asks.client.id = ClientId::ControlUi;
        asks.client.mode = ClientMode::Webchat;
        stranger(&asks, profile)
    });
    let wider = |profile| DeviceAttempt { scopes: strings(&["operator.admin"]), ..local(profile) };
    check("more scopes", [false, false, true, true], &|profile| {
        reason(&mut known_on(profile, READ), &wider(profile)).is_none()
    });
    check("more scopes from afar", [false; 4], &|profile| {
        let asks = DeviceAttempt { place: Place::Remote, ..wider(profile) };
        reason(&mut known_on(profile, READ), &asks)
            .is_some_and(|reason| reason != PairingReason::ScopeUpgrade)
    });
    check("a node's role for an operator's device", [false; 4], &|profile| {
        let asks = DeviceAttempt { role: "node".to_owned(), scopes: Vec::new(), ..local(profile) };
        reason(&mut known_on(profile, READ), &asks).is_none()
    });
    check("an operator's role for a node's device", [false, false, false, true], &|profile| {
        let mut world = World::on(profile, None);
        let node = DeviceAttempt { role: "node".to_owned(), scopes: Vec::new(), ..attempt_on(profile, &[]) };
        world.refused(&node);
        world.approve();
        reason(&mut world, &local(profile)).is_none()
    });
    check("a command line with another platform", [true, true, false, false], &|profile| {
        let mut asks = local(profile);
        asks.client.platform = "darwin".to_owned();
        reason(&mut known_on(profile, READ), &asks).is_none()
    });
    // `gateway.nodes.pairing.autoApproveLocal` (read in 9.6) turns it off.
    for asks in [local(&V2026_9_6), wider(&V2026_9_6)] {
        let mut world = known_on(&V2026_9_6, READ);
        world.rules.auto_approve_local = false;
        if asks.scopes == READ {
            world.entry = None;
        }
        assert!(reason(&mut world, &asks).is_some());
    }
}

/// Reference, section 8.1: a helper of the gateway itself leaves no entry from 3.13 on, if it is local (read); case n01.
#[test]
fn local_helpers_leave_no_entry_on_newer_releases() {
    use protocol::{ClientId, ClientMode};
    let helper = |profile, place| {
        let mut asks = DeviceAttempt { place, ..attempt_on(profile, &["operator.read"]) };
        asks.client.id = ClientId::GatewayClient;
        asks.client.mode = ClientMode::Backend;
        asks
    };
    for (profile, leaves_an_entry) in
        [(&V2026_2_19, true), (&V2026_2_21, true), (&V2026_3_13, false), (&V2026_9_6, false)]
    {
        let outcome = |asks: &DeviceAttempt| {
            let mut world = World::on(profile, None);
            let is_let_in = world.connect(asks).is_ok();
            (is_let_in, world.entry.is_some())
        };
        let local = helper(profile, Place::Local);
        assert_eq!(outcome(&local), (true, leaves_an_entry), "{}", profile.version);
        assert_eq!(outcome(&helper(profile, Place::Remote)), (false, false), "{}", profile.version);
        // Neither its id nor its mode alone makes a helper.
        for (id, mode) in [(ClientId::GatewayClient, ClientMode::Cli), (ClientId::Cli, ClientMode::Backend)] {
            let mut half = local.clone();
            (half.client.id, half.client.mode) = (id, mode);
            assert_eq!(outcome(&half), (true, true), "{}", profile.version);
        }
    }
    // By its own token it is skipped on 9.6 only: elsewhere its approved scopes are looked at.
    for (profile, is_skipped) in [(&V2026_3_13, false), (&V2026_9_6, true)] {
        let mut world = known_on(profile, &["operator.read"]);
        let token = world.entry().tokens["operator"].token.clone();
        world.entry().platform = Some("darwin".to_owned());
        let asks = by_token(profile, helper(profile, Place::Local), &token);
        let expected = (!is_skipped).then_some(PairingReason::MetadataUpgrade);
        assert_eq!(reason(&mut world, &asks), expected, "{}", profile.version);
    }
}

/// Reference, section 8.1: 2.22 looks at no entry of an operator with the secret, unless it is a control UI or web chat.
#[test]
fn browsers_are_paired_on_every_release() {
    use protocol::{ClientId, ClientMode};
    for profile in ALL {
        for (id, mode) in [
            (ClientId::ControlUi, ClientMode::Webchat),
            (ClientId::ControlUi, ClientMode::Ui),
            (ClientId::Cli, ClientMode::Webchat),
        ] {
            let mut asks = attempt_on(profile, &["operator.read"]);
            (asks.client.id, asks.client.mode) = (id, mode);
            let outcome = reason(&mut World::on(profile, None), &asks);
            assert_eq!(outcome, Some(PairingReason::NotPaired), "{} {id:?} {mode:?}", profile.version);
        }
    }
}

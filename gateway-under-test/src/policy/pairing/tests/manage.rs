//! Operators' calls.

use super::*;

/// Reference, section 8.7: what the newest release asks of an operator beside `operator.pairing`; cases b05, x02. Older
/// releases ask for nothing else.
#[test]
fn an_operator_manages_what_it_holds_and_by_device_token_only_its_own() {
    type Outcome = Result<(), String>;
    let caller = |scopes: &[&str], own: Option<&str>| Caller {
        role: "operator".to_owned(),
        scopes: strings(scopes),
        own_device: own.map(str::to_owned),
    };
    let message = |error: Box<protocol::ErrorShape>| error.message;
    let approves = |profile, caller: &Caller, role: &str, scopes: &[&str], id: Option<&str>| -> Outcome {
        let mut world = World::on(profile, None);
        let asks = DeviceAttempt { role: role.to_owned(), ..attempt_on(profile, scopes) };
        let waiting = world.refused(&asks).1;
        let (view, id) = (world.view(), id.unwrap_or(&waiting));
        let outcome = approve(&world.rules, caller, &view, id, world.now_ms, &mut Counter(50));
        outcome.map(drop).map_err(message)
    };
    let rejects = |profile, caller: &Caller, id: Option<&str>| -> Outcome {
        let mut world = World::on(profile, None);
        let waiting = world.refused(&attempt_on(profile, &["operator.read"])).1;
        let outcome = reject(&world.rules, caller, &world.view(), id.unwrap_or(&waiting), world.now_ms);
        outcome.map(drop).map_err(message)
    };
    let removes = |profile, caller: &Caller| -> Outcome {
        let world = known_on(profile, &["operator.read"]);
        remove(&world.rules, caller, &world.view(), "device").map(drop).map_err(message)
    };
    let rotates = |profile, caller: &Caller| {
        let world = known_on(profile, &["operator.read"]);
        let params =
            RotateParams { device_id: "device".to_owned(), role: "operator".to_owned(), scopes: None };
        let outcome = rotate(&world.rules, caller, &world.view(), &params, world.now_ms, &mut Counter(50));
        outcome.map(|(result, _)| result.token.is_some()).map_err(message)
    };
    let revokes = |profile, caller: &Caller| -> Outcome {
        let world = known_on(profile, &["operator.read"]);
        let params = RevokeParams { device_id: "device".to_owned(), role: "operator".to_owned() };
        revoke(&world.rules, caller, &world.view(), &params, world.now_ms).map(drop).map_err(message)
    };
    let says = |text: &str| Err::<(), _>(text.to_owned());

    const READ: &[&str] = &["operator.read"];
    let pairing = caller(&["operator.pairing"], None);
    let reader = caller(&["operator.pairing", "operator.read"], None);
    let own = caller(&["operator.pairing", "operator.read"], Some("device"));
    let other = caller(&["operator.pairing", "operator.read"], Some("another"));
    let admin = caller(&["operator.pairing", "operator.admin"], None);
    let admin_elsewhere = caller(&["operator.pairing", "operator.admin"], Some("another"));
    let newest = &V2026_9_6;

    for profile in [&ARTICLE, &V2026_2_19, &V2026_2_21, &V2026_3_13] {
        for caller in [&pairing, &other] {
            assert_eq!(approves(profile, caller, "operator", &["operator.admin"], None), Ok(()));
            assert_eq!(approves(profile, caller, "node", &[], None), Ok(()));
            let unknown = says("unknown requestId");
            assert_eq!(approves(profile, caller, "operator", READ, Some("nothing")), unknown);
            assert_eq!(rejects(profile, caller, None), Ok(()));
            assert_eq!(rejects(profile, caller, Some("nothing")), unknown);
            assert_eq!(removes(profile, caller), Ok(()));
            assert_eq!(revokes(profile, caller), Ok(()));
        }
        assert_eq!(rotates(profile, &reader), Ok(true));
        let visible = is_visible(&rules(profile, None), &other, "device");
        assert!(visible, "{}", profile.version);
    }

    let denied = says("device pairing approval denied");
    assert_eq!(approves(newest, &reader, "operator", READ, None), Ok(()));
    assert_eq!(approves(newest, &own, "operator", READ, None), Ok(()));
    assert_eq!(approves(newest, &other, "operator", READ, None), denied);
    assert_eq!(approves(newest, &admin_elsewhere, "operator", READ, None), Ok(()));
    let lacks = says("missing scope: operator.admin");
    assert_eq!(approves(newest, &reader, "operator", &["operator.admin"], None), lacks);
    assert_eq!(approves(newest, &admin, "operator", &["operator.admin"], None), Ok(()));
    assert_eq!(approves(newest, &reader, "node", &[], None), denied);
    assert_eq!(approves(newest, &admin, "node", &[], None), Ok(()));
    assert_eq!(approves(newest, &reader, "operator", READ, Some("nothing")), denied);
    assert_eq!(approves(newest, &admin, "operator", READ, Some("nothing")), says("unknown requestId"));

    assert_eq!(rejects(newest, &pairing, None), Ok(()));
    assert_eq!(rejects(newest, &own, None), Ok(()));
    assert_eq!(rejects(newest, &other, None), says("device pairing rejection denied"));
    assert_eq!(rejects(newest, &admin_elsewhere, None), Ok(()));
    assert_eq!(rejects(newest, &admin, Some("nothing")), says("unknown requestId"));

    assert_eq!(removes(newest, &own), Ok(()));
    assert_eq!(removes(newest, &other), says("device pairing removal denied"));
    assert_eq!(removes(newest, &admin_elsewhere), Ok(()));

    // Only the device itself is given the token.
    assert_eq!(rotates(newest, &own), Ok(true));
    assert_eq!(rotates(newest, &reader), Ok(false));
    let refused = Err("device token rotation denied".to_owned());
    assert_eq!(rotates(newest, &other), refused);
    assert_eq!(rotates(newest, &pairing), refused, "it does not hold what the token holds");
    assert_eq!(revokes(newest, &own), Ok(()));
    assert!(revokes(newest, &other).is_err());

    let sees = |caller| is_visible(&rules(newest, None), caller, "device");
    assert_eq!([&reader, &own, &other, &admin_elsewhere].map(sees), [true, true, false, true]);
}

/// Reference, section 8.7: rotating beyond what was approved, and to what was.
#[test]
fn rotation_stays_within_what_was_approved() {
    const UNKNOWN: &str = "unknown deviceId/role";
    let rotated = |profile, scopes: Option<&[&str]>| {
        let world = known_on(profile, &["operator.read", "operator.write"]);
        let params = RotateParams {
            device_id: "device".to_owned(),
            role: "operator".to_owned(),
            scopes: scopes.map(strings),
        };
        let outcome =
            rotate(&world.rules, &Caller::owner(), &world.view(), &params, world.now_ms, &mut Counter(50));
        outcome.map(|(result, _)| result.scopes).map_err(|error| error.message)
    };
    let both = Ok(strings(&["operator.read", "operator.write"]));
    let read = || Ok(strings(&["operator.read"]));
    for (profile, refusal) in [
        (&V2026_2_19, None),
        (&V2026_2_21, Some(UNKNOWN)),
        (&V2026_3_13, Some(UNKNOWN)),
        (&V2026_9_6, Some("device token rotation denied")),
    ] {
        assert_eq!(rotated(profile, None), both, "{}", profile.version);
        let narrower = rotated(profile, Some(&["operator.read"]));
        assert_eq!(narrower, read(), "{}", profile.version);
        let wider = rotated(profile, Some(&["operator.approvals"]));
        let expected =
            refusal.map_or_else(|| Ok(strings(&["operator.approvals"])), |text| Err(text.to_owned()));
        assert_eq!(wider, expected, "{}", profile.version);
    }
}

/// Read in 9.6: a device that is a node too is not its operator's own to remove; an admin may.
#[test]
fn a_device_with_another_role_is_removed_by_an_admin_only() {
    let own = Caller {
        role: "operator".to_owned(),
        scopes: strings(&["operator.pairing"]),
        own_device: Some("device".to_owned()),
    };
    let admin = Caller { scopes: strings(&["operator.pairing", "operator.admin"]), ..own.clone() };
    let node = DeviceAttempt { role: "node".to_owned(), scopes: Vec::new(), ..attempt_on(&V2026_9_6, &[]) };
    let mut world = known_on(&V2026_9_6, &["operator.read"]);
    assert!(remove(&world.rules, &own, &world.view(), "device").is_ok());
    world.refused(&node);
    world.approve();
    let denied = remove(&world.rules, &own, &world.view(), "device").unwrap_err();
    assert_eq!(denied.message, "device pairing removal denied");
    assert!(remove(&world.rules, &admin, &world.view(), "device").is_ok());
    // A stored token of that role says the same as the list of roles.
    let entry = world.entry();
    (entry.role, entry.roles) = (Some("operator".to_owned()), Some(strings(&["operator"])));
    assert!(remove(&world.rules, &own, &world.view(), "device").is_err());
    world.entry().tokens.remove("node");
    assert!(remove(&world.rules, &own, &world.view(), "device").is_ok());
}

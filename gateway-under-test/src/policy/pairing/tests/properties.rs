//! Whatever happens to a device, and on whatever release.

use super::*;

/// Something that may happen to a device.
#[derive(Debug, Clone)]
enum Step {
    Connect {
        role: &'static str,
        scopes: Vec<&'static str>,
        local: bool,
        shared: bool,
        platform: &'static str,
    },
    Approve,
    Reject,
    Remove,
    Rotate {
        role: &'static str,
        scopes: Option<Vec<&'static str>>,
    },
    Revoke {
        role: &'static str,
    },
    Wait(u64),
}

fn some_step() -> impl Strategy<Value = Step> {
    let role = || proptest::sample::select(vec!["operator", "node"]);
    let scopes =
        || proptest::sample::subsequence(vec!["operator.admin", "operator.read", "operator.write"], 0..=3);
    let platform = proptest::sample::select(vec!["linux", "linux", "linux", "darwin"]);
    prop_oneof![
        6 => (role(), scopes(), any::<bool>(), proptest::bool::weighted(0.8), platform)
            .prop_map(|(role, scopes, local, shared, platform)| Step::Connect { role, scopes, local, shared, platform }),
        2 => Just(Step::Approve),
        1 => Just(Step::Reject),
        1 => Just(Step::Remove),
        1 => (role(), proptest::option::of(scopes())).prop_map(|(role, scopes)| Step::Rotate { role, scopes }),
        1 => role().prop_map(|role| Step::Revoke { role }),
        1 => (0_u64..400_000).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever happens before: who gets in was let in, and a refusal leaves what it says.
    #[test]
    fn nobody_gets_in_unapproved(steps in proptest::collection::vec(some_step(), 1..40)) {
        let mut world = World::new();
        for step in steps {
            let pending = world.pending.clone();
            match step {
                Step::Connect { role, scopes, local, shared, platform } => {
                    let mut asks = attempt(&scopes);
                    asks.role = role.to_owned();
                    asks.place = if local { Place::Local } else { Place::Remote };
                    asks.client.platform = platform.to_owned();
                    if !shared {
                        let token = world.entry.as_ref().and_then(|entry| entry.tokens.get(role));
                        let token = token.map_or_else(|| "none".to_owned(), |token| token.token.clone());
                        asks = by_token(&ARTICLE, asks, &token);
                    }
                    let before = world.entry.clone();
                    match world.connect(&asks) {
                        Ok(accepted) => {
                            let entry = world.entry.as_ref().unwrap();
                            prop_assert!(entry.has_role(role));
                            prop_assert!(scopes::covers(ARTICLE.coverage, "operator", entry.scopes(), &asks.scopes));
                            let token = &entry.tokens[role];
                            prop_assert!(!token.is_revoked());
                            let auth = accepted.auth.unwrap();
                            prop_assert_eq!(auth.device_token.as_ref(), Some(&token.token));
                            prop_assert!(scopes::covers(ARTICLE.coverage, "operator", &auth.scopes, &asks.scopes));
                            match before {
                                None => prop_assert!(local && shared, "an unknown remote device got in"),
                                Some(before) => prop_assert!(before.has_role(role) && before.scopes() == entry.scopes()),
                            }
                        }
                        Err(refusal) if refusal.pairing.is_some() => {
                            // A device token covers its scopes, but binds neither platform nor approved role.
                            let reason = refusal.pairing.unwrap();
                            let upgrade = [PairingReason::MetadataUpgrade, PairingReason::RoleUpgrade].contains(&reason);
                            prop_assert!(shared || upgrade, "{reason} with a device token");
                            let request = world.pending.as_ref().unwrap();
                            prop_assert_eq!(refusal.request_id(), Some(request.request_id.as_str()));
                            prop_assert!(scopes::covers(ARTICLE.coverage, "operator", &request.scopes, &asks.scopes));
                            prop_assert_eq!(request.ts, world.now_ms);
                            prop_assert_eq!(request.is_repair, world.entry.is_some());
                            prop_assert_eq!(&world.entry, &before);
                            if let Some(old) = pending.filter(|old| is_waiting(&world.rules, old, world.now_ms)) {
                                prop_assert_eq!(&old.request_id, &request.request_id);
                                prop_assert!(scopes::covers(ARTICLE.coverage, "operator", &request.scopes, &old.scopes));
                            }
                        }
                        Err(_) => {
                            prop_assert!(!shared);
                            prop_assert_eq!(&world.entry, &before);
                            prop_assert_eq!(&world.pending, &pending);
                        }
                    }
                }
                Step::Approve | Step::Reject => {
                    let id = pending.as_ref().map_or("nothing", |request| &request.request_id).to_owned();
                    let approving = matches!(step, Step::Approve);
                    let view = DeviceView { entry: world.entry.as_ref(), repairable: false, pending: world.pending.as_ref() };
                    let effects = if approving {
                        approve(&world.rules, &Caller::owner(), &view, &id, world.now_ms, &mut world.fresh).map(|(_, effects)| effects)
                    } else {
                        reject(&world.rules, &Caller::owner(), &view, &id, world.now_ms).map(|(_, effects)| effects)
                    };
                    let waits = pending.filter(|request| is_waiting(&world.rules, request, world.now_ms));
                    prop_assert_eq!(effects.is_ok(), waits.is_some());
                    if let Ok(effects) = effects {
                        world.apply(effects);
                        prop_assert!(world.pending.is_none());
                        if approving {
                            let held = world.entry.as_ref().unwrap().scopes();
                            prop_assert!(scopes::covers(ARTICLE.coverage, "operator", held, &waits.unwrap().scopes));
                        }
                    }
                }
                Step::Remove => {
                    if let Ok((_, effects)) = remove(&world.rules, &Caller::owner(), &world.view(), "device") {
                        world.apply(effects);
                        prop_assert!(world.entry.is_none() && world.pending.is_none());
                    }
                }
                Step::Rotate { role, scopes } => {
                    let params = RotateParams {
                        device_id: "device".to_owned(),
                        role: role.to_owned(),
                        scopes: scopes.map(|scopes| strings(&scopes)),
                    };
                    let view = DeviceView { entry: world.entry.as_ref(), repairable: false, pending: None };
                    if let Ok((result, effects)) = rotate(&world.rules, &Caller::owner(), &view, &params, world.now_ms, &mut world.fresh) {
                        world.apply(effects);
                        let held = world.entry.as_ref().unwrap().scopes();
                        prop_assert!(scopes::covers(ARTICLE.coverage, "operator", held, &result.scopes));
                    }
                }
                Step::Revoke { role } => {
                    let params = RevokeParams { device_id: "device".to_owned(), role: role.to_owned() };
                    if let Ok((_, effects)) = revoke(&world.rules, &Caller::owner(), &world.view(), &params, world.now_ms) {
                        world.apply(effects);
                        prop_assert!(world.entry.as_ref().unwrap().tokens[role].is_revoked());
                    }
                }
                Step::Wait(ms) => world.now_ms += ms,
            }
        }
    }
}

proptest! {
    /// A wrong credential changes nothing and tells nobody, on every release.
    #[test]
    fn a_wrong_credential_leaves_no_trace(
        profile in proptest::sample::select(ALL.to_vec()),
        known in any::<bool>(),
        local in any::<bool>(),
        token in "[a-z]{1,12}",
    ) {
        prop_assume!(token != "shared");
        let mut world = World::on(profile, None);
        if known && profile.skip_pairing != SkipPairing::SharedOperators {
            world.refused(&attempt_on(profile, &["operator.read"]));
            world.approve();
            world.refused(&attempt_on(profile, &["operator.admin"]));
        }
        world.events.clear();
        let before = (world.entry.clone(), world.pending.clone());
        let mut asks = attempt_on(profile, &["operator.read"]);
        asks.place = if local { Place::Local } else { Place::Remote };
        let auth = AuthParams { token: Some(token), ..AuthParams::default() };
        let refusal = world.connect(&with_auth(profile, asks, auth)).unwrap_err();
        prop_assert!(refusal.pairing.is_none());
        prop_assert_eq!((world.entry, world.pending), before);
        prop_assert!(world.events.is_empty());
    }

    /// A refusal names the request that waits, the same ask again is refused in the same words, and an operator who
    /// approves what waits has let the device in after two approvals at most (a release may keep an older ask).
    #[test]
    fn what_is_approved_gets_in(
        profile in proptest::sample::select(checking().collect::<Vec<_>>()),
        asks in proptest::collection::vec(
            proptest::sample::subsequence(vec!["operator.admin", "operator.read", "operator.write"], 1..=3),
            1..8,
        ),
        approves in proptest::collection::vec(any::<bool>(), 8),
    ) {
        let mut world = World::on(profile, None);
        for (scopes, approves) in asks.iter().zip(approves) {
            let asks = attempt_on(profile, scopes);
            let Err(refusal) = world.connect(&asks) else { continue };
            let waiting = world.pending.as_ref().map(|pending| pending.request_id.clone());
            prop_assert_eq!(refusal.request_id(), waiting.as_deref());
            let entry = world.entry.clone();
            prop_assert_eq!(world.refused(&asks).1, waiting.unwrap());
            prop_assert_eq!(&world.entry, &entry);
            if approves {
                world.approve();
                if let Err(refusal) = world.connect(&asks) {
                    prop_assert!(refusal.pairing.is_some());
                    world.approve();
                    let outcome = world.connect(&asks);
                    prop_assert!(outcome.is_ok());
                }
                prop_assert!(world.pending.is_none());
            }
        }
    }
}

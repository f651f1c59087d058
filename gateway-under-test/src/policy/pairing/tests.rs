//! Tables and properties of pairing, on one device and a counter for names.

use protocol::connect::AuthParams;
use serde_json::json;

use super::super::attempt::Place;
use super::super::authority::Caller;
use super::super::entry::TokenEntry;
use super::super::scopes;
use super::*;
use crate::config::{AuthConfig, Secret};
use crate::defect::Defect;
use crate::profile::{ALL, ARTICLE, PendingMerge, Profile, SkipPairing};
use proptest::prelude::*;
use protocol::pairing::{ApproveResult, RevokeParams, RotateParams};

const NOW: u64 = 1_800_000_000_000;

#[derive(Default)]
struct Counter(u32);

impl Fresh for Counter {
    fn request_id(&mut self) -> String {
        self.0 += 1;
        format!("request-{}", self.0)
    }

    fn token(&mut self) -> String {
        self.0 += 1;
        format!("token-{}", self.0)
    }
}

fn rules(profile: &'static Profile, defect: Option<Defect>) -> Rules {
    Rules { defect, ..Rules::of(profile, AuthConfig::Token(Secret::new("shared"))) }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A remote operator with the shared token.
fn attempt(scopes: &[&str]) -> DeviceAttempt {
    attempt_on(&ARTICLE, scopes)
}

fn attempt_on(profile: &'static Profile, scopes: &[&str]) -> DeviceAttempt {
    let auth = AuthParams { token: Some("shared".to_owned()), ..AuthParams::default() };
    let client =
        serde_json::from_value(json!({"id": "cli", "version": "1", "platform": "linux", "mode": "cli"}))
            .unwrap();
    let mut attempt = DeviceAttempt::passed(&rules(profile, None), "device", client, auth, Place::Remote);
    attempt.scopes = strings(scopes);
    attempt.kept_ip = Some([203, 0, 113, 7].into());
    attempt
}

/// The attempt with other credentials.
fn with_auth(profile: &'static Profile, attempt: DeviceAttempt, auth: AuthParams) -> DeviceAttempt {
    let fresh =
        DeviceAttempt::passed(&rules(profile, None), "device", attempt.client.clone(), auth, attempt.place);
    DeviceAttempt { auth: fresh.auth, presented: fresh.presented, ..attempt }
}

fn by_token(profile: &'static Profile, attempt: DeviceAttempt, token: &str) -> DeviceAttempt {
    // The field of the release.
    let auth = if profile.auth_keys.contains(&"deviceToken") {
        AuthParams { device_token: Some(token.to_owned()), ..AuthParams::default() }
    } else {
        AuthParams { token: Some(token.to_owned()), ..AuthParams::default() }
    };
    with_auth(profile, attempt, auth)
}

/// One device's part of a store.
struct World {
    rules: Rules,
    entry: Option<DeviceEntry>,
    pending: Option<PendingRequest>,
    repairable: bool,
    events: Vec<PairingEvent>,
    now_ms: u64,
    fresh: Counter,
}

impl World {
    fn new() -> Self {
        Self::with(None)
    }

    fn with(defect: Option<Defect>) -> Self {
        Self::on(&ARTICLE, defect)
    }

    fn on(profile: &'static Profile, defect: Option<Defect>) -> Self {
        Self {
            rules: rules(profile, defect),
            entry: None,
            pending: None,
            repairable: false,
            events: Vec::new(),
            now_ms: NOW,
            fresh: Counter::default(),
        }
    }

    /// A device that an operator approved for these scopes.
    fn approved(scopes: &[&str]) -> Self {
        let mut world = Self::new();
        world.refused(&attempt(scopes));
        world.approve();
        world.events.clear();
        world
    }

    fn view(&self) -> DeviceView<'_> {
        DeviceView { entry: self.entry.as_ref(), repairable: self.repairable, pending: self.pending.as_ref() }
    }

    fn apply(&mut self, effects: Effects) {
        match effects.entry {
            Change::Keep => {}
            Change::Put(entry) => self.entry = Some(*entry),
            Change::Drop => self.entry = None,
        }
        match effects.pending {
            Change::Keep => {}
            Change::Put(request) => self.pending = Some(*request),
            Change::Drop => self.pending = None,
        }
        if effects.touch == Some(Touch::AskedAgain) {
            self.pending.as_mut().unwrap().ts = self.now_ms;
        }
        self.events.extend(effects.events);
    }

    fn connect(&mut self, attempt: &DeviceAttempt) -> Result<Accepted, Refusal> {
        let view = DeviceView {
            entry: self.entry.as_ref(),
            repairable: self.repairable,
            pending: self.pending.as_ref(),
        };
        let admission = admit(&self.rules, attempt, &view, self.now_ms, &mut self.fresh);
        self.apply(admission.effects);
        admission.outcome
    }

    /// Reason and request id of a connect that must be refused for pairing.
    fn refused(&mut self, attempt: &DeviceAttempt) -> (PairingReason, String) {
        let refusal = self.connect(attempt).unwrap_err();
        (refusal.pairing.unwrap(), refusal.request_id().unwrap().to_owned())
    }

    fn approve(&mut self) -> ApproveResult {
        let id = self.pending.as_ref().unwrap().request_id.clone();
        let view = DeviceView {
            entry: self.entry.as_ref(),
            repairable: self.repairable,
            pending: self.pending.as_ref(),
        };
        let (result, effects) =
            approve(&self.rules, &Caller::owner(), &view, &id, self.now_ms, &mut self.fresh).unwrap();
        self.apply(effects);
        result
    }

    fn entry(&mut self) -> &mut DeviceEntry {
        self.entry.as_mut().unwrap()
    }
}

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
fn approval_unites_and_voids_older_tokens() {
    let mut world = World::approved(&["operator.write"]);
    let first = world.entry().tokens["operator"].token.clone();
    world.entry().tokens.insert("x".to_owned(), world_token("x"));
    let node = DeviceAttempt { role: "node".to_owned(), ..attempt(&["operator.read"]) };
    world.refused(&node);
    world.approve();
    let entry = world.entry().clone();
    assert_eq!(entry.roles.as_deref(), Some(strings(&["operator", "node"]).as_slice()));
    assert_eq!(entry.scopes(), ["operator.write", "operator.read"]);
    assert_eq!(entry.approved_scopes.as_deref(), Some(entry.scopes()));
    assert_eq!(entry.tokens["operator"].token, first, "its role was not asked");
    assert_eq!(entry.tokens["node"].scopes, [""; 0]);
    world.refused(&attempt(&["operator.admin"]));
    world.approve();
    let token = world.entry().tokens["operator"].clone();
    assert_ne!(token.token, first);
    assert_eq!(token.scopes, ["operator.admin", "operator.read", "operator.write"]);
    assert_eq!((token.created_at_ms, token.rotated_at_ms), (NOW, Some(NOW)));
}

fn world_token(role: &str) -> TokenEntry {
    token::issue(role, Vec::new(), None, NOW, &mut Counter(900))
}

#[test]
fn a_revoked_device_with_the_secret_gets_a_new_token() {
    let mut world = World::approved(&["operator.read", "operator.write"]);
    let old = world.entry().tokens["operator"].token.clone();
    let params = RevokeParams { device_id: "device".to_owned(), role: "operator".to_owned() };
    let (_, effects) = revoke(&world.rules, &Caller::owner(), &world.view(), &params, NOW).unwrap();
    world.apply(effects);
    let by_token = by_token(&ARTICLE, attempt(&["operator.read"]), &old);
    assert_eq!(world.connect(&by_token).unwrap_err().cause, "unauthorized");
    let accepted = world.connect(&attempt(&["operator.read"])).unwrap();
    assert_ne!(accepted.auth.clone().unwrap().device_token, Some(old));
    assert_eq!(accepted.auth.unwrap().scopes, ["operator.read"], "not united with the revoked one's");
}

#[test]
fn defects_are_where_they_belong() {
    let mut world = World::with(Some(Defect::AcceptUnpaired));
    assert!(world.connect(&attempt(&["operator.admin"])).is_ok());
    let mut world = World::with(Some(Defect::WrongReason));
    let refusal = world.connect(&attempt(&[])).unwrap_err();
    assert_eq!(refusal.error.unwrap().details.unwrap().reason.as_deref(), Some("scope-upgrade"));
    assert_eq!(refusal.pairing, Some(PairingReason::NotPaired), "the log tells the truth");
}

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

/// The releases that look at the entry of a remote operator with the secret.
fn checking() -> impl Iterator<Item = &'static Profile> {
    ALL.iter().copied().filter(|profile| profile.skip_pairing != SkipPairing::SharedOperators)
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

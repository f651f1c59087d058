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
use crate::profile::{
    ALL, ARTICLE, MetadataRule, PendingMerge, Profile, RefreshRule, SkipPairing, V2026_2_19, V2026_2_21,
    V2026_3_13, V2026_9_6,
};
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

/// Reference, sections 8.2 and 9.1, cases b02 and r00: what an accepted connect leaves in the entry.
#[test]
fn an_accepted_connect_is_kept_as_each_release_keeps_it() {
    for profile in checking() {
        let mut world = World::on(profile, None);
        world.refused(&attempt_on(profile, &["operator.read"]));
        world.approve();
        let before = world.entry().clone();
        world.now_ms += 1_000;
        let mut again = attempt_on(profile, &["operator.read"]);
        again.client.display_name = Some("renamed".to_owned());
        // Before 3.13 another platform is written over the old one, and nobody is asked.
        let overwrites = profile.metadata == MetadataRule::Overwritten;
        if overwrites {
            again.client.platform = "darwin".to_owned();
        }
        assert!(world.connect(&again).is_ok(), "{}", profile.version);
        let after = world.entry().clone();
        let platform = if overwrites { "darwin" } else { "linux" };
        assert_eq!(after.platform.as_deref(), Some(platform), "{}", profile.version);
        if profile.refresh == RefreshRule::Nothing {
            assert_eq!(after, before, "{}", profile.version);
        } else {
            assert_eq!(after.display_name.as_deref(), Some("renamed"), "{}", profile.version);
            assert_eq!(
                (after.scopes(), after.roles()),
                (before.scopes(), before.roles()),
                "{}",
                profile.version
            );
        }
        let seen = (profile.refresh == RefreshRule::LastSeen).then_some(NOW + 1_000);
        assert_eq!(after.last_seen_at_ms, seen, "{}", profile.version);
    }
}

#[test]
fn what_must_be_durable_before_the_answer() {
    let world = World::approved(&["operator.read"]);
    let put = Change::Put(Box::new(world.entry.unwrap()));
    assert!(Effects { entry: put, ..Effects::default() }.is_durable());
    assert!(Effects { entry: Change::Drop, ..Effects::default() }.is_durable());
    assert!(Effects { pending: Change::Drop, ..Effects::default() }.is_durable());
    assert!(!Effects { touch: Some(Touch::TokenUsed), ..Effects::default() }.is_durable());
    assert!(!Effects::default().is_durable());
}

/// Reference, section 8.5, cases b02 and e02: what the newest release says beside the request's id.
#[test]
fn the_newest_says_what_is_asked_and_what_is_approved() {
    let details = |world: &mut World, attempt: &DeviceAttempt| {
        let error = world.connect(attempt).unwrap_err().error.unwrap();
        let mut details = serde_json::to_value(error.details.unwrap()).unwrap();
        assert!(details.as_object_mut().unwrap().remove("requestId").is_some());
        details
    };
    let cli = attempt_on(&V2026_9_6, &["operator.read"]);
    let mut browser = cli.clone();
    browser.client.id = protocol::ClientId::ControlUi;
    browser.client.mode = protocol::ClientMode::Webchat;
    let node = DeviceAttempt { role: "node".to_owned(), scopes: Vec::new(), ..cli.clone() };
    let not_paired = json!({
        "code": "PAIRING_REQUIRED", "reason": "not-paired", "deviceId": "device", "requestedRole": "operator",
        "requestedScopes": ["operator.read"],
        "remediationHint": "Approve this device from the pending pairing requests.",
    });
    assert_eq!(details(&mut World::on(&V2026_9_6, None), &cli), not_paired);

    // Only a control UI as operator is told to wait.
    let mut waits = not_paired.clone();
    waits["recommendedNextStep"] = json!("wait_then_retry");
    waits["retryable"] = json!(true);
    waits["pauseReconnect"] = json!(false);
    assert_eq!(details(&mut World::on(&V2026_9_6, None), &browser), waits);

    let mut of_node = not_paired.clone();
    of_node["requestedRole"] = json!("node");
    of_node.as_object_mut().unwrap().remove("requestedScopes");
    assert_eq!(details(&mut World::on(&V2026_9_6, None), &node), of_node);

    let mut world = World::on(&V2026_9_6, None);
    world.refused(&cli);
    world.approve();
    let mut upgrade = not_paired;
    upgrade["reason"] = json!("scope-upgrade");
    upgrade["requestedScopes"] = json!(["operator.admin"]);
    upgrade["approvedRoles"] = json!(["operator"]);
    upgrade["approvedScopes"] = json!(["operator.read"]);
    upgrade["remediationHint"] = json!("Review the requested scopes, then approve the pending upgrade.");
    let wider = attempt_on(&V2026_9_6, &["operator.admin"]);
    assert_eq!(details(&mut world, &wider), upgrade);
}

/// A device that an operator approved for these scopes.
fn known_on(profile: &'static Profile, scopes: &[&str]) -> World {
    let mut world = World::on(profile, None);
    world.refused(&attempt_on(profile, scopes));
    world.approve();
    world.events.clear();
    world
}

/// The reason for which a connect is refused, if it is.
fn reason(world: &mut World, attempt: &DeviceAttempt) -> Option<PairingReason> {
    world.connect(attempt).err().map(|refusal| refusal.pairing.unwrap())
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

/// Cases b01 and b05 of 9.6: a token that the entry lost comes back with all that is asked, and one that is there keeps its
/// scopes.
#[test]
fn an_approval_gives_each_role_what_it_lacks() {
    let read = attempt_on(&V2026_9_6, &["operator.read"]);
    let scopes = |world: &mut World| world.entry().tokens["operator"].scopes.clone();
    let mut world = known_on(&V2026_9_6, &["operator.read"]);
    assert_eq!(scopes(&mut world), ["operator.read"]);
    world.entry().tokens.clear();
    assert_eq!(world.refused(&read).0, PairingReason::RoleUpgrade);
    world.approve();
    assert_eq!(scopes(&mut world), ["operator.read"]);
    assert!(world.connect(&read).is_ok());

    let approvals = attempt_on(&V2026_9_6, &["operator.approvals"]);
    assert_eq!(world.refused(&approvals).0, PairingReason::ScopeUpgrade);
    world.approve();
    assert_eq!(scopes(&mut world), ["operator.approvals", "operator.read"]);
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

/// Reference, section 8.8: the token stays the same over connects that ask the same or less.
#[test]
fn a_token_is_stable_over_connects() {
    for profile in checking() {
        let mut world = known_on(profile, &["operator.read", "operator.write"]);
        let mut seen = Vec::new();
        for scopes in [&["operator.read", "operator.write"][..], &["operator.read"], &[]] {
            let accepted = world.connect(&attempt_on(profile, scopes)).unwrap();
            seen.push(accepted.auth.unwrap().device_token.unwrap());
            world.now_ms += 1_000;
        }
        assert!(seen.iter().all(|token| *token == seen[0]), "{}", profile.version);
        assert_eq!(world.entry().tokens["operator"].token, seen[0], "{}", profile.version);
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

//! Tables and properties of pairing, on one device and a counter for names: a file a concern, called as the file that it
//! tests, and `properties`.

mod answer;
mod approval;
mod checks;
mod draft;
mod manage;
mod properties;
mod request;
mod token;

use protocol::connect::AuthParams;
use serde_json::json;

use super::super::attempt::Place;
use super::super::authority::Caller;
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

/// The releases that look at the entry of a remote operator with the secret.
fn checking() -> impl Iterator<Item = &'static Profile> {
    ALL.iter().copied().filter(|profile| profile.skip_pairing != SkipPairing::SharedOperators)
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

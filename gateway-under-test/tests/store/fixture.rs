//! What a store needs to be opened and asked: rules, names in turn, and a device that connects.

use std::sync::Arc;

use gateway_under_test::config::{AuthConfig, Secret};
use gateway_under_test::policy::{DeviceAttempt, Fresh, PairingEvent, Place, Rules};
use gateway_under_test::profile::{self, Profile, StoreKind};
use gateway_under_test::store::{Observer, StoreError};
use protocol::connect::AuthParams;
use serde_json::json;

/// Numbers what it makes up.
#[derive(Default)]
pub(crate) struct Counter(u32);

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

/// An observer that does not care.
pub(crate) struct Nobody;

impl Observer for Nobody {
    fn events(&self, _: Vec<PairingEvent>) {}

    fn committed(&self, _: usize, _: f64) {}

    fn failed(&self, _: &StoreError) {}
}

/// The rules of a profile, with a shared token.
pub(crate) fn rules_of(profile: &'static Profile) -> Arc<Rules> {
    Arc::new(Rules::of(profile, AuthConfig::Token(Secret::new("shared"))))
}

/// The rules of a profile whose store is of this kind.
pub(crate) fn rules(kind: StoreKind) -> Arc<Rules> {
    rules_of(profile::ALL.iter().copied().find(|profile| profile.store == kind).unwrap())
}

/// A device that asks to read, with the shared token.
pub(crate) fn attempt(rules: &Rules, device: &str, place: Place) -> DeviceAttempt {
    let auth = AuthParams { token: Some("shared".to_owned()), ..AuthParams::default() };
    attempt_by(rules, device, place, auth)
}

/// A device that asks to read.
pub(crate) fn attempt_by(rules: &Rules, device: &str, place: Place, auth: AuthParams) -> DeviceAttempt {
    let client = json!({"id": "cli", "version": "1", "platform": "linux", "mode": "cli"});
    let client = serde_json::from_value(client).unwrap();
    let mut attempt = DeviceAttempt::passed(rules, device, client, auth, place);
    attempt.scopes = vec!["operator.read".to_owned()];
    attempt
}

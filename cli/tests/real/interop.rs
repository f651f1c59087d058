//! A state directory goes from one gateway to the other and back.

use serde_json::{Value, json};

use crate::client::{Client, From, Who};
use crate::gateways::{Gateway, Whose};

const EVERY: [&str; 5] =
    ["operator.admin", "operator.approvals", "operator.pairing", "operator.read", "operator.write"];

/// What one release calls its things.
struct Release {
    version: &'static str,
    /// Key of `auth` that a device token goes into.
    token_key: &'static str,
    /// Role of the devices: 2026.2.22 lets operators with the shared secret in without pairing them.
    role: &'static str,
}

/// Devices of a story, and the credentials that they were given.
struct Story {
    release: Release,
    dir: tempfile::TempDir,
    admin: Who,
    first: Who,
    second: Who,
}

impl Story {
    fn new(release: Release) -> Self {
        let scopes: &[&str] = if release.role == "node" { &[] } else { &["operator.read"] };
        let device = |seed| Who::new(seed, release.role, scopes);
        Self {
            dir: tempfile::tempdir().unwrap(),
            admin: Who::new(1, "operator", &EVERY),
            first: device(2),
            second: device(3),
            release,
        }
    }

    fn start(&self, whose: Whose) -> Gateway {
        Gateway::start(whose, self.release.version, self.dir.path())
    }

    /// A device token as the release takes it.
    fn token(&self, auth: &Value) -> (&'static str, String) {
        (self.release.token_key, auth["deviceToken"].as_str().unwrap().to_owned())
    }

    /// Asks from elsewhere, and gives the id of the request.
    fn request(&self, gateway: &Gateway, who: &Who) -> String {
        let (_, answer) = Client::connect(gateway.address, From::Elsewhere, who);
        assert_eq!(answer["error"]["code"], "NOT_PAIRED", "{answer}");
        answer["error"]["details"]["requestId"].as_str().unwrap().to_owned()
    }

    fn operator(&self, gateway: &Gateway) -> Client {
        Client::session(gateway.address, From::Here, &self.admin).0
    }
}

/// Ids of what is listed, sorted.
fn ids(list: &Value, of: &str, key: &str) -> Vec<String> {
    let mut ids: Vec<String> =
        list[of].as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

/// `begins` pairs one device and leaves another's request; the other gateway must know both, approves the request and
/// makes a third; then the first gateway must know all of it.
fn there_and_back(release: Release, begins: Whose) {
    let goes_on = if begins == Whose::Real { Whose::Ours } else { Whose::Real };
    let story = Story::new(release);

    let gateway = story.start(begins);
    let mut operator = story.operator(&gateway);
    let request = story.request(&gateway, &story.first);
    operator.ask("device.pair.approve", json!({"requestId": request}));
    let (_, auth) = Client::session(gateway.address, From::Elsewhere, &story.first);
    let first = story.first.with(story.token(&auth));
    let waiting = story.request(&gateway, &story.second);
    gateway.stop();

    let gateway = story.start(goes_on);
    Client::session(gateway.address, From::Elsewhere, &first);
    assert_eq!(story.request(&gateway, &story.second), waiting, "the request has the same id");
    let mut operator = story.operator(&gateway);
    let list = operator.ask("device.pair.list", json!({}));
    assert_eq!(ids(&list, "pending", "requestId"), std::slice::from_ref(&waiting));
    assert!(ids(&list, "paired", "deviceId").contains(&first.device_id()), "{list}");
    operator.ask("device.pair.approve", json!({"requestId": waiting}));
    let (_, auth) = Client::session(gateway.address, From::Elsewhere, &story.second);
    let second = story.second.with(story.token(&auth));
    // Its token is void from now on.
    let role = story.release.role;
    operator.ask("device.token.revoke", json!({"deviceId": first.device_id(), "role": role}));
    let third = Who::new(4, "node", &[]);
    let waiting = story.request(&gateway, &third);
    gateway.stop();

    let gateway = story.start(begins);
    Client::session(gateway.address, From::Elsewhere, &second);
    let (_, answer) = Client::connect(gateway.address, From::Elsewhere, &first);
    assert_eq!(answer["ok"], false, "a revoked token: {answer}");
    assert_eq!(story.request(&gateway, &third), waiting, "the request has the same id");
    let mut operator = story.operator(&gateway);
    operator.ask("device.pair.remove", json!({"deviceId": second.device_id()}));
    let (_, answer) = Client::connect(gateway.address, From::Elsewhere, &second);
    assert_eq!(answer["ok"], false, "a removed device: {answer}");
    gateway.stop();
}

macro_rules! releases {
    ($($name:ident: $version:literal, $token_key:literal, $role:literal;)*) => {$(
        mod $name {
            use super::*;

            const fn release() -> Release {
                Release { version: $version, token_key: $token_key, role: $role }
            }

            #[test]
            fn ours_to_real_and_back() {
                there_and_back(release(), Whose::Ours);
            }

            #[test]
            fn real_to_ours_and_back() {
                there_and_back(release(), Whose::Real);
            }
        }
    )*};
}

releases! {
    v2026_2_19: "2026.2.19", "token", "operator";
    v2026_2_21: "2026.2.21", "token", "operator";
    v2026_2_22: "2026.2.22", "deviceToken", "node";
    v2026_3_13: "2026.3.13", "deviceToken", "operator";
    v2026_9_6: "2026.9.6", "deviceToken", "operator";
}

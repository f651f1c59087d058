//! What the gateway's decisions cost, without socket and store: from the request's head and the text of its parameters to a
//! session or a refusal. Each is measured whole, and once more without the check of the signature, which the defect
//! `accept-bad-signature` leaves out; everything else of the proof (key, id, clock, nonce) is in both.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use benches::numbered::Numbered;
use criterion::{Criterion, criterion_group, criterion_main};
use gateway_under_test::config::{AuthConfig, Secret};
use gateway_under_test::defect::Defect;
use gateway_under_test::policy::locality::{TrustedProxies, locate};
use gateway_under_test::policy::{
    DeviceAttempt, DeviceEntry, DeviceView, HttpFacts, RateLimiter, Rules, Screened, TokenEntry, admit,
    screen,
};
use gateway_under_test::profile;
use harness::client::{AuthKey, Credentials, DeviceKey, Scratch, Sender};
use harness::plan::{ConnectSpec, Credential, Deviation, NetworkPath, Persona};
use harness::vocabulary::persona;
use protocol::{Frame, ProfileName};

const NOW_MS: u64 = 1_795_414_435_593;
const TOKEN: &str = "secret-token-1";
const NONCE: &str = "21e7bad3-490e-4598-b503-d9e9b41f4c87";
const ORIGIN: &str = "https://ui.example.com";

/// Somebody who connects.
struct Case {
    name: &'static str,
    persona: Persona,
    remote: bool,
    paired: bool,
}

const CASES: [Case; 3] = [
    Case { name: "paired_operator", persona: Persona::Cli, remote: false, paired: true },
    Case { name: "not_paired", persona: Persona::Ios, remote: true, paired: false },
    Case { name: "proxied_browser", persona: Persona::ControlUi, remote: true, paired: true },
];

impl Case {
    fn http(&self) -> HttpFacts {
        let some = |text: &str| Some(text.to_owned());
        let peer = if self.remote { Ipv4Addr::new(127, 2, 0, 1) } else { Ipv4Addr::LOCALHOST };
        HttpFacts {
            host: some("127.0.0.1:18789"),
            origin: some(ORIGIN).filter(|_| self.persona == Persona::ControlUi),
            forwarded_for: some("203.0.113.7").filter(|_| self.remote),
            headers: vec![("host".to_owned(), "127.0.0.1:18789".to_owned())],
            ..HttpFacts::from_peer(IpAddr::V4(peer))
        }
    }

    /// The parameters that the client sends.
    fn params(&self, profile: ProfileName) -> String {
        let traits = persona::profile(self.persona, profile);
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let spec = ConnectSpec {
            persona: self.persona,
            role: Some("operator".to_owned()),
            scopes: Some(owned(&["operator.read", "operator.write"])),
            platform: traits.platform.to_owned(),
            device_family: traits.device_family.map(str::to_owned),
            credential: Credential::SharedToken,
            path: NetworkPath::Direct,
            origin: None,
            deviation: Deviation::None,
            signature: traits.signature,
        };
        let Ok(key) = DeviceKey::from_seed(&[7; 32]) else { unreachable!("any seed gives a key") };
        let credentials = Credentials { key: AuthKey::Token, value: TOKEN, is_device_token: false };
        let sender = Sender { spec: &spec, persona: traits, key: &key, credentials, template: None };
        let mut scratch = Scratch::default();
        assert!(sender.write_first_message(NONCE, NOW_MS, &mut scratch), "it says something");
        match Frame::decode(&scratch.message) {
            Ok(Frame::Request(request)) => request.params.map_or("", |params| params.get()).to_owned(),
            other => unreachable!("{other:?}"),
        }
    }
}

/// The entry of a device that asked for the same before.
fn entry(attempt: &DeviceAttempt) -> DeviceEntry {
    let mut entry = DeviceEntry {
        device_id: attempt.device_id.clone(),
        public_key: attempt.public_key.clone(),
        display_name: attempt.client.display_name.clone(),
        platform: Some(attempt.client.platform.clone()),
        device_family: attempt.client.device_family.clone(),
        client_id: Some(attempt.client.id.as_str().to_owned()),
        client_mode: Some(attempt.client.mode.as_str().to_owned()),
        role: Some(attempt.role.clone()),
        roles: Some(vec![attempt.role.clone()]),
        scopes: Some(attempt.scopes.clone()),
        approved_scopes: Some(attempt.scopes.clone()),
        remote_ip: attempt.kept_ip.map(|ip| ip.to_string()),
        created_at_ms: NOW_MS,
        approved_at_ms: NOW_MS,
        ..DeviceEntry::default()
    };
    let token = TokenEntry {
        token: format!("{:043}", 1),
        role: attempt.role.clone(),
        scopes: attempt.scopes.clone(),
        created_at_ms: NOW_MS,
        rotated_at_ms: None,
        revoked_at_ms: None,
        last_used_at_ms: None,
        more: serde_json::Map::new(),
    };
    entry.tokens.insert(attempt.role.clone(), token);
    entry
}

fn decisions(c: &mut Criterion) {
    for (profile, name) in [
        (&profile::ARTICLE, ProfileName::Article),
        (&profile::V2026_2_22, ProfileName::V2026_2_22),
        (&profile::V2026_3_13, ProfileName::V2026_3_13),
        (&profile::V2026_9_6, ProfileName::V2026_9_6),
    ] {
        let mut group = c.benchmark_group(format!("decision/{name}"));
        for case in &CASES {
            let (http, params) = (case.http(), case.params(name));
            for (kind, defect) in [("whole", None), ("without_signature", Some(Defect::AcceptBadSignature))] {
                let rules = Rules {
                    trusted_proxies: TrustedProxies::parse(profile, &["127.2.0.1".to_owned()]),
                    allowed_origins: vec![ORIGIN.to_owned()],
                    defect,
                    ..Rules::of(profile, AuthConfig::Token(Secret::new(TOKEN)))
                };
                let limiter = RateLimiter::new(rules.profile.rate_limit, None);
                let screened = |params: &str| {
                    let locality = locate(rules.profile, &rules.trusted_proxies, false, &http);
                    screen(&rules, &limiter, &http, locality, params, NONCE, NOW_MS)
                };
                let attempt = match screened(&params) {
                    Ok(Screened::Device(attempt)) => attempt,
                    other => unreachable!("{name}, {}: {other:?}", case.name),
                };
                let entry = case.paired.then(|| entry(&attempt));
                let view = DeviceView { entry: entry.as_ref(), ..DeviceView::default() };
                let mut fresh = Numbered::default();
                let admission = admit(&rules, &attempt, &view, NOW_MS, &mut fresh);
                // That release lets an operator with the shared secret in whom nobody approved (docs/reference/invariants.md).
                let let_in = case.paired || name == ProfileName::V2026_2_22;
                assert_eq!(admission.outcome.is_ok(), let_in, "{name}, {}", case.name);
                group.bench_function(format!("{}/{kind}", case.name), |b| {
                    b.iter(|| match screened(black_box(&params)) {
                        Ok(Screened::Device(attempt)) => {
                            Some(admit(&rules, &attempt, &view, NOW_MS, &mut fresh))
                        }
                        _ => None,
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(policy, decisions);
criterion_main!(policy);

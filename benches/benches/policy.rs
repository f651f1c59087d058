//! What the gateway's decisions cost, without socket and store.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use benches::recorded;
use criterion::{Criterion, criterion_group, criterion_main};
use gateway_under_test::config::{AuthConfig, Secret};
use gateway_under_test::policy::locality::{Locality, TrustedProxies};
use gateway_under_test::policy::{
    DeviceEntry, DeviceView, Fresh, HttpFacts, RateLimiter, Rules, Screened, admit, screen,
};
use gateway_under_test::profile;
use protocol::Frame;

const NOW_MS: u64 = 1_795_414_435_593;
const TOKEN: &str = "secret-token-1";
/// The challenge that the first recorded `connect` answers, at [`NOW_MS`].
const NONCE: &str = "21e7bad3-490e-4598-b503-d9e9b41f4c87";

fn rules() -> Rules {
    Rules {
        trusted_proxies: TrustedProxies::parse(&profile::ARTICLE, &["127.2.0.1".to_owned()]),
        ..Rules::of(&profile::ARTICLE, AuthConfig::Token(Secret::new(TOKEN)))
    }
}

fn remote() -> (HttpFacts, Locality) {
    let client = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
    let http = HttpFacts::from_peer(IpAddr::V4(Ipv4Addr::new(127, 2, 0, 1)));
    (http, Locality::direct(client, false))
}

struct Numbered(u64);

impl Fresh for Numbered {
    fn request_id(&mut self) -> String {
        self.0 += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.0)
    }

    fn token(&mut self) -> String {
        self.0 += 1;
        format!("{:043}", self.0)
    }
}

/// From the message to a device that proved its key: schema, origin, signature. Nearly all of it is the signature.
fn screening(c: &mut Criterion) {
    let rules = rules();
    let (http, locality) = remote();
    let limiter = RateLimiter::new(rules.profile.rate_limit, None);
    let Some(Ok(Frame::Request(request))) =
        recorded::frames(recorded::OLD, NONCE).map(|frame| Frame::decode(frame.as_bytes())).nth(1)
    else {
        unreachable!("the fixture begins with a challenge and its connect")
    };
    let params = request.params.map(|params| params.get()).unwrap_or_default();
    let screened = |rules: &Rules| screen(rules, &limiter, &http, locality, params, NONCE, NOW_MS);
    assert!(matches!(screened(&rules), Ok(Screened::Device(_))), "the recorded connect is a good one");
    c.bench_function("screen_with_device", |b| b.iter(|| screened(black_box(&rules))));
}

/// From a proved device to a verdict: credential, pairing, effects.
fn admission(c: &mut Criterion) {
    let rules = rules();
    let (http, locality) = remote();
    let limiter = RateLimiter::new(rules.profile.rate_limit, None);
    let params = recorded::frames(recorded::OLD, NONCE).nth(1).map(|frame| Frame::decode(frame.as_bytes()));
    let Some(Ok(Frame::Request(request))) = params else { unreachable!("a recorded connect") };
    let params = request.params.map(|params| params.get()).unwrap_or_default();
    let Ok(Screened::Device(attempt)) = screen(&rules, &limiter, &http, locality, params, NONCE, NOW_MS)
    else {
        unreachable!("the recorded connect is a good one")
    };
    let entry = DeviceEntry {
        device_id: attempt.device_id.clone(),
        public_key: attempt.public_key.clone(),
        platform: Some(attempt.client.platform.clone()),
        role: Some(attempt.role.clone()),
        roles: Some(vec![attempt.role.clone()]),
        scopes: Some(attempt.scopes.clone()),
        approved_scopes: Some(attempt.scopes.clone()),
        created_at_ms: NOW_MS,
        approved_at_ms: NOW_MS,
        ..DeviceEntry::default()
    };
    let mut fresh = Numbered(0);
    let mut group = c.benchmark_group("admit");
    for (name, view, accepted) in [
        ("paired", DeviceView { entry: Some(&entry), ..DeviceView::default() }, true),
        ("not_paired", DeviceView::default(), false),
    ] {
        let admitted = admit(&rules, &attempt, &view, NOW_MS, &mut fresh);
        assert_eq!(admitted.outcome.is_ok(), accepted, "{name}: {:?}", admitted.outcome);
        group.bench_function(name, |b| {
            b.iter(|| admit(&rules, black_box(&attempt), &view, NOW_MS, &mut fresh));
        });
    }
    group.finish();
}

criterion_group!(policy, screening, admission);
criterion_main!(policy);

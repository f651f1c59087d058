//! The gateway's side.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use gateway_under_test::config::{AuthConfig, Secret};
use gateway_under_test::defect::Defect;
use gateway_under_test::policy::locality::{Locality, TrustedProxies};
use gateway_under_test::policy::{
    DeviceAttempt, DeviceEntry, DeviceView, HttpFacts, RateLimiter, Rules, Screened, admit, screen,
};
use gateway_under_test::profile;
use protocol::Frame;

use super::Piece;
use crate::numbered::Numbered;
use crate::recorded;

const NOW_MS: u64 = 1_795_414_435_593;
/// The challenge that the first recorded `connect` answers, at [`NOW_MS`].
const NONCE: &str = "21e7bad3-490e-4598-b503-d9e9b41f4c87";

/// A gateway's rules, and a remote client of it.
struct Door {
    rules: Rules,
    limiter: RateLimiter,
    http: HttpFacts,
    locality: Locality,
    params: String,
}

impl Door {
    fn new() -> Self {
        let rules = Rules {
            // The signature is `sign`'s and the library's; it would hide what becomes of everything else.
            defect: Some(Defect::AcceptBadSignature),
            trusted_proxies: TrustedProxies::parse(&profile::ARTICLE, &["127.2.0.1".to_owned()]),
            ..Rules::of(&profile::ARTICLE, AuthConfig::Token(Secret::new("secret-token-1")))
        };
        let frame =
            recorded::frames(recorded::OLD, NONCE).nth(1).map(|frame| Frame::decode(frame.as_bytes()));
        let Some(Ok(Frame::Request(request))) = frame else {
            unreachable!("the fixture begins with a challenge and its connect")
        };
        Self {
            limiter: RateLimiter::new(rules.profile.rate_limit, None),
            rules,
            http: HttpFacts::from_peer(IpAddr::V4(Ipv4Addr::new(127, 2, 0, 1))),
            locality: Locality::direct(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)), false),
            params: request.params.map(|params| params.get().to_owned()).unwrap_or_default(),
        }
    }

    fn screened(&self) -> DeviceAttempt {
        let params = black_box(self.params.as_str());
        match screen(&self.rules, &self.limiter, &self.http, self.locality, params, NONCE, NOW_MS) {
            Ok(Screened::Device(attempt)) => *attempt,
            _ => unreachable!("the recorded connect is a good one"),
        }
    }
}

pub(super) fn screen_device() -> Piece {
    let door = Door::new();
    Box::new(move || {
        black_box(door.screened());
    })
}

pub(super) fn admit_paired() -> Piece {
    let door = Door::new();
    let attempt = door.screened();
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
    let mut fresh = Numbered::default();
    Box::new(move || {
        let view = DeviceView { entry: Some(&entry), ..DeviceView::default() };
        let admitted = admit(&door.rules, black_box(&attempt), &view, NOW_MS, &mut fresh);
        assert!(admitted.outcome.is_ok(), "a paired device is let in");
        black_box(admitted);
    })
}

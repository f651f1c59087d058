//! What one simulated client costs the generator: its key, its signature, and its share of a handshake without sockets.

use std::hint::black_box;

use benches::recorded;
use criterion::{Criterion, criterion_group, criterion_main};
use harness::client::{Credentials, DeviceKey, FirstMessage, Handshake, Sender, Step};
use harness::observation::{Outcome, Stamps};
use harness::plan::identity::Identities;
use harness::scenario;
use harness::vocabulary::persona;
use protocol::connect::AuthParams;

const SMOKE: &str = include_str!("../../scenarios/smoke.toml");
const NONCE: &str = "21e7bad3-490e-4598-b503-d9e9b41f4c87";
const NOW_MS: u64 = 1_795_414_435_593;

fn key() -> DeviceKey {
    DeviceKey::from_seed(&[7; 32]).unwrap_or_else(|error| unreachable!("{error}"))
}

fn keys(c: &mut Criterion) {
    let identities = Identities::reproducible(1);
    let key = key();
    let text =
        format!("v3|{}|cli|cli|operator|operator.read|{NOW_MS}|secret|{NONCE}|linux|", key.device_id());
    let mut group = c.benchmark_group("key");
    group.bench_function("derive", |b| {
        let mut index = 0;
        b.iter(|| {
            index += 1;
            DeviceKey::from_seed(&identities.key_seed("phones", index)).is_ok()
        });
    });
    group.bench_function("sign", |b| b.iter(|| key.sign(black_box(&text))));
    group.finish();
}

fn handshake(c: &mut Criterion) {
    let scenario = match scenario::parse("smoke.toml", SMOKE, &[]) {
        Ok(scenario) => scenario,
        Err(errors) => unreachable!("{errors:?}"),
    };
    let Some(phones) = scenario.cohorts.iter().find(|spec| spec.cohort.name == "phones") else {
        unreachable!("the smoke scenario has phones")
    };
    let spec = &phones.cohort.connect;
    let auth = AuthParams { token: Some("secret-token-1".to_owned()), ..AuthParams::default() };
    let key = key();
    let credentials = Credentials { auth: Some(auth), device_token_in: None };
    let sender = Sender {
        spec,
        persona: persona::profile(spec.persona, protocol::ProfileName::Article),
        key: &key,
        credentials: &credentials,
    };
    let Some(challenge) = recorded::frames(recorded::OLD, "connect.challenge").next() else {
        unreachable!("no challenge among the fixtures")
    };
    let Some(hello) = recorded::frames(recorded::OLD, r#""type":"hello-ok""#).max_by_key(|frame| frame.len())
    else {
        unreachable!("no hello-ok among the fixtures")
    };

    let mut group = c.benchmark_group("client");
    assert!(matches!(sender.first_message(NONCE, NOW_MS), FirstMessage::Text(_)));
    group.bench_function("first_message", |b| b.iter(|| sender.first_message(black_box(NONCE), NOW_MS)));

    let shake = || {
        let mut handshake = Handshake::new(sender, Stamps::default());
        let sent = handshake.on_message(challenge.as_bytes(), 1, NOW_MS);
        (sent, handshake.on_message(hello.as_bytes(), 2, NOW_MS))
    };
    assert!(matches!(shake(), (Step::Send(_), Step::Done(Outcome::Session(_)))));
    group.bench_function("handshake_without_sockets", |b| b.iter(shake));
    group.finish();
}

criterion_group!(client, keys, handshake);
criterion_main!(client);

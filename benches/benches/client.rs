//! What one simulated client costs the generator: its key, its signature, and its share of a handshake without sockets.

use std::hint::black_box;

use benches::recorded;
use criterion::{Criterion, criterion_group, criterion_main};
use harness::client::{AuthKey, Credentials, DeviceKey, Handshake, Scratch, Sender, Step, Template, hello};
use harness::observation::Stamps;
use harness::plan::identity::Identities;
use harness::scenario;
use harness::vocabulary::persona;

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
    let traits = persona::profile(spec.persona, protocol::ProfileName::Article);
    let key = key();
    let credentials = Credentials { key: AuthKey::Token, value: "secret-token-1", is_device_token: false };
    let template = Template::new(spec, traits, AuthKey::Token);
    let sender = Sender { spec, persona: traits, key: &key, credentials, template: template.as_ref() };
    let anew = Sender { template: None, ..sender };
    let Some(challenge) = recorded::frames(recorded::OLD, "connect.challenge").next() else {
        unreachable!("no challenge among the fixtures")
    };
    let Some(hello) = recorded::frames(recorded::OLD, r#""type":"hello-ok""#).max_by_key(|frame| frame.len())
    else {
        unreachable!("no hello-ok among the fixtures")
    };

    let mut group = c.benchmark_group("client");
    let mut scratch = Scratch::default();
    let mut say = |sender: &Sender<'_>| {
        scratch.message.clear();
        sender.write_first_message(black_box(NONCE), NOW_MS, &mut scratch)
    };
    assert!(say(&sender) && say(&anew));
    group.bench_function("first_message", |b| b.iter(|| say(&sender)));
    group.bench_function("first_message_serialised_anew", |b| b.iter(|| say(&anew)));

    // Recorders number their requests; a client's first is number 1.
    let Some((_, rest)) = hello.split_once(r#","ok":true"#) else {
        unreachable!("a hello-ok is an acceptance")
    };
    let hello = format!(r#"{{"type":"res","id":"1","ok":true{rest}"#);
    assert!(hello::scan(hello.as_bytes()).is_some());
    let mut scratch = Scratch::default();
    let mut shake = || {
        let mut handshake = Handshake::new(Stamps::default());
        let asked = handshake.on_message(&sender, challenge.as_bytes(), 1, NOW_MS, &mut scratch);
        let sent = matches!(asked, Step::Send);
        let answered = handshake.on_message(&sender, hello.as_bytes(), 2, NOW_MS, &mut scratch);
        sent && matches!(answered, Step::Session(_))
    };
    assert!(shake());
    group.bench_function("handshake_without_sockets", |b| b.iter(&mut shake));
    group.bench_function("hello_scanned", |b| b.iter(|| hello::scan(black_box(hello.as_bytes())).is_some()));
    group.finish();
}

criterion_group!(client, keys, handshake);
criterion_main!(client);

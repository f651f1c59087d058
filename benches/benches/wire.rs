//! What one message costs: decoding, encoding, and the text that a device signs. Recorded frames, not made-up ones.

use std::hint::black_box;

use benches::recorded::{NEW, OLD, frames};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::{Frame, PayloadVersion, SignaturePayload, device_id};

fn decode(c: &mut Criterion) {
    let hellos = |recorded| frames(recorded, r#""type":"hello-ok""#);
    let cases = [
        ("challenge", frames(OLD, "connect.challenge").next()),
        ("pairing_required", frames(OLD, r#""message":"pairing required""#).next()),
        ("connect", frames(OLD, r#""method":"connect""#).next()),
        ("hello_shortened", hellos(NEW).min_by_key(|frame| frame.len())),
        ("hello_of_2026_2_19", hellos(OLD).max_by_key(|frame| frame.len())),
        ("hello_of_2026_9_6", hellos(NEW).max_by_key(|frame| frame.len())),
    ];
    let mut group = c.benchmark_group("decode");
    for (name, frame) in cases {
        let Some(frame) = frame else { unreachable!("{name} is not among the fixtures") };
        assert!(Frame::decode(frame.as_bytes()).is_ok(), "{name}: {frame}");
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group.bench_function(name, |b| b.iter(|| Frame::decode(black_box(frame.as_bytes())).is_ok()));
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let hello = frames(NEW, r#""type":"hello-ok""#).max_by_key(|frame| frame.len()).unwrap_or_default();
    let Ok(frame) = Frame::decode(hello.as_bytes()) else { unreachable!("a fixture is no frame") };
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Bytes(hello.len() as u64));
    group.bench_function("hello_of_2026_9_6", |b| b.iter(|| black_box(&frame).encode()));
    group.finish();
}

fn signed_text(c: &mut Criterion) {
    let scopes = protocol::scope::ALL.map(str::to_owned);
    let id = device_id(&[7; 32]);
    let payload = SignaturePayload {
        device_id: &id,
        client_id: "openclaw-ios",
        client_mode: "node",
        role: protocol::scope::ROLE_OPERATOR,
        scopes: &scopes,
        signed_at_ms: 1_795_414_435_593,
        token: "pQ3V0vJm1G4zFvYp4nq0bS4uWm7kXy0Qm2cT9aR8sLs",
        nonce: "21e7bad3-490e-4598-b503-d9e9b41f4c87",
        platform: "iOS 26.1",
        device_family: "iPhone",
    };
    let mut group = c.benchmark_group("signed_text");
    group.bench_function("v2", |b| b.iter(|| black_box(&payload).text(PayloadVersion::V2)));
    group.bench_function("v3", |b| b.iter(|| black_box(&payload).text(PayloadVersion::V3)));
    group.bench_function("device_id", |b| b.iter(|| device_id(black_box(&[7; 32]))));
    group.finish();
}

criterion_group!(wire, decode, encode, signed_text);
criterion_main!(wire);

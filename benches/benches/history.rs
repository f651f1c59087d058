//! What the history costs: an attempt into a lane, borrowed and owned, and a record read back; bytes a record are printed.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench: it may stop, and prints the sizes that it measures"
)]

use std::hint::black_box;
use std::io;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use harness::engine::Feed;
use harness::history::format;
use harness::history::writer::Sink;
use harness::history::{
    AttemptRef, CloseRef, End, GrantAuthRef, GrantRef, Header, OutcomeRef, Reader, Record, RefusalRef,
};
use harness::observation::{Fingerprint, Stamps};

/// A disk that costs nothing: what is measured is the lane.
struct Nothing;

impl Sink for Nothing {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        black_box(bytes);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn header() -> Header {
    Header {
        scenario: "bench".to_owned(),
        scenario_sha256: "0".repeat(64),
        seed: 1,
        clients: 1_000_000,
        started_at: 1_795_000_000_000_000_000,
        pairstorm: "0.1.0".to_owned(),
    }
}

/// Half an hour into a run, with the phases of a handshake on loopback.
fn attempt(outcome: OutcomeRef<'_>, closed: bool) -> AttemptRef<'_> {
    const START: u64 = 1_800_000_000_000;
    AttemptRef {
        client: 700_000,
        attempt: 1,
        ask: 0,
        step: None,
        intended: START,
        stamps: Stamps {
            started: Some(START + 40_000),
            dialled: Some(START + 130_000),
            upgraded: Some(START + 400_000),
            challenged: Some(START + 420_000),
            sent: Some(START + 450_000),
            answered: Some(START + 1_200_000),
            ended: closed.then_some(START + 1_300_000),
        },
        presented_token: Some(Fingerprint(0x1234_5678_9abc_def0)),
        outcome,
    }
}

const SESSION: OutcomeRef<'_> = OutcomeRef::Session(GrantRef {
    protocol: 3,
    auth: Some(GrantAuthRef {
        role: "operator",
        scopes: &["operator.admin", "operator.approvals", "operator.pairing"],
        token: Some(Fingerprint(0xfedc_ba98_7654_3210)),
    }),
});

const REFUSAL: OutcomeRef<'_> = OutcomeRef::Refused(RefusalRef {
    code: "NOT_PAIRED",
    message: "pairing required",
    detail_code: Some("PAIRING_REQUIRED"),
    reason: Some("not-paired"),
    auth_reason: None,
    next_step: None,
    request_id: Some("0b3f4c2e-7a4e-4d8b-9b7e-0d2a5f6c7e81"),
    close: Some(CloseRef::Frame {
        code: 1008,
        reason: "pairing required (requestId: 0b3f4c2e-7a4e-4d8b-9b7e-0d2a5f6c7e81)",
    }),
});

fn push(c: &mut Criterion) {
    let mut group = c.benchmark_group("history_push");
    group.throughput(Throughput::Elements(1));
    for (name, view) in [("session", attempt(SESSION, false)), ("refusal", attempt(REFUSAL, true))] {
        let mut bytes = Vec::new();
        format::append_attempt(&mut bytes, &view, None).expect("a frame");
        println!("{name}: {} bytes a record", bytes.len());
        let (feed, outlet) = Feed::new();
        let writer = outlet.start(Nothing, &header()).expect("a writer");
        let lane = feed.lane();
        group.bench_function(format!("{name}_borrowed"), |b| b.iter(|| lane.attempt(black_box(&view))));
        let owned = Record::Attempt(view.to_observation());
        group.bench_function(format!("{name}_owned"), |b| b.iter(|| lane.push(black_box(&owned))));
        drop(lane);
        let written = writer.finish(0);
        println!("{name}: {} waits in {} records", written.backpressure.waits, written.records);
    }
    group.finish();
}

fn read(c: &mut Criterion) {
    const RECORDS: u64 = 10_000;
    let mut group = c.benchmark_group("history_read");
    group.throughput(Throughput::Elements(RECORDS));
    for (name, view) in [("session", attempt(SESSION, false)), ("refusal", attempt(REFUSAL, true))] {
        let mut bytes = Vec::new();
        format::append_header(&mut bytes, &header()).expect("a header");
        for _ in 0..RECORDS {
            format::append_attempt(&mut bytes, &view, None).expect("a frame");
        }
        let end = End { ended: 0, records: RECORDS, waits: 0, waited: 0 };
        format::append_end(&mut bytes, &end).expect("an end");
        group.bench_function(name, |b| {
            b.iter(|| {
                let reader = Reader::new(black_box(bytes.as_slice()), Path::new("bench")).expect("a history");
                assert_eq!(reader.count() as u64, RECORDS);
            });
        });
    }
    group.finish();
}

criterion_group!(history, push, read);
criterion_main!(history);

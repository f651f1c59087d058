//! What figures cost: one value into a histogram, a shard of a run into its figures, and the result of them.

use std::hint::black_box;

use benches::story;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use harness::history::History;
use harness::observation::Outcome;
use harness::oracle::{Judgement, Mismatch, MismatchKind, Verdict, judge};
use harness::plan::identity::Identities;
use harness::record::histogram::LatencyHistogram;
use harness::record::{RunFacts, Tally};

/// Attempts of a shard: half of what a history on disk is cut into, because no more clients fit behind the one proxy of the
/// story.
const ATTEMPTS: u32 = 25_000;

/// The sessions of a story without what came before them; latencies differ from client to client.
fn sessions(clients: u32) -> History {
    let mut history = story::history(clients);
    history.operations.clear();
    history.attempts.retain(|attempt| matches!(attempt.outcome, Outcome::Session(_)));
    for attempt in &mut history.attempts {
        let spread = u64::from(attempt.client.wrapping_mul(2_654_435_761) >> 12);
        attempt.stamps.started = Some(attempt.intended + spread / 100);
        attempt.stamps.answered = attempt.stamps.answered.map(|answered| answered + spread);
    }
    history
}

fn histogram(c: &mut Criterion) {
    let mut group = c.benchmark_group("histogram");
    group.bench_function("record", |b| {
        let mut series = LatencyHistogram::default();
        let mut nanos = 1_u64;
        b.iter(|| {
            // A spread of latencies from microseconds to seconds, without a generator in the way.
            nanos = nanos.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            series.record(black_box(nanos >> 34));
        });
    });
    let mut other = LatencyHistogram::default();
    (0..10_000_u64).for_each(|i| other.record(i * 100_000));
    group.bench_function("merge", |b| {
        let mut series = LatencyHistogram::default();
        b.iter(|| series.merge(black_box(&other)));
    });
    group.finish();
}

/// A shard of a run of a million attempts: what adding it costs an attempt, and what the result of all costs once.
fn tally(c: &mut Criterion) {
    let mut group = c.benchmark_group("tally");
    let plan = story::plan(ATTEMPTS);
    let expected = |class: &str| Verdict::Match { expected: class.to_owned() };
    let wrong = |client: u32| {
        Verdict::Mismatch(Mismatch {
            kind: MismatchKind::FalseAccept,
            expected: vec!["not-paired".to_owned()],
            observed: "session".to_owned(),
            why: format!("request of client {client} was never approved"),
        })
    };
    let sessions = sessions(ATTEMPTS);
    let matches = vec![expected("session"); sessions.attempts.len()];
    // One in ten thousand, and everything.
    let some =
        (0..ATTEMPTS).map(|client| if client % 10_000 == 0 { wrong(client) } else { expected("session") });
    let all = (0..ATTEMPTS).map(wrong);
    let approved = story::history(ATTEMPTS / 2);
    let judged = judge(&plan, &Identities::reproducible(plan.seed), &approved);
    let of = |attempts| Judgement { attempts, ..Judgement::default() };
    group.throughput(Throughput::Elements(u64::from(ATTEMPTS)));
    for (name, history, judgement) in [
        ("add_sessions", &sessions, of(matches)),
        ("add_sessions_few_wrong", &sessions, of(some.collect())),
        ("add_sessions_all_wrong", &sessions, of(all.collect())),
        ("add_refused_approved_sessions", &approved, judged),
    ] {
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                || Tally::new(&plan),
                |tally| tally.add(black_box(history), &judgement),
                BatchSize::PerIteration,
            );
        });
    }
    let mut whole = Tally::new(&plan);
    whole.add(&sessions, &of(vec![expected("session"); sessions.attempts.len()]));
    group.throughput(Throughput::Elements(1));
    group.bench_function("finish", |b| b.iter(|| black_box(&whole).finish(&RunFacts::default())));
    group.finish();
}

criterion_group!(recorder, histogram, tally);
criterion_main!(recorder);

//! What figures cost: one value into a histogram, and a whole history into a result.

mod story;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use harness::oracle::judge;
use harness::plan::identity::Identities;
use harness::record::histogram::LatencyHistogram;
use harness::record::{RunFacts, Tally};

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

fn result(c: &mut Criterion) {
    let mut group = c.benchmark_group("result");
    for clients in [100, 10_000] {
        let plan = story::plan(clients);
        let history = story::history(clients);
        let judgement = judge(&plan, &Identities::reproducible(plan.seed), &history);
        let facts = RunFacts::default();
        group.throughput(Throughput::Elements(history.attempts.len() as u64));
        group.bench_function(format!("{clients}_clients"), |b| {
            b.iter(|| {
                let mut tally = Tally::new(&plan);
                tally.add(black_box(&history), &judgement);
                tally.finish(&facts)
            });
        });
    }
    group.finish();
}

criterion_group!(recorder, histogram, result);
criterion_main!(recorder);

//! What it costs to get from a scenario file to a plan.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use harness::plan::{Overrides, unfold};
use harness::scenario;

const SMOKE: &str = include_str!("../../scenarios/smoke.toml");

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("scenario");
    group.throughput(Throughput::Bytes(SMOKE.len() as u64));
    group.bench_function("parse_smoke", |b| {
        b.iter(|| scenario::parse("smoke.toml", black_box(SMOKE), &[]).is_ok());
    });
    group.finish();
}

fn unfolding(c: &mut Criterion) {
    let scenario = match scenario::parse("smoke.toml", SMOKE, &[]) {
        Ok(scenario) => scenario,
        Err(errors) => unreachable!("{errors:?}"),
    };
    let mut group = c.benchmark_group("unfold_smoke");
    for clients in [2_000_u64, 20_000] {
        let overrides = Overrides { clients: Some(clients), ..Overrides::default() };
        match unfold(&scenario, &overrides) {
            Ok(plan) => assert_eq!(plan.clients.len() as u64, clients),
            Err(errors) => unreachable!("{errors:?}"),
        }
        group.throughput(Throughput::Elements(clients));
        group.bench_function(clients.to_string(), |b| b.iter(|| unfold(black_box(&scenario), &overrides)));
    }
    group.finish();
}

criterion_group!(plan, parse, unfolding);
criterion_main!(plan);

//! What verdicts cost an attempt: regulars that come back and back, one that never stops, a mix of refusals, approvals
//! and restarts, and the survey of a release that counts by address.

mod lives;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use harness::history::History;
use harness::oracle::{Oracle, Verdict};
use harness::plan::Plan;
use harness::plan::identity::Identities;

fn judge(c: &mut Criterion) {
    let runs = [
        ("1_client_100_attempts", lives::regulars("article", 1, 100)),
        ("10k_clients_10_attempts", lives::regulars("article", 10_000, 10)),
        ("10k_clients_10_attempts_2026.9.6", lives::regulars("2026.9.6", 10_000, 10)),
        ("1_client_100k_attempts", lives::regulars("article", 1, 100_000)),
        ("mix_of_10k_clients", lives::mix(2_500)),
    ];
    let mut group = c.benchmark_group("judge");
    group.sample_size(20);
    for (name, (plan, history)) in &runs {
        let oracle = oracle(plan, history);
        group.throughput(Throughput::Elements(history.attempts.len() as u64));
        group.bench_function(*name, |b| b.iter(|| oracle.judge(black_box(history))));
    }
    group.finish();
}

/// The oracle of a plan that finds nothing wrong with this history: one that does would be measured looking for words.
fn oracle<'p>(plan: &'p Plan, history: &History) -> Oracle<'p> {
    let oracle = Oracle::new(plan, &Identities::reproducible(plan.seed));
    let judgement = oracle.judge(history);
    let wrong =
        judgement.attempts.iter().zip(&history.attempts).find(|it| !matches!(it.0, Verdict::Match { .. }));
    if let Some(wrong) = wrong {
        unreachable!("{wrong:?}");
    }
    oracle
}

criterion_group!(benches, judge);
criterion_main!(benches);

//! What verdicts cost: a refusal, an approval and a session for each client, judged over the whole run.

mod story;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use harness::oracle::{Oracle, Verdict};
use harness::plan::identity::Identities;

fn judge(c: &mut Criterion) {
    let mut group = c.benchmark_group("judge");
    for clients in [100, 10_000] {
        let plan = story::plan(clients);
        let history = story::history(clients);
        let oracle = Oracle::new(&plan, &Identities::reproducible(plan.seed));
        // A history that the oracle finds fault with would measure the search for an explanation.
        let judgement = oracle.judge(&history);
        if let Some(other) =
            judgement.attempts.iter().find(|verdict| !matches!(verdict, Verdict::Match { .. }))
        {
            unreachable!("{other:?}");
        }
        group.throughput(Throughput::Elements(history.attempts.len() as u64));
        group.bench_function(format!("{clients}_clients"), |b| b.iter(|| oracle.judge(black_box(&history))));
    }
    group.finish();
}

criterion_group!(oracle, judge);
criterion_main!(oracle);

//! When clients arrive.

use std::time::Duration;

use rand::RngExt as _;
use rand_distr::Exp1;

use super::{Nanos, stream};
use crate::scenario::{Arrivals, ramp_time};

const NANOS_PER_SECOND: f64 = 1e9;

/// Intended starts of `count` clients of a cohort that the scenario gives `scripted` clients; never decreasing.
///
/// Rates, burst sizes and concurrency grow with `count / scripted`, so the time line stays where it is. For closed
/// arrivals the times are the earliest ones.
pub(super) fn times(arrivals: &Arrivals, cohort: &str, seed: u64, scripted: u32, count: u32) -> Vec<Nanos> {
    let factor = f64::from(count) / f64::from(scripted.max(1));
    match arrivals {
        Arrivals::Constant { rate, start } => {
            let rate = rate * factor;
            (0..count).map(|index| after(*start, f64::from(index) / rate)).collect()
        }
        Arrivals::Ramp { from, to, over, start } => {
            let (from, to) = (from * factor, to * factor);
            (0..count)
                // A ramp that never gets there was refused by the scenario; its time line would end here.
                .map_while(|index| ramp_time(from, to, *over, count, f64::from(index)))
                .map(|seconds| after(*start, seconds))
                .collect()
        }
        Arrivals::Poisson { rate, start } => {
            let rate = rate * factor;
            let mut seconds = 0.0;
            (0..count)
                .map(|index| {
                    // Each client draws its own gap, so more clients only append to the line.
                    let gap: f64 = stream(seed, "arrival", cohort, index).sample(Exp1);
                    seconds += gap / rate;
                    after(*start, seconds)
                })
                .collect()
        }
        Arrivals::Burst { at, repeat } => (0..count)
            .map(|index| match repeat {
                None => after(*at, 0.0),
                Some(repeat) => {
                    let size = (f64::from(repeat.size) * factor).round().max(1.0);
                    let bursts_before = (f64::from(index) / size).floor();
                    after(*at, bursts_before * repeat.every.as_secs_f64())
                }
            })
            .collect(),
        Arrivals::Closed { start, .. } => vec![after(*start, 0.0); count as usize],
        // Whatever the steps say; nobody is early.
        Arrivals::Steps => vec![0; count as usize],
    }
}

fn after(start: Duration, seconds: f64) -> Nanos {
    let start = u64::try_from(start.as_nanos()).unwrap_or(u64::MAX);
    // A float that is too large becomes the largest integer, never a wrong one.
    start.saturating_add((seconds * NANOS_PER_SECOND).round() as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::DurationRange;
    use crate::scenario::BurstRepeat;

    fn any_arrivals() -> impl Strategy<Value = Arrivals> {
        let start = (0_u64..5_000).prop_map(Duration::from_millis);
        let rate = 0.1_f64..1_000.0;
        prop_oneof![
            (rate.clone(), start.clone()).prop_map(|(rate, start)| Arrivals::Constant { rate, start }),
            (rate.clone(), start.clone()).prop_map(|(rate, start)| Arrivals::Poisson { rate, start }),
            (0.0_f64..100.0, rate, proptest::option::of(1_u64..60), start.clone()).prop_map(
                |(from, to, over, start)| Arrivals::Ramp {
                    from,
                    to,
                    over: over.map(Duration::from_secs),
                    start
                }
            ),
            (start.clone(), proptest::option::of((1_u32..50, 1_u64..5_000))).prop_map(|(at, repeat)| {
                let repeat =
                    repeat.map(|(size, every)| BurstRepeat { size, every: Duration::from_millis(every) });
                Arrivals::Burst { at, repeat }
            }),
            start.prop_map(|start| Arrivals::Closed {
                concurrency: 3,
                think: DurationRange { min: Duration::ZERO, max: Duration::ZERO },
                start,
            }),
        ]
    }

    proptest! {
        #[test]
        fn everyone_arrives_in_order_and_the_same_every_time(
            arrivals in any_arrivals(), seed in any::<u64>(), count in 1_u32..400,
        ) {
            let line = times(&arrivals, "tabs", seed, count, count);
            prop_assert_eq!(line.len(), count as usize);
            prop_assert!(line.is_sorted());
            prop_assert_eq!(&line, &times(&arrivals, "tabs", seed, count, count));
            // What the scenario was checked against is what happens (Poisson: on average only).
            if let (false, Some(last)) = (matches!(arrivals, Arrivals::Poisson { .. }), arrivals.last_arrival(count)) {
                let happened = Duration::from_nanos(line[line.len() - 1]);
                prop_assert!(happened.abs_diff(last) < Duration::from_millis(1), "{happened:?} {last:?}");
            }
        }

        #[test]
        fn more_clients_leave_the_time_line_where_it_is(
            arrivals in any_arrivals(), scripted in 40_u32..200, factor in 2_u32..5,
        ) {
            if !matches!(arrivals, Arrivals::Poisson { .. }) {
                let small = times(&arrivals, "tabs", 1, scripted, scripted);
                let large = times(&arrivals, "tabs", 1, scripted, scripted * factor);
                let end = |line: &[Nanos]| Duration::from_nanos(line[line.len() - 1]).as_secs_f64();
                // A line of n arrivals has n - 1 gaps, so the ends differ by one of them at most.
                let gap = end(&small) / f64::from(scripted) * 2.0 + 1e-6;
                let ramp_tail = matches!(arrivals, Arrivals::Ramp { .. });
                prop_assert!(
                    (end(&small) - end(&large)).abs() <= gap || ramp_tail,
                    "{} {}", end(&small), end(&large)
                );
            }
        }
    }

    #[test]
    fn a_constant_rate_is_exact() {
        let line = times(&Arrivals::Constant { rate: 4.0, start: Duration::from_secs(1) }, "a", 1, 5, 5);
        assert_eq!(line, [1_000_000_000, 1_250_000_000, 1_500_000_000, 1_750_000_000, 2_000_000_000]);
    }

    #[test]
    fn poisson_gaps_have_the_rate_asked_for() {
        let count = 20_000;
        let arrivals = Arrivals::Poisson { rate: 100.0, start: Duration::ZERO };
        let line = times(&arrivals, "a", 7, count, count);
        let seconds = line[line.len() - 1] as f64 / NANOS_PER_SECOND;
        // The mean of 20 000 exponential gaps has a standard deviation of 0.7 %.
        assert!((194.0..206.0).contains(&seconds), "{seconds}");
        let above_mean = line.windows(2).filter(|pair| pair[1] - pair[0] > 10_000_000).count() as f64;
        // 1/e of exponential gaps exceed their mean; evenly spaced ones would give 0 or 1.
        assert!((0.35..0.39).contains(&(above_mean / f64::from(count))), "{above_mean}");
    }

    #[test]
    fn bursts_come_in_their_size() {
        let repeat = Some(BurstRepeat { size: 2, every: Duration::from_secs(1) });
        let arrivals = Arrivals::Burst { at: Duration::from_secs(3), repeat };
        let seconds = |scripted, count| -> Vec<u64> {
            times(&arrivals, "a", 1, scripted, count).iter().map(|nanos| nanos / 1_000_000_000).collect()
        };
        assert_eq!(seconds(5, 5), [3, 3, 4, 4, 5]);
        assert_eq!(seconds(5, 10), [3, 3, 3, 3, 4, 4, 4, 4, 5, 5]);
    }
}

//! When clients arrive.

use std::time::Duration;

use rand::RngExt as _;
use rand_distr::Exp1;

use super::{Nanos, stream};
use crate::scenario::{Arrivals, HerdRepeat};

const NANOS_PER_SECOND: f64 = 1e9;

/// Intended starts of `count` clients of a cohort that the scenario gives `scripted` clients; never decreasing.
///
/// Rates, sizes of herds and concurrency grow with `count / scripted`, and each arrival of a list stands for as many
/// clients, so the time line stays where it is. For closed arrivals the times are the earliest ones. The line is shorter than
/// `count` when the rate falls to 0 before all have arrived.
pub(super) fn times(arrivals: &Arrivals, cohort: &str, seed: u64, scripted: u32, count: u32) -> Vec<Nanos> {
    let factor = f64::from(count) / f64::from(scripted.max(1));
    if let Some((start, pace)) = arrivals.pace(scripted) {
        // The scenario was refused if its own clients never all arrive. More of them may still not: that is for the caller.
        return pace.times_faster(factor).arrivals(count).map(|seconds| after(start, seconds)).collect();
    }
    match arrivals {
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
        Arrivals::Herd { at, within, repeat } => {
            let herds_before = |index| repeat.map_or(0.0, |repeat| herds_before(repeat, factor, index));
            let every = repeat.map_or(0.0, |repeat| repeat.every.as_secs_f64());
            let mut times: Vec<Nanos> = (0..count)
                .map(|index| {
                    let drawn: f64 =
                        if within.is_zero() { 0.0 } else { stream(seed, "arrival", cohort, index).random() };
                    after(*at, herds_before(index) * every + drawn * within.as_secs_f64())
                })
                .collect();
            // Within a herd they come in no order; herds do not overlap.
            times.sort_unstable();
            times
        }
        Arrivals::Replay { times, start } => {
            let start = after(*start, 0.0);
            let listed = |index: u32| u64::from(index) * u64::from(scripted) / u64::from(count);
            let place = |index| usize::try_from(listed(index)).ok().and_then(|place| times.get(place));
            // A list that is too short was refused by the scenario; its time line would end here.
            (0..count).map_while(place).map(|time| start.saturating_add(*time)).collect()
        }
        Arrivals::Closed { start, .. } => vec![after(*start, 0.0); count as usize],
        // Whatever the steps say; nobody is early.
        _ => vec![0; count as usize],
    }
}

/// Herds that are over or under way when client `index` comes, but for its own.
fn herds_before(repeat: HerdRepeat, factor: f64, index: u32) -> f64 {
    let size = (f64::from(repeat.size) * factor).round().max(1.0);
    (f64::from(index) / size).floor()
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

    /// Rounding of a time that was added up from many.
    const SLACK: Duration = Duration::from_millis(1);

    fn any_arrivals() -> impl Strategy<Value = Arrivals> {
        let start = (0_u64..5_000).prop_map(Duration::from_millis);
        let rate = 0.1_f64..1_000.0;
        prop_oneof![
            (rate.clone(), start.clone()).prop_map(|(rate, start)| Arrivals::Constant { rate, start }),
            (rate.clone(), start.clone()).prop_map(|(rate, start)| Arrivals::Poisson { rate, start }),
            (0.0_f64..100.0, rate.clone(), proptest::option::of(1_u64..60), start.clone()).prop_map(
                |(from, to, over, start)| Arrivals::Ramp {
                    from,
                    to,
                    over: over.map(Duration::from_secs),
                    start
                }
            ),
            (0.0_f64..100.0, rate.clone(), 0.5_f64..50.0, 100_u64..20_000, start.clone()).prop_map(
                |(from, to, step, every, start)| Arrivals::Stairs {
                    from,
                    to,
                    step,
                    every: Duration::from_millis(every),
                    start
                }
            ),
            (rate, 0.0_f64..1_000.0, 0_u64..20_000, 1_u64..20_000, start.clone()).prop_map(
                |(base, peak, after, lasts, start)| Arrivals::Spike {
                    base,
                    peak,
                    at: start + Duration::from_millis(after),
                    lasts: Duration::from_millis(lasts),
                    start
                }
            ),
            (start.clone(), 0_u64..2_000, proptest::option::of((1_u32..50, 2_000_u64..5_000))).prop_map(
                |(at, within, repeat)| {
                    let repeat =
                        repeat.map(|(size, every)| HerdRepeat { size, every: Duration::from_millis(every) });
                    Arrivals::Herd { at, within: Duration::from_millis(within), repeat }
                }
            ),
            (proptest::collection::vec(0_u64..20_000_000_000, 400), start.clone()).prop_map(
                |(mut times, start)| {
                    times.sort_unstable();
                    Arrivals::Replay { times: times.into(), start }
                }
            ),
            start.prop_map(|start| Arrivals::Closed {
                concurrency: 3,
                think: DurationRange { min: Duration::ZERO, max: Duration::ZERO },
                start,
            }),
        ]
    }

    /// Shapes whose rate is 0 in the end, so that not any number of clients arrives.
    fn falling_to_nothing() -> impl Strategy<Value = Arrivals> {
        let rate = || 10.0_f64..100.0;
        let millis = |from: u64, to: u64| (from..to).prop_map(Duration::from_millis);
        prop_oneof![
            (rate(), proptest::option::of(millis(500, 20_000)), millis(0, 5_000))
                .prop_map(|(from, over, start)| Arrivals::Ramp { from, to: 0.0, over, start }),
            (rate(), 0.5_f64..50.0, millis(500, 2_000), millis(0, 5_000)).prop_map(
                |(from, step, every, start)| Arrivals::Stairs { from, to: 0.0, step, every, start }
            ),
            (rate(), millis(0, 2_000), millis(500, 20_000)).prop_map(|(peak, at, lasts)| Arrivals::Spike {
                base: 0.0,
                peak,
                at,
                lasts,
                start: Duration::ZERO
            }),
        ]
    }

    /// `count`, or all that arrive in whole: of 2.1 clients two, of which any factor makes as many. Of the third, which
    /// only begins to, it does not.
    fn whole_clients(arrivals: &Arrivals, count: u32) -> u32 {
        let Some((_, pace)) = arrivals.pace(count) else { return count };
        u32::try_from(pace.arrivals(count + 1).count()).unwrap() - 1
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
            // What the scenario was checked against is what happens: Poisson on average only, a herd at the latest.
            let last = arrivals.last_arrival(count).filter(|_| !matches!(arrivals, Arrivals::Poisson { .. }));
            if let Some(last) = last {
                let happened = Duration::from_nanos(line[line.len() - 1]);
                let early = if let Arrivals::Herd { within, .. } = arrivals { within } else { Duration::ZERO };
                prop_assert!(
                    happened <= last + SLACK && happened + early + SLACK >= last,
                    "{happened:?} {last:?}"
                );
            }
        }

        #[test]
        fn the_shape_of_a_list_is_its_own(
            mut times_in in proptest::collection::vec(0_u64..20_000_000_000, 1..300), factor in 1_u32..5,
        ) {
            times_in.sort_unstable();
            let listed = u32::try_from(times_in.len()).unwrap();
            let arrivals = Arrivals::Replay { times: times_in.clone().into(), start: Duration::ZERO };
            prop_assert_eq!(&times(&arrivals, "tabs", 1, listed, listed), &times_in);
            let each: Vec<Nanos> =
                times_in.iter().flat_map(|time| std::iter::repeat_n(*time, factor as usize)).collect();
            prop_assert_eq!(times(&arrivals, "tabs", 1, listed, listed * factor), each);
        }

        #[test]
        fn more_clients_leave_the_time_line_where_it_is(
            arrivals in prop_oneof![any_arrivals(), falling_to_nothing()],
            scripted in 40_u32..200,
            factor in 2_u32..5,
        ) {
            let scripted = whole_clients(&arrivals, scripted);
            // Random times move by chance; a list's are compared above.
            let random = matches!(arrivals, Arrivals::Poisson { .. } | Arrivals::Replay { .. })
                || matches!(arrivals, Arrivals::Herd { within, .. } if !within.is_zero());
            let large = times(&arrivals, "tabs", 1, scripted, scripted * factor);
            prop_assert_eq!(large.len(), (scripted * factor) as usize);
            if !random {
                // So many times the clients have come before client `n * factor` as before client `n`.
                let small = times(&arrivals, "tabs", 1, scripted, scripted);
                let same = large.iter().step_by(factor as usize);
                prop_assert_eq!(small.len(), same.len());
                for (one, other) in small.iter().zip(same) {
                    prop_assert!(one.abs_diff(*other) <= 1_000, "{one} {other}");
                }
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
    fn herds_come_in_their_size() {
        let repeat = Some(HerdRepeat { size: 2, every: Duration::from_secs(1) });
        let herds = |within| Arrivals::Herd { at: Duration::from_secs(3), within, repeat };
        let seconds = |within, scripted, count| -> Vec<u64> {
            times(&herds(within), "a", 1, scripted, count).iter().map(|nanos| nanos / 1_000_000_000).collect()
        };
        assert_eq!(seconds(Duration::ZERO, 5, 5), [3, 3, 4, 4, 5]);
        assert_eq!(seconds(Duration::ZERO, 5, 10), [3, 3, 3, 3, 4, 4, 4, 4, 5, 5]);
        // Each within its second, none before.
        assert_eq!(seconds(Duration::from_millis(999), 5, 10), [3, 3, 3, 3, 4, 4, 4, 4, 5, 5]);
    }

    #[test]
    fn a_herd_fills_its_window() {
        let within = Duration::from_secs(2);
        let herd = Arrivals::Herd { at: Duration::from_secs(1), within, repeat: None };
        let line = times(&herd, "a", 7, 4_000, 4_000);
        assert!((1_000_000_000..3_000_000_000).contains(&line[0]) && line[3_999] < 3_000_000_000);
        // A thousand are due in each quarter, with a standard deviation of 27.
        for quarter in 0..4 {
            let from = 1_000_000_000 + quarter * 500_000_000;
            let there = line.iter().filter(|time| (from..from + 500_000_000).contains(*time)).count();
            assert!((850..1_150).contains(&there), "{quarter}: {there}");
        }
    }

    #[test]
    fn fewer_clients_than_a_list_has_are_spread_over_it() {
        let list = Arrivals::Replay { times: (0..10).collect(), start: Duration::from_nanos(100) };
        assert_eq!(times(&list, "a", 1, 10, 5), [100, 102, 104, 106, 108]);
        // The scenario wanted the first four only.
        assert_eq!(times(&list, "a", 1, 4, 4), [100, 101, 102, 103]);
    }

    #[test]
    fn a_spike_and_stairs_change_the_rate_at_their_times() {
        let second = Duration::from_secs(1);
        let by_second = |arrivals: &Arrivals, count| {
            let mut counts = vec![0; 8];
            for time in times(arrivals, "a", 1, count, count) {
                counts[(time / 1_000_000_000) as usize] += 1;
            }
            counts
        };
        let spike =
            Arrivals::Spike { base: 2.0, peak: 50.0, at: 3 * second, lasts: second, start: Duration::ZERO };
        assert_eq!(by_second(&spike, 62), [2, 2, 2, 50, 2, 2, 2, 0]);
        let stairs =
            Arrivals::Stairs { from: 10.0, to: 30.0, step: 10.0, every: 2 * second, start: Duration::ZERO };
        assert_eq!(by_second(&stairs, 150), [10, 10, 20, 20, 30, 30, 30, 0]);
    }
}

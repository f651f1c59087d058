//! How the rate of arrivals changes over time, and when it has let a given number of clients arrive.

/// A rate as stretches of time in which it changes evenly, one after the other, and the rate after the last of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pace {
    stretches: Vec<Stretch>,
    /// Clients per second after the last stretch.
    then: f64,
}

/// A time in which a rate changes evenly. Rates are clients per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stretch {
    /// How long, seconds.
    pub(super) seconds: f64,
    /// The rate at its beginning.
    pub(super) from: f64,
    /// The rate at its end.
    pub(super) to: f64,
}

impl Stretch {
    /// Clients that arrive in it: the area below the rate.
    fn clients(self) -> f64 {
        f64::midpoint(self.from, self.to) * self.seconds
    }

    /// Seconds from its beginning until so many clients have arrived.
    ///
    /// The number after t is `from·t + (to-from)·t²/2T`; solved for t in the form that does not cancel.
    fn seconds_until(self, clients: f64) -> f64 {
        if clients <= 0.0 {
            return 0.0;
        }
        let slope = (self.to - self.from) / self.seconds;
        let root = (self.from * self.from + 2.0 * slope * clients).max(0.0).sqrt();
        2.0 * clients / (self.from + root)
    }
}

impl Pace {
    /// The same rate for ever.
    pub(super) const fn steady(rate: f64) -> Self {
        Self { stretches: Vec::new(), then: rate }
    }

    pub(super) const fn new(stretches: Vec<Stretch>, then: f64) -> Self {
        Self { stretches, then }
    }

    /// The pace with every rate times `factor`, on the same time line.
    pub(crate) fn times_faster(mut self, factor: f64) -> Self {
        for stretch in &mut self.stretches {
            stretch.from *= factor;
            stretch.to *= factor;
        }
        self.then *= factor;
        self
    }

    /// Seconds until each of `count` clients arrives, in order; ends early when the rate has fallen to 0 for good.
    ///
    /// Client `n` (from 0) comes as soon as `n` have come before it and the rate is not 0.
    pub(crate) fn arrivals(&self, count: u32) -> impl Iterator<Item = f64> + '_ {
        let mut walk = self.walk();
        (0..count).map_while(move |position| walk.until(f64::from(position)))
    }

    /// Seconds until client `position` (from 0) arrives; `None` = never.
    pub(super) fn arrival(&self, position: u32) -> Option<f64> {
        self.walk().until(f64::from(position))
    }

    fn walk(&self) -> Walk<'_> {
        Walk { ahead: &self.stretches, then: self.then, elapsed: 0.0, arrived: 0.0 }
    }
}

/// A way along a pace; positions asked for never decrease.
struct Walk<'a> {
    /// Stretches that are not over.
    ahead: &'a [Stretch],
    then: f64,
    /// Seconds and clients of the stretches that are over.
    elapsed: f64,
    arrived: f64,
}

impl Walk<'_> {
    fn until(&mut self, position: f64) -> Option<f64> {
        while let [stretch, rest @ ..] = self.ahead {
            let missing = position - self.arrived;
            if missing < stretch.clients() {
                return Some(self.elapsed + stretch.seconds_until(missing));
            }
            self.elapsed += stretch.seconds;
            self.arrived += stretch.clients();
            self.ahead = rest;
        }
        let seconds = self.elapsed + (position - self.arrived) / self.then;
        seconds.is_finite().then_some(seconds)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ramp(from: f64, to: f64, seconds: f64) -> Pace {
        Pace::new(vec![Stretch { seconds, from, to }], to)
    }

    #[test]
    fn a_ramp_ends_when_its_area_is_used_up() {
        // 0 to 10/s in 20 s: a hundred clients; the 25th arrives halfway (area grows with the square).
        assert_eq!(ramp(0.0, 10.0, 20.0).arrival(0), Some(0.0));
        assert_eq!(ramp(0.0, 10.0, 20.0).arrival(25), Some(10.0));
        assert_eq!(ramp(0.0, 10.0, 20.0).arrival(100), Some(20.0));
        assert_eq!(ramp(10.0, 0.0, 20.0).arrival(75), Some(10.0));
        // After a ramp of 2 s (10 clients) the rate stays at 10/s.
        assert_eq!(ramp(0.0, 10.0, 2.0).arrival(20), Some(3.0));
        assert_eq!(ramp(10.0, 0.0, 2.0).arrival(20), None);
    }

    #[test]
    fn nobody_comes_while_the_rate_is_0() {
        let lull = vec![
            Stretch { seconds: 2.0, from: 0.0, to: 0.0 },
            Stretch { seconds: 1.0, from: 5.0, to: 5.0 },
            Stretch { seconds: 4.0, from: 0.0, to: 0.0 },
        ];
        let pace = Pace::new(lull, 1.0);
        let seconds: Vec<f64> = pace.arrivals(7).collect();
        assert_eq!(seconds, [2.0, 2.2, 2.4, 2.6, 2.8, 7.0, 8.0]);
    }

    fn any_pace() -> impl Strategy<Value = Pace> {
        let rate = prop_oneof![1 => Just(0.0), 4 => 0.0_f64..200.0];
        let stretch = (0.01_f64..20.0, rate.clone(), rate).prop_map(|(seconds, from, to)| Stretch {
            seconds,
            from,
            to,
        });
        (proptest::collection::vec(stretch, 0..8), 0.5_f64..100.0)
            .prop_map(|(stretches, then)| Pace::new(stretches, then))
    }

    /// Clients that have arrived after `seconds`, by adding up thin slices of the rate.
    fn area(pace: &Pace, seconds: f64) -> f64 {
        let (mut begins, mut sum) = (0.0, 0.0);
        for stretch in &pace.stretches {
            let inside = (seconds - begins).clamp(0.0, stretch.seconds);
            let slices = 2_000;
            let width = inside / f64::from(slices);
            for slice in 0..slices {
                let at = (f64::from(slice) + 0.5) * width / stretch.seconds;
                sum += (stretch.from + (stretch.to - stretch.from) * at) * width;
            }
            begins += stretch.seconds;
        }
        sum + (seconds - begins).max(0.0) * pace.then
    }

    proptest! {
        #[test]
        fn client_n_comes_when_the_area_below_the_rate_is_n(pace in any_pace(), position in 0_u32..3_000) {
            let seconds = pace.arrival(position).unwrap();
            let arrived = area(&pace, seconds);
            prop_assert!((arrived - f64::from(position)).abs() < 1e-3 * f64::from(position).max(1.0), "{arrived}");
        }

        #[test]
        fn a_walk_gives_what_each_look_gives(pace in any_pace(), count in 1_u32..200) {
            let line: Vec<f64> = pace.arrivals(count).collect();
            let looks: Vec<f64> = (0..count).filter_map(|position| pace.arrival(position)).collect();
            prop_assert_eq!(&line, &looks);
            prop_assert!(line.is_sorted());
        }

        #[test]
        fn twice_the_rate_brings_client_2n_when_client_n_came(pace in any_pace(), position in 0_u32..500) {
            let slow = pace.arrival(position).unwrap();
            let fast = pace.times_faster(2.0).arrival(2 * position).unwrap();
            prop_assert!((slow - fast).abs() <= 1e-6 * slow.max(1.0), "{slow} {fast}");
        }
    }
}

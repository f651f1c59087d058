//! What a handshake costs, from a short and a long run: their difference is free of what a tool needs to start.

/// What one run came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// Handshakes that the server saw to their end.
    pub(crate) handshakes: u64,
    /// What they took, seconds of whatever is measured.
    pub(crate) seconds: f64,
}

/// Seconds a handshake. None when the longer run made no more handshakes, or took no longer: then start-up was all that was seen.
pub(crate) fn seconds_each(short: Point, long: Point) -> Option<f64> {
    let more = long.handshakes.checked_sub(short.handshakes).filter(|more| *more > 0)?;
    let longer = long.seconds - short.seconds;
    (longer > 0.0).then(|| longer / more as f64)
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(*upper);
    }
    let lower = sorted.get(middle.checked_sub(1)?)?;
    Some(f64::midpoint(*lower, *upper))
}

/// Smallest and largest.
pub(crate) fn range(values: &[f64]) -> Option<(f64, f64)> {
    let smallest = values.iter().copied().min_by(f64::total_cmp)?;
    let largest = values.iter().copied().max_by(f64::total_cmp)?;
    Some((smallest, largest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn point(handshakes: u64, seconds: f64) -> Point {
        Point { handshakes, seconds }
    }

    proptest! {
        #[test]
        fn start_up_does_not_count(start_up in 0.0..20.0_f64, each in 1e-5..1e-2_f64, short in 1_u64..5_000, more in 1_u64..50_000) {
            let at = |handshakes: u64| point(handshakes, start_up + each * handshakes as f64);
            let found = seconds_each(at(short), at(short + more)).unwrap();
            prop_assert!((found / each - 1.0).abs() < 1e-3, "{found} for {each}");
        }
    }

    #[test]
    fn without_more_handshakes_or_more_time_there_is_no_figure() {
        assert_eq!(seconds_each(point(10, 1.0), point(10, 2.0)), None);
        assert_eq!(seconds_each(point(11, 1.0), point(10, 2.0)), None);
        assert_eq!(seconds_each(point(10, 2.0), point(20, 2.0)), None);
        assert_eq!(seconds_each(point(10, 2.0), point(20, 2.5)), Some(0.05));
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
        assert_eq!(range(&[4.0, 1.0, 2.0]), Some((1.0, 4.0)));
        assert_eq!(range(&[]), None);
    }
}

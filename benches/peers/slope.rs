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
}

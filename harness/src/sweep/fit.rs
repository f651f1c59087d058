//! How a figure grows with a size: `figure = a * size^exponent`, least squares on logarithms.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sizes below which nothing is fitted: through two points every line goes, and nobody knows how wrong it is.
const SIZES_MIN: usize = 3;
/// 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom.
const T_975: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// The exponent of a power law with its 95 % interval: 0 = the figure does not depend on the size, 1 = proportional.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exponent {
    /// The best one.
    pub exponent: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Why there is no exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotEnough {
    /// Fewer than three sizes have the figure.
    Sizes,
    /// The figure is the same everywhere: its resolution hides how it grows, if it does.
    Spread,
    /// The figure, or a size, is 0 or less, which has no logarithm.
    Zero,
}

impl NotEnough {
    /// Why, in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sizes => "fewer than 3 sizes",
            Self::Spread => "the same at every size",
            Self::Zero => "0 at some size",
        }
    }
}

/// Fits the points `(size, figure)`, one a size, with the interval that Student's t gives the slope of the logarithms.
///
/// Each size counts once, as the median of its repeats: what a size has in common with its repeats is mostly that no power
/// law goes through it, and to count it several times would make the interval narrower than that allows.
///
/// # Errors
/// [`NotEnough`]
pub fn power_law(points: &[(f64, f64)]) -> Result<Exponent, NotEnough> {
    if points.iter().any(|(size, figure)| *size <= 0.0 || *figure <= 0.0) {
        return Err(NotEnough::Zero);
    }
    let mut sizes: Vec<f64> = points.iter().map(|(size, _)| *size).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    if sizes.len() < SIZES_MIN {
        return Err(NotEnough::Sizes);
    }
    let logs: Vec<(f64, f64)> = points.iter().map(|(size, figure)| (size.ln(), figure.ln())).collect();
    let count = logs.len() as f64;
    let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
    let spread_x: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let spread_y: f64 = logs.iter().map(|(_, y)| (y - mean_y).powi(2)).sum();
    if spread_y < 1e-18 {
        return Err(NotEnough::Spread);
    }
    let exponent = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>() / spread_x;
    let off: f64 = logs.iter().map(|(x, y)| (y - mean_y - exponent * (x - mean_x)).powi(2)).sum();
    let freedom = logs.len() - 2;
    let half = t_975(freedom) * (off / freedom as f64 / spread_x).sqrt();
    Ok(Exponent { exponent, low: exponent - half, high: exponent + half })
}

/// 97.5 % quantile of Student's t.
fn t_975(freedom: usize) -> f64 {
    let listed = freedom.checked_sub(1).and_then(|position| T_975.get(position));
    // Beyond the list the first term of Fisher's expansion is exact to three digits.
    listed.copied().unwrap_or_else(|| 1.959_964 + 2.3723 / freedom as f64)
}

/// The value in the middle; the mean of the two middle ones of an even number. `None` of nothing.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get(values.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand_distr::{Distribution as _, Normal};

    use super::*;

    const SIZES: [f64; 4] = [100.0, 1_000.0, 10_000.0, 100_000.0];

    fn law(a: f64, exponent: f64, noise: impl FnMut() -> f64) -> Vec<(f64, f64)> {
        let mut noise = noise;
        SIZES.iter().map(|size| (*size, a * size.powf(exponent) * noise().exp())).collect()
    }

    proptest! {
        #[test]
        fn a_power_law_is_recovered(a in 0.001_f64..1e6, exponent in -2.0_f64..2.0) {
            prop_assume!(exponent.abs() > 1e-6);
            let fitted = power_law(&law(a, exponent, || 0.0)).unwrap();
            prop_assert!((fitted.exponent - exponent).abs() < 1e-9, "{fitted:?}");
            prop_assert!(fitted.high - fitted.low < 1e-6, "{fitted:?}");
        }

        #[test]
        fn the_unit_of_a_figure_does_not_matter(figures in prop::collection::vec(1.0_f64..1e7, 4), unit in 0.001_f64..1e6) {
            let points = |unit: f64| SIZES.into_iter().zip(figures.iter().map(|figure| figure * unit)).collect::<Vec<_>>();
            match (power_law(&points(1.0)), power_law(&points(unit))) {
                (Ok(one), Ok(other)) => {
                    prop_assert!((one.exponent - other.exponent).abs() < 1e-9);
                    prop_assert!((one.low - other.low).abs() < 1e-6);
                }
                (one, other) => prop_assert_eq!(one.is_err(), other.is_err()),
            }
        }

        #[test]
        fn the_median_has_as_many_below_as_above(values in prop::collection::vec(-1e6_f64..1e6, 1..30)) {
            let middle = median(values.clone()).unwrap();
            let below = values.iter().filter(|value| **value < middle).count();
            let above = values.iter().filter(|value| **value > middle).count();
            prop_assert!(below <= values.len() / 2 && above <= values.len() / 2);
        }
    }

    #[test]
    fn the_interval_covers_what_it_promises() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let noise = Normal::new(0.0, 0.3).unwrap();
        let covered = (0..2_000)
            .filter(|_| {
                let fitted = power_law(&law(50.0, 0.7, || noise.sample(&mut random))).unwrap();
                (fitted.low..=fitted.high).contains(&0.7)
            })
            .count();
        // 95 % of 2,000 are 1,900, give or take 10; the seed is fixed.
        assert!((1_860..=1_940).contains(&covered), "{covered}");
    }

    #[test]
    fn a_curve_that_is_no_power_law_has_a_wide_interval() {
        // 50 ms that every start takes, and 4 µs a device: no exponent fits all of it.
        let points: Vec<_> = SIZES.iter().map(|size| (*size, 50_000.0 + 4.0 * size)).collect();
        let fitted = power_law(&points).unwrap();
        assert!(fitted.low < 0.0 && fitted.high > 0.5, "{fitted:?}");
    }

    #[test]
    fn too_little_is_not_enough() {
        assert_eq!(power_law(&[]), Err(NotEnough::Sizes));
        assert_eq!(power_law(&[(1.0, 1.0), (10.0, 2.0), (10.0, 3.0)]), Err(NotEnough::Sizes));
        assert_eq!(power_law(&[(1.0, 7.0), (10.0, 7.0), (100.0, 7.0)]), Err(NotEnough::Spread));
        assert_eq!(power_law(&[(1.0, 7.0), (10.0, 0.0), (100.0, 7.0)]), Err(NotEnough::Zero));
        assert_eq!(
            (median(vec![]), median(vec![3.0, 1.0]), median(vec![5.0, 1.0, 2.0])),
            (None, Some(2.0), Some(2.0))
        );
    }
}

//! Medians and spread of a few rounds.

/// The middle of some values, with the smallest and the largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of these; `None` where there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_middle_two() {
        let three = Spread::of([3.0, 1.0, 9.0]).unwrap();
        assert_eq!(three, Spread { median: 3.0, min: 1.0, max: 9.0 });
        let four = Spread::of([3.0, 1.0, 9.0, 4.0]).unwrap();
        assert!((four.median - 3.5).abs() < f64::EPSILON);
        assert_eq!(Spread::of([]), None);
    }
}

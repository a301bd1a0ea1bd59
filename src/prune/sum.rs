//! Sums that are exactly rounded: the same on every machine, in whatever order.

use fsum::FSum;

/// The sum of `values`, rounded once; +0.0 of none.
pub(super) fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values = values.into_iter();
    let mut sum = FSum::new();
    // Zeros are common here, and cost as much to add as anything.
    sum.add_all(values.by_ref().filter(|w| *w != 0.0));
    sum.value()
}

/// The power of two that the largest of some finite values reaches.
///
/// Values are divided by it before they are squared, so that squares neither overflow nor vanish. Where they
/// wouldn't, that changes no bit of a result.
pub(super) fn unit_of(values: impl Iterator<Item = f64>) -> f64 {
    let largest = values.fold(0.0, |largest: f64, w| largest.max(w.abs()));
    let power_of_two = f64::from_bits(largest.to_bits() & f64::INFINITY.to_bits());
    power_of_two.max(f64::MIN_POSITIVE)
}

/// √(Σw² / `divisor`); with 1 the Euclidean norm. All values are finite.
pub(super) fn norm(values: impl Iterator<Item = f64> + Clone, divisor: f64) -> f64 {
    let mut norm = Norm::in_units_of(unit_of(values.clone()));
    norm.add(values);
    norm.value(divisor)
}

/// A norm that grows.
#[derive(Clone)]
pub(super) struct Norm {
    unit: f64,
    squares: FSum,
}

impl Norm {
    /// The norm of nothing yet.
    pub(super) fn in_units_of(unit: f64) -> Self {
        Self {
            unit,
            squares: FSum::new(),
        }
    }

    pub(super) fn add(&mut self, values: impl IntoIterator<Item = f64>) {
        let values = values.into_iter().filter(|w| *w != 0.0);
        self.squares
            .add_all(values.map(|w| (w / self.unit) * (w / self.unit)));
    }

    /// √(Σw² / `divisor`) of what was added.
    pub(super) fn value(&self, divisor: f64) -> f64 {
        self.unit * (self.squares.value() / divisor).sqrt()
    }
}

/// How far values are from their mean.
pub(super) struct Spread {
    unit: f64,
    /// Σ(w − w̄)² / n in units of `unit`².
    variance: f64,
}

impl Spread {
    /// Of finite values; 0 of none.
    pub(super) fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let unit = unit_of(values.clone());
        let n = values.clone().count().max(1) as f64;
        let scaled = values.map(|w| w / unit);
        let mean = sum(scaled.clone()) / n;
        let squares = scaled.map(|w| (w - mean) * (w - mean));
        Self {
            unit,
            variance: sum(squares) / n,
        }
    }

    /// Σ(w − w̄)² / n; may be infinite.
    pub(super) fn variance(&self) -> f64 {
        self.variance * self.unit * self.unit
    }

    /// √(Σ(w − w̄)² / n).
    pub(super) fn deviation(&self) -> f64 {
        self.variance.sqrt() * self.unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sums_are_rounded_once() {
        assert_eq!(sum([1e300, 1.0, -1e300]), 1.0);
        assert_eq!(sum([0.1; 10]), 1.0);
        assert_eq!(sum(std::iter::repeat_n(0.1, 100_000)), 10_000.0);
        assert_eq!(sum([-1.5]), -1.5);
        assert_eq!(sum([1e16, 1.0, 1e-16]), 10_000_000_000_000_002.0);
        assert!(sum([]).is_sign_positive());
        assert!(sum([-0.0]).is_sign_positive());
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[1.0, 5.0]).variance(), 4.0);
        assert_eq!(spread(&[1.0, 5.0]).deviation(), 2.0);
        assert_eq!(spread(&[]).deviation(), 0.0);
        assert_eq!(norm([3.0, -4.0].into_iter(), 1.0), 5.0);
        let huge = 2f64.powi(700);
        assert_eq!(spread(&[huge, 5.0 * huge]).deviation(), 2.0 * huge);
        assert_eq!(spread(&[huge, 5.0 * huge]).variance(), f64::INFINITY);
        assert_eq!(spread(&[1.0 / huge, 5.0 / huge]).deviation(), 2.0 / huge);
        assert_eq!(norm([3.0 * huge, -4.0 * huge].into_iter(), 1.0), 5.0 * huge);
        assert_eq!(norm([6.0, 2.0, 6.0, 2.0].into_iter(), 2.0), 40f64.sqrt());
        assert_eq!(norm([].into_iter(), 2.0), 0.0);
    }

    proptest! {
        /// Multiples of 2^-40 below 2^20 have exact sums in 128-bit integers.
        #[test]
        fn sums_are_those_of_integers(
            values in prop::collection::vec(-(1i64 << 52)..1i64 << 52, 0..3000),
        ) {
            let unit = f64::powi(2.0, -40);
            let exact: i128 = values.iter().map(|&v| i128::from(v)).sum();
            let found = sum(values.iter().map(|&v| v as f64 * unit));
            prop_assert_eq!(found, exact as f64 * unit);
        }
    }
}

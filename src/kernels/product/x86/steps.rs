//! Rows of steps of a byte, taken eight at once. Whether they have left the row is seen after that: there are
//! [`BEYOND`] numbers more than columns, which is as far as they lead.

use super::super::rows::{BEYOND, BYTE_ESCAPE, EIGHT, StepRows};
use super::super::{LANES, Weights, total};
use core::arch::x86_64::*;

/// Weights between those that are taken and those that are fetched meanwhile: a bare loop waits for memory
/// a third of its time.
const WEIGHTS_AHEAD: usize = 512;

/// Steps of a row, and where they have led to.
struct Row<'a> {
    steps: &'a [u8],
    /// Steps that have been taken.
    taken: usize,
    /// Columns up to the last entry, or the last one that an escape has skipped.
    behind: usize,
    /// Columns of the row.
    length: usize,
}

impl Row<'_> {
    /// The next eight steps, if so many are left and none is an escape.
    #[inline(always)]
    fn next_eight(&self) -> Option<u64> {
        let eight = self.steps.get(self.taken..)?.first_chunk::<EIGHT>()?;
        let eight = u64::from_le_bytes(*eight);
        // Where a byte is zero, its top bit comes, from it or from a lower one that is zero.
        let borrows = eight.wrapping_sub(0x0101_0101_0101_0101) & !eight & 0x8080_8080_8080_8080;
        (borrows == 0).then_some(eight)
    }

    /// How many columns are behind after the first of these steps, which is dropped: one more than it leads to.
    #[inline(always)]
    fn take(&mut self, eight: &mut u64) -> usize {
        self.behind += (*eight & 0xff) as usize;
        *eight >>= 8;
        self.taken += 1;
        self.behind
    }

    fn are_left(&self) -> bool {
        self.taken < self.steps.len()
    }

    fn is_inside(&self) -> bool {
        self.behind <= self.length
    }

    /// Takes one of the steps that are left: the column that it leads to, or none if it is an escape. `None` if it
    /// leads out of the row.
    #[inline(always)]
    fn step(&mut self) -> Option<Option<usize>> {
        let step = usize::from(self.steps[self.taken]);
        self.taken += 1;
        if step == 0 {
            self.behind += BYTE_ESCAPE;
            return Some(None);
        }
        self.behind += step;
        self.is_inside().then_some(Some(self.behind - 1))
    }
}

impl<'a, W: Weights> StepRows<'a, W> {
    /// A row, if all weights that it may have can be had in fours; `first` is the number of the first one.
    #[inline(always)]
    fn with_fours(&self, row: usize, first: usize) -> Option<Row<'a>> {
        let steps = self.row(row)?;
        let n_fours = self.weights.n_fours().min(self.n_weights);
        (first + steps.len() <= n_fours).then_some(Row {
            steps,
            taken: 0,
            behind: 0,
            length: self.length,
        })
    }
}

/// As [`super::super::WholeRows::add_scaled`] of steps.
///
/// # Panics
/// If there are not [`BEYOND`] more sums than columns.
pub(in super::super) fn add_scaled_steps<A: Copy + Into<f64>, W: Weights>(
    rows: StepRows<'_, W>,
    x: &[A],
    sums: &mut [f64],
) -> Option<usize> {
    // SAFETY: AVX2 kernels are only chosen on machines with AVX2 and BMI2.
    unsafe { add_steps(rows, x, sums) }
}

#[target_feature(enable = "avx2,bmi2")]
fn add_steps<A: Copy + Into<f64>, W: Weights>(
    rows: StepRows<'_, W>,
    x: &[A],
    sums: &mut [f64],
) -> Option<usize> {
    assert!(sums.len() >= rows.length + BEYOND);
    let mut weights = 0;
    for row in 0..rows.pointers.len() {
        let x: f64 = (*x.get(row)?).into();
        let in_fours = match x.is_finite() {
            true => rows.with_fours(row, weights),
            false => None,
        };
        let Some(mut row) = in_fours else {
            weights = rows.add_row(row, weights, x, sums)?;
            continue;
        };
        let x_of_all = _mm256_set1_pd(x);
        while row.are_left() {
            while row.is_inside()
                && let Some(mut eight) = row.next_eight()
            {
                rows.weights.prefetch(weights + WEIGHTS_AHEAD);
                let mut at = || sums.as_mut_ptr().wrapping_add(row.take(&mut eight) - 1);
                for _ in 0..EIGHT / 4 {
                    // SAFETY: eight weights can be had in fours. A step is at least 1, and eight of them lead
                    // `BEYOND` columns further than the row at most: each column has a sum.
                    unsafe {
                        let four = _mm256_mul_pd(rows.weights.four(weights), x_of_all);
                        let (low, high) = (
                            _mm256_castpd256_pd128(four),
                            _mm256_extractf128_pd::<1>(four),
                        );
                        for pair in [low, high] {
                            let (first, second) = (at(), at());
                            _mm_store_sd(first, _mm_add_sd(pair, _mm_load_sd(first)));
                            _mm_storeh_pd(second, _mm_add_pd(pair, _mm_loadh_pd(pair, second)));
                        }
                    }
                    weights += 4;
                }
                if !row.is_inside() {
                    return None;
                }
            }
            // The last ones of the row, or an escape and what is beside it.
            for _ in row.taken..row.steps.len().min(row.taken + EIGHT) {
                if let Some(column) = row.step()? {
                    sums[column] += rows.weights.at(weights) * x;
                    weights += 1;
                }
            }
        }
    }
    Some(weights)
}

/// As [`super::super::WholeRows::dot`] of steps, where nothing in `x` is infinite or NaN.
///
/// # Panics
/// If `x` has not [`BEYOND`] more numbers than there are columns.
pub(in super::super) fn dot_steps<W: Weights>(
    rows: StepRows<'_, W>,
    x: &[f64],
    sums_of_rows: &mut [f64],
) -> Option<usize> {
    // SAFETY: AVX2 kernels are only chosen on machines with AVX2 and BMI2.
    unsafe { dots_of_steps(rows, x, sums_of_rows) }
}

#[target_feature(enable = "avx2,bmi2")]
fn dots_of_steps<W: Weights>(
    rows: StepRows<'_, W>,
    x: &[f64],
    sums_of_rows: &mut [f64],
) -> Option<usize> {
    assert!(x.len() >= rows.length + BEYOND);
    let mut weights = 0;
    for row in 0..rows.pointers.len() {
        let sum_of_row = sums_of_rows.get_mut(row)?;
        let Some(mut row) = rows.with_fours(row, weights) else {
            weights = rows.dot_row(row, weights, x, true, sum_of_row)?;
            continue;
        };
        let mut lanes = [0.0; LANES];
        while row.are_left() {
            // SAFETY: all eight numbers are loaded.
            let mut both = unsafe {
                [
                    _mm256_loadu_pd(lanes.as_ptr()),
                    _mm256_loadu_pd(lanes.as_ptr().add(4)),
                ]
            };
            while row.is_inside()
                && let Some(mut eight) = row.next_eight()
            {
                rows.weights.prefetch(weights + WEIGHTS_AHEAD);
                let mut at = || x.as_ptr().wrapping_add(row.take(&mut eight) - 1);
                for sum in &mut both {
                    let (a, b) = (at(), at());
                    let (c, d) = (at(), at());
                    // SAFETY: as in `add_steps`.
                    unsafe {
                        let low = _mm_loadh_pd(_mm_load_sd(a), b);
                        let high = _mm_loadh_pd(_mm_load_sd(c), d);
                        let four = rows.weights.four(weights);
                        let products = _mm256_mul_pd(four, _mm256_set_m128d(high, low));
                        *sum = _mm256_add_pd(*sum, products);
                    }
                    weights += 4;
                }
                if !row.is_inside() {
                    return None;
                }
            }
            // SAFETY: all eight numbers are stored.
            unsafe {
                _mm256_storeu_pd(lanes.as_mut_ptr(), both[0]);
                _mm256_storeu_pd(lanes.as_mut_ptr().add(4), both[1]);
            }
            // As many steps that the next entry goes to the first lane again.
            let mut lanes = lanes.iter_mut();
            while row.are_left() && lanes.len() > 0 {
                if let Some(column) = row.step()?
                    && let Some(lane) = lanes.next()
                {
                    *lane += rows.weights.at(weights) * x[column];
                    weights += 1;
                }
            }
        }
        *sum_of_row += total(lanes);
    }
    Some(weights)
}

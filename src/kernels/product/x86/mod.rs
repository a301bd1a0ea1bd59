//! Products with AVX2, and those of bitmaps with AVX-512. A multiplication is only fused with an addition where it
//! is exact.

#![allow(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "several arrays have something for each row"
)]

mod bitmaps;
mod positions;
mod steps;

pub(super) use bitmaps::{add_scaled_rows, dot_rows};
pub(super) use positions::positions;
pub(super) use steps::{add_scaled_steps, dot_steps};

use super::positions::Ascending;
use super::{Codes, Doubles, Floats, LANES, Weights};
use core::arch::x86_64::*;

/// Weights four at a time.
pub(crate) trait Fours {
    /// Weights that can be had in this way: those with lower numbers.
    fn n_fours(&self) -> usize;

    /// The weights with numbers `i` to `i` + 3.
    ///
    /// # Safety
    /// The machine has AVX2 and BMI2; `i` + 4 is at most [`n_fours`](Self::n_fours).
    unsafe fn four(&self, i: usize) -> __m256d;

    /// Tells the machine that the weights from `i` on will be wanted, if there are any.
    fn prefetch(&self, i: usize) {
        let _ = i;
    }

    /// The first weights as floats, if they are.
    fn floats(&self) -> Option<&[u32]> {
        None
    }
}

/// Tells the machine that memory will be wanted; what there is not does no harm.
#[inline(always)]
fn prefetch<const HINT: i32>(at: *const u32) {
    // SAFETY: a hint, for any address, on every machine of this architecture.
    unsafe { _mm_prefetch::<HINT>(at.cast()) }
}

impl Fours for Floats<'_> {
    fn n_fours(&self) -> usize {
        self.0.len()
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi2")]
    unsafe fn four(&self, i: usize) -> __m256d {
        // SAFETY: four of the slice, as the caller says.
        unsafe { _mm256_cvtps_pd(_mm_loadu_ps(self.0.as_ptr().add(i).cast())) }
    }

    #[inline(always)]
    fn prefetch(&self, i: usize) {
        prefetch::<_MM_HINT_T0>(self.0.as_ptr().wrapping_add(i));
    }

    fn floats(&self) -> Option<&[u32]> {
        Some(self.0)
    }
}

impl Fours for Doubles<'_> {
    fn n_fours(&self) -> usize {
        self.0.len()
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi2")]
    unsafe fn four(&self, i: usize) -> __m256d {
        // SAFETY: four of the slice, as the caller says.
        unsafe { _mm256_loadu_pd(self.0.as_ptr().add(i).cast()) }
    }
}

impl Fours for Codes<'_> {
    fn n_fours(&self) -> usize {
        // A load of eight bytes at the byte that the last four codes begin in.
        let bits = 8 * self.packed.len().saturating_sub(7);
        (bits / self.bits).saturating_sub(self.first)
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi2")]
    unsafe fn four(&self, i: usize) -> __m256d {
        let bit = (self.first + i) * self.bits;
        // SAFETY: the last of the codes begins eight bytes before the end at the latest, and the first
        // one no later.
        let word = unsafe {
            self.packed
                .as_ptr()
                .add(bit / 8)
                .cast::<u64>()
                .read_unaligned()
        };
        // Of four codes and seven bits before them.
        let word = word >> (bit % 8);
        let mask = (1 << self.bits) - 1;
        let weight = |i: usize| self.table[(word >> (i * self.bits) & mask) as usize & 0xff];
        _mm256_setr_pd(weight(0), weight(1), weight(2), weight(3))
    }
}

/// Adds four numbers to the sums at these positions.
///
/// # Safety
/// The machine has AVX2; all positions have a sum.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn add_four(sums: *mut f64, positions: *const u32, numbers: __m256d) {
    // SAFETY: four positions are read, and their sums, as the caller says. Two at a time: a load each
    // would be the most that the machine can do.
    unsafe {
        let ab = positions.cast::<u64>().read_unaligned();
        let cd = positions.add(2).cast::<u64>().read_unaligned();
        let (low, high) = (
            _mm256_castpd256_pd128(numbers),
            _mm256_extractf128_pd::<1>(numbers),
        );
        for (pair, numbers) in [(ab, low), (cd, high)] {
            let first = sums.add(pair as u32 as usize);
            let second = sums.add((pair >> 32) as usize);
            _mm_store_sd(first, _mm_add_sd(numbers, _mm_load_sd(first)));
            _mm_storeh_pd(second, _mm_add_pd(numbers, _mm_loadh_pd(numbers, second)));
        }
    }
}

/// Whether all positions are those of a row of `length` elements from `start` on.
fn lie_in(positions: Ascending<'_>, start: u32, length: usize) -> bool {
    let list = positions.list();
    match (list.first(), list.last()) {
        (Some(&first), Some(&last)) => first >= start && ((last - start) as usize) < length,
        _ => true,
    }
}

/// As [`super::add_scaled`]; returns how many it has added.
///
/// # Panics
/// If a position has no sum.
pub(super) fn add_scaled(
    positions: Ascending<'_>,
    start: u32,
    weights: impl Weights,
    x: f64,
    sums: &mut [f64],
) -> usize {
    assert!(lie_in(positions, start, sums.len()));
    let n = positions.list().len().min(weights.n_fours());
    // SAFETY: AVX2 kernels are only chosen on machines with AVX2 and BMI2. As positions ascend, none is
    // before the first one or after the last, which have just been looked at.
    unsafe { add_fours(positions.list(), start, n, weights, x, sums) }
}

/// # Safety
/// All positions from `start` on are those of sums; there are `n` weights in fours.
#[target_feature(enable = "avx2,bmi2")]
unsafe fn add_fours(
    positions: &[u32],
    start: u32,
    n: usize,
    weights: impl Weights,
    x: f64,
    sums: &mut [f64],
) -> usize {
    // Where the sum of position 0 would be.
    let sums = sums.as_mut_ptr().wrapping_sub(start as usize);
    let (x_of_all, x) = (x, _mm256_set1_pd(x));
    let mut i = 0;
    while i + 4 <= n {
        // SAFETY: four positions and weights from `i` on are there; as the caller says.
        unsafe {
            let numbers = _mm256_mul_pd(weights.four(i), x);
            add_four(sums, positions.as_ptr().add(i), numbers);
        }
        i += 4;
    }
    while i < n {
        // SAFETY: as before.
        unsafe { *sums.add(*positions.get_unchecked(i) as usize) += weights.at(i) * x_of_all };
        i += 1;
    }
    i
}

/// As [`super::dot`], into the lanes; returns how many it has added.
///
/// # Panics
/// If `x` has nothing for a position.
pub(super) fn dot(
    positions: Ascending<'_>,
    start: u32,
    weights: impl Weights,
    x: &[f64],
    sums: &mut [f64; LANES],
) -> usize {
    assert!(lie_in(positions, start, x.len()));
    let n = positions.list().len().min(weights.n_fours());
    // SAFETY: as in `add_scaled`.
    unsafe { dot_eights(positions.list(), start, n, weights, x, sums) }
}

/// # Safety
/// All positions from `start` on are in `x`; there are `n` weights in fours.
#[target_feature(enable = "avx2,bmi2")]
unsafe fn dot_eights(
    positions: &[u32],
    start: u32,
    n: usize,
    weights: impl Weights,
    x: &[f64],
    sums: &mut [f64; LANES],
) -> usize {
    let x = x.as_ptr().wrapping_sub(start as usize);
    let mut i = 0;
    let mut both = [_mm256_setzero_pd(); 2];
    while i + LANES <= n {
        for (half, sum) in both.iter_mut().enumerate() {
            let i = i + 4 * half;
            // SAFETY: four positions and weights from `i` on are there; as the caller says.
            unsafe {
                let at = |i: usize| x.add(*positions.get_unchecked(i) as usize);
                let low = _mm_loadh_pd(_mm_load_sd(at(i)), at(i + 1));
                let high = _mm_loadh_pd(_mm_load_sd(at(i + 2)), at(i + 3));
                let products = _mm256_mul_pd(weights.four(i), _mm256_set_m128d(high, low));
                *sum = _mm256_add_pd(*sum, products);
            }
        }
        i += LANES;
    }
    let (low, high) = sums.split_at_mut(4);
    // SAFETY: each half has four numbers.
    unsafe {
        _mm256_storeu_pd(low.as_mut_ptr(), both[0]);
        _mm256_storeu_pd(high.as_mut_ptr(), both[1]);
    }
    i
}

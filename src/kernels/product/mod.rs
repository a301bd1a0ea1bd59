//! Products of weights and vectors: the entries of a row times one number, added to sums of columns; or
//! times what a vector has in their columns, added up.
//!
//! All versions come to the same bits, since each sum takes the same products in the same order. Where sums are
//! [numbers](Sum::numbers), the vector is of numbers that `f32` has: its products with weights of
//! [`Floats`] are exact in `f64`, fused with an addition or not.

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(
        dead_code,
        unused_mut,
        unused_variables,
        reason = "only x86 has more than the plain kernels"
    )
)]

mod positions;
mod rows;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use positions::{Ascending, CHUNK, Positions, SetBits, Steps};
pub(crate) use rows::{BEYOND, BitRows, StepRows, WholeRows};

use super::Isa;
use crate::word::Word;
#[cfg(target_arch = "x86_64")]
use x86::Fours;

/// What SIMD versions want of weights, where there are some.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) trait Fours {}
#[cfg(not(target_arch = "x86_64"))]
impl<T: Weights> Fours for T {}

/// Codes that a table has a weight for.
pub(crate) const TABLE: usize = 256;

/// Sums that a dot product is kept in: the entry with number `i` of a row goes to sum `i` mod 8.
pub(crate) const LANES: usize = 8;

/// A sum of products.
pub(crate) trait Sum: bytemuck::Pod + Default + Send + Sync {
    /// Adds a product.
    fn add(&mut self, product: f64);

    /// Adds another sum.
    fn merge(&mut self, other: Self);

    /// What it comes to.
    fn value(self) -> f64;

    /// Sums that are numbers, if these are: those for results of `f32`.
    fn numbers(sums: &mut [Self]) -> Option<&mut [f64]> {
        let _ = sums;
        None
    }
}

/// For results that are rounded to `f32`.
impl Sum for f64 {
    #[inline]
    fn add(&mut self, product: f64) {
        *self += product;
    }

    #[inline]
    fn merge(&mut self, other: Self) {
        *self += other;
    }

    #[inline]
    fn value(self) -> f64 {
        self
    }

    fn numbers(sums: &mut [Self]) -> Option<&mut [f64]> {
        Some(sums)
    }
}

/// For results of `f64`: what has been summed, and what its roundings lost.
impl Sum for [f64; 2] {
    #[inline]
    fn add(&mut self, product: f64) {
        let [sum, lost] = *self;
        let total = sum + product;
        let of_product = total - sum;
        let error = (sum - (total - of_product)) + (product - of_product);
        *self = [total, lost + error];
    }

    #[inline]
    fn merge(&mut self, other: Self) {
        self.add(other[0]);
        self[1] += other[1];
    }

    #[inline]
    fn value(self) -> f64 {
        let [sum, lost] = self;
        // Of an infinite sum nobody knows what was lost.
        if sum.is_finite() { sum + lost } else { sum }
    }
}

/// The weights of entries, in their order.
pub(crate) trait Weights: Copy + Fours {
    /// The weight with this number.
    ///
    /// # Panics
    /// If there is none.
    fn at(&self, i: usize) -> f64;

    /// From the weight with number `first` on, which is at most their number.
    fn skip(self, first: usize) -> Self;
}

/// Patterns of binary32, as they are in memory.
#[derive(Clone, Copy)]
pub(crate) struct Floats<'a>(pub(crate) &'a [u32]);

/// Patterns of binary64, as they are in memory.
#[derive(Clone, Copy)]
pub(crate) struct Doubles<'a>(pub(crate) &'a [u64]);

/// Packed codes, and the weight of each.
#[derive(Clone, Copy)]
pub(crate) struct Codes<'a> {
    packed: &'a [u8],
    /// Bits of a code, 1 to 8.
    bits: usize,
    /// Number of the first one.
    first: usize,
    table: &'a [f64; TABLE],
}

impl Weights for Floats<'_> {
    #[inline(always)]
    fn at(&self, i: usize) -> f64 {
        f32::from_bits(u32::from_le(self.0[i])).into()
    }

    fn skip(self, first: usize) -> Self {
        Self(&self.0[first..])
    }
}

impl Weights for Doubles<'_> {
    #[inline(always)]
    fn at(&self, i: usize) -> f64 {
        f64::from_bits(u64::from_le(self.0[i]))
    }

    fn skip(self, first: usize) -> Self {
        Self(&self.0[first..])
    }
}

impl<'a> Codes<'a> {
    /// Codes of `bits` bits.
    ///
    /// # Panics
    /// If `bits` is not 1 to 8.
    pub(crate) fn new(packed: &'a [u8], bits: u32, table: &'a [f64; TABLE]) -> Self {
        assert!((1..=8).contains(&bits));
        Self {
            packed,
            bits: bits as usize,
            first: 0,
            table,
        }
    }
}

impl Weights for Codes<'_> {
    #[inline(always)]
    fn at(&self, i: usize) -> f64 {
        let bit = (self.first + i) * self.bits;
        let low = u32::from(self.packed[bit / 8]);
        let high = self.packed.get(bit / 8 + 1).copied().unwrap_or(0);
        let code = (low | u32::from(high) << 8) >> (bit % 8) & ((1 << self.bits) - 1);
        self.table[code as usize % TABLE]
    }

    fn skip(self, first: usize) -> Self {
        Self {
            first: self.first + first,
            ..self
        }
    }
}

/// Columns of the entries of a row, counted from wherever the vector or the sums begin.
pub(crate) trait Columns: Copy {
    /// The column of the entry with this number.
    fn at(&self, i: usize) -> usize;

    /// The positions, and where the row starts, if they are known to ascend.
    fn ascending(&self) -> Option<(Ascending<'_>, u32)> {
        None
    }
}

/// Positions in a row that starts at the second.
#[derive(Clone, Copy)]
pub(crate) struct Listed<'a>(pub(crate) &'a [u32], pub(crate) u32);

/// The same, ascending.
#[derive(Clone, Copy)]
pub(crate) struct Sorted<'a>(pub(crate) Ascending<'a>, pub(crate) u32);

/// Columns that follow each other, from this one on.
#[derive(Clone, Copy)]
pub(crate) struct Adjacent(pub(crate) usize);

impl Columns for Listed<'_> {
    #[inline(always)]
    fn at(&self, i: usize) -> usize {
        self.0[i].wrapping_sub(self.1) as usize
    }
}

impl Columns for Sorted<'_> {
    #[inline(always)]
    fn at(&self, i: usize) -> usize {
        self.0.list()[i].wrapping_sub(self.1) as usize
    }

    fn ascending(&self) -> Option<(Ascending<'_>, u32)> {
        Some((self.0, self.1))
    }
}

impl Columns for Adjacent {
    #[inline(always)]
    fn at(&self, i: usize) -> usize {
        self.0 + i
    }
}

/// Adds `x` times each of the first `n` weights to the sum of its column. A weight of zero adds nothing,
/// also where `x` is not finite.
///
/// # Panics
/// If there are fewer weights or columns, or a column has no sum.
pub(crate) fn add_scaled<S: Sum>(
    isa: Isa,
    n: usize,
    columns: impl Columns,
    weights: impl Weights,
    x: f64,
    sums: &mut [S],
) {
    let mut done = 0;
    if x.is_finite() {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::Avx512 => {
                if let (Some(sums), Some((positions, start))) =
                    (S::numbers(sums), columns.ascending())
                {
                    done = x86::add_scaled(positions.first(n), start, weights, x, sums);
                }
            }
            _ => {}
        }
        for i in done..n {
            sums[columns.at(i)].add(weights.at(i) * x);
        }
        return;
    }
    for i in 0..n {
        let weight = weights.at(i);
        if weight != 0.0 {
            sums[columns.at(i)].add(weight * x);
        }
    }
}

/// The sum of the first `n` weights times what `x` has in their columns. A weight of zero adds nothing, also
/// where `x` is not finite: then `all_finite` is false.
///
/// # Panics
/// If there are fewer weights or columns, or `x` has less.
pub(crate) fn dot<S: Sum>(
    isa: Isa,
    n: usize,
    columns: impl Columns,
    weights: impl Weights,
    x: &[f64],
    all_finite: bool,
) -> S {
    let mut sums = [S::default(); LANES];
    let mut done = 0;
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 if all_finite => {
            if let (Some(sums), Some((positions, start))) =
                (S::numbers(&mut sums), columns.ascending())
                && let Some(sums) = sums.as_mut_array()
            {
                done = x86::dot(positions.first(n), start, weights, x, sums);
            }
        }
        _ => {}
    }
    for i in done..n {
        let weight = weights.at(i);
        if all_finite || weight != 0.0 {
            sums[i % LANES].add(weight * x[columns.at(i)]);
        }
    }
    total(sums)
}

/// The sum of the lanes, in the order in which vectors are added up.
fn total<S: Sum>(mut sums: [S; LANES]) -> S {
    let mut n = LANES / 2;
    while n > 0 {
        let (low, high) = sums.split_at_mut(n);
        for (low, high) in low.iter_mut().zip(high) {
            low.merge(*high);
        }
        n /= 2;
    }
    sums[0]
}

/// Elements as binary64, as they are in memory, by what turns one of them into a number.
pub(crate) fn to_doubles<W: Word>(words: &[W], number: impl Fn(u64) -> f64, out: &mut [u64]) {
    for (word, out) in words.iter().zip(out) {
        // Little-endian in memory, whatever the machine's order: the same swap turns it round.
        *out = number(word.to_le().to_bits()).to_bits().to_le();
    }
}

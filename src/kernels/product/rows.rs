//! Rows of bitmaps and of steps, all of whose entries are multiplied at once.

#[cfg(target_arch = "x86_64")]
use super::x86;
use super::{LANES, Sum, Weights, total};
use crate::kernels::Isa;
use crate::kernels::expand::count_ones;

/// Encoded entries of rows of one length, with their weights, to be taken all at once.
pub(crate) trait WholeRows: Copy {
    /// Adds the weights of each row, times the number that `x` has for it, to the sums of their columns. Returns
    /// how many weights that were, or `None` where there are too few, where `x` has fewer numbers than there are rows,
    /// or `sums` fewer than there are columns, or where what is encoded breaks a rule: an entry is outside of its row, or
    /// pointers descend or point nowhere. Then all of `sums` is arbitrary. It is faster where there are [`BEYOND`] more
    /// than there are columns.
    fn add_scaled<A: Copy + Into<f64>, S: Sum>(
        self,
        isa: Isa,
        x: &[A],
        sums: &mut [S],
    ) -> Option<usize>;

    /// Adds to the sum of each row that of its weights times what `x` has in their columns, of which none is
    /// infinite or NaN if `all_finite`. Returns as [`add_scaled`](Self::add_scaled), and as that is faster where
    /// `x` has more.
    fn dot<S: Sum>(self, isa: Isa, x: &[f64], all_finite: bool, sums: &mut [S]) -> Option<usize>;
}

/// Rows of bits, and the weights of those that are set.
#[derive(Clone, Copy)]
pub(crate) struct BitRows<'a, W> {
    /// Each row in whole bytes.
    pub(crate) bitmaps: &'a [u8],
    /// Bits of a row, at least one.
    pub(crate) length: usize,
    pub(crate) weights: W,
    pub(crate) n_weights: usize,
}

impl<'a, W> BitRows<'a, W> {
    /// The same rows with other weights.
    pub(crate) fn with_weights<V>(self, weights: V) -> BitRows<'a, V> {
        BitRows {
            bitmaps: self.bitmaps,
            length: self.length,
            weights,
            n_weights: self.n_weights,
        }
    }
}

impl<'a, W: Weights> BitRows<'a, W> {
    fn row_bytes(&self) -> usize {
        self.length.div_ceil(8)
    }

    /// Number of rows.
    pub(crate) fn n_rows(&self) -> usize {
        self.bitmaps.len() / self.row_bytes()
    }

    pub(super) fn row(&self, row: usize) -> &'a [u8] {
        &self.bitmaps[row * self.row_bytes()..][..self.row_bytes()]
    }

    /// Calls `f` with the column and the weight of each bit that is set from byte `byte` of a row on; the
    /// weights begin with number `first`. Returns the number of the weight after the last one, or `None` where
    /// there are too few.
    #[inline]
    fn for_each(
        &self,
        row: usize,
        byte: usize,
        first: usize,
        mut f: impl FnMut(usize, f64),
    ) -> Option<usize> {
        let mut next = first;
        for (i, &bits) in self.row(row).iter().enumerate().skip(byte) {
            let mut left = bits;
            if next + left.count_ones() as usize > self.n_weights {
                return None;
            }
            while left != 0 {
                let column = 8 * i + left.trailing_zeros() as usize;
                if column >= self.length {
                    return None;
                }
                f(column, self.weights.at(next));
                next += 1;
                left &= left - 1;
            }
        }
        Some(next)
    }
}

/// Rows that SIMD versions take at once.
pub(super) const ROWS_AT_ONCE: usize = 4;

/// Where the weights of rows begin: of as many as there are and are taken at once, from the row
/// with number `first_row` on, of which they begin with `first`.
fn first_weights<W: Weights>(
    isa: Isa,
    rows: BitRows<'_, W>,
    first_row: usize,
    first: usize,
) -> ([usize; ROWS_AT_ONCE], usize) {
    let mut firsts = [first; ROWS_AT_ONCE];
    let n = (rows.n_rows() - first_row).min(ROWS_AT_ONCE);
    for i in 1..n {
        let before = count_ones(isa, rows.row(first_row + i - 1));
        firsts[i] = firsts[i - 1] + before;
    }
    (firsts, n)
}

impl<W: Weights> WholeRows for BitRows<'_, W> {
    fn add_scaled<A: Copy + Into<f64>, S: Sum>(
        self,
        isa: Isa,
        x: &[A],
        sums: &mut [S],
    ) -> Option<usize> {
        let sums = sums.get_mut(..self.length)?;
        let (mut row, mut next) = (0, 0);
        while row < self.n_rows() {
            let (mut firsts, n) = first_weights(isa, self, row, next);
            let mut x_of_rows = [0.0; ROWS_AT_ONCE];
            for (of_row, x) in x_of_rows.iter_mut().zip(x.get(row..row + n)?) {
                *of_row = (*x).into();
            }
            let mut done = 0;
            #[cfg(target_arch = "x86_64")]
            if matches!(isa, Isa::Avx2 | Isa::Avx512)
                && x_of_rows.iter().all(|x| x.is_finite())
                && let Some(sums) = S::numbers(sums)
            {
                done = x86::add_scaled_rows(isa, self, row, n, &mut firsts, x_of_rows, sums);
            }
            for i in 0..n {
                let (first, x) = (firsts[i], x_of_rows[i]);
                let mut add = |column: usize, weight: f64| {
                    if x.is_finite() || weight != 0.0 {
                        sums[column].add(weight * x);
                    }
                };
                let end = self.for_each(row + i, done, first, &mut add)?;
                if i + 1 == n {
                    next = end;
                }
            }
            row += n;
        }
        Some(next)
    }

    /// That of bit `j` of a byte is added to lane `j`.
    fn dot<S: Sum>(
        self,
        isa: Isa,
        x: &[f64],
        all_finite: bool,
        sums_of_rows: &mut [S],
    ) -> Option<usize> {
        let x = x.get(..self.length)?;
        let (mut row, mut next) = (0, 0);
        while row < self.n_rows() {
            let (mut firsts, n) = first_weights(isa, self, row, next);
            let mut sums = [[S::default(); LANES]; ROWS_AT_ONCE];
            let mut done = 0;
            #[cfg(target_arch = "x86_64")]
            if matches!(isa, Isa::Avx2 | Isa::Avx512)
                && all_finite
                && let Some(sums) = S::numbers(sums.as_flattened_mut())
            {
                done = x86::dot_rows(isa, self, row, n, &mut firsts, x, sums);
            }
            for i in 0..n {
                let sums = &mut sums[i];
                let add = |column: usize, weight: f64| {
                    if all_finite || weight != 0.0 {
                        sums[column % LANES].add(weight * x[column]);
                    }
                };
                let end = self.for_each(row + i, done, firsts[i], add)?;
                sums_of_rows.get_mut(row + i)?.merge(total(*sums));
                if i + 1 == n {
                    next = end;
                }
            }
            row += n;
        }
        Some(next)
    }
}

/// Rows of steps of a byte each, and the weights of the entries that they lead to. A row's steps begin at
/// its first element.
#[derive(Clone, Copy)]
pub(crate) struct StepRows<'a, W> {
    /// Of all rows of a block. More may follow.
    pub(crate) steps: &'a [u8],
    /// For each row, the number of steps before it.
    pub(crate) pointers: &'a [[u8; 2]],
    /// The number of steps before what comes after the last row.
    pub(crate) end: usize,
    /// Elements of a row.
    pub(crate) length: usize,
    pub(crate) weights: W,
    pub(crate) n_weights: usize,
}

/// What an escape of a byte skips.
pub(super) const BYTE_ESCAPE: usize = 255;

/// Steps of a byte that are taken at once.
pub(super) const EIGHT: usize = 8;

/// Numbers after those of the columns that steps may lead to before it is seen that they have left their row.
pub(crate) const BEYOND: usize = EIGHT * BYTE_ESCAPE;

impl<'a, W> StepRows<'a, W> {
    /// The same rows with other weights.
    pub(crate) fn with_weights<V>(self, weights: V) -> StepRows<'a, V> {
        StepRows {
            steps: self.steps,
            pointers: self.pointers,
            end: self.end,
            length: self.length,
            weights,
            n_weights: self.n_weights,
        }
    }
}

impl<'a, W: Weights> StepRows<'a, W> {
    /// The steps of a row, if the pointers are those of any.
    #[inline]
    pub(super) fn row(&self, row: usize) -> Option<&'a [u8]> {
        let number = |pointer: &[u8; 2]| u16::from_le_bytes(*pointer).into();
        let end = self.pointers.get(row + 1).map_or(self.end, number);
        self.steps.get(number(&self.pointers[row])..end)
    }

    /// Calls `f` with the number in the row, the column and the weight of each entry, of which the weights begin with
    /// number `first`. Returns the number of the weight after the last one, or `None` where there is one too few, or
    /// an entry is not in the row.
    fn for_each(
        &self,
        row: usize,
        first: usize,
        mut f: impl FnMut(usize, usize, f64),
    ) -> Option<usize> {
        let (mut after, mut next) = (0, first);
        for &step in self.row(row)? {
            if step == 0 {
                after += BYTE_ESCAPE;
                continue;
            }
            after += usize::from(step);
            if after > self.length || next >= self.n_weights {
                return None;
            }
            f(next - first, after - 1, self.weights.at(next));
            next += 1;
        }
        Some(next)
    }

    /// Adds the weights of a row times `x`, otherwise as [`for_each`](Self::for_each).
    pub(super) fn add_row<S: Sum>(
        &self,
        row: usize,
        first: usize,
        x: f64,
        sums: &mut [S],
    ) -> Option<usize> {
        self.for_each(row, first, |_, column, weight| {
            if x.is_finite() || weight != 0.0 {
                sums[column].add(weight * x);
            }
        })
    }

    /// Adds the dot product of a row: the entry with number `i` to lane `i` mod 8. Otherwise as
    /// [`for_each`](Self::for_each).
    pub(super) fn dot_row<S: Sum>(
        &self,
        row: usize,
        first: usize,
        x: &[f64],
        all_finite: bool,
        sum: &mut S,
    ) -> Option<usize> {
        let mut sums = [S::default(); LANES];
        let next = self.for_each(row, first, |i, column, weight| {
            if all_finite || weight != 0.0 {
                sums[i % LANES].add(weight * x[column]);
            }
        })?;
        sum.merge(total(sums));
        Some(next)
    }
}

impl<W: Weights> WholeRows for StepRows<'_, W> {
    fn add_scaled<A: Copy + Into<f64>, S: Sum>(
        self,
        isa: Isa,
        x: &[A],
        sums: &mut [S],
    ) -> Option<usize> {
        let beyond = sums.len().checked_sub(self.length)?;
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::Avx512 if beyond >= BEYOND => {
                if let Some(sums) = S::numbers(sums) {
                    return x86::add_scaled_steps(self, x, sums);
                }
            }
            _ => {}
        }
        let mut weights = 0;
        for row in 0..self.pointers.len() {
            weights = self.add_row(row, weights, (*x.get(row)?).into(), sums)?;
        }
        Some(weights)
    }

    fn dot<S: Sum>(
        self,
        isa: Isa,
        x: &[f64],
        all_finite: bool,
        sums_of_rows: &mut [S],
    ) -> Option<usize> {
        let beyond = x.len().checked_sub(self.length)?;
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::Avx512 if all_finite && beyond >= BEYOND => {
                if let Some(sums) = S::numbers(sums_of_rows) {
                    return x86::dot_steps(self, x, sums);
                }
            }
            _ => {}
        }
        let mut weights = 0;
        for row in 0..self.pointers.len() {
            let sum = sums_of_rows.get_mut(row)?;
            weights = self.dot_row(row, weights, x, all_finite, sum)?;
        }
        Some(weights)
    }
}

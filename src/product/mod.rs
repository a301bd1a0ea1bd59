//! Products of a tensor's matrix with vectors, from what its file holds of it: a pruned layer is never
//! expanded, and takes less memory and less time than the dense product, which waits for memory.
//!
//! ```
//! # fn main() -> tfzip::Result<()> {
//! use tfzip::product::Matrix;
//! use tfzip::{Archive, PackOptions, Profile};
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits-300-100.pb");
//! # let model = std::fs::read(path).expect("the example model");
//! # let mut options = PackOptions::default();
//! # options.profile = Profile::Direct;
//! # let (tfz, _) = tfzip::pack_slice(&model, "digits-300-100.pb", &options)?;
//! let archive = Archive::new(tfz)?;
//! let kernel = Matrix::new(&archive.tensor("fc1/kernel")?)?; // 64 rows, 300 columns
//! let x = [0.5f32; 64];
//! let mut y = [0.0; 300];
//! kernel.multiply_transposed(&x, &mut y)?; // TensorFlow's x·W
//! # let dense: Vec<f32> = archive.tensor("fc1/kernel")?.to_vec()?;
//! # let column_7: f32 = dense.iter().skip(7).step_by(300).sum();
//! # assert!((y[7] - 0.5 * column_7).abs() < 1e-5);
//! # Ok(())
//! # }
//! ```
//!
//! # What is computed
//!
//! The matrix has the tensor's last dimension as columns and all others as rows (spec §7.4). Of integers
//! and booleans the numbers are taken as they stand: quantised types without their scales.
//!
//! A sum has a term for each element that is not zero, as IEEE 754 has it: an infinite or NaN weight makes
//! the results infinite or NaN that it belongs to, and so does what `x` has for it. **An element that is
//! zero, +0.0 or −0.0, adds nothing**, also where `x` is infinite or NaN: it makes no difference
//! whether a zero is stored or not. Where the background of the encoding is not zero, its elements are
//! elements like all others. A sum without terms is +0.0.
//!
//! Results of `f32` are summed in `f64` and rounded once. For results of `f64` a sum carries what its
//! roundings lost. So a result is within 4·ε·Σ|w·x| of the true sum, with the ε of its type, unless a sum
//! leaves the range of `f64` on the way. Any dtype of real numbers can be multiplied with vectors of
//! either type; integers of 64 bits are rounded to `f64`.
//!
//! The bits of a result depend on the file and the vector alone: neither on the machine nor on the number
//! of threads, nor on the other vectors of a batch.
//!
//! # What it takes
//!
//! Blocks of profile `direct` are multiplied where they are, in the mapped file if it is one, if
//! the memory begins at a multiple of eight bytes. Others are decoded one at a time; of those of which the
//! background is not zero all elements are. Whatever the profile, there are 8 bytes for each result while it is summed
//! (16 for `f64`), a few times over where the results are of columns, 8 for each number of `x` where those are, and
//! 16 KiB more each time (32 for sums of `f64`). Buffers of up to 1 MiB are kept by the thread for the next product.
//!
//! A block's checksum, and all that the spec says of its streams, is checked when a [`Matrix`] first needs it. Later
//! products of profile `direct` rely on none of that for memory safety, only for what they compute: a file that is changed while
//! it is mapped can give an error or wrong numbers, and nothing worse than the mapping itself.

mod blocks;
mod number;
mod runs;
#[cfg(test)]
mod tests;

use crate::archive::Tensor;
use crate::buffer::Buffer;
use crate::cursor::to_usize;
use crate::error::{Error, Result, Within};
use crate::kernels::Isa;
use crate::kernels::product::{BEYOND, CHUNK, Doubles, Sum};
use crate::parallel;
use blocks::Payload;
use runs::{AddScaled, Dots, Fold, Runs, Sink, Weighed};
use std::ops::Range;

#[cfg(any(fuzzing, test))]
pub(crate) use number::of_dtype as number_of_dtype;

/// Most parts that the blocks of a payload are summed in, each by itself.
const MAX_PARTS: usize = 16;

/// Sums of columns that all parts of a product may have together, if there are more than two parts.
const MAX_PART_SUMS: usize = 1 << 17;

/// The same for as many vectors of a batch as are multiplied at once, if there are several.
const MAX_BATCH_SUMS: usize = 1 << 20;

mod sealed {
    /// What only the types below are.
    pub trait Sealed: Copy + Default + Send + Sync + Into<f64> {
        /// What products are summed in.
        #[allow(private_bounds, reason = "nobody else implements or names it")]
        type Sum: super::Sum;

        /// A sum as a result.
        fn round(sum: f64) -> Self;
    }
}

/// The type of a vector's numbers: `f32` or `f64`. Sealed.
pub trait Real: sealed::Sealed {}

impl sealed::Sealed for f32 {
    type Sum = f64;

    fn round(sum: f64) -> Self {
        sum as f32
    }
}

impl sealed::Sealed for f64 {
    type Sum = [f64; 2];

    fn round(sum: f64) -> Self {
        sum
    }
}

impl Real for f32 {}
impl Real for f64 {}

/// A tensor as a matrix to multiply with.
///
/// It can be shared between threads. With the feature `parallel`, a product is made on the threads of the
/// caller's `rayon` pool.
pub struct Matrix<'a> {
    tensor: Tensor<'a>,
    rows: usize,
    columns: usize,
    elements: Elements<'a>,
}

/// Where the elements are.
enum Elements<'a> {
    /// A payload, by the width of its elements.
    Bytes(Payload<'a, u8>),
    Halves(Payload<'a, u16>),
    Words(Payload<'a, u32>),
    Doubles(Payload<'a, u64>),
    /// In the skeleton, or repeated: they are read like any reader does.
    Read(fn(u64) -> f64),
}

/// Runs `$body` with the payload, or `$read` with what makes numbers of other elements.
macro_rules! with_payload {
    ($elements:expr, $payload:ident => $body:expr, $number:ident => $read:expr) => {
        match $elements {
            Elements::Bytes($payload) => $body,
            Elements::Halves($payload) => $body,
            Elements::Words($payload) => $body,
            Elements::Doubles($payload) => $body,
            Elements::Read($number) => $read,
        }
    };
}

impl std::fmt::Debug for Matrix<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Matrix")
            .field("tensor", &self.tensor)
            .field("rows", &self.rows)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

impl<'a> Matrix<'a> {
    /// The matrix of a tensor. Reads the tables of its payload; blocks are first read by a product.
    ///
    /// # Errors
    /// `InvalidArgument` if the tensor isn't [readable](Tensor::is_readable), or if its elements are no
    /// real numbers; `Corrupt` or `Unsupported` if the directory or the tables break a rule of the spec.
    pub fn new(tensor: &Tensor<'a>) -> Result<Self> {
        Self::of_tensor(*tensor).within(|| format!("tensor {:?}", tensor.name()))
    }

    fn of_tensor(tensor: Tensor<'a>) -> Result<Self> {
        let (rows, columns) = tensor.matrix_shape();
        let dtype = tensor.dtype();
        let number = number::of_dtype(dtype)
            .filter(|_| tensor.is_readable())
            .ok_or_else(|| {
                Error::invalid(format!(
                    "products are of elements that are real numbers and can be read, not of {dtype} {}",
                    if tensor.is_readable() { "" } else { "in the model file's own form" }
                ))
            })?;
        let elements = match tensor.payload() {
            Some(_) if tensor.n_stored() == tensor.len() => {
                let record = tensor.record()?;
                match record.width() {
                    1 => Elements::Bytes(Payload::new(record, dtype, columns)?),
                    2 => Elements::Halves(Payload::new(record, dtype, columns)?),
                    4 => Elements::Words(Payload::new(record, dtype, columns)?),
                    _ => Elements::Doubles(Payload::new(record, dtype, columns)?),
                }
            }
            _ => Elements::Read(number),
        };
        Ok(Self {
            tensor,
            rows: to_usize(rows)?,
            columns: to_usize(columns)?,
            elements,
        })
    }

    /// Multiplies with other kernels than the machine's best.
    #[cfg(any(fuzzing, test))]
    pub(crate) fn with_isa(self, isa: Isa) -> Self {
        let elements = match self.elements {
            Elements::Bytes(payload) => Elements::Bytes(payload.with_isa(isa)),
            Elements::Halves(payload) => Elements::Halves(payload.with_isa(isa)),
            Elements::Words(payload) => Elements::Words(payload.with_isa(isa)),
            Elements::Doubles(payload) => Elements::Doubles(payload.with_isa(isa)),
            Elements::Read(number) => Elements::Read(number),
        };
        Self { elements, ..self }
    }

    /// Number of rows: the product of all dimensions but the last.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns: the last dimension.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The tensor that it is made from.
    pub fn tensor(&self) -> &Tensor<'a> {
        &self.tensor
    }

    /// y = W·x: `x` has a number for each column, `y` for each row.
    ///
    /// # Errors
    /// `InvalidArgument` if `x` or `y` has another length. `Corrupt`, `Truncated` or `Unsupported` if a
    /// block breaks a rule of the spec, its checksum first of all; the contents of `y` are unspecified then.
    pub fn multiply<A: Real>(&self, x: &[A], y: &mut [A]) -> Result<()> {
        self.multiply_batch(x, y, 1)
    }

    /// y = Wᵀ·x, TensorFlow's x·W: `x` has a number for each row, `y` for each column.
    ///
    /// # Errors
    /// As [`multiply`](Self::multiply).
    pub fn multiply_transposed<A: Real>(&self, x: &[A], y: &mut [A]) -> Result<()> {
        self.multiply_transposed_batch(x, y, 1)
    }

    /// [`multiply`](Self::multiply) with `batch` vectors: `x` has one after the other, and so has `y`
    /// what comes of them.
    ///
    /// # Errors
    /// As [`multiply`](Self::multiply).
    pub fn multiply_batch<A: Real>(&self, x: &[A], y: &mut [A], batch: usize) -> Result<()> {
        self.check(x, self.columns, batch, "x")?;
        self.check(y, self.rows, batch, "y")?;
        y.fill(A::default());
        if self.tensor.is_empty() || batch == 0 {
            return Ok(());
        }
        let at_once = at_once(self.rows.saturating_add(self.columns), batch);
        let tiles = x.chunks(at_once.saturating_mul(self.columns));
        for (x, y) in tiles.zip(y.chunks_mut(at_once.saturating_mul(self.rows))) {
            self.dots(x, y)
                .within(|| format!("tensor {:?}", self.tensor.name()))?;
        }
        Ok(())
    }

    /// [`multiply_transposed`](Self::multiply_transposed) with `batch` vectors, as
    /// [`multiply_batch`](Self::multiply_batch).
    ///
    /// # Errors
    /// As [`multiply`](Self::multiply).
    pub fn multiply_transposed_batch<A: Real>(
        &self,
        x: &[A],
        y: &mut [A],
        batch: usize,
    ) -> Result<()> {
        self.check(x, self.rows, batch, "x")?;
        self.check(y, self.columns, batch, "y")?;
        y.fill(A::default());
        if self.tensor.is_empty() || batch == 0 {
            return Ok(());
        }
        let at_once = at_once(self.columns.saturating_mul(self.parts().len()), batch);
        let tiles = x.chunks(at_once.saturating_mul(self.rows));
        for (x, y) in tiles.zip(y.chunks_mut(at_once.saturating_mul(self.columns))) {
            self.scaled_sums(x, y)
                .within(|| format!("tensor {:?}", self.tensor.name()))?;
        }
        Ok(())
    }

    fn check<A>(&self, vectors: &[A], length: usize, batch: usize, name: &str) -> Result<()> {
        if length.checked_mul(batch) == Some(vectors.len()) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{name} has {} numbers, expected {batch} times {length}",
            vectors.len()
        ))
        .within(format!("tensor {:?}", self.tensor.name())))
    }

    /// The blocks, in parts that are summed each by itself. They depend on the tensor alone, so that the
    /// order of all sums does.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a tensor that has elements has a block of them, and a part begins within the blocks"
    )]
    fn parts(&self) -> Vec<Range<u64>> {
        let n_blocks = with_payload!(&self.elements, payload => payload.n_blocks(), _number => 1);
        let n = (MAX_PART_SUMS / self.columns.max(1)).clamp(2, MAX_PARTS) as u64;
        let n = n.min(n_blocks);
        // Not by a product of both, which might overflow.
        let (whole, more) = (n_blocks / n, n_blocks % n);
        let start = |part: u64| part * whole + part.min(more);
        (0..n).map(|part| start(part)..start(part + 1)).collect()
    }

    /// Hands all elements in some blocks that are not zero to `sink`.
    fn visit(&self, blocks: Range<u64>, sink: &mut impl Sink) -> Result<()> {
        with_payload!(
            &self.elements,
            payload => {
                for block in blocks {
                    payload.visit(block, sink)?;
                }
                Ok(())
            },
            number => self.visit_read(*number, sink)
        )
    }

    /// The same for elements that are not a payload's.
    fn visit_read(&self, number: fn(u64) -> f64, sink: &mut impl Sink) -> Result<()> {
        let width = self.tensor.dtype().width().unwrap_or(1);
        let mut doubles = [0; CHUNK];
        self.tensor.for_each_chunk(|first, bytes| {
            let chunks = bytes.chunks(CHUNK.saturating_mul(width));
            for (first_element, bytes) in (first..).step_by(CHUNK).zip(chunks) {
                let elements = bytes.chunks_exact(width);
                let n = elements.len();
                for (double, element) in doubles.iter_mut().zip(elements) {
                    let bits = element
                        .iter()
                        .rev()
                        .fold(0, |bits, &byte| bits << 8 | u64::from(byte));
                    *double = number(bits).to_bits().to_le();
                }
                let fold = Fold {
                    columns: self.columns as u64,
                    first_element,
                    n: n as u32,
                };
                let weights = Weighed::Doubles(Doubles(&doubles));
                Runs::new(fold, Isa::active(), sink).adjacent(0, n, weights)?;
            }
            Ok(())
        })
    }

    /// The rows that blocks have elements of.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a tensor that has elements has columns"
    )]
    fn rows_of(&self, blocks: Range<u64>) -> Range<usize> {
        let columns = self.columns as u64;
        with_payload!(
            &self.elements,
            payload => {
                let elements = payload.elements(blocks);
                (elements.start / columns) as usize..elements.end.div_ceil(columns) as usize
            },
            _number => 0..self.rows
        )
    }

    /// What a row adds, times its number in `x`, to every column.
    fn scaled_sums<A: Real>(&self, x: &[A], y: &mut [A]) -> Result<()> {
        let parts = self.parts();
        let visit = |blocks, sums: &mut [A::Sum]| {
            let (rows, columns) = (self.rows, self.columns);
            let mut sink = AddScaled {
                x,
                rows,
                sums,
                columns,
            };
            self.visit(blocks, &mut sink)
        };
        let add = |sums: &mut [A::Sum], others: &[A::Sum]| {
            sums.iter_mut().zip(others).for_each(|(a, b)| a.merge(*b));
        };
        // One thread needs no more than the sums of one part and those of all before it.
        let at_once = if parallel::n_threads() == 1 {
            1
        } else {
            parts.len()
        };
        let mut sums = Buffer::<A::Sum>::new(y.len());
        sums.fill(Default::default());
        let n_sums = y.len().saturating_add(BEYOND);
        let mut of_parts = Buffer::<A::Sum>::new(at_once.saturating_mul(n_sums));
        for parts in parts.chunks(at_once) {
            let pieces = parts.iter().cloned().zip(of_parts.chunks_exact_mut(n_sums));
            parallel::try_for_each(pieces.collect(), |(blocks, sums)| {
                sums.iter_mut()
                    .take(y.len())
                    .for_each(|sum| *sum = A::Sum::default());
                visit(blocks, sums)
            })?;
            for part in of_parts.chunks_exact(n_sums).take(parts.len()) {
                add(&mut sums, part);
            }
        }
        for (y, sum) in y.iter_mut().zip(sums.iter()) {
            *y = A::round(sum.value());
        }
        Ok(())
    }

    /// The products of rows with vectors.
    fn dots<A: Real>(&self, x: &[A], y: &mut [A]) -> Result<()> {
        let mut numbers = Buffer::<f64>::new(x.len().saturating_add(BEYOND));
        let mut all_finite = true;
        for (number, x) in numbers.iter_mut().zip(x) {
            *number = (*x).into();
            all_finite &= number.is_finite();
        }
        let batch = y.chunks_exact(self.rows).len();
        let parts: Vec<_> = self
            .parts()
            .into_iter()
            .map(|blocks| (self.rows_of(blocks.clone()), blocks))
            .collect();
        let n_sums = |rows: &Range<usize>| rows.len().saturating_mul(batch);
        let mut all = Buffer::<A::Sum>::new(parts.iter().map(|(rows, _)| n_sums(rows)).sum());
        all.fill(Default::default());
        let mut rest = &mut all[..];
        let mut pieces = Vec::with_capacity(parts.len());
        for (rows, blocks) in &parts {
            let (sums, after) = rest.split_at_mut(n_sums(rows));
            rest = after;
            pieces.push((rows.clone(), blocks.clone(), sums));
        }
        parallel::try_for_each(pieces, |(rows, blocks, sums)| {
            let mut sink = Dots {
                x: &numbers,
                columns: self.columns,
                all_finite,
                sums,
                rows,
            };
            self.visit(blocks, &mut sink)
        })?;
        for (vector, y) in y.chunks_exact_mut(self.rows).enumerate() {
            let mut rest = &all[..];
            let (mut last_row, mut last) = (0, A::Sum::default());
            for (rows, _) in &parts {
                let (sums, after) = rest.split_at(n_sums(rows));
                rest = after;
                let of_vector = sums.chunks_exact(rows.len()).nth(vector);
                for (row, &sum) in rows.clone().zip(of_vector.unwrap_or_default()) {
                    if row != last_row {
                        (last_row, last) = (row, A::Sum::default());
                    }
                    // Again for a row that goes on in the next part.
                    last.merge(sum);
                    if let Some(y) = y.get_mut(row) {
                        *y = A::round(last.value());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Vectors of a batch that are multiplied at once, each of which takes so many sums.
fn at_once(sums: usize, batch: usize) -> usize {
    let most = MAX_BATCH_SUMS.checked_div(sums).unwrap_or(batch);
    most.clamp(1, batch)
}

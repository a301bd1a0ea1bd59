//! The elements of a tensor that are not zero, one after the other.

use super::Tensor;
use super::csr::{are_others_zero, value};
use super::tensor::CHUNK_ELEMENTS;
use crate::cursor::{range_len, to_usize};
use crate::error::{Result, Within};
use crate::kernels::Store;
use crate::kernels::out::overwrite;
use crate::payload::{Record, Shared};
use crate::tensor::{DType, Element};
use crate::word::{Word, with_word};
use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;

/// The elements of a tensor that are not zero, as `(row, column, value)`; see [`Tensor::nonzeros`].
///
/// Holds what one block has of them. The first error is the last item.
pub struct Nonzeros<'a, T> {
    tensor: Tensor<'a>,
    n_columns: u64,
    /// Where the elements of blocks come from; `None` for a tensor without a payload.
    blocks: Option<Box<dyn Blocks<T> + 'a>>,
    next_block: u64,
    /// The first element that has not been looked at; the number of all after an error.
    next: u64,
    /// The bytes of the last element that is stored, once they are known.
    last: Vec<u8>,
    found: Found<T>,
    at: usize,
    /// The row of the last item, and its elements.
    row: u64,
    row_elements: Range<u64>,
}

/// What a piece of a tensor has of nonzero elements.
struct Found<T> {
    first: u64,
    /// From `first`.
    positions: Vec<u32>,
    values: Vec<T>,
}

impl<T: Element> Found<T> {
    fn clear(&mut self, first: u64) {
        self.first = first;
        self.positions.clear();
        self.values.clear();
    }

    /// Adds an element, if it is not zero.
    fn push(&mut self, dtype: DType, position: u32, bytes: &[u8]) -> Result<()> {
        if dtype.is_nonzero(bytes) {
            self.values.push(value(bytes)?);
            self.positions.push(position);
        }
        Ok(())
    }

    /// Adds those of consecutive elements that are not zero.
    fn push_all(&mut self, dtype: DType, bytes: &[u8]) -> Result<()> {
        let width = dtype.width().unwrap_or(1);
        (0..)
            .zip(bytes.chunks_exact(width))
            .try_for_each(|(position, bytes)| self.push(dtype, position, bytes))
    }
}

/// The blocks of a payload, whatever the width of its elements.
trait Blocks<T>: Send + Sync {
    /// Finds the nonzero elements of a block, and where its elements end.
    fn find(&self, block: u64, found: &mut Found<T>) -> Result<u64>;
}

struct OfWords<'a, W> {
    record: Record<'a>,
    shared: Shared<W>,
    dtype: DType,
    are_others_zero: bool,
}

impl<W: Word, T: Element> Blocks<T> for OfWords<'_, W> {
    fn find(&self, block: u64, found: &mut Found<T>) -> Result<u64> {
        let elements = self.record.elements(block);
        found.clear(elements.start);
        let decoded = self.record.decode::<W>(block, &self.shared)?;
        if self.are_others_zero {
            let mut pushed = Ok(());
            decoded.for_each_entry(|position, bytes| {
                if pushed.is_ok() {
                    pushed = found.push(self.dtype, position, bytes);
                }
            })?;
            pushed?;
        } else {
            let mut all = vec![0; decoded.n_bytes()];
            decoded.fill(&mut all, Store::Cached)?;
            found.push_all(self.dtype, &all)?;
        }
        Ok(elements.end)
    }
}

impl<'a, T: Element> Nonzeros<'a, T> {
    pub(super) fn new(tensor: Tensor<'a>) -> Result<Self> {
        let width = tensor.readable_width()?;
        let blocks = match tensor.payload() {
            None => None,
            Some(_) => Some(with_word!(width, W => blocks::<W, T>(&tensor)?)),
        };
        Ok(Self {
            n_columns: tensor.matrix_shape().1,
            tensor,
            blocks,
            next_block: 0,
            next: 0,
            last: Vec::new(),
            found: Found {
                first: 0,
                positions: Vec::new(),
                values: Vec::new(),
            },
            at: 0,
            row: 0,
            row_elements: 0..0,
        })
    }

    /// Looks at the next piece: a block, or some elements that are in none.
    fn find_more(&mut self) -> Result<()> {
        self.at = 0;
        let stored = self.tensor.n_stored();
        if self.next >= stored {
            return self.find_repeated();
        }
        if let Some(blocks) = &self.blocks {
            self.next = blocks.find(self.next_block, &mut self.found)?;
            // There are fewer than 2^64 blocks.
            self.next_block = self.next_block.saturating_add(1);
            return Ok(());
        }
        let elements = self.next..stored.min(self.next.saturating_add(CHUNK_ELEMENTS));
        self.next = elements.end;
        self.found.clear(elements.start);
        let bytes = self.read(elements)?;
        self.found.push_all(self.tensor.dtype(), &bytes)
    }

    /// Looks at some elements that repeat the last one that is stored.
    fn find_repeated(&mut self) -> Result<()> {
        if self.last.is_empty() {
            let stored = self.tensor.n_stored();
            self.last = match stored.checked_sub(1) {
                Some(last) => self.read(last..stored)?,
                None => vec![0; self.tensor.width()],
            };
        }
        self.found.clear(self.next);
        if !self.tensor.dtype().is_nonzero(&self.last) {
            self.next = self.tensor.len();
            return Ok(());
        }
        let end = self
            .tensor
            .len()
            .min(self.next.saturating_add(CHUNK_ELEMENTS));
        let bytes = self.last.repeat(to_usize(range_len(&(self.next..end)))?);
        self.next = end;
        self.found.push_all(self.tensor.dtype(), &bytes)
    }

    /// The bytes of a few elements.
    fn read(&self, elements: Range<u64>) -> Result<Vec<u8>> {
        let mut bytes = vec![0; to_usize(self.tensor.bytes_of(&elements))?];
        overwrite(&mut bytes, |out| self.tensor.read_range(elements, out))?;
        Ok(bytes)
    }

    /// Row and column of an element, which comes after all before.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a row starts no later than the element in it, which has been looked for in `row_elements`"
    )]
    fn place_of(&mut self, element: u64) -> (u64, u64) {
        if !self.row_elements.contains(&element) {
            // There are columns where there are elements.
            self.row = element / self.n_columns.max(1);
            let start = self.row * self.n_columns;
            self.row_elements = start..start.saturating_add(self.n_columns);
        }
        (self.row, element - self.row_elements.start)
    }
}

fn blocks<'a, W: Word, T: Element>(tensor: &Tensor<'a>) -> Result<Box<dyn Blocks<T> + 'a>> {
    let record = tensor.record()?;
    let shared = record.tables::<W>()?;
    Ok(Box::new(OfWords {
        are_others_zero: are_others_zero(tensor.dtype(), &shared),
        dtype: tensor.dtype(),
        record,
        shared,
    }))
}

impl<T: Element> Iterator for Nonzeros<'_, T> {
    type Item = Result<(u64, u64, T)>;

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "`at` is the number of something that is there, and `first + position` of an element"
    )]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let found = (
                self.found.positions.get(self.at),
                self.found.values.get(self.at),
            );
            if let (Some(&position), Some(&value)) = found {
                self.at += 1;
                let (row, column) = self.place_of(self.found.first + u64::from(position));
                return Some(Ok((row, column, value)));
            }
            if self.next >= self.tensor.len() {
                return None;
            }
            if let Err(error) = self.find_more() {
                self.next = self.tensor.len();
                self.found.clear(self.next);
                return Some(Err(error).within(|| self.tensor.place()));
            }
        }
    }
}

impl<T: Element> FusedIterator for Nonzeros<'_, T> {}

impl<T> fmt::Debug for Nonzeros<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonzeros")
            .field("tensor", &self.tensor.name())
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

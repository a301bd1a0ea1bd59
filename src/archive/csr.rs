//! Tensors as compressed sparse rows.

use super::Tensor;
use crate::cursor::to_usize;
use crate::error::{Error, Result};
use crate::kernels::out::not_a_value;
use crate::payload::Shared;
use crate::tensor::{DType, Element};
use crate::word::{Word, with_word};
use std::num::NonZeroU64;

/// Most rows of a tensor without elements: nothing else bounds its row pointers.
const MAX_EMPTY_ROWS: u64 = 1 << 20;

/// A matrix in CSR form: the elements that are not zero, row by row.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Csr<T> {
    /// Number of rows.
    pub n_rows: usize,
    /// Number of columns.
    pub n_columns: usize,
    /// Row pointers: the entries of row `i` are `indptr[i]..indptr[i + 1]`; `n_rows + 1` values.
    pub indptr: Vec<usize>,
    /// Column of each entry, ascending within a row.
    pub indices: Vec<u32>,
    /// Value of each entry.
    pub values: Vec<T>,
}

impl<T> Csr<T> {
    /// Number of entries.
    pub fn nnz(&self) -> usize {
        self.values.len()
    }

    /// Columns and values of the entries of `row`.
    ///
    /// # Panics
    /// If there is no such row.
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "documented: a row that the caller names, of a matrix whose fields are open to it"
    )]
    pub fn row(&self, row: usize) -> (&[u32], &[T]) {
        let entries = self.indptr[row]..self.indptr[row + 1];
        (&self.indices[entries.clone()], &self.values[entries])
    }
}

/// Whether no other elements than the entries of the blocks can be nonzero.
pub(super) fn are_others_zero<W: Word>(dtype: DType, shared: &Shared<W>) -> bool {
    let background = shared.tables.background;
    let mut pattern = vec![0; W::WIDTH];
    [background, background.flip_top()].iter().all(|other| {
        other.put_le(&mut pattern);
        !dtype.is_nonzero(&pattern)
    })
}

/// The value with these bytes, in the machine's order.
pub(super) fn value<T: Element>(bytes: &[u8]) -> Result<T> {
    let mut value =
        bytemuck::checked::try_pod_read_unaligned(bytes).map_err(|_| not_a_value::<T>())?;
    T::swap_if_big_endian(std::slice::from_mut(&mut value));
    Ok(value)
}

/// Gathers the entries of a tensor whose dtype `T` means.
pub(super) fn of_tensor<T: Element>(tensor: &Tensor<'_>) -> Result<Csr<T>> {
    let (n_rows, n_columns) = tensor.matrix_shape();
    if n_columns > 1 << 32 {
        return Err(Error::limit(format!(
            "{n_columns} columns in CSR form, the limit is 2^32"
        )));
    }
    // There are as many row pointers as rows, which the limits of the archive bound only through
    // the tensor's bytes.
    if tensor.is_empty() && n_rows > MAX_EMPTY_ROWS {
        return Err(Error::limit(format!(
            "{n_rows} rows without elements in CSR form, the limit is {MAX_EMPTY_ROWS}"
        )));
    }
    let mut builder = Builder {
        dtype: tensor.dtype(),
        // There are columns where there are elements.
        n_columns: NonZeroU64::new(n_columns).unwrap_or(NonZeroU64::MIN),
        indptr: vec![0],
        indices: Vec::new(),
        values: Vec::new(),
    };
    let width = tensor.dtype().width().unwrap_or(1);
    let sparse = tensor.payload().is_some() && tensor.n_stored() == tensor.len();
    let done = sparse && with_word!(width, W => builder.add_entries::<W>(tensor)?);
    if !done {
        tensor.for_each_chunk(|first, bytes| {
            (first..)
                .zip(bytes.chunks_exact(width))
                .try_for_each(|(element, bytes)| builder.push(element, bytes))
        })?;
    }
    let values = builder.values;
    let n_pointers = n_rows.saturating_add(1);
    builder.indptr.resize(to_usize(n_pointers)?, values.len());
    Ok(Csr {
        n_rows: to_usize(n_rows)?,
        n_columns: to_usize(n_columns)?,
        indptr: builder.indptr,
        indices: builder.indices,
        values,
    })
}

struct Builder<T> {
    dtype: DType,
    n_columns: NonZeroU64,
    indptr: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<T>,
}

impl<T: Element> Builder<T> {
    /// Adds the element with this index and these bytes, if it is not zero; in ascending order.
    fn push(&mut self, element: u64, bytes: &[u8]) -> Result<()> {
        if !self.dtype.is_nonzero(bytes) {
            return Ok(());
        }
        let (row, column) = (element / self.n_columns, element % self.n_columns);
        while (self.indptr.len() as u64) <= row {
            self.indptr.push(self.values.len());
        }
        self.indices.push(column as u32);
        self.values.push(value(bytes)?);
        Ok(())
    }

    /// Adds the entries of all blocks; returns false, having added nothing, where other elements
    /// than entries can be nonzero.
    fn add_entries<W: Word>(&mut self, tensor: &Tensor<'_>) -> Result<bool> {
        let record = tensor.record()?;
        let shared = record.tables::<W>()?;
        if !are_others_zero(self.dtype, &shared) {
            return Ok(false);
        }
        for block in 0..record.n_blocks() {
            let first = record.elements(block).start;
            let decoded = record.decode::<W>(block, &shared)?;
            let mut pushed = Ok(());
            decoded.for_each_entry(|position, bytes| {
                if pushed.is_ok() {
                    pushed = self.push(first.saturating_add(u64::from(position)), bytes);
                }
            })?;
            pushed?;
        }
        Ok(true)
    }
}

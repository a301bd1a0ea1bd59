//! One tensor of an open archive.

use super::csr::{self, Csr};
use super::layout::{self, Layout};
use super::nonzeros::Nonzeros;
use super::skeleton::read_skeleton;
use crate::container::{Index, Source, TensorRow};
use crate::cursor::{range_len, to_usize};
use crate::error::{Error, Result, Within};
use crate::kernels::Store;
use crate::kernels::out::{Out, overwrite, write_uninit, write_vec};
use crate::payload::{self, Record};
use crate::tensor::{DType, Element, matrix_shape};
use crate::word::with_word;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Elements outside payloads that are looked at in one go.
pub(super) const CHUNK_ELEMENTS: u64 = 1 << 16;

/// Consecutive elements, in chunks.
fn chunks(elements: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let starts = elements.clone().step_by(CHUNK_ELEMENTS as usize);
    starts.map(move |start| start..elements.end.min(start.saturating_add(CHUNK_ELEMENTS)))
}

/// A tensor of an archive: what it is, and its elements when asked for.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    file: &'a [u8],
    index: &'a Index,
    number: usize,
    entry: TensorRow<'a>,
}

impl<'a> Tensor<'a> {
    /// The tensor with this number, which is that of its row in the index.
    pub(super) fn new(
        file: &'a [u8],
        index: &'a Index,
        number: usize,
        entry: TensorRow<'a>,
    ) -> Self {
        Self {
            file,
            index,
            number,
            entry,
        }
    }

    /// Its number among the archive's tensors.
    pub fn number(&self) -> usize {
        self.number
    }

    /// What users call it; need not be unique (see [`Archive::tensor`](super::Archive::tensor)).
    pub fn name(&self) -> &'a str {
        self.entry.name
    }

    /// Name of the model file that it stands in.
    pub fn file_name(&self) -> &'a str {
        self.index.file_name_of(&self.entry)
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.entry.dtype
    }

    /// Dimensions, outermost first; empty for a scalar.
    pub fn shape(&self) -> &'a [u64] {
        self.entry.shape
    }

    /// Number of elements: the product of the shape.
    pub fn len(&self) -> u64 {
        self.entry.elements
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of elements that are not zero; −0.0 is zero, NaN is not (spec §7.4).
    pub fn nnz(&self) -> u64 {
        self.entry.nnz
    }

    /// [`nnz`](Self::nnz) as a share of all elements, 0 to 1; 0 for a tensor without elements.
    pub fn density(&self) -> f64 {
        if self.is_empty() {
            0.0
        } else {
            self.nnz() as f64 / self.len() as f64
        }
    }

    /// Rows and columns of its matrix: all dimensions but the last, and the last one (spec §7.4).
    pub fn matrix_shape(&self) -> (u64, u64) {
        // The shape was counted when the archive was opened; a tensor without elements may have
        // more rows than can be counted.
        matrix_shape(self.shape()).unwrap_or((0, self.shape().last().copied().unwrap_or(1)))
    }

    /// Whether its elements can be read: strings, and numbers that the model file holds as
    /// varints, can't.
    pub fn is_readable(&self) -> bool {
        self.entry.source != Source::Opaque
    }

    /// Bytes that its elements take in the `.tfz` file: of its payload's record, which other
    /// tensors may share; or of its elements among the (compressed) skeleton, before compression.
    pub fn stored_bytes(&self) -> u64 {
        match self.entry.source {
            Source::Opaque => 0,
            Source::Payload(payload) => self.index.payload(payload).stored_bytes,
            Source::Skeleton(_) => self.bytes_of(&(0..self.n_stored())),
        }
    }

    /// Number of the payload that its elements are in; tensors with the same elements share one.
    /// `None` if they are in the skeleton.
    pub fn payload(&self) -> Option<usize> {
        match self.entry.source {
            Source::Payload(payload) => Some(payload),
            Source::Opaque | Source::Skeleton(_) => None,
        }
    }

    /// How its payload is kept; `None` if it is in the skeleton. Decodes the whole tensor.
    ///
    /// # Errors
    /// As [`read_bytes_into`](Self::read_bytes_into).
    pub fn layout(&self) -> Result<Option<Layout>> {
        match self.entry.source {
            Source::Payload(_) => layout::of_record(&self.record()?)
                .within(|| self.place())
                .map(Some),
            Source::Opaque | Source::Skeleton(_) => Ok(None),
        }
    }

    /// All elements, in row-major order. Decodes the whole tensor; every element is written once, into
    /// memory that has not been cleared.
    ///
    /// # Errors
    /// `InvalidArgument` if `T` does not mean the tensor's dtype; `Corrupt` if an element of dtype bool is
    /// neither 0 nor 1 and `T` is `bool`; otherwise as [`read_bytes_into`](Self::read_bytes_into).
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        self.read_elements(0..self.len())
    }

    /// Writes all elements into `out`, in row-major order; `out` has exactly [`len`](Self::len).
    ///
    /// # Errors
    /// As [`to_vec`](Self::to_vec), the contents of `out` are unspecified then; `InvalidArgument` if `out`
    /// has another length.
    pub fn read_into<T: Element>(&self, out: &mut [T]) -> Result<()> {
        self.read_elements_into(0..self.len(), out)
    }

    /// Writes all elements into `out`, in row-major order, and returns them. `out` has exactly
    /// [`len`](Self::len), and need not have been initialised: nothing is cleared before it is
    /// written.
    ///
    /// ```
    /// # use std::mem::MaybeUninit;
    /// # fn f(kernel: tfzip::Tensor<'_>) -> tfzip::Result<()> {
    /// let mut memory: Box<[MaybeUninit<f32>]> = Box::new_uninit_slice(kernel.len() as usize);
    /// let weights: &mut [f32] = kernel.read_into_uninit(&mut memory)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`read_into`](Self::read_into).
    pub fn read_into_uninit<'o, T: Element>(
        &self,
        out: &'o mut [MaybeUninit<T>],
    ) -> Result<&'o mut [T]> {
        self.check_buffer::<T>(0..self.len(), out.len())?;
        let values =
            write_uninit(out, |out| self.read_range(0..self.len(), out)).within(|| self.place())?;
        T::swap_if_big_endian(values);
        Ok(values)
    }

    /// The elements of some rows of its [`matrix_shape`](Self::matrix_shape), in row-major order.
    /// Decodes only the blocks that the rows lie in.
    ///
    /// # Errors
    /// As [`to_vec`](Self::to_vec); `InvalidArgument` if there are no such rows.
    pub fn rows<T: Element>(&self, rows: Range<u64>) -> Result<Vec<T>> {
        self.read_elements(self.elements_of(rows)?)
    }

    /// Writes the elements of some rows into `out`, in row-major order; `out` has exactly as many
    /// elements as the rows. Decodes only the blocks that the rows lie in.
    ///
    /// # Errors
    /// As [`read_into`](Self::read_into); `InvalidArgument` if there are no such rows.
    pub fn rows_into<T: Element>(&self, rows: Range<u64>, out: &mut [T]) -> Result<()> {
        self.read_elements_into(self.elements_of(rows)?, out)
    }

    /// Writes the bytes of all elements into `out`: little-endian, in row-major order. `out` has
    /// exactly [`len`](Self::len) times the dtype's width.
    ///
    /// # Errors
    /// `InvalidArgument` if `out` has another length, or if the tensor is not
    /// [readable](Self::is_readable). `Corrupt`, `Truncated` or `Unsupported` if a block breaks a
    /// rule of the spec, its checksum first of all; the contents of `out` are unspecified then.
    pub fn read_bytes_into(&self, out: &mut [u8]) -> Result<()> {
        self.read_bytes_of(0..self.len(), out)
    }

    /// As [`read_bytes_into`](Self::read_bytes_into), of some rows of its
    /// [`matrix_shape`](Self::matrix_shape). Decodes only the blocks that the rows lie in.
    ///
    /// # Errors
    /// As [`read_bytes_into`](Self::read_bytes_into); `InvalidArgument` if there are no such rows.
    pub fn read_row_bytes_into(&self, rows: Range<u64>, out: &mut [u8]) -> Result<()> {
        self.read_bytes_of(self.elements_of(rows)?, out)
    }

    /// The elements that are not zero, as a sparse matrix of its
    /// [`matrix_shape`](Self::matrix_shape) (spec §7.4).
    ///
    /// # Errors
    /// As [`to_vec`](Self::to_vec); `LimitExceeded` with more than 2^32 columns, or without elements
    /// and with more than 2^20 rows.
    pub fn csr<T: Element>(&self) -> Result<Csr<T>> {
        self.check_type::<T>()?;
        csr::of_tensor(self).within(|| self.place())
    }

    /// The elements that are not zero, one after the other, as `(row, column, value)` of its
    /// [`matrix_shape`](Self::matrix_shape): the same as those of [`csr`](Self::csr), in the same
    /// order, without a limit on columns or empty rows.
    ///
    /// Row-major: by ascending row, and by ascending column within a row. −0.0 is zero, NaN is not;
    /// with another background than zero, the elements that are not stored are nonzero and come
    /// too (spec §7.4). Decodes a block at a time, when its first element is asked for.
    ///
    /// ```
    /// # fn f(kernel: tfzip::Tensor<'_>) -> tfzip::Result<()> {
    /// let mut sums = vec![0.0; kernel.matrix_shape().1 as usize];
    /// for entry in kernel.nonzeros::<f32>()? {
    ///     let (_row, column, weight) = entry?;
    ///     sums[column as usize] += weight;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` if `T` does not mean the tensor's dtype, or if the tensor is not
    /// [readable](Self::is_readable); `Corrupt` or `Unsupported` if what all blocks share breaks a rule of
    /// the spec. What is wrong with a block comes as an item, after which there are no more.
    pub fn nonzeros<T: Element>(&self) -> Result<Nonzeros<'a, T>> {
        self.check_type::<T>()?;
        Nonzeros::new(*self).within(|| self.place())
    }

    /// `Corrupt` if it has not `found` elements that are not zero.
    pub(crate) fn check_nnz(&self, found: u64) -> Result<()> {
        if found == self.nnz() {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "{found} elements are nonzero, the manifest says {}",
            self.nnz()
        )))
    }

    /// Counts the elements that are not zero by decoding those that are stored.
    pub(crate) fn count_nonzero(&self) -> Result<u64> {
        let (mut count, mut last) = (0u64, 0u64);
        self.for_each_stored_chunk(|_, bytes| {
            // No more than the tensor's elements.
            count = count.saturating_add(self.dtype().count_nonzero(bytes));
            last = self.dtype().count_nonzero(self.last_of(bytes));
            Ok(())
        })?;
        Ok(count.saturating_add(last.saturating_mul(self.entry.repeats)))
    }

    /// Calls `f` with consecutive pieces of the elements' bytes, and the index of the first
    /// element of each: block by block, then what repeats the last element. One piece is in memory
    /// at a time.
    ///
    /// # Errors
    /// As [`read_bytes_into`](Self::read_bytes_into); what `f` returns.
    pub fn for_each_chunk(&self, mut f: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let mut last = vec![0; self.width()];
        self.for_each_stored_chunk(|first, bytes| {
            last.copy_from_slice(self.last_of(bytes));
            f(first, bytes)
        })?;
        let repeated = self.n_stored()..self.len();
        let chunk = last.repeat(to_usize(CHUNK_ELEMENTS.min(range_len(&repeated)))?);
        for elements in chunks(repeated) {
            let n_bytes = to_usize(self.bytes_of(&elements))?;
            // A chunk has no more elements than the longest.
            f(elements.start, chunk.get(..n_bytes).unwrap_or(&chunk))?;
        }
        Ok(())
    }

    /// The last element of a piece that is not empty.
    fn last_of<'b>(&self, piece: &'b [u8]) -> &'b [u8] {
        piece
            .rchunks_exact(self.width().max(1))
            .next()
            .unwrap_or_default()
    }

    /// As [`for_each_chunk`](Self::for_each_chunk), of the elements that are stored. No piece is
    /// empty.
    fn for_each_stored_chunk(&self, mut f: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let mut scratch = Vec::new();
        if self.payload().is_some() {
            let record = self.record()?;
            with_word!(self.width(), W => {
                let tables = record.tables::<W>()?;
                for block in 0..record.n_blocks() {
                    let decoded = record.decode::<W>(block, &tables)?;
                    scratch.resize(decoded.n_bytes(), 0);
                    decoded.fill(&mut scratch, Store::Cached)?;
                    f(record.elements(block).start, &scratch)?;
                }
            });
            return Ok(());
        }
        for elements in chunks(0..self.n_stored()) {
            let first = elements.start;
            scratch.resize(to_usize(self.bytes_of(&elements))?, 0);
            overwrite(&mut scratch, |out| self.read_range(elements, out))?;
            f(first, &scratch)?;
        }
        Ok(())
    }

    /// The payload's record, of a tensor that has one.
    pub(crate) fn record(&self) -> Result<Record<'a>> {
        match self.entry.source {
            Source::Payload(payload) => self.index.record(self.file, payload),
            Source::Opaque | Source::Skeleton(_) => {
                Err(Error::invalid("the tensor has no payload"))
            }
        }
    }

    /// Elements that are stored; the others repeat the last of them.
    pub(crate) fn n_stored(&self) -> u64 {
        range_len(&(self.entry.repeats..self.entry.elements))
    }

    pub(crate) fn place(&self) -> String {
        format!("tensor {:?}", self.name())
    }

    /// Bytes of an element; 0 if they have no width.
    pub(super) fn width(&self) -> usize {
        self.dtype().width().unwrap_or(0)
    }

    /// Bytes of some elements. Those of a whole tensor can be counted, unless it is opaque; what can't
    /// is more than any buffer has.
    pub(super) fn bytes_of(&self, elements: &Range<u64>) -> u64 {
        range_len(elements).saturating_mul(self.width() as u64)
    }

    /// Bytes of an element; an error if the elements are opaque.
    pub(super) fn readable_width(&self) -> Result<usize> {
        let width = self.dtype().width().filter(|_| self.is_readable());
        width.ok_or_else(|| {
            Error::invalid(format!(
                "its {} elements are kept in the skeleton, in the model file's own form",
                self.dtype()
            ))
        })
    }

    fn check_type<T: Element>(&self) -> Result<()> {
        if T::DTYPES.contains(&self.dtype()) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "elements are {}, not {}",
            self.dtype(),
            std::any::type_name::<T>()
        ))
        .within(self.place()))
    }

    fn read_elements<T: Element>(&self, elements: Range<u64>) -> Result<Vec<T>> {
        self.check_type::<T>()?;
        let read = || {
            // Before any memory is reserved: how many elements are opaque is not limited.
            self.readable_width()?;
            let n = to_usize(range_len(&elements))?;
            write_vec(n, |out| self.read_range(elements, out))
        };
        let mut out = read().within(|| self.place())?;
        T::swap_if_big_endian(&mut out);
        Ok(out)
    }

    fn read_elements_into<T: Element>(&self, elements: Range<u64>, out: &mut [T]) -> Result<()> {
        self.check_buffer::<T>(elements.clone(), out.len())?;
        match T::bytes_mut(out) {
            Some(bytes) => {
                overwrite(bytes, |out| self.read_range(elements, out)).within(|| self.place())?;
            }
            // Not all bytes are values: they are only written to `out` when they have been looked at.
            None => out.copy_from_slice(&self.read_elements(elements)?),
        }
        T::swap_if_big_endian(out);
        Ok(())
    }

    fn read_bytes_of(&self, elements: Range<u64>, out: &mut [u8]) -> Result<()> {
        self.check_bytes(elements.clone(), out.len())
            .and_then(|()| overwrite(out, |out| self.read_range(elements, out)))
            .within(|| self.place())
    }

    /// Whether `elements` can be read into a buffer of `n` elements.
    fn check_buffer<T: Element>(&self, elements: Range<u64>, n: usize) -> Result<()> {
        self.check_type::<T>()?;
        self.check_bytes(elements, n.saturating_mul(size_of::<T>()))
            .within(|| self.place())
    }

    /// The same for one of `n_bytes`.
    fn check_bytes(&self, elements: Range<u64>, n_bytes: usize) -> Result<()> {
        self.readable_width()?;
        let expected = self.bytes_of(&elements);
        match n_bytes as u64 == expected {
            true => Ok(()),
            false => Err(Error::invalid(format!(
                "a buffer of {n_bytes} bytes for {expected}"
            ))),
        }
    }

    fn elements_of(&self, rows: Range<u64>) -> Result<Range<u64>> {
        let (n_rows, columns) = self.matrix_shape();
        if rows.start > rows.end || rows.end > n_rows {
            return Err(Error::invalid(format!("rows {rows:?} of {n_rows}")).within(self.place()));
        }
        // No further than the tensor's elements.
        Ok(rows.start.saturating_mul(columns)..rows.end.saturating_mul(columns))
    }

    /// Writes the bytes of `elements`, which lie in the tensor; `out` has exactly those.
    pub(super) fn read_range(&self, elements: Range<u64>, out: Out<'_>) -> Result<()> {
        let width = self.readable_width()?;
        self.check_bytes(elements.clone(), out.len())?;
        let stored = self.n_stored();
        let elements = elements.start..elements.end.min(stored);
        let (from_store, repeated) = out.split_at(to_usize(self.bytes_of(&elements))?);
        if !from_store.is_empty() {
            self.read_stored(elements, from_store)?;
        }
        if !repeated.is_empty() {
            let mut last = vec![0; width];
            if let Some(before) = stored.checked_sub(1) {
                overwrite(&mut last, |out| self.read_stored(before..stored, out))?;
            }
            repeated.repeat(&last);
        }
        Ok(())
    }

    /// Writes the bytes of `elements`, which are stored.
    fn read_stored(&self, elements: Range<u64>, out: Out<'_>) -> Result<()> {
        match self.entry.source {
            Source::Opaque => Err(Error::invalid("its elements are opaque")),
            Source::Skeleton(offset) => {
                // Stored elements lie in the skeleton, whose bytes can be counted.
                let start = offset.saturating_add(self.bytes_of(&(0..elements.start)));
                read_skeleton(self.file, self.index, start, out)
            }
            Source::Payload(_) => payload::read(&self.record()?, elements, out),
        }
    }
}

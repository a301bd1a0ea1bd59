//! Where the elements of a block go, piece by piece.
#![allow(unsafe_code)]

use super::expand::{self, BitmapRows};
use super::out::{Out, Slots};
use super::{Isa, Store, copy, fill::fill};
use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::word::Word;
use std::ops::Range;

/// Bytes of a piece: a quarter of what the smallest first-level caches hold.
const PIECE_BYTES: usize = 1 << 13;

/// Elements of a row that is written at once: what has been cleared is still at hand for its entries.
const MAX_ROW: usize = 1 << 12;

/// The elements of a block, little-endian, to be written.
///
/// Invariants:
/// 1. What `written` counts has been written.
pub(crate) struct Target<'a, W: Word> {
    out: Out<'a>,
    isa: Isa,
    store: Store,
    buffer: Option<Buffer<W>>,
    written: Written,
    /// Last, so that it is dropped after all has been written.
    _fence: Fence,
}

/// Orders what was written past the caches before all that comes after it, also after an error.
struct Fence(Isa, Store);

impl Drop for Fence {
    fn drop(&mut self) {
        if self.1 == Store::PastCaches {
            copy::fence(self.0);
        }
    }
}

impl<'a, W: Word> Target<'a, W> {
    /// The elements of `out`, which is a whole number of them.
    pub(crate) fn new(isa: Isa, out: Out<'a>, store: Store) -> Self {
        Self {
            written: Written::new(out.len() / W::WIDTH),
            out,
            isa,
            store,
            buffer: None,
            _fence: Fence(isa, store),
        }
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.out.len() / W::WIDTH
    }

    /// Makes the elements of `range` the background, and lets `f` change them, a piece at a time: it
    /// gets the number of the first one, and all of them.
    ///
    /// # Panics
    /// If `range` is not within the elements.
    pub(crate) fn clear(
        &mut self,
        range: Range<usize>,
        background: W,
        mut f: impl FnMut(usize, &mut [W]),
    ) {
        for piece in pieces::<W>(range.clone()) {
            self.write(piece.clone(), |slots| {
                let out = fill(slots, background);
                f(piece.start, out);
            });
        }
        self.written.add(range);
    }

    /// As [`clear`](Self::clear), of a row: at once, where that is as good.
    ///
    /// # Panics
    /// If `row` is not within the elements.
    pub(crate) fn clear_row(
        &mut self,
        row: Range<usize>,
        background: W,
        mut f: impl FnMut(&mut [W]),
    ) {
        if self.store == Store::PastCaches || row.len() > MAX_ROW {
            return self.clear(row, background, |_, out| f(out));
        }
        self.clear_at_once(row, background, f);
    }

    /// As [`clear`](Self::clear), all at once.
    ///
    /// # Panics
    /// If `range` is not within the elements.
    pub(crate) fn clear_at_once(
        &mut self,
        range: Range<usize>,
        background: W,
        f: impl FnOnce(&mut [W]),
    ) {
        self.write(range.clone(), |slots| f(fill(slots, background)));
        self.written.add(range);
    }

    /// Writes the elements of `range` as they are in `values`.
    ///
    /// # Panics
    /// If `range` is not within the elements, or there are not as many values.
    pub(crate) fn copy(&mut self, range: Range<usize>, values: &[W]) {
        let bytes = range.start * W::WIDTH..range.end * W::WIDTH;
        let out = self.out.slots().0.get_mut(bytes).unwrap_or_default();
        let values: &[u8] = bytemuck::cast_slice(values);
        match self.store {
            Store::Cached => {
                out.write_copy_of_slice(values);
            }
            Store::PastCaches => copy::past_caches(self.isa, values, Slots(out)),
        }
        self.written.add(range);
    }

    /// Writes rows as their bitmaps say, and takes the values off that this takes; see
    /// [`expand::expand_rows`].
    ///
    /// # Panics
    /// If a row is not within the elements, or more bits are set than there are values.
    pub(crate) fn expand(&mut self, rows: BitmapRows<'_>, background: W, values: &mut &[W]) {
        let (isa, store) = (self.isa, self.store);
        if let Some(out) = self.out.slots().words()
            && (store == Store::Cached || expand::fits_lines(&out, rows.length))
        {
            *values = &values[expand::expand_rows(isa, store, rows, background, values, out)..];
            for &row in rows.rows {
                let start = row as usize * rows.length;
                self.written.add(start..start + rows.length);
            }
            return;
        }
        let bitmaps = rows.bitmaps.chunks_exact(rows.length.div_ceil(8).max(1));
        for (&row, bitmap) in rows.rows.iter().zip(bitmaps) {
            let start = row as usize * rows.length;
            self.expand_row(start..start + rows.length, bitmap, background, values);
        }
    }

    /// The same for a row that is anywhere; `bitmap` may go on after the bytes of the row.
    ///
    /// # Panics
    /// If `row` is not within the elements, its bits are not in `bitmap`, or more of them are set than
    /// there are values.
    pub(crate) fn expand_row(
        &mut self,
        row: Range<usize>,
        bitmap: &[u8],
        background: W,
        values: &mut &[W],
    ) {
        let isa = self.isa;
        for piece in pieces::<W>(row.clone()) {
            // Pieces but the last are whole bytes of the bitmap.
            let bitmap = &bitmap[(piece.start - row.start) / 8..];
            self.write(piece, |out| {
                *values =
                    &values[expand::expand(isa, Store::Cached, bitmap, background, values, out)..];
            });
        }
        self.written.add(row);
    }

    /// Lets `f` write the elements of `range`, every one, where they are or somewhere near.
    fn write(&mut self, range: Range<usize>, f: impl FnOnce(Slots<'_, W>)) {
        let n = range.len();
        let bytes = range.start * W::WIDTH..range.end * W::WIDTH;
        if self.store == Store::Cached
            && let Some(slots) = self.out.slots().range(bytes.clone()).words()
        {
            return f(slots);
        }
        let buffer = match &mut self.buffer {
            Some(buffer) if buffer.len() >= n => buffer,
            other => other.insert(Buffer::new(n.max(PIECE_BYTES / W::WIDTH))),
        };
        let piece = &mut buffer[..n];
        f(Slots::from(&mut *piece));
        let piece: &[u8] = bytemuck::cast_slice(piece);
        let mut out = self.out.slots();
        let out = out.range(bytes);
        match self.store {
            Store::Cached => {
                out.0.write_copy_of_slice(piece);
            }
            Store::PastCaches => copy::past_caches(self.isa, piece, out),
        }
    }

    /// The bytes of the elements, all of which have been written.
    ///
    /// # Errors
    /// `Corrupt` if some have not been.
    pub(crate) fn finish(self) -> Result<&'a mut [u8]> {
        match self.written.is_all() && self.out.len().is_multiple_of(W::WIDTH) {
            // SAFETY: by invariant 1 each element has been written.
            true => Ok(unsafe { self.out.assume_written() }),
            false => Err(Error::corrupt(
                "elements of a block are in none of its rows",
            )),
        }
    }
}

/// The pieces of `range`, in order. Pieces but the last have a multiple of 64 elements.
fn pieces<W: Word>(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let n = PIECE_BYTES / W::WIDTH;
    let end = range.end;
    range.step_by(n).map(move |start| start..end.min(start + n))
}

/// Which of the elements of a block have been written.
///
/// Invariants:
/// 2. All elements before `next` have been written.
/// 3. With `row` elements to a row, those of each row in `rows` have been written, none of which
///    begins before `next`; their number is `n_rows`.
struct Written {
    n: usize,
    next: usize,
    row: usize,
    rows: Vec<u64>,
    n_rows: usize,
}

impl Written {
    fn new(n: usize) -> Self {
        Self {
            n,
            next: 0,
            row: 0,
            rows: Vec::new(),
            n_rows: 0,
        }
    }

    /// Notes that the elements of `range` have been written. Ranges that don't come in order are rows of
    /// one length: others are not noted.
    #[inline]
    fn add(&mut self, range: Range<usize>) {
        if range.start == self.next && self.rows.is_empty() {
            self.next = range.end.max(self.next);
        } else if range.start < range.end {
            self.add_row(range);
        }
    }

    fn add_row(&mut self, range: Range<usize>) {
        if self.rows.is_empty() {
            self.row = range.len();
            self.rows = vec![0; (self.n / self.row).div_ceil(64)];
        }
        let number = range.start / self.row;
        let is_row = number * self.row == range.start && range.len() == self.row;
        if let Some(word) = self.rows.get_mut(number / 64)
            && is_row
            && range.start >= self.next
        {
            let bit = 1 << (number % 64);
            self.n_rows += usize::from(*word & bit == 0);
            *word |= bit;
        }
    }

    /// Whether all have been. By invariants 2 and 3 nothing is counted twice.
    fn is_all(&self) -> bool {
        self.next + self.n_rows * self.row == self.n
    }
}

#[cfg(test)]
mod tests {
    use super::super::out::{overwrite, write_vec};
    use super::*;

    #[test]
    fn every_element_is_written_whatever_the_alignment() {
        for store in [Store::Cached, Store::PastCaches] {
            for shift in 0..4 {
                let n = 10_000;
                let mut bytes = vec![0xee; 4 * n + 8];
                overwrite(&mut bytes[shift..shift + 4 * n], |out| {
                    let mut target = Target::<u32>::new(Isa::active(), out, store);
                    assert_eq!(target.len(), n);
                    target.clear(0..4000, 7u32.to_le(), |at, out| {
                        for (i, element) in out.iter_mut().enumerate().skip(1) {
                            *element = ((at + i) as u32).to_le();
                        }
                    });
                    let values: Vec<u32> = (4000..9000).map(u32::to_le).collect();
                    target.copy(4000..9000, &values);
                    // The last row first, and between them one by its bitmap.
                    target.clear_row(9600..9900, 9u32.to_le(), |out| assert_eq!(out.len(), 300));
                    target.clear_at_once(9000..9300, 9u32.to_le(), |_| {});
                    let ones: Vec<u32> = vec![1u32.to_le(); 600];
                    let mut left = &ones[..];
                    let bitmap = [&[0xaa; 37][..], &[0x0a, 0xff]].concat();
                    target.expand_row(9300..9600, &bitmap, 9u32.to_le(), &mut left);
                    assert_eq!(left.len(), 450);
                    // Neither a row of that length nor the next one.
                    target.copy(9900..10_000, &[0; 100]);
                    assert!(target.finish().is_err());
                    Ok(())
                })
                .unwrap_err();
                let element =
                    |i: usize| u32::from_le_bytes(bytes[shift + 4 * i..][..4].try_into().unwrap());
                let piece = PIECE_BYTES / 4;
                assert!((0..4000).all(|i| element(i) == if i % piece == 0 { 7 } else { i as u32 }));
                assert!((4000..9000).all(|i| element(i) == i as u32));
                assert!((9300..9600).all(|i| element(i) == if i % 2 == 1 { 1 } else { 9 }));
                assert!((9000..9300).chain(9600..9900).all(|i| element(i) == 9));
                assert_eq!(bytes[4 * n + shift], 0xee);
            }
        }
    }

    /// Writes rows of `length` elements of `n` in some order; whether that is all of them.
    fn is_all(n: usize, length: usize, rows: &[u32]) -> bool {
        let written = write_vec::<u16>(n, |out| {
            let mut target = Target::<u16>::new(Isa::active(), out, Store::Cached);
            let bitmaps = vec![0; length.div_ceil(8) * rows.len()];
            let rows = BitmapRows {
                bitmaps: &bitmaps,
                length,
                rows,
            };
            target.expand(rows, 3, &mut &[][..]);
            target.finish().map(drop)
        });
        assert!(written.as_ref().is_ok_and(|all| *all == vec![3; n]) || written.is_err());
        written.is_ok()
    }

    #[test]
    fn a_row_that_is_left_out_is_missed() {
        assert!(is_all(30, 10, &[0, 1, 2]));
        assert!(is_all(30, 10, &[2, 0, 1]));
        assert!(is_all(30, 10, &[0, 2, 1]));
        assert!(is_all(1300, 10, &(0..130).rev().collect::<Vec<_>>()));
        assert!(is_all(0, 10, &[]));
        for rows in [
            &[0, 1][..],
            &[2, 0],
            &[0, 2, 2],
            &[2, 2, 2],
            &[0, 0, 1],
            &[1, 1, 0],
            &[2, 1, 1],
        ] {
            assert!(!is_all(30, 10, rows), "{rows:?}");
        }
        assert!(!is_all(29, 10, &[0, 1]));
    }
}

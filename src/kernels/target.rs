//! Where the elements of a block go, piece by piece.
#![allow(unsafe_code)]

use super::expand::{self, BitmapRows, LINE};
use super::marks::{self, SPARE};
use super::out::{Out, Slots};
use super::{Isa, Store, copy, fill::fill};
use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::word::Word;
use std::ops::Range;

/// Bytes of a piece: a quarter of what the smallest first-level caches hold.
const PIECE_BYTES: usize = 1 << 13;

/// Bytes of a page, after which addresses end in the same bits.
const PAGE: usize = 1 << 12;

/// Elements of a row that is written at once, so that what has been cleared is still at hand for its entries, and
/// of a piece of a bitmap that is expanded at once elsewhere than in its place.
const MAX_ROW: usize = 1 << 12;

/// Elements that are expanded at once in their place.
const MAX_EXPANDED: usize = 1 << 14;

/// Elements whose entries are marked at a time.
const MAX_MARKED: usize = 1 << 13;

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
        f: impl FnMut(usize, &mut [W]),
    ) {
        self.clear_pieces(range.clone(), background, f);
        self.written.add(range);
    }

    /// As [`clear`](Self::clear), without a note of what has been written.
    fn clear_pieces(
        &mut self,
        range: Range<usize>,
        background: W,
        mut f: impl FnMut(usize, &mut [W]),
    ) {
        for piece in pieces(range, PIECE_BYTES / W::WIDTH) {
            self.write(piece.clone(), |slots| {
                let out = fill(slots, background);
                f(piece.start, out);
            });
        }
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

    /// Makes all elements of some rows of `length` the background.
    ///
    /// # Panics
    /// If a row is not within the elements.
    pub(crate) fn clear_rows(&mut self, rows: &[u32], length: usize, background: W) {
        // Past the caches, longer runs have been slower.
        let is_cached = self.store == Store::Cached;
        let follows = |&row: &u32, &next: &u32| is_cached && row.checked_add(1) == Some(next);
        for run in rows.chunk_by(follows) {
            let start = run[0] as usize * length;
            let range = start..start + run.len() * length;
            self.clear_pieces(range.clone(), background, |_, _| {});
            range
                .step_by(length)
                .for_each(|start| self.written.add(start..start + length));
        }
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
        let mut own_bits = Vec::new();
        let n = match self.words(row.clone()) {
            Some(_) => MAX_EXPANDED,
            None => MAX_ROW,
        };
        for piece in self.pieces(row.clone(), n) {
            let bits = bits_of(bitmap, piece.start - row.start, piece.len(), &mut own_bits);
            let mut n_used = 0;
            self.write_in_place(piece, |out, store| {
                n_used = expand::expand(isa, store, bits, background, values, out);
            });
            *values = &values[n_used..];
        }
        self.written.add(row);
    }

    /// Writes the elements of `range`: the next of `values` for each byte that `mark` sets, and the background for
    /// the others. `mark` gets zeros for the next elements, and [`SPARE`] more, which it leaves zero. Takes the values off.
    ///
    /// # Panics
    /// If `range` is not within the elements, or more bytes are set than there are values.
    pub(crate) fn expand_marked(
        &mut self,
        range: Range<usize>,
        background: W,
        values: &mut &[W],
        mut mark: impl FnMut(&mut [u8]),
    ) {
        let mut marks = Buffer::<u8>::new(MAX_MARKED + SPARE);
        let mut bits = Buffer::<u8>::new(MAX_MARKED / 8);
        marks.fill(0);
        for piece in self.pieces(range, MAX_MARKED) {
            let n = piece.len();
            let bits = &mut bits[..n.div_ceil(8)];
            mark(&mut marks[..n + SPARE]);
            marks::collect(self.isa, &mut marks[..n], bits);
            self.expand_row(piece, bits, background, values);
        }
    }

    /// The pieces of `range`, in order, of at most `n` elements, which is a number of lines. What is written past the
    /// caches are whole lines, but for the first piece and the last one, which are less than a line.
    fn pieces(
        &mut self,
        range: Range<usize>,
        n: usize,
    ) -> impl Iterator<Item = Range<usize>> + use<W> {
        let (before, in_line) = match self.store {
            Store::Cached => (0, 1),
            Store::PastCaches => expand::before_lines(self.words(range.clone())),
        };
        let first = range.start..range.end.min(range.start + before);
        let last = range.end - (range.end - first.end) % in_line..range.end;
        std::iter::once(first.clone())
            .chain(pieces(first.end..last.start, n))
            .chain(std::iter::once(last))
            .filter(|piece| !piece.is_empty())
    }

    /// Whether what is written is not to stay in the caches.
    pub(crate) fn is_past_caches(&self) -> bool {
        self.store == Store::PastCaches
    }

    /// The elements of `range`, if they are aligned as elements are.
    fn words(&mut self, range: Range<usize>) -> Option<Slots<'_, W>> {
        let bytes = range.start * W::WIDTH..range.end * W::WIDTH;
        self.out.slots().range(bytes).words()
    }

    /// As [`write`](Self::write), but `f` may be asked to write past the caches: where they are, in whole lines.
    fn write_in_place(&mut self, range: Range<usize>, f: impl FnOnce(Slots<'_, W>, Store)) {
        let store = self.store;
        if store == Store::PastCaches
            && let Some(out) = self.words(range.clone())
            && expand::fits_lines(&out, out.len())
        {
            return f(out, store);
        }
        self.write(range, |out| f(out, Store::Cached));
    }

    /// Lets `f` write the elements of `range`, every one, where they are or somewhere near.
    fn write(&mut self, range: Range<usize>, f: impl FnOnce(Slots<'_, W>)) {
        let n = range.len();
        let bytes = range.start * W::WIDTH..range.end * W::WIDTH;
        if self.store == Store::Cached
            && let Some(slots) = self.words(range)
        {
            return f(slots);
        }
        // Loads wait for earlier stores whose addresses end in the same twelve bits: the buffer is half a page off.
        let to = self.out.slots().0[bytes.clone()].as_ptr().addr();
        let spare = PAGE / W::WIDTH;
        let buffer = match &mut self.buffer {
            Some(buffer) if buffer.len() >= n + spare => buffer,
            other => other.insert(Buffer::new(n.max(PIECE_BYTES / W::WIDTH) + spare)),
        };
        let apart = (to + PAGE / 2).wrapping_sub(buffer.as_ptr().addr()) % PAGE;
        let piece = &mut buffer[apart / LINE * LINE / W::WIDTH..][..n];
        f(Slots::from(&mut *piece));
        let piece: &[u8] = bytemuck::cast_slice(piece);
        let out = self.out.slots().range(bytes);
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

/// The `n` bits of `bitmap` from `first` on, and zeros after them, in `own` if they are not so where they are.
fn bits_of<'b>(bitmap: &'b [u8], first: usize, n: usize, own: &'b mut Vec<u8>) -> &'b [u8] {
    let bitmap = &bitmap[first / 8..];
    let shift = first % 8;
    let n_bytes = n.div_ceil(8);
    if shift == 0 && n.is_multiple_of(8) {
        return &bitmap[..n_bytes];
    }
    own.resize(n_bytes, 0);
    let nexts = bitmap[1..].iter().chain(&[0]);
    for ((own, &byte), &next) in own.iter_mut().zip(bitmap).zip(nexts) {
        *own = (u16::from_le_bytes([byte, next]) >> shift) as u8;
    }
    if let Some(last) = own.last_mut()
        && !n.is_multiple_of(8)
    {
        *last &= !(u8::MAX << (n % 8));
    }
    own
}

/// The pieces of `range`, in order, each but the last of `n` elements.
fn pieces(range: Range<usize>, n: usize) -> impl Iterator<Item = Range<usize>> {
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
    /// 2^32 / `row`, rounded up.
    inverse: u64,
    rows: Vec<u64>,
    n_rows: usize,
}

impl Written {
    fn new(n: usize) -> Self {
        Self {
            n,
            next: 0,
            row: 0,
            inverse: 0,
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
            self.inverse = (1u64 << 32).div_ceil(self.row as u64);
            self.rows = vec![0; (self.n / self.row).div_ceil(64)];
        }
        // A division takes longer. Of a multiple of `row` below 2^32 this is the quotient: what rounding
        // adds is less than one. Of what is no multiple it may be anything.
        let number = ((range.start as u64).wrapping_mul(self.inverse) >> 32) as usize;
        let is_row = number.checked_mul(self.row) == Some(range.start) && range.len() == self.row;
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

    #[test]
    fn rows_are_cleared_whether_they_follow_each_other_or_not() {
        let (length, n_rows) = (300, 9);
        let sevens = [1, 2, 3, 6, 8];
        for store in [Store::Cached, Store::PastCaches] {
            for others in [&[0, 4, 5, 7][..], &[0, 4, 5]] {
                let mut bytes = vec![0xee; 4 * length * n_rows];
                let written = overwrite(&mut bytes, |out| {
                    let mut target = Target::<u32>::new(Isa::active(), out, store);
                    target.clear_rows(&sevens, length, 0x0707_0707);
                    target.clear_rows(others, length, 0);
                    target.finish().map(drop)
                });
                assert_eq!(written.is_ok(), sevens.len() + others.len() == n_rows);
                for (row, bytes) in (0..).zip(bytes.chunks(4 * length)) {
                    let expected = match row {
                        _ if sevens.contains(&row) => 7,
                        _ if others.contains(&row) => 0,
                        _ => 0xee,
                    };
                    assert!(bytes.iter().all(|&byte| byte == expected), "row {row}");
                }
            }
        }
    }

    #[test]
    fn bits_and_marks_come_to_the_same_wherever_they_begin() {
        let n: usize = 20_011;
        let is_entry = |i: usize| i.wrapping_mul(2_654_435_761) >> 7 & 3 == 0;
        let mut bitmap = vec![0u8; n.div_ceil(8) + 1];
        (0..n)
            .filter(|&i| is_entry(i))
            .for_each(|i| bitmap[i / 8] |= 1 << (i % 8));
        // What comes after the bits of the row is not looked at.
        bitmap[n / 8] |= 0xff << (n % 8);
        let values: Vec<u32> = (0..n as u32)
            .filter(|&i| is_entry(i as usize))
            .map(|i| i.to_le())
            .collect();
        for isa in Isa::available() {
            for store in [Store::Cached, Store::PastCaches] {
                for shift in [0, 4, 12, 13, 32] {
                    let mut bytes = vec![0xee; 8 * n + 200];
                    let start = bytes.as_ptr().align_offset(64) + shift;
                    overwrite(&mut bytes[start..start + 8 * n], |out| {
                        let mut target = Target::<u32>::new(isa, out, store);
                        let mut left = &values[..];
                        target.expand_row(0..n, &bitmap, 7u32.to_le(), &mut left);
                        assert!(left.is_empty());
                        let (mut left, mut at) = (&values[..], 0);
                        target.expand_marked(n..2 * n, 7u32.to_le(), &mut left, |marks| {
                            let (marks, spare) = marks.split_at_mut(marks.len() - SPARE);
                            assert!(marks.iter().all(|&mark| mark == 0));
                            (at..)
                                .zip(&mut *marks)
                                .for_each(|(i, mark)| *mark = is_entry(i).into());
                            assert_eq!(spare, [0; SPARE]);
                            at += marks.len();
                        });
                        assert!(left.is_empty() && at == n);
                        target.finish().map(drop)
                    })
                    .unwrap();
                    let element = |i: usize| {
                        u32::from_le_bytes(bytes[start + 4 * i..][..4].try_into().unwrap())
                    };
                    for i in 0..2 * n {
                        let expected = if is_entry(i % n) { (i % n) as u32 } else { 7 };
                        assert_eq!(element(i), expected, "{isa:?} {store:?} {shift}");
                    }
                    assert!(
                        bytes[..start]
                            .iter()
                            .chain(&bytes[start + 8 * n..])
                            .all(|&byte| byte == 0xee)
                    );
                }
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

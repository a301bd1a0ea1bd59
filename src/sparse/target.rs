//! Where the elements of a block go, piece by piece.

use crate::buffer::Buffer;
use crate::kernels::expand::{self, BitmapRows};
use crate::kernels::{Isa, Store, copy};
use crate::word::Word;
use std::ops::Range;

/// Bytes of a piece: a quarter of what the smallest first-level caches hold.
const PIECE_BYTES: usize = 1 << 13;

/// The bytes of a block's elements, little-endian, to be written.
pub(crate) struct Target<'a, W: Word> {
    out: &'a mut [u8],
    isa: Isa,
    store: Store,
    buffer: Option<Buffer<W>>,
}

impl<'a, W: Word> Target<'a, W> {
    /// The elements of `out`, which is a whole number of them.
    pub(crate) fn new(isa: Isa, out: &'a mut [u8], store: Store) -> Self {
        Self {
            out,
            isa,
            store,
            buffer: None,
        }
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.out.len() / W::WIDTH
    }

    /// Lets `f` write the elements of `range`, a piece at a time: it gets the number of the first one,
    /// and all of them. Pieces but the last have a multiple of 64 elements.
    ///
    /// # Panics
    /// If `range` is not within the elements.
    pub(crate) fn pieces(&mut self, range: Range<usize>, mut f: impl FnMut(usize, &mut [W])) {
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + PIECE_BYTES / W::WIDTH);
            self.piece(start..end, |out| f(start, out));
            start = end;
        }
    }

    /// Writes rows as their bitmaps say, and takes the values off that this takes; see
    /// [`expand::expand_rows`].
    ///
    /// # Panics
    /// If a row is not within the elements, or more bits are set than there are values.
    pub(crate) fn expand(&mut self, rows: BitmapRows<'_>, background: W, values: &mut &[W]) {
        let (isa, store) = (self.isa, self.store);
        if let Ok(out) = bytemuck::try_cast_slice_mut(self.out)
            && (store == Store::Cached || expand::fits_lines(out, rows.length))
        {
            *values = &values[expand::expand_rows(isa, store, rows, background, values, out)..];
            return;
        }
        let bitmaps = rows.bitmaps.chunks_exact(rows.length.div_ceil(8).max(1));
        for (&row, bitmap) in rows.rows.iter().zip(bitmaps) {
            let start = row as usize * rows.length;
            self.pieces(start..start + rows.length, |at, out| {
                // Pieces but the last are whole bytes of the bitmap.
                let bitmap = &bitmap[(at - start) / 8..];
                *values =
                    &values[expand::expand(isa, Store::Cached, bitmap, background, values, out)..];
            });
        }
    }

    /// All elements where they are, if they can be written there: in the caches.
    pub(crate) fn in_place(&mut self) -> Option<&mut [W]> {
        match self.store {
            Store::Cached => bytemuck::try_cast_slice_mut(self.out).ok(),
            Store::PastCaches => None,
        }
    }

    /// Lets `f` write the elements of `range` all at once.
    ///
    /// # Panics
    /// If `range` is not within the elements.
    pub(crate) fn piece(&mut self, range: Range<usize>, f: impl FnOnce(&mut [W])) {
        let n = range.len();
        let out = &mut self.out[range.start * W::WIDTH..range.end * W::WIDTH];
        if self.store == Store::Cached
            && let Ok(out) = bytemuck::try_cast_slice_mut(out)
        {
            return f(out);
        }
        let buffer = match &mut self.buffer {
            Some(buffer) if buffer.len() >= n => buffer,
            other => other.insert(Buffer::new(n.max(PIECE_BYTES / W::WIDTH))),
        };
        let piece = &mut buffer[..n];
        f(piece);
        let bytes: &[u8] = bytemuck::cast_slice(piece);
        match self.store {
            Store::Cached => out.copy_from_slice(bytes),
            Store::PastCaches => copy::past_caches(self.isa, bytes, out),
        }
    }
}

impl<W: Word> Drop for Target<'_, W> {
    fn drop(&mut self) {
        if self.store == Store::PastCaches {
            copy::fence(self.isa);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_written_whatever_the_alignment() {
        for store in [Store::Cached, Store::PastCaches] {
            for shift in 0..4 {
                let n = 10_000;
                let mut bytes = vec![0xee; 4 * n + 8];
                let mut target =
                    Target::<u32>::new(Isa::active(), &mut bytes[shift..shift + 4 * n], store);
                assert_eq!(target.len(), n);
                target.pieces(3..n, |at, out| {
                    for (i, element) in out.iter_mut().enumerate() {
                        *element = ((at + i) as u32).to_le();
                    }
                });
                target.piece(0..3, |out| out.fill(7u32.to_le()));
                drop(target);
                let element =
                    |i: usize| u32::from_le_bytes(bytes[shift + 4 * i..][..4].try_into().unwrap());
                assert!((0..3).all(|i| element(i) == 7));
                assert!((3..n).all(|i| element(i) == i as u32));
                assert_eq!(bytes[4 * n + shift], 0xee);
            }
        }
    }
}

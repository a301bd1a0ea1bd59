//! Expansion of a bitmap: the next value where a bit is set, the background elsewhere
//! (spec §9.1.1).

use super::out::Slots;
use super::{Isa, Store};
use crate::buffer::Buffer;
use crate::word::Word;
use std::mem::MaybeUninit;

/// Bytes after the last value that an expansion may read: a whole vector of lanes that stay unused.
pub(crate) const SLACK_BYTES: usize = 64;

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// Rows of a bitmap and where they go.
#[derive(Clone, Copy)]
pub(crate) struct BitmapRows<'a> {
    /// The rows one after the other, each of whole bytes; bits after a row's last one are zero.
    pub(crate) bitmaps: &'a [u8],
    /// Elements of a row.
    pub(crate) length: usize,
    /// For each row its number among the rows of the output.
    pub(crate) rows: &'a [u32],
}

impl BitmapRows<'_> {
    /// The first `n` rows, and the others.
    fn split_at(&self, n: usize) -> (Self, Self) {
        let (rows, other_rows) = self.rows.split_at(n);
        let (bitmaps, other_bitmaps) = self.bitmaps.split_at(n * self.length.div_ceil(8));
        let of = |rows, bitmaps| Self {
            bitmaps,
            length: self.length,
            rows,
        };
        (of(rows, bitmaps), of(other_rows, other_bitmaps))
    }
}

/// Writes the elements of rows to `out`: for every set bit, the lowest first, the next of `values`; for
/// every other the background. Returns the number of set bits.
///
/// `values` goes on after the values that are used, by [`SLACK_BYTES`] at least: with less, the
/// result is the same and takes a little longer. What is written past the caches is so where all rows
/// [fit lines](fits_lines), and needs a [`fence`](super::copy::fence).
///
/// Each element of each of the rows is written.
///
/// # Panics
/// If there are not as many bitmaps as rows, a row lies outside of `out`, or more bits are set than
/// there are values.
pub(crate) fn expand_rows<W: Word>(
    isa: Isa,
    store: Store,
    rows: BitmapRows<'_>,
    background: W,
    values: &[W],
    out: Slots<'_, W>,
) -> usize {
    let out = out.0;
    assert_eq!(
        rows.bitmaps.len(),
        rows.rows.len() * rows.length.div_ceil(8)
    );
    let n_rows = out.len() / rows.length.max(1);
    assert!(rows.rows.iter().all(|&row| (row as usize) < n_rows));
    if isa == Isa::Plain || W::WIDTH > 8 {
        assert!(count_ones(isa, rows.bitmaps) <= values.len());
        return expand_rows_plain(rows, background, values, out);
    }
    let expand = |rows: BitmapRows<'_>, values: &[W], out: &mut [MaybeUninit<W>]| match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => {
            let past_caches = store == Store::PastCaches && is_in_lines(out, rows.length);
            x86::expand(isa, past_caches, rows, background, values, out)
        }
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => neon::expand(rows, background, values, out),
        Isa::Plain => {
            let _ = (store, rows, values, out);
            0
        }
    };
    let row_bytes = rows.length.div_ceil(8).max(1);
    // Bits need not be counted where there would be a value for each of them, were all set.
    let (mut left, mut used) = (rows, 0);
    loop {
        let n_loaded = (values.len() - used).saturating_sub(SLACK_BYTES / W::WIDTH);
        let n_first = (n_loaded / (8 * row_bytes)).min(left.rows.len());
        if n_first == 0 {
            break;
        }
        let (first, others) = left.split_at(n_first);
        used += expand(first, &values[used..], out);
        left = others;
    }
    let values = &values[used..];
    let n_set = count_ones(isa, left.bitmaps);
    assert!(n_set <= values.len());
    // The last rows take copies of their values, if loads for them could pass the end of `values`.
    let (mut n_first, mut spare) = (left.rows.len(), (values.len() - n_set) * W::WIDTH);
    while spare < SLACK_BYTES && n_first > 0 {
        n_first -= 1;
        spare += count_ones(isa, &left.bitmaps[n_first * row_bytes..][..row_bytes]) * W::WIDTH;
    }
    let (first, last) = left.split_at(n_first);
    expand(first, values, out);
    if !last.rows.is_empty() {
        let values = &values[values.len() - spare / W::WIDTH..n_set];
        let mut copy = Buffer::<W>::new(values.len() + SLACK_BYTES / W::WIDTH);
        copy[..values.len()].copy_from_slice(values);
        expand(last, &copy, out);
    }
    used + n_set
}

/// Returns the number of values that it used.
fn expand_rows_plain<W: Word>(
    rows: BitmapRows<'_>,
    background: W,
    values: &[W],
    out: &mut [MaybeUninit<W>],
) -> usize {
    let mut left = values.iter();
    let bitmaps = rows.bitmaps.chunks_exact(rows.length.div_ceil(8).max(1));
    for (&row, bitmap) in rows.rows.iter().zip(bitmaps) {
        let start = row as usize * rows.length;
        expand_plain(
            bitmap,
            background,
            &mut left,
            &mut out[start..start + rows.length],
        );
    }
    values.len() - left.len()
}

/// The same for one row that is all of `out`; `bitmap` may go on after it.
///
/// # Panics
/// If `bitmap` is shorter than the bits of `out`, or `values` than what is set of them.
pub(crate) fn expand<W: Word>(
    isa: Isa,
    store: Store,
    bitmap: &[u8],
    background: W,
    values: &[W],
    out: Slots<'_, W>,
) -> usize {
    let length = out.len();
    let row = BitmapRows {
        bitmaps: &bitmap[..length.div_ceil(8)],
        length,
        rows: &[0][..usize::from(length > 0)],
    };
    // A piece of a longer row has no bits after its last one, but those of the next piece.
    debug_assert!(length.is_multiple_of(8) || row.bitmaps[length / 8] >> (length % 8) == 0);
    expand_rows(isa, store, row, background, values, out)
}

/// Whether rows of so many elements begin and end with a cache line: then they can be written past the
/// caches in whole lines.
pub(super) fn fits_lines<W: Word>(out: &Slots<'_, W>, length: usize) -> bool {
    is_in_lines(out.0, length)
}

/// Elements before the first one that begins a cache line, and those of a line; none and one where no element does.
pub(super) fn before_lines<W: Word>(out: Option<Slots<'_, W>>) -> (usize, usize) {
    match out.map(|out| out.0.as_ptr().align_offset(LINE)) {
        None | Some(usize::MAX) => (0, 1),
        Some(before) => (before, LINE / W::WIDTH),
    }
}

fn is_in_lines<W: Word>(out: &[MaybeUninit<W>], length: usize) -> bool {
    let start = out.as_ptr().cast::<u8>();
    start.align_offset(LINE) == 0 && (length * W::WIDTH).is_multiple_of(LINE)
}

/// Number of bits that are set.
pub(crate) fn count_ones(isa: Isa, bytes: &[u8]) -> usize {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => x86::count_ones(bytes),
        _ => count_ones_plain(bytes),
    }
}

/// Calls `f` with the number of set bits of each of `pieces`.
pub(crate) fn count_ones_of_each<'b>(
    isa: Isa,
    pieces: impl Iterator<Item = &'b [u8]>,
    f: impl FnMut(usize),
) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => x86::count_ones_of_each(pieces, f),
        _ => pieces.map(count_ones_plain).for_each(f),
    }
}

#[inline]
fn count_ones_plain(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let in_words: usize = words
        .iter()
        .map(|word| u64::from_le_bytes(*word).count_ones() as usize)
        .sum();
    in_words
        + rest
            .iter()
            .map(|byte| byte.count_ones() as usize)
            .sum::<usize>()
}

/// Takes a value for each bit that is set.
fn expand_plain<'v, W: Word>(
    bitmap: &[u8],
    background: W,
    values: &mut impl Iterator<Item = &'v W>,
    out: &mut [MaybeUninit<W>],
) {
    for (elements, &byte) in out.chunks_mut(8).zip(bitmap) {
        for (bit, element) in elements.iter_mut().enumerate() {
            element.write(match byte >> bit & 1 {
                0 => background,
                _ => values.next().copied().unwrap_or(background),
            });
        }
    }
}

/// A number with its top bit set, which takes the background.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const BACKGROUND: u8 = 0x80;

/// For every byte of a bitmap, where the lanes of eight elements come from: the number of the value
/// for a set bit, `other` for another.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) const fn sources(other: u8) -> [[u8; 8]; 256] {
    let mut table = [[other; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut n) = (0, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                table[byte][bit] = n;
                n += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    table
}

/// The same for elements of several bytes: where each byte of `lanes` elements comes from.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const fn byte_sources<const BYTES: usize, const PATTERNS: usize>(
    width: usize,
) -> [[u8; BYTES]; PATTERNS] {
    let of_lanes = sources(BACKGROUND);
    let mut table = [[BACKGROUND; BYTES]; PATTERNS];
    let mut pattern = 0;
    while pattern < PATTERNS {
        let mut byte = 0;
        while byte < BYTES {
            let lane = of_lanes[pattern][byte / width];
            if lane < BACKGROUND {
                table[pattern][byte] = lane * width as u8 + (byte % width) as u8;
            }
            byte += 1;
        }
        pattern += 1;
    }
    table
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_code)]

    use super::{BACKGROUND, BitmapRows, byte_sources, count_ones_plain, sources};
    use crate::kernels::Isa;
    use crate::word::Word;
    use core::arch::x86_64::*;
    use std::mem::MaybeUninit;

    /// Where the bytes of eight elements come from, by their byte of the bitmap.
    static BYTES_1: [[u8; 8]; 256] = sources(BACKGROUND);
    static BYTES_2: [[u8; 16]; 256] = byte_sources(2);
    /// Where the 32-bit lanes of eight elements of four bytes come from, and of four of eight.
    static LANES_4: [[i32; 8]; 256] = lanes(1);
    static LANES_8: [[i32; 8]; 16] = lanes(2);

    const fn lanes<const PATTERNS: usize>(lanes_of_element: usize) -> [[i32; 8]; PATTERNS] {
        let of_elements = sources(BACKGROUND);
        let mut table = [[i32::MIN; 8]; PATTERNS];
        let mut i = 0;
        while i < PATTERNS * 8 {
            let lane = i % 8;
            let source = of_elements[i / 8][lane / lanes_of_element];
            if source < 0x80 {
                table[i / 8][lane] =
                    (source as usize * lanes_of_element + lane % lanes_of_element) as i32;
            }
            i += 1;
        }
        table
    }

    pub(super) fn count_ones(bytes: &[u8]) -> usize {
        #[target_feature(enable = "popcnt")]
        fn count(bytes: &[u8]) -> usize {
            count_ones_plain(bytes)
        }
        // SAFETY: AVX2 kernels are only chosen on machines with POPCNT.
        unsafe { count(bytes) }
    }

    pub(super) fn count_ones_of_each<'b>(
        pieces: impl Iterator<Item = &'b [u8]>,
        f: impl FnMut(usize),
    ) {
        #[target_feature(enable = "popcnt")]
        fn count<'b>(pieces: impl Iterator<Item = &'b [u8]>, mut f: impl FnMut(usize)) {
            // What an adapter calls would be compiled without the instruction.
            for piece in pieces {
                f(count_ones_plain(piece));
            }
        }
        // SAFETY: AVX2 kernels are only chosen on machines with POPCNT.
        unsafe { count(pieces, f) }
    }

    /// As `super::expand_rows`. There is a value for each bit that is set, and SLACK_BYTES of others after
    /// them; the rows lie in `out`. What is to be written past the caches begins and ends with a
    /// line. Returns the number of values that it used.
    pub(super) fn expand<W: Word>(
        isa: Isa,
        past_caches: bool,
        rows: BitmapRows<'_>,
        background: W,
        values: &[W],
        out: &mut [MaybeUninit<W>],
    ) -> usize {
        // SAFETY: kernels are only chosen on machines that have their instructions; the rest has just
        // been said.
        unsafe {
            match (W::WIDTH, isa, past_caches) {
                (_, Isa::Avx512, true) => rows_avx512::<W, true>(rows, background, values, out),
                (_, Isa::Avx512, false) => rows_avx512::<W, false>(rows, background, values, out),
                (_, _, true) => rows_avx2::<W, true>(rows, background, values, out),
                (_, _, false) => rows_avx2::<W, false>(rows, background, values, out),
            }
        }
    }

    /// Returns the number of values that it used.
    ///
    /// # Safety
    /// As [`expand`] says.
    #[target_feature(enable = "avx2,popcnt")]
    unsafe fn rows_avx2<W: Word, const PAST_CACHES: bool>(
        rows: BitmapRows<'_>,
        background: W,
        values: &[W],
        out: &mut [MaybeUninit<W>],
    ) -> usize {
        let mut used = 0;
        let bitmaps = rows.bitmaps.chunks_exact(rows.length.div_ceil(8).max(1));
        for (&row, bitmap) in rows.rows.iter().zip(bitmaps) {
            // SAFETY: the row lies in `out`; as many values are left as its bits and all later ones
            // take, and SLACK_BYTES after them.
            unsafe {
                let to = out.as_mut_ptr().add(row as usize * rows.length).cast();
                used += row_avx2::<W, PAST_CACHES>(
                    bitmap,
                    rows.length,
                    background,
                    values.as_ptr().add(used),
                    to,
                );
            }
        }
        used
    }

    /// Expands a row; returns the number of values that it used.
    ///
    /// # Safety
    /// `to` has `length` elements, `bitmap` their bits; `from` has as many values as bits are set, and
    /// SLACK_BYTES after them, and `to` is aligned to a line if it is to be written past the caches.
    #[target_feature(enable = "avx2,popcnt")]
    #[inline]
    unsafe fn row_avx2<W: Word, const PAST_CACHES: bool>(
        bitmap: &[u8],
        length: usize,
        background: W,
        from: *const W,
        to: *mut W,
    ) -> usize {
        let mut used = 0;
        let (whole, rest) = bitmap.split_at(length / 8);
        for (i, &byte) in whole.iter().enumerate() {
            // SAFETY: eight elements of this byte, from at most eight values.
            unsafe {
                eight_avx2::<W, PAST_CACHES>(byte, background, from.add(used), to.add(8 * i));
            };
            used += byte.count_ones() as usize;
        }
        if let Some(&byte) = rest.first() {
            let mut last = [background; 8];
            let n = length % 8;
            // SAFETY: eight elements of an array, of which the first `n` are the row's.
            unsafe {
                eight_avx2::<W, false>(byte, background, from.add(used), last.as_mut_ptr());
                to.add(length - n)
                    .copy_from_nonoverlapping(last.as_ptr(), n);
            }
            used += byte.count_ones() as usize;
        }
        used
    }

    /// Expands a byte of a bitmap.
    ///
    /// # Safety
    /// `to` has eight elements; `from` has as many values as bits are set, and SLACK_BYTES after them;
    /// `to` is aligned to its eight elements, at most a line, if it is to be written past the caches.
    #[target_feature(enable = "avx2,popcnt")]
    #[inline]
    unsafe fn eight_avx2<W: Word, const PAST_CACHES: bool>(
        byte: u8,
        background: W,
        from: *const W,
        to: *mut W,
    ) {
        let background = background.to_bits();
        let (from, to) = (from.cast::<u8>(), to.cast::<u8>());
        // SAFETY: eight elements are stored, and at most eight values loaded, 64 bytes.
        unsafe {
            match W::WIDTH {
                1 => {
                    let bytes = _mm_loadl_epi64(BYTES_1[usize::from(byte)].as_ptr().cast());
                    let next = _mm_loadl_epi64(from.cast());
                    let background = _mm_set1_epi8(background as i8);
                    let elements =
                        _mm_blendv_epi8(_mm_shuffle_epi8(next, bytes), background, bytes);
                    match PAST_CACHES {
                        true => _mm_stream_si64(to.cast(), _mm_cvtsi128_si64(elements)),
                        false => _mm_storel_epi64(to.cast(), elements),
                    }
                }
                2 => {
                    let bytes = _mm_loadu_si128(BYTES_2[usize::from(byte)].as_ptr().cast());
                    let next = _mm_loadu_si128(from.cast());
                    let background = _mm_set1_epi16(background as i16);
                    let elements =
                        _mm_blendv_epi8(_mm_shuffle_epi8(next, bytes), background, bytes);
                    match PAST_CACHES {
                        true => _mm_stream_si128(to.cast(), elements),
                        false => _mm_storeu_si128(to.cast(), elements),
                    }
                }
                4 => {
                    let lanes = &LANES_4[usize::from(byte)];
                    let background = _mm256_set1_epi32(background as i32);
                    store::<PAST_CACHES>(to, lanes_avx2(lanes, from, background));
                }
                _ => {
                    let background = _mm256_set1_epi64x(background as i64);
                    let low = &LANES_8[usize::from(byte & 15)];
                    store::<PAST_CACHES>(to, lanes_avx2(low, from, background));
                    let after = from.add(8 * (byte & 15).count_ones() as usize);
                    let high = &LANES_8[usize::from(byte >> 4)];
                    store::<PAST_CACHES>(to.add(32), lanes_avx2(high, after, background));
                }
            }
        }
    }

    /// The lanes of 32 bytes at `from` where they are wanted; background where a number has its top
    /// bit set.
    ///
    /// # Safety
    /// 32 bytes can be read.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn lanes_avx2(lanes: &[i32; 8], from: *const u8, background: __m256i) -> __m256i {
        // SAFETY: the array has 32 bytes, and `from` too.
        let (lanes, next) = unsafe {
            (
                _mm256_loadu_si256(lanes.as_ptr().cast()),
                _mm256_loadu_si256(from.cast()),
            )
        };
        let values = _mm256_permutevar8x32_epi32(next, lanes);
        let blended = _mm256_blendv_ps(
            _mm256_castsi256_ps(values),
            _mm256_castsi256_ps(background),
            _mm256_castsi256_ps(lanes),
        );
        _mm256_castps_si256(blended)
    }

    /// # Safety
    /// 32 bytes can be written; past the caches if they are aligned to 16.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn store<const PAST_CACHES: bool>(to: *mut u8, elements: __m256i) {
        // SAFETY: said above.
        unsafe {
            if PAST_CACHES {
                // In halves: see `copy::past_caches`.
                _mm_stream_si128(to.cast(), _mm256_castsi256_si128(elements));
                _mm_stream_si128(to.add(16).cast(), _mm256_extracti128_si256::<1>(elements));
            } else {
                _mm256_storeu_si256(to.cast(), elements);
            }
        }
    }

    /// As [`rows_avx2`].
    ///
    /// # Safety
    /// As [`expand`] says.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,popcnt")]
    unsafe fn rows_avx512<W: Word, const PAST_CACHES: bool>(
        rows: BitmapRows<'_>,
        background: W,
        values: &[W],
        out: &mut [MaybeUninit<W>],
    ) -> usize {
        let mut used = 0;
        let bitmaps = rows.bitmaps.chunks_exact(rows.length.div_ceil(8).max(1));
        for (&row, bitmap) in rows.rows.iter().zip(bitmaps) {
            // The 64 elements of a word at a time; AVX2 does what is less.
            let n_words = rows.length / 64;
            let (words, bytes) = bitmap.split_at(8 * n_words);
            // SAFETY: as in rows_avx2.
            unsafe {
                let mut to: *mut W = out.as_mut_ptr().add(row as usize * rows.length).cast();
                for word in words.as_chunks::<8>().0 {
                    let word = u64::from_le_bytes(*word);
                    used += word_avx512::<W, PAST_CACHES>(
                        word,
                        background,
                        values.as_ptr().add(used),
                        to,
                    );
                    to = to.add(64);
                }
                used += row_avx2::<W, false>(
                    bytes,
                    rows.length % 64,
                    background,
                    values.as_ptr().add(used),
                    to,
                );
            }
        }
        used
    }

    /// Expands 64 elements; returns the number of values that it used.
    ///
    /// # Safety
    /// `to` has 64 elements, `from` as many values as bits are set, and SLACK_BYTES after them; `to` is
    /// aligned to a line if it is to be written past the caches.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
    #[inline]
    unsafe fn word_avx512<W: Word, const PAST_CACHES: bool>(
        mut word: u64,
        background: W,
        from: *const W,
        to: *mut W,
    ) -> usize {
        let bits = background.to_bits();
        let background = match W::WIDTH {
            1 => _mm512_set1_epi8(bits as i8),
            2 => _mm512_set1_epi16(bits as i16),
            4 => _mm512_set1_epi32(bits as i32),
            _ => _mm512_set1_epi64(bits as i64),
        };
        let lanes = 64 / W::WIDTH;
        let mut used = 0;
        for vector in 0..W::WIDTH {
            // SAFETY: one vector of elements, from at most one of values.
            unsafe {
                let next = _mm512_loadu_si512(from.add(used).cast());
                let elements = match W::WIDTH {
                    1 => _mm512_mask_expand_epi8(background, word, next),
                    2 => _mm512_mask_expand_epi16(background, word as u32, next),
                    4 => _mm512_mask_expand_epi32(background, word as u16, next),
                    _ => _mm512_mask_expand_epi64(background, word as u8, next),
                };
                let to = to.add(lanes * vector).cast();
                match PAST_CACHES {
                    true => _mm512_stream_si512(to, elements),
                    false => _mm512_storeu_si512(to.cast(), elements),
                }
            }
            used += (word & (u64::MAX >> (64 - lanes))).count_ones() as usize;
            word = word.checked_shr(lanes as u32).unwrap_or(0);
        }
        used
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    #![allow(unsafe_code)]

    use super::{BACKGROUND, BitmapRows, byte_sources, sources};
    use crate::word::Word;
    use core::arch::aarch64::*;
    use std::mem::MaybeUninit;

    /// Where the bytes of a vector of elements come from, by their bits of the bitmap. A number
    /// above 15 leaves the background.
    static BYTES_1: [[u8; 8]; 256] = sources(BACKGROUND);
    static BYTES_2: [[u8; 16]; 256] = byte_sources(2);
    static BYTES_4: [[u8; 16]; 16] = byte_sources(4);
    static BYTES_8: [[u8; 16]; 4] = byte_sources(8);

    /// As `super::expand_rows`. There is a value for each bit that is set, and SLACK_BYTES of others after
    /// them; the rows lie in `out`. Returns the number of values that it used.
    pub(super) fn expand<W: Word>(
        rows: BitmapRows<'_>,
        background: W,
        values: &[W],
        out: &mut [MaybeUninit<W>],
    ) -> usize {
        let mut used = 0;
        let bitmaps = rows.bitmaps.chunks_exact(rows.length.div_ceil(8).max(1));
        for (&row, bitmap) in rows.rows.iter().zip(bitmaps) {
            let start = row as usize * rows.length;
            let (now, rest) = out[start..start + rows.length].split_at_mut(rows.length / 8 * 8);
            let (bits, last) = bitmap.split_at(rows.length / 8);
            // SAFETY: NEON kernels are only chosen on machines with NEON. `now` has eight elements for
            // each byte of `bits`; as many values are left as bits are set, and SLACK_BYTES after them,
            // more than a load reads.
            used += unsafe {
                steps::<W>(
                    bits,
                    background.to_bits(),
                    values.as_ptr().add(used).cast(),
                    now.as_mut_ptr().cast(),
                )
            };
            let mut left = values[used..].iter();
            super::expand_plain(last, background, &mut left, rest);
            used = values.len() - left.len();
        }
        used
    }

    /// Returns the number of values that it used.
    ///
    /// # Safety
    /// As said where it is called.
    #[target_feature(enable = "neon")]
    unsafe fn steps<W: Word>(
        bits: &[u8],
        background: u64,
        from: *const u8,
        mut to: *mut u8,
    ) -> usize {
        let mut used = 0;
        for &byte in bits {
            // SAFETY: eight elements of this byte, vector by vector, from at most as many values.
            unsafe {
                if W::WIDTH == 1 {
                    let bytes = vld1_u8(BYTES_1[usize::from(byte)].as_ptr());
                    let next = vcombine_u8(vld1_u8(from.add(used)), vdup_n_u8(0));
                    vst1_u8(to, vqtbx1_u8(vdup_n_u8(background as u8), next, bytes));
                    used += byte.count_ones() as usize;
                    to = to.add(8);
                    continue;
                }
                let lanes = 16 / W::WIDTH;
                for vector in 0..W::WIDTH / 2 {
                    let pattern = usize::from(byte) >> (vector * lanes) & ((1 << lanes) - 1);
                    let (bytes, background) = match W::WIDTH {
                        2 => (
                            &BYTES_2[pattern],
                            vreinterpretq_u8_u16(vdupq_n_u16(background as u16)),
                        ),
                        4 => (
                            &BYTES_4[pattern],
                            vreinterpretq_u8_u32(vdupq_n_u32(background as u32)),
                        ),
                        _ => (
                            &BYTES_8[pattern],
                            vreinterpretq_u8_u64(vdupq_n_u64(background)),
                        ),
                    };
                    let next = vld1q_u8(from.add(W::WIDTH * used));
                    vst1q_u8(to, vqtbx1q_u8(background, next, vld1q_u8(bytes.as_ptr())));
                    used += pattern.count_ones() as usize;
                    to = to.add(16);
                }
            }
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rows of `length`, of which every other is expanded, the last one first.
    fn check<W: Word>(bitmaps: &[u8], length: usize, wide: &[u64], slack: usize, background: u64) {
        let background = W::from_bits(background);
        let row_bytes = length.div_ceil(8);
        let mut bitmaps = bitmaps[..bitmaps.len() / row_bytes * row_bytes].to_vec();
        if !length.is_multiple_of(8) {
            bitmaps
                .chunks_exact_mut(row_bytes)
                .for_each(|row| row[row_bytes - 1] &= (1 << (length % 8)) - 1);
        }
        let n_rows = bitmaps.len() / row_bytes;
        let rows: Vec<u32> = (0..n_rows as u32).rev().map(|row| 2 * row).collect();
        let n_set = count_ones_plain(&bitmaps);
        let values: Vec<W> = (0..n_set + slack)
            .map(|i| W::from_bits(wide[i % wide.len()]))
            .collect();
        let other = W::from_bits(0x55);
        let mut expected = vec![other; 2 * n_rows * length];
        let mut next = values.iter();
        for (&row, bitmap) in rows.iter().zip(bitmaps.chunks_exact(row_bytes)) {
            for i in 0..length {
                let is_set = bitmap[i / 8] >> (i % 8) & 1 == 1;
                expected[row as usize * length + i] = if is_set {
                    *next.next().unwrap()
                } else {
                    background
                };
            }
        }
        let rows = BitmapRows {
            bitmaps: &bitmaps,
            length,
            rows: &rows,
        };
        for isa in Isa::available() {
            assert_eq!(count_ones(isa, &bitmaps), n_set, "{isa:?}");
            let (mut n_pieces, mut n_of_pieces) = (0, 0);
            count_ones_of_each(isa, bitmaps.chunks(row_bytes), |n| {
                assert_eq!(
                    n,
                    count_ones_plain(&bitmaps[n_pieces * row_bytes..][..row_bytes])
                );
                n_pieces += 1;
                n_of_pieces += n;
            });
            assert_eq!((n_pieces, n_of_pieces), (n_rows, n_set), "{isa:?}");
            // Twice: wherever it is, and where it begins with a line.
            let mut out = vec![other; expected.len() + 64];
            let aligned = out.as_ptr().align_offset(64);
            for start in [0, aligned] {
                for store in [Store::Cached, Store::PastCaches] {
                    let out = &mut out[start..start + expected.len()];
                    out.fill(other);
                    assert_eq!(
                        expand_rows(isa, store, rows, background, &values, (&mut *out).into()),
                        n_set
                    );
                    super::super::copy::fence(isa);
                    assert_eq!(out, expected, "{isa:?}, {} bytes", W::WIDTH);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn bitmaps_are_expanded_on_every_machine(
            bitmap in prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(255)], 1..120),
            length in prop_oneof![1usize..200, Just(64), Just(128)], wide in prop::collection::vec(any::<u64>(), 7..50), slack in prop_oneof![0usize..80, 0usize..1500], background: u64,
        ) {
            check::<u8>(&bitmap, length, &wide, slack, background);
            check::<u16>(&bitmap, length, &wide, slack, background);
            check::<u32>(&bitmap, length, &wide, slack, background);
            check::<u64>(&bitmap, length, &wide, slack, background);
            check::<u128>(&bitmap, length, &wide, slack, background);
        }
    }
}

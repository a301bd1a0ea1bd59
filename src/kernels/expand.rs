//! Expansion of a bitmap: the next value where a bit is set, the background elsewhere
//! (spec §9.1.1).

use super::{Isa, Store};
use crate::word::Word;

/// Bytes after the last value that an expansion may read: a whole vector of lanes that stay unused.
pub(crate) const SLACK_BYTES: usize = 64;

/// Writes the elements of a bitmap to `out`: for every set bit, the lowest first, the next of
/// `values`; for every other the background. Returns the number of set bits.
///
/// `values` goes on after the values that are used, by [`SLACK_BYTES`] at least: with less, the
/// result is the same and takes longer. What is written past the caches is so where `out`
/// [`fits_lines`], and needs a [`fence`](super::copy::fence).
///
/// # Panics
/// If `bitmap` is shorter than the bits of `out`, or `values` than what is set of them.
pub(crate) fn expand<W: Word>(
    isa: Isa,
    store: Store,
    bitmap: &[u8],
    background: W,
    values: &[W],
    out: &mut [W],
) -> usize {
    let bitmap = &bitmap[..out.len().div_ceil(8)];
    let n_set = count_ones(isa, bitmap, out.len());
    assert!(n_set <= values.len());
    let spare = (values.len() - n_set) * W::WIDTH;
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 if spare >= SLACK_BYTES => {
            let past_caches = store == Store::PastCaches && fits_lines(out);
            x86::expand(isa, past_caches, bitmap, background, values, n_set, out);
        }
        #[cfg(target_arch = "aarch64")]
        Isa::Neon if spare >= SLACK_BYTES => neon::expand(bitmap, background, values, n_set, out),
        _ => {
            let _ = (spare, store);
            expand_plain(bitmap, background, values, out);
        }
    }
    n_set
}

/// Whether elements begin and end with a cache line: then they can be written past the caches in whole
/// lines.
pub(crate) fn fits_lines<W: Word>(out: &[W]) -> bool {
    const LINE: usize = 64;
    let bytes: &[u8] = bytemuck::cast_slice(out);
    bytes.as_ptr().align_offset(LINE) == 0 && bytes.len().is_multiple_of(LINE)
}

/// Number of bits set among the first `n` of a bitmap that has them.
pub(crate) fn count_ones(isa: Isa, bitmap: &[u8], n: usize) -> usize {
    let (whole, rest) = bitmap[..n.div_ceil(8)].split_at(n / 8);
    let rest = rest.first().map_or(0, |byte| byte & ((1 << (n % 8)) - 1));
    let whole = match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => x86::count_ones(whole),
        _ => count_ones_plain(whole),
    };
    whole + rest.count_ones() as usize
}

#[inline]
fn count_ones_plain(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let in_words: usize = words.iter().map(|word| u64::from_le_bytes(*word).count_ones() as usize).sum();
    in_words + rest.iter().map(|byte| byte.count_ones() as usize).sum::<usize>()
}

/// `values` has as many as bits are set.
fn expand_plain<W: Word>(bitmap: &[u8], background: W, values: &[W], out: &mut [W]) {
    let mut values = values.iter();
    for (elements, &byte) in out.chunks_mut(8).zip(bitmap) {
        for (bit, element) in elements.iter_mut().enumerate() {
            *element = match byte >> bit & 1 {
                0 => background,
                _ => values.next().copied().unwrap_or(background),
            };
        }
    }
}

/// For every byte of a bitmap, where the lanes of eight elements come from: the number of the value
/// for a set bit; for another a number with its top bit set, which takes the background.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const fn sources() -> [[u8; 8]; 256] {
    let mut table = [[0x80; 8]; 256];
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
const fn byte_sources<const BYTES: usize, const PATTERNS: usize>(width: usize) -> [[u8; BYTES]; PATTERNS] {
    let of_lanes = sources();
    let mut table = [[0x80; BYTES]; PATTERNS];
    let mut pattern = 0;
    while pattern < PATTERNS {
        let mut byte = 0;
        while byte < BYTES {
            let lane = of_lanes[pattern][byte / width];
            if lane < 0x80 {
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

    use super::{SLACK_BYTES, byte_sources, count_ones_plain, expand_plain, sources};
    use crate::kernels::Isa;
    use crate::word::Word;
    use core::arch::x86_64::*;

    /// Where the bytes of eight elements come from, by their byte of the bitmap.
    static BYTES_1: [[u8; 8]; 256] = sources();
    static BYTES_2: [[u8; 16]; 256] = byte_sources(2);
    /// Where the 32-bit lanes of eight elements of four bytes come from, and of four of eight.
    static LANES_4: [[i32; 8]; 256] = lanes(1);
    static LANES_8: [[i32; 8]; 16] = lanes(2);

    const fn lanes<const PATTERNS: usize>(lanes_of_element: usize) -> [[i32; 8]; PATTERNS] {
        let of_elements = sources();
        let mut table = [[i32::MIN; 8]; PATTERNS];
        let mut i = 0;
        while i < PATTERNS * 8 {
            let lane = i % 8;
            let source = of_elements[i / 8][lane / lanes_of_element];
            if source < 0x80 {
                table[i / 8][lane] = (source as usize * lanes_of_element + lane % lanes_of_element) as i32;
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

    /// As `super::expand`; `n_set` bits are set, and `values` has SLACK_BYTES more. What is to be written
    /// past the caches begins and ends with a line.
    pub(super) fn expand<W: Word>(
        isa: Isa,
        past_caches: bool,
        bitmap: &[u8],
        background: W,
        values: &[W],
        n_set: usize,
        out: &mut [W],
    ) {
        assert!((values.len() - n_set) * W::WIDTH >= SLACK_BYTES);
        // What is less than a byte of the bitmap is left to the plain version.
        let whole = match W::WIDTH {
            16 => 0,
            _ => out.len() / 8 * 8,
        };
        let (now, rest) = out.split_at_mut(whole);
        let (bits, bits_after) = bitmap.split_at(whole / 8);
        let from = values.as_ptr().cast();
        let to = now.as_mut_ptr().cast::<u8>();
        let pattern = background.to_bits() as i64;
        // AVX-512 takes 64 elements at a time, and leaves what is less to AVX2.
        let (words, bytes) = match isa {
            Isa::Avx512 => bits.as_chunks::<8>(),
            _ => (&[][..], bits),
        };
        // SAFETY (of all): kernels are only chosen on machines that have their instructions. `now`
        // has eight elements for each byte of `bits`, which are first `words`, then `bytes`. At most
        // n_set bits are set, and SLACK_BYTES of values follow, which is the most that a load reads.
        // What is written past the caches is aligned to the vectors, as its lines are.
        let in_words = match words {
            [] => 0,
            words if past_caches => unsafe { avx512::<W, true>(words, pattern, from, to) },
            words => unsafe { avx512::<W, false>(words, pattern, from, to) },
        };
        let from = unsafe { from.add(in_words * W::WIDTH) };
        let to = unsafe { to.add(64 * words.len() * W::WIDTH) };
        let in_bytes = match W::WIDTH {
            4 if past_caches => unsafe { avx2_4::<true>(bytes, pattern as i32, from, to) },
            4 => unsafe { avx2_4::<false>(bytes, pattern as i32, from, to) },
            8 => unsafe { avx2_8(bytes, pattern, from, to) },
            2 => unsafe { avx2_2(bytes, pattern as i16, from, to) },
            _ => unsafe { avx2_1(bytes, pattern as i8, from, to) },
        };
        expand_plain(bits_after, background, &values[in_words + in_bytes..], rest);
    }

    // Each of the functions below returns the number of values that it used.
    //
    // # Safety
    // As said where they are called.

    #[target_feature(enable = "avx2,popcnt")]
    unsafe fn avx2_4<const PAST_CACHES: bool>(bits: &[u8], background: i32, from: *const u8, mut to: *mut u8) -> usize {
        let background = _mm256_castsi256_ps(_mm256_set1_epi32(background));
        let mut used = 0;
        for &byte in bits {
            // SAFETY: eight elements of this byte, from at most eight values.
            unsafe {
                let lanes = _mm256_loadu_si256(LANES_4[usize::from(byte)].as_ptr().cast());
                let next = _mm256_loadu_si256(from.add(4 * used).cast());
                let values = _mm256_castsi256_ps(_mm256_permutevar8x32_epi32(next, lanes));
                // The top bit of a lane's number says that it is background.
                let elements = _mm256_blendv_ps(values, background, _mm256_castsi256_ps(lanes));
                if PAST_CACHES {
                    // In halves: see `copy::past_caches`.
                    _mm_stream_ps(to.cast(), _mm256_castps256_ps128(elements));
                    _mm_stream_ps(to.add(16).cast(), _mm256_extractf128_ps::<1>(elements));
                } else {
                    _mm256_storeu_ps(to.cast(), elements);
                }
                to = to.add(32);
            }
            used += byte.count_ones() as usize;
        }
        used
    }

    #[target_feature(enable = "avx2,popcnt")]
    unsafe fn avx2_8(bits: &[u8], background: i64, from: *const u8, mut to: *mut u8) -> usize {
        let background = _mm256_castsi256_ps(_mm256_set1_epi64x(background));
        let mut used = 0;
        for half in bits.iter().flat_map(|byte| [byte & 15, byte >> 4]) {
            // SAFETY: four elements of this half of a byte, from at most four values.
            unsafe {
                let lanes = _mm256_loadu_si256(LANES_8[usize::from(half)].as_ptr().cast());
                let next = _mm256_loadu_si256(from.add(8 * used).cast());
                let values = _mm256_castsi256_ps(_mm256_permutevar8x32_epi32(next, lanes));
                let elements = _mm256_blendv_ps(values, background, _mm256_castsi256_ps(lanes));
                _mm256_storeu_ps(to.cast(), elements);
                to = to.add(32);
            }
            used += half.count_ones() as usize;
        }
        used
    }

    #[target_feature(enable = "avx2,popcnt")]
    unsafe fn avx2_2(bits: &[u8], background: i16, from: *const u8, mut to: *mut u8) -> usize {
        let background = _mm_set1_epi16(background);
        let mut used = 0;
        for &byte in bits {
            // SAFETY: eight elements of this byte, from at most eight values.
            unsafe {
                let bytes = _mm_loadu_si128(BYTES_2[usize::from(byte)].as_ptr().cast());
                let next = _mm_loadu_si128(from.add(2 * used).cast());
                let elements = _mm_blendv_epi8(_mm_shuffle_epi8(next, bytes), background, bytes);
                _mm_storeu_si128(to.cast(), elements);
                to = to.add(16);
            }
            used += byte.count_ones() as usize;
        }
        used
    }

    #[target_feature(enable = "avx2,popcnt")]
    unsafe fn avx2_1(bits: &[u8], background: i8, from: *const u8, mut to: *mut u8) -> usize {
        let background = _mm_set1_epi8(background);
        let mut used = 0;
        for &byte in bits {
            // SAFETY: eight elements of this byte, from at most eight values.
            unsafe {
                let bytes = _mm_loadl_epi64(BYTES_1[usize::from(byte)].as_ptr().cast());
                let next = _mm_loadl_epi64(from.add(used).cast());
                let elements = _mm_blendv_epi8(_mm_shuffle_epi8(next, bytes), background, bytes);
                _mm_storel_epi64(to.cast(), elements);
                to = to.add(8);
            }
            used += byte.count_ones() as usize;
        }
        used
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
    unsafe fn avx512<W: Word, const PAST_CACHES: bool>(bits: &[[u8; 8]], background: i64, from: *const u8, mut to: *mut u8) -> usize {
        let lanes = 64 / W::WIDTH;
        let background = match W::WIDTH {
            1 => _mm512_set1_epi8(background as i8),
            2 => _mm512_set1_epi16(background as i16),
            4 => _mm512_set1_epi32(background as i32),
            _ => _mm512_set1_epi64(background),
        };
        let mut used = 0;
        for word in bits {
            let mut word = u64::from_le_bytes(*word);
            for _ in 0..64 / lanes {
                // SAFETY: one vector of elements, from at most one of values.
                unsafe {
                    let next = _mm512_loadu_si512(from.add(W::WIDTH * used).cast());
                    let elements = match W::WIDTH {
                        1 => _mm512_mask_expand_epi8(background, word, next),
                        2 => _mm512_mask_expand_epi16(background, word as u32, next),
                        4 => _mm512_mask_expand_epi32(background, word as u16, next),
                        _ => _mm512_mask_expand_epi64(background, word as u8, next),
                    };
                    match PAST_CACHES {
                        true => _mm512_stream_si512(to.cast(), elements),
                        false => _mm512_storeu_si512(to.cast(), elements),
                    }
                    to = to.add(64);
                }
                used += (word & (u64::MAX >> (64 - lanes))).count_ones() as usize;
                word = word.checked_shr(lanes as u32).unwrap_or(0);
            }
        }
        used
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    #![allow(unsafe_code)]

    use super::{SLACK_BYTES, byte_sources, expand_plain, sources};
    use crate::word::Word;
    use core::arch::aarch64::*;

    /// Where the bytes of a vector of elements come from, by their bits of the bitmap. A number
    /// above 15 leaves the background.
    static BYTES_1: [[u8; 8]; 256] = sources();
    static BYTES_2: [[u8; 16]; 256] = byte_sources(2);
    static BYTES_4: [[u8; 16]; 16] = byte_sources(4);
    static BYTES_8: [[u8; 16]; 4] = byte_sources(8);

    /// As `super::expand`; `n_set` bits are set, and `values` has SLACK_BYTES more.
    pub(super) fn expand<W: Word>(bitmap: &[u8], background: W, values: &[W], n_set: usize, out: &mut [W]) {
        assert!((values.len() - n_set) * W::WIDTH >= SLACK_BYTES);
        let whole = match W::WIDTH {
            16 => 0,
            _ => out.len() / 8 * 8,
        };
        let (now, rest) = out.split_at_mut(whole);
        let (bits, bits_after) = bitmap.split_at(whole / 8);
        // SAFETY: NEON kernels are only chosen on machines with NEON. `now` has eight elements for
        // each byte of `bits`; at most n_set bits are set, and SLACK_BYTES of values follow, more
        // than a load reads.
        let used = unsafe { steps::<W>(bits, background.to_bits(), values.as_ptr().cast(), now.as_mut_ptr().cast()) };
        expand_plain(bits_after, background, &values[used..], rest);
    }

    /// Returns the number of values that it used.
    ///
    /// # Safety
    /// As said where it is called.
    #[target_feature(enable = "neon")]
    unsafe fn steps<W: Word>(bits: &[u8], background: u64, from: *const u8, mut to: *mut u8) -> usize {
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
                        2 => (&BYTES_2[pattern], vreinterpretq_u8_u16(vdupq_n_u16(background as u16))),
                        4 => (&BYTES_4[pattern], vreinterpretq_u8_u32(vdupq_n_u32(background as u32))),
                        _ => (&BYTES_8[pattern], vreinterpretq_u8_u64(vdupq_n_u64(background))),
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

    fn check<W: Word>(bitmap: &[u8], n: usize, wide: &[u64], slack: usize, background: u64) {
        let background = W::from_bits(background);
        let n_set = count_ones_plain(&bitmap[..n / 8])
            + (0..n % 8).filter(|bit| bitmap[n / 8] >> bit & 1 == 1).count();
        let values: Vec<W> = (0..n_set + slack).map(|i| W::from_bits(wide[i % wide.len()])).collect();
        let mut next = values.iter();
        let expected: Vec<W> = (0..n)
            .map(|i| if bitmap[i / 8] >> (i % 8) & 1 == 1 { *next.next().unwrap() } else { background })
            .collect();
        for isa in Isa::available() {
            assert_eq!(count_ones(isa, bitmap, n), n_set, "{isa:?}");
            // Twice: wherever it is, and where it begins with a line.
            let mut out = vec![W::from_bits(0x55); n + 64];
            let aligned = out.as_ptr().align_offset(64);
            for start in [0, aligned] {
                for store in [Store::Cached, Store::PastCaches] {
                    let out = &mut out[start..start + n];
                    out.fill(W::from_bits(0x55));
                    assert_eq!(expand(isa, store, bitmap, background, &values, out), n_set);
                    super::super::copy::fence(isa);
                    assert_eq!(out, expected, "{isa:?}, {} bytes", W::WIDTH);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn bitmaps_are_expanded_on_every_machine(
            bitmap in prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(255)], 1..80),
            cut in 0usize..8, wide in prop::collection::vec(any::<u64>(), 7..50), slack in 0usize..80, background: u64,
        ) {
            let n = 8 * bitmap.len() - cut;
            check::<u8>(&bitmap, n, &wide, slack, background);
            check::<u16>(&bitmap, n, &wide, slack, background);
            check::<u32>(&bitmap, n, &wide, slack, background);
            check::<u64>(&bitmap, n, &wide, slack, background);
            check::<u128>(&bitmap, n, &wide, slack, background);
        }
    }
}

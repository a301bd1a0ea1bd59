//! Positions that packed steps lead to.

use super::super::positions::{CHUNK, SLACK, Steps};
use crate::kernels::chosen::CHOSEN;
use core::arch::x86_64::*;

/// Steps that are taken at once.
const STEPS: usize = 16;

/// Makes positions as long as there is room for that many, and eight bytes can be read at each eight of them.
/// Returns how many.
pub(in super::super) fn positions(steps: &mut Steps<'_>, out: &mut [u32; CHUNK + SLACK]) -> usize {
    // SAFETY: AVX2 kernels are only chosen on machines with AVX2, BMI2 and POPCNT.
    unsafe { positions_of_sixteens(steps, out) }
}

/// Of lanes of 16 bits: the sums of each half up to each, at most 8 · 255; and the last of them in all lanes of 32
/// bits of its half.
#[inline]
#[target_feature(enable = "avx2")]
fn sums_and_totals(moves: __m256i) -> (__m256i, __m256i) {
    let sums = _mm256_add_epi16(moves, _mm256_slli_si256::<2>(moves));
    let sums = _mm256_add_epi16(sums, _mm256_slli_si256::<4>(sums));
    let sums = _mm256_add_epi16(sums, _mm256_slli_si256::<8>(sums));
    let top = _mm256_set1_epi32(0x8080_0f0e_u32 as i32);
    (sums, _mm256_shuffle_epi8(sums, top))
}

#[target_feature(enable = "avx2,bmi2,popcnt")]
fn positions_of_sixteens(steps: &mut Steps<'_>, out: &mut [u32; CHUNK + SLACK]) -> usize {
    let bits = steps.bits as usize;
    let first_bit = steps.next * bits;
    let (mut byte, shift) = (first_bit / 8, first_bit % 8);
    let mask = 0x0101_0101_0101_0101 * ((1 << bits) - 1);
    let escape = _mm256_set1_epi16((1 << bits) - 1);
    // The position of the last step.
    let mut at = _mm256_set1_epi32(steps.after.wrapping_sub(1) as i32);
    let mut n = 0;
    let mut left = steps.end - steps.next;
    while bits == 8
        && n + STEPS <= CHUNK
        && left > 0
        && let Some(sixteen) = steps
            .packed
            .get(byte..)
            .and_then(<[u8]>::first_chunk::<STEPS>)
    {
        // SAFETY: an array of sixteen bytes is loaded.
        let sixteen = unsafe { _mm_loadu_si128(sixteen.as_ptr().cast()) };
        let escapes = _mm_movemask_epi8(_mm_cmpeq_epi8(sixteen, _mm_setzero_si128())) as u32;
        let taken = left.min(STEPS);
        if _bzhi_u32(escapes, taken as u32) != 0 {
            break;
        }
        let (sums, totals) = sums_and_totals(_mm256_cvtepu8_epi16(sixteen));
        let half = _mm256_add_epi32(at, _mm256_permute2x128_si256::<0x00>(totals, totals));
        let low = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(sums));
        let high = _mm256_cvtepu16_epi32(_mm256_extracti128_si256::<1>(sums));
        debug_assert!(n + STEPS <= out.len());
        // SAFETY: at most CHUNK − 16 positions are before these, of which the first ones count.
        unsafe {
            let to = out.as_mut_ptr().add(n);
            _mm256_storeu_si256(to.cast(), _mm256_add_epi32(low, at));
            _mm256_storeu_si256(to.add(8).cast(), _mm256_add_epi32(high, half));
        }
        n += taken;
        left -= taken;
        byte += STEPS;
        // After fewer than sixteen steps nothing comes that begins there.
        at = _mm256_add_epi32(half, _mm256_permute2x128_si256::<0x11>(totals, totals));
    }
    // Eight steps are `bits` bytes, and with those before them in the first byte at most eight. Loads of eight
    // bytes at this one, and `bits` after it, are inside.
    let last_byte = steps.packed.len().saturating_sub(bits + 7);
    while n + STEPS <= CHUNK && left > 0 && byte < last_byte {
        let eight = |at: usize| {
            // SAFETY: `byte` is below `last_byte`, and `at` at most `bits` after it.
            let word = unsafe { steps.packed.as_ptr().add(at).cast::<u64>().read_unaligned() };
            _pdep_u64(word >> shift, mask)
        };
        let (mut a, mut b) = (eight(byte), eight(byte + bits));
        if left < STEPS {
            // What follows the last step is an escape over nothing, which adds no position.
            let of_eight = |n: usize| _bzhi_u64(u64::MAX, 8 * n as u32);
            (a, b) = (
                a & of_eight(left.min(8)),
                b & of_eight(left.saturating_sub(8)),
            );
        }
        let moves = _mm256_cvtepu8_epi16(_mm_set_epi64x(b as i64, a as i64));
        let is_escape = _mm256_cmpeq_epi16(moves, _mm256_setzero_si256());
        let moves = _mm256_or_si256(moves, _mm256_and_si256(is_escape, escape));
        let (sums, totals) = sums_and_totals(moves);
        let entries = !_mm256_movemask_epi8(_mm256_packs_epi16(is_escape, is_escape)) as u32;
        let half = _mm256_add_epi32(at, _mm256_permute2x128_si256::<0x00>(totals, totals));
        let halves = [
            (_mm256_castsi256_si128(sums), entries & 0xff, at),
            (
                _mm256_extracti128_si256::<1>(sums),
                entries >> 16 & 0xff,
                half,
            ),
        ];
        for (sums, entries, at) in halves {
            // SAFETY: an array of sixteen bytes is loaded.
            let chosen = unsafe { _mm_loadu_si128(CHOSEN[entries as usize].as_ptr().cast()) };
            let sums = _mm256_cvtepu16_epi32(_mm_shuffle_epi8(sums, chosen));
            let positions = _mm256_add_epi32(sums, at);
            debug_assert!(n + 8 <= out.len());
            // SAFETY: at most CHUNK − 8 positions are before these eight, of which the first ones count.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().add(n).cast(), positions) };
            n += entries.count_ones() as usize;
        }
        if left < STEPS {
            // The last one is no escape where the block keeps the rules; nothing comes after it anyway.
            left = 0;
            break;
        }
        at = _mm256_add_epi32(half, _mm256_permute2x128_si256::<0x11>(totals, totals));
        byte += 2 * bits;
        left -= STEPS;
    }
    steps.next = steps.end - left;
    steps.after = (_mm256_extract_epi32::<0>(at) as u32).wrapping_add(1);
    n
}

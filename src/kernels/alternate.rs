//! Elements that are the background's alternate (spec §9).

use super::Isa;
use crate::word::Word;
use std::hint::select_unpredictable;

/// Makes those elements `alternate` that are `background` and whose bits are set: there is a bit for each
/// element that is `background`, in their order. Bits that are missing are zero.
pub(crate) fn mark<W: Word>(isa: Isa, bits: &[u8], (background, alternate): (W, W), out: &mut [W]) {
    let (n, at) = match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => x86::mark(bits, (background, alternate), out),
        _ => (0, 0),
    };
    mark_plain(bits, at, (background, alternate), &mut out[n..]);
}

/// Its bits begin with bit `at`.
fn mark_plain<W: Word>(bits: &[u8], mut at: usize, (background, alternate): (W, W), out: &mut [W]) {
    for element in out {
        let byte = bits.get(at / 8).copied().unwrap_or(0);
        let is_background = *element == background;
        let is_alternate = is_background && byte >> (at % 8) & 1 == 1;
        *element = select_unpredictable(is_alternate, alternate, *element);
        at += usize::from(is_background);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_code)]

    use crate::word::Word;
    use core::arch::x86_64::*;

    const LANES: usize = 8;

    /// Marks elements of four bytes, eight at a time; returns how many, and the bits that they took.
    pub(super) fn mark<W: Word>(bits: &[u8], patterns: (W, W), out: &mut [W]) -> (usize, usize) {
        let (background, alternate) = (patterns.0.to_bits(), patterns.1.to_bits());
        match bytemuck::try_cast_slice_mut(out) {
            // SAFETY: AVX2 kernels are only chosen on machines with AVX2, BMI2 and POPCNT.
            Ok(out) if W::WIDTH == 4 => unsafe {
                mark_u32(bits, background as u32, alternate as u32, out)
            },
            _ => (0, 0),
        }
    }

    #[target_feature(enable = "avx2,bmi2,popcnt")]
    fn mark_u32(bits: &[u8], background: u32, alternate: u32, out: &mut [u32]) -> (usize, usize) {
        let background = _mm256_set1_epi32(background as i32);
        let alternate = _mm256_set1_epi32(alternate as i32);
        let bit_of_lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        let (mut n, mut at) = (0, 0);
        for eight in out.as_chunks_mut::<LANES>().0 {
            let Some(word) = bits.get(at / 8..).and_then(<[u8]>::first_chunk) else {
                break;
            };
            // At least 57 bits from the next one on.
            let word = u64::from_le_bytes(*word) >> (at % 8);
            let to = eight.as_mut_ptr().cast();
            // SAFETY: eight elements have 32 bytes.
            let elements = unsafe { _mm256_loadu_si256(to) };
            let are_background = _mm256_cmpeq_epi32(elements, background);
            let set = _mm256_movemask_ps(_mm256_castsi256_ps(are_background)) as u32;
            let marked = _mm256_set1_epi32(_pdep_u32(word as u32, set) as i32);
            let marked = _mm256_cmpeq_epi32(_mm256_and_si256(marked, bit_of_lane), bit_of_lane);
            // SAFETY: eight elements have 32 bytes.
            unsafe { _mm256_storeu_si256(to, _mm256_blendv_epi8(elements, alternate, marked)) };
            at += set.count_ones() as usize;
            n += LANES;
        }
        (n, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn alternates_are_marked_on_every_machine(
            elements in prop::collection::vec(0u8..3, 0..200), bits in prop::collection::vec(any::<u8>(), 0..30),
        ) {
            let mut others = 0;
            let expected: Vec<u32> = elements.iter().map(|&element| {
                let is_set = bits.get(others / 8).is_some_and(|byte| byte >> (others % 8) & 1 == 1);
                others += usize::from(element == 0);
                if element == 0 && is_set { 1 << 31 } else { element.into() }
            }).collect();
            for isa in Isa::available() {
                let mut out: Vec<u32> = elements.iter().copied().map(u32::from).collect();
                mark(isa, &bits, (0, 1 << 31), &mut out);
                prop_assert_eq!(&out, &expected);
                let mut out: Vec<u64> = elements.iter().copied().map(u64::from).collect();
                mark(isa, &bits, (0, 1 << 31), &mut out);
                prop_assert!(out.iter().copied().eq(expected.iter().copied().map(u64::from)));
            }
        }
    }
}

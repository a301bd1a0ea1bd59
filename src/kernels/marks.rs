//! Bytes that mark where entries are, and the bitmaps that they come to.
//!
//! Where elements are written past the caches, each is to be written once, with its neighbours. A byte is set
//! without looking at it, which takes a few instructions for a step; then values are put where bits are set, a
//! vector at a time.

use super::Isa;
use super::chain::{Chain, Step};
use std::hint::select_unpredictable;

/// Bytes after the marks that are asked for: zero afterwards.
pub(crate) const SPARE: usize = 1;

/// Marks the entries among the next positions of a chain, one for each of `marks` but the last [`SPARE`], and
/// moves on behind them. A mark is not zero; where no entry is, nothing is written but zeros.
///
/// # Panics
/// If there are fewer than [`SPARE`] bytes.
pub(crate) fn mark<S: Step>(isa: Isa, chain: &mut Chain<'_, S>, marks: &mut [u8]) {
    let n = marks.len() - SPARE;
    let leads_out = match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => x86::mark(chain, marks),
        _ => false,
    };
    let (marks, spare) = marks.split_at_mut(n);
    spare.fill(0);
    if leads_out || chain.is_done() {
        chain.move_on(n);
        return;
    }
    mark_inside(chain, marks);
    chain.walk(n, |position| match marks.get_mut(position) {
        Some(mark) => {
            *mark = 1;
            true
        }
        None => false,
    });
}

/// Does so up to the first step that leads out of `marks`, without a branch on what is an escape.
fn mark_inside<S: Step>(chain: &mut Chain<'_, S>, marks: &mut [u8]) {
    let steps = chain.left();
    let mut after = chain.after;
    let mut n_steps = 0;
    while let Some(&step) = steps.get(n_steps) {
        let step: u32 = step.into();
        let is_escape = step == 0;
        let moved = after + select_unpredictable(is_escape, chain.escape, step.into());
        // Before the first one, which a cast makes large, it may only be after an escape.
        let Some(mark) = marks.get_mut((moved - 1) as usize) else {
            break;
        };
        // What an escape skips is no entry.
        *mark = (!is_escape).into();
        after = moved;
        n_steps += 1;
    }
    chain.take(n_steps, after);
}

/// Sets bit *i* of `bits` if byte *i* of `marks` is not zero, else clears it, and makes all bytes zero. Bits after
/// the last mark are zero.
///
/// # Panics
/// If there are not as many bytes of bits as marks fill.
pub(super) fn collect(isa: Isa, marks: &mut [u8], bits: &mut [u8]) {
    assert_eq!(bits.len(), marks.len().div_ceil(8));
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => x86::collect_avx512(marks, bits),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => x86::collect_avx2(marks, bits),
        _ => collect_plain(marks, bits),
    }
}

fn collect_plain(marks: &mut [u8], bits: &mut [u8]) {
    for (marks, bits) in marks.chunks_mut(8).zip(bits) {
        *bits = marks
            .iter()
            .rev()
            .fold(0, |bits, &mark| bits << 1 | u8::from(mark != 0));
        marks.fill(0);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_code)]

    use super::{Chain, SPARE, Step, collect_plain};
    use crate::kernels::chain::x86::{Eight, FIRST, fits_lanes, start, take_to};
    use crate::kernels::chosen::LANES;
    use core::arch::x86_64::*;
    use std::hint::black_box;

    /// As [`super::mark`], but for moving on, as long as there are eight steps, some of which may be after the
    /// last. Returns whether the step that comes next leads out of the marks.
    pub(super) fn mark<S: Step>(chain: &mut Chain<'_, S>, marks: &mut [u8]) -> bool {
        if !fits_lanes(chain, marks.len()) {
            return false;
        }
        // SAFETY: AVX2 kernels are only chosen on machines with AVX2.
        unsafe { eights(chain, marks) }
    }

    #[target_feature(enable = "avx2,popcnt")]
    fn eights<S: Step>(chain: &mut Chain<'_, S>, marks: &mut [u8]) -> bool {
        let n = marks.len() - SPARE;
        let marks = &mut marks[..n + 1];
        let first = _mm_set1_epi16(FIRST as i16);
        // The byte after the marks: where what is no entry inside goes.
        let spare = _mm_set1_epi16((usize::from(FIRST) + n) as i16);
        let numbers = _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7);
        let escape = _mm_set1_epi16(chain.escape as i16);
        let (mut steps, mut left) = (chain.steps, chain.left);
        let mut leads_out = n == 0;
        // The position of the last step that was taken.
        let mut at = start(chain);
        while left > 0
            && !leads_out
            && let Some(eight) = steps.first_chunk::<LANES>()
        {
            let eight = Eight::new(eight, escape, at);
            let positions = eight.positions;
            let are_left = _mm_cmpgt_epi16(_mm_set1_epi16(left.min(LANES) as i16), numbers);
            let are_outside = _mm_cmpeq_epi16(_mm_max_epu16(positions, spare), positions);
            // Every step leads on: those inside come first.
            let inside = _mm_andnot_si128(are_outside, are_left);
            let entries = _mm_andnot_si128(eight.are_escapes, inside);
            // Only an escape may lead to before the first one.
            let not_before = _mm_cmpeq_epi16(_mm_max_epu16(positions, first), positions);
            let entries = _mm_and_si128(entries, not_before);
            let to = Eight::stored(_mm_blendv_epi8(spare, positions, entries));
            for &to in black_box(&to) {
                // SAFETY: it is `spare`, after which FIRST + n bytes end, or a position before it that is
                // not before FIRST.
                unsafe { *marks.get_unchecked_mut(usize::from(to) - usize::from(FIRST)) = 1 };
            }
            let inside = _mm_movemask_epi8(_mm_packs_epi16(inside, inside)) as u32 & 0xff;
            if inside == 0xff {
                // Foretold: what comes next need not wait until these have been counted.
                (steps, left) = (&steps[LANES..], left - LANES);
                at = eight.at(LANES as u32 - 1);
                continue;
            }
            let n_inside = inside.count_ones();
            leads_out = (n_inside as usize) < left.min(LANES);
            steps = &steps[n_inside as usize..];
            left -= n_inside as usize;
            if let Some(last) = n_inside.checked_sub(1) {
                at = eight.at(last);
            }
        }
        take_to(chain, left, at);
        leads_out
    }

    pub(super) fn collect_avx512(marks: &mut [u8], bits: &mut [u8]) {
        #[target_feature(enable = "avx512bw")]
        fn collect(marks: &mut [u8], bits: &mut [u8]) {
            let (vectors, last) = marks.as_chunks_mut::<64>();
            let (bits, last_bits) = bits.split_at_mut(8 * vectors.len());
            for (marks, word) in vectors.iter_mut().zip(bits.as_chunks_mut::<8>().0) {
                // SAFETY: 64 bytes are loaded and stored.
                unsafe {
                    let vector = _mm512_loadu_si512(marks.as_ptr().cast());
                    *word = _mm512_test_epi8_mask(vector, vector).to_le_bytes();
                    _mm512_storeu_si512(marks.as_mut_ptr().cast(), _mm512_setzero_si512());
                }
            }
            collect_plain(last, last_bits);
        }
        // SAFETY: AVX-512 kernels are only chosen on machines with AVX-512 BW.
        unsafe { collect(marks, bits) }
    }

    pub(super) fn collect_avx2(marks: &mut [u8], bits: &mut [u8]) {
        #[target_feature(enable = "avx2")]
        fn collect(marks: &mut [u8], bits: &mut [u8]) {
            let (vectors, last) = marks.as_chunks_mut::<32>();
            let (bits, last_bits) = bits.split_at_mut(4 * vectors.len());
            for (marks, word) in vectors.iter_mut().zip(bits.as_chunks_mut::<4>().0) {
                // SAFETY: 32 bytes are loaded and stored.
                unsafe {
                    let vector = _mm256_loadu_si256(marks.as_ptr().cast());
                    let zeros = _mm256_cmpeq_epi8(vector, _mm256_setzero_si256());
                    *word = (!_mm256_movemask_epi8(zeros)).to_le_bytes();
                    _mm256_storeu_si256(marks.as_mut_ptr().cast(), _mm256_setzero_si256());
                }
            }
            collect_plain(last, last_bits);
        }
        // SAFETY: AVX2 kernels are only chosen on machines with AVX2.
        unsafe { collect(marks, bits) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::tests::Chains;
    use super::*;
    use proptest::prelude::*;

    /// The marks of a chain, in pieces of `n`.
    fn marks_of<S: Step>(
        isa: Isa,
        mut chain: Chain<'_, S>,
        n: usize,
        n_pieces: usize,
    ) -> Vec<bool> {
        let mut all = vec![];
        for _ in 0..n_pieces {
            let mut marks = vec![0; n + SPARE];
            mark(isa, &mut chain, &mut marks);
            marks.truncate(n);
            let mut bits = vec![0xee; n.div_ceil(8)];
            all.extend(marks.iter().map(|&mark| mark != 0));
            collect(isa, &mut marks, &mut bits);
            let of_piece = &all[all.len() - n..];
            let bit = |i: usize| bits[i / 8] >> (i % 8) & 1 == 1;
            assert!((0..n).all(|i| bit(i) == of_piece[i]));
            assert!((n..8 * bits.len()).all(|i| !bit(i)));
            assert!(marks.iter().all(|&mark| mark == 0));
        }
        assert!(chain.is_done());
        all
    }

    proptest! {
        #[test]
        fn marks_are_where_steps_lead(
            gaps in prop::collection::vec(0u32..40, 0..80), escape in 1u32..20, n in 1usize..300,
        ) {
            let chains = Chains::new(&gaps, escape);
            let n_pieces = chains.end().div_ceil(n) + 1;
            let mut expected = vec![false; n * n_pieces];
            chains.positions.iter().for_each(|&position| expected[position] = true);
            for isa in Isa::available() {
                for chain in chains.narrow() {
                    prop_assert_eq!(&marks_of(isa, chain, n, n_pieces), &expected);
                }
                prop_assert_eq!(&marks_of(isa, chains.wide(), n, n_pieces), &expected);
            }
        }
    }

    #[test]
    fn a_chain_that_leads_too_far_is_not_done() {
        for isa in Isa::available() {
            for steps in [&[1u8, 9][..], &[1, 1, 0, 0, 0, 0, 0, 0, 1], &[1; 9]] {
                let mut chain = Chain::new(steps, steps.len(), 5);
                let mut marks = [0; 4 + SPARE];
                mark(isa, &mut chain, &mut marks);
                assert!(!chain.is_done(), "{steps:?}");
            }
        }
    }
}

//! Scattering of entries to where their steps lead (spec §9.1.2).

use super::Isa;
use super::chain::{Chain, Step};
use crate::word::Word;
use std::hint::select_unpredictable;

/// Puts the next of `values` where the chain leads to in `out`, and takes them off. Ends early when
/// there are no more.
pub(crate) fn scatter<W: Word, S: Step>(
    isa: Isa,
    chain: &mut Chain<'_, S>,
    values: &mut &[W],
    out: &mut [W],
) {
    let leads_out = match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => x86::scatter(chain, values, out),
        _ => false,
    };
    if leads_out || chain.is_done() {
        chain.move_on(out.len());
        return;
    }
    scatter_inside(chain, values, out);
    let mut left = values.iter();
    chain.walk(out.len(), |position| {
        let (Some(slot), Some(&value)) = (out.get_mut(position), left.as_slice().first()) else {
            return false;
        };
        left.next();
        *slot = value;
        true
    });
    *values = left.as_slice();
}

/// Does so up to the first step that leads out of `out`, without a branch on what is an escape: where
/// steps are narrow, nobody can foretell that. An escape writes the last element that it skips, as it is.
fn scatter_inside<W: Word, S: Step>(chain: &mut Chain<'_, S>, values: &mut &[W], out: &mut [W]) {
    let steps = chain.left();
    let mut after = chain.after;
    let (mut n_steps, mut n_values) = (0, 0);
    while let (Some(&step), Some(&value)) = (steps.get(n_steps), values.get(n_values)) {
        let step = i64::from(step.into());
        let is_escape = step == 0;
        let moved = after + select_unpredictable(is_escape, chain.escape, step);
        // Before the start of `out`, which a cast makes large, it may only be after an escape.
        let Some(slot) = out.get_mut((moved - 1) as usize) else {
            break;
        };
        *slot = select_unpredictable(is_escape, *slot, value);
        after = moved;
        n_steps += 1;
        n_values += usize::from(!is_escape);
    }
    chain.take(n_steps, after);
    *values = &values[n_values..];
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_code)]

    use super::{Chain, Step};
    use crate::kernels::chain::x86::{Eight, FIRST, fits_lanes, start, take_to};
    use crate::kernels::chosen::{CHOSEN, LANES};
    use crate::word::Word;
    use core::arch::x86_64::*;
    use std::hint::black_box;

    /// As [`super::scatter`], but for moving on, as long as there are eight values and eight steps,
    /// some of which may be after the last. Returns whether the step that comes next leads out of `out`.
    pub(super) fn scatter<W: Word, S: Step>(
        chain: &mut Chain<'_, S>,
        values: &mut &[W],
        out: &mut [W],
    ) -> bool {
        if !fits_lanes(chain, out.len()) {
            return false;
        }
        // SAFETY: AVX2 kernels are only chosen on machines with AVX2, BMI2 and POPCNT.
        unsafe { eights(chain, values, out) }
    }

    #[target_feature(enable = "avx2,bmi2,popcnt")]
    fn eights<W: Word, S: Step>(
        chain: &mut Chain<'_, S>,
        values: &mut &[W],
        out: &mut [W],
    ) -> bool {
        // The last position inside: at most 2^15 - 1.
        let last = _mm_set1_epi16((FIRST as usize + out.len() - 1) as i16);
        let escape = _mm_set1_epi16(chain.escape as i16);
        let (mut steps, mut left) = (chain.steps, chain.left);
        let mut of_entries = *values;
        let mut leads_out = out.is_empty();
        // The position of the last step that was taken.
        let mut at = start(chain);
        while left > 0
            && !leads_out
            && let Some(eight) = steps.first_chunk::<LANES>()
            && let Some(of_eight) = of_entries.first_chunk::<LANES>()
        {
            let eight = Eight::new(eight, escape, at);
            let is_inside = _mm_cmpeq_epi16(_mm_max_epu16(eight.positions, last), last);
            let sets = _mm_movemask_epi8(_mm_packs_epi16(is_inside, eight.are_escapes)) as u32;
            let are_all_entries = sets == 0x00ff && left >= LANES;
            // Every step leads on: those inside come first.
            let are_left = _bzhi_u32(0xff, left.min(LANES) as u32);
            let inside = sets & are_left;
            let entries = inside & !(sets >> 8);
            if are_all_entries {
                // Foretold, where escapes are rare.
                let to = Eight::stored(eight.positions);
                let to = black_box(&to);
                if to[0] < FIRST {
                    // Only an escape may lead to before the first element.
                    break;
                }
                for (&to, &value) in to.iter().zip(of_eight) {
                    // SAFETY: none is after `last`, and as they ascend, none is before the first, which is
                    // not before FIRST.
                    unsafe { *out.get_unchecked_mut(usize::from(to) - usize::from(FIRST)) = value };
                }
                of_entries = &of_entries[LANES..];
            } else if entries != 0 {
                // SAFETY: an array of sixteen bytes is loaded.
                let chosen =
                    unsafe { _mm_loadu_si128(CHOSEN[entries as usize & 0xff].as_ptr().cast()) };
                let to = Eight::stored(_mm_shuffle_epi8(eight.positions, chosen));
                let to = black_box(&to);
                if to[0] < FIRST {
                    break;
                }
                // From the end on: what is put to the last entry too often is overwritten by its own.
                for (&to, &value) in to.iter().zip(of_eight).rev() {
                    // SAFETY: the lanes that were chosen are entries inside: none is after `last`, and as
                    // they ascend, none is before the first of them, which is not before FIRST.
                    unsafe { *out.get_unchecked_mut(usize::from(to) - usize::from(FIRST)) = value };
                }
                of_entries = &of_entries[entries.count_ones() as usize..];
            }
            if inside == 0xff {
                // Foretold: what comes next need not wait until these have been counted.
                (steps, left) = (&steps[LANES..], left - LANES);
                at = eight.at(LANES as u32 - 1);
                continue;
            }
            let n_inside = inside.count_ones();
            steps = &steps[n_inside as usize..];
            left -= n_inside as usize;
            if let Some(last) = n_inside.checked_sub(1) {
                at = eight.at(last);
            }
            leads_out = inside != are_left;
        }
        take_to(chain, left, at);
        *values = of_entries;
        leads_out
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::tests::Chains;
    use super::*;
    use proptest::prelude::*;

    /// Scatters all values of a chain into rows.
    fn scatter_all<S: Step>(
        isa: Isa,
        mut chain: Chain<'_, S>,
        values: &[u32],
        row: usize,
        n_rows: usize,
    ) -> Vec<u32> {
        let mut out = vec![0; n_rows * row];
        // As many more as a block may have.
        let mut left = &[values, &[u32::MAX; 9]].concat()[..];
        for row in out.chunks_mut(row) {
            scatter(isa, &mut chain, &mut left, row);
        }
        assert!(chain.is_done());
        assert_eq!(left, [u32::MAX; 9]);
        out
    }

    proptest! {
        #[test]
        fn entries_land_where_their_steps_lead(
            gaps in prop::collection::vec(0u32..40, 0..60), escape in 1u32..20, row in 1usize..50,
        ) {
            let chains = Chains::new(&gaps, escape);
            let n_rows = chains.end().div_ceil(row) + 1;
            let values: Vec<u32> = (1..=gaps.len() as u32).collect();
            let expected: Vec<u32> = (0..n_rows * row)
                .map(|i| chains.positions.iter().position(|&p| p == i).map_or(0, |i| values[i]))
                .collect();
            for isa in Isa::available() {
                for chain in chains.narrow() {
                    prop_assert_eq!(&scatter_all(isa, chain, &values, row, n_rows), &expected);
                }
                prop_assert_eq!(&scatter_all(isa, chains.wide(), &values, row, n_rows), &expected);
            }
        }
    }

    #[test]
    fn rows_may_be_as_long_as_lanes_can_count_and_longer() {
        for row in [(1 << 14) - 1, 1 << 14, (1 << 14) + 1] {
            let steps = [255u8; 200];
            let values: Vec<u32> = (1..=200).collect();
            let mut expected = vec![0; 4 * row];
            for (value, position) in (1..).zip((254..).step_by(255)).take(200) {
                expected[position] = value;
            }
            for isa in Isa::available() {
                let chain = Chain::new(&steps, steps.len(), 300);
                assert_eq!(scatter_all(isa, chain, &values, row, 4), expected);
            }
        }
    }

    #[test]
    fn a_chain_that_leads_too_far_or_wants_more_values_is_not_done() {
        for isa in Isa::available() {
            for (steps, values) in [
                (&[1u8, 9][..], &[7u16, 8][..]),
                (&[1, 1, 1], &[7, 8]),
                (&[1, 0], &[7, 8]),
                (&[1, 1, 0, 0, 0, 0, 0, 0, 1], &[7; 9]),
                (&[1, 1, 1, 1, 1, 1, 1, 1, 1], &[7; 9]),
            ] {
                let mut out = [0u16; 4];
                let mut chain = Chain::new(steps, steps.len(), 5);
                let mut left = values;
                scatter(isa, &mut chain, &mut left, &mut out);
                assert!(!(chain.is_done() && left.is_empty()), "{steps:?}");
            }
        }
    }
}

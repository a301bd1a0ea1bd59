//! Scattering of entries to where their steps lead (spec §9.1.2).

use super::Isa;
use crate::word::Word;
use bytemuck::Pod;
use std::hint::select_unpredictable;

/// What steps are kept in.
pub(crate) trait Step: Pod + Into<u32> {}

impl Step for u8 {}
impl Step for u16 {}

/// A chain of steps: each the distance from an entry to the next, or 0, an escape.
///
/// A step of 1 leads to the position that follows. Before the first entry of a chain the position
/// is the one before its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain<'a, S> {
    /// Those that are left, and whatever comes after them.
    steps: &'a [S],
    left: usize,
    /// Positions that an escape skips: below 2^32.
    escape: i64,
    /// The position after the last entry, from the start of what comes next: negative if that is
    /// still to come. There are fewer than 2^31 steps of less than 2^32: no sum overflows.
    after: i64,
}

impl<'a, S: Step> Chain<'a, S> {
    /// Of the first `n` of `steps`, of which the last is no escape. Kernels take a few at a time: they are
    /// faster where more follow.
    ///
    /// # Panics
    /// If there are fewer.
    pub(crate) fn new(steps: &'a [S], n: usize, escape: u32) -> Self {
        assert!(n <= steps.len());
        Self {
            steps,
            left: n,
            escape: escape.into(),
            after: 0,
        }
    }

    /// Those that are left.
    fn left(&self) -> &'a [S] {
        &self.steps[..self.left]
    }

    /// Takes off the next `n` steps; the last of them leads to before `after`.
    fn take(&mut self, n: usize, after: i64) {
        self.steps = &self.steps[n..];
        self.left -= n;
        self.after = after;
    }

    /// Calls `put` with the position of each entry among the next `n`, and moves on by `n`.
    ///
    /// When `put` refuses, the chain stands still.
    #[inline(always)]
    pub(crate) fn walk(&mut self, n: usize, mut put: impl FnMut(usize) -> bool) {
        let end = n as i64;
        let mut after = self.after;
        let mut left = self.left();
        while let Some((&step, rest)) = left.split_first() {
            let step = i64::from(step.into());
            if step == 0 {
                after += self.escape;
            } else {
                let position = after + step - 1;
                if position >= end || !put(position as usize) {
                    break;
                }
                after = position + 1;
            }
            left = rest;
        }
        self.take(self.left - left.len(), after);
        self.move_on(n);
    }

    /// Counts positions from the one `n` further on.
    fn move_on(&mut self, n: usize) {
        self.after -= n as i64;
    }

    /// Whether no step is left.
    pub(crate) fn is_done(&self) -> bool {
        self.left == 0
    }
}

/// Number of steps that are entries.
pub(crate) fn count_nonzero<S: Step>(steps: &[S]) -> usize {
    // In counters of a byte, which the compiler makes vectors of.
    steps
        .chunks(255)
        .map(|steps| {
            let zeros: u8 = steps.iter().map(|&step| u8::from(step.into() == 0)).sum();
            steps.len() - usize::from(zeros)
        })
        .sum()
}

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
    use crate::kernels::chosen::{CHOSEN, LANES};
    use crate::word::Word;
    use core::arch::x86_64::*;
    use std::hint::black_box;

    /// What positions begin at in lanes of 16 bits, so that those before the first one have a place.
    const FIRST: u16 = 1 << 14;

    /// Most elements: in the lanes their positions are less than 2^15, others at most 2^16 − 1.
    const MAX_ELEMENTS: usize = 1 << 14;

    /// As [`super::scatter`], but for moving on, as long as there are eight values and eight steps,
    /// some of which may be after the last. Returns whether the step that comes next leads out of `out`.
    pub(super) fn scatter<W: Word, S: Step>(
        chain: &mut Chain<'_, S>,
        values: &mut &[W],
        out: &mut [W],
    ) -> bool {
        let starts = 1 - i64::from(FIRST)..=MAX_ELEMENTS as i64;
        let fits = chain.escape <= u16::MAX.into() && starts.contains(&chain.after);
        if out.len() > MAX_ELEMENTS || !fits {
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
        let mut at = _mm_set1_epi16((i64::from(FIRST) + chain.after - 1) as i16);
        while left > 0
            && !leads_out
            && let Some(eight) = steps.first_chunk::<LANES>()
            && let Some(of_eight) = of_entries.first_chunk::<LANES>()
        {
            let eight = eight.as_ptr();
            let eight = match size_of::<S>() {
                // SAFETY: these are the bytes of eight steps.
                1 => _mm_cvtepu8_epi16(unsafe { _mm_loadl_epi64(eight.cast()) }),
                // SAFETY: the same.
                _ => unsafe { _mm_loadu_si128(eight.cast()) },
            };
            let is_escape = _mm_cmpeq_epi16(eight, _mm_setzero_si128());
            let moves = _mm_or_si128(eight, _mm_and_si128(is_escape, escape));
            // Sums of the lanes up to each. What is too much for a lane stays at 2^16 - 1.
            let sums = _mm_adds_epu16(moves, _mm_slli_si128::<2>(moves));
            let sums = _mm_adds_epu16(sums, _mm_slli_si128::<4>(sums));
            let sums = _mm_adds_epu16(sums, _mm_slli_si128::<8>(sums));
            let positions = _mm_adds_epu16(sums, at);
            let is_inside = _mm_cmpeq_epi16(_mm_max_epu16(positions, last), last);
            let sets = _mm_movemask_epi8(_mm_packs_epi16(is_inside, is_escape)) as u32;
            // Every step leads on: those inside come first.
            let are_left = _bzhi_u32(0xff, left.min(LANES) as u32);
            let inside = sets & are_left;
            let entries = inside & !(sets >> 8);
            if entries != 0 {
                // SAFETY: an array of sixteen bytes is loaded.
                let chosen =
                    unsafe { _mm_loadu_si128(CHOSEN[entries as usize & 0xff].as_ptr().cast()) };
                let mut to = [0u16; LANES];
                // SAFETY: the array has 16 bytes.
                unsafe {
                    _mm_storeu_si128(to.as_mut_ptr().cast(), _mm_shuffle_epi8(positions, chosen));
                }
                // From memory each takes one instruction, out of a register two.
                let to = black_box(&to);
                if to[0] < FIRST {
                    // Only an escape may lead to before the first element.
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
                at = _mm_shuffle_epi8(positions, _mm_set1_epi16(0x0f0e));
                continue;
            }
            let n_inside = inside.count_ones();
            steps = &steps[n_inside as usize..];
            left -= n_inside as usize;
            if let Some(last) = n_inside.checked_sub(1) {
                let bytes = 0x0100 + 0x0202 * last;
                at = _mm_shuffle_epi8(positions, _mm_set1_epi16(bytes as i16));
            }
            leads_out = inside != are_left;
        }
        let at = _mm_extract_epi16::<0>(at) as u16;
        chain.take(chain.left - left, i64::from(at) - i64::from(FIRST) + 1);
        *values = of_entries;
        leads_out
    }
}

#[cfg(test)]
mod tests {
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
            let (mut steps, mut positions, mut at) = (vec![], vec![], 0);
            for &gap in &gaps {
                at += gap as usize;
                positions.push(at);
                at += 1;
                steps.extend(std::iter::repeat_n(0u8, (gap / escape) as usize));
                steps.push((gap % escape + 1) as u8);
            }
            let n_rows = at.div_ceil(row) + 1;
            let values: Vec<u32> = (1..=gaps.len() as u32).collect();
            let expected: Vec<u32> = (0..n_rows * row)
                .map(|i| positions.iter().position(|&p| p == i).map_or(0, |i| values[i]))
                .collect();
            let wide: Vec<u16> = steps.iter().copied().map(u16::from).collect();
            // With what belongs to the next chain after them.
            let more: Vec<u8> = steps.iter().copied().chain([1, 0, 3, 1, 1, 1, 1, 1]).collect();
            for isa in Isa::available() {
                for chain in [Chain::new(&steps, steps.len(), escape), Chain::new(&more, steps.len(), escape)] {
                    prop_assert_eq!(&scatter_all(isa, chain, &values, row, n_rows), &expected);
                }
                let chain = Chain::new(&wide, steps.len(), escape);
                prop_assert_eq!(&scatter_all(isa, chain, &values, row, n_rows), &expected);
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

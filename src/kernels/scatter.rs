//! Scattering of entries to where their steps lead (spec §9.1.2).

use crate::word::Word;
use std::hint::select_unpredictable;

/// A chain of steps: each the distance from an entry to the next, or 0, an escape.
///
/// A step of 1 leads to the position that follows. Before the first entry of a chain the position
/// is the one before its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain<'a, S> {
    steps: &'a [S],
    /// Positions that an escape skips: below 2^32.
    escape: i64,
    /// The position after the last entry, from the start of what comes next: negative if that is
    /// still to come. There are fewer than 2^31 steps of less than 2^32: no sum overflows.
    after: i64,
}

impl<'a, S: Copy + Into<u32>> Chain<'a, S> {
    pub(crate) fn new(steps: &'a [S], escape: u32) -> Self {
        Self {
            steps,
            escape: escape.into(),
            after: 0,
        }
    }

    /// Calls `put` with the position of each entry among the next `n`, and moves on by `n`.
    ///
    /// When `put` refuses, the chain stands still.
    #[inline(always)]
    pub(crate) fn walk(&mut self, n: usize, mut put: impl FnMut(usize) -> bool) {
        let n = n as i64;
        let mut after = self.after;
        let mut left = self.steps;
        while let Some((&step, rest)) = left.split_first() {
            let step = i64::from(step.into());
            if step == 0 {
                after += self.escape;
            } else {
                let position = after + step - 1;
                if position >= n || !put(position as usize) {
                    break;
                }
                after = position + 1;
            }
            left = rest;
        }
        self.steps = left;
        self.after = after - n;
    }

    /// Whether no step is left.
    pub(crate) fn is_done(&self) -> bool {
        self.steps.is_empty()
    }
}

/// Number of steps that are entries.
pub(crate) fn count_nonzero<S: Copy + Default + PartialEq>(steps: &[S]) -> usize {
    // In counters of a byte, which the compiler makes vectors of.
    steps
        .chunks(255)
        .map(|steps| {
            let zeros: u8 = steps
                .iter()
                .map(|&step| u8::from(step == S::default()))
                .sum();
            steps.len() - usize::from(zeros)
        })
        .sum()
}

/// Puts the next of `values` where the chain leads to in `out`, and takes them off. Ends early when
/// there are no more.
pub(crate) fn scatter<W: Word, S: Copy + Into<u32>>(
    chain: &mut Chain<'_, S>,
    values: &mut &[W],
    out: &mut [W],
) {
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
fn scatter_inside<W: Word, S: Copy + Into<u32>>(
    chain: &mut Chain<'_, S>,
    values: &mut &[W],
    out: &mut [W],
) {
    let mut after = chain.after;
    let (mut n_steps, mut n_values) = (0, 0);
    while let (Some(&step), Some(&value)) = (chain.steps.get(n_steps), values.get(n_values)) {
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
    chain.steps = &chain.steps[n_steps..];
    chain.after = after;
    *values = &values[n_values..];
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            let mut chain = Chain::new(&steps, escape);
            let mut out = vec![0; n_rows * row];
            let mut left = &values[..];
            out.chunks_mut(row).for_each(|row| scatter(&mut chain, &mut left, row));
            prop_assert!(chain.is_done() && left.is_empty());
            let expected: Vec<u32> = (0..n_rows * row)
                .map(|i| positions.iter().position(|&p| p == i).map_or(0, |i| values[i]))
                .collect();
            prop_assert_eq!(out, expected);
        }
    }

    #[test]
    fn a_chain_that_leads_too_far_or_wants_more_values_is_not_done() {
        let mut out = [0u16; 4];
        for (steps, values) in [
            (&[1u8, 9][..], &[7u16, 8][..]),
            (&[1, 1, 1], &[7, 8]),
            (&[1, 0], &[7, 8]),
        ] {
            let mut chain = Chain::new(steps, 5);
            let mut left = values;
            scatter(&mut chain, &mut left, &mut out);
            assert!(!(chain.is_done() && left.is_empty()), "{steps:?}");
        }
    }
}

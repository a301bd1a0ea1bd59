//! Chains of steps from entry to entry (spec §9.1.2).

use bytemuck::Pod;

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
    pub(super) steps: &'a [S],
    pub(super) left: usize,
    /// Positions that an escape skips: below 2^32.
    pub(super) escape: i64,
    /// The position after the last entry, from the start of what comes next: negative if that is
    /// still to come. There are fewer than 2^31 steps of less than 2^32: no sum overflows.
    pub(super) after: i64,
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
    pub(super) fn left(&self) -> &'a [S] {
        &self.steps[..self.left]
    }

    /// Takes off the next `n` steps; the last of them leads to before `after`.
    pub(super) fn take(&mut self, n: usize, after: i64) {
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
    pub(super) fn move_on(&mut self, n: usize) {
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

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    #![allow(unsafe_code)]

    use super::{Chain, Step};
    use crate::kernels::chosen::LANES;
    use core::arch::x86_64::*;

    /// What positions begin at in lanes of 16 bits, so that those before the first one have a place.
    pub(in crate::kernels) const FIRST: u16 = 1 << 14;

    /// Most elements: in the lanes their positions are less than 2^15, others at most 2^16 − 1.
    const MAX_ELEMENTS: usize = 1 << 14;

    /// Whether lanes can count the positions of the next `n` elements.
    pub(in crate::kernels) fn fits_lanes<S>(chain: &Chain<'_, S>, n: usize) -> bool {
        let starts = 1 - i64::from(FIRST)..=MAX_ELEMENTS as i64;
        n <= MAX_ELEMENTS && chain.escape <= u16::MAX.into() && starts.contains(&chain.after)
    }

    /// Where eight steps lead, from FIRST on, and which are escapes, in lanes.
    pub(in crate::kernels) struct Eight {
        /// They ascend, up to 2^16 − 1, where they stay.
        pub(in crate::kernels) positions: __m128i,
        pub(in crate::kernels) are_escapes: __m128i,
    }

    impl Eight {
        /// Of a chain whose last step led to `at`, in every lane; escapes skip `escape`.
        #[target_feature(enable = "avx2")]
        #[inline]
        pub(in crate::kernels) fn new<S: Step>(
            steps: &[S; LANES],
            escape: __m128i,
            at: __m128i,
        ) -> Self {
            let steps = steps.as_ptr();
            let steps = match size_of::<S>() {
                // SAFETY: these are the bytes of eight steps.
                1 => _mm_cvtepu8_epi16(unsafe { _mm_loadl_epi64(steps.cast()) }),
                // SAFETY: the same.
                _ => unsafe { _mm_loadu_si128(steps.cast()) },
            };
            let are_escapes = _mm_cmpeq_epi16(steps, _mm_setzero_si128());
            let moves = _mm_or_si128(steps, _mm_and_si128(are_escapes, escape));
            // Sums of the lanes up to each. What is too much for a lane stays at 2^16 - 1.
            let sums = _mm_adds_epu16(moves, _mm_slli_si128::<2>(moves));
            let sums = _mm_adds_epu16(sums, _mm_slli_si128::<4>(sums));
            let sums = _mm_adds_epu16(sums, _mm_slli_si128::<8>(sums));
            Self {
                positions: _mm_adds_epu16(sums, at),
                are_escapes,
            }
        }

        /// The position of the step with number `lane`, in every lane.
        #[target_feature(enable = "avx2")]
        #[inline]
        pub(in crate::kernels) fn at(&self, lane: u32) -> __m128i {
            let bytes = 0x0100 + 0x0202 * lane;
            _mm_shuffle_epi8(self.positions, _mm_set1_epi16(bytes as i16))
        }

        /// The positions, one after the other in memory: from there each takes one instruction to get, out of a
        /// register two.
        #[target_feature(enable = "avx2")]
        #[inline]
        pub(in crate::kernels) fn stored(positions: __m128i) -> [u16; LANES] {
            let mut stored = [0; LANES];
            // SAFETY: the array has 16 bytes.
            unsafe { _mm_storeu_si128(stored.as_mut_ptr().cast(), positions) };
            stored
        }
    }

    /// The lanes of a chain before its first step.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(in crate::kernels) fn start<S>(chain: &Chain<'_, S>) -> __m128i {
        _mm_set1_epi16((i64::from(FIRST) + chain.after - 1) as i16)
    }

    /// Takes off all but the last `left` of the steps; the last one led to `at`, in every lane.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(in crate::kernels) fn take_to<S: Step>(chain: &mut Chain<'_, S>, left: usize, at: __m128i) {
        let at = _mm_extract_epi16::<0>(at) as u16;
        chain.take(chain.left - left, i64::from(at) - i64::from(FIRST) + 1);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The chain of some gaps in every way that it may be kept.
    pub(in crate::kernels) struct Chains {
        escape: u32,
        steps: Vec<u8>,
        /// The same, and what belongs to the next chain.
        followed: Vec<u8>,
        wide: Vec<u16>,
        pub(in crate::kernels) positions: Vec<usize>,
    }

    impl Chains {
        pub(in crate::kernels) fn new(gaps: &[u32], escape: u32) -> Self {
            let (mut steps, mut positions, mut at) = (vec![], vec![], 0);
            for &gap in gaps {
                at += gap as usize;
                positions.push(at);
                at += 1;
                steps.extend(std::iter::repeat_n(0u8, (gap / escape) as usize));
                steps.push((gap % escape + 1) as u8);
            }
            Self {
                escape,
                followed: [&steps[..], &[1, 0, 3, 1, 1, 1, 1, 1]].concat(),
                wide: steps.iter().copied().map(u16::from).collect(),
                steps,
                positions,
            }
        }

        /// The position after the last entry.
        pub(in crate::kernels) fn end(&self) -> usize {
            self.positions.last().map_or(0, |last| last + 1)
        }

        /// With steps of a byte.
        pub(in crate::kernels) fn narrow(&self) -> [Chain<'_, u8>; 2] {
            [&self.steps, &self.followed]
                .map(|steps| Chain::new(steps, self.steps.len(), self.escape))
        }

        /// With steps of two.
        pub(in crate::kernels) fn wide(&self) -> Chain<'_, u16> {
            Chain::new(&self.wide, self.wide.len(), self.escape)
        }
    }
}

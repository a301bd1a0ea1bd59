//! Positions of entries: what steps and bitmaps lead to, a few at a time.

use crate::kernels::Isa;
use std::ops::Range;

/// Positions that are made at once.
pub(crate) const CHUNK: usize = 1024;

/// Positions after those that a SIMD version may write: whatever.
pub(super) const SLACK: usize = 16;

/// Positions that ascend strictly.
///
/// 1. No position is followed by one that is not greater. Only the functions of this file make such a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ascending<'a>(&'a [u32]);

impl<'a> Ascending<'a> {
    #[inline]
    pub(crate) fn list(self) -> &'a [u32] {
        self.0
    }

    /// The first `n`.
    ///
    /// # Panics
    /// If there are fewer.
    pub(crate) fn first(self, n: usize) -> Self {
        Self(&self.0[..n])
    }

    /// Those below a bound, and the others.
    #[inline]
    pub(crate) fn split_below(self, bound: u32) -> (Self, Self) {
        let n = match self.0.last() {
            Some(&last) if last >= bound => self.0.partition_point(|&position| position < bound),
            _ => self.0.len(),
        };
        let (below, others) = self.0.split_at(n);
        (Self(below), Self(others))
    }
}

/// Room for the positions that are made at once.
pub(crate) struct Positions {
    list: [u32; CHUNK + SLACK],
    /// Those of `list` that are positions. They ascend strictly.
    n: usize,
}

impl Positions {
    pub(crate) fn new() -> Self {
        Self {
            list: [0; CHUNK + SLACK],
            n: 0,
        }
    }

    pub(crate) fn get(&self) -> Ascending<'_> {
        // 1: as the field says.
        Ascending(&self.list[..self.n])
    }

    /// Whether more may come.
    pub(crate) fn is_full(&self) -> bool {
        self.n == CHUNK
    }
}

/// Positions that steps lead to.
pub(crate) struct Steps<'a> {
    pub(super) packed: &'a [u8],
    /// Bits of a step, 1 to 8.
    pub(super) bits: u32,
    /// Numbers of the next step and of the one after the last.
    pub(super) next: usize,
    pub(super) end: usize,
    /// The position after the last entry. There are fewer than 2^16 steps of less than 2^8: with what it
    /// begins with, below 2^24, it does not overflow.
    pub(super) after: u32,
}

impl<'a> Steps<'a> {
    /// The steps with the numbers `steps` in `packed`, for positions from `start` on. `packed` may go on: kernels
    /// take eight bytes at a time.
    ///
    /// # Panics
    /// If `bits` is not 1 to 8, there are fewer steps, or 2^16 of them, or `start` is 2^24 or more.
    pub(crate) fn new(packed: &'a [u8], bits: u32, steps: Range<usize>, start: u32) -> Self {
        assert!((1..=8).contains(&bits) && steps.len() < 1 << 16 && start < 1 << 24);
        assert!(steps.end <= 8 * packed.len() / bits as usize);
        Self {
            packed,
            bits,
            next: steps.start,
            end: steps.end,
            after: start,
        }
    }

    /// Makes the next positions; none are left if `out` is not full then.
    #[inline]
    pub(crate) fn positions(&mut self, isa: Isa, out: &mut Positions) {
        out.n = 0;
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::Avx512 => out.n = super::x86::positions(self, &mut out.list),
            _ => {}
        }
        let bits = self.bits as usize;
        let escape = (1 << bits) - 1;
        while out.n < CHUNK && self.next < self.end {
            let bit = self.next * bits;
            let low = u32::from(self.packed[bit / 8]);
            let high = self.packed.get(bit / 8 + 1).copied().unwrap_or(0);
            let step = (low | u32::from(high) << 8) >> (bit % 8) & escape;
            self.next += 1;
            if step == 0 {
                self.after += escape;
            } else {
                // Above the one before, since a step is not 0.
                self.after += step;
                out.list[out.n] = self.after - 1;
                out.n += 1;
            }
        }
    }
}

/// Positions of bits that are set.
pub(crate) struct SetBits<'a> {
    bitmap: &'a [u8],
    /// What is left of the byte before.
    byte: u8,
    /// The position of the lowest bit of the byte that comes next.
    next: u32,
}

impl<'a> SetBits<'a> {
    /// Those of a bitmap, for positions from `start` on.
    ///
    /// # Panics
    /// If it has 2^24 bits or more, or `start` is 2^24 or more.
    pub(crate) fn new(bitmap: &'a [u8], start: u32) -> Self {
        assert!(bitmap.len() < 1 << 21 && start < 1 << 24);
        Self {
            bitmap,
            byte: 0,
            next: start,
        }
    }

    /// As [`Steps::positions`].
    pub(crate) fn positions(&mut self, out: &mut Positions) {
        out.n = 0;
        while out.n < CHUNK {
            if self.byte == 0 {
                let Some((&byte, rest)) = self.bitmap.split_first() else {
                    break;
                };
                (self.byte, self.bitmap) = (byte, rest);
                self.next += 8;
                continue;
            }
            out.list[out.n] = self.next - 8 + self.byte.trailing_zeros();
            self.byte &= self.byte - 1;
            out.n += 1;
        }
    }
}

//! Where the blocks of a payload end (spec §8.3, "how a writer cuts").

use super::{Elements, MAX_BLOCK_BYTES, MAX_BLOCK_ELEMENTS};
use crate::word::Word;
use std::ops::Range;

/// Entries after which a block ends with its row: 16 Ki to 64 Ki are flat in size and speed.
const TARGET_ENTRIES: usize = 1 << 16;

/// Rows longer than this are cut inside.
const MAX_STEP: usize = 1 << 16;

/// Cuts a payload into element ranges, one after the other.
pub(super) struct Cutter<'a, W> {
    elements: Elements<'a, W>,
    background: W,
    alternates: bool,
    step: usize,
    next: usize,
}

impl<'a, W: Word> Cutter<'a, W> {
    pub(super) fn new(
        elements: Elements<'a, W>,
        background: W,
        alternates: bool,
        columns: u64,
    ) -> Self {
        let step = usize::try_from(columns).unwrap_or(MAX_STEP).min(MAX_STEP);
        Self {
            elements,
            background,
            alternates,
            step,
            next: 0,
        }
    }

    fn n_entries(&self, range: Range<usize>) -> usize {
        let alternate = if self.alternates {
            self.background.flip_top()
        } else {
            self.background
        };
        self.elements
            .slice(range)
            .iter()
            .filter(|&p| p != self.background && p != alternate)
            .count()
    }
}

impl<W: Word> Iterator for Cutter<'_, W> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let (start, len) = (self.next, self.elements.len());
        let most = MAX_BLOCK_ELEMENTS.min(MAX_BLOCK_BYTES / W::WIDTH as u64) as usize;
        let mut n_entries = 0;
        while self.next < len {
            let end = (self.next + self.step).min(len);
            let more = self.n_entries(self.next..end);
            let is_first = self.next == start;
            if !is_first && (end - start > most || n_entries + more > TARGET_ENTRIES) {
                break;
            }
            n_entries += more;
            self.next = end;
        }
        (self.next > start).then_some(start..self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::to_le_bytes;

    fn cuts(patterns: &[u32], columns: u64) -> Vec<Range<usize>> {
        let bytes = to_le_bytes(patterns);
        Cutter::new(Elements::new(&bytes), 0u32, false, columns).collect()
    }

    #[test]
    fn dense_rows_are_cut_by_entries_and_empty_ones_by_elements() {
        assert_eq!(
            cuts(&vec![1; 100_000], 30_000),
            [0..60_000, 60_000..100_000]
        );
        let ends: Vec<_> = cuts(&vec![0; 9_000_000], 1000)
            .iter()
            .map(|r| r.end)
            .collect();
        assert_eq!(ends, [4_194_000, 8_388_000, 9_000_000]);
    }

    #[test]
    fn long_rows_are_cut_inside() {
        assert_eq!(
            cuts(&vec![1; 150_000], 150_000),
            [0..65_536, 65_536..131_072, 131_072..150_000]
        );
        assert_eq!(cuts(&[1], 1).len(), 1);
        assert!(cuts(&[], 1).is_empty());
    }
}

//! The elements of a block, told apart: entries, alternates, background (spec §9).

use super::Elements;
use crate::word::Word;

/// Elements that are looked at in one go: as many as a mask has bits.
const CHUNK: usize = 64;

/// What makes an element an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Background<W> {
    /// The pattern that is not stored.
    pub(super) pattern: W,
    /// Whether its alternate is kept in a set of its own; else it is an entry.
    pub(super) has_alternates: bool,
    /// Whether all elements are entries, whatever their pattern.
    pub(super) stores_all: bool,
}

/// The entries and alternates of a block.
pub(super) struct Entries<W> {
    /// Number of elements.
    pub(super) n: u32,
    /// Index in the payload of the first element.
    pub(super) first_element: u64,
    /// Positions of the entries.
    pub(super) members: Vec<u32>,
    /// Their patterns.
    pub(super) patterns: Vec<W>,
    /// Positions of the alternates among the elements that are not entries.
    pub(super) alternates: Vec<u32>,
}

/// A bit for each byte, which is 0 or 1.
fn mask(bytes: [u8; CHUNK]) -> u64 {
    let eighths = bytes.as_chunks::<8>().0.iter().enumerate();
    eighths.fold(0, |mask, (i, eight)| {
        // Byte j is moved to bit 56 + j by one of the factor's ones, and nothing else is moved there.
        let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask | bits << (8 * i)
    })
}

impl<W: Word> Entries<W> {
    /// Tells the elements of a block apart: at most 2^32 of them.
    pub(super) fn of(
        elements: Elements<'_, W>,
        first_element: u64,
        background: Background<W>,
    ) -> Self {
        let mut entries = Self {
            n: elements.len() as u32,
            first_element,
            members: Vec::new(),
            patterns: Vec::new(),
            alternates: Vec::new(),
        };
        for start in (0..elements.len()).step_by(CHUNK) {
            let chunk = elements.slice(start..elements.len().min(start + CHUNK));
            let mut is_entry = [0u8; CHUNK];
            for (is_entry, pattern) in is_entry.iter_mut().zip(chunk.iter()) {
                *is_entry = u8::from(pattern != background.pattern || background.stores_all);
            }
            let mut set = mask(is_entry);
            while set != 0 {
                let i = set.trailing_zeros() as usize;
                entries.members.push((start + i) as u32);
                entries.patterns.push(chunk.get(i));
                set &= set - 1;
            }
        }
        if background.has_alternates {
            entries.take_alternates(background.pattern.flip_top());
        }
        entries
    }

    /// All elements again.
    pub(super) fn elements(&self, background: W) -> Vec<W> {
        let mut all = vec![background; self.n as usize];
        for (&member, &pattern) in self.members.iter().zip(&self.patterns) {
            all[member as usize] = pattern;
        }
        // Entries before an alternate: those with fewer others before them.
        let mut n_before = 0;
        for &alternate in &self.alternates {
            while self
                .members
                .get(n_before)
                .is_some_and(|&m| m - n_before as u32 <= alternate)
            {
                n_before += 1;
            }
            all[alternate as usize + n_before] = background.flip_top();
        }
        all
    }

    /// Moves the entries of a pattern to the alternates.
    fn take_alternates(&mut self, alternate: W) {
        if !self.patterns.contains(&alternate) {
            return;
        }
        let mut kept = 0;
        for i in 0..self.members.len() {
            let (position, pattern) = (self.members[i], self.patterns[i]);
            if pattern == alternate {
                self.alternates.push(position - kept as u32);
            } else {
                (self.members[kept], self.patterns[kept]) = (position, pattern);
                kept += 1;
            }
        }
        self.members.truncate(kept);
        self.patterns.truncate(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::to_le_bytes;

    #[test]
    fn alternates_are_numbered_among_what_is_not_an_entry() {
        let elements = [0u16, 0x8000, 5, 0x8000, 0, 6, 0x8000];
        let bytes = to_le_bytes(&elements);
        let entries = |has_alternates| {
            let background = Background {
                pattern: 0,
                has_alternates,
                stores_all: false,
            };
            Entries::of(Elements::<u16>::new(&bytes), 0, background)
        };
        let apart = entries(true);
        assert_eq!(apart.elements(0), elements);
        assert_eq!((apart.members, apart.patterns), (vec![2, 5], vec![5, 6]));
        assert_eq!(apart.alternates, [1, 2, 4]);
        let together = entries(false);
        assert_eq!(together.members, [1, 2, 3, 5, 6]);
        assert!(together.alternates.is_empty());
    }
}

//! The first pass over a payload: its background and its codebook.

use super::Elements;
use super::tables::Tables;
use crate::values::{Codebook, MAX_CODES};
use crate::word::Word;
use std::collections::HashMap;

/// A background other than zero must be at least this share of the elements: 1 / 4.
const BACKGROUND_SHARE: u64 = 4;

/// A codebook is worth its table if there are at least this many entries for each pattern.
const ENTRIES_PER_CODE: u64 = 2;

/// Finds the most frequent pattern, and the few distinct ones where they are few.
///
/// With `alternates`, a pattern and the same with its top bit inverted count together, because
/// a block keeps one as the alternate of the other.
pub(super) fn scan<W: Word>(elements: Elements<'_, W>, alternates: bool) -> Tables<W> {
    let total = elements.len() as u64;
    let counts = Counts::of(elements);
    let with_alternate = |pattern: W, count: u64| {
        count
            + if alternates {
                counts.of_pattern(pattern.flip_top())
            } else {
                0
            }
    };
    let zero = W::default();
    let zeros = with_alternate(zero, counts.of_pattern(zero));
    let mut background = zero;
    if let Some((pattern, count)) = counts.most_frequent(elements) {
        let count = with_alternate(pattern, count);
        if count > zeros && count >= total / BACKGROUND_SHARE {
            background = pattern;
        }
    }
    Tables {
        codebook: codebook(&counts, background, alternates, total),
        ..Tables::of_background(background)
    }
}

fn codebook<W: Word>(
    counts: &Counts<W>,
    background: W,
    alternates: bool,
    total: u64,
) -> Option<Codebook<W>> {
    if W::WIDTH == 1 || counts.overflow {
        return None;
    }
    let is_stored =
        |pattern: W| pattern != background && !(alternates && pattern == background.flip_top());
    let patterns = counts
        .distinct
        .keys()
        .copied()
        .filter(|&p| is_stored(p))
        .collect();
    let entries = total - counts.of_pattern(background);
    Codebook::from_patterns(patterns).filter(|book| entries >= ENTRIES_PER_CODE * book.len() as u64)
}

/// How often patterns occur: all of them while they are few, zero and its alternate in any case.
struct Counts<W> {
    distinct: HashMap<W, u64>,
    /// There are more distinct patterns than a codebook and two backgrounds need.
    overflow: bool,
    zeros: u64,
    negative_zeros: u64,
    /// The only pattern that can be in more than half of the elements (Boyer and Moore 1981).
    majority: W,
}

impl<W: Word> Counts<W> {
    fn of(elements: Elements<'_, W>) -> Self {
        let mut counts = Self {
            distinct: HashMap::new(),
            overflow: false,
            zeros: 0,
            negative_zeros: 0,
            majority: W::default(),
        };
        let mut lead = 0u64;
        for pattern in elements.iter() {
            if lead == 0 {
                counts.majority = pattern;
            }
            if pattern == counts.majority {
                lead += 1;
            } else {
                lead -= 1;
            }
            if pattern == W::default() {
                counts.zeros += 1;
                continue;
            }
            counts.negative_zeros += u64::from(pattern == W::default().flip_top());
            if !counts.overflow {
                *counts.distinct.entry(pattern).or_default() += 1;
                counts.overflow = counts.distinct.len() > MAX_CODES + 2;
            }
        }
        if !counts.overflow && counts.zeros > 0 {
            counts.distinct.insert(W::default(), counts.zeros);
        }
        counts
    }

    /// Number of elements with this pattern, as far as known.
    fn of_pattern(&self, pattern: W) -> u64 {
        if pattern == W::default() {
            return self.zeros;
        }
        if pattern == W::default().flip_top() {
            return self.negative_zeros;
        }
        if self.overflow {
            return 0;
        }
        self.distinct.get(&pattern).copied().unwrap_or(0)
    }

    /// The most frequent pattern; the smallest one of several.
    fn most_frequent(&self, elements: Elements<'_, W>) -> Option<(W, u64)> {
        if !self.overflow {
            let by_count = self.distinct.iter().map(|(&p, &c)| (p, c));
            return by_count.max_by_key(|&(pattern, count)| (count, std::cmp::Reverse(pattern)));
        }
        if self.majority == W::default() {
            return None;
        }
        let count = elements.iter().filter(|&p| p == self.majority).count() as u64;
        Some((self.majority, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::to_le_bytes;

    fn tables(patterns: &[u32], alternates: bool) -> Tables<u32> {
        scan(Elements::new(&to_le_bytes(patterns)), alternates)
    }

    #[test]
    fn zero_is_the_background_unless_something_else_is_far_more_frequent() {
        assert_eq!(tables(&[0, 1, 2, 3, 4, 5], false).background, 0);
        assert_eq!(tables(&[7, 7, 7, 0, 0, 1], false).background, 7);
        assert_eq!(tables(&[7, 7, 0, 0, 0, 1], false).background, 0);
        let half_negative: Vec<u32> = (1..=600)
            .flat_map(|i| [0x8000_0000, 0x8000_0000, 0, i])
            .collect();
        assert_eq!(
            tables(&half_negative, true).background,
            0,
            "−0.0 is the alternate of +0.0"
        );
    }

    #[test]
    fn a_majority_is_found_among_many_patterns() {
        let mut patterns: Vec<u32> = (1..=1000).collect();
        patterns.extend([0x0123; 1002]);
        assert_eq!(tables(&patterns, false).background, 0x0123);
    }

    #[test]
    fn few_patterns_make_a_codebook() {
        let shared: Vec<u32> = (0..400)
            .map(|i| if i % 4 == 0 { 1 + i % 20 } else { 0 })
            .collect();
        let book = tables(&shared, true).codebook.unwrap();
        assert_eq!(book.len(), 5);
        let distinct: Vec<u32> = (0..300).collect();
        assert!(tables(&distinct, true).codebook.is_none());
    }
}

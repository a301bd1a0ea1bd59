//! The first pass over a payload: its background, its codebook, and where its blocks end.

use super::entries::Background;
use super::{Elements, MAX_BLOCK_BYTES, MAX_BLOCK_ELEMENTS};
use crate::choose::cost::{BIT, choice};
use crate::parallel;
use crate::stream::huffman::PrefixCode;
use crate::values::{Codebook, MAX_CODES};
use crate::word::Word;
use std::collections::BTreeSet;
use std::ops::Range;

/// A background other than zero must be at least this share of the elements: 1 / 4.
const BACKGROUND_SHARE: u64 = 4;

/// Elements that are looked at to find a frequent pattern.
const SAMPLE: usize = 4096;

/// A codebook is worth its table if there are at least this many entries for each pattern.
const ENTRIES_PER_CODE: u64 = 2;

/// Rows are counted together while they have no more elements than this, or cut into such pieces.
const STEP_ELEMENTS: usize = 1024;

/// Longest row that is not cut.
const MAX_ROW: u64 = 1 << 16;

/// What a set of alternates costs besides its positions.
const SET_COST: u64 = 40 * 8 * BIT;

/// Where a payload's blocks end, and what they have in common.
pub(super) struct Survey<W> {
    pub(super) background: Background<W>,
    /// The few patterns that entries have, where they are few.
    pub(super) codebook: Option<Codebook<W>>,
    /// Elements that are entries.
    pub(super) n_entries: u64,
    /// Elements that are not the background, but its alternate.
    pub(super) n_alternates: u64,
    /// The elements of each block.
    pub(super) blocks: Vec<Range<usize>>,
    /// Entries that blocks get.
    target: u64,
}

/// Occurrences of a pattern and of its alternate in a step.
#[derive(Clone, Copy, Default)]
struct Counts {
    pattern: u32,
    alternate: u32,
}

/// A background of at most this share of the elements may be cheaper as values: 1 / 8.
const FEW_SHARE: u64 = 8;

impl<W: Word> Survey<W> {
    /// The same payload with its background among the entries, if that may be cheaper: where it is little.
    pub(super) fn storing_all(&self, elements: Elements<'_, W>, columns: u64) -> Option<Self> {
        let total = elements.len() as u64;
        let n_others = total - self.n_entries;
        if W::WIDTH == 1 || n_others == 0 || n_others > total / FEW_SHARE {
            return None;
        }
        let background = Background {
            has_alternates: false,
            stores_all: true,
            ..self.background
        };
        let step = step_elements(columns);
        Some(Self {
            background,
            codebook: codebook(elements, background),
            n_entries: total,
            n_alternates: 0,
            blocks: cut(elements.len(), W::WIDTH, step, self.target, |_| 0),
            target: self.target,
        })
    }
}

/// Looks at all elements of a payload in rows of `columns`, whose blocks get `target` entries.
///
/// With `float`, a pattern and the same with its top bit inverted count together as background.
pub(super) fn survey<W: Word>(
    elements: Elements<'_, W>,
    float: bool,
    columns: u64,
    target: u64,
) -> Survey<W> {
    let step = step_elements(columns);
    let total = elements.len() as u64;
    let zero = W::default();
    let mut pattern = zero;
    let mut counts = count(elements, step, zero);
    let sum = |counts: &[Counts]| {
        counts.iter().fold((0, 0), |(pattern, alternate), c| {
            (
                pattern + u64::from(c.pattern),
                alternate + u64::from(c.alternate),
            )
        })
    };
    let together =
        |(pattern, alternate): (u64, u64)| if float { pattern + alternate } else { pattern };
    if let Some(frequent) = frequent_pattern(elements)
        && together(sum(&counts)) < total / 2
    {
        let of_frequent = count(elements, step, frequent);
        let n = together(sum(&of_frequent));
        if n > together(sum(&counts)) && n >= total / BACKGROUND_SHARE {
            (pattern, counts) = (frequent, of_frequent);
        }
    }
    let (n_background, n_alternates) = sum(&counts);
    let has_alternates =
        float && is_set_cheaper(n_alternates, total - n_background - n_alternates, total);
    let stores_all = W::WIDTH == 1 && is_all_cheaper(elements, pattern);
    let has_alternates = has_alternates && !stores_all;
    let background = Background {
        pattern,
        has_alternates,
        stores_all,
    };
    let n_alternates = if has_alternates { n_alternates } else { 0 };
    Survey {
        background,
        codebook: codebook(elements, background),
        n_entries: if stores_all {
            total
        } else {
            total - n_background - n_alternates
        },
        n_alternates,
        blocks: cut(
            elements.len(),
            W::WIDTH,
            step,
            target,
            |i| match stores_all {
                true => 0,
                false => {
                    u64::from(counts[i].pattern)
                        + if has_alternates {
                            counts[i].alternate.into()
                        } else {
                            0
                        }
                }
            },
        ),
        target,
    }
}

/// Elements that are counted together: whole rows where they are short.
fn step_elements(columns: u64) -> usize {
    let columns = match columns {
        long if long > MAX_ROW => return STEP_ELEMENTS,
        short => short as usize,
    };
    columns * (STEP_ELEMENTS / columns).max(1)
}

fn count<W: Word>(elements: Elements<'_, W>, step: usize, pattern: W) -> Vec<Counts> {
    let alternate = pattern.flip_top();
    let starts: Vec<usize> = (0..elements.len()).step_by(step).collect();
    parallel::map_chunks(&starts, |&start| {
        let mut counts = Counts::default();
        for element in elements
            .slice(start..elements.len().min(start + step))
            .iter()
        {
            counts.pattern += u32::from(element == pattern);
            counts.alternate += u32::from(element == alternate);
        }
        counts
    })
}

/// The most frequent pattern of a sample, if it is not zero and may be frequent enough.
fn frequent_pattern<W: Word>(elements: Elements<'_, W>) -> Option<W> {
    let stride = elements.len().div_ceil(SAMPLE).max(1);
    let mut sample: Vec<W> = (0..elements.len())
        .step_by(stride)
        .map(|i| elements.get(i))
        .collect();
    sample.sort_unstable();
    let of_each = sample.chunk_by(|a, b| a == b);
    let most = of_each.max_by_key(|same| (same.len(), std::cmp::Reverse(same[0])))?;
    let is_frequent = most.len() as u64 * 2 * BACKGROUND_SHARE >= sample.len() as u64;
    (is_frequent && most[0] != W::default()).then_some(most[0])
}

/// Whether alternates cost less as a set than as entries, next to so many others.
fn is_set_cheaper(n_alternates: u64, n_entries: u64, total: u64) -> bool {
    if n_alternates == 0 {
        return false;
    }
    let as_set = choice(n_alternates, total - n_entries) + SET_COST;
    // As entries they need code words too, which have whole bits: a frequent one takes a bit, and
    // adds one to all others.
    let all = n_entries + n_alternates;
    let symbols = match 3 * n_alternates > all {
        true => all * BIT,
        false => choice(n_alternates, all),
    };
    as_set + choice(n_entries, total) < choice(all, total) + symbols
}

/// Whether elements of a byte cost no more if the background is a symbol like the others. They are then
/// read faster too.
fn is_all_cheaper<W: Word>(elements: Elements<'_, W>, background: W) -> bool {
    let mut histogram = [0u64; 256];
    elements
        .iter()
        .for_each(|element| histogram[element.to_bits() as usize & 255] += 1);
    let cost = |histogram: &[u64]| {
        PrefixCode::of_histogram(histogram).map_or(0, |code| code.cost(histogram))
    };
    let as_symbols = cost(&histogram);
    let total: u64 = histogram.iter().sum();
    let n_background = std::mem::take(&mut histogram[background.to_bits() as usize & 255]);
    as_symbols <= cost(&histogram) + choice(n_background, total) / BIT
}

/// The codebook of all entries, if they are few patterns.
fn codebook<W: Word>(elements: Elements<'_, W>, background: Background<W>) -> Option<Codebook<W>> {
    if W::WIDTH == 1 {
        return None;
    }
    let is_entry = |pattern: W| {
        let is_background = pattern == background.pattern
            || background.has_alternates && pattern == background.pattern.flip_top();
        background.stores_all || !is_background
    };
    let mut patterns = BTreeSet::new();
    let mut last = None;
    let mut n_entries = 0;
    for element in elements.iter() {
        n_entries += u64::from(is_entry(element));
        if Some(element) != last
            && is_entry(element)
            && patterns.insert(element)
            && patterns.len() > MAX_CODES
        {
            return None;
        }
        last = Some(element);
    }
    let n = patterns.len() as u64;
    Codebook::from_patterns(patterns).filter(|_| n_entries >= ENTRIES_PER_CODE * n)
}

/// Cuts `len` elements into blocks of whole steps, with about `target` entries each (spec §8.3).
/// `others` says how many elements of a step are not entries.
fn cut(
    len: usize,
    width: usize,
    step: usize,
    target: u64,
    others: impl Fn(usize) -> u64,
) -> Vec<Range<usize>> {
    let most = MAX_BLOCK_ELEMENTS.min(MAX_BLOCK_BYTES / width as u64) as usize;
    let mut blocks = Vec::new();
    let (mut start, mut n_entries) = (0, 0);
    for (number, at) in (0..len).step_by(step).enumerate() {
        let end = len.min(at + step);
        let more = (end - at) as u64 - others(number);
        if at > start && (end - start > most || n_entries + more > target) {
            blocks.push(start..at);
            (start, n_entries) = (at, 0);
        }
        n_entries += more;
    }
    blocks.push(start..len);
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::to_le_bytes;

    fn survey_of(patterns: &[u32], float: bool, columns: u64) -> Survey<u32> {
        survey(
            Elements::new(&to_le_bytes(patterns)),
            float,
            columns,
            1 << 16,
        )
    }

    #[test]
    fn zero_is_the_background_unless_something_else_is_far_more_frequent() {
        let background = |patterns: &[u32], float| survey_of(patterns, float, 1).background.pattern;
        assert_eq!(background(&[0, 1, 2, 3, 4, 5], false), 0);
        assert_eq!(background(&[7, 7, 7, 0, 0, 1], false), 7);
        assert_eq!(background(&[7, 7, 0, 0, 0, 1], false), 0);
        let half_negative: Vec<u32> = (1..=600)
            .flat_map(|i| [0x8000_0000, 0x8000_0000, 0, i])
            .collect();
        assert_eq!(
            background(&half_negative, true),
            0,
            "−0.0 is the alternate of +0.0"
        );
    }

    #[test]
    fn alternates_are_a_set_where_there_are_many_of_them() {
        let with_negative_zeros = |every: u32| -> Vec<u32> {
            let element = |i: u32| match i {
                i if i.is_multiple_of(every) => 0x8000_0000,
                i if i.is_multiple_of(3) => i,
                _ => 0,
            };
            (1..100_000).map(element).collect()
        };
        let many = survey_of(&with_negative_zeros(2), true, 1);
        assert!(many.background.has_alternates && many.n_alternates == 49_999);
        let few = survey_of(&with_negative_zeros(5000), true, 1);
        assert!(!few.background.has_alternates && few.n_alternates == 0);
        assert!(
            !survey_of(&with_negative_zeros(2), false, 1)
                .background
                .has_alternates
        );
    }

    #[test]
    fn few_patterns_make_a_codebook() {
        let shared: Vec<u32> = (0..400)
            .map(|i| if i % 4 == 0 { 1 + i % 20 } else { 0 })
            .collect();
        let book = survey_of(&shared, true, 1).codebook.unwrap();
        assert_eq!(book.len(), 5);
        let distinct: Vec<u32> = (0..300).collect();
        assert!(survey_of(&distinct, true, 1).codebook.is_none());
    }

    #[test]
    fn dense_rows_are_cut_by_entries_and_empty_ones_by_elements() {
        let ends = |patterns: &[u32], columns| {
            let blocks = survey_of(patterns, true, columns).blocks;
            assert!(blocks.windows(2).all(|w| w[0].end == w[1].start));
            blocks.iter().map(|block| block.end).collect::<Vec<_>>()
        };
        let dense: Vec<u32> = (1..=100_000).collect();
        assert_eq!(ends(&dense, 30_000), [60_000, 100_000]);
        assert_eq!(
            ends(&vec![0; 9_000_000], 1000),
            [4_194_000, 8_388_000, 9_000_000]
        );
        // A long row is cut inside.
        assert_eq!(ends(&dense, 100_000), [65_536, 100_000]);
        assert_eq!(ends(&[1], 1), [1]);
    }
}

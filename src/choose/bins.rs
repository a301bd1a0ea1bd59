//! Bins for values whose patterns are spread unevenly (spec §8.2.2): the cheapest cut through the
//! binary trie of all patterns.

use super::cost::{BIT, log2};
use crate::kernels::lookup::{Bin, MAX_LOW_BITS};
use crate::stream::huffman::MAX_SYMBOLS;

/// Bits that a bin takes in the tables, about: its node, and the length of its code word.
const BIN_COST: u64 = 6;

/// Bits of an inner node.
const NODE_COST: u64 = 2;

/// Fewer patterns than this are not told apart any further, unless they are all the same.
const MIN_SPLIT: usize = 8;

/// Patterns, sorted, and what is to be made of them.
struct Trie<'a> {
    patterns: &'a [u64],
    log_total: u64,
    bin_cost: u64,
    /// Whether there must be bins for patterns that are not among these.
    complete: bool,
}

/// Bins for these patterns, ascending, and what coding the patterns with them costs in units of 2^-16
/// bits, tables included. `sorted` are some, of `pattern_bits` each, at most 64.
///
/// With `complete` every pattern is in a bin, else those that are not among these may not be.
pub(crate) fn best_bins(sorted: &[u64], pattern_bits: u32, complete: bool) -> (Vec<Bin>, u64) {
    let mut bin_cost = BIN_COST;
    loop {
        let trie = Trie {
            patterns: sorted,
            log_total: log2(sorted.len() as u64),
            bin_cost,
            complete,
        };
        let mut bins = Vec::new();
        let cost = trie.cut(0..sorted.len(), 0, pattern_bits, &mut bins);
        if bins.len() <= MAX_SYMBOLS {
            return (bins, cost);
        }
        bin_cost += bin_cost / 2;
    }
}

impl Trie<'_> {
    /// The cheapest cut below the node of the patterns in `range`, which share all but their
    /// `low_bits` with `base`: appends its bins and returns its cost.
    fn cut(
        &self,
        range: std::ops::Range<usize>,
        base: u64,
        low_bits: u32,
        bins: &mut Vec<Bin>,
    ) -> u64 {
        let n = range.len() as u64;
        if n == 0 {
            if !self.complete {
                return BIT;
            }
            self.cover(base, low_bits, bins);
            return self.bin_cost * BIT;
        }
        let own = n * (self.log_total - log2(n)) + self.bin_cost * BIT;
        let as_bin = own + n * u64::from(low_bits) * BIT;
        let patterns = &self.patterns[range.clone()];
        let is_one = patterns[0] == patterns[patterns.len() - 1];
        let must_split = low_bits > MAX_LOW_BITS;
        if low_bits == 0 || (!must_split && (patterns.len() < MIN_SPLIT && !(is_one && n > 1))) {
            bins.push(Bin { base, low_bits });
            return as_bin;
        }
        let below = low_bits - 1;
        let middle = range.start + patterns.partition_point(|pattern| pattern >> below & 1 == 0);
        let n_bins = bins.len();
        let split = NODE_COST * BIT
            + self.cut(range.start..middle, base, below, bins)
            + self.cut(middle..range.end, base | 1 << below, below, bins);
        if split < as_bin || must_split {
            return split;
        }
        bins.truncate(n_bins);
        bins.push(Bin { base, low_bits });
        as_bin
    }

    /// Appends bins for all patterns of a node, as few as may be.
    fn cover(&self, base: u64, low_bits: u32, bins: &mut Vec<Bin>) {
        if low_bits <= MAX_LOW_BITS {
            bins.push(Bin { base, low_bits });
            return;
        }
        self.cover(base, low_bits - 1, bins);
        self.cover(base | 1 << (low_bits - 1), low_bits - 1, bins);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{BinFinder, Bins};
    use proptest::prelude::*;

    #[test]
    fn a_pattern_that_repeats_has_a_bin_of_its_own() {
        let mut patterns: Vec<u64> = (0..500u32)
            .map(|i| u64::from(i.wrapping_mul(2_654_435_761)))
            .collect();
        patterns.extend([0x8000_0000; 500]);
        patterns.sort_unstable();
        let (bins, _) = best_bins(&patterns, 32, false);
        assert!(bins.contains(&Bin {
            base: 0x8000_0000,
            low_bits: 0
        }));
    }

    #[test]
    fn noise_is_one_bin() {
        let mut patterns: Vec<u64> = (0..5000u32)
            .map(|i| u64::from(i.wrapping_mul(2_654_435_761)))
            .collect();
        patterns.sort_unstable();
        assert_eq!(
            best_bins(&patterns, 32, false).0,
            [Bin {
                base: 0,
                low_bits: 32
            }]
        );
    }

    proptest! {
        #[test]
        fn every_pattern_is_in_a_bin(
            mut patterns in prop::collection::vec(any::<u64>(), 1..300), quiet in 0u32..40, width in prop::sample::select(vec![8u32, 16, 32, 64]), complete: bool, other: u64,
        ) {
            patterns.iter_mut().for_each(|p| *p = (*p >> (64 - width)) >> (quiet % width));
            patterns.sort_unstable();
            let bins = Bins::new(best_bins(&patterns, width, complete).0);
            let finder = BinFinder::new(&bins, width);
            prop_assert!(patterns.iter().all(|&p| finder.find(p).is_some()));
            prop_assert!(!complete || finder.find(other >> (64 - width)).is_some());
        }
    }
}

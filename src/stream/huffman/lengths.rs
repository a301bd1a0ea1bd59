//! Lengths of an optimal prefix code whose code words have at most so many bits: Huffman's where they
//! are short enough, else by package-merge (Larmore and Hirschberg 1990).

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "only writers count symbols: no number here comes from a file"
)]

use super::ABSENT;
use crate::kernels::huffman::MAX_CODE_BITS;

/// A coin of package-merge: a symbol, or two coins of the level below.
#[derive(Clone, Copy)]
struct Coin {
    weight: u64,
    is_symbol: bool,
}

/// Bits of each symbol's code word: at most [`MAX_CODE_BITS`], or [`ABSENT`] for a symbol that does
/// not occur. A symbol that is alone has no bits.
///
/// The histogram has at most 2^[`MAX_CODE_BITS`] symbols. Ties break by the symbols' order.
pub(crate) fn code_lengths(histogram: &[u64]) -> Vec<u8> {
    let mut lengths = vec![ABSENT; histogram.len()];
    let mut symbols: Vec<usize> = (0..histogram.len()).filter(|&s| histogram[s] > 0).collect();
    debug_assert!(symbols.len() <= 1 << MAX_CODE_BITS);
    symbols.sort_by_key(|&s| histogram[s]);
    if let [only] = symbols[..] {
        lengths[only] = 0;
    }
    if symbols.len() < 2 {
        return lengths;
    }
    let weights: Vec<u64> = symbols.iter().map(|&s| histogram[s]).collect();
    let depths = huffman_depths(&weights);
    if depths[0] <= MAX_CODE_BITS {
        for (&symbol, depth) in symbols.iter().zip(depths) {
            lengths[symbol] = depth as u8;
        }
        return lengths;
    }
    let coins: Vec<Coin> = weights
        .into_iter()
        .map(|weight| Coin {
            weight,
            is_symbol: true,
        })
        .collect();
    let mut levels: Vec<Vec<Coin>> = vec![coins.clone()];
    for level in 1..MAX_CODE_BITS as usize {
        let merged = merge(&coins, &levels[level - 1]);
        levels.push(merged);
    }
    // The cheapest 2n − 2 coins of the last level: a symbol's length is the number of levels in
    // which it is among those that are taken.
    symbols.iter().for_each(|&s| lengths[s] = 0);
    let mut taken = 2 * symbols.len() - 2;
    for level in levels.iter().rev() {
        let n_symbols = level[..taken].iter().filter(|coin| coin.is_symbol).count();
        symbols[..n_symbols].iter().for_each(|&s| lengths[s] += 1);
        taken = 2 * (taken - n_symbols);
    }
    lengths
}

/// Bits of the code words of an optimal code without a limit (Huffman 1952), for two or more ascending
/// weights; they descend.
fn huffman_depths(weights: &[u64]) -> Vec<u32> {
    let n = weights.len();
    // Nodes that were joined come out ascending too: the two lightest are at the front of the leaves
    // or of those. Of equal ones a leaf goes first, which makes the longest word as short as may be.
    let (mut leaf, mut joined) = (0, 0);
    let mut nodes: Vec<u64> = Vec::with_capacity(n - 1);
    let mut parents = vec![0; 2 * n - 1];
    while nodes.len() < n - 1 {
        let mut weight = 0u64;
        for _ in 0..2 {
            let is_leaf = joined == nodes.len() || leaf < n && weights[leaf] <= nodes[joined];
            let (node, lightest) = match is_leaf {
                true => (leaf, weights[leaf]),
                false => (n + joined, nodes[joined]),
            };
            *(if is_leaf { &mut leaf } else { &mut joined }) += 1;
            parents[node] = n + nodes.len();
            weight = weight.saturating_add(lightest);
        }
        nodes.push(weight);
    }
    let mut depths = vec![0; 2 * n - 1];
    for node in (0..2 * n - 2).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    depths.truncate(n);
    depths
}

/// The symbols and the pairs of coins of the level below, by weight; of equal ones the symbol first.
fn merge(symbols: &[Coin], below: &[Coin]) -> Vec<Coin> {
    let mut pairs = below
        .chunks_exact(2)
        .map(|pair| Coin {
            weight: pair[0].weight.saturating_add(pair[1].weight),
            is_symbol: false,
        })
        .peekable();
    let mut merged = Vec::with_capacity(symbols.len() + below.len() / 2);
    for &symbol in symbols {
        while let Some(pair) = pairs.next_if(|pair| pair.weight < symbol.weight) {
            merged.push(pair);
        }
        merged.push(symbol);
    }
    merged.extend(pairs);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(histogram: &[u64], lengths: &[u8]) -> u64 {
        histogram
            .iter()
            .zip(lengths)
            .filter(|(count, _)| **count > 0)
            .map(|(count, &length)| count * u64::from(length))
            .sum()
    }

    /// 2^-length of all symbols that occur, in units of 2^-MAX_CODE_BITS.
    fn kraft(lengths: &[u8]) -> u64 {
        lengths
            .iter()
            .filter(|&&length| length != ABSENT)
            .map(|&length| 1 << (MAX_CODE_BITS - u32::from(length)))
            .sum()
    }

    /// Bits of a Huffman code without a limit: the sum of all inner nodes.
    fn huffman_bits(histogram: &[u64]) -> u64 {
        let mut weights: Vec<u64> = histogram.iter().copied().filter(|&c| c > 0).collect();
        let mut total = 0;
        while weights.len() > 1 {
            weights.sort_by_key(|&w| std::cmp::Reverse(w));
            let node = weights.pop().unwrap() + weights.pop().unwrap();
            total += node;
            weights.push(node);
        }
        total
    }

    proptest! {
        #[test]
        fn codes_are_complete_and_as_short_as_huffmans(histogram in prop::collection::vec(0u64..50, 0..40)) {
            let lengths = code_lengths(&histogram);
            if histogram.iter().any(|&c| c > 0) {
                prop_assert_eq!(kraft(&lengths), 1 << MAX_CODE_BITS);
            }
            // Forty symbols of 50 or less never want more than eleven bits.
            prop_assert_eq!(bits(&histogram, &lengths), huffman_bits(&histogram));
        }

        #[test]
        fn no_code_word_is_longer_than_the_limit(shifts in prop::collection::vec(0u32..50, 2..256)) {
            let histogram: Vec<u64> = shifts.iter().map(|&shift| 1 << shift).collect();
            let lengths = code_lengths(&histogram);
            prop_assert_eq!(kraft(&lengths), 1 << MAX_CODE_BITS);
            prop_assert!(bits(&histogram, &lengths) >= huffman_bits(&histogram));
        }
    }

    #[test]
    fn lengths_of_small_histograms() {
        assert!(code_lengths(&[]).is_empty());
        assert_eq!(code_lengths(&[0, 0]), [ABSENT, ABSENT]);
        assert_eq!(code_lengths(&[0, 7]), [ABSENT, 0]);
        assert_eq!(code_lengths(&[1, 1]), [1, 1]);
        assert_eq!(code_lengths(&[4, 2, 1, 1]), [1, 2, 3, 3]);
        // Fibonacci numbers want ever longer words; 256 equal ones want eight bits each.
        assert_eq!(code_lengths(&[1; 256]), [8; 256]);
        let fibonacci: Vec<u64> = (0..30)
            .scan((1, 1), |s, _| {
                *s = (s.1, s.0 + s.1);
                Some(s.0)
            })
            .collect();
        assert_eq!(
            code_lengths(&fibonacci).iter().max(),
            Some(&(MAX_CODE_BITS as u8))
        );
    }
}

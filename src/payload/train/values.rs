//! How the values of a payload become symbols, and which row classes share a code for them.

use super::{EncodeOptions, Entries, PayloadSpec};
use crate::choose::bins::best_bins;
use crate::choose::cost::{BIT, code_lengths, entropy};
use crate::choose::window::Prefixes;
use crate::parallel;
use crate::profile::{Effort, Profile};
use crate::stream::huffman::{PrefixCode, SymbolOrder};
use crate::values::{Bins, Codebook, ValueMap};
use crate::word::Word;

/// Values that bins are made from, at most.
const MAX_SORTED: usize = 1 << 16;

/// Values that windows and bins are made from, at most, where there is no time to look at every one.
const MAX_SORTED_FAST: usize = 1 << 12;

/// Values up to which the codes of windows are made to know what they cost, where there is time for it.
const FEW_VALUES: usize = 4096;

/// Reading bins takes longer than a window: they must save this share of the values, 1 / 128.
const BINS_GAIN: u64 = 128;

/// The cheapest map for the values of a sample, which is all there are if `is_all`.
pub(super) fn map<W: Word>(
    spec: PayloadSpec,
    options: EncodeOptions,
    sample: &[Entries<W>],
    codebook: Option<&Codebook<W>>,
    is_all: bool,
) -> ValueMap {
    if let Some(codebook) = codebook {
        return ValueMap::Codes {
            n_symbols: codebook.len(),
        };
    }
    let all: usize = sample.iter().map(|block| block.patterns.len()).sum();
    let every = |most: usize| all.div_ceil(most).max(1);
    let (stride, stride_of_bins) = match options.effort {
        Effort::Fast => (every(MAX_SORTED_FAST), every(MAX_SORTED_FAST)),
        Effort::Thorough => (1, every(MAX_SORTED)),
    };
    let n = all.div_ceil(stride);
    let pattern_bits = 8 * W::WIDTH as u32;
    let rotation = u32::from(spec.float);
    let every_nth = |stride| {
        let patterns = sample
            .iter()
            .flat_map(|block| block.patterns.iter().copied());
        patterns.step_by(stride)
    };
    let rotated = every_nth(stride).map(|pattern| pattern.rotate_left(rotation).to_bits());
    let code_cost = |histogram: &[u64]| {
        if n > FEW_VALUES || options.effort == Effort::Fast {
            return entropy(histogram) + code_lengths(histogram, SymbolOrder::Number);
        }
        let code = PrefixCode::of_histogram(histogram);
        code.map_or(0, |code| {
            code.cost(histogram) + code.written_bits(SymbolOrder::Number)
        }) * BIT
    };
    let best_window = || Prefixes::new(pattern_bits, rotation, rotated).best_window(code_cost);
    let bins = || {
        let mut sorted: Vec<u64> = every_nth(stride_of_bins).map(W::to_bits).collect();
        sorted.sort_unstable();
        let complete = !is_all || stride_of_bins > 1;
        (best_bins(&sorted, pattern_bits, complete), sorted.len())
    };
    let ((window, n_symbols, cost), bins) =
        parallel::both(n, best_window, || (W::WIDTH > 1).then(bins));
    let window = ValueMap::Window { window, n_symbols };
    let Some(((bins, bins_cost), n_sorted)) = bins else {
        return window;
    };
    let bins_cost = (u128::from(bins_cost) * n as u128 / n_sorted as u128) as u64;
    let gain = match options.profile {
        Profile::Small => 0,
        _ => cost / BINS_GAIN,
    };
    match bins_cost + gain < cost {
        true => ValueMap::Bins(Bins::new(bins)),
        false => window,
    }
}

/// Which row classes share a value table, neighbours only: for each class the number of its table.
/// `whole` scales a cost of the sample to the payload, `table` is what a table costs besides the code.
/// Costs are in units of 2^-16 bits.
pub(super) fn share_tables(
    histograms: &[Vec<u64>],
    whole: impl Fn(u64) -> u64,
    table: u64,
) -> (Vec<u8>, u64) {
    let cost = |histogram: &[u64]| {
        whole(entropy(histogram)) + code_lengths(histogram, SymbolOrder::Number) + table
    };
    let mut tables: Vec<(Vec<u64>, u64, usize)> = histograms
        .iter()
        .map(|histogram| (histogram.clone(), cost(histogram), 1))
        .collect();
    loop {
        // The pair that gains most by sharing.
        let gain = |pair: &[(Vec<u64>, u64, usize)]| {
            let both: Vec<u64> = pair[0]
                .0
                .iter()
                .zip(&pair[1].0)
                .map(|(a, b)| a + b)
                .collect();
            let together = cost(&both);
            (
                (pair[0].1 + pair[1].1).checked_sub(together),
                both,
                together,
            )
        };
        let gains = tables.windows(2).map(gain).enumerate();
        let best = gains
            .filter(|(_, (gain, ..))| gain.is_some())
            .max_by_key(|(_, (gain, ..))| *gain);
        let Some((first, (_, both, together))) = best else {
            break;
        };
        let (_, _, n) = tables.remove(first + 1);
        let table = &mut tables[first];
        *table = (both, together, table.2 + n);
    }
    let numbers = (0u8..)
        .zip(&tables)
        .flat_map(|(number, (_, _, n))| std::iter::repeat_n(number, *n));
    (
        numbers.collect(),
        tables.iter().map(|(_, cost, _)| cost).sum(),
    )
}

/// A histogram in which, if it is to be `smooth`, every symbol occurs.
pub(super) fn smoothed(histogram: &[u64], smooth: bool) -> Vec<u64> {
    match smooth {
        false => histogram.to_vec(),
        true => histogram.iter().map(|&count| 64 * count + 1).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_with_the_same_values_share_a_table() {
        let (a, b) = (vec![10_000, 200, 10, 1], vec![1, 10, 200, 10_000]);
        let (tables, _) = share_tables(&[a.clone(), a.clone(), b.clone(), b], |cost| cost, 0);
        assert_eq!(tables, [0, 0, 1, 1]);
        let (tables, cost) = share_tables(std::slice::from_ref(&a), |cost| cost, 0);
        assert_eq!(tables, [0]);
        assert!(cost > 10 * BIT);
    }
}

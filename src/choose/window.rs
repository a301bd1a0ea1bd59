//! Where a window of 256 cells is best laid over the patterns of values (spec §9.2.1).

use super::cost::BIT;
use crate::kernels::window::{MAX_LOW_BITS, Window};

/// Bits of a rotated pattern that [`Prefixes`] tells apart.
pub(crate) const PREFIX_BITS: u32 = 16;

/// Fewer bits than this tell little of a pattern.
const MIN_CELL_BITS: u32 = 4;

/// Most cells of a window.
const MAX_CELLS: usize = 256;

/// Bits of a patch besides the pattern.
const PATCH_COST: u64 = 12;

/// Patterns from which on cells are counted in a table and not sorted.
const MANY_PATTERNS: usize = 1 << 14;

/// How often the rotated patterns of values begin with which bits.
pub(crate) struct Prefixes {
    /// Bits of a pattern.
    pattern_bits: u32,
    rotation: u32,
    /// The cells that are not empty, ascending, and what they hold. A cell is the first
    /// [`PREFIX_BITS`] of a pattern, or all if it has fewer.
    cells: Vec<(u32, u64)>,
}

impl Prefixes {
    /// Counts `patterns` of `pattern_bits`, rotated.
    pub(crate) fn new(
        pattern_bits: u32,
        rotation: u32,
        patterns: impl Iterator<Item = u64>,
    ) -> Self {
        let bits = pattern_bits.min(PREFIX_BITS);
        let mut prefixes: Vec<u16> = patterns
            .map(|pattern| (pattern >> (pattern_bits - bits)) as u16)
            .collect();
        let cells = if prefixes.len() < MANY_PATTERNS {
            prefixes.sort_unstable();
            let of_each = prefixes.chunk_by(|a, b| a == b);
            of_each
                .map(|same| (same[0].into(), same.len() as u64))
                .collect()
        } else {
            let mut counts = vec![0u64; 1 << bits];
            prefixes
                .iter()
                .for_each(|&prefix| counts[usize::from(prefix)] += 1);
            (0..).zip(counts).filter(|(_, count)| *count > 0).collect()
        };
        Self {
            pattern_bits,
            rotation,
            cells,
        }
    }

    /// The window with the lowest cost: where it is, its number of symbols, its cost in units of
    /// 2^-16 bits. There is at least one pattern.
    ///
    /// `code_cost` is what a code for a histogram costs, its symbols included; exactly, or about.
    pub(crate) fn best_window(&self, code_cost: impl Fn(&[u64]) -> u64) -> (Window, usize, u64) {
        let total: u64 = self.cells.iter().map(|(_, count)| count).sum();
        let mut cells = self.cells.clone();
        // From the finest cells to coarse ones.
        let mut cell_bits = self.pattern_bits.min(PREFIX_BITS);
        let mut best: Option<(Window, usize, u64)> = None;
        loop {
            let low_bits = self.pattern_bits - cell_bits;
            if low_bits > MAX_LOW_BITS {
                break;
            }
            let (base, n, held) = fullest(&cells, 1 << cell_bits);
            let inside: u64 = held.iter().sum();
            let patches = (total - inside) * (u64::from(self.pattern_bits) + PATCH_COST);
            let cost = (total * u64::from(low_bits) + patches) * BIT + code_cost(&held);
            // Of equal ones the coarsest: it has the smaller table.
            if best.as_ref().is_none_or(|(_, _, least)| cost <= *least) {
                let window = Window {
                    rotation: self.rotation,
                    low_bits,
                    base: base.into(),
                };
                best = Some((window, n, cost));
            }
            if cell_bits <= MIN_CELL_BITS {
                break;
            }
            cells = cells
                .chunk_by(|a, b| a.0 >> 1 == b.0 >> 1)
                .map(|pair| (pair[0].0 >> 1, pair.iter().map(|(_, count)| count).sum()))
                .collect();
            cell_bits -= 1;
        }
        best.unwrap_or((
            Window {
                rotation: self.rotation,
                low_bits: self.pattern_bits - MIN_CELL_BITS,
                base: 0,
            },
            1,
            0,
        ))
    }
}

/// The window of 256 neighbouring cells that holds most: its first cell that is not empty, the number
/// of cells from there to its last such one, and their counts. After the last of `n_cells` comes
/// the first one.
fn fullest(cells: &[(u32, u64)], n_cells: u32) -> (u32, usize, Vec<u64>) {
    let n = cells.len();
    let cell = |i: usize| match i.checked_sub(n) {
        None => u64::from(cells[i].0),
        Some(again) => u64::from(cells[again].0) + u64::from(n_cells),
    };
    let count = |i: usize| cells[i % n].1;
    let (mut end, mut inside) = (0, 0);
    let mut best = (0, 0, 0);
    for start in 0..n {
        while end < start + n && cell(end) < cell(start) + MAX_CELLS as u64 {
            inside += count(end);
            end += 1;
        }
        if inside > best.2 {
            best = (start, end, inside);
        }
        inside -= count(start);
    }
    let (start, end, _) = best;
    let n_symbols = (start..end)
        .last()
        .map_or(1, |last| cell(last) - cell(start) + 1);
    let first = cells.get(start).map_or(0, |(cell, _)| *cell);
    let mut histogram = vec![0; n_symbols as usize];
    (start..end).for_each(|i| histogram[(cell(i) - cell(start)) as usize] = count(i));
    (first, n_symbols as usize, histogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choose::cost::entropy;

    fn best(patterns: &[u32]) -> (Window, usize, u64) {
        let rotated = patterns.iter().map(|p| p.rotate_left(1).into());
        Prefixes::new(32, 1, rotated)
            .best_window(|cells| entropy(cells) + 2 * BIT * cells.len() as u64)
    }

    #[test]
    fn cells_are_as_fine_as_the_exponents_allow() {
        // One exponent, any mantissa: all 256 cells are mantissa bits, which is no gain over raw.
        let mantissas: Vec<u32> = (0..100_000u32)
            .map(|i| 0x3f80_0000 | i.wrapping_mul(2_654_435_761) >> 9)
            .collect();
        let (window, n, _) = best(&mantissas);
        assert_eq!((window.low_bits, window.base, n), (24, 127, 1));
        // A skew in the mantissas is worth finer cells.
        let skewed: Vec<u32> = mantissas
            .iter()
            .map(|p| 0x3f80_0000 | ((p >> 11 & 0xfff) * (p & 0x7ff)))
            .collect();
        assert!(best(&skewed).0.low_bits < 24);
    }

    #[test]
    fn outliers_are_left_outside() {
        let mut patterns: Vec<u32> = (0..1000).map(|i| 0x3f80_0000 + i * 4096).collect();
        patterns.extend([0xff80_0000, 1]);
        let (window, n, _) = best(&patterns);
        let cell = |p: u32| u64::from(p.rotate_left(1) >> window.low_bits);
        assert!((0..1000).all(|i| cell(0x3f80_0000 + i * 4096) - window.base < n as u64));
    }

    #[test]
    fn small_numbers_of_both_signs_are_neighbours() {
        let patterns: Vec<u64> = (-100i32..100).map(|i| u64::from(i as u16)).collect();
        let (window, n, _) = Prefixes::new(16, 0, patterns.into_iter()).best_window(entropy);
        assert_eq!(
            window.base,
            u64::from((-100i32 >> window.low_bits) as u16 & (u16::MAX >> window.low_bits))
        );
        assert!(n <= 200);
    }
}

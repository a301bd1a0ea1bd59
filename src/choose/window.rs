//! Where a window of 256 cells is best laid over the patterns of values (spec §9.2.1).

use super::cost::{BIT, entropy};
use crate::kernels::window::Window;

/// Bits of a rotated pattern that [`Prefixes`] tells apart.
pub(crate) const PREFIX_BITS: u32 = 16;

/// Most cells of a window.
const MAX_CELLS: usize = 256;

/// Bits that writing the length of a cell's code word takes, about.
const CELL_COST: u64 = 2;

/// Bits of a patch besides the pattern.
const PATCH_COST: u64 = 12;

/// How often the rotated patterns of values begin with which bits.
pub(crate) struct Prefixes {
    /// Bits of a pattern.
    pattern_bits: u32,
    rotation: u32,
    /// By the first [`PREFIX_BITS`] of a pattern, or all if it has fewer.
    counts: Vec<u32>,
}

impl Prefixes {
    /// Counts patterns of `pattern_bits`, of which `patterns` are the rotated ones.
    pub(crate) fn new(pattern_bits: u32, rotation: u32, patterns: impl Iterator<Item = u64>) -> Self {
        let bits = pattern_bits.min(PREFIX_BITS);
        let mut counts = vec![0; 1 << bits];
        for pattern in patterns {
            counts[(pattern >> (pattern_bits - bits)) as usize] += 1;
        }
        Self {
            pattern_bits,
            rotation,
            counts,
        }
    }

    /// The window with the lowest cost: where it is, its number of symbols, its cost in units of
    /// 2^-16 bits.
    pub(crate) fn best_window(&self) -> (Window, usize, u64) {
        let total: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        let mut cells: Vec<u64> = self.counts.iter().map(|&count| count.into()).collect();
        let mut best: Option<(Window, usize, u64)> = None;
        // From the finest cells to the coarsest that a window may have: those of a byte.
        let mut low_bits = self.pattern_bits - cells.len().ilog2();
        loop {
            let (base, n, inside) = fullest(&cells);
            let histogram: Vec<u64> = (0..n).map(|i| cells[(base + i) % cells.len()]).collect();
            let patches = (total - inside) * (u64::from(self.pattern_bits) + PATCH_COST);
            let plain = total * u64::from(low_bits) + n as u64 * CELL_COST + patches;
            let cost = plain * BIT + entropy(&histogram);
            // Of equal ones the coarsest: it has the smaller table.
            if best.as_ref().is_none_or(|(_, _, least)| cost <= *least) {
                let window = Window {
                    rotation: self.rotation,
                    low_bits,
                    base: base as u64,
                };
                best = Some((window, n, cost));
            }
            if cells.len() <= MAX_CELLS {
                break;
            }
            cells = cells.chunks_exact(2).map(|pair| pair[0] + pair[1]).collect();
            low_bits += 1;
        }
        best.unwrap_or((
            Window {
                rotation: self.rotation,
                low_bits: self.pattern_bits - 8,
                base: 0,
            },
            1,
            0,
        ))
    }
}

/// The 256 neighbouring cells, or all, that hold most: the first one, the number of cells up to the
/// last that is not empty, and what they hold. The last cell is a neighbour of the first.
fn fullest(cells: &[u64]) -> (usize, usize, u64) {
    let width = MAX_CELLS.min(cells.len());
    let mut inside: u64 = cells[..width].iter().sum();
    let mut best = (0, inside);
    for start in 1..cells.len() {
        inside += cells[(start + width - 1) % cells.len()];
        inside -= cells[start - 1];
        // Of equal ones the last: its first cell is not empty, mostly.
        if inside >= best.1 {
            best = (start, inside);
        }
    }
    // A run without wrapping around is tried first, so that the base is the lowest cell.
    let (mut start, total) = best;
    while cells[start] == 0 && total > 0 {
        start = (start + 1) % cells.len();
    }
    let used = (0..width).rev().find(|i| cells[(start + i) % cells.len()] > 0);
    // What was skipped at the start may have let new cells in at the end.
    let n = used.map_or(1, |last| last + 1);
    let inside = (0..n).map(|i| cells[(start + i) % cells.len()]).sum();
    (start, n, inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(patterns: &[u32]) -> (Window, usize, u64) {
        let rotated = patterns.iter().map(|p| p.rotate_left(1).into());
        Prefixes::new(32, 1, rotated).best_window()
    }

    #[test]
    fn cells_are_as_fine_as_the_exponents_allow() {
        // One exponent, any mantissa: all 256 cells are mantissa bits, which is no gain over raw.
        let mantissas: Vec<u32> = (0..100_000u32).map(|i| 0x3f80_0000 | i.wrapping_mul(2_654_435_761) >> 9).collect();
        let (window, n, _) = best(&mantissas);
        assert_eq!((window.low_bits, window.base, n), (24, 127, 1));
        // A skew in the mantissas is worth finer cells.
        let skewed: Vec<u32> = mantissas.iter().map(|p| 0x3f80_0000 | (p >> 11 & 0xfff) * (p & 0x7ff)).collect();
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
        let (window, n, _) = Prefixes::new(16, 0, patterns.into_iter()).best_window();
        assert_eq!(window.base, u64::from((-100i32 >> window.low_bits) as u16 & (u16::MAX >> window.low_bits)));
        assert!(n <= 200);
    }
}

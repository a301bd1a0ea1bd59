//! Bins: patterns that begin with the same bits, the leaves of a binary trie (spec §8.2.2).

use crate::error::{Error, Result};
use crate::kernels::lookup::{Bin, MAX_LOW_BITS};
use crate::stream::bits::{BitReader, BitWriter};
use crate::stream::huffman::MAX_SYMBOLS;

/// Bins in ascending order; a symbol is an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bins(Vec<Bin>);

/// First bits of a pattern that a [`BinFinder`] looks up: of a float32 the sign, the exponent, and where
/// in eight parts of that it is.
const FINDER_BITS: u32 = 12;

/// Finds the bins of patterns quickly.
pub(crate) struct BinFinder<'b> {
    bins: &'b [Bin],
    /// Bits of a pattern after the first ones.
    shift: u32,
    /// For all values of the first bits the number of bins before the first one that may have them.
    starts: Vec<u16>,
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "a writer's: bins lie among the patterns, and there are at most MAX_SYMBOLS"
)]
impl<'b> BinFinder<'b> {
    /// For patterns of `pattern_bits`.
    pub(crate) fn new(bins: &'b Bins, pattern_bits: u32) -> Self {
        let bins = &bins.0[..];
        let first_bits = pattern_bits.min(FINDER_BITS);
        let shift = pattern_bits - first_bits;
        let mut starts = Vec::with_capacity(1 << first_bits);
        for (i, bin) in (0u16..).zip(bins) {
            let last = (bin.base + ((1 << bin.low_bits) - 1)) >> shift;
            starts.resize(starts.len().max(last as usize + 1), i);
        }
        starts.resize(1 << first_bits, bins.len() as u16);
        Self {
            bins,
            shift,
            starts,
        }
    }

    /// The symbol of a pattern and its bin; `None` if it is in none.
    #[inline]
    pub(crate) fn find(&self, pattern: u64) -> Option<(u8, Bin)> {
        let mut i = usize::from(*self.starts.get((pattern >> self.shift) as usize)?);
        loop {
            let bin = *self.bins.get(i)?;
            if pattern >> bin.low_bits <= bin.base >> bin.low_bits {
                return (pattern >= bin.base).then_some((i as u8, bin));
            }
            i += 1;
        }
    }
}

impl Bins {
    /// Bins that do not overlap, ascending, 1 to 256 of them, of at most [`MAX_LOW_BITS`].
    pub(crate) fn new(bins: Vec<Bin>) -> Self {
        debug_assert!((1..=MAX_SYMBOLS).contains(&bins.len()));
        debug_assert!(
            bins.array_windows()
                .all(|[bin, next]| bin.base | !(u64::MAX << bin.low_bits) < next.base)
        );
        Self(bins)
    }

    pub(crate) fn as_slice(&self) -> &[Bin] {
        &self.0
    }

    /// Appends the trie, for patterns of `pattern_bits`.
    pub(crate) fn write(&self, bits: &mut BitWriter, pattern_bits: u32) {
        write_node(&self.0, pattern_bits, bits);
    }

    /// Reads a trie.
    pub(crate) fn read(bits: &mut BitReader<'_>, pattern_bits: u32) -> Result<Self> {
        let mut bins = Vec::new();
        // Nodes to come: the pattern whose low bits are zero, and the low bits of the node.
        let mut nodes = vec![(0u64, pattern_bits)];
        while let Some((base, low_bits)) = nodes.pop() {
            if bits.take(1)? == 0 {
                continue;
            }
            if bits.take(1)? == 0 {
                if low_bits > MAX_LOW_BITS || bins.len() == MAX_SYMBOLS {
                    return Err(Error::corrupt(format!(
                        "bin {} with {low_bits} low bits, expected at most {MAX_SYMBOLS} with {MAX_LOW_BITS}",
                        bins.len()
                    )));
                }
                bins.push(Bin { base, low_bits });
                continue;
            }
            let below = low_bits
                .checked_sub(1)
                .ok_or_else(|| Error::corrupt("a bin of one pattern has children"))?;
            nodes.push((base | 1 << below, below));
            nodes.push((base, below));
        }
        if bins.is_empty() {
            return Err(Error::corrupt("a trie without bins"));
        }
        Ok(Self(bins))
    }
}

/// Writes the node with `low_bits` low bits whose bins are `bins`.
fn write_node(bins: &[Bin], low_bits: u32, bits: &mut BitWriter) {
    match bins {
        [] => bits.put(0, 1),
        [bin] if bin.low_bits == low_bits => bits.put(0b01, 2),
        _ => {
            bits.put(0b11, 2);
            // What has several bins has low bits that tell them apart.
            let below = low_bits.saturating_sub(1);
            let is_first = |bin: &Bin| bin.base >> below & 1 == 0;
            let (first, second) = bins.split_at(bins.partition_point(is_first));
            write_node(first, below, bits);
            write_node(second, below, bits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bins that a random walk over the trie makes.
    fn some_bins(choices: &[u8], pattern_bits: u32) -> Vec<Bin> {
        let mut choices = choices.iter().copied();
        let (mut bins, mut nodes) = (vec![], vec![(0u64, pattern_bits)]);
        while let Some((base, low_bits)) = nodes.pop() {
            match choices.next().unwrap_or(0) % 4 {
                0 if low_bits <= MAX_LOW_BITS => bins.push(Bin { base, low_bits }),
                1 if !bins.is_empty() => {}
                _ if low_bits > 0 => {
                    nodes.push((base | 1 << (low_bits - 1), low_bits - 1));
                    nodes.push((base, low_bits - 1));
                }
                _ => bins.push(Bin { base, low_bits }),
            }
        }
        bins.truncate(MAX_SYMBOLS);
        bins
    }

    proptest! {
        #[test]
        fn tries_come_back(choices in prop::collection::vec(any::<u8>(), 1..600), width in prop::sample::select(vec![8u32, 16, 32, 64]), others in prop::collection::vec(any::<u64>(), 20)) {
            let bins = Bins::new(some_bins(&choices, width));
            let mut bits = BitWriter::default();
            bins.write(&mut bits, width);
            let bytes = bits.finish();
            let mut reader = BitReader::new(&bytes);
            prop_assert_eq!(&Bins::read(&mut reader, width).unwrap(), &bins);
            prop_assert_eq!(reader.finish().unwrap(), bytes.len());
            let finder = BinFinder::new(&bins, width);
            for (symbol, &bin) in bins.as_slice().iter().enumerate() {
                let last = bin.base + ((1 << bin.low_bits) - 1);
                prop_assert_eq!(finder.find(bin.base), Some((symbol as u8, bin)));
                prop_assert_eq!(finder.find(last), Some((symbol as u8, bin)));
            }
            for &pattern in &others {
                let pattern = pattern >> (64 - width);
                let bin = bins.as_slice().iter().position(|bin| bin.base >> bin.low_bits == pattern >> bin.low_bits);
                prop_assert_eq!(finder.find(pattern).map(|(symbol, _)| usize::from(symbol)), bin);
            }
        }

        #[test]
        fn any_bits_are_a_trie_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(bins) = Bins::read(&mut BitReader::new(&bytes), 32) {
                prop_assert!(bins.as_slice().is_sorted_by(|a, b| a.base + ((1 << a.low_bits) - 1) < b.base));
            }
        }
    }

    #[test]
    fn tries_without_bins_or_too_deep_are_corrupt() {
        assert!(Bins::read(&mut BitReader::new(&[0]), 32).is_err());
        assert!(Bins::read(&mut BitReader::new(&[0b11; 9]), 8).is_err());
        // A bin of all patterns of 64 bits has too many low bits.
        assert!(Bins::read(&mut BitReader::new(&[0b01]), 64).is_err());
    }
}

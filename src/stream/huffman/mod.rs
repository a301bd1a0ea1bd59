//! Canonical Huffman coding (spec §10.3): prefix codes, how they are written down, and the bundles
//! of interleaved streams that are coded with them.

mod bundle;
mod lengths;
pub(crate) mod stream;

pub(crate) use bundle::{Bundle, Run, write_bundle};
pub(crate) use lengths::code_lengths;

use super::bits::{BitReader, BitWriter};
use crate::error::{Error, Result};
use crate::kernels::huffman::{DecodeTable, MAX_CODE_BITS};
use std::mem;

/// Stands for the length of a symbol that has no code word.
pub(crate) const ABSENT: u8 = MAX_CODE_BITS as u8 + 1;

/// Most symbols of an alphabet.
pub(crate) const MAX_SYMBOLS: usize = 256;

/// What the difference of the first length is taken to.
const FIRST_LENGTH: u8 = 8;

/// In which order the lengths of a code are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SymbolOrder {
    /// By the symbols' numbers: where neighbours are about as frequent.
    Number,
    /// By the number of bits that are set, then by number: for the bytes of bitmaps.
    SetBits,
}

/// All symbols by the number of bits that are set, then by number.
static BY_SET_BITS: [u8; MAX_SYMBOLS] = by_set_bits();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "computed while this is compiled, which would fail"
)]
const fn by_set_bits() -> [u8; MAX_SYMBOLS] {
    let mut symbols = [0; MAX_SYMBOLS];
    let (mut n_bits, mut n) = (0, 0);
    while n_bits <= 8 {
        let mut symbol = 0;
        while symbol < MAX_SYMBOLS {
            if (symbol as u8).count_ones() == n_bits {
                symbols[n] = symbol as u8;
                n += 1;
            }
            symbol += 1;
        }
        n_bits += 1;
    }
    symbols
}

impl SymbolOrder {
    /// The symbols of an alphabet of `n`, in this order.
    fn symbols(self, n: usize) -> impl Iterator<Item = usize> {
        (0..MAX_SYMBOLS)
            .zip(BY_SET_BITS)
            .map(move |(number, by_set_bits)| match self {
                Self::Number => number,
                Self::SetBits => by_set_bits.into(),
            })
            .filter(move |&s| s < n)
    }
}

/// How often a histogram is smoothed at most, to find lengths that are shorter to write.
const SMOOTHINGS: usize = 6;

/// Fraction bits of a smoothed count.
const SMOOTHING_BITS: u32 = 8;

/// A histogram in which each count has moved towards those of its neighbours in this order; up to the
/// last symbol that occurs, and from the first on.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "only writers count symbols: the symbols are those of the histogram, and counts are of \
              elements in memory"
)]
fn smoothed(histogram: &[u64], order: SymbolOrder) -> Vec<u64> {
    let symbols: Vec<usize> = order.symbols(histogram.len()).collect();
    let occurs = |symbol: &&usize| histogram[**symbol] > 0;
    let first = symbols
        .iter()
        .position(|symbol| occurs(&symbol))
        .unwrap_or(0);
    let last = symbols
        .iter()
        .rposition(|symbol| occurs(&symbol))
        .unwrap_or(0);
    let mut smooth = histogram.to_vec();
    let used = &symbols[first..=last];
    for (i, &symbol) in used.iter().enumerate() {
        let at = |j: usize| histogram[used[j.min(used.len() - 1)]];
        let before = at(i.saturating_sub(1));
        smooth[symbol] = (before + 2 * at(i) + at(i + 1)).div_ceil(4);
    }
    smooth
}

/// A complete prefix code: what its 2^-length add up to is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PrefixCode {
    /// Bits of each symbol's code word, or [`ABSENT`].
    lengths: Vec<u8>,
}

impl PrefixCode {
    /// The shortest code for symbols that are as frequent as `histogram` says; `None` if there are
    /// none. The histogram has at most [`MAX_SYMBOLS`].
    pub(crate) fn of_histogram(histogram: &[u64]) -> Option<Self> {
        let lengths = code_lengths(histogram);
        lengths
            .iter()
            .any(|&length| length != ABSENT)
            .then_some(Self { lengths })
    }

    /// The code for symbols with this histogram that is smallest together with its lengths, which are
    /// written in this order.
    ///
    /// Lengths that change less from symbol to symbol are shorter to write: those for a histogram that is
    /// smoothed a little, or more.
    pub(crate) fn cheapest(histogram: &[u64], order: SymbolOrder) -> Option<Self> {
        let mut smooth: Vec<u64> = histogram
            .iter()
            .map(|count| count << SMOOTHING_BITS)
            .collect();
        let cost = |code: &Self| {
            code.cost(histogram)
                .saturating_add(code.written_bits(order))
        };
        let mut best: Option<(u64, Self)> = None;
        for _ in 0..SMOOTHINGS {
            let code = Self::of_histogram(&smooth)?;
            let cost = cost(&code);
            match &best {
                Some((least, _)) if *least <= cost => break,
                _ => best = Some((cost, code)),
            }
            smooth = smoothed(&smooth, order);
        }
        best.map(|(_, code)| code)
    }

    /// Bits of each symbol's code word; [`ABSENT`] where there is none.
    pub(crate) fn lengths(&self) -> &[u8] {
        &self.lengths
    }

    /// Bits that symbols with this histogram take; all of them have code words.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a writer's: fewer than 2^32 elements take at most 11 bits each"
    )]
    pub(crate) fn cost(&self, histogram: &[u64]) -> u64 {
        histogram
            .iter()
            .zip(&self.lengths)
            .map(|(&count, &length)| count * u64::from(length))
            .sum()
    }

    /// How many words have each number of bits.
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "no length is above ABSENT, and there are at most MAX_SYMBOLS of them"
    )]
    fn words_by_length(&self) -> [u16; ABSENT as usize + 1] {
        let mut counts = [0; ABSENT as usize + 1];
        for &length in &self.lengths {
            counts[usize::from(length)] += 1;
        }
        counts
    }

    /// The symbols that have code words, these, first bit lowest, and their bits: by length, then by
    /// number, as words follow from each other in RFC 1951.
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "no length is above ABSENT; at most MAX_SYMBOLS words are sorted into as many slots; they \
                  come by ascending length, and a word of a complete code is below 2^length"
    )]
    fn in_order(&self) -> impl Iterator<Item = (u8, u16, u8)> {
        let counts = self.words_by_length();
        let mut next = [0; ABSENT as usize + 1];
        for length in 1..next.len() {
            next[length] = next[length - 1] + usize::from(counts[length - 1]);
        }
        let n_present = next[usize::from(ABSENT)];
        let mut sorted = [0u8; MAX_SYMBOLS];
        for (symbol, &length) in (0u8..=255).zip(&self.lengths) {
            let slot = &mut next[usize::from(length)];
            sorted[*slot] = symbol;
            *slot += 1;
        }
        let (mut word, mut last) = (0u16, 0);
        sorted.into_iter().take(n_present).map(move |symbol| {
            let length = self.lengths[usize::from(symbol)];
            word <<= length - last;
            last = length;
            let first_bit_lowest = word.reverse_bits().checked_shr(16 - u32::from(length));
            word += 1;
            (symbol, first_bit_lowest.unwrap_or(0), length)
        })
    }

    /// The code words, first bit lowest, as they are written; 0 for absent symbols.
    pub(crate) fn words(&self) -> Vec<u16> {
        let mut words = vec![0; self.lengths.len()];
        for (symbol, word, _) in self.in_order() {
            if let Some(slot) = words.get_mut(usize::from(symbol)) {
                *slot = word;
            }
        }
        words
    }

    /// What decoding looks up.
    pub(crate) fn decode_table(&self) -> DecodeTable {
        DecodeTable::new(self.in_order())
    }

    /// Bits that [`write`](Self::write) takes.
    pub(crate) fn written_bits(&self, order: SymbolOrder) -> u64 {
        written_bits(&self.lengths, order)
    }

    /// Appends the lengths: each as its difference to the one before (spec §10.3.1).
    pub(crate) fn write(&self, bits: &mut BitWriter, order: SymbolOrder) {
        let mut last = FIRST_LENGTH;
        for length in in_order_of(order, &self.lengths) {
            let zeros = zeros_of_step(last, length);
            bits.put(1 << zeros, zeros.saturating_add(1));
            last = length;
        }
    }

    /// Reads the lengths of an alphabet of `n` symbols.
    pub(crate) fn read(bits: &mut BitReader<'_>, n: usize, order: SymbolOrder) -> Result<Self> {
        let mut lengths = vec![ABSENT; n];
        let mut last = FIRST_LENGTH;
        let mut symbols = order.symbols(n);
        bits.zeros_of_each(n, 2 * u32::from(ABSENT), |zeros| {
            let step = (zeros as u8).div_ceil(2);
            let length = match zeros % 2 {
                0 => last.wrapping_add(step),
                _ => last.wrapping_sub(step),
            };
            if length > ABSENT {
                return Err(Error::corrupt(format!(
                    "a code length {step} away from {last}, expected 0 to {ABSENT}"
                )));
            }
            if let Some(slot) = symbols.next().and_then(|symbol| lengths.get_mut(symbol)) {
                *slot = length;
            }
            last = length;
            Ok(())
        })?;
        let code = Self { lengths };
        let kraft: u64 = code
            .lengths
            .iter()
            .filter(|&&length| length != ABSENT)
            .map(|&length| 1u64 << MAX_CODE_BITS >> length)
            .sum();
        if kraft != 1 << MAX_CODE_BITS {
            return Err(Error::corrupt(format!(
                "a prefix code that fills {kraft} of {} code words",
                1 << MAX_CODE_BITS
            )));
        }
        Ok(code)
    }
}

/// The zeros that say how a length differs from the `last` one; a one follows.
fn zeros_of_step(last: u8, length: u8) -> u32 {
    let steps = u32::from(length.abs_diff(last)).saturating_mul(2);
    steps.saturating_sub(u32::from(length < last))
}

/// The lengths of a code in this order of their symbols.
fn in_order_of(order: SymbolOrder, lengths: &[u8]) -> impl Iterator<Item = u8> {
    let symbols = order.symbols(lengths.len());
    symbols.filter_map(|symbol| lengths.get(symbol).copied())
}

/// Bits that the lengths of a code take, which has one for every symbol of its alphabet.
pub(crate) fn written_bits(lengths: &[u8], order: SymbolOrder) -> u64 {
    let mut last = FIRST_LENGTH;
    in_order_of(order, lengths)
        .map(|length| 1 + u64::from(zeros_of_step(mem::replace(&mut last, length), length)))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn codes_come_back(shifts in prop::collection::vec(0u32..20, 1..=256), set_bits: bool) {
            let histogram: Vec<u64> = shifts.iter().map(|&s| (1 << s) >> 4).collect();
            let Some(code) = PrefixCode::of_histogram(&histogram) else { return Ok(()) };
            let order = if set_bits { SymbolOrder::SetBits } else { SymbolOrder::Number };
            let mut bits = BitWriter::default();
            code.write(&mut bits, order);
            prop_assert_eq!(bits.len(), code.written_bits(order));
            let bytes = bits.finish();
            let read = PrefixCode::read(&mut BitReader::new(&bytes), shifts.len(), order).unwrap();
            prop_assert_eq!(read, code);
        }

        #[test]
        fn any_bits_are_a_complete_code_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80), n in 1usize..=256) {
            if let Ok(code) = PrefixCode::read(&mut BitReader::new(&bytes), n, SymbolOrder::Number) {
                let words = code.words();
                // No code word begins with another: they all differ in the bits of the shorter one.
                for a in 0..n {
                    for b in 0..a {
                        let (a_bits, b_bits) = (code.lengths()[a], code.lengths()[b]);
                        if a_bits != ABSENT && b_bits != ABSENT {
                            let shorter = (1u16 << a_bits.min(b_bits)) - 1;
                            prop_assert_ne!(words[a] & shorter, words[b] & shorter);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn canonical_words_are_those_of_the_spec() {
        let code = PrefixCode::of_histogram(&[4, 2, 1, 1]).unwrap();
        assert_eq!(code.lengths(), [1, 2, 3, 3]);
        // 0, 10, 110, 111, the first bit lowest.
        assert_eq!(code.words(), [0b0, 0b01, 0b011, 0b111]);
        let mut bits = BitWriter::default();
        code.write(&mut bits, SymbolOrder::Number);
        // 8 to 1 are 13 zeros and a one; +1, +1 are 001 each; 0 is 1.
        assert_eq!(bits.len(), 14 + 3 + 3 + 1);
    }

    #[test]
    fn incomplete_and_crowded_codes_are_corrupt() {
        for lengths in [
            vec![1, 2],
            vec![1, 1, 1],
            vec![ABSENT, ABSENT],
            vec![0, 0],
            vec![1],
        ] {
            let n = lengths.len();
            let mut bits = BitWriter::default();
            PrefixCode { lengths }.write(&mut bits, SymbolOrder::Number);
            let bytes = bits.finish();
            let error = PrefixCode::read(&mut BitReader::new(&bytes), n, SymbolOrder::Number);
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}

//! Coded values: symbols with prefix codes, and low bits as they are (spec §8.2.2, §9.2.1).

use super::bins::{BinFinder, Bins};
use super::codebook::Codebook;
use crate::buffer::Buffer;
use crate::cursor::{Cursor, put_varint};
use crate::error::{Error, Result, Within};
use crate::kernels::expand::SLACK_BYTES;
use crate::kernels::huffman::DecodeTable;
use crate::kernels::window::{MAX_LOW_BITS, Window};
use crate::kernels::{Isa, lookup, window};
use crate::sparse::Classes;
use crate::stream::bits::{BitReader, BitWriter, packed_bytes};
use crate::stream::huffman::{Bundle, PrefixCode, Run, SymbolOrder, write_bundle};
use crate::word::Word;

/// How a payload's coded values become symbols; the numbers are those of the registry (spec §12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ValueCoderKind {
    /// Cells of equal size in a window over the patterns; the few outside are patches.
    Window = 0,
    /// Bins of different sizes, learned from the values.
    Bins = 1,
    /// Indices of the payload's codebook.
    Codes = 2,
}

impl ValueCoderKind {
    /// The name that the spec uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Bins => "bins",
            Self::Codes => "codes",
        }
    }
}

/// How values become symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ValueMap {
    /// Patterns in 256 cells of equal size; those outside are patches.
    Window {
        window: Window,
        n_symbols: usize,
    },
    Bins(Bins),
    /// Indices of the codebook, which has so many patterns.
    Codes {
        n_symbols: usize,
    },
}

impl ValueMap {
    /// Which of the ways it is.
    pub(crate) fn kind(&self) -> ValueCoderKind {
        match self {
            Self::Window { .. } => ValueCoderKind::Window,
            Self::Bins(_) => ValueCoderKind::Bins,
            Self::Codes { .. } => ValueCoderKind::Codes,
        }
    }

    /// Symbols of the alphabet.
    pub(crate) fn n_symbols(&self) -> usize {
        match self {
            Self::Window { n_symbols, .. } | Self::Codes { n_symbols } => *n_symbols,
            Self::Bins(bins) => bins.as_slice().len(),
        }
    }
}

/// Finds the symbols of patterns.
pub(crate) struct SymbolFinder<'m, W> {
    map: &'m ValueMap,
    bins: Option<BinFinder<'m>>,
    codebook: Option<&'m Codebook<W>>,
}

impl<'m, W: Word> SymbolFinder<'m, W> {
    pub(crate) fn new(map: &'m ValueMap, codebook: Option<&'m Codebook<W>>) -> Self {
        let bins = match map {
            ValueMap::Bins(bins) => Some(BinFinder::new(bins, pattern_bits(W::WIDTH))),
            ValueMap::Window { .. } | ValueMap::Codes { .. } => None,
        };
        Self {
            map,
            bins,
            codebook,
        }
    }

    /// The symbol of a pattern, and its low bits with their number; `None` if the map has none.
    #[inline]
    pub(crate) fn find(&self, pattern: W) -> Option<(u8, u64, u32)> {
        match (self.map, &self.bins) {
            (ValueMap::Window { window, n_symbols }, _) => {
                let (high, low) = window_cell(*window, pattern);
                (high < *n_symbols as u64).then_some((high as u8, low, window.low_bits))
            }
            (_, Some(bins)) => {
                let pattern = pattern.to_bits();
                let (symbol, bin) = bins.find(pattern)?;
                Some((symbol, pattern & !(u64::MAX << bin.low_bits), bin.low_bits))
            }
            _ => self.codebook?.code(pattern).map(|code| (code, 0, 0)),
        }
    }
}

/// Bits of a pattern of so many bytes, of which a value coder has at most eight.
fn pattern_bits(width: usize) -> u32 {
    (width as u32).saturating_mul(8)
}

/// The last pattern of so many bytes.
fn last_pattern(width: usize) -> u64 {
    u64::MAX >> 64u32.saturating_sub(pattern_bits(width))
}

/// How far above the base of the window the pattern's cell is, modulo all cells; and its low bits.
#[inline]
fn window_cell<W: Word>(window: Window, pattern: W) -> (u64, u64) {
    let rotated = pattern.rotate_left(window.rotation).to_bits();
    let last = last_pattern(W::WIDTH) >> window.low_bits;
    let high = (rotated >> window.low_bits).wrapping_sub(window.base) & last;
    (high, rotated & !(u64::MAX << window.low_bits))
}

/// How the values of a payload are coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ValueCoder {
    pub(crate) map: ValueMap,
    /// The code of each value table.
    pub(crate) codes: Vec<PrefixCode>,
}

impl ValueCoder {
    /// Appends everything but the bins and the codes (spec §8.2.2).
    ///
    /// `value_tables` are those of the row classes, if there are some.
    pub(crate) fn write(&self, out: &mut Vec<u8>, value_tables: Option<&[u8]>) {
        // There is at least one of each.
        let less_one = |n: usize| n.saturating_sub(1) as u8;
        out.push(self.map.kind() as u8 | less_one(self.codes.len()) << 4);
        if let (Some(value_tables), true) = (value_tables, self.codes.len() > 1) {
            out.extend_from_slice(value_tables);
        }
        if let ValueMap::Window { window, n_symbols } = &self.map {
            out.extend([window.rotation as u8, window.low_bits as u8]);
            put_varint(out, window.base);
            out.push(less_one(*n_symbols));
        }
    }

    /// Appends the bins.
    pub(crate) fn write_bins(&self, bits: &mut BitWriter, width: usize) {
        if let ValueMap::Bins(bins) = &self.map {
            bins.write(bits, pattern_bits(width));
        }
    }

    /// Appends the codes.
    pub(crate) fn write_codes(&self, bits: &mut BitWriter) {
        self.codes
            .iter()
            .for_each(|code| code.write(bits, SymbolOrder::Number));
    }

    /// Decode tables of its codes.
    pub(crate) fn decode_tables(&self) -> Vec<DecodeTable> {
        self.codes.iter().map(PrefixCode::decode_table).collect()
    }
}

/// A value coder whose bins and codes are still to be read.
pub(crate) struct ValueCoderHead {
    n_tables: usize,
    /// `None` for bins.
    map: Option<ValueMap>,
}

impl ValueCoderHead {
    /// Reads everything but the bins and the codes.
    ///
    /// `classes` get the value tables of their rows.
    pub(crate) fn read<W: Word>(
        cursor: &mut Cursor<'_>,
        codebook: Option<&Codebook<W>>,
        classes: Option<&mut Classes>,
    ) -> Result<Self> {
        if W::WIDTH > 8 {
            return Err(Error::corrupt(format!(
                "a value coder for elements of {} bytes",
                W::WIDTH
            )));
        }
        let head = cursor.u8()?;
        let kind = head & 15;
        // First, since nobody knows what the other bits mean to another kind.
        if kind > 2 {
            return Err(Error::unsupported(format!("value coder {kind}")));
        }
        let n_tables = usize::from(head >> 4) + 1;
        match classes {
            Some(classes) if n_tables > 1 => classes.read_value_tables(cursor, n_tables)?,
            None if n_tables > 1 => {
                return Err(Error::corrupt(format!(
                    "{n_tables} value tables without row classes"
                )));
            }
            _ => {}
        }
        let pattern_bits = pattern_bits(W::WIDTH);
        let map = match kind {
            0 => {
                let (rotation, low_bits) = (u32::from(cursor.u8()?), u32::from(cursor.u8()?));
                let base = cursor.varint()?;
                if rotation >= pattern_bits
                    || low_bits >= pattern_bits
                    || low_bits > MAX_LOW_BITS
                    || base > last_pattern(W::WIDTH) >> low_bits
                {
                    return Err(Error::corrupt(format!(
                        "a window at {base} with {low_bits} low bits and a rotation by {rotation} of {pattern_bits}-bit patterns"
                    )));
                }
                Some(ValueMap::Window {
                    window: Window {
                        rotation,
                        low_bits,
                        base,
                    },
                    n_symbols: usize::from(cursor.u8()?) + 1,
                })
            }
            1 => None,
            _ => Some(ValueMap::Codes {
                n_symbols: codebook
                    .ok_or_else(|| Error::corrupt("codes in a payload without a codebook"))?
                    .len(),
            }),
        };
        Ok(Self { n_tables, map })
    }

    /// Reads the bins, if they are to be read.
    pub(crate) fn read_bins(&mut self, bits: &mut BitReader<'_>, width: usize) -> Result<()> {
        if self.map.is_none() {
            self.map = Some(ValueMap::Bins(Bins::read(bits, pattern_bits(width))?));
        }
        Ok(())
    }

    /// Reads the codes, after the bins.
    pub(crate) fn read_codes(self, bits: &mut BitReader<'_>) -> Result<ValueCoder> {
        let map = self
            .map
            .ok_or_else(|| Error::corrupt("a value coder without bins"))?;
        let n = map.n_symbols();
        let codes = (0..self.n_tables)
            .map(|_| PrefixCode::read(bits, n, SymbolOrder::Number))
            .collect::<Result<Vec<_>>>()?;
        Ok(ValueCoder { map, codes })
    }
}

/// Values as they are coded: symbols, and what is kept besides them.
pub(crate) struct CodedValues<'c> {
    /// A run for each value table that some have.
    pub(crate) runs: Vec<Run<'c>>,
    /// Low bits and patches, or low bits with their length.
    rest: Vec<u8>,
}

/// Codes `values`, of which the first `runs[0]` have value table 0, the next `runs[1]` table 1, and so
/// on. All have a symbol with a code word, but for those outside of a window.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a writer's: the runs are those of the values, and patches ascend"
)]
pub(crate) fn code<'c, W: Word>(
    coder: &'c ValueCoder,
    codebook: Option<&Codebook<W>>,
    values: &[W],
    runs: &[usize],
) -> Result<CodedValues<'c>> {
    let mut coded = CodedValues {
        runs: Vec::new(),
        rest: Vec::new(),
    };
    let mut low = BitWriter::default();
    let mut patches = Vec::new();
    let finder = SymbolFinder::new(&coder.map, codebook);
    let mut start = 0;
    for (&n, code) in runs.iter().zip(&coder.codes) {
        let mut symbols = Vec::with_capacity(n);
        for (i, &value) in (start..).zip(&values[start..start + n]) {
            let (symbol, bits, n_bits) = match finder.find(value) {
                Some(coded) => coded,
                None => {
                    let ValueMap::Window { window, .. } = coder.map else {
                        return Err(Error::invalid(format!("pattern {value:?} has no symbol")));
                    };
                    patches.push((i, value));
                    (cheapest(code), 0, window.low_bits)
                }
            };
            symbols.push(symbol);
            low.put_wide(bits, n_bits);
        }
        start += n;
        coded.runs.push(Run { code, symbols });
    }
    let low = low.finish();
    let rest = &mut coded.rest;
    match coder.map {
        ValueMap::Window { .. } => {
            rest.extend(low);
            put_varint(rest, patches.len() as u64);
            let mut after = 0;
            for (i, value) in patches {
                put_varint(rest, (i - after) as u64);
                rest.extend_from_slice(&super::to_le_bytes(&[value]));
                after = i + 1;
            }
        }
        ValueMap::Bins(_) => {
            put_varint(rest, low.len() as u64);
            rest.extend(low);
        }
        ValueMap::Codes { .. } => {}
    }
    Ok(coded)
}

impl CodedValues<'_> {
    /// Appends what is kept besides the symbols, and these too if they are in no other bundle.
    pub(super) fn write(&self, out: &mut Vec<u8>, in_bundle: bool) {
        if !in_bundle {
            write_bundle(out, self.runs.iter());
        }
        out.extend_from_slice(&self.rest);
    }
}

/// The symbol with the shortest code word.
fn cheapest(code: &PrefixCode) -> u8 {
    let by_length = (0u8..=255).zip(code.lengths());
    by_length
        .min_by_key(|(_, length)| **length)
        .map_or(0, |(symbol, _)| symbol)
}

/// Reads the values of runs (see [`code`]), whose symbols come next in `bundle` if there is one, as they
/// are in memory, and after them some that are not
/// used: so many that a vector may be loaded from wherever a value is.
pub(crate) fn read<W: Word>(
    cursor: &mut Cursor<'_>,
    isa: Isa,
    coder: &ValueCoder,
    tables: &[DecodeTable],
    codebook: Option<&Codebook<W>>,
    runs: &[usize],
    bundle: Option<Bundle<'_>>,
) -> Result<Buffer<W>> {
    let n: usize = runs.iter().sum();
    let mut symbols = Buffer::new(n);
    let mut bundle = match bundle {
        Some(bundle) => bundle,
        None => Bundle::read(cursor)?,
    };
    let mut rest = &mut symbols[..];
    for (&n, table) in runs.iter().zip(tables) {
        let (run, after) = rest.split_at_mut(n);
        bundle.run(isa, table, run);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(Error::corrupt(format!(
            "{} entries without a value table",
            rest.len()
        )));
    }
    bundle.check_end().within(|| "symbols".into())?;
    let slack = SLACK_BYTES.div_ceil(W::WIDTH);
    let mut values = Buffer::new(n.saturating_add(slack));
    let (out, _) = values.split_at_mut(n);
    match &coder.map {
        ValueMap::Window { window, .. } => {
            // A wide load may touch what comes after the low bits.
            let raw = cursor.rest();
            let low = cursor.take(packed_bytes(n, window.low_bits)?)?;
            check_last_bits(low, n.saturating_mul(window.low_bits as usize))?;
            window::join(isa, *window, &symbols, raw, out);
            patch(cursor, out)?;
        }
        ValueMap::Bins(bins) => {
            let n_bytes = cursor.count()?;
            let raw = cursor.rest();
            let low = cursor.take(n_bytes)?;
            let bits = lookup::bins(isa, bins.as_slice(), &symbols, raw, out);
            if bits.div_ceil(8) != n_bytes {
                return Err(Error::corrupt(format!(
                    "{n_bytes} bytes of low bits, expected {bits} bits"
                )));
            }
            check_last_bits(low, bits)?;
        }
        ValueMap::Codes { .. } => {
            codebook
                .and_then(|book| lookup::codes(&symbols, book.patterns(), out))
                .ok_or_else(|| Error::corrupt("a code past the end of the codebook"))?;
        }
    }
    super::put_in_memory_order(&mut values);
    Ok(values)
}

/// Checks that the bits after the last of so many are zero; `low` has exactly the bytes that they take.
fn check_last_bits(low: &[u8], bits: usize) -> Result<()> {
    match low.last() {
        Some(last) if !bits.is_multiple_of(8) && last >> (bits % 8) != 0 => {
            Err(Error::corrupt("bits after the last low bits are not zero"))
        }
        _ => Ok(()),
    }
}

/// Reads the patches and puts them in.
fn patch<W: Word>(cursor: &mut Cursor<'_>, values: &mut [W]) -> Result<()> {
    let n = cursor.count()?;
    if n > values.len() {
        return Err(Error::corrupt(format!(
            "{n} patches of {} values",
            values.len()
        )));
    }
    let mut next = 0;
    for _ in 0..n {
        let at = cursor.count()?.saturating_add(next);
        let pattern = W::from_le(cursor.take(W::WIDTH)?);
        *values.get_mut(at).ok_or_else(|| {
            Error::corrupt(format!("a patch of value {at}, after the last one"))
        })? = pattern;
        next = at.saturating_add(1);
    }
    Ok(())
}

//! Symbols that stand for something in a table: codes of a codebook, and bins (spec §9.2.3).

use super::Isa;
use crate::word::Word;

/// Most entries of a table.
const MAX_ENTRIES: usize = 256;

/// Writes what the codes stand for; `None` if one of them is not below the length of the table.
///
/// # Panics
/// If `out` has another length than `codes`, or the table is empty or has more than 256 entries.
pub(crate) fn codes<W: Word>(codes: &[u8], table: &[W], out: &mut [W]) -> Option<()> {
    assert_eq!(codes.len(), out.len());
    let mut all = [table[0]; MAX_ENTRIES];
    all[..table.len()].copy_from_slice(table);
    let largest = codes.iter().copied().max().unwrap_or(0);
    if usize::from(largest) >= table.len() {
        return None;
    }
    for (out, &code) in out.iter_mut().zip(codes) {
        *out = all[usize::from(code)];
    }
    Some(())
}

/// A bin: the patterns that share their bits above `low_bits`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bin {
    /// The pattern whose low bits are zero.
    pub(crate) base: u64,
    /// Low bits that are kept raw: at most [`MAX_LOW_BITS`].
    pub(crate) low_bits: u32,
}

/// Most low bits of a bin: a load of eight bytes has them wherever they begin in its first byte.
pub(crate) const MAX_LOW_BITS: u32 = 56;

/// Writes the patterns of `symbols`, which are bins; the raw bits of each are read from `raw`, one
/// after the other. Returns how many bits that are.
///
/// Bits that `raw` lacks are zero. A symbol without a bin is one of pattern 0 without raw bits.
///
/// # Panics
/// If `out` has another length than `symbols`, or there are more than 256 bins.
pub(crate) fn bins<W: Word>(
    isa: Isa,
    bins: &[Bin],
    symbols: &[u8],
    raw: &[u8],
    out: &mut [W],
) -> usize {
    assert_eq!(symbols.len(), out.len());
    let mut all = [Bin::default(); MAX_ENTRIES];
    all[..bins.len()].copy_from_slice(bins);
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => x86::bins(&all, symbols, raw, out),
        _ => bins_plain(&all, symbols, 0, raw, out),
    }
}

/// Reads from bit `at` on; returns where the bits end.
fn bins_plain<W: Word>(
    bins: &[Bin; MAX_ENTRIES],
    symbols: &[u8],
    mut at: usize,
    raw: &[u8],
    out: &mut [W],
) -> usize {
    for (out, &symbol) in out.iter_mut().zip(symbols) {
        let bin = bins[usize::from(symbol)];
        let rest = raw.get(at / 8..).unwrap_or_default();
        let word = match rest.first_chunk() {
            Some(word) => u64::from_le_bytes(*word),
            None => rest
                .iter()
                .rev()
                .fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        let low = word >> (at % 8) & ((1 << bin.low_bits) - 1);
        *out = W::from_bits(bin.base | low);
        at += bin.low_bits as usize;
    }
    at
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_code)]

    use super::{Bin, MAX_ENTRIES, MAX_LOW_BITS, bins_plain};
    use crate::word::Word;

    /// Values that are looked up between two looks at where the raw bits end.
    const STEP: usize = 8;

    /// Bytes after the start of a step that its loads may touch: its low bits, begun inside a byte,
    /// and a load of eight bytes at the last of them.
    const REACH: usize = STEP * MAX_LOW_BITS as usize / 8 + 1 + 8;

    /// Low bits of two values that a load of eight bytes has wherever they begin in its first byte.
    const PAIR_BITS: u64 = 57;

    pub(super) fn bins<W: Word>(
        bins: &[Bin; MAX_ENTRIES],
        symbols: &[u8],
        raw: &[u8],
        out: &mut [W],
    ) -> usize {
        if W::WIDTH > 4 {
            return bins_plain(bins, symbols, 0, raw, out);
        }
        // SAFETY: AVX2 kernels are only chosen on machines with BMI1 and BMI2.
        let (done, at) = unsafe { steps(bins, symbols, raw, out) };
        bins_plain(bins, &symbols[done..], at, raw, &mut out[done..])
    }

    /// Returns how many values it looked up, and the bits that they took.
    #[target_feature(enable = "bmi1,bmi2")]
    fn steps<W: Word>(
        bins: &[Bin; MAX_ENTRIES],
        symbols: &[u8],
        raw: &[u8],
        out: &mut [W],
    ) -> (usize, usize) {
        // The base, of at most 32 bits, and the number of low bits in one load.
        let table: [u64; MAX_ENTRIES] =
            std::array::from_fn(|i| bins[i].base & 0xffff_ffff | u64::from(bins[i].low_bits) << 32);
        let mut at = 0;
        let mut done = 0;
        let steps = symbols
            .as_chunks::<STEP>()
            .0
            .iter()
            .zip(out.as_chunks_mut::<STEP>().0);
        for (symbols, out) in steps {
            if at / 8 + REACH > raw.len() {
                break;
            }
            // SAFETY: in a step `at` grows by at most STEP · MAX_LOW_BITS before the last load, so that
            // this ends at most REACH bytes after the byte that the step began in, inside of `raw`.
            let load = |at: usize| unsafe { raw.as_ptr().add(at / 8).cast::<u64>().read_unaligned() } >> (at % 8);
            for (symbols, out) in symbols
                .as_chunks::<2>()
                .0
                .iter()
                .zip(out.as_chunks_mut::<2>().0)
            {
                let [a, b] = symbols.map(|symbol| table[usize::from(symbol)]);
                let (a_bits, b_bits) = (a >> 32, b >> 32);
                let word = load(at);
                let low = |word: u64, bits: u64| core::arch::x86_64::_bzhi_u64(word, bits as u32);
                out[0] = W::from_bits(a | low(word, a_bits));
                at += a_bits as usize;
                let word = match a_bits + b_bits <= PAIR_BITS {
                    true => word >> a_bits,
                    false => load(at),
                };
                out[1] = W::from_bits(b | low(word, b_bits));
                at += b_bits as usize;
            }
            done += STEP;
        }
        (done, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::bits::BitWriter;
    use proptest::prelude::*;

    fn check<W: Word>(widths: &[u32], values: &[(u8, u64)], cut: usize) {
        let bins_of: Vec<Bin> = (1u64..)
            .zip(widths)
            .map(|(i, &width)| {
                let low_bits = width.min(8 * W::WIDTH as u32 - 1);
                Bin {
                    base: i << low_bits,
                    low_bits,
                }
            })
            .collect();
        let mut raw = BitWriter::default();
        let (mut symbols, mut expected) = (vec![], vec![]);
        for &(symbol, bits) in values {
            let bin = bins_of[usize::from(symbol) % widths.len()];
            let low = bits & ((1 << bin.low_bits) - 1);
            symbols.push(symbol % widths.len() as u8);
            raw.put_wide(low, bin.low_bits);
            expected.push(W::from_bits(bin.base | low));
        }
        let n_bits = raw.len() as usize;
        let raw = raw.finish();
        for isa in Isa::available() {
            let mut out = vec![W::default(); values.len()];
            assert_eq!(bins(isa, &bins_of, &symbols, &raw, &mut out), n_bits);
            assert_eq!(out, expected);
            let cut = &raw[..cut % (raw.len() + 1)];
            let (mut out, mut plain) = (out.clone(), out);
            assert_eq!(bins(isa, &bins_of, &symbols, cut, &mut out), n_bits);
            bins(Isa::Plain, &bins_of, &symbols, cut, &mut plain);
            assert_eq!(out, plain);
        }
    }

    proptest! {
        #[test]
        fn bins_are_looked_up_on_every_machine(
            widths in prop::collection::vec(0u32..=MAX_LOW_BITS, 1..60),
            values in prop::collection::vec(any::<(u8, u64)>(), 0..200), cut: usize,
        ) {
            check::<u8>(&widths, &values, cut);
            check::<u16>(&widths, &values, cut);
            check::<u32>(&widths, &values, cut);
            check::<u64>(&widths, &values, cut);
        }
    }

    #[test]
    fn codes_past_the_table_are_none() {
        let mut out = [0u32; 3];
        assert_eq!(codes(&[0, 1, 1], &[7, 9], &mut out), Some(()));
        assert_eq!(out, [7, 9, 9]);
        assert_eq!(codes(&[0, 2, 1], &[7, 9], &mut out), None);
    }
}

//! Bits, LSB-first: packed symbols, sequences of bits, and byte planes (spec §10.1, §10.2).

use crate::error::{Error, Result};

/// Bits that a number takes: none if it is 0.
pub(crate) fn bit_width(n: u64) -> u32 {
    u64::BITS.saturating_sub(n.leading_zeros())
}

/// Bytes that `count` symbols of `bits` bits take.
pub(crate) fn packed_bytes(count: usize, bits: u32) -> Result<usize> {
    count
        .checked_mul(bits as usize)
        .map(|n| n.div_ceil(8))
        .ok_or_else(|| {
            Error::corrupt(format!(
                "{count} symbols of {bits} bits are more than any file holds"
            ))
        })
}

/// Bits that are written one after the other, the lowest first.
#[derive(Default)]
pub(crate) struct BitWriter {
    out: Vec<u8>,
    pending: u64,
    /// Bits in `pending`: fewer than 32 between calls.
    held: u32,
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "fewer than 32 bits are held between calls, and a call adds at most 32"
)]
impl BitWriter {
    /// Appends the low `n` bits of `bits`, at most 32; the others are zero.
    #[inline]
    pub(crate) fn put(&mut self, bits: u32, n: u32) {
        debug_assert!(n <= 32 && u64::from(bits) >> n == 0);
        self.pending |= u64::from(bits) << self.held;
        self.held += n;
        if self.held >= 32 {
            self.out
                .extend_from_slice(&(self.pending as u32).to_le_bytes());
            self.pending >>= 32;
            self.held -= 32;
        }
    }

    /// Appends the low `n` bits of `bits`, at most 64; the others are zero.
    #[inline]
    pub(crate) fn put_wide(&mut self, bits: u64, n: u32) {
        self.put(bits as u32, n.min(32));
        if n > 32 {
            self.put((bits >> 32) as u32, n - 32);
        }
    }

    /// Bits so far.
    #[cfg(test)]
    pub(crate) fn len(&self) -> u64 {
        8 * self.out.len() as u64 + u64::from(self.held)
    }

    /// The bytes; bits after the last one are zero.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let rest = self.pending.to_le_bytes().into_iter();
        self.out.extend(rest.take(self.held.div_ceil(8) as usize));
        self.out
    }
}

/// Bytes whose bits are read: so many that these can be counted with room to spare, where memory may hold
/// more bytes than a number does bits.
const MAX_BYTES: usize = usize::MAX / 16;

/// Bits that are read one after the other, the lowest first.
pub(crate) struct BitReader<'a> {
    /// At most [`MAX_BYTES`].
    bytes: &'a [u8],
    /// Bits that have been read; they may end up to 57 after the bytes where reading fails.
    at: usize,
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "the bits of MAX_BYTES leave room for what a call reads, at most 57 bits beyond their end; \
              bits that are taken from a word are at most as many as it still holds"
)]
impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes: bytes.get(..MAX_BYTES).unwrap_or(bytes),
            at: 0,
        }
    }

    /// The next `n` bits, at most 32.
    #[inline]
    pub(crate) fn take(&mut self, n: u32) -> Result<u32> {
        if self.at + n as usize > 8 * self.bytes.len() {
            return Err(Error::corrupt(format!(
                "bits end at bit {}, expected {n} more at bit {}",
                8 * self.bytes.len(),
                self.at
            )));
        }
        let value = self.peek() & ((1 << n) - 1);
        self.at += n as usize;
        Ok(value as u32)
    }

    /// Calls `f` with the number of zeros before each of the next `n` ones, which are read too; there are
    /// at most `most` zeros, which is at most 56.
    pub(crate) fn zeros_of_each(
        &mut self,
        n: usize,
        most: u32,
        mut f: impl FnMut(u32) -> Result<()>,
    ) -> Result<()> {
        let end = 8 * self.bytes.len();
        let (mut word, mut left) = (0u64, 0);
        for _ in 0..n {
            // There may be fewer bits left than the zeros and the one need.
            if left <= most {
                (word, left) = (self.peek(), 57);
            }
            let zeros = word.trailing_zeros();
            if zeros > most || self.at + zeros as usize >= end {
                return Err(Error::corrupt(format!(
                    "more than {most} zeros at bit {}, or the end",
                    self.at
                )));
            }
            f(zeros)?;
            word >>= zeros + 1;
            left -= zeros + 1;
            self.at += zeros as usize + 1;
        }
        Ok(())
    }

    /// The number of ones before the next zero, which is read too; there are at most `most` ones.
    pub(crate) fn ones(&mut self, most: usize) -> Result<usize> {
        let mut n = 0;
        loop {
            // After the end come zeros.
            let ones = (self.peek() | 1 << 57).trailing_ones().min(57) as usize;
            n += ones;
            self.at += ones;
            if n > most || self.at >= 8 * self.bytes.len() {
                return Err(Error::corrupt(format!(
                    "more than {most} ones before bit {}, or the end",
                    self.at
                )));
            }
            if ones < 57 {
                self.at += 1;
                return Ok(n);
            }
        }
    }

    /// Bits that have been read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Steps over `n` bits; `None` if there are fewer.
    pub(crate) fn skip(&mut self, n: usize) -> Option<()> {
        self.at = self
            .at
            .checked_add(n)
            .filter(|&at| at <= 8 * self.bytes.len())?;
        Some(())
    }

    /// What comes next, at least 57 bits; zeros after the end.
    #[inline]
    fn peek(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let word = match rest.first_chunk() {
            Some(word) => u64::from_le_bytes(*word),
            None => rest
                .iter()
                .rev()
                .fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        word >> (self.at % 8)
    }

    /// Ends the sequence: bytes that it took. The bits after the last one are zero.
    pub(crate) fn finish(self) -> Result<usize> {
        let left = (8 - self.at % 8) % 8;
        if self.peek() & ((1 << left) - 1) != 0 {
            return Err(Error::corrupt("bits after the last one are not zero"));
        }
        Ok(self.at.div_ceil(8))
    }
}

/// Packs symbols below `2^bits`, which may be 1; the bits after the last one are zero.
pub(crate) fn pack(symbols: &[u32], bits: u32) -> Vec<u8> {
    let mut out = BitWriter::default();
    symbols.iter().for_each(|&symbol| out.put(symbol, bits));
    out.finish()
}

/// Unpacks `count` symbols; `bytes` has exactly [`packed_bytes`].
pub(crate) fn unpack(bytes: &[u8], count: usize, bits: u32) -> Result<Vec<u32>> {
    let mut reader = BitReader::new(bytes);
    let symbols = (0..count)
        .map(|_| reader.take(bits))
        .collect::<Result<Vec<u32>>>()?;
    reader.finish()?;
    Ok(symbols)
}

/// The low bytes of all symbols, then the next ones, and so on.
pub(super) fn to_planes(symbols: &[u32], bits: u32) -> Vec<u8> {
    (0..bits)
        .step_by(8)
        .flat_map(|plane| symbols.iter().map(move |s| (s >> plane) as u8))
        .collect()
}

/// The inverse of [`to_planes`]; `planes` has exactly the bytes of `count` symbols.
pub(super) fn from_planes(planes: &[u8], count: usize, bits: u32) -> Result<Vec<u32>> {
    let mut symbols = vec![0u32; count];
    for (plane, bytes) in (0..bits).step_by(8).zip(planes.chunks_exact(count)) {
        for (symbol, &byte) in symbols.iter_mut().zip(bytes) {
            *symbol |= u32::from(byte) << plane;
        }
    }
    match symbols.iter().find(|&&s| u64::from(s) >> bits != 0) {
        Some(s) => Err(Error::corrupt(format!(
            "symbol {s} does not fit in {bits} bits"
        ))),
        None => Ok(symbols),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_come_back(parts in prop::collection::vec((any::<u64>(), 0u32..=64), 0..100)) {
            let mut writer = BitWriter::default();
            let parts: Vec<(u64, u32)> = parts
                .iter()
                .map(|&(bits, n)| (if n == 0 { 0 } else { bits >> (64 - n) }, n))
                .collect();
            parts.iter().for_each(|&(bits, n)| writer.put_wide(bits, n));
            let n_bits = writer.len();
            prop_assert_eq!(n_bits, parts.iter().map(|p| u64::from(p.1)).sum::<u64>());
            let bytes = writer.finish();
            prop_assert_eq!(bytes.len() as u64, n_bits.div_ceil(8));
            let mut reader = BitReader::new(&bytes);
            for &(bits, n) in &parts {
                let low = reader.take(n.min(32)).unwrap();
                let high = if n > 32 { reader.take(n - 32).unwrap() } else { 0 };
                prop_assert_eq!(u64::from(high) << 32 | u64::from(low), bits);
            }
            prop_assert!(reader.take(8).is_err());
            prop_assert_eq!(reader.finish().unwrap(), bytes.len());
        }
    }

    #[test]
    fn symbol_zero_starts_at_bit_zero() {
        assert_eq!(pack(&[1, 2, 3], 3), [0b1101_0001, 0b0]);
        assert_eq!(unpack(&[0b1101_0001, 0b0], 3, 3).unwrap(), [1, 2, 3]);
        assert!(unpack(&[0b1101_0001, 0b10], 3, 3).is_err());
    }

    #[test]
    fn planes_put_low_bytes_first() {
        assert_eq!(to_planes(&[0x102, 0x304], 12), [2, 4, 1, 3]);
        assert!(from_planes(&[2, 4, 1, 0x10], 2, 12).is_err());
    }
}

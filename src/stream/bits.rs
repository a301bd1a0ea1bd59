//! Bit packing, LSB-first, and byte planes (spec §10.1, §10.2).

use crate::error::{Error, Result};

/// Bytes that `count` symbols of `bits` bits take.
pub(super) fn packed_bytes(count: usize, bits: u32) -> Result<usize> {
    count
        .checked_mul(bits as usize)
        .map(|n| n.div_ceil(8))
        .ok_or_else(|| {
            Error::corrupt(format!(
                "{count} symbols of {bits} bits are more than any file holds"
            ))
        })
}

/// Packs symbols below `2^bits`; the bits after the last one are zero.
pub(super) fn pack(symbols: &[u32], bits: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(symbols.len() * bits as usize / 8 + 1);
    let (mut pending, mut held) = (0u64, 0u32);
    for &symbol in symbols {
        pending |= u64::from(symbol) << held;
        held += bits;
        while held >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            held -= 8;
        }
    }
    if held > 0 {
        out.push(pending as u8);
    }
    out
}

/// Unpacks `count` symbols; `bytes` has exactly [`packed_bytes`].
pub(super) fn unpack(bytes: &[u8], count: usize, bits: u32) -> Result<Vec<u32>> {
    let mask = u64::MAX >> (64 - bits);
    let mut symbols = Vec::with_capacity(count);
    let (mut pending, mut held) = (0u64, 0u32);
    let mut rest = bytes.iter();
    while symbols.len() < count {
        while held < bits {
            let byte = rest
                .next()
                .ok_or_else(|| Error::corrupt("packed symbols end early"))?;
            pending |= u64::from(*byte) << held;
            held += 8;
        }
        symbols.push((pending & mask) as u32);
        pending >>= bits;
        held -= bits;
    }
    if pending != 0 {
        return Err(Error::corrupt(
            "bits after the last packed symbol are not zero",
        ));
    }
    Ok(symbols)
}

/// The low bytes of all symbols, then the next ones, and so on.
pub(super) fn to_planes(symbols: &[u32], bits: u32) -> Vec<u8> {
    let planes = bits.div_ceil(8);
    (0..planes)
        .flat_map(|plane| symbols.iter().map(move |s| (s >> (8 * plane)) as u8))
        .collect()
}

/// The inverse of [`to_planes`]; `planes` has exactly the bytes of `count` symbols.
pub(super) fn from_planes(planes: &[u8], count: usize, bits: u32) -> Result<Vec<u32>> {
    let mut symbols = vec![0u32; count];
    for (plane, bytes) in planes.chunks_exact(count).enumerate() {
        for (symbol, &byte) in symbols.iter_mut().zip(bytes) {
            *symbol |= u32::from(byte) << (8 * plane);
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

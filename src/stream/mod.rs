//! Streams: sequences of symbols of a fixed number of bits, and how they become bytes (spec §10).

pub(crate) mod bits;
pub(crate) mod huffman;
pub(crate) mod zstd;

use crate::cursor::{Cursor, put_varint, to_usize};
use crate::error::{Error, Result};
use std::borrow::Cow;

/// How a stream is coded; the numbers are those of the registry (spec §12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Coding {
    /// Every symbol in its own number of bits.
    Packed = 0,
    /// Byte planes of the symbols in a zstd frame.
    Zstd = 1,
}

impl Coding {
    /// The name that the spec uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packed => "packed",
            Self::Zstd => "zstd",
        }
    }
}

/// Appends `symbols` of 8 bits in the coding that makes them smallest.
pub(crate) fn write_bytes(out: &mut Vec<u8>, symbols: &[u8]) -> Result<()> {
    write(out, symbols.len(), || Cow::Borrowed(symbols), symbols)
}

/// Appends `symbols` of `bits` bits (1 to 32) in the coding that makes them smallest.
pub(crate) fn write_symbols(out: &mut Vec<u8>, symbols: &[u32], bits: u32) -> Result<()> {
    let planes = bits::to_planes(symbols, bits);
    let packed_bytes = bits::packed_bytes(symbols.len(), bits)?;
    write(
        out,
        packed_bytes,
        || bits::pack(symbols, bits).into(),
        &planes,
    )
}

fn write<'a>(
    out: &mut Vec<u8>,
    packed_bytes: usize,
    packed: impl FnOnce() -> Cow<'a, [u8]>,
    planes: &[u8],
) -> Result<()> {
    if planes.is_empty() {
        return Ok(());
    }
    // A zstd frame carries at least a length byte in front of it that packed does without.
    match zstd::compress_below(planes, packed_bytes.saturating_sub(2))? {
        Some(frame) => {
            out.push(Coding::Zstd as u8);
            put_varint(out, frame.len() as u64);
            out.extend_from_slice(&frame);
        }
        None => {
            out.push(Coding::Packed as u8);
            out.extend_from_slice(&packed());
        }
    }
    Ok(())
}

/// Reads `count` symbols of 8 bits. (No symbols are no bytes, and count as packed.)
pub(crate) fn read_bytes<'a>(
    cursor: &mut Cursor<'a>,
    count: usize,
) -> Result<(Cow<'a, [u8]>, Coding)> {
    if count == 0 {
        return Ok((Cow::Borrowed(&[]), Coding::Packed));
    }
    let (coding, body) = read_body(cursor, count)?;
    let symbols = match coding {
        Coding::Packed => Cow::Borrowed(body),
        Coding::Zstd => Cow::Owned(zstd::decode(body, count)?),
    };
    Ok((symbols, coding))
}

/// Reads `count` symbols of `bits` bits (1 to 32). (No symbols are no bytes, and count as packed.)
pub(crate) fn read_symbols(
    cursor: &mut Cursor<'_>,
    count: usize,
    bits: u32,
) -> Result<(Vec<u32>, Coding)> {
    if count == 0 {
        return Ok((Vec::new(), Coding::Packed));
    }
    let (coding, body) = read_body(cursor, bits::packed_bytes(count, bits)?)?;
    let symbols = match coding {
        Coding::Packed => bits::unpack(body, count, bits)?,
        Coding::Zstd => {
            let planes = zstd::decode(body, count * bits.div_ceil(8) as usize)?;
            bits::from_planes(&planes, count, bits)?
        }
    };
    Ok((symbols, coding))
}

fn read_body<'a>(cursor: &mut Cursor<'a>, packed_bytes: usize) -> Result<(Coding, &'a [u8])> {
    match cursor.u8()? {
        0 => Ok((Coding::Packed, cursor.take(packed_bytes)?)),
        1 => {
            let length = to_usize(cursor.varint()?)?;
            Ok((Coding::Zstd, cursor.take(length)?))
        }
        id => Err(Error::unsupported(format!("stream coding {id}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use proptest::prelude::*;

    fn round_trip(symbols: &[u32], bits: u32) {
        let mut out = Vec::new();
        write_symbols(&mut out, symbols, bits).unwrap();
        let mut cursor = Cursor::new(&out);
        assert_eq!(
            read_symbols(&mut cursor, symbols.len(), bits).unwrap().0,
            symbols
        );
        cursor.finish().unwrap();
    }

    proptest! {
        #[test]
        fn symbols_come_back(bits in 1u32..=32, symbols in prop::collection::vec(any::<u32>(), 0..200), quiet in 0u32..32) {
            let mask = (u64::MAX >> (64 - bits)) as u32;
            let symbols: Vec<u32> = symbols.iter().map(|s| (s >> quiet) & mask).collect();
            round_trip(&symbols, bits);
        }

        #[test]
        fn bytes_come_back(symbols in prop::collection::vec(0u8..3, 0..500)) {
            let mut out = Vec::new();
            write_bytes(&mut out, &symbols).unwrap();
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(&*read_bytes(&mut cursor, symbols.len()).unwrap().0, &symbols[..]);
            cursor.finish().unwrap();
        }
    }

    #[test]
    fn long_runs_are_coded_by_zstd() {
        let mut out = Vec::new();
        write_bytes(&mut out, &[7; 10_000]).unwrap();
        assert_eq!(out[0], Coding::Zstd as u8);
        assert!(out.len() < 40);
        round_trip(&[70_000; 5_000], 17);
    }

    #[test]
    fn ids_of_the_future_are_unsupported() {
        let error = read_bytes(&mut Cursor::new(&[2, 0]), 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn the_coding_ids_never_change() {
        assert_eq!((Coding::Packed as u8, Coding::Zstd as u8), (0, 1));
    }
}

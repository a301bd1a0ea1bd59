//! Streams: sequences of symbols of a fixed number of bits, and how they become bytes (spec §10).

pub(crate) mod bits;
pub(crate) mod huffman;
pub(crate) mod zstd;

use crate::buffer::Buffer;
use crate::cursor::{Cursor, put_varint};
use crate::error::{Error, Result};
use crate::kernels::{Isa, unpack};
use std::borrow::Cow;

/// How a stream is coded; the numbers are those of the registry (spec §12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Coding {
    /// Every symbol in its own number of bits.
    Packed = 0,
    /// Byte planes of the symbols in a zstd frame.
    Zstd = 1,
    /// A prefix code.
    Huffman = 2,
}

impl Coding {
    /// The name that the spec uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packed => "packed",
            Self::Zstd => "zstd",
            Self::Huffman => "huffman",
        }
    }
}

/// Appends `symbols` of 8 bits in the coding that makes them smallest.
pub(crate) fn write_bytes(out: &mut Vec<u8>, symbols: &[u8]) -> Result<()> {
    write(
        out,
        symbols,
        || Cow::Borrowed(symbols),
        symbols.len(),
        symbols,
    )
}

/// Appends `symbols` of 8 bits as they are.
pub(crate) fn write_packed_bytes(out: &mut Vec<u8>, symbols: &[u8]) {
    if !symbols.is_empty() {
        out.push(Coding::Packed as u8);
        out.extend_from_slice(symbols);
    }
}

/// Appends `symbols` of `bits` bits (1 to 32), packed.
pub(crate) fn write_packed(out: &mut Vec<u8>, symbols: &[u32], bits: u32) {
    if !symbols.is_empty() {
        out.push(Coding::Packed as u8);
        out.extend(bits::pack(symbols, bits));
    }
}

/// Appends `symbols` of `bits` bits (1 to 32) in the coding that makes them smallest.
pub(crate) fn write_symbols(out: &mut Vec<u8>, symbols: &[u32], bits: u32) -> Result<()> {
    let planes = bits::to_planes(symbols, bits);
    let packed_bytes = bits::packed_bytes(symbols.len(), bits)?;
    // Huffman coding is for symbols that are bytes.
    let bytes = if bits <= 8 { &planes[..] } else { &[] };
    write(
        out,
        bytes,
        || bits::pack(symbols, bits).into(),
        packed_bytes,
        &planes,
    )
}

fn write<'a>(
    out: &mut Vec<u8>,
    bytes: &[u8],
    packed: impl FnOnce() -> Cow<'a, [u8]>,
    packed_bytes: usize,
    planes: &[u8],
) -> Result<()> {
    if planes.is_empty() {
        return Ok(());
    }
    let coded = huffman::stream::write(bytes).filter(|coded| coded.len() < packed_bytes);
    let smallest = coded.as_ref().map_or(packed_bytes, Vec::len);
    // A zstd frame carries at least a length byte in front of it that the others do without.
    match (
        zstd::compress_below(planes, smallest.saturating_sub(2))?,
        coded,
    ) {
        (Some(frame), _) => {
            out.push(Coding::Zstd as u8);
            put_varint(out, frame.len() as u64);
            out.extend_from_slice(&frame);
        }
        (None, Some(coded)) => {
            out.push(Coding::Huffman as u8);
            out.extend_from_slice(&coded);
        }
        (None, None) => {
            out.push(Coding::Packed as u8);
            out.extend_from_slice(&packed());
        }
    }
    Ok(())
}

/// The bytes of `count` symbols of `bits` bits that are packed: `Corrupt` if the stream is coded otherwise.
pub(crate) fn take_packed<'a>(
    cursor: &mut Cursor<'a>,
    count: usize,
    bits: u32,
) -> Result<&'a [u8]> {
    match cursor.u8()? {
        0 => cursor.take(bits::packed_bytes(count, bits)?),
        id => Err(Error::corrupt(format!(
            "a stream of coding {id}, expected 0"
        ))),
    }
}

/// Reads `count` symbols of 8 bits. (No symbols are no bytes, and count as packed.)
pub(crate) fn read_bytes<'a>(
    cursor: &mut Cursor<'a>,
    count: usize,
) -> Result<(Cow<'a, [u8]>, Coding)> {
    if count == 0 {
        return Ok((Cow::Borrowed(&[]), Coding::Packed));
    }
    match read_body(cursor, count)? {
        Body::Packed(body) => Ok((Cow::Borrowed(body), Coding::Packed)),
        Body::Zstd(frame) => Ok((Cow::Owned(zstd::decode(frame, count)?), Coding::Zstd)),
        Body::Huffman => Ok((
            huffman::stream::read(cursor, count)?.into(),
            Coding::Huffman,
        )),
    }
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
    let body = read_body(cursor, bits::packed_bytes(count, bits)?)?;
    symbols_of(body, cursor, count, bits)
}

/// As [`read_symbols`], of at most 8 bits.
pub(crate) fn read_small_symbols(
    cursor: &mut Cursor<'_>,
    isa: Isa,
    count: usize,
    bits: u32,
) -> Result<(Buffer<u8>, Coding)> {
    if count == 0 {
        return Ok((Buffer::new(0), Coding::Packed));
    }
    match read_body(cursor, bits::packed_bytes(count, bits)?)? {
        Body::Packed(body) => match unpack::bytes(isa, body, count, bits) {
            Some(symbols) => Ok((symbols, Coding::Packed)),
            None => Err(Error::corrupt("bits after the last symbol are not zero")),
        },
        body => {
            let (wide, coding) = symbols_of(body, cursor, count, bits)?;
            let mut symbols = Buffer::new(count);
            for (symbol, wide) in symbols.iter_mut().zip(wide) {
                *symbol = wide as u8;
            }
            Ok((symbols, coding))
        }
    }
}

/// How many of the symbols, fewer than 2^32, have each value.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a byte is below 256, and there are fewer than 2^32"
)]
pub(crate) fn histogram(symbols: &[u8]) -> [u32; 256] {
    // Four counters of each: one has to wait until it has been written.
    let mut counts = [[0u32; 256]; 4];
    for symbols in symbols.chunks(4) {
        for (counts, &symbol) in counts.iter_mut().zip(symbols) {
            counts[usize::from(symbol)] += 1;
        }
    }
    std::array::from_fn(|value| counts.iter().map(|counts| counts[value]).sum())
}

/// The symbols of a stream whose body has just been read; those of prefix codes follow.
fn symbols_of(
    body: Body<'_>,
    cursor: &mut Cursor<'_>,
    count: usize,
    bits: u32,
) -> Result<(Vec<u32>, Coding)> {
    match body {
        Body::Packed(body) => Ok((bits::unpack(body, count, bits)?, Coding::Packed)),
        Body::Zstd(frame) => {
            // No more bytes than the symbols have bits, which have been counted.
            let n_bytes = count.saturating_mul(bits.div_ceil(8) as usize);
            let planes = zstd::decode(frame, n_bytes)?;
            Ok((bits::from_planes(&planes, count, bits)?, Coding::Zstd))
        }
        Body::Huffman if bits <= 8 => {
            let symbols = huffman::stream::read(cursor, count)?;
            Ok((bits::from_planes(&symbols, count, bits)?, Coding::Huffman))
        }
        Body::Huffman => Err(Error::corrupt(format!(
            "Huffman coding of symbols of {bits} bits"
        ))),
    }
}

enum Body<'a> {
    Packed(&'a [u8]),
    Zstd(&'a [u8]),
    /// It says itself where it ends.
    Huffman,
}

fn read_body<'a>(cursor: &mut Cursor<'a>, packed_bytes: usize) -> Result<Body<'a>> {
    match cursor.u8()? {
        0 => Ok(Body::Packed(cursor.take(packed_bytes)?)),
        1 => {
            let length = cursor.count()?;
            Ok(Body::Zstd(cursor.take(length)?))
        }
        2 => Ok(Body::Huffman),
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
    fn each_coding_is_for_something() {
        let coding = |symbols: &[u8]| {
            let mut out = Vec::new();
            write_bytes(&mut out, symbols).unwrap();
            (out[0], out.len())
        };
        // What repeats is for zstd, a skew for Huffman, noise for nothing. One symbol takes no bits.
        let noise: Vec<u8> = (0..200u32).map(|i| ((i * i * 89) >> 3) as u8).collect();
        assert_eq!(coding(&noise.repeat(20)).0, Coding::Zstd as u8);
        assert_eq!(coding(&noise).0, Coding::Packed as u8);
        let skewed: Vec<u8> = noise
            .iter()
            .map(|byte| byte.leading_zeros() as u8)
            .collect();
        assert_eq!(coding(&skewed).0, Coding::Huffman as u8);
        assert_eq!(coding(&[7; 10_000]), (Coding::Huffman as u8, 7));
        round_trip(&[70_000; 5_000], 17);
    }

    #[test]
    fn ids_of_the_future_are_unsupported() {
        let error = read_bytes(&mut Cursor::new(&[3, 0]), 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn the_coding_ids_never_change() {
        let ids = [Coding::Packed, Coding::Zstd, Coding::Huffman].map(|c| c as u8);
        assert_eq!(ids, [0, 1, 2]);
    }
}

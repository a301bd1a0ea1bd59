//! Streams of symbols, in every coding that there is (spec §10).

use crate::cursor::Cursor;
use crate::error::Result;
use crate::kernels::{Isa, unpack};
use crate::stream::bits::{self, BitReader, BitWriter};
use crate::stream::huffman::{ABSENT, Bundle, PrefixCode, Run, SymbolOrder, write_bundle};
use crate::stream::{self, Coding, zstd};

/// Most symbols that are coded, which takes longer than decoding.
const MAX_WRITTEN: usize = 2048;

/// What a zstd frame begins with.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Streams: any bytes are as many symbols as they are asked for or an error, whatever the kernels and
/// whatever follows them, and are what a bit at a time would give; and any symbols come back. The first
/// bytes say which coding, of how many bits, and how many symbols (`u8`, `u8`, `u16`).
///
/// # Panics
/// If that does not hold.
pub fn stream(bytes: &[u8]) {
    let mut input = Cursor::new(bytes);
    let (Ok(what), Ok(choice), Ok(count)) = (input.u8(), input.u8(), input.u16()) else {
        return;
    };
    let (bits, count, bytes) = (u32::from(choice % 32) + 1, usize::from(count), input.rest());
    match what % 8 {
        0 => streams_of_bytes(count, bytes),
        1 => streams_of_symbols(count, bits, bytes),
        2 => symbols_come_back(bits, bytes),
        3 => packed_symbols(bits, bytes),
        4 => prefix_codes(choice, count, bytes),
        5 => bundles(choice, count, bytes),
        6 => zstd_frames(count, bytes),
        _ => runs_of_bits(choice, count, bytes),
    }
}

/// Checks that what `read` says of `bytes` hangs on those alone that it takes, and on all of them; what
/// it says.
fn read_exactly<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    read: impl Fn(&mut Cursor<'_>) -> Result<T>,
) -> Option<T> {
    let mut cursor = Cursor::new(bytes);
    let found = read(&mut cursor).ok()?;
    let end = cursor.position();
    let again = read(&mut Cursor::new(&bytes[..end]));
    assert_eq!(again.ok().as_ref(), Some(&found));
    if let Some(last) = end.checked_sub(1) {
        assert!(read(&mut Cursor::new(&bytes[..last])).is_err());
    }
    Some(found)
}

fn streams_of_bytes(count: usize, bytes: &[u8]) {
    let found = read_exactly(bytes, |cursor| {
        let (symbols, coding) = stream::read_bytes(cursor, count)?;
        Ok((symbols.into_owned(), coding))
    });
    if let Some((symbols, coding)) = found {
        assert_eq!(symbols.len(), count);
        if coding == Coding::Packed && count > 0 {
            assert_eq!(symbols, bytes[1..=count]);
        }
        if count <= MAX_WRITTEN {
            bytes_come_back_as(&symbols);
        }
    }
}

fn bytes_come_back_as(symbols: &[u8]) {
    let mut out = Vec::new();
    stream::write_bytes(&mut out, symbols).expect("any bytes are written");
    assert!(out.len() <= 1 + symbols.len());
    let found = read_exactly(&out, |cursor| {
        let symbols = stream::read_bytes(cursor, symbols.len())?.0;
        Ok((symbols.into_owned(), cursor.position()))
    });
    assert_eq!(found, Some((symbols.to_vec(), out.len())));
}

fn streams_of_symbols(count: usize, bits: u32, bytes: &[u8]) {
    let found = read_exactly(bytes, |cursor| stream::read_symbols(cursor, count, bits));
    if let Some((symbols, coding)) = found {
        assert_eq!(symbols.len(), count);
        assert!(symbols.iter().all(|&s| u64::from(s) >> bits == 0));
        if coding == Coding::Packed && count > 0 {
            assert_eq!(symbols, bit_by_bit(&bytes[1..], bits, count));
        }
        if count <= MAX_WRITTEN {
            symbols_come_back_as(&symbols, bits);
        }
    }
}

fn symbols_come_back(bits: u32, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(4 * MAX_WRITTEN)];
    bytes_come_back_as(&bytes[..bytes.len().min(MAX_WRITTEN)]);
    let symbols: Vec<u32> = bytes
        .chunks_exact(bits.div_ceil(8) as usize)
        .map(|bytes| bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
        .map(|symbol| (symbol & ((1 << bits) - 1)) as u32)
        .take(MAX_WRITTEN)
        .collect();
    symbols_come_back_as(&symbols, bits);
}

fn symbols_come_back_as(symbols: &[u32], bits: u32) {
    let mut smallest = Vec::new();
    stream::write_symbols(&mut smallest, symbols, bits).expect("any symbols are written");
    let mut packed = Vec::new();
    stream::write_packed(&mut packed, symbols, bits);
    assert!(smallest.len() <= packed.len());
    for out in [smallest, packed] {
        let found = read_exactly(&out, |cursor| {
            let symbols = stream::read_symbols(cursor, symbols.len(), bits)?.0;
            Ok((symbols, cursor.position()))
        });
        assert_eq!(found, Some((symbols.to_vec(), out.len())));
    }
}

/// Symbols of `bits` bits, LSB-first, a bit at a time.
fn bit_by_bit(bytes: &[u8], bits: u32, count: usize) -> Vec<u32> {
    let bit = |at: usize| u32::from(bytes[at / 8] >> (at % 8) & 1);
    let bits = bits as usize;
    (0..count)
        .map(|i| (0..bits).fold(0, |symbol, j| symbol | bit(i * bits + j) << j))
        .collect()
}

fn packed_symbols(bits: u32, bytes: &[u8]) {
    let count = 8 * bytes.len() / bits as usize;
    let packed = &bytes[..(count * bits as usize).div_ceil(8)];
    let expected = bit_by_bit(packed, bits, count);
    let found = bits::unpack(packed, count, bits);
    match found {
        Ok(found) => {
            assert_eq!(found, expected);
            assert_eq!(bits::pack(&found, bits), packed);
        }
        Err(_) => assert!(bits::pack(&expected, bits) != packed, "bits after the last"),
    }
    if bits <= 8 {
        let is_exact = bits::pack(&expected, bits) == packed;
        for isa in Isa::available() {
            let found = unpack::bytes(isa, packed, count, bits);
            assert_eq!(found.is_some(), is_exact, "{}", isa.name());
            if let Some(found) = found {
                let found = found.iter().map(|&symbol| u32::from(symbol));
                assert!(found.eq(expected.iter().copied()), "{}", isa.name());
            }
        }
    }
}

/// Lengths of a code of `count` symbols, and then bytes that name symbols.
fn prefix_codes(choice: u8, count: usize, bytes: &[u8]) {
    let order = [SymbolOrder::Number, SymbolOrder::SetBits][usize::from(choice & 1)];
    let mut reader = BitReader::new(bytes);
    let Ok(code) = PrefixCode::read(&mut reader, count % 256 + 1, order) else {
        return;
    };
    // There is one way to write a code.
    let end = reader.position();
    assert_eq!(code.written_bits(order), end as u64);
    let mut writer = BitWriter::default();
    code.write(&mut writer, order);
    let written = writer.finish();
    assert_eq!(bit_by_bit(&written, 1, end), bit_by_bit(bytes, 1, end));

    let present: Vec<u8> = (0..=255)
        .zip(code.lengths())
        .filter(|(_, length)| **length != ABSENT)
        .map(|(symbol, _)| symbol)
        .collect();
    let named = bytes[end.div_ceil(8)..].iter();
    let symbols = named.map(|&byte| present[usize::from(byte) % present.len()]);
    let run = Run {
        code: &code,
        symbols: symbols.collect(),
    };
    check_bundle(&[run]);
}

/// Checks that runs of symbols come back from their bundle, whatever follows it.
fn check_bundle(runs: &[Run<'_>]) {
    if runs.iter().all(|run| run.symbols.is_empty()) {
        return;
    }
    let mut out = Vec::new();
    write_bundle(&mut out, runs.iter());
    let n_bytes = out.len();
    for more in [&[][..], &[0xa5; 70]] {
        out.truncate(n_bytes);
        out.extend_from_slice(more);
        for isa in Isa::available() {
            let sizes = runs.iter().map(|run| (run.code, run.symbols.len()));
            let decoded = decode_bundle(&out, isa, sizes).expect("a bundle that was written");
            let expected: Vec<&Vec<u8>> = runs.iter().map(|run| &run.symbols).collect();
            assert!(decoded.runs.iter().eq(expected), "{}", isa.name());
            assert_eq!((decoded.end, decoded.rest_bytes), (n_bytes, 0));
        }
    }
}

/// What is in a bundle.
#[derive(PartialEq, Debug)]
struct Decoded {
    runs: Vec<Vec<u8>>,
    rest_bytes: u64,
    end: usize,
}

/// The symbols of runs with these codes and lengths.
fn decode_bundle<'c>(
    bytes: &[u8],
    isa: Isa,
    runs: impl Iterator<Item = (&'c PrefixCode, usize)>,
) -> Result<Decoded> {
    let mut cursor = Cursor::new(bytes);
    let mut bundle = Bundle::read(&mut cursor)?;
    let runs = runs.map(|(code, n)| {
        let mut symbols = vec![0x55; n];
        bundle.run(isa, &code.decode_table(), &mut symbols);
        symbols
    });
    let runs = runs.collect();
    let rest_bytes = bundle.rest_bytes();
    bundle.check_end()?;
    Ok(Decoded {
        runs,
        rest_bytes,
        end: cursor.position(),
    })
}

/// One to three codes, by how often their symbols are said to occur, and then a bundle of as many runs.
fn bundles(choice: u8, count: usize, bytes: &[u8]) {
    let mut input = Cursor::new(bytes);
    let mut codes = vec![];
    for _ in 0..=choice % 3 {
        let n = usize::from(input.u8().unwrap_or(0)) + 1;
        let Ok(histogram) = input.take(n) else {
            return;
        };
        let histogram: Vec<u64> = histogram.iter().map(|&n| u64::from(n)).collect();
        // The shortest, or the cheapest with its lengths.
        codes.extend(match choice & 0x80 {
            0 => PrefixCode::of_histogram(&histogram),
            _ => PrefixCode::cheapest(&histogram, SymbolOrder::SetBits),
        });
    }
    let each = count % 4096 / codes.len().max(1);
    let sizes = || codes.iter().map(|code| (code, each));
    if each == 0 || codes.is_empty() {
        return;
    }
    let plain = decode_bundle(input.rest(), Isa::Plain, sizes());
    for isa in Isa::available() {
        match (&plain, decode_bundle(input.rest(), isa, sizes())) {
            (Ok(plain), Ok(other)) => assert_eq!(*plain, other, "{}", isa.name()),
            (Err(plain), Err(other)) => assert_eq!(plain.to_string(), other.to_string()),
            (plain, other) => panic!("{:?} and {:?}", plain.is_ok(), other.is_ok()),
        }
    }
    if let Ok(Decoded { runs, .. }) = plain {
        let runs = codes.iter().zip(runs);
        let runs: Vec<Run<'_>> = runs.map(|(code, symbols)| Run { code, symbols }).collect();
        check_bundle(&runs);
    }
}

/// What follows the magic of a frame.
fn zstd_frames(length: usize, bytes: &[u8]) {
    let frame = [&ZSTD_MAGIC, bytes].concat();
    // Of frames that an encoder doesn't write, the decoders may think differently (see there).
    for content in [
        zstd::decode(&frame, length),
        zstd::decode_in_rust(&frame, length),
    ] {
        let Ok(content) = content else {
            continue;
        };
        assert_eq!(content.len(), length);
        if length > MAX_WRITTEN {
            continue;
        }
        let written = zstd::compress_below(&content, usize::MAX).expect("any bytes are compressed");
        let written = written.expect("no limit");
        for read in [zstd::decode, zstd::decode_in_rust] {
            assert_eq!(read(&written, length).ok().as_ref(), Some(&content));
        }
    }
}

/// Numbers whose value is that of the zeros before a one, or of the ones before a zero with low bits
/// after them (spec §9.1.3: holes), against a bit at a time.
fn runs_of_bits(choice: u8, count: usize, bytes: &[u8]) {
    let n_bits = 8 * bytes.len();
    let all = bit_by_bit(bytes, 1, n_bits);
    let most = choice % 48;
    let mut zeros = vec![];
    let mut reader = BitReader::new(bytes);
    let found = reader.zeros_of_each(count, most.into(), |n| {
        zeros.push(n as usize);
        Ok(())
    });
    let mut at = 0;
    for &n in &zeros {
        assert!(n <= usize::from(most));
        assert!(all[at..at + n].iter().all(|&bit| bit == 0) && all[at + n] == 1);
        at += n + 1;
    }
    let next = all[at..].iter().position(|&bit| bit == 1);
    match found {
        Ok(()) => assert_eq!((zeros.len(), reader.position()), (count, at)),
        Err(_) => assert!(next.is_none_or(|n| n > usize::from(most))),
    }

    let (most, low_bits) = (usize::from(choice) * 3, u32::from(choice % 33));
    let mut reader = BitReader::new(bytes);
    let mut at = 0;
    for _ in 0..count {
        let expected = all[at..].iter().position(|&bit| bit == 0);
        let Ok(ones) = reader.ones(most) else {
            assert!(expected.is_none_or(|n| n > most));
            return;
        };
        assert_eq!(Some(ones), expected);
        at += ones + 1;
        let Ok(low) = reader.take(low_bits) else {
            assert!(at + low_bits as usize > n_bits);
            return;
        };
        let bit = |i: u32| u64::from(all[at + i as usize]) << i;
        assert_eq!(u64::from(low), (0..low_bits).map(bit).sum::<u64>());
        at += low_bits as usize;
        assert_eq!(reader.position(), at);
    }
    let after = &all[at..at.next_multiple_of(8)];
    let is_end = after.iter().all(|&bit| bit == 0);
    assert_eq!(reader.finish().ok(), is_end.then(|| at.div_ceil(8)));
}

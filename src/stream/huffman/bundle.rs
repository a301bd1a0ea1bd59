//! Bundles: runs of symbols, interleaved over one or eight streams (spec §10.3.2).

use super::PrefixCode;
use crate::cursor::{Cursor, put_varint};
use crate::error::{Error, Result};
use crate::kernels::Isa;
use crate::kernels::huffman::{DecodeTable, MAX_STREAMS, Streams};
use crate::stream::bits::{self, BitWriter};
use std::ops::Range;

/// Most bits of how much longer a stream is than the shortest.
const MAX_LENGTH_BITS: u32 = 32;

/// Numbers of streams that a bundle can have.
pub(crate) const N_STREAMS: [usize; 2] = [1, MAX_STREAMS];

/// Symbols of a bundle from which on eight streams are worth their lengths: about what decoding one
/// stream takes longer.
const MANY_SYMBOLS: usize = 768;

/// A run of symbols, and the code that has a word for each of them.
pub(crate) struct Run<'c> {
    pub(crate) code: &'c PrefixCode,
    pub(crate) symbols: Vec<u8>,
}

/// Appends a bundle of these runs to `out`; nothing if they have no symbols.
#[expect(
    clippy::indexing_slicing,
    reason = "a writer's symbols have code words"
)]
pub(crate) fn write_bundle<'r, 'c: 'r>(
    out: &mut Vec<u8>,
    runs: impl Iterator<Item = &'r Run<'c>> + Clone,
) {
    let n_symbols: usize = runs.clone().map(|run| run.symbols.len()).sum();
    if n_symbols == 0 {
        return;
    }
    let n_streams = match n_symbols >= MANY_SYMBOLS {
        true => MAX_STREAMS,
        false => 1,
    };
    let mut streams: Vec<BitWriter> = (0..n_streams).map(|_| BitWriter::default()).collect();
    for run in runs {
        let words: Vec<(u32, u32)> = run
            .code
            .words()
            .iter()
            .zip(run.code.lengths())
            .map(|(&word, &length)| (u32::from(word), u32::from(length)))
            .collect();
        for symbols in run.symbols.chunks(n_streams) {
            for (stream, &symbol) in streams.iter_mut().zip(symbols) {
                let (word, length) = words[usize::from(symbol)];
                stream.put(word, length);
            }
        }
    }
    let streams: Vec<Vec<u8>> = streams.into_iter().map(BitWriter::finish).collect();
    out.push(n_streams as u8);
    write_lengths(out, &streams);
    streams
        .iter()
        .for_each(|stream| out.extend_from_slice(stream));
}

/// Appends the lengths of streams: the shortest, and by how much the others are longer.
fn write_lengths(out: &mut Vec<u8>, streams: &[Vec<u8>]) {
    let shortest = streams.iter().map(Vec::len).min().unwrap_or(0);
    put_varint(out, shortest as u64);
    if streams.len() > 1 {
        let longer: Vec<u32> = streams
            .iter()
            .map(|stream| stream.len().saturating_sub(shortest) as u32)
            .collect();
        let bits = longer
            .iter()
            .map(|&n| bits::bit_width(n.into()))
            .max()
            .unwrap_or(0);
        out.push(bits as u8);
        out.extend(bits::pack(&longer, bits));
    }
}

/// Decodes runs of symbols.
pub(crate) struct Bundle<'a> {
    /// The streams, and whatever follows them in the block: a wide load may touch that.
    bytes: &'a [u8],
    /// Where the streams are in `bytes`.
    ranges: Vec<Range<usize>>,
    streams: Streams<'a>,
}

impl<'a> Bundle<'a> {
    /// Reads the lengths of the streams, and steps over them.
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self> {
        let n_streams = usize::from(cursor.u8()?);
        if !N_STREAMS.contains(&n_streams) {
            return Err(Error::unsupported(format!(
                "a bundle of {n_streams} streams"
            )));
        }
        let lengths = read_lengths(cursor, n_streams)?;
        let bytes = cursor.rest();
        let mut ranges = Vec::with_capacity(n_streams);
        let mut end = 0usize;
        for length in lengths {
            cursor.take(length)?;
            // All of them lie in `bytes`.
            let start = end;
            end = start.saturating_add(length);
            ranges.push(start..end);
        }
        let starts: Vec<usize> = ranges.iter().map(|range| range.start).collect();
        Ok(Self {
            bytes,
            ranges,
            streams: Streams::new(bytes, &starts),
        })
    }

    /// Decodes the next run.
    pub(crate) fn run(&mut self, isa: Isa, table: &DecodeTable, out: &mut [u8]) {
        self.streams.decode(isa, table, out);
    }

    /// Bytes of the streams that no run has taken yet.
    pub(crate) fn rest_bytes(&self) -> u64 {
        let rest_bits = self.ranges.iter().enumerate().map(|(stream, range)| {
            let taken = self.streams.bits_taken(stream, range.start) as u64;
            (range.len() as u64).saturating_mul(8).saturating_sub(taken)
        });
        rest_bits.sum::<u64>() / 8
    }

    /// Checks that every stream ends with its last symbol.
    pub(crate) fn check_end(&self) -> Result<()> {
        for (stream, range) in self.ranges.iter().cloned().enumerate() {
            let bits = self.streams.bits_taken(stream, range.start);
            if bits.div_ceil(8) != range.len() {
                return Err(Error::corrupt(format!(
                    "the symbols of stream {stream} take {bits} bits, it has {} bytes",
                    range.len()
                )));
            }
            let bytes = self.bytes.get(range).unwrap_or_default();
            let last = bytes.last().copied().unwrap_or(0);
            if !bits.is_multiple_of(8) && last >> (bits % 8) != 0 {
                return Err(Error::corrupt(format!(
                    "bits after the last symbol of stream {stream} are not zero"
                )));
            }
        }
        Ok(())
    }
}

fn read_lengths(cursor: &mut Cursor<'_>, n_streams: usize) -> Result<Vec<usize>> {
    let shortest = cursor.count()?;
    if n_streams == 1 {
        return Ok(vec![shortest]);
    }
    let bits = u32::from(cursor.u8()?);
    if bits > MAX_LENGTH_BITS {
        return Err(Error::corrupt(format!(
            "lengths of streams in {bits} bits, expected at most {MAX_LENGTH_BITS}"
        )));
    }
    let packed = cursor.take(bits::packed_bytes(n_streams, bits)?)?;
    let longer = bits::unpack(packed, n_streams, bits)?;
    Ok(longer
        .iter()
        .map(|&n| shortest.saturating_add(n as usize))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn histogram(symbols: &[u8]) -> Vec<u64> {
        let mut histogram = vec![0; 256];
        symbols.iter().for_each(|&s| histogram[usize::from(s)] += 1);
        histogram
    }

    /// Runs of symbols, each with its own skew.
    fn runs() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let run = (0usize..1500, 0u32..9, any::<u64>()).prop_map(|(n, quiet, seed)| {
            let mut state = seed | 1;
            let mut next = || {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                (state >> 56) as u8
            };
            (0..n)
                .map(|_| next().checked_shr(quiet).unwrap_or(0) & next())
                .collect()
        });
        prop::collection::vec(run, 1..5)
    }

    fn write(symbols: &[Vec<u8>]) -> (Vec<u8>, Vec<Option<PrefixCode>>) {
        let codes: Vec<_> = symbols
            .iter()
            .map(|run| PrefixCode::of_histogram(&histogram(run)))
            .collect();
        let runs: Vec<Run<'_>> = symbols
            .iter()
            .zip(&codes)
            .filter_map(|(symbols, code)| {
                Some(Run {
                    code: code.as_ref()?,
                    symbols: symbols.clone(),
                })
            })
            .collect();
        let mut out = Vec::new();
        write_bundle(&mut out, runs.iter());
        (out, codes)
    }

    fn read(
        bytes: &[u8],
        runs: &[Vec<u8>],
        codes: &[Option<PrefixCode>],
        isa: Isa,
    ) -> Result<(Vec<Vec<u8>>, usize)> {
        if runs.iter().all(Vec::is_empty) {
            return Ok((runs.to_vec(), 0));
        }
        let mut cursor = Cursor::new(bytes);
        let mut bundle = Bundle::read(&mut cursor)?;
        let mut decoded = Vec::new();
        for (run, code) in runs.iter().zip(codes) {
            let mut out = vec![0x55; run.len()];
            if let Some(code) = code {
                bundle.run(isa, &code.decode_table(), &mut out);
            }
            decoded.push(out);
        }
        bundle.check_end()?;
        Ok((decoded, cursor.position()))
    }

    proptest! {
        #[test]
        fn runs_come_back_on_every_machine(runs in runs(), after in prop::collection::vec(any::<u8>(), 0..80)) {
            let (bytes, codes) = write(&runs);
            let followed = [&bytes[..], &after].concat();
            for isa in Isa::available() {
                let (decoded, end) = read(&followed, &runs, &codes, isa).unwrap();
                prop_assert_eq!(&decoded, &runs, "{:?}", isa);
                prop_assert_eq!(end, bytes.len());
            }
        }

        #[test]
        fn damaged_streams_decode_alike_on_every_machine(runs in runs(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let (mut bytes, codes) = write(&runs);
            // Runs that are all empty have no bundle.
            prop_assume!(!bytes.is_empty());
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(cut.index(2 * bytes.len() + 1));
            let plain = read(&bytes, &runs, &codes, Isa::Plain).map_err(|e| e.to_string());
            for isa in Isa::available() {
                prop_assert_eq!(&read(&bytes, &runs, &codes, isa).map_err(|e| e.to_string()), &plain);
            }
        }
    }

    #[test]
    fn a_stream_that_is_too_long_or_not_padded_is_corrupt() {
        let runs = [vec![0, 1, 1, 0, 1]];
        let (bytes, codes) = write(&runs);
        assert_eq!(bytes, [1, 1, 0b10110]);
        for bad in [
            &[1, 1, 0b110110][..],
            &[1, 2, 0b10110, 0],
            &[1, 0],
            &[2, 1, 1, 0, 0],
            &[8, 0, 33],
        ] {
            assert!(read(bad, &runs, &codes, Isa::Plain).is_err(), "{bad:?}");
        }
    }
}

//! Bundles: runs of symbols, interleaved over one or eight streams (spec §10.3.2).

use super::PrefixCode;
use crate::cursor::{Cursor, put_varint, to_usize};
use crate::error::{Error, Result};
use crate::kernels::Isa;
use crate::kernels::huffman::{DecodeTable, MAX_STREAMS, Streams};
use crate::stream::bits::BitWriter;
use std::ops::Range;

/// Numbers of streams that a bundle can have.
pub(crate) const N_STREAMS: [usize; 2] = [1, MAX_STREAMS];

/// Symbols of a bundle from which on eight streams are worth the lengths of seven more.
const MANY_SYMBOLS: usize = 512;

/// Codes runs of symbols.
pub(crate) struct BundleWriter {
    streams: Vec<BitWriter>,
}

impl BundleWriter {
    /// Starts a bundle that will have so many symbols.
    pub(crate) fn new(n_symbols: usize) -> Self {
        let n_streams = N_STREAMS[usize::from(n_symbols >= MANY_SYMBOLS)];
        Self {
            streams: (0..n_streams).map(|_| BitWriter::default()).collect(),
        }
    }

    /// Appends a run; the code has a word for each of its symbols.
    pub(crate) fn run(&mut self, code: &PrefixCode, symbols: impl Iterator<Item = u8>) {
        let words: Vec<(u32, u32)> = code
            .words()
            .iter()
            .zip(code.lengths())
            .map(|(&word, &length)| (u32::from(word), u32::from(length)))
            .collect();
        let n_streams = self.streams.len();
        let mut stream = 0;
        for symbol in symbols {
            let (word, length) = words[usize::from(symbol)];
            self.streams[stream].put(word, length);
            stream = (stream + 1) % n_streams;
        }
    }

    /// Appends the bundle to `out`.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        out.push(self.streams.len() as u8);
        let streams: Vec<Vec<u8>> = self.streams.into_iter().map(BitWriter::finish).collect();
        streams.iter().for_each(|stream| put_varint(out, stream.len() as u64));
        streams.iter().for_each(|stream| out.extend_from_slice(stream));
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
            return Err(Error::unsupported(format!("a bundle of {n_streams} streams")));
        }
        let lengths = (0..n_streams)
            .map(|_| to_usize(cursor.varint()?))
            .collect::<Result<Vec<usize>>>()?;
        let bytes = cursor.rest();
        let mut ranges = Vec::with_capacity(n_streams);
        let mut end = 0;
        for length in lengths {
            cursor.take(length)?;
            ranges.push(end..end + length);
            end += length;
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

    /// Checks that every stream ends with its last symbol.
    pub(crate) fn finish(self) -> Result<()> {
        for (stream, range) in self.ranges.into_iter().enumerate() {
            let bits = self.streams.bits_taken(stream, range.start);
            if bits.div_ceil(8) != range.len() {
                return Err(Error::corrupt(format!(
                    "the symbols of stream {stream} take {bits} bits, it has {} bytes",
                    range.len()
                )));
            }
            let last = self.bytes[range].last().copied().unwrap_or(0);
            if !bits.is_multiple_of(8) && last >> (bits % 8) != 0 {
                return Err(Error::corrupt(format!(
                    "bits after the last symbol of stream {stream} are not zero"
                )));
            }
        }
        Ok(())
    }
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
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            };
            (0..n).map(|_| next().checked_shr(quiet).unwrap_or(0) & next()).collect()
        });
        prop::collection::vec(run, 1..5)
    }

    fn write(runs: &[Vec<u8>]) -> (Vec<u8>, Vec<Option<PrefixCode>>) {
        let codes: Vec<_> = runs.iter().map(|run| PrefixCode::of_histogram(&histogram(run))).collect();
        let mut writer = BundleWriter::new(runs.iter().map(Vec::len).sum());
        for (run, code) in runs.iter().zip(&codes) {
            if let Some(code) = code {
                writer.run(code, run.iter().copied());
            }
        }
        let mut out = Vec::new();
        writer.finish(&mut out);
        (out, codes)
    }

    fn read(bytes: &[u8], runs: &[Vec<u8>], codes: &[Option<PrefixCode>], isa: Isa) -> Result<(Vec<Vec<u8>>, usize)> {
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
        bundle.finish()?;
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
        for bad in [&[1, 1, 0b110110][..], &[1, 2, 0b10110, 0], &[1, 0], &[2, 1, 1, 0, 0]] {
            assert!(read(bad, &runs, &codes, Isa::Plain).is_err(), "{bad:?}");
        }
    }
}

//! Decoding of interleaved prefix-coded streams (spec §10.3.2).
//!
//! Eight streams advance side by side, because each symbol of a stream has to wait for the one
//! before it. A stream is a position and a buffer. The buffer holds the bits that come next, the
//! first one lowest, and above them a one that marks how many bits have been taken since it was
//! filled: as many as there are zeros above the one.

use super::Isa;

/// Most bits of a code word.
pub(crate) const MAX_CODE_BITS: u32 = 11;

/// Most streams of a bundle.
pub(crate) const MAX_STREAMS: usize = 8;

/// Symbols that are decoded from a stream between two fillings: their bits are always there, since
/// a filled buffer has at least 56.
const SYMBOLS_PER_FILL: usize = 56 / MAX_CODE_BITS as usize;

/// Symbols of all eight streams between two fillings.
const ROUND: usize = MAX_STREAMS * SYMBOLS_PER_FILL;

/// Most bytes that a stream advances in a round.
const ROUND_BYTES: usize = 7;

/// Entries of a table.
const ENTRIES: usize = 1 << MAX_CODE_BITS;

/// The marker of a buffer.
const MARK: u64 = 1 << 63;

/// For the next eleven bits of a stream: the symbol that they begin with in the high byte, the bits
/// of its code word in the low one.
pub(crate) struct DecodeTable(Box<[u16; ENTRIES]>);

impl DecodeTable {
    /// The table of a complete code: for each symbol its code word, first bit lowest, and the bits of
    /// that, at most [`MAX_CODE_BITS`]; in the order of these bits.
    pub(crate) fn new(words: impl Iterator<Item = (u8, u16, u8)>) -> Self {
        let mut entries = Box::new([0; ENTRIES]);
        // What the first `bits` bits of a stream lead to stands in as many entries as these have
        // values. One bit more doubles them: only its own words are new.
        let mut bits = 0;
        for (symbol, word, bits_of_word) in words {
            while bits < bits_of_word {
                let half = 1 << bits;
                entries.copy_within(..half, half);
                bits += 1;
            }
            entries[usize::from(word) % ENTRIES] = u16::from(symbol) << 8 | u16::from(bits_of_word);
        }
        for bits in u32::from(bits)..MAX_CODE_BITS {
            entries.copy_within(..1 << bits, 1 << bits);
        }
        Self(entries)
    }
}

/// Streams that are being decoded.
pub(crate) struct Streams<'a> {
    /// What the positions count in; the streams lie in it.
    bytes: &'a [u8],
    /// Where each buffer was filled from.
    at: [usize; MAX_STREAMS],
    buffers: [u64; MAX_STREAMS],
    n_streams: usize,
}

impl<'a> Streams<'a> {
    /// One stream or eight that begin at these offsets of `bytes`. Bytes beyond a stream's end may
    /// be loaded, but for a good stream they make no difference.
    ///
    /// # Panics
    /// If there are as many as no bundle has.
    pub(crate) fn new(bytes: &'a [u8], starts: &[usize]) -> Self {
        assert!(matches!(starts.len(), 1 | MAX_STREAMS));
        let mut at = [0; MAX_STREAMS];
        at[..starts.len()].copy_from_slice(starts);
        Self {
            bytes,
            at,
            buffers: [MARK; MAX_STREAMS],
            n_streams: starts.len(),
        }
    }

    /// One stream that begins at a bit.
    pub(crate) fn at_bit(bytes: &'a [u8], bit: usize) -> Self {
        let mut streams = Self::new(bytes, &[bit / 8]);
        // As if the bits before it had been taken.
        streams.buffers[0] >>= bit % 8;
        streams
    }

    /// Decodes a run: symbol `j` comes from stream `j` modulo the number of streams.
    pub(crate) fn decode(&mut self, isa: Isa, table: &DecodeTable, mut out: &mut [u8]) {
        if self.n_streams == MAX_STREAMS {
            let rounds = |streams: &Self, out: &[u8]| streams.n_rounds().min(out.len() / ROUND);
            let mut n = rounds(self, out);
            while n > 0 {
                let (now, later) = out.split_at_mut(n * ROUND);
                out = later;
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 | Isa::Avx512 => x86::decode_rounds(self, table, now),
                    _ => decode_rounds(self, table, now),
                }
                n = rounds(self, out);
            }
        }
        match self.n_streams {
            MAX_STREAMS => self.decode_with_care::<MAX_STREAMS>(table, out),
            _ => self.decode_with_care::<1>(table, out),
        }
    }

    /// As [`decode`](Self::decode) from `N` streams, of which there are as many; what lies beyond
    /// `bytes` is not loaded.
    fn decode_with_care<const N: usize>(&mut self, table: &DecodeTable, out: &mut [u8]) {
        for symbols in out.chunks_mut(N * SYMBOLS_PER_FILL) {
            let n_filled = N.min(symbols.len());
            (0..n_filled).for_each(|stream| self.fill(stream));
            let mut buffers: [u64; N] = std::array::from_fn(|stream| self.buffers[stream]);
            let (rows, rest) = symbols.as_chunks_mut::<N>();
            for row in rows {
                decode_row(row, &mut buffers, table);
            }
            decode_row(rest, &mut buffers, table);
            self.buffers[..N].copy_from_slice(&buffers);
        }
    }

    /// Bits that have been taken from a stream that began at `start`.
    pub(crate) fn bits_taken(&self, stream: usize, start: usize) -> usize {
        8 * (self.at[stream] - start) + self.buffers[stream].leading_zeros() as usize
    }

    /// Rounds that can be decoded before a filling could leave `bytes`: every filling of a round
    /// reads eight bytes, at most `ROUND_BYTES` after those of the round before.
    fn n_rounds(&self) -> usize {
        let last = |at: usize| (self.bytes.len().checked_sub(8)?).checked_sub(at);
        self.at
            .iter()
            .map(|&at| last(at).map_or(0, |room| room / ROUND_BYTES))
            .min()
            .unwrap_or(0)
    }

    /// Fills a buffer; bytes after the end are zero.
    fn fill(&mut self, stream: usize) {
        let taken = self.buffers[stream].leading_zeros();
        self.at[stream] += (taken >> 3) as usize;
        let rest = self.bytes.get(self.at[stream]..).unwrap_or_default();
        let word = match rest.first_chunk() {
            Some(word) => u64::from_le_bytes(*word),
            None => rest
                .iter()
                .rev()
                .fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        self.buffers[stream] = (word | MARK) >> (taken & 7);
    }
}

/// Decodes a symbol from each stream, from the first one on.
#[inline]
fn decode_row(symbols: &mut [u8], buffers: &mut [u64], table: &DecodeTable) {
    for (symbol, buffer) in symbols.iter_mut().zip(buffers) {
        let entry = table.0[*buffer as usize % ENTRIES];
        *symbol = (entry >> 8) as u8;
        *buffer >>= entry & 63;
    }
}

/// Decodes whole rounds; there are no more of them than [`Streams::n_rounds`].
fn decode_rounds(streams: &mut Streams<'_>, table: &DecodeTable, out: &mut [u8]) {
    for round in out.as_chunks_mut::<ROUND>().0 {
        for stream in 0..MAX_STREAMS {
            streams.fill(stream);
        }
        for symbols in round.as_chunks_mut::<MAX_STREAMS>().0 {
            decode_row(symbols, &mut streams.buffers, table);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_code)]

    use super::{DecodeTable, ENTRIES, MARK, MAX_STREAMS, ROUND, ROUND_BYTES, Streams};

    /// As the plain version.
    pub(super) fn decode_rounds(streams: &mut Streams<'_>, table: &DecodeTable, out: &mut [u8]) {
        assert!(out.len() / ROUND <= streams.n_rounds());
        // SAFETY: AVX2 kernels are only chosen on machines with BMI2 and LZCNT (`Isa::available`);
        // the rounds have just been counted.
        unsafe { rounds(streams, table, out) }
    }

    /// # Safety
    /// `out` has at most `streams.n_rounds()` rounds.
    #[target_feature(enable = "bmi1,bmi2,lzcnt")]
    unsafe fn rounds(streams: &mut Streams<'_>, table: &DecodeTable, out: &mut [u8]) {
        // A register that holds eleven, whatever the compiler knows about it: with a constant it
        // would not use the instruction that does without a copy of the buffer.
        let index_bits = std::hint::black_box(ENTRIES.ilog2());
        let mut at = streams.at;
        let mut buffers = streams.buffers;
        for round in out.as_chunks_mut::<ROUND>().0 {
            for stream in 0..MAX_STREAMS {
                let taken = buffers[stream].leading_zeros();
                // A buffer is taken from by at most 55 bits after 7: at most ROUND_BYTES bytes.
                at[stream] += (taken >> 3) as usize;
                debug_assert!(taken as usize / 8 <= ROUND_BYTES);
                // SAFETY: in round r of n ≤ n_rounds() the position is at most r·ROUND_BYTES after
                // the one that n_rounds() looked at, plus the bytes taken before the first round
                // (also at most ROUND_BYTES, and r starts at 0), so that it is at most
                // bytes.len() − 8.
                let word = unsafe {
                    streams
                        .bytes
                        .as_ptr()
                        .add(at[stream])
                        .cast::<u64>()
                        .read_unaligned()
                };
                buffers[stream] = (word | MARK) >> (taken & 7);
            }
            for symbols in round.as_chunks_mut::<MAX_STREAMS>().0 {
                for (symbol, buffer) in symbols.iter_mut().zip(&mut buffers) {
                    let index = core::arch::x86_64::_bzhi_u64(*buffer, index_bits) as usize;
                    // SAFETY: bzhi leaves the low eleven bits: the index is below ENTRIES.
                    let entry = unsafe { *table.0.get_unchecked(index) };
                    // SAFETY: a reference is valid for writes. Volatile, because the compiler would
                    // collect the bytes in a vector register, which costs more than it saves.
                    unsafe { std::ptr::from_mut(symbol).write_volatile((entry >> 8) as u8) };
                    *buffer >>= entry & 63;
                }
            }
        }
        streams.at = at;
        streams.buffers = buffers;
    }
}

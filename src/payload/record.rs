//! The record of a payload: tables, blocks, directory (spec §8.1, §8.3).

use super::decode::DecodedBlock;
use super::tables::{Decoders, Tables};
use super::{MAX_BLOCK_BYTES, MAX_BLOCK_ELEMENTS};
use crate::cursor::{Cursor, check_crc, put_crc, range_len, to_usize};
use crate::error::{Error, Result, Within};
use crate::kernels::Isa;
use crate::sparse::Rows;
use crate::word::{WIDTHS, Word};
use std::ops::Range;

/// Bytes of a row of the directory.
const DIRECTORY_ROW_BYTES: u64 = 16;

/// Bytes of the smallest block: two position kinds and a CRC-32.
const MIN_BLOCK_BYTES: u64 = 6;

/// What the manifest says of a payload, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PayloadMeta {
    /// Bytes of an element.
    pub(crate) width: usize,
    /// Number of elements, at least 1.
    pub(crate) elements: u64,
    /// Elements of a row; divides their number.
    pub(crate) columns: u64,
    /// Bytes of the record.
    pub(crate) stored_bytes: u64,
    /// Bytes of the tables at its start.
    pub(crate) table_bytes: u64,
    /// Number of blocks, at least 1.
    pub(crate) blocks: u64,
}

impl PayloadMeta {
    /// `Corrupt` if it breaks a rule of the payload table (spec §8).
    pub(crate) fn check(&self) -> Result<()> {
        if !WIDTHS.contains(&self.width) {
            return Err(Error::corrupt(format!(
                "elements of {} bytes, expected 1, 2, 4, 8 or 16",
                self.width
            )));
        }
        if self.elements == 0 || self.columns == 0 || !self.elements.is_multiple_of(self.columns) {
            return Err(Error::corrupt(format!(
                "{} elements in rows of {}",
                self.elements, self.columns
            )));
        }
        if self.elements.checked_mul(self.width as u64).is_none() {
            return Err(Error::corrupt(format!(
                "{} elements of {} bytes",
                self.elements, self.width
            )));
        }
        self.block_bytes().map(drop)
    }

    /// Bytes of the elements, which can be counted.
    pub(crate) fn decoded_bytes(&self) -> u64 {
        self.elements.saturating_mul(self.width as u64)
    }

    /// Bytes of the directory.
    pub(crate) fn directory_bytes(&self) -> Result<u64> {
        match self.blocks.checked_sub(1) {
            None => Err(Error::corrupt("no blocks")),
            Some(0) => Ok(0),
            Some(rows) => rows
                .checked_mul(DIRECTORY_ROW_BYTES)
                .and_then(|bytes| bytes.checked_add(4))
                .ok_or_else(|| {
                    Error::corrupt(format!(
                        "{} blocks are more than any file holds",
                        self.blocks
                    ))
                }),
        }
    }

    /// Bytes of all blocks; an error if the parts don't fit into the record.
    pub(crate) fn block_bytes(&self) -> Result<u64> {
        let directory_bytes = self.directory_bytes()?;
        let rest = self
            .stored_bytes
            .checked_sub(self.table_bytes)
            .and_then(|rest| rest.checked_sub(directory_bytes))
            .unwrap_or(0);
        if rest / MIN_BLOCK_BYTES < self.blocks {
            return Err(Error::corrupt(format!(
                "{} blocks with {} bytes of tables do not fit into a record of {} bytes",
                self.blocks, self.table_bytes, self.stored_bytes
            )));
        }
        Ok(rest)
    }
}

/// Where the blocks of a payload end, while it is written.
#[derive(Default)]
pub(super) struct Directory {
    rows: Vec<(u64, u64)>,
}

impl Directory {
    pub(super) fn push(&mut self, end_element: u64, block_bytes: u64) {
        // A writer doesn't come to 2^64 bytes.
        let end_byte = self.end_byte().saturating_add(block_bytes);
        self.rows.push((end_element, end_byte));
    }

    pub(super) fn end_byte(&self) -> u64 {
        self.rows.last().map_or(0, |row| row.1)
    }

    pub(super) fn n_blocks(&self) -> u64 {
        self.rows.len() as u64
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some((_, rows @ [_, ..])) = self.rows.split_last() {
            for (end_element, end_byte) in rows {
                out.extend_from_slice(&end_element.to_le_bytes());
                out.extend_from_slice(&end_byte.to_le_bytes());
            }
            put_crc(&mut out, 0);
        }
        out
    }
}

/// What all blocks of a payload share, ready for decoding.
pub(crate) struct Shared<W> {
    pub(crate) tables: Tables<W>,
    decoders: Decoders,
    isa: Isa,
}

impl<W> Shared<W> {
    /// The kernels to use.
    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// Decodes with other kernels than the machine's best.
    #[cfg(any(fuzzing, test))]
    pub(crate) fn with_isa(self, isa: Isa) -> Self {
        Self { isa, ..self }
    }
}

/// A payload in a mapped or loaded file: its directory has been checked, its blocks have not.
pub(crate) struct Record<'a> {
    meta: PayloadMeta,
    tables: &'a [u8],
    blocks: &'a [u8],
    /// Rows of the directory, without its CRC-32.
    directory: &'a [u8],
}

impl<'a> Record<'a> {
    /// A view of `bytes`, which are the record's.
    ///
    /// Reads the directory; `Corrupt` if it is out of order or out of bounds.
    pub(crate) fn new(bytes: &'a [u8], meta: PayloadMeta) -> Result<Self> {
        let mut cursor = Cursor::new(bytes);
        let tables = cursor.take(to_usize(meta.table_bytes)?)?;
        let blocks = cursor.take(to_usize(meta.block_bytes()?)?)?;
        let mut directory = cursor.take(to_usize(meta.directory_bytes()?)?)?;
        cursor.finish()?;
        if !directory.is_empty() {
            directory = check_crc(directory, "directory")?;
        }
        let record = Self {
            meta,
            tables,
            blocks,
            directory,
        };
        record.check_directory()?;
        Ok(record)
    }

    fn check_directory(&self) -> Result<()> {
        let by_bytes = MAX_BLOCK_BYTES.checked_div(self.meta.width as u64);
        let most = MAX_BLOCK_ELEMENTS.min(by_bytes.unwrap_or(0));
        let (mut element, mut byte) = (0u64, 0u64);
        for block in 0..self.meta.blocks {
            let (end_element, end_byte) = self.end(block);
            let n_elements = range_len(&(element..end_element));
            if n_elements == 0 || n_elements > most || end_element > self.meta.elements {
                return Err(Error::corrupt(format!(
                    "block {block} is to end before element {end_element}, expected {} to {} of {}",
                    element.saturating_add(1),
                    element.saturating_add(most),
                    self.meta.elements
                )));
            }
            if end_byte <= byte || end_byte > self.blocks.len() as u64 {
                return Err(Error::corrupt(format!(
                    "block {block} is to end at byte {end_byte}, expected {} to {}",
                    byte.saturating_add(1),
                    self.blocks.len()
                )));
            }
            (element, byte) = (end_element, end_byte);
        }
        Ok(())
    }

    /// End of a block: in elements of the payload, and in bytes of the blocks.
    fn end(&self, block: u64) -> (u64, u64) {
        let (rows, _) = self
            .directory
            .as_chunks::<{ DIRECTORY_ROW_BYTES as usize }>();
        match usize::try_from(block).ok().and_then(|i| rows.get(i)) {
            Some(row) => {
                let both = u128::from_le_bytes(*row);
                (both as u64, (both >> 64) as u64)
            }
            None => (self.meta.elements, self.blocks.len() as u64),
        }
    }

    fn start(&self, block: u64) -> (u64, u64) {
        match block.checked_sub(1) {
            Some(before) => self.end(before),
            None => (0, 0),
        }
    }

    /// Bytes of an element.
    pub(crate) fn width(&self) -> usize {
        self.meta.width
    }

    /// Bytes of its tables.
    pub(crate) fn table_bytes(&self) -> u64 {
        self.meta.table_bytes
    }

    /// Bytes of its directory.
    pub(crate) fn directory_bytes(&self) -> u64 {
        // What the record's other parts leave of it.
        let others = self
            .meta
            .table_bytes
            .saturating_add(self.blocks.len() as u64);
        self.meta.stored_bytes.saturating_sub(others)
    }

    /// Number of blocks.
    pub(crate) fn n_blocks(&self) -> u64 {
        self.meta.blocks
    }

    /// Elements of the payload that are in `block`.
    pub(crate) fn elements(&self, block: u64) -> Range<u64> {
        self.start(block).0..self.end(block).0
    }

    /// Bytes of the elements in `block`.
    #[cfg(feature = "restore")]
    pub(crate) fn bytes_of(&self, block: u64) -> u64 {
        range_len(&self.elements(block)).saturating_mul(self.meta.width as u64)
    }

    /// The blocks that `elements` lie in.
    pub(crate) fn blocks_of(&self, elements: Range<u64>) -> Range<u64> {
        if elements.is_empty() {
            return 0..0;
        }
        // The blocks before the first one whose end is far enough.
        let n_before = |is_far_enough: &dyn Fn(u64) -> bool| {
            let (mut low, mut high) = (0u64, self.meta.blocks);
            while low < high {
                let middle = low.midpoint(high);
                match is_far_enough(self.end(middle).0) {
                    true => high = middle,
                    false => low = middle.saturating_add(1),
                }
            }
            low
        };
        let first = n_before(&|end| end > elements.start);
        let last = n_before(&|end| end >= elements.end);
        first..self.meta.blocks.min(last.saturating_add(1))
    }

    /// The tables that all blocks share.
    pub(crate) fn tables<W: Word>(&self) -> Result<Shared<W>> {
        let tables =
            Tables::from_bytes(self.tables, self.meta.columns).within(|| "tables".into())?;
        Ok(Shared {
            decoders: tables.decoders(),
            tables,
            isa: Isa::active(),
        })
    }

    /// The bytes of `block` with its CRC-32, and how its elements fall into rows.
    pub(crate) fn block(&self, block: u64) -> Result<(&'a [u8], Rows)> {
        let bytes = to_usize(self.start(block).1)?..to_usize(self.end(block).1)?;
        let bytes = self
            .blocks
            .get(bytes)
            .ok_or_else(|| Error::corrupt("block outside its record"))?;
        let rows = Rows {
            columns: self.meta.columns,
            first_element: self.elements(block).start,
        };
        Ok((bytes, rows))
    }

    /// Decodes `block` as far as positions and values; checks its CRC-32.
    pub(crate) fn decode<'t, W: Word>(
        &self,
        block: u64,
        shared: &'t Shared<W>,
    ) -> Result<DecodedBlock<'a, 't, W>> {
        let elements = self.elements(block);
        let decode = || {
            let (bytes, rows) = self.block(block)?;
            let n = u32::try_from(range_len(&elements))
                .map_err(|_| Error::corrupt("a block of 2^32 elements or more"))?;
            DecodedBlock::read(bytes, n, rows, &shared.tables, &shared.decoders, shared.isa)
        };
        decode().within(|| format!("block {block}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EncodeOptions, PayloadSpec, encode};
    use super::*;
    use crate::kernels::Store;
    use crate::values::to_le_bytes;
    use crate::word::with_word;
    use proptest::prelude::*;

    fn encode_to_vec(spec: PayloadSpec, bytes: &[u8]) -> (Vec<u8>, PayloadMeta) {
        let mut out = Vec::new();
        let (meta, _) = encode(spec, EncodeOptions::default(), bytes, &mut |piece| {
            out.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
        assert_eq!(out.len() as u64, meta.stored_bytes);
        (out, meta)
    }

    fn decode(bytes: &[u8], meta: PayloadMeta) -> Result<Vec<u8>> {
        let record = Record::new(bytes, meta)?;
        let mut out = vec![0xaa; meta.decoded_bytes() as usize];
        with_word!(meta.width, W => {
            let tables = record.tables::<W>()?;
            for block in 0..record.n_blocks() {
                let range = record.elements(block);
                let range = range.start as usize * meta.width..range.end as usize * meta.width;
                record.decode::<W>(block, &tables)?.fill(&mut out[range], Store::Cached)?;
            }
        });
        Ok(out)
    }

    fn round_trip<W: Word>(patterns: &[W], columns: u64, float: bool) {
        let bytes = to_le_bytes(patterns);
        let spec = PayloadSpec {
            width: W::WIDTH,
            columns,
            float,
        };
        let (record, meta) = encode_to_vec(spec, &bytes);
        assert_eq!(decode(&record, meta).unwrap(), bytes);
    }

    /// Elements as pruned tensors have them: zeros of both signs, few or many patterns.
    fn elements() -> impl Strategy<Value = (Vec<u128>, u64)> {
        let element = |choice: u8, wide: u128, zeros: u8| match choice {
            c if c < zeros => 0,
            c if c < zeros.saturating_add(20) => u128::MAX << 127,
            c if c < 200 => wide,
            _ => wide % 5,
        };
        (
            prop::collection::vec((any::<u8>(), any::<u128>()), 1..300),
            any::<u8>(),
            1u64..20,
        )
            .prop_map(move |(choices, zeros, columns)| {
                let mut all: Vec<u128> =
                    choices.iter().map(|&(c, w)| element(c, w, zeros)).collect();
                let columns = columns.min(all.len() as u64);
                all.truncate(all.len() / columns as usize * columns as usize);
                (all, columns)
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn payloads_come_back((wide, columns) in elements(), float: bool) {
            // The top bit of every width is that of the widest word.
            round_trip::<u8>(&wide.iter().map(|v| (v >> 120) as u8).collect::<Vec<_>>(), columns, float);
            round_trip::<u16>(&wide.iter().map(|v| (v >> 112) as u16).collect::<Vec<_>>(), columns, float);
            round_trip::<u32>(&wide.iter().map(|v| (v >> 96) as u32).collect::<Vec<_>>(), columns, float);
            round_trip::<u64>(&wide.iter().map(|v| (v >> 64) as u64).collect::<Vec<_>>(), columns, float);
            round_trip::<u128>(&wide, columns, float);
        }
    }

    #[test]
    fn a_payload_of_several_blocks_is_read_block_by_block() {
        let patterns: Vec<u32> = (0..200_000).collect();
        round_trip(&patterns, 1000, true);
        let spec = PayloadSpec {
            width: 4,
            columns: 1000,
            float: true,
        };
        let (bytes, meta) = encode_to_vec(spec, &to_le_bytes(&patterns));
        assert!(meta.blocks > 3);
        let record = Record::new(&bytes, meta).unwrap();
        assert_eq!(record.blocks_of(0..200_000), 0..meta.blocks);
        assert_eq!(record.blocks_of(31_999..32_000), 0..1);
        assert_eq!(record.blocks_of(31_999..32_001), 0..2);
        assert_eq!(
            record.blocks_of(199_999..200_000),
            meta.blocks - 1..meta.blocks
        );
        assert_eq!(record.blocks_of(7..7), 0..0);
    }

    /// Of two densities of rows and one that is cut into blocks, with a few zeros.
    #[test]
    fn every_few_zeros_make_a_payload_smaller() {
        for (n, columns) in [(4_000u32, 40), (4_000, 4_000), (150_000, 500)] {
            let weight = |i: u32| {
                let noise = i.wrapping_mul(2_654_435_761).rotate_left(13) ^ i;
                // Rows are of two scales, as they are where inputs differ.
                let scale = if (i / columns).is_multiple_of(3) {
                    0.01
                } else {
                    1.0
                };
                (noise as f32 / u32::MAX as f32 - 0.5) * scale
            };
            let bytes_with_zeros = |n_zeros: u32| {
                let every = n.checked_div(n_zeros).unwrap_or(u32::MAX);
                let weights: Vec<u32> = (0..n)
                    .map(|i| match i % every == every - 1 {
                        true => 0,
                        false => weight(i).to_bits(),
                    })
                    .collect();
                let spec = PayloadSpec {
                    width: 4,
                    columns: columns.into(),
                    float: true,
                };
                let bytes = to_le_bytes(&weights);
                let (record, meta) = encode_to_vec(spec, &bytes);
                assert_eq!(decode(&record, meta).unwrap(), bytes);
                record.len()
            };
            let mut before = bytes_with_zeros(0);
            for thousandths in [1, 2, 5, 10, 20, 50, 100, 200] {
                let after = bytes_with_zeros(n * thousandths / 1000);
                assert!(
                    after < before,
                    "{n} {columns} {thousandths}: {before} {after}"
                );
                before = after;
            }
        }
    }

    #[test]
    fn no_change_of_a_byte_goes_unseen() {
        let patterns: Vec<u16> = (0..500)
            .map(|i| if i % 7 == 0 { i * 40 } else { 0 })
            .collect();
        let spec = PayloadSpec {
            width: 2,
            columns: 20,
            float: false,
        };
        let (good, meta) = encode_to_vec(spec, &to_le_bytes(&patterns));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            assert!(decode(&bad, meta).is_err(), "byte {at}");
        }
    }
}

//! The encoded streams of a tensor, for those who write kernels of their own.

use super::Tensor;
use crate::cursor::{Cursor, range_len};
use crate::error::{Error, Result, Within};
use crate::payload::{Record, Shared, ValueStream, value_stream};
use crate::sparse::PositionKind;
use crate::sparse::rows::RowStreams;
use crate::word::{Word, with_word};
use std::borrow::Cow;
use std::ops::Range;

/// The blocks of a tensor's payload, in order; see [`Tensor::blocks`].
pub struct Blocks<'a> {
    place: String,
    blocks: Range<u64>,
    read: Box<dyn Fn(u64) -> Result<Block<'a>> + Send + Sync + 'a>,
}

/// A block of a payload as it is encoded (spec §9): which elements are entries, and what those are. Its
/// checksum matched, and its streams keep all rules.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Block<'a> {
    /// The elements of the tensor that are in the block.
    pub elements: Range<u64>,
    /// Elements of a row of the payload, which need not be the tensor's last dimension (spec §8).
    pub columns: u64,
    /// Where the entries are. Positions count from the block's first element.
    pub positions: EncodedPositions<'a>,
    /// What the entries are.
    pub values: EncodedValues<'a>,
    /// The little-endian bytes of what is no entry.
    pub background: Vec<u8>,
    /// Positions of elements that are the background with its top bit inverted: most often −0.0.
    pub alternates: Vec<u32>,
}

/// Where the entries of a block are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EncodedPositions<'a> {
    /// There are none.
    None,
    /// All elements are entries.
    All,
    /// In rows, as profile `direct` keeps them, where they are in the file.
    Rows(EncodedRows<'a>),
    /// Decoded: the position of each value. They ascend, but for blocks of kind *classes* (spec §9.1.3).
    Listed(Vec<u32>),
}

/// What the entries of a block are, in their order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EncodedValues<'a> {
    /// Elements, little-endian. They are borrowed from the file where they are kept so, and *aligned* ones
    /// begin at a multiple of eight bytes then.
    Elements(Cow<'a, [u8]>),
    /// Codes of a codebook.
    Codes {
        /// Packed LSB-first (spec §10.1).
        packed: &'a [u8],
        /// Bits of a code.
        bits: u32,
        /// The element of each code, little-endian.
        codebook: Vec<u8>,
    },
}

/// The streams of a block of kind *rows* (spec §9.1.4), borrowed from the file.
#[derive(Clone, Copy, Debug)]
pub struct EncodedRows<'a>(RowStreams<'a>);

impl<'a> EncodedRows<'a> {
    /// Bits of a step, 1 to 8; 0 if there are bitmaps.
    pub fn step_bits(&self) -> u32 {
        self.0.form.step_bits
    }

    /// Number of entries.
    pub fn n_entries(&self) -> usize {
        self.0.n_entries
    }

    /// Rows that have an element in the block; the first and the last one may be cut.
    pub fn n_rows(&self) -> usize {
        self.0.n_rows()
    }

    /// Groups of rows. The rows of a group share pointers, and a chain of steps.
    pub fn n_groups(&self) -> usize {
        self.0.n_groups()
    }

    /// The rows of a group.
    pub fn rows_of(&self, group: usize) -> Range<usize> {
        self.0.rows_of(group)
    }

    /// The positions of the elements of some rows.
    pub fn positions(&self, rows: Range<usize>) -> Range<u32> {
        self.0.positions(rows)
    }

    /// Numbers of the entries of a group, which are those of their values too.
    pub fn entries_of(&self, group: usize) -> Range<usize> {
        self.0.entries_before(group)..self.0.entries_before(group.saturating_add(1))
    }

    /// Numbers of the steps of a group.
    pub fn steps_of(&self, group: usize) -> Range<usize> {
        self.0.steps_before(group)..self.0.steps_before(group.saturating_add(1))
    }

    /// The steps, packed LSB-first (spec §10.1); empty if there are bitmaps.
    pub fn steps(&self) -> &'a [u8] {
        self.0.steps
    }

    /// A step: 0 is an escape over 2^[`step_bits`](Self::step_bits) − 1 positions, another the
    /// distance to the next entry.
    ///
    /// # Panics
    /// If there is none with this number.
    #[expect(
        clippy::indexing_slicing,
        reason = "documented: a number of the caller's"
    )]
    pub fn step(&self, number: usize) -> u32 {
        let bits = self.step_bits();
        // A number beyond all bits is beyond the bytes, too.
        let bit = number.saturating_mul(bits as usize);
        let bytes = &self.0.steps[bit / 8..];
        let low = u32::from(bytes[0]);
        let high = bytes.get(1).copied().unwrap_or(0);
        (low | u32::from(high) << 8) >> (bit % 8) & !(u32::MAX << bits)
    }

    /// The bitmap of a row, if there are bitmaps: bit `i` mod 8 of byte `i` / 8 is that of its element `i`
    /// in the block.
    ///
    /// # Panics
    /// If there is no such row.
    #[expect(
        clippy::indexing_slicing,
        reason = "reading checked that there is a bitmap of each row"
    )]
    pub fn bitmap(&self, row: usize) -> Option<&'a [u8]> {
        assert!(row < self.n_rows());
        (self.step_bits() == 0).then(|| &self.0.bitmaps[self.0.bitmap_range(row)])
    }
}

impl std::fmt::Debug for Blocks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocks")
            .field("blocks", &self.blocks)
            .finish_non_exhaustive()
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<Block<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.blocks.next()?;
        Some((self.read)(block).within(|| self.place.clone()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.blocks.size_hint()
    }
}

impl<'a> Tensor<'a> {
    /// The blocks of its payload, as they are encoded: the streams of profile `direct` where they are in the
    /// file, others decoded. A block is read and checked when the iterator comes to it.
    ///
    /// ```
    /// # fn main() -> tfzip::Result<()> {
    /// # use tfzip::{Archive, EncodedPositions, EncodedValues, PackOptions, Profile};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits-300-100.pb");
    /// # let model = std::fs::read(path).expect("the example model");
    /// # let mut options = PackOptions::default();
    /// # options.profile = Profile::Direct;
    /// # let (tfz, _) = tfzip::pack_slice(&model, "digits-300-100.pb", &options)?;
    /// # let archive = Archive::new(tfz)?;
    /// let kernel = archive.tensor("fc1/kernel")?;
    /// let (x, mut y) = ([0.5f32; 64], [0f32; 300]); // y = x·W
    /// for block in kernel.blocks()? {
    ///     let block = block?;
    ///     let EncodedValues::Elements(values) = &block.values else { unreachable!() };
    ///     let n = (block.elements.end - block.elements.start) as u32;
    ///     let mut values = values.as_chunks().0.iter().map(|v| f32::from_le_bytes(*v));
    ///     let mut add = |position: u32| {
    ///         let element = (block.elements.start + u64::from(position)) as usize;
    ///         y[element % 300] += x[element / 300] * values.next().unwrap();
    ///     };
    ///     match &block.positions {
    ///         EncodedPositions::Rows(rows) if rows.step_bits() > 0 => {
    ///             for group in 0..rows.n_groups() {
    ///                 let mut after = rows.positions(rows.rows_of(group)).start;
    ///                 for step in rows.steps_of(group) {
    ///                     match rows.step(step) {
    ///                         0 => after += (1 << rows.step_bits()) - 1,
    ///                         step => {
    ///                             after += step;
    ///                             add(after - 1);
    ///                         }
    ///                     }
    ///                 }
    ///             }
    ///         }
    ///         EncodedPositions::Rows(rows) => {
    ///             for row in 0..rows.n_rows() {
    ///                 let bitmap = rows.bitmap(row).unwrap();
    ///                 let elements = rows.positions(row..row + 1).zip(0usize..);
    ///                 let is_set = |i: &(u32, usize)| bitmap[i.1 / 8] >> (i.1 % 8) & 1 == 1;
    ///                 elements.filter(is_set).for_each(|(position, _)| add(position));
    ///             }
    ///         }
    ///         EncodedPositions::All => (0..n).for_each(&mut add),
    ///         EncodedPositions::Listed(positions) => positions.iter().copied().for_each(&mut add),
    ///         _ => {}
    ///     }
    /// }
    /// # let dense: Vec<f32> = kernel.to_vec()?;
    /// # for (column, y) in y.iter().enumerate() {
    /// #     let expected: f32 = dense.iter().skip(column).step_by(300).map(|w| w * 0.5).sum();
    /// #     assert!((y - expected).abs() < 1e-5);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Elements after the last block repeat the payload's last one (spec §7.3).
    ///
    /// # Errors
    /// `InvalidArgument` if its elements are not in a [payload](Self::payload); `Corrupt` or `Unsupported` if
    /// the payload breaks a rule of the spec, or, from the iterator, a block does.
    pub fn blocks(&self) -> Result<Blocks<'a>> {
        let place = || format!("tensor {:?}", self.name());
        let record = self.record().within(place)?;
        let blocks = 0..record.n_blocks();
        let read: Box<dyn Fn(u64) -> Result<Block<'a>> + Send + Sync + 'a> = with_word!(record.width(), W => {
            let shared = record.tables::<W>().within(place)?;
            Box::new(move |block| read_block(&record, &shared, block))
        });
        Ok(Blocks {
            place: place(),
            blocks,
            read,
        })
    }
}

fn read_block<'a, W: Word>(
    record: &Record<'a>,
    shared: &Shared<W>,
    block: u64,
) -> Result<Block<'a>> {
    let decoded = record.decode::<W>(block, shared)?;
    let elements = record.elements(block);
    let n = range_len(&elements) as u32;
    let (bytes, rows) = record.block(block)?;
    let positions = match decoded.layout.entry_kind {
        PositionKind::None => EncodedPositions::None,
        PositionKind::All => EncodedPositions::All,
        PositionKind::Rows => {
            decoded.check_positions()?;
            let mut cursor = Cursor::new(bytes);
            cursor.u8()?;
            EncodedPositions::Rows(EncodedRows(RowStreams::read(&mut cursor, n, rows)?))
        }
        _ => EncodedPositions::Listed(decoded.positions_in_order()?.into_owned()),
    };
    let values = decoded.values();
    let codebook = shared.tables.codebook.as_ref();
    let code_bits = codebook.map_or(1, |codebook| codebook.code_bits());
    let stream = decoded
        .layout
        .values_at()
        .map(|at| value_stream(bytes, at, values.len(), W::WIDTH, code_bits))
        .transpose()?;
    let values = match stream {
        Some(ValueStream::Elements(elements)) => EncodedValues::Elements(elements.into()),
        Some(ValueStream::Codes(packed)) => EncodedValues::Codes {
            packed,
            bits: code_bits,
            codebook: codebook
                .map(|codebook| crate::values::to_le_bytes(codebook.patterns()))
                .ok_or_else(|| Error::corrupt("codes in a payload without a codebook"))?,
        },
        None => EncodedValues::Elements(bytemuck::cast_slice(values).to_vec().into()),
    };
    let mut alternates = Vec::new();
    decoded.for_each_alternate(|position| alternates.push(position))?;
    Ok(Block {
        elements,
        columns: rows.columns,
        positions,
        values,
        background: crate::values::to_le_bytes(&[shared.tables.background]),
        alternates,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparse::Rows;

    /// One entry, the second of four elements in two rows: a step of 8 bits.
    fn encoded() -> EncodedRows<'static> {
        const BYTES: [u8; 16] = [8, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 2];
        let rows = Rows {
            columns: 2,
            first_element: 0,
        };
        EncodedRows(RowStreams::read(&mut Cursor::new(&BYTES), 4, rows).unwrap())
    }

    #[test]
    fn groups_that_there_are_not_are_empty() {
        let rows = encoded();
        assert_eq!((rows.n_groups(), rows.step(0)), (2, 2));
        assert_eq!((rows.rows_of(1), rows.entries_of(0)), (1..2, 0..1));
        for group in [2, usize::MAX / 8, usize::MAX] {
            assert!(rows.rows_of(group).is_empty());
            assert_eq!((rows.entries_of(group), rows.steps_of(group)), (1..1, 1..1));
        }
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn a_step_beyond_all_bits_is_not_the_first_one() {
        encoded().step(1 << (usize::BITS - 3));
    }
}

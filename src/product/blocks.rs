//! The blocks of a payload as weights: where they are, or decoded one at a time.

use super::number;
use super::runs::{Fold, Runs, Sink, Weighed};
use crate::buffer::Buffer;
use crate::cursor::{Cursor, range_len, to_usize};
use crate::error::{Error, Result, Within};
use crate::kernels::Store;
use crate::kernels::product::{
    BitRows, CHUNK, Codes, Doubles, Floats, Positions, SetBits, StepRows, Steps, TABLE, Weights,
    to_doubles,
};
use crate::payload::{Record, Shared, ValueStream, value_stream};
use crate::sparse::PositionKind;
use crate::sparse::rows::RowStreams;
use crate::tensor::DType;
use crate::word::Word;
use std::ops::Range;
use std::sync::OnceLock;

/// How the products of a block are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// All elements are zero.
    Nothing,
    /// All elements are entries; where the values begin in the block.
    All(usize),
    /// From rows, and the values beginning here.
    Rows(usize),
    /// By decoding positions and values.
    Entries,
    /// By decoding all elements: what is no entry isn't zero.
    Elements,
}

/// A payload whose blocks are multiplied.
pub(super) struct Payload<'a, W: Word> {
    record: Record<'a>,
    shared: Shared<W>,
    numbers: Numbers,
    /// Of a row of the matrix; its payload may have others.
    columns: u64,
    /// Of each block, once its checksum and its streams have been checked.
    plans: Box<[OnceLock<Plan>]>,
}

/// What elements and codes are as numbers.
struct Numbers {
    dtype: DType,
    /// Of a dtype of one byte: of each byte.
    bytes: Option<Box<[f64; TABLE]>>,
    /// Of a payload with a codebook: of each code.
    codes: Option<Box<[f64; TABLE]>>,
    code_bits: u32,
}

/// Values of a block where they are.
#[derive(Clone, Copy)]
enum Values<'v, W> {
    /// Elements as they are in memory.
    Words(&'v [W]),
    /// Packed codes.
    Codes(&'v [u8]),
}

impl<'a, W: Word> Payload<'a, W> {
    /// Reads the tables.
    pub(super) fn new(record: Record<'a>, dtype: DType, columns: u64) -> Result<Self> {
        let shared = record.tables::<W>()?;
        let number = number::of_dtype(dtype)
            .filter(|_| dtype.width() == Some(W::WIDTH))
            .ok_or_else(|| Error::invalid(format!("no products with {dtype}")))?;
        let codebook = shared.tables.codebook.as_ref();
        let codes = codebook.map(|codebook| {
            let mut table = Box::new([0.0; TABLE]);
            for (weight, pattern) in table.iter_mut().zip(codebook.patterns()) {
                *weight = number(pattern.to_bits());
            }
            table
        });
        let bytes = || Box::new(std::array::from_fn(|byte| number(byte as u64)));
        Ok(Self {
            numbers: Numbers {
                dtype,
                bytes: (W::WIDTH == 1).then(bytes),
                codes,
                code_bits: codebook.map_or(1, |codebook| codebook.code_bits()),
            },
            plans: (0..record.n_blocks()).map(|_| OnceLock::new()).collect(),
            record,
            shared,
            columns,
        })
    }

    /// Multiplies with other kernels than the machine's best.
    #[cfg(any(fuzzing, test))]
    pub(super) fn with_isa(self, isa: crate::kernels::Isa) -> Self {
        Self {
            shared: self.shared.with_isa(isa),
            ..self
        }
    }

    /// Takes all blocks for what they were found to be in another payload.
    #[cfg(test)]
    pub(super) fn believe(&self, other: &Self) {
        for (plan, other) in self.plans.iter().zip(&other.plans) {
            plan.set(*other.get().unwrap()).unwrap();
        }
    }

    pub(super) fn n_blocks(&self) -> u64 {
        self.record.n_blocks()
    }

    /// The elements of the matrix that blocks hold.
    pub(super) fn elements(&self, blocks: Range<u64>) -> Range<u64> {
        let elements = |block| self.record.elements(block);
        elements(blocks.start).start..elements(blocks.end.saturating_sub(1)).end
    }

    /// Hands all elements of a block that are not zero to `sink`.
    pub(super) fn visit(&self, block: u64, sink: &mut impl Sink) -> Result<()> {
        self.visit_block(block, sink)
            .within(|| format!("block {block}"))
    }

    fn visit_block(&self, block: u64, sink: &mut impl Sink) -> Result<()> {
        let elements = self.record.elements(block);
        let fold = Fold {
            columns: self.columns,
            first_element: elements.start,
            n: range_len(&elements) as u32,
        };
        let mut runs = Runs::new(fold, self.shared.isa(), sink);
        match self.plan(block)? {
            Plan::Nothing => Ok(()),
            Plan::All(at) => {
                let (bytes, _) = self.record.block(block)?;
                let values = self.values(bytes, at, fold.n as usize)?;
                self.adjacent(values, fold.n as usize, &mut runs)
            }
            Plan::Rows(at) => self.rows(block, fold.n, at, &mut runs),
            Plan::Entries => {
                let decoded = self.record.decode(block, &self.shared)?;
                let positions = decoded.positions_in_order()?;
                let mut doubles = [0; CHUNK];
                let values = Values::Words(decoded.values());
                let mut taken = 0usize;
                for positions in positions.chunks(CHUNK) {
                    let range = taken..taken.saturating_add(positions.len());
                    taken = range.end;
                    runs.listed(positions, self.numbers.weigh(values, range, &mut doubles)?)?;
                }
                Ok(())
            }
            Plan::Elements => {
                let decoded = self.record.decode(block, &self.shared)?;
                let mut elements = Buffer::<W>::new(fold.n as usize);
                decoded.fill(bytemuck::cast_slice_mut(&mut elements), Store::Cached)?;
                self.adjacent(Values::Words(&elements), fold.n as usize, &mut runs)
            }
        }
    }

    /// How to multiply a block, which is checked at the first use.
    fn plan(&self, block: u64) -> Result<Plan> {
        let known = (self.plans.get(to_usize(block)?))
            .ok_or_else(|| Error::corrupt("a block outside of its payload"))?;
        if let Some(plan) = known.get() {
            return Ok(*plan);
        }
        let decoded = self.record.decode(block, &self.shared)?;
        let layout = &decoded.layout;
        decoded.check_positions()?;
        let number = number::of_dtype(self.numbers.dtype);
        let is_zero = |pattern: W| number.is_some_and(|number| number(pattern.to_bits()) == 0.0);
        let background = self.shared.tables.background;
        let others_are_zero = layout.entry_kind == PositionKind::All
            || is_zero(background)
                && (layout.alternate_kind == PositionKind::None || is_zero(background.flip_top()));
        let at = layout.values_at();
        let (bytes, _) = self.record.block(block)?;
        // In memory that is not aligned as the file is, values have to be copied.
        let at = at.filter(|&at| self.values(bytes, at, decoded.values().len()).is_ok());
        let plan = match (layout.entry_kind, at) {
            _ if !others_are_zero => Plan::Elements,
            (PositionKind::None, _) => Plan::Nothing,
            (PositionKind::All, Some(at)) => Plan::All(at),
            (PositionKind::All, None) => Plan::Elements,
            (PositionKind::Rows, Some(at)) => Plan::Rows(at),
            _ => Plan::Entries,
        };
        Ok(*known.get_or_init(|| plan))
    }

    /// The `count` values that begin in a block at a byte.
    fn values(&self, bytes: &'a [u8], at: usize, count: usize) -> Result<Values<'a, W>> {
        match value_stream(bytes, at, count, W::WIDTH, self.numbers.code_bits)? {
            ValueStream::Codes(packed) => Ok(Values::Codes(packed)),
            ValueStream::Elements(bytes) => bytemuck::try_cast_slice(bytes)
                .map(Values::Words)
                .map_err(|_| Error::corrupt("values that are not aligned")),
        }
    }

    fn adjacent<K: Sink>(
        &self,
        values: Values<'_, W>,
        n: usize,
        runs: &mut Runs<'_, K>,
    ) -> Result<()> {
        let mut doubles = [0; CHUNK];
        for start in (0..n).step_by(CHUNK) {
            let range = start..n.min(start.saturating_add(CHUNK));
            let weights = self.numbers.weigh(values, range.clone(), &mut doubles)?;
            runs.adjacent(start as u32, range.len(), weights)?;
        }
        Ok(())
    }

    fn rows<K: Sink>(&self, block: u64, n: u32, at: usize, runs: &mut Runs<'_, K>) -> Result<()> {
        let (bytes, rows) = self.record.block(block)?;
        let mut cursor = Cursor::new(bytes);
        cursor.u8()?;
        let streams = RowStreams::read(&mut cursor, n, rows)?;
        let values = self.values(bytes, at, streams.n_entries)?;
        let mut taken = 0usize;
        let are_known = self.numbers.are_kept(values) && rows.columns == self.columns;
        if are_known && streams.form.step_bits == 0 {
            self.bitmaps(&streams, values, runs, &mut taken)?;
        } else if are_known && streams.form.step_bits == 8 && streams.form.group == 1 {
            self.byte_steps(&streams, values, runs, &mut taken)?;
        } else {
            let mut doubles = [0; CHUNK];
            let take = |positions: &Positions, runs: &mut Runs<'_, K>| {
                let positions = positions.get();
                let range = taken..taken.saturating_add(positions.list().len());
                taken = range.end;
                runs.ascending(positions, self.numbers.weigh(values, range, &mut doubles)?)
            };
            self.positions(&streams, runs, take)?;
        }
        match taken == streams.n_entries {
            true => Ok(()),
            false => Err(Error::corrupt(format!(
                "{taken} entries, expected {}",
                streams.n_entries
            ))),
        }
    }

    /// The entries of bitmaps: of whole rows all at once, of a cut one by itself.
    fn bitmaps<K: Sink>(
        &self,
        streams: &RowStreams<'_>,
        values: Values<'_, W>,
        runs: &mut Runs<'_, K>,
        taken: &mut usize,
    ) -> Result<()> {
        let mut doubles = [0; CHUNK];
        for rows in rows_alike(streams) {
            let left = *taken..streams.n_entries;
            let first = streams.row(rows.start);
            let rows = BitRows {
                bitmaps: streams.bitmaps_of(rows).ok_or_else(missing_rows)?,
                length: first.len(),
                n_weights: left.len(),
                weights: self.numbers.weigh(values, left, &mut doubles)?,
            };
            *taken = taken.saturating_add(runs.bits(first.start, rows)?);
        }
        Ok(())
    }

    /// The entries of steps of a byte where each row has a pointer, as those of bitmaps.
    fn byte_steps<K: Sink>(
        &self,
        streams: &RowStreams<'_>,
        values: Values<'_, W>,
        runs: &mut Runs<'_, K>,
        taken: &mut usize,
    ) -> Result<()> {
        let mut doubles = [0; CHUNK];
        for rows in rows_alike(streams) {
            let left = *taken..streams.n_entries;
            let first = streams.row(rows.start);
            let pointers = streams.step_pointers.get(rows.clone());
            let rows = StepRows {
                steps: streams.steps,
                pointers: pointers.ok_or_else(missing_rows)?,
                end: streams.steps_before(rows.end),
                length: first.len(),
                n_weights: left.len(),
                weights: self.numbers.weigh(values, left, &mut doubles)?,
            };
            *taken = taken.saturating_add(runs.steps(first.start, rows)?);
        }
        Ok(())
    }

    /// Calls `take` with the positions of the entries, a few at a time.
    fn positions<K: Sink>(
        &self,
        streams: &RowStreams<'a>,
        runs: &mut Runs<'_, K>,
        mut take: impl FnMut(&Positions, &mut Runs<'_, K>) -> Result<()>,
    ) -> Result<()> {
        let mut positions = Positions::new();
        if streams.form.step_bits == 0 {
            for row in 0..streams.n_rows() {
                let bitmap = streams.bitmaps_of(row..row.saturating_add(1));
                let bitmap = bitmap.ok_or_else(missing_rows)?;
                let mut bits = SetBits::new(bitmap, streams.row(row).start);
                loop {
                    bits.positions(&mut positions);
                    take(&positions, runs)?;
                    if !positions.is_full() {
                        break;
                    }
                }
            }
            return Ok(());
        }
        for group in 0..streams.n_groups() {
            let start = streams.positions(streams.rows_of(group)).start;
            let mut steps = steps(streams, group, start)?;
            loop {
                steps.positions(self.shared.isa(), &mut positions);
                take(&positions, runs)?;
                if !positions.is_full() {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn missing_rows() -> Error {
    Error::corrupt("fewer rows than the block has")
}

/// Rows of a block one after the other that have as many elements in it: all but perhaps the first and the last.
fn rows_alike(streams: &RowStreams<'_>) -> impl Iterator<Item = Range<usize>> {
    let n_rows = streams.n_rows();
    let differ = |row: usize, other: usize| streams.row(row).len() != streams.row(other).len();
    let first_alike = usize::from(n_rows > 1 && differ(0, 1));
    let last = n_rows.saturating_sub(1);
    let last_alike = match n_rows > 2 && differ(last, 1) {
        true => last,
        false => n_rows,
    };
    let ranges = [0..first_alike, first_alike..last_alike, last_alike..n_rows];
    ranges.into_iter().filter(|rows| !rows.is_empty())
}

/// The steps of a group, which lead to positions from `start` on.
fn steps<'a>(streams: &RowStreams<'a>, group: usize, start: u32) -> Result<Steps<'a>> {
    let next = group.saturating_add(1);
    let range = streams.steps_before(group)..streams.steps_before(next);
    if range.start > range.end || range.end > streams.n_steps {
        return Err(Error::corrupt("step pointers that descend"));
    }
    // Kernels are faster where more follows.
    let packed = streams.steps_and_more;
    Ok(Steps::new(packed, streams.form.step_bits, range, start))
}

impl Numbers {
    /// Whether kernels know values as they are, however many.
    fn are_kept<W: Word>(&self, values: Values<'_, W>) -> bool {
        let is_known = matches!(self.dtype, DType::Float32 | DType::Float64);
        is_known || self.bytes.is_some() || matches!(values, Values::Codes(_))
    }

    /// The weights of the entries with numbers `range`; `doubles` is where they are made into numbers
    /// that kernels know, if need be.
    fn weigh<'v, W: Word>(
        &'v self,
        values: Values<'v, W>,
        range: Range<usize>,
        doubles: &'v mut [u64; CHUNK],
    ) -> Result<Weighed<'v>> {
        let missing = || Error::corrupt("more entries than values");
        let words = match values {
            Values::Words(words) => words.get(range.clone()).ok_or_else(missing)?,
            Values::Codes(packed) => {
                let table = self.codes.as_ref().ok_or_else(missing)?;
                let bits = range.end.saturating_mul(self.code_bits as usize);
                if bits.div_ceil(8) > packed.len() {
                    return Err(missing());
                }
                let codes = Codes::new(packed, self.code_bits, table);
                return Ok(Weighed::Codes(codes.skip(range.start)));
            }
        };
        Ok(match (self.dtype, &self.bytes) {
            (_, Some(table)) => Weighed::Codes(Codes::new(bytemuck::cast_slice(words), 8, table)),
            (DType::Float32, _) => Weighed::Floats(Floats(bytemuck::cast_slice(words))),
            (DType::Float64, _) => Weighed::Doubles(Doubles(bytemuck::cast_slice(words))),
            (dtype, _) => {
                let number = number::of_dtype(dtype).ok_or_else(missing)?;
                let doubles = doubles.get_mut(..words.len()).ok_or_else(missing)?;
                to_doubles(words, number, doubles);
                Weighed::Doubles(Doubles(doubles))
            }
        })
    }
}

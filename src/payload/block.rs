//! Encoding a block in the way that makes it smallest (spec §9).

use super::PayloadSpec;
use super::entries::Entries;
use super::tables::{Tables, align};
use super::train::{Coded, Learned};
use crate::choose::{self, ValueStats};
use crate::cursor::put_crc;
use crate::error::Result;
use crate::parallel;
use crate::profile::Effort;
use crate::sparse::classes::Lines;
use crate::sparse::rows::RowCosts;
use crate::sparse::{self, GapStats, PositionPlan, Rows};
use crate::stream::huffman::Run;
use crate::stream::{self, zstd};
use crate::values::{self, ValueCoder, ValuePlan};
use crate::word::Word;
use std::collections::HashSet;

/// Entries that are looked at to see whether patterns repeat.
const REPEAT_SAMPLE: usize = 4096;

/// What must be saved to look for what repeats in all blocks: 1 / 128 of a block.
const REPEAT_GAIN: usize = 128;

/// A block, encoded.
pub(super) struct EncodedBlock {
    pub(super) bytes: Vec<u8>,
    /// Bytes of the set of alternates, if it has members.
    pub(super) alternate_bytes: u64,
}

impl EncodedBlock {
    fn or_smaller(self, other: Self) -> Self {
        match other.bytes.len() < self.bytes.len() {
            true => other,
            false => self,
        }
    }
}

/// How blocks are encoded.
pub(super) enum Way {
    /// With classes and codes, as they were learned.
    Learned(Learned),
    /// In rows, with nothing to decompress.
    Direct,
    /// As narrow as may be without codes.
    Packed,
    /// In whatever way makes each block smallest that needs nothing in common.
    Alone,
}

/// Encodes the blocks of a payload.
pub(super) struct BlockEncoder<W> {
    spec: PayloadSpec,
    effort: Effort,
    pub(super) tables: Tables<W>,
    way: Way,
    /// Whether blocks are also tried without classes and codes.
    try_alone: bool,
}

/// The entries of a block, sorted into the parts of its classes.
struct Sorted {
    row_classes: Vec<u8>,
    lines: Lines,
    /// How many values have which value table.
    runs: Vec<usize>,
}

impl Sorted {
    fn new<W: Word>(learned: &Learned, block: &Entries<W>, coded: &Coded<'_, W>) -> Self {
        let row_classes = learned.classify(coded);
        let lines = learned.lines(block, &row_classes);
        Self {
            runs: learned.runs(&lines),
            row_classes,
            lines,
        }
    }
}

impl<W: Word> BlockEncoder<W> {
    pub(super) fn new(spec: PayloadSpec, effort: Effort, tables: Tables<W>, way: Way) -> Self {
        Self {
            spec,
            effort,
            tables,
            way,
            try_alone: false,
        }
    }

    /// Encodes a block, and finds out from it whether what repeats makes it smaller than static codes
    /// do; that is then looked for in all blocks. Returns the bytes of the block with codes, too. `coded` is the
    /// block as it was learned from.
    pub(super) fn encode_first(
        &mut self,
        block: &Entries<W>,
        coded: &Coded<'_, W>,
    ) -> Result<(EncodedBlock, usize)> {
        let (Some(coder), false) = (&self.tables.coder, block.members.is_empty()) else {
            let encoded = self.encode(block)?;
            let n_bytes = encoded.bytes.len();
            return Ok((encoded, n_bytes));
        };
        let sorted = self
            .sorting(block)
            .map(|learned| Sorted::new(learned, block, coded));
        let is_repetitive = is_repetitive(&block.patterns);
        let (encoded, repeats) = parallel::both(
            block.members.len(),
            || self.encode_coded(block, coder, sorted.as_ref()),
            || match (is_repetitive, self.effort, &sorted) {
                (false, Effort::Thorough, Some(sorted)) => {
                    self.repeated_bytes(block, sorted).map(Some)
                }
                _ => Ok(None),
            },
        );
        let (encoded, repeats) = (encoded?, repeats?);
        let n_bytes = encoded.bytes.len();
        self.try_alone = is_repetitive
            || repeats.is_some_and(|(repeated, coded)| repeated + n_bytes / REPEAT_GAIN < coded);
        let encoded = self.or_without_codes(block, encoded)?;
        Ok((encoded, n_bytes))
    }

    /// Bytes of the set of entries if what repeats in it is found, and as it is sorted.
    fn repeated_bytes(&self, block: &Entries<W>, sorted: &Sorted) -> Result<(usize, usize)> {
        let mut coded = Vec::new();
        self.write_classes(&mut coded, sorted, &[])?;
        let bitmap = sparse::bitmap_of(&block.members, block.n);
        Ok((zstd::compress_fast(&bitmap)?.len(), coded.len()))
    }

    /// Encodes one block.
    pub(super) fn encode(&self, block: &Entries<W>) -> Result<EncodedBlock> {
        match self.way {
            Way::Direct => return self.encode_direct(block),
            Way::Packed => return self.encode_packed(block),
            Way::Learned(_) | Way::Alone => {}
        }
        let (Some(coder), false) = (&self.tables.coder, block.members.is_empty()) else {
            return self.encode_alone(block);
        };
        let encoded = self.encode_coded(block, coder, self.sort(block).as_ref())?;
        self.or_without_codes(block, encoded)
    }

    /// What is smallest of a block that was encoded with codes, and what may be smaller without.
    fn or_without_codes(&self, block: &Entries<W>, coded: EncodedBlock) -> Result<EncodedBlock> {
        let smallest = match self.try_alone {
            true => coded.or_smaller(self.encode_alone(block)?),
            false => coded,
        };
        // Noise among blocks that are none.
        match smallest.bytes.len() > block.n as usize * W::WIDTH {
            true => Ok(smallest.or_smaller(self.encode_packed(block)?)),
            false => Ok(smallest),
        }
    }

    /// Encodes a block with the codes that were learned, and the classes if its entries are sorted into
    /// some.
    fn encode_coded(
        &self,
        block: &Entries<W>,
        coder: &ValueCoder,
        sorted: Option<&Sorted>,
    ) -> Result<EncodedBlock> {
        let codebook = self.tables.codebook.as_ref();
        let (order, runs) = match sorted {
            Some(sorted) => (sorted.lines.in_order(&block.patterns), sorted.runs.clone()),
            None => (block.patterns.clone(), vec![block.patterns.len()]),
        };
        let coded = values::code(coder, codebook, &order, &runs)?;
        let mut bytes = Vec::new();
        let in_bundle = match sorted {
            Some(sorted) => self.write_classes(&mut bytes, sorted, &coded.runs)?,
            None => {
                self.write_positions(&mut bytes, &block.members, block.n, Some(self.rows(block)))?;
                false
            }
        };
        let alternate_bytes = self.write_alternates(&mut bytes, block)?;
        values::write_coded(&mut bytes, &coded, in_bundle);
        put_crc(&mut bytes, 0);
        Ok(EncodedBlock {
            bytes,
            alternate_bytes,
        })
    }

    /// Encodes a block in whatever way makes it smallest that needs no classes and codes.
    fn encode_alone(&self, block: &Entries<W>) -> Result<EncodedBlock> {
        let mut bytes = Vec::new();
        self.write_positions(&mut bytes, &block.members, block.n, Some(self.rows(block)))?;
        let alternate_bytes = self.write_alternates(&mut bytes, block)?;
        if !block.patterns.is_empty() {
            self.write_plain_values(&mut bytes, &block.patterns)?;
        }
        put_crc(&mut bytes, 0);
        Ok(EncodedBlock {
            bytes,
            alternate_bytes,
        })
    }

    fn rows(&self, block: &Entries<W>) -> Rows {
        Rows {
            columns: self.spec.columns,
            first_element: block.first_element,
        }
    }

    /// What sorts the entries of a block into the parts of its classes, if it has some.
    fn sorting(&self, block: &Entries<W>) -> Option<&Learned> {
        let (Some(classes), Way::Learned(learned)) = (&self.tables.classes, &self.way) else {
            return None;
        };
        let is_one_part = block.members.len() == block.n as usize && classes.n_rows == 1;
        (!is_one_part).then_some(learned)
    }

    /// Sorts the entries of a block into the parts of its classes, if it has some.
    fn sort(&self, block: &Entries<W>) -> Option<Sorted> {
        let learned = self.sorting(block)?;
        let coded = learned.code(block, self.tables.codebook.as_ref());
        Some(Sorted::new(learned, block, &coded))
    }

    /// Appends the set of entries by classes; says whether the runs of values are in its bundle.
    fn write_classes(
        &self,
        out: &mut Vec<u8>,
        sorted: &Sorted,
        values: &[Run<'_>],
    ) -> Result<bool> {
        match &self.tables.classes {
            Some(classes) => {
                sparse::write_classes(out, classes, &sorted.row_classes, &sorted.lines, values)
            }
            None => Ok(false),
        }
    }

    /// Appends the set of alternates; returns its bytes, if it has members.
    fn write_alternates(&self, out: &mut Vec<u8>, block: &Entries<W>) -> Result<u64> {
        let start = out.len();
        self.write_positions(
            out,
            &block.alternates,
            block.n - block.members.len() as u32,
            None,
        )?;
        Ok(match block.alternates.is_empty() {
            true => 0,
            false => (out.len() - start) as u64,
        })
    }

    /// Appends values without a value coder.
    fn write_plain_values(&self, out: &mut Vec<u8>, values: &[W]) -> Result<()> {
        let codebook = self.tables.codebook.as_ref();
        let rotation = u8::from(self.spec.float);
        let stats = ValueStats {
            count: values.len() as u64,
            width: W::WIDTH as u64,
            rotation,
            code_bits: codebook.map(values::Codebook::code_bits),
            planes: values::split_planes(values, rotation)
                .iter()
                .map(|plane| stream::histogram(plane))
                .collect(),
            repetitive: is_repetitive(values),
        };
        self.keep_smallest(out, choose::values(&stats), |out, plan: ValuePlan| {
            values::write(out, plan, values, codebook)
        })
    }

    /// Appends the set of `members` in the smallest way.
    fn write_positions(
        &self,
        out: &mut Vec<u8>,
        members: &[u32],
        n: u32,
        rows: Option<Rows>,
    ) -> Result<()> {
        let count = members.len() as u32;
        let plans = if count == 0 {
            vec![PositionPlan::None]
        } else if count == n {
            vec![PositionPlan::All]
        } else {
            let one_chain = GapStats::new(members, n, None);
            let by_rows = rows.map(|rows| GapStats::new(members, n, Some(rows)));
            choose::positions(
                n,
                count,
                &one_chain,
                by_rows.as_ref(),
                &sparse::bitmap_histogram(members, n),
            )
        };
        self.keep_smallest(out, plans, |out, plan| {
            sparse::write(out, plan, members, n, rows)
        })
    }

    /// Appends what the plan with the shortest result gives; the first of several. Where there is no time to try
    /// them, the most promising one.
    fn keep_smallest<P>(
        &self,
        out: &mut Vec<u8>,
        mut plans: Vec<P>,
        mut write: impl FnMut(&mut Vec<u8>, P) -> Result<()>,
    ) -> Result<()> {
        if self.effort == Effort::Fast {
            plans.truncate(1);
        }
        let mut best: Option<Vec<u8>> = None;
        for plan in plans {
            let mut bytes = Vec::new();
            write(&mut bytes, plan)?;
            if best.as_ref().is_none_or(|b| bytes.len() < b.len()) {
                best = Some(bytes);
            }
        }
        out.extend_from_slice(&best.unwrap_or_default());
        Ok(())
    }

    /// Encodes a block without codes: its entries, or all its elements, as they are.
    fn encode_packed(&self, block: &Entries<W>) -> Result<EncodedBlock> {
        let mut bytes = Vec::new();
        sparse::write_packed(&mut bytes, &block.members, block.n)?;
        let n_others = block.n - block.members.len() as u32;
        let before = bytes.len();
        sparse::write_packed(&mut bytes, &block.alternates, n_others)?;
        let mut alternate_bytes = match block.alternates.is_empty() {
            true => 0,
            false => (bytes.len() - before) as u64,
        };
        let plan = match self.tables.codebook {
            Some(_) => ValuePlan::PackedCodes,
            None => ValuePlan::Packed,
        };
        let codebook = self.tables.codebook.as_ref();
        let write_values = |bytes: &mut Vec<u8>, plan, values: &[W]| match values.is_empty() {
            true => Ok(()),
            false => values::write(bytes, plan, values, codebook),
        };
        write_values(&mut bytes, plan, &block.patterns)?;
        // Two position kinds and the heads of values and stream.
        if bytes.len() > block.n as usize * W::WIDTH + 4 {
            bytes.clear();
            sparse::write(&mut bytes, PositionPlan::All, &[], block.n, None)?;
            sparse::write(&mut bytes, PositionPlan::None, &[], 0, None)?;
            let all = block.elements(self.tables.background);
            write_values(&mut bytes, ValuePlan::Packed, &all)?;
            alternate_bytes = 0;
        }
        put_crc(&mut bytes, 0);
        Ok(EncodedBlock {
            bytes,
            alternate_bytes,
        })
    }

    /// Encodes a block with nothing to decompress.
    fn encode_direct(&self, block: &Entries<W>) -> Result<EncodedBlock> {
        let mut bytes = Vec::new();
        let rows = self.rows(block);
        let plan = match block.members.len() {
            0 => PositionPlan::None,
            m if m == block.n as usize => PositionPlan::All,
            _ => {
                let costs = RowCosts::new(&block.members, block.n, rows, &choose::ROW_GROUPS);
                let codebook = self.tables.codebook.as_ref();
                let value_bits = codebook.map_or(8 * W::WIDTH as u32, |c| c.code_bits());
                PositionPlan::Rows(choose::row_form(value_bits, &costs))
            }
        };
        sparse::write(&mut bytes, plan, &block.members, block.n, Some(rows))?;
        let n_others = block.n - block.members.len() as u32;
        let before = bytes.len();
        sparse::write_packed(&mut bytes, &block.alternates, n_others)?;
        let alternate_bytes = match block.alternates.is_empty() {
            true => 0,
            false => (bytes.len() - before) as u64,
        };
        if !block.patterns.is_empty() {
            let plan = match self.tables.codebook {
                Some(_) => ValuePlan::PackedCodes,
                None => ValuePlan::Aligned,
            };
            values::write(
                &mut bytes,
                plan,
                &block.patterns,
                self.tables.codebook.as_ref(),
            )?;
        }
        align(&mut bytes);
        put_crc(&mut bytes, 0);
        Ok(EncodedBlock {
            bytes,
            alternate_bytes,
        })
    }
}

/// Whether fewer than three quarters of a sample of the patterns are distinct.
fn is_repetitive<W: Word>(entries: &[W]) -> bool {
    let sample = &entries[..entries.len().min(REPEAT_SAMPLE)];
    let distinct: HashSet<W> = sample.iter().copied().collect();
    distinct.len() * 4 < sample.len() * 3
}

//! Encoding a block in the way that makes it smallest (spec §9).

use super::entries::Entries;
use super::tables::Tables;
use super::train::Learned;
use super::PayloadSpec;
use crate::choose::{self, ValueStats};
use crate::cursor::put_crc;
use crate::error::Result;
use crate::sparse::{self, GapStats, PositionPlan, Rows};
use crate::stream::zstd;
use crate::values::{self, ValuePlan, ValueTables};
use crate::word::Word;
use std::collections::HashSet;

/// Entries that are looked at to see whether patterns repeat.
const REPEAT_SAMPLE: usize = 4096;

/// A block, encoded.
pub(super) struct EncodedBlock {
    pub(super) bytes: Vec<u8>,
    /// Bytes of the set of alternates, if it has members.
    pub(super) alternate_bytes: u64,
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
    pub(super) tables: Tables<W>,
    way: Way,
    /// Whether blocks are also tried without classes, or without codes.
    try_plain_positions: bool,
    try_plain_values: bool,
}

/// The order of the values of a block, and how many of them have which value table.
type ValueOrder = (Vec<u32>, Vec<usize>);

impl<W: Word> BlockEncoder<W> {
    pub(super) fn new(spec: PayloadSpec, tables: Tables<W>, way: Way) -> Self {
        Self {
            spec,
            tables,
            way,
            try_plain_positions: false,
            try_plain_values: false,
        }
    }

    /// Finds out from a block whether what repeats in it makes it smaller than static codes do; it is
    /// then looked for in all blocks.
    pub(super) fn look_for_repeats(&mut self, block: &Entries<W>) -> Result<bool> {
        self.try_plain_values = is_repetitive(&block.patterns);
        if self.tables.classes.is_some() && !block.members.is_empty() {
            let mut coded = Vec::new();
            self.write_entries(&mut coded, block)?;
            let bitmap = sparse::bitmap_of(&block.members, block.n);
            self.try_plain_positions = zstd::compress_fast(&bitmap)?.len() < coded.len();
        }
        Ok(self.try_plain_positions || self.try_plain_values)
    }

    /// Encodes one block.
    pub(super) fn encode(&self, block: &Entries<W>) -> Result<EncodedBlock> {
        match self.way {
            Way::Direct => return self.encode_direct(block),
            Way::Packed => return self.encode_packed(block),
            Way::Learned(_) | Way::Alone => {}
        }
        let mut bytes = Vec::new();
        let order = self.write_entries(&mut bytes, block)?;
        // The order of the values goes with the classes: runs of value tables need it.
        let has_runs = self.tables.coder.as_ref().is_some_and(|coder| coder.codes.len() > 1);
        if self.try_plain_positions && order.is_some() && !has_runs {
            let mut plain = Vec::new();
            write_positions(&mut plain, &block.members, block.n, Some(self.rows(block)))?;
            if plain.len() < bytes.len() {
                return self.finish(plain, None, block);
            }
        }
        self.finish(bytes, order, block)
    }

    fn rows(&self, block: &Entries<W>) -> Rows {
        Rows {
            columns: self.spec.columns,
            first_element: block.first_element,
        }
    }

    /// Appends the set of entries; returns the order of the values and how many have which table, if
    /// it is by classes.
    fn write_entries(&self, out: &mut Vec<u8>, block: &Entries<W>) -> Result<Option<ValueOrder>> {
        let m = block.members.len();
        let (Some(classes), Way::Learned(learned)) = (&self.tables.classes, &self.way) else {
            write_positions(out, &block.members, block.n, Some(self.rows(block)))?;
            return Ok(None);
        };
        if m == 0 || (m == block.n as usize && classes.n_rows == 1) {
            write_positions(out, &block.members, block.n, None)?;
            return Ok(None);
        }
        let row_classes = learned.classify(&learned.code(block, self.tables.codebook.as_ref()));
        let lines = learned.lines(block, &row_classes);
        sparse::write_classes(out, classes, &row_classes, &lines)?;
        let runs = learned.runs(&lines);
        Ok(Some((lines.order, runs)))
    }

    /// Appends alternates, values and checksum to `bytes`, which are the entries.
    fn finish(&self, mut bytes: Vec<u8>, order: Option<ValueOrder>, block: &Entries<W>) -> Result<EncodedBlock> {
        let before = bytes.len();
        write_positions(&mut bytes, &block.alternates, block.n - block.members.len() as u32, None)?;
        let alternate_bytes = match block.alternates.is_empty() {
            true => 0,
            false => (bytes.len() - before) as u64,
        };
        match order {
            None => self.write_values(&mut bytes, &block.patterns, &[block.patterns.len()])?,
            Some((order, runs)) => {
                let patterns: Vec<W> = order.iter().map(|&i| block.patterns[i as usize]).collect();
                self.write_values(&mut bytes, &patterns, &runs)?;
            }
        }
        put_crc(&mut bytes, 0);
        Ok(EncodedBlock {
            bytes,
            alternate_bytes,
        })
    }

    /// Appends values in the smallest way.
    fn write_values(&self, out: &mut Vec<u8>, values: &[W], runs: &[usize]) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        let start = out.len();
        if self.tables.coder.is_some() {
            values::write(out, ValuePlan::Coded, values, runs, &self.tables.value_tables())?;
            if !self.try_plain_values {
                return Ok(());
            }
        }
        let mut plain = Vec::new();
        self.write_plain_values(&mut plain, values)?;
        if out.len() == start || plain.len() < out.len() - start {
            out.truncate(start);
            out.extend(plain);
        }
        Ok(())
    }

    /// Appends values without a value coder.
    fn write_plain_values(&self, out: &mut Vec<u8>, values: &[W]) -> Result<()> {
        let tables = ValueTables {
            codebook: self.tables.codebook.as_ref(),
            coder: None,
        };
        let rotation = u8::from(self.spec.float);
        let stats = ValueStats {
            count: values.len() as u64,
            width: W::WIDTH as u64,
            rotation,
            code_bits: tables.codebook.map(values::Codebook::code_bits),
            planes: values::split_planes(values, rotation)
                .iter()
                .map(|plane| histogram(plane))
                .collect(),
            repetitive: is_repetitive(values),
        };
        keep_smallest(out, choose::values(&stats), |out, plan: ValuePlan| {
            values::write(out, plan, values, &[values.len()], &tables)
        })
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
        let tables = self.tables.value_tables();
        let mut write_values = |bytes: &mut Vec<u8>, plan, values: &[W]| match values.is_empty() {
            true => Ok(()),
            false => values::write(bytes, plan, values, &[values.len()], &tables),
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
            _ => PositionPlan::Rows(choose::row_form(W::WIDTH, |form| {
                sparse::rows::cost(&block.members, block.n, rows, form)
            })),
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
            let runs = [block.patterns.len()];
            values::write(&mut bytes, plan, &block.patterns, &runs, &self.tables.value_tables())?;
        }
        put_crc(&mut bytes, 0);
        Ok(EncodedBlock {
            bytes,
            alternate_bytes,
        })
    }
}

/// Appends the set of `members` in the smallest way.
fn write_positions(out: &mut Vec<u8>, members: &[u32], n: u32, rows: Option<Rows>) -> Result<()> {
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
    keep_smallest(out, plans, |out, plan| {
        sparse::write(out, plan, members, n, rows)
    })
}

/// Appends what the plan with the shortest result gives; the first of several.
fn keep_smallest<P>(
    out: &mut Vec<u8>,
    plans: Vec<P>,
    mut write: impl FnMut(&mut Vec<u8>, P) -> Result<()>,
) -> Result<()> {
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

fn histogram(bytes: &[u8]) -> [u32; 256] {
    let mut counts = [0; 256];
    for &byte in bytes {
        counts[usize::from(byte)] += 1;
    }
    counts
}

/// Whether fewer than three quarters of a sample of the patterns are distinct.
fn is_repetitive<W: Word>(entries: &[W]) -> bool {
    let sample = &entries[..entries.len().min(REPEAT_SAMPLE)];
    let distinct: HashSet<W> = sample.iter().copied().collect();
    distinct.len() * 4 < sample.len() * 3
}

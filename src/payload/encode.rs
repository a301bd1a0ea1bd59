//! Encoding a payload: tables, blocks and directory (spec §8, §9).

use super::cut::Cutter;
use super::record::Directory;
use super::scan::scan;
use super::tables::Tables;
use super::{Elements, PayloadMeta};
use crate::choose::{self, ValueStats};
use crate::cursor::put_crc;
use crate::error::{Error, Result};
use crate::parallel;
use crate::sparse::{self, GapStats, PositionPlan, Rows};
use crate::values::{self, ValuePlan, ValueTables};
use crate::word::{Word, with_word};
use std::collections::HashSet;
use std::ops::Range;

/// Above this density a block is also tried with all its elements as entries: 5 / 8.
const DENSE_TRIAL: (usize, usize) = (5, 8);

/// Entries that are looked at to see whether patterns repeat.
const REPEAT_SAMPLE: usize = 4096;

/// What a payload is, as far as encoding it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PayloadSpec {
    /// Bytes of an element.
    pub(crate) width: usize,
    /// Elements of a row; divides their number.
    pub(crate) columns: u64,
    /// The top bit is a sign: −0.0 is worth a set of its own, and a rotation helps.
    pub(crate) float: bool,
}

/// What encoding a payload came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EncodeStats {
    /// Elements that are −0.0 (alternates of a zero background).
    pub(crate) negative_zeros: u64,
    /// Bytes that their sets take.
    pub(crate) negative_zero_bytes: u64,
}

/// Encodes `bytes` and hands the record to `sink` piece by piece, in order.
///
/// A few blocks are in memory at a time.
pub(crate) fn encode(
    spec: PayloadSpec,
    bytes: &[u8],
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<(PayloadMeta, EncodeStats)> {
    with_word!(spec.width, W => encode_words::<W>(spec, bytes, sink))
}

fn encode_words<W: Word>(
    spec: PayloadSpec,
    bytes: &[u8],
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<(PayloadMeta, EncodeStats)> {
    let elements = Elements::<W>::new(bytes);
    if elements.len() == 0 || !(elements.len() as u64).is_multiple_of(spec.columns) {
        return Err(Error::invalid(format!(
            "{} elements do not fall into rows of {}",
            elements.len(),
            spec.columns
        )));
    }
    let encoder = BlockEncoder {
        spec,
        tables: scan(elements, spec.float),
    };
    let table_bytes = encoder.tables.to_bytes()?;
    sink(&table_bytes)?;

    let mut cutter = Cutter::new(
        elements,
        encoder.tables.background,
        spec.float,
        spec.columns,
    );
    let mut directory = Directory::default();
    let mut stats = EncodeStats::default();
    loop {
        let batch: Vec<Range<usize>> = cutter.by_ref().take(2 * parallel::n_threads()).collect();
        if batch.is_empty() {
            break;
        }
        let blocks = parallel::map(&batch, |range| {
            encoder.encode(elements.slice(range.clone()), range.start as u64)
        });
        for (range, block) in batch.iter().zip(blocks) {
            let block = block?;
            sink(&block.bytes)?;
            directory.push(range.end as u64, block.bytes.len() as u64);
            if encoder.tables.background == W::default() {
                stats.negative_zeros += block.n_alternates;
                stats.negative_zero_bytes += block.alternate_bytes;
            }
        }
    }
    let directory_bytes = directory.to_bytes();
    sink(&directory_bytes)?;
    let meta = PayloadMeta {
        width: spec.width,
        elements: elements.len() as u64,
        columns: spec.columns,
        stored_bytes: table_bytes.len() as u64
            + directory.end_byte()
            + directory_bytes.len() as u64,
        table_bytes: table_bytes.len() as u64,
        blocks: directory.n_blocks(),
    };
    Ok((meta, stats))
}

struct EncodedBlock {
    bytes: Vec<u8>,
    n_alternates: u64,
    alternate_bytes: u64,
}

struct BlockEncoder<W> {
    spec: PayloadSpec,
    tables: Tables<W>,
}

impl<W: Word> BlockEncoder<W> {
    /// Encodes one block in the way that makes it smallest.
    fn encode(&self, elements: Elements<'_, W>, first_element: u64) -> Result<EncodedBlock> {
        let n = u32::try_from(elements.len()).map_err(|_| Error::invalid("block too large"))?;
        let rows = Rows {
            columns: self.spec.columns,
            first_element,
        };
        let split = Split::of(elements, self.tables.background, self.spec.float);

        let mut bytes = Vec::new();
        write_positions(&mut bytes, &split.entries, n, Some(rows))?;
        let before_alternates = bytes.len();
        write_positions(
            &mut bytes,
            &split.alternates,
            n - split.entries.len() as u32,
            None,
        )?;
        let alternate_bytes = (bytes.len() - before_alternates) as u64;
        self.write_values(&mut bytes, &split.patterns, true)?;
        let mut n_alternates = split.alternates.len() as u64;
        let mut alternate_bytes = if n_alternates > 0 { alternate_bytes } else { 0 };

        let (numerator, denominator) = DENSE_TRIAL;
        let is_dense = split.entries.len() * denominator > elements.len() * numerator;
        if split.entries.len() < elements.len() && (is_dense || W::WIDTH == 1) {
            let all: Vec<W> = elements.iter().collect();
            let mut dense = Vec::new();
            sparse::write(&mut dense, PositionPlan::All, &[], n, None)?;
            sparse::write(&mut dense, PositionPlan::None, &[], 0, None)?;
            self.write_values(&mut dense, &all, false)?;
            if dense.len() < bytes.len() {
                bytes = dense;
                (n_alternates, alternate_bytes) = (0, 0);
            }
        }
        put_crc(&mut bytes, 0);
        Ok(EncodedBlock {
            bytes,
            n_alternates,
            alternate_bytes,
        })
    }

    /// Appends `entries` in the smallest way; codes only if `coded` (all of them in the codebook).
    fn write_values(&self, out: &mut Vec<u8>, entries: &[W], coded: bool) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let tables = ValueTables {
            codebook: self.tables.codebook.as_ref().filter(|_| coded),
            coder: None,
        };
        let rotation = u8::from(self.spec.float);
        let stats = ValueStats {
            count: entries.len() as u64,
            width: W::WIDTH as u64,
            rotation,
            code_bits: tables.codebook.map(values::Codebook::code_bits),
            planes: values::split_planes(entries, rotation)
                .iter()
                .map(|plane| histogram(plane))
                .collect(),
            repetitive: is_repetitive(entries),
        };
        keep_smallest(out, choose::values(&stats), |out, plan: ValuePlan| {
            values::write(out, plan, entries, &[entries.len()], &tables)
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

/// The elements of a block, told apart.
struct Split<W> {
    /// Positions of the entries.
    entries: Vec<u32>,
    /// Their patterns.
    patterns: Vec<W>,
    /// Positions of the alternates among the elements that are not entries.
    alternates: Vec<u32>,
}

impl<W: Word> Split<W> {
    fn of(elements: Elements<'_, W>, background: W, alternates: bool) -> Self {
        let alternate = background.flip_top();
        let mut split = Self {
            entries: Vec::new(),
            patterns: Vec::new(),
            alternates: Vec::new(),
        };
        let mut n_others = 0;
        for (position, pattern) in (0u32..).zip(elements.iter()) {
            if pattern == background {
                n_others += 1;
            } else if alternates && pattern == alternate {
                split.alternates.push(n_others);
                n_others += 1;
            } else {
                split.entries.push(position);
                split.patterns.push(pattern);
            }
        }
        split
    }
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

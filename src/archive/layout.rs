//! How a tensor is kept: for people who want to know where the bytes went.

use crate::error::Result;
use crate::payload::Record;
use crate::sparse::{Classes, PositionKind};
use crate::stream::Coding;
use crate::values::{ValueCoderKind, ValueKind};
use crate::word::{Word, with_word};
use std::collections::BTreeMap;

/// How the payload of a tensor is kept, over all its blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layout {
    /// Number of blocks.
    pub blocks: u64,
    /// Blocks by how they keep the positions of their entries.
    pub positions: BTreeMap<PositionKind, u64>,
    /// Blocks by how they say which elements are −0.0 (spec §9: alternates); blocks without count
    /// nowhere.
    pub alternates: BTreeMap<PositionKind, u64>,
    /// Streams of positions by their coding.
    pub position_codings: BTreeMap<Coding, u64>,
    /// Blocks by how they keep their values; a block without entries counts nowhere.
    pub values: BTreeMap<ValueKind, u64>,
    /// Streams of values by their coding.
    pub value_codings: BTreeMap<Coding, u64>,
    /// Classes of rows (spec §8.2.1); 0 without classes.
    pub row_classes: usize,
    /// Classes of columns; 0 without classes.
    pub column_classes: usize,
    /// How the values of kind *coded* become symbols, if the payload says so.
    pub value_coder: Option<ValueCoderKind>,
    /// Bytes of the positions of entries.
    pub position_bytes: u64,
    /// Bytes that say where −0.0 is.
    pub alternate_bytes: u64,
    /// Bytes of the values. Symbols that share a bundle with those of positions count here, whole
    /// bytes of them.
    pub value_bytes: u64,
    /// Bytes of background, codebook, classes and codes (spec §8.2).
    pub table_bytes: u64,
    /// Bytes of the directory of the blocks (spec §8.3).
    pub directory_bytes: u64,
    /// Bytes of the blocks' checksums.
    pub checksum_bytes: u64,
    /// Patterns in the codebook; 0 without one.
    pub codebook_len: usize,
    /// Whether the elements that are not stored have another pattern than zero.
    pub has_background: bool,
}

pub(super) fn of_record(record: &Record<'_>) -> Result<Layout> {
    with_word!(record.width(), W => of_words::<W>(record))
}

fn of_words<W: Word>(record: &Record<'_>) -> Result<Layout> {
    let shared = record.tables::<W>()?;
    let tables = &shared.tables;
    let classes = tables.classes.as_ref();
    let mut layout = Layout {
        blocks: record.n_blocks(),
        table_bytes: record.table_bytes(),
        directory_bytes: record.directory_bytes(),
        checksum_bytes: record.n_blocks().saturating_mul(4),
        codebook_len: tables
            .codebook
            .as_ref()
            .map_or(0, crate::values::Codebook::len),
        row_classes: classes.map_or(0, |classes| classes.n_rows),
        column_classes: classes.map_or(0, Classes::n_columns),
        value_coder: tables.coder.as_ref().map(|coder| coder.map.kind()),
        has_background: tables.background != W::default(),
        ..Layout::default()
    };
    for block in 0..record.n_blocks() {
        let decoded = record.decode(block, &shared)?;
        decoded.check_positions()?;
        let of_block = decoded.layout;
        count(&mut layout.positions, of_block.entry_kind);
        if of_block.alternate_kind != PositionKind::None {
            count(&mut layout.alternates, of_block.alternate_kind);
        }
        for coding in of_block.entry_codings {
            count(&mut layout.position_codings, coding);
        }
        if let Some(kind) = of_block.value_kind {
            count(&mut layout.values, kind);
        }
        for coding in of_block.value_codings {
            count(&mut layout.value_codings, coding);
        }
        add(&mut layout.position_bytes, of_block.entry_bytes);
        add(&mut layout.alternate_bytes, of_block.alternate_bytes);
        add(&mut layout.value_bytes, of_block.value_bytes);
    }
    Ok(layout)
}

fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, of: K) {
    add(counts.entry(of).or_default(), 1);
}

/// Adds to a sum of what stands in one file, which can be counted.
fn add(sum: &mut u64, n: u64) {
    *sum = sum.saturating_add(n);
}

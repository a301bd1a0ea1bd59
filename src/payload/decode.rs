//! Decoding a block: positions and values, then the dense elements (spec §9).

use super::Tables;
use crate::cursor::{Cursor, check_crc};
use crate::error::{Result, Within};
use crate::sparse::{self, PositionKind, Positions, Rows};
use crate::stream::Coding;
use crate::values::{self, ValueKind, Values};
use crate::word::Word;
use std::borrow::Cow;

/// How a block is kept, and what its parts cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockLayout {
    pub(crate) entry_kind: PositionKind,
    pub(crate) entry_codings: Vec<Coding>,
    pub(crate) entry_bytes: u64,
    pub(crate) alternate_kind: PositionKind,
    pub(crate) alternate_bytes: u64,
    /// `None` in a block without entries.
    pub(crate) value_kind: Option<ValueKind>,
    pub(crate) value_codings: Vec<Coding>,
    pub(crate) value_bytes: u64,
}

/// A block whose checksum matched and whose positions and codes have been checked.
pub(crate) struct DecodedBlock<'a, W> {
    n: u32,
    background: W,
    entries: Positions,
    alternates: Positions,
    /// Little-endian patterns of the entries.
    values: Cow<'a, [u8]>,
    pub(crate) layout: BlockLayout,
}

impl<'a, W: Word> DecodedBlock<'a, W> {
    /// Reads a block of `n` elements with its CRC-32.
    pub(super) fn read(bytes: &'a [u8], n: u32, rows: Rows, tables: &Tables<W>) -> Result<Self> {
        let mut cursor = Cursor::new(check_crc(bytes, "block")?);
        let entries = sparse::read(&mut cursor, n, Some(rows)).within(|| "entries".into())?;
        let entry_bytes = cursor.position() as u64;
        let m = entries.positions.count(n);
        let alternates = sparse::read(&mut cursor, n - m, None).within(|| "alternates".into())?;
        let alternate_bytes = cursor.position() as u64 - entry_bytes;
        let values = match m {
            0 => None,
            m => Some(
                values::read(&mut cursor, m as usize, tables.codebook.as_ref())
                    .within(|| "values".into())?,
            ),
        };
        let value_bytes = cursor.position() as u64 - entry_bytes - alternate_bytes;
        cursor.finish()?;
        let (value_kind, value_codings, values) = match values {
            Some(Values {
                kind,
                codings,
                elements,
            }) => (Some(kind), codings, elements),
            None => (None, Vec::new(), Cow::Borrowed(&[][..])),
        };
        Ok(Self {
            n,
            background: tables.background,
            entries: entries.positions,
            alternates: alternates.positions,
            values,
            layout: BlockLayout {
                entry_kind: entries.kind,
                entry_codings: entries.codings,
                entry_bytes,
                alternate_kind: alternates.kind,
                alternate_bytes,
                value_kind,
                value_codings,
                value_bytes,
            },
        })
    }

    /// Bytes of its elements.
    pub(crate) fn n_bytes(&self) -> usize {
        self.n as usize * W::WIDTH
    }

    /// Writes all elements, little-endian; `out` has exactly their bytes.
    ///
    /// # Panics
    /// If `out` has another length.
    pub(crate) fn fill(&self, out: &mut [u8]) {
        assert_eq!(
            out.len(),
            self.n_bytes(),
            "a block is decoded into exactly its elements"
        );
        if self.entries == Positions::All {
            out.copy_from_slice(&self.values);
            return;
        }
        fill_with(out, self.background);
        self.for_each_alternate(|position| {
            let at = position as usize * W::WIDTH;
            self.background
                .flip_top()
                .put_le(&mut out[at..at + W::WIDTH]);
        });
        self.for_each_entry(|position, element| {
            let at = position as usize * W::WIDTH;
            out[at..at + W::WIDTH].copy_from_slice(element);
        });
    }

    /// Calls `f` with the position in the block and the little-endian bytes of each entry.
    pub(crate) fn for_each_entry(&self, mut f: impl FnMut(u32, &[u8])) {
        let elements = self.values.chunks_exact(W::WIDTH);
        match &self.entries {
            Positions::None => {}
            Positions::All => (0..)
                .zip(elements)
                .for_each(|(position, element)| f(position, element)),
            Positions::Some(members) => {
                members
                    .iter()
                    .zip(elements)
                    .for_each(|(&position, element)| f(position, element));
            }
        }
    }

    /// Calls `f` with the position in the block of each alternate.
    fn for_each_alternate(&self, mut f: impl FnMut(u32)) {
        let entries: &[u32] = match &self.entries {
            Positions::Some(members) => members,
            Positions::None | Positions::All => &[],
        };
        let n_others = self.n - self.entries.count(self.n);
        let mut n_before = 0;
        let mut visit = |among_others: u32| {
            // Entries that come before the element: those with fewer others before them.
            while entries
                .get(n_before)
                .is_some_and(|&entry| entry - n_before as u32 <= among_others)
            {
                n_before += 1;
            }
            f(among_others + n_before as u32);
        };
        match &self.alternates {
            Positions::None => {}
            Positions::All => (0..n_others).for_each(&mut visit),
            Positions::Some(members) => members.iter().copied().for_each(&mut visit),
        }
    }
}

fn fill_with<W: Word>(out: &mut [u8], pattern: W) {
    if pattern == W::default() {
        out.fill(0);
    } else {
        out.chunks_exact_mut(W::WIDTH)
            .for_each(|element| pattern.put_le(element));
    }
}

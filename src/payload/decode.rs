//! Decoding a block: positions and values, then the dense elements (spec §9).

use super::tables::{Decoders, Tables, check_aligned};
use crate::cursor::{Cursor, check_crc, range_len};
use crate::error::{Error, Result, Within};
use crate::kernels::out::{Out, overwrite};
use crate::kernels::target::Target;
use crate::kernels::{Isa, Store, alternate};
use crate::sparse::{self, PositionKind, Positions, Rows};
use crate::stream::Coding;
use crate::stream::huffman::Bundle;
use crate::values::{self, InMemory, ValueKind, Values};
use crate::word::Word;
use std::borrow::Cow;

/// Bytes of the CRC-32 at the end of a block.
const CRC_BYTES: u64 = 4;

/// How a block is kept, and what its parts cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockLayout {
    pub(crate) entry_kind: PositionKind,
    pub(crate) entry_codings: Vec<Coding>,
    /// Without the symbols of values that stand in the same bundle.
    pub(crate) entry_bytes: u64,
    pub(crate) alternate_kind: PositionKind,
    pub(crate) alternate_bytes: u64,
    /// `None` in a block without entries.
    pub(crate) value_kind: Option<ValueKind>,
    pub(crate) value_codings: Vec<Coding>,
    pub(crate) value_bytes: u64,
}

/// A block whose checksum matched and whose streams have been decoded.
pub(crate) struct DecodedBlock<'a, 't, W: Word> {
    n: u32,
    /// The background, as it is in memory.
    background: W,
    alternate: W,
    entries: Positions<'a, 't>,
    alternates: Positions<'a, 't>,
    /// The entries in their order, as they are in memory, then whatever.
    values: InMemory<'a, W>,
    isa: Isa,
    pub(crate) layout: BlockLayout,
}

impl<'a, 't, W: Word> DecodedBlock<'a, 't, W> {
    /// Reads a block of `n` elements with its CRC-32.
    pub(super) fn read(
        bytes: &'a [u8],
        n: u32,
        rows: Rows,
        tables: &'t Tables<W>,
        decoders: &Decoders,
        isa: Isa,
    ) -> Result<Self> {
        let mut cursor = Cursor::new(check_crc(bytes, "block")?);
        let classes = tables
            .classes
            .as_ref()
            .map(|classes| (classes, &decoders.parts[..]));
        let entries =
            sparse::read_entries(&mut cursor, isa, n, rows, classes).within(|| "entries".into())?;
        let end_of_entries = cursor.position() as u64;
        let rest_of_bundle = entries.bundle.as_ref().map_or(0, Bundle::rest_bytes);
        let m = entries.positions.count(n);
        let n_others = n
            .checked_sub(m)
            .ok_or_else(|| Error::corrupt(format!("{m} entries in a block of {n} elements")))?;
        let alternates =
            sparse::read_alternates(&mut cursor, n_others).within(|| "alternates".into())?;
        let alternate_bytes = range_len(&(end_of_entries..cursor.position() as u64));
        let (value_kind, value_codings, values) = match m {
            0 => {
                entries.bundle.as_ref().map_or(Ok(()), Bundle::check_end)?;
                (None, Vec::new(), InMemory::Borrowed(&[][..]))
            }
            m => {
                let runs = entries.positions.runs(m as usize);
                let value_tables = tables.value_tables();
                let Values {
                    kind,
                    codings,
                    elements,
                } = values::read(
                    &mut cursor,
                    isa,
                    &runs,
                    &value_tables,
                    &decoders.values,
                    entries.bundle,
                )
                .within(|| "values".into())?;
                (Some(kind), codings, elements)
            }
        };
        if tables.aligned {
            check_aligned(&mut cursor)?;
        }
        cursor.finish()?;
        // The symbols of coded values may stand in the bundle of the entries.
        let entry_bytes = match value_kind {
            Some(ValueKind::Coded) => end_of_entries.saturating_sub(rest_of_bundle),
            _ => end_of_entries,
        };
        let value_bytes = [CRC_BYTES, entry_bytes, alternate_bytes]
            .iter()
            .fold(bytes.len() as u64, |left, part| left.saturating_sub(*part));
        Ok(Self {
            n,
            background: tables.background.to_le(),
            alternate: tables.background.flip_top().to_le(),
            values,
            isa,
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
            entries: entries.positions,
            alternates: alternates.positions,
        })
    }

    /// Bytes of its elements.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the directory has no block of more than MAX_BLOCK_BYTES"
    )]
    pub(crate) fn n_bytes(&self) -> usize {
        self.n as usize * W::WIDTH
    }

    /// Writes all elements, little-endian; `out` has exactly their bytes.
    ///
    /// `Corrupt` if positions lead out of the block; `out` is then written in part.
    ///
    /// # Panics
    /// If `out` has another length.
    pub(crate) fn fill(&self, out: &mut [u8], store: Store) -> Result<()> {
        overwrite(out, |out| self.write(out, store))
    }

    /// As [`fill`](Self::fill), into memory that may not be initialised.
    ///
    /// # Panics
    /// If `out` has another length.
    pub(crate) fn write(&self, out: Out<'_>, store: Store) -> Result<()> {
        assert_eq!(
            out.len(),
            self.n_bytes(),
            "a block is decoded into exactly its elements"
        );
        let mut target = Target::new(self.isa, out, store);
        self.entries
            .fill(self.background, &self.values, &mut target)?;
        self.mark_alternates(target.finish()?)
    }

    /// Elements that are not entries.
    fn n_others(&self) -> u32 {
        // Reading checked that there are no more entries than elements.
        self.n.saturating_sub(self.entries.count(self.n))
    }

    /// Makes the alternates what they are in `out`, where they are the background so far.
    fn mark_alternates(&self, out: &mut [u8]) -> Result<()> {
        // Where only what is no entry is the background, what is no entry can be seen.
        if let Some(bits) = self.alternates.bits(self.n_others())
            && !self.values().contains(&self.background)
            && let Ok(out) = bytemuck::try_cast_slice_mut(out)
        {
            let patterns = (self.background, self.alternate);
            alternate::mark(self.isa, &bits, patterns, out);
            return Ok(());
        }
        let mut elements = out.chunks_exact_mut(W::WIDTH);
        let mut next = 0;
        self.for_each_alternate(|position| {
            // They ascend, and are elements of the block.
            if let Some(element) = elements.nth(position.saturating_sub(next) as usize) {
                element.copy_from_slice(bytemuck::bytes_of(&self.alternate));
            }
            next = position.saturating_add(1);
        })
    }

    /// `Corrupt` if positions lead out of the block, which [`fill`](Self::fill) would find.
    pub(crate) fn check_positions(&self) -> Result<()> {
        match &self.entries {
            Positions::Rows(set) => set.check_positions(),
            Positions::None | Positions::All => Ok(()),
            others => others.ascending(self.n).map(drop),
        }
    }

    /// The positions of the entries, in the order of their values.
    ///
    /// `Corrupt` if they lead out of the block.
    pub(crate) fn positions_in_order(&self) -> Result<Cow<'_, [u32]>> {
        self.entries.in_order(self.n)
    }

    /// The entries in their order, as they are in memory.
    #[expect(
        clippy::indexing_slicing,
        reason = "at least as many values were read as there are entries"
    )]
    pub(crate) fn values(&self) -> &[W] {
        &self.values[..self.entries.count(self.n) as usize]
    }

    /// Calls `f` with the position in the block and the little-endian bytes of each entry, by
    /// ascending position.
    #[expect(
        clippy::indexing_slicing,
        reason = "a set numbers its values below its count, and at least as many were read"
    )]
    pub(crate) fn for_each_entry(&self, mut f: impl FnMut(u32, &[u8])) -> Result<()> {
        let mut entries =
            |position: u32, value: usize| f(position, bytemuck::bytes_of(&self.values[value]));
        match &self.entries {
            Positions::None => {}
            Positions::All => (0..self.n).for_each(|i| entries(i, i as usize)),
            positions => positions.ascending(self.n)?.for_each(entries),
        }
        Ok(())
    }

    /// Calls `f` with the position in the block of each alternate, by ascending position.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "entries ascend strictly, so that as many positions as entries come before each; an \
                  alternate is one of the others, and with all entries before it still below `n`"
    )]
    pub(crate) fn for_each_alternate(&self, mut f: impl FnMut(u32)) -> Result<()> {
        if let Positions::None = self.alternates {
            return Ok(());
        }
        let entries = self.entries.ascending(self.n)?.positions;
        let mut n_before = 0;
        for among_others in self.alternates.ascending(self.n_others())?.positions {
            // Entries that come before the element: those with fewer others before them.
            while entries
                .get(n_before)
                .is_some_and(|&entry| entry - n_before as u32 <= among_others)
            {
                n_before += 1;
            }
            f(among_others + n_before as u32);
        }
        Ok(())
    }
}

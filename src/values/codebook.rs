//! A codebook: the few distinct patterns of a payload, and entries as codes (spec §8.2, §9.2).

use crate::buffer::Buffer;
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::kernels::{Isa, lookup};
use crate::stream::{self, Coding};
use crate::word::Word;
use std::collections::BTreeSet;

/// Most patterns that a codebook holds.
pub(crate) const MAX_CODES: usize = 256;

/// Patterns in strictly ascending order; a code is an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Codebook<W>(Vec<W>);

impl<W: Word> Codebook<W> {
    /// The codebook of all patterns in `entries`; `None` if there are none or too many.
    #[cfg(test)]
    pub(crate) fn of(entries: impl IntoIterator<Item = W>) -> Option<Self> {
        let mut patterns = BTreeSet::new();
        for entry in entries {
            if patterns.insert(entry) && patterns.len() > MAX_CODES {
                return None;
            }
        }
        Self::from_patterns(patterns)
    }

    /// The codebook of these patterns; `None` if there are none or too many.
    pub(crate) fn from_patterns(patterns: BTreeSet<W>) -> Option<Self> {
        (1..=MAX_CODES)
            .contains(&patterns.len())
            .then(|| Self(patterns.into_iter().collect()))
    }

    /// Number of patterns, 1 to [`MAX_CODES`].
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The patterns, ascending.
    pub(crate) fn patterns(&self) -> &[W] {
        &self.0
    }

    /// The code of a pattern, if the codebook has it.
    pub(crate) fn code(&self, pattern: W) -> Option<u8> {
        self.0.binary_search(&pattern).ok().map(|code| code as u8)
    }

    /// Appends the table (spec §8.2).
    pub(crate) fn write_table(&self, out: &mut Vec<u8>) {
        out.push(self.last_code() as u8);
        out.extend_from_slice(&super::to_le_bytes(&self.0));
    }

    /// Reads the table.
    pub(crate) fn read_table(cursor: &mut Cursor<'_>) -> Result<Self> {
        let last_code = cursor.u8()?;
        let patterns = (0..=last_code)
            .map(|_| Ok(W::from_le(cursor.take(W::WIDTH)?)))
            .collect::<Result<Vec<W>>>()?;
        if !patterns.is_sorted_by(|a, b| a < b) {
            return Err(Error::corrupt(
                "the patterns of a codebook are not strictly ascending",
            ));
        }
        Ok(Self(patterns))
    }

    /// The code of the last pattern.
    fn last_code(&self) -> usize {
        self.0.len().saturating_sub(1)
    }

    /// Bits of a code, at least 1.
    pub(crate) fn code_bits(&self) -> u32 {
        stream::bits::bit_width(self.last_code() as u64).max(1)
    }

    /// The codes of `entries`; each of them is in the codebook.
    pub(super) fn codes(&self, entries: &[W]) -> Result<Vec<u32>> {
        let code = |&entry: &W| {
            self.code(entry)
                .map(u32::from)
                .ok_or_else(|| Error::invalid(format!("pattern {entry:?} is not in the codebook")))
        };
        entries.iter().map(code).collect()
    }

    /// Appends the codes of `entries`.
    pub(super) fn write(&self, out: &mut Vec<u8>, entries: &[W]) -> Result<()> {
        stream::write_symbols(out, &self.codes(entries)?, self.code_bits())
    }

    /// Reads `count` codes and looks them up: elements as they are in memory.
    pub(super) fn read(
        &self,
        cursor: &mut Cursor<'_>,
        isa: Isa,
        count: usize,
    ) -> Result<(Buffer<W>, Coding)> {
        let (codes, coding) = stream::read_small_symbols(cursor, isa, count, self.code_bits())?;
        let mut elements = Buffer::new(count);
        lookup::codes(&codes, &self.0, &mut elements).ok_or_else(|| {
            Error::corrupt(format!(
                "a code past the end of a codebook of {} patterns",
                self.0.len()
            ))
        })?;
        super::put_in_memory_order(&mut elements);
        Ok((elements, coding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_the_bits_that_it_needs() {
        for (length, bits) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (256, 8)] {
            assert_eq!(Codebook::of(0..length as u32).unwrap().code_bits(), bits);
        }
        assert!(Codebook::of(0..257u32).is_none());
        assert!(Codebook::<u32>::of([]).is_none());
    }

    #[test]
    fn tables_come_back_and_disorder_is_corrupt() {
        let book = Codebook::of([5u16, 900, 7]).unwrap();
        let mut out = Vec::new();
        book.write_table(&mut out);
        assert_eq!(out, [2, 5, 0, 7, 0, 0x84, 3]);
        assert_eq!(Codebook::read_table(&mut Cursor::new(&out)).unwrap(), book);
        assert!(Codebook::<u16>::read_table(&mut Cursor::new(&[1, 5, 0, 5, 0])).is_err());
    }

    #[test]
    fn codes_past_the_table_are_corrupt() {
        let book = Codebook::of([5u16, 900, 7]).unwrap();
        assert!(
            book.read(&mut Cursor::new(&[0, 0b11]), Isa::Plain, 1)
                .is_err()
        );
        assert_eq!(
            *book
                .read(&mut Cursor::new(&[0, 0b10]), Isa::Plain, 1)
                .unwrap()
                .0,
            [900u16.to_le()]
        );
    }
}

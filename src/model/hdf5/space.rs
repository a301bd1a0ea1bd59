//! The address space of an HDF5 file, and what reading it may cost.

use super::part::{Part, error};
use crate::error::{Error, Result};
use std::ops::Range;

/// How many bytes of metadata may be read, and of names and shapes made, for each byte of the
/// file. Honest files need about two; structures that are linked again and again need more.
const WORK_PER_BYTE: usize = 16;

/// The bytes that addresses point into.
pub(super) struct Space<'a> {
    /// The whole file, up to where the HDF5 file in it ends.
    file: &'a [u8],
    /// Offset of address 0 in the file.
    start: usize,
    work_left: usize,
}

impl<'a> Space<'a> {
    /// The addresses from offset `start` of `file` on.
    pub(super) fn new(file: &'a [u8], start: usize) -> Self {
        let size = file.len().saturating_sub(start);
        Self {
            file,
            start,
            work_left: size.saturating_mul(WORK_PER_BYTE),
        }
    }

    /// Offset of the end of the HDF5 file: a place for what is empty.
    pub(super) fn end(&self) -> usize {
        self.file.len()
    }

    /// Where `len` bytes at an address are in the file.
    pub(super) fn range(&self, address: u64, len: u64, what: &'static str) -> Result<Range<usize>> {
        let range = usize::try_from(address).ok().and_then(|address| {
            let start = self.start.checked_add(address)?;
            let end = start.checked_add(usize::try_from(len).ok()?)?;
            (end <= self.file.len()).then_some(start..end)
        });
        range.ok_or_else(|| {
            let start = u64::try_from(self.start).unwrap_or(u64::MAX);
            error(
                start.saturating_add(address),
                format!(
                    "expected {len} bytes of {what}, found the end of the HDF5 file at {}",
                    self.file.len()
                ),
            )
        })
    }

    /// The `len` bytes at an address, of which only some will be read: those must be spent.
    pub(super) fn unread(&self, address: u64, len: u64, what: &'static str) -> Result<Part<'a>> {
        let range = self.range(address, len, what)?;
        Part::of(self.file, range.start, what).part(range.len(), what)
    }

    /// The `len` bytes at an address, to be read as `what`.
    pub(super) fn part(&mut self, address: u64, len: u64, what: &'static str) -> Result<Part<'a>> {
        let part = self.unread(address, len, what)?;
        self.spend(part.rest().len())?;
        Ok(part)
    }

    /// Counts work or memory, in bytes.
    pub(super) fn spend(&mut self, n_bytes: usize) -> Result<()> {
        self.work_left = self.work_left.checked_sub(n_bytes).ok_or_else(|| {
            Error::model(format!(
                "expected metadata of at most {WORK_PER_BYTE} times the HDF5 file, \
                 found structures that are linked again and again"
            ))
        })?;
        Ok(())
    }
}

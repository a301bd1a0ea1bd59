//! LevelDB tables, as TensorFlow writes them: ascending keys with values, in blocks with checksums.
//!
//! ```text
//! table     data block … | metaindex block | index block | footer
//! block     contents | compression: u8 | masked CRC-32C of contents and compression: u32
//! contents  entry … | restart: u32 … | number of restarts: u32
//! entry     shared: varint | length of the rest: varint | length of the value: varint |
//!           rest of the key | value
//! footer    handle of the metaindex | handle of the index | padding to 40 bytes | magic: u64
//! handle    offset of a block: varint | length of its contents: varint
//! ```
//!
//! A key is the first `shared` bytes of the key before it and its own rest; a restart is the offset
//! of an entry that shares nothing. The values of the index are the handles of the data blocks.
//!
//! The reader believes nothing. Blocks stand in the order of their keys, apart from each other;
//! what they decompress to and what their keys take together is limited by the size of the file, so
//! that time and memory are linear in it. Every error is of kind `Model` and names the offset.

mod block;
mod checkpoint;
mod write;

pub(super) use checkpoint::{SliceKey, check_version, limit_name, printable};

use super::wire::{self, Message};
use crate::error::Result;
use block::{Block, Keys};
use std::ops::Range;

/// What stands behind the contents of a block: how they are compressed, and a checksum.
const TRAILER_LEN: usize = 5;

/// Two handles, padded, and the magic.
const FOOTER_LEN: usize = 48;

/// How every table ends.
const MAGIC: &[u8] = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb";

/// An open table: its index is read, its data blocks are not.
pub(super) struct Table<'a> {
    file: &'a [u8],
    /// Where the contents of the data blocks are in the file, ascending and apart.
    blocks: Vec<Range<usize>>,
    /// Where the contents of the index are.
    index: Range<usize>,
}

/// A key and its value.
pub(super) struct Entry<'e> {
    pub(super) key: &'e [u8],
    pub(super) value: &'e [u8],
    /// Offset of the value in the file; `None` in a compressed block.
    pub(super) at: Option<usize>,
    /// Where the contents of the block are in the file.
    pub(super) block: &'e Range<usize>,
}

impl<'e> Entry<'e> {
    /// The value as a message. Its offsets are those of the file, or count from the beginning of
    /// the value where that is compressed.
    pub(super) fn message(&self) -> Message<'e> {
        Message::at(self.at.unwrap_or(0), self.value)
    }
}

impl<'a> Table<'a> {
    /// Opens a file; `None` if it is no table.
    pub(super) fn open(file: &'a [u8]) -> Result<Option<Self>> {
        if !file.ends_with(MAGIC) {
            return Ok(None);
        }
        let Some((rest, footer)) = file.split_last_chunk::<FOOTER_LEN>() else {
            return Err(wire::error(
                0,
                format!(
                    "expected a table's footer of {FOOTER_LEN} bytes, found {}",
                    file.len()
                ),
            ));
        };
        let mut handles = &footer[..];
        let handle = take_handle(&mut handles).and_then(|_metaindex| take_handle(&mut handles));
        let Some(handle) = handle else {
            return Err(wire::error(
                rest.len(),
                "expected the handle of a table's index, found none",
            ));
        };
        let index = check_handle(handle, &(0..rest.len()), rest.len())?;
        let index = Block::read(file, index)?;

        let mut blocks: Vec<Range<usize>> = Vec::new();
        index.entries(&mut Keys::new(file.len()), &mut |entry| {
            let mut value = entry.value;
            let at = entry.at.unwrap_or(index.range.start);
            let Some(handle) = take_handle(&mut value) else {
                return Err(wire::error(
                    at,
                    "expected the handle of a block, found none",
                ));
            };
            let after_last = |last: &Range<usize>| last.end.saturating_add(TRAILER_LEN);
            let free = blocks.last().map_or(0, after_last)..index.range.start;
            blocks.push(check_handle(handle, &free, at)?);
            Ok(())
        })?;
        Ok(Some(Self {
            file,
            blocks,
            index: index.range.clone(),
        }))
    }

    /// The first entry, if its key is empty, given to `look`. In a checkpoint it says what kind of
    /// checkpoint that is.
    pub(super) fn header<T>(
        &self,
        look: impl FnOnce(&Entry<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(range) = self.blocks.first() else {
            return Ok(None);
        };
        Block::read(self.file, range.clone())?
            .first()?
            .filter(|entry| entry.key.is_empty())
            .map(|entry| look(&entry))
            .transpose()
    }

    /// Gives all entries to `visit`, in the order of their keys.
    pub(super) fn entries(&self, mut visit: impl FnMut(&Entry<'_>) -> Result<()>) -> Result<()> {
        let mut keys = Keys::new(self.file.len());
        for range in &self.blocks {
            Block::read(self.file, range.clone())?.entries(&mut keys, &mut visit)?;
        }
        Ok(())
    }

    /// Whether a data block is compressed.
    pub(super) fn is_compressed(&self) -> bool {
        let compression = |block: &Range<usize>| self.file.get(block.end);
        self.blocks
            .iter()
            .any(|block| compression(block) != Some(&0))
    }

    /// The same table without compression, so that every value is somewhere in the file.
    pub(super) fn decompressed(&self) -> Result<Vec<u8>> {
        let mut file = Vec::new();
        let mut contents = Vec::new();
        let mut blocks = self.blocks.iter();
        let index = Block::read(self.file, self.index.clone())?;
        index.entries(&mut Keys::new(self.file.len()), &mut |entry| {
            if let Some(block) = blocks.next() {
                let block = Block::read(self.file, block.clone())?;
                let handle = write::push_block(&mut file, &block.contents, 0);
                write::push_entry(&mut contents, 0, entry.key, &handle);
            }
            Ok(())
        })?;
        write::push_restarts(&mut contents, &[0]);
        let mut metaindex = Vec::new();
        write::push_restarts(&mut metaindex, &[0]);
        let metaindex = write::push_block(&mut file, &metaindex, 0);
        let index = write::push_block(&mut file, &contents, 0);
        write::push_footer(&mut file, &[metaindex, index].concat());
        Ok(file)
    }

    /// The data block whose contents hold this offset of the file.
    pub(super) fn block_at(&self, offset: usize) -> Option<&Range<usize>> {
        let after = self.blocks.partition_point(|block| block.start <= offset);
        let block = self.blocks.get(after.checked_sub(1)?)?;
        block.contains(&offset).then_some(block)
    }
}

/// Makes the checksum of an uncompressed block match its contents, which are at `block` in `file`.
pub(super) fn repair_block(file: &mut [u8], block: &Range<usize>) -> Result<()> {
    let checksum = checksum_of(file, block)
        .ok_or_else(|| wire::error(block.start, "expected a block, found the end of the file"))?;
    super::put_at(file, block.end.saturating_add(1), &checksum.to_le_bytes())
}

/// The checksum of the block whose contents are at `block` in `file`.
fn checksum_of(file: &[u8], block: &Range<usize>) -> Option<u32> {
    // Behind the contents is the type of their compression.
    file.get(block.start..=block.end).map(masked_crc32c)
}

/// CRC-32C as LevelDB and TensorFlow store it: rotated and shifted, so that a checksum of bytes that
/// hold checksums is no weaker.
pub(super) fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

/// The range of a block's contents, if that and the trailer lie in the `free` part of the file.
/// The handle was found at offset `at`.
fn check_handle((start, len): (u64, u64), free: &Range<usize>, at: usize) -> Result<Range<usize>> {
    let sizes = usize::try_from(start).ok().zip(usize::try_from(len).ok());
    let range = sizes.and_then(|(start, len)| {
        let end = start.checked_add(len)?;
        let is_free = start >= free.start && end.checked_add(TRAILER_LEN)? <= free.end;
        is_free.then_some(start..end)
    });
    range.ok_or_else(|| {
        wire::error(
            at,
            format!(
                "expected a block and its trailer between offsets {} and {}, found one of {len} bytes at {start}",
                free.start, free.end
            ),
        )
    })
}

/// An offset and a length.
fn take_handle(rest: &mut &[u8]) -> Option<(u64, u64)> {
    Some((take_varint(rest)?, take_varint(rest)?))
}

/// The next varint, of at most 64 bits.
pub(super) fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
pub(super) mod build;
#[cfg(test)]
mod tests;

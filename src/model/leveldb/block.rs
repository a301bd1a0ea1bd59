//! A block of a table: its checksum, its compression, and the entries in it.

use super::{Entry, checksum_of, take_varint};
use crate::error::{Error, Result};
use crate::model::wire;
use std::borrow::Cow;
use std::ops::Range;

/// How much longer than its compressed form a block may be. Snappy's own limit is 22: three bytes
/// can stand for 64.
const MAX_EXPANSION: usize = 64;

/// What all keys together may take, in bytes per byte of the file, and ever. TensorFlow writes every
/// 16th key in full.
const KEY_BYTES_PER_BYTE: usize = 16;
const KEY_BYTES_ALWAYS: usize = 1 << 20;

/// A block whose checksum is right.
pub(super) struct Block<'a> {
    /// Where its contents are in the file, perhaps compressed.
    pub(super) range: Range<usize>,
    /// The contents: borrowed from the file, or decompressed.
    pub(super) contents: Cow<'a, [u8]>,
}

impl<'a> Block<'a> {
    /// Reads the block whose contents are at `range` in the file.
    pub(super) fn read(file: &'a [u8], range: Range<usize>) -> Result<Self> {
        let error = |detail: String| Err(wire::error(range.start, detail));
        let block = file
            .get(range.start..)
            .and_then(|rest| rest.split_at_checked(range.len()));
        let (Some((stored, [compression, a, b, c, d, ..])), Some(found)) =
            (block, checksum_of(file, &range))
        else {
            return error("expected a block and its trailer, found the end of the file".to_owned());
        };
        let expected = u32::from_le_bytes([*a, *b, *c, *d]);
        if found != expected && !cfg!(fuzzing) {
            return error(format!(
                "expected a block of {} bytes with checksum {expected:08x}, found {found:08x}",
                range.len()
            ));
        }
        let contents = match compression {
            0 => Cow::Borrowed(stored),
            1 => Cow::Owned(decompress(stored, range.start)?),
            other => return error(format!("expected a block of type 0 or 1, found {other}")),
        };
        Ok(Self { range, contents })
    }

    /// Offset in the file of what stands at `pos` in the contents, if it stands there as it is.
    fn file_offset(&self, pos: usize) -> Option<usize> {
        match self.contents {
            Cow::Borrowed(_) => self.range.start.checked_add(pos),
            Cow::Owned(_) => None,
        }
    }

    /// An error at `pos` in the contents.
    fn error(&self, pos: usize, detail: impl Into<Cow<'static, str>>) -> Error {
        match self.file_offset(pos) {
            Some(at) => wire::error(at, detail),
            None => wire::error(pos, detail).within(format_args!(
                "compressed block at offset {}",
                self.range.start
            )),
        }
    }

    /// Entries and restarts.
    fn split(&self) -> Result<(&[u8], &[[u8; 4]])> {
        let end = self.contents.len();
        let Some((rest, n_restarts)) = self.contents.split_last_chunk() else {
            return Err(self.error(
                0,
                format!("expected a block of at least 4 bytes, found {end}"),
            ));
        };
        let n_restarts = u32::from_le_bytes(*n_restarts);
        let restarts_len = usize::try_from(n_restarts)
            .ok()
            .and_then(|n| n.checked_mul(4));
        restarts_len
            .filter(|&len| len > 0)
            .and_then(|len| rest.split_at_checked(rest.len().checked_sub(len)?))
            .map(|(entries, restarts)| (entries, restarts.as_chunks().0))
            .ok_or_else(|| {
                self.error(
                    rest.len(),
                    format!(
                        "expected 1 to {} restarts in a block, found {n_restarts}",
                        rest.len() / 4
                    ),
                )
            })
    }

    /// The first entry; `None` in an empty block.
    pub(super) fn first(&self) -> Result<Option<Entry<'_>>> {
        let (mut entries, _) = self.split()?;
        if entries.is_empty() {
            return Ok(None);
        }
        let (_, entry) = self.take_entry(&mut entries, 0)?;
        Ok(Some(entry))
    }

    /// Gives all entries to `visit`. The keys go on where those of the block before ended.
    pub(super) fn entries(
        &self,
        keys: &mut Keys,
        visit: &mut impl FnMut(&Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let (entries, restarts) = self.split()?;
        let mut restarts = restarts.iter().map(|&r| u32::from_le_bytes(r)).peekable();
        let mut rest = entries;
        // The first entry has nothing to share.
        let mut key_len = 0;
        while !rest.is_empty() {
            let pos = entries.len().saturating_sub(rest.len());
            let (shared, entry) = self.take_entry(&mut rest, pos)?;
            let is_restart = restarts.next_if(|&r| u64::from(r) == pos as u64).is_some();
            let can_share = if is_restart { 0 } else { key_len };
            if shared > can_share || (pos == 0 && !is_restart) {
                let detail = format!(
                    "expected a key that shares at most {can_share} bytes, and a restart at the                      first one, found one that shares {shared}"
                );
                return Err(self.error(pos, detail));
            }
            keys.advance(shared, entry.key)
                .map_err(|detail| self.error(pos, detail))?;
            key_len = keys.key.len();
            visit(&Entry {
                key: &keys.key,
                ..entry
            })?;
        }
        match restarts.next() {
            Some(restart) if !entries.is_empty() => Err(self.error(
                entries.len(),
                format!("expected restarts at entries, in their order, found one at {restart}"),
            )),
            _ => Ok(()),
        }
    }

    /// The next entry, which is at `pos`: how many bytes its key shares, and the entry with the rest
    /// of its key.
    fn take_entry<'c>(&'c self, rest: &mut &'c [u8], pos: usize) -> Result<(usize, Entry<'c>)> {
        let len = rest.len();
        let mut take = || {
            let (shared, key_len, value_len) = (take_len(rest)?, take_len(rest)?, take_len(rest)?);
            let key = rest.split_off(..key_len)?;
            let value_pos = pos.checked_add(len.checked_sub(rest.len())?)?;
            Some((shared, key, value_pos, rest.split_off(..value_len)?))
        };
        let Some((shared, key, value_pos, value)) = take() else {
            return Err(self.error(pos, "expected an entry, found the end of its block"));
        };
        let at = self.file_offset(value_pos);
        Ok((
            shared,
            Entry {
                key,
                value,
                at,
                block: &self.range,
            },
        ))
    }
}

/// The keys of a table, one after the other.
pub(super) struct Keys {
    key: Vec<u8>,
    is_first: bool,
    /// What is left of the bytes that all keys may take.
    bytes_left: usize,
}

impl Keys {
    pub(super) fn new(file_len: usize) -> Self {
        Self {
            key: Vec::new(),
            is_first: true,
            bytes_left: file_len
                .saturating_mul(KEY_BYTES_PER_BYTE)
                .saturating_add(KEY_BYTES_ALWAYS),
        }
    }

    /// Goes on to the key that shares its first bytes with the present one.
    fn advance(&mut self, shared: usize, rest: &[u8]) -> std::result::Result<(), &'static str> {
        // Both keys share these bytes, so what follows them decides.
        if !self.is_first && self.key.get(shared..).is_none_or(|own| own >= rest) {
            return Err("expected ascending keys, found one that is not");
        }
        self.is_first = false;
        self.key.truncate(shared);
        self.key.extend_from_slice(rest);
        self.bytes_left = self
            .bytes_left
            .checked_sub(self.key.len())
            .ok_or("expected keys that take at most 16 times the file, found more")?;
        Ok(())
    }
}

/// The contents of a block at offset `at` that is compressed with Snappy.
fn decompress(stored: &[u8], at: usize) -> Result<Vec<u8>> {
    let limit = stored.len().saturating_mul(MAX_EXPANSION);
    let contents = snap::raw::decompress_len(stored).and_then(|len| {
        if len > limit {
            return Ok(None);
        }
        snap::raw::Decoder::new().decompress_vec(stored).map(Some)
    });
    match contents {
        Ok(Some(contents)) => Ok(contents),
        Ok(None) => Err(wire::error(
            at,
            format!("expected a block of at most {limit} bytes when decompressed, found more"),
        )),
        Err(e) => Err(wire::error(
            at,
            format!("expected a block compressed with snappy, found damage: {e}"),
        )),
    }
}

fn take_len(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(take_varint(rest)?).ok()
}

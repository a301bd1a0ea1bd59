//! Values of a block where they are, for those who need nothing decoded.

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::stream::{self, Coding};
use crate::values::{self, ValueKind};

use super::decode::BlockLayout;

/// Values that are not coded.
#[derive(Clone, Copy)]
pub(crate) enum ValueStream<'a> {
    /// Elements, little-endian, one after the other.
    Elements(&'a [u8]),
    /// Packed codes.
    Codes(&'a [u8]),
}

impl BlockLayout {
    /// Where the values begin in the block, if they are not coded.
    pub(crate) fn values_at(&self) -> Option<usize> {
        let is_plain = match self.value_kind {
            Some(ValueKind::Raw | ValueKind::Codebook) => self.value_codings == [Coding::Packed],
            Some(ValueKind::Aligned) => true,
            _ => false,
        };
        // Both are parts of a block that is in memory.
        let before = self.entry_bytes.saturating_add(self.alternate_bytes);
        is_plain.then_some(before as usize)
    }
}

/// The `count` values that begin at a byte of a block: elements of `width` bytes, or codes of `code_bits` bits.
///
/// `Corrupt` if they are kept otherwise, or end after the block.
pub(crate) fn value_stream(
    block: &[u8],
    at: usize,
    count: usize,
    width: usize,
    code_bits: u32,
) -> Result<ValueStream<'_>> {
    let mut cursor = Cursor::new(block);
    cursor.take(at)?;
    // What can't be counted is more than the block holds.
    let n_bytes = count.saturating_mul(width);
    match cursor.u8()? {
        0 => stream::take_packed(&mut cursor, n_bytes, 8).map(ValueStream::Elements),
        2 => stream::take_packed(&mut cursor, count, code_bits).map(ValueStream::Codes),
        4 => values::take_aligned(&mut cursor, n_bytes).map(ValueStream::Elements),
        kind => Err(Error::corrupt(format!("values of kind {kind}"))),
    }
}

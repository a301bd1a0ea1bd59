//! What can be said of a zstd frame before it is decoded (RFC 8878, section 3.1.1): its header and
//! where its blocks end. Both decoders are asked only after this, and so refuse the same.

use crate::cursor::Cursor;
use crate::error::{Error, Result};

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Bits of the frame header descriptor.
const SINGLE_SEGMENT: u8 = 1 << 5;
const RESERVED: u8 = 1 << 3;
const HAS_CHECKSUM: u8 = 1 << 2;

/// Most bytes that a block becomes, whatever the window.
const MAX_BLOCK_BYTES: u64 = 1 << 17;

/// Largest window, as a power of two: no encoder makes larger ones, and the C library refuses them.
const MAX_WINDOW_LOG: u32 = 31;

/// Kinds of blocks.
const RLE: u32 = 1;
const RESERVED_KIND: u32 = 3;

/// A whole frame whose header and block headers have been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) bytes: &'a [u8],
    /// Blocks and checksum.
    pub(super) body: &'a [u8],
    pub(super) has_checksum: bool,
    /// How far back a match may reach; a block becomes no more bytes either.
    pub(super) window: u64,
}

impl<'a> Frame<'a> {
    /// The frame that `bytes` are, which is to decode to `length` bytes.
    pub(super) fn read(bytes: &'a [u8], length: u64) -> Result<Self> {
        let mut cursor = Cursor::new(bytes);
        if cursor.take(MAGIC.len())? != MAGIC {
            return Err(Error::corrupt("no zstd frame"));
        }
        let descriptor = cursor.u8()?;
        if descriptor & RESERVED != 0 {
            return Err(Error::corrupt("a reserved bit of the zstd frame is set"));
        }
        let single_segment = descriptor & SINGLE_SEGMENT != 0;
        let window = match single_segment {
            true => None,
            false => {
                let byte = cursor.u8()?;
                let log = 10 + u32::from(byte >> 3);
                if log > MAX_WINDOW_LOG {
                    return Err(Error::corrupt(format!("a zstd window of 2^{log} bytes")));
                }
                // As many eighths of 2^log as the low bits say, and eight.
                let eighths = u64::from(byte & 7 | 8);
                Some(eighths << log >> 3)
            }
        };
        let dictionary_bytes = match descriptor & 3 {
            3 => 4,
            n => usize::from(n),
        };
        let dictionary = little_endian(cursor.take(dictionary_bytes)?);
        if dictionary != 0 {
            return Err(Error::corrupt(format!(
                "the zstd frame wants dictionary {dictionary}"
            )));
        }
        let content_size = match (descriptor >> 6, single_segment) {
            (0, false) => None,
            (0, true) => Some(cursor.u8()?.into()),
            (1, _) => Some(256 + u64::from(cursor.u16()?)),
            (2, _) => Some(little_endian(cursor.take(4)?)),
            _ => Some(little_endian(cursor.take(8)?)),
        };
        if let Some(size) = content_size
            && size != length
        {
            return Err(Error::corrupt(format!(
                "a zstd frame of {size} decoded bytes, expected {length}"
            )));
        }
        let frame = Self {
            bytes,
            body: cursor.rest(),
            has_checksum: descriptor & HAS_CHECKSUM != 0,
            window: window.or(content_size).unwrap_or(length),
        };
        frame.check_blocks(cursor)?;
        Ok(frame)
    }

    /// Blocks are no larger than they may be, and the frame ends with the last one or its checksum.
    fn check_blocks(&self, mut cursor: Cursor<'_>) -> Result<()> {
        let most = self.window.min(MAX_BLOCK_BYTES);
        loop {
            let header = little_endian(cursor.take(3)?) as u32;
            let (is_last, kind, size) = (header & 1 == 1, header >> 1 & 3, header >> 3);
            if kind == RESERVED_KIND || u64::from(size) > most {
                return Err(Error::corrupt(format!(
                    "a zstd block of kind {kind} and {size} bytes, expected at most {most}"
                )));
            }
            cursor.take(if kind == RLE { 1 } else { size as usize })?;
            if is_last {
                break;
            }
        }
        if self.has_checksum {
            cursor.take(4)?;
        }
        match cursor.rest() {
            [] => Ok(()),
            rest => Err(Error::corrupt(format!(
                "{} bytes after the zstd frame",
                rest.len()
            ))),
        }
    }
}

/// The number that at most eight bytes are.
fn little_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

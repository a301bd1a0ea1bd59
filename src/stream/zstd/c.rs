//! Compression, and decoding by the C library.

use super::Frame;
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};

/// Levels that are tried: the fast one's plain literals suit noise with a skew (gaps, exponents),
/// the strong one suits text and structure. The smaller result is kept; where the fast one finds
/// nothing (mantissas) the slow one is not asked.
const LEVELS: [i32; 2] = [1, 19];

thread_local! {
    // Contexts are large and costly to make; a small tensor should not pay for one.
    static COMPRESSORS: RefCell<Vec<Compressor<'static>>> = const { RefCell::new(Vec::new()) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses `bytes`, or returns `None` if that takes `limit` bytes or more.
pub(crate) fn compress_below(bytes: &[u8], limit: usize) -> Result<Option<Vec<u8>>> {
    COMPRESSORS.with_borrow_mut(|compressors| {
        if compressors.is_empty() {
            for level in LEVELS {
                compressors
                    .push(Compressor::new(level).map_err(|e| Error::io("cannot set up zstd", e))?);
            }
        }
        let mut smallest: Option<Vec<u8>> = None;
        for compressor in compressors {
            let frame = compressor
                .compress(bytes)
                .map_err(|e| Error::io("zstd cannot compress", e))?;
            if frame.len() < smallest.as_ref().map_or(limit, Vec::len) {
                smallest = Some(frame);
            } else if smallest.is_none() {
                break;
            }
        }
        Ok(smallest)
    })
}

/// Compresses `bytes` at the fast level.
#[cfg(feature = "pack")]
pub(crate) fn compress_fast(bytes: &[u8]) -> Result<Vec<u8>> {
    zstd::bulk::compress(bytes, LEVELS[0]).map_err(|e| Error::io("zstd cannot compress", e))
}

/// The largest window that the library takes on machines of 32 bits, and the byte that says so in a frame.
const MAX_WINDOW: u64 = 1 << 30;
const MAX_WINDOW_BYTE: u8 = (30 - 10) << 3;

/// Where the byte of the window stands.
const WINDOW_AT: usize = 5;

/// Decodes a frame to at most `length` bytes.
pub(super) fn decode(frame: Frame<'_>, length: usize) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(length);
    let mut bytes = Cow::Borrowed(frame.bytes);
    // Nothing reaches further back than what is decoded: that it might makes no difference.
    if frame.window > MAX_WINDOW
        && length as u64 <= MAX_WINDOW
        && let Some(window) = bytes.to_mut().get_mut(WINDOW_AT)
    {
        *window = MAX_WINDOW_BYTE;
    }
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => {
                slot.insert(Decompressor::new().map_err(|e| Error::io("cannot set up zstd", e))?)
            }
        };
        decompressor
            .decompress_to_buffer(&bytes, &mut out)
            .map_err(|e| {
                Error::corrupt(format!("zstd frame does not decode to {length} bytes: {e}"))
            })
    })?;
    Ok(out)
}

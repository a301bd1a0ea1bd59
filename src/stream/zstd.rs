//! zstd frames of an exactly known decoded length (spec §10.2).

use crate::error::{Error, Result};
use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe;

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
pub(crate) fn compress_fast(bytes: &[u8]) -> Result<Vec<u8>> {
    zstd::bulk::compress(bytes, LEVELS[0]).map_err(|e| Error::io("zstd cannot compress", e))
}

/// Decodes one frame to exactly `length` bytes.
///
/// The caller has checked `length` against what it is willing to reserve.
pub(crate) fn decode(frame: &[u8], length: usize) -> Result<Vec<u8>> {
    let size = zstd_safe::find_frame_compressed_size(frame)
        .map_err(|_| Error::corrupt("no complete zstd frame"))?;
    if size != frame.len() {
        return Err(Error::corrupt(format!(
            "expected one zstd frame of {} bytes, found one of {size}",
            frame.len()
        )));
    }
    let mut out = Vec::with_capacity(length);
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => {
                slot.insert(Decompressor::new().map_err(|e| Error::io("cannot set up zstd", e))?)
            }
        };
        decompressor
            .decompress_to_buffer(frame, &mut out)
            .map_err(|e| {
                Error::corrupt(format!("zstd frame does not decode to {length} bytes: {e}"))
            })
    })?;
    if out.len() != length {
        return Err(Error::corrupt(format!(
            "zstd frame decodes to {} bytes, expected {length}",
            out.len()
        )));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_frames_are_exact() {
        let frame = compress_below(&[1; 1000], 1000).unwrap().unwrap();
        assert_eq!(decode(&frame, 1000).unwrap(), [1; 1000]);
        assert!(decode(&frame, 999).is_err());
        assert!(decode(&frame, 1001).is_err());
        assert!(decode(&frame[..frame.len() - 1], 1000).is_err());
        assert!(decode(&[&frame[..], &frame[..]].concat(), 2000).is_err());
        assert!(decode(&[], 0).is_err());
    }

    #[test]
    fn noise_is_not_compressed() {
        assert!(compress_below(b"dx8f3,qm", 8).unwrap().is_none());
    }
}

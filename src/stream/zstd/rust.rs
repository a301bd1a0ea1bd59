//! Decoding in Rust alone, for builds without a C compiler.
//!
//! What an encoder writes, both decoders decode alike. Of compressed blocks that break RFC 8878 they
//! don't refuse quite the same; what is written into a `.tfz` stands under a CRC-32, so that such a
//! block was made on purpose.

use super::Frame;
use crate::error::{Error, Result};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::cell::RefCell;

/// What a decoder may have decoded and still be kept, with its buffers, for the thread's next frame.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// A frame's header when its content is one segment and its size has eight bytes.
const HEADER: [u8; 5] = [0x28, 0xb5, 0x2f, 0xfd, 0xe0];
const HAS_CHECKSUM: u8 = 1 << 2;

thread_local! {
    static DECODER: RefCell<Option<FrameDecoder>> = const { RefCell::new(None) };
}

/// Decodes a frame to at most `length` bytes.
///
/// Holds, besides the result, at most about twice `length` and two blocks: the decoder keeps what a
/// match may reach back to, which without being asked for it is everything.
pub(super) fn decode(frame: Frame<'_>, length: usize) -> Result<Vec<u8>> {
    DECODER.with_borrow_mut(|slot| {
        // Not put back where it fails, or where it has become large.
        let mut decoder = slot.take().unwrap_or_default();
        let out = decode_with(&mut decoder, frame, length)?;
        if length <= MAX_KEPT_BYTES {
            *slot = Some(decoder);
        }
        Ok(out)
    })
}

fn decode_with(decoder: &mut FrameDecoder, frame: Frame<'_>, length: usize) -> Result<Vec<u8>> {
    let failed = |e| Error::corrupt(format!("zstd frame does not decode to {length} bytes: {e}"));
    // Whatever window the frame announces, no more than its length is reserved for it. A block is no
    // larger than the window: that must stay so.
    let window = frame.window.min(length as u64);
    let [magic @ .., mut descriptor] = HEADER;
    if frame.has_checksum {
        descriptor |= HAS_CHECKSUM;
    }
    let header = [&magic[..], &[descriptor], &window.to_le_bytes()].concat();
    decoder.set_max_window_size(window);
    decoder.reset(&header[..]).map_err(failed)?;
    let mut body = frame.body;
    while !decoder.is_finished() {
        decoder
            .decode_blocks(&mut body, BlockDecodingStrategy::UptoBlocks(1))
            .map_err(failed)?;
        // Before the end, it can give back what lies before the window.
        let n_bytes = match (decoder.is_finished(), decoder.can_collect()) {
            (true, all) => all,
            (false, 0) => 0,
            (false, n) => n.saturating_add(window as usize),
        };
        if n_bytes > length {
            return Err(Error::corrupt(format!(
                "zstd frame decodes to more than {length} bytes"
            )));
        }
    }
    let out = decoder.collect().unwrap_or_default();
    let (found, expected) = (
        decoder.get_calculated_checksum(),
        decoder.get_checksum_from_data(),
    );
    if frame.has_checksum && found != expected {
        return Err(Error::corrupt(
            "the checksum of a zstd frame does not match",
        ));
    }
    Ok(out)
}

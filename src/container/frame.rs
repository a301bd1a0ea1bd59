//! Skeleton frames: what is outside the holes, in independent pieces (spec §6.2).

use crate::cursor::{check_crc, put_crc};
use crate::error::{Error, Result};
use crate::stream::zstd;
use std::borrow::Cow;

/// Decoded bytes of every frame but the last.
pub(crate) const FRAME_BYTES: u64 = 1 << 20;

/// The section of one frame: its body, compressed where that pays, and a CRC-32.
pub(super) fn encode_frame(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = zstd::compress_below(bytes, bytes.len())?.unwrap_or_else(|| bytes.to_vec());
    put_crc(&mut out, 0);
    Ok(out)
}

/// The `length` bytes of a frame.
pub(crate) fn decode_frame(section: &[u8], length: usize) -> Result<Cow<'_, [u8]>> {
    let body = check_crc(section, "skeleton frame")?;
    match body.len() {
        n if n == length => Ok(Cow::Borrowed(body)),
        n if n < length => Ok(Cow::Owned(zstd::decode(body, length)?)),
        n => Err(Error::corrupt(format!(
            "a skeleton frame of {length} bytes is stored in {n}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_come_back(bytes in prop::collection::vec(0u8..4, 1..400), noise: bool) {
            let bytes: Vec<u8> = bytes.iter().enumerate().map(|(i, b)| if noise { b ^ (i * 89 + i * i) as u8 } else { *b }).collect();
            let frame = encode_frame(&bytes).unwrap();
            prop_assert!(frame.len() <= bytes.len() + 4);
            prop_assert_eq!(&*decode_frame(&frame, bytes.len()).unwrap(), &bytes[..]);
            prop_assert!(decode_frame(&frame, bytes.len() + 1).is_err());
        }
    }
}

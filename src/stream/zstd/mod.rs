//! zstd frames of an exactly known decoded length (spec §10.2).

#[cfg(feature = "zstd")]
mod c;
mod frame;
#[cfg(any(not(feature = "zstd"), fuzzing, test))]
mod rust;

#[cfg(feature = "zstd")]
use c as decoder;
#[cfg(feature = "zstd")]
pub(crate) use c::compress_below;
#[cfg(feature = "pack")]
pub(crate) use c::compress_fast;
#[cfg(not(feature = "zstd"))]
use rust as decoder;

use crate::error::{Error, Result};
use frame::Frame;

/// Decodes one frame to exactly `length` bytes.
///
/// The caller has checked `length` against what it is willing to reserve. Which decoder does it is
/// for the build to say and for no byte of the frame.
pub(crate) fn decode(frame: &[u8], length: usize) -> Result<Vec<u8>> {
    exactly(
        length,
        decoder::decode(Frame::read(frame, length as u64)?, length)?,
    )
}

/// In a build without a compressor nothing becomes smaller. Nothing asks there: only packing writes.
/// What the decoder in Rust makes of a frame, in a build that has the other one.
#[cfg(all(feature = "zstd", any(fuzzing, test)))]
pub(crate) fn decode_in_rust(frame: &[u8], length: usize) -> Result<Vec<u8>> {
    exactly(
        length,
        rust::decode(Frame::read(frame, length as u64)?, length)?,
    )
}

#[cfg(not(feature = "zstd"))]
pub(crate) fn compress_below(_: &[u8], _: usize) -> Result<Option<Vec<u8>>> {
    Ok(None)
}

fn exactly(length: usize, out: Vec<u8>) -> Result<Vec<u8>> {
    match out.len() == length {
        true => Ok(out),
        false => Err(Error::corrupt(format!(
            "zstd frame decodes to {} bytes, expected {length}",
            out.len()
        ))),
    }
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

    /// Frames of many kinds: the bytes and what they decode to.
    #[cfg(feature = "zstd")]
    fn frames() -> Vec<(Vec<u8>, Vec<u8>)> {
        use ::zstd::zstd_safe::{CCtx, CParameter};
        let mut state = 1u32;
        let mut noise = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16
        };
        let contents: Vec<Vec<u8>> = vec![
            vec![],
            vec![7],
            vec![0; 300_000],
            b"a fox and a box and a fox in a box ".repeat(40),
            (0..3000).map(|_| noise() as u8).collect(),
            (0..5000)
                .map(|_| (noise() % 7 * (noise() % 5)) as u8)
                .collect(),
            (0..200_000)
                .map(|i| (i % 251 + noise() % 2) as u8)
                .collect(),
            (0..150_000u32)
                .map(|i| (i / 1000 * (i % 3)) as u8)
                .collect(),
            (0..700)
                .map(|i| (1 << (noise() % 8)) as u8 ^ (i / 90) as u8)
                .collect(),
        ];
        let mut frames = Vec::new();
        for content in contents {
            for (level, log, size, checksum) in [
                (1, 0, true, false),
                (19, 0, true, true),
                (-5, 10, false, false),
                (3, 11, false, true),
                (9, 10, true, false),
            ] {
                let mut context = CCtx::create();
                for parameter in [
                    CParameter::CompressionLevel(level),
                    CParameter::WindowLog(log),
                    CParameter::ContentSizeFlag(size),
                    CParameter::ChecksumFlag(checksum),
                ] {
                    context.set_parameter(parameter).unwrap();
                }
                let mut frame = Vec::with_capacity(content.len() + 1000);
                context.compress2(&mut frame, &content).unwrap();
                frames.push((frame, content.clone()));
            }
        }
        frames
    }

    /// What both decoders make of a frame, if that is the same.
    #[cfg(feature = "zstd")]
    fn by_both(frame: &[u8], length: usize) -> Option<Vec<u8>> {
        let by = |decode: fn(Frame<'_>, usize) -> Result<Vec<u8>>| {
            let frame = Frame::read(frame, length as u64)?;
            exactly(length, decode(frame, length)?)
        };
        let (ours, theirs) = (by(rust::decode), by(c::decode));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                assert!(ours == theirs, "{length} bytes differ");
                Some(ours)
            }
            (Err(_), Err(_)) => None,
            (ours, theirs) => panic!(
                "{:?} and {:?} of {frame:02x?}",
                ours.map(drop),
                theirs.map(drop)
            ),
        }
    }

    #[test]
    #[cfg(feature = "zstd")]
    fn both_decoders_read_every_frame_to_its_length_and_no_other() {
        for (frame, content) in frames() {
            let n = content.len();
            assert_eq!(by_both(&frame, n), Some(content));
            for other in [n / 2, n.saturating_sub(1), n + 1, 2 * n + 1] {
                assert!(other == n || by_both(&frame, other).is_none());
            }
            for end in (0..frame.len()).rev().take(40) {
                assert_eq!(by_both(&frame[..end], n), None);
            }
            assert_eq!(by_both(&[&frame[..], &[0]].concat(), n), None);
        }
    }

    /// Numbers below a bound that look random.
    #[cfg(feature = "zstd")]
    fn random() -> impl FnMut(usize) -> usize {
        let mut state = 7u64;
        move |n| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        }
    }

    #[test]
    #[cfg(feature = "zstd")]
    fn both_decoders_say_the_same_of_damaged_headers_and_plain_blocks() {
        let mut random = random();
        // Noise stays as it is in blocks without compression; of the others the headers.
        for (frame, content) in frames() {
            let headers = match content.len() {
                3000 | 0 | 1 => frame.len(),
                _ => 9.min(frame.len()),
            };
            for _ in 0..500 {
                let mut damaged = frame.clone();
                for _ in 0..=random(2) {
                    damaged[random(headers)] = random(256) as u8;
                }
                by_both(&damaged, content.len());
            }
        }
    }

    /// What both make of compressed blocks that break the RFC is not always the same: the C library
    /// accepts streams of literals that don't end where they should, ruzstd those whose lengths are
    /// not as they should be, and reserved bits.
    #[test]
    #[cfg(feature = "zstd")]
    fn neither_decoder_panics_on_damaged_frames_or_gives_another_length() {
        let mut random = random();
        let (mut n_damaged, mut n_alike, mut n_read) = (0, 0, 0);
        for (frame, content) in frames() {
            for _ in 0..200 {
                let mut damaged = frame.clone();
                for _ in 0..=random(3) {
                    // Most of what can be broken stands at the front.
                    let near = [20, 60, damaged.len()][random(3)].min(damaged.len());
                    damaged[random(near)] = match random(2) {
                        0 => random(256) as u8,
                        _ => damaged[random(damaged.len())],
                    };
                }
                let by = |decode: fn(Frame<'_>, usize) -> Result<Vec<u8>>| {
                    let frame = Frame::read(&damaged, content.len() as u64).ok()?;
                    exactly(content.len(), decode(frame, content.len()).ok()?).ok()
                };
                let (ours, theirs) = (by(rust::decode), by(c::decode));
                n_damaged += 1;
                n_alike += usize::from(ours == theirs);
                n_read += usize::from(ours.is_some());
            }
        }
        assert!(n_alike * 100 > n_damaged * 97, "{n_alike} of {n_damaged}");
        assert!(
            n_read * 20 > n_damaged && n_read < n_alike,
            "{n_read} of {n_damaged}"
        );
    }
}

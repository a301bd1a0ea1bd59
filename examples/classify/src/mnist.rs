//! The files of MNIST: a magic number, the dimensions, and a byte for each pixel or label.

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::Read;

/// Images as rows of pixels from 0 to 1.
pub struct Images {
    pub n: usize,
    pub pixels: Vec<f32>,
}

impl Images {
    pub fn read(path: &str) -> Result<Self> {
        let ([n, height, width], bytes) = unpack(path)?;
        ensure!(n * height * width == bytes.len(), "{path}: another length");
        Ok(Self {
            n,
            pixels: bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect(),
        })
    }
}

/// The digit that each image shows.
pub fn labels(path: &str) -> Result<Vec<u8>> {
    let ([n], bytes) = unpack(path)?;
    ensure!(n == bytes.len(), "{path}: another length");
    Ok(bytes)
}

/// The dimensions, and the bytes.
fn unpack<const RANK: usize>(path: &str) -> Result<([usize; RANK], Vec<u8>)> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("cannot open {path}"))?;
    let unpacked = GzDecoder::new(file).read_to_end(&mut bytes);
    unpacked.with_context(|| format!("cannot unpack {path}"))?;
    let mut numbers = bytes
        .chunks_exact(4)
        .map(|n| u32::from_be_bytes([n[0], n[1], n[2], n[3]]));
    // 8 is the type, unsigned bytes.
    ensure!(
        numbers.next() == Some(0x800 + RANK as u32),
        "{path} is no such file"
    );
    let mut dims = [0; RANK];
    for dim in &mut dims {
        *dim = numbers
            .next()
            .with_context(|| format!("{path} is too short"))? as usize;
    }
    Ok((dims, bytes.split_off(4 + 4 * RANK)))
}

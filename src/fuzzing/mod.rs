//! What the fuzz targets prove, as ordinary functions of bytes: the same bodies run under
//! libFuzzer (`fuzz/`) and, by the tests below, under proptest and over every seed and every
//! finding of the past.
//!
//! A body panics where its claim does not hold. Checksums are put right before anything is
//! decoded, so that a finding means the same with and without a fuzzer.

mod archives;
mod blocks;
mod mending;
mod models;
mod opening;
mod products;
mod pruning;
mod readings;
mod roundtrip;
mod streams;
#[cfg(test)]
mod tests;

pub use archives::archive;
pub use blocks::{block, kernels};
pub use models::{graphdef, hdf5, keras, saved_model, sliced_checkpoint, tensor_bundle, tflite};
pub use opening::{manifest, open};
pub use pruning::pruning;
pub use readings::{decode, readings};
pub use roundtrip::roundtrip;
pub use streams::stream;

use crate::limits::Limits;

/// Limits that keep a run short.
fn limits() -> Limits {
    Limits {
        manifest_bytes: 1 << 16,
        rows: 64,
        holes: 256,
        dims: 1024,
        rank: 254,
        name_bytes: 1 << 10,
        tensor_bytes: 1 << 18,
        total_bytes: 1 << 20,
        expansion: 1 << 20,
        nesting: 16,
    }
}

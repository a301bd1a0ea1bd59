//! Sparse storage for pruned TensorFlow models.
//!
//! Pruning sets most of a network's weights to zero, and yet its file stays as large as before. A
//! `.tfz` file holds the model at the size that pruning promised, gives the model file back byte
//! for byte, and can be mapped and read tensor by tensor inside an app.
//!
//! Data flows one way, and so do the imports of this crate's modules:
//!
//! ```text
//! pack    model file -> tensors -> choose -> payloads (positions, values, streams) -> container
//! read    container -> payloads -> dense / CSR / rows -> model file
//! ```
//!
//! Packing and restoring are one call each, [`pack_file`] and [`unpack_file`]; [`repack_file`] turns
//! one [`Profile`] into another. Or on bytes:
//!
//! ```
//! # fn main() -> tfzip::Result<()> {
//! use tfzip::{Archive, PackOptions};
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits-300-100.pb");
//! let model = std::fs::read(path).expect("the example model");
//! let (tfz, report) = tfzip::pack_slice(&model, "digits-300-100.pb", &PackOptions::default())?;
//! assert!(report.archive_bytes < report.model_bytes / 8);
//!
//! let archive = Archive::new(tfz)?;
//! let kernel = archive.tensor("fc1/kernel")?;
//! assert_eq!(kernel.shape(), [64, 300]);
//! let dense: Vec<f32> = kernel.to_vec()?; // or read_into(&mut [f32]), rows(3..5)
//! let sparse = kernel.csr::<f32>()?; // indptr, indices, values
//! assert_eq!(sparse.nnz() as u64, kernel.nnz());
//! # assert_eq!(dense.iter().filter(|w| **w != 0.0).count(), sparse.nnz());
//!
//! let mut restored = Vec::new();
//! archive.restore(0, &mut restored)?; // proves the SHA-256
//! assert_eq!(restored, model);
//! # Ok(())
//! # }
//! ```
//!
//! The format is described in [`spec/FORMAT.md`](https://docs.rs/crate/tfzip/latest/source/spec/FORMAT.md).
//! It is version 0, a draft. Positions are CSR with relative index as in Han, Mao and Dally, *Deep
//! Compression* (2015), with escapes instead of filler zeros; everything is compared as bit
//! patterns, so that NaN, −0.0 and denormals come back as they were.
//!
//! No bytes of a file make this crate panic, hang, or reserve memory beyond its [`Limits`].

#![deny(unsafe_code)]
// The reader and the writer of an element stand in one file: in a build that only reads, the writers
// are left over, and the helpers that only they have. What is a whole module of writing is left out.
#![cfg_attr(
    not(feature = "pack"),
    allow(dead_code, unused_imports, rustdoc::broken_intra_doc_links)
)]
#![warn(clippy::unwrap_used)]

mod archive;
mod buffer;
#[cfg(feature = "pack")]
mod choose;
#[cfg(feature = "pack")]
pub mod codec;
mod container;
mod cursor;
mod error;
#[cfg(all(feature = "pack", any(fuzzing, test)))]
#[doc(hidden)]
pub mod fuzzing;
mod kernels;
mod limits;
#[cfg(feature = "mmap")]
mod mapped;
#[cfg(feature = "pack")]
pub mod model;
#[cfg(feature = "pack")]
mod output;
#[cfg(feature = "pack")]
mod pack;
mod parallel;
mod payload;
pub mod product;
mod profile;
#[cfg(feature = "pack")]
mod progress;
#[cfg(feature = "pack")]
pub mod prune;
#[cfg(feature = "pack")]
mod pruned;
#[cfg(feature = "pack")]
mod repack;
#[cfg(feature = "pack")]
mod rewrite;
mod sparse;
#[cfg(all(feature = "pack", test))]
mod spec_examples;
mod stream;
#[cfg(feature = "pack")]
mod sweep;
mod tensor;
#[cfg(feature = "pack")]
mod unpack;
mod values;
mod word;

pub use archive::{Archive, Csr, FileInfo, Layout, Part, PartKind, Tensor};
pub use error::{Error, ErrorKind, Result};
pub use kernels::kernels_in_use;
pub use limits::Limits;
#[cfg(feature = "mmap")]
pub use mapped::{Mapped, with_mapped};
#[cfg(feature = "pack")]
pub use pack::{PackOptions, PackReport, Select, pack_file, pack_slice};
pub use profile::{Effort, Profile};
#[cfg(feature = "pack")]
pub use progress::{Phase, Progress};
#[cfg(feature = "pack")]
pub use pruned::PrunedModel;
#[cfg(feature = "pack")]
pub use repack::{RepackOptions, RepackReport, repack_file, repack_slice};
#[cfg(feature = "pack")]
pub use rewrite::{RewriteReport, rewrite_file};
pub use sparse::PositionKind;
pub use stream::Coding;
#[cfg(feature = "pack")]
pub use sweep::{SweepPoint, SweepReport, TensorSweep, sweep_file};
pub use tensor::{DType, Element, ElementClass};
#[cfg(feature = "pack")]
pub use unpack::{RestoredFile, UnpackOptions, UnpackReport, unpack_file};
pub use values::{ValueCoderKind, ValueKind};

/// Version of the format that this crate reads and writes (spec §3). 0 is a draft.
pub const FORMAT_VERSION: u16 = container::VERSION;

/// The example of the README compiles and runs.
#[cfg(all(feature = "pack", doctest))]
#[doc = include_str!("../README.md")]
struct Readme;

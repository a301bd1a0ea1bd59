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
#![cfg_attr(feature = "pack", doc = "```")]
#![cfg_attr(not(feature = "pack"), doc = "```ignore")]
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
//! # Reading
//!
//! [`Archive::new`] opens an archive that is in memory: anything that is `AsRef<[u8]>`, such as a
//! `Vec<u8>`, a slice that the program has in it, or a [`Mapped`] file. Nothing but the manifest is
//! read, and nothing is copied. From an archive come [`Tensor`]s, by name or all of them, and from a
//! tensor its elements:
//!
//! | wanted | call | decodes | memory |
//! |---|---|---|---|
//! | all elements | [`to_vec`](Tensor::to_vec), [`read_into`](Tensor::read_into), [`read_into_uninit`](Tensor::read_into_uninit) | all blocks, on several threads with `parallel` | the elements; a block for each thread |
//! | some rows | [`rows`](Tensor::rows), [`rows_into`](Tensor::rows_into) | the blocks that they lie in | the rows, and a block |
//! | CSR | [`csr`](Tensor::csr) | all blocks | `indptr`, `indices`, `values`; a block |
//! | what is not zero, one by one | [`nonzeros`](Tensor::nonzeros) | a block at a time | a block |
//! | products with vectors | [`product::Matrix`] | a block at a time; in profile `direct` nothing | the results, and a block |
//! | the encoded streams | [`blocks`](Tensor::blocks), for kernels of one's own | what isn't `direct` | a block |
//! | all elements, piece by piece | [`for_each_chunk`](Tensor::for_each_chunk) | a block at a time | a block |
//!
//! A block has at most 2^22 elements; what this crate packs, about 65,000 that are not zero. The type
//! that elements are read as, an [`Element`], must mean the tensor's [`DType`]: another is an error, and
//! nothing is ever cast. Archives and tensors are `Send` and `Sync`, and may be read by any number of
//! threads at once without a lock. [`docs/embedding.md`](https://docs.rs/crate/tfzip/latest/source/docs/embedding.md)
//! is about all of this at more length, and has what each way costs on a real layer.
//!
//! # Features
//!
//! Without any of them, the crate is a reader of archives in memory, in Rust alone and without
//! `std::fs`: it links ten other crates, and needs no C compiler.
//!
//! | feature | adds | links |
//! |---|---|---|
//! | `mmap` | [`Archive::open`], [`Archive::map`], [`with_mapped`]: archives in files | memmap2 |
//! | `parallel` (default) | several threads in one call | rayon |
//! | `zstd` | the C library's zstd decoder instead of the one in Rust, about four times as fast; needs a C compiler | zstd |
//! | `restore` | [`Archive::restore`], [`Archive::verify`]: the model file again, and the proof that it is | sha2 |
//! | `ndarray` | tensors as arrays: `Tensor::to_array`, `Tensor::read_into_array`, `Tensor::rows_to_array` | ndarray |
//! | `sprs` | tensors as sparse matrices: `Tensor::to_sprs`, and `sprs::CsMatI` from a [`Csr`] | sprs |
//! | `candle` | an archive as a source of tensors: `Archive::load`, `Archive::load_all`, `Tensor::to_candle` | candle-core, which is large |
//! | `pack` (default) | everything else: packing, pruning, repacking, rewriting, model files; with `mmap`, `restore` and `zstd` | what those need |
//!
//! None of them changes what is read or written, and none removes a check.
//!
//! # The format
//!
//! The format is described in [`spec/FORMAT.md`](https://docs.rs/crate/tfzip/latest/source/spec/FORMAT.md).
//! It is version 1, which never changes: its files are read for ever. Positions are CSR with relative index as in Han, Mao and Dally, *Deep
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
// What reads bytes that nobody vouches for must not panic or wrap. What is exempt says so below, and why.
#![cfg_attr(
    not(any(fuzzing, test)),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

#[cfg(any(feature = "candle", feature = "ndarray", feature = "sprs"))]
mod adapters;
mod archive;
mod buffer;
#[cfg(feature = "pack")]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "works on what has been read and checked"
)]
mod choose;
#[cfg(feature = "pack")]
pub mod codec;
mod container;
mod cursor;
mod error;
#[cfg(all(feature = "pack", any(fuzzing, test)))]
#[doc(hidden)]
pub mod fuzzing;
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "hot: what they rely on stands at each unsafe block, and all versions are compared"
)]
mod kernels;
mod limits;
#[cfg(feature = "mmap")]
mod mapped;
#[cfg(feature = "pack")]
pub mod model;
#[cfg(feature = "pack")]
mod output;
#[cfg(feature = "pack")]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "works on what has been read and checked"
)]
mod pack;
mod parallel;
mod payload;
pub mod product;
mod profile;
#[cfg(feature = "pack")]
mod progress;
#[cfg(feature = "pack")]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "works on what has been read and checked"
)]
pub mod prune;
#[cfg(feature = "pack")]
mod pruned;
#[cfg(feature = "pack")]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "works on what has been read and checked"
)]
mod repack;
#[cfg(feature = "pack")]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "works on what has been read and checked"
)]
mod rewrite;
mod sparse;
#[cfg(feature = "pack")]
#[cfg(test)]
mod spec_examples;
mod stream;
#[cfg(feature = "pack")]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "works on what has been read and checked"
)]
mod sweep;
mod tensor;
#[cfg(feature = "pack")]
mod unpack;
mod values;
mod word;

pub use archive::{
    Archive, Block, Blocks, Csr, EncodedPositions, EncodedRows, EncodedValues, FileInfo, Layout,
    Nonzeros, Part, PartKind, Tensor,
};
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

/// Version of the format that this crate reads and writes (spec §3).
pub const FORMAT_VERSION: u16 = container::VERSION;

/// The example of the README compiles and runs.
#[cfg(all(feature = "pack", doctest))]
#[doc = include_str!("../README.md")]
struct Readme;

/// And those for who links it into an app.
#[cfg(all(feature = "pack", doctest))]
#[doc = include_str!("../docs/embedding.md")]
struct Embedding;

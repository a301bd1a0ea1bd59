//! The container: header, sections, manifest, footer (spec §2 to §7). It holds files, payloads
//! and tensors, and has never heard of TensorFlow.

mod frame;
mod head;
mod index;
#[cfg(any(feature = "pack", test))]
mod manifest;
mod name;
mod names;
#[cfg(all(feature = "pack", any(fuzzing, test)))]
pub(crate) mod unchecked;
#[cfg(feature = "pack")]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "counts and offsets of what is in memory, or was written"
)]
mod writer;

pub(crate) use frame::{FRAME_BYTES, decode_frame};
pub(crate) use head::{HEADER_BYTES, VERSION};
pub(crate) use index::{Index, SectionKind, Source, TensorRow};
#[cfg(feature = "pack")]
pub(crate) use writer::{Root, TensorEntry, Writer};

/// Bytes of a SHA-256.
const SHA256_BYTES: usize = 32;

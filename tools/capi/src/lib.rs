//! tfzip for C: the functions of `tfzip.h`.
//!
//! The documentation of what is exported is written for C, and [cbindgen](../cbindgen.toml) makes the
//! header of it. A test compares the two; this writes the header anew:
//!
//! ```sh
//! TFZIP_WRITE_HEADER=1 cargo test --package tfzip-capi header
//! ```
//!
//! What comes from C is turned into references in [`border`], and nowhere else. Every function runs
//! in [`border::guard`], which turns errors and panics into a status and a message.

#![deny(unsafe_op_in_unsafe_fn)]
// The names are C's. What callers promise is the same for all functions: the header's head says it.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

// In the order in which the header has them.
pub mod version;

pub mod status;

pub mod archive;

pub mod tensor;

pub mod read;

pub mod csr;

pub mod product;

mod border;
#[cfg(test)]
mod header;
#[cfg(test)]
mod tests;

//! What the programs of tfzip share: how they speak, and what they know beside the library.
//!
//! `src/bin` has one thin file for each program. The library returns data; the programs print it:
//! results on stdout, everything else on stderr.

#![forbid(unsafe_code)]

pub mod bench;
pub mod cli;
pub mod compare;
mod counter;
pub mod elements;
pub mod limit;
pub mod npy;
pub mod output;
pub mod progress;
pub mod prune;
pub mod report;
pub mod rivals;
pub mod table;
pub mod text;

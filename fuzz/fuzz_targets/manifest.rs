//! Proves that a file with any message as its manifest opens as an archive or gives an error, within
//! the limits, and that what the archive lists of itself is consistent.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tfzip::fuzzing::manifest(bytes));

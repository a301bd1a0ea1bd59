//! Proves that any bytes open as an archive or give an error, within the limits, and that what an
//! archive lists of itself is consistent.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tfzip::fuzzing::open(bytes));

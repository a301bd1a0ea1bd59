//! Proves that any bytes decode to as many symbols as they are asked for or give an error, in every
//! coding and with all kernels, that nothing after them matters, and that any symbols come back.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tfzip::fuzzing::stream(bytes));

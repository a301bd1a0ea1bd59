//! Proves that a tensor whose payload is any bytes is the same in every way of reading it, or unreadable
//! in all of them, and that products with it are those of its elements, with the same bits from all
//! kernels.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tfzip::fuzzing::readings(bytes));

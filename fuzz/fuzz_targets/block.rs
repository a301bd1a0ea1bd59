//! Proves that the tables, blocks and directory of a payload, of any bytes, decode to all of its
//! elements or give an error, the same each time.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tfzip::fuzzing::block(bytes));

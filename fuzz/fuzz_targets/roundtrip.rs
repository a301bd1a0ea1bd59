//! Proves that any elements encode to a record that decodes to them, is the same each time, and is
//! hardly larger than they are.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tfzip::fuzzing::roundtrip(bytes));

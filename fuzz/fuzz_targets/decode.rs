//! Proves that a tensor of any archive is the same read densely, by rows and as CSR, or unreadable
//! in all of these ways, and that what passes the full check can be read, restored, and
//! repacked with every profile.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tfzip::fuzzing::decode(bytes));

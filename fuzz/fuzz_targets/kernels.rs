//! Proves that every version of a kernel that this machine has does what the plain one does, whatever
//! the bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tfzip::fuzzing::kernels(bytes));

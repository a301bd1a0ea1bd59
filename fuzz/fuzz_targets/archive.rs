//! Proves that any tensors in any files, with any options, come back from the archive that is written of
//! them, and from what it is repacked to; and that a graph of them does.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tfzip::fuzzing::archive(bytes));

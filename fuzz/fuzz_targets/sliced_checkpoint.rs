//! Proves that any bytes that are read as a TensorFlow 1 checkpoint pack, and restore to the same bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tfzip::fuzzing::sliced_checkpoint(bytes));

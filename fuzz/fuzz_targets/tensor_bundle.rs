//! Proves that any bytes that are read as a TensorFlow 2 checkpoint can be changed, and read again.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tfzip::fuzzing::tensor_bundle(bytes));

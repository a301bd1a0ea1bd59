//! Proves that any bytes that are read as a SavedModel or MetaGraphDef pack, and restore to the same bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tfzip::fuzzing::saved_model(bytes));

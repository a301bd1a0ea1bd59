//! Proves that any graph that can be pruned, by any rule, holds the same tensors after it, and that
//! nothing but those that are reported has changed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tfzip::fuzzing::pruning(bytes));

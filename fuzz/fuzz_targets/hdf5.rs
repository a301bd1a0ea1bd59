//! Proves that any bytes that are read as an HDF5 file pack, and restore to the same bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tfzip::fuzzing::hdf5(bytes));

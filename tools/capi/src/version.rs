//! What is linked.

use std::ffi::c_char;

/// Version of the functions in this header. It changes when a program that was compiled before has
/// to be compiled again.
pub const TFZIP_ABI_VERSION: u32 = 0;

/// ---- Versions ----
/// ***
/// Version of this library, for instance "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn tfzip_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// TFZIP_ABI_VERSION of the library that is linked: a program that loads it at run time compares.
#[unsafe(no_mangle)]
pub extern "C" fn tfzip_abi_version() -> u32 {
    TFZIP_ABI_VERSION
}

/// Version of the .tfz format that this library reads. 0 is a draft.
#[unsafe(no_mangle)]
pub extern "C" fn tfzip_format_version() -> u32 {
    tfzip::FORMAT_VERSION.into()
}

//! tfzip behind the two functions that a harness for codecs calls: one tensor of float32 becomes
//! bytes, and comes back. One thread.
//!
//! `examples` has a shared object for each way of encoding. What is measured is what a reader of a
//! `.tfz` file does for a tensor: every checksum is compared and every rule checked. What a manifest
//! says of the record stands after it.

use std::slice;
use tfzip::codec::{self, CodecOptions, RecordHead};
use tfzip::{DType, Effort, Profile, Result};

/// Exports `peer_encode`, for a profile and an effort, and `peer_decode`.
#[macro_export]
macro_rules! peer {
    ($profile:expr, $effort:expr) => {
        /// Encodes a tensor of float32 into `dst`; returns the number of bytes, or -1.
        ///
        /// # Safety
        /// As [`tfzip_peer::encode`].
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn peer_encode(
            elements: *const f32,
            shape: *const u64,
            ndim: u32,
            dst: *mut u8,
            cap: u64,
        ) -> i64 {
            // SAFETY: the caller's promise.
            unsafe { $crate::encode($profile, $effort, elements, shape, ndim, dst, cap) }
        }

        /// Decodes what [`peer_encode`] wrote into `dst`; returns 0 if that succeeded.
        ///
        /// # Safety
        /// As [`tfzip_peer::decode`].
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn peer_decode(
            src: *const u8,
            len: u64,
            dst: *mut f32,
            elements: u64,
        ) -> i32 {
            // SAFETY: the caller's promise.
            unsafe { $crate::decode(src, len, dst, elements) }
        }
    };
}

fn one_thread() -> CodecOptions {
    let mut options = CodecOptions::default();
    options.threads = 1;
    options
}

/// The record, which begins where the buffer does: in a file it is aligned. Then what a manifest has
/// of it, a varint a number, and how many bytes that is.
fn to_bytes(shape: &[u64], elements: &[u8], options: &CodecOptions) -> Result<Vec<u8>> {
    let (head, mut bytes) = codec::encode(DType::Float32, shape, elements, options)?;
    let record_bytes = bytes.len();
    for mut number in [
        head.width as u64,
        head.elements,
        head.columns,
        head.table_bytes,
        head.blocks,
    ] {
        while number >= 0x80 {
            bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
    }
    bytes.push((bytes.len() - record_bytes) as u8);
    Ok(bytes)
}

fn from_bytes(bytes: &[u8], out: &mut [u8], options: &CodecOptions) -> Option<()> {
    let (&head_bytes, bytes) = bytes.split_last()?;
    let (record, mut head) = bytes.split_at_checked(bytes.len().checked_sub(head_bytes.into())?)?;
    let mut next = || {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = head.split_first()?;
            head = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    };
    let head = RecordHead {
        width: usize::try_from(next()?).ok()?,
        elements: next()?,
        columns: next()?,
        table_bytes: next()?,
        blocks: next()?,
    };
    codec::decode(&head, record, out, options).ok()
}

/// Encodes a tensor of float32 into `dst`; returns the number of bytes, or -1.
///
/// # Safety
/// `shape` points to `ndim` dimensions, `elements` to as many float32 as they make, `dst` to `cap`
/// bytes that can be written.
pub unsafe fn encode(
    profile: Profile,
    effort: Effort,
    elements: *const f32,
    shape: *const u64,
    ndim: u32,
    dst: *mut u8,
    cap: u64,
) -> i64 {
    // SAFETY: the caller's promise.
    let shape = unsafe { slice::from_raw_parts(shape, ndim as usize) };
    let n = shape.iter().product::<u64>() as usize;
    // SAFETY: the caller's promise.
    let elements = unsafe { slice::from_raw_parts(elements.cast::<u8>(), n * size_of::<f32>()) };
    let mut options = one_thread();
    options.profile = profile;
    options.effort = effort;
    match to_bytes(shape, elements, &options) {
        Ok(bytes) if bytes.len() as u64 <= cap => {
            // SAFETY: the caller's promise, and the lengths have just been compared.
            unsafe { dst.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
            bytes.len() as i64
        }
        _ => -1,
    }
}

/// Decodes what [`encode`] wrote into `dst`; returns 0 if that succeeded.
///
/// # Safety
/// `src` points to `len` bytes, `dst` to `elements` float32 that can be written.
pub unsafe fn decode(src: *const u8, len: u64, dst: *mut f32, elements: u64) -> i32 {
    // SAFETY: the caller's promise.
    let src = unsafe { slice::from_raw_parts(src, len as usize) };
    // SAFETY: the caller's promise.
    let dst = unsafe {
        slice::from_raw_parts_mut(dst.cast::<u8>(), elements as usize * size_of::<f32>())
    };
    match from_bytes(src, dst, &one_thread()) {
        Some(()) => 0,
        None => 1,
    }
}

//! Filling with a pattern.
#![allow(unsafe_code)]

use super::out::Slots;
use crate::word::Word;

/// Bytes of zeros that the C library is asked for at once. From 2 KiB on some of its versions have the
/// processor repeat a store, which leaves them out of the nearest cache, where entries are put next.
const ZEROS_BYTES: usize = 1 << 10;

/// Makes every element of `out` the `pattern`.
pub(super) fn fill<'a, W: Word>(out: Slots<'a, W>, pattern: W) -> &'a mut [W] {
    if pattern != W::default() {
        return out.fill(pattern);
    }
    for zeros in out.0.chunks_mut(ZEROS_BYTES / W::WIDTH) {
        // SAFETY: these are the bytes of the elements, of which the default is zero.
        unsafe { zeros.as_mut_ptr().write_bytes(0, zeros.len()) };
    }
    // SAFETY: all of them have just been written.
    unsafe { out.0.assume_init_mut() }
}

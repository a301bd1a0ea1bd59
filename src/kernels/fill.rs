//! Filling with a pattern.

use crate::word::Word;

/// Makes every element of `out` the `pattern`.
///
/// Zeros, which are nearly all there is to fill with, are left to the C library: it knows how to write
/// them without reading the memory first.
pub(crate) fn fill<W: Word>(out: &mut [W], pattern: W) {
    if pattern == W::default() {
        bytemuck::cast_slice_mut::<W, u8>(out).fill(0);
    } else {
        out.fill(pattern);
    }
}

//! Filling with a pattern.

use crate::word::Word;

/// Bytes of zeros that the C library is asked for at once. From 2 KiB on some of its versions have the
/// processor repeat a store, which leaves them out of the nearest cache, where entries are put next.
const ZEROS_BYTES: usize = 1 << 10;

/// Makes every element of `out` the `pattern`.
pub(crate) fn fill<W: Word>(out: &mut [W], pattern: W) {
    if pattern == W::default() {
        let bytes = bytemuck::cast_slice_mut::<W, u8>(out);
        bytes
            .chunks_mut(ZEROS_BYTES)
            .for_each(|zeros| zeros.fill(0));
    } else {
        out.fill(pattern);
    }
}

//! Elements as unsigned numbers of 1, 2, 4, 8 or 16 bytes: bit patterns, never values.

use bytemuck::Pod;
use std::fmt::Debug;
use std::hash::Hash;

/// A bit pattern of a fixed width.
pub(crate) trait Word: Pod + Ord + Hash + Debug + Default + Send + Sync {
    /// Bytes of an element.
    const WIDTH: usize;

    /// The pattern whose little-endian bytes these are; `bytes` has exactly [`WIDTH`](Self::WIDTH).
    fn from_le(bytes: &[u8]) -> Self;

    /// Writes the little-endian bytes; `out` has exactly [`WIDTH`](Self::WIDTH).
    fn put_le(self, out: &mut [u8]);

    /// The pattern whose bytes in memory are its little-endian bytes, whatever this machine's order.
    fn to_le(self) -> Self;

    /// The pattern with its top bit inverted (spec §9: the alternate of a background).
    fn flip_top(self) -> Self;

    fn rotate_left(self, bits: u32) -> Self;

    fn rotate_right(self, bits: u32) -> Self;

    /// The low bits of `bits`, as many as a pattern has; of at most 64.
    fn from_bits(bits: u64) -> Self;

    /// The low 64 bits.
    fn to_bits(self) -> u64;
}

macro_rules! words {
    ($($t:ty),*) => {$(
        impl Word for $t {
            const WIDTH: usize = size_of::<$t>();

            #[inline]
            fn from_le(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<$t>()];
                array.copy_from_slice(bytes);
                <$t>::from_le_bytes(array)
            }

            #[inline]
            fn put_le(self, out: &mut [u8]) {
                out.copy_from_slice(&self.to_le_bytes());
            }

            #[inline]
            fn to_le(self) -> Self {
                <$t>::to_le(self)
            }

            #[inline]
            fn flip_top(self) -> Self {
                self ^ (1 << (<$t>::BITS - 1))
            }

            #[inline]
            fn rotate_left(self, bits: u32) -> Self {
                <$t>::rotate_left(self, bits)
            }

            #[inline]
            fn rotate_right(self, bits: u32) -> Self {
                <$t>::rotate_right(self, bits)
            }

            #[inline]
            fn from_bits(bits: u64) -> Self {
                bits as $t
            }

            #[inline]
            fn to_bits(self) -> u64 {
                self as u64
            }
        }
    )*};
}

words!(u8, u16, u32, u64, u128);

/// Runs `$body` with `$w` as the word type of `$width` bytes; `$width` has been checked.
macro_rules! with_word {
    ($width:expr, $w:ident => $body:expr) => {
        match $width {
            1 => {
                type $w = u8;
                $body
            }
            2 => {
                type $w = u16;
                $body
            }
            4 => {
                type $w = u32;
                $body
            }
            8 => {
                type $w = u64;
                $body
            }
            _ => {
                type $w = u128;
                $body
            }
        }
    };
}
pub(crate) use with_word;

/// Widths that elements can have, in bytes (spec §8).
pub(crate) const WIDTHS: [usize; 5] = [1, 2, 4, 8, 16];

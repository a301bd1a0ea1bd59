//! Byte planes: the bytes of rotated elements, one plane for each (spec §9.2).

use super::Isa;
use crate::word::Word;

/// Puts elements together from their planes, most significant byte first, and rotates them right.
///
/// # Panics
/// If there is not a plane for each byte of an element, or one has another length than `out`.
pub(crate) fn join<W: Word>(isa: Isa, planes: &[&[u8]], rotation: u32, out: &mut [W]) {
    assert_eq!(planes.len(), W::WIDTH);
    assert!(planes.iter().all(|plane| plane.len() == out.len()));
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => x86::join(planes, rotation, out),
        _ => join_plain(planes, rotation, out),
    }
}

#[inline(always)]
fn join_plain<W: Word>(planes: &[&[u8]], rotation: u32, out: &mut [W]) {
    // Four elements a time: their bytes are collected in registers, not in memory.
    match planes {
        [a] => out
            .iter_mut()
            .zip(*a)
            .for_each(|(out, &a)| *out = W::from_bits(u64::from(a)).rotate_right(rotation)),
        [a, b] => {
            for ((out, &a), &b) in out.iter_mut().zip(*a).zip(*b) {
                *out = W::from_bits(u64::from(a) << 8 | u64::from(b)).rotate_right(rotation);
            }
        }
        [a, b, c, d] => {
            for ((((out, &a), &b), &c), &d) in out.iter_mut().zip(*a).zip(*b).zip(*c).zip(*d) {
                let bits = u32::from_le_bytes([d, c, b, a]);
                *out = W::from_bits(u64::from(bits)).rotate_right(rotation);
            }
        }
        _ => {
            for (i, out) in out.iter_mut().enumerate() {
                let mut bytes = [0; 16];
                for (byte, plane) in bytes.iter_mut().zip(planes.iter().rev()) {
                    *byte = plane[i];
                }
                *out = W::from_le(&bytes[..W::WIDTH]).rotate_right(rotation);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_code)]

    use super::join_plain;
    use crate::word::Word;

    /// The plain version: with AVX2 at hand the compiler makes a vector loop of it.
    pub(super) fn join<W: Word>(planes: &[&[u8]], rotation: u32, out: &mut [W]) {
        #[target_feature(enable = "avx2")]
        fn join<W: Word>(planes: &[&[u8]], rotation: u32, out: &mut [W]) {
            join_plain(planes, rotation, out);
        }
        // SAFETY: AVX2 kernels are only chosen on machines with AVX2.
        unsafe { join(planes, rotation, out) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split_and_join<W: Word>(wide: &[u128], rotation: u32) {
        let rotation = rotation % (8 * W::WIDTH as u32);
        let elements: Vec<W> = wide
            .iter()
            .map(|w| W::from_le(&w.to_le_bytes()[..W::WIDTH]))
            .collect();
        let planes = crate::values::split_planes(&elements, rotation as u8);
        let planes: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
        for isa in Isa::available() {
            let mut out = vec![W::default(); elements.len()];
            join(isa, &planes, rotation, &mut out);
            assert_eq!(out, elements, "{isa:?}");
        }
    }

    proptest! {
        #[test]
        fn planes_are_joined_on_every_machine(wide in prop::collection::vec(any::<u128>(), 0..100), rotation: u32) {
            split_and_join::<u8>(&wide, rotation);
            split_and_join::<u16>(&wide, rotation);
            split_and_join::<u32>(&wide, rotation);
            split_and_join::<u64>(&wide, rotation);
            split_and_join::<u128>(&wide, rotation);
        }
    }
}

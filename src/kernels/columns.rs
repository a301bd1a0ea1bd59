//! Columns of the entries of a line, where the columns have classes (spec §9.1.3).

use super::Isa;
use super::expand::count_ones;

/// Columns that a step may write beyond those that it adds.
pub(crate) const SLACK: usize = 8;

/// Writes those of `columns` whose bits are set to `out`, and returns how many they are.
///
/// # Panics
/// If `bitmap` has fewer bits than there are columns, or `out` has fewer than [`SLACK`] elements more
/// than bits are set.
pub(crate) fn select(isa: Isa, bitmap: &[u8], columns: &[u16], out: &mut [u16]) -> usize {
    let (whole, last) = bitmap[..columns.len().div_ceil(8)].split_at(columns.len() / 8);
    let n = count_ones(isa, whole);
    assert!(out.len() >= n + SLACK);
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => x86::select(whole, columns, n, out),
        _ => {
            select_plain(whole, columns, out);
        }
    }
    n + select_plain(last, &columns[8 * whole.len()..], &mut out[n..])
}

fn select_plain(bitmap: &[u8], columns: &[u16], out: &mut [u16]) -> usize {
    let mut n = 0;
    for (&byte, columns) in bitmap.iter().zip(columns.chunks(8)) {
        let mut byte = byte;
        while byte != 0 {
            if let Some(&column) = columns.get(byte.trailing_zeros() as usize) {
                out[n] = column;
                n += 1;
            }
            byte &= byte - 1;
        }
    }
    n
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_code)]

    use super::SLACK;
    use crate::kernels::chosen::CHOSEN;
    use core::arch::x86_64::*;

    /// As `super::select`, for whole bytes, in which `n` bits are set.
    pub(super) fn select(bitmap: &[u8], columns: &[u16], n: usize, out: &mut [u16]) {
        assert!(columns.len() >= 8 * bitmap.len() && out.len() >= n + SLACK);
        // SAFETY: AVX2 kernels are only chosen on machines with AVX2 and POPCNT. There are eight columns
        // for each byte; `out` has room for eight columns after the at most n that come before.
        unsafe { select_avx2(bitmap, columns, out) }
    }

    /// # Safety
    /// As said where it is called.
    #[target_feature(enable = "avx2,popcnt")]
    unsafe fn select_avx2(bitmap: &[u8], columns: &[u16], out: &mut [u16]) {
        let mut to = out.as_mut_ptr();
        for (i, &byte) in bitmap.iter().enumerate() {
            // SAFETY: as the caller promises.
            unsafe {
                let chosen = _mm_loadu_si128(CHOSEN[usize::from(byte)].as_ptr().cast());
                let eight = _mm_loadu_si128(columns.as_ptr().add(8 * i).cast());
                _mm_storeu_si128(to.cast(), _mm_shuffle_epi8(eight, chosen));
                to = to.add(byte.count_ones() as usize);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn columns_are_selected_on_every_machine(
            bitmap in prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(255)], 1..40), cut in 0usize..8,
        ) {
            let n = 8 * bitmap.len() - cut;
            let columns: Vec<u16> = (0..n as u16).map(|i| 7 * i + 3).collect();
            let expected: Vec<u16> = (0..n).filter(|i| bitmap[i / 8] >> (i % 8) & 1 == 1).map(|i| columns[i]).collect();
            for isa in Isa::available() {
                let mut out = vec![0; n + SLACK];
                let selected = select(isa, &bitmap, &columns, &mut out);
                prop_assert_eq!(&out[..selected], &expected[..]);
            }
        }
    }
}

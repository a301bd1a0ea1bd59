//! Copies that leave the caches alone: for results that are larger than they are.

use super::Isa;
use super::out::Slots;

/// Copies `from` to `to` past the caches, where the machine has instructions for that.
///
/// On this thread the copy is there at once; call [`fence`] before another may look at it.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn past_caches(isa: Isa, from: &[u8], to: Slots<'_, u8>) {
    assert_eq!(from.len(), to.len());
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => x86::past_caches_avx512(from, to.0),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => x86::past_caches(from, to.0),
        _ => {
            to.0.write_copy_of_slice(from);
        }
    }
}

/// Orders what [`past_caches`] wrote before all that this thread writes later.
pub(crate) fn fence(isa: Isa) {
    #[cfg(target_arch = "x86_64")]
    if isa >= Isa::Avx2 {
        x86::fence();
    }
    let _ = isa;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_code)]

    use core::arch::x86_64::*;
    use std::mem::MaybeUninit;

    /// Bytes of a cache line: what is written in one go.
    const LINE: usize = 64;

    pub(super) fn fence() {
        // SAFETY: every x86-64 has it.
        unsafe { _mm_sfence() }
    }

    /// Splits off what lies before the first whole line of `to`, and what after the last.
    fn lines<'a>(
        from: &'a [u8],
        to: &'a mut [MaybeUninit<u8>],
    ) -> (&'a [u8], &'a mut [MaybeUninit<u8>]) {
        let before = to.as_ptr().align_offset(LINE).min(to.len());
        let after = before + (to.len() - before) / LINE * LINE;
        to[..before].write_copy_of_slice(&from[..before]);
        to[after..].write_copy_of_slice(&from[after..]);
        (&from[before..after], &mut to[before..after])
    }

    /// In pieces of 16 bytes: with 32 a machine was seen (Zen 3) on which this is three times slower.
    pub(super) fn past_caches(from: &[u8], to: &mut [MaybeUninit<u8>]) {
        let (from, to) = lines(from, to);
        for (from, to) in from.chunks_exact(16).zip(to.chunks_exact_mut(16)) {
            // SAFETY: both have 16 bytes; `to` is aligned, as its line is. Every x86-64 has SSE2.
            unsafe {
                _mm_stream_si128(
                    to.as_mut_ptr().cast(),
                    _mm_loadu_si128(from.as_ptr().cast()),
                );
            };
        }
    }

    /// In whole lines.
    pub(super) fn past_caches_avx512(from: &[u8], to: &mut [MaybeUninit<u8>]) {
        #[target_feature(enable = "avx512f")]
        fn copy(from: &[u8], to: &mut [MaybeUninit<u8>]) {
            for (from, to) in from.chunks_exact(LINE).zip(to.chunks_exact_mut(LINE)) {
                // SAFETY: both have a line of bytes; `to` is aligned.
                unsafe {
                    _mm512_stream_si512(
                        to.as_mut_ptr().cast(),
                        _mm512_loadu_si512(from.as_ptr().cast()),
                    );
                };
            }
        }
        let (from, to) = lines(from, to);
        // SAFETY: AVX-512 kernels are only chosen on machines with AVX-512 F.
        unsafe { copy(from, to) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_alignment_all_bytes_are_copied() {
        let from: Vec<u8> = (0..300).map(|i| i as u8).collect();
        for isa in Isa::available() {
            for start in 0..70 {
                for n in [0, 1, 15, 16, 63, 64, 65, 150, 230] {
                    let mut to = vec![0xee; 320];
                    past_caches(isa, &from[3..3 + n], (&mut to[start..start + n]).into());
                    fence(isa);
                    assert_eq!(to[start..start + n], from[3..3 + n]);
                    assert!(
                        to[..start]
                            .iter()
                            .chain(&to[start + n..])
                            .all(|&b| b == 0xee)
                    );
                }
            }
        }
    }
}

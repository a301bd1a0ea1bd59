//! Values of a window: a coded symbol and raw low bits become a pattern (spec §9.2.3).

use super::Isa;
use crate::word::Word;

/// Where the symbols of a window stand among the patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Bits by which patterns are rotated left before they are cut.
    pub(crate) rotation: u32,
    /// Low bits that are kept raw: fewer than a pattern has, and at most [`MAX_LOW_BITS`].
    pub(crate) low_bits: u32,
    /// What symbol 0 stands for: the bits above the raw ones.
    pub(crate) base: u64,
}

/// Most low bits: a load of eight bytes has them wherever they begin in its first byte.
pub(crate) const MAX_LOW_BITS: u32 = 56;

/// Bytes after the start of a value's raw bits that a wide load may touch.
const LOAD: usize = 8;

/// Writes the patterns of `symbols`; their raw bits are packed in `raw`, which may go on after them.
///
/// Bits that `raw` lacks are zero.
///
/// # Panics
/// If `out` has another length than `symbols`, or the window more low bits than it may have.
pub(crate) fn join<W: Word>(isa: Isa, window: Window, symbols: &[u8], raw: &[u8], out: &mut [W]) {
    assert_eq!(symbols.len(), out.len());
    assert!(
        W::WIDTH <= 8 && window.low_bits < 8 * W::WIDTH as u32 && window.low_bits <= MAX_LOW_BITS
    );
    let done = match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => x86::join_avx512(window, symbols, raw, out),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => x86::join_avx2(window, symbols, raw, out),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => neon::join(window, symbols, raw, out),
        Isa::Plain => 0,
    };
    join_plain(window, done, symbols, raw, out);
}

/// From the value with number `first` on.
fn join_plain<W: Word>(window: Window, first: usize, symbols: &[u8], raw: &[u8], out: &mut [W]) {
    let bits = window.low_bits as usize;
    let mask = (1u64 << bits) - 1;
    let join = |symbol: u8, low: u64| {
        let high = window.base.wrapping_add(u64::from(symbol)) << bits;
        W::from_bits(high | low & mask).rotate_right(window.rotation)
    };
    if bits == 0 {
        for (out, &symbol) in out.iter_mut().zip(symbols).skip(first) {
            *out = join(symbol, 0);
        }
        return;
    }
    for (i, (out, &symbol)) in out.iter_mut().zip(symbols).enumerate().skip(first) {
        let rest = raw.get(i * bits / 8..).unwrap_or_default();
        let word = match rest.first_chunk::<LOAD>() {
            Some(word) => u64::from_le_bytes(*word),
            None => rest
                .iter()
                .rev()
                .fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        *out = join(symbol, word >> (i * bits % 8));
    }
}

/// Low bits that a lane of 32 bits has wherever they begin in its first byte.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const MAX_LANE_BITS: u32 = 25;

/// Values of `step` a time that can be joined before a load of `reach` bytes, which begins where
/// the raw bits of a step do, could pass the end of `raw`. `step` is a multiple of eight, so that
/// every step begins at a byte.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn n_steps(window: Window, step: usize, reach: usize, n: usize, raw: &[u8]) -> usize {
    let bytes = window.low_bits as usize * step / 8;
    let in_raw = match raw.len().checked_sub(reach) {
        None => 0,
        Some(room) => room
            .checked_div(bytes)
            .map_or(usize::MAX, |steps| steps + 1),
    };
    in_raw.min(n / step)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_code)]

    use super::{MAX_LANE_BITS, Window, n_steps};
    use crate::word::Word;
    use core::arch::x86_64::*;

    /// Joins what can be joined in whole steps; returns how many values that is.
    pub(super) fn join_avx2<W: Word>(
        window: Window,
        symbols: &[u8],
        raw: &[u8],
        out: &mut [W],
    ) -> usize {
        match W::WIDTH {
            // SAFETY: AVX2 kernels are only chosen on machines with AVX2 and BMI2.
            4 if window.low_bits <= MAX_LANE_BITS => unsafe {
                join_u32(window, symbols, raw, bytemuck::cast_slice_mut(out))
            },
            // SAFETY: the same.
            2 => unsafe { join_u16(window, symbols, raw, bytemuck::cast_slice_mut(out)) },
            _ => 0,
        }
    }

    /// As [`join_avx2`].
    pub(super) fn join_avx512<W: Word>(
        window: Window,
        symbols: &[u8],
        raw: &[u8],
        out: &mut [W],
    ) -> usize {
        match W::WIDTH {
            // SAFETY: AVX-512 kernels are only chosen on machines with AVX-512 F, BW and VBMI.
            4 if window.low_bits <= MAX_LANE_BITS => unsafe {
                join_u32_avx512(window, symbols, raw, bytemuck::cast_slice_mut(out))
            },
            _ => join_avx2(window, symbols, raw, out),
        }
    }

    /// Eight values a step: four in each half, from a load that begins where theirs do.
    #[target_feature(enable = "avx2")]
    fn join_u32(window: Window, symbols: &[u8], raw: &[u8], out: &mut [u32]) -> usize {
        const STEP: usize = 8;
        let bits = window.low_bits as usize;
        let half = 4 * bits / 8;
        let n = n_steps(window, STEP, half + 16, symbols.len().min(out.len()), raw);
        let (mut bytes, mut shifts) = ([0u8; 32], [0u32; 8]);
        for i in 0..STEP {
            let lane = i / 4;
            let bit = i * bits - 8 * half * lane;
            shifts[i] = bit as u32 % 8;
            for j in 0..4 {
                bytes[4 * i + j] = (bit / 8 + j) as u8;
            }
        }
        // SAFETY: the arrays have the bytes that are loaded.
        let (bytes, shifts) = unsafe {
            (
                _mm256_loadu_si256(bytes.as_ptr().cast()),
                _mm256_loadu_si256(shifts.as_ptr().cast()),
            )
        };
        let mask = _mm256_set1_epi32((1 << bits) - 1);
        let base = _mm256_set1_epi32(window.base as i32);
        let up = _mm_cvtsi32_si128(bits as i32);
        let right = _mm_cvtsi32_si128(window.rotation as i32);
        let left = _mm_cvtsi32_si128(32 - window.rotation as i32);
        for step in 0..n {
            // SAFETY: `n_steps` leaves half + 16 bytes after the start of every step's raw bits, and
            // a step's eight symbols and values inside their slices.
            let (low, symbol) = unsafe {
                let at = raw.as_ptr().add(step * bits);
                (
                    _mm256_set_m128i(
                        _mm_loadu_si128(at.add(half).cast()),
                        _mm_loadu_si128(at.cast()),
                    ),
                    _mm_loadl_epi64(symbols.as_ptr().add(step * STEP).cast()),
                )
            };
            let low = _mm256_srlv_epi32(_mm256_shuffle_epi8(low, bytes), shifts);
            let high = _mm256_add_epi32(_mm256_cvtepu8_epi32(symbol), base);
            let joined = _mm256_or_si256(_mm256_sll_epi32(high, up), _mm256_and_si256(low, mask));
            let rotated = _mm256_or_si256(
                _mm256_srl_epi32(joined, right),
                _mm256_sll_epi32(joined, left),
            );
            // SAFETY: as above.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().add(step * STEP).cast(), rotated) };
        }
        n * STEP
    }

    /// Eight values a step: four in each half, whose at most 60 raw bits are in one load.
    #[target_feature(enable = "avx2,bmi2")]
    fn join_u16(window: Window, symbols: &[u8], raw: &[u8], out: &mut [u16]) -> usize {
        const STEP: usize = 8;
        let bits = window.low_bits as usize;
        let (half, shift) = (4 * bits / 8, 4 * bits % 8);
        let n = n_steps(window, STEP, half + 8, symbols.len().min(out.len()), raw);
        let mask = 0x0001_0001_0001_0001 * ((1u64 << bits) - 1);
        let base = _mm_set1_epi16(window.base as i16);
        let up = _mm_cvtsi32_si128(bits as i32);
        let right = _mm_cvtsi32_si128(window.rotation as i32);
        let left = _mm_cvtsi32_si128(16 - window.rotation as i32);
        for step in 0..n {
            // SAFETY: `n_steps` leaves half + 8 bytes after the start of every step's raw bits, and a
            // step's eight symbols inside their slice.
            let (first, second, symbol) = unsafe {
                let at = raw.as_ptr().add(step * bits);
                (
                    at.cast::<u64>().read_unaligned(),
                    at.add(half).cast::<u64>().read_unaligned() >> shift,
                    _mm_loadl_epi64(symbols.as_ptr().add(step * STEP).cast()),
                )
            };
            let low = _mm_set_epi64x(
                _pdep_u64(second, mask) as i64,
                _pdep_u64(first, mask) as i64,
            );
            let high = _mm_add_epi16(_mm_cvtepu8_epi16(symbol), base);
            let joined = _mm_or_si128(_mm_sll_epi16(high, up), low);
            let rotated = _mm_or_si128(_mm_srl_epi16(joined, right), _mm_sll_epi16(joined, left));
            // SAFETY: a step's eight values lie inside `out`.
            unsafe { _mm_storeu_si128(out.as_mut_ptr().add(step * STEP).cast(), rotated) };
        }
        n * STEP
    }

    /// Sixteen values a step, from one load.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn join_u32_avx512(window: Window, symbols: &[u8], raw: &[u8], out: &mut [u32]) -> usize {
        const STEP: usize = 16;
        let bits = window.low_bits as usize;
        let n = n_steps(window, STEP, 64, symbols.len().min(out.len()), raw);
        let (mut bytes, mut shifts) = ([0u8; 64], [0u32; 16]);
        for i in 0..STEP {
            shifts[i] = (i * bits) as u32 % 8;
            for j in 0..4 {
                bytes[4 * i + j] = (i * bits / 8 + j) as u8;
            }
        }
        // SAFETY: the arrays have the bytes that are loaded.
        let (bytes, shifts) = unsafe {
            (
                _mm512_loadu_si512(bytes.as_ptr().cast()),
                _mm512_loadu_si512(shifts.as_ptr().cast()),
            )
        };
        let mask = _mm512_set1_epi32((1 << bits) - 1);
        let base = _mm512_set1_epi32(window.base as i32);
        let up = _mm_cvtsi32_si128(bits as i32);
        let right = _mm512_set1_epi32(window.rotation as i32);
        for step in 0..n {
            // SAFETY: `n_steps` leaves 64 bytes after the start of every step's raw bits, and a
            // step's sixteen symbols inside their slice.
            let (low, symbol) = unsafe {
                (
                    _mm512_loadu_si512(raw.as_ptr().add(step * 2 * bits).cast()),
                    _mm_loadu_si128(symbols.as_ptr().add(step * STEP).cast()),
                )
            };
            let low = _mm512_srlv_epi32(_mm512_permutexvar_epi8(bytes, low), shifts);
            let high = _mm512_add_epi32(_mm512_cvtepu8_epi32(symbol), base);
            let joined = _mm512_or_si512(_mm512_sll_epi32(high, up), _mm512_and_si512(low, mask));
            let rotated = _mm512_rorv_epi32(joined, right);
            // SAFETY: a step's sixteen values lie inside `out`.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().add(step * STEP).cast(), rotated) };
        }
        n * STEP
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    #![allow(unsafe_code)]

    use super::{MAX_LANE_BITS, Window, n_steps};
    use crate::word::Word;
    use core::arch::aarch64::*;

    /// Joins what can be joined in whole steps; returns how many values that is.
    pub(super) fn join<W: Word>(
        window: Window,
        symbols: &[u8],
        raw: &[u8],
        out: &mut [W],
    ) -> usize {
        match W::WIDTH {
            // SAFETY: NEON kernels are only chosen on machines with NEON.
            4 if window.low_bits <= MAX_LANE_BITS => unsafe {
                join_u32(window, symbols, raw, bytemuck::cast_slice_mut(out))
            },
            _ => 0,
        }
    }

    /// Eight values a step: twice four, each from a load that begins where theirs do.
    #[target_feature(enable = "neon")]
    fn join_u32(window: Window, symbols: &[u8], raw: &[u8], out: &mut [u32]) -> usize {
        const STEP: usize = 8;
        let bits = window.low_bits as usize;
        let half = 4 * bits / 8;
        let n = n_steps(window, STEP, half + 16, symbols.len().min(out.len()), raw);
        let (mut bytes, mut shifts) = ([[0u8; 16]; 2], [[0i32; 4]; 2]);
        for i in 0..STEP {
            let lane = i / 4;
            let bit = i * bits - 8 * half * lane;
            // A shift to the left by a negative number is one to the right.
            shifts[lane][i % 4] = -(bit as i32 % 8);
            for j in 0..4 {
                bytes[lane][4 * (i % 4) + j] = (bit / 8 + j) as u8;
            }
        }
        let mask = vdupq_n_u32((1 << bits) - 1);
        let base = vdupq_n_u32(window.base as u32);
        let up = vdupq_n_s32(bits as i32);
        let right = vdupq_n_s32(-(window.rotation as i32));
        let left = vdupq_n_s32(32 - window.rotation as i32);
        for step in 0..n {
            // SAFETY: a step's eight symbols lie inside their slice.
            let symbol = vmovl_u8(unsafe { vld1_u8(symbols.as_ptr().add(step * STEP)) });
            let symbol = [
                vmovl_u16(vget_low_u16(symbol)),
                vmovl_u16(vget_high_u16(symbol)),
            ];
            for lane in 0..2 {
                // SAFETY: `n_steps` leaves half + 16 bytes after the start of every step's raw
                // bits, and the arrays have the bytes that are loaded.
                let (low, bytes, shifts) = unsafe {
                    (
                        vld1q_u8(raw.as_ptr().add(step * bits + lane * half)),
                        vld1q_u8(bytes[lane].as_ptr()),
                        vld1q_s32(shifts[lane].as_ptr()),
                    )
                };
                let low = vshlq_u32(vreinterpretq_u32_u8(vqtbl1q_u8(low, bytes)), shifts);
                let high = vshlq_u32(vaddq_u32(symbol[lane], base), up);
                let joined = vorrq_u32(high, vandq_u32(low, mask));
                let rotated = vorrq_u32(vshlq_u32(joined, right), vshlq_u32(joined, left));
                // SAFETY: a step's eight values lie inside `out`.
                unsafe { vst1q_u32(out.as_mut_ptr().add(step * STEP + 4 * lane), rotated) };
            }
        }
        n * STEP
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::bits::BitWriter;
    use proptest::prelude::*;

    fn split_and_join<W: Word>(wide: &[u64], rotation: u32, low_bits: u32, base: u64, cut: usize) {
        let total = 8 * W::WIDTH as u32;
        let window = Window {
            rotation: rotation % total,
            low_bits: low_bits % total.min(MAX_LOW_BITS + 1),
            base,
        };
        let mut raw = BitWriter::default();
        let mut symbols = Vec::new();
        let mut expected = Vec::new();
        for &bits in wide {
            let symbol = bits as u8;
            let low = bits >> 8 & ((1 << window.low_bits) - 1);
            symbols.push(symbol);
            raw.put_wide(low, window.low_bits);
            let high = window.base.wrapping_add(u64::from(symbol)) << window.low_bits;
            expected.push(W::from_bits(high | low).rotate_right(window.rotation));
        }
        let raw = raw.finish();
        for isa in Isa::available() {
            let mut out = vec![W::default(); wide.len()];
            join(isa, window, &symbols, &raw, &mut out);
            assert_eq!(out, expected, "{isa:?} {window:?}");
            // Where bits are missing they are zero, in every version.
            let cut = &raw[..cut % (raw.len() + 1)];
            let (mut out, mut plain) = (out.clone(), out);
            join(isa, window, &symbols, cut, &mut out);
            join(Isa::Plain, window, &symbols, cut, &mut plain);
            assert_eq!(out, plain, "{isa:?} {window:?} {}", cut.len());
        }
    }

    proptest! {
        #[test]
        fn patterns_are_joined_on_every_machine(
            wide in prop::collection::vec(any::<u64>(), 0..150), rotation: u32, low_bits: u32, base: u64, cut: usize,
        ) {
            split_and_join::<u8>(&wide, rotation, low_bits, base, cut);
            split_and_join::<u16>(&wide, rotation, low_bits, base, cut);
            split_and_join::<u32>(&wide, rotation, low_bits, base, cut);
            split_and_join::<u64>(&wide, rotation, low_bits, base, cut);
        }
    }
}

//! Symbols packed LSB-first, of at most eight bits each (spec §10.1).

use super::Isa;
use crate::buffer::Buffer;

/// Unpacks `count` symbols of `bits` bits, 1 to 8; `None` if the bits after the last one are not
/// zero.
///
/// # Panics
/// If `packed` has other than the bytes of so many symbols.
pub(crate) fn bytes(isa: Isa, packed: &[u8], count: usize, bits: u32) -> Option<Buffer<u8>> {
    assert!((1..=8).contains(&bits) && packed.len() == (count * bits as usize).div_ceil(8));
    let used = count * bits as usize % 8;
    if used > 0 && packed[packed.len() - 1] >> used != 0 {
        return None;
    }
    let mut out = Buffer::new(count);
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => x86::unpack(packed, bits, &mut out),
        _ => unpack_plain(packed, bits, 0, &mut out),
    }
    Some(out)
}

/// From the eighth of symbols with number `first` on.
fn unpack_plain(packed: &[u8], bits: u32, first: usize, out: &mut [u8]) {
    let mask = (1u64 << bits) - 1;
    let eighths = packed
        .chunks(bits as usize)
        .zip(out.chunks_mut(8))
        .skip(first);
    for (packed, symbols) in eighths {
        let word = packed
            .iter()
            .rev()
            .fold(0, |word, &byte| word << 8 | u64::from(byte));
        for (i, symbol) in (0..).zip(symbols) {
            *symbol = (word >> (bits * i) & mask) as u8;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_code)]

    use super::unpack_plain;
    use core::arch::x86_64::_pdep_u64;

    pub(super) fn unpack(packed: &[u8], bits: u32, out: &mut [u8]) {
        // SAFETY: AVX2 kernels are only chosen on machines with BMI2.
        let first = unsafe { unpack_bmi2(packed, bits, out) };
        unpack_plain(packed, bits, first, out);
    }

    /// Returns how many times eight symbols it unpacked: all before those whose load of eight bytes
    /// would pass the end.
    #[target_feature(enable = "bmi2")]
    fn unpack_bmi2(packed: &[u8], bits: u32, out: &mut [u8]) -> usize {
        let mask = 0x0101_0101_0101_0101 * ((1 << bits) - 1);
        let mut done = 0;
        for symbols in out.as_chunks_mut::<8>().0 {
            let Some(word) = packed
                .get(done * bits as usize..)
                .and_then(<[u8]>::first_chunk)
            else {
                break;
            };
            *symbols = _pdep_u64(u64::from_le_bytes(*word), mask).to_le_bytes();
            done += 1;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::bits::pack;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn symbols_are_unpacked_on_every_machine(symbols in prop::collection::vec(any::<u8>(), 0..100), bits in 1u32..=8) {
            let symbols: Vec<u8> = symbols.iter().map(|s| s >> (8 - bits)).collect();
            let wide: Vec<u32> = symbols.iter().copied().map(u32::from).collect();
            let mut packed = pack(&wide, bits);
            for isa in Isa::available() {
                let unpacked = bytes(isa, &packed, symbols.len(), bits).unwrap();
                prop_assert_eq!(&*unpacked, &symbols[..]);
            }
            let unused = 8 * packed.len() - symbols.len() * bits as usize;
            if unused > 0 {
                *packed.last_mut().unwrap() |= 0x80;
                prop_assert!(bytes(Isa::active(), &packed, symbols.len(), bits).is_none());
            }
        }
    }
}

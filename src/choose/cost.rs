//! Costs in integers: the same on every machine, whatever its libm.

use crate::kernels::huffman::MAX_CODE_BITS;
use crate::stream::huffman::{ABSENT, SymbolOrder, written_bits};
use std::sync::LazyLock;

/// Fraction bits of [`log2`] and of every cost that is not in whole bits.
pub(crate) const FRACTION: u32 = 16;

/// One bit.
pub(crate) const BIT: u64 = 1 << FRACTION;

/// Bits of a mantissa that the table of logarithms is by.
const TABLE_BITS: u32 = 10;

/// log2(1 + i / 2^TABLE_BITS), in units of 2^-16, rounded down.
static LOGARITHMS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    (0..=1 << TABLE_BITS)
        .map(|i| exact_log2((1 << TABLE_BITS) + i) - u64::from(TABLE_BITS) * BIT)
        .collect()
});

/// log2 of `value` ≥ 1 in units of 2^-16, rounded down.
fn exact_log2(value: u64) -> u64 {
    let whole = value.max(1).ilog2();
    // The mantissa in 1.63 fixed point, squared once for every bit of the fraction.
    let mut mantissa = u128::from(value.max(1)) << (63 - whole);
    let mut log = u64::from(whole) << FRACTION;
    for bit in (0..FRACTION).rev() {
        mantissa = (mantissa * mantissa) >> 63;
        if mantissa >> 64 != 0 {
            mantissa >>= 1;
            log |= 1 << bit;
        }
    }
    log
}

/// log2 of `value` ≥ 1 in units of 2^-16, within one of them.
pub(crate) fn log2(value: u64) -> u64 {
    let value = value.max(1);
    let whole = value.ilog2();
    // The mantissa below its leading one, in 0.64 fixed point.
    let mantissa = (value << (63 - whole)) << 1;
    let (low, high) = {
        let i = (mantissa >> (64 - TABLE_BITS)) as usize;
        (LOGARITHMS[i], LOGARITHMS[i + 1])
    };
    let between = mantissa << TABLE_BITS >> 48;
    u64::from(whole) * BIT + low + (((high - low) * between) >> 16)
}

/// What an ideal coder needs for symbols with this histogram, in units of 2^-16 bits.
pub(crate) fn entropy(histogram: &[u64]) -> u64 {
    let total = histogram.iter().sum();
    let of_total = log2(total);
    histogram
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| count * of_total.saturating_sub(log2(count)))
        .sum()
}

/// What the lengths of a prefix code for this histogram take, about, in units of 2^-16 bits: those that
/// its code words would have if they could have any length, rounded.
pub(crate) fn code_lengths(histogram: &[u64], order: SymbolOrder) -> u64 {
    let of_total = log2(histogram.iter().sum());
    let length = |&count: &u64| match count {
        0 => ABSENT,
        count => {
            let bits = (of_total.saturating_sub(log2(count)) + BIT / 2) / BIT;
            bits.clamp(1, MAX_CODE_BITS.into()) as u8
        }
    };
    let lengths: Vec<u8> = histogram.iter().map(length).collect();
    written_bits(&lengths, order) * BIT
}

/// What an ideal coder needs for a choice of `count` of `total` positions, in units of 2^-16 bits.
pub(crate) fn choice(count: u64, total: u64) -> u64 {
    entropy(&[count, total - count])
}

/// Bytes that an ideal coder needs for symbols with this histogram, rounded up.
pub(crate) fn entropy_bytes(histogram: &[u32; 256]) -> u64 {
    entropy(&histogram.map(u64::from)).div_ceil(8 * BIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::huffman::PrefixCode;

    #[test]
    fn logarithms_are_those_of_the_library() {
        for value in [
            1,
            2,
            3,
            5,
            7,
            100,
            65_535,
            65_536,
            1 << 40,
            u64::MAX >> 1,
            u64::MAX,
        ]
        .into_iter()
        .chain((1..10_000).map(|i| i * i * 7 + 1))
        {
            let expected = (value as f64).log2() * 65_536.0;
            assert!(
                (exact_log2(value) as f64 - expected).abs() < 1.01,
                "{value}"
            );
            assert!((log2(value) as f64 - expected).abs() < 2.01, "{value}");
        }
    }

    #[test]
    fn lengths_cost_about_what_those_of_the_code_do() {
        let histogram: Vec<u64> = (0..200).map(|i| 100_000 >> (i / 16)).collect();
        let code = PrefixCode::of_histogram(&histogram).unwrap();
        for order in [SymbolOrder::Number, SymbolOrder::SetBits] {
            let (about, exact) = (code_lengths(&histogram, order), code.written_bits(order));
            assert!(about.abs_diff(exact * BIT) <= about / 8, "{about} {exact}");
        }
        assert_eq!(code_lengths(&[], SymbolOrder::Number), 0);
    }

    #[test]
    fn entropy_of_known_histograms() {
        assert_eq!(entropy_bytes(&[0; 256]), 0);
        assert_eq!(entropy_bytes(&[7; 256]), 7 * 256);
        let mut coin = [0; 256];
        coin[..2].fill(4000);
        assert_eq!(entropy_bytes(&coin), 1000);
        assert_eq!(choice(0, 100), 0);
        assert_eq!(choice(50, 100), 100 * BIT);
    }
}

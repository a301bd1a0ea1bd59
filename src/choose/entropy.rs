//! Order-0 entropy in integers: the same on every machine, whatever its libm.

/// Fraction bits of [`log2`].
const FRACTION: u32 = 16;

/// log2 of `value` ≥ 1 in units of 2^-16, rounded down.
fn log2(value: u64) -> u64 {
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

/// Bytes that an ideal coder needs for symbols with this histogram, rounded up.
pub(super) fn entropy_bytes(histogram: &[u32; 256]) -> u64 {
    let total: u64 = histogram.iter().map(|&c| u64::from(c)).sum();
    let of_total = log2(total);
    let units: u64 = histogram
        .iter()
        .filter(|&&c| c > 0)
        .map(|&c| u64::from(c) * (of_total - log2(u64::from(c))))
        .sum();
    units.div_ceil(8 << FRACTION)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            let expected = (value as f64).log2() * 65_536.0;
            assert!((log2(value) as f64 - expected).abs() < 1.01, "{value}");
        }
    }

    #[test]
    fn entropy_of_known_histograms() {
        assert_eq!(entropy_bytes(&[0; 256]), 0);
        assert_eq!(entropy_bytes(&[7; 256]), 7 * 256);
        let mut coin = [0; 256];
        coin[..2].fill(4000);
        assert_eq!(entropy_bytes(&coin), 1000);
    }
}

//! The information limit of a tensor: what its elements would take if positions were independent
//! of each other, and values were, and every symbol took its share of the entropy.
//!
//! It is a yardstick, not a bound: real masks are structured, and coders that see that go below.

use std::collections::HashMap;
use tfzip::DType;

/// A tensor with more different nonzero patterns than this is not taken for weight-shared.
const MAX_SHARED: usize = 1 << 16;

/// The limit for a tensor with these `elements`, in bits:
///
/// - positions: the entropy of "is it nonzero";
/// - values of floats: the entropy of sign and exponent, and the mantissa's bits as they are; or,
///   where fewer, the entropy of whole patterns and a table of them (shared weights);
/// - other values: the entropy of whole patterns;
/// - signs of zeros, where there is a −0.0: the entropy of "is it −0.0" among the zeros.
pub fn bits(dtype: DType, elements: &[u8]) -> f64 {
    let Some(width) = dtype.width() else {
        return 0.0;
    };
    let mantissa = mantissa_bits(dtype);
    let mut zeros = [0, 0];
    let mut nnz = 0;
    let mut heads = Counts::default();
    let mut patterns = Counts::default();
    for element in elements.chunks_exact(width) {
        let mut le = [0; 16];
        le[..width].copy_from_slice(element);
        let pattern = u128::from_le_bytes(le);
        if !dtype.is_nonzero(element) {
            zeros[usize::from(pattern != 0)] += 1;
            continue;
        }
        nnz += 1;
        if let Some(mantissa) = mantissa {
            heads.add(pattern >> mantissa);
        }
        if mantissa.is_none() || patterns.0.len() <= MAX_SHARED {
            patterns.add(pattern);
        }
    }
    let whole = patterns.bits();
    let values = match mantissa {
        None => whole,
        Some(mantissa) => {
            let split = heads.bits() + nnz as f64 * f64::from(mantissa);
            let n_patterns = patterns.0.len();
            if n_patterns > MAX_SHARED {
                split
            } else {
                split.min(whole + (n_patterns * 8 * width) as f64)
            }
        }
    };
    entropy_bits([nnz, zeros[0] + zeros[1]]) + values + entropy_bits(zeros)
}

/// Bits of the mantissa of a floating-point dtype; the others are sign and exponent.
fn mantissa_bits(dtype: DType) -> Option<u32> {
    Some(match dtype {
        DType::Float64 => 52,
        DType::Float32 => 23,
        DType::Float16 => 10,
        DType::Bfloat16 => 7,
        DType::Float8E4m3fn | DType::Float8E4m3fnuz | DType::Float8E4m3b11fnuz => 3,
        DType::Float8E5m2 | DType::Float8E5m2fnuz => 2,
        _ => return None,
    })
}

/// How often each symbol was seen.
#[derive(Default)]
struct Counts(HashMap<u128, u64>);

impl Counts {
    fn add(&mut self, symbol: u128) {
        *self.0.entry(symbol).or_default() += 1;
    }

    fn bits(&self) -> f64 {
        entropy_bits(self.0.values().copied())
    }
}

/// Bits that a sequence takes in which symbols were seen that often, at order 0.
fn entropy_bits(counts: impl IntoIterator<Item = u64>) -> f64 {
    // sum(n_i log2(n / n_i)) = n log2 n - sum(n_i log2 n_i)
    let (total, sum) = counts
        .into_iter()
        .filter(|&n| n > 0)
        .fold((0, 0.0), |(total, sum), n| (total + n, sum + n_log_n(n)));
    // What is left of rounding where there is one symbol.
    (n_log_n(total) - sum).max(0.0)
}

fn n_log_n(n: u64) -> f64 {
    if n == 0 {
        return 0.0;
    }
    n as f64 * (n as f64).log2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_floats(elements: &[f32]) -> f64 {
        let bytes: Vec<u8> = elements.iter().flat_map(|e| e.to_le_bytes()).collect();
        bits(DType::Float32, &bytes)
    }

    #[test]
    fn entropy_is_that_of_the_shares() {
        assert_eq!(entropy_bits([]), 0.0);
        assert_eq!(entropy_bits([7, 0]), 0.0);
        assert_eq!(entropy_bits([4, 4]), 8.0);
        assert_eq!(entropy_bits([1, 1, 2]), 6.0);
    }

    #[test]
    fn zeros_take_nothing_and_their_signs_a_bit() {
        assert_eq!(of_floats(&[]), 0.0);
        assert_eq!(of_floats(&[0.0; 8]), 0.0);
        assert_eq!(of_floats(&[0.0, -0.0, -0.0, 0.0]), 4.0);
    }

    #[test]
    fn floats_pay_for_their_mantissas_unless_they_are_shared() {
        // Two exponents, four different mantissas: 4 x (1 + 23), less than 4 x 32 + 4 x 2.
        let different = [1.0, 1.5, 2.0, 3.0];
        assert_eq!(of_floats(&different), 4.0 * 24.0);
        // Two patterns: a bit each, and a table of 64 bits.
        let shared = [1.0f32, 1.5].repeat(50);
        assert_eq!(of_floats(&shared), 100.0 + 64.0);
    }

    #[test]
    fn integers_take_the_entropy_of_their_patterns() {
        // Half of them zero: 8 bits for the positions; four nonzeros of two values.
        let elements = [0, 0, 0, 0, 1, 1, 2, 2];
        assert_eq!(bits(DType::Int8, &elements), 8.0 + 4.0);
        assert_eq!(bits(DType::String, &[]), 0.0);
    }
}

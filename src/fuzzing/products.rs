//! Products with a tensor, against a simple loop over its elements.

use crate::archive::Tensor;
use crate::error::Result;
use crate::kernels::Isa;
use crate::product::{Matrix, Real, number_of_dtype};

/// Most rows and columns that vectors are made for: a tensor without elements may have any number.
const MAX_NUMBERS: u64 = 1 << 19;

/// Sums of absolute products from which on a loop in `f64` might overflow where the product does not.
const NEAR_OVERFLOW: f64 = 1e300;

/// Checks that products with a tensor of these elements are right, or fail where they can't be had; and
/// that they have the same bits from all kernels.
pub(super) fn check_products(tensor: &Tensor<'_>, dense: Option<&[u8]>, isas: &[Isa]) {
    let (rows, columns) = tensor.matrix_shape();
    let number = number_of_dtype(tensor.dtype()).filter(|_| tensor.is_readable());
    let Some(number) = number.filter(|_| rows.saturating_add(columns) <= MAX_NUMBERS) else {
        return;
    };
    let weights: Option<Vec<f64>> = dense.map(|bytes| {
        let width = tensor.dtype().width().unwrap_or(1);
        let bits = |element: &[u8]| element.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b));
        let elements = bytes.chunks_exact(width);
        elements.map(|element| number(bits(element))).collect()
    });
    let mut of_plain = None;
    for &isa in isas {
        let products = Matrix::new(tensor).and_then(|matrix| {
            let matrix = matrix.with_isa(isa);
            let single = Products::<f32>::of(&matrix)?;
            Ok((single, Products::<f64>::of(&matrix)?))
        });
        let products = match (products, &weights) {
            (Ok(products), Some(weights)) => {
                products
                    .0
                    .check(weights, f32::EPSILON.into(), 1.5e-45, f32::MAX.into());
                products.1.check(weights, f64::EPSILON, 5e-324, f64::MAX);
                Ok((products.0.bits(), products.1.bits()))
            }
            // Of no elements there are products, whatever the blocks say.
            (Ok(products), None) => {
                assert!(tensor.is_empty(), "products, but no elements");
                Ok((products.0.bits(), products.1.bits()))
            }
            (Err(e), Some(_)) => panic!("dense elements, but no products: {e}"),
            (Err(e), None) => Err(e.to_string()),
        };
        let plain = of_plain.get_or_insert_with(|| products.clone());
        assert!(*plain == products, "{}", isa.name());
    }
}

/// The products of a matrix and of its transpose with a vector each.
struct Products<A> {
    x: Vec<A>,
    of_rows: Vec<A>,
    of_columns: Vec<A>,
}

impl<A: Real + FromF32> Products<A> {
    fn of(matrix: &Matrix<'_>) -> Result<Self> {
        let (rows, columns) = (matrix.rows(), matrix.columns());
        let x = |i: u32| A::from_f32((i.wrapping_mul(2_654_435_761) >> 20) as f32 / 256.0 - 7.0);
        let x: Vec<A> = (0..rows.max(columns) as u32).map(x).collect();
        let (mut of_rows, mut of_columns) = (vec![A::default(); rows], vec![A::default(); columns]);
        matrix.multiply(&x[..columns], &mut of_rows)?;
        matrix.multiply_transposed(&x[..rows], &mut of_columns)?;
        Ok(Self {
            x,
            of_rows,
            of_columns,
        })
    }

    /// Bits that tell zeros apart, but not one NaN from another.
    fn bits(&self) -> Vec<u64> {
        let bits = |&number: &A| match number.into() {
            number if number.is_nan() => u64::MAX,
            number => number.to_bits(),
        };
        let all = self.of_rows.iter().chain(&self.of_columns);
        all.map(bits).collect()
    }

    /// Whether they are right, in a type with this ε and these least and most numbers.
    fn check(&self, weights: &[f64], epsilon: f64, least: f64, most: f64) {
        let mut of_rows = vec![Sum::default(); self.of_rows.len()];
        let mut of_columns = vec![Sum::default(); self.of_columns.len()];
        if !weights.is_empty() {
            let rows = weights.chunks_exact(of_columns.len());
            for (i, (row, sum)) in rows.zip(&mut of_rows).enumerate() {
                for (j, (&weight, of_column)) in row.iter().zip(&mut of_columns).enumerate() {
                    sum.add(weight, self.x[j].into());
                    of_column.add(weight, self.x[i].into());
                }
            }
        }
        let results = self.of_rows.iter().chain(&self.of_columns);
        for (&result, sum) in results.zip(of_rows.iter().chain(&of_columns)) {
            let result: f64 = result.into();
            assert!(
                sum.allows(result, epsilon, least, most),
                "{result:?}, expected {sum:?}"
            );
        }
    }
}

/// What numbers of vectors are made from.
trait FromF32 {
    fn from_f32(number: f32) -> Self;
}

impl FromF32 for f32 {
    fn from_f32(number: f32) -> Self {
        number
    }
}

impl FromF32 for f64 {
    fn from_f32(number: f32) -> Self {
        number.into()
    }
}

/// A sum as a loop has it.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    value: f64,
    absolute: f64,
    n_terms: f64,
    /// The terms that are infinite or NaN, if there are some.
    not_finite: Option<f64>,
}

impl Sum {
    fn add(&mut self, weight: f64, x: f64) {
        if weight == 0.0 {
            return;
        }
        if !weight.is_finite() {
            self.not_finite = Some(self.not_finite.unwrap_or(0.0) + weight * x);
            return;
        }
        self.value += weight * x;
        self.absolute += (weight * x).abs();
        self.n_terms += 1.0;
    }

    /// Whether a result is as near as the loop itself is, and the promise of [`crate::product`].
    fn allows(&self, result: f64, epsilon: f64, least: f64, most: f64) -> bool {
        if let Some(expected) = self.not_finite {
            return result == expected || (result.is_nan() && expected.is_nan());
        }
        if self.absolute > NEAR_OVERFLOW {
            return true;
        }
        let of_loop = self.n_terms * f64::EPSILON;
        let within = (4.0 * epsilon + of_loop) * self.absolute + (self.n_terms + 1.0) * least;
        (result - self.value).abs() <= within
            || (self.absolute * (1.0 + 4.0 * epsilon) >= most
                && result.abs() >= most * (1.0 - epsilon))
    }
}

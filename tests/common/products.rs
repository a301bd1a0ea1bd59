//! Products as they are defined, in twice the precision of `f64`.

use tfzip::product::{Matrix, Real};
use tfzip::{DType, Tensor};

/// The number that an element is, from its little-endian bytes.
fn number(dtype: DType, element: &[u8]) -> f64 {
    let bits = element
        .iter()
        .rev()
        .fold(0u64, |n, &b| n << 8 | u64::from(b));
    // What the names of the dtypes say: bits of exponent and mantissa, and the bias.
    let tiny = |mantissa: i32, bias: i32| {
        let low = (bits & ((1 << mantissa) - 1)) as f64 / f64::from(1 << mantissa);
        let exponent = ((bits & 0x7f) >> mantissa) as i32;
        let sign = if bits >> 7 == 1 { -1.0 } else { 1.0 };
        let (one, exponent) = if exponent == 0 {
            (0.0, 1)
        } else {
            (1.0, exponent)
        };
        sign * (one + low) * f64::powi(2.0, exponent - bias)
    };
    match dtype.name() {
        "float32" => f32::from_bits(bits as u32).into(),
        "float64" => f64::from_bits(bits),
        "float16" => half::f16::from_bits(bits as u16).into(),
        "bfloat16" => half::bf16::from_bits(bits as u16).into(),
        "int8" | "qint8" => f64::from(bits as i8),
        "int16" | "qint16" => f64::from(bits as i16),
        "int32" | "qint32" => f64::from(bits as i32),
        "int64" => bits as i64 as f64,
        "uint8" | "quint8" | "uint16" | "quint16" | "uint32" | "uint64" => bits as f64,
        "bool" => f64::from(u8::from(bits != 0)),
        "float8_e5m2" => half::f16::from_bits((bits as u16) << 8).into(),
        "float8_e4m3fn" if bits & 0x7f == 0x7f => f64::NAN,
        "float8_e4m3fn" => tiny(3, 7),
        "float8_e4m3fnuz" | "float8_e4m3b11fnuz" | "float8_e5m2fnuz" if bits == 0x80 => f64::NAN,
        "float8_e4m3fnuz" => tiny(3, 8),
        "float8_e4m3b11fnuz" => tiny(3, 11),
        "float8_e5m2fnuz" => tiny(2, 16),
        other => panic!("{other} has no numbers"),
    }
}

/// A sum of products, and of their absolute values.
#[derive(Clone, Copy, Default)]
struct Sum {
    high: f64,
    low: f64,
    absolute: f64,
    terms: f64,
    /// The terms that are infinite or NaN, if there are some.
    not_finite: Option<f64>,
}

impl Sum {
    fn add(&mut self, weight: f64, x: f64) {
        if weight == 0.0 {
            return;
        }
        let product = weight * x;
        if !weight.is_finite() || !x.is_finite() {
            self.not_finite = Some(self.not_finite.unwrap_or(0.0) + product);
            return;
        }
        // Both are what the sum and the product lack to be exact (Knuth; Dekker).
        let of_product = weight.mul_add(x, -product);
        let high = self.high + product;
        let back = high - self.high;
        let of_sum = (self.high - (high - back)) + (product - back);
        self.high = high;
        self.low += of_sum + of_product;
        self.absolute += product.abs();
        self.terms += 1.0;
    }

    /// Whether a result with this ε and these least and most numbers is right.
    fn allows(&self, result: f64, epsilon: f64, least: f64, most: f64) -> bool {
        if let Some(expected) = self.not_finite {
            return result == expected || (result.is_nan() && expected.is_nan());
        }
        // Too large for the reference, too.
        if self.absolute > 1e300 {
            return true;
        }
        let expected = self.high + self.low;
        if expected.abs() > most {
            return result.abs() >= most * (1.0 - epsilon) && result.signum() == expected.signum();
        }
        let within = 4.0 * epsilon * self.absolute + (self.terms + 1.0) * least;
        let error = (result - self.high) - self.low;
        error.abs() <= within && (self.terms > 0.0 || result.to_bits() == 0)
    }
}

/// Numbers of vectors, and what their type can.
pub(crate) trait Number: Real + std::fmt::Debug + PartialEq {
    const EPSILON: f64;
    const LEAST: f64;
    const MOST: f64;

    fn from_f64(number: f64) -> Self;
}

impl Number for f32 {
    const EPSILON: f64 = f32::EPSILON as f64;
    const LEAST: f64 = 1.5e-45;
    const MOST: f64 = f32::MAX as f64;

    fn from_f64(number: f64) -> Self {
        number as f32
    }
}

impl Number for f64 {
    const EPSILON: f64 = f64::EPSILON;
    const LEAST: f64 = 5e-324;
    const MOST: f64 = f64::MAX;

    fn from_f64(number: f64) -> Self {
        number
    }
}

/// What products are of: the number with this index.
pub(crate) type Vector<'f> = &'f dyn Fn(usize) -> f64;

fn check<A: Number>(what: &str, results: &[A], sums: &[Sum]) {
    assert_eq!(results.len(), sums.len());
    for (i, (&result, sum)) in results.iter().zip(sums).enumerate() {
        let is_right = sum.allows(result.into(), A::EPSILON, A::LEAST, A::MOST);
        assert!(
            is_right,
            "{what} {i}: {result:?}, expected {} within 4ε of {}, or {:?}",
            sum.high + sum.low,
            sum.absolute,
            sum.not_finite
        );
    }
}

/// Checks every product of a tensor with these elements, with `batch` vectors.
pub(crate) fn check_products<A: Number>(
    tensor: &Tensor<'_>,
    elements: &[u8],
    vector: Vector<'_>,
    batch: usize,
) {
    let matrix = Matrix::new(tensor).unwrap();
    let (rows, columns) = tensor.matrix_shape();
    let (rows, columns) = (rows as usize, columns as usize);
    assert_eq!((matrix.rows(), matrix.columns()), (rows, columns));
    let width = tensor.dtype().width().unwrap();
    let weights: Vec<f64> = elements
        .chunks_exact(width)
        .map(|element| number(tensor.dtype(), element))
        .collect();
    let numbers = |n: usize| -> Vec<A> { (0..n * batch).map(|i| A::from_f64(vector(i))).collect() };
    let (of_columns, of_rows) = (numbers(columns), numbers(rows));
    let mut dots = vec![Sum::default(); rows * batch];
    let mut scaled = vec![Sum::default(); columns * batch];
    for b in 0..batch {
        for (i, &weight) in weights.iter().enumerate() {
            let (row, column) = (i / columns, i % columns);
            dots[b * rows + row].add(weight, of_columns[b * columns + column].into());
            scaled[b * columns + column].add(weight, of_rows[b * rows + row].into());
        }
    }
    // What was there before is not looked at.
    let mut y = vec![A::from_f64(f64::NAN); rows * batch];
    matrix.multiply_batch(&of_columns, &mut y, batch).unwrap();
    check("row", &y, &dots);
    let mut z = vec![A::from_f64(f64::NAN); columns * batch];
    matrix
        .multiply_transposed_batch(&of_rows, &mut z, batch)
        .unwrap();
    check("column", &z, &scaled);
    // One by one they are the same, bit for bit; also from a matrix that has checked its blocks.
    let bits = |y: &[A]| -> Vec<u64> { y.iter().map(|&y| y.into().to_bits()).collect() };
    for b in 0..batch {
        let mut one = vec![A::default(); rows];
        let x = &of_columns[b * columns..][..columns];
        matrix.multiply(x, &mut one).unwrap();
        assert_eq!(bits(&one), bits(&y[b * rows..][..rows]));
        let mut one = vec![A::default(); columns];
        let x = &of_rows[b * rows..][..rows];
        matrix.multiply_transposed(x, &mut one).unwrap();
        assert_eq!(bits(&one), bits(&z[b * columns..][..columns]));
    }
}

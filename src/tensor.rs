//! What a tensor is made of: element types, shapes and bit patterns. No file format is known here.

use crate::error::{Error, Result};
use bytemuck::{CheckedBitPattern, NoUninit, Zeroable};
use std::fmt;

macro_rules! dtypes {
    ($($variant:ident = $id:literal, $name:literal, $bytes:expr, $class:ident, $doc:literal;)*) => {
        /// Element type of a tensor; the numbers are those of TensorFlow's `DataType` (spec §7.2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum DType {
            $(#[doc = $doc] $variant = $id,)*
        }

        impl DType {
            /// Every dtype, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The dtype with this number, or `None` for a number that the spec does not list.
            pub fn from_id(id: u32) -> Option<Self> {
                match id { $($id => Some(Self::$variant),)* _ => None }
            }

            /// TensorFlow's name for it, for instance `float32`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Bytes of one element in memory, or `None` where elements have no fixed width in
            /// bytes (strings, resources, variants, and integers of less than a byte).
            pub fn width(self) -> Option<usize> {
                let bytes: usize = match self { $(Self::$variant => $bytes,)* };
                (bytes > 0).then_some(bytes)
            }

            /// How the bits of an element are to be read.
            pub fn class(self) -> ElementClass {
                match self { $(Self::$variant => ElementClass::$class,)* }
            }
        }
    };
}

/// How the bits of an element are to be read: decides which patterns are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementClass {
    /// IEEE-like: the top bit is a sign, and the pattern of the sign alone is −0.0.
    Float,
    /// As [`Float`](Self::Float), but the pattern of the sign alone is NaN: there is no −0.0.
    FloatUnsignedZero,
    /// Two IEEE floats of half the width each.
    Complex,
    /// An integer or a boolean: the all-zero pattern is the only zero.
    Integer,
    /// No fixed-width elements.
    Opaque,
}

dtypes! {
    Float32 = 1, "float32", 4, Float, "IEEE 754 binary32.";
    Float64 = 2, "float64", 8, Float, "IEEE 754 binary64.";
    Int32 = 3, "int32", 4, Integer, "Signed, 32 bits.";
    Uint8 = 4, "uint8", 1, Integer, "Unsigned, 8 bits.";
    Int16 = 5, "int16", 2, Integer, "Signed, 16 bits.";
    Int8 = 6, "int8", 1, Integer, "Signed, 8 bits.";
    String = 7, "string", 0, Opaque, "Byte strings of any length.";
    Complex64 = 8, "complex64", 8, Complex, "Two binary32: real, imaginary.";
    Int64 = 9, "int64", 8, Integer, "Signed, 64 bits.";
    Bool = 10, "bool", 1, Integer, "One byte, 0 or 1.";
    Qint8 = 11, "qint8", 1, Integer, "Quantised, signed, 8 bits.";
    Quint8 = 12, "quint8", 1, Integer, "Quantised, unsigned, 8 bits.";
    Qint32 = 13, "qint32", 4, Integer, "Quantised, signed, 32 bits.";
    Bfloat16 = 14, "bfloat16", 2, Float, "The upper half of a binary32.";
    Qint16 = 15, "qint16", 2, Integer, "Quantised, signed, 16 bits.";
    Quint16 = 16, "quint16", 2, Integer, "Quantised, unsigned, 16 bits.";
    Uint16 = 17, "uint16", 2, Integer, "Unsigned, 16 bits.";
    Complex128 = 18, "complex128", 16, Complex, "Two binary64: real, imaginary.";
    Float16 = 19, "float16", 2, Float, "IEEE 754 binary16, TensorFlow's half.";
    Resource = 20, "resource", 0, Opaque, "A handle.";
    Variant = 21, "variant", 0, Opaque, "Anything.";
    Uint32 = 22, "uint32", 4, Integer, "Unsigned, 32 bits.";
    Uint64 = 23, "uint64", 8, Integer, "Unsigned, 64 bits.";
    Float8E5m2 = 24, "float8_e5m2", 1, Float, "5 bits of exponent, 2 of mantissa.";
    Float8E4m3fn = 25, "float8_e4m3fn", 1, Float, "4 bits of exponent, 3 of mantissa.";
    Float8E4m3fnuz = 26, "float8_e4m3fnuz", 1, FloatUnsignedZero, "As E4M3, without −0.0.";
    Float8E4m3b11fnuz = 27, "float8_e4m3b11fnuz", 1, FloatUnsignedZero, "As E4M3, bias 11, without −0.0.";
    Float8E5m2fnuz = 28, "float8_e5m2fnuz", 1, FloatUnsignedZero, "As E5M2, without −0.0.";
    Int4 = 29, "int4", 0, Opaque, "Signed, 4 bits.";
    Uint4 = 30, "uint4", 0, Opaque, "Unsigned, 4 bits.";
    Int2 = 31, "int2", 0, Opaque, "Signed, 2 bits.";
    Uint2 = 32, "uint2", 0, Opaque, "Unsigned, 2 bits.";
    Float4E2m1fn = 33, "float4_e2m1fn", 0, Opaque, "2 bits of exponent, 1 of mantissa.";
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl DType {
    /// Whether an element with these little-endian bytes is numerically different from zero.
    ///
    /// NaN is nonzero; −0.0 is zero; a complex number is zero when both its parts are.
    pub fn is_nonzero(self, element: &[u8]) -> bool {
        match self.class() {
            ElementClass::Float => !is_float_zero(element),
            ElementClass::Complex => {
                let (re, im) = element.split_at(element.len() / 2);
                !(is_float_zero(re) && is_float_zero(im))
            }
            ElementClass::FloatUnsignedZero | ElementClass::Integer | ElementClass::Opaque => {
                element.iter().any(|&b| b != 0)
            }
        }
    }
}

impl DType {
    /// Number of elements in `bytes` that are numerically different from zero.
    pub(crate) fn count_nonzero(self, bytes: &[u8]) -> u64 {
        let width = self.width().unwrap_or(1);
        bytes
            .chunks_exact(width)
            .filter(|element| self.is_nonzero(element))
            .count() as u64
    }
}

/// Whether the bytes are +0.0 or −0.0, little-endian.
fn is_float_zero(element: &[u8]) -> bool {
    match element.split_last() {
        Some((top, rest)) => top & 0x7f == 0 && rest.iter().all(|&b| b == 0),
        None => true,
    }
}

/// Number of elements of a shape: the product of its dimensions, 1 for a scalar.
/// `LimitExceeded` when the product or a dimension does not fit in 63 bits (spec §1.2).
pub(crate) fn element_count(shape: &[u64]) -> Result<u64> {
    let fits = |n: &u64| i64::try_from(*n).is_ok();
    let product = match shape.contains(&0) {
        // Whatever the product of the others is.
        true => Some(0),
        false => shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d)),
    };
    product
        .filter(|n| fits(n) && shape.iter().all(fits))
        .ok_or_else(|| {
            Error::limit(format!(
                "shape {shape:?} has 2^63 elements or more, or a dimension of that size"
            ))
        })
}

/// The matrix that a tensor is folded into (spec §7.4): all dimensions but the last make the
/// rows, the last one the columns. A scalar is one row of one column. Fails as [`element_count`].
pub(crate) fn matrix_shape(shape: &[u64]) -> Result<(u64, u64)> {
    match shape.split_last() {
        None => Ok((1, 1)),
        Some((&columns, rows)) => Ok((element_count(rows)?, columns)),
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that elements of some dtypes can be read as, bit for bit.
///
/// A wrong type is an error, never a conversion. Sealed: implemented for the types below alone.
pub trait Element: sealed::Sealed + CheckedBitPattern + NoUninit + Zeroable + Send + Sync {
    /// The dtypes whose elements have exactly this type's meaning.
    const DTYPES: &'static [DType];

    /// The bytes of values, where any bytes are values.
    #[doc(hidden)]
    fn bytes_mut(values: &mut [Self]) -> Option<&mut [u8]>;

    /// Turns the little-endian bytes that a file holds into the machine's own order, in place.
    #[doc(hidden)]
    fn swap_if_big_endian(values: &mut [Self]) {
        if cfg!(target_endian = "big") {
            for value in values {
                if let Some(bytes) = Self::bytes_mut(std::slice::from_mut(value)) {
                    bytes.reverse();
                }
            }
        }
    }
}

macro_rules! elements {
    ($($t:ty: $($d:ident),*;)*) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPES: &'static [DType] = &[$(DType::$d),*];

            fn bytes_mut(values: &mut [Self]) -> Option<&mut [u8]> {
                Some(bytemuck::cast_slice_mut(values))
            }
        }
    )*};
}

impl sealed::Sealed for bool {}
impl Element for bool {
    const DTYPES: &'static [DType] = &[DType::Bool];

    /// None: a byte of 2 is no `bool`.
    fn bytes_mut(_: &mut [Self]) -> Option<&mut [u8]> {
        None
    }
}

elements! {
    f32: Float32;
    f64: Float64;
    half::f16: Float16;
    half::bf16: Bfloat16;
    i8: Int8, Qint8;
    i16: Int16, Qint16;
    i32: Int32, Qint32;
    i64: Int64;
    u8: Uint8, Quint8, Bool, Float8E5m2, Float8E4m3fn, Float8E4m3fnuz, Float8E4m3b11fnuz, Float8E5m2fnuz;
    u16: Uint16, Quint16;
    u32: Uint32;
    u64: Uint64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dtype_numbers_are_tensorflows_and_never_change() {
        assert_eq!(DType::ALL.len(), 33);
        for (i, &d) in DType::ALL.iter().enumerate() {
            assert_eq!(d as usize, i + 1);
            assert_eq!(DType::from_id(d as u32), Some(d));
        }
        assert_eq!(DType::from_id(0), None);
        assert_eq!(DType::from_id(34), None);
        assert_eq!(DType::from_id(101), None);
    }

    #[test]
    fn zero_is_a_matter_of_value() {
        assert!(!DType::Float32.is_nonzero(&(-0.0f32).to_le_bytes()));
        assert!(DType::Float32.is_nonzero(&f32::NAN.to_le_bytes()));
        assert!(DType::Float32.is_nonzero(&f32::from_bits(1).to_le_bytes()));
        assert!(DType::Int32.is_nonzero(&i32::MIN.to_le_bytes()));
        assert!(DType::Float8E5m2fnuz.is_nonzero(&[0x80]));
        assert!(!DType::Float8E5m2.is_nonzero(&[0x80]));
        let negative = [0, 0, 0, 0x80, 0, 0, 0, 0x80];
        assert!(!DType::Complex64.is_nonzero(&negative));
    }

    #[test]
    fn shapes_are_counted_without_overflow() {
        assert_eq!(element_count(&[]).unwrap(), 1);
        assert_eq!(element_count(&[1 << 62, 1 << 62, 0]).unwrap(), 0);
        assert!(element_count(&[1 << 32, 1 << 31]).is_err());
        assert!(element_count(&[1 << 63]).is_err());
        assert!(element_count(&[0, 1 << 63]).is_err());
        assert_eq!(matrix_shape(&[]).unwrap(), (1, 1));
        assert_eq!(matrix_shape(&[3, 3, 64, 5]).unwrap(), (576, 5));
        assert_eq!(matrix_shape(&[7]).unwrap(), (1, 7));
    }
}

//! Elements as numbers.

use crate::tensor::DType;
use half::{bf16, f16};

/// What turns the bits of an element into the number that it is; `None` for a dtype whose elements are
/// not real numbers.
pub(crate) fn of_dtype(dtype: DType) -> Option<fn(u64) -> f64> {
    Some(match dtype {
        DType::Float32 => |bits| f32::from_bits(bits as u32).into(),
        DType::Float64 => f64::from_bits,
        DType::Float16 => |bits| f16::from_bits(bits as u16).into(),
        DType::Bfloat16 => |bits| bf16::from_bits(bits as u16).into(),
        DType::Int8 | DType::Qint8 => |bits| (bits as i8).into(),
        DType::Int16 | DType::Qint16 => |bits| (bits as i16).into(),
        DType::Int32 | DType::Qint32 => |bits| (bits as i32).into(),
        DType::Int64 => |bits| bits as i64 as f64,
        DType::Uint8 | DType::Quint8 => |bits| (bits as u8).into(),
        DType::Uint16 | DType::Quint16 => |bits| (bits as u16).into(),
        DType::Uint32 => |bits| (bits as u32).into(),
        DType::Uint64 => |bits| bits as f64,
        DType::Bool => |bits| if bits == 0 { 0.0 } else { 1.0 },
        DType::Float8E5m2 => |bits| f16::from_bits((bits as u16) << 8).into(),
        DType::Float8E4m3fn => |bits| match bits & 0x7f {
            0x7f => f64::NAN,
            _ => small(bits, 3, 2f64.powi(1023 - 7)),
        },
        DType::Float8E4m3fnuz => |bits| unsigned_zero(bits, 3, 2f64.powi(1023 - 8)),
        DType::Float8E4m3b11fnuz => |bits| unsigned_zero(bits, 3, 2f64.powi(1023 - 11)),
        DType::Float8E5m2fnuz => |bits| unsigned_zero(bits, 2, 2f64.powi(1023 - 16)),
        DType::String
        | DType::Complex64
        | DType::Complex128
        | DType::Resource
        | DType::Variant
        | DType::Int4
        | DType::Uint4
        | DType::Int2
        | DType::Uint2
        | DType::Float4E2m1fn => return None,
    })
}

/// A float of eight bits without infinities: its exponent and mantissa as those of a binary64, times what
/// makes up for the other bias. Exact, and so are the subnormal ones.
fn small(bits: u64, mantissa_bits: u32, scale: f64) -> f64 {
    let shift = (f64::MANTISSA_DIGITS - 1).saturating_sub(mantissa_bits);
    let magnitude = f64::from_bits((bits & 0x7f).wrapping_shl(shift)) * scale;
    if bits & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// The same where the pattern of the sign alone is NaN.
fn unsigned_zero(bits: u64, mantissa_bits: u32, scale: f64) -> f64 {
    match bits & 0xff {
        0x80 => f64::NAN,
        _ => small(bits, mantissa_bits, scale),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(dtype: DType, bits: u64) -> f64 {
        of_dtype(dtype).unwrap()(bits)
    }

    #[test]
    fn every_dtype_of_numbers_has_them() {
        for (dtype, bits, expected) in [
            (DType::Float32, 0xc048_0000, -3.125),
            (DType::Float64, 0x3ff8_0000_0000_0000, 1.5),
            (DType::Float16, 0x3e00, 1.5),
            (DType::Bfloat16, 0xbfc0, -1.5),
            (DType::Int8, 0x80, -128.0),
            (DType::Qint8, 0xff, -1.0),
            (DType::Uint8, 0xff, 255.0),
            (DType::Quint8, 0x80, 128.0),
            (DType::Int16, 0x8000, -32768.0),
            (DType::Qint16, 0xffff, -1.0),
            (DType::Uint16, 0xffff, 65535.0),
            (DType::Quint16, 7, 7.0),
            (DType::Int32, 0xffff_fffe, -2.0),
            (DType::Qint32, 5, 5.0),
            (DType::Uint32, 0xffff_ffff, 4294967295.0),
            (DType::Int64, u64::MAX, -1.0),
            (DType::Uint64, u64::MAX, 18446744073709551616.0),
            (DType::Bool, 1, 1.0),
            (DType::Float8E5m2, 0x3e, 1.5),
            (DType::Float8E5m2, 0xfc, f64::NEG_INFINITY),
            // The largest, the smallest normal and the smallest subnormal numbers.
            (DType::Float8E4m3fn, 0x7e, 448.0),
            (DType::Float8E4m3fn, 0x88, -0.015625),
            (DType::Float8E4m3fn, 0x01, 0.001953125),
            (DType::Float8E4m3fnuz, 0x7f, 240.0),
            (DType::Float8E4m3fnuz, 0x81, -0.0009765625),
            (DType::Float8E4m3b11fnuz, 0x7f, 30.0),
            (DType::Float8E4m3b11fnuz, 0x08, 0.0009765625),
            (DType::Float8E5m2fnuz, 0x7f, 57344.0),
            (DType::Float8E5m2fnuz, 0x04, 2f64.powi(-15)),
        ] {
            assert_eq!(number(dtype, bits), expected, "{dtype} {bits:#x}");
        }
        for (dtype, bits) in [
            (DType::Float8E4m3fn, 0x7f),
            (DType::Float8E4m3fn, 0xff),
            (DType::Float8E4m3fnuz, 0x80),
            (DType::Float8E4m3b11fnuz, 0x80),
            (DType::Float8E5m2fnuz, 0x80),
            (DType::Float8E5m2, 0x7d),
        ] {
            assert!(number(dtype, bits).is_nan(), "{dtype} {bits:#x}");
        }
    }

    #[test]
    fn zero_is_what_the_dtype_says_is_zero() {
        for &dtype in DType::ALL {
            let (Some(number), Some(width)) = (of_dtype(dtype), dtype.width()) else {
                continue;
            };
            for bits in [0, 1, 0x80 << (8 * (width - 1)), 0x81 << (8 * (width - 1))] {
                let bytes = &u64::to_le_bytes(bits)[..width];
                assert_eq!(
                    number(bits) != 0.0,
                    dtype.is_nonzero(bytes),
                    "{dtype} {bits:#x}"
                );
            }
        }
    }
}

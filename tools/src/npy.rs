//! NumPy's file of one array, version 1.0 (`numpy/lib/format.py`).
//!
//! Only the header is more than a copy. It is written here because the crates for it bring a parser
//! of Python literals along, and big integers.

use std::io::{self, Write};
use tfzip::DType;

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";

/// The data starts at a multiple of this.
const ALIGN: usize = 64;

/// NumPy's name for a dtype, or `None` if NumPy has no such type.
fn native(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::Bool => "|b1",
        DType::Int8 | DType::Qint8 => "|i1",
        DType::Uint8 | DType::Quint8 => "|u1",
        DType::Int16 | DType::Qint16 => "<i2",
        DType::Uint16 | DType::Quint16 => "<u2",
        DType::Int32 | DType::Qint32 => "<i4",
        DType::Uint32 => "<u4",
        DType::Int64 => "<i8",
        DType::Uint64 => "<u8",
        DType::Float16 => "<f2",
        DType::Float32 => "<f4",
        DType::Float64 => "<f8",
        DType::Complex64 => "<c8",
        DType::Complex128 => "<c16",
        _ => return None,
    })
}

/// What the header says of elements of `dtype`. Where NumPy has no such type (bfloat16, float8)
/// that is raw bytes, as `ml_dtypes` and so Keras write them.
pub fn descr(dtype: DType) -> String {
    native(dtype).map_or_else(
        || match dtype.width().unwrap_or(0) {
            1 => "|V1".to_owned(),
            width => format!("<V{width}"),
        },
        str::to_owned,
    )
}

/// Whether NumPy has a type for `dtype`; otherwise its elements are written as raw bytes.
pub fn is_native(dtype: DType) -> bool {
    native(dtype).is_some()
}

/// Writes an array; `elements` are little-endian and in row-major order.
///
/// # Errors
/// If `out` fails, or if the shape has too many dimensions for the header.
pub fn write(out: &mut dyn Write, dtype: DType, shape: &[u64], elements: &[u8]) -> io::Result<()> {
    let dims: String = shape.iter().map(|dim| format!("{dim}, ")).collect();
    // One dimension is a tuple with a comma, `(3,)`; more are not.
    let dims = match shape {
        [_] => dims.trim_end(),
        _ => dims.trim_end_matches(", "),
    };
    let mut header = format!(
        "{{'descr': '{}', 'fortran_order': False, 'shape': ({dims}), }}",
        descr(dtype)
    );
    let unpadded = MAGIC.len() + 2 + header.len() + 1;
    header += &" ".repeat(unpadded.next_multiple_of(ALIGN) - unpadded);
    header.push('\n');
    let header_bytes = u16::try_from(header.len()).map_err(io::Error::other)?;
    out.write_all(MAGIC)?;
    out.write_all(&header_bytes.to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    out.write_all(elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(dtype: DType, shape: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, dtype, shape, b"").unwrap();
        out
    }

    /// What `numpy.save` of NumPy 2 writes for `numpy.zeros((2, 0), 'float32')`.
    #[test]
    fn the_header_is_that_of_numpy() {
        let expected = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, \
            'shape': (2, 0), }                                                          \n";
        assert_eq!(header(DType::Float32, &[2, 0]), expected);
    }

    #[test]
    fn shapes_are_tuples_of_python() {
        for (shape, tuple) in [
            (&[][..], "'shape': (), }"),
            (&[3], "'shape': (3,), }"),
            (&[3, 4, 5], "'shape': (3, 4, 5), }"),
        ] {
            let header = header(DType::Int8, shape);
            assert_eq!(header.len() % ALIGN, 0);
            let text = String::from_utf8_lossy(&header);
            assert!(text.contains(tuple), "{text}");
        }
    }

    #[test]
    fn every_fixed_width_dtype_has_a_descr_of_its_width() {
        for &dtype in DType::ALL {
            let Some(width) = dtype.width() else { continue };
            let descr = descr(dtype);
            assert!(descr.ends_with(&width.to_string()), "{dtype}: {descr}");
            assert_eq!(descr.starts_with('|'), width == 1, "{dtype}: {descr}");
            assert_eq!(descr.contains('V'), !is_native(dtype), "{dtype}: {descr}");
        }
        assert_eq!(descr(DType::Bfloat16), "<V2");
        assert_eq!(descr(DType::Float8E5m2), "|V1");
    }
}

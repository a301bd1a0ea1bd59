//! `tensorflow.TensorProto`: dtype, shape, and whether its elements stand in one piece.

use super::TensorData;
use super::wire::{Bytes, Field, Message, Value};
use crate::error::Result;
use crate::tensor::{DType, element_count};

/// The highest rank that TensorFlow's shapes have.
const MAX_RANK: usize = 254;

/// What a TensorProto says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TensorProto {
    pub(super) dtype: DType,
    pub(super) shape: Vec<u64>,
    pub(super) data: TensorData,
}

/// Reads a TensorProto; `None` when it cannot be listed as a tensor: a reference or unknown
/// dtype, an unknown rank or dimension, a rank over 254, more than 2^63 elements.
pub(super) fn read(message: Message<'_>) -> Result<Option<TensorProto>> {
    let mut dtype_id = 0;
    let mut shape = Shape::default();
    let mut values = Values::default();
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => dtype_id = field.varint()?,
            2 => shape.read(field.message()?)?,
            _ => {}
        }
        values.see(&field);
    }

    let dtype = u32::try_from(dtype_id).ok().and_then(DType::from_id);
    let (Some(dtype), Some(dims)) = (dtype, shape.dims()) else {
        return Ok(None);
    };
    let Ok(elements) = element_count(dims) else {
        return Ok(None);
    };
    let data = if shape.once {
        values.place(dtype, elements, message.end())
    } else {
        None
    };
    Ok(Some(TensorProto {
        dtype,
        shape: shape.dims,
        data: data.unwrap_or(TensorData::Opaque),
    }))
}

/// A TensorShapeProto as it is read, over all its occurrences: protobuf would join them.
pub(super) struct Shape {
    dims: Vec<u64>,
    /// Every dimension is a number, and there are not too many.
    known: bool,
    /// No field that should stand once was found twice.
    once: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            dims: Vec::new(),
            known: true,
            once: true,
        }
    }
}

impl Shape {
    pub(super) fn read(&mut self, message: Message<'_>) -> Result<()> {
        for field in message.fields() {
            let field = field?;
            match field.number {
                2 => self.read_dim(field.message()?)?,
                3 => self.known &= field.varint()? == 0,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_dim(&mut self, message: Message<'_>) -> Result<()> {
        let mut size = 0;
        for field in message.fields() {
            let field = field?;
            if field.number == 1 {
                size = field.varint()?;
            }
        }
        self.once &= message.count(1)? <= 1;
        // An unknown dimension is -1: the top bit of an int64 is set.
        self.known &= i64::try_from(size).is_ok() && self.dims.len() < MAX_RANK;
        if self.known {
            self.dims.push(size);
        }
        Ok(())
    }

    /// The dimensions, if all are known and there are not too many.
    pub(super) fn dims(&self) -> Option<&[u64]> {
        self.known.then_some(&self.dims)
    }
}

/// The fields that may hold elements, by number.
#[derive(Default)]
struct Values<'a> {
    /// The last non-empty raw form: its field number and its bytes.
    raw: Option<(u32, Bytes<'a>)>,
    /// Something that the raw form would have to be combined with was found.
    mixed: bool,
    /// A bit for every field number that was seen.
    seen: u32,
}

impl<'a> Values<'a> {
    /// Fields that are not repeated: a second occurrence replaces or extends the first.
    const SINGULAR: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 18;

    /// Takes note of a field.
    fn see(&mut self, field: &Field<'a>) {
        let bit = 1u32.checked_shl(field.number).unwrap_or(0);
        self.mixed |= self.seen & bit & Self::SINGULAR != 0;
        self.seen |= bit;
        match (field.number, field.value) {
            (1..=3, _) => {}
            // No values are as good as no field. A string counts even when it is empty.
            (4..=7 | 9..=13 | 16..=18, Value::Bytes(values)) if values.bytes.is_empty() => {}
            (4..=6 | 9 | 12 | 18, Value::Bytes(values)) => {
                self.mixed |= self.raw.replace((field.number, values)).is_some();
            }
            // Varints, strings, unpacked values, and whatever a newer TensorFlow may add.
            _ => self.mixed = true,
        }
    }

    /// Where the elements are, if they are in one piece; `end` is a place for an empty range.
    fn place(&self, dtype: DType, elements: u64, end: usize) -> Option<TensorData> {
        let width = dtype.width().filter(|_| !self.mixed)?;
        let Some((number, values)) = self.raw else {
            return Some(TensorData::Raw {
                range: end..end,
                repeats: elements,
            });
        };
        let count = values.bytes.len().checked_div(width)?;
        let repeats = elements.checked_sub(u64::try_from(count).ok()?)?;
        let fits = match number {
            4 => repeats == 0,
            5 => dtype == DType::Float32,
            6 => dtype == DType::Float64,
            9 => dtype == DType::Complex64,
            12 => dtype == DType::Complex128,
            _ => is_float8(dtype),
        };
        (fits && values.bytes.len().is_multiple_of(width)).then(|| TensorData::Raw {
            range: values.range(),
            repeats,
        })
    }
}

/// Whether elements of this dtype stand in `float8_val`.
fn is_float8(dtype: DType) -> bool {
    matches!(
        dtype,
        DType::Float8E5m2
            | DType::Float8E4m3fn
            | DType::Float8E4m3fnuz
            | DType::Float8E4m3b11fnuz
            | DType::Float8E5m2fnuz
    )
}

#[cfg(test)]
mod tests {
    use super::super::wire::build::{bytes, fixed32, varint};
    use super::*;

    /// A TensorProto of a dtype and a shape, with more fields behind them.
    fn proto(dtype: DType, shape: &[u64], fields: &[Vec<u8>]) -> Vec<u8> {
        let dims: Vec<u8> = shape
            .iter()
            .flat_map(|&d| bytes(2, [&varint(1, d)]))
            .collect();
        [varint(1, dtype as u64), bytes(2, [&dims]), fields.concat()].concat()
    }

    fn parse(proto: &[u8]) -> Option<TensorProto> {
        read(Message::root(proto)).unwrap()
    }

    /// The raw bytes and the number of repeats; `None` when the tensor is opaque.
    fn raw(proto: &[u8]) -> Option<(&[u8], u64)> {
        match parse(proto).unwrap().data {
            TensorData::Raw { range, repeats } => Some((&proto[range], repeats)),
            TensorData::Opaque => None,
        }
    }

    #[test]
    fn content_of_every_fixed_width_is_raw() {
        for &dtype in DType::ALL {
            let content = vec![7; 6 * dtype.width().unwrap_or(1)];
            let proto = proto(dtype, &[2, 3], &[bytes(4, [&content])]);
            let tensor = parse(&proto).unwrap();
            assert_eq!((tensor.dtype, tensor.shape), (dtype, vec![2, 3]));
            let expected = dtype.width().map(|_| (content.as_slice(), 0));
            assert_eq!(raw(&proto), expected, "{dtype}");
        }
    }

    #[test]
    fn content_must_have_the_exact_length() {
        for len in [1, 4, 7, 9, 12] {
            let content = vec![1; len];
            assert_eq!(
                raw(&proto(DType::Float32, &[2], &[bytes(4, [&content])])),
                None
            );
        }
        let scalar = proto(DType::Int16, &[], &[bytes(4, [&[1, 2]])]);
        assert_eq!(raw(&scalar), Some((&[1, 2][..], 0)));
        let empty = proto(DType::Int16, &[5, 0], &[bytes(4, [&[1, 2]])]);
        assert_eq!(raw(&empty), None);
    }

    #[test]
    fn packed_values_may_leave_out_repeats_of_the_last() {
        for (number, dtype) in [
            (5, DType::Float32),
            (6, DType::Float64),
            (9, DType::Complex64),
            (12, DType::Complex128),
            (18, DType::Float8E5m2),
            (18, DType::Float8E4m3fn),
            (18, DType::Float8E4m3fnuz),
            (18, DType::Float8E4m3b11fnuz),
            (18, DType::Float8E5m2fnuz),
        ] {
            let width = dtype.width().unwrap();
            let values = vec![3; 2 * width];
            for (n, repeats) in [(2, 0), (3, 1), (100, 98)] {
                let proto = proto(dtype, &[n], &[bytes(number, [&values])]);
                assert_eq!(raw(&proto), Some((values.as_slice(), repeats)));
            }
            let too_many = proto(dtype, &[1], &[bytes(number, [&values])]);
            assert_eq!(raw(&too_many), None);
            if width > 1 {
                let half = proto(dtype, &[2], &[bytes(number, [&values[1..]])]);
                assert_eq!(raw(&half), None);
            }
        }
    }

    #[test]
    fn values_of_another_dtype_are_opaque() {
        for (number, dtype) in [
            (5, DType::Float64),
            (5, DType::Float16),
            (6, DType::Float32),
            (9, DType::Float32),
            (12, DType::Complex64),
            (18, DType::Uint8),
            (7, DType::Int32),
            (10, DType::Int64),
            (11, DType::Bool),
            (13, DType::Float16),
            (16, DType::Uint32),
            (17, DType::Uint64),
        ] {
            let values = vec![1; 16];
            let proto = proto(dtype, &[16], &[bytes(number, [&values])]);
            assert_eq!(raw(&proto), None, "field {number} of {dtype}");
        }
    }

    #[test]
    fn no_values_are_zeros() {
        let bare = proto(DType::Float32, &[2, 3], &[]);
        let end = bare.len();
        assert_eq!(
            parse(&bare).unwrap().data,
            TensorData::Raw {
                range: end..end,
                repeats: 6
            }
        );
        for empty in [4, 5, 6, 7, 9, 10, 11, 12, 13, 16, 17, 18] {
            let proto = proto(DType::Float32, &[6], &[bytes(empty, [b""])]);
            assert_eq!(raw(&proto), Some((&b""[..], 6)), "field {empty}");
        }
        let none = proto(DType::Float32, &[2, 0], &[]);
        assert_eq!(raw(&none), Some((&b""[..], 0)));
        for dtype in [DType::String, DType::Int4, DType::Variant] {
            assert_eq!(raw(&proto(dtype, &[1], &[])), None);
        }
        for occurrence in [8, 14, 15] {
            let proto = proto(DType::Float32, &[1], &[bytes(occurrence, [b""])]);
            assert_eq!(raw(&proto), None);
        }
        // Beside a form with values, an empty one says nothing.
        let fields = [bytes(5, [b""]), bytes(4, [&[1; 4]]), bytes(7, [b""])];
        let content = proto(DType::Float32, &[1], &fields);
        assert_eq!(raw(&content), Some((&[1; 4][..], 0)));
        let packed = proto(
            DType::Float32,
            &[1],
            &[bytes(5, [b""]), bytes(5, [&[1; 4]])],
        );
        assert_eq!(raw(&packed), Some((&[1; 4][..], 0)));
    }

    #[test]
    fn what_would_have_to_be_combined_is_opaque() {
        let content = bytes(4, [&[1; 8]]);
        let half = bytes(5, [&[1; 4]]);
        let shape = bytes(2, [&bytes(2, [&varint(1, 2)])]);
        for (name, fields) in [
            ("content twice", vec![content.clone(), content.clone()]),
            (
                "content, then empty",
                vec![content.clone(), bytes(4, [b""])],
            ),
            (
                "empty, then content",
                vec![bytes(4, [b""]), content.clone()],
            ),
            ("content and values", vec![content.clone(), half.clone()]),
            (
                "content and varints",
                vec![content.clone(), bytes(7, [&[1]])],
            ),
            (
                "content and a string",
                vec![content.clone(), bytes(8, [b""])],
            ),
            ("content as a varint", vec![varint(4, 1)]),
            (
                "content and a new field",
                vec![content.clone(), varint(19, 1)],
            ),
            (
                "content and a far field",
                vec![content.clone(), varint(99, 1)],
            ),
            ("split values", vec![half.clone(), half.clone()]),
            ("unpacked", vec![fixed32(5, [1; 4])]),
            (
                "packed and unpacked",
                vec![half.clone(), fixed32(5, [1; 4])],
            ),
            ("unpacked varint", vec![varint(7, 1)]),
            ("dtype twice", vec![content.clone(), varint(1, 1)]),
            (
                "version twice",
                vec![content.clone(), varint(3, 0), varint(3, 0)],
            ),
            ("shape in two parts", vec![content.clone(), bytes(2, [b""])]),
        ] {
            let proto = proto(DType::Float32, &[2], &fields);
            assert_eq!(raw(&proto), None, "{name}");
        }
        let split = proto(DType::Float32, &[2], &[bytes(4, [&[1; 16]]), shape]);
        assert_eq!(parse(&split).unwrap().shape, [2, 2]);
        assert_eq!(raw(&split), None);

        let size_twice = bytes(2, [&varint(1, 9), &varint(1, 2)]);
        let proto = [varint(1, 1), bytes(2, [&size_twice]), content].concat();
        assert_eq!(parse(&proto).unwrap().shape, [2]);
        assert_eq!(raw(&proto), None);
    }

    #[test]
    fn float8_content_twice_is_opaque() {
        let fields = [bytes(18, [&[1]]), bytes(18, [b""])];
        assert_eq!(raw(&proto(DType::Float8E5m2, &[1], &fields)), None);
    }

    #[test]
    fn what_is_no_complete_tensor_is_not_listed() {
        let minus_one = u64::MAX;
        assert_eq!(parse(b""), None);
        assert_eq!(parse(&proto(DType::Float32, &[2, minus_one], &[])), None);
        assert_eq!(parse(&proto(DType::Float32, &[1 << 62, 2], &[])), None);
        assert_eq!(parse(&proto(DType::Float32, &[1; 255], &[])), None);
        assert!(parse(&proto(DType::Float32, &[1; 254], &[])).is_some());
        assert!(parse(&proto(DType::Float32, &[1 << 62, 0, 4], &[])).is_some());
        let unknown_rank = bytes(2, [&varint(3, 1)]);
        assert_eq!(parse(&[varint(1, 1), unknown_rank].concat()), None);
        for dtype in [0, 34, 101, 1 << 32 | 1, minus_one] {
            assert_eq!(parse(&varint(1, dtype)), None);
        }
        // No shape is the shape of a scalar.
        assert!(parse(&varint(1, 1)).unwrap().shape.is_empty());
    }

    #[test]
    fn broken_dtypes_and_shapes_are_errors() {
        for proto in [
            bytes(1, [b""]),
            varint(2, 1),
            bytes(2, [&varint(2, 1)]),
            bytes(2, [&bytes(2, [&bytes(1, [b""])])]),
            bytes(2, [&bytes(3, [b""])]),
            vec![0x22, 5, 0],
        ] {
            assert!(read(Message::root(&proto)).is_err(), "{proto:?}");
        }
    }
}

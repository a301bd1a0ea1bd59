//! The protobuf wire format: the fields of a message, and where they are in the file.
//!
//! A walk copies nothing and believes nothing: lengths end inside their message, varints inside
//! 64 bits, nesting inside [`MAX_DEPTH`]. Offsets are absolute, so that a tensor's bytes can be
//! found again. Every error is of kind `Model` and names the offset.

use crate::error::{Error, Result};
use std::borrow::Cow;
use std::ops::Range;

/// How many messages may be nested below the outermost one: protobuf's own limit, hence what
/// TensorFlow can load.
const MAX_DEPTH: u32 = 100;

/// The highest field number that protobuf knows.
const MAX_FIELD_NUMBER: u64 = (1 << 29) - 1;

/// A message: a range of the file that is read as fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    bytes: &'a [u8],
    /// Offset of the first byte in the file.
    start: usize,
    depth: u32,
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    /// Field number, 1 to 2^29 - 1.
    pub(super) number: u32,
    /// Offset of its tag in the file.
    pub(super) at: usize,
    /// The value; its variant is the wire type.
    pub(super) value: Value<'a>,
    depth: u32,
}

/// A field's value by wire type. Groups (3 and 4) are an error: TensorFlow has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1, always 8 bytes.
    Fixed64,
    /// Wire type 2.
    Bytes(Bytes<'a>),
    /// Wire type 5, always 4 bytes.
    Fixed32,
}

/// A length-delimited value and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes<'a> {
    pub(super) bytes: &'a [u8],
    /// Offset of the first byte in the file.
    start: usize,
}

impl Bytes<'_> {
    /// Where the bytes are in the file.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start.saturating_add(self.bytes.len())
    }
}

impl<'a> Message<'a> {
    /// The message that fills a whole file.
    pub(super) fn root(file: &'a [u8]) -> Self {
        Self::at(0, file)
    }

    /// The outermost message that stands at offset `start` of the file.
    pub(super) fn at(start: usize, bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            start,
            depth: 0,
        }
    }

    /// Its fields in file order. After an error there are no more.
    pub(super) fn fields(&self) -> Fields<'a> {
        Fields {
            rest: self.bytes,
            at: self.start,
            depth: self.depth,
        }
    }

    /// How often field `number` occurs.
    pub(super) fn count(&self, number: u32) -> Result<usize> {
        self.fields().try_fold(0usize, |n, field| {
            Ok(n.saturating_add((field?.number == number).into()))
        })
    }

    /// The messages in its fields `number`, in file order.
    pub(super) fn messages(self, number: u32) -> impl Iterator<Item = Result<Message<'a>>> {
        self.fields().filter_map(move |field| match field {
            Ok(field) if field.number != number => None,
            field => Some(field.and_then(|field| field.message())),
        })
    }

    /// Its bytes.
    pub(super) fn content(&self) -> &'a [u8] {
        self.bytes
    }

    /// Offset of its first byte in the file.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Offset of the first byte after it in the file.
    pub(super) fn end(&self) -> usize {
        self.start.saturating_add(self.bytes.len())
    }
}

impl<'a> Field<'a> {
    /// The value of a field that must be a varint.
    pub(super) fn varint(&self) -> Result<u64> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.expected("a varint")),
        }
    }

    /// The value of a field that must be length-delimited.
    pub(super) fn bytes(&self) -> Result<Bytes<'a>> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.expected("a length-delimited value")),
        }
    }

    /// The value of a field that must be a message.
    pub(super) fn message(&self) -> Result<Message<'a>> {
        let Bytes { bytes, start } = self.bytes()?;
        let depth = self.depth.saturating_add(1);
        if depth > MAX_DEPTH {
            return Err(error(
                self.at,
                format!("expected at most {MAX_DEPTH} nested messages, found more"),
            ));
        }
        Ok(Message {
            bytes,
            start,
            depth,
        })
    }

    /// The value of a field that must be a name: UTF-8 without control characters.
    pub(super) fn name(&self) -> Result<&'a str> {
        let found = match std::str::from_utf8(self.bytes()?.bytes) {
            Ok(text) if !text.contains(char::is_control) => return Ok(text),
            Ok(_) => "a control character",
            Err(_) => "bytes that are not UTF-8",
        };
        Err(self.error(format!(
            "expected a name in field {}, found {found}",
            self.number
        )))
    }

    /// An error about this field.
    fn error(&self, detail: String) -> Error {
        error(self.at, detail)
    }

    fn expected(&self, what: &str) -> Error {
        let found = match self.value {
            Value::Varint(_) => "a varint",
            Value::Fixed64 => "a 64-bit value",
            Value::Bytes(_) => "a length-delimited value",
            Value::Fixed32 => "a 32-bit value",
        };
        self.error(format!(
            "expected {what} in field {}, found {found}",
            self.number
        ))
    }
}

/// Iterator over the fields of a message.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// Offset of `rest` in the file.
    at: usize,
    depth: u32,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<Field<'a>> {
        let at = self.at;
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3)
            .ok()
            .filter(|&n| (1..=MAX_FIELD_NUMBER).contains(&u64::from(n)))
            .ok_or_else(|| {
                error(
                    at,
                    format!(
                        "expected a field number of 1 to {MAX_FIELD_NUMBER}, found {}",
                        tag >> 3
                    ),
                )
            })?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                self.take(8, number)?;
                Value::Fixed64
            }
            2 => {
                let len = self.varint()?;
                Value::Bytes(self.take(len, number)?)
            }
            5 => {
                self.take(4, number)?;
                Value::Fixed32
            }
            other => {
                return Err(error(
                    at,
                    format!("expected wire type 0, 1, 2 or 5, found {other}"),
                ));
            }
        };
        Ok(Field {
            number,
            at,
            value,
            depth: self.depth,
        })
    }

    /// The next `len` bytes, which belong to field `number`.
    fn take(&mut self, len: u64, number: u32) -> Result<Bytes<'a>> {
        let start = self.at;
        let (bytes, rest) = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.split_at_checked(len))
            .ok_or_else(|| {
                error(
                    start,
                    format!(
                        "expected {len} bytes of field {number}, found the end of its message \
                         after {}",
                        self.rest.len()
                    ),
                )
            })?;
        self.advance(rest);
        Ok(Bytes { bytes, start })
    }

    /// Goes on to what is left.
    fn advance(&mut self, rest: &'a [u8]) {
        let n_taken = self.rest.len().saturating_sub(rest.len());
        self.at = self.at.saturating_add(n_taken);
        self.rest = rest;
    }

    fn varint(&mut self) -> Result<u64> {
        let start = self.at;
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let Some((&byte, rest)) = self.rest.split_first() else {
                return Err(error(
                    start,
                    "expected a varint, found the end of the message",
                ));
            };
            self.advance(rest);
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(error(
            start,
            "expected a varint of at most 64 bits, found a longer one",
        ))
    }
}

/// An error at an absolute offset of the file.
pub(super) fn error(at: usize, detail: impl Into<Cow<'static, str>>) -> Error {
    Error::model(detail).within(format_args!("offset {at}"))
}

/// Writers for tests: fields of any number and content, legal or not.
#[cfg(test)]
pub(super) mod build {
    pub(crate) fn raw_varint(mut value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while value >= 0x80 {
            out.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        out.push(value.to_le_bytes()[0]);
        out
    }

    pub(crate) fn varint(number: u64, value: u64) -> Vec<u8> {
        [raw_varint(number << 3), raw_varint(value)].concat()
    }

    /// A length-delimited field of the given parts.
    pub(crate) fn bytes<const N: usize>(number: u64, parts: [&[u8]; N]) -> Vec<u8> {
        let body = parts.concat();
        let len = u64::try_from(body.len()).unwrap();
        [raw_varint(number << 3 | 2), raw_varint(len), body].concat()
    }

    pub(crate) fn fixed32(number: u64, value: [u8; 4]) -> Vec<u8> {
        [raw_varint(number << 3 | 5), value.to_vec()].concat()
    }

    pub(crate) fn fixed64(number: u64, value: [u8; 8]) -> Vec<u8> {
        [raw_varint(number << 3 | 1), value.to_vec()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    fn complaint(file: &[u8]) -> String {
        let errors: Vec<_> = Message::root(file)
            .fields()
            .filter_map(Result::err)
            .collect();
        let [e] = errors.as_slice() else {
            panic!("expected one error, found {errors:?}");
        };
        assert_eq!(e.kind(), ErrorKind::Model);
        e.to_string()
    }

    #[test]
    fn fields_have_absolute_offsets() {
        let inner = [build::varint(1, 300), build::bytes(2, [b"abc"])].concat();
        let file = [
            build::fixed32(7, [1; 4]),
            build::fixed64(8, [2; 8]),
            build::bytes(9, [&inner]),
        ]
        .concat();
        let fields: Vec<_> = Message::root(&file).fields().map(Result::unwrap).collect();
        let places: Vec<_> = fields.iter().map(|f| (f.number, f.at)).collect();
        assert_eq!(places, [(7, 0), (8, 5), (9, 14)]);
        assert_eq!(fields[0].value, Value::Fixed32);
        assert_eq!(fields[1].value, Value::Fixed64);

        let message = fields[2].message().unwrap();
        assert_eq!(message.start()..message.end(), 16..24);
        let inner: Vec<_> = message.fields().map(Result::unwrap).collect();
        assert_eq!((inner[0].at, inner[0].varint().unwrap()), (16, 300));
        assert_eq!(inner[1].bytes().unwrap().range(), 21..24);
        assert_eq!(inner[1].name().unwrap(), "abc");
        assert_eq!(message.count(2).unwrap(), 1);
    }

    #[test]
    fn varints_end_within_64_bits() {
        let max = build::varint(1, u64::MAX);
        assert_eq!(max.len(), 11);
        let field = Message::root(&max).fields().next().unwrap().unwrap();
        assert_eq!(field.varint().unwrap(), u64::MAX);

        let too_big = [&[8][..], &[0xff; 9], &[2]].concat();
        assert_eq!(
            complaint(&too_big),
            "offset 1: expected a varint of at most 64 bits, found a longer one"
        );
        let too_long = [&[8][..], &[0x80; 10], &[0]].concat();
        assert!(complaint(&too_long).contains("a longer one"));
        assert_eq!(
            complaint(&[8, 0x80]),
            "offset 1: expected a varint, found the end of the message"
        );
        // Padding is legal, as in protobuf.
        let padded = [8, 0x81, 0x80, 0];
        let field = Message::root(&padded).fields().next().unwrap().unwrap();
        assert_eq!(field.varint().unwrap(), 1);
    }

    #[test]
    fn tags_are_checked() {
        assert_eq!(
            complaint(&[0, 1]),
            "offset 0: expected a field number of 1 to 536870911, found 0"
        );
        assert!(complaint(&build::varint(1 << 29, 0)).contains("found 536870912"));
        assert!(complaint(&build::varint(1 << 60, 0)).contains("found 1152921504606846976"));
        let highest = build::varint((1 << 29) - 1, 0);
        assert!(Message::root(&highest).fields().all(|f| f.is_ok()));
        for wire_type in [3, 4, 6, 7] {
            assert_eq!(
                complaint(&[8 | wire_type, 0, 0, 0, 0]),
                format!("offset 0: expected wire type 0, 1, 2 or 5, found {wire_type}")
            );
        }
    }

    #[test]
    fn lengths_end_inside_their_message() {
        assert_eq!(
            complaint(&[0x1a, 4, 1, 2, 3]),
            "offset 2: expected 4 bytes of field 3, found the end of its message after 3"
        );
        let huge = [&[0x1a][..], &build::raw_varint(u64::MAX)].concat();
        assert!(complaint(&huge).contains("expected 18446744073709551615 bytes"));
        assert!(complaint(&[0x0d, 1, 2, 3]).contains("expected 4 bytes"));
        assert!(complaint(&[0x09, 1, 2, 3, 4, 5, 6, 7]).contains("expected 8 bytes"));

        // The inner length fits the file, but not its message.
        let file = [&[0x0a, 3, 0x0a, 5, 0][..], &[0; 9]].concat();
        let field = Message::root(&file).fields().next().unwrap().unwrap();
        let inner: Vec<_> = field.message().unwrap().fields().collect();
        assert_eq!(inner.len(), 1);
        assert_eq!(
            inner[0].as_ref().unwrap_err().to_string(),
            "offset 4: expected 5 bytes of field 1, found the end of its message after 1"
        );
    }

    #[test]
    fn wire_types_and_names_are_what_they_should_be() {
        let file = build::varint(6, 1);
        let field = Message::root(&file).fields().next().unwrap().unwrap();
        assert_eq!(
            field.message().unwrap_err().to_string(),
            "offset 0: expected a length-delimited value in field 6, found a varint"
        );
        for (bytes, found) in [
            (&b"a\nb"[..], "a control character"),
            (b"\x7f", "a control character"),
            (b"\xff", "bytes that are not UTF-8"),
        ] {
            let file = build::bytes(1, [bytes]);
            let field = Message::root(&file).fields().next().unwrap().unwrap();
            assert_eq!(
                field.name().unwrap_err().to_string(),
                format!("offset 0: expected a name in field 1, found {found}")
            );
            assert!(field.varint().is_err());
        }
    }

    #[test]
    fn a_hundred_messages_may_be_nested() {
        let mut file = Vec::new();
        for _ in 0..101 {
            file = build::bytes(1, [&file]);
        }
        let mut message = Message::root(&file);
        for _ in 0..100 {
            message = message.fields().next().unwrap().unwrap().message().unwrap();
        }
        let deepest = message.fields().next().unwrap().unwrap();
        let e = deepest.message().unwrap_err();
        assert_eq!(
            e.detail(),
            "expected at most 100 nested messages, found more"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_without_panic_and_in_order(
            file in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut last = None;
            for field in Message::root(&file).fields() {
                let Ok(field) = field else { break };
                prop_assert!(last < Some(field.at));
                last = Some(field.at);
                if let Value::Bytes(bytes) = field.value {
                    prop_assert_eq!(&file[bytes.range()], bytes.bytes);
                }
            }
        }
    }
}

//! What both kinds of TensorFlow's checkpoints put into their tables: keys of slices, versions.

use super::take_varint;
use crate::error::{Error, Result};
use crate::model::wire::{self, Message, Value};
use std::ops::Range;

/// The version of both kinds that TensorFlow reads, and has written ever since there were versions.
const VERSION: i32 = 1;

/// The longest name of a tensor, in bytes.
const MAX_NAME_BYTES: usize = 65_535;

/// The key of a slice of a tensor: of a part of it, or of all.
///
/// It is in "ordered code", in which keys compare as what they stand for does:
///
/// ```text
/// key     0 | name: string | rank: number | (start: signed | length: signed) …
/// string  its bytes, 00 as 00 ff and ff as ff 00 | 00 01
/// number  how many bytes it has: u8 | the bytes, big-endian
/// signed  n - 1 ones and a zero, then 7 n - 1 bits, big-endian; all inverted if it is negative,
///         when the 7 n - 1 bits stand for -1 - value
/// ```
///
/// The length -1 stands for all of a dimension.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::model) struct SliceKey {
    /// Name of the tensor.
    pub(in crate::model) name: Vec<u8>,
    extents: Vec<Extent>,
}

/// What part of a dimension is in a slice.
#[derive(Debug, PartialEq, Eq)]
enum Extent {
    All,
    Part { start: u64, len: u64 },
}

impl SliceKey {
    /// Decodes a key; `None` if it is not that of a slice.
    pub(in crate::model) fn decode(mut key: &[u8]) -> Option<Self> {
        let rest = &mut key;
        if take_number(rest)? != 0 {
            return None;
        }
        let name = take_string(rest)?;
        let rank = take_number(rest)?;
        let mut extents = Vec::new();
        // Every turn takes bytes of the key, or is the last one.
        for _ in 0..rank {
            extents.push(match (take_signed(rest)?, take_signed(rest)?) {
                (0, -1) => Extent::All,
                (start, len) => Extent::Part {
                    start: u64::try_from(start).ok()?,
                    len: u64::try_from(len).ok()?,
                },
            });
        }
        rest.is_empty().then_some(Self { name, extents })
    }

    /// Which ranges of the dimensions are in the slice, of a tensor with this shape.
    pub(in crate::model) fn ranges_in(&self, shape: &[u64]) -> Option<Vec<Range<u64>>> {
        self.ranges(shape, |start, len, dim| {
            start.checked_add(len).is_some_and(|end| end <= dim)
        })
    }

    /// Which ranges of the dimensions are in the slice, which has this shape itself.
    pub(in crate::model) fn ranges_of(&self, shape: &[u64]) -> Option<Vec<Range<u64>>> {
        self.ranges(shape, |_, len, dim| len == dim)
    }

    fn ranges(
        &self,
        shape: &[u64],
        fits: impl Fn(u64, u64, u64) -> bool,
    ) -> Option<Vec<Range<u64>>> {
        if shape.len() != self.extents.len() {
            return None;
        }
        let ranges = self
            .extents
            .iter()
            .zip(shape)
            .map(|(extent, &dim)| match *extent {
                Extent::All => Some(0..dim),
                Extent::Part { start, len } if fits(start, len, dim) => {
                    Some(start..start.checked_add(len)?)
                }
                Extent::Part { .. } => None,
            });
        ranges.collect()
    }

    /// The name of the slice with these ranges, for instance `w[0:10,5:20]`.
    pub(in crate::model) fn name_with(&self, ranges: &[Range<u64>]) -> String {
        let ranges: Vec<String> = ranges
            .iter()
            .map(|r| format!("{}:{}", r.start, r.end))
            .collect();
        format!("{}[{}]", printable(&self.name), ranges.join(","))
    }
}

/// A key as text: itself, or with escapes where it holds what is not text.
pub(in crate::model) fn printable(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => key.escape_ascii().to_string(),
    }
}

/// Refuses a name that is too long.
pub(in crate::model) fn limit_name(name: String) -> Result<String> {
    if name.len() > MAX_NAME_BYTES {
        return Err(Error::model(format!(
            "expected a tensor name of at most {MAX_NAME_BYTES} bytes, found {}",
            name.len()
        )));
    }
    Ok(name)
}

/// Refuses a VersionDef that TensorFlow refuses.
pub(in crate::model) fn check_version(version: Message<'_>) -> Result<()> {
    for field in version.fields() {
        let field = field?;
        let (is_readable, what) = match (field.number, field.value) {
            (1, _) => (int32(field.varint()?) >= 0, "a producer of at least 0"),
            (2, _) => (
                int32(field.varint()?) <= VERSION,
                "a checkpoint for readers of version 1",
            ),
            (3, Value::Bytes(mut list)) => {
                let mut is_bad = false;
                while let Some(bad) = take_varint(&mut list.bytes) {
                    is_bad |= int32(bad) == VERSION;
                }
                (!is_bad, "a checkpoint for readers of version 1")
            }
            (3, _) => (
                int32(field.varint()?) != VERSION,
                "a checkpoint for readers of version 1",
            ),
            _ => continue,
        };
        if !is_readable {
            return Err(wire::error(
                field.at,
                format!("expected {what}, found another version"),
            ));
        }
    }
    Ok(())
}

/// A varint as protobuf reads it into an int32.
fn int32(value: u64) -> i32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let len = usize::from(*rest.split_off_first()?);
    let bytes = rest.split_off(..len)?;
    (len <= 8).then(|| {
        bytes
            .iter()
            .fold(0, |value, &byte| value << 8 | u64::from(byte))
    })
}

fn take_string(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut string = Vec::new();
    loop {
        let byte = *rest.split_off_first()?;
        string.push(match byte {
            0 => match *rest.split_off_first()? {
                0xff => 0,
                1 => return Some(string),
                _ => return None,
            },
            0xff if *rest.split_off_first()? != 0 => return None,
            other => other,
        });
    }
}

/// The next signed number, if it has at most 8 bytes: longer ones are beyond all shapes.
fn take_signed(rest: &mut &[u8]) -> Option<i64> {
    let first = *rest.first()?;
    let inversion = if first & 0x80 == 0 { 0xff } else { 0 };
    let len = (first ^ inversion).leading_ones();
    let bytes = rest.split_off(..usize::try_from(len).ok()?)?;
    let bits = bytes
        .iter()
        .fold(0, |bits, &byte| bits << 8 | u64::from(byte ^ inversion));
    // Of each byte one bit says how many there are, and one more ends those.
    let n_value_bits = len.checked_mul(7)?.checked_sub(1)?;
    let value = i64::try_from(bits & !(u64::MAX << n_value_bits)).ok()?;
    // With 8 bytes, the zero behind the ones is in the second.
    let zero = bits >> n_value_bits & 1;
    (zero == 0).then_some(if inversion == 0 { value } else { !value })
}

#[cfg(test)]
mod tests {
    use super::super::build::{signed, slice_key};
    use super::*;
    use crate::model::wire::build::{bytes, varint};

    /// What TensorFlow 2.21 wrote for rows 30 to 60 of `p/d`, of shape [90, 20].
    const KEY: &[u8] = b"\0p/d\0\x01\x01\x02\x9e\x9e\x80\x94";

    #[test]
    fn a_slice_is_named_by_its_ranges() {
        let key = SliceKey::decode(KEY).unwrap();
        assert_eq!(key.name, b"p/d");
        let ranges = key.ranges_in(&[90, 20]).unwrap();
        assert_eq!(ranges, [30..60, 0..20]);
        assert_eq!(key.name_with(&ranges), "p/d[30:60,0:20]");
        assert_eq!(key.ranges_of(&[30, 20]).unwrap(), ranges);
        assert_eq!(slice_key("p/d", &[(30, 30), (0, 20)]), KEY);
    }

    #[test]
    fn a_slice_fits_its_tensor() {
        let key = SliceKey::decode(KEY).unwrap();
        assert_eq!(key.ranges_in(&[60, 20]), Some(vec![30..60, 0..20]));
        for shape in [&[59, 20][..], &[60, 19], &[60], &[60, 20, 1], &[]] {
            assert_eq!(key.ranges_in(shape), None);
        }
        for shape in [&[30, 21][..], &[31, 20], &[30], &[]] {
            assert_eq!(key.ranges_of(shape), None);
        }
        let all = SliceKey::decode(&slice_key("w", &[(0, -1), (2, 3)])).unwrap();
        assert_eq!(all.ranges_in(&[7, 8]), Some(vec![0..7, 2..5]));
        assert_eq!(all.ranges_of(&[7, 3]), Some(vec![0..7, 2..5]));
        let scalar = SliceKey::decode(b"\0a\0\x01\0").unwrap();
        assert_eq!(scalar.ranges_in(&[]), Some(vec![]));
    }

    #[test]
    fn numbers_stand_in_ordered_code() {
        for (value, code) in [
            (0, &[0x80][..]),
            (1, &[0x81]),
            (63, &[0xbf]),
            (64, &[0xc0, 0x40]),
            (300, &[0xc1, 0x2c]),
            (-1, &[0x7f]),
            (-64, &[0x40]),
            (-65, &[0x3f, 0xbf]),
        ] {
            assert_eq!(signed(value), code);
            assert_eq!(take_signed(&mut &code[..]), Some(value));
        }
        let largest = (1 << 55) - 1;
        assert_eq!(take_signed(&mut &signed(largest)[..]), Some(largest));
        assert_eq!(take_signed(&mut &[0xff; 12][..]), None);
        assert_eq!(take_signed(&mut &[0; 12][..]), None);
    }

    #[test]
    fn other_keys_are_not_decoded() {
        for key in [
            &b""[..],
            b"w",
            b"\x01\x01w\0\x01\0",
            b"\0w",
            b"\0w\0\x02\0",
            b"\0w\xff\x01\0\x01\0",
            b"\0w\0\x01\x09\0\0\0\0\0\0\0\0\0",
            b"\0w\0\x01\x01\x01\x80\x7e",
            b"\0w\0\x01\x01\x01\x7f\x81",
            b"\0w\0\x01\0\0",
        ] {
            assert_eq!(SliceKey::decode(key), None, "{key:?}");
        }
        let escaped = SliceKey::decode(b"\0\0\xff\xff\0\0\x01\0").unwrap();
        assert_eq!(escaped.name, [0, 0xff]);
        assert_eq!(escaped.name_with(&[]), r"\x00\xff[]");
    }

    #[test]
    fn keys_are_text_or_escaped() {
        assert_eq!(printable("v/é".as_bytes()), "v/é");
        assert_eq!(printable(b"v\nw"), r"v\nw");
        assert_eq!(printable(b"v\xff"), r"v\xff");
        assert!(limit_name("x".repeat(65_535)).is_ok());
        assert_eq!(
            limit_name("x".repeat(65_536)).unwrap_err().to_string(),
            "expected a tensor name of at most 65535 bytes, found 65536"
        );
    }

    #[test]
    fn versions_are_those_that_tensorflow_reads() {
        let minus_one = u64::MAX;
        for version in [
            vec![],
            varint(1, 1),
            varint(1, 1_000),
            varint(2, 1),
            varint(2, minus_one),
            bytes(3, [&[0, 2, 3]]),
            varint(3, 2),
            varint(4, 9),
        ] {
            assert!(
                check_version(Message::root(&version)).is_ok(),
                "{version:?}"
            );
        }
        for version in [
            varint(2, 2),
            bytes(3, [&[2, 1]]),
            varint(3, 1),
            varint(1, minus_one),
        ] {
            let e = check_version(Message::root(&version)).unwrap_err();
            assert!(e.detail().ends_with("found another version"));
        }
        assert!(check_version(Message::root(&bytes(1, [b""]))).is_err());
    }
}

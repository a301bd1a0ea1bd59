//! Bounds-checked reading of little-endian numbers from untrusted bytes (spec §1.2).
//!
//! A part that is too short for what stands in it is corrupt: only a whole file is truncated.

use crate::error::{Error, Result};
use std::ops::Range;

/// A position in a byte slice; offsets in its errors are relative to the slice.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Everything that has not been read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next `n` bytes.
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let rest = self.rest();
        let (head, _) = rest.split_at_checked(n).ok_or_else(|| {
            Error::corrupt(format!(
                "expected {n} bytes at offset {}, found {}",
                self.at,
                rest.len()
            ))
        })?;
        // No further than the end of the slice.
        self.at = self.at.saturating_add(n);
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A LEB128 number of the shortest form.
    pub(crate) fn varint(&mut self) -> Result<u64> {
        let start = self.at;
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let group = u64::from(byte & 0x7f);
            if shift == 63 && group > 1 {
                break;
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    break;
                }
                return Ok(value);
            }
        }
        Err(Error::corrupt(format!(
            "varint at offset {start} is longer than its value needs, or over 64 bits"
        )))
    }

    /// A varint that counts something in a part of a file. One that this machine can't address counts more than
    /// there is, like any other that is too large.
    pub(crate) fn count(&mut self) -> Result<usize> {
        Ok(usize::try_from(self.varint()?).unwrap_or(usize::MAX))
    }

    /// Fails unless everything has been read.
    pub(crate) fn finish(self) -> Result<()> {
        match self.rest().len() {
            0 => Ok(()),
            more => Err(Error::corrupt(format!(
                "expected the end at offset {}, found {more} more bytes",
                self.at
            ))),
        }
    }
}

/// Appends `value` as a varint of the shortest form.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A length or count from a file as an index into memory.
pub(crate) fn to_usize(value: u64) -> Result<usize> {
    usize::try_from(value).map_err(|_| {
        Error::limit(format!(
            "{value} does not fit in this machine's address space"
        ))
    })
}

/// Numbers in a range: none, if it is to end before it starts.
pub(crate) fn range_len(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// Splits off the CRC-32 at the end of `bytes` and compares it with that of the bytes before it.
pub(crate) fn check_crc<'a>(bytes: &'a [u8], what: &str) -> Result<&'a [u8]> {
    let (body, stored) = bytes.split_last_chunk::<4>().ok_or_else(|| {
        Error::corrupt(format!(
            "expected a {what} and its CRC-32, found {} bytes",
            bytes.len()
        ))
    })?;
    compare_crc(body, u32::from_le_bytes(*stored), what)?;
    Ok(body)
}

/// Compares the CRC-32 of `body` with the stored one.
pub(crate) fn compare_crc(body: &[u8], stored: u32, what: &str) -> Result<()> {
    let computed = crc32fast::hash(body);
    // Under a fuzzer checksums give way, or it would never get past them.
    if computed == stored || cfg!(fuzzing) {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "CRC-32 of the {what} is {computed:08x}, expected {stored:08x}"
    )))
}

/// Appends the CRC-32 of everything from `start` on.
///
/// # Panics
/// If `start` is after the end.
#[expect(
    clippy::indexing_slicing,
    reason = "where a writer started to append is its own business, and no file says it"
)]
pub(crate) fn put_crc(out: &mut Vec<u8>, start: usize) {
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_come_back(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.varint().unwrap(), value);
            cursor.finish().unwrap();
        }
    }

    #[test]
    fn overlong_varints_are_corrupt() {
        for bytes in [
            &[0x80, 0x00][..],
            &[0xff; 10],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        ] {
            assert_eq!(
                Cursor::new(bytes).varint().unwrap_err().kind(),
                ErrorKind::Corrupt
            );
        }
        assert_eq!(
            Cursor::new(&[0x80]).varint().unwrap_err().kind(),
            ErrorKind::Corrupt
        );
        let max = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Cursor::new(&max).varint().unwrap(), u64::MAX);
    }

    #[test]
    fn crc_is_the_zip_one() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }
}

//! Bounds-checked reading of little-endian numbers from a part of a model file.

use crate::error::{Error, Result};
use std::borrow::Cow;
use std::fmt;

/// Bytes that are read front to back, and where they are in the file.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) struct Part<'a> {
    rest: &'a [u8],
    /// Offset of `rest` in the file.
    at: usize,
    /// What the bytes are, for errors.
    what: &'static str,
}

impl<'a> Part<'a> {
    /// The bytes from offset `at` of a file up to its end.
    pub(in crate::model) fn of(file: &'a [u8], at: usize, what: &'static str) -> Self {
        let rest = file.get(at..).unwrap_or_default();
        Self { rest, at, what }
    }

    /// Offset of the next byte in the file.
    pub(in crate::model) fn at(&self) -> usize {
        self.at
    }

    /// The bytes that are left.
    pub(in crate::model) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `n` bytes.
    pub(in crate::model) fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let Some((head, rest)) = self.rest.split_at_checked(n) else {
            let found = self.rest.len();
            return Err(self.error(format!(
                "expected {n} bytes of {}, found {found}",
                self.what
            )));
        };
        self.rest = rest;
        // No further than the end of the file.
        self.at = self.at.saturating_add(n);
        Ok(head)
    }

    /// The next `n` bytes, to be read on their own as `what`.
    pub(in crate::model) fn part(&mut self, n: usize, what: &'static str) -> Result<Self> {
        let at = self.at;
        let rest = self.take(n)?;
        Ok(Self { rest, at, what })
    }

    pub(in crate::model) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(in crate::model) fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(in crate::model) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(in crate::model) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(in crate::model) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// All bytes that are left, at most eight, as one number.
    pub(in crate::model) fn number(&self) -> Result<u64> {
        let mut array = [0; 8];
        let Some(head) = array.get_mut(..self.rest.len()) else {
            let found = self.rest.len();
            return Err(self.error(format!(
                "expected a number of at most 8 bytes, found {found}"
            )));
        };
        head.copy_from_slice(self.rest);
        Ok(u64::from_le_bytes(array))
    }

    /// Takes the bytes that every such part has next.
    pub(in crate::model) fn expect(&mut self, signature: &[u8]) -> Result<()> {
        let mut next = *self;
        let found = next.take(signature.len())?;
        if found != signature {
            return Err(self.error(format!(
                "expected {}, which has \"{}\" here, found \"{}\"",
                self.what,
                signature.escape_ascii(),
                found.escape_ascii()
            )));
        }
        *self = next;
        Ok(())
    }

    /// An error about the next byte.
    pub(in crate::model) fn error(&self, detail: impl Into<Cow<'static, str>>) -> Error {
        error(self.at, detail)
    }
}

/// An error at an offset of the file.
pub(in crate::model) fn error(
    at: impl fmt::Display,
    detail: impl Into<Cow<'static, str>>,
) -> Error {
    Error::model(detail).within(format_args!("offset {at}"))
}

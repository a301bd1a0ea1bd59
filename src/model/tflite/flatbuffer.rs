//! Flatbuffers: tables, their fields, and vectors, wherever their offsets lead inside the file.
//!
//! Everything is looked up when it is asked for and nothing is followed by itself, so that tables
//! which share or contain each other cost no more than what the caller walks. Every error is of kind
//! `Model` and names the offset.

use super::error;
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::ops::Range;

/// A table: a place in the file, and its vtable that says where its fields are.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) struct Table<'a> {
    file: &'a [u8],
    at: usize,
    vtable: &'a [u8],
}

/// A vector, or a string: elements without gaps.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) struct Vector<'a> {
    file: &'a [u8],
    /// Offset of the first element.
    at: usize,
    /// Number of elements.
    len: usize,
    /// Bytes of an element; all are in the file.
    width: usize,
}

/// The table that a file starts with.
pub(in crate::model) fn root(file: &[u8]) -> Result<Table<'_>> {
    Table::new(file, follow(file, 0)?)
}

impl<'a> Table<'a> {
    fn new(file: &'a [u8], at: usize) -> Result<Self> {
        let back = i32::from_le_bytes(array(file, at)?);
        let vtable = i64::try_from(at)
            .ok()
            .and_then(|at| usize::try_from(at.checked_sub(back.into())?).ok())
            .ok_or_else(|| error(at, "expected a table, found one without a vtable"))?;
        let len = usize::from(u16::from_le_bytes(array(file, vtable)?));
        Ok(Self {
            file,
            at,
            vtable: bytes(file, vtable, len)?,
        })
    }

    /// An error about this table.
    pub(in crate::model) fn error(&self, detail: impl Into<Cow<'static, str>>) -> Error {
        error(self.at, detail)
    }

    /// Where field `number` is; `None` where the table leaves it out.
    fn place(&self, number: u16) -> Result<Option<usize>> {
        // Behind the lengths of the vtable and of the table.
        let (slots, _) = self.vtable.get(4..).unwrap_or_default().as_chunks();
        match slots
            .get(usize::from(number))
            .map(|&slot| u16::from_le_bytes(slot))
        {
            None | Some(0) => Ok(None),
            Some(offset) => add(self.at, usize::from(offset)).map(Some),
        }
    }

    /// Whether the table has field `number`.
    pub(in crate::model) fn has(&self, number: u16) -> Result<bool> {
        Ok(self.place(number)?.is_some())
    }

    /// A number, 0 where the table leaves it out.
    pub(in crate::model) fn u8(&self, number: u16) -> Result<u8> {
        self.scalar(number).map(u8::from_le_bytes)
    }

    /// A number, 0 where the table leaves it out.
    pub(in crate::model) fn u32(&self, number: u16) -> Result<u32> {
        self.scalar(number).map(u32::from_le_bytes)
    }

    /// A number, 0 where the table leaves it out.
    pub(in crate::model) fn u64(&self, number: u16) -> Result<u64> {
        self.scalar(number).map(u64::from_le_bytes)
    }

    fn scalar<const N: usize>(&self, number: u16) -> Result<[u8; N]> {
        match self.place(number)? {
            Some(at) => array(self.file, at),
            None => Ok([0; N]),
        }
    }

    /// A vector of elements of `width` bytes.
    pub(in crate::model) fn vector(&self, number: u16, width: usize) -> Result<Option<Vector<'a>>> {
        let Some(at) = self.place(number)? else {
            return Ok(None);
        };
        let at = follow(self.file, at)?;
        let len = size(at, u32::from_le_bytes(array(self.file, at)?))?;
        let at = add(at, Vector::OFFSET_BYTES)?;
        bytes(self.file, at, len.saturating_mul(width))?;
        Ok(Some(Vector {
            file: self.file,
            at,
            len,
            width,
        }))
    }

    /// A table, if it is there.
    pub(in crate::model) fn table(&self, number: u16) -> Result<Option<Table<'a>>> {
        let Some(at) = self.place(number)? else {
            return Ok(None);
        };
        Table::new(self.file, follow(self.file, at)?).map(Some)
    }

    /// A vector of tables that must be there; `what` is its name.
    pub(in crate::model) fn required(&self, number: u16, what: &str) -> Result<Vector<'a>> {
        self.vector(number, Vector::OFFSET_BYTES)?
            .ok_or_else(|| self.error(format!("expected {what}, found none")))
    }
}

impl<'a> Vector<'a> {
    /// Bytes of an offset: what a table takes in a vector.
    pub(in crate::model) const OFFSET_BYTES: usize = 4;

    /// Number of elements.
    pub(in crate::model) fn len(self) -> usize {
        self.len
    }

    /// Where its elements are in the file.
    pub(in crate::model) fn range(self) -> Range<usize> {
        let n_bytes = self.len.saturating_mul(self.width);
        self.at..self.at.saturating_add(n_bytes)
    }

    /// Its elements.
    pub(in crate::model) fn bytes(self) -> &'a [u8] {
        self.file.get(self.range()).unwrap_or_default()
    }

    /// Its elements, which are integers of 4 bytes.
    pub(in crate::model) fn i32s(self) -> impl Iterator<Item = i32> {
        let (elements, _) = self.bytes().as_chunks();
        elements.iter().map(|&element| i32::from_le_bytes(element))
    }

    /// Element `index` of a vector of tables.
    pub(in crate::model) fn table(self, index: usize) -> Result<Table<'a>> {
        let at = add(self.at, index.saturating_mul(Self::OFFSET_BYTES))?;
        Table::new(self.file, follow(self.file, at)?)
    }
}

/// Where the offset at `at` leads.
fn follow(file: &[u8], at: usize) -> Result<usize> {
    let offset = u32::from_le_bytes(array(file, at)?);
    add(at, size(at, offset)?)
}

fn size(at: usize, size: u32) -> Result<usize> {
    usize::try_from(size).map_err(|_| error(at, "expected less than 2 GiB, found more"))
}

fn add(at: usize, offset: usize) -> Result<usize> {
    at.checked_add(offset)
        .ok_or_else(|| error(at, "expected an offset inside the file, found a larger one"))
}

fn array<const N: usize>(file: &[u8], at: usize) -> Result<[u8; N]> {
    let found = bytes(file, at, N)?;
    found.try_into().map_err(|_| end(file, at, N))
}

fn bytes(file: &[u8], at: usize, len: usize) -> Result<&[u8]> {
    file.get(at..)
        .and_then(|rest| rest.get(..len))
        .ok_or_else(|| end(file, at, len))
}

fn end(file: &[u8], at: usize, len: usize) -> Error {
    error(
        at,
        format!(
            "expected {len} bytes, found the end of the file at offset {}",
            file.len()
        ),
    )
}

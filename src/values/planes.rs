//! Rotated elements as byte planes, the most significant byte first (spec §9.2).
//!
//! A rotation by one puts the sign of a float below its mantissa, and so the eight bits of a
//! binary32's exponent into one byte: the plane that compresses.

use crate::buffer::Buffer;
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::kernels::{self, Isa};
use crate::stream::{self, Coding};
use crate::word::Word;

pub(super) fn write<W: Word>(out: &mut Vec<u8>, entries: &[W], rotation: u8) -> Result<()> {
    out.push(rotation);
    for plane in split(entries, rotation) {
        stream::write_bytes(out, &plane)?;
    }
    Ok(())
}

/// Reads `count` elements, as they are in memory.
pub(super) fn read<W: Word>(
    cursor: &mut Cursor<'_>,
    isa: Isa,
    count: usize,
) -> Result<(Buffer<W>, Vec<Coding>)> {
    let rotation = cursor.u8()?;
    if usize::from(rotation) / 8 >= W::WIDTH {
        return Err(Error::corrupt(format!(
            "a rotation by {rotation} bits of {}-byte elements",
            W::WIDTH
        )));
    }
    let planes = (0..W::WIDTH)
        .map(|_| stream::read_bytes(cursor, count))
        .collect::<Result<Vec<_>>>()?;
    let bytes: Vec<&[u8]> = planes.iter().map(|(plane, _)| &**plane).collect();
    let mut elements = Buffer::new(count);
    kernels::planes::join(isa, &bytes, rotation.into(), &mut elements);
    super::put_in_memory_order(&mut elements);
    Ok((elements, planes.iter().map(|(_, coding)| *coding).collect()))
}

/// The bytes of the rotated `entries`, most significant first: one plane for each.
pub(crate) fn split<W: Word>(entries: &[W], rotation: u8) -> Vec<Vec<u8>> {
    let mut planes = vec![Vec::with_capacity(entries.len()); W::WIDTH];
    let mut bytes = [0; 16];
    let (bytes, _) = bytes.split_at_mut(W::WIDTH);
    for entry in entries {
        entry.rotate_left(u32::from(rotation)).put_le(bytes);
        for (plane, &byte) in planes.iter_mut().zip(bytes.iter().rev()) {
            plane.push(byte);
        }
    }
    planes
}

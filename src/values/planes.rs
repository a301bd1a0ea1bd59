//! Rotated elements as byte planes, the most significant byte first (spec §9.2).
//!
//! A rotation by one puts the sign of a float below its mantissa, and so the eight bits of a
//! binary32's exponent into one byte: the plane that compresses.

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::stream::{self, Coding};
use crate::word::Word;

pub(super) fn write<W: Word>(out: &mut Vec<u8>, entries: &[W], rotation: u8) -> Result<()> {
    out.push(rotation);
    for plane in split(entries, rotation) {
        stream::write_bytes(out, &plane)?;
    }
    Ok(())
}

pub(super) fn read<W: Word>(
    cursor: &mut Cursor<'_>,
    count: usize,
) -> Result<(Vec<u8>, Vec<Coding>)> {
    let rotation = cursor.u8()?;
    if usize::from(rotation) >= 8 * W::WIDTH {
        return Err(Error::corrupt(format!(
            "a rotation by {rotation} bits of {}-byte elements",
            W::WIDTH
        )));
    }
    let mut elements = vec![0; count * W::WIDTH];
    let mut codings = Vec::with_capacity(W::WIDTH);
    for byte in (0..W::WIDTH).rev() {
        let (plane, coding) = stream::read_bytes(cursor, count)?;
        for (element, &value) in elements.chunks_exact_mut(W::WIDTH).zip(plane.iter()) {
            element[byte] = value;
        }
        codings.push(coding);
    }
    if rotation != 0 {
        for element in elements.chunks_exact_mut(W::WIDTH) {
            W::from_le(element)
                .rotate_right(u32::from(rotation))
                .put_le(element);
        }
    }
    Ok((elements, codings))
}

/// The bytes of the rotated `entries`, most significant first: one plane for each.
pub(crate) fn split<W: Word>(entries: &[W], rotation: u8) -> Vec<Vec<u8>> {
    let mut planes = vec![Vec::with_capacity(entries.len()); W::WIDTH];
    let mut bytes = [0; 16];
    for entry in entries {
        entry
            .rotate_left(u32::from(rotation))
            .put_le(&mut bytes[..W::WIDTH]);
        for (plane, &byte) in planes.iter_mut().zip(bytes[..W::WIDTH].iter().rev()) {
            plane.push(byte);
        }
    }
    planes
}

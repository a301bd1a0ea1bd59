//! A bit for every position (spec §9.1.1).

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::stream::{self, Coding};
use std::borrow::Cow;

pub(super) fn write(out: &mut Vec<u8>, members: &[u32], n: u32) -> Result<()> {
    stream::write_bytes(out, &bitmap(members, n))
}

/// Reads the bitmap of `n` positions; the bits after them are zero.
pub(super) fn read<'a>(cursor: &mut Cursor<'a>, n: u32) -> Result<(Cow<'a, [u8]>, Coding)> {
    let (bytes, coding) = stream::read_bytes(cursor, n.div_ceil(8) as usize)?;
    let last = bytes.last().copied().unwrap_or(0);
    if !n.is_multiple_of(8) && last >> (n % 8) != 0 {
        return Err(Error::corrupt(format!(
            "bits at and above position {n} of a bitmap are not zero"
        )));
    }
    Ok((bytes, coding))
}

/// The members of a bitmap, ascending.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "bits are numbered below 2^32, as many as a set has positions; a word that isn't zero is at least 1"
)]
pub(super) fn members(bytes: &[u8]) -> Vec<u32> {
    let mut members = Vec::new();
    for (start, word) in (0u32..).step_by(64).zip(bytes.chunks(8)) {
        let mut word = word
            .iter()
            .rev()
            .fold(0u64, |word, &byte| word << 8 | u64::from(byte));
        while word != 0 {
            members.push(start + word.trailing_zeros());
            word &= word - 1;
        }
    }
    members
}

/// How often which bytes are in the bitmap of `members`, all below `n`.
pub(super) fn histogram(members: &[u32], n: u32) -> [u32; 256] {
    stream::histogram(&bitmap(members, n))
}

/// The bitmap of `members`, all below `n`.
#[expect(
    clippy::indexing_slicing,
    reason = "members are below `n`: those of a writer, and those that reading has checked"
)]
pub(super) fn bitmap(members: &[u32], n: u32) -> Vec<u8> {
    let mut bytes = vec![0; n.div_ceil(8) as usize];
    for &member in members {
        bytes[member as usize / 8] |= 1 << (member % 8);
    }
    bytes
}

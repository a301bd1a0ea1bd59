//! A bit for every position (spec §9.1.1).

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::stream::{self, Coding};
use bitvec::prelude::{BitSlice, BitVec, Lsb0};

pub(super) fn write(out: &mut Vec<u8>, members: &[u32], n: u32) -> Result<()> {
    stream::write_bytes(out, &bitmap(members, n))
}

pub(super) fn read(cursor: &mut Cursor<'_>, n: u32) -> Result<(Vec<u32>, Coding)> {
    let (bytes, coding) = stream::read_bytes(cursor, n.div_ceil(8) as usize)?;
    let bits = BitSlice::<u8, Lsb0>::from_slice(&bytes);
    let (used, unused) = bits.split_at(n as usize);
    if unused.any() {
        return Err(Error::corrupt(format!(
            "bits at and above position {n} of a bitmap are not zero"
        )));
    }
    let mut members = Vec::with_capacity(used.count_ones());
    members.extend(
        (0u32..)
            .zip(used.iter().by_vals())
            .filter_map(|(i, set)| set.then_some(i)),
    );
    Ok((members, coding))
}

pub(super) fn histogram(members: &[u32], n: u32) -> [u32; 256] {
    let mut counts = [0; 256];
    for byte in bitmap(members, n) {
        counts[usize::from(byte)] += 1;
    }
    counts
}

fn bitmap(members: &[u32], n: u32) -> Vec<u8> {
    let mut bits = BitVec::<u8, Lsb0>::repeat(false, n as usize);
    for &member in members {
        bits.set(member as usize, true);
    }
    bits.into_vec()
}

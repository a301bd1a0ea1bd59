//! Positions that are no entries, where nearly all others are (spec §9.1.3).

use crate::cursor::{Cursor, put_varint};
use crate::error::{Error, Result};
use crate::stream::bits::{BitReader, BitWriter};

/// Low bits in the Rice code of the gaps between `k` holes, at least 1, among `n` positions: those of
/// their mean.
fn rice_bits(n: u64, k: u64) -> u32 {
    let mean = n.checked_div(k).unwrap_or(0);
    mean.checked_ilog2().unwrap_or(0)
}

/// Bits that `k` holes among `n` positions take, about, without their number.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a writer's: k of n positions in memory, and at most 64 bits of each"
)]
pub(crate) fn cost(n: u64, k: u64) -> u64 {
    match k {
        0 => 0,
        _ => {
            let low_bits = rice_bits(n, k);
            // Half of a one in each gap, which the low bits say; without them nothing is rounded down.
            let rounded_down = if low_bits == 0 { 0 } else { k / 2 };
            let ones = ((n - k) >> low_bits).saturating_sub(rounded_down);
            k * u64::from(low_bits + 1) + ones
        }
    }
}

/// Appends the set of `holes` (strictly ascending, below `n`).
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a writer's: the holes ascend strictly"
)]
pub(crate) fn write(out: &mut Vec<u8>, holes: &[u32], n: u64) {
    put_varint(out, holes.len() as u64);
    if holes.is_empty() {
        return;
    }
    let low_bits = rice_bits(n, holes.len() as u64);
    let mut bits = BitWriter::default();
    let mut next = 0;
    for &hole in holes {
        let gap = hole - next;
        (0..gap >> low_bits).for_each(|_| bits.put(1, 1));
        bits.put(0, 1);
        bits.put(gap & ((1 << low_bits) - 1), low_bits);
        next = hole + 1;
    }
    out.extend(bits.finish());
}

/// Reads a set of holes among `n` positions, at most 2^22: strictly ascending.
pub(crate) fn read(cursor: &mut Cursor<'_>, n: usize) -> Result<Vec<usize>> {
    let k = cursor.varint()?;
    if k > n as u64 {
        return Err(Error::corrupt(format!("{k} holes in {n} positions")));
    }
    if k == 0 {
        return Ok(vec![]);
    }
    let low_bits = rice_bits(n as u64, k);
    let mut bits = BitReader::new(cursor.rest());
    let mut holes = Vec::with_capacity(k as usize);
    let mut next = 0;
    for _ in 0..k {
        let gap = bits.ones(n >> low_bits)? << low_bits | bits.take(low_bits)? as usize;
        let hole = gap.saturating_add(next);
        if hole >= n {
            return Err(Error::corrupt(format!(
                "a hole at position {hole} of {n} in the lines of a part"
            )));
        }
        holes.push(hole);
        next = hole.saturating_add(1);
    }
    cursor.take(bits.finish()?)?;
    Ok(holes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use proptest::prelude::*;

    fn bytes_of(holes: &[u32], n: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, holes, n);
        bytes
    }

    #[test]
    fn gaps_have_a_rice_code_of_their_mean() {
        // 300 positions for each hole: 8 low bits. The gaps are 299 = 1·256 + 43 and 0.
        assert_eq!(
            bytes_of(&[299, 300], 600),
            [2, 0b10101101, 0b00000000, 0b00000000]
        );
        assert_eq!(bytes_of(&[], 600), [0]);
        // Every position is a hole: a bit for each.
        assert_eq!(bytes_of(&[0, 1, 2, 3, 4, 5, 6, 7], 8), [8, 0]);
    }

    #[test]
    fn what_leads_out_is_corrupt() {
        let kind = |bytes: &[u8], n| read(&mut Cursor::new(bytes), n).unwrap_err().kind();
        let cases: [(&[u8], usize); 6] = [
            // More holes than positions; none follow; bits that end too early.
            (&[9, 0, 0], 8),
            (&[1], 8),
            (&[4, 0xff], 1000),
            // A gap that is too long, by its ones and by its low bits.
            (&[1, 0xff, 0xff], 8),
            (&[1, 0b0000_1110], 7),
            // Bits after the last one.
            (&[1, 0b1000_0000], 8),
        ];
        for (bytes, n) in cases {
            assert_eq!(kind(bytes, n), ErrorKind::Corrupt, "{bytes:?} {n}");
        }
    }

    proptest! {
        #[test]
        fn holes_come_back_and_cost_what_was_said(n in 1u32..5000, every in 1u32..600, seed: u32) {
            let is_hole = |i: &u32| (i ^ seed).wrapping_mul(2_654_435_761).is_multiple_of(every);
            let holes: Vec<u32> = (0..n).filter(is_hole).collect();
            let mut bytes = bytes_of(&holes, n.into());
            let said = cost(n.into(), holes.len() as u64);
            let number = if holes.len() < 128 { 1 } else { 2 };
            let bits = 8 * (bytes.len() - number) as u64;
            prop_assert!(bits <= said + said / 4 + 40 && said <= bits + bits / 4 + 40);
            bytes.push(7);
            let mut cursor = Cursor::new(&bytes);
            let read = read(&mut cursor, n as usize).unwrap();
            prop_assert_eq!(cursor.rest(), [7]);
            prop_assert!(read.iter().copied().eq(holes.iter().map(|&h| h as usize)));
        }
    }
}

//! CSR with relative index: the gaps before the entries (spec §9.1.2; Han et al. 2015).

use super::Rows;
use crate::cursor::{Cursor, put_varint, to_usize};
use crate::error::{Error, Result};
use crate::stream::{self, Coding};

/// Widest gap symbol, in bits.
pub(crate) const MAX_GAP_BITS: u32 = 16;

const FILLER: u8 = 1 << 5;
const BY_ROWS: u8 = 1 << 6;
const RESERVED: u8 = 1 << 7;

/// How the gaps are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Bits of a gap symbol, 1 to [`MAX_GAP_BITS`].
    pub(crate) gap_bits: u32,
    /// Every symbol is an entry; wide gaps are bridged by entries of value zero.
    pub(crate) filler: bool,
    /// A chain of gaps starts in each row, not once in the block.
    pub(crate) by_rows: bool,
}

impl Form {
    /// The symbol of all ones: the escape, which advances by its own value.
    fn escape(self) -> u32 {
        !(u32::MAX << self.gap_bits)
    }

    fn to_byte(self) -> u8 {
        let mut byte = self.gap_bits as u8;
        if self.filler {
            byte |= FILLER;
        }
        if self.by_rows {
            byte |= BY_ROWS;
        }
        byte
    }

    fn from_byte(byte: u8) -> Result<Self> {
        if byte & RESERVED != 0 {
            return Err(Error::unsupported(format!(
                "relative-index form {byte:#04x}"
            )));
        }
        let gap_bits = u32::from(byte & 0x1f);
        if !(1..=MAX_GAP_BITS).contains(&gap_bits) {
            return Err(Error::corrupt(format!(
                "gaps of {gap_bits} bits, expected 1 to {MAX_GAP_BITS}"
            )));
        }
        Ok(Self {
            gap_bits,
            filler: byte & FILLER != 0,
            by_rows: byte & BY_ROWS != 0,
        })
    }
}

/// Appends the gaps of `members`. The form is without filler; `rows` stands where it is by rows.
pub(super) fn write(
    out: &mut Vec<u8>,
    form: Form,
    members: &[u32],
    n: u32,
    rows: Option<Rows>,
) -> Result<()> {
    let symbols = symbols(form, members, n, rows);
    out.push(form.to_byte());
    put_varint(out, symbols.len() as u64);
    if let Some(rows) = rows_of(form, rows) {
        stream::write_symbols(out, &row_counts(members, rows, n), count_bits(rows, n))?;
    }
    stream::write_symbols(out, &symbols, form.gap_bits)
}

/// The gaps of `members` in one chain, packed in as many bits as make that smallest.
pub(super) fn packed(members: &[u32], n: u32) -> Vec<u8> {
    let stats = GapStats::new(members, n, None);
    let with_bits = (0u32..).zip(&stats.escapes).skip(1);
    let n_bits = |bits: u32, escapes: u64| {
        let n_symbols = escapes.saturating_add(members.len() as u64);
        n_symbols.saturating_mul(bits.into())
    };
    let gap_bits = with_bits
        .min_by_key(|&(bits, &escapes)| n_bits(bits, escapes))
        .map_or(8, |(bits, _)| bits);
    let form = Form {
        gap_bits,
        filler: false,
        by_rows: false,
    };
    let symbols = symbols(form, members, n, None);
    let mut out = vec![form.to_byte()];
    put_varint(&mut out, symbols.len() as u64);
    stream::write_packed(&mut out, &symbols, gap_bits);
    out
}

/// The symbols of the gaps of `members`.
fn symbols(form: Form, members: &[u32], n: u32, rows: Option<Rows>) -> Vec<u32> {
    let escape = form.escape();
    let mut symbols = Vec::with_capacity(members.len());
    for_each_gap(members, rows_of(form, rows), n, |mut gap| {
        while gap >= escape {
            symbols.push(escape);
            gap = gap.saturating_sub(escape);
        }
        symbols.push(gap);
    });
    symbols
}

/// Reads the members of a set over `n` positions, strictly ascending, and the codings of its
/// streams.
pub(super) fn read(
    cursor: &mut Cursor<'_>,
    n: u32,
    rows: Option<Rows>,
) -> Result<(Vec<u32>, Vec<Coding>)> {
    let form = Form::from_byte(cursor.u8()?)?;
    let n_symbols = cursor.varint()?;
    if n_symbols == 0 || n_symbols > u64::from(n) {
        return Err(Error::corrupt(format!(
            "{n_symbols} gap symbols for {n} positions, expected 1 to {n}"
        )));
    }
    let n_symbols = to_usize(n_symbols)?;
    if !form.by_rows {
        let (symbols, coding) = stream::read_symbols(cursor, n_symbols, form.gap_bits)?;
        return Ok((one_chain(&symbols, form, n)?, vec![coding]));
    }
    let rows = rows.ok_or_else(|| Error::corrupt("a set of alternates has no rows"))?;
    let n_rows = rows.ends(n).count();
    let (counts, count_coding) = stream::read_symbols(cursor, n_rows, count_bits(rows, n))?;
    let (symbols, coding) = stream::read_symbols(cursor, n_symbols, form.gap_bits)?;
    let members = chains_by_rows(&symbols, &counts, form, rows, n)?;
    Ok((members, vec![count_coding, coding]))
}

fn one_chain(symbols: &[u32], form: Form, n: u32) -> Result<Vec<u32>> {
    let mut members = Vec::with_capacity(symbols.len());
    let mut chain = Chain {
        next: 0,
        end: n,
        form,
    };
    for &symbol in symbols {
        members.extend(chain.step(symbol)?);
    }
    if !form.filler && symbols.last() == Some(&form.escape()) {
        return Err(Error::corrupt("a chain of gaps ends with an escape"));
    }
    Ok(members)
}

fn chains_by_rows(
    symbols: &[u32],
    counts: &[u32],
    form: Form,
    rows: Rows,
    n: u32,
) -> Result<Vec<u32>> {
    let mut members = Vec::with_capacity(symbols.len());
    let mut symbols = symbols.iter();
    let mut start = 0;
    for (end, &count) in rows.ends(n).zip(counts) {
        let mut chain = Chain {
            next: start,
            end,
            form,
        };
        for missing in (1..=count).rev() {
            let member = loop {
                let symbol = symbols.next().ok_or_else(|| {
                    Error::corrupt(format!(
                        "gap symbols end with {missing} entries of a row missing"
                    ))
                })?;
                if let Some(member) = chain.step(*symbol)? {
                    break member;
                }
            };
            members.push(member);
        }
        start = end;
    }
    match symbols.len() {
        0 => Ok(members),
        left => Err(Error::corrupt(format!(
            "{left} gap symbols are left after the last row"
        ))),
    }
}

/// A run of gaps: where it stands, and where it must end.
struct Chain {
    next: u32,
    end: u32,
    form: Form,
}

impl Chain {
    /// Follows one symbol; `None` for an escape.
    fn step(&mut self, symbol: u32) -> Result<Option<u32>> {
        let outside = || {
            Error::corrupt(format!(
                "an entry lies outside its chain, which ends at position {}",
                self.end
            ))
        };
        let position = self.next.checked_add(symbol).ok_or_else(outside)?;
        if !self.form.filler && symbol == self.form.escape() {
            self.next = position;
            return Ok(None);
        }
        if position >= self.end {
            return Err(outside());
        }
        // No further than the end.
        self.next = position.saturating_add(1);
        Ok(Some(position))
    }
}

fn rows_of(form: Form, rows: Option<Rows>) -> Option<Rows> {
    rows.filter(|_| form.by_rows)
}

/// Bits of a row count: of min(columns, n).
fn count_bits(rows: Rows, n: u32) -> u32 {
    stream::bits::bit_width(rows.columns.min(u64::from(n)))
}

fn row_counts(members: &[u32], rows: Rows, n: u32) -> Vec<u32> {
    let mut rest = members;
    rows.ends(n)
        .map(|end| {
            let (row, after) = rest.split_at(rest.partition_point(|&m| m < end));
            rest = after;
            row.len() as u32
        })
        .collect()
}

/// Calls `f` with the gap before each member, in order.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a writer's members ascend strictly, and are below `n`"
)]
fn for_each_gap(members: &[u32], rows: Option<Rows>, n: u32, mut f: impl FnMut(u32)) {
    match rows {
        None => {
            let mut next = 0;
            for &member in members {
                f(member - next);
                next = member + 1;
            }
        }
        Some(rows) => {
            let mut rest = members;
            let mut start = 0;
            for end in rows.ends(n) {
                let mut next = start;
                let (row, after) = rest.split_at(rest.partition_point(|&m| m < end));
                for &member in row {
                    f(member - next);
                    next = member + 1;
                }
                (rest, start) = (after, end);
            }
        }
    }
}

/// What the chooser has to know of the gaps of a set, for one way of chaining them.
pub(crate) struct GapStats {
    /// `escapes[b]`: escape symbols that gaps of `b` bits need.
    pub(crate) escapes: [u64; MAX_GAP_BITS as usize + 1],
    /// Symbols of 8 bits, escapes included.
    pub(crate) bytes: [u32; 256],
    /// Row counts, low and high byte; empty for one chain.
    pub(crate) row_counts: Vec<u32>,
    /// Bits of a row count.
    pub(crate) count_bits: u32,
}

impl GapStats {
    /// Statistics of `members`, by rows if `rows` is given.
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "an escape is at least 1, the rest of a division by 255 below it, and gaps with their \
                  entries are the positions of a block"
    )]
    pub(crate) fn new(members: &[u32], n: u32, rows: Option<Rows>) -> Self {
        let mut escapes = [0; MAX_GAP_BITS as usize + 1];
        let mut bytes = [0; 256];
        for_each_gap(members, rows, n, |gap| {
            for (bits, count) in escapes.iter_mut().enumerate().skip(1) {
                let escape = (1 << bits) - 1;
                if gap < escape {
                    break;
                }
                *count += u64::from(gap / escape);
            }
            bytes[255] += gap / 255;
            bytes[(gap % 255) as usize] += 1;
        });
        Self {
            escapes,
            bytes,
            row_counts: rows.map(|r| row_counts(members, r, n)).unwrap_or_default(),
            count_bits: rows.map_or(0, |r| count_bits(r, n)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const FORM: Form = Form {
        gap_bits: 2,
        filler: false,
        by_rows: false,
    };

    fn bytes(form: u8, symbols: &[u32]) -> Vec<u8> {
        let mut out = vec![form];
        put_varint(&mut out, symbols.len() as u64);
        stream::write_symbols(&mut out, symbols, u32::from(form & 0x1f)).unwrap();
        out
    }

    #[test]
    fn the_widest_direct_gap_and_the_first_escaped_one() {
        for (first, expected) in [
            (2, vec![2]),
            (3, vec![3, 0]),
            (4, vec![3, 1]),
            (6, vec![3, 3, 0]),
        ] {
            let mut out = Vec::new();
            write(&mut out, FORM, &[first], 10, None).unwrap();
            assert_eq!(out, bytes(2, &expected));
        }
    }

    #[test]
    fn fillers_are_entries() {
        let out = bytes(2 | FILLER, &[3, 1, 0]);
        assert_eq!(read(&mut Cursor::new(&out), 10, None).unwrap().0, [3, 5, 6]);
    }

    #[test]
    fn lies_are_corrupt() {
        for (symbols, n) in [
            (&[1, 3][..], 10),
            (&[3, 3, 3, 2], 11),
            (&[0, 0, 0], 2),
            (&[2], 2),
        ] {
            let out = bytes(2, symbols);
            let error = read(&mut Cursor::new(&out), n, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{symbols:?}");
        }
        let error = read(&mut Cursor::new(&bytes(2 | BY_ROWS, &[0])), 4, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let error = read(&mut Cursor::new(&[2 | RESERVED, 1, 0, 0]), 4, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn statistics_count_what_is_written() {
        let members = [0, 7, 8, 300, 999];
        for gap_bits in 1..=MAX_GAP_BITS {
            let stats = GapStats::new(&members, 1000, None);
            let mut out = Vec::new();
            write(&mut out, Form { gap_bits, ..FORM }, &members, 1000, None).unwrap();
            let n_symbols = Cursor::new(&out[1..]).varint().unwrap();
            assert_eq!(
                n_symbols,
                5 + stats.escapes[gap_bits as usize],
                "{gap_bits}"
            );
        }
    }
}

//! Where the entries are: position sets over the elements of a block (spec §9.1).

mod bitmap;
pub(crate) mod classes;
mod relative_index;
pub(crate) mod rows;

pub(crate) use classes::Classes;
pub(crate) use relative_index::{Form, GapStats};

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::kernels::expand::BitmapRows;
use crate::kernels::huffman::DecodeTable;
use crate::kernels::target::Target;
use crate::kernels::{Isa, expand};
use crate::stream::huffman::{Bundle, Run};
use crate::stream::{self, Coding};
use crate::word::Word;
use classes::{ClassedSet, Lines};
use rows::{RowForm, RowSet};
use std::borrow::Cow;
use std::ops::Range;

/// How a position set is kept; the numbers are those of the registry (spec §12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PositionKind {
    /// The set is empty.
    None = 0,
    /// Every position is in the set.
    All = 1,
    /// A bit for every position.
    Bitmap = 2,
    /// The gaps before the entries: CSR with relative index.
    RelativeIndex = 3,
    /// By classes of rows and columns, each with its own codes.
    Classes = 4,
    /// Packed steps or bitmaps with pointers to rows.
    Rows = 5,
}

impl PositionKind {
    /// The name that the spec uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::All => "all",
            Self::Bitmap => "bitmap",
            Self::RelativeIndex => "relative-index",
            Self::Classes => "classes",
            Self::Rows => "rows",
        }
    }
}

/// How the elements of a block fall into rows (spec §8).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    /// Elements of a row, at least 1.
    pub(crate) columns: u64,
    /// Index in the payload of the block's first element.
    pub(crate) first_element: u64,
}

impl Rows {
    /// The elements of a row, in a block of `n` elements that consists of whole rows.
    fn whole(self, n: u32) -> Result<u32> {
        let columns = u32::try_from(self.columns).ok();
        let whole = columns.filter(|_| self.first_element.is_multiple_of(self.columns));
        whole.filter(|&columns| n.is_multiple_of(columns)).ok_or_else(|| {
            Error::corrupt(format!(
                "classes in a block of {n} elements from element {} on, which are not whole rows of {}",
                self.first_element, self.columns
            ))
        })
    }

    /// Elements of the block's first row that come before the block.
    fn before(self) -> u64 {
        self.first_element.checked_rem(self.columns).unwrap_or(0)
    }

    /// Rows that have one of `n` elements, at most 2^22: those of a block.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "rows have columns; an element of the payload comes after `before` and the block's others"
    )]
    fn count(self, n: u32) -> usize {
        (self.before() + u64::from(n)).div_ceil(self.columns) as usize
    }

    /// Ends of the row parts of a block of `n` elements, ascending; the last one is `n`.
    pub(crate) fn ends(self, n: u32) -> impl Iterator<Item = u32> {
        let to_row_end = self.columns.saturating_sub(self.before());
        std::iter::successors(Some(to_row_end), move |end| {
            Some(end.saturating_add(self.columns))
        })
        .map(move |end| u32::try_from(end).unwrap_or(n).min(n))
        .scan(false, move |done, end| {
            (!std::mem::replace(done, end == n)).then_some(end)
        })
    }
}

/// The members of each row part, as ranges of `members`; the parts end at `ends`.
pub(crate) fn row_parts(
    members: &[u32],
    ends: impl IntoIterator<Item = u32>,
) -> impl Iterator<Item = Range<usize>> {
    let mut next = 0usize;
    ends.into_iter().map(move |end| {
        let start = next;
        let left = members.iter().skip(start);
        // Rows are short, mostly: their end is near.
        let n = left.take_while(|&&member| member < end).count();
        next = start.saturating_add(n);
        start..next
    })
}

/// A plan for keeping a position set, made by the chooser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PositionPlan {
    None,
    All,
    Bitmap,
    RelativeIndex(Form),
    Rows(RowForm),
}

/// A position set, decoded: where its members are.
pub(crate) enum Positions<'a, 't> {
    None,
    All,
    /// With the number of bits that are set.
    Bitmap(Cow<'a, [u8]>, u32),
    /// Strictly ascending.
    Members(Vec<u32>),
    Classes(ClassedSet<'a, 't>),
    Rows(RowSet<'a>),
}

/// The members of a set, ascending, and which value each of them has.
pub(crate) struct Ascending {
    pub(crate) positions: Vec<u32>,
    /// Numbers of the values; `None` if they are in order.
    values: Option<Vec<u32>>,
}

impl Ascending {
    /// Calls `f` with each position and the number of its value.
    pub(crate) fn for_each(&self, mut f: impl FnMut(u32, usize)) {
        match &self.values {
            None => self
                .positions
                .iter()
                .enumerate()
                .for_each(|(i, &position)| f(position, i)),
            Some(values) => {
                let positions = self.positions.iter().zip(values);
                positions.for_each(|(&position, &value)| f(position, value as usize));
            }
        }
    }
}

impl Positions<'_, '_> {
    /// Number of members, of `n` possible ones.
    pub(crate) fn count(&self, n: u32) -> u32 {
        match self {
            Self::None => 0,
            Self::All => n,
            Self::Bitmap(_, count) => *count,
            Self::Members(members) => members.len() as u32,
            Self::Classes(set) => set.len() as u32,
            Self::Rows(set) => set.len() as u32,
        }
    }

    /// How many of `count` values have each value table.
    pub(crate) fn runs(&self, count: usize) -> Vec<usize> {
        match self {
            Self::Classes(set) => set.entries_by_value_table(),
            _ => vec![count],
        }
    }

    /// The members, ascending; of `n` possible ones.
    ///
    /// `Corrupt` if they are not all below `n`.
    pub(crate) fn ascending(&self, n: u32) -> Result<Ascending> {
        let positions = match self {
            Self::None => vec![],
            Self::All => (0..n).collect(),
            Self::Bitmap(bytes, _) => bitmap::members(bytes),
            Self::Members(members) => members.clone(),
            Self::Rows(set) => set.positions()?,
            Self::Classes(set) => {
                let positions = set.positions()?;
                let mut pairs: Vec<(u32, u32)> = positions.into_iter().zip(0..).collect();
                pairs.sort_unstable();
                let (positions, values) = pairs.into_iter().unzip();
                return Ok(Ascending {
                    positions,
                    values: Some(values),
                });
            }
        };
        Ok(Ascending {
            positions,
            values: None,
        })
    }

    /// The members in the order of their values, of `n` possible ones.
    ///
    /// `Corrupt` if positions lead out of the block.
    pub(crate) fn in_order(&self, n: u32) -> Result<Cow<'_, [u32]>> {
        Ok(match self {
            Self::None => Cow::Borrowed(&[]),
            Self::All => (0..n).collect(),
            Self::Bitmap(bytes, _) => bitmap::members(bytes).into(),
            Self::Members(members) => Cow::Borrowed(members),
            Self::Classes(set) => set.positions()?.into(),
            Self::Rows(set) => set.positions()?.into(),
        })
    }

    /// A bit for every one of `n` positions, if the set is kept in a way that alternates are.
    pub(crate) fn bits(&self, n: u32) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Bitmap(bytes, _) => Some(Cow::Borrowed(bytes)),
            Self::Members(members) => Some(Cow::Owned(bitmap::bitmap(members, n))),
            _ => None,
        }
    }

    /// Writes all elements of a block: `values` are those of the members, in the set's order, and
    /// then whatever.
    ///
    /// `Corrupt` if a position leads out of the block or of its row.
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "there are as many values as members, which are all elements in *all*; pieces of the target \
                  follow each other, and members ascend: none is before its piece"
    )]
    pub(crate) fn fill<W: Word>(
        &self,
        background: W,
        values: &[W],
        target: &mut Target<'_, W>,
    ) -> Result<()> {
        let all = 0..target.len();
        match self {
            Self::None => target.clear(all, background, |_, _| {}),
            Self::All => target.copy(all.clone(), &values[all]),
            Self::Bitmap(bytes, _) => {
                let row = BitmapRows {
                    bitmaps: bytes,
                    length: all.len(),
                    rows: &[0],
                };
                target.expand(row, background, &mut &values[..]);
            }
            Self::Members(members) => {
                let mut entries = members.iter().zip(values).peekable();
                target.clear(all, background, |at, out| {
                    let end = (at + out.len()) as u32;
                    while let Some((&position, &value)) = entries.next_if(|entry| *entry.0 < end) {
                        out[position as usize - at] = value;
                    }
                });
            }
            Self::Classes(set) => return set.fill(background, values, target),
            Self::Rows(set) => return set.fill(background, values, target),
        }
        Ok(())
    }
}

/// Appends the set of `members` (strictly ascending, below `n`) as planned. In *rows* it is the first
/// of its block, and its cost has been found.
///
/// `rows` is what *by rows* and *rows* refer to; a set of alternates has none.
pub(crate) fn write(
    out: &mut Vec<u8>,
    plan: PositionPlan,
    members: &[u32],
    n: u32,
    rows: Option<Rows>,
) -> Result<()> {
    match (plan, rows) {
        (PositionPlan::None, _) => out.push(PositionKind::None as u8),
        (PositionPlan::All, _) => out.push(PositionKind::All as u8),
        (PositionPlan::RelativeIndex(form), _) => {
            out.push(PositionKind::RelativeIndex as u8);
            relative_index::write(out, form, members, n, rows)?;
        }
        (PositionPlan::Rows(form), Some(rows)) => {
            out.push(PositionKind::Rows as u8);
            rows::write(out, members, n, rows, form);
        }
        (PositionPlan::Bitmap | PositionPlan::Rows(_), _) => {
            out.push(PositionKind::Bitmap as u8);
            bitmap::write(out, members, n)?;
        }
    }
    Ok(())
}

/// Appends the set of `members` without compressing it: as narrow gaps or as a bitmap.
pub(crate) fn write_packed(out: &mut Vec<u8>, members: &[u32], n: u32) -> Result<()> {
    let count = members.len() as u32;
    if count == 0 || count == n {
        let plan = if count == 0 {
            PositionPlan::None
        } else {
            PositionPlan::All
        };
        return write(out, plan, members, n, None);
    }
    let gaps = relative_index::packed(members, n);
    if gaps.len() < n.div_ceil(8) as usize {
        out.push(PositionKind::RelativeIndex as u8);
        out.extend(gaps);
    } else {
        out.push(PositionKind::Bitmap as u8);
        stream::write_packed_bytes(out, &bitmap::bitmap(members, n));
    }
    Ok(())
}

/// The bitmap of `members`, all below `n`.
pub(crate) fn bitmap_of(members: &[u32], n: u32) -> Vec<u8> {
    bitmap::bitmap(members, n)
}

/// Appends a set of entries by classes. In its bundle, if it has one, follow the runs of `values`;
/// returns whether it has.
pub(crate) fn write_classes(
    out: &mut Vec<u8>,
    classes: &Classes,
    row_classes: &[u8],
    lines: &Lines,
    values: &[Run<'_>],
) -> Result<bool> {
    out.push(PositionKind::Classes as u8);
    classes::write_set(out, classes, row_classes, lines, values)
}

/// A position set as it was read: how it was kept, and its members.
pub(crate) struct PositionSet<'a, 't> {
    pub(crate) kind: PositionKind,
    /// How its streams were coded, in their order.
    pub(crate) codings: Vec<Coding>,
    pub(crate) positions: Positions<'a, 't>,
    /// The bundle of its symbols, if it has one.
    pub(crate) bundle: Option<Bundle<'a>>,
}

/// Classes and the decode tables of their parts.
pub(crate) type ClassTables<'t, 'd> = (&'t Classes, &'d [Option<DecodeTable>]);

/// Reads the entries of a block of `n` elements; the cursor began with the block.
pub(crate) fn read_entries<'a, 't>(
    cursor: &mut Cursor<'a>,
    isa: Isa,
    n: u32,
    rows: Rows,
    classes: Option<ClassTables<'t, '_>>,
) -> Result<PositionSet<'a, 't>> {
    let (kind, codings, positions) = match cursor.rest().first() {
        Some(4) => {
            cursor.u8()?;
            let classes = classes
                .ok_or_else(|| Error::corrupt("entries by classes in a payload without them"))?;
            let (set, bundle) = ClassedSet::read(cursor, isa, classes, n, rows)?;
            return Ok(PositionSet {
                kind: PositionKind::Classes,
                codings: set.codings(),
                positions: Positions::Classes(set),
                bundle,
            });
        }
        Some(5) => {
            cursor.u8()?;
            let set = RowSet::read(cursor, isa, n, rows)?;
            (
                PositionKind::Rows,
                vec![Coding::Packed],
                Positions::Rows(set),
            )
        }
        _ => return read(cursor, n, Some(rows)),
    };
    Ok(PositionSet {
        kind,
        codings,
        positions,
        bundle: None,
    })
}

/// Reads the alternates of a block, which has `n` elements that are not entries.
pub(crate) fn read_alternates<'a>(
    cursor: &mut Cursor<'a>,
    n: u32,
) -> Result<PositionSet<'a, 'static>> {
    read(cursor, n, None)
}

/// Reads a position set over `n` positions, of a kind that any set can have.
fn read<'a>(
    cursor: &mut Cursor<'a>,
    n: u32,
    rows: Option<Rows>,
) -> Result<PositionSet<'a, 'static>> {
    let (kind, codings, positions) = match cursor.u8()? {
        0 => (PositionKind::None, vec![], Positions::None),
        1 => (PositionKind::All, vec![], Positions::All),
        2 => {
            let (bytes, coding) = bitmap::read(cursor, n)?;
            let count = expand::count_ones(Isa::active(), &bytes);
            (
                PositionKind::Bitmap,
                vec![coding],
                Positions::Bitmap(bytes, count as u32),
            )
        }
        3 => {
            let (members, codings) = relative_index::read(cursor, n, rows)?;
            (
                PositionKind::RelativeIndex,
                codings,
                Positions::Members(members),
            )
        }
        id @ (4 | 5) => return Err(Error::corrupt(format!("a set of alternates of kind {id}"))),
        id => return Err(Error::unsupported(format!("position kind {id}"))),
    };
    Ok(PositionSet {
        kind,
        codings,
        positions,
        bundle: None,
    })
}

/// Counts of the bytes that a bitmap of `members` has, for the chooser.
pub(crate) fn bitmap_histogram(members: &[u32], n: u32) -> [u32; 256] {
    bitmap::histogram(members, n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::kernels::Store;
    use crate::kernels::out::overwrite;
    use proptest::prelude::*;

    /// Position sets that lean to the edges: empty, full, single, dense and sparse.
    pub(crate) fn any_set() -> impl Strategy<Value = (u32, Vec<u32>)> {
        (1u32..3000, 0f64..1.0, any::<u64>()).prop_map(|(n, density, seed)| {
            let mut state = seed | 1;
            let members = (0..n)
                .filter(|_| {
                    state = state
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    ((state >> 33) as f64 / (1u64 << 31) as f64) < density * density
                })
                .collect();
            (n, members)
        })
    }

    fn round_trip(plan: PositionPlan, members: &[u32], n: u32, rows: Option<Rows>) {
        let mut out = Vec::new();
        write(&mut out, plan, members, n, rows).unwrap();
        let any_rows = Rows {
            columns: n.into(),
            first_element: 0,
        };
        let read = |bytes: &[u8]| {
            let mut cursor = Cursor::new(bytes);
            let set = read_entries(
                &mut cursor,
                Isa::active(),
                n,
                rows.unwrap_or(any_rows),
                None,
            )?;
            cursor.finish()?;
            let positions = set.positions.ascending(n)?.positions;
            assert_eq!(positions.len() as u32, set.positions.count(n));
            let values: Vec<u16> = (1..=positions.len() as u16).map(u16::to_le).collect();
            let mut filled = vec![0xee; 2 * n as usize];
            overwrite(&mut filled, |out| {
                let mut target = Target::new(Isa::active(), out, Store::Cached);
                set.positions.fill(0, &values, &mut target)?;
                target.finish().map(drop)
            })?;
            let mut expected = vec![0; 2 * n as usize];
            for (&position, value) in positions.iter().zip(&values) {
                expected[2 * position as usize..][..2].copy_from_slice(&value.to_ne_bytes());
            }
            assert_eq!(filled, expected);
            Ok::<_, Error>(positions)
        };
        assert_eq!(read(&out).unwrap(), members, "{plan:?} {n}");
        for end in 0..out.len() {
            assert!(read(&out[..end]).is_err(), "{plan:?} cut at {end}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn sets_come_back_from_a_bitmap((n, members) in any_set()) {
            round_trip(PositionPlan::Bitmap, &members, n, None);
        }

        #[test]
        fn sets_come_back_from_gaps((n, members) in any_set(), gap_bits in 1u32..=16) {
            prop_assume!(!members.is_empty());
            let form = Form { gap_bits, filler: false, by_rows: false };
            round_trip(PositionPlan::RelativeIndex(form), &members, n, None);
        }

        #[test]
        fn sets_come_back_from_gaps_by_rows(
            (n, members) in any_set(), gap_bits in 1u32..=16, columns in 1u64..400, first_element in 0u64..1000,
        ) {
            prop_assume!(!members.is_empty());
            let form = Form { gap_bits, filler: false, by_rows: true };
            round_trip(PositionPlan::RelativeIndex(form), &members, n, Some(Rows { columns, first_element }));
        }

        #[test]
        fn sets_come_back_from_rows(
            (n, members) in any_set(), step_bits in 0u32..=8, group in 1u16..9, columns in 1u64..400, first_element in 0u64..1000,
        ) {
            let (rows, form) = (Rows { columns, first_element }, RowForm { step_bits, group });
            let mut out = vec![PositionKind::Rows as u8];
            rows::write(&mut out, &members, n, rows, form);
            prop_assert_eq!(Some(out.len() as u64), rows::RowCosts::new(&members, n, rows, &[form.group]).of(form));
            round_trip(PositionPlan::Rows(form), &members, n, Some(rows));
        }

        #[test]
        fn no_bytes_make_a_set_that_leaves_its_block(
            bytes in prop::collection::vec(any::<u8>(), 0..60), kind in 0u8..7, n in 1u32..500, columns in 1u64..50,
        ) {
            let bytes = [&[kind][..], &bytes].concat();
            let rows = Rows { columns, first_element: 3 };
            let set = read_entries(&mut Cursor::new(&bytes), Isa::active(), n, rows, None);
            if let Ok(members) = set.and_then(|set| set.positions.ascending(n)) {
                prop_assert!(members.positions.is_sorted_by(|a, b| a < b));
                prop_assert!(members.positions.last().is_none_or(|&last| last < n));
            }
        }
    }

    #[test]
    fn row_parts_end_with_the_block() {
        let ends = |columns, first_element, n| {
            Rows {
                columns,
                first_element,
            }
            .ends(n)
            .collect::<Vec<_>>()
        };
        assert_eq!(ends(4, 0, 8), [4, 8]);
        assert_eq!(ends(4, 3, 8), [1, 5, 8]);
        assert_eq!(ends(100, 3, 8), [8]);
        assert_eq!(ends(u64::MAX / 2, u64::MAX / 4, 8), [8]);
        assert_eq!(ends(1, 7, 3), [1, 2, 3]);
    }

    #[test]
    fn ids_never_change_and_others_are_unsupported() {
        let ids = [
            PositionKind::None,
            PositionKind::All,
            PositionKind::Bitmap,
            PositionKind::RelativeIndex,
            PositionKind::Classes,
            PositionKind::Rows,
        ];
        assert_eq!(ids.map(|k| k as u8), [0, 1, 2, 3, 4, 5]);
        let kind = |id| {
            read_alternates(&mut Cursor::new(&[id]), 1)
                .map(drop)
                .unwrap_err()
                .kind()
        };
        assert_eq!(
            [4, 5, 6].map(kind),
            [
                ErrorKind::Corrupt,
                ErrorKind::Corrupt,
                ErrorKind::Unsupported
            ]
        );
    }
}

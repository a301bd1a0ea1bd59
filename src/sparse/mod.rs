//! Where the entries are: position sets over the elements of a block (spec §9.1).

mod bitmap;
mod relative_index;

pub(crate) use relative_index::{Form, GapStats};

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::stream::Coding;

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
}

impl PositionKind {
    /// The name that the spec uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::All => "all",
            Self::Bitmap => "bitmap",
            Self::RelativeIndex => "relative-index",
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
    /// Ends of the row parts of a block of `n` elements, ascending; the last one is `n`.
    pub(crate) fn ends(self, n: u32) -> impl Iterator<Item = u32> {
        let to_row_end = self.columns - self.first_element % self.columns;
        std::iter::successors(Some(to_row_end), move |end| {
            Some(end.saturating_add(self.columns))
        })
        .map(move |end| u32::try_from(end).unwrap_or(n).min(n))
        .scan(false, move |done, end| {
            (!std::mem::replace(done, end == n)).then_some(end)
        })
    }
}

/// A plan for keeping a position set, made by the chooser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PositionPlan {
    None,
    All,
    Bitmap,
    RelativeIndex(Form),
}

/// Members of a position set, decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Positions {
    None,
    All,
    /// Strictly ascending.
    Some(Vec<u32>),
}

impl Positions {
    /// Number of members, of `n` possible ones.
    pub(crate) fn count(&self, n: u32) -> u32 {
        match self {
            Self::None => 0,
            Self::All => n,
            Self::Some(members) => u32::try_from(members.len()).unwrap_or(n),
        }
    }
}

/// Appends the set of `members` (strictly ascending, below `n`) as planned.
///
/// `rows` is what *by rows* refers to; a set of alternates has none.
pub(crate) fn write(
    out: &mut Vec<u8>,
    plan: PositionPlan,
    members: &[u32],
    n: u32,
    rows: Option<Rows>,
) -> Result<()> {
    match plan {
        PositionPlan::None => out.push(PositionKind::None as u8),
        PositionPlan::All => out.push(PositionKind::All as u8),
        PositionPlan::Bitmap => {
            out.push(PositionKind::Bitmap as u8);
            bitmap::write(out, members, n)?;
        }
        PositionPlan::RelativeIndex(form) => {
            out.push(PositionKind::RelativeIndex as u8);
            relative_index::write(out, form, members, n, rows)?;
        }
    }
    Ok(())
}

/// A position set as it was read: how it was kept, and its members.
pub(crate) struct PositionSet {
    pub(crate) kind: PositionKind,
    /// How its streams were coded, in their order.
    pub(crate) codings: Vec<Coding>,
    pub(crate) positions: Positions,
}

/// Reads a position set over `n` positions.
pub(crate) fn read(cursor: &mut Cursor<'_>, n: u32, rows: Option<Rows>) -> Result<PositionSet> {
    let (kind, codings, positions) = match cursor.u8()? {
        0 => (PositionKind::None, vec![], Positions::None),
        1 => (PositionKind::All, vec![], Positions::All),
        2 => {
            let (members, coding) = bitmap::read(cursor, n)?;
            (PositionKind::Bitmap, vec![coding], Positions::Some(members))
        }
        3 => {
            let (members, codings) = relative_index::read(cursor, n, rows)?;
            (
                PositionKind::RelativeIndex,
                codings,
                Positions::Some(members),
            )
        }
        id => return Err(Error::unsupported(format!("position kind {id}"))),
    };
    Ok(PositionSet {
        kind,
        codings,
        positions,
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
        let mut cursor = Cursor::new(&out);
        let positions = read(&mut cursor, n, rows).unwrap().positions;
        cursor.finish().unwrap();
        assert_eq!(positions, Positions::Some(members.to_vec()), "{plan:?} {n}");
        for end in 0..out.len() {
            let mut cursor = Cursor::new(&out[..end]);
            assert!(read(&mut cursor, n, rows).is_err(), "{plan:?} cut at {end}");
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
        fn no_bytes_make_a_set_that_leaves_its_block(
            bytes in prop::collection::vec(any::<u8>(), 0..60), kind in 0u8..5, n in 1u32..500, columns in 1u64..50,
        ) {
            let bytes = [&[kind][..], &bytes].concat();
            let rows = Some(Rows { columns, first_element: 3 });
            if let Ok(PositionSet { positions: Positions::Some(members), .. }) = read(&mut Cursor::new(&bytes), n, rows) {
                prop_assert!(members.windows(2).all(|w| w[0] < w[1]));
                prop_assert!(members.last().is_none_or(|&last| last < n));
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
        ];
        assert_eq!(ids.map(|k| k as u8), [0, 1, 2, 3]);
        let error = read(&mut Cursor::new(&[4]), 1, None).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

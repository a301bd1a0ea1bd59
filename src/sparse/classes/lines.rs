//! What a writer makes of the entries of a block: the lines of its parts, as bitmaps or steps.

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "only writers sort entries: what they sort, and into which parts, is their own"
)]

use super::{Classes, ESCAPE};
use crate::sparse::row_parts;

/// The entries of a block, line by line: which of the part's positions are set.
///
/// Lines come in the order of the values (spec §9.1.3): by row class, by row, by column class.
pub(crate) struct Lines {
    /// For each part the number of positions of its lines.
    lengths: Vec<usize>,
    /// For each part the ends of its lines in `positions`.
    ends: Vec<Vec<usize>>,
    /// For each part the positions of its entries, each counted from the start of its line.
    positions: Vec<Vec<u32>>,
    /// Which of the block's entries the values are, in their order.
    pub(crate) order: Vec<u32>,
}

impl Lines {
    /// Sorts the `members` of a block (ascending, below `n`) into the parts that `classes` have.
    /// `row_classes` are those of the rows; with one class there is one row, of all elements.
    pub(crate) fn new(
        classes: &Classes,
        row_classes: &[u8],
        members: &[u32],
        n: u32,
        columns: u32,
    ) -> Self {
        let n_columns = classes.n_columns();
        let n_parts = classes.n_rows * n_columns;
        let row_length = if classes.n_rows == 1 { n } else { columns };
        let mut lines = Self {
            lengths: (0..n_parts)
                .map(|part| match &classes.columns {
                    None => row_length as usize,
                    Some(columns) => columns.columns[part % n_columns].len(),
                })
                .collect(),
            ends: vec![vec![]; n_parts],
            positions: vec![vec![]; n_parts],
            order: Vec::with_capacity(members.len()),
        };
        // Entries of each row, then the rows by their class.
        let ends = (1..=n / row_length).map(|row| row * row_length);
        let rows: Vec<_> = row_parts(members, ends).collect();
        let places = classes.columns.as_ref().map(places);
        for class in 0..classes.n_rows {
            for (row, range) in rows.iter().enumerate() {
                if classes.n_rows > 1 && usize::from(row_classes[row]) != class {
                    continue;
                }
                let start = row as u32 * row_length;
                let first_part = class * n_columns;
                match &places {
                    None => {
                        let entries = members[range.clone()].iter().map(|m| m - start);
                        lines.positions[first_part].extend(entries);
                        lines.order.extend(range.start as u32..range.end as u32);
                    }
                    Some(places) => {
                        for column_class in 0..n_columns {
                            for i in range.clone() {
                                let (of_column, position) = places[(members[i] - start) as usize];
                                if usize::from(of_column) == column_class {
                                    lines.positions[first_part + column_class]
                                        .push(position.into());
                                    lines.order.push(i as u32);
                                }
                            }
                        }
                    }
                }
                for part in first_part..first_part + n_columns {
                    lines.ends[part].push(lines.positions[part].len());
                }
            }
        }
        lines
    }

    /// The values of the block's entries in their order.
    pub(crate) fn in_order<W: Copy>(&self, patterns: &[W]) -> Vec<W> {
        self.order
            .iter()
            .map(|&entry| patterns[entry as usize])
            .collect()
    }

    /// Positions in the part's lines, all together.
    pub(crate) fn len(&self, part: usize) -> u64 {
        self.lengths[part] as u64 * self.ends[part].len() as u64
    }

    /// Lines of the part.
    pub(crate) fn n_lines(&self, part: usize) -> u64 {
        self.ends[part].len() as u64
    }

    /// Entries of the part.
    pub(crate) fn n_entries(&self, part: usize) -> usize {
        self.positions[part].len()
    }

    /// The bitmaps of the part's lines.
    pub(crate) fn bitmaps(&self, part: usize) -> Vec<u8> {
        let bytes = self.lengths[part].div_ceil(8);
        let mut out = vec![0; bytes * self.ends[part].len()];
        let mut start = 0;
        for (line, &end) in self.ends[part].iter().enumerate() {
            let line = &mut out[line * bytes..][..bytes];
            for &position in &self.positions[part][start..end] {
                line[position as usize / 8] |= 1 << (position % 8);
            }
            start = end;
        }
        out
    }

    /// The positions of the part's lines that are no entries, numbered through all its lines.
    pub(crate) fn holes(&self, part: usize) -> impl Iterator<Item = u32> {
        let mut next = 0;
        let before_entries = self.gaps(part).flat_map(move |gap| {
            let holes = next..next + gap;
            next = holes.end + 1;
            holes
        });
        let after_last = match (self.positions[part].last(), self.ends[part].len()) {
            (Some(last), _) => {
                let of_last = self.positions[part].len() - 1;
                let line = self.ends[part].partition_point(|&end| end <= of_last);
                (line * self.lengths[part]) as u32 + last + 1
            }
            (None, _) => 0,
        };
        before_entries.chain(after_last..self.len(part) as u32)
    }

    /// The gap before each entry of the part, through the ends of lines.
    pub(crate) fn gaps(&self, part: usize) -> impl Iterator<Item = u32> {
        let (mut line, mut line_start, mut after) = (0, 0u32, 0);
        let (ends, length) = (&self.ends[part], self.lengths[part] as u32);
        self.positions[part]
            .iter()
            .enumerate()
            .map(move |(i, &position)| {
                while i >= ends[line] {
                    line += 1;
                    line_start += length;
                }
                let gap = line_start + position - after;
                after = line_start + position + 1;
                gap
            })
    }
}

/// The symbols of gaps, and the low bits of those that are entries.
pub(crate) fn steps_of(gaps: impl Iterator<Item = u32>, low_bits: u32) -> (Vec<u8>, Vec<u32>) {
    let (mut symbols, mut low) = (vec![], vec![]);
    let escape = ESCAPE << low_bits;
    for gap in gaps {
        symbols.extend(std::iter::repeat_n(0, (gap / escape) as usize));
        let gap = gap % escape;
        symbols.push((gap >> low_bits) as u8 + 1);
        if low_bits > 0 {
            low.push(gap & ((1 << low_bits) - 1));
        }
    }
    (symbols, low)
}

/// For each column its class, and its number among the columns of that.
fn places(columns: &super::ColumnClasses) -> Vec<(u8, u16)> {
    let mut places = vec![(0, 0); columns.of_column.len()];
    for (class, of_class) in (0u8..).zip(&columns.columns) {
        for (position, &column) in (0u16..=u16::MAX).zip(of_class) {
            places[usize::from(column)] = (class, position);
        }
    }
    places
}

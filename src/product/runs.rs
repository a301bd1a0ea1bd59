//! Entries, row by row of the matrix, and what is done with them.

use crate::error::{Error, Result};
use crate::kernels::Isa;
use crate::kernels::product::{
    Adjacent, Ascending, BitRows, Codes, Columns, Doubles, Floats, Listed, Sorted, StepRows, Sum,
    Weights, WholeRows, add_scaled, dot,
};
use std::ops::Range;

/// Weights of some entries, in one of the ways that kernels know.
#[derive(Clone, Copy)]
pub(super) enum Weighed<'a> {
    Floats(Floats<'a>),
    Doubles(Doubles<'a>),
    Codes(Codes<'a>),
}

/// The same with the weights in the way that they are.
macro_rules! weighed {
    ($weights:expr, |$known:ident| $with:expr) => {
        match $weights {
            Weighed::Floats($known) => $with,
            Weighed::Doubles($known) => $with,
            Weighed::Codes($known) => $with,
        }
    };
}

/// What is done with the entries of rows.
pub(super) trait Sink {
    /// Takes `n` entries in `row`; their columns count from `columns.start`. `None` where the matrix has no
    /// such row or columns.
    fn entries(
        &mut self,
        isa: Isa,
        row: usize,
        columns: Range<usize>,
        n: usize,
        numbers: impl Columns,
        weights: impl Weights,
    ) -> Option<()>;

    /// Takes the entries in rows from `row` on, whose columns begin with `first_column`. Returns how many entries that
    /// were, or `None` where what is encoded breaks a rule, there are too few weights, or the matrix has no
    /// such rows or columns.
    fn rows(
        &mut self,
        isa: Isa,
        row: usize,
        first_column: usize,
        rows: impl WholeRows,
    ) -> Option<usize>;
}

/// Adds entries, times what vectors have in their rows, to the sums of their columns.
pub(super) struct AddScaled<'s, A, S> {
    /// Vectors, one after the other, with a number for each row.
    pub(super) x: &'s [A],
    pub(super) rows: usize,
    /// For each vector, for each column; and [`BEYOND`](crate::kernels::product::BEYOND) more.
    pub(super) sums: &'s mut [S],
    pub(super) columns: usize,
}

impl<A: Copy + Into<f64>, S: Sum> Sink for AddScaled<'_, A, S> {
    #[inline]
    fn entries(
        &mut self,
        isa: Isa,
        row: usize,
        columns: Range<usize>,
        n: usize,
        numbers: impl Columns,
        weights: impl Weights,
    ) -> Option<()> {
        let vectors = self.x.chunks_exact(self.rows);
        for (x, sums) in vectors.zip(self.sums.chunks_exact_mut(self.columns)) {
            let (x, sums) = (*x.get(row)?, sums.get_mut(columns.clone())?);
            add_scaled(isa, n, numbers, weights, x.into(), sums);
        }
        Some(())
    }

    fn rows(
        &mut self,
        isa: Isa,
        row: usize,
        first_column: usize,
        rows: impl WholeRows,
    ) -> Option<usize> {
        let mut n = None;
        let vectors = self.x.chunks_exact(self.rows);
        for (x, first) in vectors.zip((first_column..).step_by(self.columns)) {
            let (x, sums) = (x.get(row..)?, self.sums.get_mut(first..)?);
            n = Some(rows.add_scaled(isa, x, sums)?);
        }
        n
    }
}

/// Adds entries, times what vectors have in their columns, to the sums of their rows.
pub(super) struct Dots<'s, S> {
    /// Vectors, one after the other, with a number for each column; and [`BEYOND`](crate::kernels::product::BEYOND) more.
    pub(super) x: &'s [f64],
    pub(super) columns: usize,
    /// Whether no number in `x` is infinite or NaN.
    pub(super) all_finite: bool,
    /// For each vector, for each row from the first one on.
    pub(super) sums: &'s mut [S],
    pub(super) rows: Range<usize>,
}

impl<S: Sum> Sink for Dots<'_, S> {
    #[inline]
    fn entries(
        &mut self,
        isa: Isa,
        row: usize,
        columns: Range<usize>,
        n: usize,
        numbers: impl Columns,
        weights: impl Weights,
    ) -> Option<()> {
        let vectors = self.x.chunks_exact(self.columns);
        for (x, sums) in vectors.zip(self.sums.chunks_exact_mut(self.rows.len())) {
            let x = x.get(columns.clone())?;
            let of_row = sums.get_mut(row.checked_sub(self.rows.start)?)?;
            of_row.merge(dot(isa, n, numbers, weights, x, self.all_finite));
        }
        Some(())
    }

    fn rows(
        &mut self,
        isa: Isa,
        row: usize,
        first_column: usize,
        rows: impl WholeRows,
    ) -> Option<usize> {
        let mut n = None;
        let vectors = self.sums.chunks_exact_mut(self.rows.len());
        for (sums, first) in vectors.zip((first_column..).step_by(self.columns)) {
            let x = self.x.get(first..)?;
            let sums = sums.get_mut(row.checked_sub(self.rows.start)?..)?;
            n = Some(rows.dot(isa, x, self.all_finite, sums)?);
        }
        n
    }
}

/// How the elements of a block fall into rows of the matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fold {
    /// Elements of a row.
    pub(super) columns: u64,
    /// Number in the matrix of the block's first element.
    pub(super) first_element: u64,
    /// Elements of the block.
    pub(super) n: u32,
}

/// What of a row is in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RowPart {
    row: u64,
    /// Column of the first element.
    first_column: u64,
    /// Positions in the block.
    start: u32,
    end: u32,
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "a block has elements of a matrix: there are columns, and numbers of elements fit 64 bits; a part \
              begins before the position that it has"
)]
impl Fold {
    /// The part that a position is in.
    fn part_of(&self, position: u32) -> RowPart {
        let element = self.first_element + u64::from(position);
        let (row, column) = (element / self.columns, element % self.columns);
        let start = u64::from(position).saturating_sub(column);
        let first_column = column - (u64::from(position) - start);
        RowPart {
            row,
            first_column,
            start: start as u32,
            end: self.end(start, first_column),
        }
    }

    /// The part after another one.
    fn after(&self, part: RowPart) -> RowPart {
        RowPart {
            row: part.row + 1,
            first_column: 0,
            start: part.end,
            end: self.end(part.end.into(), 0),
        }
    }

    fn end(&self, start: u64, first_column: u64) -> u32 {
        (start + (self.columns - first_column)).min(self.n.into()) as u32
    }
}

/// Hands the entries of a block to a sink, row by row.
pub(super) struct Runs<'s, K> {
    fold: Fold,
    isa: Isa,
    /// Where the last entry was.
    part: RowPart,
    sink: &'s mut K,
}

impl<'s, K: Sink> Runs<'s, K> {
    pub(super) fn new(fold: Fold, isa: Isa, sink: &'s mut K) -> Self {
        Self {
            fold,
            isa,
            part: fold.part_of(0),
            sink,
        }
    }

    #[inline]
    fn go_to(&mut self, position: u32) {
        if position >= self.part.end && self.part.end < self.fold.n {
            self.part = self.fold.after(self.part);
        }
        if !(self.part.start..self.part.end).contains(&position) {
            self.part = self.fold.part_of(position);
        }
    }

    #[inline]
    fn columns(&self) -> Range<usize> {
        let part = self.part;
        let start = part.first_column as usize;
        start..start.saturating_add(part.end.saturating_sub(part.start) as usize)
    }

    /// Takes entries at these positions of the block, which ascend.
    ///
    /// `Corrupt` if one is not in it.
    pub(super) fn ascending(
        &mut self,
        positions: Ascending<'_>,
        weights: Weighed<'_>,
    ) -> Result<()> {
        weighed!(weights, |weights| self
            .ascending_weights(positions, weights))
    }

    #[inline]
    fn ascending_weights(&mut self, positions: Ascending<'_>, weights: impl Weights) -> Result<()> {
        if positions
            .list()
            .last()
            .is_some_and(|&last| last >= self.fold.n)
        {
            return Err(outside());
        }
        let (mut left, mut weights) = (positions, weights);
        while let Some(&position) = left.list().first() {
            self.go_to(position);
            let (here, after) = left.split_below(self.part.end);
            let n = here.list().len();
            self.entries(n, Sorted(here, self.part.start), weights)?;
            (left, weights) = (after, weights.skip(n));
        }
        Ok(())
    }

    /// Hands entries of the row part to the sink.
    #[inline]
    fn entries(&mut self, n: usize, numbers: impl Columns, weights: impl Weights) -> Result<()> {
        let (row, columns) = (self.part.row as usize, self.columns());
        self.sink
            .entries(self.isa, row, columns, n, numbers, weights)
            .ok_or_else(outside)
    }

    /// Takes entries of bitmaps in row parts of the block from this position on; all parts have as many
    /// elements. Returns how many entries.
    ///
    /// `Corrupt` if there are fewer weights, or a bit is set after the last one of its row.
    pub(super) fn bits(&mut self, start: u32, rows: BitRows<'_, Weighed<'_>>) -> Result<usize> {
        self.go_to(start);
        weighed!(rows.weights, |weights| self
            .rows(rows.with_weights(weights)))
        .ok_or_else(|| Error::corrupt("bitmaps with more entries than values"))
    }

    /// The same of steps.
    ///
    /// `Corrupt` if there are fewer weights, an entry is not in its row, or the pointers are not those of steps.
    pub(super) fn steps(&mut self, start: u32, rows: StepRows<'_, Weighed<'_>>) -> Result<usize> {
        self.go_to(start);
        weighed!(rows.weights, |weights| self
            .rows(rows.with_weights(weights)))
        .ok_or_else(|| Error::corrupt("steps out of their row, or to more entries than values"))
    }

    /// Hands whole row parts to the sink.
    #[inline]
    fn rows(&mut self, rows: impl WholeRows) -> Option<usize> {
        let (row, first_column) = (self.part.row as usize, self.part.first_column as usize);
        self.sink.rows(self.isa, row, first_column, rows)
    }

    /// Takes entries at these positions of the block, in any order.
    ///
    /// `Corrupt` if one is not in it.
    pub(super) fn listed(&mut self, positions: &[u32], weights: Weighed<'_>) -> Result<()> {
        weighed!(weights, |weights| self.listed_weights(positions, weights))
    }

    fn listed_weights(&mut self, positions: &[u32], weights: impl Weights) -> Result<()> {
        if positions.iter().any(|&position| position >= self.fold.n) {
            return Err(outside());
        }
        let (mut left, mut weights) = (positions, weights);
        while let Some(&position) = left.first() {
            self.go_to(position);
            let RowPart { start, end, .. } = self.part;
            let is_inside = |position: &&u32| (start..end).contains(position);
            let n = left.iter().take_while(is_inside).count();
            let (here, after) = left.split_at(n);
            self.entries(n, Listed(here, start), weights)?;
            (left, weights) = (after, weights.skip(n));
        }
        Ok(())
    }

    /// Takes `n` elements that follow each other, from this position on.
    ///
    /// `Corrupt` if they are not all in the block.
    pub(super) fn adjacent(&mut self, start: u32, n: usize, weights: Weighed<'_>) -> Result<()> {
        weighed!(weights, |weights| self.adjacent_weights(start, n, weights))
    }

    fn adjacent_weights(&mut self, start: u32, n: usize, weights: impl Weights) -> Result<()> {
        let end = u32::try_from(n).ok().and_then(|n| start.checked_add(n));
        let end = end.filter(|&end| end <= self.fold.n).ok_or_else(outside)?;
        let (mut position, mut weights) = (start, weights);
        while position < end {
            self.go_to(position);
            let until = self.part.end.min(end);
            let here = until.saturating_sub(position) as usize;
            let numbers = Adjacent(position.saturating_sub(self.part.start) as usize);
            self.entries(here, numbers, weights)?;
            (position, weights) = (until, weights.skip(here));
        }
        Ok(())
    }
}

fn outside() -> Error {
    Error::corrupt("an entry outside of its block or its matrix")
}

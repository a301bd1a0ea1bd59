//! Entries, row by row of the matrix, and what is done with them.

use crate::error::{Error, Result};
use crate::kernels::product::{Adjacent, Codes, Columns, Doubles, Floats, Listed, Sum, Weights};
use crate::kernels::product::{add_scaled, dot};
use std::ops::Range;

/// Weights of some entries, in one of the ways that kernels know.
#[derive(Clone, Copy)]
pub(super) enum Weighed<'a> {
    Floats(Floats<'a>),
    Doubles(Doubles<'a>),
    Codes(Codes<'a>),
}

/// What is done with the entries of rows.
pub(super) trait Sink {
    /// Takes `n` entries in `row`; their columns count from `columns.start`.
    fn entries(
        &mut self,
        row: usize,
        columns: Range<usize>,
        n: usize,
        numbers: impl Columns,
        weights: impl Weights,
    );
}

/// Adds entries, times what vectors have in their rows, to the sums of their columns.
pub(super) struct AddScaled<'s, A, S> {
    /// Vectors, one after the other, with a number for each row.
    pub(super) x: &'s [A],
    pub(super) rows: usize,
    /// For each vector, for each column.
    pub(super) sums: &'s mut [S],
    pub(super) columns: usize,
}

impl<A: Copy + Into<f64>, S: Sum> Sink for AddScaled<'_, A, S> {
    #[inline]
    fn entries(
        &mut self,
        row: usize,
        columns: Range<usize>,
        n: usize,
        numbers: impl Columns,
        weights: impl Weights,
    ) {
        let vectors = self.x.chunks_exact(self.rows);
        for (x, sums) in vectors.zip(self.sums.chunks_exact_mut(self.columns)) {
            add_scaled(
                n,
                numbers,
                weights,
                x[row].into(),
                &mut sums[columns.clone()],
            );
        }
    }
}

/// Adds entries, times what vectors have in their columns, to the sums of their rows.
pub(super) struct Dots<'s, S> {
    /// Vectors, one after the other, with a number for each column.
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
        row: usize,
        columns: Range<usize>,
        n: usize,
        numbers: impl Columns,
        weights: impl Weights,
    ) {
        let vectors = self.x.chunks_exact(self.columns);
        for (x, sums) in vectors.zip(self.sums.chunks_exact_mut(self.rows.len())) {
            let x = &x[columns.clone()];
            sums[row - self.rows.start].merge(dot(n, numbers, weights, x, self.all_finite));
        }
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
    /// Where the last entry was.
    part: RowPart,
    sink: &'s mut K,
}

impl<'s, K: Sink> Runs<'s, K> {
    pub(super) fn new(fold: Fold, sink: &'s mut K) -> Self {
        Self {
            fold,
            part: fold.part_of(0),
            sink,
        }
    }

    fn go_to(&mut self, position: u32) {
        if position >= self.part.end && self.part.end < self.fold.n {
            self.part = self.fold.after(self.part);
        }
        if !(self.part.start..self.part.end).contains(&position) {
            self.part = self.fold.part_of(position);
        }
    }

    fn columns(&self) -> Range<usize> {
        let part = self.part;
        let start = part.first_column as usize;
        start..start + (part.end - part.start) as usize
    }

    /// Takes entries at these positions of the block.
    ///
    /// `Corrupt` if one is not in it.
    pub(super) fn listed(&mut self, positions: &[u32], weights: Weighed<'_>) -> Result<()> {
        match weights {
            Weighed::Floats(weights) => self.listed_weights(positions, weights),
            Weighed::Doubles(weights) => self.listed_weights(positions, weights),
            Weighed::Codes(weights) => self.listed_weights(positions, weights),
        }
    }

    fn listed_weights(&mut self, positions: &[u32], weights: impl Weights) -> Result<()> {
        if positions.iter().any(|&position| position >= self.fold.n) {
            return Err(Error::corrupt("an entry outside of its block"));
        }
        let mut first = 0;
        while let Some(&position) = positions.get(first) {
            self.go_to(position);
            let RowPart {
                row, start, end, ..
            } = self.part;
            let left = &positions[first..];
            let is_inside = |position: &&u32| (start..end).contains(position);
            let n = left.iter().take_while(is_inside).count();
            let numbers = Listed(&left[..n], start);
            let columns = self.columns();
            self.sink
                .entries(row as usize, columns, n, numbers, weights.skip(first));
            first += n;
        }
        Ok(())
    }

    /// Takes `n` elements that follow each other, from this position on.
    ///
    /// `Corrupt` if they are not all in the block.
    pub(super) fn adjacent(&mut self, start: u32, n: usize, weights: Weighed<'_>) -> Result<()> {
        match weights {
            Weighed::Floats(weights) => self.adjacent_weights(start, n, weights),
            Weighed::Doubles(weights) => self.adjacent_weights(start, n, weights),
            Weighed::Codes(weights) => self.adjacent_weights(start, n, weights),
        }
    }

    fn adjacent_weights(&mut self, start: u32, n: usize, weights: impl Weights) -> Result<()> {
        if start as usize + n > self.fold.n as usize {
            return Err(Error::corrupt("an element outside of its block"));
        }
        let mut first = 0;
        while first < n {
            let position = start + first as u32;
            self.go_to(position);
            let here = ((self.part.end - position) as usize).min(n - first);
            let numbers = Adjacent((position - self.part.start) as usize);
            let columns = self.columns();
            self.sink.entries(
                self.part.row as usize,
                columns,
                here,
                numbers,
                weights.skip(first),
            );
            first += here;
        }
        Ok(())
    }
}

//! From rules to masks.

use super::mask::Mask;
use super::rule::Rule;
use super::sum::{Norm, Spread, norm, sum, unit_of};
use crate::error::Result;
use crate::parallel;

/// The weights of a tensor, as numbers.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// All elements, in row-major order.
    pub values: &'a [f64],
    /// Length of the last axis: elements of a row.
    pub columns: usize,
}

/// What a rule leaves of a tensor.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Pruning {
    /// The weights that are left.
    pub mask: Mask,
    /// For rules that compare with a number, that number: smaller |w| are pruned. For those that
    /// count, the largest |w| that is pruned. `None` where there is no such number for the whole
    /// tensor, or nothing is pruned.
    pub threshold: Option<f64>,
}

impl Rule {
    /// Finds what is left of `tensors`. Only [`Rule::Global`] looks at them together.
    ///
    /// # Errors
    /// As [`Rule::check`].
    ///
    /// # Panics
    /// If the number of columns doesn't divide the number of elements.
    pub fn prune(&self, tensors: &[Weights<'_>]) -> Result<Vec<Pruning>> {
        self.check()?;
        if let Self::Global(sparsity) = *self {
            return Ok(smallest(tensors, share(sparsity, n_elements(tensors))));
        }
        Ok(parallel::map(tensors, |weights| self.prune_one(weights)))
    }

    pub(crate) fn prune_one(&self, weights: &Weights<'_>) -> Pruning {
        let finite = || weights.values.iter().copied().filter(|w| w.is_finite());
        let half_norm = || norm(finite(), 2.0);
        match *self {
            Self::Std(q) => below(weights, q * Spread::of(finite()).deviation()),
            Self::Magnitude(t) => below(weights, t),
            Self::Norm(q) => below(weights, q * half_norm()),
            Self::ColumnVariance => below_in_columns(weights, half_norm()),
            Self::Sparsity(s) | Self::Global(s) => {
                Cut::of(&[*weights], share(s, weights.values.len())).prune(weights)
            }
            Self::Error(e) => {
                let n = Ranked::new(finite()).within_error(e);
                Cut::of(&[*weights], n).prune(weights)
            }
            Self::Nm { keep, of } => largest_of_each(weights, keep, of),
            Self::Block {
                rows,
                columns,
                sparsity,
            } => smallest_blocks(weights, rows, columns, sparsity),
        }
    }
}

fn n_elements(tensors: &[Weights<'_>]) -> usize {
    tensors.iter().map(|weights| weights.values.len()).sum()
}

/// `share` of `n`, rounded to the nearest whole number, halves up.
fn share(share: f64, n: usize) -> usize {
    (share * n as f64 + 0.5).floor() as usize
}

/// Whether a weight is left that no rule prunes: there is none where it was zero.
fn is_there(w: f64) -> bool {
    w != 0.0
}

/// Whether |w| < `threshold`; neither NaN nor an infinity is.
fn is_below(w: f64, threshold: f64) -> bool {
    w.abs() < threshold
}

/// Prunes |w| < `threshold`.
fn below(weights: &Weights<'_>, threshold: f64) -> Pruning {
    let is_left = |&w: &f64| is_there(w) && !is_below(w, threshold);
    Pruning {
        mask: weights.values.iter().map(is_left).collect(),
        threshold: Some(threshold),
    }
}

/// Prunes, in each column, what is below the square of its variance times `norm`.
fn below_in_columns(weights: &Weights<'_>, norm: f64) -> Pruning {
    let columns = weights.columns.max(1);
    let thresholds: Vec<f64> = (0..weights.columns)
        .map(|j| {
            let column = weights.values.iter().skip(j).step_by(columns).copied();
            let variance = Spread::of(column.filter(|w| w.is_finite())).variance();
            variance * variance * norm
        })
        .collect();
    let is_left = |(&w, &threshold): (&f64, &f64)| is_there(w) && !is_below(w, threshold);
    let thresholds = thresholds.iter().cycle();
    Pruning {
        mask: weights.values.iter().zip(thresholds).map(is_left).collect(),
        threshold: None,
    }
}

/// The |w| of finite weights in ascending order.
pub(crate) struct Ranked {
    sizes: Vec<f64>,
    /// How large they are together.
    all: f64,
    /// How large so many of the smallest are together.
    lost: (usize, Norm),
}

impl Ranked {
    pub(crate) fn new(values: impl Iterator<Item = f64>) -> Self {
        let mut sizes: Vec<f64> = values.filter(|w| w.is_finite()).map(f64::abs).collect();
        sizes.sort_unstable_by(f64::total_cmp);
        let nothing = Norm::in_units_of(unit_of(sizes.last().copied().into_iter()));
        let mut all = nothing.clone();
        all.add(sizes.iter().copied());
        Self {
            sizes,
            all: all.value(1.0),
            lost: (0, nothing),
        }
    }

    /// The relative error of losing the `n` smallest; `n` grows from call to call.
    pub(crate) fn error_without(&mut self, n: usize) -> f64 {
        let (n_lost, lost) = &mut self.lost;
        lost.add(self.sizes[*n_lost..n].iter().copied());
        *n_lost = n;
        match self.all {
            0.0 => 0.0,
            all => lost.value(1.0) / all,
        }
    }

    /// How many `sparsity:S` prunes of `n_elements`, finite or not.
    pub(crate) fn share(&self, sparsity: f64, n_elements: usize) -> usize {
        share(sparsity, n_elements).min(self.sizes.len())
    }

    /// Where the `n` smallest end.
    pub(crate) fn cut(&self, n: usize) -> Cut {
        let threshold = n.checked_sub(1).map(|last| self.sizes[last]);
        let below = self
            .sizes
            .partition_point(|&size| threshold.is_some_and(|threshold| size < threshold));
        Cut {
            threshold,
            ties: n - below,
        }
    }

    /// How many of the smallest can go until their norm is more than `error` of all.
    fn within_error(self, error: f64) -> usize {
        let limit = error * self.all;
        let (mut within, mut lost) = self.lost;
        // The norm grows with every weight: between `within` and `beyond` is the first that is too much.
        let mut beyond = self.sizes.len() + 1;
        while beyond - within > 1 {
            let middle = within.midpoint(beyond);
            let mut more = lost.clone();
            more.add(self.sizes[within..middle].iter().copied());
            match more.value(1.0) <= limit {
                true => (within, lost) = (middle, more),
                false => beyond = middle,
            }
        }
        within
    }
}

/// Where the smallest weights end: below `threshold`, and the first `ties` of those that are equal to
/// it.
#[derive(Clone, Copy)]
pub(crate) struct Cut {
    threshold: Option<f64>,
    ties: usize,
}

impl Cut {
    /// Where the `n` smallest |w| of all tensors end, as if they were one.
    fn of(tensors: &[Weights<'_>], n: usize) -> Self {
        let finite = || {
            let all = tensors.iter().flat_map(|weights| weights.values);
            all.filter(|w| w.is_finite()).map(|w| w.abs())
        };
        let mut sizes: Vec<f64> = finite().collect();
        let n = n.min(sizes.len());
        let threshold = n.checked_sub(1).map(|last| {
            let (_, threshold, _) = sizes.select_nth_unstable_by(last, f64::total_cmp);
            *threshold
        });
        let is_below = |&size: &f64| threshold.is_some_and(|threshold| size < threshold);
        Self {
            threshold,
            ties: n - finite().filter(is_below).count(),
        }
    }

    /// Prunes what is before it of the next tensor; NaN and infinities stay.
    pub(crate) fn prune(&mut self, weights: &Weights<'_>) -> Pruning {
        let Some(threshold) = self.threshold else {
            return Pruning {
                mask: weights.values.iter().map(|&w| is_there(w)).collect(),
                threshold: None,
            };
        };
        let mut is_left = |&w: &f64| match w.abs() {
            size if size < threshold => false,
            size if size == threshold && self.ties > 0 => {
                self.ties -= 1;
                false
            }
            _ => is_there(w),
        };
        Pruning {
            mask: weights.values.iter().map(&mut is_left).collect(),
            threshold: self.threshold,
        }
    }
}

/// Prunes the `n` smallest |w| of all tensors, as if they were one.
fn smallest(tensors: &[Weights<'_>], n: usize) -> Vec<Pruning> {
    let mut cut = Cut::of(tensors, n);
    tensors.iter().map(|weights| cut.prune(weights)).collect()
}

/// Keeps the `keep` largest |w| of each `of` in a row.
fn largest_of_each(weights: &Weights<'_>, keep: usize, of: usize) -> Pruning {
    let mut mask = Vec::with_capacity(weights.values.len());
    let mut order: Vec<usize> = Vec::with_capacity(of.min(weights.columns));
    for row in weights.values.chunks(weights.columns.max(1)) {
        for group in row.chunks(of) {
            let size = |i: usize| match group[i].is_finite() {
                true => group[i].abs(),
                false => f64::INFINITY,
            };
            order.clear();
            order.extend(0..group.len());
            // Stable: of equal ones the first come first, and go first.
            order.sort_by(|&a, &b| size(a).total_cmp(&size(b)));
            let start = mask.len();
            mask.extend(group.iter().map(|&w| is_there(w)));
            for &i in &order[..group.len().saturating_sub(keep)] {
                if group[i].is_finite() {
                    mask[start + i] = false;
                }
            }
        }
    }
    Pruning {
        mask: mask.into_iter().collect(),
        threshold: None,
    }
}

/// Prunes `sparsity` of the blocks of `rows` × `columns`, those with the smallest Σw²; a block with a
/// NaN or an infinity stays.
fn smallest_blocks(weights: &Weights<'_>, rows: usize, columns: usize, sparsity: f64) -> Pruning {
    let width = weights.columns.max(1);
    let blocks_across = width.div_ceil(columns);
    let mut mask: Vec<bool> = weights.values.iter().map(|&w| is_there(w)).collect();
    // The elements of a block, row by row.
    let ranges = |block: usize| {
        let (top, left) = (
            block / blocks_across * rows,
            block % blocks_across * columns,
        );
        let bottom = top.saturating_add(rows).min(weights.values.len() / width);
        let right = left.saturating_add(columns).min(width);
        (top..bottom).map(move |row| row * width + left..row * width + right)
    };
    let n_rows = weights.values.len() / width;
    let n_blocks = n_rows.div_ceil(rows) * blocks_across;
    let unit = unit_of(weights.values.iter().copied().filter(|w| w.is_finite()));
    let values = |block: usize| ranges(block).flat_map(|range| &weights.values[range]);
    let mut sizes: Vec<(f64, usize)> = (0..n_blocks)
        .filter(|&block| values(block).all(|w| w.is_finite()))
        .map(|block| {
            let scaled = values(block).map(|w| w / unit);
            (sum(scaled.map(|w| w * w)), block)
        })
        .collect();
    let n = share(sparsity, n_blocks).min(sizes.len());
    if let Some(last) = n.checked_sub(1) {
        let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        sizes.select_nth_unstable_by(last, order);
    }
    for &(_, block) in &sizes[..n] {
        for range in ranges(block) {
            mask[range].fill(false);
        }
    }
    Pruning {
        mask: mask.into_iter().collect(),
        threshold: None,
    }
}

#[cfg(test)]
mod tests;

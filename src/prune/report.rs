//! What pruning came to.

use super::assign::ShareBits;
use super::mask::Mask;
use super::rule::Rule;
use super::select::{FoundBy, LeftAlone};
use super::sum::norm;
use crate::model::Model;
use crate::tensor::{DType, ElementClass, element_count};
use std::collections::HashSet;

/// What pruning came to.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PruneReport {
    /// The weights that were pruned or shared, in the order of the model's tensors; what is stored
    /// several times is here once.
    pub tensors: Vec<PrunedTensor>,
    /// Weights that could not be pruned.
    pub left_alone: Vec<LeftAlone>,
    /// Rules and numbers of bits whose names no weight has.
    pub unused: Vec<String>,
    /// Tensors of floats that were not to be pruned: biases, batch norm, optimizer state, weights
    /// without a rule.
    pub other_tensors: usize,
    /// Their elements.
    pub other_parameters: u64,
}

/// One weight.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PrunedTensor {
    /// Its tensor's name; where several weights have the same, with the file's before it (`FILE:NAME`) or
    /// a number behind it (`NAME#2`).
    pub name: String,
    /// Names of other tensors that are the same thing, and were changed with it.
    pub copies: Vec<String>,
    /// Name of the file that it stands in.
    pub file: String,
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first.
    pub shape: Vec<u64>,
    /// How it was found to be a weight.
    pub found_by: FoundBy,
    /// The rule for it, if there was one.
    pub rule: Option<Rule>,
    /// The bits of its codes, if its values were shared.
    pub share: Option<ShareBits>,
    /// Number of elements.
    pub parameters: u64,
    /// Number of elements that were not zero before.
    pub nnz: u64,
    /// Number of elements that are not zero now.
    pub left: u64,
    /// Number of elements that are NaN or infinite; they stay as they are.
    pub not_finite: u64,
    /// See [`Pruning::threshold`](super::Pruning::threshold).
    pub threshold: Option<f64>,
    /// ‖w − w′‖₂ / ‖w‖₂ with w′ the weights now, of the finite ones; 0 where all were zero.
    pub relative_error: f64,
    /// ‖w‖₂ of the finite weights before.
    pub norm: f64,
    /// Which elements are left.
    pub mask: Mask,
}

impl PrunedTensor {
    /// left / parameters; 0 of none.
    pub fn density(&self) -> f64 {
        match self.parameters {
            0 => 0.0,
            parameters => self.left as f64 / parameters as f64,
        }
    }
}

impl PruneReport {
    pub(super) fn new(left_alone: Vec<LeftAlone>) -> Self {
        Self {
            left_alone,
            ..Self::default()
        }
    }

    /// Parameters of all weights that were pruned or shared.
    pub fn parameters(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.parameters).sum()
    }

    /// How many of them are left.
    pub fn left(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.left).sum()
    }

    /// ‖w − w′‖₂ / ‖w‖₂ over all of them as if they were one; 0 where all were zero.
    pub fn relative_error(&self) -> f64 {
        let lost = self.tensors.iter().map(|t| t.relative_error * t.norm);
        match norm(self.tensors.iter().map(|t| t.norm), 1.0) {
            0.0 => 0.0,
            all => norm(lost, 1.0) / all,
        }
    }

    /// Counts the tensors whose numbers are not among `touched`.
    pub(super) fn count_others(&mut self, model: &Model, touched: impl Iterator<Item = usize>) {
        let touched: HashSet<usize> = touched.collect();
        for (number, tensor) in model.tensors.iter().enumerate() {
            let is_float = tensor.dtype.class() == ElementClass::Float;
            if is_float && !touched.contains(&number) {
                self.other_tensors += 1;
                self.other_parameters += element_count(&tensor.shape).unwrap_or(0);
            }
        }
    }
}

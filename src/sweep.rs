//! What pruning would cost and save, before a rule is chosen: error and size against sparsity.

use crate::codec::{self, CodecOptions};
use crate::container::Root;
use crate::error::{Result, Within};
use crate::model::{self, Input, InputFile};
use crate::pack::{self, PackOptions};
use crate::parallel;
use crate::profile::Effort;
use crate::prune::{PruneOptions, Ranked, Rule, Weight, find, without};
use std::io;
use std::path::Path;

/// Error and size of a model's weights at several sparsities.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SweepReport {
    /// Every weight, in the order of the model's tensors.
    pub tensors: Vec<TensorSweep>,
    /// Bytes of the `.tfz` file besides the weights: what the model's files hold between them, other
    /// tensors, the manifest.
    pub other_bytes: u64,
    /// Bytes of the model's files.
    pub model_bytes: u64,
}

/// Error and size of one weight.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TensorSweep {
    /// As [`PrunedTensor::name`](crate::prune::PrunedTensor::name).
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<u64>,
    /// Number of elements.
    pub parameters: u64,
    /// Elements that are not zero.
    pub nnz: u64,
    /// One for each step.
    pub points: Vec<SweepPoint>,
}

/// A weight at one sparsity.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SweepPoint {
    /// S of the rule `sparsity:S`.
    pub sparsity: f64,
    /// Elements that are left.
    pub left: u64,
    /// The largest |w| that is pruned; `None` if nothing is.
    pub threshold: Option<f64>,
    /// ‖w − w′‖₂ / ‖w‖₂.
    pub relative_error: f64,
    /// Bytes that the weight takes in a `.tfz` file.
    pub archive_bytes: u64,
}

impl SweepReport {
    /// Bytes to expect of the `.tfz` file with all weights at step number `step`.
    ///
    /// # Panics
    /// If there is no such step.
    pub fn archive_bytes(&self, step: usize) -> u64 {
        let weights = self.tensors.iter().map(|t| t.points[step].archive_bytes);
        self.other_bytes + weights.sum::<u64>()
    }
}

/// Applies the rule `sparsity:S`, for every S of `steps`, to each weight of the model at `path`, and
/// encodes what is left.
///
/// `selection` says what is a weight; its rules and masks don't matter. Sizes are those of
/// `packing.profile` with [`Effort::Fast`], which come within 1 % of the default's; `packing` says on
/// how many threads.
///
/// # Errors
/// `InvalidArgument` if a step is not from 0 to 1; as [`pack_file`](crate::pack_file).
pub fn sweep_file(
    path: impl AsRef<Path>,
    selection: &PruneOptions,
    steps: &[f64],
    packing: &PackOptions,
) -> Result<SweepReport> {
    let path = path.as_ref();
    let input = Input::open(path)?;
    parallel::with_threads(packing.threads, || {
        sweep(&input.files(), selection, steps, packing)
    })
    .within(|| path.display().to_string())
}

fn sweep(
    files: &[InputFile<'_>],
    selection: &PruneOptions,
    steps: &[f64],
    packing: &PackOptions,
) -> Result<SweepReport> {
    steps
        .iter()
        .try_for_each(|&step| Rule::Sparsity(step).check())?;
    let mut packing = packing.clone();
    packing.effort = Effort::Fast;
    let model = model::read(files)?;
    let (weights, _) = find(files, &model, selection)?;
    let tensors = parallel::map(&weights, |weight| one(weight, steps, &packing));
    let rest = without(files, &weights)?;
    let contents = files.iter().zip(&rest.files);
    let rest: Vec<InputFile<'_>> = contents
        .map(|(file, bytes)| InputFile { bytes, ..*file })
        .collect();
    let (_, rest) = pack::pack(&rest, &Root::default(), &packing, io::sink())?;
    Ok(SweepReport {
        tensors: tensors.into_iter().collect::<Result<_>>()?,
        other_bytes: rest.archive_bytes,
        model_bytes: rest.model_bytes,
    })
}

fn one(weight: &Weight<'_>, steps: &[f64], packing: &PackOptions) -> Result<TensorSweep> {
    let tensor = weight.tensor();
    let values = weight.values();
    let rows = weight.rows(&values);
    let mut codec = CodecOptions::default();
    (codec.profile, codec.effort) = (packing.profile, packing.effort);
    let mut ranked = Ranked::new(values.iter().copied());
    // From the lowest sparsity on, what is lost only grows.
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.sort_by(|&a, &b| steps[a].total_cmp(&steps[b]));
    let mut points: Vec<(usize, SweepPoint)> = Vec::with_capacity(steps.len());
    for step in order {
        let n = ranked.share(steps[step], values.len());
        let pruning = ranked.cut(n).prune(&rows);
        let left = pruning.mask.left() as u64;
        // Steps below what is zero already change nothing.
        let same = points.last().filter(|(_, point)| point.left == left);
        let archive_bytes = match same {
            Some((_, point)) => point.archive_bytes,
            None if values.is_empty() => 0,
            None => {
                let bytes = weight.masked(&pruning.mask);
                codec::encode(tensor.dtype, &tensor.shape, &bytes, &codec)?
                    .1
                    .len() as u64
            }
        };
        let point = SweepPoint {
            sparsity: steps[step],
            left,
            threshold: pruning.threshold,
            relative_error: ranked.error_without(n),
            archive_bytes,
        };
        points.push((step, point));
    }
    points.sort_by_key(|(step, _)| *step);
    Ok(TensorSweep {
        name: weight.name.clone(),
        shape: tensor.shape.clone(),
        parameters: values.len() as u64,
        nnz: values.iter().filter(|w| **w != 0.0).count() as u64,
        points: points.into_iter().map(|(_, point)| point).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_grow_and_sizes_shrink_with_sparsity() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits-300-100.pb");
        let steps = [0.0, 0.5, 0.95, 0.98, 1.0];
        let packing = PackOptions {
            effort: Effort::Fast,
            ..PackOptions::default()
        };
        let report = sweep_file(path, &PruneOptions::default(), &steps, &packing).unwrap();
        assert_eq!(report.tensors.len(), 3);
        for tensor in &report.tensors {
            assert!(tensor.points.is_sorted_by(|a, b| a.left >= b.left
                && a.relative_error <= b.relative_error
                && a.archive_bytes >= b.archive_bytes));
            assert_eq!(tensor.points[0].left, tensor.nnz);
            assert_eq!(tensor.points[0].relative_error, 0.0);
            let last = tensor.points[4];
            assert_eq!((last.left, last.relative_error), (0, 1.0));
        }
        // The file as it is, and the sum of its parts.
        let bytes = std::fs::read(path).unwrap();
        let (_, packed) = crate::pack_slice(&bytes, "digits-300-100.pb", &packing).unwrap();
        let expected = report.archive_bytes(0).abs_diff(packed.archive_bytes);
        assert!(expected * 100 < packed.archive_bytes, "{expected}");
        assert!(sweep_file(path, &PruneOptions::default(), &[1.5], &packing).is_err());
    }
}

//! The pass over a model: weights are found, rules applied, and elements changed.

use super::assign::{Assigned, ShareBits, assigned};
use super::mask::{Mask, Masks, TensorMask};
use super::masks::{Pruning, Weights};
use super::report::{PruneReport, PrunedTensor};
use super::rule::Rule;
use super::select::{LeftAlone, select};
use super::share::{centroids, nearest};
use super::sum::norm;
use super::weight::{Stored, Weight};
use crate::error::{Error, Result, Within};
use crate::model::{self, Change, InputFile, Model, Rewritten};
use crate::parallel;
use glob::Pattern;
use std::fmt;

/// What to prune, and how.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PruneOptions {
    /// Rules; of those for one tensor the last counts. Weights without a rule are left alone.
    pub rules: Vec<Assigned<Rule>>,
    /// Weight sharing, after pruning; of those for one tensor the last counts.
    pub share: Vec<Assigned<ShareBits>>,
    /// Names of tensors that are pruned even if they aren't found to be weights.
    pub include: Vec<Pattern>,
    /// Names of tensors that are not pruned, nor what belongs to them.
    pub exclude: Vec<Pattern>,
    /// Tensors of fewer elements are not pruned.
    pub min_elements: u64,
    /// Masks made elsewhere, by the tensors' names as [`PrunedTensor::name`] has them: what they don't
    /// leave is pruned too. Tensors that they name are pruned like those of `include`.
    pub masks: Masks,
}

impl PruneOptions {
    fn check(&self) -> Result<()> {
        if self.rules.is_empty() && self.share.is_empty() && self.masks.is_empty() {
            return Err(Error::invalid(
                "nothing to do: expected a rule, a mask, or weights to share",
            ));
        }
        self.rules.iter().try_for_each(|rule| rule.value().check())
    }
}

/// A model's files after pruning.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pruned {
    /// What was pruned.
    pub report: PruneReport,
    /// The content of all files, in the order of the input, and what could not be repaired in them.
    pub rewritten: Rewritten,
}

/// Prunes a model: the files come back with zeros in place of pruned weights, checksums repaired.
///
/// All files are held in memory, and of each weight its numbers while it is worked on (of all those
/// with [`Rule::Global`] at once).
///
/// # Errors
/// `InvalidArgument` if a rule is out of its range, if there is nothing to do for any weight, or if a
/// mask doesn't fit its tensor; `Model` as [`model::read`] and [`model::rewrite`].
pub fn prune(files: &[InputFile<'_>], options: &PruneOptions) -> Result<Pruned> {
    options.check()?;
    let model = model::read(files)?;
    let (weights, left_alone) = find(files, &model, options)?;
    let tasks = tasks(&weights, options)?;
    if tasks.is_empty() {
        return Err(Error::invalid(format!(
            "no rule is for any of the {} weights found; other tensors can be included by name",
            weights.len()
        )));
    }
    let mut report = PruneReport::new(left_alone);
    report.unused.extend(unused(&weights, &options.rules));
    report.unused.extend(unused(&weights, &options.share));
    let mut changes = Vec::new();
    for done in parallel::map(&tasks, |task| task.run(files)) {
        let (tensor, more) = done?;
        report.tensors.push(tensor);
        changes.extend(more);
    }
    report.count_others(&model, changes.iter().map(|change| change.tensor));
    let rewritten = model::rewrite(files, &changes)?;
    Ok(Pruned { report, rewritten })
}

/// What of a list is for none of the weights.
fn unused<T: fmt::Display>(weights: &[Weight<'_>], list: &[Assigned<T>]) -> Vec<String> {
    let is_unused = |a: &&Assigned<T>| !weights.iter().any(|weight| a.is_for(&weight.names()));
    list.iter()
        .filter(is_unused)
        .map(ToString::to_string)
        .collect()
}

/// The weights of a model that `options` choose.
pub(crate) fn find<'a>(
    files: &'a [InputFile<'a>],
    model: &'a Model,
    options: &PruneOptions,
) -> Result<(Vec<Weight<'a>>, Vec<LeftAlone>)> {
    let usage = model::usage(files, model)?;
    Ok(select(files, model, &usage, options))
}

/// The files with zeros in place of all of `weights`.
pub(crate) fn without(files: &[InputFile<'_>], weights: &[Weight<'_>]) -> Result<Rewritten> {
    let empty = |weight: &Weight<'_>, copy: &Stored<'_>| {
        let mut bytes = copy.bytes.to_vec();
        let mask = Mask::none_of(bytes.len() / weight.numbers.width());
        weight.numbers.clear(&mut bytes, &mask);
        Change {
            tensor: copy.number,
            bytes,
        }
    };
    let copies = weights
        .iter()
        .flat_map(|weight| weight.copies.iter().map(move |copy| empty(weight, copy)));
    model::rewrite(files, &copies.collect::<Vec<_>>())
}

/// What is to be done to a weight.
struct Task<'a> {
    weight: &'a Weight<'a>,
    rule: Option<Rule>,
    share: Option<ShareBits>,
    /// A mask made elsewhere.
    given: Option<&'a TensorMask>,
    /// What the rule leaves, if it was found together with others.
    pruning: Option<Pruning>,
}

/// One for each weight for which there is something to do.
fn tasks<'a>(weights: &'a [Weight<'a>], options: &'a PruneOptions) -> Result<Vec<Task<'a>>> {
    let is_missing = |name: &&String| !weights.iter().any(|weight| weight.name == **name);
    if let Some(name) = options.masks.keys().find(is_missing) {
        return Err(Error::invalid(format!(
            "there is a mask for {name:?}, but no weight of that name"
        )));
    }
    let all = weights.iter().map(|weight| Task {
        weight,
        rule: assigned(&options.rules, &weight.names()).copied(),
        share: assigned(&options.share, &weight.names()).copied(),
        given: options.masks.get(&weight.name),
        pruning: None,
    });
    let is_work =
        |task: &Task<'_>| task.rule.is_some() || task.share.is_some() || task.given.is_some();
    let mut tasks: Vec<Task<'a>> = all.filter(is_work).collect();
    let mut rules: Vec<Rule> = Vec::new();
    for rule in tasks.iter().filter_map(|task| task.rule) {
        if matches!(rule, Rule::Global(_)) && !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    for rule in rules {
        prune_together(&mut tasks, rule)?;
    }
    Ok(tasks)
}

/// Applies a rule that looks at all of its tensors.
fn prune_together(tasks: &mut [Task<'_>], rule: Rule) -> Result<()> {
    let mut tasks: Vec<&mut Task<'_>> = tasks
        .iter_mut()
        .filter(|task| task.rule == Some(rule))
        .collect();
    let weights: Vec<&Weight<'_>> = tasks.iter().map(|task| task.weight).collect();
    let values = parallel::map(&weights, |weight| weight.values());
    let rows: Vec<Weights<'_>> = weights
        .iter()
        .zip(&values)
        .map(|(weight, values)| weight.rows(values))
        .collect();
    for (task, pruning) in tasks.iter_mut().zip(rule.prune(&rows)?) {
        task.pruning = Some(pruning);
    }
    Ok(())
}

impl Task<'_> {
    /// Prunes the weight; gives the new bytes of all its tensors too.
    fn run(&self, files: &[InputFile<'_>]) -> Result<(PrunedTensor, Vec<Change>)> {
        let (weight, tensor) = (self.weight, self.weight.tensor());
        let values = weight.values();
        let Pruning { mask, threshold } = self.pruning(&values)?;
        let mut changes: Vec<Change> = Vec::with_capacity(weight.copies.len());
        for (i, copy) in weight.copies.iter().enumerate() {
            let same = weight.copies[..i]
                .iter()
                .position(|c| c.bytes == copy.bytes);
            let bytes = match same {
                Some(same) => changes[same].bytes.clone(),
                None => self.change(copy.bytes, &mask),
            };
            changes.push(Change {
                tensor: copy.number,
                bytes,
            });
        }
        let after = weight.numbers.decode(&changes[0].bytes);
        let (norm, relative_error) = norm_and_error(&values, &after);
        let report = PrunedTensor {
            name: weight.name.clone(),
            copies: weight.names()[1..].iter().map(|&n| n.to_owned()).collect(),
            file: files[tensor.file].name.to_owned(),
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            found_by: weight.found_by.clone(),
            rule: self.rule,
            share: self.share,
            parameters: values.len() as u64,
            nnz: count(&values, |w| w != 0.0),
            left: count(&after, |w| w != 0.0),
            not_finite: count(&values, |w| !w.is_finite()),
            threshold,
            relative_error,
            norm,
            mask,
        };
        Ok((report, changes))
    }

    /// What rule and mask leave.
    fn pruning(&self, values: &[f64]) -> Result<Pruning> {
        let mut pruning = match (&self.pruning, self.rule) {
            (Some(pruning), _) => pruning.clone(),
            (None, Some(rule)) => rule.prune_one(&self.weight.rows(values)),
            (None, None) => Pruning {
                mask: values.iter().map(|w| *w != 0.0).collect(),
                threshold: None,
            },
        };
        if let Some(given) = self.given {
            given
                .check(&self.weight.tensor().shape)
                .within(|| format!("mask of {:?}", self.weight.name))?;
            pruning.mask.and(&given.mask);
        }
        Ok(pruning)
    }

    /// The bytes of a tensor with what `mask` doesn't leave set to zero, and the rest, where values are
    /// shared, to the nearest of a few.
    fn change(&self, before: &[u8], mask: &Mask) -> Vec<u8> {
        let numbers = &self.weight.numbers;
        let mut bytes = before.to_vec();
        numbers.clear(&mut bytes, mask);
        let Some(bits) = self.share else {
            return bytes;
        };
        let values = numbers.decode(before);
        let left = || {
            let elements = values.iter().copied().zip(mask.iter()).enumerate();
            elements.filter(|(_, (w, is_left))| *is_left && w.is_finite())
        };
        let centroids = centroids(left().map(|(_, (w, _))| w).collect(), bits.values());
        for (i, (w, _)) in left() {
            numbers.encode(&mut bytes, i, nearest(&centroids, w));
        }
        bytes
    }
}

/// ‖before‖ over finite numbers, and ‖before − after‖ relative to it; 0 where all are zero.
fn norm_and_error(before: &[f64], after: &[f64]) -> (f64, f64) {
    let finite = || before.iter().zip(after).filter(|(w, _)| w.is_finite());
    let lost = norm(finite().map(|(w, left)| w - left), 1.0);
    match norm(finite().map(|(&w, _)| w), 1.0) {
        0.0 => (0.0, 0.0),
        all => (all, lost / all),
    }
}

fn count(values: &[f64], is_counted: impl Fn(f64) -> bool) -> u64 {
    values.iter().filter(|&&w| is_counted(w)).count() as u64
}

#[cfg(test)]
mod tests;

//! The pass over a model: weights are found, rules applied, and elements changed.

use super::assign::{Assigned, ShareBits, assigned};
use super::mask::{Mask, Masks};
use super::masks::{Pruning, Weights};
use super::report::{PruneReport, PrunedTensor};
use super::rule::Rule;
use super::select::{Selected, select};
use super::share::{centroids, nearest};
use super::sum::norm;
use crate::error::{Error, Result, Within};
use crate::model::{self, Change, InputFile, Model, ModelTensor, Rewritten, TensorData};
use crate::parallel;
use glob::Pattern;
use std::collections::{HashMap, HashSet};

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
/// All files are held in memory, and of each tensor its numbers while it is worked on (of all those
/// with [`Rule::Global`] at once).
///
/// # Errors
/// `InvalidArgument` if a rule is out of its range, if there is nothing to do, or if a mask doesn't
/// fit its tensor; `Model` as [`model::read`] and [`model::rewrite`].
pub fn prune(files: &[InputFile<'_>], options: &PruneOptions) -> Result<Pruned> {
    options.check()?;
    let model = model::read(files)?;
    let found = Weighted::find(files, &model, options)?;
    let prunings = found.prune_together()?;
    let numbers: Vec<usize> = (0..found.selected.len()).collect();
    let worked = parallel::map(&numbers, |&number| {
        found.prune_one(number, prunings.get(&number))
    });
    let mut report = PruneReport::new(found.left_alone.clone());
    let mut changed = Vec::new();
    for one in worked {
        let (tensor, bytes) = one?;
        report.tensors.push(tensor);
        changed.extend(bytes);
    }
    let touched: HashSet<usize> = found
        .selected
        .iter()
        .flat_map(|selected| selected.members.iter().copied())
        .collect();
    report.count_others(&model, &touched);
    let changes: Vec<Change<'_>> = changed
        .iter()
        .map(|(tensor, bytes)| Change {
            tensor: *tensor,
            bytes,
        })
        .collect();
    let rewritten = model::rewrite(files, &changes)?;
    Ok(Pruned { report, rewritten })
}

/// The weights of a model.
pub(crate) struct Weighted<'a> {
    files: &'a [InputFile<'a>],
    model: &'a Model,
    options: &'a PruneOptions,
    /// Those for which there is something to do.
    pub(crate) selected: Vec<Selected>,
    /// What to call each of them; no two the same.
    names: Vec<String>,
    left_alone: Vec<super::LeftAlone>,
}

impl<'a> Weighted<'a> {
    /// Finds the weights for which `options` have something to do.
    pub(crate) fn find(
        files: &'a [InputFile<'a>],
        model: &'a Model,
        options: &'a PruneOptions,
    ) -> Result<Self> {
        let usage = model::usage(files, model)?;
        let (selected, left_alone) = select(model, &usage, options);
        let names = unique_names(files, model, &selected);
        let missing = options.masks.keys().find(|name| !names.contains(name));
        if let Some(name) = missing {
            return Err(Error::invalid(format!(
                "there is a mask for {name:?}, but no weight of that name"
            )));
        }
        let mut found = Self {
            files,
            model,
            options,
            selected,
            names,
            left_alone,
        };
        let has_work: Vec<bool> = (0..found.selected.len())
            .map(|number| found.has_work(number))
            .collect();
        let mut flags = has_work.iter();
        found.selected.retain(|_| flags.next() == Some(&true));
        let mut flags = has_work.iter();
        found.names.retain(|_| flags.next() == Some(&true));
        Ok(found)
    }

    fn has_work(&self, number: usize) -> bool {
        self.rule(number).is_some()
            || self.share(number).is_some()
            || self.options.masks.contains_key(&self.names[number])
    }

    fn rule(&self, number: usize) -> Option<Rule> {
        assigned(&self.options.rules, &self.member_names(number)).copied()
    }

    fn share(&self, number: usize) -> Option<ShareBits> {
        assigned(&self.options.share, &self.member_names(number)).copied()
    }

    fn member_names(&self, number: usize) -> Vec<&str> {
        let members = self.selected[number].members.iter();
        members
            .map(|&member| self.model.tensors[member].name.as_str())
            .collect()
    }

    /// What to call weight number `number`.
    pub(crate) fn name(&self, number: usize) -> &str {
        &self.names[number]
    }

    /// The tensor of weight number `number`: of several the one that is looked at.
    pub(crate) fn tensor(&self, number: usize) -> &'a ModelTensor {
        &self.model.tensors[self.selected[number].members[0]]
    }

    /// The stored elements of a tensor.
    fn bytes(&self, tensor: usize) -> &'a [u8] {
        let tensor = &self.model.tensors[tensor];
        match &tensor.data {
            TensorData::Raw { range, .. } => &self.files[tensor.file].bytes[range.clone()],
            TensorData::Opaque => &[],
        }
    }

    /// The numbers of weight number `number`.
    pub(crate) fn values(&self, number: usize) -> Vec<f64> {
        let selected = &self.selected[number];
        selected.numbers.decode(self.bytes(selected.members[0]))
    }

    /// Its little-endian elements with zero in place of what `mask` doesn't leave.
    pub(crate) fn masked_bytes(&self, number: usize, mask: &Mask) -> Vec<u8> {
        let selected = &self.selected[number];
        let mut bytes = self.bytes(selected.members[0]).to_vec();
        for (i, _) in mask.iter().enumerate().filter(|(_, is_left)| !is_left) {
            selected.numbers.encode(&mut bytes, i, 0.0);
        }
        bytes
    }

    /// What rules that look at several tensors leave of them.
    fn prune_together(&self) -> Result<HashMap<usize, Pruning>> {
        let mut prunings = HashMap::new();
        let mut rules: Vec<(Rule, Vec<usize>)> = Vec::new();
        for number in 0..self.selected.len() {
            let Some(rule @ Rule::Global(_)) = self.rule(number) else {
                continue;
            };
            match rules.iter_mut().find(|(other, _)| *other == rule) {
                Some((_, numbers)) => numbers.push(number),
                None => rules.push((rule, vec![number])),
            }
        }
        for (rule, numbers) in rules {
            let values = parallel::map(&numbers, |&number| self.values(number));
            let weights: Vec<Weights<'_>> = numbers
                .iter()
                .zip(&values)
                .map(|(&number, values)| Weights {
                    values,
                    columns: columns(&self.tensor(number).shape),
                })
                .collect();
            prunings.extend(numbers.iter().copied().zip(rule.prune(&weights)?));
        }
        Ok(prunings)
    }

    /// Prunes weight number `number`; `pruning` is what is left of it, where that is known already.
    /// Gives the new bytes of all its tensors.
    fn prune_one(
        &self,
        number: usize,
        pruning: Option<&Pruning>,
    ) -> Result<(PrunedTensor, Vec<(usize, Vec<u8>)>)> {
        let (selected, tensor) = (&self.selected[number], self.tensor(number));
        let values = self.values(number);
        let rule = self.rule(number);
        let weights = Weights {
            values: &values,
            columns: columns(&tensor.shape),
        };
        let Pruning {
            mut mask,
            threshold,
        } = match (pruning, rule) {
            (Some(pruning), _) => pruning.clone(),
            (None, Some(rule)) => rule.prune_one(&weights),
            (None, None) => Pruning {
                mask: values.iter().map(|w| *w != 0.0).collect(),
                threshold: None,
            },
        };
        if let Some(given) = self.options.masks.get(&self.names[number]) {
            given
                .check(&tensor.shape)
                .within(|| format!("mask of {:?}", self.names[number]))?;
            mask.and(&given.mask);
        }
        let bits = self.share(number);
        let mut changed: Vec<(usize, Vec<u8>)> = Vec::with_capacity(selected.members.len());
        for &member in &selected.members {
            let before = self.bytes(member);
            let same = changed
                .iter()
                .find(|(other, _)| self.bytes(*other) == before);
            let bytes = match same {
                Some((_, bytes)) => bytes.clone(),
                None => change(selected, before, &mask, bits),
            };
            changed.push((member, bytes));
        }
        let after = match changed.first() {
            Some((_, bytes)) => selected.numbers.decode(bytes),
            None => Vec::new(),
        };
        let report = PrunedTensor {
            name: self.names[number].clone(),
            copies: selected.members[1..]
                .iter()
                .map(|&member| self.model.tensors[member].name.clone())
                .collect(),
            file: self.files[tensor.file].name.to_owned(),
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            found_by: selected.found_by.clone(),
            rule,
            share: bits,
            parameters: values.len() as u64,
            nnz: count(&values, |w| w != 0.0),
            left: count(&after, |w| w != 0.0),
            not_finite: count(&values, |w| !w.is_finite()),
            threshold,
            relative_error: relative_error(&values, &after),
            mask,
        };
        Ok((report, changed))
    }
}

/// The bytes of a tensor with what `mask` doesn't leave set to zero, and the rest, where there are `bits`,
/// to the nearest of so few values.
fn change(selected: &Selected, before: &[u8], mask: &Mask, bits: Option<ShareBits>) -> Vec<u8> {
    let numbers = &selected.numbers;
    let mut bytes = before.to_vec();
    let shared = bits.map(|bits| {
        let values = numbers.decode(before);
        let left = values.iter().zip(mask.iter());
        let left = left.filter(|(w, is_left)| *is_left && w.is_finite());
        let centroids = centroids(left.map(|(&w, _)| w).collect(), bits.values());
        (values, centroids)
    });
    for (i, is_left) in mask.iter().enumerate() {
        match &shared {
            _ if !is_left => numbers.encode(&mut bytes, i, 0.0),
            Some((values, centroids)) if values[i].is_finite() => {
                numbers.encode(&mut bytes, i, nearest(centroids, values[i]));
            }
            _ => {}
        }
    }
    bytes
}

/// ‖before − after‖ / ‖before‖ over finite numbers; 0 where all are zero.
pub(crate) fn relative_error(before: &[f64], after: &[f64]) -> f64 {
    let finite = || before.iter().zip(after).filter(|(w, _)| w.is_finite());
    let lost = norm(finite().map(|(w, left)| w - left), 1.0);
    match norm(finite().map(|(&w, _)| w), 1.0) {
        0.0 => 0.0,
        all => lost / all,
    }
}

fn count(values: &[f64], is_counted: impl Fn(f64) -> bool) -> u64 {
    values.iter().filter(|&&w| is_counted(w)).count() as u64
}

/// Elements of a row of a tensor that has as many as a `usize` counts.
pub(crate) fn columns(shape: &[u64]) -> usize {
    shape
        .last()
        .map_or(1, |&columns| usize::try_from(columns).unwrap_or(0))
}

/// A name for each weight that no other has: its tensor's; where that is not enough, the file's before
/// it; where that isn't either, a number behind it.
fn unique_names(files: &[InputFile<'_>], model: &Model, selected: &[Selected]) -> Vec<String> {
    let tensors = || selected.iter().map(|s| &model.tensors[s.members[0]]);
    let mut times: HashMap<&str, usize> = HashMap::new();
    for tensor in tensors() {
        *times.entry(&tensor.name).or_default() += 1;
    }
    let mut taken = HashSet::new();
    tensors()
        .map(|tensor| {
            let plain = match times[tensor.name.as_str()] {
                1 => tensor.name.clone(),
                _ => format!("{}:{}", files[tensor.file].name, tensor.name),
            };
            let numbered = (2..).map(|n| format!("{plain}#{n}"));
            let mut names = std::iter::once(plain.clone()).chain(numbered);
            let name = names.find(|name| !taken.contains(name)).unwrap_or_default();
            taken.insert(name.clone());
            name
        })
        .collect()
}

#[cfg(test)]
mod tests;

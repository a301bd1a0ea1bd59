//! Which tensors of a model are weights, and which of them are one.

use super::numbers::Numbers;
use super::pass::PruneOptions;
use super::weight::{Stored, Weight};
use crate::model::{InputFile, Model, ModelKind, ModelTensor, Role, Usage};
use crate::tensor::{DType, element_count};
use std::collections::{HashMap, HashSet};

/// Without a graph, a tensor of fewer elements is not taken for a weight: what pruning it saves is
/// less than what its place in an archive costs.
const MIN_UNKNOWN_ELEMENTS: u64 = 256;

/// Parts of names that only the state of optimizers has: slots of TensorFlow 1's, paths of Keras's
/// and of TensorFlow 2's checkpoints.
const OPTIMIZER_PARTS: &[&str] = &[
    ".OPTIMIZER_SLOT",
    "optimizer",
    "optimizer_weights",
    "_optimizer",
    "Adagrad",
    "Adadelta",
    "Adadelta_1",
    "Adam",
    "Adam_1",
    "AdaMax",
    "AdaMax_1",
    "Ftrl",
    "Ftrl_1",
    "Momentum",
    "RMSProp",
    "RMSProp_1",
    "ExponentialMovingAverage",
];

/// How it was found that a tensor is a weight.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FoundBy {
    /// A graph multiplies by it, or looks rows up in it, with an op of this name.
    Graph {
        /// The op.
        op: String,
    },
    /// No graph says what it is for; it has two or more dimensions and enough elements, and isn't
    /// called like an optimizer's state.
    Shape,
    /// The caller named it.
    Name,
}

/// A weight that is not pruned, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftAlone {
    /// The tensor's name.
    pub name: String,
    /// The reason.
    pub why: String,
}

/// The weights of a model that `options` choose, in the order of their first tensors.
pub(super) fn select<'a>(
    files: &'a [InputFile<'a>],
    model: &'a Model,
    usage: &Usage,
    options: &PruneOptions,
) -> (Vec<Weight<'a>>, Vec<LeftAlone>) {
    let (mut weights, mut left_alone) = (Vec::new(), Vec::new());
    for members in groups(model, usage) {
        let Some(found_by) = found_by(model, usage, options, &members) else {
            continue;
        };
        let mut copies = Vec::with_capacity(members.len());
        let mut numbers = Err("its elements are not stored as they are");
        for &member in &members {
            let tensor = &model.tensors[member];
            let found = match Stored::of(files, tensor, member) {
                Ok(stored) => {
                    copies.push(stored);
                    let quantization = usage.tensors[member].quantization.as_ref();
                    Numbers::of(tensor.dtype, &tensor.shape, quantization)
                }
                Err(why) => Err(why),
            };
            match found {
                // The first that can be read says what all are.
                Ok(_) if numbers.is_ok() => {}
                Ok(found) => numbers = Ok(found),
                Err(why) => left_alone.push(LeftAlone {
                    name: tensor.name.clone(),
                    why: why.to_owned(),
                }),
            }
        }
        if let Ok(numbers) = numbers {
            weights.push(Weight {
                name: String::new(),
                copies,
                found_by,
                numbers,
            });
        }
    }
    name(files, &mut weights);
    (weights, left_alone)
}

/// Gives each weight a name that no other has: its tensor's; where that is not enough, the file's before
/// it; where that isn't either, a number behind it.
fn name(files: &[InputFile<'_>], weights: &mut [Weight<'_>]) {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for weight in weights.iter() {
        *times.entry(&weight.tensor().name).or_default() += 1;
    }
    let mut taken = HashSet::new();
    for weight in weights {
        let tensor = weight.tensor();
        let plain = match times[tensor.name.as_str()] {
            1 => tensor.name.clone(),
            _ => format!("{}:{}", files[tensor.file].name, tensor.name),
        };
        let numbered = (2..).map(|n| format!("{plain}#{n}"));
        let mut names = std::iter::once(plain.clone()).chain(numbered);
        weight.name = names.find(|name| !taken.contains(name)).unwrap_or_default();
        taken.insert(weight.name.clone());
    }
}

/// All tensors, each with what belongs to it; in the order of their first members. Checkpoints come
/// first in a group: what a graph holds beside them is where training began.
fn groups(model: &Model, usage: &Usage) -> Vec<Vec<usize>> {
    let mut group_of = vec![None; model.tensors.len()];
    for (group, members) in usage.groups.iter().enumerate() {
        for &member in members {
            group_of[member] = Some(group);
        }
    }
    let is_in_checkpoint = |tensor: usize| {
        let file = model.tensors[tensor].file;
        model.parts.iter().any(|part| {
            let is_checkpoint = matches!(
                part.kind,
                ModelKind::TensorBundle | ModelKind::SlicedCheckpoint
            );
            is_checkpoint && part.files.contains(&file)
        })
    };
    let mut groups = Vec::new();
    for (tensor, group) in group_of.into_iter().enumerate() {
        match group.map(|group| &usage.groups[group]) {
            None => groups.push(vec![tensor]),
            Some(members) if members.first() == Some(&tensor) => {
                let mut members = members.clone();
                members.sort_by_key(|&member| !is_in_checkpoint(member));
                groups.push(members);
            }
            Some(_) => {}
        }
    }
    groups
}

/// How the tensors of a group are found to be weights, if they are, and are to be pruned.
fn found_by(
    model: &Model,
    usage: &Usage,
    options: &PruneOptions,
    members: &[usize],
) -> Option<FoundBy> {
    let tensors = || members.iter().map(|&member| &model.tensors[member]);
    let is_named = |patterns: &[glob::Pattern]| {
        tensors().any(|tensor| patterns.iter().any(|p| p.matches(&tensor.name)))
    };
    let elements = element_count(&model.tensors[members[0]].shape).unwrap_or(0);
    if is_named(&options.exclude) || elements < options.min_elements {
        return None;
    }
    let mut roles = members.iter().map(|&member| &usage.tensors[member].role);
    let op = roles.clone().find_map(|role| match role {
        Role::Weight { op } => Some(op.clone()),
        Role::Other | Role::Unknown => None,
    });
    if let Some(op) = op {
        return Some(FoundBy::Graph { op });
    }
    if roles.all(|role| *role == Role::Unknown) && tensors().all(looks_like_a_weight) {
        return Some(FoundBy::Shape);
    }
    let has_mask = || tensors().any(|tensor| options.masks.contains_key(&tensor.name));
    (is_named(&options.include) || has_mask()).then_some(FoundBy::Name)
}

/// Whether a tensor that no graph uses has the shape and the name of a weight.
fn looks_like_a_weight(tensor: &ModelTensor) -> bool {
    let is_matrix = tensor.shape.iter().filter(|&&dim| dim > 1).count() >= 2;
    let is_large = element_count(&tensor.shape).is_ok_and(|n| n >= MIN_UNKNOWN_ELEMENTS);
    let is_number = matches!(
        tensor.dtype,
        DType::Float16 | DType::Bfloat16 | DType::Float32 | DType::Float64 | DType::Int8
    );
    let is_state = tensor
        .name
        .split('/')
        .any(|part| OPTIMIZER_PARTS.contains(&part));
    is_matrix && is_large && is_number && !is_state
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TensorData;

    fn tensor(name: &str, dtype: DType, shape: &[u64]) -> ModelTensor {
        ModelTensor {
            file: 0,
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            data: TensorData::Raw {
                range: 0..0,
                repeats: 0,
            },
        }
    }

    #[test]
    fn without_a_graph_shape_and_name_decide() {
        for (name, dtype, shape, is_weight) in [
            ("fc1/kernel", DType::Float32, &[16, 16][..], true),
            ("conv/kernel", DType::Bfloat16, &[3, 3, 1, 32], true),
            ("small", DType::Float32, &[15, 17], false),
            ("bias", DType::Float32, &[1000], false),
            ("bias", DType::Float32, &[1, 1000], false),
            ("steps", DType::Int64, &[100, 100], false),
            ("fc1/kernel/Adam", DType::Float32, &[16, 16], false),
            ("optimizer/vars/1", DType::Float32, &[16, 16], false),
            ("Adamant/kernel", DType::Float32, &[16, 16], true),
        ] {
            let found = looks_like_a_weight(&tensor(name, dtype, shape));
            assert_eq!(found, is_weight, "{name} {shape:?}");
        }
    }

    #[test]
    fn weights_have_names_of_their_own_and_copies_may_be_left_alone() {
        let dtype = DType::Float32;
        let mut model = Model {
            parts: Vec::new(),
            tensors: (0..4).map(|_| tensor("a", dtype, &[16, 16])).collect(),
        };
        model.tensors[2].data = TensorData::Opaque;
        let files = [InputFile {
            name: "m.pb",
            bytes: &[],
        }];
        let mut usage = Usage::default();
        usage.tensors.resize_with(4, Default::default);
        usage.groups.push(vec![2, 3]);
        let (weights, left_alone) = select(&files, &model, &usage, &PruneOptions::default());
        let names: Vec<&str> = weights.iter().map(|weight| weight.name.as_str()).collect();
        assert_eq!(names, ["m.pb:a", "m.pb:a#2", "m.pb:a#3"]);
        assert_eq!(weights[2].copies.len(), 1);
        assert_eq!(left_alone.len(), 1);
    }

    #[test]
    fn names_add_and_take_away_whole_groups() {
        let dtype = DType::Float32;
        let model = Model {
            parts: Vec::new(),
            tensors: vec![
                tensor("a", dtype, &[16, 16]),
                tensor("copy of a", dtype, &[16, 16]),
                tensor("bias", dtype, &[300]),
                tensor("used", dtype, &[2, 2]),
            ],
        };
        let files = [InputFile {
            name: "",
            bytes: &[],
        }];
        let mut usage = Usage::default();
        usage.tensors.resize_with(4, Default::default);
        usage.tensors[3].role = Role::Weight {
            op: "MatMul".to_owned(),
        };
        usage.groups.push(vec![0, 1]);
        let selected = |options: &PruneOptions| -> Vec<Vec<usize>> {
            let (weights, left_alone) = select(&files, &model, &usage, options);
            assert!(left_alone.is_empty());
            let numbers = |weight: &Weight<'_>| weight.copies.iter().map(|c| c.number).collect();
            weights.iter().map(numbers).collect()
        };
        let mut options = PruneOptions::default();
        assert_eq!(selected(&options), [vec![0, 1], vec![3]]);
        options.include = vec![glob::Pattern::new("bi*").unwrap()];
        assert_eq!(selected(&options), [vec![0, 1], vec![2], vec![3]]);
        options.exclude = vec![glob::Pattern::new("copy*").unwrap()];
        assert_eq!(selected(&options), [vec![2], vec![3]]);
        options.min_elements = 5;
        assert_eq!(selected(&options), [vec![2]]);
    }
}

//! What has been found out about tensors so far, and how it adds up.

#![expect(
    clippy::indexing_slicing,
    reason = "tensors are numbered as the model's, and each list has an item for each of them"
)]

use super::{Quantization, Role, TensorUsage, Usage};
use crate::model::{Model, ModelTensor, TensorData};
use crate::tensor::{DType, ElementClass, element_count};
use std::collections::HashMap;
use std::ops::Range;

/// What is known of a tensor; what comes later says more.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    /// Nothing.
    #[default]
    Nothing,
    /// It is used, and not as a weight.
    Other,
    /// It is used by something that can't be looked into.
    Hidden,
    /// An op multiplies by it.
    Weight(String),
}

/// What is known of all tensors of a model.
pub(super) struct Findings<'m> {
    pub(super) model: &'m Model,
    found: Vec<Found>,
    quantization: HashMap<usize, Quantization>,
    /// For each tensor another one of its group, or itself.
    joined: Vec<usize>,
}

impl<'m> Findings<'m> {
    pub(super) fn new(model: &'m Model) -> Self {
        let mut findings = Self {
            model,
            found: vec![Found::Nothing; model.tensors.len()],
            quantization: HashMap::new(),
            joined: (0..model.tensors.len()).collect(),
        };
        findings.join_places();
        findings
    }

    /// Joins tensors that are the same bytes of a file.
    fn join_places(&mut self) {
        let mut first: HashMap<(usize, &Range<usize>), usize> = HashMap::new();
        for (number, tensor) in self.model.tensors.iter().enumerate() {
            if let TensorData::Raw { range, .. } = &tensor.data
                && !range.is_empty()
            {
                let first = *first.entry((tensor.file, range)).or_insert(number);
                self.join(first, number);
            }
        }
    }

    pub(super) fn tensor(&self, number: usize) -> &'m ModelTensor {
        &self.model.tensors[number]
    }

    /// Adds what is known of a tensor. The first op that multiplies by it counts.
    pub(super) fn add(&mut self, number: usize, found: Found) {
        let found = match found {
            Found::Weight(_) | Found::Hidden if !may_be_weight(self.tensor(number)) => Found::Other,
            found => found,
        };
        self.add_any_shape(number, found);
    }

    /// Adds what is known of a tensor, although its shape may not be that of a weight.
    pub(super) fn add_any_shape(&mut self, number: usize, found: Found) {
        let is_weight = matches!(self.found[number], Found::Weight(_));
        if !is_weight && found > self.found[number] {
            self.found[number] = found;
        }
    }

    pub(super) fn set_quantization(&mut self, number: usize, quantization: Quantization) {
        self.quantization.insert(number, quantization);
    }

    /// Two tensors are one thing, if they can be: of the same dtype, with as many elements.
    pub(super) fn join(&mut self, a: usize, b: usize) {
        let count = |number| {
            let tensor = self.tensor(number);
            (tensor.dtype, element_count(&tensor.shape).ok())
        };
        if count(a) == count(b) {
            let (a, b) = (self.root(a), self.root(b));
            self.joined[a.max(b)] = a.min(b);
        }
    }

    /// The tensor that stands for a tensor's group: the first.
    fn root(&mut self, mut number: usize) -> usize {
        while self.joined[number] != number {
            // Halves the way for the next time.
            self.joined[number] = self.joined[self.joined[number]];
            number = self.joined[number];
        }
        number
    }

    /// All that was found out. What is known of one member of a group is true of all.
    pub(super) fn usage(mut self) -> Usage {
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); self.found.len()];
        for number in 0..self.found.len() {
            let root = self.root(number);
            members[root].push(number);
        }
        members.retain(|members| members.len() > 1);
        for members in &members {
            let weight = members
                .iter()
                .find(|&&member| matches!(self.found[member], Found::Weight(_)));
            let most = match weight {
                Some(&weight) => self.found[weight].clone(),
                None => Found::Nothing,
            };
            for &member in members {
                self.add_any_shape(member, most.clone());
            }
        }
        let mut quantization = self.quantization;
        let tensors = self.found.into_iter().enumerate();
        let tensors = tensors.map(|(number, found)| TensorUsage {
            role: match found {
                Found::Nothing | Found::Hidden => Role::Unknown,
                Found::Other => Role::Other,
                Found::Weight(op) => Role::Weight { op },
            },
            quantization: quantization.remove(&number),
        });
        Usage {
            tensors: tensors.collect(),
            groups: members,
        }
    }
}

/// The numbers of a file's tensors.
pub(super) fn of_file(model: &Model, file: usize) -> Range<usize> {
    let start = model.tensors.partition_point(|tensor| tensor.file < file);
    let end = model.tensors.partition_point(|tensor| tensor.file <= file);
    start..end
}

/// Whether a tensor has rows and columns of elements that weights have.
pub(super) fn may_be_weight(tensor: &ModelTensor) -> bool {
    tensor.shape.len() >= 2 && has_weights(tensor.dtype)
}

/// Whether elements of this dtype can be weights: floats, and integers that are short enough to be
/// quantised numbers rather than counts.
pub(super) fn has_weights(dtype: DType) -> bool {
    match dtype.class() {
        ElementClass::Float | ElementClass::FloatUnsignedZero => true,
        ElementClass::Integer => dtype != DType::Bool && dtype.width().is_some_and(|w| w <= 2),
        ElementClass::Complex => false,
        ElementClass::Opaque => matches!(
            dtype,
            DType::Int4 | DType::Uint4 | DType::Int2 | DType::Uint2 | DType::Float4E2m1fn
        ),
    }
}

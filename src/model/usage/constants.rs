//! Which tensors a graph's constants are: those that stand inside the messages of their nodes.

#![expect(
    clippy::indexing_slicing,
    reason = "nodes and functions are numbered by the graph, and a scope is one of its functions or none"
)]

use super::findings::{Findings, of_file};
use super::flow::Place;
use super::variables::Search;
use crate::error::Result;
use crate::model::{ModelTensor, TensorData};
use std::collections::HashMap;

/// The tensors of constants, by the value that a constant is.
pub(super) type Constants = HashMap<usize, usize>;

impl Search<'_, '_, '_> {
    /// The tensors of the graph's constants.
    pub(super) fn constants(&self, findings: &Findings<'_>, file: usize) -> Result<Constants> {
        let tensors = &findings.model.tensors;
        let numbers = of_file(findings.model, file);
        let of_file = tensors.get(numbers.clone()).unwrap_or_default();
        let raw = |tensor: &ModelTensor| match &tensor.data {
            TensorData::Raw { range, .. } => Some((range.start, range.end)),
            TensorData::Opaque => None,
        };
        // They stand behind the raw ones, in no order; only a name that is there once is known.
        let n_raw = of_file.partition_point(|tensor| raw(tensor).is_some());
        let (of_file, opaque) = of_file.split_at(n_raw);
        let mut by_name: HashMap<&str, Option<usize>> = HashMap::new();
        let opaque_numbers = numbers.clone().skip(n_raw);
        for (number, tensor) in opaque_numbers.zip(opaque) {
            by_name
                .entry(&tensor.name)
                .and_modify(|known| *known = None)
                .or_insert(Some(number));
        }
        let mut constants = Constants::new();
        for (value, place) in self.flow.places.iter().enumerate() {
            let Place::Output { node, .. } = *place else {
                continue;
            };
            if self.op(node) != "Const" {
                continue;
            }
            let node = &self.flow.graph.nodes[node];
            let Some(message) = node.constant()? else {
                continue;
            };
            let found = of_file
                .partition_point(|tensor| raw(tensor).is_some_and(|(s, _)| s < message.start()));
            let is_inside = |tensor| raw(tensor).is_some_and(|(_, end)| end <= message.end());
            let number = match of_file.get(found) {
                Some(tensor) if is_inside(tensor) => numbers.clone().nth(found),
                _ => match node.scope.checked_sub(1) {
                    None => by_name.get(node.def.name.as_str()).copied().flatten(),
                    Some(f) => {
                        let function = &self.flow.graph.functions[f].name;
                        let name = format!("{function}/{}", node.def.name);
                        by_name.get(name.as_str()).copied().flatten()
                    }
                },
            };
            if let Some(number) = number {
                constants.insert(value, number);
            }
        }
        Ok(constants)
    }
}

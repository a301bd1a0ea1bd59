//! Which tensors of a graph and its checkpoint are one thing:
//!
//! - a variable and the constant that it is assigned, if that is the only one, and that constant is
//!   assigned to no other variable: the initial value;
//! - the tensors under all names that one saver stores one variable under;
//! - two variables that are the same argument of the same function, one where the graph calls it and
//!   the other as the object that it is bound to, if the checkpoint has one `full_name` for both.
//!   Keras exports every variable so: TensorFlow 2 loads `variables/0`, TensorFlow Serving
//!   `_all_variables/0`.
//!
//! A variable that is assigned what another one holds (a moving average) is another thing.

#![expect(
    clippy::indexing_slicing,
    reason = "nodes are numbered by the flow, variables by the search, tensors by the model"
)]

use super::constants::Constants;
use super::findings::Findings;
use super::flow::Place;
use super::objects::{BoundFunction, Objects};
use super::variables::Search;
use std::collections::HashMap;

impl Search<'_, '_, '_> {
    /// Joins variables with their initial values, and with themselves.
    pub(super) fn join(&self, findings: &mut Findings<'_>, constants: &Constants) {
        let mut n_variables: HashMap<usize, usize> = HashMap::new();
        for variable in &self.variables {
            let mut own = variable.constants.clone();
            own.sort_unstable();
            own.dedup();
            for constant in own {
                let n = n_variables.entry(constant).or_default();
                *n = n.saturating_add(1);
            }
        }
        for variable in &self.variables {
            for &[one, other] in variable.whole.array_windows() {
                findings.join(one, other);
            }
            let Some((&constant, others)) = variable.constants.split_first() else {
                continue;
            };
            let is_only = others.iter().all(|&other| other == constant);
            if let (true, Some(1), Some(&tensor)) = (
                is_only,
                n_variables.get(&constant),
                constants.get(&constant),
            ) {
                findings.add(tensor, self.found(&variable.handles));
                if let Some(&whole) = variable.whole.first() {
                    findings.join(tensor, whole);
                }
            }
        }
    }

    /// Joins variables that are the same argument of a function.
    pub(super) fn join_objects(
        &self,
        findings: &mut Findings<'_>,
        objects: &Objects,
        bound: &[BoundFunction],
    ) {
        let names = objects.full_names();
        let full_name = |tensor: usize| names.get(findings.model.tensors[tensor].name.as_str());
        let bound: HashMap<usize, &BoundFunction> = bound.iter().map(|b| (b.0, b)).collect();
        let mut pairs = Vec::new();
        for (node, called) in self.flow.called.iter().enumerate() {
            let (&[function], 0) = (called.as_slice(), self.flow.graph.nodes[node].scope) else {
                continue;
            };
            let Some((_, first, objects)) = bound.get(&function) else {
                continue;
            };
            let n_inputs = self.flow.inputs[node].len();
            let objects = objects.iter().take(n_inputs.saturating_sub(*first));
            for (input, &object) in (*first..).zip(objects) {
                let handle = object.and_then(|object| self.flow.value(Place::Object(object)));
                let (Some(a), Some(b)) = (
                    self.variable(self.flow.input(node, input)),
                    self.variable(handle),
                ) else {
                    continue;
                };
                let (a, b) = (&self.variables[a].whole, &self.variables[b].whole);
                if let (Some(&a), Some(&b)) = (a.first(), b.first())
                    && full_name(a).is_some()
                    && full_name(a) == full_name(b)
                {
                    pairs.push((a, b));
                }
            }
        }
        for (a, b) in pairs {
            findings.join(a, b);
        }
    }
}

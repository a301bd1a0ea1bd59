//! The Python objects of a SavedModel: which variables and constants TensorFlow hands to which
//! functions, and which objects of the checkpoint they are.
//!
//! A concrete function of the object graph is a function of the library, whose last arguments are
//! bound to objects. The objects of the SavedModel and those of its checkpoint have numbers of their
//! own; they are the same where the same names lead to them from the root, which is how TensorFlow
//! itself finds them. Where none do (slots of an optimizer), objects with the same number are.

#![expect(
    clippy::indexing_slicing,
    reason = "functions are numbered by the graph"
)]

use super::flow::{Flow, Place};
use super::graph::decode;
use super::message::{SavedObjectGraph, TrackableObject, TrackableObjectGraph};
use crate::error::Result;
use crate::model::wire::Message;
use std::collections::HashMap;

/// The objects of a SavedModel.
pub(super) struct Objects {
    saved: SavedObjectGraph,
    stored: TrackableObjectGraph,
    /// For each object of the SavedModel, the one of the checkpoint.
    same: Vec<Option<usize>>,
}

/// What an argument of a function is bound to.
pub(super) enum Bound<'o> {
    /// A variable: number of the object.
    Variable(usize),
    /// A constant of the graph: name of the node.
    Constant(&'o str),
}

impl Objects {
    /// Reads a SavedObjectGraph, and the TrackableObjectGraph of its checkpoint.
    pub(super) fn read(saved: Message<'_>, stored: Option<&[u8]>) -> Result<Self> {
        let saved: SavedObjectGraph = decode(saved)?;
        let stored: TrackableObjectGraph = match stored {
            Some(bytes) => decode(Message::root(bytes))?,
            None => TrackableObjectGraph::default(),
        };
        let same = same_objects(&saved, &stored);
        Ok(Self {
            saved,
            stored,
            same,
        })
    }

    /// Functions, and what their last arguments are bound to; in the order of their names.
    pub(super) fn functions(&self) -> Vec<(&str, Vec<Option<Bound<'_>>>)> {
        let mut functions: Vec<_> = self
            .saved
            .concrete_functions
            .iter()
            .map(|(name, function)| {
                let bound = function.bound_inputs.iter().map(|&id| self.bound(id));
                (name.as_str(), bound.collect())
            })
            .collect();
        functions.sort_by_key(|(name, _)| *name);
        functions
    }

    fn bound(&self, id: i32) -> Option<Bound<'_>> {
        let number = usize::try_from(id).ok()?;
        let object = self.saved.nodes.get(number)?;
        match &object.constant {
            Some(constant) => Some(Bound::Constant(&constant.operation)),
            None => object.variable.is_some().then_some(Bound::Variable(number)),
        }
    }

    /// The keys under which a checkpoint has an object.
    pub(super) fn keys(&self, object: usize) -> impl Iterator<Item = &str> {
        let stored = self.same.get(object).copied().flatten();
        let stored = stored.and_then(|stored| self.stored.nodes.get(stored));
        let attributes = stored.map_or(&[][..], |stored| &stored.attributes);
        attributes
            .iter()
            .map(|tensor| tensor.checkpoint_key.as_str())
    }

    /// The names that variables had in the program that wrote the checkpoint, by key.
    pub(super) fn full_names(&self) -> HashMap<&str, &str> {
        let attributes = self.stored.nodes.iter().flat_map(|node| &node.attributes);
        attributes
            .map(|tensor| (tensor.checkpoint_key.as_str(), tensor.full_name.as_str()))
            .collect()
    }
}

/// A function, the number of the first of its arguments that are bound, and to which variables.
pub(super) type BoundFunction = (usize, usize, Vec<Option<usize>>);

/// Adds the edges from objects to the arguments that they are bound to.
pub(super) fn bind(flow: &mut Flow<'_, '_>, objects: &Objects) -> Result<Vec<BoundFunction>> {
    let graph = flow.graph;
    let functions = graph.functions_by_name();
    let nodes = graph.nodes.iter().enumerate();
    let nodes: HashMap<&str, usize> = nodes
        .filter(|(_, node)| node.scope == 0)
        .map(|(i, node)| (node.def.name.as_str(), i))
        .collect();
    let mut all_bound = Vec::new();
    for (name, bound) in objects.functions() {
        let Some(&function) = functions.get(name) else {
            continue;
        };
        let n_args = graph.functions[function].args.len();
        let Some(first) = n_args.checked_sub(bound.len()) else {
            continue;
        };
        let mut variables = Vec::with_capacity(bound.len());
        for (argument, bound) in (first..).zip(bound) {
            let place = match bound {
                Some(Bound::Variable(object)) => Some(Place::Object(object)),
                Some(Bound::Constant(name)) => {
                    nodes.get(name).map(|&node| Place::Output { node, port: 0 })
                }
                None => None,
            };
            if let Some(place) = place {
                let value = flow.add(place);
                flow.feed(value, function, argument)?;
            }
            variables.push(match place {
                Some(Place::Object(object)) => Some(object),
                _ => None,
            });
        }
        all_bound.push((function, first, variables));
    }
    Ok(all_bound)
}

/// For each object of a SavedModel, the one of the checkpoint.
fn same_objects(saved: &SavedObjectGraph, stored: &TrackableObjectGraph) -> Vec<Option<usize>> {
    let mut same = vec![None; saved.nodes.len()];
    let mut is_taken = vec![false; stored.nodes.len()];
    let number = |id: i32| usize::try_from(id).ok();
    let children: HashMap<(usize, &str), usize> = stored
        .nodes
        .iter()
        .enumerate()
        .flat_map(|(parent, node)| {
            let children = node.children.iter();
            children
                .filter_map(move |c| Some(((parent, c.local_name.as_str()), number(c.node_id)?)))
        })
        .collect();
    if let (Some(first), Some(is_taken)) = (same.first_mut(), is_taken.first_mut()) {
        *first = Some(0);
        *is_taken = true;
    }
    let mut open = vec![0];
    while let Some(parent) = open.pop() {
        let Some((node, Some(stored_parent))) = saved.nodes.get(parent).zip(same.get(parent))
        else {
            continue;
        };
        let stored_parent = *stored_parent;
        for child in &node.children {
            let key = (stored_parent, child.local_name.as_str());
            let (Some(id), Some(&found)) = (number(child.node_id), children.get(&key)) else {
                continue;
            };
            let Some(taken) = is_taken.get_mut(found) else {
                continue;
            };
            if let Some(place @ None) = same.get_mut(id) {
                *place = Some(found);
                *taken = true;
                open.push(id);
            }
        }
    }
    let has_keys = |node: &TrackableObject| !node.attributes.is_empty();
    for (id, place) in same.iter_mut().enumerate() {
        let is_free = is_taken.get(id) == Some(&false);
        if place.is_none() && is_free && stored.nodes.get(id).is_some_and(has_keys) {
            *place = Some(id);
        }
    }
    same
}

//! What becomes of values: whether they are parameters, which op multiplies by them, what they are
//! the same as. Each question is one walk along the edges, linear in their number.

#![expect(
    clippy::indexing_slicing,
    reason = "values, nodes and edges are numbered by the flow, and each list has an item for each of them"
)]

use super::flow::{Flow, Place};
use super::op;
use std::ops::Range;

/// What a value is the same as, bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nothing so far.
    Unset,
    /// Exactly this value, which is not handed on from another one.
    One(usize),
    /// One of several, or something computed.
    Many,
}

/// The answers, one for each value.
pub(super) struct Analysis {
    /// The node that multiplies by it, the first if there are several.
    pub(super) weight: Vec<Option<usize>>,
    /// It goes into a node that does something with it.
    pub(super) is_used: Vec<bool>,
    /// It goes into a program in another language.
    pub(super) is_opaque: Vec<bool>,
    pub(super) origin: Vec<Origin>,
}

impl Analysis {
    /// `source` says which value an output is that nothing hands on: for a constant itself, for a
    /// variable the first of its handles.
    pub(super) fn new(flow: &Flow<'_, '_>, source: impl Fn(usize) -> Option<usize>) -> Self {
        let back = Lists::new(flow, |edge| (edge.to, edge.from));
        let forth = Lists::new(flow, |edge| (edge.from, edge.to));
        let sources: Vec<Option<usize>> = (0..flow.places.len()).map(source).collect();
        let is_computed = computed(flow, &forth, &sources);
        let mut analysis = Self {
            weight: vec![None; flow.places.len()],
            is_used: vec![false; flow.places.len()],
            is_opaque: vec![false; flow.places.len()],
            origin: origins(flow, &forth, &sources),
        };
        for (node, inputs) in flow.inputs.iter().enumerate() {
            let op = flow.graph.nodes[node].def.op.as_str();
            for i in op::weights(op).of(inputs.len()) {
                if let Some(value) = inputs[i] {
                    back.walk(value, |value| {
                        let is_new = analysis.weight[value].is_none() && !is_computed[value];
                        if is_new {
                            analysis.weight[value] = Some(node);
                        }
                        is_new
                    });
                }
            }
            let passes = op::passes(op).map_or(op::Inputs::None, |passes| passes.inputs);
            let mut is_passed = vec![!flow.called[node].is_empty(); inputs.len()];
            passes.of(inputs.len()).for_each(|i| is_passed[i] = true);
            for (i, &value) in inputs.iter().enumerate() {
                let Some(value) = value.filter(|_| !is_passed[i]) else {
                    continue;
                };
                back.mark(value, &mut analysis.is_used);
                if op::is_opaque(op) {
                    back.mark(value, &mut analysis.is_opaque);
                }
            }
        }
        let results = flow.results.iter().flatten().flatten();
        results.for_each(|&value| back.mark(value, &mut analysis.is_used));
        analysis
    }

    /// The value that this one is the same as, if it is exactly one.
    pub(super) fn one(&self, value: Option<usize>) -> Option<usize> {
        match self.origin[value?] {
            Origin::One(origin) => Some(origin),
            _ => None,
        }
    }
}

/// Which values depend on more than parameters: on the model's input, on what is computed.
///
/// What flows around in a loop is computed if any turn computes it. An argument of a function is
/// computed if it is so in every call: a weight stays one, although the same function is also called
/// with something else.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "an edge is counted once, and taken off once: when its value is found to be computed"
)]
fn computed(flow: &Flow<'_, '_>, forth: &Lists, sources: &[Option<usize>]) -> Vec<bool> {
    let mut n_parameters = vec![0usize; flow.places.len()];
    for edge in flow.edges.iter().filter(|edge| !edge.is_back) {
        n_parameters[edge.to] += 1;
    }
    let is_argument = |value: usize| matches!(flow.places[value], Place::Argument { .. });
    let mut is_computed: Vec<bool> = (0..flow.places.len())
        .map(|value| match sources[value] {
            Some(_) => false,
            None if is_argument(value) => n_parameters[value] == 0,
            None => flow.is_open[value] || n_parameters[value] == 0,
        })
        .collect();
    let mut open: Vec<usize> = (0..is_computed.len()).filter(|&v| is_computed[v]).collect();
    while let Some(value) = open.pop() {
        for &edge in forth.of(value) {
            let edge = &flow.edges[edge];
            let to = edge.to;
            if !edge.is_back && is_argument(to) {
                n_parameters[to] -= 1;
                if n_parameters[to] > 0 {
                    continue;
                }
            }
            if !is_computed[to] {
                is_computed[to] = true;
                open.push(to);
            }
        }
    }
    is_computed
}

/// What each value is the same as. A value changes at most twice: from nothing to one to many.
fn origins(flow: &Flow<'_, '_>, forth: &Lists, sources: &[Option<usize>]) -> Vec<Origin> {
    let mut has_edge = vec![false; flow.places.len()];
    let mut is_changed = flow.is_open.clone();
    for edge in &flow.edges {
        has_edge[edge.to] = true;
        is_changed[edge.to] |= !edge.unchanged;
    }
    let mut origin: Vec<Origin> = (0..flow.places.len())
        .map(|value| match sources[value] {
            Some(source) => Origin::One(source),
            None if is_changed[value] || !has_edge[value] => Origin::Many,
            None => Origin::Unset,
        })
        .collect();
    let mut open: Vec<usize> = (0..origin.len())
        .filter(|&value| origin[value] != Origin::Unset)
        .collect();
    while let Some(value) = open.pop() {
        for &edge in forth.of(value) {
            let to = flow.edges[edge].to;
            let joined = match (origin[to], origin[value]) {
                _ if sources[to].is_some() => continue,
                (Origin::Unset, from) => from,
                (to, from) if to == from => continue,
                _ => Origin::Many,
            };
            if joined != origin[to] {
                origin[to] = joined;
                open.push(to);
            }
        }
    }
    origin
}

/// Edges, by the value at one of their ends.
struct Lists {
    /// Where the list of each value begins, and the end of all.
    starts: Vec<usize>,
    edges: Vec<usize>,
    ends: Vec<usize>,
}

impl Lists {
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "there is a start more than values, and all starts are at most the number of edges"
    )]
    fn new(flow: &Flow<'_, '_>, ends: impl Fn(&super::flow::Edge) -> (usize, usize)) -> Self {
        let mut starts = vec![0; flow.places.len() + 1];
        for edge in &flow.edges {
            starts[ends(edge).0 + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut edges = vec![0; flow.edges.len()];
        let mut others = vec![0; flow.edges.len()];
        for (i, edge) in flow.edges.iter().enumerate() {
            let (at, other) = ends(edge);
            edges[next[at]] = i;
            others[next[at]] = other;
            next[at] += 1;
        }
        Self {
            starts,
            edges,
            ends: others,
        }
    }

    /// Where the list of a value is.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "values are numbered below their number"
    )]
    fn range(&self, value: usize) -> Range<usize> {
        self.starts[value]..self.starts[value + 1]
    }

    /// The edges at a value.
    fn of(&self, value: usize) -> &[usize] {
        &self.edges[self.range(value)]
    }

    /// Goes from a value along the edges, as far as `visit` says yes.
    fn walk(&self, start: usize, mut visit: impl FnMut(usize) -> bool) {
        let mut open = vec![start];
        while let Some(value) = open.pop() {
            if visit(value) {
                open.extend(&self.ends[self.range(value)]);
            }
        }
    }

    /// Marks a value and all that it may be.
    fn mark(&self, start: usize, marks: &mut [bool]) {
        self.walk(start, |value| !std::mem::replace(&mut marks[value], true));
    }
}

//! What the names in a node's inputs stand for.
//!
//! In a graph an input is `NODE` or `NODE:PORT`; in a function it is the name of an argument, or
//! `NODE:OUTPUT:NUMBER`, with the name of an output and a number in that. Only outputs of calls have
//! names that matter: those of the function's results. Of all other ops with several outputs that are
//! told apart here, the outputs have one name.

#![expect(
    clippy::indexing_slicing,
    reason = "nodes are numbered by the graph, and each has an item in the lists of calls"
)]

use super::flow::{Flow, Place};
use super::graph::Graph;
use super::op;
use std::collections::HashMap;

/// What a name in an input stands for.
pub(super) struct Names<'g> {
    nodes: HashMap<(usize, &'g str), usize>,
    args: HashMap<(usize, &'g str), usize>,
    results: HashMap<(usize, &'g str), usize>,
}

impl<'g> Names<'g> {
    pub(super) fn new(graph: &'g Graph<'_>) -> Self {
        let nodes = graph.nodes.iter().enumerate();
        let functions = graph.functions.iter().enumerate();
        Self {
            nodes: nodes
                .map(|(i, node)| ((node.scope, node.def.name.as_str()), i))
                .collect(),
            args: functions
                .clone()
                .flat_map(|(f, function)| {
                    let args = function.args.iter().enumerate();
                    args.map(move |(i, arg)| ((f, arg.as_str()), i))
                })
                .collect(),
            results: functions
                .flat_map(|(f, function)| {
                    let results = function.results.iter().enumerate();
                    results.map(move |(i, (name, _))| ((f, name.as_str()), i))
                })
                .collect(),
        }
    }
}

impl Flow<'_, '_> {
    /// The value that an input's name stands for in a scope.
    pub(super) fn resolve(&mut self, names: &Names<'_>, scope: usize, name: &str) -> Option<usize> {
        let mut parts = name.split(':');
        let first = parts.next()?;
        let (second, third) = (parts.next(), parts.next());
        let node = names.nodes.get(&(scope, first)).copied();
        let Some(function) = scope.checked_sub(1) else {
            let port = second.map_or(Some(0), |port| port.parse().ok())?;
            return Some(self.output(node?, port));
        };
        if let (Some(node), Some(output)) = (node, second) {
            let port = match third {
                Some(number) => self.port(names, node, output, number.parse().ok()?),
                None => output.parse().ok()?,
            };
            return Some(self.output(node, port));
        }
        let number = names.args.get(&(function, first)).copied()?;
        Some(self.intern(Place::Argument { function, number }))
    }

    /// The number of a node's output, of which a function's body says a name and a number in that.
    fn port(&self, names: &Names<'_>, node: usize, output: &str, number: usize) -> usize {
        match (self.called[node].as_slice(), self.calls[node]) {
            // A call by the function's own name.
            (&[function], Some(op::Call { attrs: [], .. })) => {
                let port = names.results.get(&(function, output)).copied();
                port.unwrap_or(number)
            }
            _ => number,
        }
    }

    /// The value at an output of a node.
    fn output(&mut self, node: usize, port: usize) -> usize {
        let node_op = self.graph.nodes[node].def.op.as_str();
        let is_by_port = self.calls[node].is_some()
            || op::source(node_op) == Some(op::Source::Restored)
            || op::passes(node_op).is_some_and(|passes| passes.by_port);
        let port = if is_by_port { port } else { 0 };
        self.intern(Place::Output { node, port })
    }
}

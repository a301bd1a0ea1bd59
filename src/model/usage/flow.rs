//! Where the values of a graph come from: one edge for every way in which a value may be another one,
//! handed on by a node, or through the calls of functions.
//!
//! A function is looked at once, however often it is called: its argument may be any of the values
//! that are handed in, and its result may come out of any of its calls. So the graph of values is as
//! large as the file, but for functions that are called by turns (`Case`): edges have a limit.

#![expect(
    clippy::indexing_slicing,
    reason = "nodes and functions are numbered by the graph, values by the flow, and each list has an item for each \
              of them"
)]

use super::graph::Graph;
use super::names::Names;
use super::op;
use crate::error::{Error, Result};
use std::collections::HashMap;

/// How many edges there may be per node and input, and ever.
const EDGES_PER_INPUT: usize = 16;
const EDGES_ALWAYS: usize = 1 << 12;

/// Where a value is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// The output of a node with this number; the first of them where all are the same thing.
    Output { node: usize, port: usize },
    /// The argument of a function with this number.
    Argument { function: usize, number: usize },
    /// A variable that is known as an object of a SavedModel.
    Object(usize),
}

/// Value `to` may be what value `from` is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    /// With the same bits in the same order.
    pub(super) unchanged: bool,
    /// From a turn of a loop to the next.
    pub(super) is_back: bool,
}

/// The values of a graph.
pub(super) struct Flow<'g, 'a> {
    pub(super) graph: &'g Graph<'a>,
    /// The place of each value.
    pub(super) places: Vec<Place>,
    numbers: HashMap<Place, usize>,
    /// The values that go into each node; `None` where the graph doesn't hold what is asked for.
    pub(super) inputs: Vec<Vec<Option<usize>>>,
    /// The results of each function.
    pub(super) results: Vec<Vec<Option<usize>>>,
    pub(super) edges: Vec<Edge>,
    /// Whether a value may also be something that is not in the graph.
    pub(super) is_open: Vec<bool>,
    /// The functions that a node calls; empty for nodes that are no calls.
    pub(super) called: Vec<Vec<usize>>,
    pub(super) calls: Vec<Option<op::Call>>,
    edges_left: usize,
}

impl<'g, 'a> Flow<'g, 'a> {
    /// All values that are used anywhere, with the edges between them.
    pub(super) fn new(graph: &'g Graph<'a>) -> Result<Self> {
        let n_inputs: usize = graph
            .nodes
            .iter()
            .map(|node| node.def.input.len().saturating_add(1))
            .sum();
        let mut flow = Self {
            graph,
            places: Vec::new(),
            numbers: HashMap::new(),
            inputs: Vec::with_capacity(graph.nodes.len()),
            results: Vec::with_capacity(graph.functions.len()),
            edges: Vec::new(),
            is_open: Vec::new(),
            called: Vec::with_capacity(graph.nodes.len()),
            calls: Vec::with_capacity(graph.nodes.len()),
            edges_left: n_inputs
                .saturating_mul(EDGES_PER_INPUT)
                .saturating_add(EDGES_ALWAYS),
        };
        let names = Names::new(graph);
        flow.find_calls();
        for node in &graph.nodes {
            let data = node.def.input.iter().filter(|name| !name.starts_with('^'));
            let inputs = data.map(|name| flow.resolve(&names, node.scope, name));
            let inputs = inputs.collect();
            flow.inputs.push(inputs);
        }
        for (scope, function) in (1..).zip(&graph.functions) {
            let results = function.results.iter();
            let results = results.map(|(_, name)| flow.resolve(&names, scope, name));
            let results = results.collect();
            flow.results.push(results);
        }
        flow.is_open = vec![false; flow.places.len()];
        flow.connect()?;
        Ok(flow)
    }

    /// The value at a place, if it is used anywhere.
    pub(super) fn value(&self, place: Place) -> Option<usize> {
        self.numbers.get(&place).copied()
    }

    /// The value at a place.
    pub(super) fn intern(&mut self, place: Place) -> usize {
        *self.numbers.entry(place).or_insert_with(|| {
            let value = self.places.len();
            self.places.push(place);
            value
        })
    }

    /// Adds a value that nothing in the graph makes.
    pub(super) fn add(&mut self, place: Place) -> usize {
        let value = self.intern(place);
        self.is_open.resize(self.places.len(), false);
        value
    }

    /// Adds an edge to an argument of a function, if its body uses that.
    pub(super) fn feed(&mut self, from: usize, function: usize, number: usize) -> Result<()> {
        match self.value(Place::Argument { function, number }) {
            Some(to) => self.edge(from, to, true, false),
            None => Ok(()),
        }
    }

    fn find_calls(&mut self) {
        let functions = self.graph.functions_by_name();
        for node in &self.graph.nodes {
            let name = node.def.op.as_str();
            let mut call = op::call(name);
            let mut called = Vec::new();
            if let Some(call) = call {
                let attrs = call
                    .attrs
                    .iter()
                    .filter_map(|&attr| node.def.attr.get(attr));
                for attr in attrs {
                    let list = attr.list.iter().flat_map(|list| &list.func);
                    let names = attr.func.iter().chain(list);
                    called.extend(names.filter_map(|f| functions.get(f.name.as_str())));
                }
            } else if let Some(&function) = functions.get(name) {
                called.push(function);
                call = Some(op::Call {
                    attrs: &[],
                    before: 0,
                    behind: 0,
                    is_loop: false,
                });
            }
            // Of a loop without a body, or without a condition, nothing is known.
            if call.is_some_and(|call| call.is_loop) && called.len() != 2 {
                called.clear();
            }
            self.called.push(called);
            self.calls.push(call);
        }
    }

    /// Adds the edges to all values.
    fn connect(&mut self) -> Result<()> {
        for value in 0..self.places.len() {
            if let Place::Output { node, port } = self.places[value] {
                self.connect_output(value, node, port)?;
            }
        }
        for node in 0..self.graph.nodes.len() {
            self.connect_arguments(node)?;
        }
        Ok(())
    }

    /// The edges to an output of a node that hands something on.
    fn connect_output(&mut self, value: usize, node: usize, port: usize) -> Result<()> {
        let n_inputs = self.inputs[node].len();
        if let Some(passes) = op::passes(&self.graph.nodes[node].def.op) {
            if passes.by_port {
                return self.edge_or_open(self.input(node, port), value, passes.unchanged);
            }
            for i in passes.inputs.of(n_inputs) {
                self.edge_or_open(self.input(node, i), value, passes.unchanged)?;
            }
            self.is_open[value] |= n_inputs == 0;
        } else if let Some(call) = self.calls[node] {
            self.is_open[value] |= self.called[node].is_empty();
            if call.is_loop {
                self.edge_or_open(self.input(node, port), value, true)?;
            }
            // The condition of a loop has another result.
            let first = usize::from(call.is_loop);
            for i in first..self.called[node].len() {
                let result = self.results[self.called[node][i]].get(port).copied();
                self.edge_or_open(result.flatten(), value, true)?;
            }
        }
        Ok(())
    }

    /// The edges from what a node hands in to the arguments of the functions that it calls.
    fn connect_arguments(&mut self, node: usize) -> Result<()> {
        let Some(call) = self.calls[node] else {
            return Ok(());
        };
        let n_arguments = self.inputs[node]
            .len()
            .saturating_sub(call.before)
            .saturating_sub(call.behind);
        for i in 0..self.called[node].len() {
            let function = self.called[node][i];
            for (number, input) in (0..n_arguments).zip(call.before..) {
                let Some(to) = self.value(Place::Argument { function, number }) else {
                    self.spend_edge()?;
                    continue;
                };
                self.edge_or_open(self.input(node, input), to, true)?;
            }
            if let (true, Some(&body)) = (call.is_loop, self.called[node].last()) {
                for number in 0..n_arguments {
                    let from = self.results[body].get(number).copied().flatten();
                    let to = self.value(Place::Argument { function, number });
                    match (from, to) {
                        (Some(from), Some(to)) => self.edge(from, to, true, true)?,
                        _ => self.spend_edge()?,
                    }
                }
            }
        }
        Ok(())
    }

    /// A value that goes into a node.
    pub(super) fn input(&self, node: usize, number: usize) -> Option<usize> {
        self.inputs[node].get(number).copied().flatten()
    }

    fn edge_or_open(&mut self, from: Option<usize>, to: usize, unchanged: bool) -> Result<()> {
        match from {
            Some(from) => self.edge(from, to, unchanged, false),
            None => {
                self.is_open[to] = true;
                self.spend_edge()
            }
        }
    }

    fn edge(&mut self, from: usize, to: usize, unchanged: bool, is_back: bool) -> Result<()> {
        self.edges.push(Edge {
            from,
            to,
            unchanged,
            is_back,
        });
        self.spend_edge()
    }

    fn spend_edge(&mut self) -> Result<()> {
        self.edges_left = self.edges_left.checked_sub(1).ok_or_else(|| {
            Error::model(format!(
                "expected calls that hand on at most {EDGES_PER_INPUT} values for each input of a \
                 node, found more"
            ))
        })?;
        Ok(())
    }
}

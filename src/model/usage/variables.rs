//! A graph's variables and constants, and the roles of the tensors that hold them.

#![expect(
    clippy::indexing_slicing,
    reason = "values and nodes are numbered by the flow, variables by the search, and each list has an item for each"
)]

use super::analysis::Analysis;
use super::checkpoint::Checkpoint;
use super::constants::Constants;
use super::findings::{Findings, Found, of_file};
use super::flow::{Flow, Place};
use super::graph::Graph;
use super::objects::{self, Objects};
use super::op::{self, Source};
use super::savers;
use crate::error::Result;
use std::collections::HashMap;

/// A variable of a graph.
#[derive(Default)]
pub(super) struct Variable<'g> {
    pub(super) name: &'g str,
    /// The values that are a handle of it.
    pub(super) handles: Vec<usize>,
    /// Tensors that hold it or pieces of it.
    pub(super) tensors: Vec<usize>,
    /// Tensors that hold all of it, by the first that says so.
    pub(super) whole: Vec<usize>,
    /// What says so.
    pub(super) saver: Option<usize>,
    /// The constants that it is assigned.
    pub(super) constants: Vec<usize>,
}

/// Finds the roles of what is in file number `file`, which has `n_bytes`, and in the checkpoint of its graph.
pub(super) fn find(
    findings: &mut Findings<'_>,
    file: usize,
    n_bytes: usize,
    graph: &Graph<'_>,
    checkpoint: &Checkpoint<'_>,
    objects: Option<&Objects>,
) -> Result<()> {
    let mut flow = Flow::new(graph)?;
    let bound = match objects {
        Some(objects) => objects::bind(&mut flow, objects)?,
        None => Vec::new(),
    };
    let sources = sources(&flow)?;
    let analysis = Analysis::new(&flow, |value| sources[value]);
    let mut search = Search {
        flow,
        analysis,
        checkpoint,
        variables: Vec::new(),
        by_value: HashMap::new(),
        strings: HashMap::new(),
        bytes_left: savers::bytes_for(n_bytes),
    };
    search.list(&sources);
    search.ask_savers()?;
    search.ask_objects(objects)?;
    search.ask_names()?;
    let constants = search.constants(findings, file)?;
    search.add_roles(findings, &constants, file);
    search.join(findings, &constants);
    if let Some(objects) = objects {
        search.join_objects(findings, objects, &bound);
    }
    Ok(())
}

/// For each value that is made and not handed on, which value it is: itself, or for a variable the
/// first of its handles.
fn sources(flow: &Flow<'_, '_>) -> Result<Vec<Option<usize>>> {
    let mut first: HashMap<(&[u8], &[u8]), usize> = HashMap::new();
    let places = flow.places.iter().enumerate();
    let source = |(value, place): (usize, &Place)| {
        let node = match *place {
            Place::Object(_) => return Ok(Some(value)),
            Place::Argument { .. } => return Ok(None),
            Place::Output { node, .. } => &flow.graph.nodes[node],
        };
        Ok(match op::source(&node.def.op) {
            Some(Source::Variable) => {
                let name = match node.string_attr("shared_name")? {
                    b"" => node.def.name.as_bytes(),
                    name => name,
                };
                let key = (node.string_attr("container")?, name);
                Some(*first.entry(key).or_insert(value))
            }
            Some(Source::Constant | Source::Restored) => Some(value),
            None => None,
        })
    };
    places.map(source).collect()
}

/// A search for the tensors of variables.
pub(super) struct Search<'g, 'a, 'c> {
    pub(super) flow: Flow<'g, 'a>,
    pub(super) analysis: Analysis,
    pub(super) checkpoint: &'c Checkpoint<'c>,
    pub(super) variables: Vec<Variable<'g>>,
    /// Numbers of variables, by the value that they are.
    pub(super) by_value: HashMap<usize, usize>,
    /// Strings of constants, by their value.
    pub(super) strings: HashMap<usize, Vec<&'a [u8]>>,
    /// What is left of the bytes that looking up may take.
    pub(super) bytes_left: usize,
}

impl<'g, 'a> Search<'g, 'a, '_> {
    pub(super) fn op(&self, node: usize) -> &'g str {
        &self.flow.graph.nodes[node].def.op
    }

    /// Lists the variables.
    pub(super) fn list(&mut self, sources: &[Option<usize>]) {
        for (value, &place) in self.flow.places.iter().enumerate() {
            let (Some(source), name) = (
                sources[value],
                match place {
                    Place::Output { node, .. } => {
                        let node = &self.flow.graph.nodes[node];
                        match op::source(&node.def.op) {
                            Some(Source::Variable) => node.def.name.as_str(),
                            _ => continue,
                        }
                    }
                    Place::Object(_) => "",
                    Place::Argument { .. } => continue,
                },
            ) else {
                continue;
            };
            let variables = &mut self.variables;
            let number = *self.by_value.entry(source).or_insert_with(|| {
                let number = variables.len();
                variables.push(Variable {
                    name,
                    ..Variable::default()
                });
                number
            });
            self.variables[number].handles.push(value);
        }
    }

    /// The variable that a value is, if it is exactly one.
    pub(super) fn variable(&self, value: Option<usize>) -> Option<usize> {
        self.by_value.get(&self.analysis.one(value)?).copied()
    }

    /// What is done with a value.
    pub(super) fn found(&self, values: &[usize]) -> Found {
        let weight = values.iter().filter_map(|&v| self.analysis.weight[v]).min();
        match weight {
            Some(node) => Found::Weight(self.op(node).to_owned()),
            None if values.iter().any(|&v| self.analysis.is_opaque[v]) => Found::Hidden,
            None => Found::Other,
        }
    }

    pub(super) fn add_roles(
        &self,
        findings: &mut Findings<'_>,
        constants: &Constants,
        file: usize,
    ) {
        for (&value, &tensor) in constants {
            if self.analysis.is_used[value] || self.analysis.weight[value].is_some() {
                findings.add(tensor, self.found(&[value]));
            }
        }
        for number in of_file(findings.model, file) {
            // What stands in an attribute goes into no op.
            if findings.tensor(number).name.contains(':') {
                findings.add(number, Found::Other);
            }
        }
        let mut is_known = false;
        for variable in &self.variables {
            for &tensor in &variable.tensors {
                findings.add(tensor, self.found(&variable.handles));
                is_known = true;
            }
        }
        if is_known {
            for tensor in self.checkpoint.tensors() {
                findings.add(tensor, Found::Other);
            }
        }
    }
}

//! The roles of a graph's constants and variables, and what tensors of the checkpoint are.
//!
//! Savers say which variable is which tensor: `SaveV2` and its older forms have names and values,
//! `RestoreV2` has names, and its results are assigned to variables. A variable that no saver knows
//! goes by its own name, and an object of a SavedModel by the keys in the checkpoint's object graph.
//!
//! These are one thing:
//! - a variable and the constant that it is assigned, if that is the only one, and that constant is
//!   assigned to no other variable: the initial value;
//! - the tensors under all names that one saver stores one variable under;
//! - two variables that are the same argument of the same function, one where the graph calls it and
//!   the other as the object that it is bound to, if the checkpoint has one `full_name` for both.
//!   Keras exports every variable so: TensorFlow 2 loads `variables/0`, TensorFlow Serving
//!   `_all_variables/0`.
//!
//! A variable that is assigned what another one holds (a moving average) is another thing.

use super::analysis::Analysis;
use super::checkpoint::{Checkpoint, Stored};
use super::findings::{Findings, Found};
use super::flow::{Flow, Place};
use super::graph::Graph;
use super::objects::{Bound, Objects};
use crate::error::Result;
use crate::model::TensorData;
use std::collections::HashMap;

/// A variable of a graph.
#[derive(Default)]
struct Variable<'g> {
    name: &'g str,
    /// The values that are a handle of it.
    handles: Vec<usize>,
    /// Tensors that hold it or pieces of it.
    tensors: Vec<usize>,
    /// Tensors that hold all of it, by the first that says so.
    whole: Vec<usize>,
    /// What says so.
    saver: Option<usize>,
    /// The constants that it is assigned.
    constants: Vec<usize>,
}

/// Finds the roles of what is in file number `file`, and in the checkpoint of its graph.
pub(super) fn find(
    findings: &mut Findings<'_>,
    file: usize,
    graph: &Graph<'_>,
    checkpoint: &Checkpoint<'_>,
    objects: Option<&Objects>,
) -> Result<()> {
    let mut flow = Flow::new(graph)?;
    let bound = match objects {
        Some(objects) => bind(&mut flow, objects)?,
        None => Vec::new(),
    };
    let sources = sources(&flow);
    let analysis = Analysis::new(&flow, |value| sources[value]);
    let mut search = Search {
        flow,
        analysis,
        checkpoint,
        variables: Vec::new(),
        by_value: HashMap::new(),
        strings: HashMap::new(),
    };
    search.list(&sources);
    search.ask_savers()?;
    search.ask_objects(objects);
    search.ask_names();
    let constants = search.constants(findings, file)?;
    search.add_roles(findings, &constants, file);
    search.join(findings, &constants);
    if let Some(objects) = objects {
        search.join_objects(findings, objects, &bound);
    }
    Ok(())
}

/// A function, the number of the first of its arguments that are bound, and to which variables.
type BoundFunction = (usize, usize, Vec<Option<usize>>);

/// Adds the edges from objects to the arguments that they are bound to.
fn bind(flow: &mut Flow<'_, '_>, objects: &Objects) -> Result<Vec<BoundFunction>> {
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
        for (i, bound) in bound.into_iter().enumerate() {
            let place = match bound {
                Some(Bound::Variable(object)) => Some(Place::Object(object)),
                Some(Bound::Constant(name)) => {
                    nodes.get(name).map(|&node| Place::Output { node, port: 0 })
                }
                None => None,
            };
            if let Some(place) = place {
                let value = flow.add(place);
                flow.feed(value, function, first + i)?;
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

/// For each value that is made and not handed on, which value it is: itself, or for a variable the
/// first of its handles.
fn sources(flow: &Flow<'_, '_>) -> Vec<Option<usize>> {
    let mut first: HashMap<(&[u8], &[u8]), usize> = HashMap::new();
    let places = flow.places.iter().enumerate();
    let source = |(value, place): (usize, &Place)| {
        let node = match *place {
            Place::Object(_) => return Some(value),
            Place::Argument { .. } => return None,
            Place::Output { node, .. } => &flow.graph.nodes[node],
        };
        match node.def.op.as_str() {
            "Const" | "RestoreV2" | "Restore" | "RestoreSlice" => Some(value),
            "VarHandleOp" | "VariableV2" | "Variable" => {
                let name = match node.string_attr("shared_name") {
                    b"" => node.def.name.as_bytes(),
                    name => name,
                };
                let key = (node.string_attr("container"), name);
                Some(*first.entry(key).or_insert(value))
            }
            _ => None,
        }
    };
    places.map(source).collect()
}

/// A search for the tensors of variables.
struct Search<'g, 'a, 'c> {
    flow: Flow<'g, 'a>,
    analysis: Analysis,
    checkpoint: &'c Checkpoint<'c>,
    variables: Vec<Variable<'g>>,
    /// Numbers of variables, by the value that they are.
    by_value: HashMap<usize, usize>,
    /// Strings of constants, by their value.
    strings: HashMap<usize, Vec<&'a [u8]>>,
}

/// A constant of the graph: the value that it is, and the tensor that holds it.
type Constants = HashMap<usize, usize>;

impl<'g, 'a> Search<'g, 'a, '_> {
    fn op(&self, node: usize) -> &'g str {
        &self.flow.graph.nodes[node].def.op
    }

    /// Lists the variables.
    fn list(&mut self, sources: &[Option<usize>]) {
        for (value, &place) in self.flow.places.iter().enumerate() {
            let (Some(source), name) = (
                sources[value],
                match place {
                    Place::Output { node, .. } => {
                        let node = &self.flow.graph.nodes[node];
                        match node.def.op.as_str() {
                            "VarHandleOp" | "VariableV2" | "Variable" => node.def.name.as_str(),
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
                variables.push(Variable {
                    name,
                    ..Variable::default()
                });
                variables.len() - 1
            });
            self.variables[number].handles.push(value);
        }
    }

    /// The variable that a value is, if it is exactly one.
    fn variable(&self, value: Option<usize>) -> Option<usize> {
        self.by_value.get(&self.analysis.one(value)?).copied()
    }

    /// Asks what is saved and restored under which name.
    fn ask_savers(&mut self) -> Result<()> {
        let mut restored = Vec::new();
        for node in 0..self.flow.graph.nodes.len() {
            // Where the values are, and whether the ranges of pieces are before them.
            let (first, has_slices) = match self.op(node) {
                "SaveV2" | "SaveSlices" => (3, true),
                "Save" => (2, false),
                "Assign" | "AssignVariableOp" => {
                    restored.push(node);
                    continue;
                }
                _ => continue,
            };
            for i in first..self.flow.inputs[node].len() {
                if let Some(variable) = self.variable(self.flow.input(node, i)) {
                    let slices = has_slices.then_some(2);
                    self.ask_name(variable, node, (node, 1, slices), i - first)?;
                }
            }
        }
        for node in restored {
            let target = self.variable(self.flow.input(node, 0));
            let value = self.analysis.one(self.flow.input(node, 1));
            let (Some(variable), Some(value)) = (target, value) else {
                continue;
            };
            let Place::Output { node: from, port } = self.flow.places[value] else {
                continue;
            };
            match self.op(from) {
                "Const" => self.variables[variable].constants.push(value),
                "RestoreV2" | "RestoreSlice" => {
                    self.ask_name(variable, from, (from, 1, Some(2)), port)?;
                }
                "Restore" => self.ask_name(variable, from, (from, 1, None), port)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Looks up a variable under the name at `index` of those that go into a node.
    fn ask_name(
        &mut self,
        variable: usize,
        saver: usize,
        (node, names, slices): (usize, usize, Option<usize>),
        index: usize,
    ) -> Result<()> {
        let name = self.string(node, names, index)?;
        let slice = match slices {
            Some(slices) => self.string(node, slices, index)?,
            None => None,
        };
        if let Some(name) = name {
            self.store(variable, Some(saver), name, slice.unwrap_or_default());
        }
        Ok(())
    }

    /// A string of the constant that goes into a node.
    fn string(&mut self, node: usize, input: usize, index: usize) -> Result<Option<&'a [u8]>> {
        let Some(value) = self.analysis.one(self.flow.input(node, input)) else {
            return Ok(None);
        };
        if !self.strings.contains_key(&value) {
            let strings = match self.flow.places[value] {
                Place::Output { node, .. } if self.op(node) == "Const" => {
                    self.flow.graph.nodes[node].strings()?
                }
                _ => Vec::new(),
            };
            self.strings.insert(value, strings);
        }
        let strings = self.strings.get(&value);
        Ok(strings.and_then(|strings| strings.get(index).copied()))
    }

    /// Adds the tensors under a key to those of a variable.
    fn store(&mut self, variable: usize, saver: Option<usize>, key: &[u8], slice: &[u8]) {
        let variable = &mut self.variables[variable];
        match self.checkpoint.stored(key, slice) {
            Stored::Whole(tensor) => {
                if variable.whole.is_empty() {
                    variable.saver = saver;
                }
                if variable.saver == saver {
                    variable.whole.push(tensor);
                }
                variable.tensors.push(tensor);
            }
            Stored::Pieces(pieces) if variable.tensors.is_empty() => {
                variable.tensors.extend(pieces);
            }
            Stored::Pieces(_) | Stored::Nothing => {}
        }
    }

    /// Asks the checkpoint for the keys of objects.
    fn ask_objects(&mut self, objects: Option<&Objects>) {
        for variable in 0..self.variables.len() {
            let Some(&value) = self.variables[variable].handles.first() else {
                continue;
            };
            if let (Place::Object(object), Some(objects)) = (self.flow.places[value], objects) {
                for key in objects.keys(object) {
                    self.store(variable, None, key.as_bytes(), b"");
                }
            }
        }
    }

    /// Looks variables up under their own names, if there is nothing else.
    fn ask_names(&mut self) {
        for variable in 0..self.variables.len() {
            let Variable { name, tensors, .. } = &self.variables[variable];
            if tensors.is_empty() && !name.is_empty() {
                self.store(variable, None, name.as_bytes(), b"");
            }
        }
    }

    /// The tensors of the graph's constants.
    fn constants(&self, findings: &Findings<'_>, file: usize) -> Result<Constants> {
        let tensors = &findings.model.tensors;
        let of_file = tensors.partition_point(|tensor| tensor.file < file)
            ..tensors.partition_point(|tensor| tensor.file <= file);
        let (first, of_file) = (of_file.start, &tensors[of_file]);
        let raw = |tensor: &crate::model::ModelTensor| match &tensor.data {
            TensorData::Raw { range, .. } => Some((range.start, range.end)),
            TensorData::Opaque => None,
        };
        // They stand behind the raw ones, in no order; only a name that is there once is known.
        let n_raw = of_file.partition_point(|tensor| raw(tensor).is_some());
        let (of_file, opaque) = of_file.split_at(n_raw);
        let mut by_name: HashMap<&str, Option<usize>> = HashMap::new();
        for (i, tensor) in opaque.iter().enumerate() {
            let number = by_name
                .entry(&tensor.name)
                .or_insert(Some(first + n_raw + i));
            if *number != Some(first + n_raw + i) {
                *number = None;
            }
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
                Some(tensor) if is_inside(tensor) => Some(first + found),
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

    /// What is done with a value.
    fn found(&self, values: &[usize]) -> Found {
        let weight = values.iter().filter_map(|&v| self.analysis.weight[v]).min();
        match weight {
            Some(node) => Found::Weight(self.op(node).to_owned()),
            None if values.iter().any(|&v| self.analysis.is_opaque[v]) => Found::Hidden,
            None => Found::Other,
        }
    }

    fn add_roles(&self, findings: &mut Findings<'_>, constants: &Constants, file: usize) {
        for (&value, &tensor) in constants {
            if self.analysis.is_used[value] || self.analysis.weight[value].is_some() {
                findings.add(tensor, self.found(&[value]));
            }
        }
        for (number, tensor) in findings.model.tensors.iter().enumerate() {
            // What stands in an attribute goes into no op.
            if tensor.file == file && tensor.name.contains(':') {
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

    /// Joins variables with their initial values, and with themselves.
    fn join(&self, findings: &mut Findings<'_>, constants: &Constants) {
        let mut n_variables: HashMap<usize, usize> = HashMap::new();
        for variable in &self.variables {
            let mut own = variable.constants.clone();
            own.sort_unstable();
            own.dedup();
            for constant in own {
                *n_variables.entry(constant).or_default() += 1;
            }
        }
        for variable in &self.variables {
            for pair in variable.whole.windows(2) {
                findings.join(pair[0], pair[1]);
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
    fn join_objects(
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
            for (i, &object) in objects.iter().enumerate() {
                let handle = object.and_then(|object| self.flow.value(Place::Object(object)));
                let (Some(a), Some(b)) = (
                    self.variable(self.flow.input(node, first + i)),
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

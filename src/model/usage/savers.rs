//! Which tensors of the checkpoint a variable is.
//!
//! Savers say it: `SaveV2` and its older forms have names and values, `RestoreV2` has names, and its
//! results are assigned to variables. A variable that no saver knows goes by its own name, and an
//! object of a SavedModel by the keys in the checkpoint's object graph.

#![expect(
    clippy::indexing_slicing,
    reason = "values and nodes are numbered by the flow, variables by the search, and each list has an item for each"
)]

use super::checkpoint::Stored;
use super::flow::Place;
use super::objects::Objects;
use super::variables::{Search, Variable};
use crate::error::{Error, Result};

/// What looking up may take: names and pieces can be shared, so that a small file could otherwise buy
/// a lot of work. In bytes per byte of the file, and ever.
const BYTES_PER_BYTE: usize = 16;
const BYTES_ALWAYS: usize = 1 << 20;

/// What looking up may take for a file of `n` bytes.
pub(super) fn bytes_for(n: usize) -> usize {
    n.saturating_mul(BYTES_PER_BYTE)
        .saturating_add(BYTES_ALWAYS)
}

impl<'a> Search<'_, 'a, '_> {
    /// Asks what is saved and restored under which name.
    pub(super) fn ask_savers(&mut self) -> Result<()> {
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
            for (index, input) in (first..self.flow.inputs[node].len()).enumerate() {
                if let Some(variable) = self.variable(self.flow.input(node, input)) {
                    let slices = has_slices.then_some(2);
                    self.ask_name(variable, node, (node, 1, slices), index)?;
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
    pub(super) fn ask_name(
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
            self.store(variable, Some(saver), name, slice.unwrap_or_default())?;
        }
        Ok(())
    }

    /// A string of the constant that goes into a node.
    pub(super) fn string(
        &mut self,
        node: usize,
        input: usize,
        index: usize,
    ) -> Result<Option<&'a [u8]>> {
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
    pub(super) fn store(
        &mut self,
        variable: usize,
        saver: Option<usize>,
        key: &[u8],
        slice: &[u8],
    ) -> Result<()> {
        let checkpoint = self.checkpoint;
        self.spend(1)?;
        self.spend(key.len())?;
        self.spend(slice.len())?;
        match checkpoint.stored(key, slice) {
            Stored::Whole(tensor) => {
                let variable = &mut self.variables[variable];
                let is_first = variable.whole.is_empty();
                if is_first {
                    variable.saver = saver;
                }
                if is_first || saver.is_some() && variable.saver == saver {
                    variable.whole.push(tensor);
                }
                variable.tensors.push(tensor);
            }
            Stored::Pieces(pieces) if self.variables[variable].tensors.is_empty() => {
                self.spend(size_of_val(pieces))?;
                self.variables[variable].tensors.extend(pieces);
            }
            Stored::Pieces(_) | Stored::Nothing => {}
        }
        Ok(())
    }

    /// Takes from what looking up may take.
    fn spend(&mut self, n_bytes: usize) -> Result<()> {
        self.bytes_left = self.bytes_left.checked_sub(n_bytes).ok_or_else(|| {
            Error::model(format!(
                "expected names of stored variables that take at most {BYTES_PER_BYTE} times the \
                 file, found more"
            ))
        })?;
        Ok(())
    }

    /// Asks the checkpoint for the keys of objects.
    pub(super) fn ask_objects(&mut self, objects: Option<&Objects>) -> Result<()> {
        for variable in 0..self.variables.len() {
            let Some(&value) = self.variables[variable].handles.first() else {
                continue;
            };
            if let (Place::Object(object), Some(objects)) = (self.flow.places[value], objects) {
                for key in objects.keys(object) {
                    self.store(variable, None, key.as_bytes(), b"")?;
                }
            }
        }
        Ok(())
    }

    /// Looks variables up under their own names, if there is nothing else.
    pub(super) fn ask_names(&mut self) -> Result<()> {
        for variable in 0..self.variables.len() {
            let Variable { name, tensors, .. } = &self.variables[variable];
            if tensors.is_empty() && !name.is_empty() {
                self.store(variable, None, name.as_bytes(), b"")?;
            }
        }
        Ok(())
    }
}

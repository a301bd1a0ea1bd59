//! `tensorflow.GraphDef`: the nodes of a graph, most often frozen, and its library of functions.
//!
//! Every TensorProto is found, wherever one can stand. Its name says where:
//!
//! | name | a tensor in |
//! |---|---|
//! | `NODE` | the attribute `value` of a graph's node: a constant |
//! | `NODE:ATTR` | any other attribute of that node |
//! | `NODE:ATTR[i]` | the `i`-th tensor of a list |
//! | `NODE:ATTR:INNER`, `NODE:ATTR[i]:INNER` | an attribute of a function that is an attribute (the `i`-th of a list), to any depth |
//! | `FUNCTION/NODE`, `FUNCTION/NODE:ATTR`, … | a node of a library function |
//! | `FUNCTION:ATTR` | an attribute of a library function, or a default or allowed value in its signature |
//! | `FUNCTION:arg[i]:ATTR` | an attribute of its `i`-th argument |
//!
//! A tensor is `Raw` only where the file says in one place what it is. Where protobuf would merge
//! two messages into one, or let a later one replace an earlier (a oneof set twice, a map entry with
//! two values), tensors inside are `Opaque`. The library and the signatures of its functions are the
//! exception: merging them only joins lists of functions and of attributes.

use super::wire::{self, Message};
use super::{
    Found, InputFile, Kind, ModelKind, ModelTensor, TensorData, nothing_to_repair, numbered,
    tensor_proto,
};
use crate::error::{Error, Result};

/// The attribute that makes a node a constant: it needs no mention in the tensor's name.
const CONSTANT: &str = "value";

/// The longest name of a tensor, in bytes.
const MAX_NAME_BYTES: usize = 65_535;

/// What all names together may take: names are joined from parts that many tensors share, so
/// that a small file could otherwise buy a lot of memory. In bytes per byte of the file, and ever.
const NAME_BYTES_PER_BYTE: usize = 16;
const NAME_BYTES_ALWAYS: usize = 1 << 20;

pub(super) const KIND: Kind = Kind {
    kind: ModelKind::GraphDef,
    read,
    repair: nothing_to_repair,
};

/// A file is a GraphDef from its first node on: what is wrong behind that is damage.
fn read(files: &[InputFile<'_>], file: usize) -> Result<Option<Found>> {
    let mut walk = Walk::new(files, file);
    match walk.graph(Message::root(numbered(files, file).bytes)) {
        Err(e) if walk.has_nodes => Err(e.within(KIND.kind)),
        Ok(()) if walk.has_nodes => Ok(Some(walk.found())),
        _ => Ok(None),
    }
}

/// What is wrong with a file that is no GraphDef.
pub(super) fn complaint(bytes: &[u8]) -> Error {
    let file = InputFile { name: "", bytes };
    match Walk::new(&[file], 0).graph(Message::root(bytes)) {
        Err(e) => e,
        Ok(()) => wire::error(bytes.len(), "expected a node, found the end of the file"),
    }
}

/// A walk through a file's messages, in file order, that collects their tensors.
///
/// Every message is gone through a few times and no more: for what must be known first (its name,
/// whether something occurs twice), then for what is inside. Time and memory are linear in the size
/// of the file.
pub(super) struct Walk {
    /// Number of the file.
    file: usize,
    /// Name of the place where the walk is.
    name: String,
    /// What is left of the bytes that names may take.
    name_bytes_left: usize,
    /// Whether the graphs met so far have a node; those of functions don't count.
    has_nodes: bool,
    tensors: Vec<ModelTensor>,
}

impl Walk {
    /// A walk through file number `file`.
    pub(super) fn new(files: &[InputFile<'_>], file: usize) -> Self {
        Self {
            file,
            name: String::new(),
            name_bytes_left: numbered(files, file)
                .bytes
                .len()
                .saturating_mul(NAME_BYTES_PER_BYTE)
                .saturating_add(NAME_BYTES_ALWAYS),
            has_nodes: false,
            tensors: Vec::new(),
        }
    }

    /// What the walk has found.
    pub(super) fn found(self) -> Found {
        Found {
            files: vec![self.file],
            tensors: self.tensors,
        }
    }

    /// Walks a place whose name continues the present one.
    pub(super) fn at(
        &mut self,
        parts: &[&str],
        walk: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let len = self.name.len();
        self.name.extend(parts.iter().copied());
        walk(self)?;
        self.name.truncate(len);
        Ok(())
    }

    /// GraphDef.
    pub(super) fn graph(&mut self, graph: Message<'_>) -> Result<()> {
        for field in graph.fields() {
            let field = field?;
            match field.number {
                1 => {
                    let node = field.message()?;
                    let name = node_name(node)?;
                    self.has_nodes = true;
                    self.at(&[name], |walk| walk.node_attrs(node))?;
                }
                2 => self.library(field.message()?)?,
                3 => drop(field.varint()?),
                4 | 5 => drop(field.bytes()?),
                _ => {}
            }
        }
        Ok(())
    }

    fn node_attrs(&mut self, node: Message<'_>) -> Result<()> {
        self.attr_map(node, 5, Some(CONSTANT), false)
    }

    /// FunctionDefLibrary.
    fn library(&mut self, library: Message<'_>) -> Result<()> {
        for field in library.fields() {
            let field = field?;
            if field.number == 1 {
                let function = field.message()?;
                let name = function_name(function)?;
                self.at(&[name], |walk| walk.function(function))?;
            }
        }
        Ok(())
    }

    /// FunctionDef.
    fn function(&mut self, function: Message<'_>) -> Result<()> {
        for field in function.fields() {
            let field = field?;
            match field.number {
                1 => self.op_attrs(field.message()?)?,
                3 => {
                    let node = field.message()?;
                    let name = node_name(node)?;
                    self.at(&["/", name], |walk| walk.node_attrs(node))?;
                }
                5 => self.attr(field.message()?, None, false)?,
                7 => self.argument(field.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// OpDef: the attributes of an op, or of a function in its signature.
    pub(super) fn op_attrs(&mut self, op: Message<'_>) -> Result<()> {
        for field in op.fields() {
            let field = field?;
            if field.number == 4 {
                let attr = field.message()?;
                let name = last_name(attr, 1)?;
                self.at(&[":", name], |walk| walk.attr_def(attr))?;
            }
        }
        Ok(())
    }

    /// OpDef.AttrDef: its default value and its allowed values.
    fn attr_def(&mut self, attr: Message<'_>) -> Result<()> {
        let (defaults, allowed) = (attr.count(3)?, attr.count(7)?);
        for field in attr.fields() {
            let field = field?;
            let occurrences = match field.number {
                3 => defaults,
                7 => allowed,
                _ => continue,
            };
            self.attr_value(field.message()?, self.name.len(), occurrences > 1)?;
        }
        Ok(())
    }

    /// An entry of the map from the number of an argument to its ArgAttrs.
    fn argument(&mut self, entry: Message<'_>) -> Result<()> {
        let mut number = 0;
        for field in entry.fields() {
            let field = field?;
            if field.number == 1 {
                number = field.varint()?;
            }
        }
        let merged = entry.count(2)? > 1;
        self.at(&[&format!(":arg[{number}]")], |walk| {
            for field in entry.fields() {
                let field = field?;
                if field.number == 2 {
                    walk.attr_map(field.message()?, 1, None, merged)?;
                }
            }
            Ok(())
        })
    }

    /// The attributes in field `number` of a message: a map from names to AttrValues. A tensor
    /// under the key `silent` is named as what has the attribute.
    fn attr_map(
        &mut self,
        message: Message<'_>,
        number: u32,
        silent: Option<&str>,
        merged: bool,
    ) -> Result<()> {
        for field in message.fields() {
            let field = field?;
            if field.number == number {
                self.attr(field.message()?, silent, merged)?;
            }
        }
        Ok(())
    }

    /// One entry of such a map.
    fn attr(&mut self, entry: Message<'_>, silent: Option<&str>, merged: bool) -> Result<()> {
        let key = last_name(entry, 1)?;
        let merged = merged || entry.count(2)? > 1;
        let owner_len = self.name.len();
        self.at(&[":", key], |walk| {
            let name_len = match silent {
                Some(silent) if silent == key => owner_len,
                _ => walk.name.len(),
            };
            for field in entry.fields() {
                let field = field?;
                if field.number == 2 {
                    walk.attr_value(field.message()?, name_len, merged)?;
                }
            }
            Ok(())
        })
    }

    /// AttrValue: a oneof of fields 1 to 10. `name_len` is how much of the present name a tensor
    /// gets that is the value itself.
    fn attr_value(&mut self, value: Message<'_>, name_len: usize, merged: bool) -> Result<()> {
        let mut n_members = 0usize;
        for field in value.fields() {
            let is_member = (1..=10).contains(&field?.number);
            n_members = n_members.saturating_add(is_member.into());
        }
        let merged = merged || n_members > 1;
        for field in value.fields() {
            let field = field?;
            match field.number {
                1 => self.list(field.message()?, merged)?,
                8 => self.tensor(field.message()?, name_len, merged)?,
                10 => self.attr_map(field.message()?, 2, None, merged)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// AttrValue.ListValue: its tensors, and its functions' attributes.
    fn list(&mut self, list: Message<'_>, merged: bool) -> Result<()> {
        let (mut n_tensors, mut n_functions) = (0u64, 0u64);
        for field in list.fields() {
            let field = field?;
            match field.number {
                8 => {
                    let tensor = field.message()?;
                    self.at(&[&format!("[{n_tensors}]")], |walk| {
                        walk.tensor_here(tensor, merged)
                    })?;
                    n_tensors = n_tensors.saturating_add(1);
                }
                9 => {
                    let function = field.message()?;
                    self.at(&[&format!("[{n_functions}]")], |walk| {
                        walk.attr_map(function, 2, None, merged)
                    })?;
                    n_functions = n_functions.saturating_add(1);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A TensorProto that goes by the present name; `Opaque` where `merged` says that protobuf
    /// might put something else in its place.
    pub(super) fn tensor_here(&mut self, message: Message<'_>, merged: bool) -> Result<()> {
        self.tensor(message, self.name.len(), merged)
    }

    /// A TensorProto, named by the first `name_len` bytes of the present name.
    fn tensor(&mut self, message: Message<'_>, name_len: usize, merged: bool) -> Result<()> {
        let Some(tensor) = tensor_proto::read(message)? else {
            return Ok(());
        };
        let refuse = |detail| Err(wire::error(message.start(), detail));
        if name_len > MAX_NAME_BYTES {
            return refuse(format!(
                "expected a tensor name of at most {MAX_NAME_BYTES} bytes, found {name_len}"
            ));
        }
        let Some(left) = self.name_bytes_left.checked_sub(name_len) else {
            return refuse(format!(
                "expected tensor names that take at most {NAME_BYTES_PER_BYTE} times the file, \
                 found more"
            ));
        };
        self.name_bytes_left = left;
        self.tensors.push(ModelTensor {
            file: self.file,
            name: self.name.get(..name_len).unwrap_or_default().to_owned(),
            dtype: tensor.dtype,
            shape: tensor.shape,
            data: if merged {
                TensorData::Opaque
            } else {
                tensor.data
            },
        });
        Ok(())
    }
}

/// The name of a NodeDef, which must have what every node has: a name, an op, and known fields of
/// the right wire type.
fn node_name<'a>(node: Message<'a>) -> Result<&'a str> {
    let (mut name, mut op) = ("", "");
    for field in node.fields() {
        let field = field?;
        match field.number {
            1 => name = field.name()?,
            2 => op = field.name()?,
            3..=7 => drop(field.bytes()?),
            _ => {}
        }
    }
    for (what, found) in [("name", name), ("op", op)] {
        if found.is_empty() {
            return Err(wire::error(
                node.start(),
                format!("expected a node with a name and an op, found no {what}"),
            ));
        }
    }
    Ok(name)
}

/// The name of a FunctionDef: that of its signature.
fn function_name<'a>(function: Message<'a>) -> Result<&'a str> {
    let mut name = "";
    for field in function.fields() {
        let field = field?;
        if field.number == 1 {
            let of_signature = last_name(field.message()?, 1)?;
            if !of_signature.is_empty() {
                name = of_signature;
            }
        }
    }
    Ok(name)
}

/// The name in field `number` of a message; empty where it has none. The last one counts.
pub(super) fn last_name<'a>(message: Message<'a>, number: u32) -> Result<&'a str> {
    let mut name = "";
    for field in message.fields() {
        let field = field?;
        if field.number == number {
            name = field.name()?;
        }
    }
    Ok(name)
}

#[cfg(test)]
mod tests;

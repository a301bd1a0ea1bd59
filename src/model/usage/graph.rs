//! A GraphDef as nodes and functions: the meaning from prost, the place of each node from the wire.

use super::message::{ArgDef, FunctionDef, NodeDef};
use crate::error::Result;
use crate::model::graph_def::last_name;
use crate::model::wire::{self, Message};
use std::collections::HashMap;

/// A graph and its library of functions. Scope 0 is the graph itself, scope `i + 1` the body of
/// function `i`.
#[derive(Default)]
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) functions: Vec<Function>,
}

/// A node of the graph, or of a function.
pub(super) struct Node<'a> {
    pub(super) def: NodeDef,
    pub(super) scope: usize,
    message: Message<'a>,
}

/// What is outside a function's body.
pub(super) struct Function {
    pub(super) name: String,
    /// Names of its arguments, one tensor each.
    pub(super) args: Vec<String>,
    /// Names of its results, and what in the body they are.
    pub(super) results: Vec<(String, String)>,
}

impl<'a> Graph<'a> {
    /// Reads a GraphDef, whose parts protobuf would join.
    pub(super) fn read(parts: &[Message<'a>]) -> Result<Self> {
        let mut graph = Self::default();
        for part in parts {
            for field in part.fields() {
                let field = field?;
                match field.number {
                    1 => graph.add_node(0, field.message()?)?,
                    2 => {
                        for function in field.message()?.messages(1) {
                            graph.add_function(function?)?;
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(graph)
    }

    fn add_node(&mut self, scope: usize, message: Message<'a>) -> Result<()> {
        self.nodes.push(Node {
            def: decode(message)?,
            scope,
            message,
        });
        Ok(())
    }

    fn add_function(&mut self, message: Message<'a>) -> Result<()> {
        let FunctionDef { signature, mut ret } = decode(message)?;
        let signature = signature.unwrap_or_default();
        let (args, results) = (names(signature.input_arg), names(signature.output_arg));
        let result = |name: String| {
            let inside = ret.remove(&name).unwrap_or_default();
            (name, inside)
        };
        self.functions.push(Function {
            name: signature.name,
            args,
            results: results.into_iter().map(result).collect(),
        });
        let scope = self.functions.len();
        for node in message.messages(3) {
            self.add_node(scope, node?)?;
        }
        Ok(())
    }

    /// Functions by name. Of several with one name the last counts.
    pub(super) fn functions_by_name(&self) -> HashMap<&str, usize> {
        let functions = self.functions.iter().enumerate();
        functions.map(|(i, f)| (f.name.as_str(), i)).collect()
    }
}

impl<'a> Node<'a> {
    /// The TensorProto that makes it a constant. If there are several, the last.
    pub(super) fn constant(&self) -> Result<Option<Message<'a>>> {
        let mut tensor = None;
        for attr in self.message.messages(5) {
            let attr = attr?;
            if last_name(attr, 1)? == "value" {
                for value in attr.messages(2) {
                    for found in value?.messages(8) {
                        tensor = Some(found?);
                    }
                }
            }
        }
        Ok(tensor)
    }

    /// The strings of a constant, in order; their shape doesn't matter here.
    pub(super) fn strings(&self) -> Result<Vec<&'a [u8]>> {
        let Some(tensor) = self.constant()? else {
            return Ok(Vec::new());
        };
        let mut strings = Vec::new();
        for field in tensor.fields() {
            let field = field?;
            if field.number == 8 {
                strings.push(field.bytes()?.bytes);
            }
        }
        Ok(strings)
    }

    /// The value of an attribute that is a string; empty where it isn't there.
    pub(super) fn string_attr(&self, name: &str) -> Result<&'a [u8]> {
        let mut string: &[u8] = b"";
        for attr in self.message.messages(5) {
            let attr = attr?;
            if last_name(attr, 1)? == name {
                for value in attr.messages(2) {
                    for field in value?.fields() {
                        let field = field?;
                        if field.number == 2 {
                            string = field.bytes()?.bytes;
                        }
                    }
                }
            }
        }
        Ok(string)
    }
}

/// Decodes a message with prost.
pub(super) fn decode<M: prost::Message + Default>(message: Message<'_>) -> Result<M> {
    M::decode(message.content()).map_err(|e| wire::error(message.start(), e.to_string()))
}

/// The names of arguments; none at all where one stands for several tensors, since their numbers are
/// not known then.
fn names(args: Vec<ArgDef>) -> Vec<String> {
    let is_one = |arg: &ArgDef| arg.number_attr.is_empty() && arg.type_list_attr.is_empty();
    if !args.iter().all(is_one) {
        return Vec::new();
    }
    args.into_iter().map(|arg| arg.name).collect()
}

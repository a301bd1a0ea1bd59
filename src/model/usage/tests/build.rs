//! Writers of graphs and checkpoints, and what is found in them.

use crate::error::Result;
use crate::model::leveldb::build::{PLAIN, table};
use crate::model::leveldb::masked_crc32c;
use crate::model::wire::build::{bytes, fixed32, raw_varint, varint};
use crate::model::{self, InputFile, Model, Role, Usage};
use crate::tensor::DType;

/// Files, by name.
pub(super) type Files = Vec<(String, Vec<u8>)>;

/// A TensorProto of this shape, filled with `fill`.
pub(super) fn tensor(dtype: DType, shape: &[u64], fill: u8) -> Vec<u8> {
    let n: u64 = shape.iter().product();
    let content = vec![fill; usize::try_from(n).unwrap() * dtype.width().unwrap()];
    [
        varint(1, dtype as u64),
        shape_of(shape),
        bytes(4, [&content]),
    ]
    .concat()
}

fn shape_of(shape: &[u64]) -> Vec<u8> {
    let dims: Vec<u8> = shape
        .iter()
        .flat_map(|&d| bytes(2, [&varint(1, d)]))
        .collect();
    bytes(2, [&dims])
}

/// An attribute: key, and the fields of its AttrValue.
pub(super) type Attr<'a> = (&'a str, Vec<u8>);

/// The fields of a NodeDef.
pub(super) fn node(name: &str, op: &str, inputs: &[&str], attrs: &[Attr<'_>]) -> Vec<u8> {
    let mut node = [bytes(1, [name.as_bytes()]), bytes(2, [op.as_bytes()])].concat();
    for input in inputs {
        node.extend(bytes(3, [input.as_bytes()]));
    }
    for (key, value) in attrs {
        node.extend(bytes(5, [&bytes(1, [key.as_bytes()]), &bytes(2, [value])]));
    }
    node
}

/// A node without attributes.
pub(super) fn op(name: &str, op: &str, inputs: &[&str]) -> Vec<u8> {
    node(name, op, inputs, &[])
}

/// A constant of floats.
pub(super) fn constant(name: &str, shape: &[u64]) -> Vec<u8> {
    constant_of(name, DType::Float32, shape, 1)
}

pub(super) fn constant_of(name: &str, dtype: DType, shape: &[u64], fill: u8) -> Vec<u8> {
    let value = bytes(8, [&tensor(dtype, shape, fill)]);
    node(name, "Const", &[], &[("value", value)])
}

/// A constant of strings.
pub(super) fn strings(name: &str, values: &[&str]) -> Vec<u8> {
    let mut proto = [varint(1, 7), shape_of(&[values.len() as u64])].concat();
    for value in values {
        proto.extend(bytes(8, [value.as_bytes()]));
    }
    node(name, "Const", &[], &[("value", bytes(8, [&proto]))])
}

/// The AttrValue of a function.
pub(super) fn func(name: &str) -> Vec<u8> {
    bytes(10, [&bytes(1, [name.as_bytes()])])
}

/// A call of a function.
pub(super) fn call(name: &str, function: &str, inputs: &[&str]) -> Vec<u8> {
    node(name, "PartitionedCall", inputs, &[("f", func(function))])
}

/// A FunctionDef; results have a name, and what they are in the body.
pub(super) fn function(
    name: &str,
    args: &[&str],
    results: &[(&str, &str)],
    nodes: &[Vec<u8>],
) -> Vec<u8> {
    let mut signature = bytes(1, [name.as_bytes()]);
    for arg in args {
        signature.extend(bytes(2, [&bytes(1, [arg.as_bytes()])]));
    }
    for (result, _) in results {
        signature.extend(bytes(3, [&bytes(1, [result.as_bytes()])]));
    }
    let mut function = bytes(1, [&signature]);
    for node in nodes {
        function.extend(bytes(3, [node]));
    }
    for (result, inside) in results {
        function.extend(bytes(
            4,
            [
                &bytes(1, [result.as_bytes()]),
                &bytes(2, [inside.as_bytes()]),
            ],
        ));
    }
    function
}

/// A GraphDef.
pub(super) fn graph(nodes: &[Vec<u8>], functions: &[Vec<u8>]) -> Vec<u8> {
    let nodes: Vec<u8> = nodes.iter().flat_map(|node| bytes(1, [node])).collect();
    let library: Vec<u8> = functions.iter().flat_map(|f| bytes(1, [f])).collect();
    [nodes, bytes(2, [&library])].concat()
}

/// A MetaGraphDef, with the fields of a SavedObjectGraph.
pub(super) fn meta_graph(graph: &[u8], objects: &[u8]) -> Vec<u8> {
    let info = bytes(1, [&bytes(4, [b"serve"])]);
    let objects = if objects.is_empty() {
        vec![]
    } else {
        bytes(7, [objects])
    };
    [info, bytes(2, [graph]), objects].concat()
}

/// The files of a checkpoint of float tensors, and of the object graph if there is one.
pub(super) fn bundle(prefix: &str, tensors: &[(&str, &[u64])], objects: Option<&[u8]>) -> Files {
    let mut data: Vec<u8> = Vec::new();
    let header = [varint(1, 1), bytes(3, [&varint(1, 1)])].concat();
    let mut entries = vec![(vec![], header)];
    let mut add = |key: &str, dtype: u64, shape: &[u64], content: Vec<u8>| {
        let value = [
            varint(1, dtype),
            shape_of(shape),
            varint(4, data.len() as u64),
            varint(5, content.len() as u64),
            fixed32(6, masked_crc32c(&content).to_le_bytes()),
        ];
        data.extend(content);
        entries.push((key.as_bytes().to_vec(), value.concat()));
    };
    for (key, shape) in tensors {
        let n: u64 = shape.iter().product();
        add(key, 1, shape, vec![2; usize::try_from(n).unwrap() * 4]);
    }
    if let Some(objects) = objects {
        let string = [
            raw_varint(objects.len() as u64),
            vec![0; 4],
            objects.to_vec(),
        ];
        add("_CHECKPOINTABLE_OBJECT_GRAPH", 7, &[], string.concat());
    }
    entries.sort();
    vec![
        (format!("{prefix}.data-00000-of-00001"), data),
        (format!("{prefix}.index"), table(&entries, PLAIN)),
    ]
}

/// What is found in files.
pub(super) fn look(files: &Files) -> Result<(Model, Usage)> {
    let files: Vec<InputFile<'_>> = files
        .iter()
        .map(|(name, bytes)| InputFile { name, bytes })
        .collect();
    let model = model::read(&files)?;
    let usage = model::usage(&files, &model)?;
    Ok((model, usage))
}

/// The roles of tensors, as `NAME OP`, `NAME -` and `NAME ?`, sorted.
pub(super) fn roles(files: &Files) -> Vec<String> {
    let (model, usage) = look(files).unwrap();
    let mut roles: Vec<String> = model
        .tensors
        .iter()
        .zip(&usage.tensors)
        .map(|(tensor, usage)| match &usage.role {
            Role::Weight { op } => format!("{} {op}", tensor.name),
            Role::Other => format!("{} -", tensor.name),
            Role::Unknown => format!("{} ?", tensor.name),
        })
        .collect();
    roles.sort();
    roles
}

/// The groups of tensors, by name, sorted.
pub(super) fn groups(files: &Files) -> Vec<Vec<String>> {
    let (model, usage) = look(files).unwrap();
    let name = |&number: &usize| model.tensors[number].name.clone();
    let mut groups: Vec<Vec<String>> = usage
        .groups
        .iter()
        .map(|group| {
            let mut names: Vec<String> = group.iter().map(name).collect();
            names.sort();
            names
        })
        .collect();
    groups.sort();
    groups
}

/// The roles in a GraphDef.
pub(super) fn roles_of(nodes: &[Vec<u8>], functions: &[Vec<u8>]) -> Vec<String> {
    roles(&vec![("g.pb".to_owned(), graph(nodes, functions))])
}

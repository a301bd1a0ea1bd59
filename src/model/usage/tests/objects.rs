//! The objects of SavedModels.

use super::build::*;
use crate::model::wire::build::{bytes, varint};

/// An object with children, and other fields.
fn object(children: &[(&str, u64)], fields: &[u8]) -> Vec<u8> {
    let mut object = fields.to_vec();
    for (name, id) in children {
        object.extend(bytes(1, [&varint(1, *id), &bytes(2, [name.as_bytes()])]));
    }
    bytes(1, [&object])
}

/// An entry of the map of concrete functions.
fn concrete(name: &str, bound: &[u8]) -> Vec<u8> {
    let function = bytes(2, [bound]);
    bytes(2, [&bytes(1, [name.as_bytes()]), &bytes(2, [&function])])
}

/// What a checkpoint says of an object: its name, and its key.
fn stored(full_name: &str, key: &str) -> Vec<u8> {
    bytes(
        2,
        [
            &bytes(2, [full_name.as_bytes()]),
            &bytes(3, [key.as_bytes()]),
        ],
    )
}

/// The field of a SavedObject that makes it a variable.
fn is_variable() -> Vec<u8> {
    bytes(7, [&varint(1, 1)])
}

/// A function with one argument that is handed in, and two that are bound.
fn serve(name: &str) -> Vec<u8> {
    let nodes = [
        op("r", "ReadVariableOp", &["v"]),
        op("m", "MatMul", &["x", "r:value:0"]),
        op("n", "MatMul", &["m:product:0", "c"]),
    ];
    function(name, &["x", "v", "c"], &[("out", "n:product:0")], &nodes)
}

fn saved_model(nodes: &[Vec<u8>], objects: &[u8], checkpoint: Files) -> Files {
    let graph = graph(nodes, &[serve("serve")]);
    let mut files = checkpoint;
    let model = bytes(2, [&meta_graph(&graph, objects)]);
    files.push(("saved_model.pb".to_owned(), model));
    files
}

#[test]
fn functions_are_bound_to_variables_and_constants() {
    // The numbers of the objects are others in the checkpoint.
    let objects = [
        object(&[("layer", 2), ("c", 3), ("unused", 1)], b""),
        object(&[], &is_variable()),
        object(&[("kernel", 4)], b""),
        object(&[], &bytes(9, [&bytes(1, [b"captured"])])),
        object(&[], &is_variable()),
        concrete("serve", &[4, 3]),
        concrete("nobody", &[4]),
        concrete("serve", &[4, 3]),
    ];
    let in_checkpoint = [
        object(&[("unused", 2), ("layer", 1)], b""),
        object(&[("kernel", 3)], b""),
        object(&[], &stored("u", "u/VALUE")),
        object(&[], &stored("k", "layer/kernel/VALUE")),
    ];
    let checkpoint = bundle(
        "variables/variables",
        &[("layer/kernel/VALUE", &[2, 2]), ("u/VALUE", &[2, 2])],
        Some(&in_checkpoint.concat()),
    );
    let nodes = [constant("captured", &[2, 2]), constant("other", &[2, 2])];
    let files = saved_model(&nodes, &objects.concat(), checkpoint);
    assert_eq!(
        roles(&files),
        [
            "_CHECKPOINTABLE_OBJECT_GRAPH -",
            "captured MatMul",
            "layer/kernel/VALUE MatMul",
            "other ?",
            "u/VALUE -",
        ]
    );
    assert!(groups(&files).is_empty());
}

/// A model as Keras exports it: the graph calls the function with `copy`, which is initialised by
/// `own`; the function is bound to `own`.
fn keras(full_names: [&str; 2]) -> Files {
    let objects = [
        object(&[("variables", 1), ("_all_variables", 2)], b""),
        object(&[("0", 3)], b""),
        object(&[("0", 4)], b""),
        object(&[], &is_variable()),
        object(&[], &is_variable()),
        object(&[], &bytes(9, [&bytes(1, [b"captured"])])),
        concrete("serve", &[3, 5]),
    ];
    let in_checkpoint = [
        object(&[("variables", 1), ("_all_variables", 2)], b""),
        object(&[("0", 3)], b""),
        object(&[("0", 4)], b""),
        object(&[], &stored(full_names[0], "variables/0")),
        object(&[], &stored(full_names[1], "_all_variables/0")),
    ];
    let checkpoint = bundle(
        "variables/variables",
        &[("_all_variables/0", &[2, 2]), ("variables/0", &[2, 2])],
        Some(&in_checkpoint.concat()),
    );
    let nodes = [
        op("x", "Placeholder", &[]),
        op("own", "VarHandleOp", &[]),
        op("copy", "VarHandleOp", &[]),
        constant("captured", &[2, 2]),
        call("signature", "serve", &["x", "copy", "captured"]),
        strings("names", &["variables/0", "_all_variables/0"]),
        strings("slices", &["", ""]),
        op("read", "ReadVariableOp", &["own"]),
        op("read_1", "ReadVariableOp", &["copy"]),
        op(
            "save",
            "SaveV2",
            &["x", "names", "slices", "read", "read_1"],
        ),
    ];
    saved_model(&nodes, &objects.concat(), checkpoint)
}

#[test]
fn both_keys_of_a_keras_export_are_one_thing() {
    let files = keras(["kernel", "kernel"]);
    assert_eq!(groups(&files), [["_all_variables/0", "variables/0"]]);
    let found = roles(&files);
    assert!(
        found.contains(&"_all_variables/0 MatMul".to_owned()),
        "{found:?}"
    );
    assert!(
        found.contains(&"variables/0 MatMul".to_owned()),
        "{found:?}"
    );
    // Another name in the program: a function may be called with another variable.
    assert!(groups(&keras(["kernel", "kernel_1"])).is_empty());
}

#[test]
fn objects_that_lead_nowhere_are_passed_over() {
    let odd = [
        object(&[("a", 9), ("b", u64::MAX), ("c", 0)], &is_variable()),
        concrete("serve", &[0, 9, 0, 0]),
        concrete("serve", &[0, 77]),
    ];
    let in_checkpoint = [object(&[("a", 9), ("b", u64::MAX), ("c", 1)], b"")];
    let checkpoint = bundle(
        "variables/variables",
        &[("w", &[2, 2])],
        Some(&in_checkpoint.concat()),
    );
    let files = saved_model(&[op("x", "NoOp", &[])], &odd.concat(), checkpoint);
    assert_eq!(roles(&files), ["_CHECKPOINTABLE_OBJECT_GRAPH ?", "w ?"]);
}

//! Variables, their initial values, and the tensors of checkpoints.

use super::build::*;
use crate::error::ErrorKind;
use crate::model::wire::build::bytes;

fn variable(name: &str, shared_name: &str) -> Vec<u8> {
    let shared_name = bytes(2, [shared_name.as_bytes()]);
    node(name, "VarHandleOp", &[], &[("shared_name", shared_name)])
}

/// A `.meta` file of these nodes and a checkpoint of these tensors.
fn with_checkpoint(nodes: &[Vec<u8>], tensors: &[(&str, &[u64])]) -> Files {
    let mut files = bundle("m", tensors, None);
    files.push(("m.meta".to_owned(), meta_graph(&graph(nodes, &[]), b"")));
    files
}

#[test]
fn a_variable_and_its_initial_value_are_one_thing() {
    let nodes = [
        op("x", "Placeholder", &[]),
        constant("w/init", &[2, 3]),
        variable("w", "kernel"),
        op("w/Assign", "AssignVariableOp", &["w", "w/init"]),
        op("w/Read", "ReadVariableOp", &["w"]),
        op("y", "MatMul", &["x", "w/Read"]),
        // The other kind of variable.
        constant("b/init", &[3]),
        op("b", "VariableV2", &[]),
        op("b/Assign", "Assign", &["b", "b/init"]),
        op("z", "BiasAdd", &["y", "b"]),
        // A moving average starts as what the variable is.
        variable("w/average", ""),
        op(
            "w/average/Assign",
            "AssignVariableOp",
            &["w/average", "w/Read"],
        ),
        // Savers.
        strings("names", &["w_key", "b", "average"]),
        strings("slices", &["", "", ""]),
        op("prefix", "Placeholder", &[]),
        op("average/Read", "ReadVariableOp", &["w/average"]),
        op(
            "save",
            "SaveV2",
            &["prefix", "names", "slices", "w/Read", "b", "average/Read"],
        ),
    ];
    let files = with_checkpoint(
        &nodes,
        &[
            ("w_key", &[2, 3]),
            ("b", &[3]),
            ("average", &[2, 3]),
            ("w", &[2, 3]),
        ],
    );
    assert_eq!(groups(&files), [["b", "b/init"], ["w/init", "w_key"]]);
    assert_eq!(
        roles(&files),
        [
            "average -",
            "b -",
            "b/init -",
            "names -",
            "slices -",
            "w -",
            "w/init MatMul",
            "w_key MatMul",
        ]
    );
}

#[test]
fn initial_values_that_several_share_or_that_change_are_none() {
    let nodes = [
        op("x", "Placeholder", &[]),
        constant("zeros", &[2, 2]),
        variable("a", ""),
        variable("b", ""),
        op("a/Assign", "AssignVariableOp", &["a", "zeros"]),
        op("b/Assign", "AssignVariableOp", &["b", "zeros"]),
        constant("one", &[2, 2]),
        constant("two", &[2, 2]),
        variable("c", ""),
        op("c/Assign", "AssignVariableOp", &["c", "one"]),
        op("c/Assign_1", "AssignVariableOp", &["c", "two"]),
        // Of another size than what is stored.
        constant("small", &[1, 2]),
        variable("d", ""),
        op("d/Assign", "AssignVariableOp", &["d", "small"]),
        op("a/Read", "ReadVariableOp", &["a"]),
        op("y", "MatMul", &["x", "a/Read"]),
    ];
    let stored: [(&str, &[u64]); 4] = [
        ("a", &[2, 2]),
        ("b", &[2, 2]),
        ("c", &[2, 2]),
        ("d", &[2, 2]),
    ];
    let files = with_checkpoint(&nodes, &stored);
    assert!(groups(&files).is_empty());
    assert_eq!(
        roles(&files),
        [
            "a MatMul", "b -", "c -", "d -", "one -", "small -", "two -", "zeros -"
        ]
    );
}

#[test]
fn without_its_checkpoint_an_initial_value_is_still_a_weight() {
    let nodes = [
        op("x", "Placeholder", &[]),
        constant("init", &[2, 2]),
        op("w", "Variable", &[]),
        op("assign", "Assign", &["w", "init"]),
        op("y", "MatMul", &["x", "w"]),
    ];
    let alone = vec![("m.meta".to_owned(), meta_graph(&graph(&nodes, &[]), b""))];
    assert_eq!(roles(&alone), ["init MatMul"]);

    let mut other_name = with_checkpoint(&nodes, &[("w", &[2, 2])]);
    other_name[2].0 = "n.meta".to_owned();
    assert_eq!(roles(&other_name), ["init MatMul", "w ?"]);

    // A graph of no such name goes with the only checkpoint in its folder.
    let mut frozen = bundle("f/m", &[("w", &[2, 2])], None);
    frozen.push(("f/graph.pb".to_owned(), graph(&nodes, &[])));
    assert_eq!(roles(&frozen), ["init MatMul", "w MatMul"]);
    assert_eq!(groups(&frozen), [["init", "w"]]);
    frozen.extend(bundle("f/n", &[("w", &[2, 2])], None));
    assert_eq!(roles(&frozen), ["init MatMul", "w ?", "w ?"]);
}

#[test]
fn what_is_restored_into_a_variable_is_that_variable() {
    let nodes = [
        op("x", "Placeholder", &[]),
        op("w", "VariableV2", &[]),
        op("y", "MatMul", &["x", "w"]),
        strings("names", &["other", "w/average"]),
        strings("slices", &["", ""]),
        op("restore", "RestoreV2", &["x", "names", "slices"]),
        op("same", "Identity", &["restore:1"]),
        op("assign", "Assign", &["w", "same"]),
    ];
    let files = with_checkpoint(&nodes, &[("w/average", &[2, 2]), ("w", &[2, 2])]);
    assert_eq!(
        roles(&files),
        ["names -", "slices -", "w -", "w/average MatMul"]
    );
}

#[test]
fn a_saver_may_be_a_function() {
    let save = function(
        "save",
        &["prefix", "a", "b"],
        &[],
        &[
            strings("names", &["k/a", "k/b"]),
            strings("slices", &["", ""]),
            op("read", "ReadVariableOp", &["a"]),
            op("same", "Identity", &["read:value:0"]),
            op("read_1", "ReadVariableOp", &["b"]),
            op(
                "SaveV2",
                "SaveV2",
                &[
                    "prefix",
                    "names:output:0",
                    "slices:output:0",
                    "same:output:0",
                    "read_1:value:0",
                ],
            ),
        ],
    );
    let nodes = [
        op("x", "Placeholder", &[]),
        variable("v", "v"),
        variable("u", "u"),
        call("saving", "save", &["x", "v", "u"]),
        op("read", "ReadVariableOp", &["u"]),
        op("y", "MatMul", &["x", "read"]),
    ];
    let mut files = bundle(
        "variables/variables",
        &[("k/a", &[2, 2]), ("k/b", &[2, 2])],
        None,
    );
    let model = bytes(2, [&meta_graph(&graph(&nodes, &[save]), b"")]);
    files.push(("saved_model.pb".to_owned(), model));
    let expected = ["k/a -", "k/b MatMul", "save/names -", "save/slices -"];
    assert_eq!(roles(&files), expected);
}

#[test]
fn pieces_of_a_variable_have_its_role() {
    let nodes = [
        op("x", "Placeholder", &[]),
        op("p/part_0", "VariableV2", &[]),
        op("p/part_1", "VariableV2", &[]),
        constant("axis", &[]),
        op("p", "ConcatV2", &["p/part_0", "p/part_1", "axis"]),
        op("y", "MatMul", &["x", "p"]),
        strings("names", &["p", "p"]),
        strings("slices", &["4 2 0,3:-", "4 2 3,1:0,2"]),
        op(
            "save",
            "SaveV2",
            &["x", "names", "slices", "p/part_0", "p/part_1"],
        ),
    ];
    let files = with_checkpoint(&nodes, &[("p[0:3,0:2]", &[3, 2]), ("p[3:4,0:2]", &[1, 2])]);
    let found = roles(&files);
    assert!(found.contains(&"p[0:3,0:2] MatMul".to_owned()), "{found:?}");
    assert!(found.contains(&"p[3:4,0:2] MatMul".to_owned()), "{found:?}");
    assert!(groups(&files).is_empty());
}

#[test]
fn one_variable_that_is_saved_twice_is_one_thing() {
    let nodes = [
        op("x", "Placeholder", &[]),
        op("w", "VariableV2", &[]),
        strings("names", &["w", "again"]),
        strings("slices", &["", ""]),
        op("save", "SaveV2", &["x", "names", "slices", "w", "w"]),
    ];
    let files = with_checkpoint(&nodes, &[("w", &[2]), ("again", &[2])]);
    assert_eq!(groups(&files), [["again", "w"]]);
}

#[test]
fn names_may_not_be_multiplied() {
    // A long name that many savers share.
    let name = "n".repeat(60_000);
    let mut nodes = vec![
        op("w", "VariableV2", &[]),
        strings("names", &[&name]),
        strings("slices", &[""]),
    ];
    for i in 0..100 {
        nodes.push(op(
            &format!("save{i}"),
            "SaveV2",
            &["w", "names", "slices", "w"],
        ));
    }
    let error = look(&with_checkpoint(&nodes, &[("w", &[2, 2])])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    assert!(error.to_string().contains("at most 16 times"), "{error}");
}

//! Constants and the ops that they go into.

use super::build::*;
use crate::model::wire::build::{bytes, varint};
use crate::tensor::DType;

#[test]
fn a_weight_is_multiplied_by_and_a_bias_is_not() {
    let nodes = [
        op("x", "Placeholder", &[]),
        constant("w", &[2, 3]),
        op("w/read", "Identity", &["w:0", "^x"]),
        constant_of("perm", DType::Int32, &[2], 0),
        op("t", "Transpose", &["w/read", "perm"]),
        op("y", "MatMul", &["x", "t"]),
        constant("b", &[3]),
        op("z", "BiasAdd", &["y", "b"]),
        constant("filter", &[1, 1, 2, 2]),
        op("c", "_FusedConv2D", &["z", "filter", "b"]),
        constant("add", &[2, 3]),
        op("a", "AddV2", &["c", "add"]),
        constant("unused", &[2, 3]),
        constant("table", &[5, 4]),
        constant_of("ids", DType::Int64, &[2, 2], 0),
        op("look", "GatherV2", &["table", "ids", "perm"]),
        constant_of("shape_table", DType::Int32, &[5, 4], 0),
        op("look2", "GatherV2", &["shape_table", "ids", "perm"]),
    ];
    assert_eq!(
        roles_of(&nodes, &[]),
        [
            "add -",
            "b -",
            "filter _FusedConv2D",
            "ids -",
            "perm -",
            "shape_table -",
            "table GatherV2",
            "unused ?",
            "w MatMul",
        ]
    );
}

#[test]
fn weights_have_two_dimensions_and_fitting_elements() {
    for (dtype, role) in [
        (DType::Float16, "w MatMul"),
        (DType::Bfloat16, "w MatMul"),
        (DType::Float64, "w MatMul"),
        (DType::Float8E5m2, "w MatMul"),
        (DType::Qint8, "w MatMul"),
        (DType::Int16, "w MatMul"),
        (DType::Int32, "w -"),
        (DType::Bool, "w -"),
        (DType::Complex64, "w -"),
    ] {
        let product = op("y", "MatMul", &["x", "w"]);
        let x = op("x", "Placeholder", &[]);
        let nodes = [constant_of("w", dtype, &[2, 2], 0), x, product];
        assert_eq!(roles_of(&nodes, &[]), [role], "{dtype}");
    }
    let nodes = [constant("w", &[4]), op("y", "Einsum", &["w", "w"])];
    assert_eq!(roles_of(&nodes, &[]), ["w -"]);
}

#[test]
fn the_first_op_counts_and_one_use_is_enough() {
    let nodes = [
        op("x", "Placeholder", &[]),
        constant("w", &[2, 2]),
        op("s", "AddV2", &["w", "w"]),
        op("e", "Einsum", &["x", "w"]),
        op("m", "MatMul", &["x", "w"]),
    ];
    assert_eq!(roles_of(&nodes, &[]), ["w Einsum"]);
}

#[test]
fn parts_of_weights_are_weights_but_not_beside_activations() {
    let nodes = [
        op("x", "Placeholder", &[]),
        constant("a", &[2, 2]),
        constant("b", &[2, 2]),
        constant("token", &[2, 2]),
        constant_of("axis", DType::Int32, &[1], 0),
        op("ab", "ConcatV2", &["a", "b", "axis"]),
        op("split", "Split", &["axis", "ab"]),
        op("with_token", "ConcatV2", &["x", "token", "axis"]),
        op("y", "MatMul", &["with_token", "split:1"]),
    ];
    let expected = ["a MatMul", "axis -", "b MatMul", "token -"];
    assert_eq!(roles_of(&nodes, &[]), expected);
}

#[test]
fn the_first_state_of_a_loop_is_no_weight() {
    let nodes = [
        constant("w", &[2, 2]),
        constant("state", &[1, 2]),
        op("enter", "Enter", &["state"]),
        op("enter_w", "Enter", &["w"]),
        op("merge", "Merge", &["enter", "next"]),
        op("turn", "MatMul", &["merge", "enter_w"]),
        op("next", "NextIteration", &["turn"]),
    ];
    assert_eq!(roles_of(&nodes, &[]), ["state -", "w MatMul"]);
}

#[test]
fn a_program_in_another_language_says_nothing() {
    let nodes = [
        op("x", "Placeholder", &[]),
        constant("w", &[2, 2]),
        constant("b", &[2]),
        constant("known", &[2, 2]),
        op("y", "XlaCallModule", &["x", "w", "b", "known"]),
        op("z", "MatMul", &["y", "known"]),
    ];
    assert_eq!(roles_of(&nodes, &[]), ["b -", "known MatMul", "w ?"]);
}

#[test]
fn other_attributes_hold_no_weights() {
    let value = bytes(8, [&tensor(DType::Float32, &[2, 2], 1)]);
    let nodes = [
        node("n", "MatMul", &["n", "n"], &[("hint", value.clone())]),
        node("odd", "NotConst", &[], &[("value", value)]),
        op("y", "MatMul", &["odd", "odd"]),
    ];
    assert_eq!(roles_of(&nodes, &[]), ["n:hint -", "odd ?"]);
}

#[test]
fn constants_that_are_not_in_one_piece_are_known_by_name() {
    // Two halves, as varints.
    let shape = bytes(2, [&bytes(2, [&varint(1, 1)]), &bytes(2, [&varint(1, 2)])]);
    let proto = [varint(1, 19), shape, bytes(13, [&[1, 2]])];
    let value = bytes(8, [&proto.concat()]);
    let nodes = [
        node("h", "Const", &[], &[("value", value)]),
        op("y", "MatMul", &["h", "h"]),
    ];
    assert_eq!(roles_of(&nodes, &[]), ["h MatMul"]);
}

#[test]
fn odd_inputs_are_passed_over() {
    let nodes = [
        constant("w", &[2, 2]),
        op(
            "y",
            "MatMul",
            &[
                "",
                ":",
                "w:x",
                "w:-1",
                "w:99999999999999999999",
                "nobody",
                "y:7",
            ],
        ),
        op("s", "Split", &[]),
        op("i", "IdentityN", &["w", "i:0", "i:9"]),
        op("z", "MatMul", &["i:1", "i:2"]),
    ];
    // Of a few outputs that hand each other on, one is the constant.
    assert_eq!(roles_of(&nodes, &[]), ["w MatMul"]);
}

//! Calls of functions.

use super::build::*;
use crate::error::ErrorKind;
use crate::model::wire::build::bytes;
use crate::tensor::DType;

/// A function that multiplies its arguments.
fn product(name: &str) -> Vec<u8> {
    let nodes = [op("m", "MatMul", &["a", "b"])];
    function(name, &["a", "b"], &[("out", "m:product:0")], &nodes)
}

#[test]
fn weights_are_found_through_calls() {
    let outer = function(
        "outer",
        &["p", "q"],
        &[("r", "c:output:0")],
        &[call("c", "inner", &["p", "q"])],
    );
    let nodes = [
        op("x", "Placeholder", &[]),
        constant("w", &[2, 2]),
        constant("b", &[2, 2]),
        call("y", "outer", &["x", "w"]),
        op("z", "AddV2", &["y", "b"]),
    ];
    assert_eq!(
        roles_of(&nodes, &[outer, product("inner")]),
        ["b -", "w MatMul"]
    );
}

#[test]
fn weights_inside_and_results_of_functions() {
    let kernel = function(
        "kernel",
        &[],
        &[("zero", "i:output:0"), ("one", "k:output:0")],
        &[
            constant("k", &[2, 2]),
            constant("other", &[2, 2]),
            op("i", "Identity", &["other:output:0"]),
        ],
    );
    let nodes = [
        op("x", "Placeholder", &[]),
        call("call", "kernel", &[]),
        op("direct", "kernel", &[]),
        op("y", "MatMul", &["x", "call:1"]),
    ];
    let expected = ["kernel/k MatMul", "kernel/other -"];
    assert_eq!(roles_of(&nodes, std::slice::from_ref(&kernel)), expected);

    // By the function's own name, in a function: the output has the result's name.
    let user = function(
        "user",
        &["x"],
        &[],
        &[
            op("direct", "kernel", &[]),
            op("y", "MatMul", &["x", "direct:one:0"]),
        ],
    );
    let nodes = [op("x", "Placeholder", &[]), call("c", "user", &["x"])];
    assert_eq!(roles_of(&nodes, &[kernel, user]), expected);
}

#[test]
fn branches_and_loops_hand_on() {
    let branches = [("then_branch", func("then")), ("else_branch", func("else"))];
    let then = function("then", &["a", "b"], &[("r", "b")], &[]);
    let other = function("else", &["a", "b"], &[("r", "a")], &[]);
    let cond = function("cond", &["i", "s", "w"], &[("r", "i")], &[]);
    let body = function(
        "body",
        &["i", "s", "w"],
        &[("i", "i"), ("s", "m:product:0"), ("w", "w")],
        &[op("m", "MatMul", &["s", "w"])],
    );
    let pass = function(
        "pass",
        &["i", "s", "v"],
        &[("i", "i"), ("s", "s"), ("v", "v")],
        &[],
    );
    let turns = [("cond", func("cond")), ("body", func("body"))];
    let turns_of_pass = [("cond", func("cond")), ("body", func("pass"))];
    let nodes = [
        op("x", "Placeholder", &[]),
        constant("a", &[2, 2]),
        constant("b", &[2, 2]),
        constant("state", &[2, 2]),
        constant_of("i", DType::Int32, &[1, 1], 0),
        node("if", "StatelessIf", &["x", "a", "b"], &branches),
        op("y", "MatMul", &["x", "if"]),
        constant("w", &[2, 2]),
        node("while", "While", &["i", "state", "w"], &turns),
        constant("v", &[2, 2]),
        node("while_v", "While", &["i", "state", "v"], &turns_of_pass),
        op("z", "Conv2D", &["x", "while_v:2"]),
    ];
    assert_eq!(
        roles_of(&nodes, &[then, other, cond, body, pass]),
        [
            "a MatMul", "b MatMul", "i -", "state -", "v Conv2D", "w MatMul"
        ]
    );
}

#[test]
fn functions_may_call_themselves_and_others_that_are_not_there() {
    let round = function(
        "f",
        &["a"],
        &[("r", "c:output:0")],
        &[call("c", "f", &["a"])],
    );
    let nodes = [
        constant("w", &[2, 2]),
        call("y", "f", &["w"]),
        op("z", "MatMul", &["y", "y"]),
        constant("lost", &[2, 2]),
        call("n", "nobody", &["lost"]),
        op("m", "MatMul", &["n", "n"]),
        node("half", "While", &["lost"], &[("body", func("f"))]),
    ];
    let found = roles_of(&nodes, &[round]);
    assert_eq!(found, ["lost -", "w ?"]);
}

#[test]
fn branches_may_not_be_multiplied() {
    // Each of many branches takes each of many inputs, all of them named once.
    let inputs: Vec<String> = (0..600).map(|i| format!("w:{i}")).collect();
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let branch = bytes(9, [&bytes(1, [b"f"])]).repeat(600);
    let branches = [("branches", bytes(1, [&branch]))];
    let nodes = [
        op("w", "Split", &[]),
        node("case", "Case", &inputs, &branches),
    ];
    let args: Vec<String> = (0..600).map(|i| format!("a{i}")).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let file = graph(&nodes, &[function("f", &args, &[], &[])]);
    let error = look(&vec![("g.pb".to_owned(), file)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    assert!(error.to_string().contains("at most 16 values"), "{error}");
}

#[test]
fn copies_of_a_traced_constant_are_one_thing() {
    let traced = |name: &str, node_name: &str, fill| {
        let nodes = [
            constant_of(node_name, DType::Float32, &[2, 2], fill),
            op("m", "MatMul", &["x", &format!("{node_name}:output:0")]),
        ];
        function(name, &["x"], &[], &nodes)
    };
    let groups_of = |functions: &[Vec<u8>]| {
        let nodes = [op("x", "Placeholder", &[])];
        groups(&vec![("g.pb".to_owned(), graph(&nodes, functions))])
    };
    let first = traced("__inference_f_12", "k", 1);
    let found = groups_of(&[first.clone(), traced("__inference_f_7", "k", 1)]);
    assert_eq!(found, [["__inference_f_12/k", "__inference_f_7/k"]]);
    for other in [
        traced("__inference_f_7", "k", 2),
        traced("__inference_f_7", "k_1", 1),
        traced("__inference_g_7", "k", 1),
        traced("f_7", "k", 1),
    ] {
        assert!(groups_of(&[first.clone(), other]).is_empty());
    }
    let mine = [traced("f_1", "k", 1), traced("f_2", "k", 1)];
    assert!(groups_of(&mine).is_empty());
}

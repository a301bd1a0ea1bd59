//! Whatever the files hold, nothing panics, and what is found is about the tensors that there are.

use super::build::*;
use crate::error::ErrorKind;
use crate::model::wire::build::bytes;
use proptest::prelude::*;

/// Checks what is found, if anything is.
fn check(files: &Files) {
    let (model, usage) = match look(files) {
        Ok(found) => found,
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Model);
            return;
        }
    };
    assert_eq!(usage.tensors.len(), model.tensors.len());
    let mut is_in = vec![false; model.tensors.len()];
    for group in &usage.groups {
        assert!(group.len() > 1 && group.is_sorted());
        let of = |number: usize| {
            let tensor = &model.tensors[number];
            (tensor.dtype, tensor.shape.iter().product::<u64>())
        };
        for &number in group {
            assert_eq!(of(number), of(group[0]));
            assert!(!std::mem::replace(&mut is_in[number], true));
        }
    }
}

const OPS: &[&str] = &[
    "Identity",
    "IdentityN",
    "MatMul",
    "Split",
    "ConcatV2",
    "Merge",
    "Switch",
    "NextIteration",
    "VarHandleOp",
    "ReadVariableOp",
    "AssignVariableOp",
    "SaveV2",
    "RestoreV2",
    "PartitionedCall",
    "While",
    "If",
    "Case",
    "f",
    "g",
    "XlaCallModule",
    "Const",
    "AddV2",
];

const NAMES: &[&str] = &["a", "b", "c", "d", "e"];

/// A node of any op with any inputs.
fn any_node() -> impl Strategy<Value = Vec<u8>> {
    let input =
        (prop::sample::select(NAMES), 0..4u8, 0..5u8).prop_map(|(name, form, port)| match form {
            0 => name.to_owned(),
            1 => format!("{name}:{port}"),
            2 => format!("{name}:out:{port}"),
            _ => format!("^{name}"),
        });
    let inputs = prop::collection::vec(input, 0..5);
    let op = prop::sample::select(OPS);
    (prop::sample::select(NAMES), op, inputs, 0..3usize).prop_map(|(name, op, inputs, f)| {
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        match op {
            "Const" if f == 0 => strings(name, &["k", "l", "m"]),
            "Const" => constant(name, &[2, 2]),
            _ => {
                let f = ["f", "g", "h"][f];
                let list = bytes(
                    1,
                    [
                        &bytes(9, [&bytes(1, [b"f"])]),
                        &bytes(9, [&bytes(1, [b"g"])]),
                    ],
                );
                let attrs = [
                    ("f", func(f)),
                    ("cond", func("g")),
                    ("body", func(f)),
                    ("then_branch", func(f)),
                    ("else_branch", func("g")),
                    ("branches", list),
                ];
                node(name, op, &inputs, &attrs)
            }
        }
    })
}

/// Files with any graph, and a checkpoint.
fn any_files() -> impl Strategy<Value = Files> {
    let body = || prop::collection::vec(any_node(), 0..6);
    let nodes = prop::collection::vec(any_node(), 1..12);
    (nodes, body(), body()).prop_map(|(nodes, f, g)| {
        let functions = [
            function("f", &["a", "x"], &[("out", "b:out:0"), ("two", "x")], &f),
            function("g", &["x", "e"], &[("out", "a"), ("two", "c:two:1")], &g),
        ];
        let mut files = bundle("m", &[("k", &[2, 2]), ("l", &[2, 2]), ("a", &[4])], None);
        let meta = meta_graph(&graph(&nodes, &functions), b"");
        files.push(("m.meta".to_owned(), meta));
        files
    })
}

#[test]
fn another_model_is_refused() {
    let nodes = [constant("w", &[2, 2])];
    let files = vec![("g.pb".to_owned(), graph(&nodes, &[]))];
    let (model, _) = look(&files).unwrap();
    let error = crate::model::usage(&[], &model).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let another = [crate::model::InputFile {
        name: "g.pb",
        bytes: b"",
    }];
    // Nothing is known of it, and nothing is out of bounds.
    assert_eq!(
        crate::model::usage(&another, &model).unwrap().tensors.len(),
        1
    );
}

proptest! {
    #[test]
    fn any_graph_is_looked_at(files in any_files()) {
        check(&files);
    }

    #[test]
    fn damaged_files_are_looked_at_or_refused(
        mut files in any_files(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let bytes = &mut files[2].1;
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        check(&files);
    }
}

//! Hand-made bytes for each rule of the walk; the rules of a single TensorProto stand beside it.

use super::*;
use crate::error::ErrorKind;
use crate::model::wire::build::{bytes, fixed32, varint};
use crate::tensor::DType;
use proptest::prelude::*;

/// A float32 TensorProto of shape [2] with content.
fn tensor() -> Vec<u8> {
    let shape = bytes(2, [&bytes(2, [&varint(1, 2)])]);
    [varint(1, 1), shape, bytes(4, [b"\0\0\x80\x3f\0\0\0\x40"])].concat()
}

/// The AttrValue of a tensor.
fn tensor_value() -> Vec<u8> {
    bytes(8, [&tensor()])
}

/// An entry of a map with a string key in field `number`.
fn entry(number: u64, key: &str, value: &[u8]) -> Vec<u8> {
    bytes(number, [&bytes(1, [key.as_bytes()]), &bytes(2, [value])])
}

/// The fields of a NodeDef with these attributes.
fn node<const N: usize>(name: &str, attrs: [(&str, &[u8]); N]) -> Vec<u8> {
    let attrs: Vec<u8> = attrs.iter().flat_map(|(k, v)| entry(5, k, v)).collect();
    [bytes(1, [name.as_bytes()]), bytes(2, [b"Const"]), attrs].concat()
}

/// A NameAttrList with one attribute.
fn function_value(key: &str, value: &[u8]) -> Vec<u8> {
    [bytes(1, [b"body"]), entry(2, key, value)].concat()
}

/// A graph of one node with the attribute `a` of this AttrValue.
fn graph_with(value: &[u8]) -> Vec<u8> {
    bytes(1, [&node("n", [("a", value)])])
}

/// A graph of one plain node and one library function of these fields.
fn graph_with_function(function: &[u8]) -> Vec<u8> {
    [
        bytes(1, [&node("n", [])]),
        bytes(2, [&bytes(1, [function])]),
    ]
    .concat()
}

fn find(bytes: &[u8]) -> Result<Option<Found>> {
    read(&[InputFile { name: "", bytes }], 0)
}

fn tensors(file: &[u8]) -> Vec<ModelTensor> {
    let found = find(file).unwrap().unwrap();
    assert_eq!(found.files, [0]);
    found.tensors
}

fn names(file: &[u8]) -> Vec<String> {
    let tensors = tensors(file);
    for tensor in &tensors {
        assert_eq!(
            (tensor.dtype, &tensor.shape[..]),
            (DType::Float32, &[2][..])
        );
        if let TensorData::Raw { range, repeats } = &tensor.data {
            assert_eq!(&file[range.clone()], b"\0\0\x80\x3f\0\0\0\x40");
            assert_eq!(*repeats, 0);
        }
    }
    tensors.into_iter().map(|t| t.name).collect()
}

/// Names of the tensors that are raw.
fn raw_names(file: &[u8]) -> Vec<String> {
    let is_raw = |t: &ModelTensor| matches!(t.data, TensorData::Raw { .. });
    let raw = tensors(file).into_iter().filter(is_raw);
    raw.map(|t| t.name).collect()
}

/// What is said of a damaged GraphDef.
fn complaint(file: &[u8]) -> String {
    let e = find(file).map(|_| ()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Model);
    e.to_string()
}

/// What is said of a file that is no GraphDef.
fn refusal(file: &[u8]) -> String {
    assert!(find(file).unwrap().is_none());
    let e = super::complaint(file);
    assert_eq!(e.kind(), ErrorKind::Model);
    e.to_string()
}

#[test]
fn constants_are_named_as_their_nodes() {
    let value = tensor_value();
    let file = [
        bytes(
            1,
            [&node(
                "w/kernel",
                [("dtype", &varint(6, 1)), ("value", &value)],
            )],
        ),
        bytes(1, [&node("x", [("other", &value), ("value", &value)])]),
        bytes(1, [&node("y", [])]),
    ]
    .concat();
    assert_eq!(raw_names(&file), ["w/kernel", "x:other", "x"]);
    assert_eq!(names(&file).len(), 3);
}

#[test]
fn names_may_stand_behind_what_they_name() {
    let entry = bytes(5, [&bytes(2, [&tensor_value()]), &bytes(1, [b"a"])]);
    let node = [entry, bytes(2, [b"Op"]), bytes(1, [b"late"])].concat();
    assert_eq!(raw_names(&bytes(1, [&node])), ["late:a"]);

    let function = [bytes(3, [&node]), bytes(1, [&bytes(1, [b"f"])])].concat();
    assert_eq!(raw_names(&graph_with_function(&function)), ["f/late:a"]);
}

#[test]
fn the_last_name_counts() {
    let node = [
        bytes(1, [b"first"]),
        node("last", [("value", &tensor_value())]),
    ]
    .concat();
    assert_eq!(raw_names(&bytes(1, [&node])), ["last"]);
}

#[test]
fn lists_and_functions_are_walked_to_any_depth() {
    let value = tensor_value();
    let tensor = tensor();
    let inner = bytes(10, [&function_value("value", &value)]);
    let list = bytes(
        1,
        [
            &bytes(8, [&tensor]),
            &bytes(9, [&function_value("p", &value)]),
            &bytes(8, [&tensor]),
            &bytes(9, [&function_value("q", &inner)]),
        ],
    );
    assert_eq!(
        raw_names(&graph_with(&list)),
        ["n:a[0]", "n:a[0]:p", "n:a[1]", "n:a[1]:q:value"]
    );
    assert_eq!(raw_names(&graph_with(&inner)), ["n:a:value"]);
    // Only a tensor that is the attribute itself goes by the node's name alone.
    let file = bytes(1, [&node("n", [("value", &list), ("value", &inner)])]);
    assert_eq!(raw_names(&file)[0], "n:value[0]");
    assert_eq!(raw_names(&file)[4], "n:value:value");
}

#[test]
fn library_functions_are_walked() {
    let value = tensor_value();
    let list = bytes(1, [&bytes(8, [&tensor()])]);
    let default = bytes(4, [&bytes(1, [b"d"]), &bytes(3, [&value])]);
    let allowed = bytes(4, [&bytes(7, [&list]), &bytes(1, [b"c"])]);
    let argument = bytes(7, [&varint(1, 3), &bytes(2, [&entry(1, "s", &value)])]);
    let function = [
        bytes(1, [&bytes(1, [b"f"]), &default, &allowed]),
        bytes(3, [&node("c", [("value", &value), ("other", &value)])]),
        bytes(4, [b"ret is not walked"]),
        entry(5, "value", &value),
        argument,
    ]
    .concat();
    assert_eq!(
        raw_names(&graph_with_function(&function)),
        ["f:d", "f:c[0]", "f/c", "f/c:other", "f:value", "f:arg[3]:s"]
    );
}

#[test]
fn joined_libraries_and_signatures_stay_raw() {
    let value = tensor_value();
    let function = |name: &str| {
        let default = bytes(4, [&bytes(1, [b"d"]), &bytes(3, [&value])]);
        let signature = bytes(1, [&default]);
        let named = bytes(1, [&bytes(1, [name.as_bytes()]), &default]);
        bytes(2, [&bytes(1, [&signature, &named])])
    };
    let file = [bytes(1, [&node("n", [])]), function("f"), function("g")].concat();
    assert_eq!(raw_names(&file), ["f:d", "f:d", "g:d", "g:d"]);
}

#[test]
fn what_protobuf_would_merge_or_replace_is_opaque() {
    let value = tensor_value();
    let list = bytes(1, [&bytes(8, [&tensor()])]);
    let function = bytes(10, [&function_value("p", &value)]);
    let twice = |field: &[u8]| [field, field].concat();
    for (what, value) in [
        ("tensor twice", twice(&value)),
        ("list twice", twice(&list)),
        ("function twice", twice(&function)),
        ("tensor and list", [&value[..], &list].concat()),
        ("tensor and integer", [&value[..], &varint(3, 1)].concat()),
        ("function and type", [&varint(6, 1)[..], &function].concat()),
    ] {
        let file = graph_with(&value);
        assert_eq!(raw_names(&file), [""; 0], "{what}");
        assert!(!names(&file).is_empty(), "{what}");
        let nested = graph_with(&bytes(10, [&function_value("p", &value)]));
        assert_eq!(raw_names(&nested), [""; 0], "{what}, nested");
    }
    // Fields outside of the oneof do not disturb it.
    assert_eq!(
        raw_names(&graph_with(&[&value[..], &varint(11, 1)].concat())),
        ["n:a"]
    );

    let entry = bytes(
        5,
        [&bytes(1, [b"a"]), &bytes(2, [&value]), &bytes(2, [b""])],
    );
    let file = bytes(1, [&node("n", []), &entry]);
    assert_eq!((raw_names(&file).len(), names(&file).len()), (0, 1));

    let default = bytes(3, [&value]);
    for (attr, n_raw) in [
        ([&default[..], &default].concat(), 0),
        ([&default[..], &bytes(7, [&value])].concat(), 2),
    ] {
        let signature = bytes(1, [&bytes(4, [&attr])]);
        let file = graph_with_function(&signature);
        assert_eq!((raw_names(&file).len(), names(&file).len()), (n_raw, 2));
    }

    let attrs = bytes(2, [&self::entry(1, "s", &value)]);
    let file = graph_with_function(&bytes(7, [&attrs, &attrs]));
    assert_eq!((raw_names(&file).len(), names(&file).len()), (0, 2));
}

#[test]
fn incomplete_tensors_are_not_listed() {
    let unknown = bytes(8, [&varint(1, 1), &bytes(2, [&varint(3, 1)])]);
    assert_eq!(names(&graph_with(&unknown)), [""; 0]);
}

#[test]
fn nesting_ends_where_tensorflow_ends() {
    // A node, its attribute, the value: 3 messages; each function adds as many; a tensor, its
    // shape and a dimension are 3 more.
    let nested = |n: usize, mut value: Vec<u8>| {
        for _ in 0..n {
            value = bytes(10, [&function_value("p", &value)]);
        }
        graph_with(&value)
    };
    assert_eq!(raw_names(&nested(31, tensor_value())).len(), 1);
    assert_eq!(
        complaint(&nested(32, tensor_value())).rsplit(": ").next(),
        Some("expected at most 100 nested messages, found more")
    );
    assert!(names(&nested(32, varint(3, 1))).is_empty());
    assert!(complaint(&nested(33, varint(3, 1))).starts_with("GraphDef: offset"));
}

#[test]
fn long_names_are_refused_only_for_tensors() {
    let name = "n".repeat(65_535);
    let value = tensor_value();
    let file = |name: &str, value: &[u8]| bytes(1, [&node(name, [("value", value)])]);
    assert_eq!(raw_names(&file(&name, &value)), [name.as_str()]);
    let longer = name.clone() + "n";
    assert!(complaint(&file(&longer, &value)).contains("at most 65535 bytes, found 65536"));
    assert!(names(&file(&longer, &varint(3, 1))).is_empty());
}

#[test]
fn names_cannot_multiply() {
    let scalars = bytes(8, [&varint(1, 1)]).repeat(1000);
    let value = bytes(1, [&scalars]);
    let name = "n".repeat(60_000);
    let file = bytes(1, [&node(&name, [("a", &value)])]);
    assert!(complaint(&file).contains("at most 16 times the file"));
    assert_eq!(tensors(&graph_with(&value)).len(), 1000);
}

#[test]
fn every_node_has_a_name_and_an_op() {
    let named = |name: &[u8], op: &[u8]| bytes(1, [&bytes(1, [name]), &bytes(2, [op])]);
    assert!(names(&named(b"x", b"NoOp")).is_empty());
    assert!(names(&named("größe".as_bytes(), b"NoOp")).is_empty());
    for (name, op) in [
        (&b""[..], &b"NoOp"[..]),
        (b"x", b""),
        (b"x\n", b"NoOp"),
        (b"x", b"\xff"),
    ] {
        assert!(refusal(&named(name, op)).starts_with("offset"));
        let function = [
            named(b"f", b""),
            bytes(3, [&bytes(1, [name]), &bytes(2, [op])]),
        ];
        assert!(complaint(&graph_with_function(&function.concat())).starts_with("GraphDef: "));
    }
    let file = [named(b"x", b"NoOp"), bytes(1, [&bytes(1, [b"y"])])].concat();
    assert_eq!(
        complaint(&file),
        "GraphDef: offset 13: expected a node with a name and an op, found no op"
    );
}

#[test]
fn known_fields_have_their_wire_type() {
    let good = bytes(1, [&node("n", [])]);
    for field in [
        varint(1, 1),
        varint(2, 1),
        bytes(3, [b""]),
        varint(4, 1),
        fixed32(5, [0; 4]),
    ] {
        complaint(&[&good[..], &field].concat());
    }
    for number in 1..=7 {
        refusal(&bytes(1, [&node("n", []), &varint(number, 1)]));
    }
    let rest = [
        varint(3, 21),
        bytes(4, [&varint(1, 21)]),
        bytes(5, [b"?"]),
        varint(6, 1),
        bytes(1000, [b"?"]),
    ];
    assert!(names(&[good, rest.concat()].concat()).is_empty());
}

#[test]
fn a_graph_has_a_node() {
    let no_node = "expected a node, found the end of the file";
    assert_eq!(refusal(b""), format!("offset 0: {no_node}"));
    assert_eq!(refusal(&varint(3, 21)), format!("offset 2: {no_node}"));
    assert_eq!(refusal(&bytes(2, [b""])), format!("offset 2: {no_node}"));
    let saved_model = [varint(1, 1), bytes(2, [b""])].concat();
    assert!(refusal(&saved_model).starts_with("offset 0: expected a length-delimited value"));
}

/// A small graph with something of everything.
fn sample() -> Vec<u8> {
    let value = tensor_value();
    let function = [
        bytes(1, [&bytes(1, [b"f"])]),
        bytes(3, [&node("c", [("value", &value)])]),
        entry(5, "b", &bytes(1, [&bytes(8, [&tensor()])])),
    ]
    .concat();
    [
        bytes(1, [&node("w", [("value", &value)])]),
        bytes(2, [&bytes(1, [&function])]),
        bytes(
            1,
            [&node(
                "v",
                [("g", &bytes(10, [&function_value("p", &value)]))],
            )],
        ),
        bytes(4, [&varint(1, 21)]),
    ]
    .concat()
}

#[test]
fn every_prefix_errs_or_is_a_shorter_graph() {
    let file = sample();
    let whole = tensors(&file);
    assert_eq!(whole.len(), 4);
    let mut shorter = 0;
    for len in 0..file.len() {
        match find(&file[..len]) {
            Ok(None) => assert_eq!(shorter, 0),
            Ok(Some(found)) => {
                shorter += 1;
                assert_eq!(found.tensors, whole[..found.tensors.len()]);
            }
            Err(e) => assert_eq!(e.kind(), ErrorKind::Model),
        }
    }
    assert_eq!(shorter, 3, "one for each boundary between fields");
}

/// Whatever is read, ranges lie in the file, in order, and apart.
fn assert_sane(file: &[u8]) {
    let found = find(file).ok().flatten();
    let mut end = 0;
    for tensor in found.into_iter().flat_map(|found| found.tensors) {
        if let TensorData::Raw { range, .. } = tensor.data {
            assert!(end <= range.start && range.start <= range.end && range.end <= file.len());
            end = range.end;
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(file in prop::collection::vec(any::<u8>(), 0..300)) {
        assert_sane(&file);
    }

    #[test]
    fn damaged_graphs_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut file = sample();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        assert_sane(&file);
    }
}

//! The tensors that `model::read` finds are those that prost finds: in random graphs, alone, in
//! MetaGraphDefs and in SavedModels, and in the real ones of the shared data. prost knows the meaning
//! but no offsets; the walk must agree with it on names, dtypes and shapes, and on every byte that it
//! points at.

#![cfg(feature = "pack")]
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::large_enum_variant,
    reason = "a test may panic, its values are arbitrary, and its messages are TensorFlow's"
)]

mod common;

use common::graph_def::*;
use proptest::prelude::*;
use prost::Message;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tfzip::model::{self, InputFile, ModelKind, TensorData};
use tfzip::{DType, ErrorKind};

// TensorFlow's messages, as far as tensors can stand in them.

#[derive(Clone, PartialEq, Message)]
struct SavedModel {
    #[prost(int64, tag = "1")]
    schema_version: i64,
    #[prost(message, repeated, tag = "2")]
    meta_graphs: Vec<MetaGraphDef>,
}

#[derive(Clone, PartialEq, Message)]
struct MetaGraphDef {
    #[prost(message, optional, tag = "1")]
    meta_info_def: Option<MetaInfoDef>,
    #[prost(message, optional, tag = "2")]
    graph_def: Option<GraphDef>,
    #[prost(btree_map = "string, message", tag = "5")]
    signature_def: BTreeMap<String, SignatureDef>,
}

#[derive(Clone, PartialEq, Message)]
struct MetaInfoDef {
    #[prost(string, tag = "1")]
    meta_graph_version: String,
    #[prost(message, optional, tag = "2")]
    stripped_op_list: Option<OpList>,
    #[prost(string, repeated, tag = "4")]
    tags: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct OpList {
    #[prost(message, repeated, tag = "1")]
    op: Vec<OpDef>,
}

#[derive(Clone, PartialEq, Message)]
struct SignatureDef {
    #[prost(string, tag = "3")]
    method_name: String,
    #[prost(btree_map = "string, message", tag = "4")]
    defaults: BTreeMap<String, TensorProto>,
}

/// A tensor as a test sees it: its raw bytes and the number of repeats, or `None` if opaque.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    name: String,
    dtype: DType,
    shape: Vec<u64>,
    raw: Option<(Vec<u8>, u64)>,
}

/// What `model::read` finds, sorted; ranges must lie in the file, in order, and apart.
fn found(kind: ModelKind, bytes: &[u8]) -> Vec<Seen> {
    let model = model::read(&[InputFile { name: "", bytes }]).unwrap();
    assert_eq!(model.parts.len(), 1);
    assert_eq!(model.parts[0].kind, kind);
    let mut end = 0;
    let mut seen: Vec<_> = model
        .tensors
        .into_iter()
        .map(|tensor| Seen {
            name: tensor.name,
            dtype: tensor.dtype,
            shape: tensor.shape,
            raw: match tensor.data {
                TensorData::Raw { range, repeats } => {
                    assert!(end <= range.start);
                    end = range.end;
                    Some((bytes[range].to_vec(), repeats))
                }
                TensorData::Opaque => None,
            },
        })
        .collect();
    seen.sort();
    seen
}

/// A message that prost has read, and what its tensors should be.
trait Expected: Message + Default {
    const KIND: ModelKind;

    fn expect(&self, seen: &mut Vec<Seen>);

    /// All of it, sorted.
    fn expected(&self) -> Vec<Seen> {
        let mut seen = Vec::new();
        self.expect(&mut seen);
        seen.sort();
        seen
    }
}

impl Expected for SavedModel {
    const KIND: ModelKind = ModelKind::SavedModel;

    fn expect(&self, seen: &mut Vec<Seen>) {
        for meta_graph in &self.meta_graphs {
            meta_graph.expect(seen);
        }
    }
}

impl Expected for MetaGraphDef {
    const KIND: ModelKind = ModelKind::MetaGraphDef;

    fn expect(&self, seen: &mut Vec<Seen>) {
        let info = self.meta_info_def.clone().unwrap_or_default();
        for op in info.stripped_op_list.unwrap_or_default().op {
            expect_op(&op, seen);
        }
        if let Some(graph) = &self.graph_def {
            graph.expect(seen);
        }
        for (name, signature) in &self.signature_def {
            for (input, tensor) in &signature.defaults {
                seen.extend(expect_tensor(&format!("{name}:{input}"), tensor));
            }
        }
    }
}

impl Expected for GraphDef {
    const KIND: ModelKind = ModelKind::GraphDef;

    fn expect(&self, seen: &mut Vec<Seen>) {
        for node in &self.node {
            expect_node(&node.name, node, seen);
        }
        for function in self.library.iter().flat_map(|l| &l.function) {
            let signature = function.signature.clone().unwrap_or_default();
            let name = &signature.name;
            expect_op(&signature, seen);
            for node in &function.node_def {
                expect_node(&format!("{name}/{}", node.name), node, seen);
            }
            expect_attrs(name, &function.attr, seen);
            for (i, arg) in &function.arg_attr {
                expect_attrs(&format!("{name}:arg[{i}]"), &arg.attr, seen);
            }
        }
    }
}

fn expect_op(op: &OpDef, seen: &mut Vec<Seen>) {
    for attr in &op.attr {
        let name = format!("{}:{}", op.name, attr.name);
        for value in [&attr.default_value, &attr.allowed_values]
            .into_iter()
            .flatten()
        {
            expect_value(&name, &name, value, seen);
        }
    }
}

fn expect_node(name: &str, node: &NodeDef, seen: &mut Vec<Seen>) {
    for (key, value) in &node.attr {
        let long = format!("{name}:{key}");
        let tensor_name = if key == "value" { name } else { &long };
        expect_value(&long, tensor_name, value, seen);
    }
}

fn expect_attrs(owner: &str, attrs: &Attrs, seen: &mut Vec<Seen>) {
    for (key, value) in attrs {
        let name = format!("{owner}:{key}");
        expect_value(&name, &name, value, seen);
    }
}

fn expect_value(name: &str, tensor_name: &str, value: &AttrValue, seen: &mut Vec<Seen>) {
    match &value.value {
        Some(Attr::Tensor(tensor)) => seen.extend(expect_tensor(tensor_name, tensor)),
        Some(Attr::Func(function)) => expect_attrs(name, &function.attr, seen),
        Some(Attr::List(list)) => {
            for (i, tensor) in list.tensor.iter().enumerate() {
                seen.extend(expect_tensor(&format!("{name}[{i}]"), tensor));
            }
            for (i, function) in list.func.iter().enumerate() {
                expect_attrs(&format!("{name}[{i}]"), &function.attr, seen);
            }
        }
        _ => {}
    }
}

fn expect_tensor(name: &str, tensor: &TensorProto) -> Option<Seen> {
    let dtype = DType::from_id(u32::try_from(tensor.dtype).ok()?)?;
    let shape = tensor.tensor_shape.clone().unwrap_or_default();
    if shape.unknown_rank {
        return None;
    }
    let shape: Vec<u64> = shape
        .dim
        .iter()
        .map(|d| u64::try_from(d.size).ok())
        .collect::<Option<_>>()?;
    Some(Seen {
        name: name.to_owned(),
        dtype,
        raw: expect_raw(tensor, dtype, shape.iter().product()),
        shape,
    })
}

fn expect_raw(t: &TensorProto, dtype: DType, elements: u64) -> Option<(Vec<u8>, u64)> {
    let width = dtype.width()?;
    let floats = |v: &[f32]| -> Vec<u8> { v.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let doubles = |v: &[f64]| -> Vec<u8> { v.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let is_float8 = dtype.name().starts_with("float8");
    let mut forms = vec![
        (true, t.tensor_content.clone()),
        (dtype == DType::Float32, floats(&t.float_val)),
        (dtype == DType::Float64, doubles(&t.double_val)),
        (dtype == DType::Complex64, floats(&t.scomplex_val)),
        (dtype == DType::Complex128, doubles(&t.dcomplex_val)),
        (is_float8, t.float8_val.clone()),
    ];
    forms.retain(|(_, bytes)| !bytes.is_empty());
    let others = t.int_val.len()
        + t.string_val.len()
        + t.int64_val.len()
        + t.bool_val.len()
        + t.half_val.len()
        + t.resource_handle_val.len()
        + t.variant_val.len()
        + t.uint32_val.len()
        + t.uint64_val.len();
    match (forms.as_slice(), others) {
        ([], 0) => Some((vec![], elements)),
        ([(true, bytes)], 0) if bytes.len() % width == 0 => {
            let repeats = elements.checked_sub((bytes.len() / width) as u64)?;
            let whole = t.tensor_content.is_empty() || repeats == 0;
            whole.then(|| (bytes.clone(), repeats))
        }
        _ => None,
    }
}

/// A tensor with values in the form that is its dtype's, in a wrong one, in two, or in none.
fn tensors() -> impl Strategy<Value = TensorProto> {
    let dtype = prop_oneof![
        8 => prop::sample::select(vec![1, 2, 8, 18, 19, 24, 25, 26, 27, 28]),
        4 => 0..=34,
        1 => Just(101),
    ];
    let size = prop_oneof![12 => 0..5i64, 1 => Just(-1)];
    let form = prop_oneof![4 => Just(4u32), 8 => Just(0), 3 => 5..=18u32, 1 => Just(99)];
    let parts = (
        dtype,
        prop::collection::vec((size, "[a-z]?"), 0..4),
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.1),
        prop::collection::vec(form, 1..3),
        prop::collection::vec(any::<u8>(), 16 * 64),
        0..3usize,
        prop::sample::select(vec![0, 1, 3, 8, 64, 65]),
    );
    parts.prop_map(
        |(dtype, dims, unknown_rank, no_shape, forms, bytes, off, count)| {
            let elements: i64 = dims.iter().map(|(size, _)| size).product();
            let elements = usize::try_from(elements).unwrap_or(1);
            let mut t = TensorProto {
                dtype,
                tensor_shape: (!no_shape).then(|| TensorShapeProto {
                    dim: dims
                        .into_iter()
                        .map(|(size, name)| Dim { size, name })
                        .collect(),
                    unknown_rank,
                }),
                ..TensorProto::default()
            };
            let width = DType::from_id(dtype.unsigned_abs())
                .and_then(DType::width)
                .unwrap_or(1);
            let count = count.min(elements + off);
            for form in forms {
                let form = match (form, dtype) {
                    (0, 1) => 5,
                    (0, 2) => 6,
                    (0, 8) => 9,
                    (0, 18) => 12,
                    (0, 24..=28) => 18,
                    (form, _) => form,
                };
                fill(&mut t, form, count, elements * width + off / 2, &bytes);
            }
            t
        },
    )
}

/// Puts `count` elements, or `content_len` bytes of content, into field number `form`.
fn fill(t: &mut TensorProto, form: u32, count: usize, content_len: usize, bytes: &[u8]) {
    let count = count.min(64);
    let words = || {
        bytes
            .chunks_exact(8)
            .map(|c| u64::from_le_bytes(c.try_into().unwrap()))
    };
    let floats = || {
        bytes
            .chunks_exact(4)
            .map(|c| f32::from_le_bytes(c.try_into().unwrap()))
    };
    match form {
        4 => t.tensor_content = bytes[..content_len.min(bytes.len())].to_vec(),
        5 => t.float_val = floats().take(count).collect(),
        6 => t.double_val = words().map(f64::from_bits).take(count).collect(),
        7 => t.int_val = words().map(|w| w as i32).take(count).collect(),
        8 => t.string_val = vec![bytes[..2].to_vec(); count],
        9 => t.scomplex_val = floats().take(2 * count + count / 64).collect(),
        10 => t.int64_val = words().map(|w| w as i64).take(count).collect(),
        11 => t.bool_val = words().map(|w| w & 1 == 1).take(count).collect(),
        12 => t.dcomplex_val = words().map(f64::from_bits).take(2 * count).collect(),
        13 => t.half_val = words().map(|w| (w & 0xffff) as i32).take(count).collect(),
        14 => t.resource_handle_val = vec![Vec::new(); count],
        15 => t.variant_val = vec![Vec::new(); count],
        16 => t.uint32_val = words().map(|w| w as u32).take(count).collect(),
        17 => t.uint64_val = words().take(count).collect(),
        18 => t.float8_val = bytes[..count].to_vec(),
        _ => t.version_number = 7,
    }
}

fn attr_values() -> impl Strategy<Value = AttrValue> {
    let leaf = prop_oneof![
        8 => tensors().prop_map(Attr::Tensor),
        1 => any::<i64>().prop_map(Attr::I),
        1 => prop::collection::vec(any::<u8>(), 0..9).prop_map(Attr::S),
        1 => (1..34).prop_map(Attr::Type),
    ]
    .prop_map(|value| AttrValue { value: Some(value) });
    leaf.prop_recursive(3, 8, 3, |inner| {
        let function = ("[a-z]{0,3}", attrs_of(inner))
            .prop_map(|(name, attr)| NameAttrList { name, attr })
            .boxed();
        let list = (
            prop::collection::vec(any::<i64>(), 0..3),
            prop::collection::vec(tensors(), 0..3),
            prop::collection::vec(function.clone(), 0..3),
        );
        prop_oneof![
            function.prop_map(Attr::Func),
            list.prop_map(|(i, tensor, func)| Attr::List(ListValue { i, tensor, func })),
        ]
        .prop_map(|value| AttrValue { value: Some(value) })
    })
}

fn attrs_of(values: impl Strategy<Value = AttrValue>) -> impl Strategy<Value = Attrs> {
    prop::collection::btree_map("value|[a-z_]{1,3}", values, 0..3)
}

fn nodes() -> impl Strategy<Value = NodeDef> {
    (
        "[a-z][a-z/_0-9]{0,9}",
        "[A-Z][a-z]{1,5}",
        attrs_of(attr_values()),
    )
        .prop_map(|(name, op, attr)| NodeDef {
            name,
            op,
            input: vec!["^x".to_owned(), "y:1".to_owned()],
            device: "/cpu:0".to_owned(),
            attr,
        })
}

fn ops() -> impl Strategy<Value = OpDef> {
    let value = || prop::option::of(attr_values());
    let attrs = ("[a-z]{0,3}", value(), value()).prop_map(|(name, default, allowed)| AttrDef {
        name,
        default_value: default,
        allowed_values: allowed,
    });
    ("[a-z]{0,5}", prop::collection::vec(attrs, 0..3)).prop_map(|(name, attr)| OpDef { name, attr })
}

fn functions() -> impl Strategy<Value = FunctionDef> {
    (
        ops(),
        prop::collection::vec(nodes(), 0..3),
        attrs_of(attr_values()),
        prop::collection::btree_map(any::<u32>(), attrs_of(attr_values()), 0..2),
    )
        .prop_map(|(signature, node_def, attr, args)| FunctionDef {
            signature: Some(signature),
            node_def,
            attr,
            arg_attr: args
                .into_iter()
                .map(|(i, attr)| (i, ArgAttrs { attr }))
                .collect(),
        })
}

fn graphs() -> impl Strategy<Value = GraphDef> {
    (
        prop::collection::vec(nodes(), 1..5),
        prop::collection::vec(functions(), 0..3),
    )
        .prop_map(|(node, function)| GraphDef {
            node,
            library: Some(FunctionDefLibrary { function }),
            version: 21,
        })
}

fn meta_graphs() -> impl Strategy<Value = MetaGraphDef> {
    let defaults = prop::collection::btree_map("[a-z]{0,3}", tensors(), 0..3);
    let signatures = defaults.prop_map(|defaults| SignatureDef {
        method_name: "tensorflow/serving/predict".to_owned(),
        defaults,
    });
    (
        prop::option::of(prop::collection::vec(ops(), 0..3)),
        graphs(),
        prop::collection::btree_map("[a-z]{0,3}", signatures, 0..3),
    )
        .prop_map(|(ops, graph, signature_def)| MetaGraphDef {
            meta_info_def: ops.map(|op| MetaInfoDef {
                meta_graph_version: "v1".to_owned(),
                stripped_op_list: Some(OpList { op }),
                tags: vec!["serve".to_owned()],
            }),
            graph_def: Some(graph),
            signature_def,
        })
}

proptest! {
    #[test]
    fn random_graphs_give_back_their_tensors(graph in graphs()) {
        let found = found(ModelKind::GraphDef, &graph.encode_to_vec());
        prop_assert_eq!(found, graph.expected());
    }

    #[test]
    fn random_meta_graphs_give_back_their_tensors(meta_graph in meta_graphs()) {
        let found = found(ModelKind::MetaGraphDef, &meta_graph.encode_to_vec());
        prop_assert_eq!(found, meta_graph.expected());
    }

    #[test]
    fn random_saved_models_give_back_their_tensors(
        schema_version in 0..3i64,
        meta_graphs in prop::collection::vec(meta_graphs(), 1..3),
    ) {
        let saved_model = SavedModel { schema_version, meta_graphs };
        let found = found(ModelKind::SavedModel, &saved_model.encode_to_vec());
        prop_assert_eq!(found, saved_model.expected());
    }
}

/// Compares what is found in a real file with what prost sees.
fn check_real_file<M: Expected>(path: &Path) {
    let bytes = fs::read(path).unwrap();
    let expected = M::decode(bytes.as_slice()).unwrap().expected();
    let found = found(M::KIND, &bytes);
    assert_eq!(found.len(), expected.len(), "{}", path.display());
    for (found, expected) in found.iter().zip(&expected) {
        let place = format!("{}: {}", path.display(), expected.name);
        assert!(found == expected, "{place}");
    }
}

/// The files below a folder of the shared data; none where it is missing.
fn shared_files(folder: &str) -> Vec<PathBuf> {
    common::shared_files(&[folder]).unwrap_or_default()
}

#[test]
fn real_graphs_give_what_prost_sees() {
    for folder in ["pruned", "dense", "graphdef"] {
        for path in shared_files(folder) {
            check_real_file::<GraphDef>(&path);
        }
    }
    for path in shared_files("checkpoint") {
        if path.extension().is_some_and(|e| e == "meta") {
            check_real_file::<MetaGraphDef>(&path);
        }
    }
    for path in shared_files("saved_model") {
        if path
            .file_name()
            .is_some_and(|name| name == "saved_model.pb")
        {
            check_real_file::<SavedModel>(&path);
        }
    }
}

#[test]
fn real_files_of_no_kind_are_refused_with_a_reason() {
    let is_foreign = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name == "checkpoint" || name == "corrupt-export.meta" || name.ends_with(".gz")
    };
    let folders = ["bad", "mnist", "checkpoint"];
    let files = folders.into_iter().flat_map(shared_files);
    for path in files.filter(is_foreign) {
        let bytes = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let file = InputFile {
            name,
            bytes: &bytes,
        };
        let e = model::read(&[file]).unwrap_err();
        let place = format!("{}: {e}", path.display());
        assert_eq!(e.kind(), ErrorKind::Model, "{place}");
        assert!(e.to_string().starts_with("not a model file: "), "{place}");
        assert_eq!(e.to_string().lines().count(), 1, "{place}");
        let reason = match name {
            "checkpoint" => "names a checkpoint",
            "corrupt-export.meta" => "text conversion",
            _ => "gzip",
        };
        assert!(e.to_string().contains(reason), "{place}");
    }
}

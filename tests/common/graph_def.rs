//! TensorFlow's messages, as far as tensors can stand in them, and small graphs made of them.

use prost::Message;
use std::collections::BTreeMap;
use tfzip::DType;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GraphDef {
    #[prost(message, repeated, tag = "1")]
    pub(crate) node: Vec<NodeDef>,
    #[prost(message, optional, tag = "2")]
    pub(crate) library: Option<FunctionDefLibrary>,
    #[prost(int32, tag = "3")]
    pub(crate) version: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NodeDef {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) op: String,
    #[prost(string, repeated, tag = "3")]
    pub(crate) input: Vec<String>,
    #[prost(string, tag = "4")]
    pub(crate) device: String,
    #[prost(btree_map = "string, message", tag = "5")]
    pub(crate) attr: Attrs,
}

pub(crate) type Attrs = BTreeMap<String, AttrValue>;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttrValue {
    #[prost(oneof = "Attr", tags = "1, 2, 3, 6, 8, 10")]
    pub(crate) value: Option<Attr>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Attr {
    #[prost(message, tag = "1")]
    List(ListValue),
    #[prost(bytes, tag = "2")]
    S(Vec<u8>),
    #[prost(int64, tag = "3")]
    I(i64),
    #[prost(int32, tag = "6")]
    Type(i32),
    #[prost(message, tag = "8")]
    Tensor(TensorProto),
    #[prost(message, tag = "10")]
    Func(NameAttrList),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListValue {
    #[prost(int64, repeated, tag = "3")]
    pub(crate) i: Vec<i64>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) tensor: Vec<TensorProto>,
    #[prost(message, repeated, tag = "9")]
    pub(crate) func: Vec<NameAttrList>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NameAttrList {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(btree_map = "string, message", tag = "2")]
    pub(crate) attr: Attrs,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FunctionDefLibrary {
    #[prost(message, repeated, tag = "1")]
    pub(crate) function: Vec<FunctionDef>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FunctionDef {
    #[prost(message, optional, tag = "1")]
    pub(crate) signature: Option<OpDef>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) node_def: Vec<NodeDef>,
    #[prost(btree_map = "string, message", tag = "5")]
    pub(crate) attr: Attrs,
    #[prost(btree_map = "uint32, message", tag = "7")]
    pub(crate) arg_attr: BTreeMap<u32, ArgAttrs>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ArgAttrs {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) attr: Attrs,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OpDef {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "4")]
    pub(crate) attr: Vec<AttrDef>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttrDef {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) default_value: Option<AttrValue>,
    #[prost(message, optional, tag = "7")]
    pub(crate) allowed_values: Option<AttrValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorProto {
    #[prost(int32, tag = "1")]
    pub(crate) dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) tensor_shape: Option<TensorShapeProto>,
    #[prost(int32, tag = "3")]
    pub(crate) version_number: i32,
    #[prost(bytes, tag = "4")]
    pub(crate) tensor_content: Vec<u8>,
    #[prost(float, repeated, tag = "5")]
    pub(crate) float_val: Vec<f32>,
    #[prost(double, repeated, tag = "6")]
    pub(crate) double_val: Vec<f64>,
    #[prost(int32, repeated, tag = "7")]
    pub(crate) int_val: Vec<i32>,
    #[prost(bytes, repeated, tag = "8")]
    pub(crate) string_val: Vec<Vec<u8>>,
    #[prost(float, repeated, tag = "9")]
    pub(crate) scomplex_val: Vec<f32>,
    #[prost(int64, repeated, tag = "10")]
    pub(crate) int64_val: Vec<i64>,
    #[prost(bool, repeated, tag = "11")]
    pub(crate) bool_val: Vec<bool>,
    #[prost(double, repeated, tag = "12")]
    pub(crate) dcomplex_val: Vec<f64>,
    #[prost(int32, repeated, tag = "13")]
    pub(crate) half_val: Vec<i32>,
    #[prost(bytes, repeated, tag = "14")]
    pub(crate) resource_handle_val: Vec<Vec<u8>>,
    #[prost(bytes, repeated, tag = "15")]
    pub(crate) variant_val: Vec<Vec<u8>>,
    #[prost(uint32, repeated, tag = "16")]
    pub(crate) uint32_val: Vec<u32>,
    #[prost(uint64, repeated, tag = "17")]
    pub(crate) uint64_val: Vec<u64>,
    #[prost(bytes, tag = "18")]
    pub(crate) float8_val: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorShapeProto {
    #[prost(message, repeated, tag = "2")]
    pub(crate) dim: Vec<Dim>,
    #[prost(bool, tag = "3")]
    pub(crate) unknown_rank: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Dim {
    #[prost(int64, tag = "1")]
    pub(crate) size: i64,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
}

/// A constant whose elements are the bytes of its `tensor_content`.
pub(crate) fn constant(name: &str, dtype: DType, shape: &[u64], content: Vec<u8>) -> NodeDef {
    let tensor = TensorProto {
        tensor_content: content,
        ..tensor(dtype, shape)
    };
    node(name, "Const", [("value", Attr::Tensor(tensor))])
}

/// A tensor without elements yet.
pub(crate) fn tensor(dtype: DType, shape: &[u64]) -> TensorProto {
    let dim = |&size: &u64| Dim {
        size: size.cast_signed(),
        name: String::new(),
    };
    TensorProto {
        dtype: dtype as i32,
        tensor_shape: Some(TensorShapeProto {
            dim: shape.iter().map(dim).collect(),
            unknown_rank: false,
        }),
        ..TensorProto::default()
    }
}

/// A node with these attributes.
pub(crate) fn node<const N: usize>(name: &str, op: &str, attrs: [(&str, Attr); N]) -> NodeDef {
    NodeDef {
        name: name.to_owned(),
        op: op.to_owned(),
        attr: attrs
            .map(|(key, value)| (key.to_owned(), value.into()))
            .into(),
        ..NodeDef::default()
    }
}

impl From<Attr> for AttrValue {
    fn from(value: Attr) -> Self {
        Self { value: Some(value) }
    }
}

/// The file of a graph with these nodes.
pub(crate) fn graph(node: Vec<NodeDef>) -> Vec<u8> {
    let graph = GraphDef {
        node,
        ..GraphDef::default()
    };
    graph.encode_to_vec()
}

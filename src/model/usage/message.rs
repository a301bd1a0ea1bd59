//! TensorFlow's messages, as far as they say what is done with tensors.
//!
//! What holds elements is left out, so that prost skips it without a copy; it drops unknown fields
//! too, and that is right here: these messages are read and never written.

use std::collections::HashMap;

/// NodeDef.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NodeDef {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) op: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) input: Vec<String>,
    #[prost(map = "string, message", tag = "5")]
    pub(super) attr: HashMap<String, AttrValue>,
}

/// AttrValue, as far as it holds functions.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AttrValue {
    #[prost(message, optional, tag = "1")]
    pub(super) list: Option<ListValue>,
    #[prost(message, optional, tag = "10")]
    pub(super) func: Option<NameAttrList>,
}

/// AttrValue.ListValue: functions.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListValue {
    #[prost(message, repeated, tag = "9")]
    pub(super) func: Vec<NameAttrList>,
}

/// NameAttrList: the name of a function.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NameAttrList {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

/// FunctionDef, without its nodes.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FunctionDef {
    #[prost(message, optional, tag = "1")]
    pub(super) signature: Option<OpDef>,
    #[prost(map = "string, string", tag = "4")]
    pub(super) ret: HashMap<String, String>,
}

/// OpDef.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OpDef {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) input_arg: Vec<ArgDef>,
    #[prost(message, repeated, tag = "3")]
    pub(super) output_arg: Vec<ArgDef>,
}

/// OpDef.ArgDef.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ArgDef {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// Set if the argument stands for several tensors, as is the next.
    #[prost(string, tag = "5")]
    pub(super) number_attr: String,
    #[prost(string, tag = "6")]
    pub(super) type_list_attr: String,
}

/// SavedObjectGraph: the Python objects of a SavedModel.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SavedObjectGraph {
    #[prost(message, repeated, tag = "1")]
    pub(super) nodes: Vec<SavedObject>,
    #[prost(map = "string, message", tag = "2")]
    pub(super) concrete_functions: HashMap<String, SavedConcreteFunction>,
}

/// SavedObject.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SavedObject {
    #[prost(message, repeated, tag = "1")]
    pub(super) children: Vec<ObjectReference>,
    #[prost(message, optional, tag = "7")]
    pub(super) variable: Option<SavedVariable>,
    #[prost(message, optional, tag = "9")]
    pub(super) constant: Option<SavedConstant>,
}

/// ObjectReference: a named child of an object.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ObjectReference {
    #[prost(int32, tag = "1")]
    pub(super) node_id: i32,
    #[prost(string, tag = "2")]
    pub(super) local_name: String,
}

/// SavedVariable; that there is one is enough.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SavedVariable {}

/// SavedConstant.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SavedConstant {
    /// Name of a node of the graph.
    #[prost(string, tag = "1")]
    pub(super) operation: String,
}

/// SavedConcreteFunction.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SavedConcreteFunction {
    /// Numbers of the objects that are its last arguments.
    #[prost(int32, repeated, tag = "2")]
    pub(super) bound_inputs: Vec<i32>,
}

/// TrackableObjectGraph: the Python objects of a checkpoint.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TrackableObjectGraph {
    #[prost(message, repeated, tag = "1")]
    pub(super) nodes: Vec<TrackableObject>,
}

/// TrackableObjectGraph.TrackableObject.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TrackableObject {
    #[prost(message, repeated, tag = "1")]
    pub(super) children: Vec<ObjectReference>,
    #[prost(message, repeated, tag = "2")]
    pub(super) attributes: Vec<SerializedTensor>,
}

/// TrackableObjectGraph.TrackableObject.SerializedTensor.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SerializedTensor {
    /// Name of the variable in the program that wrote it; need not be unique.
    #[prost(string, tag = "2")]
    pub(super) full_name: String,
    #[prost(string, tag = "3")]
    pub(super) checkpoint_key: String,
}

//! Model files: which byte ranges of a file hold which tensors.
//!
//! A model file is kept as its own bytes with holes (spec §6). This module finds what can become
//! a hole and what users call it; it changes no byte, and knows nothing of how holes are stored.
//! Each kind of file is one submodule.

mod foreign;
mod graph_def;
mod tensor_proto;
mod wire;

use crate::error::Result;
use crate::tensor::DType;
use std::fmt;
use std::ops::Range;

/// The kinds of model files that are recognised, by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelKind {
    /// A serialised `tensorflow.GraphDef`, most often a frozen graph.
    GraphDef,
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GraphDef => f.write_str("GraphDef"),
        }
    }
}

/// A model file as this crate sees it: tensors somewhere in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// What the file was recognised as.
    pub kind: ModelKind,
    /// Every tensor of the file, in the order of its bytes.
    pub tensors: Vec<ModelTensor>,
}

/// One tensor of a model file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelTensor {
    /// What users call it; need not be unique.
    ///
    /// In a GraphDef the constant of a node has the node's name. Other tensors say where they are:
    /// `NODE:ATTR`, `NODE:ATTR[i]` in a list, `FUNCTION/NODE` in a library function.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first; empty for a scalar.
    pub shape: Vec<u64>,
    /// Where its elements are.
    pub data: TensorData,
}

/// Where a tensor's elements are in the model file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensorData {
    /// Little-endian elements in row-major order, without gaps.
    Raw {
        /// Byte range in the file; a whole number of elements; never overlaps another tensor's.
        range: Range<usize>,
        /// How many elements at the end of the tensor are missing from the range because they
        /// repeat the last one there (or are zero, where the range is empty).
        repeats: u64,
    },
    /// In a form that is left to the skeleton: strings, varints, split fields.
    Opaque,
}

/// Finds out what kind of model file `bytes` is, and where its tensors are.
///
/// # Errors
/// `Model` when it is no model file that this crate understands, or a damaged one: the message
/// says what was found and at which offset.
pub fn read(bytes: &[u8]) -> Result<Model> {
    graph_def::read(bytes)
}

//! What the graphs of a model say of how its tensors are used: which are weights, and which are one
//! thing that is stored several times.
//!
//! ```text
//! files -> graph (nodes, functions) -> flow (which value may be which) -> analysis (what becomes of it)
//!       -> variables (which tensors of which checkpoint) -> roles and groups
//! ```
//!
//! A tensor is a weight if an op multiplies by it, or looks rows up in it: straight, or through ops
//! and calls of functions that hand it on. What is mixed with the model's input on the way is not
//! followed, so that a recurrent net's first state, say, is no weight. A weight has rows and columns,
//! and elements that are floats or short integers.
//!
//! Tensors are one thing if the files say so. Equal bytes say nothing by themselves.

mod analysis;
mod checkpoint;
mod copies;
mod findings;
mod flow;
mod graph;
mod message;
mod objects;
mod op;
mod tflite;
mod tflite_op;
mod variables;

use super::wire::Message;
use super::{InputFile, Model, ModelKind, meta_graph, saved_model};
use crate::error::{Result, Within};
use checkpoint::Checkpoint;
use findings::Findings;

/// What the files of a model say of how its tensors are used.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Usage {
    /// One for each of [`Model::tensors`].
    pub tensors: Vec<TensorUsage>,
    /// Tensors that are one thing stored several times: what changes one must change all. Numbers in
    /// [`Model::tensors`], ascending, disjoint, two or more each.
    ///
    /// Members have the same dtype and as many elements, in the same order. Their bytes may differ: a
    /// variable and its initial value are one group after training, too. A member may be in a form
    /// that can't be changed ([`TensorData::Opaque`](super::TensorData)).
    pub groups: Vec<Vec<usize>>,
}

/// How a tensor is used.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TensorUsage {
    /// What for.
    pub role: Role,
    /// How its integers stand for numbers, where the file says so.
    pub quantization: Option<Quantization>,
}

/// What a tensor is used for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// A graph multiplies by it, or looks rows up in it.
    Weight {
        /// The first op that does, as TensorFlow or TFLite writes it (`MatMul`, `CONV_2D`).
        op: String,
    },
    /// There is a graph that could use it, and it doesn't use it as a weight: biases, batch
    /// normalisation, optimizer state, integer constants.
    Other,
    /// No graph says what it is for.
    #[default]
    Unknown,
}

/// How TFLite's integers stand for numbers: `scale[c] * (q - zero_point[c])`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    /// One, or one for each index of the dimension `axis`.
    pub scales: Vec<f32>,
    /// As many as scales.
    pub zero_points: Vec<i64>,
    /// The dimension of the shape that has one scale for each index; meaningless where there is one
    /// scale.
    pub axis: usize,
}

/// Finds out how the tensors of a model are used; `model` is what [`read`](super::read) made of
/// these files.
///
/// The index of a checkpoint is read once more, elements are not, but for constants that may be copies
/// of each other. Time and memory are linear in the size of the files without their elements.
///
/// # Errors
/// `Model` when a graph is damaged, or its functions call each other in more ways than can be
/// followed.
pub fn usage(files: &[InputFile<'_>], model: &Model) -> Result<Usage> {
    let mut findings = Findings::new(model);
    for part in &model.parts {
        let &[file, ..] = part.files.as_slice() else {
            continue;
        };
        let Some(InputFile { name, bytes }) = files.get(file).copied() else {
            continue;
        };
        let root = Message::root(bytes);
        let found = match part.kind {
            ModelKind::GraphDef => graph(&mut findings, files, file, part.kind, &[root], None),
            ModelKind::MetaGraphDef => meta(&mut findings, files, file, part.kind, root),
            ModelKind::SavedModel => saved_model::meta_graphs(root).try_for_each(|meta_graph| {
                meta(&mut findings, files, file, part.kind, meta_graph?)
            }),
            ModelKind::TfLite => tflite::usage(&mut findings, bytes, file),
            _ => Ok(()),
        };
        found
            .within(|| part.kind.to_string())
            .within(|| name.to_owned())?;
    }
    copies::find(&mut findings, files);
    Ok(findings.usage())
}

/// The findings of a MetaGraphDef.
fn meta(
    findings: &mut Findings<'_>,
    files: &[InputFile<'_>],
    file: usize,
    kind: ModelKind,
    message: Message<'_>,
) -> Result<()> {
    let parts: Vec<_> = meta_graph::graphs(message).collect::<Result<_>>()?;
    let objects = meta_graph::object_graph(message)?;
    graph(findings, files, file, kind, &parts, objects)
}

/// The findings of a graph, which is joined from `parts`, and of the checkpoint that belongs to it.
fn graph(
    findings: &mut Findings<'_>,
    files: &[InputFile<'_>],
    file: usize,
    kind: ModelKind,
    parts: &[Message<'_>],
    objects: Option<Message<'_>>,
) -> Result<()> {
    let checkpoint = Checkpoint::of(findings.model, files, file, kind);
    let graph = graph::Graph::read(parts)?;
    let objects = match objects {
        Some(objects) => Some(objects::Objects::read(objects, checkpoint.objects(files)?)?),
        None => None,
    };
    variables::find(findings, file, &graph, &checkpoint, objects.as_ref())
}

#[cfg(test)]
mod tests;

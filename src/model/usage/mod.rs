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
mod constants;
mod copies;
mod findings;
mod flow;
mod graph;
mod groups;
mod message;
mod names;
mod objects;
mod op;
mod savers;
mod tflite;
mod tflite_op;
mod variables;

use super::wire::Message;
use super::{InputFile, Model, ModelKind, meta_graph, numbered, saved_model};
use crate::error::{Error, Result, Within};
use checkpoint::Checkpoint;
use findings::Findings;

/// How many MetaGraphDefs a SavedModel may have: each is looked at beside all of the checkpoint. They
/// are for training, serving, and kinds of machines: two or three.
const MAX_META_GRAPHS: usize = 64;

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
/// followed; `InvalidArgument` when the model is seen not to be that of the files.
pub fn usage(files: &[InputFile<'_>], model: &Model) -> Result<Usage> {
    let of_parts = model.parts.iter().flat_map(|part| &part.files);
    let mut of_model = of_parts.chain(model.tensors.iter().map(|tensor| &tensor.file));
    if of_model.any(|&file| file >= files.len()) {
        return Err(not_of_these_files());
    }
    let mut findings = Findings::new(model);
    for part in &model.parts {
        let &[file, ..] = part.files.as_slice() else {
            continue;
        };
        let Some(InputFile { name, bytes }) = files.get(file).copied() else {
            continue;
        };
        let root = Message::root(bytes);
        let kind = part.kind;
        let found = match kind {
            ModelKind::GraphDef | ModelKind::MetaGraphDef | ModelKind::SavedModel => {
                let checkpoint = Checkpoint::of(model, files, file, kind);
                GraphFile {
                    files,
                    file,
                    checkpoint,
                }
                .usage(&mut findings, kind, root)
            }
            ModelKind::TfLite => tflite::usage(&mut findings, bytes, file),
            _ => Ok(()),
        };
        found
            .within(|| kind.to_string())
            .within(|| name.to_owned())?;
    }
    copies::find(&mut findings, files);
    Ok(findings.usage())
}

/// An error about a model that is not what these files hold.
fn not_of_these_files() -> Error {
    Error::invalid("expected the model that is in these files, found another one")
}

/// A file with graphs, and the checkpoint that belongs to them.
struct GraphFile<'f, 'a> {
    files: &'f [InputFile<'a>],
    file: usize,
    checkpoint: Checkpoint<'f>,
}

impl GraphFile<'_, '_> {
    /// Adds what all graphs of the file say.
    fn usage(&self, findings: &mut Findings<'_>, kind: ModelKind, root: Message<'_>) -> Result<()> {
        match kind {
            ModelKind::SavedModel => {
                for (i, meta_graph) in saved_model::meta_graphs(root).enumerate() {
                    if i == MAX_META_GRAPHS {
                        return Err(Error::model(format!(
                            "expected at most {MAX_META_GRAPHS} MetaGraphDefs, found more"
                        )));
                    }
                    self.meta_graph(findings, meta_graph?)?;
                }
                Ok(())
            }
            ModelKind::MetaGraphDef => self.meta_graph(findings, root),
            _ => self.graph(findings, &[root], None),
        }
    }

    fn meta_graph(&self, findings: &mut Findings<'_>, message: Message<'_>) -> Result<()> {
        let parts: Vec<_> = meta_graph::graphs(message).collect::<Result<_>>()?;
        let objects = match meta_graph::object_graph(message)? {
            Some(objects) => {
                let stored = self.checkpoint.objects(self.files)?;
                Some(objects::Objects::read(objects, stored)?)
            }
            None => None,
        };
        self.graph(findings, &parts, objects.as_ref())
    }

    /// Adds what a graph says, which is joined from `parts`.
    fn graph(
        &self,
        findings: &mut Findings<'_>,
        parts: &[Message<'_>],
        objects: Option<&objects::Objects>,
    ) -> Result<()> {
        let graph = graph::Graph::read(parts)?;
        let n_bytes = numbered(self.files, self.file).bytes.len();
        variables::find(
            findings,
            self.file,
            n_bytes,
            &graph,
            &self.checkpoint,
            objects,
        )
    }
}

#[cfg(test)]
mod tests;

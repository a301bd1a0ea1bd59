//! Model files: which byte ranges of which files hold which tensors.
//!
//! A model is kept as its own bytes with holes (spec §6). This module finds what can become a hole
//! and what users call it; it knows nothing of how holes are stored. When the bytes in a hole are
//! changed, it repairs what the file says about them (checksums).
//!
//! What the graphs in the files say of how tensors are used is another question, which [`usage`]
//! answers once the model is known.
//!
//! Each kind of file is one submodule with one `Kind`, listed in `KINDS`; the kinds don't know
//! of each other, but that a Keras archive holds an HDF5 file.

mod foreign;
mod graph_def;
mod hdf5;
mod input;
mod keras;
mod leveldb;
mod meta_graph;
mod saved_model;
mod sliced_checkpoint;
mod tensor_bundle;
mod tensor_proto;
mod tflite;
mod usage;
mod wire;

pub(crate) use input::Input;
pub use usage::{Quantization, Role, TensorUsage, Usage, usage};

use crate::error::{Error, Result};
use crate::tensor::DType;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

/// One of the files that make up a model.
#[derive(Clone, Copy, Debug)]
pub struct InputFile<'a> {
    /// Relative to the model's root, with `/` between folders.
    pub name: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
}

/// The kinds of model files that are recognised, by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelKind {
    /// A serialised `tensorflow.GraphDef`, most often a frozen graph.
    GraphDef,
    /// A `tensorflow.MetaGraphDef`: the `.meta` file beside a TensorFlow 1 checkpoint.
    MetaGraphDef,
    /// A `tensorflow.SavedModel`: the `saved_model.pb` of a SavedModel folder, or alone.
    SavedModel,
    /// A TensorFlow 2 checkpoint: an index and its data shards.
    TensorBundle,
    /// A TensorFlow 1 checkpoint: a table of `SavedTensorSlices`, one for each shard.
    SlicedCheckpoint,
    /// A TFLite (LiteRT) flatbuffer.
    TfLite,
    /// A Keras archive, `.keras`.
    Keras,
    /// An HDF5 file, as Keras writes `.h5` and `.weights.h5`.
    Hdf5,
}

impl ModelKind {
    /// What users call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::GraphDef => "GraphDef",
            Self::MetaGraphDef => "MetaGraphDef",
            Self::SavedModel => "SavedModel",
            Self::TensorBundle => "TensorFlow 2 checkpoint",
            Self::SlicedCheckpoint => "TensorFlow 1 checkpoint",
            Self::TfLite => "TFLite model",
            Self::Keras => "Keras archive",
            Self::Hdf5 => "HDF5 file",
        }
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A model as this crate sees it: tensors somewhere in the bytes of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// What was recognised, in the order of [`ModelTensor::file`]; a SavedModel folder is a
    /// SavedModel and a checkpoint.
    pub parts: Vec<ModelPart>,
    /// Every tensor, in the order of files and of bytes within them.
    pub tensors: Vec<ModelTensor>,
}

/// Files that were recognised as something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPart {
    /// As what.
    pub kind: ModelKind,
    /// Numbers of the files: one, or the index of a checkpoint and its shards.
    pub files: Vec<usize>,
}

/// One tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelTensor {
    /// Number of the file that it stands in.
    pub file: usize,
    /// What users call it; need not be unique.
    ///
    /// In a graph the constant of a node has the node's name. Other tensors say where they are:
    /// `NODE:ATTR`, `NODE:ATTR[i]` in a list, `FUNCTION/NODE` in a library function. In checkpoints
    /// it is the variable's name or key, in TFLite the tensor's name, in HDF5 the dataset's path.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first; empty for a scalar.
    pub shape: Vec<u64>,
    /// Where its elements are.
    pub data: TensorData,
}

impl ModelTensor {
    /// Where its elements begin. Tensors of a file are in this order; those whose elements are
    /// nowhere in one piece come last.
    fn start(&self) -> usize {
        match &self.data {
            TensorData::Raw { range, .. } => range.start,
            TensorData::Opaque => usize::MAX,
        }
    }
}

/// Where a tensor's elements are in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensorData {
    /// Little-endian elements in row-major order, without gaps.
    Raw {
        /// Byte range in the file; a whole number of elements. The ranges of two tensors are the
        /// same or don't overlap.
        range: Range<usize>,
        /// How many elements at the end of the tensor are missing from the range because they
        /// repeat the last one there (or are zero, where the range is empty).
        repeats: u64,
    },
    /// In a form that is left to the skeleton: strings, varints, split fields.
    Opaque,
}

/// A range of bytes of a file that has been changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Changed {
    file: usize,
    range: Range<usize>,
}

/// A file that is being changed.
struct OutputFile<'a> {
    name: &'a str,
    bytes: Vec<u8>,
}

/// What a kind found: files that belong together, and their tensors in any order.
struct Found {
    files: Vec<usize>,
    tensors: Vec<ModelTensor>,
}

/// See [`Kind::repair`].
type Repair =
    fn(files: &mut [OutputFile<'_>], part: &[usize], changed: &[Changed]) -> Result<Vec<String>>;

/// A kind of model file.
struct Kind {
    kind: ModelKind,
    /// Looks at file number `file`, and at others that it names. `None` if it is not of this kind;
    /// `Model` if it is and is damaged.
    read: fn(files: &[InputFile<'_>], file: usize) -> Result<Option<Found>>,
    /// Repairs what the files of a part say of their own bytes, after the bytes in `changed`
    /// (ranges of tensors, in whatever files) have been changed; their lengths are as before.
    /// Returns warnings: what could not be repaired, and what that means to TensorFlow.
    repair: Repair,
}

/// All kinds, in the order in which they are asked. Those of several files come first.
const KINDS: &[Kind] = &[
    tensor_bundle::KIND,
    sliced_checkpoint::KIND,
    tflite::KIND,
    keras::KIND,
    hdf5::KIND,
    saved_model::KIND,
    meta_graph::KIND,
    graph_def::KIND,
];

/// Finds out what the files of a model are, and where its tensors are. Files that are nothing
/// special (assets, fingerprints) have no tensors.
///
/// # Errors
/// `Model` when no file is one that this crate understands, or when one is damaged: the message
/// says what was found and at which offset.
pub fn read(files: &[InputFile<'_>]) -> Result<Model> {
    let mut model = Model::default();
    let mut taken = HashSet::new();
    for kind in KINDS {
        for (number, file) in files.iter().enumerate() {
            if taken.contains(&number) {
                continue;
            }
            let found = (kind.read)(files, number).map_err(|error| match files.len() {
                1 => error,
                _ => error.within(file.name),
            })?;
            let Some(found) = found else {
                continue;
            };
            taken.extend(found.files.iter().copied());
            model.parts.push(ModelPart {
                kind: kind.kind,
                files: found.files,
            });
            model.tensors.extend(found.tensors);
        }
    }
    if model.parts.is_empty() {
        return Err(match files {
            [file] => foreign::error(file.bytes),
            _ => Error::model("none of the files is a model that is understood"),
        });
    }
    model
        .parts
        .sort_by_key(|part| part.files.iter().min().copied());
    model
        .tensors
        .sort_by_key(|tensor| (tensor.file, tensor.start()));
    Ok(model)
}

/// New elements for a tensor.
#[derive(Clone, Debug)]
pub struct Change {
    /// Number of the tensor in [`Model::tensors`].
    pub tensor: usize,
    /// Its stored elements, little-endian: as many bytes as its range has.
    pub bytes: Vec<u8>,
}

/// A model with other elements in some tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rewritten {
    /// The content of all files, in the order of the input.
    pub files: Vec<Vec<u8>>,
    /// What could not be repaired, and what that means to TensorFlow.
    pub warnings: Vec<String>,
}

/// Puts new elements into the tensors of a model, and repairs the checksums that its files keep of
/// them, so that TensorFlow loads it. All files are held in memory.
///
/// # Errors
/// `InvalidArgument` if a change does not fit its tensor; `Model` if it would change anything but its
/// tensor; as [`read`].
pub fn rewrite(files: &[InputFile<'_>], changes: &[Change]) -> Result<Rewritten> {
    let model = read(files)?;
    let mut output: Vec<OutputFile<'_>> = files
        .iter()
        .map(|file| OutputFile {
            name: file.name,
            bytes: file.bytes.to_vec(),
        })
        .collect();
    let mut changed = Vec::with_capacity(changes.len());
    for change in changes {
        let tensor = model.tensors.get(change.tensor);
        let tensor = tensor
            .ok_or_else(|| Error::invalid(format!("there is no tensor #{}", change.tensor)))?;
        let range = match &tensor.data {
            TensorData::Raw { range, .. } if range.len() == change.bytes.len() => range.clone(),
            _ => {
                return Err(Error::invalid(format!(
                    "{} bytes do not fit the elements of tensor {:?}",
                    change.bytes.len(),
                    tensor.name
                )));
            }
        };
        let file = numbered_mut(&mut output, tensor.file);
        put_at(&mut file.bytes, range.start, &change.bytes)?;
        changed.push(Changed {
            file: tensor.file,
            range,
        });
    }
    let mut warnings = Vec::new();
    // In the order of the kinds: the fingerprint of a SavedModel is over the index of its checkpoint.
    for kind in KINDS {
        for part in model.parts.iter().filter(|part| part.kind == kind.kind) {
            warnings.extend((kind.repair)(&mut output, &part.files, &changed)?);
        }
    }
    check_rewritten(&model, &output)?;
    Ok(Rewritten {
        files: output.into_iter().map(|file| file.bytes).collect(),
        warnings,
    })
}

/// Fails unless the changed files hold the same tensors in the same places: in a hostile file the
/// elements of a tensor may be a part of its structure too.
fn check_rewritten(model: &Model, output: &[OutputFile<'_>]) -> Result<()> {
    let files: Vec<InputFile<'_>> = output
        .iter()
        .map(|file| InputFile {
            name: file.name,
            bytes: &file.bytes,
        })
        .collect();
    match read(&files) {
        Ok(again) if again.tensors == model.tensors => Ok(()),
        Ok(_) => Err(Error::model(
            "a change of elements would change other tensors too",
        )),
        Err(e) => Err(e.within("a change of elements would damage the model")),
    }
}

/// The file with this number.
#[expect(
    clippy::indexing_slicing,
    reason = "numbers of files are given and found among all of them, and no file says one"
)]
fn numbered<F>(files: &[F], number: usize) -> &F {
    &files[number]
}

/// The same, to be changed.
#[expect(clippy::indexing_slicing, reason = "as in `numbered`")]
fn numbered_mut<F>(files: &mut [F], number: usize) -> &mut F {
    &mut files[number]
}

/// The folder of a file with this name, with the `/` behind it; empty for the model's root.
fn folder_of(name: &str) -> &str {
    let in_folder = name.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(in_folder).unwrap_or_default()
}

/// Puts bytes in the place of those that a reader found at this offset of a file.
fn put_at(file: &mut [u8], at: usize, bytes: &[u8]) -> Result<()> {
    let rest = file.get_mut(at..).unwrap_or_default();
    let old = rest.get_mut(..bytes.len()).ok_or_else(|| {
        wire::error(
            at,
            "expected what was read there, found the end of the file",
        )
    })?;
    old.copy_from_slice(bytes);
    Ok(())
}

/// For kinds that keep no checksums.
fn nothing_to_repair(_: &mut [OutputFile<'_>], _: &[usize], _: &[Changed]) -> Result<Vec<String>> {
    Ok(Vec::new())
}

//! Packing: from a model to a `.tfz`, proven before it gets its name.

mod canonical;
mod packer;

use crate::archive::Archive;
use crate::container::Root;
use crate::error::{Result, Within};
use crate::mapped::Mapped;
use crate::model::{self, Input, InputFile, ModelKind, ModelTensor, Rewritten};
use crate::output;
use crate::parallel;
use crate::payload::EncodeOptions;
use crate::profile::{Effort, Profile};
use crate::progress::{Meter, Phase, Progress};
use crate::prune::{PruneOptions, PruneReport, prune};
use packer::Packer;
use sha2::{Digest, Sha256};
use std::fmt;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

pub(crate) use packer::Nonzeros;

/// How to pack.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PackOptions {
    /// Store −0.0 as +0.0 in float tensors. The restored model then differs from the source in the
    /// signs of its zeros, and in the checksums that its files keep of them; the hashes of both are
    /// kept. Holds the model in memory.
    pub canonical_zeros: bool,
    /// Prune before packing. The archive then holds the pruned model, and the hashes of both. Holds the
    /// model in memory.
    pub prune: Option<PruneOptions>,
    /// What the file is for.
    pub profile: Profile,
    /// How long packing may take.
    pub effort: Effort,
    /// Threads to use; 0 is one for each processor. The bytes written don't depend on it.
    pub threads: usize,
    /// Overwrite the output.
    pub overwrite: bool,
    /// Which tensors are worth encoding; the others stay in the skeleton, where their bytes are
    /// compressed as they are. Without it, all.
    pub select: Option<Select>,
    /// Told how far the work is.
    pub progress: Option<Progress>,
}

impl PackOptions {
    fn encoding(&self) -> EncodeOptions {
        EncodeOptions {
            profile: self.profile,
            effort: self.effort,
        }
    }

    fn encodes(&self, tensor: &ModelTensor) -> bool {
        self.select.as_ref().is_none_or(|Select(f)| f(tensor))
    }
}

/// A choice of tensors.
#[derive(Clone)]
pub struct Select(Arc<dyn Fn(&ModelTensor) -> bool + Send + Sync>);

impl Select {
    /// Chooses the tensors for which `f` is true.
    pub fn new(f: impl Fn(&ModelTensor) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(f))
    }
}

impl fmt::Debug for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Select")
    }
}

/// What packing came to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PackReport {
    /// What was recognised in the input.
    pub kinds: Vec<ModelKind>,
    /// What the archive is for.
    pub profile: Profile,
    /// Number of model files.
    pub files: usize,
    /// Names of files that were reached through a link; they are restored as files.
    pub links: Vec<String>,
    /// Bytes of all model files.
    pub model_bytes: u64,
    /// Bytes of the `.tfz` file.
    pub archive_bytes: u64,
    /// Tensors listed.
    pub tensors: usize,
    /// Of those, tensors whose elements are in payloads.
    pub encoded_tensors: usize,
    /// Elements that are −0.0 and kept as a set of their own, and the bytes that it takes: what
    /// `canonical_zeros` saves. Where there are few, they are nonzeros like others, and not counted.
    pub negative_zeros: u64,
    /// See [`negative_zeros`](Self::negative_zeros).
    pub negative_zero_bytes: u64,
    /// What a pass changed and could not repair, and what that means to TensorFlow.
    pub warnings: Vec<String>,
    /// What was pruned, if that was asked for.
    pub pruned: Option<PruneReport>,
}

/// Packs the model at `input` into the `.tfz` file `output`.
///
/// A model is a file; a folder, with all that is in it; or a checkpoint with all its shards, given
/// by its prefix or its index. The output is decoded again and its SHA-256 proven before it gets its
/// name. The input is mapped, not read: it must not be changed meanwhile (see [`Mapped::open`] for
/// what could happen).
///
/// # Errors
/// `Model` if the input is no model that is understood, `InvalidArgument` if the output exists and
/// is not to be overwritten or if the name of a file is not portable, `Io`.
pub fn pack_file(
    input: impl AsRef<Path>,
    output: impl AsRef<Path>,
    options: &PackOptions,
) -> Result<PackReport> {
    let (path, output) = (input.as_ref(), output.as_ref());
    let input = Input::open(path)?;
    let files = input.files();
    let root = Root {
        is_folder: input.is_folder,
        empty_folders: input.empty_folders.clone(),
    };
    parallel::with_threads(options.threads, || {
        output::write_file(output, options.overwrite, |file| {
            let out = BufWriter::with_capacity(1 << 20, &mut *file);
            let packed = pack(&files, &root, options, out);
            let (_, report) = output::placed(packed, path, output)?;
            prove(
                Mapped::for_one_call(file, output)?,
                options.progress.as_ref(),
            )
            .within(|| output.display().to_string())?;
            Ok(PackReport {
                links: input.links.clone(),
                ..report
            })
        })
    })
}

/// Packs the model file with the bytes `input` into the bytes of a `.tfz` file, and proves it.
///
/// `name` is the file name that restoring suggests.
///
/// # Errors
/// As [`pack_file`].
pub fn pack_slice(
    input: &[u8],
    name: &str,
    options: &PackOptions,
) -> Result<(Vec<u8>, PackReport)> {
    parallel::with_threads(options.threads, || {
        let files = [InputFile { name, bytes: input }];
        let (archive, report) = pack(&files, &Root::default(), options, Vec::new())?;
        prove(&archive, options.progress.as_ref())?;
        Ok((archive, report))
    })
}

/// Decodes a finished archive and compares the hashes of its files.
pub(crate) fn prove(archive: impl AsRef<[u8]>, progress: Option<&Progress>) -> Result<()> {
    let archive = Archive::new(archive)?;
    let mut meter = Meter::new(progress, Phase::Proving, archive.restored_bytes());
    (0..archive.files().len()).try_for_each(|file| archive.restore(file, &mut meter))
}

/// What passes over a model made of it before it is packed.
#[derive(Default)]
struct Passed {
    /// The files as they are packed; `None` if they are as they were.
    files: Option<Vec<Vec<u8>>>,
    warnings: Vec<String>,
    pruned: Option<PruneReport>,
}

impl Passed {
    fn new(files: &[InputFile<'_>], options: &PackOptions) -> Result<Self> {
        let mut passed = Self::default();
        if let Some(options) = &options.prune {
            let pruned = prune(files, options)?;
            passed.pruned = Some(pruned.report);
            passed.take(pruned.rewritten);
        }
        if options.canonical_zeros
            && let Some(rewritten) = canonical::canonical_zeros(&passed.apply(files))?
        {
            passed.take(rewritten);
        }
        Ok(passed)
    }

    fn take(&mut self, rewritten: Rewritten) {
        self.files = Some(rewritten.files);
        for warning in rewritten.warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// The files that are packed for `files`.
    fn apply<'a>(&'a self, files: &[InputFile<'a>]) -> Vec<InputFile<'a>> {
        match &self.files {
            Some(contents) => files
                .iter()
                .zip(contents)
                .map(|(file, bytes)| InputFile { bytes, ..*file })
                .collect(),
            None => files.to_vec(),
        }
    }
}

/// Writes the archive of a model.
pub(crate) fn pack<W: Write>(
    files: &[InputFile<'_>],
    root: &Root,
    options: &PackOptions,
    out: W,
) -> Result<(W, PackReport)> {
    let passed = Passed::new(files, options)?;
    let stored = passed.apply(files);
    let model = model::read(&stored)?;
    let model_bytes = files.iter().map(|file| file.bytes.len() as u64).sum();
    let meter = Meter::new(options.progress.as_ref(), Phase::Packing, model_bytes);
    let mut packer = Packer::new(&stored, options, out, meter)?;
    for (file, source) in files.iter().enumerate() {
        let sha256 = Sha256::digest(stored[file].bytes).into();
        let source_sha256 = passed
            .files
            .as_ref()
            .map(|_| Sha256::digest(source.bytes).into());
        packer.file(file, &model, sha256, source_sha256)?;
    }
    let (stats, encoded_tensors) = (packer.stats, packer.encoded_tensors);
    let (out, archive_bytes) = packer.writer.finish(root)?;
    let report = PackReport {
        kinds: model.parts.iter().map(|part| part.kind).collect(),
        profile: options.profile,
        files: files.len(),
        links: Vec::new(),
        model_bytes,
        archive_bytes,
        tensors: model.tensors.len(),
        encoded_tensors,
        negative_zeros: stats.negative_zeros,
        negative_zero_bytes: stats.negative_zero_bytes,
        warnings: passed.warnings,
        pruned: passed.pruned,
    };
    Ok((out, report))
}

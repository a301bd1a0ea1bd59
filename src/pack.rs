//! Packing: from a model file to a `.tfz`, proven before it gets its name.

use crate::archive::Archive;
use crate::container::{Source, TensorEntry, Writer};
use crate::error::{Error, Result, Within};
use crate::mapped::Mapped;
use crate::model::{self, ModelKind, ModelTensor, TensorData};
use crate::output;
use crate::parallel;
use crate::payload::{EncodeStats, PayloadSpec};
use crate::progress::{Meter, Phase, Progress};
use crate::tensor::{DType, ElementClass};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

/// Tensors of fewer bytes than this stay in the skeleton: a hole of their own would cost more.
const MIN_HOLE_BYTES: usize = 128;

/// Rows are given at least this many columns, where the shape allows it.
const MIN_COLUMNS: u64 = 16;

/// Bytes that are looked at in one go when elements are counted or hashed.
const CHUNK_BYTES: usize = 1 << 20;

/// How to pack.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct PackOptions {
    /// Store −0.0 as +0.0 in float tensors. The restored model then differs from the source in
    /// the signs of its zeros; both hashes are kept.
    pub canonical_zeros: bool,
    /// Threads to use; 0 is one for each processor. The bytes written don't depend on it.
    pub threads: usize,
    /// Overwrite the output.
    pub overwrite: bool,
    /// Told how far the work is.
    pub progress: Option<Progress>,
}

/// What packing came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackReport {
    /// What the input was recognised as.
    pub kind: ModelKind,
    /// Bytes of the model file.
    pub model_bytes: u64,
    /// Bytes of the `.tfz` file.
    pub archive_bytes: u64,
    /// Tensors listed.
    pub tensors: usize,
    /// Of those, tensors whose elements are in payloads.
    pub encoded_tensors: usize,
    /// Elements that are −0.0, and the bytes that saying so takes: what `canonical_zeros` saves.
    pub negative_zeros: u64,
    /// See [`negative_zeros`](Self::negative_zeros).
    pub negative_zero_bytes: u64,
    /// SHA-256 of the model file as it will be restored.
    pub sha256: [u8; 32],
}

/// Packs the model file `input` into the `.tfz` file `output`.
///
/// The output is decoded again and its SHA-256 proven before it gets its name. The input is mapped,
/// not read: it must not be changed meanwhile (see [`Mapped::open`] for what could happen).
///
/// # Errors
/// `Model` if the input is no model file that is understood, `InvalidArgument` if the output
/// exists and is not to be overwritten or if the input's file name is not portable, `Io`.
pub fn pack_file(
    input: impl AsRef<Path>,
    output: impl AsRef<Path>,
    options: &PackOptions,
) -> Result<PackReport> {
    let (input, output) = (input.as_ref(), output.as_ref());
    let opened =
        File::open(input).map_err(|e| Error::io(format!("cannot open {}", input.display()), e))?;
    if opened.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(Error::model(format!(
            "{} is a folder; expected a GraphDef",
            input.display()
        )));
    }
    let bytes = Mapped::for_one_call(&opened, input)?;
    let name = input
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| Error::invalid(format!("{} has no portable file name", input.display())))?;
    parallel::with_threads(options.threads, || {
        output::write_file(output, options.overwrite, |file| {
            let out = BufWriter::with_capacity(CHUNK_BYTES, &mut *file);
            let (_, report) =
                pack(bytes.as_ref(), name, options, out).within(|| input.display().to_string())?;
            prove(Mapped::for_one_call(file, output)?, options)
                .within(|| output.display().to_string())?;
            Ok(report)
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
        let (archive, report) = pack(input, name, options, Vec::new())?;
        prove(&archive, options)?;
        Ok((archive, report))
    })
}

/// Decodes a finished archive and compares the hashes of its files.
fn prove(archive: impl AsRef<[u8]>, options: &PackOptions) -> Result<()> {
    let archive = Archive::new(archive)?;
    let mut meter = Meter::new(
        options.progress.as_ref(),
        Phase::Proving,
        archive.restored_bytes(),
    );
    (0..archive.files().len()).try_for_each(|file| archive.restore(file, &mut meter))
}

/// Writes the archive of one model file.
fn pack<W: Write>(
    input: &[u8],
    name: &str,
    options: &PackOptions,
    out: W,
) -> Result<(W, PackReport)> {
    let model = model::read(input)?;
    let mut meter = Meter::new(
        options.progress.as_ref(),
        Phase::Packing,
        input.len() as u64,
    );
    let mut packer = Packer {
        input,
        canonical_zeros: options.canonical_zeros,
        writer: Writer::new(out)?,
        at: 0,
        changes: Vec::new(),
        known: HashMap::new(),
        stats: EncodeStats::default(),
    };
    let mut sources = Vec::with_capacity(model.tensors.len());
    for tensor in &model.tensors {
        sources.push(
            packer
                .place(tensor)
                .within(|| format!("tensor {:?}", tensor.name))?,
        );
        meter.set(packer.at as u64);
    }
    packer.writer.skeleton(&input[packer.at..])?;

    let source_sha256 = sha256(input, &[]);
    let sha256 = if packer.changes.is_empty() {
        source_sha256
    } else {
        sha256(input, &packer.changes)
    };
    packer.writer.end_file(
        name,
        sha256,
        (sha256 != source_sha256).then_some(source_sha256),
    )?;
    let mut encoded_tensors = 0;
    for (tensor, source) in model.tensors.iter().zip(sources) {
        encoded_tensors += usize::from(matches!(source, Source::Payload(_)));
        let (repeats, nnz) = match &tensor.data {
            TensorData::Raw { range, repeats } => {
                (*repeats, nnz(tensor.dtype, &input[range.clone()], *repeats))
            }
            TensorData::Opaque => (0, 0),
        };
        packer.writer.tensor(&TensorEntry {
            name: &tensor.name,
            dtype: tensor.dtype,
            shape: &tensor.shape,
            source,
            repeats,
            nnz,
        });
    }
    let stats = packer.stats;
    let (out, archive_bytes) = packer.writer.finish()?;
    let report = PackReport {
        kind: model.kind,
        model_bytes: input.len() as u64,
        archive_bytes,
        tensors: model.tensors.len(),
        encoded_tensors,
        negative_zeros: stats.negative_zeros,
        negative_zero_bytes: stats.negative_zero_bytes,
        sha256,
    };
    Ok((out, report))
}

/// A payload that is in the archive: where its bytes stand in the input.
struct Known {
    range: Range<usize>,
    payload: usize,
}

/// What payloads must have in common to be compared: length, CRC-32, width, float.
type Likeness = (usize, u32, usize, bool);

/// Walks through the input from front to back.
struct Packer<'a, W> {
    input: &'a [u8],
    canonical_zeros: bool,
    writer: Writer<W>,
    /// Bytes of the input that are in the archive.
    at: usize,
    /// Ranges in which −0.0 becomes +0.0, and the width of their elements.
    changes: Vec<(Range<usize>, usize)>,
    known: HashMap<Likeness, Vec<Known>>,
    stats: EncodeStats,
}

impl<W: Write> Packer<'_, W> {
    /// Writes everything up to the end of a tensor's elements, and says where they are.
    fn place(&mut self, tensor: &ModelTensor) -> Result<Source> {
        let TensorData::Raw { range, repeats } = &tensor.data else {
            return Ok(Source::Opaque);
        };
        let Some(width) = tensor.dtype.width() else {
            return Ok(Source::Opaque);
        };
        let between = range.start.checked_sub(self.at);
        let between = between
            .ok_or_else(|| Error::model(format!("its bytes {range:?} overlap with another's")))?;
        if range.len() < MIN_HOLE_BYTES {
            return Ok(Source::Skeleton(
                self.writer.skeleton_bytes() + between as u64,
            ));
        }
        self.writer.skeleton(&self.input[self.at..range.start])?;
        let float = tensor.dtype.class() == ElementClass::Float;
        let spec = PayloadSpec {
            width,
            columns: columns(&tensor.shape, (range.len() / width) as u64, *repeats),
            float,
            canonical_zeros: self.canonical_zeros && float,
        };
        let payload = self.payload(spec, range.clone())?;
        self.writer.hole(payload);
        if spec.canonical_zeros {
            self.changes.push((range.clone(), width));
        }
        self.at = range.end;
        Ok(Source::Payload(payload))
    }

    /// The payload with the bytes of `range`: one that is there already, or a new one.
    fn payload(&mut self, spec: PayloadSpec, range: Range<usize>) -> Result<usize> {
        let bytes = &self.input[range.clone()];
        let likeness = (bytes.len(), crc32fast::hash(bytes), spec.width, spec.float);
        let known = self.known.entry(likeness).or_default();
        if let Some(same) = known
            .iter()
            .find(|known| &self.input[known.range.clone()] == bytes)
        {
            return Ok(same.payload);
        }
        let (payload, stats) = self.writer.payload(spec, bytes)?;
        self.stats.negative_zeros += stats.negative_zeros;
        self.stats.negative_zero_bytes += stats.negative_zero_bytes;
        known.push(Known { range, payload });
        Ok(payload)
    }
}

/// Columns to fold `stored` elements of a shape into: the last dimension, or as many of the last
/// dimensions as make rows of some length.
fn columns(shape: &[u64], stored: u64, repeats: u64) -> u64 {
    if repeats > 0 {
        return stored;
    }
    let mut columns = 1;
    for dim in shape.iter().rev() {
        columns *= dim;
        if columns >= MIN_COLUMNS {
            break;
        }
    }
    columns
}

/// Elements that are not zero, those included that repeat the last one.
fn nnz(dtype: DType, bytes: &[u8], repeats: u64) -> u64 {
    let width = dtype.width().unwrap_or(1);
    let chunks: Vec<&[u8]> = bytes.chunks(CHUNK_BYTES).collect();
    let stored: u64 = parallel::map(&chunks, |chunk| dtype.count_nonzero(chunk))
        .iter()
        .sum();
    let last = &bytes[bytes.len().saturating_sub(width)..];
    if dtype.is_nonzero(last) {
        stored + repeats
    } else {
        stored
    }
}

/// SHA-256 of `input` with the zeros in the ranges of `changes` made positive.
fn sha256(input: &[u8], changes: &[(Range<usize>, usize)]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut at = 0;
    for (range, width) in changes {
        hash.update(&input[at..range.start]);
        for chunk in input[range.clone()].chunks(CHUNK_BYTES) {
            let mut chunk = chunk.to_vec();
            for element in chunk.chunks_exact_mut(*width) {
                if element[width - 1] == 0x80 && element[..width - 1].iter().all(|&b| b == 0) {
                    element[width - 1] = 0;
                }
            }
            hash.update(&chunk);
        }
        at = range.end;
    }
    hash.update(&input[at..]);
    hash.finalize().into()
}

//! Repacking: from a `.tfz` to another that holds the same in another profile, proven before it gets
//! its name.

use crate::archive::{Archive, Segment};
use crate::container::{Root, Source, TensorEntry, Writer};
use crate::error::{Error, Result, Within};
use crate::mapped::Mapped;
use crate::output;
use crate::pack::{Nonzeros, prove};
use crate::parallel;
use crate::payload::{EncodeOptions, PayloadSpec};
use crate::profile::{Effort, Profile};
use crate::progress::{Meter, Phase, Progress};
use crate::tensor::ElementClass;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Payloads of more bytes than this are decoded into a file, where there is a place for one.
const MAX_HELD_BYTES: u64 = 1 << 24;

/// How to repack.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RepackOptions {
    /// What the output is for.
    pub profile: Profile,
    /// How long encoding may take.
    pub effort: Effort,
    /// Threads to use; 0 is one for each processor. The bytes written don't depend on it.
    pub threads: usize,
    /// Overwrite the output.
    pub overwrite: bool,
    /// Told how far the work is.
    pub progress: Option<Progress>,
}

/// What repacking came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepackReport {
    /// What the input was for, if it said so.
    pub input_profile: Option<Profile>,
    /// What the output is for.
    pub profile: Profile,
    /// Number of model files.
    pub files: usize,
    /// Bytes of all model files.
    pub model_bytes: u64,
    /// Bytes of the input.
    pub input_bytes: u64,
    /// Bytes of the output.
    pub archive_bytes: u64,
    /// Payloads that were encoded again; several tensors can share one.
    pub payloads: usize,
    /// Tensors listed.
    pub tensors: usize,
    /// Of those, tensors whose elements are in payloads.
    pub encoded_tensors: usize,
}

/// Converts the `.tfz` file `input` into the `.tfz` file `output` with another profile, without the
/// model and without loss.
///
/// Everything that the archive holds stays as it is: names, hashes, skeleton, tensors, what shares a
/// payload and what is in none. Only the payloads are decoded and encoded again, with the same result as
/// if the model had been packed with these options. The input is checked as
/// [`Archive::verify`] checks it; the output is decoded again and its SHA-256 proven before it gets its
/// name.
///
/// One payload is decoded at a time; one of more than 16 MiB into a temporary file beside the output.
/// The input is mapped: it must not be changed meanwhile (see [`Mapped::open`]). It may be the output,
/// which then takes its place as a whole.
///
/// # Errors
/// `Corrupt`, `Truncated`, `Unsupported` or `LimitExceeded` if the input is not a good archive,
/// `InvalidArgument` if the output exists and is not to be overwritten, `Io`.
pub fn repack_file(
    input: impl AsRef<Path>,
    output: impl AsRef<Path>,
    options: &RepackOptions,
) -> Result<RepackReport> {
    let (input, output) = (input.as_ref(), output.as_ref());
    let place = || input.display().to_string();
    let opened = File::open(input).map_err(|e| Error::io(format!("cannot open {}", place()), e))?;
    let archive = Archive::new(Mapped::for_one_call(&opened, input)?).within(place)?;
    parallel::with_threads(options.threads, || {
        output::write_file(output, options.overwrite, |file| {
            let out = BufWriter::with_capacity(1 << 20, &mut *file);
            let scratch = Scratch::Beside(output);
            let repacked = repack(&archive, options, &scratch, out);
            let (_, report) = output::placed(repacked, input, output)?;
            let written = Mapped::for_one_call(file, output)?;
            let proven = prove(written, options.progress.as_ref());
            proven.or_else(|error| {
                // With a wrong hash in the input, nothing could have been right.
                archive.verify().within(place)?;
                Err(error.within(output.display()))
            })?;
            Ok(report)
        })
    })
}

/// Converts the bytes of a `.tfz` file into those of one with another profile, and proves it.
///
/// # Errors
/// As [`repack_file`].
pub fn repack_slice(input: &[u8], options: &RepackOptions) -> Result<(Vec<u8>, RepackReport)> {
    let archive = Archive::new(input)?;
    parallel::with_threads(options.threads, || {
        let (out, report) = repack(&archive, options, &Scratch::Memory, Vec::new())?;
        prove(&out, options.progress.as_ref()).or_else(|error| {
            archive.verify()?;
            Err(error)
        })?;
        Ok((out, report))
    })
}

/// Writes what `archive` holds to `out`, with its payloads encoded again.
fn repack<D: AsRef<[u8]>, W: Write>(
    archive: &Archive<D>,
    options: &RepackOptions,
    scratch: &Scratch<'_>,
    out: W,
) -> Result<(W, RepackReport)> {
    archive.check_padding()?;
    let index = archive.index();
    let tensors = TensorsOfPayloads::new(archive);
    let encoding = EncodeOptions {
        profile: options.profile,
        effort: options.effort,
    };
    let model_bytes = archive.restored_bytes();
    let mut meter = Meter::new(options.progress.as_ref(), Phase::Repacking, model_bytes);
    let mut writer = Writer::new(out)?;
    let mut n_payloads = 0;
    for (number, file) in index.files.iter().enumerate() {
        archive.for_each_segment(number, |segment| {
            let payload = match segment {
                Segment::Skeleton(piece) => {
                    meter.add(piece.len() as u64);
                    return writer.skeleton(piece);
                }
                Segment::Hole(payload) => payload,
            };
            let meta = index.payloads[payload].meta;
            // Payloads come in the order of their first use (spec §6.1).
            if payload == n_payloads {
                let spec = PayloadSpec {
                    width: meta.width,
                    columns: meta.columns,
                    float: tensors.is_float(archive, payload),
                };
                scratch.with_elements(archive, payload, |elements| {
                    tensors.check_nnz(archive, payload, elements)?;
                    writer.payload(spec, encoding, elements).map(drop)
                })?;
                n_payloads += 1;
            }
            writer.hole(payload);
            meter.add(meta.decoded_bytes());
            Ok(())
        })?;
        writer.end_file(&file.name, file.sha256, file.source_sha256)?;
    }
    let mut encoded_tensors = 0;
    for (tensor, row) in archive.tensors().zip(index.tensors.iter()) {
        match row.source {
            Source::Payload(_) => encoded_tensors += 1,
            Source::Skeleton(_) => tensor
                .count_nonzero()
                .and_then(|found| tensor.check_nnz(found))
                .within(|| format!("tensor {:?}", row.name))?,
            Source::Opaque => {}
        }
        writer.tensor(&TensorEntry {
            name: row.name,
            file: row.file,
            dtype: row.dtype,
            shape: tensor.shape(),
            source: row.source,
            repeats: row.repeats,
            nnz: row.nnz,
        });
    }
    let (out, archive_bytes) = writer.finish(&Root {
        is_folder: archive.is_folder(),
        empty_folders: index.empty_folders.iter().map(str::to_owned).collect(),
    })?;
    let report = RepackReport {
        input_profile: archive.profile(),
        profile: options.profile,
        files: index.files.len(),
        model_bytes,
        input_bytes: archive.as_bytes().len() as u64,
        archive_bytes,
        payloads: n_payloads,
        tensors: index.tensors.len(),
        encoded_tensors,
    };
    Ok((out, report))
}

/// Rows of the tensor table by the payload that they use, in order.
struct TensorsOfPayloads(Vec<Vec<usize>>);

impl TensorsOfPayloads {
    fn new<D: AsRef<[u8]>>(archive: &Archive<D>) -> Self {
        let index = archive.index();
        let mut of_payloads = vec![Vec::new(); index.payloads.len()];
        for (row, tensor) in index.tensors.iter().enumerate() {
            if let Source::Payload(payload) = tensor.source {
                of_payloads[payload].push(row);
            }
        }
        Self(of_payloads)
    }

    /// Whether the elements are encoded as floats: as the first tensor that uses the payload says,
    /// which is the one that it was made for.
    fn is_float<D: AsRef<[u8]>>(&self, archive: &Archive<D>, payload: usize) -> bool {
        self.0[payload]
            .first()
            .is_some_and(|&row| archive.tensor_at(row).dtype().class() == ElementClass::Float)
    }

    /// `Corrupt` if a tensor has not the nnz that the manifest says. The elements are counted once for
    /// each dtype, however many tensors there are.
    fn check_nnz<D: AsRef<[u8]>>(
        &self,
        archive: &Archive<D>,
        payload: usize,
        elements: &[u8],
    ) -> Result<()> {
        let mut counted = Vec::new();
        for &row in &self.0[payload] {
            let tensor = archive.tensor_at(row);
            let dtype = tensor.dtype();
            let known = counted.iter().find(|(of, _)| *of == dtype);
            let nonzeros = match known {
                Some((_, nonzeros)) => *nonzeros,
                None => {
                    let nonzeros = Nonzeros::of(dtype, elements);
                    counted.push((dtype, nonzeros));
                    nonzeros
                }
            };
            let repeats = tensor.len() - tensor.n_stored();
            tensor
                .check_nnz(nonzeros.and_repeats(repeats))
                .within(|| format!("tensor {:?}", tensor.name()))?;
        }
        Ok(())
    }
}

/// Where the elements of a payload are while they are encoded again.
enum Scratch<'a> {
    Memory,
    /// Many of them in a nameless file in the same folder.
    Beside(&'a Path),
}

impl Scratch<'_> {
    /// Decodes payload number `payload`, and hands all its elements to `f`.
    fn with_elements<D: AsRef<[u8]>>(
        &self,
        archive: &Archive<D>,
        payload: usize,
        f: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let n_bytes = archive.index().payloads[payload].meta.decoded_bytes();
        match self {
            Self::Beside(output) if n_bytes > MAX_HELD_BYTES => {
                let failed = |e| Error::io(format!("cannot write beside {}", output.display()), e);
                let file = output::nameless_file(output).map_err(failed)?;
                let mut out = BufWriter::with_capacity(1 << 20, &file);
                archive.copy_payload(payload, |piece| out.write_all(piece).map_err(failed))?;
                out.flush().map_err(failed)?;
                drop(out);
                f(Mapped::for_one_call(&file, output)?.as_ref())
            }
            _ => f(&archive.read_payload(payload)?),
        }
    }
}

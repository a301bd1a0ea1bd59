//! What `tfzip-bench` measures; as JSON it is this, field by field.

pub mod cache;
mod text;
pub mod timing;

pub use text::text;

use serde::Serialize;
use std::collections::HashSet;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use tfzip::codec::{self, CodecOptions};
use tfzip::{
    Archive, Effort, Error, ErrorKind, PackOptions, Profile, Result, Tensor, UnpackOptions,
};
use timing::{Budget, Timing};

/// What is measured.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Profiles to pack for. None: all, of a model; as it is, of a `.tfz` file.
    pub profile: Option<Profile>,
    /// How long packing may take.
    pub effort: Effort,
    /// How often each thing is timed.
    pub budget: Budget,
}

/// What was measured of a model.
#[derive(Debug, Serialize)]
pub struct BenchReport {
    /// Its path.
    pub input: String,
    /// Release of tfzip.
    pub version: &'static str,
    /// What the kernels may use of the machine (see [`tfzip::kernels_in_use`]).
    pub kernels: &'static str,
    /// Threads that encode and decode. A memcpy is always one.
    pub threads: usize,
    /// Whether the cold measurements read the file from the disk. If not, the system kept it in
    /// memory, and only the buffers were fresh.
    pub cold_file: bool,
    /// Each profile.
    pub rows: Vec<Row>,
}

/// What was measured of a `.tfz` file.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The profile that it says it has.
    pub profile: Option<&'static str>,
    /// How long packing was allowed to take; null of a `.tfz` file as it is.
    pub effort: Option<&'static str>,
    /// Bytes of the `.tfz` file.
    pub bytes: u64,
    /// Bytes of the model.
    pub model_bytes: u64,
    /// `model_bytes / bytes`.
    pub times_smaller: f64,
    /// Encoded tensors, those that share their elements once. They are what is measured.
    pub tensors: usize,
    /// Bytes that they take in the `.tfz` file.
    pub tensor_bytes: u64,
    /// Bytes of their elements.
    pub dense_bytes: u64,
    /// Number of their elements.
    pub elements: u64,
    /// Number of their elements that are not zero.
    pub nnz: u64,
    /// Encoding them, from memory into memory; null of a `.tfz` file as it is.
    pub encode: Option<Timing>,
    /// `dense_bytes` encoded in a second, in MB (10^6).
    pub encode_mb_per_s: Option<f64>,
    /// Decoding them, from the mapped file into the same buffer each time.
    pub warm: Timing,
    /// `dense_bytes` decoded in a second, in GB (10^9).
    pub warm_gb_per_s: f64,
    /// `nnz` decoded in a second, in millions.
    pub warm_million_nnz_per_s: f64,
    /// Opening the file and decoding them into a fresh buffer; see [`BenchReport::cold_file`].
    pub cold: Timing,
    /// `dense_bytes` decoded in a second, in GB (10^9).
    pub cold_gb_per_s: f64,
    /// The first of them.
    pub first_tensor: FirstTensor,
}

/// What an app waits for before it has a tensor.
#[derive(Debug, Serialize)]
pub struct FirstTensor {
    /// Its name.
    pub name: String,
    /// Bytes of its elements.
    pub dense_bytes: u64,
    /// Opening the file, which the system has in memory, and decoding it into the same buffer.
    pub warm: Timing,
    /// The same with a fresh buffer; see [`BenchReport::cold_file`].
    pub cold: Timing,
}

/// Measures the model, or the `.tfz` file, at `input`.
///
/// Models are packed into a temporary folder. In memory are the encoded tensors twice, dense.
///
/// # Errors
/// What packing and reading give; `InvalidArgument` if no tensor is encoded; `LimitExceeded` if
/// there is not enough memory.
pub fn measure(input: &Path, options: &BenchOptions) -> Result<BenchReport> {
    let folder = tempfile::tempdir().map_err(|e| Error::io("cannot make a temporary folder", e))?;
    let is_archive = input
        .extension()
        .is_some_and(|extension| extension == "tfz")
        || tfzip::with_mapped(input, |_| Ok(())).is_ok();
    let mut files: Vec<(PathBuf, Option<Effort>)> = Vec::new();
    if is_archive && options.profile.is_none() {
        files.push((input.to_owned(), None));
    } else {
        let model = match is_archive {
            true => restore(input, folder.path())?,
            false => input.to_owned(),
        };
        let all = Profile::ALL.to_vec();
        for profile in options.profile.map_or(all, |profile| vec![profile]) {
            let packed = folder.path().join(format!("{profile}.tfz"));
            let mut pack = PackOptions::default();
            pack.profile = profile;
            pack.effort = options.effort;
            tfzip::pack_file(&model, &packed, &pack)?;
            files.push((packed, Some(options.effort)));
        }
    }
    // All are on one file system.
    let cold_file = cache::can_drop(&files[0].0)?;
    Ok(BenchReport {
        input: input.to_string_lossy().into_owned(),
        version: env!("CARGO_PKG_VERSION"),
        kernels: tfzip::kernels_in_use(),
        threads: rayon::current_num_threads(),
        cold_file,
        rows: files
            .iter()
            .map(|(path, effort)| Row::of_file(path, *effort, options.budget))
            .collect::<Result<_>>()
            .map_err(|error| match files[0].0 == input {
                true => error,
                // Where the copy was tells nobody anything.
                false => {
                    Error::new(error.kind(), error.detail().to_owned()).within(input.display())
                }
            })?,
    })
}

/// Restores the model of an archive under its name, for packing it again.
fn restore(input: &Path, folder: &Path) -> Result<PathBuf> {
    let name = tfzip::with_mapped(input, |archive| {
        let name = archive.files().next().map(|file| file.name.to_owned());
        Ok(name.filter(|_| !archive.is_folder()))
    })?;
    let output = folder.join(name.as_deref().unwrap_or("model"));
    tfzip::unpack_file(input, Some(&output), &UnpackOptions::default())?;
    Ok(output)
}

impl Row {
    /// Measures a `.tfz` file; encoding too, if it was packed with some effort.
    fn of_file(path: &Path, effort: Option<Effort>, budget: Budget) -> Result<Self> {
        let (dense, first) = tfzip::with_mapped(path, |archive| {
            let tensors = encoded(archive);
            let Some(first) = tensors.first().map(First::new) else {
                let detail = "no tensor is encoded: there is nothing to measure";
                return Err(Error::new(ErrorKind::InvalidArgument, detail));
            };
            let mut dense = memory(tensors.iter().map(dense_bytes).sum())?;
            decode(&tensors, &mut dense)?;
            Ok((dense, first))
        })?;
        let first_dense = &dense[..first.n_bytes];
        // What is mapped stays in memory: the file must not be open now.
        let cold = budget.cold(
            &dense,
            || cache::drop_pages(path),
            |out| tfzip::with_mapped(path, |archive| decode(&encoded(archive), out)),
        )?;
        let first_cold = budget.cold(
            first_dense,
            || cache::drop_pages(path),
            |out| first.open(path, out),
        )?;
        let mut out = memory(dense.len() as u64)?;
        let first_out = &mut out[..first.n_bytes];
        let first_warm = budget.warm(first_out, first_dense, |out| first.open(path, out))?;
        tfzip::with_mapped(path, |archive| {
            let tensors = encoded(archive);
            let mut options = CodecOptions::default();
            options.profile = archive.profile().unwrap_or_default();
            let encode = effort.map(|effort| {
                options.effort = effort;
                budget.warm(&mut out, &dense, |_| encode(&tensors, &dense, &options))
            });
            let encode = encode.transpose()?;
            let warm = budget.warm(&mut out, &dense, |out| decode(&tensors, out))?;
            let (bytes, model_bytes) = (archive.as_bytes().len(), archive.restored_bytes());
            let n_dense = dense.len() as f64;
            let nnz: u64 = tensors.iter().map(Tensor::nnz).sum();
            Ok(Self {
                profile: archive.profile().map(Profile::name),
                effort: effort.map(Effort::name),
                bytes: bytes as u64,
                model_bytes,
                times_smaller: model_bytes as f64 / bytes as f64,
                tensors: tensors.len(),
                tensor_bytes: tensors.iter().map(Tensor::stored_bytes).sum(),
                dense_bytes: dense.len() as u64,
                elements: tensors.iter().map(Tensor::len).sum(),
                nnz,
                encode_mb_per_s: encode
                    .as_ref()
                    .map(|encode| n_dense / encode.seconds.median / 1e6),
                encode,
                warm_gb_per_s: n_dense / warm.seconds.median / 1e9,
                warm_million_nnz_per_s: nnz as f64 / warm.seconds.median / 1e6,
                warm,
                cold_gb_per_s: n_dense / cold.seconds.median / 1e9,
                cold,
                first_tensor: FirstTensor {
                    name: first.name.clone(),
                    dense_bytes: first.n_bytes as u64,
                    warm: first_warm,
                    cold: first_cold,
                },
            })
        })
    }
}

/// The first encoded tensor of an archive.
struct First {
    name: String,
    number: usize,
    n_bytes: usize,
}

impl First {
    fn new(tensor: &Tensor<'_>) -> Self {
        Self {
            name: tensor.name().to_owned(),
            number: tensor.number(),
            // The buffer for all tensors has been reserved, or will have failed.
            n_bytes: usize::try_from(dense_bytes(tensor)).unwrap_or(usize::MAX),
        }
    }

    /// Opens the file and decodes the tensor, which is found by its name if there is no other of it.
    fn open(&self, path: &Path, out: &mut [u8]) -> Result<()> {
        tfzip::with_mapped(path, |archive| {
            let by_number = || archive.tensors().nth(self.number);
            let tensor = archive.tensor(&self.name);
            tensor
                .or_else(|error| by_number().ok_or(error))?
                .read_bytes_into(out)
        })
    }
}

/// The encoded tensors; of those that share their elements, the first.
fn encoded<D: AsRef<[u8]>>(archive: &Archive<D>) -> Vec<Tensor<'_>> {
    let mut seen = HashSet::new();
    let is_first = |tensor: &Tensor<'_>| tensor.payload().is_some_and(|p| seen.insert(p));
    archive.tensors().filter(is_first).collect()
}

fn dense_bytes(tensor: &Tensor<'_>) -> u64 {
    tensor.len() * tensor.dtype().width().unwrap_or(0) as u64
}

/// Decodes `tensors` into `out`, one after the other.
fn decode(tensors: &[Tensor<'_>], mut out: &mut [u8]) -> Result<()> {
    for tensor in tensors {
        let (head, rest) = out.split_at_mut(dense_bytes(tensor) as usize);
        tensor.read_bytes_into(head)?;
        out = rest;
    }
    Ok(())
}

/// Encodes the elements of `tensors`, which stand in `dense` one after the other.
fn encode(tensors: &[Tensor<'_>], mut dense: &[u8], options: &CodecOptions) -> Result<()> {
    for tensor in tensors {
        let (head, rest) = dense.split_at(dense_bytes(tensor) as usize);
        black_box(codec::encode(
            tensor.dtype(),
            tensor.shape(),
            head,
            options,
        )?);
        dense = rest;
    }
    Ok(())
}

/// So many bytes, which have been touched.
fn memory(n_bytes: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let reserved = usize::try_from(n_bytes).map(|n| bytes.try_reserve_exact(n).map(|()| n));
    match reserved {
        Ok(Ok(n)) => {
            bytes.resize(n, 0xa5);
            Ok(bytes)
        }
        _ => Err(Error::new(
            ErrorKind::LimitExceeded,
            format!("no memory for {n_bytes} bytes"),
        )),
    }
}

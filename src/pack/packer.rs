//! One walk through the files of a model, front to back, into an archive.

use super::PackOptions;
use crate::container::{Source, TensorEntry, Writer};
use crate::error::{Error, Result, Within};
use crate::limits::Limits;
use crate::model::{InputFile, Model, ModelTensor, TensorData};
use crate::parallel;
use crate::payload::{EncodeStats, PayloadSpec, fold};
use crate::progress::Meter;
use crate::tensor::{DType, ElementClass};
use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;

/// Tensors of fewer bytes than this stay in the skeleton: a hole of their own would cost more.
const MIN_HOLE_BYTES: usize = 128;

/// Bytes whose elements are counted in one go.
const CHUNK_BYTES: usize = 1 << 20;

/// A payload that is in the archive: where its bytes stand in the input.
struct Known {
    file: usize,
    range: Range<usize>,
    payload: usize,
}

/// What payloads must have in common to be compared: length, CRC-32, width, float.
type Likeness = (usize, u32, usize, bool);

/// Puts files into an archive, and remembers what is there.
pub(super) struct Packer<'a, W> {
    files: &'a [InputFile<'a>],
    options: &'a PackOptions,
    pub(super) writer: Writer<W>,
    meter: Meter<'a>,
    /// Bytes of the current file that are in the archive.
    at: usize,
    known: HashMap<Likeness, Vec<Known>>,
    pub(super) stats: EncodeStats,
    pub(super) encoded_tensors: usize,
}

impl<'a, W: Write> Packer<'a, W> {
    pub(super) fn new(
        files: &'a [InputFile<'a>],
        options: &'a PackOptions,
        out: W,
        meter: Meter<'a>,
    ) -> Result<Self> {
        Ok(Self {
            files,
            options,
            writer: Writer::new(out)?,
            meter,
            at: 0,
            known: HashMap::new(),
            stats: EncodeStats::default(),
            encoded_tensors: 0,
        })
    }

    /// Adds file number `file` with the tensors of `model` that stand in it.
    pub(super) fn file(
        &mut self,
        file: usize,
        model: &Model,
        sha256: [u8; 32],
        source_sha256: Option<[u8; 32]>,
    ) -> Result<()> {
        self.at = 0;
        let tensors = || model.tensors.iter().filter(|tensor| tensor.file == file);
        let mut sources = Vec::new();
        let mut last: Option<(&Range<usize>, Source)> = None;
        for tensor in tensors() {
            let source = match (&tensor.data, last) {
                (TensorData::Raw { range, .. }, Some((same, source)))
                    if range == same && !range.is_empty() =>
                {
                    source
                }
                _ => self
                    .place(tensor)
                    .within(|| format!("tensor {:?}", tensor.name))?,
            };
            if let TensorData::Raw { range, .. } = &tensor.data {
                last = Some((range, source));
            }
            sources.push(source);
        }
        let bytes = self.files[file].bytes;
        self.writer.skeleton(&bytes[self.at..])?;
        self.meter.add((bytes.len() - self.at) as u64);
        self.writer
            .end_file(self.files[file].name, sha256, source_sha256)?;
        for (tensor, source) in tensors().zip(sources) {
            self.list(tensor, source);
        }
        Ok(())
    }

    fn list(&mut self, tensor: &ModelTensor, source: Source) {
        self.encoded_tensors += usize::from(matches!(source, Source::Payload(_)));
        let (repeats, nnz) = match &tensor.data {
            TensorData::Raw { range, repeats } if source != Source::Opaque => {
                let bytes = &self.files[tensor.file].bytes[range.clone()];
                (
                    *repeats,
                    Nonzeros::of(tensor.dtype, bytes).and_repeats(*repeats),
                )
            }
            TensorData::Raw { .. } | TensorData::Opaque => (0, 0),
        };
        self.writer.tensor(&TensorEntry {
            name: &tensor.name,
            file: tensor.file,
            dtype: tensor.dtype,
            shape: &tensor.shape,
            source,
            repeats,
            nnz,
        });
    }

    /// Writes everything up to the end of a tensor's elements, and says where they are.
    fn place(&mut self, tensor: &ModelTensor) -> Result<Source> {
        let TensorData::Raw { range, repeats } = &tensor.data else {
            return Ok(Source::Opaque);
        };
        let Some(width) = tensor.dtype.width() else {
            return Ok(Source::Opaque);
        };
        let elements = (range.len() / width) as u64 + repeats;
        if elements.saturating_mul(width as u64) > Limits::default().tensor_bytes {
            // A fill that no reader would expand; the skeleton keeps it as it is.
            return Ok(Source::Opaque);
        }
        let between = range.start.checked_sub(self.at);
        let between = between
            .ok_or_else(|| Error::model(format!("its bytes {range:?} overlap with another's")))?;
        if range.len() < MIN_HOLE_BYTES || !self.options.encodes(tensor) {
            return Ok(Source::Skeleton(
                self.writer.skeleton_bytes() + between as u64,
            ));
        }
        let bytes = self.files[tensor.file].bytes;
        self.writer.skeleton(&bytes[self.at..range.start])?;
        let spec = PayloadSpec {
            width,
            columns: match repeats {
                0 => fold(&tensor.shape),
                _ => (range.len() / width) as u64,
            },
            float: tensor.dtype.class() == ElementClass::Float,
        };
        let payload = self.payload(spec, tensor.file, range.clone())?;
        self.writer.hole(payload);
        self.meter.add((range.end - self.at) as u64);
        self.at = range.end;
        Ok(Source::Payload(payload))
    }

    /// The payload with the bytes of `range`: one that is there already, or a new one.
    fn payload(&mut self, spec: PayloadSpec, file: usize, range: Range<usize>) -> Result<usize> {
        let bytes = &self.files[file].bytes[range.clone()];
        let likeness = (bytes.len(), crc32fast::hash(bytes), spec.width, spec.float);
        let known = self.known.entry(likeness).or_default();
        if let Some(same) = known
            .iter()
            .find(|known| &self.files[known.file].bytes[known.range.clone()] == bytes)
        {
            return Ok(same.payload);
        }
        let (payload, stats) = self.writer.payload(spec, self.options.encoding(), bytes)?;
        self.stats.negative_zeros += stats.negative_zeros;
        self.stats.negative_zero_bytes += stats.negative_zero_bytes;
        known.push(Known {
            file,
            range,
            payload,
        });
        Ok(payload)
    }
}

/// How many of the elements in a range are not zero.
#[derive(Clone, Copy)]
pub(crate) struct Nonzeros {
    stored: u64,
    last: u64,
}

impl Nonzeros {
    /// Counts elements of `dtype`, which has a width.
    pub(crate) fn of(dtype: DType, bytes: &[u8]) -> Self {
        let width = dtype.width().unwrap_or(1);
        let chunks: Vec<&[u8]> = bytes.chunks(CHUNK_BYTES).collect();
        let counts = parallel::map(&chunks, |chunk| dtype.count_nonzero(chunk));
        let last = &bytes[bytes.len().saturating_sub(width)..];
        Self {
            stored: counts.iter().sum(),
            last: dtype.is_nonzero(last).into(),
        }
    }

    /// With the last element so many times more.
    pub(crate) fn and_repeats(self, repeats: u64) -> u64 {
        self.stored + self.last * repeats
    }
}

//! What `tfzip-inspect` knows about a file; as JSON it is this, field by field.

use crate::rivals::Rival;
use crate::text::hex;
use crate::{elements, limit};
use serde::Serialize;
use std::collections::BTreeMap;
use tfzip::{
    Archive, Coding, Layout, PositionKind, Profile, Result, Tensor, ValueCoderKind, ValueKind,
};

/// A `.tfz` file.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Its path.
    pub input: String,
    /// Its length.
    pub bytes: u64,
    /// What it is for, if it says so.
    pub profile: Option<&'static str>,
    /// Bytes of all restored files.
    pub model_bytes: u64,
    /// Bytes of what the model files hold besides payloads, decoded.
    pub skeleton_bytes: u64,
    /// The files that restoring writes.
    pub files: Vec<FileReport>,
    /// All tensors.
    pub tensors: Vec<TensorReport>,
    /// The file from front to back; without gaps.
    pub parts: Vec<PartReport>,
    /// Bytes that general compressors need for the model files, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare: Option<[Rival; 3]>,
}

/// A model file.
#[derive(Debug, Serialize)]
pub struct FileReport {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 as restored.
    pub sha256: String,
    /// SHA-256 before packing, where a pass changed the file.
    pub source_sha256: Option<String>,
}

/// A tensor.
#[derive(Debug, Serialize)]
pub struct TensorReport {
    /// Its number in the archive.
    pub number: usize,
    /// Its name.
    pub name: String,
    /// The model file that it stands in.
    pub file: String,
    /// TensorFlow's name for its dtype.
    pub dtype: &'static str,
    /// Dimensions, outermost first.
    pub shape: Vec<u64>,
    /// Number of elements.
    pub elements: u64,
    /// Number of elements that are not zero.
    pub nnz: u64,
    /// nnz / elements.
    pub density: f64,
    /// `skeleton`, `opaque`, or how positions and values are kept.
    pub encoding: String,
    /// Bytes in the `.tfz` file; of a tensor in the skeleton, before the skeleton is compressed.
    pub stored_bytes: u64,
    /// What only an encoded tensor has.
    #[serde(flatten)]
    pub encoded: Option<EncodedReport>,
}

/// How an encoded tensor is kept.
#[derive(Debug, Serialize)]
pub struct EncodedReport {
    /// Number of its payload; tensors with the same elements share one.
    pub payload: usize,
    /// Stored bits for each nonzero.
    pub bits_per_nonzero: Option<f64>,
    /// The information limit (see [`limit`]), rounded up to bytes.
    pub limit_bytes: u64,
    /// Stored bytes above the limit, as a share of the limit.
    pub over_limit: Option<f64>,
    /// Blocks.
    pub blocks: u64,
    /// Blocks by how they keep positions.
    pub positions: BTreeMap<&'static str, u64>,
    /// Streams of positions by their coding.
    pub position_codings: BTreeMap<&'static str, u64>,
    /// Blocks by how they say which elements are −0.0.
    pub alternates: BTreeMap<&'static str, u64>,
    /// Blocks by how they keep values.
    pub values: BTreeMap<&'static str, u64>,
    /// Streams of values by their coding.
    pub value_codings: BTreeMap<&'static str, u64>,
    /// Classes of rows, of which each has its own codes; 0 without classes.
    pub row_classes: usize,
    /// Classes of columns; 0 without classes.
    pub column_classes: usize,
    /// How coded values become symbols.
    pub value_coder: Option<&'static str>,
    /// Patterns in the codebook.
    pub codebook_len: usize,
    /// Whether the background is another pattern than zero.
    pub has_background: bool,
    /// Where the stored bytes are.
    pub bytes: StoredBytes,
}

/// The stored bytes of an encoded tensor; they add up to all of them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct StoredBytes {
    /// Where the entries are.
    pub positions: u64,
    /// Where −0.0 is (spec §9: alternates).
    pub alternates: u64,
    /// What the entries are.
    pub values: u64,
    /// Background, codebook, classes and codes.
    pub tables: u64,
    /// Where the blocks are.
    pub directory: u64,
    /// Checksums of the blocks.
    pub checksums: u64,
}

/// A part of the `.tfz` file.
#[derive(Debug, Serialize)]
pub struct PartReport {
    /// What it is, in the spec's words.
    pub kind: &'static str,
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
    /// Payloads in it.
    pub payloads: u64,
}

impl Report {
    /// Looks at everything in `archive`; decodes every encoded tensor.
    ///
    /// # Errors
    /// What reading the tensors gives.
    pub fn new<D: AsRef<[u8]>>(input: String, archive: &Archive<D>) -> Result<Self> {
        Ok(Self {
            input,
            bytes: archive.as_bytes().len() as u64,
            profile: archive.profile().map(Profile::name),
            model_bytes: archive.restored_bytes(),
            skeleton_bytes: archive.skeleton_bytes(),
            files: archive
                .files()
                .map(|file| FileReport {
                    name: file.name.to_owned(),
                    bytes: file.bytes,
                    sha256: hex(&file.sha256),
                    source_sha256: file.source_sha256.map(|hash| hex(&hash)),
                })
                .collect(),
            tensors: archive
                .tensors()
                .map(|tensor| TensorReport::new(&tensor))
                .collect::<Result<_>>()?,
            parts: archive
                .parts()
                .into_iter()
                .map(|part| PartReport {
                    kind: part.kind.name(),
                    offset: part.offset,
                    bytes: part.bytes,
                    payloads: part.payloads,
                })
                .collect(),
            compare: None,
        })
    }
}

impl TensorReport {
    fn new(tensor: &Tensor<'_>) -> Result<Self> {
        let layout = tensor.layout()?;
        let encoding = match &layout {
            Some(layout) => encoding(layout),
            None if tensor.is_readable() => "skeleton".to_owned(),
            None => "opaque".to_owned(),
        };
        Ok(Self {
            number: tensor.number(),
            name: tensor.name().to_owned(),
            file: tensor.file_name().to_owned(),
            dtype: tensor.dtype().name(),
            shape: tensor.shape().to_vec(),
            elements: tensor.len(),
            nnz: tensor.nnz(),
            density: tensor.density(),
            encoding,
            stored_bytes: tensor.stored_bytes(),
            encoded: layout
                .map(|layout| EncodedReport::new(tensor, &layout))
                .transpose()?,
        })
    }
}

impl EncodedReport {
    fn new(tensor: &Tensor<'_>, layout: &Layout) -> Result<Self> {
        let limit_bits = limit::bits(tensor.dtype(), &elements::of(tensor)?);
        let limit_bytes = (limit_bits / 8.0).ceil() as u64;
        let stored_bytes = tensor.stored_bytes();
        Ok(Self {
            payload: tensor.payload().unwrap_or_default(),
            bits_per_nonzero: bits_per_nonzero(stored_bytes, tensor.nnz()),
            limit_bytes,
            over_limit: over_limit(stored_bytes, limit_bytes),
            blocks: layout.blocks,
            positions: named(&layout.positions, |kind| kind.name()),
            position_codings: named(&layout.position_codings, |coding| coding.name()),
            alternates: named(&layout.alternates, |kind| kind.name()),
            values: named(&layout.values, |kind| kind.name()),
            value_codings: named(&layout.value_codings, |coding| coding.name()),
            row_classes: layout.row_classes,
            column_classes: layout.column_classes,
            value_coder: layout.value_coder.map(ValueCoderKind::name),
            codebook_len: layout.codebook_len,
            has_background: layout.has_background,
            bytes: StoredBytes {
                positions: layout.position_bytes,
                alternates: layout.alternate_bytes,
                values: layout.value_bytes,
                tables: layout.table_bytes,
                directory: layout.directory_bytes,
                checksums: layout.checksum_bytes,
            },
        })
    }
}

impl StoredBytes {
    /// Each purpose with its bytes.
    pub fn by_purpose(self) -> [(&'static str, u64); 6] {
        [
            ("positions", self.positions),
            ("alternates (−0.0)", self.alternates),
            ("values", self.values),
            ("tables", self.tables),
            ("directory", self.directory),
            ("checksums", self.checksums),
        ]
    }
}

/// Stored bits for each nonzero, if there is one.
pub fn bits_per_nonzero(stored_bytes: u64, nnz: u64) -> Option<f64> {
    (nnz > 0).then(|| 8.0 * stored_bytes as f64 / nnz as f64)
}

/// How far `stored_bytes` are above `limit_bytes`, as a share of them.
pub fn over_limit(stored_bytes: u64, limit_bytes: u64) -> Option<f64> {
    (limit_bytes > 0).then(|| stored_bytes as f64 / limit_bytes as f64 - 1.0)
}

/// Positions and values in a few words, for instance `classes 4x2(huffman) + coded by bins(huffman)`.
fn encoding(layout: &Layout) -> String {
    let list = |names: Vec<String>| names.join("/");
    let coded = |kinds: String, codings: &BTreeMap<Coding, u64>| match codings.is_empty() {
        true => kinds,
        false => format!(
            "{kinds}({})",
            list(
                codings
                    .keys()
                    .map(|coding| coding.name().to_owned())
                    .collect()
            )
        ),
    };
    let position = |kind: &PositionKind| match kind {
        PositionKind::Classes => format!(
            "{} {}x{}",
            kind.name(),
            layout.row_classes,
            layout.column_classes
        ),
        _ => kind.name().to_owned(),
    };
    let value = |kind: &ValueKind| match (kind, layout.value_coder) {
        (ValueKind::Coded, Some(coder)) => format!("{} by {}", kind.name(), coder.name()),
        _ => kind.name().to_owned(),
    };
    let positions = list(layout.positions.keys().map(position).collect());
    let mut words = coded(positions, &layout.position_codings);
    if !layout.values.is_empty() {
        let values = list(layout.values.keys().map(value).collect());
        words += &format!(" + {}", coded(values, &layout.value_codings));
    }
    if !layout.alternates.is_empty() {
        words += " + −0.0";
    }
    if layout.has_background {
        words += " + background";
    }
    words
}

fn named<K: Copy>(
    counts: &BTreeMap<K, u64>,
    name: impl Fn(K) -> &'static str,
) -> BTreeMap<&'static str, u64> {
    counts.iter().map(|(&key, &n)| (name(key), n)).collect()
}

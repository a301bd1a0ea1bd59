//! The manifest as a reader may believe it: every rule of the spec checked (spec §4 to §8).

#![warn(clippy::cast_possible_truncation)]

use super::frame::FRAME_BYTES;
use super::head::{FOOTER_BYTES, Footer, HEADER_BYTES, ManifestCoding, check_header};
use super::manifest::{Manifest, SHA256_BYTES};
use super::name::{check_distinct, check_name};
use crate::cursor::{compare_crc, to_usize};
use crate::error::{Error, Result, Within};
use crate::limits::Limits;
use crate::payload::PayloadMeta;
use crate::stream::zstd;
use crate::tensor::{DType, element_count};
use crate::word::WIDTHS;
use prost::Message;
use std::ops::Range;

/// Largest alignment of a section, as a power of two.
const MAX_ALIGN: u32 = 12;

/// Everything that a file's manifest says.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) files: Vec<File>,
    pub(crate) holes: Vec<Hole>,
    pub(crate) sections: Vec<Section>,
    /// Sections of the skeleton's frames, in order.
    pub(crate) frames: Vec<usize>,
    pub(crate) payloads: Vec<Payload>,
    pub(crate) tensors: Vec<TensorRow>,
    /// Dimensions of all tensors.
    pub(crate) dims: Vec<u64>,
    pub(crate) empty_folders: Vec<String>,
    /// Whether restoring makes a folder, and not just a file.
    pub(crate) is_folder: bool,
    /// Bytes of the skeleton.
    pub(crate) skeleton_bytes: u64,
    /// Bytes of the manifest in the file.
    pub(crate) manifest_stored_bytes: u64,
}

/// A file that restoring writes.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; SHA256_BYTES],
    /// Of the file before a pass changed it, where one did.
    pub(crate) source_sha256: Option<[u8; SHA256_BYTES]>,
    pub(crate) holes: Range<usize>,
    /// Where the file's bytes begin in the skeleton.
    pub(crate) skeleton_start: u64,
}

/// A byte range of a file that a payload fills.
#[derive(Debug)]
pub(crate) struct Hole {
    /// Skeleton bytes before it, since the hole before or the start of the file.
    pub(crate) gap: u64,
    pub(crate) payload: usize,
}

/// What a section holds; the numbers are those of the registry (spec §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SectionKind {
    SkeletonFrame = 1,
    Payloads = 2,
}

/// A byte range of the `.tfz` file.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) kind: SectionKind,
    /// Bytes in the file, without the padding before.
    pub(crate) range: Range<usize>,
    /// Padding before it.
    pub(crate) padding: Range<usize>,
}

/// A payload and where it is.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) meta: PayloadMeta,
    pub(crate) section: usize,
    /// Bytes of its record in the file.
    pub(crate) range: Range<usize>,
}

/// Where a tensor's stored elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Opaque,
    Payload(usize),
    /// Offset in the skeleton.
    Skeleton(u64),
}

/// A tensor as the manifest has it.
#[derive(Debug)]
pub(crate) struct TensorRow {
    pub(crate) name: String,
    pub(crate) file: usize,
    pub(crate) dtype: DType,
    /// Its dimensions in [`Index::dims`].
    pub(crate) dims: Range<usize>,
    pub(crate) source: Source,
    /// Number of elements.
    pub(crate) elements: u64,
    pub(crate) repeats: u64,
    pub(crate) nnz: u64,
}

impl Index {
    /// Reads and checks header, footer and manifest of `file`; touches no section.
    pub(crate) fn read(file: &[u8], limits: &Limits) -> Result<Self> {
        check_header(file).within(|| "header".into())?;
        let footer = Footer::read(file).within(|| "footer".into())?;
        let (manifest, start) = read_manifest(file, footer, limits).within(|| "manifest".into())?;
        let mut index = check(manifest, start as u64, limits).within(|| "manifest".into())?;
        index.manifest_stored_bytes = footer.stored_bytes;
        Ok(index)
    }

    /// The decoded length of a frame.
    pub(crate) fn frame_bytes(&self, frame: usize) -> usize {
        let start = frame as u64 * FRAME_BYTES;
        // At most FRAME_BYTES, so that the cast is exact.
        self.skeleton_bytes.saturating_sub(start).min(FRAME_BYTES) as usize
    }
}

/// The manifest and where it starts in the file.
fn read_manifest(file: &[u8], footer: Footer, limits: &Limits) -> Result<(Manifest, usize)> {
    let end = file.len() - FOOTER_BYTES;
    let start = usize::try_from(footer.stored_bytes)
        .ok()
        .and_then(|stored| end.checked_sub(stored))
        .filter(|&start| start >= HEADER_BYTES)
        .ok_or_else(|| {
            Error::corrupt(format!(
                "{} bytes do not fit into the file",
                footer.stored_bytes
            ))
        })?;
    Limits::check("bytes", footer.manifest_bytes, limits.manifest_bytes)?;
    let stored = &file[start..end];
    compare_crc(stored, footer.crc, "manifest")?;
    let length = to_usize(footer.manifest_bytes)?;
    let manifest = match footer.coding {
        ManifestCoding::Stored if stored.len() == length => Manifest::decode(stored),
        ManifestCoding::Stored => {
            return Err(Error::corrupt(format!(
                "expected {length} bytes, found {}",
                stored.len()
            )));
        }
        ManifestCoding::Zstd => Manifest::decode(&zstd::decode(stored, length)?[..]),
    };
    Ok((
        manifest.map_err(|e| Error::corrupt(format!("not a Manifest message: {e}")))?,
        start,
    ))
}

fn check(m: Manifest, end: u64, limits: &Limits) -> Result<Index> {
    check_columns(&m, limits)?;
    let sections = sections(&m, end)?;
    let payloads = payloads(&m, &sections)?;
    let holes = holes(&m, payloads.len())?;
    let files = files(&m, &holes, &payloads, limits)?;
    let skeleton_bytes = files.last().map_or(0, |(_, skeleton_end)| *skeleton_end);
    let files: Vec<File> = files.into_iter().map(|(file, _)| file).collect();
    let frames: Vec<usize> = (0..sections.len())
        .filter(|&s| sections[s].kind == SectionKind::SkeletonFrame)
        .collect();
    if frames.len() as u64 != skeleton_bytes.div_ceil(FRAME_BYTES) {
        return Err(Error::corrupt(format!(
            "{} skeleton frames for a skeleton of {skeleton_bytes} bytes",
            frames.len()
        )));
    }
    let tensors = tensors(&m, &payloads, skeleton_bytes, limits)?;
    let is_folder = m.is_folder
        || !m.empty_folder.is_empty()
        || files.len() != 1
        || files.iter().any(|file| file.name.contains('/'));
    Ok(Index {
        files,
        empty_folders: m.empty_folder,
        is_folder,
        holes,
        sections,
        frames,
        payloads,
        tensors,
        dims: m.tensor_dim,
        skeleton_bytes,
        manifest_stored_bytes: 0,
    })
}

/// Every column has as many values as its table has rows, and tables are within limits.
fn check_columns(m: &Manifest, limits: &Limits) -> Result<()> {
    let table = |what: &str, rows: usize, limit: u64, columns: &[usize]| {
        Limits::check(what, rows as u64, limit)?;
        match columns.iter().find(|&&n| n != rows) {
            None => Ok(()),
            Some(n) => Err(Error::corrupt(format!(
                "columns of {what} have {rows} and {n} values"
            ))),
        }
    };
    table(
        "files",
        m.file_name.len(),
        limits.rows,
        &[m.file_bytes.len(), m.file_holes.len()],
    )?;
    let hashes = m.file_name.len() * SHA256_BYTES;
    if m.file_sha256.len() != hashes
        || !(m.file_source_sha256.is_empty() || m.file_source_sha256.len() == hashes)
    {
        return Err(Error::corrupt(format!(
            "hashes of {} and {} bytes for {} files",
            m.file_sha256.len(),
            m.file_source_sha256.len(),
            m.file_name.len()
        )));
    }
    table(
        "holes",
        m.hole_gap.len(),
        limits.holes,
        &[m.hole_payload.len()],
    )?;
    table(
        "sections",
        m.section_kind.len(),
        limits.rows,
        &[
            m.section_bytes.len(),
            m.section_align.len(),
            m.section_payloads.len(),
        ],
    )?;
    table(
        "payloads",
        m.payload_width.len(),
        limits.rows,
        &[
            m.payload_elements.len(),
            m.payload_columns.len(),
            m.payload_stored_bytes.len(),
            m.payload_table_bytes.len(),
            m.payload_blocks.len(),
        ],
    )?;
    table(
        "tensors",
        m.tensor_name.len(),
        limits.rows,
        &[
            m.tensor_file.len(),
            m.tensor_dtype.len(),
            m.tensor_rank.len(),
            m.tensor_source.len(),
            m.tensor_at.len(),
            m.tensor_repeats.len(),
            m.tensor_nnz.len(),
        ],
    )?;
    Limits::check("dimensions", m.tensor_dim.len() as u64, limits.dims)
}

fn sections(m: &Manifest, end: u64) -> Result<Vec<Section>> {
    let mut sections = Vec::with_capacity(m.section_kind.len());
    let mut at = HEADER_BYTES as u64;
    for (i, &kind) in m.section_kind.iter().enumerate() {
        let section = || {
            let kind = match kind {
                1 => SectionKind::SkeletonFrame,
                2 => SectionKind::Payloads,
                id => return Err(Error::unsupported(format!("kind {id}"))),
            };
            let n_payloads = m.section_payloads[i];
            if (kind == SectionKind::Payloads) != (n_payloads > 0) {
                return Err(Error::corrupt(format!(
                    "{n_payloads} payloads in a section of kind {}",
                    kind as u32
                )));
            }
            let align = m.section_align[i];
            if align > MAX_ALIGN {
                return Err(Error::corrupt(format!(
                    "alignment 2^{align}, expected at most 2^{MAX_ALIGN}"
                )));
            }
            let start = at.next_multiple_of(1 << align);
            let stop = start
                .checked_add(m.section_bytes[i])
                .filter(|&stop| stop <= end)
                .ok_or_else(|| {
                    Error::corrupt(format!(
                        "{} bytes at offset {start} pass the manifest",
                        m.section_bytes[i]
                    ))
                })?;
            Ok(Section {
                kind,
                range: to_usize(start)?..to_usize(stop)?,
                padding: to_usize(at)?..to_usize(start)?,
            })
        };
        let section = section().within(|| format!("section {i}"))?;
        at = section.range.end as u64;
        sections.push(section);
    }
    if at != end {
        return Err(Error::corrupt(format!(
            "sections end at offset {at}, the manifest starts at {end}"
        )));
    }
    Ok(sections)
}

fn payloads(m: &Manifest, sections: &[Section]) -> Result<Vec<Payload>> {
    let mut payloads = Vec::with_capacity(m.payload_width.len());
    for (s, section) in sections.iter().enumerate() {
        let mut at = section.range.start;
        for _ in 0..m.section_payloads[s] {
            let i = payloads.len();
            let payload = || {
                let meta = payload_meta(m, i)?;
                let stop = usize::try_from(meta.stored_bytes)
                    .ok()
                    .and_then(|bytes| at.checked_add(bytes))
                    .filter(|&stop| stop <= section.range.end)
                    .ok_or_else(|| {
                        Error::corrupt(format!(
                            "{} bytes do not fit into section {s}",
                            meta.stored_bytes
                        ))
                    })?;
                Ok(Payload {
                    meta,
                    section: s,
                    range: at..stop,
                })
            };
            let payload = payload().within(|| format!("payload {i}"))?;
            at = payload.range.end;
            payloads.push(payload);
        }
        if section.kind == SectionKind::Payloads && at != section.range.end {
            return Err(Error::corrupt(format!(
                "section {s}: payloads end at offset {at}, expected {}",
                section.range.end
            )));
        }
    }
    if payloads.len() != m.payload_width.len() {
        return Err(Error::corrupt(format!(
            "{} payloads, of which {} are in sections",
            m.payload_width.len(),
            payloads.len()
        )));
    }
    Ok(payloads)
}

fn payload_meta(m: &Manifest, i: usize) -> Result<PayloadMeta> {
    let width = m.payload_width.get(i).copied().unwrap_or(0) as usize;
    if !WIDTHS.contains(&width) {
        return Err(Error::corrupt(format!(
            "elements of {width} bytes, expected 1, 2, 4, 8 or 16"
        )));
    }
    let meta = PayloadMeta {
        width,
        elements: m.payload_elements[i],
        columns: m.payload_columns[i],
        stored_bytes: m.payload_stored_bytes[i],
        table_bytes: m.payload_table_bytes[i],
        blocks: m.payload_blocks[i],
    };
    if meta.elements == 0 || meta.columns == 0 || !meta.elements.is_multiple_of(meta.columns) {
        return Err(Error::corrupt(format!(
            "{} elements in rows of {}",
            meta.elements, meta.columns
        )));
    }
    if meta.elements.checked_mul(width as u64).is_none() {
        return Err(Error::corrupt(format!(
            "{} elements of {width} bytes",
            meta.elements
        )));
    }
    meta.block_bytes()?;
    Ok(meta)
}

fn holes(m: &Manifest, n_payloads: usize) -> Result<Vec<Hole>> {
    let mut n_used = 0;
    let mut holes = Vec::with_capacity(m.hole_gap.len());
    for (i, (&gap, &payload)) in m.hole_gap.iter().zip(&m.hole_payload).enumerate() {
        let payload = usize::try_from(payload)
            .ok()
            .filter(|&p| p <= n_used && p < n_payloads)
            .ok_or_else(|| {
                Error::corrupt(format!(
                    "hole {i} names payload {payload}, expected at most {n_used} of {n_payloads}"
                ))
            })?;
        n_used = n_used.max(payload + 1);
        holes.push(Hole { gap, payload });
    }
    if n_used != n_payloads {
        return Err(Error::corrupt(format!(
            "{n_payloads} payloads, of which holes use {n_used}"
        )));
    }
    Ok(holes)
}

/// The files, each with the end of its skeleton.
fn files(
    m: &Manifest,
    holes: &[Hole],
    payloads: &[Payload],
    limits: &Limits,
) -> Result<Vec<(File, u64)>> {
    let hash = |all: &[u8], i: usize| all.as_chunks::<SHA256_BYTES>().0.get(i).copied();
    let (mut next_hole, mut skeleton, mut total) = (0usize, 0u64, 0u64);
    let mut files = Vec::with_capacity(m.file_name.len());
    for (i, name) in m.file_name.iter().enumerate() {
        let mut file = || {
            Limits::check("bytes of the name", name.len() as u64, limits.name_bytes)?;
            check_name(name)?;
            let bytes = m.file_bytes[i];
            total = total.saturating_add(bytes);
            Limits::check("bytes of all files", total, limits.total_bytes)?;
            if i64::try_from(total).is_err() {
                return Err(Error::corrupt("all files have 2^63 bytes or more"));
            }
            let first_hole = next_hole;
            next_hole = usize::try_from(m.file_holes[i])
                .ok()
                .and_then(|n| first_hole.checked_add(n))
                .filter(|&end| end <= holes.len())
                .ok_or_else(|| {
                    Error::corrupt(format!("{} holes, more than there are", m.file_holes[i]))
                })?;
            let of_skeleton = holes[first_hole..next_hole]
                .iter()
                .try_fold(bytes, |left, hole| {
                    left.checked_sub(hole.gap)?
                        .checked_sub(payloads[hole.payload].meta.decoded_bytes())
                })
                .ok_or_else(|| {
                    Error::corrupt(format!(
                        "holes and gaps are longer than the file's {bytes} bytes"
                    ))
                })?;
            let gaps: u64 = holes[first_hole..next_hole]
                .iter()
                .map(|hole| hole.gap)
                .sum();
            let skeleton_start = skeleton;
            skeleton += of_skeleton + gaps;
            let file = File {
                name: name.clone(),
                bytes,
                sha256: hash(&m.file_sha256, i).unwrap_or_default(),
                source_sha256: hash(&m.file_source_sha256, i),
                holes: first_hole..next_hole,
                skeleton_start,
            };
            Ok((file, skeleton))
        };
        let file = file().within(|| format!("file {i}"))?;
        files.push(file);
    }
    if next_hole != holes.len() {
        return Err(Error::corrupt(format!(
            "{} holes, of which {next_hole} are in files",
            holes.len()
        )));
    }
    for (i, name) in m.empty_folder.iter().enumerate() {
        let check = || {
            Limits::check("bytes of the name", name.len() as u64, limits.name_bytes)?;
            check_name(name)
        };
        check().within(|| format!("empty folder {i}"))?;
    }
    check_distinct(
        m.file_name
            .iter()
            .chain(&m.empty_folder)
            .map(String::as_str),
    )?;
    Ok(files)
}

fn tensors(
    m: &Manifest,
    payloads: &[Payload],
    skeleton_bytes: u64,
    limits: &Limits,
) -> Result<Vec<TensorRow>> {
    let mut next_dim = 0usize;
    let mut tensors = Vec::with_capacity(m.tensor_name.len());
    for (i, name) in m.tensor_name.iter().enumerate() {
        let mut tensor = || {
            Limits::check("bytes of the name", name.len() as u64, limits.name_bytes)?;
            let file = m.tensor_file[i] as usize;
            if file >= m.file_name.len() {
                return Err(Error::corrupt(format!(
                    "file {file} of {}",
                    m.file_name.len()
                )));
            }
            let dtype = DType::from_id(m.tensor_dtype[i])
                .ok_or_else(|| Error::unsupported(format!("dtype {}", m.tensor_dtype[i])))?;
            Limits::check("rank", u64::from(m.tensor_rank[i]), limits.rank)?;
            let dims = next_dim..next_dim + m.tensor_rank[i] as usize;
            next_dim = dims.end;
            let shape = m
                .tensor_dim
                .get(dims.clone())
                .ok_or_else(|| Error::corrupt("dimensions are missing"))?;
            let elements =
                element_count(shape).map_err(|e| Error::corrupt(e.detail().to_owned()))?;
            let repeats = m.tensor_repeats[i];
            let stored = elements.checked_sub(repeats).ok_or_else(|| {
                Error::corrupt(format!("{repeats} of {elements} elements repeat"))
            })?;
            let width = dtype.width();
            let decoded = elements.checked_mul(width.unwrap_or(0) as u64);
            Limits::check(
                "bytes of the tensor",
                decoded.unwrap_or(u64::MAX),
                limits.tensor_bytes,
            )?;
            let nnz = m.tensor_nnz[i];
            if nnz > elements {
                return Err(Error::corrupt(format!(
                    "{nnz} of {elements} elements are nonzero"
                )));
            }
            let source = source(m, i, width, stored, payloads, skeleton_bytes)?;
            if source == Source::Opaque && (repeats, nnz) != (0, 0) {
                return Err(Error::corrupt("an opaque tensor with repeats or nnz"));
            }
            Ok(TensorRow {
                name: name.clone(),
                file,
                dtype,
                dims,
                source,
                elements,
                repeats,
                nnz,
            })
        };
        let tensor = tensor().within(|| format!("tensor {i} {name:?}"))?;
        tensors.push(tensor);
    }
    if next_dim != m.tensor_dim.len() {
        return Err(Error::corrupt(format!(
            "{} dimensions, expected {next_dim}",
            m.tensor_dim.len()
        )));
    }
    Ok(tensors)
}

fn source(
    m: &Manifest,
    i: usize,
    width: Option<usize>,
    stored: u64,
    payloads: &[Payload],
    skeleton_bytes: u64,
) -> Result<Source> {
    let at = m.tensor_at[i];
    match (m.tensor_source[i], width) {
        (0, _) if at == 0 => Ok(Source::Opaque),
        (0, _) => Err(Error::corrupt(format!("an opaque tensor at {at}"))),
        (1 | 2, None) => Err(Error::corrupt("elements of a dtype without a width")),
        (1, Some(width)) => {
            let payload = usize::try_from(at).ok().filter(|&p| p < payloads.len());
            let payload = payload
                .ok_or_else(|| Error::corrupt(format!("payload {at} of {}", payloads.len())))?;
            let meta = &payloads[payload].meta;
            if (meta.width, meta.elements) != (width, stored) {
                return Err(Error::corrupt(format!(
                    "{stored} elements of {width} bytes in a payload of {} elements of {}",
                    meta.elements, meta.width
                )));
            }
            Ok(Source::Payload(payload))
        }
        (2, Some(width)) => stored
            .checked_mul(width as u64)
            .and_then(|bytes| at.checked_add(bytes))
            .filter(|&end| end <= skeleton_bytes)
            .map(|_| Source::Skeleton(at))
            .ok_or_else(|| {
                Error::corrupt(format!(
                    "{stored} elements at {at} of a skeleton of {skeleton_bytes} bytes"
                ))
            }),
        (id, _) => Err(Error::unsupported(format!("tensor source {id}"))),
    }
}

//! The manifest as a reader may believe it: every rule of the spec checked (spec §4 to §8).

#![warn(clippy::cast_possible_truncation)]

mod columns;
mod files;
mod sections;
mod tensors;

use super::frame::FRAME_BYTES;
use super::head::{FOOTER_BYTES, Footer, HEADER_BYTES, ManifestCoding, check_header};
use super::manifest::{Manifest, SHA256_BYTES};
use crate::cursor::{compare_crc, to_usize};
use crate::error::{Error, Result, Within};
use crate::limits::Limits;
use crate::payload::PayloadMeta;
use crate::profile::Profile;
use crate::stream::zstd;
use crate::tensor::DType;
use columns::{check_columns, check_message};
use files::{files, holes};
use prost::Message;
use sections::{payloads, sections};
use std::ops::Range;
use tensors::tensors;

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
    /// What the file is for, if it says so.
    pub(crate) profile: Option<Profile>,
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
        let mut index = check(manifest, start as u64, limits, file.len() as u64)
            .within(|| "manifest".into())?;
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
    let decode = |message: &[u8]| {
        check_message(message, limits)?;
        Manifest::decode(message)
            .map_err(|e| Error::corrupt(format!("not a Manifest message: {e}")))
    };
    let manifest = match footer.coding {
        ManifestCoding::Stored if stored.len() == length => decode(stored)?,
        ManifestCoding::Stored => {
            return Err(Error::corrupt(format!(
                "expected {length} bytes, found {}",
                stored.len()
            )));
        }
        ManifestCoding::Zstd => decode(&zstd::decode(stored, length)?)?,
    };
    Ok((manifest, start))
}

fn check(mut m: Manifest, end: u64, limits: &Limits, archive_bytes: u64) -> Result<Index> {
    check_columns(&m, limits)?;
    let sections = sections(&m, end)?;
    let payloads = payloads(&m, &sections)?;
    let holes = holes(&m, payloads.len())?;
    let files = files(&m, &holes, &payloads, limits, archive_bytes)?;
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
    let names = std::mem::take(&mut m.tensor_name);
    let tensors = tensors(&m, names, &payloads, skeleton_bytes, limits, archive_bytes)?;
    let is_folder = m.is_folder
        || !m.empty_folder.is_empty()
        || files.len() != 1
        || files.iter().any(|file| file.name.contains('/'));
    Ok(Index {
        files,
        empty_folders: m.empty_folder,
        is_folder,
        profile: Profile::from_id(m.profile),
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

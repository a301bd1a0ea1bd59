//! The manifest as a reader may believe it: every rule of the spec checked (spec §4 to §8).

#![warn(clippy::cast_possible_truncation)]

mod columns;
mod files;
mod sections;
mod tensors;

use super::SHA256_BYTES;
use super::frame::FRAME_BYTES;
use super::head::{FOOTER_BYTES, Footer, HEADER_BYTES, ManifestCoding, check_header};
use super::names::Names;
use crate::cursor::{compare_crc, to_usize};
use crate::error::{Error, Result, Within};
use crate::limits::Limits;
use crate::payload::PayloadMeta;
use crate::profile::Profile;
use crate::stream::zstd;
use columns::Columns;
use files::{files, holes};
use sections::{payloads, sections};
use std::ops::Range;
use tensors::{Surroundings, tensors};
pub(crate) use tensors::{TensorRow, Tensors};

/// Everything that a file's manifest says.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) files: Vec<File>,
    pub(crate) holes: Vec<Hole>,
    pub(crate) sections: Vec<Section>,
    /// Sections of the skeleton's frames, in order.
    pub(crate) frames: Vec<usize>,
    pub(crate) payloads: Vec<Payload>,
    pub(crate) tensors: Tensors,
    pub(crate) empty_folders: Names,
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

impl Index {
    /// Reads and checks header, footer and manifest of `file`; touches no section.
    pub(crate) fn read(file: &[u8], limits: &Limits) -> Result<Self> {
        check_header(file).within(|| "header".into())?;
        let footer = Footer::read(file).within(|| "footer".into())?;
        let index = read_columns(file, footer, limits)
            .and_then(|(columns, start)| check(columns, start as u64, limits, file.len() as u64));
        let mut index = index.within(|| "manifest".into())?;
        index.manifest_stored_bytes = footer.stored_bytes;
        Ok(index)
    }

    /// The decoded length of a frame.
    pub(crate) fn frame_bytes(&self, frame: usize) -> usize {
        let start = (frame as u64).saturating_mul(FRAME_BYTES);
        // At most FRAME_BYTES, so that the cast is exact.
        self.skeleton_bytes.saturating_sub(start).min(FRAME_BYTES) as usize
    }
}

/// The manifest's columns, and where it starts in the file.
fn read_columns(file: &[u8], footer: Footer, limits: &Limits) -> Result<(Columns, usize)> {
    let end = file.len().saturating_sub(FOOTER_BYTES);
    let range = usize::try_from(footer.stored_bytes)
        .ok()
        .and_then(|stored| end.checked_sub(stored))
        .filter(|&start| start >= HEADER_BYTES);
    let stored = range.and_then(|start| Some((start, file.get(start..end)?)));
    let (start, stored) = stored.ok_or_else(|| {
        Error::corrupt(format!(
            "{} bytes do not fit into the file",
            footer.stored_bytes
        ))
    })?;
    Limits::check("bytes", footer.manifest_bytes, limits.manifest_bytes)?;
    compare_crc(stored, footer.crc, "manifest")?;
    let length = to_usize(footer.manifest_bytes)?;
    let columns = match footer.coding {
        ManifestCoding::Stored if stored.len() == length => Columns::read(stored, limits)?,
        ManifestCoding::Stored => {
            return Err(Error::corrupt(format!(
                "expected {length} bytes, found {}",
                stored.len()
            )));
        }
        ManifestCoding::Zstd => Columns::read(&zstd::decode(stored, length)?, limits)?,
    };
    Ok((columns, start))
}

fn check(mut c: Columns, end: u64, limits: &Limits, archive_bytes: u64) -> Result<Index> {
    let sections = sections(&c, end)?;
    let payloads = payloads(&c, &sections)?;
    let holes = holes(&c, payloads.len())?;
    let files = files(&c, &holes, &payloads, limits, archive_bytes)?;
    let skeleton_bytes = files.last().map_or(0, |(_, skeleton_end)| *skeleton_end);
    let files: Vec<File> = files.into_iter().map(|(file, _)| file).collect();
    let frames: Vec<usize> = (0..)
        .zip(&sections)
        .filter(|(_, section)| section.kind == SectionKind::SkeletonFrame)
        .map(|(s, _)| s)
        .collect();
    if frames.len() as u64 != skeleton_bytes.div_ceil(FRAME_BYTES) {
        return Err(Error::corrupt(format!(
            "{} skeleton frames for a skeleton of {skeleton_bytes} bytes",
            frames.len()
        )));
    }
    let around = Surroundings {
        n_files: files.len(),
        payloads: &payloads,
        skeleton_bytes,
        archive_bytes,
        limits,
    };
    let tensors = tensors(&mut c, &around)?;
    let is_folder = c.is_folder
        || c.empty_folder.len() > 0
        || files.len() != 1
        || files.iter().any(|file| file.name.contains('/'));
    Ok(Index {
        files,
        empty_folders: c.empty_folder,
        is_folder,
        profile: Profile::from_id(c.profile),
        holes,
        sections,
        frames,
        payloads,
        tensors,
        skeleton_bytes,
        manifest_stored_bytes: 0,
    })
}

//! Writing a file front to back, without seeking (spec §2).

use super::frame::{FRAME_BYTES, encode_frame};
use super::head::{Footer, ManifestCoding, header};
use super::index::{SectionKind, Source};
use super::manifest::Manifest;
use super::name::check_name;
use crate::error::{Error, Result};
use crate::payload::{self, EncodeOptions, EncodeStats, PayloadSpec};
use crate::profile::Profile;
use crate::stream::zstd;
use crate::tensor::DType;
use prost::Message;
use std::io::Write;

/// Payloads of fewer bytes than this share sections.
const SMALL_PAYLOAD_BYTES: usize = 1 << 16;

/// Alignment of the payloads of profile direct, as a power of two.
const DIRECT_ALIGN: u32 = 3;

/// A shared section takes no more payloads once it has this many bytes.
const SHARED_SECTION_BYTES: u64 = 1 << 18;

/// What restoring makes of the files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Root {
    /// A folder, even if it is a single file.
    pub(crate) is_folder: bool,
    /// Folders with nothing in them.
    pub(crate) empty_folders: Vec<String>,
}

/// A tensor to be listed.
pub(crate) struct TensorEntry<'a> {
    pub(crate) name: &'a str,
    /// Number of the file that it stands in, which has been ended.
    pub(crate) file: usize,
    pub(crate) dtype: DType,
    pub(crate) shape: &'a [u64],
    /// Skeleton offsets count from the start of the whole skeleton.
    pub(crate) source: Source,
    pub(crate) repeats: u64,
    pub(crate) nnz: u64,
}

/// Writes one `.tfz` file.
///
/// For each file of the model: its skeleton and holes in order, then [`end_file`](Self::end_file).
/// Its tensors come whenever it has been ended.
pub(crate) struct Writer<W> {
    out: W,
    n_bytes: u64,
    manifest: Manifest,
    /// Skeleton bytes that are not in a frame yet.
    pending: Vec<u8>,
    /// Skeleton bytes so far.
    skeleton_bytes: u64,
    /// Skeleton bytes since the last hole, or since the start of the file.
    gap: u64,
    /// Bytes of the current file so far, and its holes.
    file_bytes: u64,
    file_holes: u64,
    has_sources: bool,
}

impl<W: Write> Writer<W> {
    /// Starts a file by writing its header.
    pub(crate) fn new(out: W) -> Result<Self> {
        let mut writer = Self {
            out,
            n_bytes: 0,
            manifest: Manifest::default(),
            pending: Vec::new(),
            skeleton_bytes: 0,
            gap: 0,
            file_bytes: 0,
            file_holes: 0,
            has_sources: false,
        };
        writer.put(&header())?;
        Ok(writer)
    }

    /// Adds bytes of the current file that are kept as they are.
    pub(crate) fn skeleton(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.skeleton_bytes += bytes.len() as u64;
        self.gap += bytes.len() as u64;
        self.file_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = FRAME_BYTES as usize - self.pending.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() as u64 == FRAME_BYTES {
                self.end_frame()?;
            }
        }
        Ok(())
    }

    /// Skeleton bytes so far, of all files.
    pub(crate) fn skeleton_bytes(&self) -> u64 {
        self.skeleton_bytes
    }

    /// Encodes a payload that is not in the file yet; a hole that uses it must come next.
    pub(crate) fn payload(
        &mut self,
        spec: PayloadSpec,
        options: EncodeOptions,
        bytes: &[u8],
    ) -> Result<(usize, EncodeStats)> {
        let shared = options.profile != Profile::Direct
            && bytes.len() < SMALL_PAYLOAD_BYTES
            && self.manifest.section_kind.last() == Some(&(SectionKind::Payloads as u32))
            && self
                .manifest
                .section_bytes
                .last()
                .is_some_and(|&n| n < SHARED_SECTION_BYTES);
        if !shared {
            self.begin_section(SectionKind::Payloads);
            if options.profile == Profile::Direct {
                self.align(DIRECT_ALIGN)?;
            }
        }
        self.manifest.profile = options.profile.id();
        let (meta, stats) = payload::encode(spec, options, bytes, &mut |piece| self.put(piece))?;
        if let (Some(n_bytes), Some(n_payloads)) = (
            self.manifest.section_bytes.last_mut(),
            self.manifest.section_payloads.last_mut(),
        ) {
            *n_bytes += meta.stored_bytes;
            *n_payloads += 1;
        }
        let m = &mut self.manifest;
        m.payload_width.push(meta.width as u32);
        m.payload_elements.push(meta.elements);
        m.payload_columns.push(meta.columns);
        m.payload_stored_bytes.push(meta.stored_bytes);
        m.payload_table_bytes.push(meta.table_bytes);
        m.payload_blocks.push(meta.blocks);
        Ok((m.payload_width.len() - 1, stats))
    }

    /// Adds a hole to the current file.
    pub(crate) fn hole(&mut self, payload: usize) {
        let m = &mut self.manifest;
        m.hole_gap.push(std::mem::take(&mut self.gap));
        m.hole_payload.push(payload as u64);
        self.file_bytes += m.payload_elements[payload] * u64::from(m.payload_width[payload]);
        self.file_holes += 1;
    }

    /// Ends the current file, and gives it its name and the hashes of its bytes as restored and,
    /// if a pass changed it, of its source.
    pub(crate) fn end_file(
        &mut self,
        name: &str,
        sha256: [u8; 32],
        source: Option<[u8; 32]>,
    ) -> Result<()> {
        check_portable(name)?;
        let m = &mut self.manifest;
        m.file_name.push(name.to_owned());
        m.file_bytes.push(std::mem::take(&mut self.file_bytes));
        m.file_holes.push(std::mem::take(&mut self.file_holes));
        m.file_sha256.extend(sha256);
        m.file_source_sha256.extend(source.unwrap_or(sha256));
        self.has_sources |= source.is_some();
        self.gap = 0;
        Ok(())
    }

    /// Lists a tensor.
    pub(crate) fn tensor(&mut self, tensor: &TensorEntry<'_>) {
        let (source, at) = match tensor.source {
            Source::Opaque => (0, 0),
            Source::Payload(payload) => (1, payload as u64),
            Source::Skeleton(offset) => (2, offset),
        };
        let m = &mut self.manifest;
        m.tensor_name.push(tensor.name.to_owned());
        m.tensor_file.push(tensor.file as u32);
        m.tensor_dtype.push(tensor.dtype as u32);
        m.tensor_rank.push(tensor.shape.len() as u32);
        m.tensor_dim.extend_from_slice(tensor.shape);
        m.tensor_source.push(source);
        m.tensor_at.push(at);
        m.tensor_repeats.push(tensor.repeats);
        m.tensor_nnz.push(tensor.nnz);
    }

    /// Writes what is left; returns the output and the bytes written to it.
    pub(crate) fn finish(mut self, root: &Root) -> Result<(W, u64)> {
        self.end_frame()?;
        root.empty_folders
            .iter()
            .try_for_each(|name| check_portable(name))?;
        self.manifest.empty_folder.clone_from(&root.empty_folders);
        self.manifest.is_folder = root.is_folder;
        if !self.has_sources {
            self.manifest.file_source_sha256.clear();
        }
        let manifest = self.manifest.encode_to_vec();
        // Profile direct has nothing to decompress.
        let compressed = match self.manifest.profile == Profile::Direct.id() {
            true => None,
            false => zstd::compress_below(&manifest, manifest.len())?,
        };
        let (stored, coding) = match compressed {
            Some(frame) => (frame, ManifestCoding::Zstd),
            None => (manifest.clone(), ManifestCoding::Stored),
        };
        let footer = Footer {
            stored_bytes: stored.len() as u64,
            manifest_bytes: manifest.len() as u64,
            crc: crc32fast::hash(&stored),
            coding,
        };
        self.put(&stored)?;
        self.put(&footer.to_bytes())?;
        self.out.flush().map_err(|e| Error::io("cannot write", e))?;
        Ok((self.out, self.n_bytes))
    }

    fn end_frame(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let frame = encode_frame(&self.pending)?;
        self.pending.clear();
        self.begin_section(SectionKind::SkeletonFrame);
        if let Some(n_bytes) = self.manifest.section_bytes.last_mut() {
            *n_bytes = frame.len() as u64;
        }
        self.put(&frame)
    }

    fn begin_section(&mut self, kind: SectionKind) {
        let m = &mut self.manifest;
        m.section_kind.push(kind as u32);
        m.section_bytes.push(0);
        m.section_align.push(0);
        m.section_payloads.push(0);
    }

    /// Aligns the section that was just begun.
    fn align(&mut self, align: u32) -> Result<()> {
        if let Some(last) = self.manifest.section_align.last_mut() {
            *last = align;
        }
        let padding = self.n_bytes.next_multiple_of(1 << align) - self.n_bytes;
        self.put(&[0; 1 << DIRECT_ALIGN][..padding as usize])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.n_bytes += bytes.len() as u64;
        self.out
            .write_all(bytes)
            .map_err(|e| Error::io("cannot write", e))
    }
}

/// Checks a name that is about to be written.
fn check_portable(name: &str) -> Result<()> {
    check_name(name)
        .map_err(|e| Error::invalid(format!("{}: rename it before packing", e.detail())))
}

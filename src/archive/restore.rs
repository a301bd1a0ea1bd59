//! Restoring model files: the skeleton with its holes filled (spec §6).

use super::Archive;
use super::skeleton::SkeletonReader;
use crate::cursor::to_usize;
use crate::error::{Error, Result, Within};
use crate::kernels::Store;
use crate::kernels::out::write_vec;
use crate::parallel;
use crate::payload::{self, Record};
use crate::word::{Word, with_word};
use sha2::{Digest, Sha256};
use std::io::Write;

/// Decoded bytes of a batch, at most, besides one block; two batches are held at a time.
const BATCH_BYTES: u64 = 1 << 23;

impl<D: AsRef<[u8]>> Archive<D> {
    /// Writes the model file number `file` (of [`files`](Self::files)) to `out`, and proves its
    /// SHA-256. A few blocks are in memory at a time.
    ///
    /// What was written is only worth keeping if this succeeds: write to a temporary file, and
    /// rename it, as [`unpack_file`](crate::unpack_file) does.
    ///
    /// # Errors
    /// `InvalidArgument` if there is no such file; `Io` if `out` fails; `Corrupt`, `Truncated` or
    /// `Unsupported` if the archive breaks a rule of the spec or the hash differs.
    pub fn restore(&self, file: usize, out: &mut dyn Write) -> Result<()> {
        let files = &self.index.files;
        let entry = files
            .get(file)
            .ok_or_else(|| Error::invalid(format!("file {file} of {}", files.len())))?;
        let mut out = Hashed {
            out,
            hash: Sha256::new(),
        };
        self.for_each_segment(file, |segment| match segment {
            Segment::Skeleton(piece) => out.put(piece),
            Segment::Hole(payload) => self.copy_payload(payload, |piece| out.put(piece)),
        })?;
        let found: [u8; 32] = out.hash.finalize().into();
        if found != entry.sha256 && !cfg!(fuzzing) {
            return Err(Error::corrupt(format!(
                "{:?} has SHA-256 {}, expected {}",
                entry.name,
                hex(&found),
                hex(&entry.sha256)
            )));
        }
        Ok(())
    }

    /// Checks everything: every checksum, every rule, the SHA-256 of every file, and the nnz of
    /// every tensor. Reads the whole archive.
    ///
    /// # Errors
    /// `Corrupt`, `Truncated` or `Unsupported`, with the place of the first thing that is wrong.
    pub fn verify(&self) -> Result<()> {
        self.check_padding()?;
        for file in 0..self.index.files.len() {
            self.restore(file, &mut std::io::sink())?;
        }
        for tensor in self.tensors().filter(super::Tensor::is_readable) {
            let place = || format!("tensor {:?}", tensor.name());
            let found = tensor.count_nonzero().within(place)?;
            tensor.check_nnz(found).within(place)?;
        }
        Ok(())
    }

    /// `Corrupt` if there is anything between the sections.
    pub(crate) fn check_padding(&self) -> Result<()> {
        let bytes = self.as_bytes();
        for (i, section) in self.index.sections.iter().enumerate() {
            let padding = bytes
                .get(section.padding.clone())
                .ok_or_else(|| Error::corrupt("padding outside the file"))?;
            if padding.iter().any(|&b| b != 0) {
                return Err(Error::corrupt(format!(
                    "the padding before section {i} is not zero"
                )));
            }
        }
        Ok(())
    }

    /// Hands the segments of file number `file`, which exists, to `f` in order: its skeleton piece by
    /// piece, and its holes.
    #[expect(
        clippy::indexing_slicing,
        reason = "the caller names a file of this archive, and opening checked that its holes are there"
    )]
    pub(crate) fn for_each_segment(
        &self,
        file: usize,
        mut f: impl FnMut(Segment<'_>) -> Result<()>,
    ) -> Result<()> {
        let index = &self.index;
        let entry = &index.files[file];
        let mut skeleton = SkeletonReader::new(self.as_bytes(), index, entry.skeleton_start);
        let mut left = entry.bytes;
        for hole in &index.holes[entry.holes.clone()] {
            skeleton.read(hole.gap, |piece| f(Segment::Skeleton(piece)))?;
            f(Segment::Hole(hole.payload))?;
            left = left
                .checked_sub(hole.gap)
                .and_then(|left| left.checked_sub(index.payload(hole.payload).decoded_bytes()))
                .ok_or_else(|| Error::corrupt("holes are longer than their file"))?;
        }
        skeleton.read(left, |piece| f(Segment::Skeleton(piece)))
    }

    /// Hands the elements of payload number `payload`, which exists, to `put` in order. A few blocks
    /// are in memory at a time.
    pub(crate) fn copy_payload(
        &self,
        payload: usize,
        mut put: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let width = self.index.payload(payload).width;
        let mut copy = || {
            let record = self.record(payload)?;
            with_word!(width, W => copy_record::<W>(&record, &mut put))
        };
        copy().within(|| format!("payload {payload}"))
    }

    /// All elements of payload number `payload`, which exists.
    pub(crate) fn read_payload(&self, payload: usize) -> Result<Vec<u8>> {
        let read = || {
            let record = self.record(payload)?;
            let meta = self.index.payload(payload);
            let n_bytes = to_usize(meta.decoded_bytes())?;
            write_vec(n_bytes, |out| payload::read(&record, 0..meta.elements, out))
        };
        read().within(|| format!("payload {payload}"))
    }

    fn record(&self, payload: usize) -> Result<Record<'_>> {
        self.index.record(self.as_bytes(), payload)
    }
}

/// A piece of a model file.
pub(crate) enum Segment<'a> {
    /// Bytes of the skeleton.
    Skeleton(&'a [u8]),
    /// A hole that the payload with this number fills.
    Hole(usize),
}

/// Lower-case hexadecimal, as hashes are written.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Output that is hashed on its way.
struct Hashed<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
}

impl Hashed<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.out
            .write_all(bytes)
            .map_err(|e| Error::io("cannot write", e))
    }
}

/// Decodes the blocks of a payload, a few at a time, and hands them on in order.
fn copy_record<W: Word>(
    record: &Record<'_>,
    put: &mut impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let shared = record.tables::<W>()?;
    let mut next = 0u64;
    let batches = std::iter::from_fn(|| {
        let (mut blocks, mut n_bytes) = (Vec::new(), 0u64);
        while next < record.n_blocks() && n_bytes < BATCH_BYTES {
            n_bytes = n_bytes.saturating_add(record.bytes_of(next));
            blocks.push(next);
            next = next.saturating_add(1);
        }
        (!blocks.is_empty()).then_some(blocks)
    });
    let decode = |blocks: Vec<u64>| {
        parallel::map(&blocks, |&block| {
            let block = record.decode::<W>(block, &shared)?;
            let mut bytes = vec![0; block.n_bytes()];
            block.fill(&mut bytes, Store::Cached)?;
            Ok(bytes)
        })
    };
    parallel::in_turn(batches, decode, |decoded: Vec<Result<Vec<u8>>>| {
        decoded.into_iter().try_for_each(|bytes| put(&bytes?))
    })
}

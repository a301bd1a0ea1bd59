//! Restoring model files: the skeleton with its holes filled (spec §6).

use super::Archive;
use crate::container::{FRAME_BYTES, Index, decode_frame};
use crate::cursor::to_usize;
use crate::error::{Error, Result, Within};
use crate::kernels::Store;
use crate::parallel;
use crate::payload::Record;
use crate::word::{Word, with_word};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::io::Write;

/// Decoded bytes that are held at a time, at most, besides one block.
const BATCH_BYTES: u64 = 1 << 24;

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
        let index = &self.index;
        let entry = index
            .files
            .get(file)
            .ok_or_else(|| Error::invalid(format!("file {file} of {}", index.files.len())))?;
        let mut out = Hashed {
            out,
            hash: Sha256::new(),
        };
        let mut skeleton = SkeletonReader::new(self.as_bytes(), index, entry.skeleton_start);
        let mut left = entry.bytes;
        for hole in &index.holes[entry.holes.clone()] {
            skeleton.read(hole.gap, |piece| out.put(piece))?;
            let payload = &index.payloads[hole.payload];
            let place = || format!("payload {}", hole.payload);
            let record =
                Record::new(&self.as_bytes()[payload.range.clone()], payload.meta).within(place)?;
            with_word!(payload.meta.width, W => copy_payload::<W>(&record, &mut out))
                .within(place)?;
            left -= hole.gap + payload.meta.decoded_bytes();
        }
        skeleton.read(left, |piece| out.put(piece))?;
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
        for (i, section) in self.index.sections.iter().enumerate() {
            if self.as_bytes()[section.padding.clone()]
                .iter()
                .any(|&b| b != 0)
            {
                return Err(Error::corrupt(format!(
                    "the padding before section {i} is not zero"
                )));
            }
        }
        for file in 0..self.index.files.len() {
            self.restore(file, &mut std::io::sink())?;
        }
        for tensor in self.tensors().filter(super::Tensor::is_readable) {
            let place = || format!("tensor {:?}", tensor.name());
            let found = tensor.count_nonzero().within(place)?;
            if found != tensor.nnz() {
                let error = Error::corrupt(format!(
                    "{found} elements are nonzero, the manifest says {}",
                    tensor.nnz()
                ));
                return Err(error.within(place()));
            }
        }
        Ok(())
    }
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

/// Decodes the blocks of a payload, a few at a time, and writes them in order.
fn copy_payload<W: Word>(record: &Record<'_>, out: &mut Hashed<'_>) -> Result<()> {
    let shared = record.tables::<W>()?;
    let mut next = 0;
    while next < record.n_blocks() {
        let first = next;
        let mut n_bytes = 0;
        while next < record.n_blocks() && (n_bytes < BATCH_BYTES || next == first) {
            let elements = record.elements(next);
            n_bytes += (elements.end - elements.start) * W::WIDTH as u64;
            next += 1;
        }
        let blocks: Vec<u64> = (first..next).collect();
        let decoded = parallel::map(&blocks, |&block| {
            let block = record.decode::<W>(block, &shared)?;
            let mut bytes = vec![0; block.n_bytes()];
            block.fill(&mut bytes, Store::Cached)?;
            Ok(bytes)
        });
        for bytes in decoded {
            out.put(&bytes?)?;
        }
    }
    Ok(())
}

/// Reads the skeleton front to back; keeps the frame that it is in.
struct SkeletonReader<'a> {
    file: &'a [u8],
    index: &'a Index,
    at: u64,
    frame: Option<(u64, Cow<'a, [u8]>)>,
}

impl<'a> SkeletonReader<'a> {
    /// A reader that starts at `at`.
    fn new(file: &'a [u8], index: &'a Index, at: u64) -> Self {
        Self {
            file,
            index,
            at,
            frame: None,
        }
    }

    /// Hands the next `n_bytes` to `f`, piece by piece.
    fn read(&mut self, n_bytes: u64, mut f: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let end = self.at + n_bytes;
        while self.at < end {
            let frame = self.at / FRAME_BYTES;
            let bytes = match &self.frame {
                Some((held, bytes)) if *held == frame => bytes,
                _ => &self.frame.insert((frame, self.decode(frame)?)).1,
            };
            let from = to_usize(self.at % FRAME_BYTES)?;
            let to = bytes.len().min(to_usize(end - frame * FRAME_BYTES)?);
            let piece = bytes
                .get(from..to)
                .filter(|piece| !piece.is_empty())
                .ok_or_else(|| Error::corrupt(format!("the skeleton ends before byte {end}")))?;
            f(piece)?;
            self.at += piece.len() as u64;
        }
        Ok(())
    }

    fn decode(&self, frame: u64) -> Result<Cow<'a, [u8]>> {
        let decode = || {
            let number = to_usize(frame)?;
            let section = self
                .index
                .frames
                .get(number)
                .and_then(|&s| self.file.get(self.index.sections[s].range.clone()));
            let section = section.ok_or_else(|| Error::corrupt("no such frame"))?;
            decode_frame(section, self.index.frame_bytes(number))
        };
        decode().within(|| format!("skeleton frame {frame}"))
    }
}

/// Writes the bytes of the skeleton from `start` on into `out`.
pub(super) fn read_skeleton(
    file: &[u8],
    index: &Index,
    start: u64,
    mut out: &mut [u8],
) -> Result<()> {
    let n_bytes = out.len() as u64;
    SkeletonReader::new(file, index, start).read(n_bytes, |piece| {
        let (head, rest) = std::mem::take(&mut out).split_at_mut(piece.len());
        head.copy_from_slice(piece);
        out = rest;
        Ok(())
    })
}

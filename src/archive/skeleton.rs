//! The skeleton: what model files hold besides payloads (spec §6.2).

use crate::container::{FRAME_BYTES, Index, decode_frame};
use crate::cursor::{range_len, to_usize};
use crate::error::{Error, Result, Within};
use crate::kernels::out::Out;
use std::borrow::Cow;

/// Reads the skeleton front to back; keeps the frame that it is in.
pub(super) struct SkeletonReader<'a> {
    file: &'a [u8],
    index: &'a Index,
    at: u64,
    frame: Option<(u64, Cow<'a, [u8]>)>,
}

impl<'a> SkeletonReader<'a> {
    /// A reader that starts at `at`.
    pub(super) fn new(file: &'a [u8], index: &'a Index, at: u64) -> Self {
        Self {
            file,
            index,
            at,
            frame: None,
        }
    }

    /// Hands the next `n_bytes` to `f`, piece by piece.
    pub(super) fn read(
        &mut self,
        n_bytes: u64,
        mut f: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let end = self.at.saturating_add(n_bytes);
        while self.at < end {
            let frame = self.at / FRAME_BYTES;
            let bytes = match &self.frame {
                Some((held, bytes)) if *held == frame => bytes,
                _ => &self.frame.insert((frame, self.decode(frame)?)).1,
            };
            let rest = bytes
                .get(to_usize(self.at % FRAME_BYTES)?..)
                .unwrap_or_default();
            let wanted = to_usize(range_len(&(self.at..end)).min(FRAME_BYTES))?;
            let piece = rest.get(..wanted).unwrap_or(rest);
            if piece.is_empty() {
                return Err(Error::corrupt(format!(
                    "the skeleton ends before byte {end}"
                )));
            }
            f(piece)?;
            self.at = self.at.saturating_add(piece.len() as u64);
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
                .and_then(|&section| self.index.sections.get(section))
                .and_then(|section| self.file.get(section.range.clone()));
            let section = section.ok_or_else(|| Error::corrupt("no such frame"))?;
            decode_frame(section, self.index.frame_bytes(number))
        };
        decode().within(|| format!("skeleton frame {frame}"))
    }
}

/// Writes the bytes of the skeleton from `start` on into `out`.
pub(super) fn read_skeleton(file: &[u8], index: &Index, start: u64, out: Out<'_>) -> Result<()> {
    let n_bytes = out.len() as u64;
    let mut rest = Some(out);
    SkeletonReader::new(file, index, start).read(n_bytes, |piece| {
        if let Some(out) = rest.take() {
            let (head, after) = out.split_at(piece.len());
            head.copy_from(piece);
            rest = Some(after);
        }
        Ok(())
    })
}

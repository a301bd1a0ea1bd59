//! Payloads: the elements of a tensor, cut into blocks that are decoded one by one (spec §8, §9).

mod cut;
mod decode;
mod encode;
mod record;
mod scan;
mod tables;

pub(crate) use encode::{EncodeStats, PayloadSpec, encode};
pub(crate) use record::{PayloadMeta, Record};
use tables::Tables;

use crate::word::Word;

/// Most elements of a block (spec §8.3).
pub(crate) const MAX_BLOCK_ELEMENTS: u64 = 1 << 22;

/// Most bytes of elements of a block (spec §8.3).
pub(crate) const MAX_BLOCK_BYTES: u64 = 1 << 24;

/// Little-endian elements as patterns, with −0.0 taken for +0.0 where that was asked for.
#[derive(Clone, Copy)]
struct Elements<'a, W> {
    bytes: &'a [u8],
    /// The pattern that is read as zero.
    folded: Option<W>,
}

impl<'a, W: Word> Elements<'a, W> {
    fn new(bytes: &'a [u8], canonical_zeros: bool) -> Self {
        Self {
            bytes,
            folded: canonical_zeros.then(|| W::default().flip_top()),
        }
    }

    fn len(&self) -> usize {
        self.bytes.len() / W::WIDTH
    }

    fn slice(&self, range: std::ops::Range<usize>) -> Self {
        Self {
            bytes: &self.bytes[range.start * W::WIDTH..range.end * W::WIDTH],
            ..*self
        }
    }

    fn iter(&self) -> impl Iterator<Item = W> + use<'a, W> {
        let folded = self.folded;
        self.bytes.chunks_exact(W::WIDTH).map(move |element| {
            let word = W::from_le(element);
            if folded == Some(word) {
                W::default()
            } else {
                word
            }
        })
    }
}

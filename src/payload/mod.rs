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
use std::marker::PhantomData;
use std::ops::Range;

/// Most elements of a block (spec §8.3).
pub(crate) const MAX_BLOCK_ELEMENTS: u64 = 1 << 22;

/// Most bytes of elements of a block (spec §8.3).
pub(crate) const MAX_BLOCK_BYTES: u64 = 1 << 24;

/// Little-endian elements as patterns.
#[derive(Clone, Copy)]
struct Elements<'a, W> {
    bytes: &'a [u8],
    word: PhantomData<W>,
}

impl<'a, W: Word> Elements<'a, W> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            word: PhantomData,
        }
    }

    fn len(&self) -> usize {
        self.bytes.len() / W::WIDTH
    }

    fn slice(&self, range: Range<usize>) -> Self {
        Self::new(&self.bytes[range.start * W::WIDTH..range.end * W::WIDTH])
    }

    fn iter(&self) -> impl Iterator<Item = W> + use<'a, W> {
        self.bytes.chunks_exact(W::WIDTH).map(W::from_le)
    }
}

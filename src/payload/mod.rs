//! Payloads: the elements of a tensor, cut into blocks that are decoded one by one (spec §8, §9).

#[cfg(feature = "pack")]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a writer of elements that are in memory"
)]
mod block;
mod decode;
#[cfg(feature = "pack")]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a writer of elements that are in memory"
)]
mod encode;
#[cfg(feature = "pack")]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a writer of elements that are in memory"
)]
mod encoder;
#[cfg(feature = "pack")]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a writer of elements that are in memory"
)]
mod entries;
mod read;
mod record;
mod streams;
#[cfg(feature = "pack")]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a writer of elements that are in memory"
)]
mod survey;
mod tables;
#[cfg(feature = "pack")]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a writer of elements that are in memory"
)]
mod train;

#[cfg(feature = "pack")]
pub(crate) use encode::{EncodeStats, encode};
pub(crate) use read::read;
pub(crate) use record::{PayloadMeta, Record, Shared};
pub(crate) use streams::{ValueStream, value_stream};

use crate::profile::{Effort, Profile};
use crate::word::Word;
use std::marker::PhantomData;
use std::ops::Range;

/// Most elements of a block (spec §8.3).
pub(crate) const MAX_BLOCK_ELEMENTS: u64 = 1 << 22;

/// Most bytes of elements of a block (spec §8.3).
pub(crate) const MAX_BLOCK_BYTES: u64 = 1 << 24;

/// What a payload is, as far as encoding it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PayloadSpec {
    /// Bytes of an element.
    pub(crate) width: usize,
    /// Elements of a row; divides their number.
    pub(crate) columns: u64,
    /// The top bit is a sign: −0.0 may be worth a set of its own, and a rotation helps.
    pub(crate) float: bool,
}

/// Rows of fewer elements are folded together.
const MIN_COLUMNS: u64 = 16;

/// Columns to fold a tensor of this shape into: the last dimension, or as many of the last
/// dimensions as make rows of some length.
pub(crate) fn fold(shape: &[u64]) -> u64 {
    let mut columns = 1;
    for dim in shape.iter().rev() {
        columns = dim.saturating_mul(columns);
        if columns >= MIN_COLUMNS {
            break;
        }
    }
    columns
}

/// How payloads are encoded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EncodeOptions {
    pub(crate) profile: Profile,
    pub(crate) effort: Effort,
}

/// Little-endian elements as patterns.
#[derive(Clone, Copy)]
struct Elements<'a, W> {
    bytes: &'a [u8],
    word: PhantomData<W>,
}

#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "those who encode elements number them as they are in memory"
)]
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

    /// The element with this index.
    ///
    /// # Panics
    /// If there is none.
    fn get(&self, index: usize) -> W {
        W::from_le(&self.bytes[index * W::WIDTH..(index + 1) * W::WIDTH])
    }

    fn iter(&self) -> impl Iterator<Item = W> + use<'a, W> {
        self.bytes.chunks_exact(W::WIDTH).map(W::from_le)
    }
}

//! Reading elements of a payload, block by block, on several threads.

use super::Record;
use crate::cursor::{range_len, to_usize};
use crate::error::{Error, Result};
use crate::kernels::Store;
use crate::kernels::out::Out;
use crate::parallel;
use crate::word::{Word, with_word};
use std::ops::Range;

/// Results of at least this many bytes are written past the caches.
const PAST_CACHES_BYTES: usize = 1 << 20;

/// Decodes the blocks that `elements` lie in, and writes the elements to `out`, little-endian; `out`
/// has exactly their bytes, which are a payload's.
pub(crate) fn read(record: &Record<'_>, elements: Range<u64>, out: Out<'_>) -> Result<()> {
    with_word!(record.width(), W => read_words::<W>(record, elements, out))
}

fn read_words<W: Word>(record: &Record<'_>, elements: Range<u64>, out: Out<'_>) -> Result<()> {
    let store = match out.len() >= PAST_CACHES_BYTES {
        true => Store::PastCaches,
        false => Store::Cached,
    };
    let shared = record.tables::<W>()?;
    let mut pieces = Vec::new();
    let mut rest = out;
    for block in record.blocks_of(elements.clone()) {
        let all = record.elements(block);
        let wanted = all.start.max(elements.start)..all.end.min(elements.end);
        let bytes_of = |elements| to_usize(range_len(elements).saturating_mul(W::WIDTH as u64));
        let (piece, after) = rest.split_at(bytes_of(&wanted)?);
        rest = after;
        pieces.push((block, bytes_of(&(all.start..wanted.start))?, piece));
    }
    parallel::try_for_each(pieces, |(block, skip, piece)| {
        let decoded = record.decode::<W>(block, &shared)?;
        let n_bytes = decoded.n_bytes();
        if piece.len() == n_bytes {
            return decoded.write(piece, store);
        }
        let mut scratch = vec![0; n_bytes];
        decoded.fill(&mut scratch, Store::Cached)?;
        let wanted = scratch.get(skip..).and_then(|rest| rest.get(..piece.len()));
        let wanted = wanted.ok_or_else(|| Error::invalid("elements outside their blocks"))?;
        piece.copy_from(wanted);
        Ok(())
    })
}

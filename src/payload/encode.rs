//! Encoding a payload: tables, blocks and directory (spec §8, §9).

use super::block::EncodedBlock;
use super::encoder::{cheaper_encoder, encoder, entries};
use super::record::Directory;
use super::survey::survey;
use super::{Elements, EncodeOptions, PayloadMeta, PayloadSpec};
use crate::error::{Error, Result};
use crate::parallel;
use crate::word::{Word, with_word};
use std::ops::Range;

/// Entries after which a block ends with its row: 16 Ki to 64 Ki are flat in size, and of these the
/// values of 32 Ki float32 still fit into a second-level cache with all that they are made from.
const TARGET_ENTRIES: u64 = 1 << 15;

/// What encoding a payload came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EncodeStats {
    /// Elements that are −0.0 (alternates of a zero background).
    pub(crate) negative_zeros: u64,
    /// Bytes that their sets take.
    pub(crate) negative_zero_bytes: u64,
}

/// Encodes `bytes` and hands the record to `sink` piece by piece, in order.
///
/// A few blocks are in memory at a time.
pub(crate) fn encode(
    spec: PayloadSpec,
    options: EncodeOptions,
    bytes: &[u8],
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<(PayloadMeta, EncodeStats)> {
    with_word!(spec.width, W => encode_words::<W>(spec, options, bytes, sink))
}

fn encode_words<W: Word>(
    spec: PayloadSpec,
    options: EncodeOptions,
    bytes: &[u8],
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<(PayloadMeta, EncodeStats)> {
    let elements = Elements::<W>::new(bytes);
    if elements.len() == 0 || !(elements.len() as u64).is_multiple_of(spec.columns) {
        return Err(Error::invalid(format!(
            "{} elements do not fall into rows of {}",
            elements.len(),
            spec.columns
        )));
    }
    let survey = survey(elements, spec.float, spec.columns, TARGET_ENTRIES);
    let (survey, encoder, first) = match survey.storing_all(elements, spec.columns) {
        None => {
            let (encoder, first) = encoder(spec, options, elements, &survey)?;
            (survey, encoder, first)
        }
        Some(all) => cheaper_encoder(spec, options, elements, survey, all)?,
    };
    let table_bytes = encoder.tables.to_bytes()?;
    sink(&table_bytes)?;
    let mut directory = Directory::default();
    let mut stats = EncodeStats {
        negative_zeros: match survey.background.pattern == W::default() {
            true => survey.n_alternates,
            false => 0,
        },
        negative_zero_bytes: 0,
    };
    let mut put = |range: &Range<usize>, block: &EncodedBlock| {
        sink(&block.bytes)?;
        directory.push(range.end as u64, block.bytes.len() as u64);
        if stats.negative_zeros > 0 {
            stats.negative_zero_bytes += block.alternate_bytes;
        }
        Ok::<_, Error>(())
    };
    if let Some(block) = &first {
        put(&survey.blocks[0], block)?;
    }
    let rest = &survey.blocks[usize::from(first.is_some())..];
    parallel::in_turn(
        rest.chunks(parallel::batch()),
        |batch| {
            parallel::map(batch, |range| {
                (range, encoder.encode(&entries(elements, range, &survey)))
            })
        },
        |blocks| {
            let mut blocks = blocks.into_iter();
            blocks.try_for_each(|(range, block)| put(range, &block?))
        },
    )?;
    let directory_bytes = directory.to_bytes();
    sink(&directory_bytes)?;
    let meta = PayloadMeta {
        width: spec.width,
        elements: elements.len() as u64,
        columns: spec.columns,
        stored_bytes: table_bytes.len() as u64
            + directory.end_byte()
            + directory_bytes.len() as u64,
        table_bytes: table_bytes.len() as u64,
        blocks: directory.n_blocks(),
    };
    Ok((meta, stats))
}

//! Encoding a payload: tables, blocks and directory (spec §8, §9).

use super::block::{BlockEncoder, EncodedBlock, Way};
use super::entries::Entries;
use super::record::Directory;
use super::survey::{Survey, survey};
use super::tables::Tables;
use super::train::{Counts, Learned};
use super::{Elements, EncodeOptions, PayloadMeta, PayloadSpec};
use crate::error::{Error, Result};
use crate::parallel;
use crate::profile::{Effort, Profile};
use crate::values::Codebook;
use crate::word::{Word, with_word};
use std::ops::Range;

/// Entries after which a block ends with its row: 16 Ki to 64 Ki are flat in size, and of these the
/// values of 32 Ki float32 still fit into a second-level cache with all that they are made from.
const TARGET_ENTRIES: u64 = 1 << 15;

/// Blocks that classes are learned from.
const SAMPLE_BLOCKS: usize = 4;

/// Records of at most this many bytes are also made without classes and codes, which may not be worth
/// their tables.
const SMALL_RECORD_BYTES: usize = 1 << 12;

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
    let (encoder, first) = encoder(spec, options, elements, &survey)?;
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
    for batch in rest.chunks(2 * parallel::n_threads()) {
        let blocks = parallel::map(batch, |range| {
            encoder.encode(&entries(elements, range, &survey))
        });
        for (range, block) in batch.iter().zip(blocks) {
            put(range, &block?)?;
        }
    }
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

fn entries<W: Word>(
    elements: Elements<'_, W>,
    range: &Range<usize>,
    survey: &Survey<W>,
) -> Entries<W> {
    Entries::of(
        elements.slice(range.clone()),
        range.start as u64,
        survey.background,
    )
}

/// What the payload is encoded with; and its block, if it has only one.
fn encoder<W: Word>(
    spec: PayloadSpec,
    options: EncodeOptions,
    elements: Elements<'_, W>,
    survey: &Survey<W>,
) -> Result<(BlockEncoder<W>, Option<EncodedBlock>)> {
    let plain_tables = Tables {
        codebook: survey.codebook.clone(),
        aligned: options.profile == Profile::Direct,
        ..Tables::of_background(survey.background.pattern)
    };
    if options.profile == Profile::Direct {
        return Ok((BlockEncoder::new(spec, plain_tables, Way::Direct), None));
    }
    let sample: Vec<Entries<W>> = sample_blocks(survey.blocks.len(), options.effort)
        .map(|block| entries(elements, &survey.blocks[block], survey))
        .collect();
    let n_sampled: usize = sample.iter().map(|block| block.members.len()).sum();
    let codebook = survey.codebook.as_ref();
    let share = (n_sampled as u64, survey.n_entries);
    let learned = Learned::from_sample(spec, options, &sample, codebook, share);
    let coded = match learned {
        None => None,
        Some(learned) => {
            let smooth = options.effort == Effort::Fast && n_sampled as u64 != survey.n_entries;
            let counts = match smooth || sample.len() == survey.blocks.len() {
                true => count(&learned, sample.len(), |i| &sample[i], codebook),
                false => count_all(&learned, elements, survey, codebook),
            };
            let (classes, coder, learned) = learned.finish(&counts, smooth);
            let tables = Tables {
                classes,
                coder: Some(coder),
                ..plain_tables.clone()
            };
            Some(BlockEncoder::new(spec, tables, Way::Learned(learned)))
        }
    };
    let Some(mut coded) = coded else {
        return Ok((BlockEncoder::new(spec, plain_tables, Way::Alone), None));
    };
    let n_blocks = survey.blocks.len();
    let mut block = coded.encode(&sample[0])?;
    let share_of_tables =
        |tables: &Tables<W>| Ok::<_, Error>(tables.to_bytes()?.len().div_ceil(n_blocks));
    let coded_bytes = share_of_tables(&coded.tables)? + block.bytes.len();
    if coded.look_for_repeats(&sample[0])? {
        block = coded.encode(&sample[0])?;
    }
    // Codes may not pay where there is little of anything, or only noise.
    let is_noise = 16 * coded_bytes > 15 * W::WIDTH * sample[0].n as usize;
    if coded_bytes <= SMALL_RECORD_BYTES || is_noise {
        let packed = BlockEncoder::new(spec, plain_tables, Way::Packed);
        let packed_block = packed.encode(&sample[0])?;
        let packed_bytes = share_of_tables(&packed.tables)? + packed_block.bytes.len();
        if packed_bytes <= share_of_tables(&coded.tables)? + block.bytes.len() {
            return Ok((packed, (n_blocks == 1).then_some(packed_block)));
        }
    }
    Ok((coded, (n_blocks == 1).then_some(block)))
}

/// The blocks to learn from, evenly spread.
fn sample_blocks(n_blocks: usize, effort: Effort) -> impl Iterator<Item = usize> {
    let n = n_blocks.min(match effort {
        Effort::Fast => 1,
        Effort::Thorough => SAMPLE_BLOCKS,
    });
    // In the middle of n equal parts.
    (0..n).map(move |i| (2 * i + 1) * n_blocks / (2 * n))
}

/// Counts what blocks have that are in memory.
fn count<'e, W: Word>(
    learned: &Learned,
    n_blocks: usize,
    block: impl Fn(usize) -> &'e Entries<W>,
    codebook: Option<&Codebook<W>>,
) -> Counts {
    let mut counts = learned.no_counts();
    (0..n_blocks).for_each(|i| learned.count(&mut counts, &learned.code(block(i), codebook), true));
    counts
}

/// Counts what all blocks have.
fn count_all<W: Word>(
    learned: &Learned,
    elements: Elements<'_, W>,
    survey: &Survey<W>,
    codebook: Option<&Codebook<W>>,
) -> Counts {
    let mut all = learned.no_counts();
    for batch in survey.blocks.chunks(2 * parallel::n_threads()) {
        let of_blocks = parallel::map(batch, |range| {
            let mut counts = learned.no_counts();
            let block = entries(elements, range, survey);
            learned.count(&mut counts, &learned.code(&block, codebook), true);
            counts
        });
        of_blocks.iter().for_each(|counts| all.merge(counts));
    }
    all
}

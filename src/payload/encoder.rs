//! What a payload is encoded with: classes and codes that are learned from it, or nothing of the kind.

use super::block::{BlockEncoder, EncodedBlock, Way};
use super::entries::Entries;
use super::survey::Survey;
use super::tables::Tables;
use super::train::{Counts, Learned};
use super::{Elements, EncodeOptions, PayloadSpec};
use crate::error::{Error, Result};
use crate::parallel;
use crate::profile::{Effort, Profile};
use crate::sparse::classes::MAX_CLASSED_COLUMNS;
use crate::values::Codebook;
use crate::word::Word;
use std::convert::Infallible;
use std::ops::Range;

/// Blocks that classes are learned from.
const SAMPLE_BLOCKS: usize = 4;

/// Records of at most this many bytes are also made without classes and codes, which may not be worth
/// their tables.
const SMALL_RECORD_BYTES: usize = 1 << 12;

/// The entries of a range of elements.
pub(super) fn entries<W: Word>(
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

/// A survey, what the payload is encoded with after it, and its block, if it has only one.
pub(super) type Encoder<W> = (Survey<W>, BlockEncoder<W>, Option<EncodedBlock>);

/// What the payload is encoded with; and its block, if it has only one.
pub(super) fn encoder<W: Word>(
    spec: PayloadSpec,
    options: EncodeOptions,
    elements: Elements<'_, W>,
    survey: &Survey<W>,
) -> Result<(BlockEncoder<W>, Option<EncodedBlock>)> {
    let (codebook, n_blocks) = (survey.codebook.as_ref(), survey.blocks.len());
    let plain_tables = Tables {
        codebook: survey.codebook.clone(),
        aligned: options.profile == Profile::Direct,
        ..Tables::of_background(survey.background.pattern)
    };
    let encoder_of = |tables, way| BlockEncoder::new(spec, options.effort, tables, way);
    if options.profile == Profile::Direct {
        return Ok((encoder_of(plain_tables, Way::Direct), None));
    }
    let sampled: Vec<usize> = sample_blocks(n_blocks, options.effort).collect();
    let sample = parallel::map(&sampled, |&block| {
        entries(elements, &survey.blocks[block], survey)
    });
    let n_sampled: usize = sample.iter().map(|block| block.members.len()).sum();
    let learn = |options: EncodeOptions| {
        let by_column = match has_column_classes(spec, options) {
            true => count_columns(elements, survey, spec.columns as usize),
            false => vec![],
        };
        let share = (n_sampled as u64, survey.n_entries);
        let (learned, of_sample, coded_sample) =
            Learned::from_sample(spec, options, &sample, codebook, share, &by_column)?;
        let smooth = options.effort == Effort::Fast && n_sampled as u64 != survey.n_entries;
        let counts = match smooth || sample.len() == n_blocks {
            true => of_sample,
            false => count_all(&learned, elements, survey, codebook),
        };
        let (classes, coder, learned) = learned.finish(&counts, smooth);
        let tables = Tables {
            classes,
            coder: Some(coder),
            ..plain_tables.clone()
        };
        let first = coded_sample.into_iter().next()?;
        Some((encoder_of(tables, Way::Learned(learned)), first))
    };
    let Some((mut coded, mut first)) = learn(options) else {
        return Ok((encoder_of(plain_tables, Way::Alone), None));
    };
    if options.profile == Profile::Small {
        // What is smallest in the sample need not be so in the whole.
        let profile = Profile::Balanced;
        if let Some((other, first_of_other)) = learn(EncodeOptions { profile, ..options })
            && encoded_bytes(&other, elements, survey)? < encoded_bytes(&coded, elements, survey)?
        {
            (coded, first) = (other, first_of_other);
        }
    }
    let share_of_tables =
        |tables: &Tables<W>| Ok::<_, Error>(tables.to_bytes()?.len().div_ceil(n_blocks));
    let (block, n_bytes) = coded.encode_first(&sample[0], &first)?;
    let coded_bytes = share_of_tables(&coded.tables)? + n_bytes;
    // Codes may not pay where there is little of anything, or only noise.
    let is_noise = 16 * coded_bytes > 15 * W::WIDTH * sample[0].n as usize;
    if coded_bytes <= SMALL_RECORD_BYTES || is_noise {
        let packed = encoder_of(plain_tables, Way::Packed);
        let packed_block = packed.encode(&sample[0])?;
        let packed_bytes = share_of_tables(&packed.tables)? + packed_block.bytes.len();
        if packed_bytes <= share_of_tables(&coded.tables)? + block.bytes.len() {
            return Ok((packed, (n_blocks == 1).then_some(packed_block)));
        }
    }
    Ok((coded, (n_blocks == 1).then_some(block)))
}

/// What the payload is encoded with, after that one of two surveys which makes its sampled blocks smaller;
/// and its block, if it has only one.
pub(super) fn cheaper_encoder<W: Word>(
    spec: PayloadSpec,
    options: EncodeOptions,
    elements: Elements<'_, W>,
    one: Survey<W>,
    other: Survey<W>,
) -> Result<Encoder<W>> {
    let [one, other] = [one, other].map(|survey| {
        let (encoder, block) = encoder(spec, options, elements, &survey)?;
        let cost = sampled_cost(options.effort, elements, &survey, &encoder, block.as_ref())?;
        Ok::<_, Error>((cost, (survey, encoder, block)))
    });
    let (one, other) = (one?, other?);
    Ok(if other.0 < one.0 { other.1 } else { one.1 })
}

/// Bytes of the sampled blocks and their share of the tables for each element, in units of 2^-64.
fn sampled_cost<W: Word>(
    effort: Effort,
    elements: Elements<'_, W>,
    survey: &Survey<W>,
    encoder: &BlockEncoder<W>,
    only_block: Option<&EncodedBlock>,
) -> Result<u128> {
    let n_blocks = survey.blocks.len();
    let sampled: Vec<usize> = sample_blocks(n_blocks, effort).collect();
    let of_tables = encoder.tables.to_bytes()?.len() * sampled.len() / n_blocks;
    let of_blocks = match only_block {
        Some(block) => block.bytes.len(),
        None => parallel::map(&sampled, |&block| {
            let block = entries(elements, &survey.blocks[block], survey);
            encoder.encode(&block).map(|block| block.bytes.len())
        })
        .into_iter()
        .sum::<Result<usize>>()?,
    };
    let n_elements: usize = sampled
        .iter()
        .map(|&block| survey.blocks[block].len())
        .sum();
    Ok((((of_tables + of_blocks) as u128) << 64) / n_elements.max(1) as u128)
}

/// Whether classes of columns are looked for.
fn has_column_classes(spec: PayloadSpec, options: EncodeOptions) -> bool {
    options.profile == Profile::Small
        && options.effort == Effort::Thorough
        && spec.columns <= MAX_CLASSED_COLUMNS
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

/// Counts what all blocks have.
fn count_all<W: Word>(
    learned: &Learned,
    elements: Elements<'_, W>,
    survey: &Survey<W>,
    codebook: Option<&Codebook<W>>,
) -> Counts {
    let mut all = learned.no_counts();
    for_all_blocks(
        elements,
        survey,
        |block| {
            let mut counts = learned.no_counts();
            learned.count(&mut counts, &learned.code(block, codebook), true);
            counts
        },
        |counts| all.merge(&counts),
    );
    all
}

/// Entries of each column.
fn count_columns<W: Word>(
    elements: Elements<'_, W>,
    survey: &Survey<W>,
    columns: usize,
) -> Vec<u64> {
    let mut all = vec![0; columns];
    for_all_blocks(
        elements,
        survey,
        |block| {
            let mut counts = vec![0u64; columns];
            let first = (block.first_element % columns as u64) as usize;
            let members = block.members.iter();
            members.for_each(|&member| counts[(first + member as usize) % columns] += 1);
            counts
        },
        |counts| {
            all.iter_mut()
                .zip(counts)
                .for_each(|(all, count)| *all += count);
        },
    );
    all
}

/// Bytes of tables and blocks.
fn encoded_bytes<W: Word>(
    encoder: &BlockEncoder<W>,
    elements: Elements<'_, W>,
    survey: &Survey<W>,
) -> Result<usize> {
    let mut total = encoder.tables.to_bytes();
    let mut bytes = 0;
    for_all_blocks(
        elements,
        survey,
        |block| encoder.encode(block).map(|block| block.bytes.len()),
        |block| match block {
            Ok(n) => bytes += n,
            Err(error) => total = Err(error),
        },
    );
    Ok(total?.len() + bytes)
}

/// Maps the blocks of a payload, a few at a time, and takes what comes of them in order.
fn for_all_blocks<W: Word, T: Send>(
    elements: Elements<'_, W>,
    survey: &Survey<W>,
    map: impl Fn(&Entries<W>) -> T + Sync,
    mut take: impl FnMut(T),
) {
    let Ok(()) = parallel::in_turn(
        survey.blocks.chunks(parallel::batch()),
        |batch| parallel::map(batch, |range| map(&entries(elements, range, survey))),
        |mapped| {
            mapped.into_iter().for_each(&mut take);
            Ok::<(), Infallible>(())
        },
    );
}

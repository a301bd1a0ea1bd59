//! Choosing encodings: numbers in, plans out; no byte of a tensor is touched here.
//!
//! Costs are computed from histograms: packed streams to the bit, compressed ones by their
//! order-0 entropy. What an entropy can't see (a repeated pattern) is left to the encoder: plans
//! come as a short list, nearest first, and the encoder keeps the one that is really smallest.
//! All arithmetic is on integers, so that the same plan is made on every machine.

pub(crate) mod bins;
pub(crate) mod cost;
pub(crate) mod rows;
pub(crate) mod window;

use crate::sparse::rows::{MAX_STEP_BITS, RowCosts, RowForm};
use crate::sparse::{Form, GapStats, PositionPlan};
use crate::values::ValuePlan;
use cost::entropy_bytes;

/// Bytes of a stream's own head and tables, when it is compressed.
const CODED_OVERHEAD: u64 = 40;

/// Plans whose estimate is within a quarter of the best one's are worth trying.
const SLACK_SHIFT: u32 = 2;

/// What gaps must save where a bitmap is read much faster: 1 / 64.
const GAPS_GAIN: u64 = 64;

/// Plans for a set of `count` of `n` positions, most promising first.
///
/// `by_rows` are the gaps chained row by row, where the set has rows.
pub(crate) fn positions(
    n: u32,
    count: u32,
    one_chain: &GapStats,
    by_rows: Option<&GapStats>,
    bitmap: &[u32; 256],
) -> Vec<PositionPlan> {
    let of_bitmap = coded_or_packed(entropy_bytes(bitmap), u64::from(n).div_ceil(8));
    let mut costs = vec![(of_bitmap, PositionPlan::Bitmap)];
    for (stats, by_rows) in [(Some(one_chain), false), (by_rows, true)] {
        if let Some(stats) = stats {
            let form = |gap_bits| Form {
                gap_bits,
                filler: false,
                by_rows,
            };
            let (packed, gap_bits) = narrowest(stats, u64::from(count));
            let rows = row_count_cost(stats);
            costs.push((rows + packed, PositionPlan::RelativeIndex(form(gap_bits))));
            let coded = entropy_bytes(&stats.bytes) + CODED_OVERHEAD;
            costs.push((rows + coded, PositionPlan::RelativeIndex(form(8))));
        }
    }
    // Where about half of the positions are members gaps come to about the same, but are slower.
    let costs_of_all = costs.iter().map(|(cost, _)| *cost);
    let least = costs_of_all.min().unwrap_or(of_bitmap);
    if of_bitmap <= least + least / GAPS_GAIN && (n / 4..=n - n / 4).contains(&count) {
        return vec![PositionPlan::Bitmap];
    }
    nearest(costs)
}

/// Numbers of rows that can share a pointer.
pub(crate) const ROW_GROUPS: [u16; 6] = [1, 2, 4, 8, 16, 32];

/// How much pointers to more rows may cost: 1 / 256 of the block, or 1 / 64 where products need to unpack nothing.
const POINTER_SHARE: u64 = 256;
const PLAIN_POINTER_SHARE: u64 = 64;

/// How much may be spent on reading a block faster: 1 / 8 of it.
const SPEED_SHARE: u64 = 8;

/// How much more it may then take than in Han et al.'s form: 1 / 128.
const FILLER_SHARE: u64 = 128;

/// How to keep entries, whose values take `value_bits` each, in rows: the first that costs little of bitmaps, which
/// are read fastest, and of steps, of which wide ones have fewer escapes. Then with pointers to as many rows as
/// cost little.
pub(crate) fn row_form(value_bits: u32, costs: &RowCosts) -> RowForm {
    let value_bytes = costs.value_bytes(value_bits);
    let with_fillers = costs.with_fillers(value_bits);
    let plus = |bytes: u64, share: u64| bytes + (bytes + value_bytes) / share;
    let forms_of = |step_bits| {
        ROW_GROUPS.into_iter().filter_map(move |group| {
            let form = RowForm { step_bits, group };
            costs.of(form).map(|cost| (cost, form))
        })
    };
    let least_of = |step_bits| forms_of(step_bits).map(|(cost, _)| cost).min();
    let least = (0..=MAX_STEP_BITS).filter_map(least_of).min().unwrap_or(0);
    let limit = (with_fillers + with_fillers / FILLER_SHARE)
        .saturating_sub(value_bytes)
        .min(plus(least, SPEED_SHARE))
        .max(least);
    let fastest_first = std::iter::once(0).chain((1..=MAX_STEP_BITS).rev());
    fastest_first
        .filter_map(|step_bits| {
            let share = match step_bits {
                0 | MAX_STEP_BITS => PLAIN_POINTER_SHARE,
                _ => POINTER_SHARE,
            };
            let limit = limit.min(plus(least_of(step_bits)?, share));
            forms_of(step_bits).find(|(cost, _)| *cost <= limit)
        })
        .map(|(_, form)| form)
        .next()
        .unwrap_or(RowForm {
            step_bits: 0,
            group: 1,
        })
}

/// What the chooser has to know of the values of a block.
pub(crate) struct ValueStats {
    /// Number of entries.
    pub(crate) count: u64,
    /// Bytes of an entry.
    pub(crate) width: u64,
    /// Rotation that splits an element best: 1 for floats.
    pub(crate) rotation: u8,
    /// Bits of a code, if the payload has a codebook that holds all entries.
    pub(crate) code_bits: Option<u32>,
    /// Histograms of the byte planes after the rotation.
    pub(crate) planes: Vec<[u32; 256]>,
    /// Whether entries repeat often enough for whole patterns to be worth matching.
    pub(crate) repetitive: bool,
}

/// Plans for the values of a block, most promising first.
pub(crate) fn values(stats: &ValueStats) -> Vec<ValuePlan> {
    let raw = stats.count * stats.width;
    let planes: u64 = stats
        .planes
        .iter()
        .map(|plane| coded_or_packed(entropy_bytes(plane), stats.count) + 1)
        .sum();
    let planes_plan = ValuePlan::Planes {
        rotation: stats.rotation,
    };
    if let Some(bits) = stats.code_bits {
        let codes = (stats.count * u64::from(bits)).div_ceil(8);
        return nearest(vec![
            (codes, ValuePlan::Codebook),
            (planes, planes_plan),
            (raw, ValuePlan::Raw),
        ]);
    }
    if stats.width == 1 {
        return vec![ValuePlan::Raw];
    }
    if stats.repetitive {
        return vec![planes_plan, ValuePlan::Raw];
    }
    nearest(vec![(planes, planes_plan), (raw, ValuePlan::Raw)])
}

/// Cost of a stream that is kept packed where compressing it does not pay.
fn coded_or_packed(entropy: u64, packed: u64) -> u64 {
    (entropy + CODED_OVERHEAD).min(packed)
}

/// The gap width with the smallest packed size, and that size in bytes.
fn narrowest(stats: &GapStats, count: u64) -> (u64, u32) {
    (1u32..)
        .zip(&stats.escapes[1..])
        .map(|(bits, escapes)| (((count + escapes) * u64::from(bits)).div_ceil(8), bits))
        .min()
        .unwrap_or((u64::MAX, 8))
}

/// Bytes of the row counts, packed or coded.
fn row_count_cost(stats: &GapStats) -> u64 {
    let rows = stats.row_counts.len() as u64;
    let packed = (rows * u64::from(stats.count_bits)).div_ceil(8);
    let mut low = [0; 256];
    let mut high = [0; 256];
    for &count in &stats.row_counts {
        low[(count & 0xff) as usize] += 1;
        high[(count >> 8 & 0xff) as usize] += 1;
    }
    coded_or_packed(entropy_bytes(&low) + entropy_bytes(&high), packed)
}

/// Plans in the order of their cost, without those far above the best.
fn nearest<P>(mut costs: Vec<(u64, P)>) -> Vec<P> {
    costs.sort_by_key(|(cost, _)| *cost);
    let best = costs.first().map_or(0, |(cost, _)| *cost);
    let limit = best + (best >> SLACK_SHIFT) + CODED_OVERHEAD;
    costs
        .into_iter()
        .take_while(|(cost, _)| *cost <= limit)
        .map(|(_, plan)| plan)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparse::{Rows, bitmap_histogram};

    /// One in so many of `n` positions: their gaps are geometric.
    fn one_in(density_inverse: u64, n: u32) -> Vec<u32> {
        let mut state = 1u64;
        let is_member = |_: &u32| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33).is_multiple_of(density_inverse)
        };
        (0..n).filter(is_member).collect()
    }

    #[test]
    fn rows_are_kept_in_what_is_read_fastest_of_what_costs_little() {
        let form = |density_inverse: u64, columns: u64, value_bits| {
            let n = 64 * columns as u32;
            let members = one_in(density_inverse, n);
            let in_rows = Rows {
                columns,
                first_element: 0,
            };
            let costs = RowCosts::new(&members, n, in_rows, &ROW_GROUPS);
            row_form(value_bits, &costs)
        };
        let bytes = RowForm {
            step_bits: 8,
            group: 1,
        };
        assert_eq!(form(60, 4096, 32), bytes);
        // Short rows, narrow values.
        assert_ne!(form(60, 64, 32), bytes);
        assert_ne!(form(60, 4096, 4), bytes);
        // Short gaps: wider steps than are smallest, which are four bits, but not of a byte.
        assert_eq!(form(10, 4096, 32).step_bits, 6);
        for density_inverse in 2..=5 {
            assert_eq!(form(density_inverse, 4096, 32).step_bits, 0);
        }
    }

    fn plans(n: u32, step: usize) -> Vec<PositionPlan> {
        let members: Vec<u32> = (0..n)
            .filter(|i| (i.wrapping_mul(2_654_435_761) as usize).is_multiple_of(step))
            .collect();
        let gaps = GapStats::new(&members, n, None);
        positions(
            n,
            members.len() as u32,
            &gaps,
            None,
            &bitmap_histogram(&members, n),
        )
    }

    #[test]
    fn thin_sets_are_gaps_and_thick_ones_bitmaps() {
        assert!(matches!(
            plans(100_000, 100)[0],
            PositionPlan::RelativeIndex(_)
        ));
        assert!(!plans(100_000, 100).contains(&PositionPlan::Bitmap));
        assert_eq!(plans(100_000, 2)[0], PositionPlan::Bitmap);
        // Gaps would do as well: half of the positions, at random, are a bit each.
        let members = one_in(2, 100_000);
        let gaps = GapStats::new(&members, 100_000, None);
        let bitmap = bitmap_histogram(&members, 100_000);
        let plans = positions(100_000, members.len() as u32, &gaps, None, &bitmap);
        assert_eq!(plans, [PositionPlan::Bitmap]);
    }

    #[test]
    fn the_gap_width_follows_the_density() {
        // Geometric gaps. Escapes carry no value, so narrow gaps cost less than Han et al.'s fillers.
        let width = |density_inverse| {
            let members = one_in(density_inverse, 200_000);
            narrowest(
                &GapStats::new(&members, 200_000, None),
                members.len() as u64,
            )
            .1
        };
        assert_eq!((width(25), width(13), width(6)), (6, 5, 3));
    }
}

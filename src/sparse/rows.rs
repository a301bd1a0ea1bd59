//! Compressed sparse rows to compute on: packed steps or bitmaps, with pointers (spec §9.1.4).

use super::{Rows, row_parts};
use crate::buffer::Buffer;
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::kernels::chain::{Chain, count_nonzero};
use crate::kernels::expand::BitmapRows;
use crate::kernels::marks::{SPARE, mark};
use crate::kernels::scatter::scatter;
use crate::kernels::target::Target;
use crate::kernels::{Isa, expand, unpack};
use crate::stream::bits;
use crate::word::Word;

/// Most entries of a block, and most steps.
pub(crate) const MAX_STEPS: usize = u16::MAX as usize;

/// Most bits of a step.
pub(crate) const MAX_STEP_BITS: u32 = 8;

/// Bytes from the start of the block to the pointers: the kind included.
const HEAD_BYTES: usize = 12;

/// How a set is kept in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowForm {
    /// Bits of a step, 1 to [`MAX_STEP_BITS`]; 0 for bitmaps.
    pub(crate) step_bits: u32,
    /// Rows that share a pointer.
    pub(crate) group: u16,
}

impl RowForm {
    /// Positions that an escape skips.
    fn escape(self) -> u32 {
        !(u32::MAX << self.step_bits)
    }
}

/// The streams of a set of entries in rows, where they are: only their lengths have been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowStreams<'a> {
    pub(crate) form: RowForm,
    pub(crate) n_entries: usize,
    pub(crate) n_steps: usize,
    /// For each group.
    pub(crate) entry_pointers: &'a [[u8; 2]],
    /// For each group; the same as those of entries if there are as many steps.
    pub(crate) step_pointers: &'a [[u8; 2]],
    /// Packed.
    pub(crate) steps: &'a [u8],
    /// The same, and what follows in the block.
    pub(crate) steps_and_more: &'a [u8],
    /// Each row's bits, in whole bytes.
    pub(crate) bitmaps: &'a [u8],
    /// Positions in the block.
    n: u32,
    n_rows: usize,
    /// Columns of a row, and those of the first one before the block.
    columns: u64,
    before: u64,
}

impl<'a> RowStreams<'a> {
    /// Finds the streams of a set over `n` positions; the cursor stands after the kind of the block's
    /// first set.
    pub(crate) fn read(cursor: &mut Cursor<'a>, n: u32, rows: Rows) -> Result<Self> {
        let step_bits = u32::from(cursor.u8()?);
        if step_bits > MAX_STEP_BITS {
            return Err(Error::unsupported(format!("form {step_bits:#04x} of rows")));
        }
        let group = cursor.u16()?;
        let (n_entries, n_steps) = (cursor.u32()? as usize, cursor.u32()? as usize);
        if group == 0
            || n_entries > MAX_STEPS
            || n_steps > MAX_STEPS
            || (step_bits == 0 && n_steps > 0)
        {
            return Err(Error::corrupt(format!(
                "{n_entries} entries in {n_steps} steps of {step_bits} bits, groups of {group} rows"
            )));
        }
        let mut streams = Self {
            form: RowForm { step_bits, group },
            n_entries,
            n_steps,
            entry_pointers: &[],
            step_pointers: &[],
            steps: &[],
            steps_and_more: &[],
            bitmaps: &[],
            n,
            n_rows: rows.count(n),
            columns: rows.columns,
            before: rows.before(),
        };
        let pointer_bytes = streams.n_groups().saturating_mul(2);
        streams.entry_pointers = cursor.take(pointer_bytes)?.as_chunks().0;
        if step_bits == 0 {
            let last = streams.n_rows().saturating_sub(1);
            streams.bitmaps = cursor.take(streams.bitmap_range(last).end)?;
        } else {
            streams.step_pointers = match n_steps == n_entries {
                true => streams.entry_pointers,
                false => cursor.take(pointer_bytes)?.as_chunks().0,
            };
            streams.steps_and_more = cursor.rest();
            streams.steps = cursor.take(bits::packed_bytes(n_steps, step_bits)?)?;
        }
        Ok(streams)
    }

    /// Rows that have an element in the block: at most 2^22.
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    pub(crate) fn n_groups(&self) -> usize {
        self.n_rows().div_ceil(self.form.group.into())
    }

    /// Positions of the elements of `rows`.
    pub(crate) fn positions(&self, rows: std::ops::Range<usize>) -> std::ops::Range<u32> {
        let start = |row: usize| {
            let start = (row as u64).saturating_mul(self.columns);
            start.saturating_sub(self.before).min(self.n.into()) as u32
        };
        start(rows.start)..start(rows.end)
    }

    /// Positions of the elements of one row.
    pub(crate) fn row(&self, row: usize) -> std::ops::Range<u32> {
        self.positions(row..row.saturating_add(1))
    }

    /// The rows of a group.
    pub(crate) fn rows_of(&self, group: usize) -> std::ops::Range<usize> {
        let start = |group: usize| group.saturating_mul(self.form.group.into());
        start(group)..start(group.saturating_add(1)).min(self.n_rows())
    }

    /// Entries before a group, or all of them, as its pointer says.
    pub(crate) fn entries_before(&self, group: usize) -> usize {
        let pointer = self.entry_pointers.get(group);
        pointer.map_or(self.n_entries, |&pointer| number(pointer))
    }

    /// Steps before a group, or all of them, as its pointer says.
    pub(crate) fn steps_before(&self, group: usize) -> usize {
        let pointer = self.step_pointers.get(group);
        pointer.map_or(self.n_steps, |&pointer| number(pointer))
    }

    /// Where the bits of a row of the block are in the bitmaps.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the row is one of the block's, and has no more bytes than elements"
    )]
    pub(crate) fn bitmap_range(&self, row: usize) -> std::ops::Range<usize> {
        let bytes = |row| self.row(row).len().div_ceil(8);
        // All between the first row and this one are whole.
        let start = match row.checked_sub(1) {
            None => 0,
            Some(between) => bytes(0) + between * bytes(1),
        };
        start..start + bytes(row)
    }

    /// The bitmaps of some rows of the block; `None` if there are none.
    pub(crate) fn bitmaps_of(&self, rows: std::ops::Range<usize>) -> Option<&'a [u8]> {
        let (first, last) = (rows.start, rows.end.checked_sub(1)?);
        let range = self.bitmap_range(first).start..self.bitmap_range(last).end;
        self.bitmaps.get(range)
    }
}

/// A set of entries in rows, with its pointers checked.
pub(crate) struct RowSet<'a> {
    streams: RowStreams<'a>,
    /// The steps, a byte each.
    steps: Buffer<u8>,
}

/// The steps of the entries of a group, of which positions count from `start`.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a writer's members ascend strictly from `start` on, and an escape is at least 1"
)]
fn group_steps(out: &mut Vec<u8>, members: &[u32], start: u32, escape: u32) {
    let mut after = start;
    for &member in members {
        let gap = member - after;
        out.extend(std::iter::repeat_n(0, (gap / escape) as usize));
        out.push((gap % escape + 1) as u8);
        after = member + 1;
    }
}

/// What a set would take in each form.
pub(crate) struct RowCosts {
    n_members: usize,
    n_rows: u64,
    bitmap_bytes: u64,
    /// For each number of rows that share a pointer: escapes with so many bits of a step.
    escapes: Vec<(u16, [u64; MAX_STEP_BITS as usize + 1])>,
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a writer's members ascend strictly; forms are those that it tries; counts are of a block"
)]
impl RowCosts {
    /// Of a set over `n` positions; rows may share a pointer in `groups`.
    pub(crate) fn new(members: &[u32], n: u32, rows: Rows, groups: &[u16]) -> Self {
        let mut in_rows = [0; MAX_STEP_BITS as usize + 1];
        let mut escapes: Vec<_> = groups.iter().map(|&group| (group, in_rows)).collect();
        // Where the groups that the row is in start.
        let mut starts = vec![0; groups.len()];
        let (mut start, mut after, mut n_rows, mut bitmap_bytes) = (0, 0, 0, 0);
        let mut left = members;
        for end in rows.ends(n) {
            for (group_start, &group) in starts.iter_mut().zip(groups) {
                if n_rows % u64::from(group) == 0 {
                    *group_start = start;
                }
            }
            let (of_row, rest) = left.split_at(left.partition_point(|&m| m < end));
            if let Some((&first, others)) = of_row.split_first() {
                for ((_, escapes), &group_start) in escapes.iter_mut().zip(&starts) {
                    add_escapes(escapes, first - after.max(group_start));
                }
                after = first + 1;
                for &member in others {
                    add_escapes(&mut in_rows, member - after);
                    after = member + 1;
                }
            }
            n_rows += 1;
            bitmap_bytes += u64::from((end - start).div_ceil(8));
            (start, left) = (end, rest);
        }
        for (_, escapes) in &mut escapes {
            escapes.iter_mut().zip(in_rows).for_each(|(a, b)| *a += b);
        }
        Self {
            n_members: members.len(),
            n_rows,
            bitmap_bytes,
            escapes,
        }
    }

    /// Bytes that the set would take; `None` if pointers can't count its entries or steps, or not with
    /// so many rows for each.
    pub(crate) fn of(&self, form: RowForm) -> Option<u64> {
        let pointers = 2 * self.n_rows.div_ceil(form.group.into());
        let head = HEAD_BYTES as u64 + pointers;
        if self.n_members > MAX_STEPS {
            return None;
        }
        if form.step_bits == 0 {
            return Some(head + self.bitmap_bytes);
        }
        let (_, escapes) = self
            .escapes
            .iter()
            .find(|(group, _)| *group == form.group)?;
        let n_escapes = escapes[form.step_bits as usize];
        let n_steps = self.n_members as u64 + n_escapes;
        let second = if n_escapes == 0 { 0 } else { pointers };
        let packed = (n_steps * u64::from(form.step_bits)).div_ceil(8);
        (n_steps <= MAX_STEPS as u64).then_some(head + second + packed)
    }

    /// Bytes of the values, of so many bits.
    pub(crate) fn value_bytes(&self, value_bits: u32) -> u64 {
        (self.n_members as u64 * u64::from(value_bits)).div_ceil(8)
    }

    /// About the bytes that positions and values would take as a relative index with filler zeros, which is
    /// one chain and has no pointers.
    pub(crate) fn with_fillers(&self, value_bits: u32) -> u64 {
        let longest_chains = self.escapes.last();
        let bytes = |(_, escapes): &(u16, [u64; MAX_STEP_BITS as usize + 1])| {
            (1..=MAX_STEP_BITS)
                .map(|bits| {
                    let n_entries = self.n_members as u64 + escapes[bits as usize];
                    (n_entries * u64::from(bits + value_bits)).div_ceil(8)
                })
                .min()
        };
        longest_chains.and_then(bytes).unwrap_or(u64::MAX / 2)
    }
}

/// Adds the escapes that a gap needs with so many bits of a step.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "an escape is at least 1, and all of them together are positions of a block"
)]
fn add_escapes(escapes: &mut [u64; MAX_STEP_BITS as usize + 1], gap: u32) {
    for (bits, count) in escapes.iter_mut().enumerate().skip(1) {
        let escape = (1 << bits) - 1;
        if gap < escape {
            break;
        }
        *count += u64::from(gap / escape);
    }
}

/// Calls `f` with the start of each group of rows and its members.
fn for_each_group(members: &[u32], ends: &[u32], group: u16, mut f: impl FnMut(u32, &[u32])) {
    let (mut start, mut left) = (0, members);
    for rows in ends.chunks(usize::from(group)) {
        let end = rows.last().copied().unwrap_or(start);
        let (of_group, rest) = left.split_at(left.partition_point(|&m| m < end));
        f(start, of_group);
        (start, left) = (end, rest);
    }
}

/// Appends the set of `members`, whose [cost](RowCosts) has been found. `out` is the block so far: only its kind.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a writer's members ascend strictly, and each lies in its row"
)]
pub(crate) fn write(out: &mut Vec<u8>, members: &[u32], n: u32, rows: Rows, form: RowForm) {
    let ends: Vec<u32> = rows.ends(n).collect();
    let (mut entry_pointers, mut step_pointers) = (vec![], vec![]);
    let (mut n_entries, mut steps) = (0, vec![]);
    for_each_group(members, &ends, form.group, |start, members| {
        entry_pointers.push(n_entries as u16);
        step_pointers.push(steps.len() as u16);
        n_entries += members.len();
        if form.step_bits > 0 {
            group_steps(&mut steps, members, start, form.escape());
        }
    });
    out.push(form.step_bits as u8);
    out.extend_from_slice(&form.group.to_le_bytes());
    out.extend_from_slice(&(n_entries as u32).to_le_bytes());
    out.extend_from_slice(&(steps.len() as u32).to_le_bytes());
    let mut put = |pointers: &[u16]| {
        pointers
            .iter()
            .for_each(|p| out.extend_from_slice(&p.to_le_bytes()));
    };
    put(&entry_pointers);
    if form.step_bits == 0 {
        let mut start = 0;
        for (&end, range) in ends.iter().zip(row_parts(members, ends.iter().copied())) {
            let at = out.len();
            out.resize(at + (end - start).div_ceil(8) as usize, 0);
            for &member in &members[range] {
                let position = member - start;
                out[at + position as usize / 8] |= 1 << (position % 8);
            }
            start = end;
        }
        return;
    }
    if steps.len() != n_entries {
        put(&step_pointers);
    }
    let steps: Vec<u32> = steps.into_iter().map(u32::from).collect();
    out.extend(bits::pack(&steps, form.step_bits));
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "rows end one after the other in a block of at most 2^22 elements, and there are bitmaps of all; \
              there is a pointer for each group of rows, at least one; pointers ascend from 0 to at most \
              the number of steps"
)]
impl<'a> RowSet<'a> {
    /// Reads a set over `n` positions; the cursor stands after the kind of the block's first set.
    pub(crate) fn read(cursor: &mut Cursor<'a>, isa: Isa, n: u32, rows: Rows) -> Result<Self> {
        let streams = RowStreams::read(cursor, n, rows)?;
        let RowStreams {
            form,
            n_entries,
            n_steps,
            ..
        } = streams;
        check_pointers(streams.entry_pointers, n_entries)?;
        let mut set = Self {
            streams,
            steps: Buffer::new(0),
        };
        if form.step_bits == 0 {
            set.check_ends()?;
            set.check_bitmaps(isa)?;
        } else {
            if n_steps != n_entries {
                check_pointers(streams.step_pointers, n_steps)?;
            }
            set.steps = unpack::bytes(isa, streams.steps, n_steps, form.step_bits)
                .ok_or_else(|| Error::corrupt("bits after the last step are not zero"))?;
            set.check_steps()?;
        }
        Ok(set)
    }

    /// Whether the bits of all rows follow each other as those of one.
    fn is_one_row(&self) -> bool {
        let streams = &self.streams;
        let (first, others) = (streams.row(0).len() as u64, streams.columns);
        streams.n_rows == 1 || (first.is_multiple_of(8) && others.is_multiple_of(8))
    }

    /// The length of each row, if they are all as long.
    fn row_length(&self) -> Option<usize> {
        let RowStreams {
            n, columns, before, ..
        } = self.streams;
        (before == 0 && u64::from(n).is_multiple_of(columns)).then_some(columns as usize)
    }

    /// The positions of each row and its bits.
    fn bitmap_rows(&self) -> impl Iterator<Item = (std::ops::Range<usize>, &'a [u8])> {
        let streams = self.streams;
        (0..streams.n_rows).map(move |row| {
            let positions = streams.row(row);
            let bits = &streams.bitmaps[streams.bitmap_range(row)];
            (positions.start as usize..positions.end as usize, bits)
        })
    }

    /// Checks that bits after the last one of a row are zero.
    fn check_ends(&self) -> Result<()> {
        if self.is_one_row() && self.streams.n.is_multiple_of(8) {
            return Ok(());
        }
        for (row, (positions, bits)) in self.bitmap_rows().enumerate() {
            let length = positions.len();
            let last = bits.last().copied().unwrap_or(0);
            if !length.is_multiple_of(8) && last >> (length % 8) != 0 {
                return Err(Error::corrupt(format!(
                    "bits at and above position {length} of row {row} are not zero"
                )));
            }
        }
        Ok(())
    }

    /// Checks that as many bits are set as pointers say.
    fn check_bitmaps(&self, isa: Isa) -> Result<()> {
        let streams = &self.streams;
        // The first row may be cut, the others not, but for the last one.
        let first = streams.bitmaps_of(streams.rows_of(0)).unwrap_or_default();
        let row_bytes = usize::try_from(streams.columns.div_ceil(8)).unwrap_or(usize::MAX);
        let group_bytes = row_bytes.saturating_mul(streams.form.group.into());
        let others = streams.bitmaps[first.len()..].chunks(group_bytes);
        let (mut group, mut n_entries) = (0, 0);
        let mut checked = Ok(());
        expand::count_ones_of_each(isa, std::iter::once(first).chain(others), |n_set| {
            if streams.entries_before(group) != n_entries && checked.is_ok() {
                checked = self.check_pointer(group, n_entries);
            }
            group += 1;
            n_entries += n_set;
        });
        checked?;
        self.check_total(n_entries)
    }

    fn check_steps(&self) -> Result<()> {
        // Where there are as many steps as entries, pointers to steps are pointers to entries.
        let n_steps = self.streams.n_steps;
        if n_steps == self.streams.n_entries && count_nonzero(&self.steps) == n_steps {
            return Ok(());
        }
        let mut n_entries = 0;
        for group in 0..self.streams.n_groups() {
            self.check_pointer(group, n_entries)?;
            let steps = self.steps_of(group);
            if steps.last() == Some(&0) {
                return Err(Error::corrupt(format!(
                    "the last step of group {group} is an escape"
                )));
            }
            n_entries += count_nonzero(steps);
        }
        self.check_total(n_entries)
    }

    fn check_pointer(&self, group: usize, n_entries: usize) -> Result<()> {
        match self.streams.entries_before(group) {
            pointer if pointer == n_entries => Ok(()),
            pointer => Err(Error::corrupt(format!(
                "the entry pointer of group {group} is {pointer}, expected {n_entries}"
            ))),
        }
    }

    fn check_total(&self, n_entries: usize) -> Result<()> {
        match self.streams.n_entries {
            expected if expected == n_entries => Ok(()),
            expected => Err(Error::corrupt(format!(
                "{n_entries} entries, expected {expected}"
            ))),
        }
    }

    fn steps_of(&self, group: usize) -> &[u8] {
        let streams = &self.streams;
        &self.steps[streams.steps_before(group)..streams.steps_before(group + 1)]
    }

    fn chain(&self, group: usize) -> Chain<'_, u8> {
        let steps = &self.steps[self.streams.steps_before(group)..];
        let escape = self.streams.form.escape();
        Chain::new(steps, self.steps_of(group).len(), escape)
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.streams.n_entries
    }

    /// The elements of a group of rows.
    fn group_elements(&self, group: usize) -> std::ops::Range<usize> {
        let positions = self.streams.positions(self.streams.rows_of(group));
        positions.start as usize..positions.end as usize
    }

    /// Writes all elements: `values` are those of the entries, then whatever.
    pub(crate) fn fill<W: Word>(
        &self,
        background: W,
        values: &[W],
        target: &mut Target<'_, W>,
    ) -> Result<()> {
        let mut values = values;
        let streams = &self.streams;
        if streams.form.step_bits == 0 {
            if self.is_one_row() {
                target.expand_row(0..target.len(), streams.bitmaps, background, &mut values);
            } else if let Some(length) = self.row_length() {
                let numbers: Vec<u32> = (0..streams.n_rows as u32).collect();
                let rows = BitmapRows {
                    bitmaps: streams.bitmaps,
                    length,
                    rows: &numbers,
                };
                target.expand(rows, background, &mut values);
            } else {
                for (row, bits) in self.bitmap_rows() {
                    target.expand_row(row, bits, background, &mut values);
                }
            }
            return Ok(());
        }
        let isa = target.isa();
        if target.is_past_caches() {
            // In pieces of lines, wherever groups end.
            let mut groups = GroupWalk::new(self);
            target.expand_marked(0..target.len(), background, &mut values, |marks| {
                groups.mark(isa, marks);
            });
            return groups.finish();
        }
        for group in 0..streams.n_groups() {
            let mut chain = self.chain(group);
            target.clear_row(self.group_elements(group), background, |out| {
                scatter(isa, &mut chain, &mut values, out);
            });
            if !chain.is_done() {
                return Err(leads_out(group));
            }
        }
        Ok(())
    }

    /// `Corrupt` if steps lead out of the rows of their group. Bitmaps can't.
    pub(crate) fn check_positions(&self) -> Result<()> {
        if self.streams.form.step_bits == 0 {
            return Ok(());
        }
        for group in 0..self.streams.n_groups() {
            let mut chain = self.chain(group);
            chain.walk(self.group_elements(group).len(), |_| true);
            if !chain.is_done() {
                return Err(leads_out(group));
            }
        }
        Ok(())
    }

    /// The positions of the entries, ascending.
    pub(crate) fn positions(&self) -> Result<Vec<u32>> {
        let mut positions = Vec::with_capacity(self.len());
        if self.streams.form.step_bits == 0 {
            for (row, bits) in self.bitmap_rows() {
                let is_set = |i: &usize| bits[i / 8] >> (i % 8) & 1 == 1;
                let of_row = (0..row.len()).filter(is_set);
                positions.extend(of_row.map(|i| (row.start + i) as u32));
            }
            return Ok(positions);
        }
        for group in 0..self.streams.n_groups() {
            let elements = self.group_elements(group);
            let mut chain = self.chain(group);
            chain.walk(elements.len(), |position| {
                positions.push((elements.start + position) as u32);
                true
            });
            if !chain.is_done() {
                return Err(leads_out(group));
            }
        }
        Ok(positions)
    }
}

/// Walks through the groups of a set in steps, wherever that is interrupted.
struct GroupWalk<'s, 'a> {
    set: &'s RowSet<'a>,
    /// The group that comes next.
    next: usize,
    /// The chain of the one before it, and how many of its positions are left.
    chain: Chain<'s, u8>,
    left: usize,
    /// The first group whose chain was not done at its end.
    leads_out: Option<usize>,
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "marks are asked for with those to spare; groups are counted up to those of the set"
)]
impl<'s, 'a> GroupWalk<'s, 'a> {
    fn new(set: &'s RowSet<'a>) -> Self {
        Self {
            set,
            next: 0,
            chain: Chain::new(&[], 0, 0),
            left: 0,
            leads_out: None,
        }
    }

    /// Marks the entries among the next positions, as [`mark`].
    fn mark(&mut self, isa: Isa, mut marks: &mut [u8]) {
        while marks.len() > SPARE {
            if self.left == 0 {
                self.end_group();
                if self.next == self.set.streams.n_groups() {
                    return;
                }
                self.chain = self.set.chain(self.next);
                self.left = self.set.group_elements(self.next).len();
                self.next += 1;
            }
            let n = self.left.min(marks.len() - SPARE);
            // What is to spare are the next group's marks, zero again afterwards.
            mark(isa, &mut self.chain, &mut marks[..n + SPARE]);
            self.left -= n;
            marks = &mut marks[n..];
        }
    }

    fn end_group(&mut self) {
        if !self.chain.is_done() {
            self.leads_out.get_or_insert(self.next - 1);
        }
    }

    /// `Corrupt` if a chain led out of the rows of its group.
    fn finish(mut self) -> Result<()> {
        self.end_group();
        match self.leads_out {
            None => Ok(()),
            Some(group) => Err(leads_out(group)),
        }
    }
}

fn leads_out(group: usize) -> Error {
    Error::corrupt(format!("the steps of group {group} lead out of its rows"))
}

/// Checks that pointers ascend from 0 to at most `end`.
fn check_pointers(pointers: &[[u8; 2]], end: usize) -> Result<()> {
    let ends_early = pointers.last().is_some_and(|&last| number(last) <= end);
    let ascend = pointers.is_sorted_by_key(|&pointer| number(pointer));
    if pointers.first() != Some(&[0, 0]) || !ascend || !ends_early {
        return Err(Error::corrupt(format!(
            "the pointers of {} groups do not ascend from 0 to {end}",
            pointers.len()
        )));
    }
    Ok(())
}

fn number(pointer: [u8; 2]) -> usize {
    u16::from_le_bytes(pointer).into()
}

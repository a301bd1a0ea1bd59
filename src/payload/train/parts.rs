//! What the parts of the classes have, and in which form that is smallest.

use crate::choose::cost::{BIT, code_lengths, entropy};
use crate::sparse::classes::{ESCAPE, Form, Lines, MAX_LOW_BITS, holes, steps_of};
use crate::stream::huffman::{MAX_SYMBOLS, PrefixCode, SymbolOrder};

use super::values::smoothed;

/// Gaps below this are counted one by one.
const SMALL_GAPS: usize = 4096;

/// What decoding takes, about, in units of 1/16 ns: a symbol of a bundle, an element of a bitmap, a
/// step that leads to an entry, low bits that are joined to it, and a hole.
const SYMBOL: u64 = 9;
const EXPAND: u64 = 1;
const SCATTER: u64 = 20;
const WIDEN: u64 = 8;
const HOLE: u64 = 64;

/// What it takes more where rows have classes: a row, which is looked for and written by itself.
pub(super) const ROW: u64 = 480;

/// And where columns have some: a line, and an entry that is put to its column.
const LINE: u64 = 320;
const COLUMN: u64 = 16;

/// And what reading a code, making its decode table and starting to use it takes.
pub(super) const TABLE: u64 = 2000 * 16;

/// Bits that a nanosecond of decoding is worth, in units of 2^-16 of them for 1/16 ns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Price(u64);

impl Price {
    /// Where the form of a part is chosen, an eighth of a bit for a nanosecond: a 200th of a float's entropy for
    /// a third of the time that its entry takes.
    pub(super) const OF_FORMS: Self = Self(BIT / 16 / 8);

    /// Where classes are, a third: for an eighth a small layer of which they save a 60th took half as long again
    /// to read. For forms a third would be too much: four layers of 137 would take a 200th more for 3 µs each.
    pub(super) const OF_CLASSES: Self = Self(BIT / 16 / 3);

    /// What so much time is worth, in units of 2^-16 bits.
    pub(super) fn of(self, time: u64) -> u64 {
        self.0 * time
    }
}

/// How often which symbols occur in a part.
#[derive(Clone, Default)]
pub(super) struct PartCounts {
    pub(super) n_lines: u64,
    n_positions: u64,
    n_entries: u64,
    /// Bytes of bitmaps, by their value; empty if they were not counted.
    bitmap: Vec<u64>,
    /// Gaps by their width, then those from [`SMALL_GAPS`] on; empty if they were not counted.
    gaps: Vec<u64>,
    wide_gaps: Vec<u32>,
    /// Steps; empty if they were not counted, but gaps.
    steps: Vec<u64>,
}

impl PartCounts {
    /// Adds the part with this number of a block; only what its `form` needs if that is known.
    pub(super) fn add(&mut self, lines: &Lines, part: usize, form: Option<Form>) {
        self.n_lines += lines.n_lines(part);
        self.n_positions += lines.len(part);
        self.n_entries += lines.n_entries(part) as u64;
        if let Some(Form::All | Form::Holes) = form {
            return;
        }
        if let Some(Form::CodedSteps { low_bits }) = form {
            self.steps.resize(MAX_SYMBOLS, 0);
            let (symbols, _) = steps_of(lines.gaps(part), low_bits);
            symbols
                .iter()
                .for_each(|&s| self.steps[usize::from(s)] += 1);
            return;
        }
        self.bitmap.resize(MAX_SYMBOLS, 0);
        lines
            .bitmaps(part)
            .iter()
            .for_each(|&byte| self.bitmap[usize::from(byte)] += 1);
        if form.is_none() {
            self.gaps.resize(SMALL_GAPS, 0);
            for gap in lines.gaps(part) {
                match self.gaps.get_mut(gap as usize) {
                    Some(count) => *count += 1,
                    None => self.wide_gaps.push(gap),
                }
            }
            self.gaps = trimmed(std::mem::take(&mut self.gaps));
        }
    }

    /// Adds what was counted elsewhere.
    pub(super) fn merge(&mut self, other: &Self) {
        self.n_lines += other.n_lines;
        self.n_positions += other.n_positions;
        self.n_entries += other.n_entries;
        for (into, from) in [
            (&mut self.bitmap, &other.bitmap),
            (&mut self.gaps, &other.gaps),
            (&mut self.steps, &other.steps),
        ] {
            into.resize(into.len().max(from.len()), 0);
            into.iter_mut()
                .zip(from)
                .for_each(|(into, from)| *into += from);
        }
        self.wide_gaps.extend(&other.wide_gaps);
    }

    /// The form that is smallest, what its symbols cost, and its tables, in units of 2^-16 bits.
    pub(super) fn best_form(&self, price: Price) -> (Form, u64, u64) {
        if self.n_entries == 0 {
            return (Form::None, 0, 0);
        }
        if self.n_entries == self.n_positions {
            return (Form::All, 0, 0);
        }
        let n_bytes: u64 = self.bitmap.iter().sum();
        let expanding = price.of(EXPAND * self.n_positions);
        let mut best = (Form::Bitmap, 8 * n_bytes * BIT + expanding, 0);
        let mut consider = |form, coded, tables| {
            if coded + tables < best.1 + best.2 {
                best = (form, coded, tables);
                return true;
            }
            false
        };
        let n_holes = self.n_positions - self.n_entries;
        let coded = holes::cost(self.n_positions, n_holes) * BIT + price.of(HOLE * n_holes);
        consider(Form::Holes, coded + expanding, 0);
        // Only a code with a chance is made.
        let coded = entropy(&self.bitmap);
        if coded < 8 * n_bytes * BIT {
            let coded = coded + price.of(SYMBOL * n_bytes) + expanding;
            let tables = code_lengths(&self.bitmap, SymbolOrder::SetBits) + price.of(TABLE);
            consider(Form::CodedBitmap, coded, tables);
        }
        let mut least = u64::MAX;
        for low_bits in 0..=MAX_LOW_BITS {
            let steps = self.steps_with(low_bits);
            let coded = entropy(&steps) + self.n_entries * u64::from(low_bits) * BIT;
            if coded > least.saturating_add(least / 64) {
                break;
            }
            least = least.min(coded);
            let n_steps: u64 = steps.iter().sum();
            let widening = if low_bits > 0 { WIDEN } else { 0 };
            let coded = coded + price.of((SYMBOL + SCATTER + widening) * n_steps);
            let tables = code_lengths(&steps, SymbolOrder::Number) + price.of(TABLE);
            consider(Form::CodedSteps { low_bits }, coded, tables);
        }
        best
    }

    /// What it takes that its lines are those of a class of columns, in units of 1/16 ns: nothing where
    /// they have no entries.
    pub(super) fn column_time(&self) -> u64 {
        match self.n_entries {
            0 => 0,
            n_entries => LINE * self.n_lines + COLUMN * n_entries,
        }
    }

    /// How often which steps occur with so many low bits.
    fn steps_with(&self, low_bits: u32) -> Vec<u64> {
        let mut steps = vec![0; MAX_SYMBOLS];
        let escape = (ESCAPE as usize) << low_bits;
        let mut add = |gap: usize, count: u64| {
            steps[0] += (gap / escape) as u64 * count;
            steps[((gap % escape) >> low_bits) + 1] += count;
        };
        let small = self
            .gaps
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0);
        small.for_each(|(gap, &count)| add(gap, count));
        self.wide_gaps.iter().for_each(|&gap| add(gap as usize, 1));
        trimmed(steps)
    }

    /// The code of a form that was settled before everything was counted, or the form to take
    /// instead.
    pub(super) fn code(&self, form: Form, smooth: bool) -> (Form, Option<PrefixCode>) {
        if let Form::CodedSteps { low_bits } = form {
            let mut steps = match self.gaps.is_empty() {
                true => self.steps.clone(),
                false => self.steps_with(low_bits),
            };
            if steps.is_empty() {
                return (form, PrefixCode::cheapest(&[1], SymbolOrder::Number));
            }
            // Wider steps than there were may come.
            steps.resize(MAX_SYMBOLS, 0);
            let steps = trimmed(smoothed(&steps, smooth));
            return (form, PrefixCode::cheapest(&steps, SymbolOrder::Number));
        }
        let all = self.n_positions > 0 && self.n_entries == self.n_positions;
        if !smooth || form == Form::None {
            if self.n_entries == 0 {
                return (Form::None, None);
            }
            if all {
                return (Form::All, None);
            }
        }
        // Where a sample had none, there may be some.
        if let Form::All | Form::Holes = form {
            return (Form::Holes, None);
        }
        let histogram = smoothed(&self.bitmap, smooth);
        let n_bytes: u64 = histogram.iter().sum();
        match PrefixCode::cheapest(&histogram, SymbolOrder::SetBits) {
            Some(code)
                if code.cost(&histogram) + code.written_bits(SymbolOrder::SetBits)
                    < 8 * n_bytes =>
            {
                (Form::CodedBitmap, Some(code))
            }
            _ => (Form::Bitmap, None),
        }
    }
}

/// Without the zeros at the end, but with a symbol at least.
fn trimmed(mut histogram: Vec<u64>) -> Vec<u64> {
    let n = histogram
        .iter()
        .rposition(|&count| count > 0)
        .map_or(1, |last| last + 1);
    histogram.truncate(n);
    histogram
}

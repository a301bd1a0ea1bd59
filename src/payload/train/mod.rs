//! Classes and codes of a payload, learned from its entries (spec §8.2.1, §8.2.2).
//!
//! What the classes are and in which form their parts are kept is learned from a sample of the
//! blocks; the codes are made for what all blocks have.

mod parts;
mod values;

use super::entries::Entries;
use super::{EncodeOptions, PayloadSpec};
use crate::choose::cost::entropy;
use crate::choose::rows::{N_BUCKETS, RowClassifier, RowStats, buckets};
use crate::parallel;
use crate::profile::Effort;
use crate::sparse::classes::{ColumnClasses, Form, Lines, Part};
use crate::sparse::{Classes, row_parts};
use crate::stream::huffman::{PrefixCode, SymbolOrder};
use crate::values::{Codebook, SymbolFinder, ValueCoder, ValueMap};
use crate::word::Word;
use parts::{PartCounts, Price};

/// Entries of a sample from which on more classes are tried.
const ENTRIES_FOR_CLASSES: [(usize, &[usize]); 4] = [
    (0, &[]),
    (300, &[2]),
    (1_500, &[2, 4]),
    (20_000, &[2, 4, 8]),
];

/// The same where there is no time to try much.
const ENTRIES_FOR_CLASSES_FAST: [(usize, &[usize]); 2] = [(0, &[]), (10_000, &[4])];

/// How often classes of rows and what they cost are found in turn, at most; and where there is no time for it.
const ROUNDS: usize = 6;
const ROUNDS_FAST: usize = 3;

/// Numbers of column classes that are tried.
const COLUMN_CLASSES: [usize; 3] = [2, 4, 8];

/// Columns of a class are a multiple of this, so that its bitmaps are whole bytes.
const COLUMN_STEP: usize = 8;

/// What was learned of a payload, but for the codes.
pub(super) struct Learned {
    /// Elements of a row.
    columns: u64,
    /// `None` if all rows are one class.
    rows: Option<RowClassifier>,
    /// How values become symbols.
    map: ValueMap,
    /// For each symbol of the map which kind of value it is to the row classes.
    buckets: Vec<u8>,
    /// The classes, without codes.
    classes: Classes,
}

/// How often which symbols occur in all blocks.
#[derive(Clone)]
pub(super) struct Counts {
    parts: Vec<PartCounts>,
    /// For each value table.
    values: Vec<Vec<u64>>,
}

/// Entries, the symbols of their values, and what is known of their rows.
pub(super) struct Coded<'e, W> {
    block: &'e Entries<W>,
    /// [`NO_SYMBOL`] where the map has none.
    symbols: Vec<u16>,
    /// Empty where rows have no classes.
    rows: Vec<RowStats>,
}

/// Stands for the symbol of a value that the map has none for.
const NO_SYMBOL: u16 = u16::MAX;

impl<W> Coded<'_, W> {
    /// The symbol of an entry's value.
    fn symbol(&self, entry: usize) -> Option<usize> {
        Some(self.symbols[entry])
            .filter(|&symbol| symbol != NO_SYMBOL)
            .map(usize::from)
    }
}

/// One class for everything.
fn one_class() -> Classes {
    Classes {
        n_rows: 1,
        columns: None,
        parts: vec![Part {
            form: Form::Bitmap,
            code: None,
        }],
        value_tables: vec![0],
    }
}

impl Learned {
    /// Learns from a `sample` of a payload's blocks, which are the `share` part of it (numerator and
    /// denominator), and returns what these have too, and the sample with its symbols; `None` if there is nothing
    /// to learn. `by_column` are the entries of each column in the whole payload, if its columns may get classes,
    /// else none.
    pub(super) fn from_sample<'e, W: Word>(
        spec: PayloadSpec,
        options: EncodeOptions,
        sample: &'e [Entries<W>],
        codebook: Option<&Codebook<W>>,
        share: (u64, u64),
        by_column: &[u64],
    ) -> Option<(Self, Counts, Vec<Coded<'e, W>>)> {
        let n_entries: usize = sample.iter().map(|block| block.members.len()).sum();
        if W::WIDTH > 8 || n_entries == 0 {
            return None;
        }
        let is_all = share.0 == share.1;
        let map = values::map(spec, options, sample, codebook, is_all);
        let mut learned = Self {
            columns: spec.columns,
            rows: None,
            buckets: vec![],
            map,
            classes: one_class(),
        };
        let mut sample = parallel::map(sample, |block| learned.code(block, codebook));
        let mut histogram = vec![0u64; learned.map.n_symbols()];
        for block in &sample {
            let symbols = (0..block.symbols.len()).filter_map(|entry| block.symbol(entry));
            symbols.for_each(|symbol| histogram[symbol] += 1);
        }
        learned.buckets = buckets(&histogram);
        let counts = learned.find_classes(options, &mut sample, share, by_column);
        Some((learned, counts, sample))
    }

    /// Finds the cheapest classes, forms and value tables; returns what the sample has of them.
    fn find_classes<W: Word>(
        &mut self,
        options: EncodeOptions,
        sample: &mut [Coded<'_, W>],
        share: (u64, u64),
        by_column: &[u64],
    ) -> Counts {
        let evaluate = |learned: &mut Self, sample: &[Coded<'_, W>]| {
            let counts = learned.count_sample(sample);
            let cost = learned.settle(&counts, share);
            (cost, counts)
        };
        let (mut best_cost, mut best_counts) = evaluate(self, sample);
        let n_entries: usize = sample.iter().map(|coded| coded.symbols.len()).sum();
        let has_whole_rows = sample.iter().all(|Coded { block, .. }| {
            block.first_element.is_multiple_of(self.columns)
                && u64::from(block.n).is_multiple_of(self.columns)
        });
        if !has_whole_rows {
            return best_counts;
        }
        let (table, rounds): (&[(usize, &[usize])], _) = match options.effort {
            Effort::Fast => (&ENTRIES_FOR_CLASSES_FAST, ROUNDS_FAST),
            Effort::Thorough => (&ENTRIES_FOR_CLASSES, ROUNDS),
        };
        let tried = table.iter().rev().find(|(n, _)| *n <= n_entries);
        let numbers = tried.map_or(&[][..], |(_, numbers)| numbers);
        if numbers.is_empty() {
            return best_counts;
        }
        let stats = parallel::map(sample, |coded| self.row_stats(coded));
        for (coded, stats) in sample.iter_mut().zip(stats) {
            coded.rows = stats;
        }
        let stats: Vec<RowStats> = sample
            .iter()
            .flat_map(|coded| coded.rows.iter().copied())
            .collect();
        let sample = &*sample;
        let mut keep_cheapest = |learned: &mut Self, candidates: Vec<_>| {
            let evaluated = parallel::map(&candidates, |(rows, columns)| {
                let mut other =
                    learned.with_rows(RowClassifier::clone(rows), Option::clone(columns));
                let (cost, counts) = evaluate(&mut other, sample);
                (cost, counts, other)
            });
            for (cost, counts, other) in evaluated {
                if cost < best_cost {
                    (*learned, best_cost, best_counts) = (other, cost, counts);
                }
            }
        };
        let of_rows = parallel::map(numbers, |&n| RowClassifier::train(&stats, n, rounds));
        let of_rows = of_rows.into_iter().flatten();
        keep_cheapest(self, of_rows.map(|rows| (rows, None)).collect());
        let rows = || {
            self.rows
                .clone()
                .or_else(|| RowClassifier::train(&stats, 2, rounds))
        };
        if !by_column.is_empty()
            && let Some(rows) = rows()
        {
            let of_columns = COLUMN_CLASSES
                .into_iter()
                .filter_map(|n| column_classes(by_column, n));
            let candidates = of_columns.map(|columns| (rows.clone(), Some(columns)));
            keep_cheapest(self, candidates.collect());
        }
        best_counts.share_tables(&self.classes.value_tables);
        best_counts
    }

    /// The same values with other classes.
    fn with_rows(&self, rows: RowClassifier, columns: Option<ColumnClasses>) -> Self {
        let n_rows = rows.n_classes();
        let n_parts = n_rows * columns.as_ref().map_or(1, |classes| classes.columns.len());
        Self {
            columns: self.columns,
            rows: Some(rows),
            map: self.map.clone(),
            buckets: self.buckets.clone(),
            classes: Classes {
                n_rows,
                columns,
                parts: vec![one_class().parts[0].clone(); n_parts],
                value_tables: (0..n_rows as u8).collect(),
            },
        }
    }

    /// Finds the symbols of a block's values.
    pub(super) fn code<'e, W: Word>(
        &self,
        block: &'e Entries<W>,
        codebook: Option<&Codebook<W>>,
    ) -> Coded<'e, W> {
        let finder = SymbolFinder::new(&self.map, codebook);
        let symbol = |&pattern: &W| {
            finder
                .find(pattern)
                .map_or(NO_SYMBOL, |(symbol, ..)| symbol.into())
        };
        let mut coded = Coded {
            block,
            symbols: block.patterns.iter().map(symbol).collect(),
            rows: vec![],
        };
        if self.rows.is_some() {
            coded.rows = self.row_stats(&coded);
        }
        coded
    }

    /// What is known of the rows of a block.
    fn row_stats<W: Word>(&self, coded: &Coded<'_, W>) -> Vec<RowStats> {
        let columns = self.columns as u32;
        let ends = (1..=coded.block.n / columns).map(|row| row * columns);
        row_parts(&coded.block.members, ends)
            .map(|range| {
                let mut buckets = [0u16; N_BUCKETS];
                for symbol in range.clone().filter_map(|entry| coded.symbol(entry)) {
                    let bucket = &mut buckets[usize::from(self.buckets[symbol])];
                    *bucket = bucket.saturating_add(1);
                }
                RowStats {
                    length: columns,
                    n_entries: range.len() as u32,
                    buckets,
                }
            })
            .collect()
    }

    /// The class of each row of a block.
    pub(super) fn classify<W: Word>(&self, coded: &Coded<'_, W>) -> Vec<u8> {
        match &self.rows {
            None => vec![],
            Some(rows) => coded
                .rows
                .iter()
                .map(|row| rows.classify(row) as u8)
                .collect(),
        }
    }

    /// The lines of a block.
    pub(super) fn lines<W: Word>(&self, block: &Entries<W>, row_classes: &[u8]) -> Lines {
        Lines::new(
            &self.classes,
            row_classes,
            &block.members,
            block.n,
            self.columns as u32,
        )
    }

    /// Nothing counted yet.
    pub(super) fn no_counts(&self) -> Counts {
        let n_tables = self
            .classes
            .value_tables
            .iter()
            .max()
            .map_or(0, |&last| usize::from(last) + 1);
        let n_symbols = self.map.n_symbols();
        Counts {
            parts: vec![PartCounts::default(); self.classes.parts.len()],
            values: vec![vec![0; n_symbols]; n_tables],
        }
    }

    /// Counts what a block has. With `forms`, only what is to be known for the forms that were
    /// settled.
    pub(super) fn count<W: Word>(&self, counts: &mut Counts, coded: &Coded<'_, W>, forms: bool) {
        let row_classes = self.classify(coded);
        let lines = self.lines(coded.block, &row_classes);
        for (number, (part, counts)) in self.classes.parts.iter().zip(&mut counts.parts).enumerate()
        {
            counts.add(&lines, number, forms.then_some(part.form));
        }
        let mut order = lines.order.iter();
        for (class, &table) in self.classes.value_tables.iter().enumerate() {
            let n = self.entries_of_class(&lines, class);
            let histogram = &mut counts.values[usize::from(table)];
            for &entry in order.by_ref().take(n) {
                if let Some(symbol) = coded.symbol(entry as usize) {
                    histogram[symbol] += 1;
                }
            }
        }
    }

    fn entries_of_class(&self, lines: &Lines, class: usize) -> usize {
        let n = self.classes.n_columns();
        (class * n..(class + 1) * n)
            .map(|part| lines.n_entries(part))
            .sum()
    }

    /// How many of a block's values have each value table.
    pub(super) fn runs(&self, lines: &Lines) -> Vec<usize> {
        let mut runs = Vec::new();
        for (class, &table) in self.classes.value_tables.iter().enumerate() {
            runs.resize(runs.len().max(usize::from(table) + 1), 0);
            runs[usize::from(table)] += self.entries_of_class(lines, class);
        }
        runs
    }

    fn count_sample<W: Word>(&self, sample: &[Coded<'_, W>]) -> Counts {
        let of_each = parallel::map(sample, |coded| {
            let mut counts = self.no_counts();
            self.count(&mut counts, coded, false);
            counts
        });
        let mut counts = self.no_counts();
        of_each.iter().for_each(|of_block| counts.merge(of_block));
        counts
    }

    /// Settles the forms of parts and the value tables; returns what all of it costs in units of
    /// 2^-16 bits, if the payload goes on as its `share` that was counted.
    fn settle(&mut self, counts: &Counts, share: (u64, u64)) -> u64 {
        let whole =
            |cost: u64| (u128::from(cost) * u128::from(share.1) / u128::from(share.0)) as u64;
        let price = Price::OF_CLASSES;
        let mut cost = 0;
        for (part, counts) in self.classes.parts.iter_mut().zip(&counts.parts) {
            let (form, coded, tables) = counts.best_form(Price::OF_FORMS);
            part.form = form;
            cost += whole(coded) + tables;
        }
        let rows_of_class: Vec<u64> = counts
            .parts
            .iter()
            .step_by(self.classes.n_columns())
            .map(|part| part.n_lines)
            .collect();
        cost += whole(entropy(&rows_of_class));
        if self.classes.n_rows > 1 {
            let n_rows: u64 = rows_of_class.iter().sum();
            cost += whole(price.of(parts::ROW * n_rows));
        }
        if let Some(columns) = &self.classes.columns {
            let sizes: Vec<u64> = columns
                .columns
                .iter()
                .map(|of_class| of_class.len() as u64)
                .collect();
            cost += entropy(&sizes);
            let time = counts.parts.iter().map(PartCounts::column_time).sum();
            cost += whole(price.of(time));
        }
        let (value_tables, of_values) =
            values::share_tables(&counts.values, whole, price.of(parts::TABLE));
        self.classes.value_tables = value_tables;
        cost + of_values
    }

    /// Makes the codes for what was counted. With `smooth`, symbols that were not counted get code
    /// words too, and no part is taken to have no entries or to have all.
    pub(super) fn finish(
        mut self,
        counts: &Counts,
        smooth: bool,
    ) -> (Option<Classes>, ValueCoder, Self) {
        for (part, counts) in self.classes.parts.iter_mut().zip(&counts.parts) {
            (part.form, part.code) = counts.code(part.form, smooth);
        }
        let coder = ValueCoder {
            map: self.map.clone(),
            codes: counts
                .values
                .iter()
                .filter_map(|histogram| {
                    let mut histogram = values::smoothed(histogram, smooth);
                    if histogram.iter().all(|&count| count == 0) {
                        histogram[0] = 1;
                    }
                    PrefixCode::cheapest(&histogram, SymbolOrder::Number)
                })
                .collect(),
        };
        let first = &self.classes.parts[0];
        let needs_classes =
            self.classes.n_rows > 1 || first.code.is_some() || first.form == Form::Holes;
        (needs_classes.then(|| self.classes.clone()), coder, self)
    }
}

impl Counts {
    /// Makes one of the values of classes that share a table.
    fn share_tables(&mut self, value_tables: &[u8]) {
        let by_class = std::mem::take(&mut self.values);
        for (&table, of_class) in value_tables.iter().zip(by_class) {
            match self.values.get_mut(usize::from(table)) {
                Some(shared) => shared.iter_mut().zip(of_class).for_each(|(a, b)| *a += b),
                // Tables are numbered in the order of the classes.
                None => self.values.push(of_class),
            }
        }
    }

    /// Adds what was counted elsewhere.
    pub(super) fn merge(&mut self, other: &Self) {
        self.parts
            .iter_mut()
            .zip(&other.parts)
            .for_each(|(into, from)| into.merge(from));
        for (into, from) in self.values.iter_mut().zip(&other.values) {
            into.iter_mut()
                .zip(from)
                .for_each(|(into, from)| *into += from);
        }
    }
}

/// Classes of columns that are about equally many and alike in their number of entries; those without
/// entries are a class of their own. `None` if there would be only one class.
fn column_classes(counts: &[u64], n: usize) -> Option<ColumnClasses> {
    let mut live: Vec<usize> = (0..counts.len())
        .filter(|&column| counts[column] > 0)
        .collect();
    let n_dead = usize::from(live.len() < counts.len());
    live.sort_by_key(|&column| counts[column]);
    let size = live.len().div_ceil(n).next_multiple_of(COLUMN_STEP);
    let mut of_column = vec![0; counts.len()];
    for (i, &column) in live.iter().enumerate() {
        of_column[column] = (n_dead + i / size) as u8;
    }
    let n_classes = n_dead + live.len().div_ceil(size);
    (n_classes > 1).then(|| ColumnClasses::new(of_column, n_classes))
}

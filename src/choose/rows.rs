//! Classes of rows that are alike: in how many of their elements are entries, and in what those are
//! (spec §8.2.1).
//!
//! A row costs least in the class whose rows have what it has. Classes and costs are found in turn,
//! as in k-means, from rows sorted by their density.

use super::cost::log2;
use std::cmp::Reverse;

/// Kinds of values that rows are told apart by.
pub(crate) const N_BUCKETS: usize = 24;

/// Fraction bits of the costs of a class.
const FRACTION: u32 = 8;

/// What is known of a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RowStats {
    /// Its elements.
    pub(crate) length: u32,
    /// Those of them that are entries.
    pub(crate) n_entries: u32,
    /// How many of the values are of which kind.
    pub(crate) buckets: [u16; N_BUCKETS],
}

/// What a row costs in a class, in units of 2^-8 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ClassCosts {
    entry: u64,
    other: u64,
    buckets: [u32; N_BUCKETS],
    /// Naming the class.
    class: u64,
}

impl ClassCosts {
    fn of(&self, row: &RowStats) -> u64 {
        let n_entries = u64::from(row.n_entries);
        let values: u64 = row
            .buckets
            .iter()
            .zip(&self.buckets)
            .map(|(&count, &cost)| u64::from(u32::from(count) * cost))
            .sum();
        n_entries * self.entry
            + (u64::from(row.length) - n_entries) * self.other
            + values
            + self.class
    }
}

/// Which class a row is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowClassifier {
    /// Rows without entries are the first class.
    has_dead: bool,
    /// The other classes, by ascending density.
    costs: Vec<ClassCosts>,
}

/// Sums over the rows of a class.
#[derive(Clone, Default)]
struct ClassSums {
    n_rows: u64,
    length: u64,
    n_entries: u64,
    buckets: [u64; N_BUCKETS],
}

impl ClassSums {
    fn add(&mut self, row: &RowStats) {
        self.n_rows += 1;
        self.length += u64::from(row.length);
        self.n_entries += u64::from(row.n_entries);
        for (sum, &count) in self.buckets.iter_mut().zip(&row.buckets) {
            *sum += u64::from(count);
        }
    }

    fn costs(&self, n_rows: u64) -> ClassCosts {
        // One more of each, so that nothing is impossible.
        let cost = |count: u64, total: u64| (log2(total + 2) - log2(count + 1)) >> (16 - FRACTION);
        let n_values: u64 = self.buckets.iter().sum();
        ClassCosts {
            entry: cost(self.n_entries, self.length),
            other: cost(self.length - self.n_entries, self.length),
            buckets: self
                .buckets
                .map(|count| cost(count, n_values + N_BUCKETS as u64) as u32),
            class: cost(self.n_rows, n_rows),
        }
    }

    /// By density, then by whatever tells two classes apart.
    fn key(&self) -> impl Ord + use<> {
        let density = u128::from(self.n_entries) << 40;
        (
            density / u128::from(self.length.max(1)),
            Reverse(self.buckets),
            self.n_rows,
        )
    }
}

impl RowClassifier {
    /// Finds at most `n_classes` classes, 2 or more, among these rows; `None` if they are all alike. Classes and
    /// costs are found in turn, at most `rounds` times.
    pub(crate) fn train(rows: &[RowStats], n_classes: usize, rounds: usize) -> Option<Self> {
        let mut live: Vec<&RowStats> = rows.iter().filter(|row| row.n_entries > 0).collect();
        let has_dead = live.len() < rows.len();
        let n = n_classes - usize::from(has_dead);
        if live.is_empty() {
            return None;
        }
        live.sort_by_key(|row| (u64::from(row.n_entries) << 32) / u64::from(row.length));
        let mut sums: Vec<ClassSums> = (0..n)
            .map(|class| {
                let mut sums = ClassSums::default();
                live[live.len() * class / n..live.len() * (class + 1) / n]
                    .iter()
                    .for_each(|row| sums.add(row));
                sums
            })
            .collect();
        let mut classifier = Self {
            has_dead,
            costs: vec![],
        };
        for _ in 0..rounds {
            sums.retain(|class| class.n_rows > 0);
            sums.sort_by_key(ClassSums::key);
            let costs: Vec<ClassCosts> = sums
                .iter()
                .map(|class| class.costs(live.len() as u64))
                .collect();
            if costs == classifier.costs {
                break;
            }
            classifier.costs = costs;
            sums = vec![ClassSums::default(); classifier.costs.len()];
            live.iter()
                .for_each(|row| sums[classifier.nearest(row)].add(row));
        }
        (classifier.n_classes() > 1).then_some(classifier)
    }

    /// Number of classes.
    pub(crate) fn n_classes(&self) -> usize {
        usize::from(self.has_dead) + self.costs.len()
    }

    /// The class of a row. A row without entries is never in one with rows that have some, if there
    /// was one such row to learn from.
    pub(crate) fn classify(&self, row: &RowStats) -> usize {
        match (self.has_dead, row.n_entries) {
            (true, 0) => 0,
            _ => usize::from(self.has_dead) + self.nearest(row),
        }
    }

    fn nearest(&self, row: &RowStats) -> usize {
        let costs = self.costs.iter().enumerate();
        costs
            .min_by_key(|(_, class)| class.of(row))
            .map_or(0, |(class, _)| class)
    }
}

/// For each symbol which kind of value it is: neighbours are of one kind, and all kinds about as
/// frequent.
pub(crate) fn buckets(histogram: &[u64]) -> Vec<u8> {
    let total: u64 = histogram.iter().sum::<u64>().max(1);
    let mut before = 0;
    histogram
        .iter()
        .map(|&count| {
            let middle = before + count / 2;
            before += count;
            (middle * N_BUCKETS as u64 / total).min(N_BUCKETS as u64 - 1) as u8
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n_entries: u32, bucket: usize) -> RowStats {
        let mut row = RowStats {
            length: 300,
            n_entries,
            ..RowStats::default()
        };
        row.buckets[bucket] = n_entries as u16;
        row
    }

    #[test]
    fn rows_of_two_densities_and_dead_ones_are_three_classes() {
        let rows: Vec<RowStats> = (0..90).map(|i| row([0, 20, 150][i % 3], 0)).collect();
        let classifier = RowClassifier::train(&rows, 3, 6).unwrap();
        assert_eq!(classifier.n_classes(), 3);
        assert_eq!(
            rows[..3]
                .iter()
                .map(|row| classifier.classify(row))
                .collect::<Vec<_>>(),
            [0, 1, 2]
        );
    }

    #[test]
    fn rows_of_one_density_differ_in_their_values() {
        let rows: Vec<RowStats> = (0..90)
            .map(|i| row(60 + i % 2, if i % 7 < 3 { 1 } else { 5 }))
            .collect();
        let classifier = RowClassifier::train(&rows, 2, 6).unwrap();
        assert_ne!(
            classifier.classify(&row(60, 1)),
            classifier.classify(&row(60, 5))
        );
    }

    #[test]
    fn rows_that_are_alike_have_no_classes() {
        assert_eq!(RowClassifier::train(&[row(0, 0); 5], 4, 6), None);
        assert_eq!(RowClassifier::train(&[row(7, 3)], 4, 6), None);
        assert_eq!(RowClassifier::train(&[], 4, 6), None);
    }

    #[test]
    fn kinds_of_values_are_about_as_frequent() {
        assert_eq!(buckets(&[1; 48])[..6], [0, 0, 1, 1, 2, 2]);
        assert_eq!(buckets(&[0, 0]), [0, 0]);
        assert_eq!(buckets(&[1, 100, 1])[1], N_BUCKETS as u8 / 2);
    }
}

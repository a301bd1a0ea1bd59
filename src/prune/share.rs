//! Weight sharing: the nonzeros of a tensor become few distinct values.

use super::sum::sum;

/// Rounds of k-means; most tensors settle in a few dozen.
const MAX_ROUNDS: usize = 1000;

/// The centroids of `values` by k-means, ascending, at most `k` of them; none of no values.
///
/// Han, Mao and Dally, *Deep Compression* (2015), §3: the first centroids are spaced evenly from the
/// smallest to the largest value ("linear initialization"), which they found best. Each value then
/// goes to the nearest centroid, the lower one of two, and each centroid to the mean of its
/// values, until no value moves. A centroid without values stays where it is.
///
/// `values` are finite. Where no more than `k` are distinct, those are the centroids.
pub(super) fn centroids(mut values: Vec<f64>, k: usize) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let mut distinct = values.clone();
    distinct.dedup();
    if distinct.len() <= k {
        return distinct;
    }
    let (first, last) = (values[0], values[values.len() - 1]);
    let mut centroids: Vec<f64> = match k {
        1 => vec![f64::midpoint(first, last)],
        _ => (0..k)
            .map(|i| first + (last - first) * (i as f64 / (k - 1) as f64))
            .collect(),
    };
    let mut ends = vec![0; k];
    for _ in 0..MAX_ROUNDS {
        let mut moved = false;
        let mut start = 0;
        for i in 0..k {
            let end = match centroids.get(i + 1) {
                Some(next) => {
                    let border = f64::midpoint(centroids[i], *next);
                    start + values[start..].partition_point(|w| *w <= border)
                }
                None => values.len(),
            };
            moved |= std::mem::replace(&mut ends[i], end) != end;
            start = end;
        }
        if !moved {
            break;
        }
        let mut start = 0;
        for (centroid, &end) in centroids.iter_mut().zip(&ends) {
            if end > start {
                *centroid = sum(values[start..end].iter().copied()) / (end - start) as f64;
            }
            start = end;
        }
        centroids.sort_unstable_by(f64::total_cmp);
    }
    centroids
}

/// The centroid that is nearest to `value`, the lower one of two. There is at least one.
pub(super) fn nearest(centroids: &[f64], value: f64) -> f64 {
    let above = centroids.partition_point(|c| *c < value);
    match (
        above.checked_sub(1).map(|below| centroids[below]),
        centroids.get(above),
    ) {
        (Some(below), Some(&above)) if value <= f64::midpoint(below, above) => below,
        (_, Some(&above)) => above,
        (Some(below), None) => below,
        (None, None) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_values_are_their_own_centroids() {
        assert_eq!(centroids(vec![2.0, 1.0, 2.0], 2), [1.0, 2.0]);
        assert!(centroids(vec![], 4).is_empty());
        assert_eq!(nearest(&[1.0, 2.0], 1.5), 1.0);
        assert_eq!(nearest(&[1.0, 2.0], 9.0), 2.0);
        assert_eq!(nearest(&[1.0, 2.0], -9.0), 1.0);
        assert_eq!(nearest(&[1.0, 2.0], 1.75), 2.0);
    }

    #[test]
    fn clusters_are_found() {
        let values = vec![-1.1, -1.0, -0.9, 0.4, 0.5, 0.6, 2.0];
        let found = centroids(values, 3);
        assert_eq!(found, [-1.0, 0.5, 2.0]);
    }

    proptest! {
        /// No centroid is nearer than a value's own, and each is the mean of its values.
        #[test]
        fn k_means_settles(
            values in prop::collection::vec(-1.0f64..1.0, 1..300),
            k in 1usize..20,
        ) {
            let found = centroids(values.clone(), k);
            prop_assert!(found.len() <= k && found.is_sorted());
            for c in &found {
                let own: Vec<f64> =
                    values.iter().copied().filter(|&w| nearest(&found, w) == *c).collect();
                let mean = sum(own.iter().copied()) / own.len() as f64;
                prop_assert!(own.is_empty() || (mean - c).abs() < 1e-12, "{} {}", mean, c);
            }
        }
    }
}

use super::*;
use proptest::prelude::*;

fn prune(rule: &str, values: &[f64], columns: usize) -> Vec<u8> {
    let rule: Rule = rule.parse().unwrap();
    let pruned = rule.prune(&[Weights { values, columns }]).unwrap();
    pruned[0].mask.iter().map(u8::from).collect()
}

#[test]
fn thresholds_are_what_the_formulas_say() {
    // σ = 2, √(Σw² / 2) = √(72 / 2) = 6.
    let values = [1.0, -3.0, -5.0, 1.0, 3.0, -1.0, -5.0, -1.0];
    assert_eq!(prune("std:0.5", &[1.0, -1.0, 3.0, 5.0], 4), [0, 0, 1, 1]);
    assert_eq!(prune("norm:0.5", &values, 8), [0, 1, 1, 0, 1, 0, 1, 0]);
    assert_eq!(prune("magnitude:1", &values, 8), [1; 8]);
    assert_eq!(prune("magnitude:1.5", &values, 8), [0, 1, 1, 0, 1, 0, 1, 0]);
    // Var = 1 and 0: the thresholds are √(Σw² / 2) = √10 and 0.
    let values = [1.0, 3.0, 3.0, 1.0];
    assert_eq!(prune("column-variance", &[3.0, 3.0, 1.0, 1.0], 1), [0; 4]);
    assert_eq!(
        prune("column-variance", &[3.0, 1.0, 1.0, 1.0], 2),
        [1, 1, 0, 1]
    );
    assert_eq!(prune("column-variance", &values, 4), [1; 4]);
}

#[test]
fn of_equal_weights_the_first_are_pruned() {
    let ones = [1.0, -1.0, 1.0, 1.0, -1.0, 1.0];
    assert_eq!(prune("sparsity:0.5", &ones, 3), [0, 0, 0, 1, 1, 1]);
    assert_eq!(prune("global:0.5", &ones, 3), [0, 0, 0, 1, 1, 1]);
    assert_eq!(prune("nm:1:3", &ones, 3), [0, 0, 1, 0, 0, 1]);
    assert_eq!(prune("block:1x3:0.5", &ones, 3), [0, 0, 0, 1, 1, 1]);
    // √(2 / 6) = 0.577
    assert_eq!(prune("error:0.58", &ones, 3), [0, 0, 1, 1, 1, 1]);
    assert_eq!(prune("sparsity:0.25", &ones, 3), [0, 0, 1, 1, 1, 1]);
}

#[test]
fn zeros_are_never_left() {
    for rule in [
        "std:0",
        "magnitude:0",
        "sparsity:0",
        "error:0",
        "nm:3:3",
        "block:1x1:0",
    ] {
        assert_eq!(prune(rule, &[0.0, -0.0, 1.0], 3), [0, 0, 1], "{rule}");
        assert_eq!(prune(rule, &[0.0; 6], 3), [0; 6], "{rule}");
    }
}

#[test]
fn nothing_is_pruned_of_nothing() {
    for rule in [
        "std:1",
        "sparsity:1",
        "global:1",
        "column-variance",
        "nm:0:2",
        "block:2x2:1",
        "error:1",
    ] {
        for columns in [0, 1, 5] {
            assert_eq!(prune(rule, &[], columns), [0; 0], "{rule}");
        }
    }
}

#[test]
fn what_is_no_number_stays_and_does_not_count() {
    let values = [f64::NAN, 1.0, f64::INFINITY, 2.0, f64::NEG_INFINITY, 3.0];
    for rule in [
        "std:9",
        "magnitude:9",
        "sparsity:1",
        "global:1",
        "norm:9",
        "error:1",
    ] {
        assert_eq!(prune(rule, &values, 6), [1, 0, 1, 0, 1, 0], "{rule}");
    }
    // Half of six elements are three, and three are finite.
    assert_eq!(prune("sparsity:0.5", &values, 6), [1, 0, 1, 0, 1, 0]);
    assert_eq!(prune("nm:1:2", &values, 6), [1, 0, 1, 0, 1, 0]);
    assert_eq!(prune("nm:0:6", &values, 6), [1, 0, 1, 0, 1, 0]);
    assert_eq!(prune("block:1x1:1", &values, 6), [1, 0, 1, 0, 1, 0]);
    assert_eq!(prune("block:1x6:1", &values, 6), [1; 6]);
}

#[test]
fn global_is_over_all_tensors_as_if_they_were_one() {
    let rule = Rule::Global(0.5);
    let tensors = [&[1.0, 4.0][..], &[], &[2.0, 1.0, 3.0, 5.0]];
    let weights = tensors.map(|values| Weights {
        values,
        columns: values.len(),
    });
    let pruned = rule.prune(&weights).unwrap();
    let masks: Vec<Vec<bool>> = pruned.iter().map(|p| p.mask.iter().collect()).collect();
    assert_eq!(
        masks,
        [vec![false, true], vec![], vec![false, false, true, true]]
    );
    assert!(pruned.iter().all(|p| p.threshold == Some(2.0)));
}

/// ‖w − w′‖ / ‖w‖ of finite weights.
fn relative_error(values: &[f64], mask: &Mask) -> f64 {
    let finite = || {
        values
            .iter()
            .zip(mask.iter())
            .filter(|(w, _)| w.is_finite())
    };
    let lost = norm(
        finite().filter(|(_, is_left)| !is_left).map(|(&w, _)| w),
        1.0,
    );
    match norm(finite().map(|(&w, _)| w), 1.0) {
        0.0 => 0.0,
        all => lost / all,
    }
}

fn tensors() -> impl Strategy<Value = (Vec<f64>, usize)> {
    let weight = prop_oneof![
        8 => (-4i32..5).prop_map(|n| f64::from(n) / 4.0),
        8 => -1.0f64..1.0,
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
    ];
    (0usize..12, 0usize..9).prop_flat_map(move |(rows, columns)| {
        (
            prop::collection::vec(weight.clone(), rows * columns),
            Just(columns),
        )
    })
}

proptest! {
    /// As many as asked for are pruned, and none that is larger than one that is left.
    #[test]
    fn the_smallest_go((values, columns) in tensors(), s in 0.0f64..=1.0) {
        let mask = prune(&format!("sparsity:{s}"), &values, columns);
        let n_finite = values.iter().filter(|w| w.is_finite()).count();
        let n = share(s, values.len()).min(n_finite);
        let zeros = values.iter().filter(|w| **w == 0.0).count();
        prop_assert_eq!(mask.iter().filter(|&&m| m == 0).count(), n.max(zeros));
        let with = |bit| values.iter().zip(&mask).filter(move |(w, m)| **m == bit && w.is_finite());
        let largest_gone = with(0).map(|(w, _)| w.abs()).fold(0.0, f64::max);
        let smallest_left = with(1).map(|(w, _)| w.abs()).fold(f64::INFINITY, f64::min);
        prop_assert!(largest_gone <= smallest_left);
    }

    /// The error is within the bound, and one weight more would be too much.
    #[test]
    fn errors_are_within_bounds((values, columns) in tensors(), e in 0.0f64..1.0) {
        let mask = prune(&format!("error:{e}"), &values, columns);
        let mask: Mask = mask.iter().map(|&m| m == 1).collect();
        prop_assert!(relative_error(&values, &mask) <= e * (1.0 + 1e-15));
        let left = values.iter().zip(mask.iter()).enumerate();
        let next = left
            .filter(|(_, (w, is_left))| *is_left && w.is_finite())
            .min_by(|a, b| a.1.0.abs().total_cmp(&b.1.0.abs()));
        if let Some((next, _)) = next {
            let more: Mask = mask.iter().enumerate().map(|(i, m)| m && i != next).collect();
            prop_assert!(relative_error(&values, &more) > e * (1.0 - 1e-15));
        }
    }

    /// Blocks go whole, and so many of them.
    #[test]
    fn blocks_go_whole((values, columns) in tensors(), r in 1usize..4, c in 1usize..4, s in 0.0f64..=1.0) {
        let mask = prune(&format!("block:{r}x{c}:{s}"), &values, columns);
        let mut gone = std::collections::BTreeMap::new();
        for (i, (w, m)) in values.iter().zip(&mask).enumerate() {
            let block = (i / columns / r, i % columns / c);
            *gone.entry(block).or_insert(true) &= *m == 0;
            prop_assert!(w.is_finite() || *m == 1);
        }
        let n_finite = gone.keys().filter(|block| {
            values.iter().enumerate().all(|(i, w)| {
                (i / columns / r, i % columns / c) != **block || w.is_finite()
            })
        }).count();
        let n_gone = gone.values().filter(|gone| **gone).count();
        prop_assert!(n_gone >= share(s, gone.len()).min(n_finite));
    }
}

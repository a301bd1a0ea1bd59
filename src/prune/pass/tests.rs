use super::*;
use crate::ErrorKind;
use crate::model::TensorData;
use crate::prune::FoundBy;
use std::collections::HashSet;

/// The example model: three kernels and three biases.
fn example() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits-300-100.pb");
    std::fs::read(path).unwrap()
}

fn run(model: &[u8], options: &PruneOptions) -> Result<Pruned> {
    let files = [InputFile {
        name: "m.pb",
        bytes: model,
    }];
    prune(&files, options)
}

fn rules(rules: &[&str]) -> PruneOptions {
    PruneOptions {
        rules: rules.iter().map(|rule| rule.parse().unwrap()).collect(),
        ..PruneOptions::default()
    }
}

/// The elements of a tensor of float32, and where they are.
fn floats(model: &[u8], name: &str) -> (std::ops::Range<usize>, Vec<f32>) {
    let files = [InputFile {
        name: "m.pb",
        bytes: model,
    }];
    let model_read = model::read(&files).unwrap();
    let tensor = model_read.tensors.iter().find(|t| t.name == name).unwrap();
    let TensorData::Raw { range, .. } = &tensor.data else {
        panic!("{name} is opaque");
    };
    let bytes = model[range.clone()].as_chunks::<4>().0;
    (
        range.clone(),
        bytes.iter().map(|&b| f32::from_le_bytes(b)).collect(),
    )
}

#[test]
fn weights_become_zero_and_nothing_else_changes() {
    let before = example();
    let pruned = run(&before, &rules(&["sparsity:0.95", "fc2/*=magnitude:0.2"])).unwrap();
    let after = &pruned.rewritten.files[0];
    let mut restored = after.clone();
    let names = ["fc1/kernel", "fc2/kernel", "fc3/kernel"];
    assert_eq!(pruned.report.tensors.len(), names.len());
    for (tensor, name) in pruned.report.tensors.iter().zip(names) {
        assert_eq!(tensor.name, name);
        let op = "MatMul".to_owned();
        assert_eq!(tensor.found_by, FoundBy::Graph { op });
        let (range, old) = floats(&before, name);
        let (_, new) = floats(after, name);
        for ((old, new), is_left) in old.iter().zip(&new).zip(tensor.mask.iter()) {
            assert_eq!(new.to_bits(), if is_left { old.to_bits() } else { 0 });
        }
        assert_eq!(
            tensor.left,
            new.iter().filter(|w| **w != 0.0).count() as u64
        );
        restored[range.clone()].copy_from_slice(&before[range]);
    }
    assert_eq!(restored, before);
    assert_eq!(pruned.report.tensors[1].threshold, Some(0.2));
    assert_eq!(pruned.report.other_tensors, 3);
    assert_eq!(pruned.report.other_parameters, 410);
}

#[test]
fn only_weights_with_a_rule_are_touched() {
    let before = example();
    let pruned = run(&before, &rules(&["fc3/*=sparsity:1"])).unwrap();
    assert_eq!(pruned.report.tensors.len(), 1);
    assert_eq!(pruned.report.left(), 0);
    assert!(pruned.report.unused.is_empty());
    let options = rules(&["fc3/*=sparsity:1", "fc4*=std:1"]);
    assert_eq!(
        run(&before, &options).unwrap().report.unused,
        ["fc4*=std:1"]
    );
    let after = &pruned.rewritten.files[0];
    assert_eq!(floats(&before, "fc1/kernel"), floats(after, "fc1/kernel"));
    assert_eq!(pruned.report.other_tensors, 5);
    let error = run(&before, &rules(&["fc4/*=sparsity:1"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("3 weights"));
}

#[test]
fn masks_made_elsewhere_are_applied_and_must_fit() {
    let before = example();
    let made = run(&before, &rules(&["global:0.97"])).unwrap();
    let mut options = PruneOptions::default();
    for tensor in &made.report.tensors {
        let mask = TensorMask {
            shape: tensor.shape.clone(),
            mask: tensor.mask.clone(),
        };
        options.masks.insert(tensor.name.clone(), mask);
    }
    let applied = run(&before, &options).unwrap();
    assert_eq!(applied.rewritten, made.rewritten);
    let error = |options: &PruneOptions| run(&before, options).unwrap_err();
    let mut wrong = options.clone();
    wrong.masks.get_mut("fc1/kernel").unwrap().shape.reverse();
    assert_eq!(error(&wrong).kind(), ErrorKind::InvalidArgument);
    assert!(error(&wrong).to_string().contains("fc1/kernel"));
    let mask = options.masks.remove("fc1/kernel").unwrap();
    options.masks.insert("fc9/kernel".to_owned(), mask);
    assert!(error(&options).to_string().contains("fc9/kernel"));
}

#[test]
fn a_mask_selects_what_no_graph_uses_as_a_weight() {
    let mut options = PruneOptions::default();
    let mask = TensorMask {
        shape: vec![10],
        mask: Mask::none_of(10),
    };
    options.masks.insert("fc3/bias".to_owned(), mask);
    let pruned = run(&example(), &options).unwrap();
    assert_eq!(pruned.report.tensors[0].found_by, FoundBy::Name);
    assert_eq!(floats(&pruned.rewritten.files[0], "fc3/bias").1, [0.0; 10]);
}

#[test]
fn shared_weights_have_few_values() {
    let before = example();
    let mut options = rules(&["sparsity:0.9"]);
    options.share = vec!["3".parse().unwrap(), "fc3*=1".parse().unwrap()];
    let pruned = run(&before, &options).unwrap();
    let dense = run(&before, &rules(&["sparsity:0.9"])).unwrap();
    for (number, most) in [8, 8, 2].into_iter().enumerate() {
        let tensor = &pruned.report.tensors[number];
        let (_, new) = floats(&pruned.rewritten.files[0], &tensor.name);
        let values: HashSet<u32> = new
            .iter()
            .filter(|w| **w != 0.0)
            .map(|w| w.to_bits())
            .collect();
        assert!(values.len() <= most, "{}", tensor.name);
        assert_eq!(tensor.mask, dense.report.tensors[number].mask);
        assert!(tensor.relative_error > dense.report.tensors[number].relative_error);
    }
}

#[test]
fn what_is_no_number_stays_and_negative_zeros_do_not() {
    let mut before = example();
    let (range, _) = floats(&before, "fc3/kernel");
    let odd = [0x7fc0_1234u32, 0xff80_0000, 0x8000_0000];
    let odd_bytes: Vec<u8> = odd.iter().flat_map(|w| w.to_le_bytes()).collect();
    before[range.start..][..12].copy_from_slice(&odd_bytes);
    let pruned = run(&before, &rules(&["fc3/*=sparsity:1"])).unwrap();
    let (_, after) = floats(&pruned.rewritten.files[0], "fc3/kernel");
    assert_eq!(after[0].to_bits(), odd[0]);
    assert_eq!(after[1].to_bits(), odd[1]);
    assert!(after[2..].iter().all(|w| w.to_bits() == 0));
    let tensor = &pruned.report.tensors[0];
    assert_eq!(
        (tensor.left, tensor.not_finite, tensor.relative_error),
        (2, 2, 1.0)
    );
    let untouched = run(&before, &rules(&["fc3/*=magnitude:0"])).unwrap();
    let (_, after) = floats(&untouched.rewritten.files[0], "fc3/kernel");
    assert_eq!(after[2].to_bits(), 0);
}

#[test]
fn errors_are_relative_to_all_finite_weights() {
    let lost_two_of_three = norm_and_error(&[4.0, 3.0, f64::NAN], &[4.0, 0.0, f64::NAN]);
    assert_eq!(lost_two_of_three, (5.0, 0.6));
    assert_eq!(norm_and_error(&[0.0; 3], &[0.0; 3]), (0.0, 0.0));
    let pruned = run(
        &example(),
        &rules(&["fc1/*=sparsity:1", "fc2/*=sparsity:0"]),
    )
    .unwrap();
    let [fc1, fc2] = &pruned.report.tensors[..] else {
        panic!("two weights");
    };
    let expected = fc1.norm / fc1.norm.hypot(fc2.norm);
    assert!((pruned.report.relative_error() - expected).abs() < 1e-12);
}

#[test]
fn there_must_be_something_to_do() {
    let kind = |options: &PruneOptions| run(&example(), options).unwrap_err().kind();
    assert_eq!(kind(&PruneOptions::default()), ErrorKind::InvalidArgument);
    let bad = Assigned::to_all(Rule::Sparsity(2.0));
    let options = PruneOptions {
        rules: vec![bad],
        ..PruneOptions::default()
    };
    assert_eq!(kind(&options), ErrorKind::InvalidArgument);
    assert_eq!(
        run(b"no model", &rules(&["std:1"])).unwrap_err().kind(),
        ErrorKind::Model
    );
}

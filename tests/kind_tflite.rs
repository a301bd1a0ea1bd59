//! The real TFLite models of the shared data: what is found in them, and what a change of a tensor
//! changes.

#![cfg(feature = "pack")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::data;
use std::collections::BTreeSet;
use std::fs;
use tfzip::DType;
use tfzip::model::{self, Change, InputFile, Model, ModelKind, TensorData};

/// Tensors, those of them that TFLite stores sparse, and the bytes of all their buffers, as TFLite's
/// own schema says.
const FILES: &[(&str, [usize; 3])] = &[
    ("ds_cnn_quantized.tflite", [22, 0, 26_744]),
    ("face_detection_front.tflite", [85, 0, 203_132]),
    ("hand_landmark_sparse.tflite", [104, 30, 2_999_472]),
    ("mlperf-kws-int8.tflite", [21, 0, 24_376]),
    ("small-dynamic-int8.tflite", [6, 0, 54_840]),
];

fn read(bytes: &[u8]) -> Model {
    model::read(&[InputFile { name: "m", bytes }]).unwrap()
}

#[test]
fn real_models_hold_these_tensors() {
    let Some(folder) = data("tflite") else {
        return;
    };
    for (name, expected) in FILES {
        let bytes = fs::read(folder.join(name)).unwrap();
        let model = read(&bytes);
        assert_eq!(model.parts[0].kind, ModelKind::TfLite);
        let mut ranges = BTreeSet::new();
        for tensor in &model.tensors {
            let TensorData::Raw { range, repeats: 0 } = &tensor.data else {
                panic!("{name}: {} is opaque", tensor.name);
            };
            ranges.insert((range.start, range.end));
            let is_values = tensor.name.ends_with(":values");
            assert!(!is_values || tensor.shape.len() == 1);
            let n: u64 = tensor.shape.iter().product();
            let width = tensor.dtype.width().unwrap();
            assert_eq!(usize::try_from(n).unwrap() * width, range.len());
        }
        let found = [
            model.tensors.len(),
            model
                .tensors
                .iter()
                .filter(|t| t.name.ends_with(":values"))
                .count(),
            ranges.iter().map(|(start, end)| end - start).sum(),
        ];
        assert_eq!(found, *expected, "{name}");
    }
}

#[test]
fn a_change_changes_a_buffer_and_nothing_else() {
    let Some(folder) = data("tflite") else {
        return;
    };
    for (name, _) in FILES {
        let bytes = fs::read(folder.join(name)).unwrap();
        let model = read(&bytes);
        for number in [0, model.tensors.len() / 2] {
            let TensorData::Raw { range, .. } = &model.tensors[number].data else {
                panic!("{name}: {} is opaque", model.tensors[number].name);
            };
            let change = Change {
                tensor: number,
                bytes: vec![0; range.len()],
            };
            let bytes = &bytes[..];
            let new = model::rewrite(&[InputFile { name, bytes }], &[change]).unwrap();
            assert_eq!(new.warnings, [""; 0]);
            let mut expected = bytes.to_vec();
            expected[range.clone()].fill(0);
            assert!(new.files == [expected], "{name}");
            assert!(read(&new.files[0]) == model, "{name}");
        }
    }
}

#[test]
fn known_tensors_are_known() {
    let Some(folder) = data("tflite") else {
        return;
    };
    let bytes = fs::read(folder.join("small-dynamic-int8.tflite")).unwrap();
    let model = read(&bytes);
    let tensor = model
        .tensors
        .iter()
        .find(|tensor| tensor.name == "functional_1/fc1_1/MatMul")
        .unwrap();
    assert_eq!(
        (tensor.dtype, &tensor.shape[..]),
        (DType::Int8, &[300, 64][..])
    );
}

//! Which tensors of the real models of the shared data are weights, and which are one thing.
//!
//! `usage.tsv` was written by another program, which asks TensorFlow for the graphs, and looked
//! through by hand; it never comes from the code that it tests. A line is
//!
//! ```text
//! MODEL  weight  FILE  TENSOR  OP
//! MODEL  group   FILE  TENSOR  FILE  TENSOR …
//! ```
//!
//! with tabs in between, files without the folder of the model, in the order of bytes.

#![cfg(feature = "pack")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::data;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tfzip::model::{self, InputFile, Model, Role, Usage};

const EXPECTED: &str = include_str!("usage.tsv");

/// The folders whose files are models each, and those whose folders are.
const FOLDERS: [(&str, bool); 7] = [
    ("graphdef", false),
    ("dense", false),
    ("pruned", false),
    ("tflite", false),
    ("keras", false),
    ("saved_model", true),
    ("checkpoint", true),
];

/// TFLite models: how many of their tensors say how their integers stand for numbers, with how many
/// scales in all, as TFLite's own schema says.
const QUANTIZED: [(&str, [usize; 2]); 5] = [
    ("ds_cnn_quantized.tflite", [20, 1154]),
    ("face_detection_front.tflite", [0, 0]),
    ("hand_landmark_sparse.tflite", [0, 0]),
    ("mlperf-kws-int8.tflite", [20, 1154]),
    ("small-dynamic-int8.tflite", [2, 400]),
];

/// Models that have no graph, or one of constants alone.
const WITHOUT_GRAPH: [(&str, &str); 6] = [
    ("pruned", "hand-sparse-f32.pb"),
    ("pruned", "face-sparse-f16.pb"),
    ("keras", "m.keras"),
    ("keras", "m.weights.h5"),
    ("keras", "mlperf-wakeword.h5"),
    ("checkpoint", "v1-lenet300-dense/model.ckpt"),
];

/// The files below a folder, by their names in it.
fn files_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            let inner = files_in(&path).into_iter();
            files.extend(inner.map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

/// What is found in a model, as lines.
fn lines(model_name: &str, files: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let files: Vec<InputFile<'_>> = files
        .iter()
        .map(|(name, bytes)| InputFile { name, bytes })
        .collect();
    let model = model::read(&files).unwrap();
    let usage = model::usage(&files, &model).unwrap();
    assert_eq!(usage.tensors.len(), model.tensors.len());
    let name = |&number: &usize| {
        let tensor = &model.tensors[number];
        format!("{}\t{}", files[tensor.file].name, tensor.name)
    };
    let mut lines = Vec::new();
    for (number, tensor) in usage.tensors.iter().enumerate() {
        if let Role::Weight { op } = &tensor.role {
            lines.push(format!("{model_name}\tweight\t{}\t{op}", name(&number)));
        }
    }
    for group in &usage.groups {
        let mut names: Vec<String> = group.iter().map(name).collect();
        names.sort();
        lines.push(format!("{model_name}\tgroup\t{}", names.join("\t")));
    }
    lines
}

#[test]
fn real_models_have_these_weights() {
    let mut found = Vec::new();
    for (folder, is_folders) in FOLDERS {
        let Some(path) = data(folder) else {
            return;
        };
        if is_folders {
            for entry in fs::read_dir(&path).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                found.extend(lines(&format!("{folder}/{name}"), &files_in(&path)));
            }
        } else {
            for (name, bytes) in files_in(&path) {
                let model_name = format!("{folder}/{name}");
                found.extend(lines(&model_name, &BTreeMap::from([(name, bytes)])));
            }
        }
    }
    found.sort();
    let expected: Vec<&str> = EXPECTED.lines().collect();
    for line in &found {
        assert!(expected.contains(&line.as_str()), "not expected: {line}");
    }
    assert_eq!(found.len(), expected.len());
}

/// The model in one file, and how its tensors are used.
fn look(path: &Path) -> (Model, Usage) {
    let bytes = fs::read(path).unwrap();
    let files = [InputFile {
        name: "model",
        bytes: &bytes,
    }];
    let model = model::read(&files).unwrap();
    let usage = model::usage(&files, &model).unwrap();
    (model, usage)
}

#[test]
fn without_a_graph_nothing_is_known() {
    for (folder, name) in WITHOUT_GRAPH {
        let Some(folder) = data(folder) else {
            return;
        };
        let (model, usage) = look(&folder.join(name));
        assert_eq!(usage.tensors.len(), model.tensors.len());
        assert!(usage.tensors.iter().all(|t| t.role == Role::Unknown));
        assert!(usage.groups.is_empty(), "{name}");
    }
}

#[test]
fn integers_of_tflite_models_stand_for_numbers() {
    let Some(folder) = data("tflite") else {
        return;
    };
    for (name, expected) in QUANTIZED {
        let (model, usage) = look(&folder.join(name));
        let mut n_scales = Vec::new();
        for (tensor, usage) in model.tensors.iter().zip(&usage.tensors) {
            if let Some(quantization) = &usage.quantization {
                let n = quantization.scales.len();
                assert_eq!(quantization.zero_points, vec![0; n]);
                assert!(n == 1 || n as u64 == tensor.shape[quantization.axis]);
                n_scales.push(n);
            }
        }
        assert_eq!([n_scales.len(), n_scales.iter().sum()], expected, "{name}");
    }
}

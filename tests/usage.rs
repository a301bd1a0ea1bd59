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

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::data;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tfzip::model::{self, InputFile, Role};

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

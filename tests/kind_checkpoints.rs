//! Real checkpoints: what is found in them is what TensorFlow finds, and a changed tensor leaves a
//! checkpoint that is whole.
//!
//! The numbers in [`CHECKPOINTS`] come from TensorFlow 2.21, which read the same files.

#![cfg(feature = "pack")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::data;
use std::fs;
use std::path::Path;
use tfzip::model::{self, Change, InputFile, Model, ModelKind, TensorData};

/// Names and contents of files, in the order of names.
type Files = Vec<(String, Vec<u8>)>;

/// A folder and the beginning of the names of a checkpoint's files in it; how many tensors there
/// are and how many bytes of raw elements; the CRC-32 of all of it, see [`digest`].
const CHECKPOINTS: &[(&str, &str, usize, usize, u32)] = &[
    (
        "checkpoint/v1-dtypes",
        "model.ckpt-7",
        6,
        129_600,
        2_209_678_434,
    ),
    (
        "checkpoint/v1-lenet300-dense",
        "model.ckpt",
        20,
        3_199_328,
        1_771_340_875,
    ),
    (
        "checkpoint/v1-lenet300-pruned",
        "model.ckpt",
        20,
        3_199_328,
        3_063_520_115,
    ),
    (
        "checkpoint/v1-session-bundle",
        "export-",
        2,
        8,
        2_582_166_888,
    ),
    (
        "checkpoint/v1-sharded",
        "model.ckpt-7-",
        6,
        129_600,
        2_209_678_434,
    ),
    (
        "checkpoint/v2-dscnn",
        "ds_cnn_0.939_ckpt.",
        137,
        289_700,
        2_787_441_577,
    ),
    (
        "checkpoint/v2-lenet300-b",
        "model.ckpt.",
        6,
        1_066_440,
        2_475_990_413,
    ),
    (
        "checkpoint/v2-lenet300-dns",
        "model.ckpt.",
        6,
        1_066_440,
        968_870_544,
    ),
    (
        "checkpoint/v2-many-dtypes",
        "merged.",
        9,
        60_621,
        20_460_630,
    ),
    (
        "checkpoint/v2-sharded",
        "model.ckpt-7.",
        6,
        133_600,
        3_772_932_568,
    ),
    ("saved_model/assets/variables", "", 2, 51_200, 4_272_326_442),
    (
        "saved_model/keras-tf2/variables",
        "",
        18,
        26_160,
        1_565_661_337,
    ),
    (
        "saved_model/keras3-export/variables",
        "",
        21,
        414_480,
        3_211_568_205,
    ),
    (
        "saved_model/lenet300-a/variables",
        "",
        6,
        1_066_440,
        736_062_736,
    ),
    (
        "saved_model/lenet300-b/variables",
        "",
        6,
        1_066_440,
        2_475_990_413,
    ),
    (
        "saved_model/mlperf-kws/variables",
        "",
        142,
        289_720,
        1_513_711_905,
    ),
    (
        "saved_model/serving-saved_model_half_plus_three/variables",
        "",
        3,
        12,
        1_067_143_084,
    ),
    (
        "saved_model/serving-saved_model_half_plus_two_2_versions/variables",
        "",
        3,
        12,
        1_922_278_276,
    ),
    (
        "saved_model/serving-saved_model_half_plus_two_mkl/variables",
        "",
        9,
        36,
        4_025_244_576,
    ),
    (
        "saved_model/serving-saved_model_half_plus_two_tf2_cpu/variables",
        "",
        4,
        12,
        2_539_782_474,
    ),
];

/// The checkpoint's files; the graphs beside them are not looked at here.
fn files(folder: &Path, prefix: &str) -> Files {
    let mut files: Files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, _)| name.starts_with(prefix) && !name.ends_with(".meta"))
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

fn inputs(files: &Files) -> Vec<InputFile<'_>> {
    files
        .iter()
        .map(|(name, bytes)| InputFile { name, bytes })
        .collect()
}

/// Raw elements of the tensor with this number; none if it is opaque.
fn elements<'a>(model: &Model, files: &'a Files, tensor: usize) -> &'a [u8] {
    let tensor = &model.tensors[tensor];
    match &tensor.data {
        TensorData::Raw { range, repeats: 0 } => &files[tensor.file].1[range.clone()],
        TensorData::Raw { .. } => panic!("{:?} leaves out elements", tensor.name),
        TensorData::Opaque => &[],
    }
}

/// The CRC-32 of every tensor in the order of names: name, dtype and shape as a line of text, then
/// the elements if they are raw.
fn digest(model: &Model, files: &Files) -> u32 {
    let mut order: Vec<usize> = (0..model.tensors.len()).collect();
    order.sort_by_key(|&tensor| &model.tensors[tensor].name);
    let mut hasher = crc32fast::Hasher::new();
    for number in order {
        let tensor = &model.tensors[number];
        let line = format!("{} {} {:?}\n", tensor.name, tensor.dtype, tensor.shape);
        hasher.update(line.as_bytes());
        hasher.update(elements(model, files, number));
    }
    hasher.finalize()
}

#[test]
fn tensors_are_those_that_tensorflow_reads() {
    let Some(data) = data("") else { return };
    for &(folder, prefix, n_tensors, n_bytes, crc) in CHECKPOINTS {
        let files = files(&data.join(folder), prefix);
        let model = model::read(&inputs(&files)).unwrap();
        let is_bundle = files.iter().any(|(name, _)| name.ends_with(".index"));
        for part in &model.parts {
            let expected = if is_bundle {
                ModelKind::TensorBundle
            } else {
                ModelKind::SlicedCheckpoint
            };
            assert_eq!(part.kind, expected, "{folder}");
        }
        let n_parts = if is_bundle { 1 } else { files.len() };
        assert_eq!(model.parts.len(), n_parts, "{folder}");

        let found: usize = (0..model.tensors.len())
            .map(|tensor| elements(&model, &files, tensor).len())
            .sum();
        assert_eq!(
            (model.tensors.len(), found),
            (n_tensors, n_bytes),
            "{folder}"
        );
        assert_eq!(digest(&model, &files), crc, "{folder}");
    }
}

#[test]
fn a_changed_tensor_leaves_all_else_as_it_was() {
    let Some(data) = data("") else { return };
    for &(folder, prefix, ..) in CHECKPOINTS {
        let before = files(&data.join(folder), prefix);
        let model = model::read(&inputs(&before)).unwrap();
        let largest = (0..model.tensors.len())
            .max_by_key(|&tensor| elements(&model, &before, tensor).len())
            .unwrap();
        let bytes: Vec<u8> = elements(&model, &before, largest)
            .iter()
            .map(|byte| !byte)
            .collect();
        let change = Change {
            tensor: largest,
            bytes: bytes.clone(),
        };
        let rewritten = model::rewrite(&inputs(&before), &[change]).unwrap();
        assert_eq!(rewritten.warnings, [""; 0], "{folder}");

        // Reading compares checksums with bytes, so what is read is whole.
        let names = before.iter().map(|(name, _)| name.clone());
        let after: Files = names.zip(rewritten.files).collect();
        assert_eq!(model::read(&inputs(&after)).unwrap(), model, "{folder}");
        assert_eq!(elements(&model, &after, largest), bytes, "{folder}");
        let TensorData::Raw { range, .. } = &model.tensors[largest].data else {
            panic!()
        };
        for (number, ((name, before), (_, after))) in before.iter().zip(&after).enumerate() {
            // An index that was compressed is longer now.
            if !name.ends_with(".index") {
                assert_eq!(before.len(), after.len());
                let inside = if number == model.tensors[largest].file {
                    range.clone()
                } else {
                    0..0
                };
                let n_outside = (0..before.len())
                    .filter(|at| before[*at] != after[*at] && !inside.contains(at))
                    .count();
                assert!(
                    n_outside <= 4,
                    "{folder}/{name}: more than a checksum is different"
                );
            }
        }
    }
}

#[test]
fn a_shard_that_is_missing_is_named() {
    let Some(data) = data("") else { return };
    let mut files = files(&data.join("checkpoint/v2-sharded"), "model.ckpt-7.");
    files.remove(2);
    let e = model::read(&inputs(&files)).unwrap_err();
    assert_eq!(e.kind(), tfzip::ErrorKind::Model);
    assert!(
        e.to_string()
            .contains("\"model.ckpt-7.data-00002-of-00004\""),
        "{e}"
    );
}

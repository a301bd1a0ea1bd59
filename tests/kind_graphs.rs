//! The real MetaGraphDefs and SavedModels of the shared data: what is found in them, and what a
//! change of a tensor changes. That every tensor is the one that the file means is shown in
//! `model_oracle.rs`.

#![cfg(feature = "pack")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::data;
use std::fs;
use std::path::Path;
use tfzip::model::{self, Change, InputFile, Model, ModelKind, ModelTensor, Rewritten, TensorData};

/// Tensors, those of them with bytes, and these bytes, as TensorFlow 2.21 sees them.
const META_GRAPHS: &[(&str, [usize; 3])] = &[
    ("v1-dtypes/model.ckpt-7.meta", [17, 12, 126_448]),
    ("v1-session-bundle/export.meta", [18, 2, 8]),
    ("v1-sharded/model.ckpt-7.meta", [34, 12, 126_448]),
    ("v2-lenet300-b/model.ckpt.meta", [11, 6, 1_066_440]),
    ("v2-lenet300-dns/model.ckpt.meta", [13, 8, 1_066_452]),
    ("v2-sharded/model.ckpt-7.meta", [36, 12, 126_448]),
];
const SAVED_MODELS: &[(&str, [usize; 3])] = &[
    ("assets/saved_model.pb", [21, 7, 76_848]),
    ("keras-tf2/saved_model.pb", [14, 0, 0]),
    ("keras3-export/saved_model.pb", [10, 1, 4]),
    ("lenet300-a/saved_model.pb", [20, 6, 1_066_440]),
    ("lenet300-b/saved_model.pb", [20, 6, 1_066_440]),
    ("mlperf-kws/saved_model.pb", [148, 139, 1372]),
    (
        "serving-saved_model_half_plus_three/saved_model.pb",
        [21, 3, 12],
    ),
    (
        "serving-saved_model_half_plus_two_2_versions/saved_model.pb",
        [24, 4, 16],
    ),
    (
        "serving-saved_model_half_plus_two_mkl/saved_model.pb",
        [47, 31, 280],
    ),
    (
        "serving-saved_model_half_plus_two_tf2_cpu/saved_model.pb",
        [32, 5, 20],
    ),
];

fn read(bytes: &[u8]) -> Model {
    model::read(&[InputFile { name: "m", bytes }]).unwrap()
}

/// The length of a tensor's range.
fn n_bytes(tensor: &ModelTensor) -> usize {
    match &tensor.data {
        TensorData::Raw { range, .. } => range.len(),
        TensorData::Opaque => 0,
    }
}

/// All files of a folder, by name.
fn folder(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut open = vec![root.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                files.push((name.replace('\\', "/"), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

fn inputs(files: &[(String, Vec<u8>)]) -> Vec<InputFile<'_>> {
    let files = files.iter();
    files
        .map(|(name, bytes)| InputFile { name, bytes })
        .collect()
}

/// The model with the tensor `number` set to `byte` throughout.
fn filled(files: &[InputFile<'_>], model: &Model, number: usize, byte: u8) -> Rewritten {
    let change = Change {
        tensor: number,
        bytes: vec![byte; n_bytes(&model.tensors[number])],
    };
    model::rewrite(files, &[change]).unwrap()
}

fn check_files(folder: &str, kind: ModelKind, files: &[(&str, [usize; 3])]) {
    let Some(folder) = data(folder) else {
        return;
    };
    for (name, expected) in files {
        let bytes = fs::read(folder.join(name)).unwrap();
        let model = read(&bytes);
        assert_eq!(model.parts.len(), 1, "{name}");
        assert_eq!(model.parts[0].kind, kind, "{name}");
        let with_bytes = model.tensors.iter().map(n_bytes).filter(|&n| n > 0);
        let found = [
            model.tensors.len(),
            with_bytes.clone().count(),
            with_bytes.sum(),
        ];
        assert_eq!(found, *expected, "{name}");
        check_change(name, &bytes, &model);
    }
}

/// A changed tensor changes its range and nothing else.
fn check_change(name: &str, bytes: &[u8], model: &Model) {
    let largest = (0..model.tensors.len()).max_by_key(|&i| n_bytes(&model.tensors[i]));
    let largest = largest.unwrap();
    let TensorData::Raw { range, .. } = &model.tensors[largest].data else {
        return;
    };
    let new = filled(&[InputFile { name, bytes }], model, largest, 0);
    assert_eq!(new.warnings, [""; 0], "{name}");
    let mut expected = bytes.to_vec();
    expected[range.clone()].fill(0);
    assert!(new.files == [expected], "{name}");
    assert!(read(&new.files[0]) == *model, "{name}");
}

#[test]
fn real_meta_graphs_hold_these_tensors() {
    check_files("checkpoint", ModelKind::MetaGraphDef, META_GRAPHS);
}

#[test]
fn real_saved_models_hold_these_tensors() {
    check_files("saved_model", ModelKind::SavedModel, SAVED_MODELS);
}

#[test]
fn what_a_text_conversion_has_damaged_is_refused() {
    let Some(folder) = data("bad") else {
        return;
    };
    let bytes = fs::read(folder.join("corrupt-export.meta")).unwrap();
    let name = "corrupt-export.meta";
    let e = model::read(&[InputFile {
        name,
        bytes: &bytes,
    }])
    .unwrap_err();
    assert!(e.to_string().contains("a text conversion"), "{e}");
}

#[test]
fn cut_off_files_are_damaged() {
    let files = [
        ("saved_model", "lenet300-b/saved_model.pb", "SavedModel"),
        (
            "checkpoint",
            "v2-lenet300-b/model.ckpt.meta",
            "MetaGraphDef",
        ),
    ];
    for (folder, name, kind) in files {
        let Some(folder) = data(folder) else {
            return;
        };
        let bytes = fs::read(folder.join(name)).unwrap();
        for len in [bytes.len() / 2, bytes.len() - 1] {
            let bytes = &bytes[..len];
            let e = model::read(&[InputFile { name, bytes }]).unwrap_err();
            assert!(e.to_string().contains(&format!("{kind}: offset")), "{e}");
        }
    }
}

/// Folders with a fingerprint.
const FINGERPRINTED: &[&str] = &[
    "assets",
    "keras3-export",
    "serving-saved_model_half_plus_two_tf2_cpu",
];

#[test]
fn fingerprints_follow_the_variables() {
    let Some(root) = data("saved_model") else {
        return;
    };
    for name in FINGERPRINTED {
        let files = folder(&root.join(name));
        let files = inputs(&files);
        let model = model::read(&files).unwrap();
        let number = |name| files.iter().position(|file| file.name == name).unwrap();
        let fingerprint = number("fingerprint.pb");
        let index = number("variables/variables.index");
        let weights = model
            .tensors
            .iter()
            .position(|t| files[t.file].name.starts_with("variables/") && n_bytes(t) > 0)
            .unwrap();

        // The same bytes give the same hash: TensorFlow's.
        let TensorData::Raw { range, .. } = &model.tensors[weights].data else {
            panic!("{name}: the weights are opaque");
        };
        let change = Change {
            tensor: weights,
            bytes: files[model.tensors[weights].file].bytes[range.clone()].to_vec(),
        };
        let same = model::rewrite(&files, &[change]).unwrap();
        assert_eq!(same.warnings, [""; 0], "{name}");
        for (file, same) in files.iter().zip(&same.files) {
            assert!(file.bytes == same, "{name}: {}", file.name);
        }

        let new = filled(&files, &model, weights, 0x3f);
        assert_eq!(new.warnings, [""; 0], "{name}");
        assert!(new.files[index] != files[index].bytes, "{name}");
        assert!(new.files[fingerprint] != files[fingerprint].bytes, "{name}");
    }
}

#[test]
fn a_stale_fingerprint_of_the_graph_is_said() {
    let Some(root) = data("saved_model") else {
        return;
    };
    let files = folder(&root.join("assets"));
    let files = inputs(&files);
    let model = model::read(&files).unwrap();
    let of_graph = |t: &ModelTensor| files[t.file].name == "saved_model.pb" && n_bytes(t) > 0;
    let number = model.tensors.iter().position(of_graph).unwrap();
    let new = filled(&files, &model, number, 0);
    let [warning] = &new.warnings[..] else {
        panic!("expected one warning, found {:?}", new.warnings);
    };
    assert!(warning.starts_with("fingerprint.pb: "), "{warning}");
}

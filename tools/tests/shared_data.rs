//! The programs over real models, which are not in the repository: `../shared/data`.
//!
//! Skipped where that folder is missing, unless `TFZIP_REQUIRE_DATA` is set.

mod common;

use common::{Folder, stdout};
use std::fs;
use std::path::{Path, PathBuf};

/// Most bytes of an archive, by model: less than xz -9e makes of it.
const MOST_BYTES: [(&str, &[&str], usize); 7] = [
    ("pruned/lenet300-a.pb", &[], 117_000),
    ("pruned/lenet300-b.pb", &[], 79_000),
    ("pruned/lenet300-dns.pb", &[], 57_000),
    ("pruned/lenet300-dns.pb", &["--canonical-zeros"], 23_500),
    ("pruned/hand-sparse-f32.pb", &[], 2_790_000),
    ("pruned/face-sparse-f16.pb", &[], 380_000),
    ("dense/lenet300-a.pb", &[], 940_000),
];

/// Bytes that an archive may have more than its model, where nothing compresses.
const MOST_GROWTH: usize = 640;

fn data() -> Option<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if data.is_dir() {
        return Some(data);
    }
    let missing = format!("{} is missing", data.display());
    assert!(
        std::env::var_os("TFZIP_REQUIRE_DATA").is_none(),
        "{missing}"
    );
    eprintln!("skipped: {missing}");
    None
}

/// All files below `folder`.
fn files(folder: PathBuf) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                &mut folders
            } else {
                &mut files
            }
            .push(path);
        }
    }
    assert!(!files.is_empty());
    files.sort();
    files
}

#[test]
fn every_graph_makes_the_whole_trip() {
    let Some(data) = data() else { return };
    for kind in ["pruned", "dense", "graphdef"] {
        for model in files(data.join(kind)) {
            let folder = Folder::new();
            let path = model.to_str().unwrap();
            folder.run("tfzip-pack", ["-q", path, "m.tfz"]).success();
            folder
                .run("tfzip-pack", ["-q", "-T1", path, "1.tfz"])
                .success();
            assert_eq!(folder.read("m.tfz"), folder.read("1.tfz"), "{path}");
            let run = folder.run("tfzip-unpack", ["m.tfz", "m.pb"]).success();
            assert!(
                stdout(&run).starts_with("m.pb : identical (sha256 "),
                "{path}"
            );
            let bytes = fs::read(&model).unwrap();
            assert!(folder.read("m.pb") == bytes, "{path}");
            folder
                .run("tfzip-verify", ["m.tfz", "--against", path])
                .success();
            folder.run("tfzip-inspect", ["m.tfz", "--all"]).success();
            assert!(
                folder.read("m.tfz").len() <= bytes.len() + MOST_GROWTH,
                "{path}"
            );
        }
    }
}

#[test]
fn archives_are_as_small_as_they_should_be() {
    let Some(data) = data() else { return };
    for (model, options, most) in MOST_BYTES {
        let folder = Folder::new();
        let path = data.join(model);
        let args = [path.to_str().unwrap(), "m.tfz", "-q"];
        folder
            .run("tfzip-pack", args.iter().chain(options).copied())
            .success();
        let bytes = folder.read("m.tfz").len();
        assert!(
            bytes <= most,
            "{model} {options:?}: {bytes} bytes, at most {most}"
        );
    }
}

/// The entries of a folder of the data.
fn entries(folder: PathBuf) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!entries.is_empty());
    entries.sort();
    entries
}

/// Names and contents of all files of a model, a file or a folder.
fn contents(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    if path.is_file() {
        return vec![(PathBuf::new(), fs::read(path).unwrap())];
    }
    let read = |file: PathBuf| {
        (
            file.strip_prefix(path).unwrap().to_owned(),
            fs::read(&file).unwrap(),
        )
    };
    files(path.to_owned()).into_iter().map(read).collect()
}

#[test]
fn every_other_kind_of_model_makes_the_whole_trip() {
    let Some(data) = data() else { return };
    for kind in ["saved_model", "checkpoint", "tflite", "keras"] {
        for model in entries(data.join(kind)) {
            let folder = Folder::new();
            let path = model.to_str().unwrap();
            folder.run("tfzip-pack", ["-q", path, "m.tfz"]).success();
            let run = folder.run("tfzip-unpack", ["m.tfz", "m"]).success();
            assert!(stdout(&run).starts_with("m : identical ("), "{path}");
            assert!(contents(&folder.path("m")) == contents(&model), "{path}");
            folder
                .run("tfzip-verify", ["m.tfz", "--against", path])
                .success();
            folder.run("tfzip-inspect", ["m.tfz", "--json"]).success();
        }
    }
}

/// Bytes of the archive of a model of the data.
fn packed(data: &Path, model: &str) -> usize {
    let folder = Folder::new();
    folder
        .run(
            "tfzip-pack",
            ["-q", data.join(model).to_str().unwrap(), "m.tfz"],
        )
        .success();
    folder.read("m.tfz").len()
}

#[test]
fn what_stands_twice_is_stored_once() {
    let Some(data) = data() else { return };
    let graph = packed(&data, "pruned/lenet300-b.pb");
    // A checkpoint has the same weights in another wrapping; this SavedModel has them twice.
    assert!(packed(&data, "checkpoint/v2-lenet300-b/model.ckpt.index").abs_diff(graph) <= 1000);
    assert!(packed(&data, "saved_model/lenet300-b").abs_diff(graph) <= 6000);
    let shard = data.join("saved_model/keras3-export/variables/variables.data-00000-of-00001");
    let shard = fs::metadata(shard).unwrap().len() as usize;
    assert!(packed(&data, "saved_model/keras3-export") * 100 <= shard * 55);
    assert!(packed(&data, "checkpoint/v1-lenet300-pruned") <= 365_000);
}

#[test]
fn what_is_no_model_is_refused_in_one_line() {
    let Some(data) = data() else { return };
    for kind in ["bad", "mnist", "licences"] {
        for file in files(data.join(kind)) {
            let path = file.to_str().unwrap();
            let line = Folder::new().refused("tfzip-pack", [path, "out.tfz"], path);
            assert!(line.contains("not a model file"), "{line}");
        }
    }
}

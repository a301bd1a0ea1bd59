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

#[test]
fn everything_else_is_refused_in_one_line() {
    let Some(data) = data() else { return };
    for kind in [
        "bad",
        "checkpoint",
        "saved_model",
        "tflite",
        "keras",
        "mnist",
    ] {
        for file in files(data.join(kind)) {
            let path = file.to_str().unwrap();
            let line = Folder::new().refused("tfzip-pack", [path, "out.tfz"], path);
            assert!(line.contains("not a GraphDef: "), "{line}");
        }
    }
}

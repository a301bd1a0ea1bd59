//! Models that are folders, and tensors that are chosen.

mod common;

use common::{Folder, MODEL, example, stderr, stdout};
use std::fs;

/// A folder `model` with the example graph, a text beside it, and two empty folders.
fn with_folder() -> Folder {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("model/assets/empty")).unwrap();
    fs::create_dir_all(folder.path("model/more")).unwrap();
    fs::copy(example(), folder.path("model/graph.pb")).unwrap();
    folder.write("model/assets/words.txt", "one\ntwo\n");
    folder
}

#[test]
fn everything_in_a_folder_comes_back() {
    let folder = with_folder();
    let run = folder.run("tfzip-pack", ["model/"]).success();
    assert!(stdout(&run).contains("model.tfz)"), "{}", stdout(&run));
    folder
        .run("tfzip-verify", ["model.tfz", "--against", "model"])
        .success();
    let line = stdout(&folder.run("tfzip-unpack", ["model.tfz", "again"]).success());
    assert_eq!(line, "again : identical (2 files, each with its sha256)\n");
    assert_eq!(folder.read("again/graph.pb"), folder.read("model/graph.pb"));
    assert_eq!(folder.read("again/assets/words.txt"), b"one\ntwo\n");
    for empty in ["again/assets/empty", "again/more"] {
        assert_eq!(fs::read_dir(folder.path(empty)).unwrap().count(), 0);
    }
    assert_eq!(folder.names(), ["again", "model", "model.tfz"]);
}

#[test]
fn a_folder_is_replaced_only_by_force() {
    let folder = with_folder();
    folder.run("tfzip-pack", ["model"]).success();
    folder.write("model/assets/words.txt", "other\n");
    let line = folder.refused("tfzip-unpack", ["model.tfz"], "model");
    assert!(line.contains("exists"), "{line}");
    assert_eq!(folder.read("model/assets/words.txt"), b"other\n");
    folder.run("tfzip-unpack", ["-f", "model.tfz"]).success();
    assert_eq!(folder.read("model/assets/words.txt"), b"one\ntwo\n");
    assert_eq!(folder.names(), ["model", "model.tfz"]);
}

#[test]
fn what_differs_in_a_folder_is_named() {
    let folder = with_folder();
    folder.run("tfzip-pack", ["model"]).success();
    let verify = ["model.tfz", "--against", "model"];
    folder.write("model/new", "");
    let line = folder.refused("tfzip-verify", verify, "model.tfz");
    assert!(line.contains("new is in model"), "{line}");
    fs::remove_file(folder.path("model/new")).unwrap();
    fs::remove_dir(folder.path("model/more")).unwrap();
    let line = folder.refused("tfzip-verify", verify, "model.tfz");
    assert!(line.contains("more/ is missing"), "{line}");
}

#[cfg(unix)]
#[test]
fn links_to_files_are_followed_and_said() {
    let folder = with_folder();
    folder.write("outside", "text");
    std::os::unix::fs::symlink(folder.path("outside"), folder.path("model/link")).unwrap();
    let run = folder.run("tfzip-pack", ["model"]).success();
    assert_eq!(
        stderr(&run),
        "note: link is a link; what it leads to is packed\n"
    );
    folder
        .run("tfzip-unpack", ["-q", "model.tfz", "again"])
        .success();
    assert!(!folder.path("again/link").is_symlink());
    assert_eq!(folder.read("again/link"), b"text");
}

#[test]
fn only_chosen_tensors_are_encoded_and_nothing_is_left_out() {
    for (options, n_encoded) in [
        (&["--only", "fc1/*"][..], 2),
        (&["--only", "fc1/*", "--only", "fc2/kernel"], 3),
        (&["--skip", "*/bias"], 3),
        (&["--only", "*kernel", "--skip", "fc?/kernel"], 0),
    ] {
        let folder = Folder::with_model();
        let args = [MODEL, "m.tfz", "--json"];
        let run = folder
            .run("tfzip-pack", args.iter().chain(options).copied())
            .success();
        let report: serde_json::Value = serde_json::from_str(&stdout(&run)).unwrap();
        assert_eq!(report["encoded_tensors"], n_encoded, "{options:?}");
        folder
            .run("tfzip-verify", ["m.tfz", "--against", MODEL])
            .success();
    }
    Folder::with_model()
        .run("tfzip-pack", [MODEL, "--only", "[a"])
        .code(2);
}

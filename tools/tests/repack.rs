//! `tfzip-repack`.

mod common;

use common::{ARCHIVE, FLOAT32, Folder, MODEL, constant, floats, stdout};
use std::fs;
use std::path::Path;

const REPACK: &str = "tfzip-repack";
const PROFILES: [&str; 3] = ["direct", "balanced", "small"];

/// The example model, packed with each profile.
fn folder_with_all() -> Folder {
    let folder = Folder::with_model();
    for profile in PROFILES {
        let output = &format!("{profile}.tfz");
        folder
            .run("tfzip-pack", [MODEL, output, "--profile", profile])
            .success();
    }
    folder
}

#[test]
fn every_profile_becomes_every_other_as_if_it_had_been_packed_so() {
    let folder = folder_with_all();
    for from in PROFILES {
        for to in PROFILES {
            let (input, expected) = (&format!("{from}.tfz"), &format!("{to}.tfz"));
            let args = [input, "out.tfz", "--profile", to];
            let run = folder.run(REPACK, args).success().stderr("");
            assert!(
                folder.read("out.tfz") == folder.read(expected),
                "{from} {to}"
            );
            let (before, after) = (folder.read(input).len(), folder.read(expected).len());
            let share = 100.0 * after as f64 / before as f64;
            assert_eq!(
                stdout(&run),
                format!(
                    "{input} : {share:.2}%  ({before} => {after} bytes, {from} => {to}, out.tfz)\n"
                )
            );
            let verify = ["out.tfz", "--against", MODEL];
            folder.run("tfzip-verify", verify).success();
            folder
                .run("tfzip-unpack", ["-f", "out.tfz", "out.pb"])
                .success();
            assert!(folder.read("out.pb") == folder.read(MODEL));
            fs::remove_file(folder.path("out.tfz")).unwrap();
        }
    }
}

#[test]
fn effort_and_threads_are_those_of_packing() {
    let folder = folder_with_all();
    for profile in PROFILES {
        let options = ["-f", "--profile", profile, "--effort", "fast"];
        let run = |program, input, more: &[&'static str]| {
            let args = options.into_iter().chain([input, "out.tfz"]);
            folder
                .run(program, args.chain(more.iter().copied()))
                .success();
            folder.read("out.tfz")
        };
        let expected = run("tfzip-pack", MODEL, &[]);
        assert!(run(REPACK, "balanced.tfz", &["--threads", "1"]) == expected);
        assert!(run(REPACK, "balanced.tfz", &["--threads", "2"]) == expected);
    }
}

#[test]
fn the_profile_must_be_named() {
    let folder = Folder::with_archive();
    folder.run(REPACK, [ARCHIVE, "out.tfz"]).code(2);
    folder.run(REPACK, [ARCHIVE, "--profile", "small"]).code(2);
    folder
        .run(REPACK, [ARCHIVE, "out.tfz", "--profile", "max"])
        .code(2);
    assert_eq!(folder.names(), [MODEL, ARCHIVE]);
}

#[test]
fn what_is_there_is_overwritten_only_by_force() {
    let folder = folder_with_all();
    folder.write("out.tfz", "old");
    let args = ["small.tfz", "out.tfz", "--profile", "direct"];
    let line = folder.refused(REPACK, args, "out.tfz");
    assert!(line.contains("--force"), "{line}");
    assert_eq!(folder.read("out.tfz"), b"old");
    let quiet = args.into_iter().chain(["--force", "--quiet"]);
    folder.run(REPACK, quiet).success().stdout("").stderr("");
    assert!(folder.read("out.tfz") == folder.read("direct.tfz"));
}

#[test]
fn the_output_can_be_the_input() {
    let folder = folder_with_all();
    let args = ["direct.tfz", "direct.tfz", "--profile", "small"];
    folder.refused(REPACK, args, "direct.tfz: exists");
    let before = folder.names();
    folder.run(REPACK, args.into_iter().chain(["-f"])).success();
    assert!(folder.read("direct.tfz") == folder.read("small.tfz"));
    assert_eq!(folder.names(), before);
}

#[test]
fn a_damaged_archive_leaves_nothing_behind_and_the_old_file_alone() {
    let folder = Folder::with_archive();
    let archive = folder.read(ARCHIVE);
    folder.write("out.tfz", "old");
    let args = ["bad.tfz", "out.tfz", "--profile", "direct", "-f"];
    for end in (0..archive.len()).step_by(1801) {
        folder.write("bad.tfz", &archive[..end]);
        folder.refused(REPACK, args, "bad.tfz");
    }
    folder.write("bad.tfz", &archive[..archive.len() - 1]);
    let line = folder.refused(REPACK, args, "bad.tfz");
    assert!(line.contains("footer"), "{line}");
    for offset in (0..archive.len()).step_by(1801) {
        let mut damaged = archive.clone();
        damaged[offset] ^= 0x10;
        folder.write("bad.tfz", damaged);
        folder.refused(REPACK, args, "bad.tfz");
    }
    assert_eq!(folder.read("out.tfz"), b"old");
}

#[test]
fn hostile_vectors_are_refused_and_good_ones_repacked() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/v1");
    let folder = Folder::new();
    let mut n_refused = 0;
    for entry in fs::read_dir(vectors).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // One of each kind of fault is enough for a program; the library reads all of them.
        let is_bad = name.starts_with("bad-") || name.starts_with("unsupported-");
        let is_wanted = ["block", "nnz", "window", "hash", "sha", "padding", "rows"];
        if !name.ends_with(".tfz") || is_bad && !is_wanted.iter().any(|word| name.contains(word)) {
            continue;
        }
        folder.write("in.tfz", fs::read(&path).unwrap());
        let args = ["in.tfz", "out.tfz", "--profile", "small", "-T1"];
        if is_bad {
            folder.refused(REPACK, args, "in.tfz");
            n_refused += 1;
        } else if name.starts_with("good-") {
            folder.run(REPACK, args).success();
            folder.run("tfzip-verify", ["out.tfz"]).success();
            fs::remove_file(folder.path("out.tfz")).unwrap();
        }
        assert_eq!(folder.names(), ["in.tfz"], "{name}");
    }
    assert!(n_refused > 20, "{n_refused}");
}

#[test]
fn what_was_skipped_and_what_was_shared_stays_so() {
    let folder = Folder::new();
    let elements: Vec<f32> = (0..600)
        .map(|i| if i % 9 == 0 { i as f32 / 7.0 } else { -0.0 })
        .collect();
    let content = &floats(&elements);
    let node = |name| constant(name, FLOAT32, &[20, 30], content);
    folder.write("m.pb", [node("a"), node("b"), node("skipped")].concat());
    let pack = |output, profile| {
        let args = [
            "m.pb",
            output,
            "--skip",
            "skip*",
            "--profile",
            profile,
            "-q",
        ];
        folder.run("tfzip-pack", args).success();
    };
    pack("direct.tfz", "direct");
    pack("small.tfz", "small");
    folder
        .run(REPACK, ["direct.tfz", "out.tfz", "--profile", "small"])
        .success();
    assert!(folder.read("out.tfz") == folder.read("small.tfz"));
    let archive = tfzip::Archive::open(folder.path("out.tfz")).unwrap();
    let payloads: Vec<_> = archive.tensors().map(|tensor| tensor.payload()).collect();
    assert_eq!(payloads, [Some(0), Some(0), None]);
}

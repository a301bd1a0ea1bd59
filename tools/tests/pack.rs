//! `tfzip-pack`.

mod common;

use common::{ARCHIVE, FLOAT32, Folder, MODEL, constant, floats, stderr, stdout};
use serde_json::Value;

const PACK: &str = "tfzip-pack";
const PROFILES: [&str; 3] = ["direct", "balanced", "small"];

#[test]
fn the_archive_stands_beside_the_model_and_the_line_says_what_it_is() {
    let folder = Folder::with_model();
    let run = folder.run(PACK, [MODEL]).success().stderr("");
    assert_eq!(folder.names(), [MODEL, ARCHIVE]);
    let (model, archive) = (folder.read(MODEL).len(), folder.read(ARCHIVE).len());
    let share = 100.0 * archive as f64 / model as f64;
    assert_eq!(
        stdout(&run),
        format!("{MODEL} : {share:.2}%  ({model} => {archive} bytes, {ARCHIVE})\n")
    );
}

#[test]
fn what_is_there_is_overwritten_only_by_force() {
    let folder = Folder::with_model();
    folder.write(ARCHIVE, "old");
    let line = folder.refused(PACK, [MODEL], ARCHIVE);
    assert!(line.contains("--force"), "{line}");
    assert_eq!(folder.read(ARCHIVE), b"old");
    for force in ["-f", "--force"] {
        folder.write(ARCHIVE, "old");
        folder.run(PACK, [MODEL, force]).success();
        assert!(folder.read(ARCHIVE).starts_with(b"\x89TFZ"));
    }
}

#[test]
fn a_failure_leaves_what_was_there() {
    let folder = Folder::with_model();
    folder.write("bad.pb", "no graph");
    folder.write("bad.tfz", "old");
    folder.refused(PACK, ["--force", "bad.pb"], "bad.pb");
    assert_eq!(folder.read("bad.tfz"), b"old");
}

#[test]
fn the_output_can_be_the_input() {
    let folder = Folder::with_model();
    folder.run(PACK, ["-f", MODEL, MODEL]).success();
    folder.run("tfzip-unpack", ["-f", MODEL, MODEL]).success();
    assert_eq!(folder.names(), [MODEL]);
    assert_eq!(
        folder.read(MODEL),
        std::fs::read(common::example()).unwrap()
    );
}

#[test]
fn threads_change_nothing() {
    let folder = Folder::with_model();
    for profile in PROFILES {
        for effort in ["fast", "thorough"] {
            let options = ["-f", MODEL, "--profile", profile, "--effort", effort];
            let pack = |output, threads| {
                let args = options.into_iter().chain([output, "--threads", threads]);
                folder.run(PACK, args).success();
                folder.read(output)
            };
            assert!(
                pack("1.tfz", "1") == pack("2.tfz", "2"),
                "{profile} {effort}"
            );
        }
    }
}

#[test]
fn the_profile_is_what_was_asked_for() {
    let folder = Folder::with_model();
    folder.run(PACK, [MODEL, "default.tfz"]).success();
    let mut sizes = Vec::new();
    for profile in PROFILES {
        let output = &format!("{profile}.tfz");
        folder
            .run(PACK, [MODEL, output, "--profile", profile])
            .success();
        let archive = tfzip::Archive::open(folder.path(output)).unwrap();
        assert_eq!(archive.profile().unwrap().name(), profile);
        archive.verify().unwrap();
        sizes.push(folder.read(output).len());
    }
    assert!(folder.read("default.tfz") == folder.read("balanced.tfz"));
    assert!(sizes[0] > sizes[1] && sizes[1] >= sizes[2], "{sizes:?}");
    let fast = ["-f", MODEL, "fast.tfz", "--effort", "fast"];
    folder.run(PACK, fast).success();
    assert!(folder.read("fast.tfz").len() >= sizes[1]);
    for wrong in [["--profile", "max"], ["--effort", "none"]] {
        let run = folder.run(PACK, [MODEL].into_iter().chain(wrong)).code(2);
        assert!(
            stderr(&run).contains("possible values: "),
            "{}",
            stderr(&run)
        );
    }
}

#[test]
fn json_is_one_object_instead_of_the_line() {
    let folder = Folder::with_model();
    let run = folder.run(PACK, ["--json", MODEL]).success();
    let object: Value = serde_json::from_str(&stdout(&run)).unwrap();
    assert_eq!(object["input"], MODEL);
    assert_eq!(object["output"], ARCHIVE);
    assert_eq!(object["kinds"], serde_json::json!(["GraphDef"]));
    assert_eq!(object["profile"], "balanced");
    assert_eq!(object["files"], 1);
    assert_eq!(object["model_bytes"], folder.read(MODEL).len());
    assert_eq!(object["archive_bytes"], folder.read(ARCHIVE).len());
    assert_eq!(object["tensors"], 6);
    assert_eq!(object["encoded_tensors"], 5);
    assert_eq!(object["negative_zeros"], 0);
}

#[test]
fn quiet_says_nothing_and_verbose_what_was_found() {
    let folder = Folder::with_model();
    folder
        .run(PACK, ["-q", MODEL])
        .success()
        .stdout("")
        .stderr("");
    folder
        .run(PACK, ["-fv", MODEL])
        .success()
        .stderr("found GraphDef in 1 file(s), 6 tensors, 5 of them encoded, profile balanced\n");
    folder.run(PACK, ["-qv", MODEL]).code(2);
}

/// 4096 elements as `weight * mask` leaves them: half of them −0.0, an eighth numbers.
fn model_with_negative_zeros() -> Vec<u8> {
    let element = |i: u32| match i.wrapping_mul(0x9e37_79b9) >> 13 {
        noise if noise % 8 == 0 => i as f32 + 0.1,
        noise if noise % 2 == 1 => -0.0,
        _ => 0.0,
    };
    let elements: Vec<f32> = (0..4096).map(element).collect();
    constant("w", FLOAT32, &[64, 64], &floats(&elements))
}

#[test]
fn negative_zeros_are_worth_a_note_until_they_are_canonical() {
    let folder = Folder::new();
    folder.write("m.pb", model_with_negative_zeros());
    let note = stderr(&folder.run(PACK, ["m.pb"]).success());
    assert!(
        note.starts_with("note: 2,052 negative zeros take "),
        "{note}"
    );
    assert!(
        note.ends_with("; --canonical-zeros would save them\n"),
        "{note}"
    );
    folder
        .run(PACK, ["-q", "m.pb", "q.tfz"])
        .success()
        .stderr("");

    // The two ways to write a long option; the second is TensorFlow's.
    for (option, output) in [
        ("--canonical-zeros", "c.tfz"),
        ("--canonical_zeros", "d.tfz"),
    ] {
        folder
            .run(PACK, [option, "m.pb", output])
            .success()
            .stderr("");
        assert!(folder.read(output).len() < folder.read("m.tfz").len());
    }
    assert_eq!(folder.read("c.tfz"), folder.read("d.tfz"));
}

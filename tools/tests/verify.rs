//! `tfzip-verify`.

mod common;

use common::{ARCHIVE, FLOAT32, Folder, MODEL, constant, floats, stdout};

const VERIFY: &str = "tfzip-verify";

#[test]
fn a_good_archive_is_ok() {
    let folder = Folder::with_archive();
    let model_bytes = folder.read(MODEL).len();
    let ok = stdout(&folder.run(VERIFY, [ARCHIVE]).success().stderr(""));
    let start = format!("{ARCHIVE} : ok (6 tensors, {model_bytes} bytes restored, sha256 ");
    assert!(ok.starts_with(&start), "{ok}");
    let ok = stdout(&folder.run(VERIFY, [ARCHIVE, "--against", MODEL]).success());
    assert!(
        ok.starts_with(&format!("{ARCHIVE} : ok, identical to {MODEL} (")),
        "{ok}"
    );
    folder
        .run(VERIFY, ["--quiet", ARCHIVE])
        .success()
        .stdout("");
}

#[test]
fn a_byte_that_differs_is_named() {
    let folder = Folder::with_archive();
    let model = folder.read(MODEL);
    for offset in [0, 70_000, model.len() - 1] {
        let mut other = model.clone();
        other[offset] ^= 0x40;
        folder.write("other.pb", &other);
        let line = folder.refused(VERIFY, [ARCHIVE, "--against", "other.pb"], ARCHIVE);
        let expected = format!(
            "restored byte {offset} is 0x{:02x}, other.pb has 0x{:02x}\n",
            model[offset], other[offset]
        );
        assert!(line.ends_with(&expected), "{line}");
    }
}

#[test]
fn a_length_that_differs_is_named() {
    let folder = Folder::with_archive();
    let mut model = folder.read(MODEL);
    let end = model.len();
    model.push(0);
    folder.write("long.pb", &model);
    let line = folder.refused(VERIFY, [ARCHIVE, "--against", "long.pb"], ARCHIVE);
    assert!(
        line.contains(&format!("ends at byte {end}, where long.pb goes on")),
        "{line}"
    );
    folder.write("short.pb", &model[..100]);
    let line = folder.refused(VERIFY, [ARCHIVE, "--against", "short.pb"], ARCHIVE);
    assert!(
        line.contains("goes on at byte 100, where short.pb ends"),
        "{line}"
    );
    folder.refused(VERIFY, [ARCHIVE, "--against", "missing.pb"], "missing.pb");
}

#[test]
fn zeros_that_were_made_canonical_are_hinted_at() {
    let folder = Folder::new();
    let elements = [[0.0, -0.0, 1.5, -2.5]; 20].concat();
    folder.write("m.pb", constant("w", FLOAT32, &[20, 4], &floats(&elements)));
    folder
        .run("tfzip-pack", ["--canonical-zeros", "m.pb"])
        .success();
    folder.run(VERIFY, ["m.tfz"]).success();
    let line = folder.refused(VERIFY, ["m.tfz", "--against", "m.pb"], "m.tfz");
    assert!(line.contains("is 0x00, m.pb has 0x80"), "{line}");
    assert!(line.contains("packing made its zeros canonical"), "{line}");
}

#[test]
fn a_damaged_archive_is_not_ok() {
    let folder = Folder::with_archive();
    let archive = folder.read(ARCHIVE);
    for offset in (0..archive.len()).step_by(997) {
        let mut damaged = archive.clone();
        damaged[offset] ^= 0x10;
        folder.write("damaged.tfz", damaged);
        folder.refused(VERIFY, ["damaged.tfz"], "damaged.tfz");
    }
}

//! `tfzip-unpack`.

mod common;

use common::{
    ARCHIVE, BFLOAT16, FLOAT32, Folder, MODEL, constant, example, floats, stderr, stdout,
};
use std::fs;
use tfzip::Archive;

const UNPACK: &str = "tfzip-unpack";

#[test]
fn the_model_comes_back_under_its_name() {
    let folder = Folder::with_archive();
    fs::remove_file(folder.path(MODEL)).unwrap();
    let run = folder.run(UNPACK, [ARCHIVE]).success().stderr("");
    assert_eq!(folder.names(), [MODEL, ARCHIVE]);
    assert_eq!(folder.read(MODEL), fs::read(example()).unwrap());
    let archive = Archive::open(folder.path(ARCHIVE)).unwrap();
    let sha256 = tfzip_tools::text::hex(&archive.files().next().unwrap().sha256);
    assert_eq!(
        stdout(&run),
        format!("{MODEL} : identical (sha256 {sha256})\n")
    );
}

#[test]
fn the_name_that_it_had_is_one_beside_the_archive() {
    let folder = Folder::with_archive();
    fs::create_dir(folder.path("sub")).unwrap();
    fs::rename(folder.path(ARCHIVE), folder.path("sub/renamed")).unwrap();
    folder
        .run(UNPACK, ["-q", "--threads=1", "sub/renamed"])
        .success()
        .stdout("");
    assert_eq!(folder.read(&format!("sub/{MODEL}")), folder.read(MODEL));
}

#[test]
fn what_is_there_is_overwritten_only_by_force() {
    let folder = Folder::with_archive();
    folder.write(MODEL, "old");
    for args in [
        &[ARCHIVE][..],
        &[ARCHIVE, MODEL],
        &[ARCHIVE, MODEL, "--tensor", "fc1/bias"],
    ] {
        let line = folder.refused(UNPACK, args.iter().copied(), MODEL);
        assert!(line.contains("exists"), "{line}");
        assert_eq!(folder.read(MODEL), b"old");
    }
    folder.run(UNPACK, [ARCHIVE, "-f"]).success();
    assert_eq!(folder.read(MODEL), fs::read(example()).unwrap());
}

#[test]
fn a_damaged_archive_leaves_what_was_there() {
    let folder = Folder::with_archive();
    let mut archive = folder.read(ARCHIVE);
    archive[1000] ^= 1;
    folder.write(ARCHIVE, archive);
    folder.write(MODEL, "old");
    let line = folder.refused(UNPACK, ["-f", ARCHIVE], ARCHIVE);
    assert!(line.contains("payload 0"), "{line}");
    assert_eq!(folder.read(MODEL), b"old");
}

#[test]
fn canonical_zeros_are_never_called_identical() {
    let folder = Folder::new();
    let elements = [[0.0, -0.0, 1.5, -2.5]; 20].concat();
    folder.write("m.pb", constant("w", FLOAT32, &[20, 4], &floats(&elements)));
    folder
        .run("tfzip-pack", ["--canonical-zeros", "m.pb"])
        .success();
    let text = stdout(&folder.run(UNPACK, ["m.tfz", "out.pb"]).success());
    assert!(text.starts_with("out.pb : restored (sha256 "), "{text}");
    assert!(
        text.contains("), zeros made canonical; the source was sha256 "),
        "{text}"
    );
    assert!(!text.contains("identical"), "{text}");
    assert_eq!(folder.read("out.pb").len(), folder.read("m.pb").len());
    assert_ne!(folder.read("out.pb"), folder.read("m.pb"));
}

/// The header and the data of a NumPy file of version 1.0.
fn npy(file: &[u8]) -> (&str, &[u8]) {
    let rest = file.strip_prefix(b"\x93NUMPY\x01\x00").unwrap();
    let (len, rest) = rest.split_at(2);
    let (header, data) = rest.split_at(u16::from_le_bytes([len[0], len[1]]).into());
    (str::from_utf8(header).unwrap().trim_end(), data)
}

#[test]
fn a_tensor_becomes_an_array_of_numpy() {
    let folder = Folder::with_archive();
    folder
        .run(UNPACK, [ARCHIVE, "--tensor", "fc1/kernel", "k.npy"])
        .success()
        .stdout("k.npy : float32 [64, 300]\n")
        .stderr("");
    let file = folder.read("k.npy");
    let (header, data) = npy(&file);
    assert_eq!(
        header,
        "{'descr': '<f4', 'fortran_order': False, 'shape': (64, 300), }"
    );
    let archive = Archive::open(folder.path(ARCHIVE)).unwrap();
    let kernel = archive.tensor("fc1/kernel").unwrap();
    assert_eq!(data, floats(&kernel.to_vec::<f32>().unwrap()));

    let number = format!("#{}", kernel.number());
    folder
        .run(UNPACK, [ARCHIVE, "--tensor", &number, "n.npy"])
        .success();
    assert_eq!(folder.read("n.npy"), file);
}

#[test]
fn a_name_that_two_tensors_have_needs_a_number() {
    let folder = Folder::new();
    let node = |scale: f32| constant("w", FLOAT32, &[40], &floats(&[scale; 40]));
    folder.write("m.pb", [node(1.0), node(2.0)].concat());
    folder.run("tfzip-pack", ["m.pb"]).success();
    let line = folder.refused(UNPACK, ["m.tfz", "--tensor", "w", "w.npy"], "m.tfz");
    assert!(line.contains("#0 in m.pb, #1 in m.pb"), "{line}");
    folder
        .run(UNPACK, ["m.tfz", "--tensor", "#1", "w.npy"])
        .success();
    assert_eq!(npy(&folder.read("w.npy")).1, floats(&[2.0; 40]));
}

#[test]
fn what_numpy_has_no_type_for_is_raw_bytes_and_a_note() {
    let folder = Folder::new();
    let content: Vec<u8> = (0..200).collect();
    folder.write("m.pb", constant("w", BFLOAT16, &[100], &content));
    folder.run("tfzip-pack", ["m.pb"]).success();
    let run = folder
        .run(UNPACK, ["m.tfz", "w.npy", "--tensor=w"])
        .success();
    assert_eq!(
        stderr(&run),
        "note: NumPy has no bfloat16; its bytes are written as '<V2'\n"
    );
    let file = folder.read("w.npy");
    let (header, data) = npy(&file);
    assert!(
        header.contains("'descr': '<V2'") && header.contains("(100,)"),
        "{header}"
    );
    assert_eq!(data, content);
}

#[test]
fn a_tensor_that_is_not_there_is_refused() {
    let folder = Folder::with_archive();
    for name in ["fc9", "#6", "#", "#-1"] {
        let line = folder.refused(UNPACK, [ARCHIVE, "x.npy", "--tensor", name], ARCHIVE);
        assert!(
            line.contains(&format!("no tensor is called {name:?}")),
            "{line}"
        );
    }
}

#[test]
fn one_tensor_needs_nothing_of_the_others() {
    let folder = Folder::with_archive();
    folder
        .run(UNPACK, [ARCHIVE, "--tensor", "fc2/kernel", "before.npy"])
        .success();
    let mut archive = folder.read(ARCHIVE);
    archive[1000] ^= 1; // in fc1/kernel, the first
    folder.write(ARCHIVE, archive);
    folder.refused(
        UNPACK,
        [ARCHIVE, "--tensor", "fc1/kernel", "x.npy"],
        ARCHIVE,
    );
    folder
        .run(UNPACK, [ARCHIVE, "--tensor", "fc2/kernel", "after.npy"])
        .success();
    assert_eq!(folder.read("before.npy"), folder.read("after.npy"));
}

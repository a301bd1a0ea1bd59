//! Hand-made bytes for each rule; real folders are read in the tests of the crate.

use super::*;
use crate::error::ErrorKind;
use crate::model::TensorData;
use crate::model::wire::build::{bytes, varint};
use crate::model::{graph_def, meta_graph};
use proptest::prelude::*;

/// A MetaGraphDef of one node with a tensor.
fn meta(node: &str) -> Vec<u8> {
    let shape = bytes(2, [&bytes(2, [&varint(1, 2)])]);
    let tensor = bytes(8, [&varint(1, 1), &shape, &bytes(4, [b"12345678"])]);
    let attr = bytes(5, [&bytes(1, [b"value"]), &bytes(2, [&tensor])]);
    let node = [bytes(1, [node.as_bytes()]), bytes(2, [b"Const"]), attr].concat();
    let info = bytes(1, [&bytes(1, [b"v"]), &bytes(4, [b"serve"])]);
    [info, bytes(2, [&bytes(1, [&node])])].concat()
}

/// A SavedModel of two MetaGraphDefs.
fn sample() -> Vec<u8> {
    let (one, two) = (meta("one"), meta("two"));
    [varint(1, 1), bytes(2, [&one]), bytes(2, [&two])].concat()
}

fn find(bytes: &[u8]) -> Result<Option<Found>> {
    read(&[InputFile { name: "", bytes }], 0)
}

#[test]
fn the_tensors_of_all_meta_graphs_are_found() {
    let file = sample();
    let found = find(&file).unwrap().unwrap();
    assert_eq!(found.files, [0]);
    let names: Vec<_> = found.tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    for tensor in found.tensors {
        let TensorData::Raw { range, repeats } = tensor.data else {
            panic!("{} is opaque", tensor.name);
        };
        assert_eq!((&file[range], repeats), (&b"12345678"[..], 0));
    }
}

#[test]
fn the_schema_version_does_not_matter() {
    let meta = bytes(2, [&meta("n")]);
    for version in [varint(1, 0), varint(1, 2), Vec::new()] {
        assert!(find(&[version, meta.clone()].concat()).unwrap().is_some());
    }
}

#[test]
fn messages_within_each_other_are_told_apart() {
    let saved_model = sample();
    let meta_graph = meta("n");
    let node = bytes(1, [&bytes(1, [b"n"]), &bytes(2, [b"NoOp"])]);
    for (file, kind) in [
        (&saved_model, ModelKind::SavedModel),
        (&meta_graph, ModelKind::MetaGraphDef),
        (&node, ModelKind::GraphDef),
    ] {
        let files = [InputFile {
            name: "",
            bytes: file,
        }];
        for candidate in [KIND, meta_graph::KIND, graph_def::KIND] {
            let found = (candidate.read)(&files, 0).unwrap();
            assert_eq!(found.is_some(), candidate.kind == kind, "{kind}");
        }
    }
    for bytes in [
        &b""[..],
        b"\x08\x01",
        b"text",
        &bytes(2, [b"pytorch"]),
        &[varint(1, 7), bytes(2, [b"pytorch"])].concat(),
        &[varint(1, 1), varint(2, 1)].concat(),
    ] {
        assert!(find(bytes).unwrap().is_none(), "{bytes:?}");
    }
}

#[test]
fn damage_behind_the_first_node_is_an_error() {
    let file = sample();
    let (mut n_none, mut n_errors) = (0, 0);
    for len in 0..file.len() {
        match find(&file[..len]) {
            Ok(None) => n_none += 1,
            Ok(Some(found)) => assert_eq!(found.tensors.len(), 1),
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Model);
                assert!(e.to_string().starts_with("SavedModel: offset "), "{e}");
                n_errors += 1;
            }
        }
    }
    assert!(n_none < 40, "{n_none}");
    assert_eq!(n_none + n_errors + 1, file.len());
    assert!(find(&[&file[..], b"\x08"].concat()).is_err());
}

/// A FingerprintDef with this hash of the checkpoint, somewhere in it.
fn fingerprint(hash: &[u8]) -> Vec<u8> {
    let producer = varint(1, 4);
    [
        &varint(1, u64::MAX)[..],
        hash,
        &bytes(6, [&producer]),
        &bytes(7, [b"uuid"]),
    ]
    .concat()
}

/// What becomes of a folder's fingerprint, and the warnings, when files of it have been changed.
fn repaired(before: &[u8], changed: &[usize]) -> (Vec<u8>, Vec<String>) {
    let mut files = Vec::new();
    for (name, bytes) in [
        ("fingerprint.pb", &b"of another model"[..]),
        ("m/fingerprint.pb", before),
        ("m/saved_model.pb", b"the graph"),
        ("m/variables/variables.data-00000-of-00001", b"the weights"),
        ("m/variables/variables.index", b"the index"),
        ("variables/variables.index", b"another"),
    ] {
        let bytes = bytes.to_vec();
        files.push(OutputFile { name, bytes });
    }
    let changed: Vec<_> = changed
        .iter()
        .map(|&file| Changed { file, range: 0..1 })
        .collect();
    let warnings = repair(&mut files, &[2], &changed).unwrap();
    assert_eq!(files[0].bytes, b"of another model");
    (files.swap_remove(1).bytes, warnings)
}

#[test]
fn the_hash_of_the_variables_is_repaired() {
    let hash = fingerprint64(b"the index");
    assert_eq!(hash, 0x92a9_2902_0ce7_770a);
    let new = fingerprint(&varint(5, hash));
    for old in [1, u64::MAX, hash] {
        let before = fingerprint(&varint(5, old));
        assert_eq!(repaired(&before, &[3, 3]), (new.clone(), vec![]));
        // Elsewhere changes do not count.
        assert_eq!(repaired(&before, &[5, 0]), (before.clone(), vec![]));
        assert_eq!(repaired(&before, &[]), (before.clone(), vec![]));
    }
    // The last field, and fields twice.
    let twice = |n| [varint(5, n), varint(8, 1), varint(5, n)].concat();
    assert_eq!(repaired(&twice(1), &[3]).0, twice(hash));
    // Without a hash, none is stale.
    let none = fingerprint(b"");
    assert_eq!(repaired(&none, &[3]), (none, vec![]));
}

#[test]
fn what_is_not_repaired_is_said() {
    let before = fingerprint(&varint(5, 1));
    let (after, warnings) = repaired(&before, &[2, 2]);
    assert_eq!(after, before);
    let [warning] = &warnings[..] else {
        panic!("expected one warning, found {warnings:?}");
    };
    assert!(warning.starts_with("m/fingerprint.pb: its hashes of saved_model.pb "));

    let (after, warnings) = repaired(b"\x28", &[3]);
    assert_eq!(after, b"\x28");
    assert!(warnings[0].starts_with("m/fingerprint.pb: its hash of variables.index "));
    assert_eq!(repaired(b"\x28", &[2, 3]).1.len(), 2);
}

#[test]
fn folders_may_lack_files() {
    let change = [Changed {
        file: 0,
        range: 0..1,
    }];
    let file = |name| OutputFile {
        name,
        bytes: varint(5, 1),
    };
    let mut alone = [file("saved_model.pb")];
    assert_eq!(repair(&mut alone, &[0], &change).unwrap().len(), 0);
    let mut no_index = [file("variables/x"), file("fingerprint.pb"), file("x.pb")];
    assert_eq!(repair(&mut no_index, &[2], &change).unwrap().len(), 0);
    assert_eq!(no_index[1].bytes, varint(5, 1));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
        let _ = (find(&bytes), repaired(&bytes, &[2, 3]));
    }

    #[test]
    fn damaged_files_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut file = sample();
        let mut print = fingerprint(&varint(5, 1 << 60));
        for (at, byte) in damage {
            let (of_file, of_print) = (at.index(file.len()), at.index(print.len()));
            file[of_file] = byte;
            print[of_print] = byte;
        }
        let _ = (find(&file), repaired(&print, &[2, 3]));
    }
}

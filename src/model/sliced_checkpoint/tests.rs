//! Checkpoints of TensorFlow 1 are read slice by slice, and their blocks are repaired.

use super::super::leveldb::build::{self, Entries, Layout, PLAIN, slice_key};
use super::super::wire::build::{bytes, fixed32, varint};
use super::*;
use crate::error::ErrorKind;
use crate::model::{self, Change};
use proptest::prelude::*;

const COMPRESSED: Layout = Layout {
    is_compressed: true,
    ..PLAIN
};

fn shape(dims: &[u64]) -> Vec<u8> {
    let dims: Vec<u8> = dims
        .iter()
        .flat_map(|&d| bytes(2, [&varint(1, d)]))
        .collect();
    bytes(2, [&dims])
}

/// A SavedSliceMeta.
fn meta(name: &str, dtype: u64, dims: &[u64]) -> Vec<u8> {
    bytes(
        1,
        [
            &bytes(1, [name.as_bytes()]),
            &shape(dims),
            &varint(3, dtype),
            &bytes(4, [b""]),
        ],
    )
}

/// The entry of the empty key.
fn header(metas: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    (
        vec![],
        bytes(1, [&metas.concat(), &bytes(2, [&varint(1, 1)])]),
    )
}

/// The entry of a slice, with fields of a TensorProto.
fn slice(name: &str, extents: &[(i64, i64)], tensor: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let value = bytes(
        2,
        [
            &bytes(1, [name.as_bytes()]),
            &bytes(2, [b""]),
            &bytes(3, [tensor]),
        ],
    );
    (slice_key(name, extents), value)
}

fn entries() -> Entries {
    let metas = [
        meta("a", 1, &[2, 2]),
        meta("c", 3, &[1]),
        meta("e", 1, &[0, 5]),
        meta("k", 18, &[]),
        meta("p/d", 2, &[3, 2]),
    ];
    vec![
        header(&metas),
        slice("a", &[(0, -1), (0, -1)], &bytes(5, [&[1; 16]])),
        slice("c", &[(0, -1)], &bytes(7, [&[1]])),
        slice("e", &[(0, -1), (0, -1)], b""),
        slice("k", &[], &bytes(12, [&[4; 16]])),
        slice("p/d", &[(0, 1), (0, 2)], &bytes(6, [&[2; 16]])),
        slice("p/d", &[(1, 2), (0, 2)], &bytes(6, [&[3; 32]])),
    ]
}

fn read_file(bytes: &[u8]) -> Result<Option<Found>> {
    read(
        &[InputFile {
            name: "model.ckpt",
            bytes,
        }],
        0,
    )
}

fn complaint(entries: &Entries) -> String {
    let e = read_file(&build::table(entries, PLAIN)).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::Model);
    e.to_string()
}

/// What is listed: name, shape, and the bytes if they are raw.
fn listed(file: &[u8]) -> Vec<(String, Vec<u64>, Option<Vec<u8>>)> {
    let found = read_file(file).unwrap().unwrap();
    assert_eq!(found.files, [0]);
    let bytes = |data| match data {
        TensorData::Raw { range, repeats: 0 } => Some(file[range].to_vec()),
        _ => None,
    };
    found
        .tensors
        .into_iter()
        .map(|t| (t.name, t.shape, bytes(t.data)))
        .collect()
}

/// The bytes of the only slice: a float of two elements, with these fields.
fn raw(tensor: &[u8]) -> Option<Vec<u8>> {
    let entries = vec![
        header(&[meta("w", 1, &[2])]),
        slice("w", &[(0, -1)], tensor),
    ];
    let listed = listed(&build::table(&entries, PLAIN));
    assert_eq!(listed.len(), 1);
    listed[0].2.clone()
}

#[test]
fn slices_are_found() {
    let expected = |name: &str, shape: &[u64], bytes: Option<&[u8]>| {
        (name.to_owned(), shape.to_vec(), bytes.map(<[u8]>::to_vec))
    };
    let mut all = [
        expected("a", &[2, 2], Some(&[1; 16])),
        expected("c", &[1], None),
        expected("e", &[0, 5], Some(&[])),
        expected("k", &[], Some(&[4; 16])),
        expected("p/d[0:1,0:2]", &[1, 2], Some(&[2; 16])),
        expected("p/d[1:3,0:2]", &[2, 2], Some(&[3; 32])),
    ];
    for block_entries in [1, 3, 100] {
        let layout = Layout {
            block_entries,
            ..PLAIN
        };
        assert_eq!(listed(&build::table(&entries(), layout)), all);
    }
    // What is compressed is nowhere in the file.
    for tensor in &mut all {
        tensor.2 = None;
    }
    assert_eq!(listed(&build::table(&entries(), COMPRESSED)), all);
}

#[test]
fn other_files_are_no_checkpoints() {
    for file in [b"".to_vec(), vec![0; 60], build::table(&vec![], PLAIN)] {
        assert!(read_file(&file).unwrap().is_none());
    }
    for entry in [
        (vec![], varint(1, 1)),
        (vec![], bytes(2, [b""])),
        (vec![], vec![]),
        (b"a".to_vec(), header(&[]).1),
    ] {
        assert!(
            read_file(&build::table(&vec![entry], PLAIN))
                .unwrap()
                .is_none()
        );
    }
    assert_eq!(listed(&build::table(&vec![header(&[])], PLAIN)), []);
}

#[test]
fn headers_are_checked() {
    let minus_one = u64::MAX;
    for dims in [&[minus_one][..], &[1 << 62, 2], &[1; 255]] {
        let complaint = complaint(&vec![header(&[meta("w", 1, dims)])]);
        assert!(complaint.starts_with("tensor \"w\": offset "));
        assert!(complaint.ends_with("expected a shape, found unknown or too large dimensions"));
    }
    let again = |dtype, dims| vec![header(&[meta("w", 1, &[2]), meta("w", dtype, dims)])];
    assert_eq!(listed(&build::table(&again(1, &[2]), PLAIN)), []);
    for entries in [again(2, &[2]), again(1, &[3])] {
        assert!(complaint(&entries).contains("expected one dtype and shape for all slices"));
    }
    let newer = bytes(1, [&bytes(2, [&varint(2, 2)])]);
    assert!(complaint(&vec![(vec![], newer)]).contains("another version"));
    assert!(complaint(&vec![(vec![], bytes(1, [&varint(1, 1)]))]).contains("found a varint"));
    let long = "x".repeat(65_531);
    let piece = slice(&long, &[(0, 1)], b"");
    assert!(
        complaint(&vec![header(&[meta(&long, 1, &[2])]), piece]).contains("at most 65535 bytes")
    );
}

#[test]
fn elements_are_in_one_piece() {
    let whole = bytes(5, [&[1; 8]]);
    let half = bytes(5, [&[1; 4]]);
    assert_eq!(raw(&whole), Some(vec![1; 8]));
    // TensorFlow looks at no other field.
    assert_eq!(
        raw(&[varint(1, 9), whole.clone(), bytes(6, [&[1; 8]])].concat()),
        Some(vec![1; 8])
    );
    for tensor in [
        half.clone(),
        bytes(5, [&[1; 12]]),
        [half.clone(), half.clone()].concat(),
        [whole.clone(), bytes(5, [b""])].concat(),
        [half, fixed32(5, [1; 4])].concat(),
        fixed32(5, [1; 4]),
        bytes(4, [&[1; 8]]),
        bytes(6, [&[1; 8]]),
        vec![],
    ] {
        assert_eq!(raw(&tensor), None, "{tensor:?}");
    }

    let (key, value) = slice("w", &[(0, -1)], &whole);
    let two_tensors = bytes(2, [&bytes(3, [&whole]), &bytes(3, [b""])]);
    for value in [
        [value.clone(), bytes(2, [b""])].concat(),
        two_tensors,
        bytes(2, [b""]),
        vec![],
    ] {
        let entries = vec![header(&[meta("w", 1, &[2])]), (key.clone(), value)];
        assert_eq!(listed(&build::table(&entries, PLAIN))[0].2, None);
    }
    let broken = vec![header(&[meta("w", 1, &[2])]), (key, vec![0x80])];
    assert!(
        complaint(&broken).starts_with(r#"entry "\\x00w\\x00\\x01\\x01\\x01\\x80\\x7f": offset"#)
    );
}

#[test]
fn what_belongs_to_no_tensor_is_not_listed() {
    let whole = bytes(5, [&[1; 8]]);
    for (name, extents) in [
        ("v", &[(0, -1)][..]),
        ("w", &[(0, 3)]),
        ("w", &[(1, 2)]),
        ("w", &[(0, -1), (0, -1)]),
        ("w", &[]),
        ("w", &[(1, -1)]),
        ("tomorrow", &[(0, -1)]),
    ] {
        let metas = [meta("w", 1, &[2]), meta("tomorrow", 99, &[2])];
        let entries = vec![header(&metas), slice(name, extents, &whole)];
        assert_eq!(
            listed(&build::table(&entries, PLAIN)),
            [],
            "{name} {extents:?}"
        );
    }
    let foreign = vec![header(&[]), (b"a".to_vec(), vec![0x80])];
    assert_eq!(listed(&build::table(&foreign, PLAIN)), []);
    let named_all = vec![header(&[meta("w", 1, &[2])]), slice("w", &[(0, 2)], &whole)];
    assert_eq!(listed(&build::table(&named_all, PLAIN))[0].0, "w");
    let odd = vec![
        header(&[meta("x\n", 1, &[2])]),
        slice("x\n", &[(0, -1)], &whole),
    ];
    assert_eq!(listed(&build::table(&odd, PLAIN))[0].0, r"x\n");
}

#[test]
fn blocks_are_repaired() {
    for block_entries in [1, 2, 100] {
        let file = build::table(
            &entries(),
            Layout {
                block_entries,
                ..PLAIN
            },
        );
        let inputs = [InputFile {
            name: "model.ckpt",
            bytes: &file,
        }];
        for changed in 0..6 {
            let mut expected = listed(&file);
            let Some(bytes) = &mut expected[changed].2 else {
                continue;
            };
            bytes.fill(0);
            let tensors = model::read(&inputs).unwrap().tensors;
            let number = tensors
                .iter()
                .position(|t| t.name == expected[changed].0)
                .unwrap();
            let bytes = expected[changed].2.clone().unwrap();
            let rewritten = model::rewrite(
                &inputs,
                &[Change {
                    tensor: number,
                    bytes,
                }],
            )
            .unwrap();
            assert_eq!(rewritten.warnings, [""; 0]);
            // Reading checks the checksums of all blocks.
            assert_eq!(listed(&rewritten.files[0]), expected);
        }
    }
}

#[test]
fn beginnings_never_panic() {
    let file = build::table(&entries(), PLAIN);
    for n in 0..file.len() {
        assert!(read_file(&file[..n]).unwrap().is_none());
        let _ = read_file(&[&file[..n], &file[file.len() - 48..]].concat());
    }
}

proptest! {
    #[test]
    fn damaged_values_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        layout in prop::sample::select(vec![PLAIN, COMPRESSED]),
    ) {
        let mut entries = entries();
        for (at, byte) in damage {
            let at = at.index(entries.iter().map(|(_, value)| value.len()).sum());
            let value = entries.iter_mut().flat_map(|(_, value)| value).nth(at);
            *value.unwrap() = byte;
        }
        let file = build::table(&entries, layout);
        if let Ok(Some(found)) = read_file(&file) {
            let mut end = 0;
            for tensor in found.tensors {
                if let TensorData::Raw { range, .. } = tensor.data {
                    prop_assert!(end <= range.start && range.end <= file.len());
                    end = range.end;
                }
            }
        }
    }
}

use super::super::{ModelTensor, TensorData, hdf5::build};
use super::*;
use crate::error::ErrorKind;
use proptest::prelude::*;

/// A member to be written, in an ordinary way unless told otherwise.
#[derive(Clone)]
struct Member<'a> {
    name: &'a str,
    content: &'a [u8],
    flags: u16,
    method: u16,
    /// The numbers that have a place in the extra field are there.
    is_zip64: bool,
    /// Behind the data, there is this many bytes per length, and a signature.
    descriptor: Option<(usize, bool)>,
}

impl<'a> Member<'a> {
    fn new(name: &'a str, content: &'a [u8]) -> Self {
        Self {
            name,
            content,
            flags: 0,
            method: 0,
            is_zip64: false,
            descriptor: None,
        }
    }
}

fn le<const N: usize>(numbers: [u64; N], width: usize) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|n| n.to_le_bytes().into_iter().take(width))
        .collect()
}

/// An archive, and the offsets of all CRCs of every member.
fn zip(members: &[Member<'_>], comment: &[u8]) -> (Vec<u8>, Vec<Vec<usize>>) {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    let mut crcs_at = Vec::new();
    for member in members {
        let len = u64::try_from(member.content.len()).unwrap();
        let crc = u64::from(crc32fast::hash(member.content));
        let at = u64::try_from(file.len()).unwrap();
        let name_len = u64::try_from(member.name.len()).unwrap();
        let flags = u64::from(member.flags) | u64::from(member.descriptor.is_some()) << 3;
        let fixed = le([20, flags, u64::from(member.method), 0, 0], 2);
        let blank = member.descriptor.is_some();
        let mut here = Vec::new();

        let local = if blank { [0; 3] } else { [crc, len, len] };
        let (local_lens, local_extra) = match member.is_zip64 {
            true => (
                [u64::from(u32::MAX); 2],
                [le([1, 16], 2), le([local[1]; 2], 8)].concat(),
            ),
            false => ([local[1], local[2]], Vec::new()),
        };
        file.extend([zip::LOCAL_HEADER, &fixed].concat());
        if !blank {
            here.push(file.len());
        }
        file.extend(le([local[0], local_lens[0], local_lens[1]], 4));
        file.extend(le([name_len, u64::try_from(local_extra.len()).unwrap()], 2));
        file.extend(member.name.as_bytes());
        file.extend(local_extra);
        file.extend(member.content);
        if let Some((width, has_signature)) = member.descriptor {
            file.extend(&b"PK\x07\x08"[..if has_signature { 4 } else { 0 }]);
            here.push(file.len());
            file.extend([le([crc], 4), le([len, len], width)].concat());
        }

        let (lens, extra) = match member.is_zip64 {
            // In front: a field of another kind.
            true => (
                [u64::from(u32::MAX); 3],
                [le([7, 2, 0], 2), le([1, 24], 2), le([len, len, at], 8)].concat(),
            ),
            false => ([len, len, at], Vec::new()),
        };
        let entry_at = directory.len();
        directory.extend([b"PK\x01\x02\x14\0", &fixed[..]].concat());
        directory.extend(le([crc, lens[0], lens[1]], 4));
        directory.extend(le([name_len, u64::try_from(extra.len()).unwrap(), 1], 2));
        directory.extend([0; 8]);
        directory.extend(le([lens[2]], 4));
        directory.extend([member.name.as_bytes(), &extra, b"c"].concat());
        crcs_at.push((here, entry_at + 16));
    }
    let at = file.len();
    let crcs_at = crcs_at.into_iter().map(|(mut here, entry)| {
        here.push(at + entry);
        here
    });
    let crcs_at = crcs_at.collect();
    let (count, len) = (members.len(), directory.len());
    let [count, len, start] = [count, len, at].map(|n| u64::try_from(n).unwrap());
    file.extend(directory);
    if members.iter().any(|member| member.is_zip64) {
        let end_64_at = u64::try_from(file.len()).unwrap();
        file.extend([b"PK\x06\x06", &le([44], 8)[..], &[0; 12]].concat());
        file.extend(le([count, count, len, start], 8));
        file.extend(
            [
                b"PK\x06\x07\0\0\0\0",
                &le([end_64_at], 8)[..],
                &[1, 0, 0, 0],
            ]
            .concat(),
        );
        file.extend([b"PK\x05\x06\0\0\0\0", &[0xff; 12][..]].concat());
    } else {
        file.extend([b"PK\x05\x06", &le([0, 0, count, count], 2)[..]].concat());
        file.extend(le([len, start], 4));
    }
    file.extend(le([u64::try_from(comment.len()).unwrap()], 2));
    file.extend(comment);
    (file, crcs_at)
}

fn read_bytes(bytes: &[u8]) -> Result<Option<Vec<ModelTensor>>> {
    let found = read(
        &[InputFile {
            name: "m.keras",
            bytes,
        }],
        0,
    )?;
    Ok(found.map(|found| found.tensors))
}

fn names(bytes: &[u8]) -> Vec<String> {
    let tensors = read_bytes(bytes).unwrap().unwrap();
    tensors.into_iter().map(|tensor| tensor.name).collect()
}

fn complaint(bytes: &[u8]) -> String {
    let error = read_bytes(bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    error.to_string()
}

const KERNEL: &str = "layers/dense/vars/0";
const BIAS: &str = "layers/dense/vars/1";

/// The weights in all forms that are understood.
fn understood(weights: &[u8]) -> Vec<Vec<Member<'_>>> {
    let ordinary = Member::new("model.weights.h5", weights);
    let mut forms = vec![ordinary.clone()];
    for descriptor in [
        None,
        Some((4, true)),
        Some((4, false)),
        Some((8, true)),
        Some((8, false)),
    ] {
        for is_zip64 in [false, true] {
            forms.push(Member {
                is_zip64,
                descriptor,
                ..ordinary.clone()
            });
        }
    }
    let first = Member::new("metadata.json", b"{}");
    let last = Member::new("assets/x", b"asset");
    forms
        .into_iter()
        .map(|weights| vec![first.clone(), weights, last.clone()])
        .collect()
}

#[test]
fn tensors_are_found_in_stored_members() {
    let weights = build::keras(0);
    for members in understood(&weights) {
        for comment in [&b""[..], b"PK\x05 what a comment"] {
            let (bytes, _) = zip(&members, comment);
            let tensors = read_bytes(&bytes).unwrap().unwrap();
            assert_eq!(names(&bytes), [KERNEL, BIAS]);
            let TensorData::Raw { range, .. } = &tensors[0].data else {
                panic!()
            };
            let kernel: Vec<u8> = (1..=24).collect();
            assert_eq!(bytes[range.clone()], kernel);
        }
    }
}

#[test]
fn other_members_are_named() {
    let weights = build::keras(0);
    let members = [
        Member::new("model.weights.h5", &weights),
        Member::new("a/b.h5", &weights),
        Member::new("new\nline.h5", &weights),
        Member::new("b.hdf", &weights),
        Member::new("text.h5", b"no HDF5"),
    ];
    let others = [KERNEL, BIAS].map(|name| format!("a/b.h5:{name}"));
    assert_eq!(
        names(&zip(&members, b"").0),
        [&[KERNEL.into(), BIAS.into()], &others[..]].concat()
    );
}

#[test]
fn a_zip_without_weights_is_of_another_kind() {
    let (other, _) = zip(&[Member::new("word/document.xml", b"<x/>")], b"");
    let (empty, _) = zip(&[], b"");
    for bytes in [
        &b""[..],
        b"PK\x03\x04",
        &other,
        &empty,
        &other[..other.len() - 1],
    ] {
        assert!(read_bytes(bytes).unwrap().is_none());
    }
}

#[test]
fn members_that_are_not_plain_stay_in_the_skeleton() {
    let weights = build::keras(0);
    let ordinary = Member::new("model.weights.h5", &weights);
    for member in [
        Member {
            method: 8,
            ..ordinary.clone()
        },
        Member {
            flags: 1,
            ..ordinary.clone()
        },
        Member {
            flags: 0x20,
            ..ordinary.clone()
        },
        Member {
            flags: 0x40,
            ..ordinary.clone()
        },
        Member {
            flags: 0x2000,
            ..ordinary.clone()
        },
        // Says that there is a descriptor.
        Member {
            flags: 8,
            ..ordinary.clone()
        },
    ] {
        assert!(names(&zip(&[member], b"").0).is_empty());
    }
    // The local header has another CRC, length or method, or flags.
    let (good, _) = zip(&[ordinary], b"");
    for at in [6, 8, 14, 18, 22] {
        let mut bytes = good.clone();
        bytes[at] ^= 2;
        assert!(names(&bytes).is_empty(), "offset {at}");
    }
}

#[test]
fn damage_is_refused_with_its_place() {
    let weights = build::keras(0);
    let members = [
        Member::new("metadata.json", b"{}"),
        Member::new("model.weights.h5", &weights),
    ];
    let (good, crcs_at) = zip(&members, b"");
    let (end, directory_at) = (good.len() - 22, crcs_at[0][1] - 16);
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        complaint(&bytes)
    };
    assert_eq!(
        complaint(&good[..end]),
        format!(
            "offset {end}: expected an archive's central directory before the end of the file, \
             found none"
        )
    );
    assert!(changed(end + 4, 1).contains("expected an archive in one part"));
    assert!(changed(end + 10, 3).contains("expected an archive in one part"));
    assert!(changed(end + 12, 0).starts_with(&format!(
        "offset {end}: expected a central directory that ends at offset {end}, found it at"
    )));
    assert!(changed(end + 20, 1).contains("expected 1 bytes of the end of the central directory"));
    assert!(changed(directory_at, b'X').contains("expected the central directory, which has"));
}

#[test]
fn members_that_overlap_are_refused() {
    let weights = build::keras(0);
    let members = [
        Member::new("model.weights.h5", &weights),
        Member::new("x", b"x"),
    ];
    let (good, crcs_at) = zip(&members, b"");
    let [first, second] = [&crcs_at[0], &crcs_at[1]].map(|at| at[1] - 16);
    // Both entries are of the first member.
    let mut same = good.clone();
    same.copy_within(first..second, second);
    assert!(read_bytes(&same).is_err());

    // A member inside another's content.
    let inner = zip(&[Member::new("x", b"x")], b"").0;
    let outer = [
        Member::new("model.weights.h5", &inner),
        Member::new("x", b"x"),
    ];
    let (mut bytes, crcs_at) = zip(&outer, b"");
    let entry = crcs_at[1][1] - 16;
    bytes[entry + 42..entry + 46].copy_from_slice(&46u32.to_le_bytes());
    assert_eq!(
        complaint(&bytes),
        format!(
            "offset 0: expected a member of the archive that ends at offset 46 or before, found \
             its end at {}",
            46 + inner.len()
        )
    );
}

#[test]
fn repair_writes_every_crc_of_changed_members() {
    let weights = build::keras(0);
    for members in understood(&weights) {
        let (before, crcs_at) = zip(&members, b"comment");
        let tensors = read_bytes(&before).unwrap().unwrap();
        let TensorData::Raw { range, .. } = tensors[0].data.clone() else {
            panic!()
        };
        let mut changed_weights = weights.clone();
        let at = weights
            .windows(24)
            .position(|w| *w == before[range.clone()])
            .unwrap();
        changed_weights[at..at + 24].fill(0);
        let mut changed_members = members.clone();
        changed_members[1].content = &changed_weights;
        let (expected, _) = zip(&changed_members, b"comment");

        let mut after = before.clone();
        after[range.clone()].fill(0);
        let mut files = [OutputFile {
            name: "m.keras",
            bytes: after,
        }];
        let changed = |file| Changed {
            file,
            range: range.clone(),
        };
        // Of another file: nothing to do.
        assert!(repair(&mut files, &[0], &[changed(1)]).unwrap().is_empty());
        for &at in &crcs_at[1] {
            assert_eq!(files[0].bytes[at..at + 4], before[at..at + 4]);
        }
        assert!(repair(&mut files, &[0], &[changed(0)]).unwrap().is_empty());
        assert_eq!(files[0].bytes, expected);
    }
}

#[test]
fn every_prefix_is_refused_or_of_another_kind() {
    let weights = build::keras(0);
    for members in understood(&weights) {
        let (bytes, _) = zip(&members, b"");
        for len in 0..bytes.len() {
            assert!(
                matches!(read_bytes(&bytes[..len]), Ok(None) | Err(_)),
                "{len}"
            );
        }
    }
}

proptest! {
    #[test]
    fn damage_never_panics(
        form: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        near_end: bool,
    ) {
        let weights = build::keras(0);
        let forms = understood(&weights);
        let (mut bytes, _) = zip(form.get::<Vec<_>>(&forms), b"");
        let n_skipped = if near_end { bytes.len() - 250 } else { 0 };
        for (at, byte) in changes {
            *at.get_mut(&mut bytes[n_skipped..]) = byte;
        }
        for tensor in read_bytes(&bytes).ok().flatten().unwrap_or_default() {
            let TensorData::Raw { range, .. } = tensor.data else { continue };
            prop_assert!(range.end <= bytes.len());
            let mut files = [OutputFile { name: "m.keras", bytes: bytes.clone() }];
            repair(&mut files, &[0], &[Changed { file: 0, range }]).unwrap();
        }
    }
}

use super::build::{self, F16, F32, F64, File, TWO_BYTES, VARIABLE_STRING};
use super::datatype::{self, Datatype};
use super::object::{DATASPACE, DATATYPE, DRIVER_INFO, EXTERNAL_FILES, FILTERS, LAYOUT, LINK};
use super::*;
use crate::error::ErrorKind;
use crate::tensor::DType;
use proptest::prelude::*;

fn read_bytes(bytes: &[u8]) -> Result<Option<Vec<ModelTensor>>> {
    tensors(0, bytes, 0..bytes.len(), "")
}

/// Names and elements, in the order in which they are found; `None` for opaque ones.
fn listed(bytes: &[u8]) -> Vec<(String, Option<&[u8]>)> {
    let tensors = read_bytes(bytes).unwrap().unwrap();
    let elements = |tensor: &ModelTensor| match &tensor.data {
        TensorData::Raw { range, repeats: 0 } => Some(&bytes[range.clone()]),
        TensorData::Raw { .. } => panic!("HDF5 knows no repeats"),
        TensorData::Opaque => None,
    };
    tensors
        .iter()
        .map(|tensor| (tensor.name.clone(), elements(tensor)))
        .collect()
}

fn complaint(bytes: &[u8]) -> String {
    let error = read_bytes(bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    error.to_string()
}

/// A file whose root has the one member `x`.
fn with_member(mut file: File, member: u64) -> Vec<u8> {
    let root = file.group(&[("x", member)]);
    file.finish(root)
}

/// What becomes of a dataset with these messages.
fn dataset_of(messages: &[build::Message]) -> Option<ModelTensor> {
    let mut file = File::new(0);
    let dataset = file.object(messages);
    let mut tensors = read_bytes(&with_member(file, dataset)).unwrap().unwrap();
    assert!(tensors.len() <= 1);
    tensors.pop()
}

#[test]
fn every_superblock_leads_to_the_same_tensors() {
    for version in 0..=3 {
        let bytes = build::keras(version);
        let tensors = read_bytes(&bytes).unwrap().unwrap();
        let summary: Vec<_> = tensors
            .iter()
            .map(|t| (t.name.as_str(), t.dtype, t.shape.as_slice()))
            .collect();
        assert_eq!(
            summary,
            [
                ("layers/dense/vars/0", DType::Float32, &[2, 3][..]),
                ("layers/dense/vars/1", DType::Float16, &[3]),
            ]
        );
        let kernel: Vec<u8> = (1..=24).collect();
        let elements: Vec<_> = listed(&bytes)
            .into_iter()
            .map(|(_, elements)| elements)
            .collect();
        assert_eq!(elements, [Some(&kernel[..]), Some(&[9; 6])]);
    }
}

#[test]
fn offsets_are_those_of_the_outer_file() {
    let inner = build::keras(0);
    let alone = read_bytes(&inner).unwrap().unwrap();
    // In front: another file's bytes, and what a user may put before the signature.
    for user_block in [0, 512, 1024, 4096] {
        for before in [0, 3] {
            let start = before + user_block;
            let outer = [&vec![1; start], &inner[..], b"behind"].concat();
            let place = before..start + inner.len();
            let found = tensors(7, &outer, place, "other.h5:").unwrap().unwrap();
            for (tensor, expected) in found.iter().zip(&alone) {
                assert_eq!(tensor.file, 7);
                assert_eq!(tensor.name, ["other.h5:", &expected.name].concat());
                let TensorData::Raw { range, .. } = &tensor.data else {
                    panic!()
                };
                let TensorData::Raw { range: inner, .. } = &expected.data else {
                    panic!()
                };
                assert_eq!(*range, inner.start + start..inner.end + start);
            }
            assert_eq!(found.len(), alone.len());
        }
    }
}

#[test]
fn what_is_not_hdf5_is_of_another_kind() {
    let file = build::keras(0);
    let shifted = [&[0; 100], &file[..]].concat();
    for bytes in [&b""[..], &SIGNATURE[..7], b"\x08\x03", &shifted] {
        assert!(read_bytes(bytes).unwrap().is_none());
    }
}

#[test]
fn files_of_other_forms_have_no_tensors() {
    let version = [SIGNATURE, &[4], &[0; 100]].concat();
    let mut width = build::keras(0);
    width[13] = 4;
    let mut driver = build::keras(0);
    driver[48..56].fill(0);
    let mut file = File::new(3);
    let extension = file.object(&[(DRIVER_INFO, 0, vec![0; 8])]);
    file.put(20, extension);
    let root = file.group(&[]);
    for bytes in [&version, &width, &driver, &file.finish(root)] {
        assert_eq!(listed(bytes), []);
    }
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    let bytes = build::keras(0);
    let n = bytes.len();
    assert_eq!(
        complaint(&bytes[..n - 1]),
        format!(
            "offset 40: expected an HDF5 file of {n} bytes from offset 0 on, found {}",
            n - 1
        )
    );
}

#[test]
fn objects_are_listed_under_every_name_and_groups_once() {
    for version in [0, 3] {
        let mut file = File::new(version);
        let (dataset, _) = file.dataset(F32, &[], &[1, 2, 3, 4]);
        let inner = file.group(&[("b", dataset), ("c", dataset)]);
        let root_comes = 0x7777_7777u64;
        let members = [
            ("again", inner),
            ("up", root_comes),
            ("x", dataset),
            ("z", inner),
        ];
        let root = file.group(&members);
        let mut bytes = file.finish(root);
        let link = bytes
            .windows(8)
            .position(|w| w == root_comes.to_le_bytes())
            .unwrap();
        bytes[link..link + 8].copy_from_slice(&root.to_le_bytes());
        let names: Vec<_> = listed(&bytes).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["again/b", "again/c", "x"], "version {version}");
    }
}

#[test]
fn soft_links_and_names_that_cannot_be_shown_are_passed_over() {
    let mut file = File::new(0);
    let (dataset, _) = file.dataset(F32, &[], &[1, 2, 3, 4]);
    let (names, node) = file.symbol_node(&[
        ("soft", UNDEFINED, 2),
        ("new\nline", dataset, 0),
        ("", dataset, 0),
        ("good", dataset, 0),
    ]);
    let tree = file.tree_node(0, &[node]);
    let root = file.old_group(tree, names);
    assert_eq!(
        listed(&file.finish(root)),
        [("good".to_owned(), Some(&[1, 2, 3, 4][..]))]
    );

    let mut file = File::new(2);
    let (dataset, _) = file.dataset(F32, &[], &[1, 2, 3, 4]);
    let to = dataset.to_le_bytes();
    let root = file.object(&[
        (LINK, 0, [b"\x01\x08\x01\x04soft\x01\0x", &to[..]].concat()),
        (LINK, 0, [b"\x01\0\x01\xff", &to[..]].concat()),
        // Everything that may stand before the name, which has a length of two bytes.
        (
            LINK,
            0,
            [b"\x01\x1d\0", &[0; 8][..], b"\x01\x04\0good", &to].concat(),
        ),
    ]);
    assert_eq!(
        listed(&file.finish(root)),
        [("good".to_owned(), Some(&[1, 2, 3, 4][..]))]
    );
}

#[test]
fn trees_may_have_levels() {
    let mut file = File::new(0);
    let names = file.heap(b"\0\0\0\0\0\0\0\0a\0b\0c\0");
    let leaves = ["a", "b", "c"].map(|name| {
        let (dataset, _) = file.dataset(F32, &[], name.repeat(4).as_bytes());
        let offset = 8 + 2 * u64::from(name.as_bytes()[0] - b'a');
        let entry = [build::numbers(&[offset, dataset]), vec![0; 24]].concat();
        let node = file.add(&[b"SNOD\x01\0\x01\0", &entry[..]].concat());
        file.tree_node(0, &[node])
    });
    let tree = file.tree_node(1, &leaves);
    let root = file.old_group(tree, names);
    let bytes = file.finish(root);
    let expected = [b"aaaa", b"bbbb", b"cccc"].map(|elements| {
        let name = char::from(elements[0]).to_string();
        (name, Some(&elements[..]))
    });
    assert_eq!(listed(&bytes), expected);

    // A tree whose node is below itself would never end.
    let at = usize::try_from(tree).unwrap();
    let mut cyclic = bytes;
    cyclic[at + 32..at + 40].copy_from_slice(&tree.to_le_bytes());
    let expected = "expected a B-tree node of a group at level 0, found one of type 0 at level 1";
    assert_eq!(complaint(&cyclic), format!("offset {at}: {expected}"));
}

#[test]
fn headers_go_on_elsewhere() {
    for version in [0, 2] {
        let mut file = File::new(version);
        let data = file.add(&[5; 8]);
        let all = build::dataset(F64, &[1], build::contiguous(data, 8));
        let last = file.continuation(&all[2..]);
        let more = file.continuation(&[all[1].clone(), last]);
        let dataset = file.object(&[more, all[0].clone()]);
        let bytes = with_member(file, dataset);
        assert_eq!(listed(&bytes), [("x".to_owned(), Some(&[5; 8][..]))]);
    }
}

#[test]
fn structures_that_are_linked_again_and_again_are_refused() {
    // A header that continues in itself.
    let mut file = File::new(0);
    let at = file.next() + 16;
    let object = file.object(&[(0x10, 0, build::numbers(&[at, 24]))]);
    let bytes = with_member(file, object);
    assert!(complaint(&bytes).contains("again and again"));

    // A tree that has one leaf a thousand times, with a thousand links to one dataset.
    let mut file = File::new(0);
    let (dataset, _) = file.dataset(F32, &[], &[0; 4]);
    let (names, node) = file.symbol_node(&[("x", dataset, 0); 1000]);
    let tree = file.tree_node(0, &[node; 1000]);
    let root = file.old_group(tree, names);
    assert!(complaint(&file.finish(root)).contains("again and again"));

    // Groups that all link to the next one many times over.
    let mut file = File::new(0);
    let (mut member, _) = file.dataset(F32, &[], &[0; 4]);
    for _ in 0..40 {
        member = file.group(&[("a", member), ("b", member), ("c", member)]);
    }
    let bytes = with_member(file, member);
    assert_eq!(listed(&bytes).len(), 3);
}

#[test]
fn long_paths_are_refused() {
    let mut file = File::new(0);
    let name = "n".repeat(30_000);
    let (mut member, _) = file.dataset(F32, &[], &[0; 4]);
    for _ in 0..3 {
        member = file.group(&[(&name, member)]);
    }
    let bytes = with_member(file, member);
    assert!(complaint(&bytes).contains("at most 65535 bytes, found 90004"));

    let mut file = File::new(0);
    let (names, node) = file.symbol_node(&[(&"n".repeat(70_000), 0, 0)]);
    let tree = file.tree_node(0, &[node]);
    let root = file.old_group(tree, names);
    assert!(complaint(&file.finish(root)).contains("ends with a NUL, found none"));
}

#[test]
fn datatypes_are_those_of_tensorflow_where_they_can_be() {
    let fixed = |bits: u8, size: u8| [0x10, bits, 0, 0, size, 0, 0, 0, 0, 0, 8 * size, 0];
    let bool_1 = [
        &[0x18, 2, 0, 0, 1, 0, 0, 0],
        &fixed(8, 1)[..],
        b"FALSE\0\0\0TRUE\0\0\0\0\0\x01",
    ];
    let bool_3 = [
        &[0x38, 2, 0, 0, 1, 0, 0, 0],
        &fixed(8, 1)[..],
        b"FALSE\0TRUE\0\0\x01",
    ];
    let other = [
        &[0x38, 2, 0, 0, 1, 0, 0, 0],
        &fixed(8, 1)[..],
        b"OFF\0ON\0\0\x01",
    ];
    let mut big_f32 = F32.to_vec();
    big_f32[1] |= 1;
    let mut vax_f32 = F32.to_vec();
    vax_f32[1] |= 0x41;
    let mut padded_f32 = F32.to_vec();
    padded_f32[1] |= 0x02;
    let mut shifted_f32 = F32.to_vec();
    shifted_f32[8] = 1;
    let bfloat16 = b"\x11\x20\x0f\0\x02\0\0\0\0\0\x10\0\x07\x08\0\x07\x7f\0\0\0";
    let mut narrow = fixed(8, 4);
    narrow[10] = 24;
    for (message, expected) in [
        (&fixed(8, 1)[..], Datatype::LittleEndian(DType::Int8)),
        (&fixed(9, 1), Datatype::LittleEndian(DType::Int8)),
        (&fixed(8, 2), Datatype::LittleEndian(DType::Int16)),
        (&fixed(8, 4), Datatype::LittleEndian(DType::Int32)),
        (&fixed(8, 8), Datatype::LittleEndian(DType::Int64)),
        (&fixed(0, 1), Datatype::LittleEndian(DType::Uint8)),
        (&fixed(0, 2), Datatype::LittleEndian(DType::Uint16)),
        (&fixed(0, 4), Datatype::LittleEndian(DType::Uint32)),
        (&fixed(0, 8), Datatype::LittleEndian(DType::Uint64)),
        (&fixed(9, 4), Datatype::Foreign(DType::Int32)),
        (&fixed(0, 16), Datatype::Unknown),
        (&narrow, Datatype::Unknown),
        (F16, Datatype::LittleEndian(DType::Float16)),
        (F32, Datatype::LittleEndian(DType::Float32)),
        (F64, Datatype::LittleEndian(DType::Float64)),
        (bfloat16, Datatype::LittleEndian(DType::Bfloat16)),
        (&padded_f32, Datatype::LittleEndian(DType::Float32)),
        (&big_f32, Datatype::Foreign(DType::Float32)),
        (&vax_f32, Datatype::Unknown),
        (&shifted_f32, Datatype::Unknown),
        (TWO_BYTES, Datatype::TwoBytes),
        (b"\x15\0\0\0\x03\0\0\0", Datatype::Unknown),
        (b"\x13\0\0\0\x03\0\0\0", Datatype::Foreign(DType::String)),
        (VARIABLE_STRING, Datatype::Foreign(DType::String)),
        (b"\x19\0\0\0\x10\0\0\0", Datatype::Unknown),
        (&bool_1.concat(), Datatype::LittleEndian(DType::Bool)),
        (&bool_3.concat(), Datatype::LittleEndian(DType::Bool)),
        (&other.concat(), Datatype::LittleEndian(DType::Int8)),
    ] {
        let part = Part::of(message, 0, "a datatype");
        assert_eq!(datatype::read(part).unwrap(), expected, "{message:x?}");
    }
}

#[test]
fn bfloat16_is_what_keras_says_is() {
    let fixed_string = b"\x13\0\0\0\x08\0\0\0";
    let object = [
        &[1, 0, 1, 0, 0, 0, 0, 0],
        &build::numbers(&[8])[..],
        b"bfloat16",
    ]
    .concat();
    for version in 1..=3 {
        for is_variable in [false, true] {
            let mut file = File::new(0);
            let data = file.add(&[1, 2, 3, 4]);
            let heap = file.add(&[b"GCOL\x01\0\0\0", &build::numbers(&[40])[..], &object].concat());
            let value = [&[8, 0, 0, 0], &heap.to_le_bytes()[..], &[1, 0, 0, 0]].concat();
            let (datatype, value) = match is_variable {
                true => (VARIABLE_STRING, &value[..]),
                false => (&fixed_string[..], &b"bfloat16"[..]),
            };
            let mut messages = build::dataset(TWO_BYTES, &[2], build::contiguous(data, 4));
            messages.push(build::attribute(version, "other", TWO_BYTES, &[0; 2]));
            messages.push(build::attribute(version, "dtype", datatype, value));
            let dataset = file.object(&messages);
            let bytes = with_member(file, dataset);
            let tensors = read_bytes(&bytes).unwrap().unwrap();
            assert_eq!(tensors[0].dtype, DType::Bfloat16);
            assert_eq!(listed(&bytes), [("x".to_owned(), Some(&[1, 2, 3, 4][..]))]);
        }
    }
    assert_eq!(
        dataset_of(&build::dataset(TWO_BYTES, &[0], build::contiguous(0, 0))),
        None
    );
}

#[test]
fn only_what_stands_in_one_piece_is_raw() {
    let contiguous = build::contiguous(0, 8);
    let is_raw = |layout: &[u8], more: &[build::Message]| {
        let messages = [build::dataset(F32, &[2], layout.to_vec()), more.to_vec()].concat();
        let tensor = dataset_of(&messages).unwrap();
        assert_eq!((tensor.dtype, tensor.shape), (DType::Float32, vec![2]));
        tensor.data != TensorData::Opaque
    };
    assert!(is_raw(&contiguous, &[]));
    assert!(is_raw(&[&[4], &contiguous[1..]].concat(), &[]));
    assert!(!is_raw(&[&[5], &contiguous[1..]].concat(), &[]));
    assert!(!is_raw(&[3, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8], &[]));
    assert!(!is_raw(&[3, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]));
    assert!(!is_raw(&[1, 1, 1, 0, 0, 0, 0, 0], &[]));
    assert!(!is_raw(&build::contiguous(UNDEFINED, 8), &[]));
    assert!(!is_raw(&build::contiguous(0, 4), &[]));
    assert!(!is_raw(&build::contiguous(0, 12), &[]));
    assert!(!is_raw(&contiguous, &[(FILTERS, 0, vec![0; 8])]));
    assert!(!is_raw(&contiguous, &[(EXTERNAL_FILES, 0, vec![0; 8])]));

    let empty = dataset_of(&build::dataset(
        F32,
        &[2, 0],
        build::contiguous(UNDEFINED, 0),
    ));
    let Some(TensorData::Raw { range, repeats: 0 }) = empty.map(|tensor| tensor.data) else {
        panic!("an empty dataset has all its elements");
    };
    assert!(range.is_empty());
}

#[test]
fn what_has_no_dtype_or_shape_is_not_listed() {
    let layout = build::contiguous(0, 8);
    let compound = b"\x16\x02\0\0\x08\0\0\0";
    assert_eq!(
        dataset_of(&build::dataset(compound, &[1], layout.clone())),
        None
    );
    assert_eq!(
        dataset_of(&build::dataset(F32, &[1 << 62, 4], layout.clone())),
        None
    );
    let mut messages = build::dataset(F32, &[2], layout);
    for dataspace in [vec![2, 0, 0, 2], vec![9, 0, 0, 0]] {
        messages[0].2 = dataspace;
        assert_eq!(dataset_of(&messages), None);
    }
    messages[0].2 = [vec![2, 1, 0, 1], build::numbers(&[2])].concat();
    assert_eq!(dataset_of(&messages).unwrap().shape, [2]);
    for index in [DATASPACE, DATATYPE] {
        // Stored elsewhere, or not at all.
        let mut shared = messages.clone();
        shared
            .iter_mut()
            .find(|message| message.0 == index)
            .unwrap()
            .1 = 2;
        assert_eq!(dataset_of(&shared), None);
        shared.retain(|message| message.0 != index);
        assert_eq!(dataset_of(&shared), None);
    }
    messages.retain(|message| message.0 != LAYOUT);
    assert_eq!(dataset_of(&messages), None);
}

#[test]
fn damage_is_refused_with_its_place() {
    let refuse = |messages: &[build::Message]| {
        let mut file = File::new(0);
        let object = file.object(messages);
        complaint(&with_member(file, object))
    };
    let outside = refuse(&build::dataset(F32, &[2], build::contiguous(1 << 40, 8)));
    assert!(outside.starts_with("offset 1099511627776: expected 8 bytes of a dataset, found"));
    let wrapped = refuse(&build::dataset(
        F32,
        &[2],
        build::contiguous(u64::MAX - 3, 8),
    ));
    assert!(wrapped.contains("expected 8 bytes of a dataset"));
    let rank = refuse(&build::dataset(F32, &[1; 33], build::contiguous(0, 4)));
    assert!(rank.contains("expected a rank of at most 32, found 33"));
    let short = refuse(&build::dataset(F32, &[2], vec![3, 1, 0, 0, 0, 0, 0, 0]));
    assert!(short.contains("expected 8 bytes of a header message, found 6"));

    let mut file = File::new(0);
    let nothing = file.add(b"nothing");
    let expected = "expected an object header of version 1 or 2, found \"nothi\"";
    assert_eq!(
        complaint(&with_member(file, nothing)),
        format!("offset {nothing}: {expected}")
    );

    let mut file = File::new(0);
    let (names, node) = file.symbol_node(&[("x", 0, 0)]);
    let tree = file.tree_node(0, &[node]);
    let root = file.old_group(names, tree);
    assert!(complaint(&file.finish(root)).contains("which has \"HEAP\\x00\" here, found \"TREE"));
}

#[test]
fn datasets_that_overlap_are_refused() {
    for shift in [0, 4] {
        let mut file = File::new(0);
        let data = file.add(&[1; 12]);
        let at = data + shift;
        let [first, second] =
            [data, at].map(|at| file.object(&build::dataset(F32, &[2], build::contiguous(at, 8))));
        let root = file.group(&[("a", first), ("b", second)]);
        let expected = format!(
            "expected a dataset after the end of another at {}",
            data + 8
        );
        assert!(complaint(&file.finish(root)).starts_with(&format!("offset {at}: {expected}")));
    }
}

#[test]
fn every_prefix_is_refused_or_of_another_kind() {
    for version in 0..=3 {
        let bytes = build::keras(version);
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
        version in 0..=3u8,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = build::keras(version);
        for (at, byte) in changes {
            *at.get_mut(&mut bytes) = byte;
        }
        for tensor in read_bytes(&bytes).ok().flatten().unwrap_or_default() {
            if let TensorData::Raw { range, .. } = tensor.data {
                prop_assert!(range.end <= bytes.len());
            }
        }
    }
}

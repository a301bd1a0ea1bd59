//! Hand-made flatbuffers for each rule; real files are read in the tests of the crate.

use super::build::Builder;
use super::*;
use crate::error::ErrorKind;
use proptest::prelude::*;

/// What a buffer is made of.
#[derive(Clone)]
enum Buffer {
    Nothing,
    Inside(Vec<u8>),
    Behind(u64, u64),
}

/// What a tensor says.
#[derive(Clone)]
struct Tensor {
    name: Vec<u8>,
    type_id: u8,
    shape: Vec<i32>,
    buffer: u32,
    is_sparse: bool,
}

fn tensor(name: &str, shape: &[i32], buffer: u32) -> Tensor {
    Tensor {
        name: name.as_bytes().to_vec(),
        type_id: 0,
        shape: shape.to_vec(),
        buffer,
        is_sparse: false,
    }
}

/// A model of these subgraphs and buffers.
fn build(version: u32, subgraphs: &[Vec<Tensor>], buffers: &[Buffer]) -> Vec<u8> {
    let mut b = Builder(b"\0\0\0\0TFL3".to_vec());
    let (model, fields) = b.table(&[4, 0, 4, 0, 4]);
    b.point(0, model);
    b.set(fields[0], &version.to_le_bytes());
    for (from, tensors) in b
        .offsets(fields[2], subgraphs.len())
        .into_iter()
        .zip(subgraphs)
    {
        let (subgraph, fields) = b.table(&[4]);
        b.point(from, subgraph);
        for (from, tensor) in b.offsets(fields[0], tensors.len()).into_iter().zip(tensors) {
            let sparsity = if tensor.is_sparse { 4 } else { 0 };
            let (table, fields) = b.table(&[4, 1, 4, 4, 0, 0, sparsity]);
            b.point(from, table);
            b.set(fields[1], &[tensor.type_id]);
            b.set(fields[2], &tensor.buffer.to_le_bytes());
            let shape: Vec<u8> = tensor.shape.iter().flat_map(|d| d.to_le_bytes()).collect();
            let shape = b.vector(tensor.shape.len(), &shape);
            b.point(fields[0], shape);
            let name = b.vector(tensor.name.len(), &tensor.name);
            b.point(fields[3], name);
        }
    }
    for (from, buffer) in b.offsets(fields[4], buffers.len()).into_iter().zip(buffers) {
        match buffer {
            Buffer::Nothing => {
                let (table, _) = b.table(&[]);
                b.point(from, table);
            }
            Buffer::Inside(bytes) => {
                let (table, fields) = b.table(&[4]);
                b.point(from, table);
                let data = b.vector(bytes.len(), bytes);
                b.point(fields[0], data);
            }
            Buffer::Behind(offset, size) => {
                let (table, fields) = b.table(&[0, 8, 8]);
                b.point(from, table);
                b.set(fields[1], &offset.to_le_bytes());
                b.set(fields[2], &size.to_le_bytes());
            }
        }
    }
    b.0
}

/// A model of one subgraph, whose buffer 1 holds 24 bytes.
fn model_of(tensors: &[Tensor]) -> Vec<u8> {
    let buffers = [Buffer::Nothing, Buffer::Inside((1..=24).collect())];
    build(3, &[tensors.to_vec()], &buffers)
}

fn find(bytes: &[u8]) -> Result<Option<Found>> {
    read(&[InputFile { name: "", bytes }], 0)
}

/// Name, dtype, shape and bytes of a tensor; no bytes if it is opaque.
type Seen = (String, DType, Vec<u64>, Option<Vec<u8>>);

fn seen(file: &[u8]) -> Vec<Seen> {
    let found = find(file).unwrap().unwrap();
    assert_eq!(found.files, [0]);
    let seen = found.tensors.into_iter().map(|tensor| {
        let bytes = match tensor.data {
            TensorData::Raw { range, repeats: 0 } => Some(file[range].to_vec()),
            TensorData::Raw { .. } => panic!("nothing repeats in a buffer"),
            TensorData::Opaque => None,
        };
        (tensor.name, tensor.dtype, tensor.shape, bytes)
    });
    seen.collect()
}

fn complaint(file: &[u8]) -> String {
    let e = find(file).map(|_| ()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Model);
    e.to_string()
}

fn content() -> Vec<u8> {
    (1..=24).collect()
}

#[test]
fn tensors_with_elements_are_found() {
    let file = model_of(&[
        tensor("computed", &[2, 3], 0),
        tensor("weights", &[2, 3], 1),
        tensor("the same", &[6], 1),
    ]);
    assert_eq!(
        seen(&file),
        [
            (
                "weights".to_owned(),
                DType::Float32,
                vec![2, 3],
                Some(content())
            ),
            (
                "the same".to_owned(),
                DType::Float32,
                vec![6],
                Some(content())
            ),
        ]
    );
    let found = find(&file).unwrap().unwrap();
    assert_eq!(found.tensors[0].data, found.tensors[1].data);
}

#[test]
fn all_subgraphs_count() {
    let subgraphs = [
        vec![tensor("a", &[6], 1)],
        vec![],
        vec![tensor("a", &[6], 1), tensor("no data", &[6], 2)],
    ];
    let buffers = [
        Buffer::Nothing,
        Buffer::Inside(content()),
        Buffer::Nothing,
        Buffer::Inside(vec![1; 9]),
    ];
    assert_eq!(seen(&build(3, &subgraphs, &buffers)).len(), 2);
}

#[test]
fn every_type_has_its_dtype() {
    for (type_id, name) in [
        "float32",
        "float16",
        "int32",
        "uint8",
        "int64",
        "string",
        "bool",
        "int16",
        "complex64",
        "int8",
        "float64",
        "complex128",
        "uint64",
        "resource",
        "variant",
        "uint32",
        "uint16",
        "int4",
        "bfloat16",
        "int2",
        "uint4",
    ]
    .into_iter()
    .enumerate()
    {
        let type_id = u8::try_from(type_id).unwrap();
        let dtype = dtype(type_id).unwrap();
        assert_eq!(dtype.name(), name);
        let width = i32::try_from(dtype.width().unwrap_or(1)).unwrap();
        let mut weights = tensor("w", &[24 / width.min(8)], 1);
        if width == 16 {
            continue;
        }
        weights.type_id = type_id;
        let is_raw = dtype.width().is_some();
        let expected = is_raw.then(content);
        assert_eq!(seen(&model_of(&[weights]))[0].3, expected, "{name}");
    }
    assert_eq!(dtype(21), None);
    let mut unknown = tensor("w", &[6], 1);
    unknown.type_id = 99;
    assert_eq!(seen(&model_of(&[unknown])), []);
}

#[test]
fn shapes_that_do_not_fit_are_opaque_or_not_listed() {
    let opaque = |shape: &[i32]| {
        let seen = seen(&model_of(&[tensor("w", shape, 1)]));
        seen.first().map(|(_, _, shape, bytes)| {
            assert_eq!(*bytes, None);
            shape.len()
        })
    };
    for shape in [
        &[5][..],
        &[7],
        &[],
        &[0, 3],
        &[i32::MAX, i32::MAX],
        &[1; 254],
    ] {
        assert_eq!(opaque(shape), Some(shape.len()), "{shape:?}");
    }
    for shape in [&[-1, 6][..], &[i32::MAX, i32::MAX, 4], &[1; 255]] {
        assert_eq!(opaque(shape), None, "{shape:?}");
    }
}

#[test]
fn sparse_tensors_list_their_values() {
    let mut sparse = tensor("w", &[100, 100], 1);
    sparse.is_sparse = true;
    let expected = (
        "w:values".to_owned(),
        DType::Float32,
        vec![6],
        Some(content()),
    );
    assert_eq!(seen(&model_of(&[sparse.clone()])), [expected]);

    sparse.type_id = 10;
    assert_eq!(seen(&model_of(&[sparse.clone()]))[0].2, [3]);
    // Not a whole number of elements, or elements without a width.
    for type_id in [11, 17] {
        sparse.type_id = type_id;
        let (_, _, shape, bytes) = seen(&model_of(&[sparse.clone()])).swap_remove(0);
        assert_eq!((shape, bytes), (vec![100, 100], None));
    }
}

#[test]
fn buffers_may_stand_behind_the_flatbuffer() {
    let tensors = vec![tensor("w", &[2], 1)];
    let at = |offset, size| {
        let buffers = [Buffer::Nothing, Buffer::Behind(offset, size)];
        let mut file = build(3, std::slice::from_ref(&tensors), &buffers);
        file.extend(b"12345678");
        file
    };
    let end = at(2, 0).len() as u64;
    let expected = Some(b"12345678".to_vec());
    assert_eq!(seen(&at(end - 8, 8))[0].3, expected);
    assert_eq!(seen(&at(end - 8, 7))[0].3, None);
    for (offset, size) in [(0, 8), (1, 8), (end, 0)] {
        assert_eq!(seen(&at(offset, size)), []);
    }
    for (offset, size) in [(end - 7, 8), (end, 1), (end + 1, 0), (u64::MAX, 2)] {
        let text = complaint(&at(offset, size));
        let found = format!("found {size} bytes at offset {offset}");
        assert!(text.ends_with(&found), "{text}");
    }
}

#[test]
fn buffers_that_overlap_are_opaque() {
    let tensors: Vec<_> = (1..=5).map(|i| tensor("w", &[2], i)).collect();
    let buffers = |shift: u64| {
        let behind = |offset| Buffer::Behind(offset, 8);
        let end = 900;
        [
            Buffer::Nothing,
            behind(end),
            behind(end + 8),
            behind(end + 12 + shift),
            behind(end + 8),
            behind(end + 20 + shift),
        ]
    };
    let is_raw = |shift| {
        let mut file = build(3, std::slice::from_ref(&tensors), &buffers(shift));
        assert!(file.len() < 900);
        file.resize(950, 7);
        let seen = seen(&file);
        let raw = seen.iter().map(|(.., bytes)| bytes.is_some());
        raw.collect::<Vec<_>>()
    };
    assert_eq!(is_raw(4), [true; 5]);
    assert_eq!(is_raw(0), [true, false, false, false, true]);
}

#[test]
fn names_are_text() {
    let mut odd = tensor("", &[6], 1);
    odd.name = b"a\xffb\nc".to_vec();
    let file = model_of(&[odd.clone(), tensor("", &[6], 1), tensor("größe", &[6], 1)]);
    let names: Vec<_> = seen(&file).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["a\u{fffd}b\u{fffd}c", "", "größe"]);

    for (len, is_sparse, n) in [
        (65_535, false, 1),
        (65_536, false, 0),
        (65_528, true, 1),
        (65_529, true, 0),
    ] {
        let mut long = tensor(&"n".repeat(len), &[6], 1);
        long.is_sparse = is_sparse;
        assert_eq!(seen(&model_of(&[long])).len(), n, "{len}");
    }
    odd.name = vec![0xff; 30_000];
    assert_eq!(seen(&model_of(&[odd])), []);
}

#[test]
fn what_tensorflow_refuses_is_refused() {
    let tensors = vec![tensor("w", &[6], 1)];
    let buffers = [Buffer::Nothing];
    assert!(
        complaint(&build(3, &[], &buffers)).ends_with("expected subgraphs, found an empty list")
    );
    assert!(complaint(&build(4, &[], &[])).ends_with("expected schema version 3, found 4"));
    assert!(
        complaint(&build(3, &[tensors], &buffers))
            .ends_with("expected a tensor's buffer among 1, found buffer 1")
    );
    let mut file = Builder(b"\0\0\0\0TFL3".to_vec());
    let (model, fields) = file.table(&[4]);
    file.point(0, model);
    file.set(fields[0], &3u32.to_le_bytes());
    assert!(complaint(&file.0).ends_with("expected subgraphs, found none"));
}

#[test]
fn only_its_identifier_makes_a_model() {
    for bytes in [&b""[..], b"TFL3", b"\0\0\0\0TFL", b"\0\0\0\0TFL4"] {
        assert!(find(bytes).unwrap().is_none());
    }
    assert!(complaint(b"\0\0\0\0TFL3").starts_with("TFLite model: offset "));
}

#[test]
fn every_prefix_errs() {
    let file = model_of(&[tensor("weights", &[2, 3], 1)]);
    for len in 8..file.len() {
        assert!(complaint(&file[..len]).starts_with("TFLite model: offset "));
    }
}

/// Where the offset at `at` leads.
fn target(file: &[u8], at: usize) -> usize {
    let offset = file[at..].first_chunk().copied().unwrap();
    at + usize::try_from(u32::from_le_bytes(offset)).unwrap()
}

/// A model of `n_subgraphs` that are the same, each of `n_tensors` that are the same.
fn shared(tensor: &Tensor, n_subgraphs: usize, n_tensors: usize) -> Vec<u8> {
    let mut b = Builder(model_of(std::slice::from_ref(tensor)));
    let subgraphs = target(&b.0, 0) + 8;
    let subgraph = target(&b.0, target(&b.0, subgraphs) + 4);
    let tensors = subgraph + 4;
    let table = target(&b.0, target(&b.0, tensors) + 4);
    for (from, len, to) in [
        (tensors, n_tensors, table),
        (subgraphs, n_subgraphs, subgraph),
    ] {
        // Offsets lead forwards only: what is shared is copied to behind the vector.
        let elements = b.offsets(from, len);
        let copy = b.0.len();
        b.0.extend_from_within(..);
        for element in elements {
            b.point(element, copy + to);
        }
    }
    b.0
}

#[test]
fn shared_tables_buy_nothing() {
    let computed = tensor("w", &[6], 0);
    let small = tensor("w", &[6], 1);
    let long_name = tensor(&"n".repeat(60_000), &[6], 1);
    let wide_shape = tensor("", &[1; 254], 1);
    assert_eq!(seen(&shared(&small, 3, 500)).len(), 1500);
    assert_eq!(seen(&shared(&small, 1, 20_000)).len(), 20_000);
    for (tensor, n_subgraphs, n_tensors, found) in [
        (&computed, 20_000, 20_000, "tensors that are not shared"),
        // One bound or the other, by how large a pointer is.
        (&small, 20_000, 20_000, "found more"),
        (&long_name, 1, 500, "at most 16 times the file"),
        (&wide_shape, 1, 20_000, "at most 16 times the file"),
    ] {
        let file = shared(tensor, n_subgraphs, n_tensors);
        let complaint = complaint(&file);
        assert!(complaint.contains(found), "{complaint}");
    }
}

fn assert_sane(file: &[u8]) {
    let found = find(file).ok().flatten();
    for tensor in found.into_iter().flat_map(|found| found.tensors) {
        if let TensorData::Raw { range, .. } = tensor.data {
            assert!(file.get(range).is_some_and(|bytes| !bytes.is_empty()));
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(mut file in prop::collection::vec(any::<u8>(), 8..300)) {
        file[4..8].copy_from_slice(b"TFL3");
        assert_sane(&file);
    }

    #[test]
    fn damaged_models_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut sparse = tensor("v", &[2], 2);
        sparse.is_sparse = true;
        let buffers = [Buffer::Nothing, Buffer::Inside(content()), Buffer::Behind(60, 8)];
        let mut file = build(3, &[vec![tensor("w", &[2, 3], 1), sparse]], &buffers);
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        assert_sane(&file);
    }
}

//! Whole models there and back: any graph packs to the same bytes on any number of threads,
//! restores to the bytes that it had, and every tensor in it reads, in every way, as a naive reader
//! of the model file would have it.

#![cfg(feature = "pack")]
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

mod common;

use common::graph_def::*;
use common::models::{self, Noise};
use common::moods::{dtypes, moods};
use common::naive;
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use tfzip::{Archive, DType, ElementClass, PackOptions, PositionKind, pack_slice};

fn options(threads: usize) -> PackOptions {
    let mut options = PackOptions::default();
    options.threads = threads;
    options
}

/// Packs on one thread, and makes sure that nothing else gives other bytes.
fn pack(model: &[u8]) -> Archive<Vec<u8>> {
    let (tfz, report) = pack_slice(model, "m.pb", &options(1)).unwrap();
    for threads in [1, 2, 3] {
        let again = pack_slice(model, "m.pb", &options(threads)).unwrap();
        assert!(again.0 == tfz, "{threads} threads");
        assert_eq!(again.1, report);
    }
    assert_eq!(report.model_bytes, model.len() as u64);
    assert_eq!(report.archive_bytes, tfz.len() as u64);
    Archive::new(tfz).unwrap()
}

fn restore(archive: &Archive<Vec<u8>>) -> Vec<u8> {
    let mut restored = Vec::new();
    archive.restore(0, &mut restored).unwrap();
    restored
}

/// A tensor as it stands in a model, and all of its elements.
#[derive(Clone, Debug)]
struct Given {
    proto: TensorProto,
    elements: Vec<u8>,
}

fn tensors() -> impl Strategy<Value = Given> {
    let dim = prop_oneof![
        1 => Just(0u64),
        2 => Just(1),
        6 => 2..9u64,
        4 => prop::sample::select(vec![15, 16, 17, 31, 40]),
    ];
    (
        dtypes(),
        prop::collection::vec(dim, 0..4),
        moods(),
        any::<u64>(),
        prop::option::weighted(0.3, any::<prop::sample::Index>()),
    )
        .prop_map(|(dtype, mut shape, mood, seed, stored)| {
            while shape.iter().product::<u64>() > 4096 {
                shape.pop();
            }
            let n = shape.iter().product::<u64>() as usize;
            let width = dtype.width().unwrap();
            let elements = mood.elements(width, n, seed);
            let own_field = match stored {
                Some(stored) => in_own_field(dtype, &shape, elements, stored.index(n + 1)),
                None => Err(elements),
            };
            own_field.unwrap_or_else(|elements| Given {
                proto: TensorProto {
                    tensor_content: elements.clone(),
                    ..tensor(dtype, &shape)
                },
                elements,
            })
        })
}

/// The first elements in the field that is their dtype's own; the others repeat the last of them.
/// Gives the elements back where there is no such field.
fn in_own_field(
    dtype: DType,
    shape: &[u64],
    mut elements: Vec<u8>,
    stored: usize,
) -> Result<Given, Vec<u8>> {
    let width = dtype.width().unwrap();
    let floats = |bytes: &[u8]| -> Vec<f32> {
        bytes
            .chunks_exact(4)
            .map(bytemuck::pod_read_unaligned)
            .collect()
    };
    let doubles = |bytes: &[u8]| -> Vec<f64> {
        bytes
            .chunks_exact(8)
            .map(bytemuck::pod_read_unaligned)
            .collect()
    };
    let (bytes, others) = elements.split_at_mut(stored * width);
    let mut proto = tensor(dtype, shape);
    match dtype {
        DType::Float32 => proto.float_val = floats(bytes),
        DType::Float64 => proto.double_val = doubles(bytes),
        DType::Complex64 => proto.scomplex_val = floats(bytes),
        DType::Complex128 => proto.dcomplex_val = doubles(bytes),
        _ => return Err(elements),
    }
    let last = bytes.rchunks(width).next().unwrap_or(&[0; 16][..width]);
    others
        .chunks_exact_mut(width)
        .for_each(|element| element.copy_from_slice(last));
    Ok(Given { proto, elements })
}

fn constants(given: &[Given]) -> Vec<u8> {
    let nodes = given.iter().enumerate().map(|(i, given)| {
        let value = Attr::Tensor(given.proto.clone());
        node(&format!("t{i}"), "Const", [("value", value)])
    });
    graph(nodes.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_model_comes_back(given in prop::collection::vec(tensors(), 1..6)) {
        let model = constants(&given);
        let archive = pack(&model);
        archive.verify().unwrap();
        prop_assert_eq!(restore(&archive), model);
        prop_assert_eq!(archive.tensors().len(), given.len());
        for (i, (tensor, given)) in archive.tensors().zip(&given).enumerate() {
            prop_assert_eq!(tensor.name(), format!("t{i}"));
            naive::check_tensor(&tensor, &given.elements);
        }
    }

    #[test]
    fn canonical_zeros_change_nothing_but_the_sign_of_zeros(given in tensors()) {
        let model = constants(std::slice::from_ref(&given));
        let mut options = options(1);
        options.canonical_zeros = true;
        let archive = Archive::new(pack_slice(&model, "m.pb", &options).unwrap().0).unwrap();
        archive.verify().unwrap();
        let restored = restore(&archive);
        prop_assert_eq!(restored.len(), model.len());

        let tensor = archive.tensor("t0").unwrap();
        let (before, after) = (given.elements, naive::bytes_of(&tensor).unwrap());
        let width = tensor.dtype().width().unwrap();
        let is_float = tensor.dtype().class() == ElementClass::Float;
        for (before, after) in before.chunks_exact(width).zip(after.chunks_exact(width)) {
            let is_zero = is_float && !naive::is_nonzero(tensor.dtype(), before);
            prop_assert!(before == after || is_zero && after.iter().all(|&byte| byte == 0));
        }
        if restored == model {
            prop_assert!(archive.files().next().unwrap().source_sha256.is_none());
        }
    }
}

#[test]
fn blocks_of_large_tensors_are_the_same_on_any_number_of_threads() {
    let mut noise = Noise(7);
    let sparse = models::bytes_of_f32(&models::pruned(700 * 1000, 30, &mut noise));
    let dense = (0..300_000).map(|_| noise.below(90) as u8).collect();
    let model = graph(vec![
        constant("sparse", DType::Float32, &[700, 1000], sparse.clone()),
        constant("dense", DType::Int8, &[300_000], dense),
    ]);
    let archive = pack(&model);
    archive.verify().unwrap();
    assert!(restore(&archive) == model);
    let tensor = archive.tensor("sparse").unwrap();
    assert!(tensor.layout().unwrap().unwrap().blocks > 2);
    naive::check_tensor(&tensor, &sparse);
}

/// Few zeros cost what it takes to say where they are, and are zeros for who asks; −0.0 too.
#[test]
fn a_few_zeros_among_many_weights_are_holes() {
    let mut noise = Noise(11);
    let mut weights = models::pruned(100 * 100, 100, &mut noise);
    weights.iter_mut().for_each(|w| *w += 2.0);
    for (i, zero) in [(0, 0.0), (501, -0.0), (502, 0.0), (9_999, 0.0)] {
        weights[i] = zero;
    }
    let bytes = models::bytes_of_f32(&weights);
    let model = graph(vec![constant(
        "w",
        DType::Float32,
        &[100, 100],
        bytes.clone(),
    )]);
    let archive = pack(&model);
    assert!(restore(&archive) == model);
    let tensor = archive.tensor("w").unwrap();
    naive::check_tensor(&tensor, &bytes);
    let layout = tensor.layout().unwrap().unwrap();
    assert!(layout.positions.keys().eq([&PositionKind::Classes]));
    assert!(layout.position_bytes <= 12, "{layout:?}");
    assert_eq!(tensor.csr::<f32>().unwrap().nnz(), 9_996);
}

/// The fuzzer starts with the models that the other tests use. To add one, or to start afresh:
/// `TFZIP_WRITE_SEEDS=1 cargo test --test round_trip`.
#[test]
fn fuzz_seeds_are_the_small_models() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/graphdef");
    for (name, model) in models::models() {
        assert!(model.len() < 3 << 10, "{name}: {} bytes", model.len());
        let path = folder.join(format!("{name}.pb"));
        if std::env::var_os("TFZIP_WRITE_SEEDS").is_some() {
            fs::write(&path, &model).unwrap();
        }
        assert!(fs::read(&path).unwrap() == model, "{}", path.display());
    }
}

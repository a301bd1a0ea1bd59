//! Any tensor, in every profile and with every effort: it comes back bit for bit, its bytes don't
//! depend on the number of threads, and profiles turn into each other.

#![cfg(feature = "pack")]
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

mod common;

use common::graph_def::*;
use common::models::Noise;
use common::moods::{Mood, dtypes, moods};
use proptest::prelude::*;
use tfzip::codec::{self, CodecOptions};
use tfzip::{
    Archive, DType, Effort, PackOptions, Profile, RepackOptions, pack_slice, repack_slice,
};

/// Every profile with every effort.
fn ways() -> impl Iterator<Item = (Profile, Effort)> {
    Profile::ALL
        .into_iter()
        .flat_map(|profile| Effort::ALL.map(|effort| (profile, effort)))
}

fn check_record(dtype: DType, shape: &[u64], elements: &[u8]) {
    for (profile, effort) in ways() {
        let mut options = CodecOptions::default();
        (options.profile, options.effort, options.threads) = (profile, effort, 1);
        let (head, record) = codec::encode(dtype, shape, elements, &options).unwrap();
        let mut decoded = vec![0xa5; elements.len()];
        codec::decode(&head, &record, &mut decoded, &options).unwrap();
        assert!(decoded == elements, "{profile} {effort}");
        options.threads = 2;
        let again = codec::encode(dtype, shape, elements, &options).unwrap();
        assert!(again == (head, record.clone()), "{profile} {effort}");
        decoded.fill(0x5a);
        codec::decode(&head, &record, &mut decoded, &options).unwrap();
        assert!(decoded == elements, "{profile} {effort}");
    }
}

/// A model with one constant, in every way; each way turned into each other.
fn check_archives(dtype: DType, shape: &[u64], elements: &[u8]) {
    let content = TensorProto {
        tensor_content: elements.to_vec(),
        ..tensor(dtype, shape)
    };
    let nodes = vec![node("t", "Const", [("value", Attr::Tensor(content))])];
    let model = graph(nodes);
    let packed: Vec<Vec<u8>> = ways()
        .map(|(profile, effort)| {
            let mut options = PackOptions::default();
            (options.profile, options.effort) = (profile, effort);
            let (tfz, _) = pack_slice(&model, "m.pb", &options).unwrap();
            let archive = Archive::new(&tfz).unwrap();
            archive.verify().unwrap();
            let mut read = vec![0xa5; elements.len()];
            let tensor = archive.tensor("t").unwrap();
            tensor.read_bytes_into(&mut read).unwrap();
            assert!(read == elements, "{profile} {effort}");
            let layout = tensor.layout().unwrap();
            let stored = layout.map_or(tensor.stored_bytes(), |layout| {
                layout.position_bytes
                    + layout.alternate_bytes
                    + layout.value_bytes
                    + layout.table_bytes
                    + layout.directory_bytes
                    + layout.checksum_bytes
            });
            assert_eq!(tensor.stored_bytes(), stored);
            tfz
        })
        .collect();
    for from in &packed {
        for ((profile, effort), expected) in ways().zip(&packed) {
            let mut options = RepackOptions::default();
            (options.profile, options.effort) = (profile, effort);
            assert!(&repack_slice(from, &options).unwrap().0 == expected);
        }
    }
}

/// dtype, shape with at least one element, and elements.
fn tensors(max_elements: u64) -> impl Strategy<Value = (DType, Vec<u64>, Vec<u8>)> {
    let dim = prop_oneof![
        2 => Just(1u64),
        6 => 2..9u64,
        4 => prop::sample::select(vec![15, 16, 17, 64, 100, 300]),
    ];
    (
        dtypes(),
        prop::collection::vec(dim, 0..4),
        moods(),
        any::<u64>(),
    )
        .prop_map(move |(dtype, mut shape, mood, seed)| {
            while shape.iter().product::<u64>() > max_elements {
                shape.pop();
            }
            let n = shape.iter().product::<u64>() as usize;
            let elements = mood.elements(dtype.width().unwrap(), n, seed);
            (dtype, shape, elements)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_record_comes_back((dtype, shape, elements) in tensors(40_000)) {
        check_record(dtype, &shape, &elements);
    }

    #[test]
    fn any_archive_becomes_any_other((dtype, shape, elements) in tensors(4096)) {
        check_archives(dtype, &shape, &elements);
    }
}

/// One and a few elements, where tables cost more than they save.
#[test]
fn small_tensors_come_back_in_every_profile() {
    let moods = [
        Mood::Zeros,
        Mood::Constant,
        Mood::Masked,
        Mood::Odd,
        Mood::Noise,
    ];
    for dtype in [
        DType::Float32,
        DType::Float16,
        DType::Int8,
        DType::Complex128,
    ] {
        for n in [1, 2, 3, 7, 8, 9, 33] {
            for mood in moods {
                let elements = mood.elements(dtype.width().unwrap(), n, 11);
                check_record(dtype, &[n as u64], &elements);
            }
        }
    }
}

/// Rows and columns of several densities, more of them than one block holds: classes of both, with
/// values that have windows, bins, and few patterns.
#[test]
fn structured_masks_come_back_in_every_profile() {
    let (rows, columns) = (400u64, 500u64);
    let mut noise = Noise(3);
    let mut sparse = |value: &mut dyn FnMut(&mut Noise) -> f32| -> Vec<u8> {
        let mut elements = Vec::new();
        for row in 0..rows {
            for column in 0..columns {
                let percent = [2, 10, 60][row as usize % 3] / (1 + column as u32 % 2 * 4);
                let element = match noise.below(100) < percent {
                    true => value(&mut noise),
                    false => 0.0,
                };
                elements.extend(element.to_le_bytes());
            }
        }
        elements
    };
    let weights = sparse(&mut Noise::weight);
    let shared = sparse(&mut |noise| noise.below(16) as f32 / 8.0 - 1.0);
    let wide = sparse(&mut |noise| f32::from_bits(noise.next()));
    for elements in [weights, shared, wide] {
        check_record(DType::Float32, &[rows, columns], &elements);
        check_archives(DType::Float32, &[rows, columns], &elements);
    }
}

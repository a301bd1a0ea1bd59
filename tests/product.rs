//! Products against their definition: every dtype, every profile, every kind of positions and values.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test may panic"
)]

mod common;

use common::graph_def::*;
use common::models::{Noise, bytes_of_f32, pruned};
use common::moods::{Mood, dtypes, moods};
use common::naive::bytes_of;
use common::products::check_products;
use proptest::prelude::*;
use std::path::Path;
use tfzip::product::Matrix;
use tfzip::{
    Archive, DType, EncodedPositions, EncodedRows, EncodedValues, ErrorKind, PackOptions, Profile,
    Tensor, pack_slice,
};

fn pack(nodes: Vec<NodeDef>, profile: Profile) -> Archive<Vec<u8>> {
    let mut options = PackOptions::default();
    options.profile = profile;
    Archive::new(pack_slice(&graph(nodes), "m.pb", &options).unwrap().0).unwrap()
}

fn has_products(dtype: DType) -> bool {
    !matches!(dtype.name(), "complex64" | "complex128")
}

/// Checks all products of a tensor, with usual and unusual numbers.
fn check_tensor(tensor: &Tensor<'_>, seed: u64) {
    let elements = bytes_of(tensor).unwrap();
    let usual = |i: usize| f64::from(Noise(seed ^ (i as u64 * 77)).weight());
    let unusual = |i: usize| match (i as u64 ^ seed) % 11 {
        0 => f64::INFINITY,
        1 => f64::NEG_INFINITY,
        2 => f64::NAN,
        3 => -0.0,
        4 => 1e-40,
        _ => usual(i),
    };
    check_products::<f32>(tensor, &elements, &usual, 1);
    check_products::<f64>(tensor, &elements, &usual, 3);
    check_products::<f32>(tensor, &elements, &unusual, 2);
    check_products::<f64>(tensor, &elements, &unusual, 1);
    // All of one sign: nothing makes up for a rounding.
    check_products::<f32>(tensor, &elements, &|_| 1.0, 1);
}

fn shapes() -> impl Strategy<Value = Vec<u64>> {
    prop_oneof![
        Just(vec![]),
        (1..400u64).prop_map(|n| vec![n]),
        (1..40u64, 1..60u64).prop_map(|(r, c)| vec![r, c]),
        (1..4u64, 1..4u64, 1..8u64, 1..20u64).prop_map(|(a, b, c, d)| vec![a, b, c, d]),
        (1..60u64).prop_map(|r| vec![3, r, 1]),
        Just(vec![0, 5]),
        Just(vec![5, 0]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn any_tensor_is_multiplied(dtype in dtypes(), shape in shapes(), mood in moods(), seed: u64) {
        prop_assume!(has_products(dtype));
        let n = shape.iter().product::<u64>() as usize;
        let elements = mood.elements(dtype.width().unwrap(), n, seed);
        for profile in Profile::ALL {
            let archive = pack(vec![constant("t", dtype, &shape, elements.clone())], profile);
            check_tensor(&archive.tensor("t").unwrap(), seed);
        }
    }
}

#[test]
fn every_dtype_is_multiplied() {
    for &dtype in DType::ALL {
        let Some(width) = dtype.width().filter(|_| has_products(dtype)) else {
            continue;
        };
        for (seed, mood) in [
            Mood::Pruned(10),
            Mood::Masked,
            Mood::Shared(7),
            Mood::Odd,
            Mood::Noise,
        ]
        .into_iter()
        .enumerate()
        {
            let elements = mood.elements(width, 40 * 70, seed as u64);
            for profile in Profile::ALL {
                let archive = pack(
                    vec![constant("t", dtype, &[40, 70], elements.clone())],
                    profile,
                );
                check_tensor(&archive.tensor("t").unwrap(), 5);
            }
        }
    }
}

#[test]
fn blocks_begin_and_end_anywhere() {
    let mut noise = Noise(3);
    // More entries than a block has; rows that are longer than a block; one row; one column.
    for (shape, percent) in [
        ([300, 2000], 20),
        ([40, 4099], 60),
        ([3, 200_001], 50),
        ([1, 300_000], 40),
        ([70_001, 3], 90),
        ([150_000, 1], 60),
    ] {
        let weights = pruned((shape[0] * shape[1]) as usize, percent, &mut noise);
        let content = bytes_of_f32(&weights);
        for profile in Profile::ALL {
            let archive = pack(
                vec![constant("t", DType::Float32, &shape, content.clone())],
                profile,
            );
            let tensor = archive.tensor("t").unwrap();
            assert!(tensor.layout().unwrap().unwrap().blocks > 1);
            let usual = |i: usize| f64::from(Noise(i as u64 * 77).weight());
            check_products::<f32>(&tensor, &content, &usual, 2);
            check_products::<f64>(&tensor, &content, &usual, 1);
            check_products::<f32>(&tensor, &content, &|_| 1.0, 1);
        }
    }
}

#[test]
fn every_good_vector_is_multiplied() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/vectors/v1");
    let mut n = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("good-") || !name.ends_with(".tfz") {
            continue;
        }
        let archive = Archive::open(&path).unwrap();
        let of_numbers =
            |t: &Tensor<'_>| t.is_readable() && has_products(t.dtype()) && t.len() < 1 << 20;
        for tensor in archive.tensors().filter(of_numbers) {
            check_tensor(&tensor, 9);
            n += 1;
        }
    }
    assert!(n > 200, "{n}");
}

#[test]
fn what_cannot_be_multiplied_is_an_error() {
    let archive = pack(
        vec![
            constant("complex", DType::Complex64, &[20, 20], vec![1; 3200]),
            constant("t", DType::Float32, &[30, 20], vec![0; 2400]),
        ],
        Profile::Direct,
    );
    let kind = |result: tfzip::Result<()>| result.unwrap_err().kind();
    let complex = archive.tensor("complex").unwrap();
    assert_eq!(
        kind(Matrix::new(&complex).map(drop)),
        ErrorKind::InvalidArgument
    );
    let tensor = archive.tensor("t").unwrap();
    let matrix = Matrix::new(&tensor).unwrap();
    let (x, mut y) = ([0f32; 60], [0f32; 60]);
    for (n_x, n_y) in [(20, 29), (19, 30), (30, 20), (0, 0), (40, 60)] {
        let error = matrix.multiply(&x[..n_x], &mut y[..n_y]);
        assert_eq!(kind(error), ErrorKind::InvalidArgument);
        let error = matrix.multiply_transposed(&x[..n_y], &mut y[..n_x]);
        assert_eq!(kind(error), ErrorKind::InvalidArgument);
    }
    let overflow = matrix.multiply_batch(&x, &mut y, usize::MAX);
    assert_eq!(kind(overflow), ErrorKind::InvalidArgument);
    matrix.multiply_batch(&x[..40], &mut y[..60], 2).unwrap();
    matrix.multiply_batch::<f32>(&[], &mut [], 0).unwrap();
}

/// The positions that the streams of rows lead to, as the spec says (§9.1.4).
fn positions(rows: &EncodedRows<'_>) -> Vec<u32> {
    let mut found = vec![];
    for group in 0..rows.n_groups() {
        assert_eq!(found.len(), rows.entries_of(group).start);
        if rows.step_bits() == 0 {
            for row in rows.rows_of(group) {
                let bitmap = rows.bitmap(row).unwrap();
                let elements = rows.positions(row..row + 1);
                assert_eq!(bitmap.len(), elements.len().div_ceil(8));
                let is_set = |i: &usize| bitmap[i / 8] >> (i % 8) & 1 == 1;
                found.extend(
                    (0..elements.len())
                        .filter(is_set)
                        .map(|i| elements.start + i as u32),
                );
            }
            continue;
        }
        let mut after = rows.positions(rows.rows_of(group)).start;
        for step in rows.steps_of(group).map(|step| rows.step(step)) {
            match step {
                0 => after += (1 << rows.step_bits()) - 1,
                _ => {
                    after += step;
                    found.push(after - 1);
                }
            }
        }
    }
    assert_eq!(found.len(), rows.n_entries());
    found
}

/// The elements that the blocks of a tensor say.
fn elements_of_blocks(tensor: &Tensor<'_>, n_direct: &mut usize) -> Vec<u8> {
    let width = tensor.dtype().width().unwrap();
    let mut all = vec![];
    for block in tensor.blocks().unwrap() {
        let block = block.unwrap();
        assert_eq!(block.elements.start as usize * width, all.len());
        let n = (block.elements.end - block.elements.start) as usize;
        let mut elements = block.background.repeat(n);
        let mut alternate = block.background.clone();
        *alternate.last_mut().unwrap() ^= 0x80;
        let mut put = |position: u32, element: &[u8]| {
            elements[position as usize * width..][..width].copy_from_slice(element);
        };
        for &position in &block.alternates {
            put(position, &alternate);
        }
        let positions = match &block.positions {
            EncodedPositions::None => vec![],
            EncodedPositions::All => (0..n as u32).collect(),
            EncodedPositions::Rows(rows) => {
                *n_direct += 1;
                assert!(rows.n_rows() > 0 && rows.steps().is_empty() == (rows.step_bits() == 0));
                positions(rows)
            }
            EncodedPositions::Listed(positions) => positions.clone(),
            other => panic!("{other:?}"),
        };
        let values: Vec<&[u8]> = match &block.values {
            EncodedValues::Elements(values) => values.chunks_exact(width).collect(),
            EncodedValues::Codes {
                packed,
                bits,
                codebook,
            } => {
                let bit = |i: usize| usize::from(packed[i / 8] >> (i % 8) & 1);
                let code = |i: usize| {
                    (0..*bits as usize)
                        .map(|b| bit(i * *bits as usize + b) << b)
                        .sum()
                };
                let element = |code: usize| &codebook[code * width..][..width];
                (0..positions.len()).map(code).map(element).collect()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(positions.len(), values.len());
        for (&position, value) in positions.iter().zip(values) {
            put(position, value);
        }
        all.extend(elements);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn blocks_are_what_the_tensor_holds(dtype in dtypes(), rows in 8..60u64, columns in 8..90u64, mood in moods(), seed: u64) {
        let elements = mood.elements(dtype.width().unwrap(), (rows * columns) as usize, seed);
        for profile in Profile::ALL {
            let archive = pack(vec![constant("t", dtype, &[rows, columns], elements.clone())], profile);
            let tensor = archive.tensor("t").unwrap();
            if tensor.payload().is_some() {
                prop_assert_eq!(&elements_of_blocks(&tensor, &mut 0), &elements);
            }
        }
    }
}

#[test]
fn blocks_of_profile_direct_are_rows_in_the_file() {
    let mut noise = Noise(8);
    let weights = bytes_of_f32(&pruned(500 * 700, 9, &mut noise));
    let archive = pack(
        vec![constant("t", DType::Float32, &[500, 700], weights.clone())],
        Profile::Direct,
    );
    let tensor = archive.tensor("t").unwrap();
    let mut n_direct = 0;
    assert!(elements_of_blocks(&tensor, &mut n_direct) == weights);
    assert_eq!(n_direct as u64, tensor.layout().unwrap().unwrap().blocks);
    let file = archive.as_bytes().as_ptr_range();
    for block in tensor.blocks().unwrap() {
        let EncodedValues::Elements(values) = block.unwrap().values else {
            panic!("codes")
        };
        assert!(file.contains(&values.as_ptr()));
    }
}

#[test]
fn tensors_that_share_repeat_or_stand_in_the_skeleton_are_multiplied() {
    let mut noise = Noise(5);
    let weights = bytes_of_f32(&pruned(60 * 40, 30, &mut noise));
    let fill = TensorProto {
        float_val: vec![0.1, 2.5],
        ..tensor(DType::Float32, &[9, 11])
    };
    for profile in Profile::ALL {
        let archive = pack(
            vec![
                constant("a", DType::Float32, &[60, 40], weights.clone()),
                constant("b", DType::Float32, &[8, 300], weights.clone()),
                constant(
                    "bias",
                    DType::Float32,
                    &[3, 2],
                    bytes_of_f32(&[1.0, 0.0, -2.5, 3.0, 0.0, 7.0]),
                ),
                node("fill", "Const", [("value", Attr::Tensor(fill.clone()))]),
            ],
            profile,
        );
        let a = archive.tensor("a").unwrap();
        assert_eq!(a.payload(), archive.tensor("b").unwrap().payload());
        assert!(archive.tensor("bias").unwrap().payload().is_none());
        for tensor in archive.tensors() {
            assert!(tensor.is_readable());
            check_tensor(&tensor, 4);
        }
    }
}

#[test]
fn a_matrix_is_shared_between_threads() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let weights = bytes_of_f32(&pruned(40 * 50, 30, &mut Noise(2)));
    let archive = pack(
        vec![constant("t", DType::Float32, &[40, 50], weights)],
        Profile::Direct,
    );
    let matrix = Matrix::new(&archive.tensor("t").unwrap()).unwrap();
    is_shared(&matrix);
    let expected = {
        let mut y = [0f32; 50];
        matrix.multiply_transposed(&[1.0; 40], &mut y).unwrap();
        y
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut y = [0f32; 50];
                matrix.multiply_transposed(&[1.0; 40], &mut y).unwrap();
                assert_eq!(y, expected);
            });
        }
    });
}

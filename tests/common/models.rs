//! Small models that together make the packer use all that it can.
//!
//! `fuzz/seeds/graphdef` holds them too: `tests/round_trip.rs` says so.

use super::graph_def::*;
use tfzip::DType;

/// The same numbers each time, and on every machine.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    pub(crate) fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.next()) * u64::from(n)) >> 32) as u32
    }

    /// A weight as training leaves them: of both signs, most of them small.
    pub(crate) fn weight(&mut self) -> f32 {
        let unit = |n: u32| n as f32 / u32::MAX as f32 - 0.5;
        (unit(self.next()) + unit(self.next()) + unit(self.next())) * 0.1
    }
}

/// `n` weights of which a share of `percent` is not pruned.
pub(crate) fn pruned(n: usize, percent: u32, noise: &mut Noise) -> Vec<f32> {
    (0..n)
        .map(|_| match noise.below(100) < percent {
            true => noise.weight(),
            false => 0.0,
        })
        .collect()
}

pub(crate) fn bytes_of_f32(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Names of the models and their files, below 3 KiB each.
pub(crate) fn models() -> Vec<(&'static str, Vec<u8>)> {
    let mut noise = Noise(1);
    let f32s = |shape: [u64; 2], values: &[f32]| {
        graph(vec![constant(
            "w",
            DType::Float32,
            &shape,
            bytes_of_f32(values),
        )])
    };
    let of_bytes = |dtype, shape: &[u64], bytes| graph(vec![constant("w", dtype, shape, bytes)]);
    let masked: Vec<f32> = (0..320)
        .map(|_| noise.weight() * (noise.below(9) / 8) as f32)
        .collect();
    let shared_values: Vec<u8> = (0..600)
        .flat_map(|_| match noise.below(4) {
            0 => [[0x00, 0x38], [0x00, 0xb8], [0xcd, 0x34]][noise.below(3) as usize],
            _ => [0, 0],
        })
        .collect();
    // Bursts: rows are either empty or full, which a chain by rows says best.
    let bursts: Vec<f32> = (0..600)
        .map(|i| match (i / 30 * 7 % 5, i % 30) {
            (0, 0..6) => noise.weight(),
            _ => 0.0,
        })
        .collect();
    let mostly_seven: Vec<u8> = (0..200)
        .flat_map(|_| {
            match noise.below(8) {
                0 => noise.next() as i32,
                _ => 7,
            }
            .to_le_bytes()
        })
        .collect();
    vec![
        ("sparse-f32", f32s([30, 20], &pruned(600, 8, &mut noise))),
        ("half-f32", f32s([8, 32], &pruned(256, 40, &mut noise))),
        ("dense-f32", f32s([10, 30], &pruned(300, 100, &mut noise))),
        ("bursts-f32", f32s([20, 30], &bursts)),
        ("negative-zeros-f32", f32s([16, 20], &masked)),
        (
            "codebook-f16",
            of_bytes(DType::Float16, &[20, 30], shared_values),
        ),
        (
            "background-i32",
            of_bytes(DType::Int32, &[200], mostly_seven),
        ),
        (
            "constant-f64",
            of_bytes(DType::Float64, &[5, 5], 0.1f64.to_le_bytes().repeat(25)),
        ),
        (
            "zeros-bf16",
            of_bytes(DType::Bfloat16, &[3, 5, 20], vec![0; 600]),
        ),
        (
            "noise-u8",
            of_bytes(
                DType::Uint8,
                &[300],
                (0..300).map(|_| noise.next() as u8).collect(),
            ),
        ),
        (
            "skewed-i8",
            of_bytes(
                DType::Int8,
                &[900],
                (0..900).map(|_| 1 + noise.below(3) as u8).collect(),
            ),
        ),
        (
            "complex128",
            of_bytes(
                DType::Complex128,
                &[4, 16],
                (0..1024)
                    .map(|i| if i / 16 % 5 == 0 { i as u8 } else { 0 })
                    .collect(),
            ),
        ),
        ("places", places(&mut noise)),
    ]
}

/// Tensors wherever one can stand, of shapes at the edges, in each form, two of them equal.
fn places(noise: &mut Noise) -> Vec<u8> {
    let weights = pruned(60, 20, noise);
    let repeated = TensorProto {
        float_val: weights[..50].to_vec(),
        ..tensor(DType::Float32, &[100])
    };
    let filled = TensorProto {
        double_val: vec![-0.0],
        ..tensor(DType::Float64, &[2, 3])
    };
    let strings = TensorProto {
        string_val: vec![b"a".to_vec(), b"b".to_vec()],
        ..tensor(DType::String, &[2])
    };
    let ints = TensorProto {
        int_val: vec![1, 2],
        ..tensor(DType::Int32, &[2])
    };
    let content = TensorProto {
        tensor_content: bytes_of_f32(&weights),
        ..tensor(DType::Float32, &[5, 12])
    };
    let list = ListValue {
        tensor: vec![content.clone(), filled],
        ..ListValue::default()
    };
    let function = FunctionDef {
        signature: Some(OpDef {
            name: "f".to_owned(),
            attr: vec![],
        }),
        node_def: vec![node("inner", "Const", [("value", Attr::Tensor(content))])],
        ..FunctionDef::default()
    };
    let graph = GraphDef {
        node: vec![
            node("x", "Placeholder", [("dtype", Attr::Type(1))]),
            constant("scalar", DType::Float32, &[], 1.5f32.to_le_bytes().to_vec()),
            constant("none", DType::Int64, &[3, 0, 4], vec![]),
            node("repeated", "Const", [("value", Attr::Tensor(repeated))]),
            node("strings", "Const", [("value", Attr::Tensor(strings))]),
            node("ints", "Const", [("value", Attr::Tensor(ints))]),
            node("list", "Many", [("values", Attr::List(list))]),
        ],
        library: Some(FunctionDefLibrary {
            function: vec![function],
        }),
        version: 21,
    };
    prost::Message::encode_to_vec(&graph)
}

/// A model of two blocks, although the packed file is small.
pub(crate) fn two_blocks() -> Vec<u8> {
    let values = (0..140_000u32).map(|i| (i % 7 + 1) as u8).collect();
    graph(vec![constant("w", DType::Quint8, &[140, 1000], values)])
}

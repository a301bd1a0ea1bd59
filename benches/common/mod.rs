//! What the benches share: seeded tensors, packed, and what their speed was bought with.

#![allow(
    dead_code,
    clippy::large_enum_variant,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "each bench uses its part; the messages are TensorFlow's; a bench may panic"
)]

#[path = "../../tests/common/graph_def.rs"]
pub(crate) mod graph_def;
#[path = "../../tests/common/models.rs"]
pub(crate) mod models;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use std::time::Duration;
use tfzip::{Archive, DType, PackOptions, Tensor, pack_slice};

/// Name of the one tensor in the models that are measured.
const NAME: &str = "w";

/// A model of one tensor, packed.
pub(crate) struct Packed {
    pub(crate) dtype: DType,
    /// The dense elements, little-endian.
    pub(crate) dense: Vec<u8>,
    pub(crate) model: Vec<u8>,
    archive: Archive<Vec<u8>>,
}

impl Packed {
    /// Packs a tensor, and says on stderr how it is kept and what a nonzero element takes.
    pub(crate) fn new(label: &str, dtype: DType, shape: [u64; 2], dense: Vec<u8>) -> Self {
        let constant = graph_def::constant(NAME, dtype, &shape, dense.clone());
        let model = graph_def::graph(vec![constant]);
        let (tfz, _) = pack_slice(&model, "m.pb", &one_thread()).unwrap();
        let packed = Self {
            dtype,
            dense,
            model,
            archive: Archive::new(tfz).unwrap(),
        };
        let tensor = packed.tensor();
        let layout = tensor.layout().unwrap().unwrap();
        let names = |names: &mut dyn Iterator<Item = &'static str>| {
            let names: Vec<_> = names.collect();
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join("+")
            }
        };
        eprintln!(
            "{label}: positions {}, values {} ({}), {} blocks; {:.3} bytes per nonzero, dense : stored = {:.1}",
            names(&mut layout.positions.keys().map(|kind| kind.name())),
            names(&mut layout.values.keys().map(|kind| kind.name())),
            names(&mut layout.value_codings.keys().map(|coding| coding.name())),
            layout.blocks,
            tensor.stored_bytes() as f64 / tensor.nnz() as f64,
            packed.dense.len() as f64 / tensor.stored_bytes() as f64,
        );
        packed
    }

    pub(crate) fn tensor(&self) -> Tensor<'_> {
        self.archive.tensor(NAME).unwrap()
    }

    /// Measures the dense read into a buffer that is there already.
    pub(crate) fn bench_read(&self, group: &mut BenchmarkGroup<'_, WallTime>, id: &str) {
        let (tensor, mut out) = (self.tensor(), vec![0; self.dense.len()]);
        group.throughput(Throughput::Bytes(self.dense.len() as u64));
        group.bench_function(format!("read/{id}"), |b| {
            b.iter(|| tensor.read_bytes_into(&mut out).unwrap());
        });
        assert!(out == self.dense);
    }

    /// Measures packing the model: encoding, and the decoding that proves it.
    pub(crate) fn bench_pack(&self, group: &mut BenchmarkGroup<'_, WallTime>, id: &str) {
        group.throughput(Throughput::Bytes(self.dense.len() as u64));
        group.bench_function(format!("pack/{id}"), |b| {
            b.iter(|| pack_slice(&self.model, "m.pb", &one_thread()).unwrap());
        });
    }
}

fn one_thread() -> PackOptions {
    let mut options = PackOptions::default();
    options.threads = 1;
    options
}

/// Copying the dense elements: what no decoder beats.
pub(crate) fn bench_copy(group: &mut BenchmarkGroup<'_, WallTime>, id: &str, dense: &[u8]) {
    let mut out = vec![0; dense.len()];
    group.throughput(Throughput::Bytes(dense.len() as u64));
    group.bench_function(format!("copy/{id}"), |b| {
        b.iter(|| out.copy_from_slice(dense));
    });
}

/// `zstd -3` of the dense elements, there and back, with what it takes of them.
pub(crate) fn bench_zstd(group: &mut BenchmarkGroup<'_, WallTime>, id: &str, dense: &[u8]) {
    let frame = zstd::bulk::compress(dense, 3).unwrap();
    eprintln!(
        "zstd -3 of {id}: dense : stored = {:.1}",
        dense.len() as f64 / frame.len() as f64
    );
    let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
    let mut decompressor = zstd::bulk::Decompressor::new().unwrap();
    let mut out = vec![0; dense.len()];
    group.throughput(Throughput::Bytes(dense.len() as u64));
    group.bench_function(format!("zstd-3 read/{id}"), |b| {
        b.iter(|| {
            decompressor
                .decompress_to_buffer(&frame, &mut out[..])
                .unwrap()
        });
    });
    group.bench_function(format!("zstd-3 pack/{id}"), |b| {
        b.iter(|| compressor.compress(dense).unwrap());
    });
}

/// Short runs: the differences that count here are not of a few percent.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args()
}

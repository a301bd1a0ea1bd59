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
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use std::time::Duration;
use tfzip::codec::{self, CodecOptions, RecordHead};
use tfzip::{Archive, DType, Effort, PackOptions, Profile, Tensor, pack_slice};

/// Name of the one tensor in the models that are measured.
const NAME: &str = "w";

/// A tensor in one profile: as the record of the codec, and in an archive.
pub(crate) struct Case<'a> {
    pub(crate) dtype: DType,
    shape: [u64; 2],
    /// The dense elements, little-endian.
    dense: &'a [u8],
    options: CodecOptions,
    head: RecordHead,
    record: Vec<u8>,
    archive: Archive<Vec<u8>>,
}

impl<'a> Case<'a> {
    /// Encodes a tensor, and says on stderr how it is kept and what a nonzero element takes.
    pub(crate) fn new(
        label: &str,
        profile: Profile,
        dtype: DType,
        shape: [u64; 2],
        dense: &'a [u8],
    ) -> Self {
        let options = codec_options(profile, Effort::default());
        let (head, record) = codec::encode(dtype, &shape, dense, &options).unwrap();
        let constant = graph_def::constant(NAME, dtype, &shape, dense.to_vec());
        let (tfz, _) = pack_slice(
            &graph_def::graph(vec![constant]),
            "m.pb",
            &pack_options(profile),
        )
        .unwrap();
        let case = Self {
            dtype,
            shape,
            dense,
            options,
            head,
            record,
            archive: Archive::new(tfz).unwrap(),
        };
        let tensor = case.tensor();
        assert_eq!(tensor.stored_bytes(), case.record.len() as u64);
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
            "{label}: positions {} ({}), values {} ({}), {} blocks; {:.3} bytes per nonzero, dense : stored = {:.2}",
            names(&mut layout.positions.keys().map(|kind| kind.name())),
            names(&mut layout.position_codings.keys().map(|coding| coding.name())),
            names(&mut layout.values.keys().map(|kind| kind.name())),
            names(&mut layout.value_codings.keys().map(|coding| coding.name())),
            layout.blocks,
            case.record.len() as f64 / tensor.nnz() as f64,
            dense.len() as f64 / case.record.len() as f64,
        );
        case
    }

    pub(crate) fn tensor(&self) -> Tensor<'_> {
        self.archive.tensor(NAME).unwrap()
    }

    /// Measures decoding into a buffer that is there already, on one thread.
    pub(crate) fn bench_decode(&self, group: &mut BenchmarkGroup<'_, WallTime>, id: &str) {
        let mut out = vec![0; self.dense.len()];
        group.throughput(Throughput::Bytes(self.dense.len() as u64));
        group.bench_function(format!("decode/{id}"), |b| {
            b.iter(|| codec::decode(&self.head, &self.record, &mut out, &self.options).unwrap());
        });
        // Also when the measurement was filtered out.
        codec::decode(&self.head, &self.record, &mut out, &self.options).unwrap();
        assert!(out == self.dense);
    }

    /// Measures encoding on one thread, with each effort.
    pub(crate) fn bench_encode(&self, group: &mut BenchmarkGroup<'_, WallTime>, id: &str) {
        group.throughput(Throughput::Bytes(self.dense.len() as u64));
        for effort in Effort::ALL {
            let options = codec_options(self.options.profile, effort);
            group.bench_function(format!("encode {effort}/{id}"), |b| {
                b.iter(|| codec::encode(self.dtype, &self.shape, self.dense, &options).unwrap());
            });
        }
    }
}

fn codec_options(profile: Profile, effort: Effort) -> CodecOptions {
    let mut options = CodecOptions::default();
    options.profile = profile;
    options.effort = effort;
    options.threads = 1;
    options
}

/// To pack for a profile on one thread.
pub(crate) fn pack_options(profile: Profile) -> PackOptions {
    let mut options = PackOptions::default();
    options.profile = profile;
    options.threads = 1;
    options
}

/// Copying the dense elements: what every decoder is compared with.
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
        "zstd -3 of {id}: dense : stored = {:.2}",
        dense.len() as f64 / frame.len() as f64
    );
    let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
    let mut decompressor = zstd::bulk::Decompressor::new().unwrap();
    let mut out = vec![0; dense.len()];
    group.throughput(Throughput::Bytes(dense.len() as u64));
    group.bench_function(format!("zstd-3 decode/{id}"), |b| {
        b.iter(|| {
            decompressor
                .decompress_to_buffer(&frame, &mut out[..])
                .unwrap()
        });
    });
    group.bench_function(format!("zstd-3 encode/{id}"), |b| {
        b.iter(|| compressor.compress(dense).unwrap());
    });
}

/// Short runs: the differences that count here are not of a few percent.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(300))
        .configure_from_args()
}

/// A group in which what is slow is done as often as it is timed, and not more often each time.
pub(crate) fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group
}

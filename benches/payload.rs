//! Whole payloads: density × dtype of pruned weights, read densely, read as CSR, and packed. Rivals:
//! a copy of the dense elements, `zstd -3` of them, and scattering from a CSR with absolute indices
//! that lies in memory.

mod common;

use common::Packed;
use common::models::Noise;
use criterion::Throughput;
use criterion::measurement::WallTime;
use half::f16;
use tfzip::{Csr, DType, Element};

const ROWS: u64 = 1000;
const COLUMNS: u64 = 1000;

/// Pruned weights of a dtype; an entry is never zero.
fn pruned(dtype: DType, percent: u32) -> Vec<u8> {
    let mut noise = Noise(u64::from(percent));
    let mut element = |entry: bool| {
        let weight = if entry { noise.weight() } else { 0.0 };
        match dtype {
            DType::Float32 => weight.to_le_bytes().to_vec(),
            DType::Float16 => f16::from_f32(weight).to_le_bytes().to_vec(),
            _ => vec![(weight * 500.0) as i8 as u8 | u8::from(entry)],
        }
    };
    let mut mask = Noise(99);
    (0..ROWS * COLUMNS)
        .flat_map(|_| element(mask.below(100) < percent))
        .collect()
}

type Group<'a> = criterion::BenchmarkGroup<'a, WallTime>;

fn bench_csr<T: Element>(group: &mut Group<'_>, id: &str, packed: &Packed) {
    let tensor = packed.tensor();
    group.throughput(Throughput::Bytes(packed.dense.len() as u64));
    group.bench_function(format!("csr/{id}"), |b| {
        b.iter(|| tensor.csr::<T>().unwrap());
    });
    let csr = tensor.csr::<T>().unwrap();
    let mut out = vec![T::zeroed(); csr.n_rows * csr.n_columns];
    group.bench_function(format!("scatter/{id}"), |b| {
        b.iter(|| scatter(&csr, &mut out));
    });
    assert!(bytemuck::cast_slice::<_, u8>(&out) == packed.dense);
}

fn scatter<T: Element>(csr: &Csr<T>, out: &mut [T]) {
    out.fill(T::zeroed());
    for (row, out) in out.chunks_exact_mut(csr.n_columns).enumerate() {
        let (indices, values) = csr.row(row);
        for (&index, &value) in indices.iter().zip(values) {
            out[index as usize] = value;
        }
    }
}

fn main() {
    let mut criterion = common::criterion();
    let mut group = criterion.benchmark_group("payload");
    for dtype in [DType::Float32, DType::Float16, DType::Int8] {
        for percent in [1, 2, 5, 10, 20, 50] {
            let id = format!("{dtype} {percent} %");
            let dense = pruned(dtype, percent);
            let packed = Packed::new(&format!("payload/{id}"), dtype, [ROWS, COLUMNS], dense);
            packed.bench_read(&mut group, &id);
            match dtype {
                DType::Float32 => bench_csr::<f32>(&mut group, &id, &packed),
                DType::Float16 => bench_csr::<f16>(&mut group, &id, &packed),
                _ => bench_csr::<i8>(&mut group, &id, &packed),
            }
            packed.bench_pack(&mut group, &id);
            common::bench_zstd(&mut group, &id, &packed.dense);
        }
        common::bench_copy(&mut group, dtype.name(), &pruned(dtype, 50));
    }
    group.finish();
    criterion.final_summary();
}

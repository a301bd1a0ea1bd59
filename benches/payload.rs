//! Whole payloads: profile × density × dtype of pruned weights, decoded and encoded. Rivals: a copy
//! of the dense elements, `zstd -3` of them, and for CSR a scattering from one with absolute
//! indices that lies in memory.

mod common;

use common::Case;
use common::models::Noise;
use criterion::Throughput;
use criterion::measurement::WallTime;
use half::f16;
use tfzip::{Csr, DType, Profile};

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

/// Reading as CSR, and making that dense.
fn bench_csr(group: &mut Group<'_>, id: &str, case: &Case<'_>, dense: &[u8]) {
    let tensor = case.tensor();
    group.throughput(Throughput::Bytes(dense.len() as u64));
    group.bench_function(format!("csr/{id}"), |b| {
        b.iter(|| tensor.csr::<f32>().unwrap());
    });
    let csr = tensor.csr::<f32>().unwrap();
    let mut out = vec![0.0; csr.n_rows * csr.n_columns];
    group.bench_function(format!("scatter/{id}"), |b| {
        b.iter(|| scatter(&csr, &mut out));
    });
    scatter(&csr, &mut out);
    assert!(bytemuck::cast_slice::<_, u8>(&out) == dense);
}

fn scatter(csr: &Csr<f32>, out: &mut [f32]) {
    out.fill(0.0);
    for (row, out) in out.chunks_exact_mut(csr.n_columns).enumerate() {
        let (indices, values) = csr.row(row);
        for (&index, &value) in indices.iter().zip(values) {
            out[index as usize] = value;
        }
    }
}

fn main() {
    let mut criterion = common::criterion();
    let mut group = common::group(&mut criterion, "payload");
    for dtype in [DType::Float32, DType::Float16, DType::Int8] {
        for percent in [1, 4, 10, 20, 50] {
            let dense = pruned(dtype, percent);
            for profile in Profile::ALL {
                let id = format!("{profile} {dtype} {percent} %");
                let shape = [ROWS, COLUMNS];
                let case = Case::new(&format!("payload/{id}"), profile, dtype, shape, &dense);
                case.bench_decode(&mut group, &id);
                case.bench_encode(&mut group, &id);
                if dtype == DType::Float32 {
                    bench_csr(&mut group, &id, &case, &dense);
                }
            }
            common::bench_zstd(&mut group, &format!("{dtype} {percent} %"), &dense);
        }
        common::bench_copy(&mut group, dtype.name(), &pruned(dtype, 50));
    }
    group.finish();
    criterion.final_summary();
}

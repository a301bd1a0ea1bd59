//! Products with one vector: profile × density, and few values, from either side. Rivals: a dense loop, and one over
//! CSR with absolute indices.

mod common;

use common::Case;
use common::models::{Noise, bytes_of_f32, pruned};
use criterion::Throughput;
use tfzip::product::Matrix;
use tfzip::{DType, Profile};

const ROWS: usize = 1024;
const COLUMNS: usize = 2048;

/// y = x·W as a compiler makes it fast.
fn dense_transposed(weights: &[f32], x: &[f32], y: &mut [f32]) {
    y.fill(0.0);
    for (row, &x) in weights.chunks_exact(COLUMNS).zip(x) {
        for (y, &weight) in y.iter_mut().zip(row) {
            *y += weight * x;
        }
    }
}

/// y = W·x, in sixteen sums a row.
fn dense(weights: &[f32], x: &[f32], y: &mut [f32]) {
    for (row, y) in weights.chunks_exact(COLUMNS).zip(y) {
        let mut sums = [0.0; 16];
        for (row, x) in row.as_chunks::<16>().0.iter().zip(x.as_chunks::<16>().0) {
            for ((sum, weight), x) in sums.iter_mut().zip(row).zip(x) {
                *sum += weight * x;
            }
        }
        *y = sums.iter().sum();
    }
}

fn main() {
    let mut criterion = common::criterion();
    let mut group = common::group(&mut criterion, "product");
    let mut noise = Noise(7);
    let x: Vec<f32> = (0..COLUMNS).map(|_| noise.weight()).collect();
    let (mut of_rows, mut of_columns) = (vec![0f32; ROWS], vec![0f32; COLUMNS]);
    for (name, percent, few) in [
        ("4 %", 4, false),
        ("10 %", 10, false),
        ("50 %", 50, false),
        ("10 % of 16 values", 10, true),
    ] {
        let mut weights = pruned(ROWS * COLUMNS, percent, &mut noise);
        if few {
            let shared = |weight: f32| (weight * 100.0).round() / 100.0 + 0.001;
            let live = weights.iter_mut().filter(|weight| **weight != 0.0);
            live.for_each(|weight| *weight = shared(*weight));
        }
        let bytes = bytes_of_f32(&weights);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        for profile in [Profile::Direct, Profile::Balanced] {
            let id = format!("{profile} {name}");
            let shape = [ROWS as u64, COLUMNS as u64];
            let case = Case::new(
                &format!("product/{id}"),
                profile,
                DType::Float32,
                shape,
                &bytes,
            );
            let tensor = case.tensor();
            let matrix = Matrix::new(&tensor).unwrap();
            group.bench_function(format!("x·W/{id}"), |b| {
                b.iter(|| {
                    matrix
                        .multiply_transposed(&x[..ROWS], &mut of_columns)
                        .unwrap();
                });
            });
            group.bench_function(format!("W·x/{id}"), |b| {
                b.iter(|| {
                    matrix.multiply(&x, &mut of_rows).unwrap();
                });
            });
            let csr = tensor.csr::<f32>().unwrap();
            if profile == Profile::Direct {
                group.bench_function(format!("x·W/CSR {name}"), |b| {
                    b.iter(|| {
                        of_columns.fill(0.0);
                        for (row, &x) in x[..ROWS].iter().enumerate() {
                            let (indices, values) = csr.row(row);
                            for (&index, &value) in indices.iter().zip(values) {
                                of_columns[index as usize] += value * x;
                            }
                        }
                    });
                });
            }
        }
        if percent == 50 {
            group.bench_function("x·W/dense", |b| {
                b.iter(|| dense_transposed(&weights, &x[..ROWS], &mut of_columns));
            });
            group.bench_function("W·x/dense", |b| {
                b.iter(|| dense(&weights, &x, &mut of_rows));
            });
        }
    }
    group.finish();
    criterion.final_summary();
}

//! The same bits on every machine and for every number of threads, and what broken blocks lead to.

use super::*;
use crate::archive::Archive;
use crate::kernels::Isa;
use crate::payload::{EncodeOptions, PayloadMeta, PayloadSpec, Record, encode};
use crate::profile::{Effort, Profile};
use crate::tensor::DType;
use std::path::Path;

/// The same numbers each time.
fn noise(i: usize) -> u64 {
    let state = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (state ^ state >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

/// A pruned matrix of floats; with `few`, they are few.
fn pruned(n: usize, percent: u64, few: bool) -> Vec<u8> {
    let weight = |i: usize| match noise(i) % 100 < percent {
        true if few => (noise(i) / 100 % 9) as f32 - 3.5,
        true => (noise(i) / 100 % 100_000) as f32 / 3e5 - 0.1,
        false => 0.0,
    };
    (0..n).flat_map(|i| weight(i).to_le_bytes()).collect()
}

fn record(profile: Profile, columns: u64, bytes: &[u8]) -> (Vec<u8>, PayloadMeta) {
    let spec = PayloadSpec {
        width: 4,
        columns,
        float: true,
    };
    let options = EncodeOptions {
        profile,
        effort: Effort::Fast,
    };
    let mut out = Vec::new();
    let (meta, _) = encode(spec, options, bytes, &mut |piece| {
        out.extend_from_slice(piece);
        Ok(())
    })
    .unwrap();
    (out, meta)
}

/// Some tensor, which the matrices of these tests are not made from.
fn archive() -> Archive<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/vectors/v1/good-blocks.tfz");
    Archive::open(path).unwrap()
}

fn matrix<'a>(
    tensor: Tensor<'a>,
    record: (&'a [u8], PayloadMeta),
    columns: usize,
    isa: Isa,
) -> Result<Matrix<'a>> {
    let rows = record.1.elements as usize / columns;
    let record = Record::new(record.0, record.1)?;
    let payload = Payload::<u32>::new(record, DType::Float32, columns as u64)?;
    Ok(Matrix {
        tensor,
        rows,
        columns,
        elements: Elements::Words(payload.with_isa(isa)),
    })
}

/// The bits of both products with both types, on some threads.
fn products(matrix: &Matrix<'_>, threads: usize) -> Result<Vec<u64>> {
    fn of<A: Real>(matrix: &Matrix<'_>, number: impl Fn(usize) -> A) -> Result<Vec<u64>> {
        let (rows, columns) = (matrix.rows(), matrix.columns());
        let x: Vec<A> = (0..rows.max(columns)).map(number).collect();
        let (mut y, mut z) = (vec![A::default(); rows], vec![A::default(); columns]);
        matrix.multiply(&x[..columns], &mut y)?;
        matrix.multiply_transposed(&x[..rows], &mut z)?;
        let bits = |number: A| -> u64 { Into::<f64>::into(number).to_bits() };
        Ok(y.into_iter().chain(z).map(bits).collect())
    }
    parallel::with_threads(threads, || {
        let mut bits = of(matrix, |i| noise(i) as f32 / 1e6 - 4000.0)?;
        bits.extend(of(matrix, |i| noise(i) as f64 / 1e6 - 4000.0)?);
        Ok(bits)
    })
}

#[test]
fn results_have_the_same_bits_on_every_machine_and_for_every_number_of_threads() {
    let archive = archive();
    let tensor = archive.tensors().next().unwrap();
    for (rows, columns, folded, percent, few) in [
        (700, 1000, 1000, 4, false),
        (400, 1003, 1003, 50, false),
        (300, 1000, 1000, 20, true),
        (300, 512, 512, 60, true),
        // Folded otherwise than the tensor.
        (600, 500, 1000, 10, false),
        (600, 500, 1000, 50, false),
        // Rows longer than a block, or than lanes can count.
        (3, 100_000, 100_000, 60, false),
        (5, 70_000, 70_000, 1, false),
        (70_000, 7, 7, 30, false),
    ] {
        let bytes = pruned(rows * columns, percent, few);
        for profile in Profile::ALL {
            let (record, meta) = record(profile, folded, &bytes);
            let plain = matrix(tensor, (&record, meta), columns, Isa::Plain).unwrap();
            let expected = products(&plain, 1).unwrap();
            for isa in Isa::available() {
                let matrix = matrix(tensor, (&record, meta), columns, isa).unwrap();
                for threads in [1, 2, 5] {
                    let found = products(&matrix, threads).unwrap();
                    assert!(
                        found == expected,
                        "{rows}x{columns} {percent} % {profile} {isa:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_changed_byte_of_a_block_is_corrupt() {
    let archive = archive();
    let tensor = archive.tensors().next().unwrap();
    for (percent, few) in [(8, false), (50, false), (30, true)] {
        let bytes = pruned(40 * 60, percent, few);
        for profile in Profile::ALL {
            let (record, meta) = record(profile, 60, &bytes);
            for at in (0..record.len()).step_by(7) {
                let mut broken = record.clone();
                broken[at] ^= 1 << (at % 8);
                let error = matrix(tensor, (&broken, meta), 60, Isa::active())
                    .and_then(|matrix| products(&matrix, 1));
                assert!(error.is_err(), "byte {at}");
            }
        }
    }
}

/// What was checked once and changed since, as a mapped file may be: anything but a panic.
#[test]
fn blocks_that_change_after_they_were_checked_are_wrong_or_an_error() {
    let archive = archive();
    let tensor = archive.tensors().next().unwrap();
    for (percent, few) in [(8, false), (50, false), (30, true), (100, false)] {
        let bytes = pruned(40 * 70, percent, few);
        let (record, meta) = record(Profile::Direct, 70, &bytes);
        for isa in Isa::available() {
            let whole = matrix(tensor, (&record, meta), 70, isa).unwrap();
            products(&whole, 1).unwrap();
            for at in 0..record.len() - meta.table_bytes as usize {
                for change in [1u8 << (at % 8), 0xff] {
                    let mut broken = record.clone();
                    broken[meta.table_bytes as usize + at] ^= change;
                    let changed = matrix(tensor, (&broken, meta), 70, isa).unwrap();
                    let (Elements::Words(from), Elements::Words(to)) =
                        (&whole.elements, &changed.elements)
                    else {
                        unreachable!()
                    };
                    to.believe(from);
                    let _ = products(&changed, 1);
                }
            }
        }
    }
}

#[test]
fn no_vectors_of_a_matrix_that_is_too_large_for_any_are_nothing() {
    let archive = archive();
    let tensor = archive.tensors().next().unwrap();
    let (record, meta) = record(Profile::Direct, 60, &pruned(40 * 60, 8, false));
    let matrix = Matrix {
        rows: usize::MAX / 2,
        columns: usize::MAX / 2 + 1,
        ..matrix(tensor, (&record, meta), 60, Isa::Plain).unwrap()
    };
    let (x, y): (&[f32], &mut [f32]) = (&[], &mut []);
    matrix.multiply_batch(x, y, 0).unwrap();
    matrix.multiply_transposed_batch(x, y, 0).unwrap();
}

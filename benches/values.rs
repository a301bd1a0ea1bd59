//! Values: profile × dtype × distribution, in tensors without a zero, so that positions cost nothing.
//! The packer chooses how they are kept; the line before each measurement says what it took.

mod common;

use common::Case;
use common::models::Noise;
use half::f16;
use tfzip::{DType, Profile};

const ROWS: u64 = 512;
const COLUMNS: u64 = 1024;

fn elements<const N: usize>(mut element: impl FnMut() -> [u8; N]) -> Vec<u8> {
    (0..ROWS * COLUMNS).flat_map(|_| element()).collect()
}

fn main() {
    let mut noise = Noise(1);
    let mut weight = move || noise.weight();
    let mut shared = Noise(2);
    let mut one_of = move |n: u32| shared.below(n) + 1;
    let mut bytes = Noise(3);
    let cases = [
        (
            "weights f32",
            DType::Float32,
            elements(|| weight().to_le_bytes()),
        ),
        (
            "weights f16",
            DType::Float16,
            elements(|| f16::from_f32(weight()).to_le_bytes()),
        ),
        (
            "weights f64",
            DType::Float64,
            elements(|| f64::from(weight()).to_le_bytes()),
        ),
        (
            "16 shared f32",
            DType::Float32,
            elements(|| (one_of(16) as f32 / 7.0).to_le_bytes()),
        ),
        (
            "200 shared f16",
            DType::Float16,
            elements(|| f16::from_f32(one_of(200) as f32).to_le_bytes()),
        ),
        (
            "noise i8",
            DType::Int8,
            elements(|| [bytes.below(255) as u8 + 1]),
        ),
        (
            "quantised i8",
            DType::Int8,
            elements(|| [(weight() * 200.0) as i8 as u8 | 1]),
        ),
        (
            "small i32",
            DType::Int32,
            elements(|| (one_of(1000) as i32).to_le_bytes()),
        ),
    ];
    let mut criterion = common::criterion();
    let mut group = common::group(&mut criterion, "values");
    for (name, dtype, dense) in cases {
        for profile in Profile::ALL {
            let id = format!("{profile} {name}");
            let label = format!("values/{id}");
            let case = Case::new(&label, profile, dtype, [ROWS, COLUMNS], &dense);
            case.bench_decode(&mut group, &id);
            case.bench_encode(&mut group, &id);
        }
    }
    group.finish();
    criterion.final_summary();
}

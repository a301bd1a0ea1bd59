//! Positions: density × how the entries lie. All entries are 1.0, so that values cost next to
//! nothing and what is measured is gaps and bitmaps. The packer chooses form and gap width; the
//! line before each measurement says which kind it took, and the bytes per nonzero.

mod common;

use common::Packed;
use common::models::Noise;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Throughput};
use tfzip::DType;

const ROWS: u64 = 1000;
const COLUMNS: u64 = 1000;

fn ones(is_entry: impl FnMut(u64) -> bool) -> Vec<u8> {
    (0..ROWS * COLUMNS)
        .map(is_entry)
        .flat_map(|entry| f32::from(u8::from(entry)).to_le_bytes())
        .collect()
}

fn bench(group: &mut BenchmarkGroup<'_, WallTime>, id: &str, dense: Vec<u8>) {
    let packed = Packed::new(
        &format!("positions/{id}"),
        DType::Float32,
        [ROWS, COLUMNS],
        dense,
    );
    packed.bench_read(group, id);
    let tensor = packed.tensor();
    group.throughput(Throughput::Bytes(packed.dense.len() as u64));
    group.bench_function(format!("csr/{id}"), |b| {
        b.iter(|| tensor.csr::<f32>().unwrap());
    });
}

fn main() {
    let mut criterion = common::criterion();
    let mut group = criterion.benchmark_group("positions");
    for percent in [1, 2, 5, 10, 20, 30, 50] {
        let mut noise = Noise(1);
        let uniform = ones(|_| noise.below(100) < percent);
        bench(&mut group, &format!("uniform {percent} %"), uniform);
    }
    for percent in [2, 10] {
        // As many entries, all in every fourth row.
        let mut noise = Noise(2);
        let rows = ones(|i| (i / COLUMNS).is_multiple_of(4) && noise.below(100) < 4 * percent);
        bench(&mut group, &format!("rows {percent} %"), rows);
        // As many entries, in runs of eight: structured pruning.
        let mut noise = Noise(3);
        let mut run = false;
        let runs = ones(|i| {
            if i % 8 == 0 {
                run = noise.below(100) < percent;
            }
            run
        });
        bench(&mut group, &format!("runs {percent} %"), runs);
    }
    group.finish();
    criterion.final_summary();
}

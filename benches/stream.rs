//! Streams: bytes of more or less disorder, none of them zero and none frequent, so that each block
//! is one raw stream of 8-bit symbols. Beside them a copy of the bytes, and `zstd -3` of them.

mod common;

use common::Packed;
use common::models::Noise;
use tfzip::DType;

const BYTES: u64 = 1 << 22;

fn main() {
    let mut criterion = common::criterion();
    let mut group = criterion.benchmark_group("stream");
    let mut noise = Noise(1);
    let cases: [(&str, Vec<u8>); 3] = [
        (
            "noise",
            (0..BYTES).map(|_| noise.below(255) as u8 + 1).collect(),
        ),
        (
            "skewed",
            (0..BYTES)
                .map(|_| noise.next().count_ones() as u8 + 1)
                .collect(),
        ),
        ("runs", (0..BYTES).map(|i| (i >> 10) as u8 | 1).collect()),
    ];
    for (id, dense) in cases {
        let packed = Packed::new(
            &format!("stream/{id}"),
            DType::Uint8,
            [1 << 10, 1 << 12],
            dense,
        );
        packed.bench_read(&mut group, id);
        packed.bench_pack(&mut group, id);
        common::bench_copy(&mut group, id, &packed.dense);
        common::bench_zstd(&mut group, id, &packed.dense);
    }
    group.finish();
    criterion.final_summary();
}

//! Streams: bytes of more or less disorder, none of them zero and none frequent, so that each block
//! is one stream of 8-bit symbols: packed, Huffman or zstd, as the line before each measurement says.
//! Beside them a copy of the bytes, and `zstd -3` of them.

mod common;

use common::Case;
use common::models::Noise;
use tfzip::{DType, Profile};

const BYTES: u64 = 1 << 22;

fn main() {
    let mut criterion = common::criterion();
    let mut group = common::group(&mut criterion, "stream");
    let mut noise = Noise(1);
    let mut bytes = |f: &mut dyn FnMut(u64, &mut Noise) -> u8| -> Vec<u8> {
        (0..BYTES).map(|i| f(i, &mut noise)).collect()
    };
    let cases = [
        ("noise", bytes(&mut |_, noise| noise.below(255) as u8 + 1)),
        // 7.7, 3.5 and 2.0 bits of entropy.
        (
            "sum of two",
            bytes(&mut |_, noise| (noise.below(128) + noise.below(127)) as u8 + 1),
        ),
        (
            "bits of four bytes",
            bytes(&mut |_, noise| noise.next().count_ones() as u8 + 1),
        ),
        (
            "geometric",
            bytes(&mut |_, noise| noise.next().leading_zeros() as u8 + 1),
        ),
        ("runs", bytes(&mut |i, _| (i >> 10) as u8 | 1)),
    ];
    for (name, dense) in &cases {
        for profile in Profile::ALL {
            let id = format!("{profile} {name}");
            let label = format!("stream/{id}");
            let case = Case::new(&label, profile, DType::Uint8, [1 << 10, 1 << 12], dense);
            case.bench_decode(&mut group, &id);
            case.bench_encode(&mut group, &id);
        }
        common::bench_zstd(&mut group, name, dense);
    }
    common::bench_copy(&mut group, "bytes", &cases[0].1);
    group.finish();
    criterion.final_summary();
}

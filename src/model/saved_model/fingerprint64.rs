//! FarmHash's `Fingerprint64`, as TensorFlow uses it: a hash of bytes that is the same everywhere
//! and for ever. It proves nothing against an adversary.

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "offsets lie inside the length that each function is for; what is computed wraps, as it is to"
)]

use std::num::Wrapping as W;

const K0: W<u64> = W(0xc3a5_c85c_97cb_3127);
const K1: W<u64> = W(0xb492_b66f_be98_f273);
const K2: W<u64> = W(0x9ae1_6a3b_2f90_404f);

/// The fingerprint of `bytes`.
pub(super) fn fingerprint64(bytes: &[u8]) -> u64 {
    let hash = match bytes.len() {
        0..=16 => up_to_16(bytes),
        17..=32 => up_to_32(bytes),
        33..=64 => up_to_64(bytes),
        _ => more_than_64(bytes),
    };
    hash.0
}

fn up_to_16(bytes: &[u8]) -> W<u64> {
    let len = length(bytes);
    let multiplier = K2 + len * W(2);
    match bytes.len() {
        0 => K2,
        1..=3 => {
            let byte = |at: usize| W(u64::from(bytes[at]));
            let low = byte(0) + (byte(bytes.len() / 2) << 8);
            let high = len + (byte(bytes.len() - 1) << 2);
            fold((low * K2) ^ (high * K0)) * K2
        }
        4..=7 => {
            let (first, last) = (word32(bytes, 0), word32(bytes, bytes.len() - 4));
            mix(len + (first << 3), last, multiplier)
        }
        _ => {
            let first = word(bytes, 0) + K2;
            let last = word(bytes, bytes.len() - 8);
            let c = rotate(last, 37) * multiplier + first;
            let d = (rotate(first, 25) + last) * multiplier;
            mix(c, d, multiplier)
        }
    }
}

fn up_to_32(bytes: &[u8]) -> W<u64> {
    let multiplier = K2 + length(bytes) * W(2);
    let a = word(bytes, 0) * K1;
    let (y, z) = ends(bytes, a, multiplier);
    mix(y, z, multiplier)
}

fn up_to_64(bytes: &[u8]) -> W<u64> {
    let multiplier = K2 + length(bytes) * W(2);
    let a = word(bytes, 0) * K2;
    let (y, z) = ends(bytes, a, multiplier);
    let z = mix(y, z, multiplier);
    let e = word(bytes, 16) * multiplier;
    let f = word(bytes, 24);
    let g = (y + word(bytes, bytes.len() - 32)) * multiplier;
    let h = (z + word(bytes, bytes.len() - 24)) * multiplier;
    mix(
        rotate(e + f, 43) + rotate(g, 30) + h,
        e + rotate(f + a, 18) + g,
        multiplier,
    )
}

/// What the first and the last 16 bytes give, `a` being the first word times a constant.
fn ends(bytes: &[u8], a: W<u64>, multiplier: W<u64>) -> (W<u64>, W<u64>) {
    let b = word(bytes, 8);
    let c = word(bytes, bytes.len() - 8) * multiplier;
    let d = word(bytes, bytes.len() - 16) * K2;
    (
        rotate(a + b, 43) + rotate(c, 30) + d,
        a + rotate(b + K2, 18) + c,
    )
}

fn more_than_64(bytes: &[u8]) -> W<u64> {
    let seed = W(81);
    let y = seed * K1 + W(113);
    let mut state = State {
        x: seed * K2 + word(bytes, 0),
        y,
        z: fold(y * K2 + W(113)) * K2,
        v: (W(0), W(0)),
        w: (W(0), W(0)),
    };
    // The last 1 to 64 bytes come last, together with those before them that make 64.
    let n_chunks = (bytes.len() - 1) / 64;
    for chunk in bytes.chunks_exact(64).take(n_chunks) {
        state.add(chunk, K1, W(1));
    }
    let multiplier = K1 + ((state.z & W(0xff)) << 1);
    state.w.0 += (length(bytes) - W(1)) & W(63);
    state.v.0 += state.w.0;
    state.w.0 += state.v.0;
    state.add(&bytes[bytes.len() - 64..], multiplier, W(9));
    let State { x, y, z, v, w } = state;
    mix(
        mix(v.0, w.0, multiplier) + fold(y) * K0 + z,
        mix(v.1, w.1, multiplier) + x,
        multiplier,
    )
}

struct State {
    x: W<u64>,
    y: W<u64>,
    z: W<u64>,
    v: (W<u64>, W<u64>),
    w: (W<u64>, W<u64>),
}

impl State {
    /// Takes in 64 bytes.
    fn add(&mut self, chunk: &[u8], multiplier: W<u64>, weight: W<u64>) {
        let Self { x, y, z, v, w } = self;
        *x = rotate(*x + *y + v.0 + word(chunk, 8), 37) * multiplier;
        *y = rotate(*y + v.1 + word(chunk, 48), 42) * multiplier;
        *x ^= w.1 * weight;
        *y += v.0 * weight + word(chunk, 40);
        *z = rotate(*z + w.0, 33) * multiplier;
        *v = weak(&chunk[..32], v.1 * multiplier, *x + w.0);
        *w = weak(&chunk[32..], *z + w.1, *y + word(chunk, 16));
        std::mem::swap(z, x);
    }
}

/// A weak hash of 32 bytes with two seeds.
fn weak(bytes: &[u8], a: W<u64>, b: W<u64>) -> (W<u64>, W<u64>) {
    let a = a + word(bytes, 0);
    let last = word(bytes, 24);
    let b = rotate(b + a + last, 21);
    let sum = a + word(bytes, 8) + word(bytes, 16);
    (sum + last, b + rotate(sum, 44) + a)
}

/// A hash of 16 bytes.
fn mix(u: W<u64>, v: W<u64>, multiplier: W<u64>) -> W<u64> {
    let a = fold((u ^ v) * multiplier);
    fold((v ^ a) * multiplier) * multiplier
}

fn fold(value: W<u64>) -> W<u64> {
    value ^ (value >> 47)
}

fn rotate(value: W<u64>, bits: u32) -> W<u64> {
    W(value.0.rotate_right(bits))
}

fn length(bytes: &[u8]) -> W<u64> {
    W(bytes.len() as u64)
}

/// Eight bytes at an offset, which the caller knows to be there; little-endian.
fn word(bytes: &[u8], at: usize) -> W<u64> {
    number(&bytes[at..at + 8])
}

/// Four bytes at an offset.
fn word32(bytes: &[u8], at: usize) -> W<u64> {
    number(&bytes[at..at + 4])
}

fn number(bytes: &[u8]) -> W<u64> {
    W(bytes
        .iter()
        .rev()
        .fold(0, |n, &byte| (n << 8) | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `tf.fingerprint` says of the bytes 3, 10, 17, … of some lengths.
    const EXPECTED: &[(usize, u64)] = &[
        (0, 0x9ae1_6a3b_2f90_404f),
        (1, 0xbec0_9cc4_4746_9d8b),
        (2, 0x16f8_2636_45a8_ecf5),
        (3, 0x40b4_412e_33ee_fd64),
        (4, 0xf3c7_ee05_197a_7b92),
        (5, 0x1561_12f7_c93e_5cb3),
        (7, 0x4fef_0b39_c12a_a9a4),
        (8, 0x0c97_ecbc_1e9d_2626),
        (9, 0xe51c_f380_98a5_bfff),
        (15, 0x2ca3_5f0a_039b_4f1b),
        (16, 0x7eda_0ed8_c837_a168),
        (17, 0xc951_8fe6_3ebf_6127),
        (31, 0xbd5c_a6ee_28fc_43cb),
        (32, 0xa53f_806f_23a3_14e8),
        (33, 0xc24f_9d7c_e864_f0e9),
        (63, 0x9643_c13f_c68d_469c),
        (64, 0x0566_266c_b579_eca2),
        (65, 0x77e0_8677_14e6_b0e4),
        (127, 0xcaa1_9a12_c827_3b7e),
        (128, 0x6668_2396_0b3a_c271),
        (129, 0x9820_6b85_79bc_a083),
        (192, 0x3fb4_2d06_dd42_f727),
        (1000, 0xe021_806c_c1e3_dc4c),
    ];

    #[test]
    fn fingerprints_are_tensorflows() {
        for &(len, expected) in EXPECTED {
            let bytes: Vec<u8> = (0..len as u64)
                .map(|i| (i * 7 + 3).to_le_bytes()[0])
                .collect();
            assert_eq!(fingerprint64(&bytes), expected, "{len} bytes");
        }
    }
}

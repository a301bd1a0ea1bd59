//! What an app that embeds the reader relies on.

#![cfg(feature = "pack")]

mod common;

use common::graph_def::{constant, graph};
use common::models::{self, Noise};
use std::mem::MaybeUninit;
use tfzip::{Archive, DType, ErrorKind, Nonzeros, PackOptions, Profile, Tensor, pack_slice};

fn packed(model: &[u8]) -> Vec<u8> {
    pack_slice(model, "m.pb", &PackOptions::default())
        .unwrap()
        .0
}

/// A model with a tensor of several blocks and a few others.
fn model() -> Vec<u8> {
    let weights = models::pruned(3000 * 300, 20, &mut Noise(3));
    graph(vec![
        constant(
            "big",
            DType::Float32,
            &[3000, 300],
            models::bytes_of_f32(&weights),
        ),
        constant("mask", DType::Bool, &[2, 3], vec![1, 0, 0, 0, 1, 1]),
        constant("bytes", DType::Bool, &[2, 2], vec![1, 0, 0, 2]),
        constant(
            "index",
            DType::Int64,
            &[2],
            [1i64, -1].map(i64::to_le_bytes).concat(),
        ),
    ])
}

#[test]
fn archives_and_tensors_go_to_other_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Archive<Vec<u8>>>();
    is_shared::<Archive<&[u8]>>();
    is_shared::<Archive<tfzip::Mapped>>();
    is_shared::<Tensor<'_>>();
    is_shared::<Nonzeros<'_, f32>>();
    is_shared::<tfzip::Error>();
}

#[test]
fn threads_read_one_archive_at_once() {
    let archive = Archive::new(packed(&model())).unwrap();
    let expected = archive.tensor("big").unwrap().to_vec::<f32>().unwrap();
    let again = Archive::new(archive.as_bytes()).unwrap();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                // The first look-up by name is made by several at once.
                let big = again.tensor("big").unwrap();
                assert!(big.to_vec::<f32>().unwrap() == expected);
                assert_eq!(big.nonzeros::<f32>().unwrap().count() as u64, big.nnz());
            });
        }
    });
}

#[test]
fn names_are_those_of_the_tensors_in_their_order() {
    let archive = Archive::new(packed(&model())).unwrap();
    let names: Vec<&str> = archive.names().collect();
    assert_eq!(names, ["big", "mask", "bytes", "index"]);
    assert_eq!(archive.names().len(), archive.tensors().len());
    for (name, tensor) in archive.names().zip(archive.tensors()) {
        assert_eq!(name, tensor.name());
        assert_eq!(archive.tensor(name).unwrap().number(), tensor.number());
    }
}

#[test]
fn a_wrong_type_is_an_error_and_no_cast() {
    let archive = Archive::new(packed(&model())).unwrap();
    let index = archive.tensor("index").unwrap();
    let n = index.len() as usize;
    for error in [
        index.to_vec::<u64>().map(drop),
        index.to_vec::<f64>().map(drop),
        index.read_into(&mut vec![0f64; n]),
        index
            .read_into_uninit(&mut vec![MaybeUninit::<u64>::uninit(); n])
            .map(drop),
        index.rows::<i32>(0..1).map(drop),
        index.rows_into(0..1, &mut vec![0u64; n]),
        index.csr::<f64>().map(drop),
        index.nonzeros::<u64>().map(drop),
        archive.tensor("mask").unwrap().to_vec::<i8>().map(drop),
        archive
            .tensor("big")
            .unwrap()
            .to_vec::<half::f16>()
            .map(drop),
    ] {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    assert_eq!(index.to_vec::<i64>().unwrap(), [1, -1]);
}

#[test]
fn bools_are_zero_or_one() {
    let archive = Archive::new(packed(&model())).unwrap();
    let mask = archive.tensor("mask").unwrap();
    assert_eq!(
        mask.to_vec::<bool>().unwrap(),
        [true, false, false, false, true, true]
    );
    assert_eq!(mask.rows::<bool>(1..2).unwrap(), [false, true, true]);
    assert_eq!(mask.csr::<bool>().unwrap().indices, [0, 1, 2]);
    let bytes = archive.tensor("bytes").unwrap();
    assert_eq!(bytes.to_vec::<u8>().unwrap(), [1, 0, 0, 2]);
    // What is there before an error is looked at stays a bool.
    let mut out = [true; 4];
    let error = bytes.read_into(&mut out).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().starts_with("tensor \"bytes\""), "{error}");
    assert_eq!(out, [true; 4]);
    assert_eq!(bytes.rows::<bool>(0..1).unwrap(), [true, false]);
}

#[test]
fn nonzeros_end_with_the_first_error() {
    for profile in Profile::ALL {
        let mut options = PackOptions::default();
        options.profile = profile;
        let mut tfz = pack_slice(&model(), "m.pb", &options).unwrap().0;
        let archive = Archive::new(&tfz[..]).unwrap();
        let big = archive.tensor("big").unwrap();
        assert!(big.layout().unwrap().unwrap().blocks > 2);
        let good: Vec<_> = big.nonzeros::<f32>().unwrap().map(Result::unwrap).collect();
        assert_eq!(good.len() as u64, big.nnz());
        assert!(good.is_sorted_by_key(|&(row, column, _)| (row, column)));
        let end = archive
            .parts()
            .iter()
            .find(|part| part.payloads > 0)
            .unwrap()
            .offset
            + big.stored_bytes();
        // In the last block: the directory after it has a few bytes.
        tfz[end as usize - 2000] ^= 1;
        let archive = Archive::new(&tfz[..]).unwrap();
        let mut nonzeros = archive.tensor("big").unwrap().nonzeros::<f32>().unwrap();
        let mut n_good = 0;
        let error = loop {
            match nonzeros.next() {
                Some(Ok(entry)) => {
                    assert_eq!(entry, good[n_good]);
                    n_good += 1;
                }
                Some(Err(error)) => break error,
                None => panic!("no error"),
            }
        };
        assert!(n_good > 0 && n_good < good.len(), "{n_good}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(
            error.to_string().starts_with("tensor \"big\": block"),
            "{error}"
        );
        assert!(nonzeros.next().is_none() && nonzeros.next().is_none());
    }
}

#[test]
fn nonzeros_are_what_the_spec_calls_nonzero() {
    let f32s = |values: &[f32]| models::bytes_of_f32(values);
    // Zeros of both signs, NaN, and a background that is no zero.
    let mut odd = vec![-0.0f32; 64];
    odd[5] = f32::NAN;
    odd[40] = f32::from_bits(1);
    odd[41] = 0.0;
    let mut background = vec![7.5f32; 4096];
    background[100] = 0.0;
    background[4000] = -1.0;
    let archive = Archive::new(packed(&graph(vec![
        constant("odd", DType::Float32, &[4, 16], f32s(&odd)),
        constant("background", DType::Float32, &[64, 64], f32s(&background)),
        constant("empty", DType::Float32, &[0, 5], vec![]),
        constant("scalar", DType::Float32, &[], f32s(&[3.0])),
    ])))
    .unwrap();
    let nonzeros = |name| {
        let tensor = archive.tensor(name).unwrap();
        let all = tensor
            .nonzeros::<f32>()
            .unwrap()
            .collect::<tfzip::Result<Vec<_>>>()
            .unwrap();
        assert_eq!(all.len() as u64, tensor.nnz());
        all
    };
    let odd: Vec<_> = nonzeros("odd")
        .iter()
        .map(|e| (e.0, e.1, e.2.to_bits()))
        .collect();
    assert_eq!(odd, [(0, 5, f32::NAN.to_bits()), (2, 8, 1)]);
    let background = nonzeros("background");
    assert_eq!(background.len(), 4095);
    assert_eq!(background[0], (0, 0, 7.5));
    assert_eq!(background[100], (1, 37, 7.5));
    assert!(background.contains(&(62, 32, -1.0)));
    assert_eq!(nonzeros("empty"), []);
    assert_eq!(nonzeros("scalar"), [(0, 0, 3.0)]);
}

//! The tensors of real Keras and HDF5 files are those that h5py reads, and a changed one is all
//! that changes, apart from the checksums of the archive that it is in.

#![cfg(feature = "pack")]

mod common;

use common::data;
use std::fs;
use tfzip::model::{self, Change, InputFile, Model, ModelKind, TensorData};

/// A file, what it is, and what h5py reads in it: the number of datasets, of bytes in them, and
/// the CRC-32 over name, dtype, shape and elements of all, in the order of their names.
const FILES: &[(&str, ModelKind, usize, usize, u32)] = &[
    ("m.keras", ModelKind::Keras, 28, 616_932, 0xfc5f_7cf3),
    ("m.weights.h5", ModelKind::Hdf5, 28, 616_932, 0xfc5f_7cf3),
    (
        "mlperf-wakeword.h5",
        ModelKind::Hdf5,
        63,
        565_836,
        0x069d_0118,
    ),
];

/// The content of a file; `None` if the files are not there.
fn content(name: &str) -> Option<Vec<u8>> {
    Some(fs::read(data("keras")?.join(name)).expect(name))
}

fn read(name: &str, bytes: &[u8]) -> Model {
    model::read(&[InputFile { name, bytes }]).expect(name)
}

#[test]
fn tensors_are_those_that_h5py_reads() {
    for &(name, kind, n_tensors, n_bytes, crc) in FILES {
        let Some(bytes) = content(name) else { return };
        let mut model = read(name, &bytes);
        assert_eq!(model.parts.len(), 1);
        assert_eq!(model.parts[0].kind, kind);
        model.tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let mut found = crc32fast::Hasher::new();
        let mut n_found = 0;
        for tensor in &model.tensors {
            let TensorData::Raw { range, repeats: 0 } = &tensor.data else {
                panic!("{name}: {} is not raw", tensor.name);
            };
            found.update(format!("{} {} {:?}", tensor.name, tensor.dtype, tensor.shape).as_bytes());
            found.update(&bytes[range.clone()]);
            n_found += range.len();
        }
        assert_eq!(
            (model.tensors.len(), n_found),
            (n_tensors, n_bytes),
            "{name}"
        );
        assert_eq!(found.finalize(), crc, "{name}");
    }
}

#[test]
fn a_changed_tensor_is_all_that_changes() {
    for (name, tensor, n_crcs) in [
        ("m.keras", "layers/dense_1/vars/0", 2),
        ("m.weights.h5", "layers/dense_1/vars/0", 0),
        (
            "mlperf-wakeword.h5",
            "model_weights/conv2d_1/conv2d_1/kernel:0",
            0,
        ),
    ] {
        let Some(before) = content(name) else { return };
        let model = read(name, &before);
        let tensor = model
            .tensors
            .iter()
            .position(|t| t.name == tensor)
            .expect(tensor);
        let TensorData::Raw { range, .. } = &model.tensors[tensor].data else {
            panic!("{name} has raw tensors");
        };
        let changes = [Change {
            tensor,
            bytes: vec![0; range.len()],
        }];
        let input = [InputFile {
            name,
            bytes: &before,
        }];
        let rewritten = model::rewrite(&input, &changes).expect(name);
        assert!(rewritten.warnings.is_empty());
        let after = &rewritten.files[0];
        assert_eq!(read(name, after), model);

        let mut expected = before.clone();
        expected[range.clone()].fill(0);
        let old = crc_of_weights(&before);
        let new = crc_of_weights(&expected);
        let places: Vec<usize> = (0..before.len() - 3)
            .filter(|&at| old.is_some_and(|old| before[at..at + 4] == old))
            .collect();
        assert_eq!(places.len(), n_crcs, "{name}");
        for at in places {
            expected[at..at + 4].copy_from_slice(&new.expect("an archive"));
        }
        assert!(*after == expected, "{name}");
    }
}

/// The CRC-32 of the archive's last member, which is the weights, computed from its bytes; `None`
/// if it is no archive.
fn crc_of_weights(bytes: &[u8]) -> Option<[u8; 4]> {
    let header = bytes.windows(4).rposition(|w| w == b"PK\x03\x04")?;
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    let name = &bytes[header + 30..];
    assert!(name.starts_with(b"model.weights.h5"));
    // No extra field.
    assert_eq!(bytes[header + 28..header + 30], [0, 0]);
    let len = usize::try_from(number(header + 22)).expect("a length");
    Some(crc32fast::hash(&name[16..16 + len]).to_le_bytes())
}

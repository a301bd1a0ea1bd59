//! Model files of every kind.

use super::limits;
use super::readings::read_in_every_way;
use crate::archive::{Archive, Tensor};
use crate::model::{self, Change, InputFile, Model, TensorData};
use crate::pack::{PackOptions, pack_slice};

/// Graphs: see [`model_file`].
///
/// # Panics
/// If that does not hold.
pub fn graphdef(bytes: &[u8]) {
    model_file("m.pb", bytes);
}

/// SavedModels and MetaGraphDefs without a folder: see [`model_file`].
///
/// # Panics
/// If that does not hold.
pub fn saved_model(bytes: &[u8]) {
    model_file("saved_model.pb", bytes);
}

/// TFLite flatbuffers: see [`model_file`].
///
/// # Panics
/// If that does not hold.
pub fn tflite(bytes: &[u8]) {
    model_file("m.tflite", &with(bytes, 4, b"TFL3"));
}

/// Keras archives: see [`model_file`].
///
/// # Panics
/// If that does not hold.
pub fn keras(bytes: &[u8]) {
    model_file("m.keras", &with(bytes, 0, b"PK\x03\x04"));
}

/// HDF5 files: see [`model_file`].
///
/// # Panics
/// If that does not hold.
pub fn hdf5(bytes: &[u8]) {
    model_file("m.h5", &with(bytes, 0, b"\x89HDF\r\n\x1a\n"));
}

/// How a LevelDB table ends.
const TABLE_END: &[u8] = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb";

/// Checkpoints of TensorFlow 1: see [`model_file`].
///
/// # Panics
/// If that does not hold.
pub fn sliced_checkpoint(bytes: &[u8]) {
    let end = bytes.len().saturating_sub(TABLE_END.len());
    model_file("model.ckpt", &with(bytes, end, TABLE_END));
}

/// Checkpoints of TensorFlow 2: the first two bytes are the length of the index, then come the index
/// and one data shard. Whatever is read as one lists the same tensors after a change.
///
/// # Panics
/// If that does not hold.
pub fn tensor_bundle(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (index, shard) = rest.split_at(length);
    let index = with(
        index,
        index.len().saturating_sub(TABLE_END.len()),
        TABLE_END,
    );
    check_rewriting(&[
        InputFile {
            name: "m.data-00000-of-00001",
            bytes: shard,
        },
        InputFile {
            name: "m.index",
            bytes: &index,
        },
    ]);
}

/// `bytes` with `part` at offset `at`, as far as it fits.
fn with(bytes: &[u8], at: usize, part: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(place) = bytes
        .get_mut(at..)
        .and_then(|rest| rest.get_mut(..part.len()))
    {
        place.copy_from_slice(part);
    }
    bytes
}

/// Model files: whatever is read as one packs, opens, lists the same tensors with the same elements,
/// and restores to the same bytes; and it lists the same tensors after a change.
fn model_file(name: &str, bytes: &[u8]) {
    let Ok(model) = model::read(&[InputFile { name, bytes }]) else {
        return;
    };
    check_rewriting(&[InputFile { name, bytes }]);
    let options = PackOptions {
        threads: 1,
        ..PackOptions::default()
    };
    let (tfz, report) = match pack_slice(bytes, name, &options) {
        Ok(packed) => packed,
        Err(e) => panic!("a model that is read is packed: {e}"),
    };
    assert_eq!(report.archive_bytes, tfz.len() as u64);
    let archive = match Archive::new(&tfz) {
        Ok(archive) => archive,
        Err(e) => panic!("what was packed opens: {e}"),
    };
    let mut restored = Vec::new();
    match archive.restore(0, &mut restored) {
        Ok(()) => assert_eq!(restored, bytes),
        Err(e) => panic!("what was packed is restored: {e}"),
    }
    assert_eq!(archive.tensors().len(), model.tensors.len());
    for (tensor, found) in archive.tensors().zip(&model.tensors) {
        assert_eq!(tensor.name(), found.name);
        assert_eq!(
            (tensor.dtype(), tensor.shape()),
            (found.dtype, &found.shape[..])
        );
        match &found.data {
            TensorData::Raw { range, repeats } => {
                check_elements(&tensor, &bytes[range.clone()], *repeats);
            }
            TensorData::Opaque => assert!(!tensor.is_readable()),
        }
    }
}

/// What is found of the use of tensors is about the tensors that there are.
fn check_usage(files: &[InputFile<'_>], model: &Model) {
    // What can't be followed is an error: it must not be a panic.
    let Ok(usage) = model::usage(files, model) else {
        return;
    };
    assert_eq!(usage.tensors.len(), model.tensors.len());
    for group in &usage.groups {
        assert!(group.len() > 1 && group.is_sorted());
        let dtype = model.tensors[group[0]].dtype;
        assert!(group.iter().all(|&t| model.tensors[t].dtype == dtype));
    }
}

/// A model with other elements in its first tensor holds the same tensors in the same places.
fn check_rewriting(files: &[InputFile<'_>]) {
    let Ok(model) = model::read(files) else {
        return;
    };
    check_usage(files, &model);
    let first = model
        .tensors
        .iter()
        .enumerate()
        .find_map(|(number, tensor)| match &tensor.data {
            TensorData::Raw { range, .. } if !range.is_empty() => {
                Some((number, tensor.file, range.clone()))
            }
            _ => None,
        });
    let Some((tensor, file, range)) = first else {
        return;
    };
    let changed: Vec<u8> = files[file].bytes[range.clone()]
        .iter()
        .map(|byte| !byte)
        .collect();
    // What can't be repaired is an error: it must not be a panic.
    let Ok(rewritten) = model::rewrite(
        files,
        &[Change {
            tensor,
            bytes: changed.clone(),
        }],
    ) else {
        return;
    };
    assert_eq!(rewritten.files[file][range], changed);
    let files: Vec<InputFile<'_>> = files
        .iter()
        .zip(&rewritten.files)
        .map(|(file, bytes)| InputFile { bytes, ..*file })
        .collect();
    match model::read(&files) {
        Ok(again) => assert_eq!(again.tensors, model.tensors),
        Err(e) => panic!("a rewritten model is read: {e}"),
    }
}

/// Compares the elements of a tensor, if they are few, with those in the model file.
fn check_elements(tensor: &Tensor<'_>, stored: &[u8], repeats: u64) {
    let width = tensor.dtype().width().unwrap_or(0);
    if tensor.len().saturating_mul(width as u64) > limits().tensor_bytes {
        return;
    }
    let mut expected = stored.to_vec();
    let last = stored
        .get(stored.len().wrapping_sub(width)..)
        .map_or_else(|| vec![0; width], <[u8]>::to_vec);
    (0..repeats).for_each(|_| expected.extend_from_slice(&last));
    assert_eq!(
        read_in_every_way(tensor).as_deref(),
        Some(&expected[..]),
        "{:?}",
        tensor.name()
    );
    let nnz = expected
        .chunks_exact(width)
        .filter(|element| tensor.dtype().is_nonzero(element));
    assert_eq!(tensor.nnz(), nnz.count() as u64);
}

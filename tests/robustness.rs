//! Damage: every prefix of a good file is refused, so is one with something appended, and a file
//! with any byte changed is refused or is the same to every reader. Nothing panics.

#![cfg(feature = "pack")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::graph_def::{constant, graph};
use common::{models, naive};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tfzip::{Archive, DType, ErrorKind, Limits, PackOptions, Profile, Result, Tensor, pack_slice};

/// Models in every profile; the large one only in the default, for the sake of time.
fn packed() -> Vec<(String, Vec<u8>)> {
    let mut models: Vec<(&str, Vec<u8>)> = models::models();
    models.push(("complex", complex()));
    models.push(("dead-rows", dead_rows()));
    let pack = |profile: Profile, name: &str, model: &[u8]| {
        let mut options = PackOptions::default();
        options.profile = profile;
        let (tfz, _) = pack_slice(model, "m.pb", &options).unwrap();
        (format!("{name}, {profile}"), tfz)
    };
    let mut packed: Vec<(String, Vec<u8>)> = Profile::ALL
        .into_iter()
        .flat_map(|profile| {
            let models = models.iter();
            models.map(move |(name, model)| pack(profile, name, model))
        })
        .collect();
    packed.push(pack(
        Profile::default(),
        "two-blocks",
        &models::two_blocks(),
    ));
    packed
}

/// Elements too wide for codes, whose bytes are worth telling apart.
fn complex() -> Vec<u8> {
    let parts = models::pruned(200, 100, &mut models::Noise(3));
    let elements: Vec<u8> = parts
        .iter()
        .flat_map(|&part| f64::from(part).to_le_bytes())
        .collect();
    graph(vec![constant("w", DType::Complex128, &[100], elements)])
}

/// Rows of two classes: without entries, and with more than half of their elements.
fn dead_rows() -> Vec<u8> {
    const ROWS: u64 = 60;
    const COLUMNS: u64 = 48;
    let mut noise = models::Noise(5);
    let mut element = |is_live: bool| match is_live && noise.below(10) < 6 {
        true => noise.next() as u16 | 1,
        false => 0,
    };
    let elements: Vec<u8> = (0..ROWS)
        .flat_map(|row| [row * row % 7 < 3; COLUMNS as usize])
        .flat_map(|is_live| element(is_live).to_le_bytes())
        .collect();
    let shape = [ROWS, COLUMNS];
    graph(vec![constant("w", DType::Uint16, &shape, elements)])
}

fn good_vectors() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/vectors/v1");
    let mut vectors: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, _)| name.starts_with("good-") && name.ends_with(".tfz"))
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect();
    vectors.sort();
    assert!(vectors.len() > 50);
    vectors
}

/// All that a reader can get out of an archive.
#[derive(PartialEq)]
struct Contents {
    files: Vec<(String, Vec<u8>)>,
    tensors: Vec<String>,
    elements: Vec<Option<Vec<u8>>>,
}

fn read(tfz: &[u8]) -> Result<Contents> {
    let archive = Archive::new(tfz)?;
    let mut files = Vec::new();
    for (number, file) in archive.files().enumerate() {
        let mut restored = Vec::new();
        archive.restore(number, &mut restored)?;
        files.push((file.name.to_owned(), restored));
    }
    let describe = |t: Tensor<'_>| {
        let (name, dtype, shape) = (t.name(), t.dtype(), t.shape());
        format!(
            "{name:?} {dtype} {shape:?} {} of {}",
            t.nnz(),
            t.file_name()
        )
    };
    let elements = |t: Tensor<'_>| t.is_readable().then(|| naive::bytes_of(&t)).transpose();
    Ok(Contents {
        files,
        tensors: archive.tensors().map(describe).collect(),
        elements: archive.tensors().map(elements).collect::<Result<_>>()?,
    })
}

#[test]
fn the_packed_models_use_everything_that_is_written() {
    let (mut positions, mut values, mut codings) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut alternates, mut blocks, mut background, mut shared) = (0, 0, false, 0);
    for (name, tfz) in packed() {
        let archive = Archive::new(tfz).unwrap();
        archive.verify().unwrap_or_else(|e| panic!("{name}: {e}"));
        for layout in archive.tensors().filter_map(|t| t.layout().unwrap()) {
            positions.extend(layout.positions.keys().copied());
            values.extend(layout.values.keys().copied());
            codings.extend(layout.value_codings.keys().copied());
            alternates = alternates.max(layout.alternate_bytes);
            blocks = blocks.max(layout.blocks);
            background |= layout.has_background;
            shared += 1;
        }
        shared -= archive
            .parts()
            .iter()
            .map(|part| part.payloads)
            .sum::<u64>();
    }
    common::assert_every_kind(&positions, &values, &codings);
    assert!(alternates > 1 && blocks > 1 && background && shared > 0);
}

#[test]
fn every_prefix_and_every_appendix_is_refused() {
    for (name, tfz) in packed().into_iter().chain(good_vectors()) {
        for end in 0..tfz.len() {
            assert!(
                read(&tfz[..end]).is_err(),
                "{name}: {end} of {} bytes",
                tfz.len()
            );
        }
        // The end of another archive makes the whole no archive either.
        for appendix in [&[0][..], b"\n", &[0; 32], &tfz[tfz.len() - 32..], &tfz] {
            let longer = [&tfz[..], appendix].concat();
            let error = Archive::new(&longer).map(drop).unwrap_err();
            let cut = [ErrorKind::Truncated, ErrorKind::Corrupt];
            assert!(cut.contains(&error.kind()), "{name}: {error}");
        }
    }
}

#[test]
fn every_changed_byte_is_refused_or_makes_no_difference() {
    for (name, mut tfz) in packed().into_iter().chain(good_vectors()) {
        let contents = read(&tfz).unwrap_or_else(|e| panic!("{name}: {e}"));
        let padding: Vec<_> = Archive::new(&tfz[..])
            .unwrap()
            .parts()
            .iter()
            .filter(|part| part.kind == tfzip::PartKind::Padding)
            .map(|part| part.offset..part.offset + part.bytes)
            .collect();
        for at in 0..tfz.len() {
            let byte = tfz[at];
            for changed in [byte ^ 1, byte ^ 0x80, 0x00, 0xff] {
                tfz[at] = changed;
                if changed == byte {
                    continue;
                }
                if let Ok(found) = read(&tfz) {
                    assert!(
                        found == contents,
                        "{name}: byte {at} {byte:#04x} -> {changed:#04x}"
                    );
                    let in_padding = padding.iter().any(|p| p.contains(&(at as u64)));
                    assert!(in_padding, "{name}: byte {at} is covered by no checksum");
                }
                let verified = Archive::new(&tfz[..]).and_then(|archive| archive.verify());
                assert!(verified.is_err(), "{name}: the full check misses byte {at}");
            }
            tfz[at] = byte;
        }
    }
}

#[test]
fn a_name_that_many_tensors_have_is_an_error_of_one_line() {
    let node = |_| constant("w", DType::Float32, &[2], vec![0; 8]);
    let model = graph((0..5000).map(node).collect());
    let (tfz, _) = pack_slice(&model, "m.pb", &PackOptions::default()).unwrap();
    let archive = Archive::new(tfz).unwrap();
    assert_eq!(archive.tensors().len(), 5000);
    let error = archive.tensor("w").map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().len() < 200, "{error}");
}

#[test]
fn sizes_that_nothing_stands_behind_cost_nothing() {
    // As many rows as memory has no room for, and no elements.
    let model = graph(vec![constant("w", DType::Float32, &[1 << 40, 0], vec![])]);
    let (tfz, _) = pack_slice(&model, "m.pb", &PackOptions::default()).unwrap();
    let archive = Archive::new(tfz).unwrap();
    archive.verify().unwrap();
    let tensor = archive.tensor("w").unwrap();
    assert!(tensor.to_vec::<f32>().unwrap().is_empty());
    assert!(tensor.rows::<f32>(0..1 << 40).unwrap().is_empty());
    let error = tensor.csr::<f32>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");

    // More columns than can be counted in bytes.
    let model = graph(vec![constant("w", DType::Float32, &[0, 1 << 62], vec![])]);
    let (tfz, _) = pack_slice(&model, "m.pb", &PackOptions::default()).unwrap();
    let archive = Archive::new(tfz).unwrap();
    archive.verify().unwrap();
    let tensor = archive.tensor("w").unwrap();
    assert!(tensor.to_vec::<f32>().unwrap().is_empty());
    assert!(tensor.rows::<f32>(0..0).unwrap().is_empty());

    // One value for more elements than any reader would expand: kept as it is, and not to be read.
    for shape in [[1 << 20, 1 << 20], [1 << 31, 1 << 31]] {
        let model = graph(vec![constant("w", DType::Float32, &shape, vec![1; 4])]);
        let (tfz, _) = pack_slice(&model, "m.pb", &PackOptions::default()).unwrap();
        let archive = Archive::new(tfz).unwrap();
        archive.verify().unwrap();
        let tensor = archive.tensor("w").unwrap();
        assert!(!tensor.is_readable());
        for error in [
            tensor.to_vec::<f32>().map(drop).unwrap_err(),
            tensor.rows::<f32>(0..shape[0]).map(drop).unwrap_err(),
            tensor.csr::<f32>().map(drop).unwrap_err(),
            tensor.read_bytes_into(&mut []).unwrap_err(),
            tensor.for_each_chunk(|_, _| Ok(())).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        }
    }
}

#[test]
fn no_limit_allows_what_cannot_be_counted() {
    let path = "spec/vectors/v1/bad-limit-tensor-2-64-bytes.tfz";
    let tfz = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let mut limits = Limits::default();
    limits.tensor_bytes = u64::MAX;
    let error = Archive::with_limits(tfz, &limits).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
}

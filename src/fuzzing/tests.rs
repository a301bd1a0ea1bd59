//! The bodies under proptest, on every seed, and on every finding of the past.

use super::blocks::{decode_record, payload};
use super::mending::mended;
use super::*;
use crate::archive::Archive;
use crate::container::unchecked::file_of_manifest;
use crate::kernels::{Isa, Store};
use crate::payload::Record;
use crate::word::with_word;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 17] = [
    ("open", open),
    ("manifest", manifest),
    ("decode", decode),
    ("readings", readings),
    ("block", block),
    ("stream", stream),
    ("kernels", kernels),
    ("graphdef", graphdef),
    ("saved_model", saved_model),
    ("tflite", tflite),
    ("keras", keras),
    ("hdf5", hdf5),
    ("sliced_checkpoint", sliced_checkpoint),
    ("tensor_bundle", tensor_bundle),
    ("pruning", pruning),
    ("archive", archive),
    ("roundtrip", roundtrip),
];

/// The files in a folder of the project, in the order of their names; none if it is missing.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(entries) = fs::read_dir(folder) else {
        return vec![];
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| (path.display().to_string(), fs::read(path).unwrap()))
        .collect()
}

/// What `fuzz/run` starts a target with.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut seeds = files(&format!("fuzz/seeds/{target}"));
    match target {
        "open" | "decode" | "graphdef" => seeds.extend(files("spec/vectors/v1")),
        // They take what `block` takes.
        "readings" => seeds.extend(files("fuzz/seeds/block")),
        _ => {}
    }
    assert!(!seeds.is_empty(), "{target}");
    seeds
}

#[test]
fn every_seed_and_every_finding_passes() {
    for (target, body) in TARGETS {
        let findings = files(&format!("fuzz/regressions/{target}"));
        for (path, bytes) in seeds(target).into_iter().chain(findings) {
            // The name of the input that a panic is about.
            eprintln!("{target} {path}");
            body(&bytes);
        }
    }
}

#[test]
fn seeds_of_blocks_are_good_blocks() {
    for (path, bytes) in files("fuzz/seeds/block") {
        let (meta, record) = payload(&bytes).unwrap();
        let decoded = Record::new(&record, meta).and_then(
            |record| with_word!(meta.width, W => decode_record::<W>(&record, meta, (Isa::active(), Store::Cached), 0)),
        );
        assert!(decoded.is_ok(), "{path}: {}", decoded.unwrap_err());
    }
}

#[test]
fn seeds_of_graphs_to_prune_are_pruned() {
    for (path, bytes) in files("fuzz/seeds/pruning") {
        let pruned = super::pruning::pruned(&bytes);
        assert!(
            pruned.is_some_and(|pruned| pruned.report.tensors.len() == 1),
            "{path}"
        );
    }
}

#[test]
fn seeds_of_good_manifests_open() {
    for (path, bytes) in files("fuzz/seeds/manifest") {
        let file = file_of_manifest(&bytes[1..], bytes[0].into());
        let opened = Archive::new(&file);
        assert_eq!(opened.is_ok(), path.contains("/good-"), "{path}");
    }
}

#[test]
fn mending_changes_nothing_where_nothing_is_broken() {
    let good = |path: &str| path.contains("/good-") && path.ends_with(".tfz");
    for (path, bytes) in files("spec/vectors/v1") {
        if good(&path) && Archive::with_limits(&bytes, &limits()).is_ok() {
            assert_eq!(mended(&bytes), bytes, "{path}");
        }
    }
}

/// A change of a seed: bytes from `at` on (as a share of the file) are replaced or removed, and
/// `with` comes in their place.
fn change(mut bytes: Vec<u8>, (at, removed, with): &(u16, u8, Vec<u8>)) -> Vec<u8> {
    let at = (u64::from(*at) * bytes.len() as u64 / u64::from(u16::MAX)) as usize;
    let end = (at + usize::from(*removed % 16)).min(bytes.len());
    bytes.splice(at..end, with.iter().copied());
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(u16, u8, Vec<u8>)>> {
    let change = (
        any::<u16>(),
        any::<u8>(),
        prop::collection::vec(any::<u8>(), 0..5),
    );
    let overwrite = (any::<u16>(), any::<u8>()).prop_map(|(at, byte)| (at, 1, vec![byte]));
    prop::collection::vec(prop_oneof![change, overwrite], 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_pass(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for (_, body) in TARGETS {
            body(&bytes);
        }
    }

    #[test]
    fn changed_seeds_pass(seed: prop::sample::Index, changes in changes()) {
        for (target, body) in TARGETS {
            let seeds = seeds(target);
            let bytes = seeds[seed.index(seeds.len())].1.clone();
            body(&changes.iter().fold(bytes, change));
        }
    }
}

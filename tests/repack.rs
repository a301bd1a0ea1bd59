//! Repacking: what an archive holds stays as it is, and its bytes are those that packing with the
//! other profile gives.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::shared_files;
use std::fs;
use std::path::Path;
use tfzip::{
    Archive, Effort, ErrorKind, PackOptions, Profile, RepackOptions, pack_slice, repack_file,
    repack_slice,
};

fn example() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read(root.join("examples/digits-300-100.pb")).unwrap()
}

fn packing(profile: Profile, effort: Effort) -> PackOptions {
    let mut options = PackOptions::default();
    options.profile = profile;
    options.effort = effort;
    options.threads = 1;
    options
}

fn repacking(profile: Profile, effort: Effort) -> RepackOptions {
    let mut options = RepackOptions::default();
    options.profile = profile;
    options.effort = effort;
    options.threads = 1;
    options
}

/// Packs `model` in every way, and repacks each result in every way.
fn check_all_ways(model: &[u8], efforts: &[Effort]) {
    let mut packed = Vec::new();
    for profile in Profile::ALL {
        for &effort in efforts {
            let options = packing(profile, effort);
            packed.push((profile, effort, pack_slice(model, "m", &options).unwrap()));
        }
    }
    for (from, _, (input, pack_report)) in &packed {
        for (to, effort, (expected, _)) in &packed {
            let (output, report) = repack_slice(input, &repacking(*to, *effort)).unwrap();
            assert!(&output == expected, "{from} to {to} {effort}");
            assert_eq!(report.profile, *to);
            let encoded = report.encoded_tensors > 0;
            assert_eq!(report.input_profile, encoded.then_some(*from));
            assert_eq!(report.files, pack_report.files);
            assert_eq!(report.tensors, pack_report.tensors);
            assert_eq!(report.encoded_tensors, pack_report.encoded_tensors);
            assert_eq!(report.model_bytes, pack_report.model_bytes);
            assert_eq!(report.input_bytes, input.len() as u64);
            assert_eq!(report.archive_bytes, output.len() as u64);
        }
    }
}

#[test]
fn repacking_is_packing_with_the_other_options() {
    check_all_ways(&example(), &Effort::ALL);
}

#[test]
fn repacking_uses_any_number_of_threads() {
    let (input, _) = pack_slice(&example(), "m", &PackOptions::default()).unwrap();
    for profile in Profile::ALL {
        let mut options = repacking(profile, Effort::Thorough);
        let (expected, report) = repack_slice(&input, &options).unwrap();
        options.threads = 2;
        assert!(repack_slice(&input, &options).unwrap() == (expected, report));
    }
}

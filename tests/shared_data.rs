//! The real models of `../shared/data`. Without that folder these tests are skipped, with a word on
//! stderr; with `TFZIP_REQUIRE_DATA=1` in the environment they fail instead.

#![cfg(feature = "pack")]
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

mod common;

use common::{naive, shared_files};
use std::fs;
use std::io::Write;
use std::ops::Range;
use tfzip::{Archive, ElementClass, PackOptions, PackReport, PartKind, Tensor, pack_slice};

fn pack(model: &[u8], threads: usize, canonical_zeros: bool) -> (Vec<u8>, PackReport) {
    let mut options = PackOptions::default();
    options.threads = threads;
    options.canonical_zeros = canonical_zeros;
    pack_slice(model, "m.pb", &options).unwrap()
}

/// The file of that name in `pruned`.
fn pruned(name: &str) -> Option<Vec<u8>> {
    let files = shared_files(&["pruned"])?;
    let path = files.iter().find(|path| path.ends_with(name)).unwrap();
    Some(fs::read(path).unwrap())
}

#[test]
fn real_models_come_back_whatever_the_number_of_threads() {
    let Some(files) = shared_files(&["pruned", "dense", "graphdef"]) else {
        return;
    };
    for path in files {
        let place = path.display();
        let model = fs::read(&path).unwrap();
        let (tfz, report) = pack(&model, 1, false);
        let (again, report_again) = pack(&model, 2, false);
        assert!(tfz == again, "{place}: other bytes with 2 threads");
        assert_eq!(report, report_again, "{place}");
        assert!(
            tfz.len() <= model.len() + 640,
            "{place}: {} bytes",
            tfz.len()
        );

        let archive = Archive::new(tfz).unwrap();
        archive.verify().unwrap_or_else(|e| panic!("{place}: {e}"));
        let mut restored = Vec::new();
        archive.restore(0, &mut restored).unwrap();
        assert!(restored == model, "{place}: not the same bytes");
        for tensor in archive.tensors().filter(Tensor::is_readable) {
            let bytes = naive::bytes_of(&tensor).unwrap();
            naive::check_tensor(&tensor, &bytes);
        }
    }
}

/// Reads one tensor of a mapped file with these bytes.
#[allow(unsafe_code, reason = "mapping is what is tested")]
fn read_mapped(tfz: &[u8], number: usize) -> tfzip::Result<Vec<u8>> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(tfz).unwrap();
    // SAFETY: the file has just been made for this call, and nobody else knows of it.
    let archive = unsafe { Archive::map(file.path()) }?;
    naive::bytes_of(&archive.tensors().nth(number).unwrap())
}

#[test]
fn a_tensor_is_read_from_its_own_section_alone() {
    let Some(model) = pruned("hand-sparse-f32.pb") else {
        return;
    };
    let (tfz, _) = pack(&model, 0, false);
    let archive = Archive::new(&tfz[..]).unwrap();
    let sections: Vec<Range<usize>> = archive
        .parts()
        .iter()
        .filter(|part| [PartKind::Payloads, PartKind::SkeletonFrame].contains(&part.kind))
        .map(|part| part.offset as usize..(part.offset + part.bytes) as usize)
        .collect();
    assert!(sections.len() > 10, "{} sections", sections.len());
    let flip = |sections: &[&Range<usize>]| {
        let mut flipped = tfz.clone();
        for &section in sections {
            flipped[section.clone()]
                .iter_mut()
                .for_each(|byte| *byte = !*byte);
        }
        flipped
    };

    // The largest tensors, one from the middle, and the smallest that has a payload.
    let mut tensors: Vec<_> = archive
        .tensors()
        .filter(|t| t.layout().unwrap().is_some())
        .collect();
    tensors.sort_by_key(Tensor::stored_bytes);
    let n = tensors.len();
    for tensor in [tensors[n - 1], tensors[n - 2], tensors[n / 2], tensors[0]] {
        let (name, number) = (tensor.name(), tensor.number());
        let bytes = naive::bytes_of(&tensor).unwrap();
        let (own, others): (Vec<_>, Vec<_>) = sections.iter().partition(|section| {
            let flipped = flip(&[section]);
            let archive = Archive::new(flipped).unwrap();
            naive::bytes_of(&archive.tensor(name).unwrap()).is_err()
        });
        assert_eq!(own.len(), 1, "{name}: its payload is in one section");
        assert!(own[0].len() as u64 >= tensor.stored_bytes());
        assert!(
            read_mapped(&flip(&others), number).unwrap() == bytes,
            "{name}"
        );
        assert!(read_mapped(&flip(&own), number).is_err(), "{name}");
    }
}

#[test]
fn canonical_zeros_change_only_the_signs_of_zeros() {
    let Some(model) = pruned("lenet300-dns.pb") else {
        return;
    };
    let (exact, exact_report) = pack(&model, 0, false);
    let (tfz, report) = pack(&model, 0, true);
    assert!(exact_report.negative_zeros > 100_000);
    assert!(exact.len() - tfz.len() > exact_report.negative_zero_bytes as usize / 2);
    assert_eq!(report.negative_zeros, 0);

    let archive = Archive::new(tfz).unwrap();
    archive.verify().unwrap();
    let mut restored = Vec::new();
    archive.restore(0, &mut restored).unwrap();
    let file = archive.files().next().unwrap();
    assert_ne!(file.source_sha256.unwrap(), file.sha256);
    let exact = Archive::new(exact).unwrap();
    assert_eq!(
        file.source_sha256.unwrap(),
        exact.files().next().unwrap().sha256
    );

    // Byte by byte, only sign bits differ ...
    assert_eq!(restored.len(), model.len());
    let differences = model.iter().zip(&restored).filter(|(a, b)| a != b);
    // (the report counts those in payloads; small tensors in the skeleton have some too)
    assert!(differences.clone().count() as u64 >= exact_report.negative_zeros);
    assert!(
        differences
            .clone()
            .all(|(&before, &after)| (before, after) == (0x80, 0))
    );
    // ... and they are those of zeros.
    for (before, after) in exact.tensors().zip(archive.tensors()) {
        if !before.is_readable() {
            continue;
        }
        let width = before.dtype().width().unwrap();
        let (a, b) = (
            naive::bytes_of(&before).unwrap(),
            naive::bytes_of(&after).unwrap(),
        );
        for (a, b) in a.chunks_exact(width).zip(b.chunks_exact(width)) {
            let both_zero = before.dtype().class() == ElementClass::Float
                && !naive::is_nonzero(before.dtype(), a)
                && !naive::is_nonzero(after.dtype(), b);
            assert!(a == b || both_zero, "{:?}", before.name());
        }
    }
}

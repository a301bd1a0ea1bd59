//! Repacking: what an archive holds stays as it is, and its bytes are those that packing with the
//! other profile gives.

#![cfg(feature = "pack")]
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

mod common;

use common::graph_def::*;
use common::models::Noise;
use common::shared_files;
use std::fs;
use std::path::Path;
use tfzip::{
    Archive, DType, Effort, ErrorKind, PackOptions, Profile, RepackOptions, Select, Tensor,
    pack_file, pack_slice, repack_file, repack_slice,
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

#[test]
fn files_are_repacked_and_proven() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.tfz"), folder.path().join("out.tfz"));
    let pack = |profile| pack_slice(&example(), "m", &packing(profile, Effort::Thorough)).unwrap();
    let (bytes, _) = pack(Profile::Balanced);
    fs::write(&input, &bytes).unwrap();
    let mut options = repacking(Profile::Direct, Effort::Thorough);
    let report = repack_file(&input, &output, &options).unwrap();
    let expected = pack(Profile::Direct).0;
    assert!(fs::read(&output).unwrap() == expected);
    assert_eq!(report, repack_slice(&bytes, &options).unwrap().1);

    let kind = |input: &Path, options: &RepackOptions| {
        repack_file(input, &output, options).unwrap_err().kind()
    };
    assert_eq!(kind(&input, &options), ErrorKind::InvalidArgument);
    options.overwrite = true;
    assert_eq!(kind(&folder.path().join("no"), &options), ErrorKind::Io);
    let cut = folder.path().join("cut.tfz");
    fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(kind(&cut, &options), ErrorKind::Truncated);
    fs::write(&cut, &bytes[..40]).unwrap();
    assert_eq!(kind(&cut, &options), ErrorKind::Truncated);
    fs::write(&cut, example()).unwrap();
    assert_eq!(kind(&cut, &options), ErrorKind::Corrupt);
    assert!(fs::read(&output).unwrap() == expected, "it is left alone");

    // In its own place.
    repack_file(&input, &input, &options).unwrap();
    assert!(fs::read(&input).unwrap() == expected);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

/// Elements of more than are held in memory go through a file: one payload of 17 MiB, and one that
/// comes twice.
#[test]
fn large_payloads_are_repacked_from_a_file() {
    let mut noise = Noise(5);
    let mut pruned = |n: usize| -> Vec<u8> {
        (0..n)
            .flat_map(|_| {
                let element = if noise.below(50) == 0 {
                    noise.next()
                } else {
                    0
                };
                element.to_le_bytes()
            })
            .collect()
    };
    let (large, small) = (pruned(17 << 18), pruned(5000));
    let constant = |name: &str, shape: &[u64], content: &[u8]| {
        let value = TensorProto {
            tensor_content: content.to_vec(),
            ..tensor(DType::Float32, shape)
        };
        node(name, "Const", [("value", Attr::Tensor(value))])
    };
    let model = graph(vec![
        constant("small", &[50, 100], &small),
        constant("large", &[17, 1 << 18], &large),
        constant("again", &[5000], &small),
    ]);
    let pack = |profile| {
        let options = packing(profile, Effort::Fast);
        pack_slice(&model, "m", &options).unwrap().0
    };
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.tfz"), folder.path().join("out.tfz"));
    fs::write(&input, pack(Profile::Direct)).unwrap();
    let options = repacking(Profile::Balanced, Effort::Fast);
    let report = repack_file(&input, &output, &options).unwrap();
    assert_eq!((report.payloads, report.encoded_tensors), (2, 3));
    assert!(fs::read(&output).unwrap() == pack(Profile::Balanced));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn folders_hashes_and_what_is_not_encoded_stay() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    fs::create_dir_all(model.join("sub/empty")).unwrap();
    fs::write(model.join("a.pb"), example()).unwrap();
    // -0.0, so that hashes from before are kept too.
    let value = TensorProto {
        tensor_content: [0u8, 0, 0, 0x80, 1, 2, 3, 4].repeat(100),
        ..tensor(DType::Float32, &[20, 10])
    };
    let nodes = vec![node("w", "Const", [("value", Attr::Tensor(value))])];
    fs::write(model.join("sub/b.pb"), graph(nodes)).unwrap();
    fs::write(model.join("notes.txt"), "what is no model").unwrap();
    let pack = |profile| {
        let mut options = packing(profile, Effort::Thorough);
        options.canonical_zeros = true;
        options.overwrite = true;
        options.select = Some(Select::new(|tensor| tensor.name != "fc2/kernel"));
        let output = folder.path().join("packed.tfz");
        pack_file(&model, &output, &options).unwrap();
        fs::read(output).unwrap()
    };
    let input = pack(Profile::Small);
    let options = repacking(Profile::Direct, Effort::Thorough);
    let (output, _) = repack_slice(&input, &options).unwrap();
    assert!(output == pack(Profile::Direct));
    let (before, after) = (Archive::new(input).unwrap(), Archive::new(output).unwrap());
    assert!(before.files().eq(after.files()));
    assert!(after.files().all(|file| file.source_sha256.is_some()));
    assert!(after.is_folder());
    assert_eq!(after.empty_folders().collect::<Vec<_>>(), ["sub/empty"]);
    let skipped = after.tensor("fc2/kernel").unwrap();
    assert!(skipped.is_readable() && skipped.payload().is_none());
}

/// Whatever verifies can be repacked, and nothing else; what comes of it restores the same files and
/// reads the same tensors.
#[test]
fn vectors_are_repacked_if_they_are_good() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/vectors/v1");
    let (mut n_good, mut n_bad) = (0, 0);
    for entry in fs::read_dir(vectors).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display();
        if path.extension().is_none_or(|extension| extension != "tfz") {
            continue;
        }
        let input = fs::read(&path).unwrap();
        let verified = Archive::new(&input[..]).and_then(|archive| archive.verify());
        for profile in Profile::ALL {
            let repacked = repack_slice(&input, &repacking(profile, Effort::Thorough));
            let output = match (&verified, repacked) {
                (Ok(()), repacked) => repacked.unwrap_or_else(|e| panic!("{name}: {e}")).0,
                (Err(expected), Err(error)) => {
                    assert_eq!(error.kind(), expected.kind(), "{name}: {error}");
                    n_bad += 1;
                    continue;
                }
                (Err(error), Ok(_)) => panic!("{name} is repacked, and was refused: {error}"),
            };
            n_good += 1;
            let (before, after) = (Archive::new(&input).unwrap(), Archive::new(output).unwrap());
            after.verify().unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(before.files().eq(after.files()), "{name}");
            assert!(before.empty_folders().eq(after.empty_folders()), "{name}");
            assert_eq!(before.is_folder(), after.is_folder(), "{name}");
            assert_eq!(before.tensors().len(), after.tensors().len(), "{name}");
            for (before, after) in before.tensors().zip(after.tensors()) {
                let told = |tensor: &Tensor<'_>| {
                    let (name, file) = (tensor.name().to_owned(), tensor.file_name().to_owned());
                    let shape = tensor.shape().to_vec();
                    (
                        name,
                        file,
                        tensor.dtype(),
                        shape,
                        tensor.nnz(),
                        tensor.payload(),
                    )
                };
                assert_eq!(told(&before), told(&after), "{name}");
                assert_eq!(before.is_readable(), after.is_readable(), "{name}");
            }
            // Once more gives the same.
            let options = repacking(profile, Effort::Thorough);
            let again = repack_slice(after.as_bytes(), &options).unwrap().0;
            assert!(again == after.as_bytes(), "{name}");
        }
    }
    assert!(n_good > 100 && n_bad > 500, "{n_good} {n_bad}");
}

#[test]
fn real_models_are_repacked_as_they_are_packed() {
    let Some(paths) = shared_files(&["pruned", "dense", "graphdef", "tflite"]) else {
        return;
    };
    for path in paths {
        // Large ones take a while.
        let model = fs::read(&path).unwrap();
        if model.len() < 2 << 20 {
            check_all_ways(&model, &[Effort::Fast]);
        }
    }
}

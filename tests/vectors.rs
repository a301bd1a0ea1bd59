//! The conformance vectors of the spec: every good one reads to what stands beside it, every other
//! one is refused with the kind that its README gives, at its level at the latest.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use tfzip::{Archive, Error, Tensor};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/vectors/v1")
}

struct Vector {
    file: String,
    kind: String,
    level: String,
}

/// The rows of the table in the README.
fn vectors() -> Vec<Vector> {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"))
        .filter_map(|row| {
            let cells: Vec<&str> = row.split(" | ").collect();
            let file = cells[0].trim_end_matches('`').to_owned();
            file.ends_with(".tfz").then(|| Vector {
                file,
                kind: cells[1].to_owned(),
                level: cells[2].to_owned(),
            })
        })
        .collect()
}

fn bytes_of(tensor: &Tensor<'_>) -> Result<Vec<u8>, Error> {
    let n_bytes = tensor.len() * tensor.dtype().width().unwrap_or(0) as u64;
    let mut out = vec![0xaa; usize::try_from(n_bytes).unwrap()];
    tensor.read_bytes_into(&mut out)?;
    Ok(out)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Everything that this build can check.
fn verify(archive: &Archive<impl AsRef<[u8]>>) -> Result<(), Error> {
    #[cfg(feature = "restore")]
    return archive.verify();
    #[cfg(not(feature = "restore"))]
    archive
        .tensors()
        .filter(Tensor::is_readable)
        .try_for_each(|tensor| bytes_of(&tensor).map(drop))
}

/// Whether this build reads all that is wrong with a file at `level`.
fn is_read(level: &str) -> bool {
    cfg!(feature = "restore") || level == "open" || level == "tensor"
}

/// What fails at `level` or before.
fn failure(bytes: &[u8], level: &str) -> Option<Error> {
    let archive = match Archive::new(bytes) {
        Ok(archive) => archive,
        Err(error) => return Some(error),
    };
    match level {
        "open" => None,
        "tensor" => archive
            .tensors()
            .filter(Tensor::is_readable)
            .find_map(|tensor| bytes_of(&tensor).err()),
        #[cfg(feature = "restore")]
        "restore" => (0..archive.files().len())
            .find_map(|file| archive.restore(file, &mut std::io::sink()).err()),
        "verify" => verify(&archive).err(),
        other => panic!("level {other}"),
    }
}

#[test]
fn every_file_is_in_the_readme() {
    let mut listed: Vec<String> = vectors().into_iter().map(|v| v.file).collect();
    let mut present: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".tfz"))
        .collect();
    listed.sort();
    present.sort();
    assert_eq!(listed, present);
    assert!(listed.len() > 300);
}

/// A vector that has been published is never written again, nor is what it reads to.
#[test]
fn no_vector_has_changed() {
    let sums = fs::read_to_string(folder().join("SHA256SUMS")).unwrap();
    let mut expected: Vec<(String, String)> = sums
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| (name.to_owned(), sum.to_owned()))
        .collect();
    let mut found: Vec<(String, String)> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| name != "README.md" && name != "SHA256SUMS")
        .map(|(name, path)| (name, hex(&Sha256::digest(fs::read(path).unwrap()))))
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn bad_vectors_are_refused_with_their_kind() {
    let mut wrong = Vec::new();
    let all = vectors();
    for vector in all.iter().filter(|v| v.kind != "good" && is_read(&v.level)) {
        let bytes = fs::read(folder().join(&vector.file)).unwrap();
        match failure(&bytes, &vector.level) {
            Some(error) if error.kind().as_str() == vector.kind => {}
            Some(error) => wrong.push(format!(
                "{}: {} expected, {}: {error}",
                vector.file,
                vector.kind,
                error.kind()
            )),
            None => wrong.push(format!(
                "{}: {} expected at {}",
                vector.file, vector.kind, vector.level
            )),
        }
        assert!(
            Archive::new(&bytes[..]).is_err()
                || verify(&Archive::new(&bytes[..]).unwrap()).is_err(),
            "{}: a full check finds every fault",
            vector.file
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn good_vectors_read_to_what_stands_beside_them() {
    for vector in vectors().iter().filter(|v| v.kind == "good") {
        let path = folder().join(&vector.file);
        let expected: Value =
            serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
        let bytes = fs::read(&path).unwrap();
        let archive = Archive::new(bytes).unwrap_or_else(|e| panic!("{}: {e}", vector.file));
        verify(&archive).unwrap_or_else(|e| panic!("{}: {e}", vector.file));
        check_files(&archive, &expected, &path);
        check_tensors(&archive, &expected, &vector.file);
    }
}

fn check_files(archive: &Archive<Vec<u8>>, expected: &Value, path: &Path) {
    if expected["is_folder"] == true {
        assert!(archive.is_folder());
        let folders: Vec<&str> = archive.empty_folders().collect();
        assert_eq!(Value::from(folders), expected["empty_folders"]);
    }
    let expected = expected["files"].as_array().unwrap();
    assert_eq!(archive.files().len(), expected.len());
    for (number, (file, expected)) in archive.files().zip(expected).enumerate() {
        assert_eq!(file.name, expected["name"].as_str().unwrap());
        assert_eq!(file.bytes, expected["size"].as_u64().unwrap());
        assert_eq!(hex(&file.sha256), expected["sha256"].as_str().unwrap());
        #[cfg(feature = "restore")]
        check_restored(archive, number, expected, path);
        let _ = (number, path);
    }
}

#[cfg(feature = "restore")]
fn check_restored(archive: &Archive<Vec<u8>>, number: usize, expected: &Value, path: &Path) {
    let mut restored = Vec::new();
    archive.restore(number, &mut restored).unwrap();
    assert_eq!(restored.len() as u64, expected["size"].as_u64().unwrap());
    assert_eq!(
        hex(&Sha256::digest(&restored)),
        expected["sha256"].as_str().unwrap()
    );
    if let Some(bytes) = expected["bytes"].as_str() {
        assert_eq!(hex(&restored), bytes);
    }
    let beside = path.with_extension("bin");
    if beside.exists() {
        assert_eq!(restored, fs::read(beside).unwrap());
    }
}

fn check_tensors(archive: &Archive<Vec<u8>>, expected: &Value, file: &str) {
    let expected = expected["tensors"].as_array().unwrap();
    assert_eq!(archive.tensors().len(), expected.len(), "{file}");
    for (tensor, expected) in archive.tensors().zip(expected) {
        let name = format!("{file} {:?}", tensor.name());
        assert_eq!(tensor.name(), expected["name"].as_str().unwrap());
        assert_eq!(
            tensor.dtype().name(),
            expected["dtype"].as_str().unwrap(),
            "{name}"
        );
        assert_eq!(Value::from(tensor.shape()), expected["shape"], "{name}");
        assert_eq!(tensor.nnz(), expected["nnz"].as_u64().unwrap(), "{name}");
        assert_eq!(
            tensor.is_readable(),
            expected["source"] != "opaque",
            "{name}"
        );
        if let Some(bytes) = expected["bytes"].as_str() {
            assert_eq!(hex(&bytes_of(&tensor).unwrap()), bytes, "{name}");
        } else if let Some(hash) = expected["bytes_sha256"].as_str() {
            assert_eq!(
                hex(&Sha256::digest(bytes_of(&tensor).unwrap())),
                hash,
                "{name}"
            );
        }
    }
}

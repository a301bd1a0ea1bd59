//! What an archive says of itself.

use super::limits;
use super::mending::mended;
use crate::archive::Archive;
use crate::container::unchecked::file_of_manifest;
use crate::error::ErrorKind;
use crate::limits::Limits;

/// Opening: any bytes are an archive or an error, within the limits; what an archive lists of
/// itself is consistent, and every name finds its tensor.
///
/// # Panics
/// If that does not hold.
pub fn open(bytes: &[u8]) {
    check_archive(&mended(bytes));
}

/// Manifests: the same of a file with any message as its manifest (spec §5.2), which the sections
/// before it fit, but for as many bytes as the first one says.
///
/// # Panics
/// If that does not hold.
pub fn manifest(bytes: &[u8]) {
    let Some((more, message)) = bytes.split_first() else {
        return;
    };
    check_archive(&file_of_manifest(message, usize::from(*more)));
}

fn check_archive(bytes: &[u8]) {
    // Limits only refuse: without them, but for that on memory, an archive opens as well.
    let wide = Limits {
        manifest_bytes: limits().manifest_bytes,
        rows: u64::MAX,
        holes: u64::MAX,
        dims: u64::MAX,
        rank: u64::MAX,
        name_bytes: u64::MAX,
        tensor_bytes: u64::MAX,
        total_bytes: u64::MAX,
        expansion: u64::MAX,
        nesting: u64::MAX,
    };
    let unlimited = Archive::with_limits(bytes, &wide);
    let Ok(archive) = Archive::with_limits(bytes, &limits()) else {
        return;
    };
    assert!(unlimited.is_ok());
    let mut end = 0;
    for part in archive.parts() {
        assert_eq!(part.offset, end, "{part:?} follows the part before it");
        end += part.bytes;
    }
    assert_eq!(end, bytes.len() as u64, "parts are the whole file");
    let restored_bytes: u64 = archive.files().map(|file| file.bytes).sum();
    assert_eq!(archive.restored_bytes(), restored_bytes);
    assert!(archive.skeleton_bytes() <= restored_bytes);

    for (number, tensor) in archive.tensors().enumerate() {
        assert_eq!(tensor.number(), number);
        assert!(tensor.nnz() <= tensor.len());
        assert!((0.0..=1.0).contains(&tensor.density()));
        assert!(tensor.is_readable() || tensor.stored_bytes() == 0);
        if !tensor.is_empty() {
            let (n_rows, n_columns) = tensor.matrix_shape();
            assert_eq!(n_rows * n_columns, tensor.len());
        }
        let of_that_name = || archive.tensors().filter(|t| t.name() == tensor.name());
        match archive.tensor(tensor.name()) {
            Ok(found) => {
                assert_eq!(found.number(), number);
                assert_eq!(of_that_name().count(), 1);
            }
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::InvalidArgument);
                assert!(of_that_name().count() > 1);
            }
        }
    }
}

//! Archives, and what they hold.

use super::*;
use crate::csr::*;
use crate::read::*;

#[test]
fn null_is_refused_by_name() {
    let bytes = vector("good-complex-zero.tfz");
    let opened = Opened::copy_of(&bytes);
    let archive: *const tfzip_archive = opened.0;
    let mut other = opened.0;
    let path = c_path("x");
    unsafe {
        refused(tfzip_limits_default(null_mut()), "limits is null");
        refused(
            tfzip_open(path.as_ptr(), null(), null_mut()),
            "archive is null",
        );
        refused(tfzip_open(null(), null(), &mut other), "path is null");
        assert!(other.is_null(), "an archive that was not opened");
        refused(tfzip_map(null(), null(), &mut other), "path is null");
        refused(
            tfzip_open_copy(null(), 1, null(), &mut other),
            "data is null",
        );
        refused(
            tfzip_open_borrowed(null(), 1, null(), &mut other),
            "data is null",
        );
        // No bytes are fine where they are; what they lack is a header.
        assert_eq!(
            tfzip_open_borrowed(null(), 0, null(), &mut other),
            tfzip_status::Truncated
        );
        tfzip_close(null_mut());

        assert_eq!(tfzip_count(null()), 0);
        let mut number = 0;
        refused(
            tfzip_find(null(), path.as_ptr(), &mut number),
            "archive is null",
        );
        refused(tfzip_find(archive, null(), &mut number), "name is null");
        refused(
            tfzip_find(archive, path.as_ptr(), null_mut()),
            "number is null",
        );
        refused(tfzip_describe(archive, 0, null_mut()), "tensor is null");
        refused(tfzip_read(null(), 0, 1, null_mut(), 0), "archive is null");
        let tensor = opened.describe(0);
        let n_bytes = tensor.dense_bytes as usize;
        refused(
            tfzip_read(archive, 0, tensor.dtype, null_mut(), n_bytes),
            "out is null",
        );
        refused(
            tfzip_read_rows(archive, 0, tensor.dtype, 0, 1, null_mut(), 8),
            "out is null",
        );
        refused(
            tfzip_read_csr(archive, 0, 1, null_mut(), 1, null_mut(), 0, null_mut(), 0),
            "indptr is null",
        );
        refused(
            tfzip_read_csr(archive, 0, 1, null_mut(), 0, null_mut(), 1, null_mut(), 0),
            "indices is null",
        );
        refused(
            tfzip_read_csr(archive, 0, 1, null_mut(), 0, null_mut(), 0, null_mut(), 1),
            "values is null",
        );
    }
}

#[test]
fn limits_are_kept() {
    let mut limits = std::mem::MaybeUninit::uninit();
    let status = unsafe { tfzip_limits_default(limits.as_mut_ptr()) };
    assert_eq!(status, tfzip_status::Ok);
    let defaults: tfzip_limits = unsafe { limits.assume_init() };
    assert_eq!(tfzip::Limits::from(&defaults), tfzip::Limits::default());
    let path = c_path(Path::new(VECTORS).join("good-complex-zero.tfz"));
    let bytes = vector("good-complex-zero.tfz");
    let (data, n) = (bytes.as_ptr().cast(), bytes.len());
    let small: [fn(&mut tfzip_limits); 5] = [
        |limits| limits.manifest_bytes = 0,
        |limits| limits.rows = 0,
        |limits| limits.name_bytes = 0,
        |limits| limits.tensor_bytes = 0,
        |limits| limits.total_bytes = 0,
    ];
    for change in small {
        let mut limits = defaults;
        change(&mut limits);
        let mut archive = null_mut();
        let statuses = unsafe {
            [
                tfzip_open(path.as_ptr(), &limits, &mut archive),
                tfzip_map(path.as_ptr(), &limits, &mut archive),
                tfzip_open_copy(data, n, &limits, &mut archive),
                tfzip_open_borrowed(data, n, &limits, &mut archive),
            ]
        };
        assert_eq!(statuses, [tfzip_status::LimitExceeded; 4], "{limits:?}");
        assert!(archive.is_null());
    }
}

#[test]
fn files_that_are_not_there_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let missing = c_path(folder.path().join("missing.tfz"));
    let mut archive = null_mut();
    unsafe {
        for open in [tfzip_open, tfzip_map] {
            assert_eq!(
                open(missing.as_ptr(), null(), &mut archive),
                tfzip_status::Io
            );
            assert!(text(tfzip_last_error()).contains("missing.tfz"));
            let status = open(c_path(folder.path()).as_ptr(), null(), &mut archive);
            assert!([tfzip_status::Io, tfzip_status::InvalidArgument].contains(&status));
            assert!(archive.is_null());
        }
    }
    #[cfg(unix)]
    {
        // Names on Unix are bytes.
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"\xff.tfz");
        let path = folder.path().join(name);
        std::fs::write(&path, vector("good-complex-zero.tfz")).unwrap();
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        let status = unsafe { tfzip_open(path.as_ptr(), null(), &mut archive) };
        assert_eq!(status, tfzip_status::Ok);
        drop(Opened(archive));
    }
}

#[test]
fn a_copy_is_a_copy_and_a_loan_is_none() {
    let mut bytes = vector("good-complex-zero.tfz");
    let copy = Opened::copy_of(&bytes);
    let mut archive = null_mut();
    let (data, n) = (bytes.as_ptr(), bytes.len());
    let status = unsafe { tfzip_open_borrowed(data.cast(), n, null(), &mut archive) };
    assert_eq!(status, tfzip_status::Ok);
    let loan = Opened(archive);
    let address = |opened: &Opened| {
        let archive = unsafe { &*opened.0 };
        archive.shared().archive().as_bytes().as_ptr()
    };
    assert_eq!(address(&loan), data);
    assert_ne!(address(&copy), data);
    drop(loan);
    bytes.fill(0);
    let tensor = copy.describe(0);
    let mut out = vec![0u8; tensor.dense_bytes as usize];
    let status = unsafe { tfzip_read(copy.0, 0, tensor.dtype, out.as_mut_ptr().cast(), out.len()) };
    assert_eq!(status, tfzip_status::Ok);
}

#[test]
fn tensors_are_found_by_name() {
    let bytes = vector("good-names.tfz");
    let opened = Opened::copy_of(&bytes);
    let archive = Archive::new(bytes).unwrap();
    let mut number = usize::MAX;
    for tensor in archive.tensors() {
        let name = CString::new(tensor.name()).unwrap();
        let status = unsafe { tfzip_find(opened.0, name.as_ptr(), &mut number) };
        match archive.tensor(tensor.name()) {
            Ok(_) => assert_eq!((status, number), (tfzip_status::Ok, tensor.number())),
            Err(error) => refused(status, error.detail()),
        }
    }
    let not_utf8 = c"\xff";
    refused(
        unsafe { tfzip_find(opened.0, not_utf8.as_ptr(), &mut number) },
        "name is not UTF-8",
    );
}

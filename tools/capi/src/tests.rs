//! The functions of the header, called as C calls them.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the calls are what is tested"
)]

use crate::archive::*;
use crate::border::guard;
use crate::csr::*;
use crate::product::*;
use crate::read::*;
use crate::status::*;
use crate::tensor::*;
use crate::version::*;
use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use tfzip::product::Matrix;
use tfzip::{Archive, DType, ErrorKind};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/v0");

fn text(pointer: *const c_char) -> &'static str {
    unsafe { CStr::from_ptr(pointer) }.to_str().unwrap()
}

fn vector(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(VECTORS).join(name)).unwrap()
}

fn c_path(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().to_str().unwrap()).unwrap()
}

/// An archive that is closed when the test is over.
struct Opened(*mut tfzip_archive);

impl Opened {
    fn copy_of(bytes: &[u8]) -> Self {
        let mut archive = null_mut();
        let status =
            unsafe { tfzip_open_copy(bytes.as_ptr().cast(), bytes.len(), null(), &mut archive) };
        assert_eq!(status, tfzip_status::Ok, "{}", text(tfzip_last_error()));
        Self(archive)
    }

    fn describe(&self, number: usize) -> tfzip_tensor {
        let mut tensor = std::mem::MaybeUninit::uninit();
        let status = unsafe { tfzip_describe(self.0, number, tensor.as_mut_ptr()) };
        assert_eq!(status, tfzip_status::Ok);
        unsafe { tensor.assume_init() }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        unsafe { tfzip_close(self.0) };
    }
}

/// The call was refused as the caller's mistake, and the message says what was wrong.
#[track_caller]
fn refused(status: tfzip_status, because: &str) {
    let message = text(tfzip_last_error());
    assert_eq!(status, tfzip_status::InvalidArgument, "{message}");
    assert!(message.contains(because), "{message:?} lacks {because:?}");
}

#[test]
fn numbers_never_change() {
    let statuses = tfzip_status::ALL.map(|status| status as i32);
    assert_eq!(statuses, [0, 1, 2, 3, 4, 5, 6, 7, 100]);
    let header = include_str!("../tfzip.h");
    let lines: Vec<&str> = header.lines().map(str::trim).collect();
    for line in [
        "TFZIP_STATUS_OK = 0,",
        "TFZIP_STATUS_TRUNCATED = 1,",
        "TFZIP_STATUS_CORRUPT = 2,",
        "TFZIP_STATUS_UNSUPPORTED = 3,",
        "TFZIP_STATUS_LIMIT_EXCEEDED = 4,",
        "TFZIP_STATUS_INVALID_ARGUMENT = 5,",
        "TFZIP_STATUS_MODEL = 6,",
        "TFZIP_STATUS_IO = 7,",
        "TFZIP_STATUS_INTERNAL = 100,",
    ] {
        assert!(lines.contains(&line), "{line}");
    }
    for dtype in DType::ALL {
        let name = dtype.name().to_ascii_uppercase();
        let line = format!("TFZIP_DTYPE_{name} = {},", *dtype as u32);
        assert!(lines.contains(&line.as_str()), "{line}");
    }
    let count = |prefix: &str| lines.iter().filter(|line| line.starts_with(prefix)).count();
    assert_eq!(count("TFZIP_STATUS_"), tfzip_status::ALL.len());
    assert_eq!(count("TFZIP_DTYPE_"), DType::ALL.len());
}

#[test]
fn names_are_the_libraries() {
    let kinds = [
        ErrorKind::Truncated,
        ErrorKind::Corrupt,
        ErrorKind::Unsupported,
        ErrorKind::LimitExceeded,
        ErrorKind::InvalidArgument,
        ErrorKind::Model,
        ErrorKind::Io,
    ];
    for kind in kinds {
        let status = fail(&tfzip::Error::new(kind, "why"));
        assert_eq!(text(tfzip_status_name(status as i32)), kind.as_str());
        assert_eq!(text(tfzip_last_error()), "why");
    }
    assert_eq!(text(tfzip_status_name(0)), "ok");
    assert_eq!(text(tfzip_status_name(100)), "internal");
    for none in [-1, 8, 99, 101, i32::MIN, i32::MAX] {
        assert_eq!(text(tfzip_status_name(none)), "unknown");
    }
    for dtype in DType::ALL {
        assert_eq!(text(tfzip_dtype_name(*dtype as u32)), dtype.name());
    }
    for none in [0, 34, u32::MAX] {
        assert_eq!(text(tfzip_dtype_name(none)), "unknown");
    }
    assert_eq!(text(tfzip_version()), env!("CARGO_PKG_VERSION"));
    assert_eq!(tfzip_abi_version(), TFZIP_ABI_VERSION);
    assert_eq!(tfzip_format_version(), u32::from(tfzip::FORMAT_VERSION));
}

#[test]
fn panics_become_a_status_and_a_message() {
    let status = guard(|| panic!("row {} of 3", 4));
    assert_eq!(status, tfzip_status::Internal);
    assert_eq!(text(tfzip_last_error()), "defect in tfzip: row 4 of 3");
    assert_eq!(guard(|| panic!("no number")), tfzip_status::Internal);
    assert_eq!(text(tfzip_last_error()), "defect in tfzip: no number");
    let other = guard(|| std::panic::panic_any(7));
    assert_eq!(other, tfzip_status::Internal);
    assert_eq!(text(tfzip_last_error()), "defect in tfzip: no message");
    // A call after that works as ever.
    assert_eq!(guard(|| Ok(())), tfzip_status::Ok);
}

#[test]
fn messages_are_kept_for_each_thread_until_another_call_fails() {
    let mut number = 0;
    let archive = Opened::copy_of(&vector("good-complex-zero.tfz"));
    refused(
        unsafe { tfzip_find(archive.0, c"here".as_ptr(), &mut number) },
        "\"here\"",
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(text(tfzip_last_error()), "");
            refused(
                unsafe { tfzip_find(null(), null(), null_mut()) },
                "archive is null",
            );
        });
    });
    // A call that succeeds leaves it too.
    archive.describe(0);
    assert!(text(tfzip_last_error()).contains("\"here\""));
    // What C would take for the end of the message is left out.
    guard(|| Err(crate::border::invalid("a\0b")));
    assert_eq!(text(tfzip_last_error()), "ab");
}

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

/// The vectors whose names begin with `prefix`, in order.
fn vectors(prefix: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(VECTORS)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "tfz"))
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(prefix)
        })
        .collect();
    paths.sort();
    paths
}

/// The first vector with a matrix of float32 of several rows, opened; its bytes, and the number.
fn matrix() -> (Opened, Vec<u8>, usize) {
    let found = vectors("good-").into_iter().find_map(|path| {
        let bytes = std::fs::read(path).unwrap();
        let archive = Archive::new(&bytes[..]).unwrap();
        let number = archive.tensors().position(|tensor| {
            let is_float = tensor.dtype() == DType::Float32 && tensor.is_readable();
            is_float && tensor.nnz() > 1 && tensor.matrix_shape().0 > 1
        })?;
        Some((Opened::copy_of(&bytes), bytes, number))
    });
    found.expect("a matrix of float32")
}

#[test]
fn buffers_fit_or_are_refused() {
    let (opened, _, number) = matrix();
    let (archive, tensor) = (opened.0, opened.describe(number));
    let n_bytes = tensor.dense_bytes as usize;
    let mut out = vec![0u8; n_bytes + 16];
    let p = out.as_mut_ptr();
    let f32s = DType::Float32 as u32;
    unsafe {
        for wrong in [0, 1, n_bytes - 1, n_bytes + 1, n_bytes + 4] {
            refused(
                tfzip_read(archive, number, f32s, p.cast(), wrong),
                &format!("a buffer of {wrong} bytes for {n_bytes}"),
            );
        }
        for huge in [usize::MAX, usize::MAX / 2 + 1] {
            refused(
                tfzip_read(archive, number, f32s, p.cast(), huge),
                "more than memory has",
            );
        }
        for other in [2, 0, 34, u32::MAX] {
            refused(
                tfzip_read(archive, number, other, p.cast(), n_bytes),
                "elements are float32, not ",
            );
        }
        for none in [tfzip_count(archive), usize::MAX] {
            refused(
                tfzip_read(archive, none, f32s, p.cast(), n_bytes),
                "numbers begin with 0",
            );
            refused(
                tfzip_describe(archive, none, &mut opened.describe(0)),
                "numbers begin with 0",
            );
        }
        let (rows, columns) = (tensor.rows, tensor.columns);
        let row_bytes = columns as usize * 4;
        for (first, n) in [
            (0, rows + 1),
            (rows, 1),
            (rows + 1, 0),
            (1, u64::MAX),
            (u64::MAX, u64::MAX),
        ] {
            refused(
                tfzip_read_rows(archive, number, f32s, first, n, p.cast(), row_bytes),
                "rows",
            );
        }
        refused(
            tfzip_read_rows(archive, number, f32s, 0, 1, p.cast(), row_bytes - 1),
            "a buffer of",
        );
        // No rows are nothing to write.
        assert_eq!(
            tfzip_read_rows(archive, number, f32s, rows, 0, null_mut(), 0),
            tfzip_status::Ok
        );
        // Bytes need no alignment.
        let odd = out[1..].as_mut_ptr();
        assert_eq!(
            tfzip_read(archive, number, f32s, odd.cast(), n_bytes),
            tfzip_status::Ok
        );
    }
}

#[test]
fn csr_buffers_fit_or_are_refused() {
    let (opened, bytes, number) = matrix();
    let (archive, tensor) = (opened.0, opened.describe(number));
    let (n, nnz) = (tensor.rows as usize + 1, tensor.nnz as usize);
    let mut indptr = vec![0u64; n + 1];
    let mut indices = vec![0u32; nnz + 2];
    let mut values = vec![0f32; nnz + 1];
    let (p, i, v) = (
        indptr.as_mut_ptr(),
        indices.as_mut_ptr(),
        values.as_mut_ptr(),
    );
    let dtype = tensor.dtype;
    let call = |p, n, i, nnz, v: *mut f32, bytes| unsafe {
        tfzip_read_csr(archive, number, dtype, p, n, i, nnz, v.cast(), bytes)
    };
    refused(call(p, n - 1, i, nnz, v, 4 * nnz), "indptr has");
    refused(call(p, n + 1, i, nnz, v, 4 * nnz), "indptr has");
    refused(call(p, n, i, nnz - 1, v, 4 * nnz), "indices has");
    refused(call(p, n, i, nnz + 1, v, 4 * nnz), "indices has");
    refused(call(p, n, i, nnz, v, 4 * nnz - 1), "values has");
    refused(call(p, n, i, nnz, v, 4 * nnz + 4), "values has");
    refused(
        call(p, usize::MAX / 8, i, nnz, v, 4 * nnz),
        "more than memory has",
    );
    refused(
        call(p.wrapping_byte_add(4), n, i, nnz, v, 4 * nnz),
        "expected a multiple of 8 bytes",
    );
    refused(
        call(p, n, i.wrapping_byte_add(1), nnz, v, 4 * nnz),
        "expected a multiple of 4 bytes",
    );
    refused(
        call(p, n, p.cast(), nnz, v, 4 * nnz),
        "indices overlaps indptr",
    );
    refused(
        call(p, n, i, nnz, i.cast(), 4 * nnz),
        "values overlaps indices",
    );
    assert_eq!(call(p, n, i, nnz, v, 4 * nnz), tfzip_status::Ok);
    let archive = Archive::new(bytes).unwrap();
    let csr = archive.tensors().nth(number).unwrap().csr::<f32>().unwrap();
    assert!(indptr.iter().zip(&csr.indptr).all(|(a, b)| *a == *b as u64));
    assert_eq!(
        (&indices[..nnz], &values[..nnz]),
        (&csr.indices[..], &csr.values[..])
    );
}

#[test]
fn outputs_may_not_lie_in_borrowed_memory() {
    let (_, mut bytes, number) = matrix();
    let (p, n) = (bytes.as_mut_ptr(), bytes.len());
    let mut archive = null_mut();
    unsafe {
        assert_eq!(
            tfzip_open_borrowed(p.cast(), n, null(), &mut archive),
            tfzip_status::Ok
        );
        let opened = Opened(archive);
        let tensor = opened.describe(number);
        let n_bytes = tensor.dense_bytes as usize;
        refused(
            tfzip_read(archive, number, tensor.dtype, p.cast(), n_bytes),
            "out overlaps the archive",
        );
    }
}

/// Every tensor of every good vector reads as it does in Rust, and the bad ones fail as they do there.
#[test]
fn vectors_read_as_in_rust() {
    let (mut tensors, mut failures, mut unlike_floats) = (0, 0, 0);
    for path in vectors("") {
        let place = path.display();
        let mut pointer = null_mut();
        let status = unsafe { tfzip_map(c_path(&path).as_ptr(), null(), &mut pointer) };
        let archive = match Archive::new(std::fs::read(&path).unwrap()) {
            Ok(archive) => archive,
            Err(error) => {
                assert_eq!(status, fail(&error), "{place}");
                assert!(pointer.is_null(), "{place}");
                failures += 1;
                continue;
            }
        };
        assert_eq!(
            status,
            tfzip_status::Ok,
            "{place}: {}",
            text(tfzip_last_error())
        );
        let opened = Opened(pointer);
        assert_eq!(unsafe { tfzip_count(pointer) }, archive.tensors().len());
        for tensor in archive.tensors() {
            let number = tensor.number();
            let described = opened.describe(number);
            assert_eq!(
                text(described.name),
                tensor.name().split('\0').next().unwrap()
            );
            assert_eq!(text(described.file), tensor.file_name());
            assert_eq!(described.len, tensor.len());
            assert_eq!(described.nnz, tensor.nnz());
            assert_eq!((described.rows, described.columns), tensor.matrix_shape());
            assert_eq!(described.rank, tensor.shape().len());
            for (i, dimension) in tensor.shape().iter().enumerate() {
                assert_eq!(unsafe { *described.shape.add(i) }, *dimension);
            }
            if described.len > 1 << 24 {
                continue;
            }
            let mut found = vec![1u8; described.dense_bytes as usize];
            let mut expected = vec![2u8; described.dense_bytes as usize];
            let (dtype, out, n) = (described.dtype, found.as_mut_ptr(), found.len());
            let status = unsafe { tfzip_read(pointer, number, dtype, out.cast(), n) };
            match tensor.read_bytes_into(&mut expected) {
                Ok(()) => {
                    assert_eq!(status, tfzip_status::Ok, "{place}");
                    assert!(found == expected, "{place}: tensor {number}");
                }
                Err(error) => {
                    let message = text(tfzip_last_error()).to_owned();
                    assert_eq!(message, error.to_string(), "{place}");
                    assert_eq!(status, fail(&error), "{place}");
                    failures += 1;
                    continue;
                }
            }
            tensors += 1;
            unlike_floats += usize::from(tensor.dtype() != DType::Float32);
            // The last row alone, and the same by CSR.
            let row_bytes = found.len() / described.rows.max(1) as usize;
            if described.rows > 0 {
                let mut row = vec![3u8; row_bytes];
                let (out, n) = (row.as_mut_ptr(), row.len());
                let status = unsafe {
                    tfzip_read_rows(pointer, number, dtype, described.rows - 1, 1, out.cast(), n)
                };
                assert_eq!(status, tfzip_status::Ok, "{place}");
                assert!(row == expected[expected.len() - row_bytes..], "{place}");
            }
            check_csr(&opened, number, &described, &expected, &place.to_string());
        }
    }
    assert!(
        tensors > 200 && unlike_floats > 100,
        "{tensors} tensors, {unlike_floats} not float32"
    );
    assert!(failures > 400, "{failures} failures");
}

/// The CSR form has exactly the elements of `dense` that are not zero.
fn check_csr(opened: &Opened, number: usize, tensor: &tfzip_tensor, dense: &[u8], place: &str) {
    let dtype = DType::from_id(tensor.dtype).unwrap();
    let width = tensor.width as usize;
    let mut indptr = vec![9u64; tensor.rows as usize + 1];
    let mut indices = vec![9u32; tensor.nnz as usize];
    let mut values = vec![9u8; tensor.nnz as usize * width];
    let status = unsafe {
        tfzip_read_csr(
            opened.0,
            number,
            tensor.dtype,
            indptr.as_mut_ptr(),
            indptr.len(),
            indices.as_mut_ptr(),
            indices.len(),
            values.as_mut_ptr().cast(),
            values.len(),
        )
    };
    if matches!(dtype, DType::Complex64 | DType::Complex128) {
        assert_eq!(status, tfzip_status::Unsupported, "{place}");
        return;
    }
    let nonzero = dense.chunks_exact(width).filter(|e| dtype.is_nonzero(e));
    if nonzero.clone().count() as u64 != tensor.nnz {
        // The manifest lies.
        assert_eq!(status, tfzip_status::Corrupt, "{place}");
        return;
    }
    assert_eq!(
        status,
        tfzip_status::Ok,
        "{place}: {}",
        text(tfzip_last_error())
    );
    let expected: Vec<u8> = nonzero.flatten().copied().collect();
    assert!(values == expected, "{place}: values");
    let mut at = 0;
    let (end, starts) = indptr.split_last().unwrap();
    for (row, start) in starts.iter().enumerate() {
        assert_eq!(*start, at as u64, "{place}");
        for column in 0..tensor.columns as usize {
            let element = (row * tensor.columns as usize + column) * width;
            if dtype.is_nonzero(&dense[element..][..width]) {
                assert_eq!(indices[at] as usize, column, "{place}");
                at += 1;
            }
        }
    }
    assert_eq!(*end, at as u64, "{place}");
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

/// A matrix that is closed when the test is over.
struct OpenedMatrix(*mut tfzip_matrix);

impl OpenedMatrix {
    fn of(archive: &Opened, number: usize) -> Self {
        let mut matrix = null_mut();
        let status = unsafe { tfzip_matrix_open(archive.0, number, &mut matrix) };
        assert_eq!(status, tfzip_status::Ok, "{}", text(tfzip_last_error()));
        Self(matrix)
    }
}

impl Drop for OpenedMatrix {
    fn drop(&mut self) {
        unsafe { tfzip_matrix_close(self.0) };
    }
}

#[test]
fn products_are_the_librarys_and_outlive_the_archive() {
    let (opened, bytes, number) = matrix();
    let archive = Archive::new(bytes).unwrap();
    let expected = Matrix::new(&archive.tensor_by_number(number).unwrap()).unwrap();
    let matrix = OpenedMatrix::of(&opened, number);
    drop(opened);
    let (rows, columns) = (expected.rows(), expected.columns());
    let (by_column, by_row) = (2 * columns, 2 * rows);
    let numbers = |n: usize| (0..n).map(|i| 1.5 - i as f64 / 8.0);
    let (x, xt): (Vec<f64>, Vec<f64>) = (numbers(by_column).collect(), numbers(by_row).collect());
    let mut y = vec![0.0; by_row];
    let mut found = y.clone();
    let (p, q) = (x.as_ptr(), found.as_mut_ptr());
    let status = unsafe { tfzip_multiply_f64(matrix.0, 2, p, by_column, q, by_row) };
    assert_eq!(status, tfzip_status::Ok);
    expected.multiply_batch(&x, &mut y, 2).unwrap();
    assert_eq!(found, y);
    let mut y = vec![0.0; by_column];
    let mut found = y.clone();
    let (p, q) = (xt.as_ptr(), found.as_mut_ptr());
    let status = unsafe { tfzip_multiply_transposed_f64(matrix.0, 2, p, by_row, q, by_column) };
    assert_eq!(status, tfzip_status::Ok);
    expected.multiply_transposed_batch(&xt, &mut y, 2).unwrap();
    assert_eq!(found, y);

    let x: Vec<f32> = x.iter().map(|&x| x as f32).collect();
    let xt: Vec<f32> = xt.iter().map(|&x| x as f32).collect();
    let mut y = vec![0.0; by_row];
    let mut found = y.clone();
    let (p, q) = (x.as_ptr(), found.as_mut_ptr());
    let status = unsafe { tfzip_multiply_f32(matrix.0, 2, p, by_column, q, by_row) };
    assert_eq!(status, tfzip_status::Ok);
    expected.multiply_batch(&x, &mut y, 2).unwrap();
    assert_eq!(found, y);
    let mut y = vec![0.0; by_column];
    let mut found = y.clone();
    let (p, q) = (xt.as_ptr(), found.as_mut_ptr());
    let status = unsafe { tfzip_multiply_transposed_f32(matrix.0, 2, p, by_row, q, by_column) };
    assert_eq!(status, tfzip_status::Ok);
    expected.multiply_transposed_batch(&xt, &mut y, 2).unwrap();
    assert_eq!(found, y);
    assert!(y.iter().any(|y| *y != 0.0));
}

#[test]
fn vectors_fit_their_matrix_or_are_refused() {
    let (opened, _, number) = matrix();
    let (rows, columns) = {
        let tensor = opened.describe(number);
        (tensor.rows as usize, tensor.columns as usize)
    };
    let matrix = OpenedMatrix::of(&opened, number);
    let mut x = vec![1f64; 2 * columns + 1];
    let mut y = vec![7f64; 2 * rows];
    let (p, q) = (x.as_mut_ptr(), y.as_mut_ptr());
    let call = |batch, x: *const f64, x_len, y: *mut f64, y_len| unsafe {
        tfzip_multiply_f64(matrix.0, batch, x, x_len, y, y_len)
    };
    refused(call(1, null(), columns, q, rows), "x is null");
    refused(call(1, p, columns, null_mut(), rows), "y is null");
    refused(call(1, p, columns - 1, q, rows), "x has");
    refused(call(1, p, columns + 1, q, rows), "x has");
    refused(call(1, p, columns, q, rows - 1), "y has");
    refused(call(2, p, columns, q, 2 * rows), "x has");
    refused(call(usize::MAX, p, columns, q, rows), "x has");
    refused(call(1, p, usize::MAX / 8, q, rows), "x has");
    refused(
        call(1, p.wrapping_byte_add(4), columns, q, rows),
        "expected a multiple of 8 bytes",
    );
    refused(call(1, p, columns, p, rows.min(columns)), "y overlaps x");
    assert!(y.iter().all(|y| *y == 7.0), "a call that was refused wrote");
    let mut other = matrix.0;
    let none = unsafe { tfzip_count(opened.0) };
    refused(
        unsafe { tfzip_matrix_open(opened.0, none, &mut other) },
        "numbers begin with 0",
    );
    assert!(other.is_null());
    refused(
        unsafe { tfzip_matrix_open(null(), 0, &mut other) },
        "archive is null",
    );
    refused(
        unsafe { tfzip_matrix_open(opened.0, 0, null_mut()) },
        "matrix is null",
    );
    refused(
        unsafe { tfzip_multiply_f64(null(), 1, p, columns, q, rows) },
        "matrix is null",
    );
    unsafe { tfzip_matrix_close(null_mut()) };
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

#[test]
fn threads_read_from_one_archive() {
    let (opened, bytes, number) = matrix();
    // What a thread is given of it: C has nothing to say against that.
    let archive = opened.0.expose_provenance();
    let tensor = opened.describe(number);
    let expected: Vec<f32> = Archive::new(bytes)
        .unwrap()
        .tensors()
        .nth(number)
        .unwrap()
        .to_vec()
        .unwrap();
    let (dtype, n_bytes) = (tensor.dtype, tensor.dense_bytes as usize);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let archive = std::ptr::with_exposed_provenance::<tfzip_archive>(archive);
                for _ in 0..100 {
                    let mut out = vec![0f32; expected.len()];
                    let p = out.as_mut_ptr().cast();
                    let status = unsafe { tfzip_read(archive, number, dtype, p, n_bytes) };
                    assert_eq!(status, tfzip_status::Ok);
                    assert_eq!(out, expected);
                }
            });
        }
    });
}

//! Elements: the same as in Rust, or refused.

use super::*;
use crate::csr::*;
use crate::read::*;

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
    refused(call(p, n - 1, i, nnz, v, 4 * nnz), ": indptr has");
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
    if status != tfzip_status::Ok {
        let at = format!("tensor {:?}: ", text(tensor.name));
        assert_eq!(text(tfzip_last_error()).matches(&at).count(), 1, "{place}");
    }
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

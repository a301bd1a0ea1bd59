//! Products: the same as in Rust, or refused.

use super::*;
use crate::product::*;
use tfzip::product::Matrix;

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

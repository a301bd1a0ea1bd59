//! Products with a tensor's matrix.

use crate::archive::{Shared, tfzip_archive};
use crate::border::{self, guard, place};
use crate::status::tfzip_status;
use crate::tensor::numbered;
use tfzip::Result;
use tfzip::product::{Matrix, Real};

/// A tensor's matrix W to multiply with: rows and columns as tfzip_tensor has them.
pub struct tfzip_matrix {
    // Dropped before what it borrows from.
    matrix: Matrix<'static>,
    shared: Shared,
}

/// The header promises that threads may share a matrix, and that any of them may close it.
const _: () = {
    const fn is_shareable<T: Send + Sync>() {}
    is_shareable::<tfzip_matrix>();
};

/// ---- Products ----
///
/// Products are computed on what the file holds of a tensor, which is never expanded. `x` has `batch`
/// vectors, one after the other, and so has `y`; `x_len` and `y_len` count the numbers of all of
/// them. Any dtype of real numbers can be multiplied with vectors of float or double.
///
/// An element that is zero adds nothing, also where `x` is infinite or NaN. The bits of a result
/// depend on the file and the vector alone: neither on the machine nor on the rest of a batch.
/// ***
/// Sets *matrix to the matrix of tensor `number`; on failure it becomes null. A checksum is compared
/// when a product first needs its block: who multiplies often keeps the matrix.
///
/// It keeps what it needs of the archive, which may be closed before it. Memory that was borrowed
/// for the archive, and a file that was mapped, have to stay as they are until both are closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_matrix_open(
    archive: *const tfzip_archive,
    number: usize,
    matrix: *mut *mut tfzip_matrix,
) -> tfzip_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let mut out = unsafe { border::out(matrix, "matrix") }?;
        out.set(std::ptr::null_mut());
        // SAFETY: the caller's promise.
        let shared = unsafe { border::reference(archive, "archive") }?
            .shared()
            .clone();
        // SAFETY: the matrix is dropped before `shared`, and leaves `tfzip_matrix` for the length of
        // a call alone.
        let archive = unsafe { shared.archive_while_shared() };
        let matrix = Matrix::new(&numbered(archive, number)?)?;
        out.set(Box::into_raw(Box::new(tfzip_matrix { matrix, shared })));
        Ok(())
    })
}

/// Closes a matrix; null is no matrix, and nothing happens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_matrix_close(matrix: *mut tfzip_matrix) {
    // SAFETY: the caller promises that it is open, and that nobody uses it any more.
    unsafe { border::close(matrix) };
}

/// y = W * x: of a vector, `x` has a number for each column, `y` for each row.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_multiply_f32(
    matrix: *const tfzip_matrix,
    batch: usize,
    x: *const f32,
    x_len: usize,
    y: *mut f32,
    y_len: usize,
) -> tfzip_status {
    // SAFETY: the caller's promise.
    unsafe {
        multiply(matrix, x, x_len, y, y_len, |m, x, y| {
            m.multiply_batch(x, y, batch)
        })
    }
}

/// As tfzip_multiply_f32(), with double.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_multiply_f64(
    matrix: *const tfzip_matrix,
    batch: usize,
    x: *const f64,
    x_len: usize,
    y: *mut f64,
    y_len: usize,
) -> tfzip_status {
    // SAFETY: the caller's promise.
    unsafe {
        multiply(matrix, x, x_len, y, y_len, |m, x, y| {
            m.multiply_batch(x, y, batch)
        })
    }
}

/// y = transposed W * x, TensorFlow's x * W: of a vector, `x` has a number for each row, `y` for
/// each column.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_multiply_transposed_f32(
    matrix: *const tfzip_matrix,
    batch: usize,
    x: *const f32,
    x_len: usize,
    y: *mut f32,
    y_len: usize,
) -> tfzip_status {
    // SAFETY: the caller's promise.
    unsafe {
        multiply(matrix, x, x_len, y, y_len, |m, x, y| {
            m.multiply_transposed_batch(x, y, batch)
        })
    }
}

/// As tfzip_multiply_transposed_f32(), with double.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_multiply_transposed_f64(
    matrix: *const tfzip_matrix,
    batch: usize,
    x: *const f64,
    x_len: usize,
    y: *mut f64,
    y_len: usize,
) -> tfzip_status {
    // SAFETY: the caller's promise.
    unsafe {
        multiply(matrix, x, x_len, y, y_len, |m, x, y| {
            m.multiply_transposed_batch(x, y, batch)
        })
    }
}

/// # Safety
/// `matrix` is null or open; `x` is null or has `x_len` numbers; `y` is null or has `y_len` that
/// nobody else uses.
unsafe fn multiply<A: Real + bytemuck::Pod>(
    matrix: *const tfzip_matrix,
    x: *const A,
    x_len: usize,
    y: *mut A,
    y_len: usize,
    f: impl FnOnce(&Matrix<'_>, &[A], &mut [A]) -> Result<()>,
) -> tfzip_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let matrix = unsafe { border::reference(matrix, "matrix") }?;
        border::check_apart(
            &place(y, y_len, "y")?,
            &[place(x, x_len, "x")?, matrix.shared.place()?],
        )?;
        // SAFETY: the caller's promise; they don't overlap.
        let (x, y) = unsafe {
            (
                border::elements(x, x_len, "x")?,
                border::elements_mut(y, y_len, "y")?,
            )
        };
        f(&matrix.matrix, x, y)
    })
}

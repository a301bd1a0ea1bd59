//! Elements, densely.

use crate::archive::tfzip_archive;
use crate::border::{self, guard, invalid};
use crate::status::tfzip_status;
use crate::tensor::{DTypeNumber, check_dtype, numbered};
use std::ffi::c_void;
use std::ops::Range;
use tfzip::{DType, ElementClass, Result, Tensor};

/// ---- Reading ----
///
/// Elements are in row-major order and in the machine's own byte order. `dtype` says what the caller
/// takes them for: if the tensor has another, the call fails, and never converts. `out_bytes` has to
/// be exactly what is asked for. Buffers of elements need no alignment but what the caller wants.
/// ***
/// Reads all elements of tensor `number`: `dense_bytes` of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_read(
    archive: *const tfzip_archive,
    number: usize,
    dtype: DTypeNumber,
    out: *mut c_void,
    out_bytes: usize,
) -> tfzip_status {
    // SAFETY: the caller's promise.
    unsafe {
        read(archive, number, dtype, out, out_bytes, |tensor, out| {
            tensor.read_bytes_into(out)
        })
    }
}

/// Reads `n_rows` rows of the matrix of tensor `number`, from row `first_row` on: n_rows * columns *
/// width bytes. Decodes only the blocks that they lie in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_read_rows(
    archive: *const tfzip_archive,
    number: usize,
    dtype: DTypeNumber,
    first_row: u64,
    n_rows: u64,
    out: *mut c_void,
    out_bytes: usize,
) -> tfzip_status {
    // SAFETY: the caller's promise.
    unsafe {
        read(archive, number, dtype, out, out_bytes, |tensor, out| {
            tensor.read_row_bytes_into(rows_of(first_row, n_rows)?, out)
        })
    }
}

fn rows_of(first_row: u64, n_rows: u64) -> Result<Range<u64>> {
    let end = first_row
        .checked_add(n_rows)
        .ok_or_else(|| invalid(format!("{n_rows} rows from row {first_row} on")))?;
    Ok(first_row..end)
}

/// Reads with `f`, which brings the bytes as they are in a file.
///
/// # Safety
/// `archive` is null or open; `out` is null or has `out_bytes` that nobody else uses.
unsafe fn read(
    archive: *const tfzip_archive,
    number: usize,
    dtype: DTypeNumber,
    out: *mut c_void,
    out_bytes: usize,
    f: impl FnOnce(&Tensor<'_>, &mut [u8]) -> Result<()>,
) -> tfzip_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let shared = unsafe { border::reference(archive, "archive") }?.shared();
        let place = border::place(out.cast::<u8>(), out_bytes, "out")?;
        border::check_apart(&place, &[shared.place()?])?;
        // SAFETY: the caller's promise.
        let out: &mut [u8] = unsafe { border::elements_mut(out.cast(), out_bytes, "out") }?;
        let tensor = numbered(shared.archive(), number)?;
        check_dtype(&tensor, dtype)?;
        f(&tensor, out)?;
        to_machine_order(tensor.dtype(), out);
        Ok(())
    })
}

/// Turns little-endian elements into the machine's own order.
fn to_machine_order(dtype: DType, bytes: &mut [u8]) {
    if cfg!(target_endian = "big") {
        let parts = if dtype.class() == ElementClass::Complex {
            2
        } else {
            1
        };
        let width = dtype.width().unwrap_or(1) / parts;
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
}

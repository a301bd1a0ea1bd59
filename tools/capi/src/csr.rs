//! Elements that are not zero.

use crate::archive::tfzip_archive;
use crate::border::{self, guard, invalid, place};
use crate::status::tfzip_status;
use crate::tensor::{DTypeNumber, check_dtype, numbered};
use std::ffi::c_void;
use tfzip::{DType, Element, Error, ErrorKind, Result, Tensor};

/// Reads the elements of tensor `number` that are not zero, as compressed sparse rows (CSR) of its
/// matrix. tfzip_describe() says how large the three outputs have to be:
///
/// - `indptr`: `n_indptr` = rows + 1 numbers; the entries of row i are indptr[i] to indptr[i + 1] - 1;
/// - `indices`: `n_indices` = nnz columns, ascending within a row;
/// - `values`: `values_bytes` = nnz * width, in the order of `indices`.
///
/// They must not overlap. Complex elements are left out: TFZIP_STATUS_UNSUPPORTED; and matrices of more
/// than 2^32 columns: TFZIP_STATUS_LIMIT_EXCEEDED. Decodes a block at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_read_csr(
    archive: *const tfzip_archive,
    number: usize,
    dtype: DTypeNumber,
    indptr: *mut u64,
    n_indptr: usize,
    indices: *mut u32,
    n_indices: usize,
    values: *mut c_void,
    values_bytes: usize,
) -> tfzip_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let shared = unsafe { border::reference(archive, "archive") }?.shared();
        let outputs = [
            shared.place()?,
            place(indptr, n_indptr, "indptr")?,
            place(indices, n_indices, "indices")?,
            place(values.cast::<u8>(), values_bytes, "values")?,
        ];
        for (i, output) in outputs.iter().enumerate() {
            border::check_apart(output, &outputs[..i])?;
        }
        // SAFETY: the caller's promise; they don't overlap.
        let out = unsafe {
            Outputs {
                indptr: border::elements_mut(indptr, n_indptr, "indptr")?,
                indices: border::elements_mut(indices, n_indices, "indices")?,
                values: border::elements_mut(values.cast(), values_bytes, "values")?,
            }
        };
        let tensor = numbered(shared.archive(), number)?;
        check_dtype(&tensor, dtype)?;
        out.fill(&tensor)
    })
}

struct Outputs<'a> {
    indptr: &'a mut [u64],
    indices: &'a mut [u32],
    values: &'a mut [u8],
}

impl Outputs<'_> {
    fn fill(self, tensor: &Tensor<'_>) -> Result<()> {
        match tensor.dtype() {
            DType::Float32 => self.fill_with::<f32>(tensor),
            DType::Float64 => self.fill_with::<f64>(tensor),
            DType::Float16 => self.fill_with::<half::f16>(tensor),
            DType::Bfloat16 => self.fill_with::<half::bf16>(tensor),
            DType::Int8 | DType::Qint8 => self.fill_with::<i8>(tensor),
            DType::Int16 | DType::Qint16 => self.fill_with::<i16>(tensor),
            DType::Int32 | DType::Qint32 => self.fill_with::<i32>(tensor),
            DType::Int64 => self.fill_with::<i64>(tensor),
            DType::Uint16 | DType::Quint16 => self.fill_with::<u16>(tensor),
            DType::Uint32 => self.fill_with::<u32>(tensor),
            DType::Uint64 => self.fill_with::<u64>(tensor),
            other if u8::DTYPES.contains(&other) => self.fill_with::<u8>(tensor),
            other => {
                let detail = format!("CSR form of {other} elements");
                Err(within(tensor, Error::new(ErrorKind::Unsupported, detail)))
            }
        }
    }

    fn fill_with<T: Element + bytemuck::Pod>(self, tensor: &Tensor<'_>) -> Result<()> {
        // Before anything is decoded.
        let (rows, nnz) = (tensor.matrix_shape().0, tensor.nnz());
        let expected = [
            ("indptr", self.indptr.len(), rows.checked_add(1)),
            ("indices", self.indices.len(), Some(nnz)),
            (
                "values",
                self.values.len(),
                nnz.checked_mul(size_of::<T>() as u64),
            ),
        ];
        for (name, found, expected) in expected {
            if Some(found as u64) != expected {
                let expected = expected.map_or("more than there can be".into(), |n| n.to_string());
                let unit = if name == "values" {
                    "bytes"
                } else {
                    "elements"
                };
                let detail = format!("{name} has {found} {unit}, expected {expected}");
                return Err(within(tensor, invalid(detail)));
            }
        }
        if tensor.matrix_shape().1 > 1 << 32 {
            let detail = "more than 2^32 columns in CSR form";
            return Err(within(tensor, Error::new(ErrorKind::LimitExceeded, detail)));
        }
        let wrong = |found: &str| {
            let detail = format!("{found} elements are nonzero, the manifest says {nnz}");
            within(tensor, Error::new(ErrorKind::Corrupt, detail))
        };
        let mut values = self.values.chunks_exact_mut(size_of::<T>());
        let mut entries = self.indices.iter_mut().zip(&mut values);
        let (mut n, mut starts) = (0u64, self.indptr.iter_mut());
        let mut rows = 0;
        for nonzero in tensor.nonzeros::<T>()? {
            let (row, column, value) = nonzero?;
            while rows <= row {
                *starts.next().ok_or_else(|| wrong("more"))? = n;
                rows += 1;
            }
            let (index, to) = entries.next().ok_or_else(|| wrong("more"))?;
            *index = column as u32;
            to.copy_from_slice(bytemuck::bytes_of(&value));
            n += 1;
        }
        if n != nnz {
            return Err(wrong(&n.to_string()));
        }
        starts.for_each(|start| *start = n);
        Ok(())
    }
}

fn within(tensor: &Tensor<'_>, error: Error) -> Error {
    error.within(format!("tensor {:?}", tensor.name()))
}

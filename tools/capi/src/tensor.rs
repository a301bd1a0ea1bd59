//! What tensors there are.

use crate::archive::{Bytes, tfzip_archive};
use crate::border::{self, guard, invalid};
use crate::status::tfzip_status;
use std::ffi::{CString, c_char};
use std::sync::LazyLock;
use tfzip::{Archive, DType, Result, Tensor};

/// Type of a tensor's elements, with the numbers of TensorFlow's DataType. They never change.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum tfzip_dtype {
    /// IEEE 754 binary32: float.
    Float32 = 1,
    /// IEEE 754 binary64: double.
    Float64 = 2,
    /// int32_t.
    Int32 = 3,
    /// uint8_t.
    Uint8 = 4,
    /// int16_t.
    Int16 = 5,
    /// int8_t.
    Int8 = 6,
    /// Byte strings of any length: can't be read.
    String = 7,
    /// Two floats: real, imaginary.
    Complex64 = 8,
    /// int64_t.
    Int64 = 9,
    /// One byte, 0 or 1.
    Bool = 10,
    /// Quantised: int8_t.
    Qint8 = 11,
    /// Quantised: uint8_t.
    Quint8 = 12,
    /// Quantised: int32_t.
    Qint32 = 13,
    /// The upper half of a float.
    Bfloat16 = 14,
    /// Quantised: int16_t.
    Qint16 = 15,
    /// Quantised: uint16_t.
    Quint16 = 16,
    /// uint16_t.
    Uint16 = 17,
    /// Two doubles: real, imaginary.
    Complex128 = 18,
    /// IEEE 754 binary16.
    Float16 = 19,
    /// A handle: can't be read.
    Resource = 20,
    /// Anything: can't be read.
    Variant = 21,
    /// uint32_t.
    Uint32 = 22,
    /// uint64_t.
    Uint64 = 23,
    /// One byte: 5 bits of exponent, 2 of mantissa.
    Float8_e5m2 = 24,
    /// One byte: 4 bits of exponent, 3 of mantissa.
    Float8_e4m3fn = 25,
    /// As E4M3, without -0.0.
    Float8_e4m3fnuz = 26,
    /// As E4M3, bias 11, without -0.0.
    Float8_e4m3b11fnuz = 27,
    /// As E5M2, without -0.0.
    Float8_e5m2fnuz = 28,
    /// 4 bits, signed: can't be read.
    Int4 = 29,
    /// 4 bits: can't be read.
    Uint4 = 30,
    /// 2 bits, signed: can't be read.
    Int2 = 31,
    /// 2 bits: can't be read.
    Uint2 = 32,
    /// 4 bits, 2 of exponent, 1 of mantissa: can't be read.
    Float4_e2m1fn = 33,
}

/// A dtype as it comes from C, where it can be any number.
pub type DTypeNumber = u32;

/// What a tensor is. It belongs to the archive, and is valid until the archive is closed.
#[repr(C)]
pub struct tfzip_tensor {
    /// What it is called, in UTF-8. Names need not be unique; one that holds a NUL ends there.
    pub name: *const c_char,
    /// Name of the model file that it stands in.
    pub file: *const c_char,
    /// Dimensions, outermost first: `rank` of them.
    pub shape: *const u64,
    /// Number of dimensions; 0 for a scalar.
    pub rank: usize,
    /// Type of its elements.
    pub dtype: DTypeNumber,
    /// Bytes of one element; 0 if the elements can't be read.
    pub width: u32,
    /// Number of elements: the product of the shape.
    pub len: u64,
    /// Number of elements that are not zero; -0.0 is zero, NaN is not.
    pub nnz: u64,
    /// nnz / len; 0 without elements.
    pub density: f64,
    /// Rows of its matrix: all dimensions but the last.
    pub rows: u64,
    /// Columns of its matrix: the last dimension.
    pub columns: u64,
    /// Bytes of all elements: len * width.
    pub dense_bytes: u64,
    /// Bytes that its elements take in the .tfz file, before the compression of what isn't weights.
    /// Tensors with the same elements share them.
    pub stored_bytes: u64,
}

/// ---- Tensors ----
///
/// Tensors have numbers, from 0 to tfzip_count() - 1, in the order of the model files' bytes.
/// ***
/// Number of tensors; 0 for a null archive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_count(archive: *const tfzip_archive) -> usize {
    border::guard_or(0, || {
        // SAFETY: the caller's promise.
        let archive = unsafe { border::reference(archive, "archive") };
        archive.map_or(0, |archive| archive.shared().archive().tensors().len())
    })
}

/// Sets *number to that of the tensor called `name`.
///
/// TFZIP_STATUS_INVALID_ARGUMENT if there is none, or if there are several: the message says where,
/// and `file` of their tfzip_tensor tells them apart.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_find(
    archive: *const tfzip_archive,
    name: *const c_char,
    number: *mut usize,
) -> tfzip_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (archive, name, mut number) = unsafe {
            (
                border::reference(archive, "archive")?,
                border::text(name, "name")?,
                border::out(number, "number")?,
            )
        };
        let name = name.to_str().map_err(|_| invalid("name is not UTF-8"))?;
        number.set(archive.shared().archive().tensor(name)?.number());
        Ok(())
    })
}

/// Sets *tensor to what tensor `number` is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_describe(
    archive: *const tfzip_archive,
    number: usize,
    tensor: *mut tfzip_tensor,
) -> tfzip_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (archive, mut out) = unsafe {
            (
                border::reference(archive, "archive")?,
                border::out(tensor, "tensor")?,
            )
        };
        let tensor = numbered(archive.shared().archive(), number)?;
        let (name, file) = archive
            .names()
            .of(number)
            .ok_or_else(|| invalid(format!("tensor {number} has no name")))?;
        let (rows, columns) = tensor.matrix_shape();
        let width = width_of(&tensor);
        out.set(tfzip_tensor {
            name,
            file,
            shape: tensor.shape().as_ptr(),
            rank: tensor.shape().len(),
            dtype: tensor.dtype() as u32,
            width,
            len: tensor.len(),
            nnz: tensor.nnz(),
            density: tensor.density(),
            rows,
            columns,
            // What can be read is below the limit of a tensor's bytes.
            dense_bytes: tensor.len().saturating_mul(width.into()),
            stored_bytes: tensor.stored_bytes(),
        });
        Ok(())
    })
}

/// TensorFlow's name for a dtype, for instance "float32"; "unknown" for a number that is none.
#[unsafe(no_mangle)]
pub extern "C" fn tfzip_dtype_name(dtype: DTypeNumber) -> *const c_char {
    static NAMES: LazyLock<Vec<CString>> = LazyLock::new(|| {
        let names = DType::ALL.iter().map(|dtype| dtype.name());
        names.filter_map(|name| CString::new(name).ok()).collect()
    });
    border::guard_or(c"unknown", || {
        let number = DType::ALL.iter().position(|&known| known as u32 == dtype);
        number
            .and_then(|number| NAMES.get(number))
            .map_or(c"unknown", CString::as_c_str)
    })
    .as_ptr()
}

/// The tensor with this number.
pub(crate) fn numbered(archive: &Archive<Bytes>, number: usize) -> Result<Tensor<'_>> {
    archive.tensor_by_number(number).ok_or_else(|| {
        invalid(format!(
            "tensor {number} of {}, numbers begin with 0",
            archive.tensors().len()
        ))
    })
}

/// Bytes of an element; 0 if they can't be read.
fn width_of(tensor: &Tensor<'_>) -> u32 {
    let width = tensor
        .dtype()
        .width()
        .filter(|_| tensor.is_readable())
        .unwrap_or(0);
    width as u32
}

/// Fails if the elements are not what `dtype`, a number from C, says: no call converts.
pub(crate) fn check_dtype(tensor: &Tensor<'_>, dtype: DTypeNumber) -> Result<()> {
    if tensor.dtype() as u32 == dtype {
        return Ok(());
    }
    let asked = match DType::from_id(dtype) {
        Some(dtype) => dtype.name().to_owned(),
        None => format!("dtype {dtype}, which there is not"),
    };
    let error = invalid(format!("elements are {}, not {asked}", tensor.dtype()));
    Err(error.within(format!("tensor {:?}", tensor.name())))
}

//! The spec's words on elements (§7.4), said once more and as simply as possible.

use std::mem::MaybeUninit;
use tfzip::{DType, Element, ErrorKind, Tensor};

/// Whether an element with these little-endian bytes is numerically different from zero.
pub(crate) fn is_nonzero(dtype: DType, element: &[u8]) -> bool {
    let halves = |bytes: &[u8], n: usize| bytes.chunks(bytes.len() / n).any(|part| !is_zero(part));
    // A float of any width is zero if all its bits but the sign are.
    fn is_zero(float: &[u8]) -> bool {
        let mut float = float.to_vec();
        *float.last_mut().unwrap() &= 0x7f;
        float.iter().all(|&byte| byte == 0)
    }
    match dtype.name() {
        "float16" | "bfloat16" | "float32" | "float64" | "float8_e5m2" | "float8_e4m3fn" => {
            halves(element, 1)
        }
        "complex64" | "complex128" => halves(element, 2),
        _ => element.iter().any(|&byte| byte != 0),
    }
}

/// Number of elements that are not zero.
pub(crate) fn nnz(dtype: DType, elements: &[u8]) -> u64 {
    let width = dtype.width().unwrap();
    let nonzero = |element: &&[u8]| is_nonzero(dtype, element);
    elements.chunks_exact(width).filter(nonzero).count() as u64
}

/// All elements of a tensor, as bytes.
pub(crate) fn bytes_of(tensor: &Tensor<'_>) -> tfzip::Result<Vec<u8>> {
    let width = tensor.dtype().width().unwrap_or(0);
    let mut out = vec![0xa5; usize::try_from(tensor.len()).unwrap() * width];
    tensor.read_bytes_into(&mut out)?;
    Ok(out)
}

/// Checks every way of reading a tensor against its little-endian bytes.
pub(crate) fn check_tensor(tensor: &Tensor<'_>, bytes: &[u8]) {
    assert_eq!(bytes_of(tensor).unwrap(), bytes, "{:?}", tensor.name());
    assert_eq!(
        tensor.nnz(),
        nnz(tensor.dtype(), bytes),
        "{:?}",
        tensor.name()
    );
    macro_rules! check_as {
        ($($t:ty),*) => {
            $(if <$t>::DTYPES.contains(&tensor.dtype()) {
                check_elements::<$t>(tensor, bytes);
            })*
        };
    }
    check_as!(
        f32,
        f64,
        half::f16,
        half::bf16,
        i8,
        i16,
        i32,
        i64,
        u8,
        u16,
        u32,
        u64
    );
    if tensor.dtype() == DType::Bool {
        match bytes.iter().all(|&byte| byte < 2) {
            true => check_elements::<bool>(tensor, bytes),
            false => check_no_bools(tensor, bytes.len()),
        }
    }
}

/// Checks that bytes which are neither 0 nor 1 don't become a `bool`.
fn check_no_bools(tensor: &Tensor<'_>, n: usize) {
    let is_corrupt = |read: tfzip::Result<()>| {
        assert!(read.is_err_and(|error| error.kind() == ErrorKind::Corrupt));
    };
    is_corrupt(tensor.to_vec::<bool>().map(drop));
    is_corrupt(tensor.csr::<bool>().map(drop));
    is_corrupt(tensor.read_into(&mut vec![true; n]));
    is_corrupt(
        tensor
            .read_into_uninit(&mut vec![MaybeUninit::<bool>::uninit(); n])
            .map(drop),
    );
    let mut nonzeros = tensor.nonzeros::<bool>().unwrap();
    is_corrupt(nonzeros.find_map(Result::err).map_or(Ok(()), Err));
    assert!(nonzeros.next().is_none());
}

fn check_elements<T: Element>(tensor: &Tensor<'_>, bytes: &[u8]) {
    let (rows, columns) = tensor.matrix_shape();
    let (dtype, width) = (tensor.dtype(), size_of::<T>());
    let elements: Vec<T> = bytes
        .chunks_exact(width)
        .map(bytemuck::checked::pod_read_unaligned)
        .collect();
    let same = |found: &[T], expected: &[T]| {
        assert_eq!(
            bytemuck::cast_slice::<_, u8>(found),
            bytemuck::cast_slice::<_, u8>(expected)
        );
    };
    same(&tensor.to_vec().unwrap(), &elements);
    let mut out = vec![T::zeroed(); elements.len()];
    tensor.read_into(&mut out).unwrap();
    same(&out, &elements);
    // At an offset too, where vectors of elements are not aligned.
    let mut memory = vec![MaybeUninit::uninit(); elements.len() + 1];
    for start in [0, 1] {
        let out = &mut memory[start..start + elements.len()];
        same(tensor.read_into_uninit(out).unwrap(), &elements);
    }
    assert!(tensor.read_into_uninit(&mut memory).is_err());
    let of_rows =
        |from: u64, to: u64| &elements[(from * columns) as usize..(to * columns) as usize];
    for (from, to) in [
        (0, rows),
        (0, rows / 2),
        (rows / 2, rows),
        (rows / 3, rows / 3),
    ] {
        same(&tensor.rows(from..to).unwrap(), of_rows(from, to));
        let mut out = vec![T::zeroed(); of_rows(from, to).len()];
        tensor.rows_into(from..to, &mut out).unwrap();
        same(&out, of_rows(from, to));
        out.push(T::zeroed());
        assert!(tensor.rows_into(from..to, &mut out).is_err());
    }
    assert!(tensor.rows::<T>(0..rows + 1).is_err());

    let (mut indptr, mut indices, mut values) = (vec![0], vec![], vec![]);
    let mut places = vec![];
    for row in 0..rows {
        for column in 0..columns {
            let element = (row * columns + column) as usize;
            if is_nonzero(dtype, &bytes[element * width..][..width]) {
                places.push((row, column));
                indices.push(column as u32);
                values.push(elements[element]);
            }
        }
        indptr.push(values.len());
    }
    let csr = tensor.csr::<T>().unwrap();
    assert_eq!((csr.n_rows as u64, csr.n_columns as u64), (rows, columns));
    assert_eq!((csr.indptr, csr.indices), (indptr, indices));
    same(&csr.values, &values);
    let nonzeros: Vec<(u64, u64, T)> = tensor
        .nonzeros()
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let (found, of_found): (Vec<_>, Vec<T>) = nonzeros
        .into_iter()
        .map(|(row, column, value)| ((row, column), value))
        .unzip();
    assert_eq!(found, places);
    same(&of_found, &values);
}

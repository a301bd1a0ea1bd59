//! All elements of a tensor, as bytes.

use tfzip::{Error, ErrorKind, Result, Tensor};

/// The elements of `tensor`: little-endian, in row-major order. Empty if it is not readable.
///
/// # Errors
/// `LimitExceeded` if there is not enough memory; what reading gives.
pub fn of(tensor: &Tensor<'_>) -> Result<Vec<u8>> {
    let width = tensor.dtype().width().filter(|_| tensor.is_readable());
    let n_bytes = tensor.len().saturating_mul(width.unwrap_or(0) as u64);
    let mut bytes = Vec::new();
    let reserved = usize::try_from(n_bytes).map(|n_bytes| {
        bytes
            .try_reserve_exact(n_bytes)
            .map(|()| bytes.resize(n_bytes, 0))
    });
    if !matches!(reserved, Ok(Ok(()))) {
        let detail = format!("no memory for its {n_bytes} bytes");
        return Err(Error::new(ErrorKind::LimitExceeded, detail)
            .within(format_args!("tensor {:?}", tensor.name())));
    }
    tensor.read_bytes_into(&mut bytes)?;
    Ok(bytes)
}

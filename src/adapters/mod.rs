//! Tensors as the types of other crates, each behind the feature of that crate's name. A wrong type, or a
//! shape that the other crate can't have, is an error, never a conversion.

#[cfg(feature = "candle")]
mod candle;
#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(feature = "sprs")]
mod sprs;

#[cfg(any(feature = "candle", feature = "ndarray"))]
use crate::archive::Tensor;
#[cfg(any(feature = "candle", feature = "ndarray"))]
use crate::error::{Error, Result, Within};

/// The dimensions of a tensor, as other crates count them.
#[cfg(any(feature = "candle", feature = "ndarray"))]
fn shape_of(tensor: &Tensor<'_>) -> Result<Vec<usize>> {
    let dims = tensor.shape().iter().map(|&d| crate::cursor::to_usize(d));
    dims.collect::<Result<_>>().within(|| tensor.place())
}

/// The caller asked for what `tensor` can't be.
#[cfg(any(feature = "candle", feature = "ndarray"))]
fn cannot(tensor: &Tensor<'_>, detail: String) -> Error {
    Error::invalid(detail).within(tensor.place())
}

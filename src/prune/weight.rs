//! A weight of a model: a tensor, and its copies.

use super::mask::Mask;
use super::masks::Weights;
use super::numbers::Numbers;
use super::select::FoundBy;
use crate::model::{InputFile, ModelTensor, TensorData};

/// Tensors that are pruned as one.
pub(crate) struct Weight<'a> {
    /// What to call it; no two have the same name.
    pub(crate) name: String,
    /// At least one; the first is the one that is looked at.
    pub(super) copies: Vec<Stored<'a>>,
    pub(super) found_by: FoundBy,
    /// What the elements of all of them stand for.
    pub(super) numbers: Numbers,
}

/// A tensor whose elements can be changed in place.
pub(super) struct Stored<'a> {
    /// Its number in the model.
    pub(super) number: usize,
    pub(super) tensor: &'a ModelTensor,
    /// All its elements, little-endian.
    pub(super) bytes: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Tensor number `number`, or why its elements can't be changed.
    pub(super) fn of(
        files: &[InputFile<'a>],
        tensor: &'a ModelTensor,
        number: usize,
    ) -> Result<Self, &'static str> {
        match &tensor.data {
            TensorData::Raw { range, repeats: 0 } => Ok(Self {
                number,
                tensor,
                bytes: files[tensor.file].bytes.get(range.clone()).unwrap_or(&[]),
            }),
            TensorData::Raw { .. } => Err("its last element stands for several"),
            TensorData::Opaque => Err("its elements are not stored as they are"),
        }
    }
}

impl<'a> Weight<'a> {
    /// The tensor that is looked at.
    pub(crate) fn tensor(&self) -> &'a ModelTensor {
        self.copies[0].tensor
    }

    /// The names of all its tensors.
    pub(super) fn names(&self) -> Vec<&'a str> {
        let tensors = self.copies.iter().map(|copy| copy.tensor);
        tensors.map(|tensor| tensor.name.as_str()).collect()
    }

    /// All elements as numbers.
    pub(crate) fn values(&self) -> Vec<f64> {
        self.numbers.decode(self.copies[0].bytes)
    }

    /// These numbers as rows.
    pub(crate) fn rows<'v>(&self, values: &'v [f64]) -> Weights<'v> {
        let columns = self.tensor().shape.last();
        Weights {
            values,
            columns: columns.map_or(1, |&columns| usize::try_from(columns).unwrap_or(0)),
        }
    }

    /// Its little-endian elements with zero in place of what `mask` doesn't leave.
    pub(crate) fn masked(&self, mask: &Mask) -> Vec<u8> {
        let mut bytes = self.copies[0].bytes.to_vec();
        self.numbers.clear(&mut bytes, mask);
        bytes
    }
}

//! Tensors as arrays of `ndarray`.

use super::{cannot, shape_of};
use crate::archive::Tensor;
use crate::cursor::{range_len, to_usize};
use crate::error::{Error, Result};
use crate::tensor::Element;
use ndarray::{Array, Array2, ArrayD, ArrayViewMut, Dimension, IxDyn, ShapeError};
use std::ops::Range;

impl Tensor<'_> {
    /// All elements, as an array of the tensor's shape. Needs the feature `ndarray`.
    ///
    /// ```
    /// # fn main() -> tfzip::Result<()> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits-300-100.pb");
    /// # let model = std::fs::read(path).expect("the example model");
    /// # let (tfz, _) = tfzip::pack_slice(&model, "digits-300-100.pb", &Default::default())?;
    /// use ndarray::{Array1, Ix2};
    ///
    /// let archive = tfzip::Archive::new(tfz)?;
    /// let kernel = archive.tensor("fc1/kernel")?.to_array::<f32>()?;
    /// let kernel = kernel.into_dimensionality::<Ix2>().expect("64 rows, 300 columns");
    /// let y = Array1::<f32>::ones(64).dot(&kernel);
    /// assert_eq!(y.len(), 300);
    /// # assert!((y[7] - kernel.column(7).sum()).abs() < 1e-4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`to_vec`](Self::to_vec); `LimitExceeded` if the shape is more than an array can have.
    pub fn to_array<T: Element>(&self) -> Result<ArrayD<T>> {
        let shape = shape_of(self)?;
        let elements = self.to_vec()?;
        Array::from_shape_vec(IxDyn(&shape), elements).map_err(|e| self.no_array(e))
    }

    /// Writes all elements into `array`, which has the tensor's shape and whose elements lie next to each
    /// other in row-major order: into memory that is there, such as a slice of a larger array. Needs the
    /// feature `ndarray`.
    ///
    /// # Errors
    /// As [`to_vec`](Self::to_vec); `InvalidArgument` if `array` has another shape or layout.
    pub fn read_into_array<T: Element, D: Dimension>(
        &self,
        mut array: ArrayViewMut<'_, T, D>,
    ) -> Result<()> {
        let found = array.shape();
        if !found
            .iter()
            .map(|&d| d as u64)
            .eq(self.shape().iter().copied())
        {
            let detail = format!("an array of shape {found:?} for {:?}", self.shape());
            return Err(cannot(self, detail));
        }
        match array.as_slice_mut() {
            Some(elements) => self.read_into(elements),
            None => Err(cannot(
                self,
                "an array whose elements are not in row-major order".into(),
            )),
        }
    }

    /// Some rows of its [`matrix_shape`](Self::matrix_shape), as an array of two dimensions. Decodes only
    /// the blocks that the rows lie in. Needs the feature `ndarray`.
    ///
    /// # Errors
    /// As [`rows`](Self::rows); `LimitExceeded` if they are more than an array can have.
    pub fn rows_to_array<T: Element>(&self, rows: Range<u64>) -> Result<Array2<T>> {
        let elements = self.rows(rows.clone())?;
        // There are such rows, or the line above fails.
        let shape = (
            to_usize(range_len(&rows))?,
            to_usize(self.matrix_shape().1)?,
        );
        Array2::from_shape_vec(shape, elements).map_err(|e| self.no_array(e))
    }

    fn no_array(&self, error: ShapeError) -> Error {
        let detail = format!("shape {:?} as an array: {error}", self.shape());
        Error::limit(detail).within(self.place())
    }
}

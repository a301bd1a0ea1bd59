//! Tensors as sparse matrices of `sprs`.

use crate::archive::{Csr, Tensor};
use crate::error::{Error, Result, Within};
use crate::tensor::Element;
use sprs::CsMatI;

impl Tensor<'_> {
    /// The elements that are not zero, as a CSR matrix of its [`matrix_shape`](Self::matrix_shape): the
    /// entries of [`csr`](Self::csr). Needs the feature `sprs`.
    ///
    /// −0.0 is zero and has no entry, NaN has one (spec §7.4).
    ///
    /// ```
    /// # fn main() -> tfzip::Result<()> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits-300-100.pb");
    /// # let model = std::fs::read(path).expect("the example model");
    /// # let (tfz, _) = tfzip::pack_slice(&model, "digits-300-100.pb", &Default::default())?;
    /// let archive = tfzip::Archive::new(tfz)?;
    /// let kernel = archive.tensor("fc1/kernel")?.to_sprs::<f32>()?; // 64 rows, 300 columns
    /// let (x, mut y) = ([0.5; 64], [0.0; 300]);
    /// // TensorFlow's x·W
    /// sprs::prod::mul_acc_mat_vec_csc(kernel.transpose_view(), &x[..], &mut y[..]);
    /// # let expected: f32 = kernel.iter().filter(|(_, (_, column))| *column == 7).map(|(w, _)| w / 2.0).sum();
    /// # assert!((y[7] - expected).abs() < 1e-4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`csr`](Self::csr); `LimitExceeded` also with 2^32 columns.
    pub fn to_sprs<T: Element>(&self) -> Result<CsMatI<T, u32, usize>> {
        let csr = self.csr()?;
        if u32::try_from(csr.n_columns).is_err() {
            let detail = format!("{} columns, sprs has u32 for them", csr.n_columns);
            return Err(Error::limit(detail).within(self.place()));
        }
        CsMatI::try_from(csr).within(|| self.place())
    }
}

/// Moves the three arrays: nothing is copied. `sprs` checks the structure, which takes a look at every row
/// pointer and every index.
impl<T> TryFrom<Csr<T>> for CsMatI<T, u32, usize> {
    type Error = Error;

    /// # Errors
    /// `InvalidArgument` if the arrays are not those of a CSR matrix any more, or if it has 2^32 columns.
    fn try_from(csr: Csr<T>) -> Result<Self> {
        let shape = (csr.n_rows, csr.n_columns);
        Self::try_new(shape, csr.indptr, csr.indices, csr.values)
            .map_err(|(_, _, _, error)| Error::invalid(format!("no CSR matrix of sprs: {error}")))
    }
}

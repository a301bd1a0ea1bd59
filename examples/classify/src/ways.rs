//! The ways to use weights without an engine. All but the first make y = x·W of what they have read.

use crate::layers;
use crate::mnist::Images;
use anyhow::Result;
use candle_core::{DType, Device, Shape};
use candle_nn::VarBuilder;
use candle_nn::var_builder::SimpleBackend;
use ndarray::{ArrayView2, Ix2};
use sprs::prod::mul_acc_mat_vec_csc;
use tfzip::product::Matrix;
use tfzip::{Archive, Mapped, Tensor};

/// So many rows are read at a time.
const ROWS: usize = 28;

/// The weights stay as they are in the file.
pub fn encoded(archive: &Archive<Mapped>, images: &Images) -> Result<Vec<f32>> {
    layers::scores(archive, images, |weights, n, x| {
        let matrix = Matrix::new(weights)?;
        let mut y = vec![0.0; n * matrix.columns()];
        matrix.multiply_transposed_batch(x, &mut y, n)?;
        Ok(y)
    })
}

pub fn dense(archive: &Archive<Mapped>, images: &Images) -> Result<Vec<f32>> {
    layers::scores(archive, images, |weights, n, x| {
        let (rows, columns) = shape(weights);
        let dense: Vec<f32> = weights.to_vec()?;
        let mut y = vec![0.0; n * columns];
        add_rows(&dense, 0, x, rows, columns, &mut y);
        Ok(y)
    })
}

pub fn rows(archive: &Archive<Mapped>, images: &Images) -> Result<Vec<f32>> {
    layers::scores(archive, images, |weights, n, x| {
        let (rows, columns) = shape(weights);
        let mut y = vec![0.0; n * columns];
        for first in (0..rows).step_by(ROWS) {
            let some = first as u64..rows.min(first + ROWS) as u64;
            add_rows(&weights.rows(some)?, first, x, rows, columns, &mut y);
        }
        Ok(y)
    })
}

/// Adds the products with some rows of W, from `first` on.
fn add_rows(some: &[f32], first: usize, x: &[f32], rows: usize, columns: usize, y: &mut [f32]) {
    for (x, y) in x.chunks_exact(rows).zip(y.chunks_exact_mut(columns)) {
        for (row, x) in some.chunks_exact(columns).zip(&x[first..]) {
            // Most pixels are black.
            if *x != 0.0 {
                y.iter_mut().zip(row).for_each(|(y, w)| *y += x * w);
            }
        }
    }
}

pub fn nonzeros(archive: &Archive<Mapped>, images: &Images) -> Result<Vec<f32>> {
    layers::scores(archive, images, |weights, n, x| {
        let (rows, columns) = shape(weights);
        let mut y = vec![0.0; n * columns];
        for entry in weights.nonzeros::<f32>()? {
            let (row, column, weight) = entry?;
            let x = x[row as usize..].iter().step_by(rows);
            let y = y[column as usize..].iter_mut().step_by(columns);
            x.zip(y).for_each(|(x, y)| *y += x * weight);
        }
        Ok(y)
    })
}

pub fn csr(archive: &Archive<Mapped>, images: &Images) -> Result<Vec<f32>> {
    layers::scores(archive, images, |weights, n, x| {
        let csr = weights.csr::<f32>()?;
        let mut y = vec![0.0; n * csr.n_columns];
        let of_images = x.chunks_exact(csr.n_rows);
        for (x, y) in of_images.zip(y.chunks_exact_mut(csr.n_columns)) {
            for (row, x) in x.iter().enumerate() {
                let (columns, weights) = csr.row(row);
                for (&column, weight) in columns.iter().zip(weights) {
                    y[column as usize] += x * weight;
                }
            }
        }
        Ok(y)
    })
}

pub fn ndarray(archive: &Archive<Mapped>, images: &Images) -> Result<Vec<f32>> {
    layers::scores(archive, images, |weights, n, x| {
        let kernel = weights.to_array::<f32>()?.into_dimensionality::<Ix2>()?;
        let x = ArrayView2::from_shape((n, kernel.nrows()), x)?;
        Ok(x.dot(&kernel).into_raw_vec_and_offset().0)
    })
}

pub fn sprs(archive: &Archive<Mapped>, images: &Images) -> Result<Vec<f32>> {
    layers::scores(archive, images, |weights, n, x| {
        let kernel = weights.to_sprs::<f32>()?;
        let mut y = vec![0.0; n * kernel.cols()];
        let of_images = x.chunks_exact(kernel.rows());
        for (x, y) in of_images.zip(y.chunks_exact_mut(kernel.cols())) {
            mul_acc_mat_vec_csc(kernel.transpose_view(), x, y);
        }
        Ok(y)
    })
}

pub fn candle(archive: &Archive<Mapped>, images: &Images) -> Result<Vec<f32>> {
    // What models of candle-nn take their weights from.
    let weights = VarBuilder::from_backend(Box::new(Weights(archive)), DType::F32, Device::Cpu);
    let x = candle_core::Tensor::from_slice(
        &images.pixels,
        (images.n, images.pixels.len() / images.n),
        weights.device(),
    )?;
    let layer = |x: &candle_core::Tensor, name: &str, shape: (usize, usize)| {
        let layer = weights.pp(name);
        x.matmul(&layer.get(shape, "weights")?)?
            .broadcast_add(&layer.get(shape.1, "biases")?)
    };
    let x = layer(&x, "fc1", (784, 300))?.relu()?;
    let x = layer(&x, "fc2", (300, 100))?.relu()?;
    let scores = layer(&x, "fc3", (100, layers::CLASSES))?;
    Ok(scores.flatten_all()?.to_vec1()?)
}

/// An archive as candle-nn's `VarBuilder` wants its weights: with slashes for its dots, as TensorFlow has them.
struct Weights<'a>(&'a Archive<Mapped>);

impl SimpleBackend for Weights<'_> {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<candle_core::Tensor> {
        // Fails if the shape is another.
        self.get_unchecked(name, dtype, device)?.reshape(shape)
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<candle_core::Tensor> {
        self.0
            .load(&name.replace('.', "/"), device)?
            .to_dtype(dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.tensor(&name.replace('.', "/")).is_ok()
    }
}

fn shape(weights: &Tensor<'_>) -> (usize, usize) {
    let (rows, columns) = weights.matrix_shape();
    (rows as usize, columns as usize)
}

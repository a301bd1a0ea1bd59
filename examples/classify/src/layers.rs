//! LeNet-300-100: three layers, y = x·W + b, with max(0, y) between them.

use crate::mnist::Images;
use anyhow::Result;
use tfzip::{Archive, Mapped, Tensor};

pub const CLASSES: usize = 10;

const LAYERS: [&str; 3] = ["fc1", "fc2", "fc3"];

/// Scores of the images, with a function that multiplies: given the weights of a layer, the number of
/// images and a row of numbers for each, it returns a row of as many numbers as the weights have columns for
/// each.
pub fn scores(
    archive: &Archive<Mapped>,
    images: &Images,
    multiply: impl Fn(&Tensor<'_>, usize, &[f32]) -> Result<Vec<f32>>,
) -> Result<Vec<f32>> {
    let mut x = images.pixels.clone();
    for layer in LAYERS {
        let weights = archive.tensor(&format!("{layer}/weights"))?;
        let biases: Vec<f32> = archive.tensor(&format!("{layer}/biases"))?.to_vec()?;
        let mut y = multiply(&weights, images.n, &x)?;
        let is_last = layer == LAYERS[LAYERS.len() - 1];
        for of_image in y.chunks_exact_mut(biases.len()) {
            for (y, bias) in of_image.iter_mut().zip(&biases) {
                *y += bias;
                if !is_last {
                    *y = y.max(0.0);
                }
            }
        }
        x = y;
    }
    Ok(x)
}

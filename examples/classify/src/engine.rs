//! Through an inference engine that reads TensorFlow's graphs: it gets the model file from memory.

use crate::mnist::Images;
use anyhow::{Context, Result};
use tfzip::{Archive, Mapped};
use tract_tensorflow::prelude::*;

pub fn scores(archive: &Archive<Mapped>, images: &Images) -> Result<Vec<f32>> {
    let mut graph = Vec::new();
    archive.restore(0, &mut graph)?;

    let pixels = images.pixels.len() / images.n;
    let model = tensorflow()
        .model_for_read(&mut &graph[..])?
        .with_input_names(["x"])?
        .with_input_fact(0, f32::fact([images.n, pixels]).into())?
        .with_outputs_by_name(["logits"])?
        .into_optimized()?
        .into_runnable()?;
    let x = Tensor::from_shape(&[images.n, pixels], &images.pixels)?;
    let outputs = model.run(tvec![x.into()])?;
    let scores = outputs.first().context("a graph with an output")?;
    Ok(scores
        .to_plain_array_view::<f32>()?
        .iter()
        .copied()
        .collect())
}

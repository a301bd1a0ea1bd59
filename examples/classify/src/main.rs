//! Classifies images of digits with LeNet-300-100 from a `.tfz` file, once in each way that an app can use
//! its weights, and says how many answers are right.
//!
//!     cargo run --release -- MODEL.tfz IMAGES LABELS
//!
//! IMAGES and LABELS are files of MNIST, `t10k-images-idx3-ubyte.gz` and `t10k-labels-idx1-ubyte.gz`. All ways
//! must give all images the same answer: the exit status is 1 if they don't.

mod engine;
mod layers;
mod mnist;
mod ways;

use anyhow::{Result, ensure};
use std::process::ExitCode;
use std::time::Instant;
use tfzip::{Archive, Mapped};

/// Scores of the ten digits for each image.
type Classify = fn(&Archive<Mapped>, &mnist::Images) -> Result<Vec<f32>>;

const WAYS: [(&str, Classify); 9] = [
    ("tract, from the restored graph", engine::scores),
    ("products on the encoded rows", ways::encoded),
    ("dense", ways::dense),
    ("rows, a few at a time", ways::rows),
    ("nonzeros, one by one", ways::nonzeros),
    ("CSR", ways::csr),
    ("ndarray", ways::ndarray),
    ("sprs", ways::sprs),
    ("candle", ways::candle),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, images, labels] = args.as_slice() else {
        eprintln!("usage: classify MODEL.tfz IMAGES LABELS");
        return ExitCode::from(2);
    };
    match classify(model, images, labels) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("classify: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn classify(model: &str, images: &str, labels: &str) -> Result<()> {
    let images = mnist::Images::read(images)?;
    let labels = mnist::labels(labels)?;
    ensure!(labels.len() == images.n, "as many labels as images, please");
    println!("{model}, {} images", images.n);
    tfzip::with_mapped(model, |archive| Ok(compare(archive, &images, &labels)))?
}

fn compare(archive: &Archive<Mapped>, images: &mnist::Images, labels: &[u8]) -> Result<()> {
    let mut answers: Option<Vec<u8>> = None;
    for (name, scores) in WAYS {
        let start = Instant::now();
        let scores = scores(archive, images)?;
        let seconds = start.elapsed().as_secs_f64();
        let found: Vec<u8> = scores.chunks_exact(layers::CLASSES).map(best).collect();
        ensure!(found.len() == images.n, "{name}: {} answers", found.len());
        let right = found.iter().zip(labels).filter(|(a, b)| a == b).count();
        let accuracy = 100.0 * right as f64 / images.n as f64;
        println!("{accuracy:.2} % {name} ({seconds:.2} s)");
        match &answers {
            None => answers = Some(found),
            Some(first) => {
                let other = first.iter().zip(&found).filter(|(a, b)| a != b).count();
                ensure!(other == 0, "{name}: {other} answers are others");
            }
        }
    }
    println!("the same {} answers in {} ways", images.n, WAYS.len());
    Ok(())
}

/// The digit with the highest score.
fn best(scores: &[f32]) -> u8 {
    (0..scores.len())
        .max_by(|&a, &b| scores[a].total_cmp(&scores[b]))
        .map_or(0, |digit| digit as u8)
}

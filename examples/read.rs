//! Reads an archive from memory and says what is in it: all that an app which only reads needs of this
//! crate. Built without its features, in a few hundred kilobytes:
//!
//! ```sh
//! cargo run --profile smallest --no-default-features --example read model.tfz
//! ```

use std::process::ExitCode;
use tfzip::{Archive, Result};

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: read MODEL.tfz");
        return ExitCode::FAILURE;
    };
    let read = std::fs::read(path)
        .map_err(|e| tfzip::Error::io("cannot read the archive", e))
        .and_then(|bytes| list(&bytes));
    match read {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the name of each tensor, and the sum of its elements where they are float32.
fn list(bytes: &[u8]) -> Result<()> {
    let archive = Archive::new(bytes)?;
    for tensor in archive.tensors() {
        print!("{} {} {:?}", tensor.name(), tensor.dtype(), tensor.shape());
        if tensor.dtype() == tfzip::DType::Float32 && tensor.is_readable() {
            let elements: Vec<f32> = tensor.to_vec()?;
            print!(" {}", elements.iter().map(|&x| f64::from(x)).sum::<f64>());
        }
        println!();
    }
    Ok(())
}

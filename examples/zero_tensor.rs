//! Sets every element of one tensor to zero, in a model of any kind that tfzip reads.
//!
//!     cargo run --release --example zero_tensor -- INPUT TENSOR OUTPUT
//!
//! The output is a model of the same kind, with its checksums repaired: TensorFlow loads it.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, name, output] = args.as_slice() else {
        eprintln!("usage: zero_tensor INPUT TENSOR OUTPUT");
        return ExitCode::from(2);
    };
    let result = tfzip::rewrite_file(input, output, false, |tensor, bytes| {
        Ok((tensor.name == *name).then(|| vec![0; bytes.len()]))
    });
    match result {
        Ok(report) if report.changed.is_empty() => {
            eprintln!("zero_tensor: {input}: no tensor is called {name:?}");
            ExitCode::FAILURE
        }
        Ok(report) => {
            for warning in &report.warnings {
                eprintln!("warning: {warning}");
            }
            println!("{output}: {} tensor(s) set to zero", report.changed.len());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("zero_tensor: {error}");
            ExitCode::FAILURE
        }
    }
}

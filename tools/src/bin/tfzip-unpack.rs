//! `tfzip-unpack`: a `.tfz` becomes the model file again, or one tensor a NumPy file.

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tfzip::{Archive, Error, ErrorKind, Result, Tensor, UnpackOptions};
use tfzip_tools::cli::{self, Writing, say};
use tfzip_tools::text::{hex, printable};
use tfzip_tools::{elements, npy, output, progress};

/// Restore the model file from a .tfz file, byte for byte
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"), version, after_help = MORE)]
struct Args {
    /// The .tfz file
    input: PathBuf,
    /// The model file; without it, the name that it had, beside INPUT
    output: Option<PathBuf>,
    /// Write only this tensor, as NumPy's file: its name, or # and its number
    #[arg(long, value_name = "NAME", requires = "output")]
    tensor: Option<String>,
    #[command(flatten)]
    writing: Writing,
}

const MORE: &str = "\
The SHA-256 of the model file is proven before it gets its name.

Examples:
  tfzip-unpack model.tfz           writes model.pb, if that was its name
  tfzip-unpack model.tfz --tensor fc1/kernel fc1.npy
  tfzip-unpack model.tfz --tensor '#12' out.npy
                                   tfzip-inspect --json has the numbers";

fn main() -> ExitCode {
    cli::run(unpack)
}

fn unpack(args: Args) -> Result<String> {
    let Args { input, writing, .. } = &args;
    let output = match &args.output {
        Some(output) => output.clone(),
        None => default_output(input)?,
    };
    output::check(&output, writing.force)?;
    let result = match &args.tensor {
        Some(name) => write_tensor(input, name, &output, writing)?,
        None => restore(input, &output, writing)?,
    };
    if writing.quiet {
        return Ok(String::new());
    }
    let output = output.display().to_string();
    Ok(format!("{} : {result}\n", printable(&output)))
}

/// The name that the model file had, beside the input.
fn default_output(input: &Path) -> Result<PathBuf> {
    tfzip::with_mapped(input, |archive| match archive.files().next() {
        Some(file) => Ok(input.with_file_name(file.name)),
        None => Err(Error::new(ErrorKind::Unsupported, "it holds no files")),
    })
}

/// Restores the model file; returns what was proven about it.
fn restore(input: &Path, output: &Path, writing: &Writing) -> Result<String> {
    let report = progress::during(writing.quiet, "unpacking", |bar| {
        let mut options = UnpackOptions::default();
        options.threads = writing.threads.into();
        options.overwrite = writing.force;
        options.progress = Some(bar.callback());
        tfzip::unpack_file(input, Some(output), &options)
    })?;
    let sha256 = hex(&report.sha256);
    Ok(match report.source_sha256.map(|hash| hex(&hash)) {
        None => format!("identical (sha256 {sha256})"),
        Some(source) => format!(
            "restored (sha256 {sha256}), zeros made canonical; the source was sha256 {source}"
        ),
    })
}

/// Writes one tensor as NumPy's file; returns what it is.
fn write_tensor(input: &Path, name: &str, output: &Path, writing: &Writing) -> Result<String> {
    let (dtype, shape, elements) = tfzip::with_mapped(input, |archive| {
        let tensor = find(archive, name)?;
        let elements = elements::of(&tensor)?;
        Ok((tensor.dtype(), tensor.shape().to_vec(), elements))
    })?;
    output::write(output, writing.force, |out| {
        npy::write(out, dtype, &shape, &elements)
    })?;
    if !npy::is_native(dtype) && !writing.quiet {
        let descr = npy::descr(dtype);
        say(format_args!(
            "note: NumPy has no {dtype}; its bytes are written as '{descr}'"
        ));
    }
    Ok(format!("{dtype} {shape:?}"))
}

/// The tensor called `name`, or with the number that stands after a `#`.
fn find<'a, D: AsRef<[u8]>>(archive: &'a Archive<D>, name: &str) -> Result<Tensor<'a>> {
    let number = name.strip_prefix('#').and_then(|n| n.parse().ok());
    match number.and_then(|number| archive.tensors().nth(number)) {
        Some(tensor) => Ok(tensor),
        None => archive.tensor(name),
    }
}

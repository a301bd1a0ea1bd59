//! `tfzip-unpack`: a `.tfz` becomes the model file again, or one tensor a NumPy file.

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tfzip::{Archive, Result, Tensor, UnpackOptions};
use tfzip_tools::cli::{self, Writing, say};
use tfzip_tools::text::{hex, printable};
use tfzip_tools::{elements, npy, output, progress};

/// Restore the model from a .tfz file, byte for byte
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"), version, after_help = MORE)]
struct Args {
    /// The .tfz file
    input: PathBuf,
    /// The model; without it, beside INPUT: a file under the name that it had, a folder under
    /// INPUT's name without its extension
    output: Option<PathBuf>,
    /// Write only this tensor, as NumPy's file: its name, or # and its number
    #[arg(long, value_name = "NAME", requires = "output")]
    tensor: Option<String>,
    #[command(flatten)]
    writing: Writing,
}

const MORE: &str = "\
The SHA-256 of every file is proven before the model gets its name.

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
    if let Some(output) = &args.output {
        output::check(output, writing.force)?;
    }
    let (output, result) = match (&args.tensor, &args.output) {
        (Some(name), Some(output)) => (output.clone(), write_tensor(input, name, output, writing)?),
        _ => restore(input, args.output.as_deref(), writing)?,
    };
    if writing.quiet {
        return Ok(String::new());
    }
    let output = output.display().to_string();
    Ok(format!("{} : {result}\n", printable(&output)))
}

/// Restores the model; returns where it is and what was proven about it.
fn restore(input: &Path, output: Option<&Path>, writing: &Writing) -> Result<(PathBuf, String)> {
    let report = progress::during(writing.quiet, "unpacking", |bar| {
        let mut options = UnpackOptions::default();
        options.threads = writing.threads.into();
        options.overwrite = writing.force;
        options.progress = Some(bar.callback());
        tfzip::unpack_file(input, output, &options)
    })?;
    let changed = report.files.iter().any(|file| {
        file.source_sha256
            .is_some_and(|source| source != file.sha256)
    });
    let proven = match &report.files[..] {
        [file] => format!("(sha256 {})", hex(&file.sha256)),
        files => format!("({} files, each with its sha256)", files.len()),
    };
    let result = match (changed, &report.files[..]) {
        (false, _) => format!("identical {proven}"),
        (true, [file]) => format!(
            "restored {proven}, zeros made canonical; the source was sha256 {}",
            hex(&file.source_sha256.unwrap_or_default())
        ),
        (true, _) => format!("restored {proven}, zeros made canonical"),
    };
    Ok((report.output, result))
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

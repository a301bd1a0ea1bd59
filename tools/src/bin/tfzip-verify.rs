//! `tfzip-verify`: whether a `.tfz` is whole.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use tfzip::Result;
use tfzip_tools::text::{hex, printable};
use tfzip_tools::{cli, compare, progress};

/// Check a .tfz file: every checksum, every tensor, the SHA-256 of every restored file
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"), version, after_help = MORE)]
struct Args {
    /// The .tfz file
    input: PathBuf,
    /// Compare the restored model with this one, byte by byte: a file, a folder, or the prefix or
    /// index of a checkpoint
    #[arg(long, value_name = "MODEL")]
    against: Option<PathBuf>,
    /// Print nothing but errors: no result, no progress
    #[arg(short, long)]
    quiet: bool,
}

const MORE: &str = "\
Examples:
  tfzip-verify model.tfz
  tfzip-verify model.tfz --against model.pb";

fn main() -> ExitCode {
    cli::run(verify)
}

fn verify(args: Args) -> Result<String> {
    let result = progress::during(args.quiet, "verifying", |bar| {
        tfzip::with_mapped(&args.input, |archive| {
            archive.verify()?;
            let bytes = archive.restored_bytes();
            if let Some(model) = &args.against {
                compare::with_model(archive, model, |done| bar.set("comparing", done, bytes))?;
            }
            let mut files = archive.files();
            let proven = match (files.next(), files.next()) {
                (Some(file), None) => format!("sha256 {}", hex(&file.sha256)),
                _ => format!("{} files, each with its sha256", archive.files().len()),
            };
            let n_tensors = archive.tensors().len();
            Ok(format!(
                "{n_tensors} tensors, {bytes} bytes restored, {proven}"
            ))
        })
    })?;
    if args.quiet {
        return Ok(String::new());
    }
    let same = args.against.map_or(String::new(), |model| {
        format!(", identical to {}", printable(&model.display().to_string()))
    });
    let input = args.input.display().to_string();
    Ok(format!("{} : ok{same} ({result})\n", printable(&input)))
}

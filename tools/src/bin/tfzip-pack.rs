//! `tfzip-pack`: a model file becomes a `.tfz`.

use clap::Parser;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tfzip::{Error, ErrorKind, PackOptions, PackReport, Result};
use tfzip_tools::cli::{self, Writing, say};
use tfzip_tools::text::{grouped, hex, percent, printable};
use tfzip_tools::{output, progress};

/// Pack a TensorFlow model into a .tfz file that gives it back byte for byte
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"), version, after_help = MORE)]
struct Args {
    /// The model file: a frozen graph (GraphDef, .pb)
    input: PathBuf,
    /// The .tfz file; without it, INPUT with the extension .tfz
    output: Option<PathBuf>,
    /// Store -0.0 as +0.0; the restored file has other zeros then
    #[arg(long)]
    canonical_zeros: bool,
    #[command(flatten)]
    writing: Writing,
    /// Say what was found
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    /// Print a JSON object instead of the line with the sizes
    #[arg(long)]
    json: bool,
}

const MORE: &str = "\
The output is decoded again, and its SHA-256 proven, before it gets its name.

Examples:
  tfzip-pack model.pb              writes model.tfz
  tfzip-pack -f model.pb out.tfz   overwrites out.tfz
  tfzip-pack --json model.pb | jq .ratio";

fn main() -> ExitCode {
    cli::run(pack)
}

fn pack(args: Args) -> Result<String> {
    let input = &args.input;
    let output = match args.output {
        Some(output) => output,
        None => default_output(input)?,
    };
    output::check(&output, args.writing.force)?;
    let quiet = args.writing.quiet;
    let report = progress::during(quiet, "packing", |bar| {
        let mut options = PackOptions::default();
        options.canonical_zeros = args.canonical_zeros;
        options.threads = args.writing.threads.into();
        options.overwrite = args.writing.force;
        options.progress = Some(bar.callback());
        tfzip::pack_file(input, &output, &options)
    })?;
    if args.verbose {
        say(format_args!(
            "found a {} with {} tensors, {} of them encoded",
            report.kind, report.tensors, report.encoded_tensors
        ));
    }
    if report.negative_zero_bytes > 0 && !quiet {
        say(format_args!(
            "note: {} negative zeros take {} bytes; --canonical-zeros would save them",
            grouped(report.negative_zeros),
            grouped(report.negative_zero_bytes)
        ));
    }
    Ok(match (args.json, quiet) {
        (true, _) => json(input, &output, &report),
        (false, true) => String::new(),
        (false, false) => line(input, &output, &report),
    })
}

/// The input with the extension `.tfz`, if that is another file.
fn default_output(input: &Path) -> Result<PathBuf> {
    let output = input.with_extension("tfz");
    if output == input {
        let detail = "no other name with the extension .tfz; name an output, \
                      or restore an archive with tfzip-unpack";
        return Err(Error::new(ErrorKind::InvalidArgument, detail).within(input.display()));
    }
    Ok(output)
}

fn line(input: &Path, output: &Path, report: &PackReport) -> String {
    format!(
        "{} : {}  ({} => {} bytes, {})\n",
        printable(&input.display().to_string()),
        percent(report.archive_bytes, report.model_bytes),
        report.model_bytes,
        report.archive_bytes,
        printable(&output.display().to_string()),
    )
}

fn json(input: &Path, output: &Path, report: &PackReport) -> String {
    let object = json!({
        "input": input.to_string_lossy(),
        "output": output.to_string_lossy(),
        "kind": report.kind.to_string(),
        "model_bytes": report.model_bytes,
        "archive_bytes": report.archive_bytes,
        "ratio": report.archive_bytes as f64 / report.model_bytes as f64,
        "tensors": report.tensors,
        "encoded_tensors": report.encoded_tensors,
        "negative_zeros": report.negative_zeros,
        "negative_zero_bytes": report.negative_zero_bytes,
        "sha256": hex(&report.sha256),
    });
    format!("{object:#}\n")
}

//! `tfzip-repack`: a `.tfz` becomes one with another profile.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use tfzip::{Profile, RepackOptions, RepackReport, Result};
use tfzip_tools::cli::{self, Encoding, Writing};
use tfzip_tools::text::{percent, printable};
use tfzip_tools::{output, progress};

/// Convert a .tfz file into one with another profile, without the model and without loss
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"), version, after_help = MORE)]
struct Args {
    /// The .tfz file
    input: PathBuf,
    /// The new .tfz file; with --force it may be INPUT, which it replaces as a whole
    output: PathBuf,
    /// What the new file is for: direct, to compute on the mapped file; balanced, small and fast to
    /// read; small, smaller still
    #[arg(long, value_name = "PROFILE", hide_possible_values = true,
        value_parser = cli::profile())]
    profile: Profile,
    #[command(flatten)]
    encoding: Encoding,
    #[command(flatten)]
    writing: Writing,
}

const MORE: &str = "\
The output is what packing the model with that profile gives, and restores the same model: it is
decoded again, and its SHA-256 proven, before it gets its name.

Examples:
  tfzip-repack model.tfz mapped.tfz --profile direct
  tfzip-repack -f model.tfz model.tfz --profile small";

fn main() -> ExitCode {
    cli::run(repack)
}

fn repack(args: Args) -> Result<String> {
    let (input, output) = (&args.input, &args.output);
    output::check(output, args.writing.force)?;
    let report = progress::during(args.writing.quiet, "repacking", |bar| {
        let mut options = RepackOptions::default();
        options.profile = args.profile;
        options.effort = args.encoding.effort;
        options.threads = args.writing.threads.into();
        options.overwrite = args.writing.force;
        options.progress = Some(bar.callback());
        tfzip::repack_file(input, output, &options)
    })?;
    if args.writing.quiet {
        return Ok(String::new());
    }
    Ok(format!(
        "{} : {}  ({} => {} bytes, {}, {})\n",
        printable(&input.display().to_string()),
        percent(report.archive_bytes, report.input_bytes),
        report.input_bytes,
        report.archive_bytes,
        profiles(&report),
        printable(&output.display().to_string()),
    ))
}

/// From which profile to which.
fn profiles(report: &RepackReport) -> String {
    match report.input_profile {
        Some(before) => format!("{before} => {}", report.profile),
        None => report.profile.to_string(),
    }
}

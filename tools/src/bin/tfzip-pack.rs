//! `tfzip-pack`: a model file becomes a `.tfz`.

use clap::Parser;
use glob::Pattern;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tfzip::prune::{Assigned, Rule};
use tfzip::{Error, ErrorKind, PackOptions, PackReport, Profile, Result, Select};
use tfzip_tools::cli::{self, Encoding, Writing, say};
use tfzip_tools::prune::args::{Selection, from_str};
use tfzip_tools::prune::report as prune;
use tfzip_tools::text::{grouped, percent, printable};
use tfzip_tools::{output, progress};

/// Pack a TensorFlow model into a .tfz file that gives it back byte for byte
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"), version, after_help = MORE)]
struct Args {
    /// The model: a frozen graph, a SavedModel folder, a checkpoint (its prefix or .index), a .meta,
    /// .tflite, .keras or .h5 file, or any folder with such files
    input: PathBuf,
    /// The .tfz file; without it, INPUT with the extension .tfz
    output: Option<PathBuf>,
    /// What the file is for: direct, to compute on the mapped file; balanced, small and fast to read;
    /// small, smaller still. tfzip-repack converts one into another
    #[arg(long, value_name = "PROFILE", default_value_t, hide_possible_values = true,
        value_parser = cli::profile())]
    profile: Profile,
    #[command(flatten)]
    encoding: Encoding,
    /// Store -0.0 as +0.0; the restored model has other zeros then
    #[arg(long)]
    canonical_zeros: bool,
    /// Prune before packing, as tfzip-prune does: a rule for all weights, GLOB=RULE for some
    #[arg(long, value_name = "[GLOB=]RULE", value_parser = from_str::<Assigned<Rule>>)]
    prune: Vec<Assigned<Rule>>,
    #[command(flatten)]
    pruning: Selection,
    /// Encode only tensors whose names match; the others are compressed as they are
    #[arg(long, value_name = "GLOB", value_parser = Pattern::new)]
    only: Vec<Pattern>,
    /// Don't encode tensors whose names match
    #[arg(long, value_name = "GLOB", value_parser = Pattern::new)]
    skip: Vec<Pattern>,
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

A GLOB has * for any characters, ? for one and [ab] for some; nothing is ever left out.

Examples:
  tfzip-pack model.pb              writes model.tfz
  tfzip-pack saved_model           writes saved_model.tfz, with everything in the folder
  tfzip-pack model.ckpt-7          writes model.ckpt-7.tfz, with the index and all data shards
  tfzip-pack -f model.pb out.tfz   overwrites out.tfz
  tfzip-pack --profile small model.pb
  tfzip-pack --prune std:1.5 --share 5 model.pb
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
    let is_pruned = !args.prune.is_empty() || !args.pruning.is_empty();
    let pruning = args.pruning.options(args.prune)?;
    let quiet = args.writing.quiet;
    let report = progress::during(quiet, "packing", |bar| {
        let mut options = PackOptions::default();
        options.canonical_zeros = args.canonical_zeros;
        options.profile = args.profile;
        options.effort = args.encoding.effort;
        options.threads = args.writing.threads.into();
        options.overwrite = args.writing.force;
        options.progress = Some(bar.callback());
        options.select = selection(args.only, args.skip);
        options.prune = is_pruned.then_some(pruning);
        tfzip::pack_file(input, &output, &options)
    })?;
    if args.verbose {
        say(format_args!(
            "found {} in {} file(s), {} tensors, {} of them encoded, profile {}",
            kinds(&report).join(" and "),
            report.files,
            report.tensors,
            report.encoded_tensors,
            report.profile
        ));
    }
    if !quiet {
        for link in &report.links {
            say(format_args!(
                "note: {} is a link; what it leads to is packed",
                printable(link)
            ));
        }
        for warning in &report.warnings {
            say(format_args!("warning: {warning}"));
        }
    }
    if let Some(pruned) = report.pruned.as_ref().filter(|_| !quiet) {
        for note in prune::notes(pruned) {
            say(format_args!("note: {note}"));
        }
        say(format_args!("{}", prune::line(pruned)));
        if args.verbose {
            say(prune::tensors(pruned).trim_end());
        }
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

/// The tensors that are chosen, if some are.
fn selection(only: Vec<Pattern>, skip: Vec<Pattern>) -> Option<Select> {
    if only.is_empty() && skip.is_empty() {
        return None;
    }
    Some(Select::new(move |tensor| {
        let matches =
            |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(&tensor.name));
        (only.is_empty() || matches(&only)) && !matches(&skip)
    }))
}

/// What was found, each kind once.
fn kinds(report: &PackReport) -> Vec<&'static str> {
    let mut names: Vec<&str> = report.kinds.iter().map(|kind| kind.name()).collect();
    names.dedup();
    names
}

/// The input with the extension `.tfz`, if that is another file. It takes the place of the usual
/// extensions of models, and is added to anything else: what follows the dot of `model.ckpt-7` is no
/// extension.
fn default_output(input: &Path) -> Result<PathBuf> {
    const EXTENSIONS: [&str; 7] = ["pb", "meta", "index", "tflite", "keras", "h5", "tfz"];
    let extension = input.extension().and_then(|extension| extension.to_str());
    let output = match extension {
        Some(extension) if EXTENSIONS.contains(&extension) => input.with_extension("tfz"),
        _ => input.with_added_extension("tfz"),
    };
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
        "kinds": kinds(report),
        "profile": report.profile.name(),
        "files": report.files,
        "model_bytes": report.model_bytes,
        "archive_bytes": report.archive_bytes,
        "ratio": report.archive_bytes as f64 / report.model_bytes as f64,
        "tensors": report.tensors,
        "encoded_tensors": report.encoded_tensors,
        "negative_zeros": report.negative_zeros,
        "negative_zero_bytes": report.negative_zero_bytes,
        "warnings": report.warnings,
        "pruned": report.pruned.as_ref().map(|pruned| prune::Report::new(pruned, None)),
    });
    format!("{object:#}\n")
}

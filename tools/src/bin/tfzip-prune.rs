//! `tfzip-prune`: weights of a model become zero.

use clap::{ArgGroup, Parser};
use std::path::PathBuf;
use std::process::ExitCode;
use tfzip::prune::{Assigned, Rule};
use tfzip::{Error, PackOptions, Profile, PrunedModel, Result};
use tfzip_tools::cli::{self, Encoding, Writing, say};
use tfzip_tools::prune::args::{Selection, from_str};
use tfzip_tools::prune::report::{self, Report};
use tfzip_tools::prune::sizes::Sizes;
use tfzip_tools::prune::{masks, plot, sweep};
use tfzip_tools::{output, progress};

/// Set weights of a TensorFlow model to zero, by a rule
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"), version, after_help = MORE)]
#[command(group(ArgGroup::new("dry").args(["dry_run", "sweep"])))]
struct Args {
    /// The model, as for tfzip-pack
    input: PathBuf,
    /// The pruned model, of the same kind
    #[arg(required_unless_present = "dry", conflicts_with = "dry")]
    output: Option<PathBuf>,
    /// What to prune: a rule for all weights, GLOB=RULE for some. Of several rules for a weight the
    /// last counts
    #[arg(long, value_name = "[GLOB=]RULE", value_parser = from_str::<Assigned<Rule>>)]
    rule: Vec<Assigned<Rule>>,
    #[command(flatten)]
    selection: Selection,
    /// Write the masks to a NumPy file: an array of booleans for each weight, true where it is left
    #[arg(long, value_name = "FILE.npz", conflicts_with = "sweep")]
    masks: Option<PathBuf>,
    /// Prune what the masks of a NumPy file don't leave, too
    #[arg(long, value_name = "FILE.npz", conflicts_with = "sweep")]
    apply_masks: Option<PathBuf>,
    /// Only report
    #[arg(long)]
    dry_run: bool,
    /// Only report each weight's error, and the size to expect, at several sparsities
    #[arg(long, conflicts_with_all = ["rule", "share"])]
    sweep: bool,
    /// Which sparsities
    #[arg(long, value_name = "S,S,…", value_delimiter = ',', requires = "sweep",
        default_values_t = sweep::STEPS)]
    steps: Vec<f64>,
    /// Draw what the sweep found, as SVG
    #[arg(long, value_name = "FILE.svg", requires = "sweep")]
    plot: Option<PathBuf>,
    /// The profile of the .tfz file whose size is told
    #[arg(long, value_name = "PROFILE", default_value_t, hide_possible_values = true,
        value_parser = cli::profile())]
    profile: Profile,
    #[command(flatten)]
    encoding: Encoding,
    #[command(flatten)]
    writing: Writing,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

const MORE: &str = "\
Rules, with |w| the size of a weight; all but global look at one tensor at a time:
  std:Q            |w| < Q times the standard deviation (Han et al. 2015)
  magnitude:T      |w| < T
  sparsity:S       the smallest, so that a share S of the tensor is zero
  global:S         the smallest of all weights together
  norm:Q           |w| < Q times the root of half the sum of squares
  column-variance  |w| < the squared variance of its column times that root
  nm:N:M           all but the N largest of each M in a row, for instance nm:2:4
  block:RxC:S      a share S of the blocks of R rows and C columns, those of least norm
  error:E          as many of the smallest as change the tensor by at most E of its norm

Weights are what the model's graph multiplies by or looks rows up in; a variable, its initial value
and its copies are one. A GLOB has * for any characters, ? for one and [ab] for some.

Examples:
  tfzip-prune --sweep model.pb
  tfzip-prune --rule std:1.5 model.pb pruned.pb
  tfzip-prune --rule sparsity:0.9 --rule 'conv1*=sparsity:0.5' saved_model pruned_model
  tfzip-prune --dry-run --rule global:0.8 --share 5 model.keras
  tfzip-pack --prune std:1.5 model.pb";

fn main() -> ExitCode {
    cli::run(prune)
}

fn prune(args: Args) -> Result<String> {
    let mut packing = PackOptions::default();
    packing.profile = args.profile;
    packing.effort = args.encoding.effort;
    packing.threads = args.writing.threads.into();
    for path in [&args.output, &args.masks, &args.plot]
        .into_iter()
        .flatten()
    {
        output::check(path, args.writing.force)?;
    }
    match args.sweep {
        true => sweep_model(args, &packing),
        false => prune_model(args, &packing),
    }
}

fn prune_model(args: Args, packing: &PackOptions) -> Result<String> {
    let (force, quiet) = (args.writing.force, args.writing.quiet);
    let mut options = args.selection.options(args.rule)?;
    if let Some(path) = &args.apply_masks {
        options.masks = masks::read(path)?;
    }
    let (pruned, sizes) = progress::during(quiet, "pruning", |_| {
        let pruned = PrunedModel::of_file(&args.input, &options, packing.threads)?;
        let needs_sizes = args.json || !quiet;
        let sizes = needs_sizes
            .then(|| Sizes::of(&pruned, packing))
            .transpose()?;
        Ok::<_, Error>((pruned, sizes))
    })?;
    let found = pruned.report();
    if let Some(path) = &args.masks {
        let npz = masks::to_npz(found)?;
        output::write(path, force, |out| out.write_all(&npz))?;
    }
    if let Some(path) = &args.output {
        pruned.write(path, force)?;
    }
    if !quiet {
        for note in report::notes(found) {
            say(format_args!("note: {note}"));
        }
        for warning in pruned.warnings() {
            say(format_args!("warning: {warning}"));
        }
    }
    Ok(match sizes {
        sizes if args.json => json(&Report::new(found, sizes)),
        Some(sizes) if !quiet => {
            format!("{}\n{}", report::tensors(found), report::sizes(&sizes))
        }
        _ => String::new(),
    })
}

fn sweep_model(args: Args, packing: &PackOptions) -> Result<String> {
    let (force, quiet) = (args.writing.force, args.writing.quiet);
    let options = args.selection.options(Vec::new())?;
    let report = progress::during(quiet, "trying", |_| {
        tfzip::sweep_file(&args.input, &options, &args.steps, packing)
    })?;
    if let Some(path) = &args.plot {
        let svg = plot::svg(&report, &args.steps)?;
        output::write(path, force, |out| out.write_all(svg.as_bytes()))?;
    }
    Ok(match (args.json, quiet) {
        (true, _) => json(&sweep::json(&report, &args.steps)),
        (false, true) => String::new(),
        (false, false) => sweep::text(&report, &args.steps),
    })
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("its keys are strings") + "\n"
}

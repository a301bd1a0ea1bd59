//! `tfzip-inspect`: where the bytes of a `.tfz` went.

use clap::{Parser, ValueEnum};
use std::cmp::Reverse;
use std::path::PathBuf;
use std::process::ExitCode;
use tfzip::Result;
use tfzip_tools::report::{Report, TensorReport};
use tfzip_tools::{cli, progress, rivals, table};

/// Show how the tensors of a .tfz file are kept, and where its bytes are
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"), version, after_help = MORE)]
struct Args {
    /// The .tfz file
    input: PathBuf,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// Order of the tensors: largest first, by name, or as in the model file
    #[arg(long, value_enum, value_name = "BY", default_value_t = Sort::File)]
    sort: Sort,
    /// List the tensors in the skeleton too
    #[arg(long)]
    all: bool,
    /// Say what gzip, zstd and xz make of the model file; takes a while
    #[arg(long)]
    compare: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sort {
    Size,
    Name,
    File,
}

const MORE: &str = "\
The limit of a tensor is what its elements hold if positions are independent of each other: the
entropy of the mask, the entropy of signs and exponents, and the mantissas as they are.

Examples:
  tfzip-inspect --sort size model.tfz
  tfzip-inspect --compare model.tfz
  tfzip-inspect --json model.tfz | jq '.parts[] | select(.kind == \"manifest\").bytes'";

fn main() -> ExitCode {
    cli::run(inspect)
}

fn inspect(args: Args) -> Result<String> {
    let mut report = progress::during(args.quiet, "inspecting", |_| {
        tfzip::with_mapped(&args.input, |archive| {
            let mut report = Report::new(args.input.to_string_lossy().into_owned(), archive)?;
            if args.compare {
                report.compare = Some(rivals::measure(archive)?);
            }
            Ok(report)
        })
    })?;
    sort(&mut report.tensors, args.sort);
    Ok(if args.json {
        serde_json::to_string_pretty(&report).expect("its keys are strings") + "\n"
    } else {
        table::report(&report, args.all)
    })
}

fn sort(tensors: &mut [TensorReport], by: Sort) {
    match by {
        Sort::Size => tensors.sort_by_key(|tensor| Reverse(tensor.stored_bytes)),
        Sort::Name => tensors.sort_by(|a, b| a.name.cmp(&b.name)),
        Sort::File => {}
    }
}

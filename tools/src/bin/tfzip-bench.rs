//! `tfzip-bench`: how small a model becomes, and how fast it is read.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use tfzip::{Effort, Error, ErrorKind, Profile, Result};
use tfzip_tools::bench::timing::Budget;
use tfzip_tools::bench::{self, BenchOptions};
use tfzip_tools::{cli, progress};

/// Measure how small a model becomes, and how fast it is encoded and decoded on this machine
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"), version, after_help = MORE)]
struct Args {
    /// The model, anything that tfzip-pack takes; or a .tfz file
    input: PathBuf,
    /// Pack for this profile only: direct, balanced or small. Without it, for each of them; a .tfz
    /// file is measured as it is
    #[arg(long, value_name = "PROFILE")]
    profile: Option<Profile>,
    /// How long packing may take: fast or thorough
    #[arg(long, value_name = "EFFORT", default_value_t)]
    effort: Effort,
    /// Threads to use; 0 is one for each processor
    #[arg(short = 'T', long, value_name = "N", default_value_t = 1)]
    threads: u16,
    /// Seconds for each thing that is measured; it is done at least five times anyway
    #[arg(short, long, value_name = "S", default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Do each thing at least so often
    #[arg(long, value_name = "N", default_value_t = 5, hide = true)]
    runs: usize,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

const MORE: &str = "\
Speeds are medians, in dense bytes of the encoded tensors. A memcpy of as many bytes on one thread is
timed in turn with everything: on a busy machine, believe 'of memcpy' rather than GB/s.

  encode        from memory into memory
  decode        from the mapped file into a buffer that is there, every checksum compared
  cold          the same with fresh memory, after opening the file, and with the file not in the
                system's cache where the system lets it go (it is said where it doesn't)
  first tensor  opening the file and decoding the first encoded tensor

TFZIP_KERNELS=plain (or avx2, avx512, neon) chooses among the kernels that the machine has.

Examples:
  tfzip-bench model.pb
  tfzip-bench --profile balanced --effort fast --threads 0 model.pb
  tfzip-bench model.tfz
  tfzip-bench --json model.pb | jq '.rows[] | {profile, bytes, warm_gb_per_s}'";

fn main() -> ExitCode {
    cli::run(run)
}

fn run(args: Args) -> Result<String> {
    // One pool for everything: to start threads for each tensor would be measured too.
    rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads.into())
        .build_global()
        .map_err(|e| Error::io("cannot start threads", std::io::Error::other(e)))?;
    let options = BenchOptions {
        profile: args.profile,
        effort: args.effort,
        budget: Budget {
            runs: args.runs,
            seconds: args.seconds,
        },
    };
    let report = progress::during(args.quiet, "measuring", |_| {
        bench::measure(&args.input, &options)
    })?;
    Ok(if args.json {
        serde_json::to_string_pretty(&report).expect("its keys are strings") + "\n"
    } else {
        bench::text(&report)
    })
}

fn seconds(text: &str) -> Result<f64> {
    let seconds: Option<f64> = text.parse().ok();
    seconds
        .filter(|seconds| (0.0..1e6).contains(seconds))
        .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "expected a number of seconds"))
}

//! The frame that every program runs in: arguments, exit status, errors, stdout and stderr.

use crate::text::printable;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser};
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::str::FromStr;
use tfzip::{Effort, Error, Profile, Result};

/// Options of the programs that write a file.
#[derive(Args, Debug)]
pub struct Writing {
    /// Overwrite the output if it exists
    #[arg(short, long)]
    pub force: bool,
    /// Threads to use; 0 is one for each processor
    #[arg(short = 'T', long, value_name = "N", default_value_t = 0)]
    pub threads: u16,
    /// Print nothing but errors: no result, no notes, no progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// Options of the programs that encode.
#[derive(Args, Clone, Copy, Debug)]
pub struct Encoding {
    /// How long packing may take: fast, or thorough for smaller files. Reading is as fast either way
    #[arg(long, value_name = "EFFORT", default_value_t, hide_possible_values = true,
        value_parser = effort())]
    pub effort: Effort,
}

/// Takes one of some names for what it names.
fn names<T: FromStr + Clone + Send + Sync + 'static>(
    names: impl IntoIterator<Item = &'static str>,
) -> impl TypedValueParser<Value = T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.parse::<T>())
}

fn effort() -> impl TypedValueParser<Value = Effort> {
    names(Effort::ALL.map(Effort::name))
}

/// Takes the name of a profile.
pub fn profile() -> impl TypedValueParser<Value = Profile> {
    names(Profile::ALL.map(Profile::name))
}

/// Runs a program that turns its arguments into the text for stdout.
///
/// The exit status is 0, 1 for a failed operation, and 2 for wrong usage (clap's doing). An error
/// is one line on stderr.
pub fn run<A: Parser>(program: impl FnOnce(A) -> Result<String>) -> ExitCode {
    let args = A::parse_from(with_dashes(std::env::args_os()));
    match program(args).and_then(|text| print(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let name = A::command().get_name().to_owned();
            say(format_args!("{name}: {}", printable(&error.to_string())));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to stderr. Nobody can be told if that fails.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes to stdout. A reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::io("cannot write to stdout", e)),
        _ => Ok(()),
    }
}

/// Long options with `_` for `-`, as TensorFlow's users type them, become those that clap knows.
/// Values, and what follows `--`, stay as they are.
fn with_dashes(args: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut in_options = true;
    args.map(move |arg| {
        in_options &= arg != "--";
        let option = arg
            .to_str()
            .filter(|arg| in_options && arg.starts_with("--"));
        option.map_or(arg.clone(), |option| {
            let name_end = option.find('=').unwrap_or(option.len());
            let (name, value) = option.split_at(name_end);
            (name.replace('_', "-") + value).into()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_become_dashes_in_names_of_options_only() {
        let args = ["a_b", "--c_d", "--e_f=g_h", "i_j", "-k_l", "--", "--m_n"];
        let found: Vec<_> = with_dashes(args.into_iter().map(OsString::from)).collect();
        let expected = ["a_b", "--c-d", "--e-f=g_h", "i_j", "-k_l", "--", "--m_n"];
        assert_eq!(found, expected);
    }
}

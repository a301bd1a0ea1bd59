//! What to prune and how, from the command line and from a file.

use clap::Args;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tfzip::prune::{Assigned, Pattern, PruneOptions, Rule, ShareBits};
use tfzip::{Error, ErrorKind, Result};

/// What a user wants to be pruned. Everything in the file comes before everything on the command line.
#[derive(Args, Debug, Default)]
pub struct Selection {
    /// Take rules from a TOML file with the keys rules, share, include, exclude (lists of what the
    /// options take) and min-elements
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Give a weight's nonzeros 2^BITS values at most (1 to 8), the centroids of k-means: BITS for all
    /// weights, GLOB=BITS for some
    #[arg(long, value_name = "[GLOB=]BITS", value_parser = from_str::<Assigned<ShareBits>>)]
    pub share: Vec<Assigned<ShareBits>>,
    /// Prune tensors whose names match, weights or not
    #[arg(long, value_name = "GLOB", value_parser = Pattern::new)]
    pub include: Vec<Pattern>,
    /// Don't prune tensors whose names match, nor their copies
    #[arg(long, value_name = "GLOB", value_parser = Pattern::new)]
    pub exclude: Vec<Pattern>,
    /// Don't prune tensors of fewer elements
    #[arg(long, value_name = "N")]
    pub min_elements: Option<u64>,
}

/// The same as a file has it.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct File {
    rules: Vec<String>,
    share: Vec<String>,
    include: Vec<String>,
    exclude: Vec<String>,
    min_elements: Option<u64>,
}

impl Selection {
    /// Whether nothing of it was asked for.
    pub fn is_empty(&self) -> bool {
        let globs = [&self.include, &self.exclude];
        self.rules.is_none()
            && self.share.is_empty()
            && globs.iter().all(|globs| globs.is_empty())
            && self.min_elements.is_none()
    }

    /// The options of the library, with `rules` from the command line.
    ///
    /// # Errors
    /// `Io` if the file can't be read; `InvalidArgument` if it is no TOML, or says what no option takes.
    pub fn options(self, rules: Vec<Assigned<Rule>>) -> Result<PruneOptions> {
        let mut options = match &self.rules {
            Some(path) => read(path).map_err(|e| e.within(format_args!("{}", path.display())))?,
            None => PruneOptions::default(),
        };
        options.rules.extend(rules);
        options.share.extend(self.share);
        options.include.extend(self.include);
        options.exclude.extend(self.exclude);
        options.min_elements = self.min_elements.unwrap_or(options.min_elements);
        Ok(options)
    }
}

fn read(path: &Path) -> Result<PruneOptions> {
    let invalid = |detail: String| Error::new(ErrorKind::InvalidArgument, detail);
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("cannot read", e))?;
    let file: File =
        toml::from_str(&text).map_err(|e| invalid(e.to_string().trim_end().replace('\n', "; ")))?;
    let globs = |texts: &[String]| -> Result<Vec<Pattern>> {
        let glob = |text: &String| {
            Pattern::new(text).map_err(|e| invalid(format!("{text:?} is no glob: {e}")))
        };
        texts.iter().map(glob).collect()
    };
    let mut options = PruneOptions::default();
    options.rules = file
        .rules
        .iter()
        .map(|r| r.parse())
        .collect::<Result<_>>()?;
    options.share = file
        .share
        .iter()
        .map(|s| s.parse())
        .collect::<Result<_>>()?;
    options.include = globs(&file.include)?;
    options.exclude = globs(&file.exclude)?;
    options.min_elements = file.min_elements.unwrap_or(0);
    Ok(options)
}

/// For clap, which needs a function.
///
/// # Errors
/// What parsing gives.
pub fn from_str<T: FromStr<Err = Error>>(text: &str) -> Result<T> {
    text.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Result<PruneOptions> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.toml");
        std::fs::write(&path, text).unwrap();
        let selection = Selection {
            rules: Some(path),
            min_elements: Some(9),
            ..Selection::default()
        };
        selection.options(vec!["std:2".parse().unwrap()])
    }

    #[test]
    fn what_the_command_line_says_comes_last() {
        let text = "rules = ['std:1', 'fc*=sparsity:0.5']\nshare = ['5']\nexclude = ['x']\n\
                    min-elements = 3\n";
        let found = options(text).unwrap();
        let rules: Vec<String> = found.rules.iter().map(ToString::to_string).collect();
        assert_eq!(rules, ["std:1", "fc*=sparsity:0.5", "std:2"]);
        assert_eq!(found.share[0].to_string(), "5");
        assert_eq!(found.exclude[0].as_str(), "x");
        assert_eq!(found.min_elements, 9);
    }

    #[test]
    fn mistakes_in_the_file_say_where() {
        for (text, expected) in [
            ("rules = 3", "rules.toml"),
            ("rule = ['std:1']", "unknown field"),
            ("rules = ['std']", "\"std\" is no rule"),
            ("include = ['[']", "is no glob"),
        ] {
            let error = options(text).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!error.to_string().contains('\n'));
        }
    }
}

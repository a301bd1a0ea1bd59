//! The rules: what each prunes, as a formula.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// Which weights of a tensor become zero.
///
/// A rule parses from and prints as the text that each variant's description starts with. All of them compute in
/// `f64` and look at |w|; sums are exactly rounded. NaN and infinities are never pruned, and don't take
/// part in sums. Where weights are equal and not all of them are to be pruned, the first ones are.
///
/// A tensor is a matrix here whose rows are its last axis (spec §7.4); n is the number of its
/// elements, and numbers of elements to be pruned are rounded to the nearest whole one, halves up. Of
/// no elements, means and deviations are 0. Squares are of weights divided by a power of two, so that none
/// overflows.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// `std:Q`: |w| < Q·σ, with σ = √(Σ(w − w̄)² / n), the tensor's standard deviation.
    ///
    /// Han, Pool, Tran and Dally, *Learning both Weights and Connections for Efficient Neural
    /// Networks* (2015), §3.1: "a quality parameter multiplied by the standard deviation of a layer's
    /// weights".
    Std(f64),
    /// `magnitude:T`: |w| < T.
    Magnitude(f64),
    /// `sparsity:S`: the S·n weights of the tensor with the smallest |w|; what is zero already
    /// counts.
    ///
    /// Zhu and Gupta, *To prune, or not to prune* (2017), §3.
    Sparsity(f64),
    /// `global:S`: as `sparsity:S`, over all tensors with this rule as if they were one.
    ///
    /// Lee, Ajanthan and Torr, *SNIP* (2019) and Frankle and Carbin, *The Lottery Ticket Hypothesis*
    /// (2019), §4 ("globally"), with |w| as what is compared.
    Global(f64),
    /// `norm:Q`: |w| < Q·√(Σw² / 2).
    ///
    /// The first rule of the experiment that this project grew from, where Σw² / 2 is TensorFlow's
    /// `l2_loss`.
    Norm(f64),
    /// `column-variance`: |w| < Var(j)²·√(Σw² / 2) in column j, with Var(j) = Σ(w − w̄)² / rows over
    /// that column, and Σw² over the tensor.
    ///
    /// The second rule of that experiment.
    ColumnVariance,
    /// `nm:N:M`: all but the N largest |w| of each M that follow each other in a row; of fewer at
    /// its end, all but N too.
    ///
    /// Mishra et al., *Accelerating Sparse Deep Neural Networks* (2021), with N:M = 2:4.
    Nm {
        /// N: how many are left, at most `of`.
        keep: usize,
        /// M: of how many, at least 1.
        of: usize,
    },
    /// `block:RxC:S`: the S·b blocks of R rows and C columns with the smallest Σw², of b blocks in
    /// all. Blocks at the edges are smaller where R or C don't divide.
    ///
    /// Narang, Undersander and Diamos, *Block-Sparse Recurrent Neural Networks* (2017), with the norm
    /// of a block for its largest |w|.
    Block {
        /// R, at least 1.
        rows: usize,
        /// C, at least 1.
        columns: usize,
        /// S.
        sparsity: f64,
    },
    /// `error:E`: as many of the smallest |w| as keep √Σ(w − w′)² ≤ E·√Σw², with w′ what is left of
    /// w: the highest sparsity whose relative error is at most E.
    Error(f64),
}

impl Rule {
    /// What every rule looks like, for messages.
    pub const FORMS: &str = "std:Q, magnitude:T, sparsity:S, global:S, norm:Q, column-variance, \
                             nm:N:M, block:RxC:S or error:E";

    /// Fails if a number is out of its range: Q, T and E are finite and not negative, S is 0 to 1.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn check(&self) -> Result<()> {
        let (what, is_valid) = match *self {
            Self::Std(q) | Self::Norm(q) => ("a finite Q of 0 or more", is_size(q)),
            Self::Magnitude(t) => ("a finite T of 0 or more", is_size(t)),
            Self::Error(e) => ("a finite E of 0 or more", is_size(e)),
            Self::Sparsity(s) | Self::Global(s) => ("an S from 0 to 1", is_share(s)),
            Self::ColumnVariance => return Ok(()),
            Self::Nm { keep, of } => ("N <= M and M > 0", keep <= of && of > 0),
            Self::Block {
                rows,
                columns,
                sparsity,
            } => (
                "R and C of at least 1, and an S from 0 to 1",
                rows > 0 && columns > 0 && is_share(sparsity),
            ),
        };
        match is_valid {
            true => Ok(()),
            false => Err(Error::invalid(format!("rule {self}: expected {what}"))),
        }
    }
}

fn is_size(number: f64) -> bool {
    number.is_finite() && number >= 0.0
}

fn is_share(number: f64) -> bool {
    (0.0..=1.0).contains(&number)
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Std(q) => write!(f, "std:{}", Short(q)),
            Self::Magnitude(t) => write!(f, "magnitude:{}", Short(t)),
            Self::Sparsity(s) => write!(f, "sparsity:{}", Short(s)),
            Self::Global(s) => write!(f, "global:{}", Short(s)),
            Self::Norm(q) => write!(f, "norm:{}", Short(q)),
            Self::ColumnVariance => f.write_str("column-variance"),
            Self::Nm { keep, of } => write!(f, "nm:{keep}:{of}"),
            Self::Block {
                rows,
                columns,
                sparsity,
            } => write!(f, "block:{rows}x{columns}:{}", Short(sparsity)),
            Self::Error(e) => write!(f, "error:{}", Short(e)),
        }
    }
}

/// A number in the shorter of its two notations: `0.05`, but `1e-6`.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plain, exponent) = (self.0.to_string(), format!("{:e}", self.0));
        f.write_str(match exponent.len() < plain.len() {
            true => &exponent,
            false => &plain,
        })
    }
}

impl FromStr for Rule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let rule = parse(text).ok_or_else(|| {
            Error::invalid(format!("{text:?} is no rule; expected {}", Self::FORMS))
        })?;
        rule.check()?;
        Ok(rule)
    }
}

/// The rule with this text, whatever its numbers are.
fn parse(text: &str) -> Option<Rule> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let number = || rest.parse::<f64>().ok();
    Some(match name {
        "std" => Rule::Std(number()?),
        "magnitude" => Rule::Magnitude(number()?),
        "sparsity" => Rule::Sparsity(number()?),
        "global" => Rule::Global(number()?),
        "norm" => Rule::Norm(number()?),
        "error" => Rule::Error(number()?),
        "column-variance" if text == name => Rule::ColumnVariance,
        "nm" => {
            let (keep, of) = rest.split_once(':')?;
            Rule::Nm {
                keep: keep.parse().ok()?,
                of: of.parse().ok()?,
            }
        }
        "block" => {
            let (size, sparsity) = rest.split_once(':')?;
            let (rows, columns) = size.split_once('x')?;
            Rule::Block {
                rows: rows.parse().ok()?,
                columns: columns.parse().ok()?,
                sparsity: sparsity.parse().ok()?,
            }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use proptest::prelude::*;

    #[test]
    fn rules_are_what_they_print() {
        for text in [
            "std:0.9",
            "magnitude:1e-6",
            "magnitude:100",
            "sparsity:1",
            "global:0.95",
            "norm:0.01",
            "column-variance",
            "nm:2:4",
            "block:4x1:0.5",
            "error:0.1",
        ] {
            let rule: Rule = text.parse().unwrap();
            assert_eq!(rule.to_string(), text);
        }
        let rule: Rule = "magnitude:0.000001".parse().unwrap();
        assert_eq!(rule, Rule::Magnitude(1e-6));
    }

    #[test]
    fn what_is_no_rule_is_refused_with_what_would_be() {
        for text in [
            "",
            "std",
            "std:",
            "std:x",
            "std:-1",
            "std:inf",
            "magnitude:NaN",
            "sparsity:1.1",
            "global:-0.1",
            "column-variance:2",
            "nm:2",
            "nm:5:4",
            "nm:0:0",
            "block:2:0.5",
            "block:0x2:0.5",
            "block:2x2:2",
            "error:inf",
            "size:3",
        ] {
            let error = text.parse::<Rule>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text}");
            assert!(error.detail().contains("expected"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back_exactly(q in 0.0f64..1e9, s in 0.0f64..=1.0) {
            for rule in [
                Rule::Std(q), Rule::Global(s), Rule::Block { rows: 3, columns: 5, sparsity: s },
            ] {
                prop_assert_eq!(rule.to_string().parse::<Rule>().unwrap(), rule);
            }
        }
    }
}

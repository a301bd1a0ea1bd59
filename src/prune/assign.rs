//! What applies to which tensors: a rule or a number of bits for all of them, or for those with
//! certain names.

use crate::error::{Error, Result};
use glob::Pattern;
use std::fmt;
use std::str::FromStr;

/// A value for the tensors whose names match, or for all.
///
/// Parses from `VALUE` or `GLOB=VALUE`, and prints as that. A glob has `*` for any characters, `/`
/// too, `?` for one and `[ab]` for some.
#[derive(Clone, Debug, PartialEq)]
pub struct Assigned<T> {
    names: Option<Pattern>,
    value: T,
}

impl<T> Assigned<T> {
    /// `value` for all tensors.
    pub fn to_all(value: T) -> Self {
        Self { names: None, value }
    }

    /// The value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Whether it is for a tensor with one of these names.
    pub(super) fn is_for(&self, names: &[&str]) -> bool {
        let matches = |pattern: &Pattern| names.iter().any(|name| pattern.matches(name));
        self.names.as_ref().is_none_or(matches)
    }
}

/// The value for a tensor with these names: the last of the list that is for one of them.
pub(super) fn assigned<'a, T>(list: &'a [Assigned<T>], names: &[&str]) -> Option<&'a T> {
    let mut last_first = list.iter().rev();
    last_first.find(|a| a.is_for(names)).map(Assigned::value)
}

impl<T: FromStr<Err = Error>> FromStr for Assigned<T> {
    type Err = Error;

    /// No value has an equals sign: the last one ends the glob.
    fn from_str(text: &str) -> Result<Self> {
        let Some((glob, value)) = text.rsplit_once('=') else {
            return text.parse().map(Self::to_all);
        };
        let pattern =
            Pattern::new(glob).map_err(|e| Error::invalid(format!("{glob:?} is no glob: {e}")))?;
        Ok(Self {
            names: Some(pattern),
            value: value.parse()?,
        })
    }
}

impl<T: fmt::Display> fmt::Display for Assigned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(names) = &self.names {
            write!(f, "{names}=")?;
        }
        self.value.fmt(f)
    }
}

/// How many bits a code of a shared weight has, 1 to 8: 2^bits values are left of a tensor's nonzeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareBits(u8);

impl ShareBits {
    /// `bits` from 1 to 8.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn new(bits: u8) -> Result<Self> {
        match bits {
            1..=8 => Ok(Self(bits)),
            _ => Err(Error::invalid(format!("{bits} bits; expected 1 to 8"))),
        }
    }

    /// How many values there can be.
    pub fn values(self) -> usize {
        1 << self.0
    }
}

impl FromStr for ShareBits {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bits = text
            .parse()
            .map_err(|_| Error::invalid(format!("{text:?} is no number of bits from 1 to 8")))?;
        Self::new(bits)
    }
}

impl fmt::Display for ShareBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::Rule;

    #[test]
    fn the_last_that_matches_counts() {
        let list: Vec<Assigned<Rule>> = ["std:1", "fc1/*=magnitude:2", "*bias=sparsity:0"]
            .iter()
            .map(|text| {
                let assigned: Assigned<Rule> = text.parse().unwrap();
                assert_eq!(assigned.to_string(), *text);
                assigned
            })
            .collect();
        let rule = |names: &[&str]| assigned(&list, names).unwrap().to_string();
        assert_eq!(rule(&["fc2/kernel"]), "std:1");
        assert_eq!(rule(&["fc1/a/kernel"]), "magnitude:2");
        assert_eq!(rule(&["fc1/bias"]), "sparsity:0");
        assert_eq!(rule(&["x", "fc1/kernel"]), "magnitude:2");
        assert_eq!(assigned(&list[1..], &["fc2/kernel"]), None);
    }

    #[test]
    fn mistakes_are_told_apart() {
        let message = |text: &str| text.parse::<Assigned<Rule>>().unwrap_err().to_string();
        assert!(message("fc1/[=std:1").contains("glob"));
        assert!(message("fc1/*=std").contains("rule"));
        for text in ["0", "9", "-1", "x", "a=0"] {
            assert!(text.parse::<Assigned<ShareBits>>().is_err(), "{text}");
        }
        assert_eq!("5".parse::<ShareBits>().unwrap().values(), 32);
    }
}

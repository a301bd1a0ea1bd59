//! What a file is for, and how long packing may take.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// How positions and values become bytes. All profiles hold the same elements, and are converted into
/// each other without loss by [`repack_file`](crate::repack_file).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Profile {
    /// To compute on: packed rows with pointers to them, and aligned values; nothing to decompress.
    Direct,
    /// Static codes by classes of rows: small files that decode faster than anything of their size.
    #[default]
    Balanced,
    /// The same with classes of columns too, where they save more than the time that they take.
    Small,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Direct, Self::Balanced, Self::Small];

    /// Its number in files (spec §5.2); 4 is set aside for a profile with adaptive codes.
    pub(crate) fn id(self) -> u32 {
        match self {
            Self::Direct => 1,
            Self::Balanced => 2,
            Self::Small => 3,
        }
    }

    /// The profile with this number in files, if this release knows it.
    pub(crate) fn from_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.id() == id)
    }

    /// Its name, as the programs take it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Balanced => "balanced",
            Self::Small => "small",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Profile {
    type Err = Error;

    /// # Errors
    /// `InvalidArgument` for another name.
    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == name)
            .ok_or_else(|| {
                Error::invalid(format!(
                    "profile {name:?}, expected direct, balanced or small"
                ))
            })
    }
}

/// How long packing may look for what makes a file smaller. Reading is as fast either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Effort {
    /// Codes are made from a sample, and few ways are tried.
    Fast,
    /// Codes are made for all elements, and every way is tried that may be worth it.
    #[default]
    Thorough,
}

impl Effort {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Fast, Self::Thorough];

    /// Its name, as the programs take it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Thorough => "thorough",
        }
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Effort {
    type Err = Error;

    /// # Errors
    /// `InvalidArgument` for another name.
    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|effort| effort.name() == name)
            .ok_or_else(|| Error::invalid(format!("effort {name:?}, expected fast or thorough")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_never_change() {
        let profiles = Profile::ALL.map(|p| (p.id(), p.name()));
        assert_eq!(profiles, [(1, "direct"), (2, "balanced"), (3, "small")]);
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse::<Profile>().unwrap(), profile);
            assert_eq!(Profile::from_id(profile.id()), Some(profile));
        }
        assert!("max".parse::<Profile>().is_err());
        assert_eq!([0, 4].map(Profile::from_id), [None, None]);
        for effort in Effort::ALL {
            assert_eq!(effort.name().parse::<Effort>().unwrap(), effort);
        }
    }
}

//! Names of files inside an archive: relative, portable, and nothing that leads elsewhere
//! (spec §6.1).

use crate::error::{Error, Result};

/// Names that mean a device on some systems, whatever follows a dot.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Checks one name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    match name.split('/').find_map(what_is_wrong) {
        None => Ok(()),
        Some(wrong) => Err(Error::corrupt(format!("file name {name:?} {wrong}"))),
    }
}

fn what_is_wrong(part: &str) -> Option<&'static str> {
    if part.is_empty() {
        return Some("has an empty part");
    }
    if part == "." || part == ".." {
        return Some("leads to another folder");
    }
    if part.ends_with(['.', ' ']) {
        return Some("has a part that ends in a dot or a space");
    }
    if part.contains(|c: char| c < ' ' || "\\:<>\"|?*".contains(c)) {
        return Some("has a character that not every system allows");
    }
    is_device(part).then_some("is the name of a device on some systems")
}

fn is_device(part: &str) -> bool {
    let stem = part
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    DEVICES.contains(&stem.as_str())
        || ["com", "lpt"].iter().any(|port| {
            stem.strip_prefix(port)
                .is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_digit()))
        })
}

/// Checks that the names don't get in each other's way.
pub(super) fn check_distinct<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    // With the separator below every other character, what is in a folder follows directly after
    // a file of the folder's name: neighbours are all that has to be compared.
    let mut names: Vec<String> = names
        .map(|name| name.to_lowercase().replace('/', "\0"))
        .collect();
    names.sort_unstable();
    for (first, second) in names.iter().zip(names.iter().skip(1)) {
        let Some(rest) = second.strip_prefix(first.as_str()) else {
            continue;
        };
        let [first, second] = [first, second].map(|name| name.replace('\0', "/"));
        if rest.is_empty() {
            return Err(Error::corrupt(format!(
                "two have the name {first:?}, not counting case"
            )));
        }
        if rest.starts_with('\0') {
            return Err(Error::corrupt(format!(
                "{first:?} is a file or an empty folder, and the folder of {second:?}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_names_pass() {
        for good in [
            "model.pb",
            "a/b/c",
            "variables/variables.data-00000-of-00001",
            ".hidden",
            "..a",
            "console",
            "com",
            "com10",
            "ä ö.pb",
        ] {
            check_name(good).unwrap();
        }
        for bad in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a\\b", "c:", "c:/a", "a\0", "a\n",
            "a.", "a ", "con", "Nul.txt", "a/COM1", "lpt9.pb", "a*", "a?b", "x|y", "\"q\"", "<",
            ">",
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_must_not_meet() {
        let check = |names: &[&str]| check_distinct(names.iter().copied());
        check(&["a/b", "a/c", "ab"]).unwrap();
        assert!(check(&["a/b", "A/B"]).is_err());
        assert!(check(&["a", "a/c"]).is_err());
        assert!(check(&["A/c/d", "a/C"]).is_err());
    }
}

//! Keras archives, `.keras`: a zip whose member `model.weights.h5` is an HDF5 file, stored as it is.
//!
//! A tensor is called what its dataset's path is in `model.weights.h5`, and `MEMBER:PATH` in any
//! other member that is an HDF5 file. Compressed members stay in the skeleton.

mod zip;

use super::{
    Changed, Found, InputFile, Kind, ModelKind, OutputFile, hdf5, numbered, numbered_mut, put_at,
};
use crate::error::Result;

/// The member that makes a zip a model.
const WEIGHTS: &[u8] = b"model.weights.h5";

/// How the names of members end that are looked into.
const HDF5: &[u8] = b".h5";

pub(super) const KIND: Kind = Kind {
    kind: ModelKind::Keras,
    read,
    repair,
};

fn read(files: &[InputFile<'_>], file: usize) -> Result<Option<Found>> {
    let bytes = numbered(files, file).bytes;
    if !bytes.starts_with(zip::LOCAL_HEADER) {
        return Ok(None);
    }
    let (entries, directory_at) = match zip::directory(bytes) {
        Ok((entries, at)) if entries.iter().any(|entry| entry.name == WEIGHTS) => (entries, at),
        Err(error) if starts_like_keras(bytes) => return Err(error),
        _ => return Ok(None),
    };
    let mut tensors = Vec::new();
    for member in zip::members(bytes, entries, directory_at)? {
        let Some(content) = member.content.filter(|_| member.name.ends_with(HDF5)) else {
            continue;
        };
        let Some(prefix) = prefix(member.name) else {
            continue;
        };
        tensors.extend(hdf5::tensors(file, bytes, content, &prefix)?.unwrap_or_default());
    }
    Ok(Some(Found {
        files: vec![file],
        tensors,
    }))
}

/// Whether the first member of a zip is one that Keras writes first.
fn starts_like_keras(bytes: &[u8]) -> bool {
    const NAME_AT: usize = 30;
    let name = bytes.get(NAME_AT..).unwrap_or_default();
    name.starts_with(b"metadata.json") || name.starts_with(WEIGHTS)
}

/// What the names of a member's tensors start with; `None` if its own name cannot be shown.
fn prefix(member: &[u8]) -> Option<String> {
    if member == WEIGHTS {
        return Some(String::new());
    }
    let name = std::str::from_utf8(member).ok()?;
    (!name.contains(char::is_control)).then(|| format!("{name}:"))
}

/// Writes the CRC-32 of every member with changed bytes to all places that have it.
fn repair(
    files: &mut [OutputFile<'_>],
    part: &[usize],
    changed: &[Changed],
) -> Result<Vec<String>> {
    for &file in part {
        let bytes = &mut numbered_mut(files, file).bytes;
        for (at, crc) in new_crcs(bytes, file, changed)? {
            put_at(bytes, at, &crc)?;
        }
    }
    Ok(Vec::new())
}

/// The CRCs of members with changed bytes in file number `file`, and the offsets where they stand.
fn new_crcs(bytes: &[u8], file: usize, changed: &[Changed]) -> Result<Vec<(usize, [u8; 4])>> {
    let in_file = changed.iter().filter(|changed| changed.file == file);
    let mut ranges: Vec<_> = in_file.map(|changed| &changed.range).collect();
    // They are the same or don't overlap, so that their ends are in order too.
    ranges.sort_by_key(|range| range.start);
    let (entries, directory_at) = zip::directory(bytes)?;
    let mut crcs = Vec::new();
    for member in zip::members(bytes, entries, directory_at)? {
        let Some(content) = member.content else {
            continue;
        };
        let first = ranges.partition_point(|range| range.end <= content.start);
        let is_changed = ranges
            .get(first)
            .is_some_and(|range| range.start < content.end);
        if is_changed {
            let crc = crc32fast::hash(bytes.get(content).unwrap_or_default()).to_le_bytes();
            crcs.extend(member.crcs_at.into_iter().map(|at| (at, crc)));
        }
    }
    Ok(crcs)
}

#[cfg(test)]
mod tests;

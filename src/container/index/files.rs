//! Files and their holes: what restoring writes (spec §6).

#![warn(clippy::cast_possible_truncation)]

use super::{File, Hole, Manifest, Payload, SHA256_BYTES};
use crate::container::name::{check_distinct, check_name};
use crate::error::{Error, Result, Within};
use crate::limits::Limits;

pub(super) fn holes(m: &Manifest, n_payloads: usize) -> Result<Vec<Hole>> {
    let mut n_used = 0;
    let mut holes = Vec::with_capacity(m.hole_gap.len());
    for (i, (&gap, &payload)) in m.hole_gap.iter().zip(&m.hole_payload).enumerate() {
        let payload = usize::try_from(payload)
            .ok()
            .filter(|&p| p <= n_used && p < n_payloads)
            .ok_or_else(|| {
                Error::corrupt(format!(
                    "hole {i} names payload {payload}, expected at most {n_used} of {n_payloads}"
                ))
            })?;
        n_used = n_used.max(payload + 1);
        holes.push(Hole { gap, payload });
    }
    if n_used != n_payloads {
        return Err(Error::corrupt(format!(
            "{n_payloads} payloads, of which holes use {n_used}"
        )));
    }
    Ok(holes)
}

/// The files, each with the end of its skeleton.
pub(super) fn files(
    m: &Manifest,
    holes: &[Hole],
    payloads: &[Payload],
    limits: &Limits,
    archive_bytes: u64,
) -> Result<Vec<(File, u64)>> {
    let hash = |all: &[u8], i: usize| all.as_chunks::<SHA256_BYTES>().0.get(i).copied();
    let (mut next_hole, mut skeleton, mut total) = (0usize, 0u64, 0u64);
    let mut files = Vec::with_capacity(m.file_name.len());
    for (i, name) in m.file_name.iter().enumerate() {
        let mut file = || {
            limits.check_file_name(name)?;
            check_name(name)?;
            let bytes = m.file_bytes[i];
            total = total.saturating_add(bytes);
            Limits::check("bytes of all files", total, limits.total_bytes)?;
            limits.check_expansion(total, archive_bytes)?;
            if i64::try_from(total).is_err() {
                return Err(Error::corrupt("all files have 2^63 bytes or more"));
            }
            let first_hole = next_hole;
            next_hole = usize::try_from(m.file_holes[i])
                .ok()
                .and_then(|n| first_hole.checked_add(n))
                .filter(|&end| end <= holes.len())
                .ok_or_else(|| {
                    Error::corrupt(format!("{} holes, more than there are", m.file_holes[i]))
                })?;
            let of_skeleton = holes[first_hole..next_hole]
                .iter()
                .try_fold(bytes, |left, hole| {
                    left.checked_sub(hole.gap)?
                        .checked_sub(payloads[hole.payload].meta.decoded_bytes())
                })
                .ok_or_else(|| {
                    Error::corrupt(format!(
                        "holes and gaps are longer than the file's {bytes} bytes"
                    ))
                })?;
            let gaps: u64 = holes[first_hole..next_hole]
                .iter()
                .map(|hole| hole.gap)
                .sum();
            let skeleton_start = skeleton;
            skeleton += of_skeleton + gaps;
            let file = File {
                name: name.clone(),
                bytes,
                sha256: hash(&m.file_sha256, i).unwrap_or_default(),
                source_sha256: hash(&m.file_source_sha256, i),
                holes: first_hole..next_hole,
                skeleton_start,
            };
            Ok((file, skeleton))
        };
        let file = file().within(|| format!("file {i}"))?;
        files.push(file);
    }
    if next_hole != holes.len() {
        return Err(Error::corrupt(format!(
            "{} holes, of which {next_hole} are in files",
            holes.len()
        )));
    }
    for (i, name) in m.empty_folder.iter().enumerate() {
        let check = || {
            limits.check_file_name(name)?;
            check_name(name)
        };
        check().within(|| format!("empty folder {i}"))?;
    }
    check_distinct(
        m.file_name
            .iter()
            .chain(&m.empty_folder)
            .map(String::as_str),
    )?;
    Ok(files)
}

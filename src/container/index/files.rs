//! Files and their holes: what restoring writes (spec §6).

use super::columns::Columns;
use super::{File, Hole, Payload};
use crate::container::SHA256_BYTES;
use crate::container::name::{check_distinct, check_name};
use crate::error::{Error, Result, Within};
use crate::limits::Limits;

pub(super) fn holes(c: &Columns, n_payloads: usize) -> Result<Vec<Hole>> {
    let mut n_used = 0;
    let mut holes = Vec::with_capacity(c.hole_gap.len());
    for (i, (&gap, &payload)) in c.hole_gap.iter().zip(&c.hole_payload).enumerate() {
        let payload = usize::try_from(payload)
            .ok()
            .filter(|&p| p <= n_used && p < n_payloads)
            .ok_or_else(|| {
                Error::corrupt(format!(
                    "hole {i} names payload {payload}, expected at most {n_used} of {n_payloads}"
                ))
            })?;
        n_used = n_used.max(payload.saturating_add(1));
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
    c: &Columns,
    holes: &[Hole],
    payloads: &[Payload],
    limits: &Limits,
    archive_bytes: u64,
) -> Result<Vec<(File, u64)>> {
    let hashes = |all: &Vec<u8>| all.as_chunks::<SHA256_BYTES>().0.to_vec();
    let (of_files, of_sources) = (hashes(&c.file_sha256), hashes(&c.file_source_sha256));
    let rows = c.file_name.iter().zip(&c.file_bytes).zip(&c.file_holes);
    let (mut next_hole, mut skeleton, mut total) = (0usize, 0u64, 0u64);
    let mut files = Vec::with_capacity(c.file_name.len());
    for (i, (((name, &bytes), &n_holes), sha256)) in rows.zip(of_files).enumerate() {
        let mut file = || {
            limits.check_file_name(name)?;
            check_name(name)?;
            total = total.saturating_add(bytes);
            Limits::check("bytes of all files", total, limits.total_bytes)?;
            limits.check_expansion(total, archive_bytes)?;
            if i64::try_from(total).is_err() {
                return Err(Error::corrupt("all files have 2^63 bytes or more"));
            }
            let first_hole = next_hole;
            let end = usize::try_from(n_holes)
                .ok()
                .and_then(|n| first_hole.checked_add(n));
            let of_file = end.and_then(|end| Some((end, holes.get(first_hole..end)?)));
            let (end, of_file) = of_file
                .ok_or_else(|| Error::corrupt(format!("{n_holes} holes, more than there are")))?;
            next_hole = end;
            let outside = outside_holes(bytes, of_file, payloads).ok_or_else(|| {
                Error::corrupt(format!(
                    "holes and gaps are longer than the file's {bytes} bytes"
                ))
            })?;
            let skeleton_start = skeleton;
            // No more than `total`.
            skeleton = skeleton.saturating_add(outside);
            let file = File {
                name: name.to_owned(),
                bytes,
                sha256,
                source_sha256: of_sources.get(i).copied(),
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
    for (i, name) in c.empty_folder.iter().enumerate() {
        let check = || {
            limits.check_file_name(name)?;
            check_name(name)
        };
        check().within(|| format!("empty folder {i}"))?;
    }
    check_distinct(c.file_name.iter().chain(c.empty_folder.iter()))?;
    Ok(files)
}

/// Bytes of a file that are in no hole; `None` if it is too short for its holes and the gaps before them.
fn outside_holes(file_bytes: u64, holes: &[Hole], payloads: &[Payload]) -> Option<u64> {
    let mut outside = file_bytes;
    let mut gaps = 0u64;
    for hole in holes {
        outside = outside.checked_sub(payloads.get(hole.payload)?.meta.decoded_bytes())?;
        gaps = gaps.checked_add(hole.gap)?;
    }
    (gaps <= outside).then_some(outside)
}

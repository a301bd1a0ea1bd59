//! Zip archives: their members, and every place where a member's CRC-32 is written.

use crate::error::Result;
use crate::model::hdf5::{Part, offset_error};
use std::ops::Range;

pub(super) const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
const CENTRAL_HEADER: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const END_64_LOCATOR: &[u8] = b"PK\x06\x07";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";

/// Bytes of the end of the central directory without its comment.
const END_LEN: usize = 22;

/// Bytes of what stands before it if numbers need 64 bits.
const END_64_LOCATOR_LEN: usize = 20;

/// The longest comment.
const MAX_COMMENT_LEN: usize = 65_535;

/// Header id of the extra field with sizes of 64 bits.
const ZIP64: u16 = 1;

/// Flag: the CRC and the sizes stand behind the data too.
const HAS_DESCRIPTOR: u16 = 0x0008;

/// Flags of data that is encrypted, a patch, or masked.
const NOT_PLAIN: u16 = 0x0001 | 0x0020 | 0x0040 | 0x2000;

/// A member as the central directory describes it.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    /// Offset in the file of what it says the CRC-32 is.
    crc_at: usize,
    flags: u16,
    method: u16,
    crc: u32,
    stored_len: u64,
    len: u64,
    /// Offset of its local header in the file.
    local_at: u64,
    pub(super) name: &'a [u8],
}

/// A member of the archive.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    pub(super) name: &'a [u8],
    /// From its local header to the end of its data, and of its data descriptor.
    extent: Range<usize>,
    /// Where its content is, if that is stored as it is and its headers agree.
    pub(super) content: Option<Range<usize>>,
    /// Offsets of the numbers that say what the CRC-32 of its content is.
    pub(super) crcs_at: Vec<usize>,
}

/// The entries of the central directory, and where the directory starts.
pub(super) fn directory(file: &[u8]) -> Result<(Vec<Entry<'_>>, usize)> {
    let end_at = find_end(file)?;
    let mut end = Part::of(file, end_at, "the end of the central directory");
    end.expect(END)?;
    let disks = (end.u16()?, end.u16()?);
    let n_here = u64::from(end.u16()?);
    let n_entries = u64::from(end.u16()?);
    let (len, start) = (u64::from(end.u32()?), u64::from(end.u32()?));
    let comment_len = usize::from(end.u16()?);
    end.take(comment_len)?;
    if disks != (0, 0) || n_here != n_entries {
        return Err(offset_error(
            end_at,
            "expected an archive in one part, found one in several",
        ));
    }
    let (directory_end, n_entries, len, start) = match read_end_64(file, end_at)? {
        Some(end) => end,
        None => (end_at, n_entries, len, start),
    };
    let range = usize::try_from(start).ok().zip(usize::try_from(len).ok());
    let Some((start, len)) =
        range.filter(|(start, len)| start.checked_add(*len) == Some(directory_end))
    else {
        return Err(offset_error(
            end_at,
            format!(
                "expected a central directory that ends at offset {directory_end}, found it at \
                 {start} with {len} bytes"
            ),
        ));
    };
    let mut part = Part::of(file, start, "the archive").part(len, "the central directory")?;
    let mut entries = Vec::new();
    while !part.rest().is_empty() {
        entries.push(Entry::read(&mut part)?);
    }
    if u64::try_from(entries.len()).ok() != Some(n_entries) {
        return Err(offset_error(
            start,
            format!(
                "expected {n_entries} entries in the directory, found {}",
                entries.len()
            ),
        ));
    }
    Ok((entries, start))
}

/// Where the end of the central directory starts: its last signature, as Python's `zipfile` takes
/// it, which reads the archives of Keras.
fn find_end(file: &[u8]) -> Result<usize> {
    let first = file.len().saturating_sub(END_LEN + MAX_COMMENT_LEN);
    let last_bytes = file.get(first..).unwrap_or_default();
    let starts_end = |at: usize| {
        last_bytes
            .get(at..)
            .is_some_and(|rest| rest.starts_with(END))
    };
    // Without a comment its place is known, even if the signature's bytes are found in its numbers.
    last_bytes
        .len()
        .checked_sub(END_LEN)
        .filter(|&at| starts_end(at) && last_bytes.ends_with(&[0, 0]))
        .or_else(|| (0..last_bytes.len()).rev().find(|&at| starts_end(at)))
        .and_then(|at| first.checked_add(at))
        .ok_or_else(|| {
            offset_error(
                file.len(),
                "expected an archive's central directory before the end of the file, found none",
            )
        })
}

/// The end of the central directory with 64 bits, if there is one: where it starts, the number of
/// entries, the directory's length and start.
fn read_end_64(file: &[u8], end_at: usize) -> Result<Option<(usize, u64, u64, u64)>> {
    let Some(locator_at) = end_at.checked_sub(END_64_LOCATOR_LEN) else {
        return Ok(None);
    };
    let mut locator = Part::of(file, locator_at, "the locator of the zip64 end");
    if !locator.rest().starts_with(END_64_LOCATOR) {
        return Ok(None);
    }
    locator.expect(END_64_LOCATOR)?;
    locator.take(4)?;
    let at = usize::try_from(locator.u64()?).unwrap_or(usize::MAX);
    let mut end = Part::of(file, at, "the zip64 end of the central directory");
    end.expect(END_64)?;
    end.take(28)?;
    Ok(Some((at, end.u64()?, end.u64()?, end.u64()?)))
}

impl<'a> Entry<'a> {
    fn read(directory: &mut Part<'a>) -> Result<Self> {
        directory.expect(CENTRAL_HEADER)?;
        directory.take(4)?;
        let (flags, method) = (directory.u16()?, directory.u16()?);
        directory.take(4)?;
        let crc_at = directory.at();
        let crc = directory.u32()?;
        let lens = [directory.u32()?, directory.u32()?];
        let [name_len, extra_len, comment_len] =
            [directory.u16()?, directory.u16()?, directory.u16()?].map(usize::from);
        directory.take(8)?;
        let local_at = directory.u32()?;
        let name = directory.take(name_len)?;
        let extra = directory.part(extra_len, "an extra field")?;
        directory.take(comment_len)?;

        // A number that doesn't fit is all ones here; then it stands in the extra field, which has
        // the content's length first.
        let [stored_len, len] = lens;
        let [len, stored_len, local_at] = widen(extra, [len, stored_len, local_at])?;
        Ok(Self {
            crc_at,
            flags,
            method,
            crc,
            stored_len,
            len,
            local_at,
            name,
        })
    }
}

/// The numbers of a header, those that are all ones from the zip64 extra field.
fn widen<const N: usize>(mut extra: Part<'_>, numbers: [u32; N]) -> Result<[u64; N]> {
    let mut wide = numbers.map(u64::from);
    // Python ignores what is too short for an extra field.
    while extra.rest().len() >= 4 {
        let (id, len) = (extra.u16()?, extra.u16()?);
        let mut field = extra.part(usize::from(len), "an extra field")?;
        if id == ZIP64 {
            for number in wide
                .iter_mut()
                .filter(|number| **number == u64::from(u32::MAX))
            {
                *number = field.u64()?;
            }
        }
    }
    Ok(wide)
}

/// The members of the archive whose central directory has `entries` and starts at
/// `directory_at`, in the order of the file.
pub(super) fn members<'a>(
    file: &[u8],
    entries: Vec<Entry<'a>>,
    directory_at: usize,
) -> Result<Vec<Member<'a>>> {
    let mut members = entries
        .into_iter()
        .map(|entry| Member::read(file, entry))
        .collect::<Result<Vec<_>>>()?;
    members.sort_by_key(|member| member.extent.start);
    let mut next_starts = members.iter().map(|member| member.extent.start).skip(1);
    for member in &members {
        let limit = next_starts.next().unwrap_or(directory_at);
        if member.extent.end > limit {
            return Err(offset_error(
                member.extent.start,
                format!(
                    "expected a member of the archive that ends at offset {limit} or before, \
                     found its end at {}",
                    member.extent.end
                ),
            ));
        }
    }
    Ok(members)
}

impl<'a> Member<'a> {
    fn read(file: &[u8], entry: Entry<'a>) -> Result<Self> {
        let local_at = usize::try_from(entry.local_at).unwrap_or(usize::MAX);
        let mut local = Part::of(file, local_at, "a member of the archive");
        local.expect(LOCAL_HEADER)?;
        local.take(2)?;
        let (flags, method) = (local.u16()?, local.u16()?);
        local.take(4)?;
        let crc_at = local.at();
        let crc = local.u32()?;
        let (stored_len, len) = (local.u32()?, local.u32()?);
        let (name_len, extra_len) = (local.u16()?, local.u16()?);
        if local.take(usize::from(name_len))? != entry.name {
            return Err(offset_error(
                local_at,
                format!(
                    "expected the member \"{}\", found another name",
                    entry.name.escape_ascii()
                ),
            ));
        }
        let extra = local.part(usize::from(extra_len), "an extra field")?;
        let [len, stored_len] = widen(extra, [len, stored_len])?;
        let start = local.at();
        local.take(usize::try_from(entry.stored_len).unwrap_or(usize::MAX))?;
        let content = start..local.at();

        let mut crcs_at = vec![entry.crc_at];
        let mut end = content.end;
        let mut is_whole = (crc, stored_len, len) == (entry.crc, entry.stored_len, entry.len);
        if is_whole {
            crcs_at.push(crc_at);
        }
        if flags & HAS_DESCRIPTOR != 0 {
            let descriptor = find_descriptor(local, &entry);
            is_whole |= (crc, stored_len, len) == (0, 0, 0);
            is_whole &= descriptor.is_some();
            if let Some((crc_at, descriptor_end)) = descriptor {
                crcs_at.push(crc_at);
                end = descriptor_end;
            }
        }
        let is_plain = (flags, method) == (entry.flags, 0)
            && entry.method == 0
            && flags & NOT_PLAIN == 0
            && entry.len == entry.stored_len;
        Ok(Self {
            name: entry.name,
            extent: local_at..end,
            content: (is_whole && is_plain).then_some(content),
            crcs_at,
        })
    }
}

/// Where the data descriptor at the start of `rest` has its CRC, and where it ends. It may have a
/// signature, and lengths of 64 bits.
fn find_descriptor(rest: Part<'_>, entry: &Entry<'_>) -> Option<(usize, usize)> {
    let crc = entry.crc.to_le_bytes();
    let (stored_len, len) = (entry.stored_len.to_le_bytes(), entry.len.to_le_bytes());
    [(DESCRIPTOR, 4), (DESCRIPTOR, 8), (&[], 4), (&[], 8)]
        .into_iter()
        .find_map(|(signature, width): (&[u8], usize)| {
            let (stored_len, _) = stored_len.split_at_checked(width)?;
            let (len, _) = len.split_at_checked(width)?;
            let mut rest = rest;
            rest.expect(signature).ok()?;
            let crc_at = rest.at();
            rest.expect(&[&crc, stored_len, len].concat()).ok()?;
            Some((crc_at, rest.at()))
        })
}

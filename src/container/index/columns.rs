//! Tables of the manifest: as many values in every column, and no more than the limits allow
//! (spec §5.2, §11).

use super::{Manifest, SHA256_BYTES};
use crate::error::{Error, Result};
use crate::limits::Limits;
use prost::encoding::{WireType, decode_key, decode_varint};

/// The first field number of each table, the table's name, and how many values its columns may
/// have. `tensor_dim` and `empty_folder` are tables of their own.
fn tables(limits: &Limits) -> [(usize, &'static str, u64); 8] {
    [
        (1, "files", limits.rows),
        (6, "holes", limits.holes),
        (8, "sections", limits.rows),
        (12, "payloads", limits.rows),
        (18, "tensors", limits.rows),
        (22, "dimensions", limits.dims),
        (23, "tensors", limits.rows),
        (27, "empty folders", limits.rows),
    ]
}

/// Field numbers of names, hashes and whatever else is not a column of numbers.
const NAMES: [usize; 3] = [1, 18, 27];
const HASHES: [usize; 2] = [3, 4];
/// The last field that is a column.
const LAST_COLUMN: usize = 27;

/// No column of the message has more values than the limits allow. A byte of the message can
/// become many bytes of memory, so this is asked before it is decoded.
///
/// What does not parse is left to the decoder, which comes no further than this.
pub(super) fn check_message(mut message: &[u8], limits: &Limits) -> Result<()> {
    let mut values = [0u64; LAST_COLUMN + 1];
    // Ends at the end of the message too, where there is no key.
    let mut before = message;
    while let Ok((field, wire_type)) = decode_key(&mut message) {
        let field = field as usize;
        let key = &before[..before.len() - message.len()];
        let n_values = match wire_type {
            WireType::Varint => {
                if decode_varint(&mut message).is_err() {
                    break;
                }
                1
            }
            WireType::LengthDelimited => {
                let length = decode_varint(&mut message)
                    .ok()
                    .and_then(|length| usize::try_from(length).ok());
                let Some((content, rest)) = length.and_then(|n| message.split_at_checked(n)) else {
                    break;
                };
                message = rest;
                count(&mut values, field, content);
                if let (Some(values), true) = (values.get_mut(field), NAMES.contains(&field)) {
                    *values += skip_short(key, &mut message);
                }
                before = message;
                continue;
            }
            WireType::ThirtyTwoBit | WireType::SixtyFourBit => {
                let n_bytes = if wire_type == WireType::ThirtyTwoBit {
                    4
                } else {
                    8
                };
                let Some(rest) = message.get(n_bytes..) else {
                    break;
                };
                message = rest;
                0
            }
            // What stands in a group is counted as if it stood outside.
            WireType::StartGroup | WireType::EndGroup => 0,
        };
        if let Some(values) = values.get_mut(field) {
            *values += n_values;
        }
        before = message;
    }
    for (field, &found) in values.iter().enumerate() {
        let table = tables(limits)
            .into_iter()
            .rfind(|&(first, ..)| first <= field);
        if let Some((_, what, limit)) = table {
            Limits::check(what, found, limit)?;
        }
    }
    Ok(())
}

/// Takes off the fields that follow with the same key and a content of less than 128 bytes, and returns
/// how many they are. A hundred thousand names are such fields, mostly.
fn skip_short(key: &[u8], message: &mut &[u8]) -> u64 {
    let mut n = 0;
    while let Some([length @ ..0x80, rest @ ..]) = message.strip_prefix(key)
        && let Some(rest) = rest.get(usize::from(*length)..)
    {
        *message = rest;
        n += 1;
    }
    n
}

/// Counts the values of a field with this content: one name, or as many numbers as varints end.
fn count(values: &mut [u64], field: usize, content: &[u8]) {
    if HASHES.contains(&field) {
        return;
    }
    if let Some(values) = values.get_mut(field) {
        *values += match NAMES.contains(&field) {
            true => 1,
            false => n_varints(content),
        };
    }
}

/// How many varints end in `content`: each with the one byte whose top bit is clear.
fn n_varints(content: &[u8]) -> u64 {
    // So few that a byte counts them, and the compiler counts a register of bytes at once.
    const CHUNK: usize = 128;
    let ends = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(*byte < 0x80)).sum::<u8>();
    content
        .chunks(CHUNK)
        .map(|chunk| u64::from(ends(chunk)))
        .sum()
}

/// Every column has as many values as its table has rows, and tables are within limits.
pub(super) fn check_columns(m: &Manifest, limits: &Limits) -> Result<()> {
    let table = |what: &str, rows: usize, limit: u64, columns: &[usize]| {
        Limits::check(what, rows as u64, limit)?;
        match columns.iter().find(|&&n| n != rows) {
            None => Ok(()),
            Some(n) => Err(Error::corrupt(format!(
                "columns of {what} have {rows} and {n} values"
            ))),
        }
    };
    table(
        "files",
        m.file_name.len(),
        limits.rows,
        &[m.file_bytes.len(), m.file_holes.len()],
    )?;
    let hashes = m.file_name.len() * SHA256_BYTES;
    if m.file_sha256.len() != hashes
        || !(m.file_source_sha256.is_empty() || m.file_source_sha256.len() == hashes)
    {
        return Err(Error::corrupt(format!(
            "hashes of {} and {} bytes for {} files",
            m.file_sha256.len(),
            m.file_source_sha256.len(),
            m.file_name.len()
        )));
    }
    table(
        "holes",
        m.hole_gap.len(),
        limits.holes,
        &[m.hole_payload.len()],
    )?;
    table(
        "sections",
        m.section_kind.len(),
        limits.rows,
        &[
            m.section_bytes.len(),
            m.section_align.len(),
            m.section_payloads.len(),
        ],
    )?;
    table(
        "payloads",
        m.payload_width.len(),
        limits.rows,
        &[
            m.payload_elements.len(),
            m.payload_columns.len(),
            m.payload_stored_bytes.len(),
            m.payload_table_bytes.len(),
            m.payload_blocks.len(),
        ],
    )?;
    table(
        "tensors",
        m.tensor_name.len(),
        limits.rows,
        &[
            m.tensor_file.len(),
            m.tensor_dtype.len(),
            m.tensor_rank.len(),
            m.tensor_source.len(),
            m.tensor_at.len(),
            m.tensor_repeats.len(),
            m.tensor_nnz.len(),
        ],
    )?;
    Limits::check("dimensions", m.tensor_dim.len() as u64, limits.dims)
}

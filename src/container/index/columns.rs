//! Tables of the manifest: as many values in every column, and no more than the limits allow
//! (spec §5.2, §11).

use super::{Manifest, SHA256_BYTES};
use crate::error::{Error, Result};
use crate::limits::Limits;

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

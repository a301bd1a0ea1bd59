//! Rows of the manifest that other rows name.

use crate::container::{Index, TensorRow};
use crate::error::{Error, Result};
use crate::payload::{PayloadMeta, Record};

#[expect(
    clippy::indexing_slicing,
    reason = "opening checked that what a row names of another table is there (spec §5 to §7)"
)]
impl Index {
    /// Name of the file that a tensor stands in.
    pub(super) fn file_name_of(&self, tensor: &TensorRow<'_>) -> &str {
        &self.files[tensor.file].name
    }

    /// What the manifest says of the payload that a hole or a tensor names.
    pub(super) fn payload(&self, number: usize) -> PayloadMeta {
        self.payloads[number].meta
    }

    /// The record, in the bytes of the archive, of the payload that a hole or a tensor names.
    pub(super) fn record<'a>(&self, archive: &'a [u8], payload: usize) -> Result<Record<'a>> {
        let payload = &self.payloads[payload];
        let bytes = archive
            .get(payload.range.clone())
            .ok_or_else(|| Error::corrupt("payload outside the file"))?;
        Record::new(bytes, payload.meta)
    }
}

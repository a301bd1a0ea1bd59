//! Files of which nothing has been checked, for those who want to know what a reader makes of lies.

use super::SHA256_BYTES;
use super::head::{Footer, ManifestCoding, header};
use super::index::SectionKind;
use super::manifest::Manifest;
use crate::payload::PayloadMeta;
use crate::tensor::DType;
use prost::Message;

/// Most bytes of sections that a manifest gets.
const MAX_SECTION_BYTES: u64 = 1 << 16;

/// A file with this manifest, stored as it is. Its sections are zeros, as many as the manifest says and
/// `more`.
pub(crate) fn file_of_manifest(message: &[u8], more: usize) -> Vec<u8> {
    let mut out = header();
    if let Ok(m) = Manifest::decode(message) {
        let mut end = out.len() as u64;
        for (i, n_bytes) in m.section_bytes.iter().enumerate() {
            let align = m.section_align.get(i).map_or(0, |align| align % 64);
            end = end
                .checked_next_multiple_of(1 << align)
                .unwrap_or(end)
                .saturating_add(*n_bytes);
        }
        out.resize(end.min(MAX_SECTION_BYTES) as usize, 0);
    }
    out.resize(out.len() + more, 0);
    end_file(out, message)
}

/// A file with one tensor, whose elements are the payload with this record.
pub(crate) fn file_of_record(
    record: &[u8],
    meta: PayloadMeta,
    dtype: DType,
    shape: &[u64],
) -> Vec<u8> {
    let manifest = Manifest {
        file_name: vec!["m".to_owned()],
        file_bytes: vec![meta.decoded_bytes()],
        file_sha256: vec![0; SHA256_BYTES],
        file_holes: vec![1],
        hole_gap: vec![0],
        hole_payload: vec![0],
        section_kind: vec![SectionKind::Payloads as u32],
        section_bytes: vec![record.len() as u64],
        section_align: vec![0],
        section_payloads: vec![1],
        payload_width: vec![meta.width as u32],
        payload_elements: vec![meta.elements],
        payload_columns: vec![meta.columns],
        payload_stored_bytes: vec![meta.stored_bytes],
        payload_table_bytes: vec![meta.table_bytes],
        payload_blocks: vec![meta.blocks],
        tensor_name: vec!["t".to_owned()],
        tensor_file: vec![0],
        tensor_dtype: vec![dtype as u32],
        tensor_rank: vec![shape.len() as u32],
        tensor_dim: shape.to_vec(),
        tensor_source: vec![1],
        tensor_at: vec![0],
        tensor_repeats: vec![0],
        tensor_nnz: vec![0],
        ..Manifest::default()
    };
    let mut out = header();
    out.extend_from_slice(record);
    end_file(out, &manifest.encode_to_vec())
}

/// Adds manifest and footer to what comes before them.
fn end_file(mut out: Vec<u8>, manifest: &[u8]) -> Vec<u8> {
    out.extend_from_slice(manifest);
    let footer = Footer {
        stored_bytes: manifest.len() as u64,
        manifest_bytes: manifest.len() as u64,
        crc: crc32fast::hash(manifest),
        coding: ManifestCoding::Stored,
    };
    out.extend(footer.to_bytes());
    out
}

//! Checksums that are put right, so that what they protect is looked at.

use super::limits;
use crate::container::Index;
use crate::cursor::Cursor;
use crate::payload::PayloadMeta;

/// Bytes of the footer, and where its fields are (spec §5.1).
const FOOTER_BYTES: usize = 32;
const MANIFEST_CRC_AT: usize = 16;
const FOOTER_CRC_AT: usize = 24;

/// `file` with the checksums that its bytes should have, as far as it has places for them.
pub(super) fn mended(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    mend_ends(&mut file);
    if let Ok(index) = Index::read(&file, &limits()) {
        for &frame in &index.frames {
            mend(&mut file[index.sections[frame].range.clone()]);
        }
        for payload in &index.payloads {
            mend_record(&mut file[payload.range.clone()], payload.meta);
        }
    }
    file
}

/// Puts the checksums of header, manifest and footer right.
fn mend_ends(file: &mut [u8]) {
    if file.len() < crate::container::HEADER_BYTES + FOOTER_BYTES {
        return;
    }
    mend(&mut file[..crate::container::HEADER_BYTES]);
    let (before, footer) = file.split_at_mut(file.len() - FOOTER_BYTES);
    let manifest = Cursor::new(footer)
        .u64()
        .ok()
        .and_then(|stored| before.len().checked_sub(usize::try_from(stored).ok()?));
    if let Some(start) = manifest {
        let crc = crc32fast::hash(&before[start..]);
        footer[MANIFEST_CRC_AT..][..4].copy_from_slice(&crc.to_le_bytes());
    }
    mend(&mut footer[..FOOTER_CRC_AT + 4]);
}

/// Puts the checksums of tables, blocks and directory right.
pub(super) fn mend_record(record: &mut [u8], meta: PayloadMeta) {
    let Ok(block_bytes) = meta.block_bytes() else {
        return;
    };
    let (tables, rest) = record.split_at_mut(meta.table_bytes as usize);
    let (blocks, directory) = rest.split_at_mut(block_bytes as usize);
    mend(tables);
    mend(directory);
    let mut start = 0;
    for row in directory.as_chunks::<16>().0 {
        let end = Cursor::new(&row[8..]).u64().unwrap_or(u64::MAX);
        let end = usize::try_from(end).unwrap_or(usize::MAX);
        mend(blocks.get_mut(start..end).unwrap_or_default());
        start = end;
    }
    mend(blocks.get_mut(start..).unwrap_or_default());
}

/// Makes the last four bytes the CRC-32 of those before.
fn mend(part: &mut [u8]) {
    if let Some((body, crc)) = part.split_last_chunk_mut::<4>() {
        *crc = crc32fast::hash(body).to_le_bytes();
    }
}

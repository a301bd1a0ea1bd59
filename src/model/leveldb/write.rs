//! Writes the parts of a table.

use super::{FOOTER_LEN, MAGIC, masked_crc32c};

/// Adds an entry to the contents of a block: how much of its key is shared, the rest of the key, and
/// the value.
pub(super) fn push_entry(contents: &mut Vec<u8>, shared: usize, rest: &[u8], value: &[u8]) {
    for len in [shared, rest.len(), value.len()] {
        push_varint(contents, len);
    }
    contents.extend_from_slice(rest);
    contents.extend_from_slice(value);
}

/// Adds the restarts, with which contents end.
pub(super) fn push_restarts(contents: &mut Vec<u8>, restarts: &[u32]) {
    let n_restarts = restarts.len() as u32;
    for number in restarts.iter().chain([&n_restarts]) {
        contents.extend(number.to_le_bytes());
    }
}

/// Adds a block with its trailer, and returns its handle. The contents are as they are after
/// `compression`.
pub(super) fn push_block(file: &mut Vec<u8>, contents: &[u8], compression: u8) -> Vec<u8> {
    let mut handle = Vec::new();
    push_varint(&mut handle, file.len());
    push_varint(&mut handle, contents.len());
    let block = [contents, &[compression]].concat();
    file.extend_from_slice(&block);
    file.extend(masked_crc32c(&block).to_le_bytes());
    handle
}

/// Adds a footer with the handles of the metaindex and of the index.
pub(super) fn push_footer(file: &mut Vec<u8>, handles: &[u8]) {
    let mut footer = handles.to_vec();
    footer.resize(FOOTER_LEN.saturating_sub(MAGIC.len()), 0);
    file.extend(footer);
    file.extend_from_slice(MAGIC);
}

fn push_varint(out: &mut Vec<u8>, value: usize) {
    let mut value = value as u64;
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

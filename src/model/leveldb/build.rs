//! A writer of tables for tests: of any content, legal or not.

use super::write;
pub(super) use super::write::{push_entry, push_footer};

/// Keys and values.
pub(crate) type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// How entries are laid out in a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) block_entries: usize,
    pub(crate) restart_interval: usize,
    pub(crate) is_compressed: bool,
}

/// TensorFlow's.
pub(crate) const PLAIN: Layout = Layout {
    block_entries: usize::MAX,
    restart_interval: 16,
    is_compressed: false,
};

/// A table of these entries.
pub(crate) fn table(entries: &Entries, layout: Layout) -> Vec<u8> {
    let blocks: Vec<_> = entries
        .chunks(layout.block_entries)
        .map(|chunk| {
            (
                chunk.last().unwrap().0.clone(),
                contents(chunk, layout.restart_interval),
            )
        })
        .collect();
    table_of_blocks(&blocks, layout.is_compressed)
}

/// A table of blocks, each with its key in the index.
pub(crate) fn table_of_blocks(blocks: &[(Vec<u8>, Vec<u8>)], is_compressed: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut index = Vec::new();
    for (key, contents) in blocks {
        index.push((key.clone(), push_block(&mut file, contents, is_compressed)));
    }
    let metaindex = push_block(&mut file, &contents(&[], 1), false);
    let index = push_block(&mut file, &contents(&index, 1), is_compressed);
    push_footer(&mut file, &[metaindex, index].concat());
    file
}

/// The contents of a block.
pub(crate) fn contents(entries: &[(Vec<u8>, Vec<u8>)], restart_interval: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut restarts = vec![];
    let mut last: &[u8] = b"";
    for (i, (key, value)) in entries.iter().enumerate() {
        if i % restart_interval == 0 {
            restarts.push(out.len());
            last = b"";
        }
        let shared = key.iter().zip(last).take_while(|(a, b)| a == b).count();
        push_entry(&mut out, shared, &key[shared..], value);
        last = key;
    }
    push_restarts(&mut out, if restarts.is_empty() { &[0] } else { &restarts });
    out
}

pub(super) fn push_restarts(out: &mut Vec<u8>, restarts: &[usize]) {
    let restarts: Vec<u32> = restarts
        .iter()
        .map(|&r| u32::try_from(r).unwrap())
        .collect();
    write::push_restarts(out, &restarts);
}

/// Adds a block with its trailer, and returns its handle.
pub(super) fn push_block(file: &mut Vec<u8>, contents: &[u8], is_compressed: bool) -> Vec<u8> {
    if is_compressed {
        let compressed = snap::raw::Encoder::new().compress_vec(contents).unwrap();
        write::push_block(file, &compressed, 1)
    } else {
        write::push_block(file, contents, 0)
    }
}

/// The key of a slice with these starts and lengths.
pub(crate) fn slice_key(name: &str, extents: &[(i64, i64)]) -> Vec<u8> {
    let mut key = vec![0];
    for &byte in name.as_bytes() {
        match byte {
            0 => key.extend([0, 0xff]),
            0xff => key.extend([0xff, 0]),
            _ => key.push(byte),
        }
    }
    key.extend([0, 1]);
    match u8::try_from(extents.len()).unwrap() {
        0 => key.push(0),
        rank => key.extend([1, rank]),
    }
    for &(start, len) in extents {
        key.extend(signed(start));
        key.extend(signed(len));
    }
    key
}

/// A number in TensorFlow's ordered code.
pub(crate) fn signed(value: i64) -> Vec<u8> {
    let inversion = if value < 0 { 0xff } else { 0 };
    let value = if value < 0 { !value } else { value };
    let len = (1..=8).find(|n| value < 1 << (7 * n - 1)).unwrap();
    let ones = ((1u64 << len) - 1) << (8 * len - len);
    let bits = ones | value.unsigned_abs();
    (0..len)
        .rev()
        .map(|i| (bits >> (8 * i)).to_le_bytes()[0] ^ inversion)
        .collect()
}

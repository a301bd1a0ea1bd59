//! Blocks without a container around them, and the kernels that decode them.

use super::mending::mend_record;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::kernels::{Isa, Store, differential};
use crate::payload::{PayloadMeta, Record};
use crate::word::{WIDTHS, Word, with_word};

/// A payload of any bytes decodes to elements or gives an error, the same with all kernels, and the
/// entries of its blocks are among its elements. The first nine bytes say how many elements there
/// are, of what width, in which rows, and how many bytes of tables and blocks.
///
/// # Panics
/// If that does not hold.
pub fn block(bytes: &[u8]) {
    let Some((meta, record)) = payload(bytes) else {
        return;
    };
    if let Ok(record) = Record::new(&record, meta) {
        with_word!(meta.width, W => decode_in_every_way::<W>(&record, meta));
    }
}

/// What the first bytes say of a payload, and its record with the right checksums.
pub(super) fn payload(bytes: &[u8]) -> Option<(PayloadMeta, Vec<u8>)> {
    let mut head = Cursor::new(bytes);
    let width = WIDTHS[usize::from(head.u8().ok()?) % WIDTHS.len()];
    let rows = u64::from(head.u16().ok()?) % 256 + 1;
    let columns = u64::from(head.u16().ok()?) % 512 + 1;
    let table_bytes = u64::from(head.u16().ok()?);
    let blocks = u64::from(head.u16().ok()?).clamp(1, rows * columns);
    let mut record = bytes[head.position()..].to_vec();
    let meta = PayloadMeta {
        width,
        elements: rows * columns,
        columns,
        stored_bytes: record.len() as u64,
        table_bytes,
        blocks,
    };
    mend_record(&mut record, meta);
    Some((meta, record))
}

/// Decodes a payload with all kernels that this machine has, into the caches and past them.
fn decode_in_every_way<W: Word>(record: &Record<'_>, meta: PayloadMeta) {
    let plain = decode_record::<W>(record, meta, (Isa::Plain, Store::Cached), 0x55);
    for isa in Isa::available() {
        for store in [Store::Cached, Store::PastCaches] {
            match (&plain, decode_record::<W>(record, meta, (isa, store), 0xaa)) {
                (Ok(plain), Ok(other)) => {
                    assert!(*plain == other, "every byte is written, in the same way");
                }
                (Err(plain), Err(other)) => assert_eq!(plain.to_string(), other.to_string()),
                (plain, other) => panic!("{:?} and {:?}", plain.is_ok(), other.is_ok()),
            }
        }
    }
}

/// The elements of a payload, written over bytes of `filler`.
pub(super) fn decode_record<W: Word>(
    record: &Record<'_>,
    meta: PayloadMeta,
    (isa, store): (Isa, Store),
    filler: u8,
) -> Result<Vec<u8>> {
    let tables = record.tables::<W>()?.with_isa(isa);
    let mut all = vec![filler; meta.decoded_bytes() as usize];
    let mut rest = &mut all[..];
    for block in 0..record.n_blocks() {
        let elements = record.elements(block);
        assert_eq!(
            record.blocks_of(elements.start..elements.end),
            block..block + 1
        );
        let decoded = record.decode::<W>(block, &tables)?;
        let (out, after) = rest.split_at_mut(decoded.n_bytes());
        decoded.fill(out, store)?;
        let mut next = 0;
        decoded.for_each_entry(|position, bytes| {
            assert!(position >= next, "entries ascend");
            next = position + 1;
            let at = position as usize * W::WIDTH;
            assert_eq!(&out[at..at + W::WIDTH], bytes);
        })?;
        assert!(u64::from(next) <= elements.end - elements.start);
        rest = after;
    }
    assert!(rest.is_empty(), "blocks are the whole payload");
    Ok(all)
}

/// Kernels: every version that this machine has does what the plain one does, whatever the bytes. The
/// first byte says which kernel.
///
/// # Panics
/// If that does not hold.
pub fn kernels(bytes: &[u8]) {
    differential::compare(bytes);
}

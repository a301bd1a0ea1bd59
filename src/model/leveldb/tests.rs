//! Tables of every layout are read, and every rule that a damaged one breaks is named.

use super::build::{self, Entries, Layout, PLAIN};
use super::*;
use crate::error::ErrorKind;
use crate::model::wire::build::raw_varint;
use proptest::prelude::*;

/// A key, its value, and where the value is.
type Found = (Vec<u8>, Vec<u8>, Option<usize>);

/// Everything in a file: keys, values, and where the values are.
fn read(file: &[u8]) -> Result<Option<Vec<Found>>> {
    let Some(table) = Table::open(file)? else {
        return Ok(None);
    };
    let mut found = Vec::new();
    table.entries(|entry| {
        if let Some(at) = entry.at {
            assert_eq!(file[at..at + entry.value.len()], *entry.value);
            assert!(entry.block.contains(&at));
            if !entry.value.is_empty() {
                assert_eq!(table.block_at(at), Some(entry.block));
            }
        }
        found.push((entry.key.to_vec(), entry.value.to_vec(), entry.at));
        Ok(())
    })?;
    table.header(|entry| {
        let (key, value, at) = &found[0];
        assert_eq!(
            (entry.key, entry.value, entry.at),
            (&key[..], &value[..], *at)
        );
        Ok(())
    })?;
    Ok(Some(found))
}

fn complaint(file: &[u8]) -> String {
    let e = read(file).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Model);
    e.to_string()
}

fn sample(n: usize) -> Entries {
    let key = |i: usize| {
        if i == 0 {
            Vec::new()
        } else {
            format!("layer/{i:04}/kernel").into_bytes()
        }
    };
    (0..n)
        .map(|i| (key(i), vec![i.to_string().into_bytes()[0]; i % 7]))
        .collect()
}

/// A table of one block.
fn with_contents(contents: &[u8]) -> Vec<u8> {
    build::table_of_blocks(&[(b"~".to_vec(), contents.to_vec())], false)
}

#[test]
fn tables_of_every_layout_are_read() {
    let entries = sample(100);
    for block_entries in [1, 3, 100] {
        for restart_interval in [1, 2, 16] {
            for is_compressed in [false, true] {
                let layout = Layout {
                    block_entries,
                    restart_interval,
                    is_compressed,
                };
                let found = read(&build::table(&entries, layout)).unwrap().unwrap();
                let places: Vec<_> = found.iter().map(|(_, _, at)| at.is_some()).collect();
                assert_eq!(places, [!is_compressed; 100], "{layout:?}");
                let found: Entries = found
                    .into_iter()
                    .map(|(key, value, _)| (key, value))
                    .collect();
                assert_eq!(found, entries, "{layout:?}");
            }
        }
    }
    assert_eq!(
        read(&build::table(&Vec::new(), PLAIN)).unwrap(),
        Some(Vec::new())
    );
}

#[test]
fn decompressed_tables_hold_the_same() {
    for block_entries in [1, 7, 100] {
        for is_compressed in [false, true] {
            let layout = Layout {
                block_entries,
                restart_interval: 3,
                is_compressed,
            };
            for entries in [sample(100), Entries::new()] {
                let file = build::table(&entries, layout);
                let plain = Table::open(&file).unwrap().unwrap().decompressed().unwrap();
                assert!(!Table::open(&plain).unwrap().unwrap().is_compressed());
                let found = read(&plain).unwrap().unwrap();
                assert!(found.iter().all(|(.., at)| at.is_some()));
                let found: Entries = found.into_iter().map(|(k, v, _)| (k, v)).collect();
                assert_eq!(found, entries);
            }
        }
    }
}

#[test]
fn other_files_are_no_tables() {
    for file in [&b""[..], b"x", MAGIC.split_first().unwrap().1, &[0; 100]] {
        assert!(Table::open(file).unwrap().is_none());
    }
}

#[test]
fn a_header_is_the_value_of_the_empty_key() {
    let header = |entries: &Entries| {
        let file = build::table(entries, PLAIN);
        Table::open(&file)
            .unwrap()
            .unwrap()
            .header(|entry| Ok(entry.value.to_vec()))
            .unwrap()
    };
    assert_eq!(
        header(&vec![(vec![], b"head".to_vec())]),
        Some(b"head".to_vec())
    );
    assert_eq!(header(&vec![(b"a".to_vec(), b"head".to_vec())]), None);
    assert_eq!(header(&Vec::new()), None);
    let empty_block = with_contents(&build::contents(&[], 1));
    assert_eq!(read(&empty_block).unwrap(), Some(Vec::new()));
}

#[test]
fn the_footer_has_two_handles() {
    assert_eq!(
        complaint(MAGIC),
        "offset 0: expected a table's footer of 48 bytes, found 8"
    );
    let mut file = Vec::new();
    build::push_footer(&mut file, &[0xff; 40]);
    assert_eq!(
        complaint(&file),
        "offset 0: expected the handle of a table's index, found none"
    );
    for (start, len) in [(0, 4), (0, u64::MAX), (u64::MAX, 1), (100, 0)] {
        let handles = [&[0, 0][..], &raw_varint(start), &raw_varint(len)].concat();
        let mut file = vec![0; 8];
        build::push_footer(&mut file, &handles);
        assert_eq!(
            complaint(&file),
            format!(
                "offset 8: expected a block and its trailer between offsets 0 and 8, found one of \
                 {len} bytes at {start}"
            )
        );
    }
}

#[test]
fn checksums_are_checked_and_repaired() {
    let file = build::table(&sample(10), PLAIN);
    let table = Table::open(&file).unwrap().unwrap();
    let block = table.blocks[0].clone();
    let mut changed = file.clone();
    changed[block.start + 3] ^= 1;
    assert!(complaint(&changed).starts_with("offset 0: expected a block of "));
    repair_block(&mut changed, &block).unwrap();
    assert!(!complaint(&changed).contains("checksum"));
    changed[block.start + 3] ^= 1;
    repair_block(&mut changed, &block).unwrap();
    assert_eq!(changed, file);
}

#[test]
fn blocks_are_raw_or_snappy() {
    let contents = build::contents(&sample(3), 1);
    let with_stored = |stored: &[u8], compression| {
        let mut file = Vec::new();
        let block = write::push_block(&mut file, stored, compression);
        let index = build::contents(&[(b"~".to_vec(), block.clone())], 1);
        let index = build::push_block(&mut file, &index, false);
        build::push_footer(&mut file, &[block, index].concat());
        file
    };
    assert!(read(&with_stored(&contents, 0)).is_ok());
    assert_eq!(
        complaint(&with_stored(&contents, 2)),
        "offset 0: expected a block of type 0 or 1, found 2"
    );
    assert!(complaint(&with_stored(&[9, 0], 1)).contains("compressed with snappy, found damage: "));
    let bomb = [raw_varint(1 << 30), vec![0; 10]].concat();
    assert_eq!(
        complaint(&with_stored(&bomb, 1)),
        "offset 0: expected a block of at most 960 bytes when decompressed, found more"
    );
    // Nothing compresses better than zeros.
    let zeros = vec![(vec![], vec![0; 100_000])];
    let compressed = Layout {
        is_compressed: true,
        ..PLAIN
    };
    assert_eq!(
        read(&build::table(&zeros, compressed))
            .unwrap()
            .unwrap()
            .len(),
        1
    );
    let broken = snap::raw::Encoder::new().compress_vec(&[7]).unwrap();
    assert_eq!(
        complaint(&with_stored(&broken, 1)),
        "compressed block at offset 0: offset 0: expected a block of at least 4 bytes, found 1"
    );
}

#[test]
fn blocks_stand_apart_and_in_order() {
    let blocks: Vec<_> = [b"a", b"b"]
        .map(|key| (key.to_vec(), build::contents(&[(key.to_vec(), vec![])], 1)))
        .to_vec();
    let with_handles = |select: [usize; 2]| {
        let mut file = Vec::new();
        let handles: Vec<_> = blocks
            .iter()
            .map(|(_, contents)| build::push_block(&mut file, contents, false))
            .collect();
        let index: Vec<_> = [b"a", b"b"]
            .iter()
            .zip(select)
            .map(|(k, i)| (k.to_vec(), handles[i].clone()))
            .collect();
        let index = build::push_block(&mut file, &build::contents(&index, 1), false);
        build::push_footer(&mut file, &[handles[0].clone(), index].concat());
        file
    };
    assert_eq!(read(&with_handles([0, 1])).unwrap().unwrap().len(), 2);
    for select in [[0, 0], [1, 0], [1, 1]] {
        assert!(
            complaint(&with_handles(select)).contains("expected a block and its trailer between")
        );
    }
    let no_handle = build::contents(&[(b"a".to_vec(), vec![0x80])], 1);
    let mut file = Vec::new();
    let index = build::push_block(&mut file, &no_handle, false);
    build::push_footer(&mut file, &[&[0, 0], &index[..]].concat());
    assert_eq!(
        complaint(&file),
        "offset 4: expected the handle of a block, found none"
    );
}

#[test]
fn keys_ascend() {
    for keys in [[&b"b"[..], b"a"], [b"a", b"a"], [b"aa", b"a"], [b"a", b""]] {
        let entries: Entries = keys.iter().map(|key| (key.to_vec(), vec![])).collect();
        for layout in [
            PLAIN,
            Layout {
                block_entries: 1,
                ..PLAIN
            },
        ] {
            // With a block for each, the index complains.
            assert!(complaint(&build::table(&entries, layout)).ends_with("found one that is not"));
        }
        let blocks: Vec<_> = [b"y", b"z"]
            .iter()
            .zip(&entries)
            .map(|(key, entry)| {
                (
                    key.to_vec(),
                    build::contents(std::slice::from_ref(entry), 1),
                )
            })
            .collect();
        let file = build::table_of_blocks(&blocks, false);
        assert!(complaint(&file).ends_with("expected ascending keys, found one that is not"));
    }
}

#[test]
fn entries_end_inside_their_block() {
    for entry in [
        &[0][..],
        &[0, 1, 0],
        &[0, 1, 1, b'a'],
        &[0, 0x80],
        &[0, 0xff, 0xff],
    ] {
        let mut contents = entry.to_vec();
        build::push_restarts(&mut contents, &[0]);
        assert_eq!(
            complaint(&with_contents(&contents)),
            "offset 0: expected an entry, found the end of its block"
        );
    }
    for len in 0..4 {
        assert_eq!(
            complaint(&with_contents(&vec![0; len])),
            format!("offset 0: expected a block of at least 4 bytes, found {len}")
        );
    }
    for n_restarts in [0u32, 2, u32::MAX] {
        let contents = [[0; 4], n_restarts.to_le_bytes()].concat();
        assert_eq!(
            complaint(&with_contents(&contents)),
            format!("offset 4: expected 1 to 1 restarts in a block, found {n_restarts}")
        );
    }
}

#[test]
fn restarts_are_entries_that_share_nothing() {
    let with_restarts = |second_shares: usize, restarts: &[usize]| {
        let mut contents = Vec::new();
        build::push_entry(&mut contents, 0, b"a", b"");
        build::push_entry(&mut contents, second_shares, b"b", b"");
        build::push_restarts(&mut contents, restarts);
        with_contents(&contents)
    };
    assert!(read(&with_restarts(0, &[0, 4])).is_ok());
    assert!(read(&with_restarts(1, &[0])).is_ok());
    assert!(read(&with_restarts(0, &[0])).is_ok());
    for (shares, restarts) in [(1, &[0, 4][..]), (2, &[0]), (1, &[1]), (1, &[4])] {
        assert!(complaint(&with_restarts(shares, restarts)).contains("expected a key that shares"));
    }
    for restarts in [&[0, 3][..], &[0, 0], &[0, 8], &[0, 4, 0], &[0, 4, 4]] {
        assert!(complaint(&with_restarts(0, restarts)).contains("expected restarts at entries"));
    }
    // The first key of a file has nothing to share either.
    let mut contents = Vec::new();
    build::push_entry(&mut contents, 1, b"a", b"");
    build::push_restarts(&mut contents, &[0]);
    assert!(complaint(&with_contents(&contents)).ends_with("found one that shares 1"));
}

#[test]
fn keys_take_no_more_than_the_file_pays_for() {
    let mut contents = Vec::new();
    for len in 0..8000 {
        build::push_entry(&mut contents, len, b"x", b"");
    }
    build::push_restarts(&mut contents, &[0]);
    assert!(complaint(&with_contents(&contents)).contains("at most 16 times the file"));
}

#[test]
fn varints_have_64_bits() {
    assert_eq!(take_varint(&mut &raw_varint(u64::MAX)[..]), Some(u64::MAX));
    assert_eq!(take_varint(&mut &[&[0xff; 9][..], &[2]].concat()[..]), None);
    assert_eq!(take_varint(&mut &[0x80; 11][..]), None);
    assert_eq!(take_varint(&mut &[][..]), None);
}

#[test]
fn beginnings_of_tables_never_panic() {
    for layout in [
        PLAIN,
        Layout {
            block_entries: 2,
            restart_interval: 2,
            is_compressed: true,
        },
    ] {
        let file = build::table(&sample(20), layout);
        for n in 0..file.len() {
            assert!(read(&file[..n]).unwrap().is_none());
            let rest = &file[file.len() - FOOTER_LEN..];
            assert!(read(&[&file[..n], rest].concat()).is_err() || n >= file.len() - FOOTER_LEN);
        }
    }
}

proptest! {
    #[test]
    fn any_contents_never_panic(
        contents in prop::collection::vec(prop_oneof![0..4u8, any::<u8>()], 0..60),
        n_restarts in 0..3usize,
        is_compressed in any::<bool>(),
    ) {
        let mut contents = contents;
        build::push_restarts(&mut contents, &vec![0; n_restarts]);
        let block = (b"~".to_vec(), contents);
        let _ = read(&build::table_of_blocks(&[block], is_compressed));
    }

    #[test]
    fn damaged_tables_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        is_compressed in any::<bool>(),
    ) {
        let layout = Layout { block_entries: 5, restart_interval: 3, is_compressed };
        let mut file = build::table(&sample(12), layout);
        let mut blocks = Table::open(&file).unwrap().unwrap().blocks;
        // The index: all between the metaindex and the footer.
        let metaindex_end = blocks.last().unwrap().end + 5 + 8 + 5;
        blocks.push(metaindex_end..file.len() - FOOTER_LEN - TRAILER_LEN);
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        for block in &blocks {
            repair_block(&mut file, block).unwrap();
        }
        let _ = read(&file);
    }

    #[test]
    fn keys_of_slices_are_decoded(
        name in "[a-z/\u{0}\u{e9}]{0,8}",
        extents in prop::collection::vec((0..1i64 << 54, -1..1i64 << 54), 0..5),
        small in prop::collection::vec((0..200i64, 0..200i64), 0..5),
    ) {
        for extents in [extents, small] {
            let key = build::slice_key(&name, &extents);
            let decoded = SliceKey::decode(&key);
            if extents.iter().any(|&(start, len)| len == -1 && start != 0) {
                prop_assert_eq!(decoded, None);
                continue;
            }
            let decoded = decoded.unwrap();
            prop_assert_eq!(&decoded.name, name.as_bytes());
            let shape: Vec<u64> = extents.iter().map(|(_, len)| len.unsigned_abs()).collect();
            let ranges: Vec<_> = extents
                .iter()
                .map(|&(start, len)| start.unsigned_abs()..start.unsigned_abs() + len.unsigned_abs())
                .collect();
            prop_assert_eq!(decoded.ranges_of(&shape), Some(ranges));
            for n in 0..key.len() {
                prop_assert_eq!(SliceKey::decode(&key[..n]), None);
            }
        }
    }

    #[test]
    fn any_key_is_decoded_or_not(key in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = SliceKey::decode(&[&[0][..], &key].concat());
    }
}

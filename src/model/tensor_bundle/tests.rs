//! Bundles of every form are read and repaired, and what TensorFlow refuses is refused.

use super::super::leveldb::build::{self, Entries, Layout, PLAIN};
use super::super::wire::build::{bytes, fixed32, varint};
use super::*;
use crate::error::ErrorKind;
use crate::model::{self, Change};
use proptest::prelude::*;

/// Files, by name.
type Files = Vec<(String, Vec<u8>)>;

const COMPRESSED: Layout = Layout {
    is_compressed: true,
    ..PLAIN
};

fn inputs(files: &Files) -> Vec<InputFile<'_>> {
    files
        .iter()
        .map(|(name, bytes)| InputFile { name, bytes })
        .collect()
}

fn shape(dims: &[u64]) -> Vec<u8> {
    let dims: Vec<u8> = dims
        .iter()
        .flat_map(|&d| bytes(2, [&varint(1, d)]))
        .collect();
    bytes(2, [&dims])
}

fn header(n_shards: u64) -> (Vec<u8>, Vec<u8>) {
    (
        vec![],
        [varint(1, n_shards), bytes(3, [&varint(1, 1)])].concat(),
    )
}

/// A tensor in a shard.
struct Tensor {
    key: Vec<u8>,
    dtype: DType,
    shape: &'static [u64],
    shard: usize,
    offset: usize,
    size: usize,
}

impl Tensor {
    fn new(key: &str, dtype: DType, shape: &'static [u64], shard: usize, offset: usize) -> Self {
        let elements: u64 = shape.iter().product();
        let size = usize::try_from(elements).unwrap() * dtype.width().unwrap_or(3);
        Self {
            key: key.as_bytes().to_vec(),
            dtype,
            shape,
            shard,
            offset,
            size,
        }
    }

    /// Its entry as TensorFlow writes it, without defaults.
    fn entry(&self, shards: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
        let range = self.offset..self.offset + self.size;
        let checksum = shards[self.shard]
            .get(range)
            .map_or(7, leveldb::masked_crc32c);
        let numbers = [(3, self.shard), (4, self.offset), (5, self.size)];
        let numbers: Vec<u8> = numbers
            .iter()
            .filter(|n| n.1 > 0)
            .flat_map(|n| varint(n.0, n.1 as u64))
            .collect();
        let value = [
            varint(1, self.dtype as u64),
            shape(self.shape),
            numbers,
            fixed32(6, checksum.to_le_bytes()),
        ];
        (self.key.clone(), value.concat())
    }
}

fn shards() -> Vec<Vec<u8>> {
    vec![(1..=40).collect(), (1..=20).rev().collect()]
}

fn files(entries: &Entries, shards: Vec<Vec<u8>>, layout: Layout) -> Files {
    let n = shards.len();
    let name = |i| format!("ck/m.data-{i:05}-of-{n:05}");
    let mut files: Files = shards
        .into_iter()
        .enumerate()
        .map(|(i, s)| (name(i), s))
        .collect();
    files.push(("ck/m.index".to_owned(), build::table(entries, layout)));
    files
}

/// A bundle of these tensors in two shards.
fn bundle(tensors: &[Tensor], layout: Layout) -> Files {
    let mut entries: Entries = tensors
        .iter()
        .map(|tensor| tensor.entry(&shards()))
        .collect();
    entries.push(header(2));
    entries.sort();
    files(&entries, shards(), layout)
}

/// A bundle with one entry, of this value.
fn with_value<const N: usize>(parts: [&[u8]; N]) -> Files {
    let entries = vec![header(2), (b"w".to_vec(), parts.concat())];
    files(&entries, shards(), PLAIN)
}

fn tensors() -> Vec<Tensor> {
    let mut piece = Tensor::new("", DType::Float32, &[2, 1], 1, 0);
    piece.key = build::slice_key("p/d", &[(4, 2), (0, -1)]);
    vec![
        Tensor::new("a", DType::Float32, &[2, 3], 0, 0),
        Tensor::new("b", DType::Int8, &[3], 0, 25),
        Tensor::new("e", DType::Float64, &[3, 0], 0, 0),
        piece,
        Tensor::new("s", DType::String, &[1], 1, 10),
        Tensor::new("z", DType::Bool, &[], 1, 19),
    ]
}

fn read_all(files: &Files) -> Result<Option<Found>> {
    read(&inputs(files), files.len() - 1)
}

fn complaint(files: &Files) -> String {
    let e = read_all(files).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::Model);
    e.to_string()
}

/// File, name, shape, and the range if there is one.
type Listed = (usize, String, Vec<u64>, Option<Range<usize>>);

/// What is listed.
fn listed(files: &Files) -> Vec<Listed> {
    let found = read_all(files).unwrap().unwrap();
    assert_eq!(found.files, [2, 0, 1]);
    found
        .tensors
        .into_iter()
        .map(|tensor| {
            let range = match tensor.data {
                TensorData::Raw { range, repeats: 0 } => Some(range),
                _ => None,
            };
            (tensor.file, tensor.name, tensor.shape, range)
        })
        .collect()
}

#[test]
fn tensors_are_found_in_their_shards() {
    for layout in [
        PLAIN,
        COMPRESSED,
        Layout {
            block_entries: 2,
            ..PLAIN
        },
    ] {
        assert_eq!(
            listed(&bundle(&tensors(), layout)),
            [
                (0, "e".to_owned(), vec![3, 0], Some(0..0)),
                (0, "a".to_owned(), vec![2, 3], Some(0..24)),
                (0, "b".to_owned(), vec![3], Some(25..28)),
                (1, "p/d[4:6,0:1]".to_owned(), vec![2, 1], Some(0..8)),
                (1, "s".to_owned(), vec![1], None),
                (1, "z".to_owned(), vec![], Some(19..20)),
            ]
        );
    }
}

#[test]
fn other_files_are_no_bundles() {
    for bytes in [b"".to_vec(), vec![0; 60], build::table(&vec![], PLAIN)] {
        assert!(
            read_all(&vec![("m.index".to_owned(), bytes)])
                .unwrap()
                .is_none()
        );
    }
    // The header of a TensorFlow 1 checkpoint, other messages, and other keys.
    for entry in [
        (vec![], bytes(1, [b""])),
        (vec![], bytes(3, [b""])),
        (vec![], vec![]),
        (b"a".to_vec(), header(1).1),
    ] {
        let bytes = build::table(&vec![entry], PLAIN);
        assert!(
            read_all(&vec![("m.index".to_owned(), bytes)])
                .unwrap()
                .is_none()
        );
    }
}

#[test]
fn headers_are_checked() {
    let with_header = |header: Vec<u8>| files(&vec![(vec![], header)], shards(), PLAIN);
    assert!(read_all(&with_header(header(2).1)).is_ok());
    assert!(
        complaint(&with_header([varint(1, 2), varint(2, 1)].concat()))
            .contains("expected a little-endian checkpoint, found a big-endian one")
    );
    let newer = bytes(3, [&varint(2, 2)]);
    assert!(complaint(&with_header([varint(1, 2), newer].concat())).contains("another version"));
    assert!(complaint(&with_header([&varint(1, 2)[..], &[0x80]].concat())).contains("a varint"));
    assert_eq!(
        complaint(&with_header(varint(1, 0))),
        "expected at least one data shard, found 0"
    );
}

#[test]
fn shards_are_found_by_name() {
    for n_shards in [1, 3, 1 << 31, u64::MAX] {
        let files = files(&vec![header(n_shards)], shards(), PLAIN);
        assert_eq!(
            complaint(&files),
            format!(
                "expected the data shard \"ck/m.data-00000-of-{n_shards:05}\", found no such file"
            )
        );
    }
    let mut missing = bundle(&tensors(), PLAIN);
    missing.remove(1);
    assert_eq!(
        complaint(&missing),
        "expected the data shard \"ck/m.data-00001-of-00002\", found no such file"
    );
    let mut renamed = bundle(&tensors(), PLAIN);
    renamed[2].0 = "ck/m.idx".to_owned();
    assert_eq!(
        complaint(&renamed),
        "expected the index of a checkpoint to be called NAME.index, found \"ck/m.idx\": its data \
         shards cannot be found"
    );
}

#[test]
fn entries_are_checked() {
    let (float, scalar) = (varint(1, 1), shape(&[]));
    let four = varint(5, 4);
    let checksum = fixed32(6, leveldb::masked_crc32c(&[1, 2, 3, 4]).to_le_bytes());
    assert!(read_all(&with_value([&float, &scalar, &four, &checksum])).is_ok());
    let minus_one = u64::MAX;
    for (value, expected) in [
        (varint(5, 3), "expected 4 bytes of shape [], found 3"),
        (
            varint(5, minus_one),
            "expected 4 bytes of shape [], found 18446744073709551615",
        ),
        (varint(5, 0), "expected 4 bytes of shape [], found 0"),
        (varint(3, 2), "expected a data shard below 2, found 2"),
        (
            varint(3, minus_one),
            "expected a data shard below 2, found 18446744073709551615",
        ),
        (
            varint(4, 37),
            "expected a range of data shard 0, which has 40 bytes, found 4 bytes at 37",
        ),
        (
            varint(4, minus_one),
            "found 4 bytes at 18446744073709551615",
        ),
        (varint(6, 1), "expected a checksum of 32 bits"),
        (
            varint(2, 1),
            "expected a length-delimited value in field 2, found a varint",
        ),
        (
            shape(&[minus_one]),
            "expected a shape, found unknown or too large dimensions",
        ),
        (
            shape(&[1 << 62, 2]),
            "expected a shape, found unknown or too large dimensions",
        ),
        (
            shape(&[1; 255]),
            "expected a shape, found unknown or too large dimensions",
        ),
        (
            bytes(2, [&varint(3, 1)]),
            "expected a shape, found unknown or too large dimensions",
        ),
        (
            fixed32(6, [0; 4]),
            "with checksum 00000000 at 0..4 of data shard 0, found",
        ),
        (varint(4, 1), "at 1..5 of data shard 0, found"),
    ] {
        let complaint = complaint(&with_value([&float, &scalar, &four, &checksum, &value]));
        assert!(complaint.starts_with("entry \"w\": "), "{complaint}");
        assert!(
            complaint.ends_with(expected) || complaint.contains("with checksum"),
            "{complaint}"
        );
        assert!(complaint.contains(expected), "{complaint}");
    }
    let mut long = Tensor::new("", DType::Int8, &[3], 0, 0);
    long.key = vec![1; 20_000];
    assert!(complaint(&bundle(&[long], PLAIN)).contains("at most 65535 bytes, found 80000"));
}

#[test]
fn what_is_not_understood_is_left_alone() {
    // A dtype of tomorrow is not listed, whatever its size; strings have no checksum of the elements.
    let tomorrow = with_value([&varint(1, 99), &shape(&[5]), &varint(5, 3)]);
    assert_eq!(listed(&tomorrow), []);
    let string = with_value([&varint(1, 7), &shape(&[5]), &varint(5, 3)]);
    assert_eq!(listed(&string), [(0, "w".to_owned(), vec![5], None)]);
    // A partitioned variable is listed as its pieces.
    let partitioned = with_value([&varint(1, 1), &shape(&[5]), &bytes(7, [b""])]);
    assert_eq!(listed(&partitioned), []);
    // Nothing has a checksum too.
    let empty = with_value([&varint(1, 1), &shape(&[0]), &varint(4, 99)]);
    let e = complaint(&empty);
    assert!(e.contains("with checksum 00000000"), "{e}");
}

#[test]
fn keys_that_are_no_names_are_escaped() {
    let mut odd = Tensor::new("", DType::Int8, &[3], 0, 0);
    odd.key = b"x\xff\n".to_vec();
    let mut misfit = Tensor::new("", DType::Int8, &[3], 0, 3);
    misfit.key = build::slice_key("w", &[(0, 4)]);
    let names: Vec<String> = listed(&bundle(&[odd, misfit], PLAIN))
        .into_iter()
        .map(|(_, name, ..)| name)
        .collect();
    assert_eq!(names, [r"x\xff\n", r"\x00w\x00\x01\x01\x01\x80\x84"]);
}

#[test]
fn tensors_share_all_bytes_or_none() {
    let a = || Tensor::new("a", DType::Int16, &[2], 0, 4);
    let same = Tensor::new("b", DType::Uint8, &[4], 0, 4);
    assert_eq!(listed(&bundle(&[a(), same], PLAIN)).len(), 2);
    for (dtype, offset) in [(DType::Int16, 5), (DType::Float32, 0), (DType::String, 4)] {
        let other = Tensor::new("b", dtype, &[2], 0, offset);
        assert!(complaint(&bundle(&[a(), other], PLAIN)).contains("share all their bytes or none"));
    }
    let elsewhere = Tensor::new("b", DType::Int16, &[2], 1, 5);
    let next = Tensor::new("c", DType::Int16, &[2], 0, 8);
    assert_eq!(listed(&bundle(&[a(), elsewhere, next], PLAIN)).len(), 3);
}

/// Zeroes the tensors of these names, and returns the files and the warnings.
fn zero(files: &Files, names: &[&str]) -> (Files, Vec<String>) {
    let model = model::read(&inputs(files)).unwrap();
    let changes: Vec<Change> = model
        .tensors
        .iter()
        .enumerate()
        .filter(|(_, tensor)| names.contains(&tensor.name.as_str()))
        .map(|(number, tensor)| match &tensor.data {
            TensorData::Raw { range, .. } => Change {
                tensor: number,
                bytes: vec![0; range.len()],
            },
            TensorData::Opaque => panic!("an opaque tensor"),
        })
        .collect();
    assert_eq!(changes.len(), names.len());
    let rewritten = model::rewrite(&inputs(files), &changes).unwrap();
    let names = files.iter().map(|(name, _)| name.clone());
    (names.zip(rewritten.files).collect(), rewritten.warnings)
}

#[test]
fn checksums_are_repaired() {
    let mut all = tensors();
    all.push(Tensor::new("shared", DType::Uint8, &[24], 0, 0));
    for layout in [
        PLAIN,
        Layout {
            block_entries: 1,
            ..PLAIN
        },
    ] {
        let before = bundle(&all, layout);
        for names in [
            &["a"][..],
            &["shared"],
            &["b", "z", "p/d[4:6,0:1]"],
            &["e"],
            &[],
        ] {
            let (after, warnings) = zero(&before, names);
            assert_eq!(warnings, [""; 0]);
            // Reading checks all checksums.
            assert_eq!(listed(&after), listed(&before));
            for (file, name, _, range) in listed(&after) {
                let Some(range) = range else { continue };
                let is_zero = after[file].1[range.clone()].iter().all(|&byte| byte == 0);
                let is_shared = names.iter().any(|n| ["a", "shared"].contains(n));
                let expected = names.contains(&name.as_str())
                    || range.is_empty()
                    || is_shared && ["a", "shared"].contains(&name.as_str());
                assert_eq!(is_zero, expected, "{name}");
            }
            let n_different = before.iter().zip(&after).filter(|(a, b)| a != b).count();
            assert_eq!(n_different > 0, !names.is_empty() && names != ["e"]);
            assert_eq!(before[2].1.len(), after[2].1.len());
        }
    }
}

#[test]
fn a_checksum_without_a_place_is_refused() {
    // TensorFlow leaves out a checksum that is zero, as it is for these bytes.
    let odd = vec![0x45, 0xa3, 0xe7, 0x1f];
    assert_eq!(leveldb::masked_crc32c(&odd), 0);
    let value = [varint(1, 1), varint(5, 4)].concat();
    let entries = vec![
        header(1),
        (b"v".to_vec(), value.clone()),
        (b"w".to_vec(), value),
    ];
    let files = files(&entries, vec![odd], PLAIN);
    let files = inputs(&files);
    let change = Change {
        tensor: 0,
        bytes: vec![0; 4],
    };
    let error = model::rewrite(&files, &[change]).unwrap_err();
    assert!(
        error.detail().contains("no place for the checksum"),
        "{error}"
    );
}

#[test]
fn the_last_of_several_checksums_counts() {
    let checksum = |value: u32| fixed32(6, value.to_le_bytes());
    let right = checksum(leveldb::masked_crc32c(&[1, 2, 3, 4]));
    let tag = [&[0xb5, 0][..], &right[1..]].concat();
    let twice = with_value([&varint(1, 1), &checksum(9), &tag, &varint(5, 4)]);
    let (after, warnings) = zero(&twice, &["w"]);
    assert_eq!((listed(&after).len(), warnings.len()), (1, 0));
}

#[test]
fn a_compressed_index_becomes_a_plain_one() {
    let before = bundle(&tensors(), COMPRESSED);
    let (after, warnings) = zero(&before, &["a", "b"]);
    assert_eq!(warnings, [""; 0]);
    assert_eq!(listed(&after), listed(&before));
    assert_ne!(after[2].1.len(), before[2].1.len());
    // Nothing is done for nothing.
    assert_eq!(zero(&before, &[]).0, before);
    let (zeroed_again, _) = zero(&after, &["a"]);
    assert_eq!(zeroed_again, after);
}

#[test]
fn changes_touch_what_they_overlap() {
    let changed = [(7, 0..4), (7, 10..12), (9, 5..6), (7, 3..3), (8, 0..9)];
    let changed = changed.map(|(file, range)| Changed { file, range });
    let changes = Changes::new(&[7, 9], &changed);
    assert_eq!(changes.0, [(0, 0, 4), (0, 10, 12), (1, 5, 6)]);
    for (shard, range, expected) in [
        (0, 0..4, true),
        (0, 3..9, true),
        (0, 4..10, false),
        (0, 11..20, true),
        (0, 12..20, false),
        (1, 0..5, false),
        (1, 0..6, true),
        (1, 6..7, false),
    ] {
        let variable = Variable {
            name: String::new(),
            dtype: None,
            shape: vec![],
            shard,
            range: range.clone(),
            checksum: 0,
            checksum_at: None,
            block: 0..0,
        };
        assert_eq!(changes.touch(&variable), expected, "{range:?}");
    }
}

#[test]
fn beginnings_of_an_index_never_panic() {
    let files = bundle(&tensors(), PLAIN);
    let index = &files[2].1;
    for n in 0..index.len() {
        let mut cut = files.clone();
        cut[2].1.truncate(n);
        assert!(read_all(&cut).unwrap().is_none());
        cut[2].1.extend(&index[index.len() - 48..]);
        let _ = read_all(&cut);
    }
}

proptest! {
    #[test]
    fn damaged_entries_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        layout in prop::sample::select(vec![PLAIN, COMPRESSED]),
    ) {
        let mut entries: Entries = tensors().iter().map(|tensor| tensor.entry(&shards())).collect();
        entries.push(header(2));
        entries.sort();
        for (at, byte) in damage {
            let at = at.index(entries.iter().map(|(_, value)| value.len()).sum());
            let value = entries.iter_mut().flat_map(|(_, value)| value).nth(at);
            *value.unwrap() = byte;
        }
        let files = files(&entries, shards(), layout);
        if let Ok(Some(found)) = read_all(&files) {
            let mut ends = [0; 2];
            for tensor in found.tensors {
                let TensorData::Raw { range, .. } = tensor.data else { continue };
                if range.is_empty() {
                    continue;
                }
                prop_assert!(range.end <= files[tensor.file].1.len());
                prop_assert!(range.start >= ends[tensor.file] || range.end == ends[tensor.file]);
                ends[tensor.file] = range.end;
            }
        }
    }
}

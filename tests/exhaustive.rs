//! Hostile files, exhaustively: of small archives that together use everything there is, each
//! prefix, each bit flipped, each byte set, each two parts swapped and each length replaced, with
//! the checksums as they were and with checksums that are right. Whatever is asked of them gives the
//! right kind of error or the right content; nothing panics, hangs, or allocates more than
//! [`Limits`] allow. And each of the limits, on both sides of its edge.
//!
//! `cargo test --test exhaustive -- --nocapture` prints how many inputs there were and what they led
//! to.

#![cfg(feature = "pack")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::container::{
    Covered, FOOTER_BYTES, HEADER_BYTES, Manifest, agree, archive, manifest_range, repair,
    repair_footer, with_manifest,
};
use common::graph_def::{constant, graph};
use common::{models, naive};
use prost::encoding::WireType;
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tfzip::{
    Archive, DType, Element, Error, ErrorKind, Limits, PackOptions, Profile, Tensor, pack_slice,
};

/// Counts the bytes that are in use, and remembers the most. What zstd's C code reserves for its own
/// tables is not seen here; it does not depend on what a file says.
struct Counting;

static IN_USE: AtomicI64 = AtomicI64::new(0);
static MOST: AtomicI64 = AtomicI64::new(0);

fn count(more: usize, less: usize) {
    let in_use = IN_USE.fetch_add(more as i64, Relaxed) + more as i64;
    MOST.fetch_max(in_use, Relaxed);
    IN_USE.fetch_sub(less as i64, Relaxed);
}

// SAFETY: every call goes to `System` as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may exist for a moment.
        count(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time: what another one allocates would be counted too.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What `f` returns, and the most bytes that were in use meanwhile beyond those before.
fn measured<R>(f: impl FnOnce() -> R) -> (R, u64) {
    let before = IN_USE.load(Relaxed);
    MOST.store(before, Relaxed);
    let result = f();
    (result, (MOST.load(Relaxed) - before).max(0) as u64)
}

/// Most bytes that opening may take: a manifest's byte becomes 8 of a number, which may be two while
/// a vector grows; a row of a tensor has at least 9 of its bytes.
fn open_bound(limits: &Limits) -> u64 {
    (4 << 10) + 16 * limits.manifest_bytes
}

/// Most bytes that reading `decoded` bytes may take: positions, row pointers and columns of one-byte
/// elements are up to 13 bytes an element, three times that while a vector grows, and the tables
/// of prefix codes have a size of their own.
fn read_bound(decoded: u64) -> u64 {
    (96 << 10) + 48 * decoded
}

/// Longest that one input may take: a hang, on however busy a machine.
const HANG: Duration = Duration::from_secs(10);

/// The tensor's elements in all ways: dense, the last rows, and CSR as bytes with its nnz.
struct Read {
    dense: Result<Vec<u8>, Error>,
    rows: Result<Vec<u8>, Error>,
    csr: Result<(Vec<u8>, usize), Error>,
}

fn read_as<T: Element>(tensor: &Tensor<'_>) -> Read {
    let (n_rows, _) = tensor.matrix_shape();
    let rows = tensor.rows::<T>(n_rows / 2..n_rows);
    let csr = tensor.csr::<T>().map(|csr| {
        let mut bytes: Vec<u8> = bytemuck::cast_slice(&csr.values).to_vec();
        bytes.extend(csr.indices.iter().flat_map(|column| column.to_le_bytes()));
        bytes.extend(
            csr.indptr
                .iter()
                .flat_map(|row| (*row as u64).to_le_bytes()),
        );
        (bytes, csr.nnz())
    });
    Read {
        dense: naive::bytes_of(tensor),
        rows: rows.map(|rows| bytemuck::cast_slice(&rows).to_vec()),
        csr,
    }
}

fn read(tensor: &Tensor<'_>) -> Read {
    macro_rules! of_type {
        ($($t:ty),*) => {
            $(if <$t>::DTYPES.contains(&tensor.dtype()) {
                return read_as::<$t>(tensor);
            })*
        };
    }
    of_type!(
        f32,
        f64,
        half::f16,
        half::bf16,
        i8,
        i16,
        i32,
        i64,
        u8,
        u16,
        u32,
        u64
    );
    // No element type: only the bytes are to be had.
    Read {
        dense: naive::bytes_of(tensor),
        rows: Ok(vec![]),
        csr: Ok((vec![], 0)),
    }
}

/// A good archive, and what comes out of it.
struct Good {
    name: String,
    tfz: Vec<u8>,
    limits: Limits,
    /// Bytes of all restored files, or of the largest tensor.
    decoded: u64,
    files: Vec<Vec<u8>>,
    tensors: Vec<Option<Read>>,
}

impl Good {
    fn new(name: String, tfz: Vec<u8>) -> Self {
        let archive = Archive::new(&tfz[..]).unwrap();
        archive.verify().unwrap_or_else(|e| panic!("{name}: {e}"));
        let m = Manifest::of(&tfz);
        let tensor_bytes = archive
            .tensors()
            .filter(Tensor::is_readable)
            .map(|t| t.len() * t.dtype().width().unwrap() as u64)
            .max();
        // Twice what this file needs, so that damage soon asks for more.
        let mut limits = Limits::default();
        limits.manifest_bytes = 2 * prost::Message::encoded_len(&m) as u64;
        let rows = [
            m.file_name.len(),
            m.section_kind.len(),
            m.payload_width.len(),
            m.tensor_name.len(),
        ];
        limits.rows = 2 * rows.into_iter().max().unwrap() as u64;
        limits.holes = 2 * m.hole_gap.len() as u64;
        limits.dims = 2 * m.tensor_dim.len() as u64;
        limits.tensor_bytes = 2 * tensor_bytes.unwrap_or(0);
        limits.total_bytes = 2 * m.file_bytes.iter().sum::<u64>();
        let files = (0..archive.files().len()).map(|file| {
            let mut restored = Vec::new();
            archive.restore(file, &mut restored).unwrap();
            restored
        });
        let files = files.collect();
        let tensors = archive
            .tensors()
            .map(|t| t.is_readable().then(|| read(&t)))
            .collect();
        Self {
            decoded: limits.tensor_bytes.max(limits.total_bytes),
            name,
            limits,
            files,
            tensors,
            tfz,
        }
    }
}

/// Good archives: the vectors of the spec, and small models in every profile.
fn good() -> Vec<Good> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/vectors/v1");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let name_of = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut good: Vec<Good> = paths
        .iter()
        .map(|path| (name_of(path), path))
        .filter(|(name, _)| name.starts_with("good-") && name.ends_with(".tfz"))
        .map(|(name, path)| Good::new(name, fs::read(path).unwrap()))
        .filter(|good| good.decoded <= MOST_DECODED)
        .collect();
    for (name, model) in small_models() {
        for profile in Profile::ALL {
            let mut options = PackOptions::default();
            options.profile = profile;
            let (tfz, _) = pack_slice(&model, "m.pb", &options).unwrap();
            good.push(Good::new(format!("{name}, {profile}"), tfz));
        }
    }
    good
}

/// Largest limit on decoded bytes of the archives that are tried, for the sake of time: leaves out
/// the vectors with a skeleton of two frames.
const MOST_DECODED: u64 = 64 << 10;

fn small_models() -> Vec<(&'static str, Vec<u8>)> {
    let mut noise = models::Noise(11);
    let pruned = models::bytes_of_f32(&models::pruned(96, 20, &mut noise));
    let shared = (0..240).flat_map(|_| match noise.below(4) {
        0 => [0x00, [0x38, 0xb8, 0x34][noise.below(3) as usize]],
        _ => [0, 0],
    });
    let shared = shared.collect();
    let two = vec![
        constant("a", DType::Float32, &[8, 12], pruned),
        constant("b", DType::Float16, &[12, 20], shared),
    ];
    let skewed = (0..400).map(|_| 1 + (noise.below(5) / 4 * noise.below(9)) as u8);
    let skewed = vec![constant("c", DType::Int8, &[20, 20], skewed.collect())];
    vec![("two", graph(two)), ("skewed", graph(skewed))]
}

/// What may come of an input.
struct Rule<'a> {
    class: &'static str,
    /// Kinds of errors that are right.
    kinds: &'a [ErrorKind],
    /// Whether nothing made the checksums right again: then the whole is refused, and what is
    /// delivered is the content. Otherwise elements may be others; files can't, for the sake of
    /// their hashes.
    is_damage: bool,
}

/// What came of the inputs of a class.
#[derive(Default)]
struct Row {
    inputs: u64,
    kinds: BTreeMap<&'static str, u64>,
    accepted: u64,
    panics: u64,
    above_limits: u64,
    slowest: Duration,
}

#[derive(Default)]
struct Trial {
    classes: Vec<(&'static str, Row)>,
    wrong: Vec<String>,
    /// The largest share of its bound that a call took, in percent.
    open_share: u64,
    read_share: u64,
}

impl Trial {
    fn row(&mut self, class: &'static str) -> &mut Row {
        if !self.classes.iter().any(|(c, _)| *c == class) {
            self.classes.push((class, Row::default()));
        }
        let found = self.classes.iter_mut().find(|(c, _)| *c == class);
        &mut found.unwrap().1
    }

    fn input(&mut self, good: &Good, rule: &Rule<'_>, tfz: &[u8], what: impl Fn() -> String) {
        let start = Instant::now();
        let mut faults = Vec::new();
        let mut shares = [0, 0];
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            ask(good, rule, tfz, &mut faults, &mut shares)
        }));
        let took = start.elapsed();
        self.open_share = self.open_share.max(shares[0]);
        self.read_share = self.read_share.max(shares[1]);
        let row = self.row(rule.class);
        row.inputs += 1;
        row.slowest = row.slowest.max(took);
        row.above_limits += u64::from(shares.iter().any(|&share| share > 100));
        match outcome {
            Ok(Some(kind)) => *row.kinds.entry(kind.as_str()).or_default() += 1,
            Ok(None) => row.accepted += 1,
            Err(_) => {
                row.panics += 1;
                faults.push("a panic".to_owned());
            }
        }
        if took > HANG {
            faults.push(format!("took {took:?}"));
        }
        for fault in faults {
            let class = rule.class;
            self.wrong
                .push(format!("{}: {class}: {}: {fault}", good.name, what()));
        }
    }

    fn print(&self) {
        let kinds = [
            ErrorKind::Truncated,
            ErrorKind::Corrupt,
            ErrorKind::Unsupported,
            ErrorKind::LimitExceeded,
        ];
        print!("{:<40}{:>9}", "", "inputs");
        for kind in kinds {
            print!("{:>16}", kind.as_str());
        }
        println!(
            "{:>9}{:>8}{:>14}{:>9}",
            "accepted", "panics", "above limits", "slowest"
        );
        for (class, row) in &self.classes {
            print!("{class:<40}{:>9}", row.inputs);
            for kind in kinds {
                print!("{:>16}", row.kinds.get(kind.as_str()).unwrap_or(&0));
            }
            println!(
                "{:>9}{:>8}{:>14}{:>6} ms",
                row.accepted,
                row.panics,
                row.above_limits,
                row.slowest.as_millis()
            );
        }
        println!(
            "most memory, in percent of its bound: {} when opening, {} when reading",
            self.open_share, self.read_share
        );
    }
}

/// Asks an archive for all that it has. Returns the kind of the first error.
fn ask(
    good: &Good,
    rule: &Rule<'_>,
    tfz: &[u8],
    faults: &mut Vec<String>,
    shares: &mut [u64; 2],
) -> Option<ErrorKind> {
    let (archive, bytes) = measured(|| Archive::with_limits(tfz, &good.limits));
    let share = bytes * 100 / open_bound(&good.limits);
    shares[0] = share;
    if share > 100 {
        faults.push(format!("opening took {bytes} bytes"));
    }
    let mut first = None;
    let mut judge = |what: &str, error: &Error, faults: &mut Vec<String>| {
        if !rule.kinds.contains(&error.kind()) {
            faults.push(format!("{what}: {}: {error}", error.kind()));
        }
        first.get_or_insert(error.kind());
    };
    let archive = match archive {
        Ok(archive) => archive,
        Err(error) => {
            judge("open", &error, faults);
            return first;
        }
    };
    let mut reading = |what: &str, decoded: u64, bytes: u64, faults: &mut Vec<String>| {
        let share = bytes * 100 / read_bound(decoded);
        shares[1] = shares[1].max(share);
        if share > 100 {
            faults.push(format!("{what} took {bytes} bytes"));
        }
    };
    let same_count = archive.tensors().len() == good.tensors.len();
    for (tensor, expected) in archive.tensors().zip(&good.tensors) {
        if !tensor.is_readable() {
            continue;
        }
        let (found, bytes) = measured(|| read(&tensor));
        // A tensor without elements may still have rows: 2^20 of them at most.
        let rows = if tensor.is_empty() { 1 << 20 } else { 0 };
        reading("tensor", good.limits.tensor_bytes + rows, bytes, faults);
        let errors = [
            found.dense.as_ref().err(),
            found.rows.as_ref().err(),
            found.csr.as_ref().err(),
        ];
        for error in errors.into_iter().flatten() {
            judge("tensor", error, faults);
        }
        let Read { dense, rows, csr } = &found;
        if rule.is_damage {
            let expected = expected.as_ref().unwrap();
            let differs = dense
                .as_ref()
                .is_ok_and(|d| expected.dense.as_ref().unwrap() != d)
                || rows
                    .as_ref()
                    .is_ok_and(|r| expected.rows.as_ref().unwrap() != r)
                || csr
                    .as_ref()
                    .is_ok_and(|c| expected.csr.as_ref().unwrap() != c);
            if differs {
                faults.push("another tensor".to_owned());
            }
        }
        if let (Ok(dense), Ok(rows), Ok((csr, nnz))) = (dense, rows, csr) {
            // Without an element type, there is no CSR.
            if !csr.is_empty() && !agree(tensor.dtype(), dense, rows, *nnz) {
                faults.push("dense, rows and CSR differ".to_owned());
            }
        }
    }
    for file in 0..archive.files().len() {
        let mut restored = Vec::new();
        let (result, bytes) = measured(|| archive.restore(file, &mut restored));
        reading("restore", good.decoded, bytes, faults);
        match result {
            Err(error) => judge("restore", &error, faults),
            Ok(()) if good.files.contains(&restored) => {}
            Ok(()) => faults.push("another file".to_owned()),
        }
    }
    let (result, bytes) = measured(|| archive.verify());
    reading("verify", good.decoded, bytes, faults);
    match result {
        Err(error) => judge("verify", &error, faults),
        Ok(()) if rule.is_damage => faults.push("the full check finds nothing".to_owned()),
        Ok(()) => {}
    }
    if rule.is_damage && !same_count {
        faults.push("another number of tensors".to_owned());
    }
    first
}

const TRUNCATED: &[ErrorKind] = &[ErrorKind::Truncated];
const CORRUPT: &[ErrorKind] = &[ErrorKind::Corrupt];
const DAMAGED: &[ErrorKind] = &[ErrorKind::Truncated, ErrorKind::Corrupt];
const LIES: &[ErrorKind] = &[ErrorKind::Corrupt, ErrorKind::Unsupported];
const LENGTHS: &[ErrorKind] = &[
    ErrorKind::Corrupt,
    ErrorKind::Unsupported,
    ErrorKind::LimitExceeded,
];

const NUMBERS: [u64; 6] = [0, 1, 1 << 31, (1 << 32) - 1, 1 << 63, u64::MAX];

/// The numbers as they may stand in a file: fixed, of two lengths, and as varints.
fn written_numbers() -> Vec<Vec<u8>> {
    let varint = |mut value: u64| {
        let mut bytes = vec![];
        while value > 0x7f {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    let short = NUMBERS.iter().filter_map(|&n| u32::try_from(n).ok());
    let mut all: BTreeSet<Vec<u8>> = short.map(|n| n.to_le_bytes().to_vec()).collect();
    all.extend(NUMBERS.map(|n| n.to_le_bytes().to_vec()));
    all.extend(NUMBERS.map(varint));
    all.into_iter().collect()
}

fn try_damage(trial: &mut Trial, good: &Good) {
    let mut rule = Rule {
        class: "prefix",
        kinds: TRUNCATED,
        is_damage: true,
    };
    for end in 0..good.tfz.len() {
        trial.input(good, &rule, &good.tfz[..end], || format!("{end} bytes"));
    }
    let mut tfz = good.tfz.clone();
    let end_magic = tfz.len() - 4;
    for at in 0..tfz.len() {
        rule.kinds = if at < end_magic { CORRUPT } else { TRUNCATED };
        let byte = tfz[at];
        let flips = (0..8).map(|bit| ("bit flipped", byte ^ 1 << bit));
        let sets = [("byte set to 0x00", 0), ("byte set to 0xff", 0xff)];
        for (class, changed) in flips.chain(sets) {
            if changed == byte {
                continue;
            }
            rule.class = class;
            tfz[at] = changed;
            trial.input(good, &rule, &tfz, || {
                format!("byte {at} {byte:#04x} -> {changed:#04x}")
            });
        }
        tfz[at] = byte;
    }
}

fn try_swaps(trial: &mut Trial, good: &Good) {
    let parts: Vec<_> = Archive::new(&good.tfz[..])
        .unwrap()
        .parts()
        .iter()
        .map(|part| part.offset as usize..(part.offset + part.bytes) as usize)
        .collect();
    let bytes = |i: usize| &good.tfz[parts[i].clone()];
    for a in 0..parts.len() {
        for b in a + 1..parts.len() {
            let order = (0..parts.len()).map(|i| match i {
                _ if i == a => b,
                _ if i == b => a,
                _ => i,
            });
            let tfz: Vec<u8> = order.flat_map(bytes).copied().collect();
            if tfz == good.tfz {
                continue;
            }
            // A section in the place of another one may be read as something else; the hash tells.
            let footer = b + 1 == parts.len();
            let rule = Rule {
                class: "two parts swapped",
                kinds: if footer { DAMAGED } else { LIES },
                is_damage: false,
            };
            trial.input(good, &rule, &tfz, || format!("parts {a} and {b}"));
        }
    }
}

fn try_lies(trial: &mut Trial, good: &Good) {
    let covered = Covered::of(&good.tfz);
    let numbers = written_numbers();
    let mut tfz = good.tfz.clone();
    let mut rule = Rule {
        class: "bit flipped, checksum right",
        kinds: LIES,
        is_damage: false,
    };
    for range in covered.all() {
        for at in range.start..range.end - 4 {
            for bit in 0..8 {
                tfz[at] ^= 1 << bit;
                repair(&mut tfz, range);
                trial.input(good, &rule, &tfz, || format!("byte {at} bit {bit}"));
                tfz[range.clone()].copy_from_slice(&good.tfz[range.clone()]);
            }
        }
    }
    rule.class = "number written, checksum right";
    for range in covered
        .tables
        .iter()
        .chain(&covered.blocks)
        .chain(&covered.directories)
    {
        for at in range.start..range.end - 4 {
            for number in numbers.iter().filter(|n| at + n.len() <= range.end - 4) {
                tfz[at..at + number.len()].copy_from_slice(number);
                if tfz != good.tfz {
                    repair(&mut tfz, range);
                    trial.input(good, &rule, &tfz, || format!("byte {at}: {number:x?}"));
                    tfz[range.clone()].copy_from_slice(&good.tfz[range.clone()]);
                }
            }
        }
    }

    rule.class = "header bit flipped, checksum right";
    for at in 0..HEADER_BYTES - 4 {
        rule.kinds = if at < 8 {
            CORRUPT
        } else {
            &[ErrorKind::Unsupported]
        };
        for bit in 0..8 {
            tfz[at] ^= 1 << bit;
            repair(&mut tfz, &(0..HEADER_BYTES));
            trial.input(good, &rule, &tfz, || format!("byte {at} bit {bit}"));
            tfz[..HEADER_BYTES].copy_from_slice(&good.tfz[..HEADER_BYTES]);
        }
    }

    rule.class = "manifest bit flipped, checksum right";
    rule.kinds = LENGTHS;
    let manifest = manifest_range(&tfz);
    for at in manifest.clone() {
        for bit in 0..8 {
            tfz[at] ^= 1 << bit;
            repair_footer(&mut tfz);
            trial.input(good, &rule, &tfz, || format!("byte {at} bit {bit}"));
            tfz[at] ^= 1 << bit;
        }
    }
    tfz.copy_from_slice(&good.tfz);

    rule.class = "length of the footer replaced";
    for field in [0, 8] {
        for number in NUMBERS {
            let footer = tfz.len() - FOOTER_BYTES;
            tfz[footer + field..][..8].copy_from_slice(&number.to_le_bytes());
            repair_footer(&mut tfz);
            trial.input(good, &rule, &tfz, || format!("field {field} is {number}"));
            tfz.copy_from_slice(&good.tfz);
        }
    }

    rule.class = "number of the manifest replaced";
    let body = &good.tfz[..manifest.start];
    let mut m = Manifest::of(&good.tfz);
    for column in 0..m.columns().len() {
        for row in 0..m.columns()[column].1.len() {
            for number in NUMBERS {
                let value = std::mem::replace(&mut m.columns()[column].1[row], number);
                if value != number {
                    let tfz = with_manifest(body, &m);
                    let name = m.columns()[column].0;
                    trial.input(good, &rule, &tfz, || {
                        format!("{name} {row}: {value} -> {number}")
                    });
                }
                m.columns()[column].1[row] = value;
            }
        }
    }
}

#[test]
fn the_archives_use_everything() {
    let _alone = alone();
    let (mut positions, mut values, mut codings, mut profiles) = (
        BTreeSet::new(),
        BTreeSet::new(),
        BTreeSet::new(),
        BTreeSet::new(),
    );
    let (mut blocks, mut background, mut sections) = (0, false, 0);
    for good in good() {
        let archive = Archive::new(&good.tfz[..]).unwrap();
        profiles.extend(archive.profile().map(|profile| profile.to_string()));
        sections = sections.max(archive.parts().len());
        for layout in archive.tensors().filter_map(|t| t.layout().unwrap()) {
            positions.extend(layout.positions.keys().copied());
            values.extend(layout.values.keys().copied());
            codings.extend(layout.value_codings.keys().copied());
            blocks = blocks.max(layout.blocks);
            background |= layout.has_background;
        }
    }
    common::assert_every_kind(&positions, &values, &codings);
    assert!(profiles.len() == Profile::ALL.len(), "{profiles:?}");
    assert!(blocks > 1 && background && sections > 4);
}

#[test]
fn every_change_gives_the_right_error_or_the_right_content() {
    let _alone = alone();
    let start = Instant::now();
    let all = good();
    let mut trial = Trial::default();
    for good in &all {
        try_damage(&mut trial, good);
        try_swaps(&mut trial, good);
        try_lies(&mut trial, good);
    }
    let bytes: usize = all.iter().map(|good| good.tfz.len()).sum();
    println!(
        "{} archives, {bytes} bytes, {:.1?}",
        all.len(),
        start.elapsed()
    );
    trial.print();
    let n_wrong = trial.wrong.len();
    let some = trial.wrong[..n_wrong.min(40)].join("\n");
    assert!(n_wrong == 0, "{n_wrong} are wrong:\n{some}");
    assert!(trial.classes.iter().all(|(_, row)| row.inputs > 0));
    assert_eq!(trial.classes.len(), 11);
}

/// Opens with this limit changed, and checks that it is enough, and that one less is not.
fn edge(what: &str, tfz: &[u8], need: u64, set: impl Fn(&mut Limits, u64)) {
    let mut limits = Limits::default();
    set(&mut limits, need);
    let open = Archive::with_limits(tfz, &limits).and_then(|archive| archive.verify());
    open.unwrap_or_else(|e| panic!("{what}: {need} are enough: {e}"));
    set(&mut limits, need - 1);
    let (error, bytes) = measured(|| Archive::with_limits(tfz, &limits).map(drop).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{what}: {error}");
    assert!(bytes <= open_bound(&limits), "{what}: {bytes} bytes");
}

#[test]
fn every_limit_has_two_sides() {
    let _alone = alone();
    let mut empty = Manifest::default();
    empty.add_file("m", b"");

    let mut m = empty.clone();
    m.add_zeros("tensor", &[3, 4, 5]);
    m.add_zeros("t", &[6, 7]);
    let tfz = archive(b"", &m);
    let manifest_bytes = prost::Message::encoded_len(&m) as u64;
    edge("manifest", &tfz, manifest_bytes, |l, n| {
        l.manifest_bytes = n;
    });
    edge("rows of tensors", &tfz, 2, |l, n| l.rows = n);
    edge("dims", &tfz, 5, |l, n| l.dims = n);
    edge("rank", &tfz, 3, |l, n| l.rank = n);
    edge("name of a tensor", &tfz, 6, |l, n| l.name_bytes = n);
    edge("tensor", &tfz, 60, |l, n| l.tensor_bytes = n);
    let stored = zstd::stream::encode_all(&prost::Message::encode_to_vec(&m)[..], 19).unwrap();
    let tfz = compressed(&stored, manifest_bytes);
    edge("compressed manifest", &tfz, manifest_bytes, |l, n| {
        l.manifest_bytes = n;
    });

    let mut m = Manifest::default();
    for name in ["one", "two", "three"] {
        m.add_file(name, b"");
    }
    let tfz = archive(b"", &m);
    edge("rows of files", &tfz, 3, |l, n| l.rows = n);
    edge("name of a file", &tfz, 5, |l, n| l.name_bytes = n);
    m.empty_folder.push("folder".to_owned());
    let tfz = archive(b"", &m);
    edge("name of a folder", &tfz, 6, |l, n| l.name_bytes = n);
    let mut m = Manifest::default();
    m.add_file("a/b/c", b"");
    m.empty_folder.push("d/e/f/g".to_owned());
    edge("nesting of folders", &archive(b"", &m), 3, |l, n| {
        l.nesting = n;
    });
    m.add_file("h/i/j/k/l", b"");
    edge("nesting of files", &archive(b"", &m), 4, |l, n| {
        l.nesting = n;
    });
    let mut m = Manifest::default();
    m.empty_folder.extend(["a", "b", "c"].map(str::to_owned));
    let tfz = archive(b"", &m);
    edge("rows of empty folders", &tfz, 3, |l, n| l.rows = n);

    let mut m = empty.clone();
    m.add_zeros("t", &[10, 1000]);
    let tfz = archive(b"", &m);
    let times = |decoded: u64, tfz: &[u8]| decoded.div_ceil(tfz.len() as u64);
    edge(
        "expansion of a tensor",
        &tfz,
        times(10_000, &tfz),
        |l, n| {
            l.expansion = n;
        },
    );
    let zeros = vec![constant("z", DType::Float64, &[50_000], vec![0; 400_000])];
    let model = graph(zeros);
    let (tfz, _) = pack_slice(&model, "m.pb", &PackOptions::default()).unwrap();
    let need = times(model.len() as u64, &tfz);
    edge("expansion of a file", &tfz, need, |l, n| l.expansion = n);

    // Bytes of two files, each of holes that are as long as one payload.
    let mut m = Manifest::default();
    m.add_file("a", &[0; 3]);
    let mut sections = m.add_payloads(3);
    m.add_file("b", &[0; 2]);
    m.file_holes[1] = 2;
    m.hole_gap.extend([0; 2]);
    m.hole_payload.extend([1; 2]);
    let tfz = archive(&sections, &m);
    edge("all files", &tfz, 5, |l, n| l.total_bytes = n);
    edge("holes", &tfz, 5, |l, n| l.holes = n);
    edge("rows of payloads", &tfz, 3, |l, n| l.rows = n);

    let mut m = Manifest::default();
    m.add_file("a", &[0; 3]);
    sections.clear();
    for _ in 0..3 {
        sections.extend(m.add_payloads(1));
    }
    let tfz = archive(&sections, &m);
    edge("rows of sections", &tfz, 3, |l, n| l.rows = n);
}

/// An archive without sections whose manifest is this frame.
fn compressed(stored: &[u8], manifest_bytes: u64) -> Vec<u8> {
    let mut tfz = archive(b"", &Manifest::default())[..HEADER_BYTES].to_vec();
    tfz.extend(stored);
    tfz.extend((stored.len() as u64).to_le_bytes());
    tfz.extend(manifest_bytes.to_le_bytes());
    tfz.extend([0, 0, 0, 0, 1, 0, 0, 0]);
    tfz.extend([0, 0, 0, 0]);
    tfz.extend(b"ZFT\x89");
    repair_footer(&mut tfz);
    tfz
}

#[test]
fn two_to_the_62_zeros_in_a_small_file_cost_nothing() {
    let _alone = alone();
    let mut m = Manifest::default();
    m.add_file("m", b"");
    m.add_zeros("w", &[1 << 31, 1 << 31]);
    let of_repeats = archive(b"", &m);

    // The same as elements of a payload, of blocks that there is no room for.
    let mut m = Manifest::default();
    m.add_file("m", b"0");
    let records = m.add_payloads(1);
    m.add_zeros("w", &[1 << 31, 1 << 31]);
    m.file_bytes[0] = 1 << 62;
    m.payload_elements[0] = 1 << 62;
    m.payload_columns[0] = 1 << 31;
    m.tensor_source[0] = 1;
    m.tensor_repeats[0] = 0;
    let of_a_payload = archive(&records, &m);
    m.payload_blocks[0] = 1 << 40;
    let of_blocks = archive(&records, &m);

    let refused = [ErrorKind::LimitExceeded];
    for (tfz, kinds) in [
        (of_repeats, &refused[..]),
        (of_a_payload, LENGTHS),
        (of_blocks, LENGTHS),
    ] {
        assert!(tfz.len() <= 300, "{}", tfz.len());
        let (error, bytes) = measured(|| Archive::new(&tfz[..]).map(drop).unwrap_err());
        assert!(kinds.contains(&error.kind()), "{}: {error}", error.kind());
        assert!(bytes < 4 << 10, "{bytes} bytes for {error}");
    }
}

#[test]
fn rows_above_their_limit_are_not_kept() {
    let _alone = alone();
    // Names without a byte, and numbers of one byte: what grows most from the manifest to memory.
    const MANIFEST_BYTES: usize = 8 << 20;
    let names = |field: u32| {
        let mut message = vec![];
        prost::encoding::encode_key(field, WireType::LengthDelimited, &mut message);
        message.push(0);
        message.repeat(MANIFEST_BYTES / 3)
    };
    let numbers = |field: u32| {
        let mut message = vec![];
        prost::encoding::encode_key(field, WireType::LengthDelimited, &mut message);
        prost::encoding::encode_varint(MANIFEST_BYTES as u64, &mut message);
        message.resize(message.len() + MANIFEST_BYTES, 0);
        message
    };
    let mut limits = Limits::default();
    limits.rows = 1000;
    limits.holes = 1000;
    limits.dims = 1000;
    limits.manifest_bytes = 2 * MANIFEST_BYTES as u64;
    let manifests = [
        ("file_name", names(1)),
        ("file_bytes", numbers(2)),
        ("hole_gap", numbers(6)),
        ("payload_width", numbers(12)),
        (
            "payload_columns, not packed",
            [14 << 3, 1].repeat(MANIFEST_BYTES / 2),
        ),
        ("tensor_name", names(18)),
        ("tensor_dim", numbers(22)),
        ("tensor_nnz", numbers(26)),
        ("empty_folder", names(27)),
    ];
    for (field, manifest) in manifests {
        let stored = zstd::stream::encode_all(&manifest[..], 3).unwrap();
        let tfz = compressed(&stored, manifest.len() as u64);
        assert!(tfz.len() < 2 << 10);
        let (error, bytes) = measured(|| Archive::with_limits(tfz, &limits).map(drop).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{field}: {error}");
        // The decoded message itself, and next to nothing more.
        let bound = manifest.len() as u64 + (64 << 10);
        assert!(bytes <= bound, "{field}: {bytes} bytes for {error}");
    }
}

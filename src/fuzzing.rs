//! What the fuzz targets prove, as ordinary functions of bytes: the same bodies run under
//! libFuzzer (`fuzz/`) and, by the tests below, under proptest and over every seed and every
//! finding of the past.
//!
//! A body panics where its claim does not hold. Checksums are put right before anything is
//! decoded, so that a finding means the same with and without a fuzzer.

use crate::archive::{Archive, Tensor};
use crate::container::Index;
use crate::cursor::Cursor;
use crate::error::{ErrorKind, Result};
use crate::kernels::{Isa, Store, differential};
use crate::limits::Limits;
use crate::model::{self, Change, InputFile, Model, TensorData};
use crate::pack::{PackOptions, pack_slice};
use crate::payload::{EncodeOptions, PayloadMeta, PayloadSpec, Record, encode};
use crate::profile::{Effort, Profile};
use crate::repack::{RepackOptions, repack_slice};
use crate::tensor::Element;
use crate::word::{WIDTHS, Word, with_word};
use std::mem::MaybeUninit;

/// Bytes of the footer, and where its fields are (spec §5.1).
const FOOTER_BYTES: usize = 32;
const MANIFEST_CRC_AT: usize = 16;
const FOOTER_CRC_AT: usize = 24;

/// Most bytes of a payload that [`roundtrip`] makes: enough for a second block of bytes.
const MAX_ROUNDTRIP_BYTES: usize = 70_000;

/// Payloads of fewer bytes are encoded twice.
const MAX_TWICE_BYTES: usize = 4096;

/// What a record costs at most beyond its elements: for each block (spec §11).
const MAX_BLOCK_OVERHEAD: usize = 27;

/// Limits that keep a run short.
fn limits() -> Limits {
    Limits {
        manifest_bytes: 1 << 16,
        rows: 64,
        holes: 256,
        dims: 1024,
        rank: 254,
        name_bytes: 1 << 10,
        tensor_bytes: 1 << 18,
        total_bytes: 1 << 20,
        expansion: 1 << 20,
        nesting: 16,
    }
}

/// Opening: any bytes are an archive or an error, within the limits; what an archive lists of
/// itself is consistent, and every name finds its tensor.
///
/// # Panics
/// If that does not hold.
pub fn open(bytes: &[u8]) {
    let bytes = mended(bytes);
    // Limits only refuse: without them, but for that on memory, an archive opens as well.
    let wide = Limits {
        manifest_bytes: limits().manifest_bytes,
        rows: u64::MAX,
        holes: u64::MAX,
        dims: u64::MAX,
        rank: u64::MAX,
        name_bytes: u64::MAX,
        tensor_bytes: u64::MAX,
        total_bytes: u64::MAX,
        expansion: u64::MAX,
        nesting: u64::MAX,
    };
    let unlimited = Archive::with_limits(&bytes, &wide);
    let Ok(archive) = Archive::with_limits(&bytes, &limits()) else {
        return;
    };
    assert!(unlimited.is_ok());
    let mut end = 0;
    for part in archive.parts() {
        assert_eq!(part.offset, end, "{part:?} follows the part before it");
        end += part.bytes;
    }
    assert_eq!(end, bytes.len() as u64, "parts are the whole file");
    let restored_bytes: u64 = archive.files().map(|file| file.bytes).sum();
    assert_eq!(archive.restored_bytes(), restored_bytes);
    assert!(archive.skeleton_bytes() <= restored_bytes);

    for (number, tensor) in archive.tensors().enumerate() {
        assert_eq!(tensor.number(), number);
        assert!(tensor.nnz() <= tensor.len());
        assert!((0.0..=1.0).contains(&tensor.density()));
        assert!(tensor.is_readable() || tensor.stored_bytes() == 0);
        if !tensor.is_empty() {
            let (n_rows, n_columns) = tensor.matrix_shape();
            assert_eq!(n_rows * n_columns, tensor.len());
        }
        let of_that_name = || archive.tensors().filter(|t| t.name() == tensor.name());
        match archive.tensor(tensor.name()) {
            Ok(found) => {
                assert_eq!(found.number(), number);
                assert_eq!(of_that_name().count(), 1);
            }
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::InvalidArgument);
                assert!(of_that_name().count() > 1);
            }
        }
    }
}

/// Decoding: a tensor is the same read densely, by rows and as CSR, its layout accounts for every
/// byte, and whatever passes the full check can be read, restored, and repacked with every profile.
///
/// # Panics
/// If that does not hold.
pub fn decode(bytes: &[u8]) {
    let bytes = mended(bytes);
    let Ok(archive) = Archive::with_limits(&bytes, &limits()) else {
        return;
    };
    let verified = archive.verify();
    for tensor in archive.tensors() {
        let read = read_in_every_way(&tensor);
        assert!(
            read.is_some() || verified.is_err() || !tensor.is_readable(),
            "{:?} passes the check and cannot be read",
            tensor.name()
        );
    }
    for (number, file) in archive.files().enumerate() {
        let mut restored = Vec::new();
        match archive.restore(number, &mut restored) {
            Ok(()) => assert_eq!(restored.len() as u64, file.bytes),
            Err(e) => assert!(verified.is_err(), "checked, and not restored: {e}"),
        }
    }
    if verified.is_ok() {
        Profile::ALL
            .iter()
            .for_each(|profile| repack(&archive, *profile));
    }
}

/// Repacks a good archive: the files and tensors are the same.
fn repack<D: AsRef<[u8]>>(archive: &Archive<D>, profile: Profile) {
    let mut options = RepackOptions::default();
    (options.profile, options.threads) = (profile, 1);
    let (tfz, _) = repack_slice(archive.as_bytes(), &options).expect("it passes the check");
    let repacked = Archive::new(tfz).expect("it has just been made");
    repacked.verify().expect("it has just been made");
    assert!(archive.files().eq(repacked.files()));
    for (tensor, repacked) in archive.tensors().zip(repacked.tensors()) {
        assert_eq!(tensor.name(), repacked.name());
        assert_eq!(tensor.shape(), repacked.shape());
        let bytes = [tensor, repacked].map(|tensor| {
            let width = tensor.dtype().width().filter(|_| tensor.is_readable());
            let mut bytes = vec![0; tensor.len() as usize * width.unwrap_or(0)];
            tensor.read_bytes_into(&mut bytes).map(|()| bytes).ok()
        });
        assert_eq!(bytes[0], bytes[1]);
    }
}

/// Reads a tensor in all ways, which must agree; its bytes, if they can be had. None of an opaque
/// tensor can.
fn read_in_every_way(tensor: &Tensor<'_>) -> Option<Vec<u8>> {
    let width = tensor.dtype().width()?;
    // What is opaque has no bytes to be had, and any number of elements.
    let n_bytes = match tensor.is_readable() {
        true => usize::try_from(tensor.len()).ok()? * width,
        false => 0,
    };
    let (mut bytes, mut again) = (vec![0x55; n_bytes], vec![0xaa; n_bytes]);
    let dense = tensor.read_bytes_into(&mut bytes);
    assert_eq!(dense.is_ok(), tensor.read_bytes_into(&mut again).is_ok());
    if dense.is_ok() {
        assert_eq!(bytes, again, "every byte is written");
    }
    let dense = dense.ok().map(|()| bytes);
    assert!(tensor.is_readable() || dense.is_none());
    if tensor.is_readable() {
        match tensor.layout() {
            Ok(Some(layout)) => {
                assert!(dense.is_some());
                let parts = [
                    layout.position_bytes,
                    layout.alternate_bytes,
                    layout.value_bytes,
                    layout.table_bytes,
                    layout.directory_bytes,
                    layout.checksum_bytes,
                ];
                assert_eq!(parts.iter().sum::<u64>(), tensor.stored_bytes());
            }
            Ok(None) => {}
            Err(_) => assert!(dense.is_none()),
        }
    }
    macro_rules! compare_as {
        ($($t:ty),*) => {
            $(if <$t>::DTYPES.contains(&tensor.dtype()) {
                compare::<$t>(tensor, dense.as_deref());
            })*
        };
    }
    compare_as!(
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
    dense
}

/// Compares rows and CSR of a tensor with its dense bytes, or with their absence.
fn compare<T: Element>(tensor: &Tensor<'_>, dense: Option<&[u8]>) {
    let (n_rows, n_columns) = tensor.matrix_shape();
    let all = tensor.rows::<T>(0..n_rows);
    let csr = tensor.csr::<T>();
    let nonzeros = tensor
        .nonzeros::<T>()
        .and_then(|entries| entries.collect::<Result<Vec<_>>>());
    let mut memory =
        vec![MaybeUninit::<T>::uninit(); dense.map_or(0, <[u8]>::len) / size_of::<T>()];
    let uninit = tensor.read_into_uninit(&mut memory);
    let Some(dense) = dense else {
        let failed = [
            all.is_err(),
            csr.is_err(),
            nonzeros.is_err(),
            uninit.is_err(),
        ];
        assert!(tensor.is_empty() || failed == [true; 4]);
        return;
    };
    match (uninit, nonzeros) {
        (Ok(elements), Ok(nonzeros)) => {
            assert_eq!(le_bytes(elements), dense);
            let is_nonzero = |element: &&[u8]| tensor.dtype().is_nonzero(element);
            let expected = dense
                .chunks_exact(size_of::<T>())
                .filter(is_nonzero)
                .flatten();
            let values: Vec<T> = nonzeros.iter().map(|entry| entry.2).collect();
            assert!(
                le_bytes(&values).iter().eq(expected),
                "the nonzero elements in order"
            );
        }
        (uninit, nonzeros) => panic!(
            "dense elements, but {:?} and {:?}",
            uninit.err(),
            nonzeros.err()
        ),
    }
    let width = size_of::<T>();
    if let Ok(all) = all {
        assert_eq!(le_bytes(&all), dense);
    } else {
        panic!("dense elements, but no rows");
    }
    // A tensor without elements may have more columns than can be counted in bytes.
    let row_bytes = match tensor.is_empty() {
        true => 0,
        false => usize::try_from(n_columns).unwrap_or(0) * width,
    };
    // A few rows, each on its own: the first, the last, and some between.
    for row in (0..n_rows).step_by((n_rows as usize / 3).max(1)).take(4) {
        let at = row as usize * row_bytes;
        match tensor.rows::<T>(row..row + 1) {
            Ok(elements) => assert_eq!(le_bytes(&elements), &dense[at..at + row_bytes]),
            Err(e) => panic!("dense elements, but no row {row}: {e}"),
        }
    }
    match csr {
        Ok(csr) => {
            assert_eq!(csr.n_rows as u64, n_rows);
            assert_eq!(csr.n_columns as u64, n_columns);
            assert_eq!(csr.indptr.len(), csr.n_rows + 1);
            let mut from_csr = vec![0; dense.len()];
            if !dense.is_empty() {
                for (row, out) in from_csr.chunks_exact_mut(row_bytes).enumerate() {
                    let (indices, values) = csr.row(row);
                    assert!(indices.is_sorted_by(|a, b| a < b));
                    for (&index, value) in indices.iter().zip(values) {
                        let at = index as usize * width;
                        out[at..at + width].copy_from_slice(&le_bytes(&[*value]));
                    }
                }
            }
            let mut nonzero = dense.to_vec();
            for element in nonzero.chunks_exact_mut(width) {
                if !tensor.dtype().is_nonzero(element) {
                    element.fill(0);
                }
            }
            assert_eq!(from_csr, nonzero, "CSR is the dense form without zeros");
        }
        Err(e) => assert!(
            tensor.is_empty() && e.kind() == ErrorKind::LimitExceeded,
            "dense elements, but no CSR: {e}"
        ),
    }
}

/// The little-endian bytes of `values`.
fn le_bytes<T: Element>(values: &[T]) -> Vec<u8> {
    let mut values = values.to_vec();
    T::swap_if_big_endian(&mut values);
    bytemuck::cast_slice(&values).to_vec()
}

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
fn payload(bytes: &[u8]) -> Option<(PayloadMeta, Vec<u8>)> {
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
fn decode_record<W: Word>(
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

/// Graphs: see [`model_file`].
///
/// # Panics
/// If that does not hold.
pub fn graphdef(bytes: &[u8]) {
    model_file("m.pb", bytes);
}

/// SavedModels and MetaGraphDefs without a folder: see [`model_file`].
///
/// # Panics
/// If that does not hold.
pub fn saved_model(bytes: &[u8]) {
    model_file("saved_model.pb", bytes);
}

/// TFLite flatbuffers: see [`model_file`].
///
/// # Panics
/// If that does not hold.
pub fn tflite(bytes: &[u8]) {
    model_file("m.tflite", &with(bytes, 4, b"TFL3"));
}

/// Keras archives: see [`model_file`].
///
/// # Panics
/// If that does not hold.
pub fn keras(bytes: &[u8]) {
    model_file("m.keras", &with(bytes, 0, b"PK\x03\x04"));
}

/// HDF5 files: see [`model_file`].
///
/// # Panics
/// If that does not hold.
pub fn hdf5(bytes: &[u8]) {
    model_file("m.h5", &with(bytes, 0, b"\x89HDF\r\n\x1a\n"));
}

/// How a LevelDB table ends.
const TABLE_END: &[u8] = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb";

/// Checkpoints of TensorFlow 1: see [`model_file`].
///
/// # Panics
/// If that does not hold.
pub fn sliced_checkpoint(bytes: &[u8]) {
    let end = bytes.len().saturating_sub(TABLE_END.len());
    model_file("model.ckpt", &with(bytes, end, TABLE_END));
}

/// Checkpoints of TensorFlow 2: the first two bytes are the length of the index, then come the index
/// and one data shard. Whatever is read as one lists the same tensors after a change.
///
/// # Panics
/// If that does not hold.
pub fn tensor_bundle(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (index, shard) = rest.split_at(length);
    let index = with(
        index,
        index.len().saturating_sub(TABLE_END.len()),
        TABLE_END,
    );
    check_rewriting(&[
        InputFile {
            name: "m.data-00000-of-00001",
            bytes: shard,
        },
        InputFile {
            name: "m.index",
            bytes: &index,
        },
    ]);
}

/// `bytes` with `part` at offset `at`, as far as it fits.
fn with(bytes: &[u8], at: usize, part: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(place) = bytes
        .get_mut(at..)
        .and_then(|rest| rest.get_mut(..part.len()))
    {
        place.copy_from_slice(part);
    }
    bytes
}

/// Model files: whatever is read as one packs, opens, lists the same tensors with the same elements,
/// and restores to the same bytes; and it lists the same tensors after a change.
fn model_file(name: &str, bytes: &[u8]) {
    let Ok(model) = model::read(&[InputFile { name, bytes }]) else {
        return;
    };
    check_rewriting(&[InputFile { name, bytes }]);
    let options = PackOptions {
        threads: 1,
        ..PackOptions::default()
    };
    let (tfz, report) = match pack_slice(bytes, name, &options) {
        Ok(packed) => packed,
        Err(e) => panic!("a model that is read is packed: {e}"),
    };
    assert_eq!(report.archive_bytes, tfz.len() as u64);
    let archive = match Archive::new(&tfz) {
        Ok(archive) => archive,
        Err(e) => panic!("what was packed opens: {e}"),
    };
    let mut restored = Vec::new();
    match archive.restore(0, &mut restored) {
        Ok(()) => assert_eq!(restored, bytes),
        Err(e) => panic!("what was packed is restored: {e}"),
    }
    assert_eq!(archive.tensors().len(), model.tensors.len());
    for (tensor, found) in archive.tensors().zip(&model.tensors) {
        assert_eq!(tensor.name(), found.name);
        assert_eq!(
            (tensor.dtype(), tensor.shape()),
            (found.dtype, &found.shape[..])
        );
        match &found.data {
            TensorData::Raw { range, repeats } => {
                check_elements(&tensor, &bytes[range.clone()], *repeats);
            }
            TensorData::Opaque => assert!(!tensor.is_readable()),
        }
    }
}

/// What is found of the use of tensors is about the tensors that there are.
fn check_usage(files: &[InputFile<'_>], model: &Model) {
    // What can't be followed is an error: it must not be a panic.
    let Ok(usage) = model::usage(files, model) else {
        return;
    };
    assert_eq!(usage.tensors.len(), model.tensors.len());
    for group in &usage.groups {
        assert!(group.len() > 1 && group.is_sorted());
        let dtype = model.tensors[group[0]].dtype;
        assert!(group.iter().all(|&t| model.tensors[t].dtype == dtype));
    }
}

/// A model with other elements in its first tensor holds the same tensors in the same places.
fn check_rewriting(files: &[InputFile<'_>]) {
    let Ok(model) = model::read(files) else {
        return;
    };
    check_usage(files, &model);
    let first = model
        .tensors
        .iter()
        .enumerate()
        .find_map(|(number, tensor)| match &tensor.data {
            TensorData::Raw { range, .. } if !range.is_empty() => {
                Some((number, tensor.file, range.clone()))
            }
            _ => None,
        });
    let Some((tensor, file, range)) = first else {
        return;
    };
    let changed: Vec<u8> = files[file].bytes[range.clone()]
        .iter()
        .map(|byte| !byte)
        .collect();
    // What can't be repaired is an error: it must not be a panic.
    let Ok(rewritten) = model::rewrite(
        files,
        &[Change {
            tensor,
            bytes: changed.clone(),
        }],
    ) else {
        return;
    };
    assert_eq!(rewritten.files[file][range], changed);
    let files: Vec<InputFile<'_>> = files
        .iter()
        .zip(&rewritten.files)
        .map(|(file, bytes)| InputFile { bytes, ..*file })
        .collect();
    match model::read(&files) {
        Ok(again) => assert_eq!(again.tensors, model.tensors),
        Err(e) => panic!("a rewritten model is read: {e}"),
    }
}

/// Compares the elements of a tensor, if they are few, with those in the model file.
fn check_elements(tensor: &Tensor<'_>, stored: &[u8], repeats: u64) {
    let width = tensor.dtype().width().unwrap_or(0);
    if tensor.len().saturating_mul(width as u64) > limits().tensor_bytes {
        return;
    }
    let mut expected = stored.to_vec();
    let last = stored
        .get(stored.len().wrapping_sub(width)..)
        .map_or_else(|| vec![0; width], <[u8]>::to_vec);
    (0..repeats).for_each(|_| expected.extend_from_slice(&last));
    assert_eq!(
        read_in_every_way(tensor).as_deref(),
        Some(&expected[..]),
        "{:?}",
        tensor.name()
    );
    let nnz = expected
        .chunks_exact(width)
        .filter(|element| tensor.dtype().is_nonzero(element));
    assert_eq!(tensor.nnz(), nnz.count() as u64);
}

/// Payloads come back: any elements, of any width, in any rows, encode to a record that decodes to
/// them, is the same each time, and hardly larger than they are.
///
/// # Panics
/// If that does not hold.
pub fn roundtrip(bytes: &[u8]) {
    let mut cursor = Cursor::new(bytes);
    let (Ok(head), Ok(columns)) = (cursor.u8(), cursor.u16()) else {
        return;
    };
    let width = WIDTHS[usize::from(head) % WIDTHS.len()];
    let mut elements = elements(&mut cursor, width);
    let n = elements.len() / width;
    if n == 0 {
        return;
    }
    let columns = usize::from(columns) % n + 1;
    elements.truncate(n / columns * columns * width);
    let float = head & 0x80 != 0;
    let spec = PayloadSpec {
        width,
        columns: columns as u64,
        float,
    };

    let ways = Profile::ALL
        .into_iter()
        .flat_map(|profile| Effort::ALL.map(|effort| EncodeOptions { profile, effort }));
    for options in ways {
        check_round_trip(spec, options, &elements);
    }
}

fn check_round_trip(spec: PayloadSpec, options: EncodeOptions, elements: &[u8]) {
    let (record, meta) = encode_to_vec(spec, options, elements);
    if elements.len() < MAX_TWICE_BYTES {
        assert_eq!(
            encode_to_vec(spec, options, elements).0,
            record,
            "the same twice"
        );
    }
    assert_eq!(meta.stored_bytes, record.len() as u64);
    let (head, each) = match options.profile {
        // Rows and alignment cost something, whatever the elements.
        Profile::Direct => (8, 64 + meta.elements as usize / meta.blocks as usize),
        _ => (meta.table_bytes as usize, MAX_BLOCK_OVERHEAD),
    };
    let most = elements.len() + head + each * meta.blocks as usize;
    assert!(
        record.len() <= most,
        "{} bytes for {}, {options:?}, {meta:?}",
        record.len(),
        elements.len()
    );
    let decoded = Record::new(&record, meta)
        .and_then(|record| with_word!(meta.width, W => decode_record::<W>(&record, meta, (Isa::active(), Store::Cached), 0x55)));
    match decoded {
        Ok(decoded) => assert_eq!(decoded, elements),
        Err(e) => panic!("what was encoded is decoded: {e}"),
    }
}

fn encode_to_vec(
    spec: PayloadSpec,
    options: EncodeOptions,
    elements: &[u8],
) -> (Vec<u8>, PayloadMeta) {
    let mut record = Vec::new();
    let encoded = encode(spec, options, elements, &mut |piece| {
        record.extend_from_slice(piece);
        Ok(())
    });
    match encoded {
        Ok((meta, _)) => (record, meta),
        Err(e) => panic!("any elements are encoded: {e}"),
    }
}

/// Elements as pruned tensors have them, made by a little program: zeros of both signs, few
/// patterns, noise, and repetitions.
fn elements(program: &mut Cursor<'_>, width: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while let Ok(op) = program.u8() {
        let run = match op >> 3 {
            31 => usize::from(program.u16().unwrap_or(0)),
            short => usize::from(short),
        } + 1;
        let room = (MAX_ROUNDTRIP_BYTES - out.len()) / width;
        let n_bytes = run.min(room) * width;
        let end = out.len() + n_bytes;
        let mut cycle = |pattern: &[u8]| out.extend(pattern.iter().cycle().take(n_bytes));
        match op & 7 {
            0 | 1 => cycle(&[0]),
            2 => {
                let mut negative_zero = vec![0; width];
                negative_zero[width - 1] = 0x80;
                cycle(&negative_zero);
            }
            3 => cycle(&vec![program.u8().unwrap_or(0); width]),
            4 | 5 => match program.take(width) {
                Ok(pattern) => cycle(pattern),
                Err(_) => break,
            },
            6 => {
                let mut state = u64::from(program.u16().unwrap_or(0)) << 32 | 1;
                out.extend(std::iter::repeat_n((), n_bytes).map(|()| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                    (state >> 56) as u8
                }));
            }
            _ => {
                let back = (usize::from(program.u8().unwrap_or(0)) + 1) * width;
                let period = out[out.len().saturating_sub(back)..].to_vec();
                out.extend(period.iter().cycle().take(n_bytes));
            }
        }
        out.truncate(end);
        if room == 0 {
            break;
        }
    }
    out
}

/// `file` with the checksums that its bytes should have, as far as it has places for them.
fn mended(file: &[u8]) -> Vec<u8> {
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
fn mend_record(record: &mut [u8], meta: PayloadMeta) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::path::Path;

    type Body = fn(&[u8]);

    const TARGETS: [(&str, Body); 12] = [
        ("open", open),
        ("decode", decode),
        ("block", block),
        ("kernels", kernels),
        ("graphdef", graphdef),
        ("saved_model", saved_model),
        ("tflite", tflite),
        ("keras", keras),
        ("hdf5", hdf5),
        ("sliced_checkpoint", sliced_checkpoint),
        ("tensor_bundle", tensor_bundle),
        ("roundtrip", roundtrip),
    ];

    /// The files in a folder of the project, in the order of their names; none if it is missing.
    fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let Ok(entries) = fs::read_dir(folder) else {
            return vec![];
        };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
            .iter()
            .map(|path| (path.display().to_string(), fs::read(path).unwrap()))
            .collect()
    }

    /// What `fuzz/run` starts a target with.
    fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
        let mut seeds = files(&format!("fuzz/seeds/{target}"));
        if ["open", "decode", "graphdef"].contains(&target) {
            seeds.extend(files("spec/vectors/v0"));
        }
        assert!(!seeds.is_empty(), "{target}");
        seeds
    }

    #[test]
    fn every_seed_and_every_finding_passes() {
        for (target, body) in TARGETS {
            let findings = files(&format!("fuzz/regressions/{target}"));
            for (path, bytes) in seeds(target).into_iter().chain(findings) {
                // The name of the input that a panic is about.
                eprintln!("{target} {path}");
                body(&bytes);
            }
        }
    }

    #[test]
    fn seeds_of_blocks_are_good_blocks() {
        for (path, bytes) in files("fuzz/seeds/block") {
            let (meta, record) = payload(&bytes).unwrap();
            let decoded = Record::new(&record, meta).and_then(
                |record| with_word!(meta.width, W => decode_record::<W>(&record, meta, (Isa::active(), Store::Cached), 0)),
            );
            assert!(decoded.is_ok(), "{path}: {}", decoded.unwrap_err());
        }
    }

    #[test]
    fn mending_changes_nothing_where_nothing_is_broken() {
        let good = |path: &str| path.contains("/good-") && path.ends_with(".tfz");
        for (path, bytes) in files("spec/vectors/v0") {
            if good(&path) && Archive::with_limits(&bytes, &limits()).is_ok() {
                assert_eq!(mended(&bytes), bytes, "{path}");
            }
        }
    }

    /// A change of a seed: bytes from `at` on (as a share of the file) are replaced or removed, and
    /// `with` comes in their place.
    fn change(mut bytes: Vec<u8>, (at, removed, with): &(u16, u8, Vec<u8>)) -> Vec<u8> {
        let at = usize::from(*at) * bytes.len() / usize::from(u16::MAX);
        let end = (at + usize::from(*removed % 16)).min(bytes.len());
        bytes.splice(at..end, with.iter().copied());
        bytes
    }

    fn changes() -> impl Strategy<Value = Vec<(u16, u8, Vec<u8>)>> {
        let change = (
            any::<u16>(),
            any::<u8>(),
            prop::collection::vec(any::<u8>(), 0..5),
        );
        let overwrite = (any::<u16>(), any::<u8>()).prop_map(|(at, byte)| (at, 1, vec![byte]));
        prop::collection::vec(prop_oneof![change, overwrite], 1..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn any_bytes_pass(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for (_, body) in TARGETS {
                body(&bytes);
            }
        }

        #[test]
        fn changed_seeds_pass(seed: prop::sample::Index, changes in changes()) {
            for (target, body) in TARGETS {
                let seeds = seeds(target);
                let bytes = seeds[seed.index(seeds.len())].1.clone();
                body(&changes.iter().fold(bytes, change));
            }
        }
    }
}

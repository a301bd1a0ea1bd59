//! The elements of a tensor, in every way that there is to read them.

use super::blocks::payload;
use super::limits;
use super::mending::mended;
use super::products::check_products;
use crate::archive::{Archive, EncodedPositions, EncodedRows, EncodedValues, Tensor};
use crate::container::unchecked::file_of_record;
use crate::error::{ErrorKind, Result};
use crate::kernels::Isa;
use crate::profile::{Effort, Profile};
use crate::repack::{RepackOptions, repack_slice};
use crate::tensor::{DType, Element};
use crate::word::WIDTHS;
use std::mem::MaybeUninit;

/// Readings: a tensor whose payload is any bytes is the same in every way of reading it, and products
/// with it are those of its elements, with the same bits from all kernels. The bytes are those that
/// [`block`](super::block) takes; the first one also says what the elements are and how they are
/// folded.
///
/// # Panics
/// If that does not hold.
pub fn readings(bytes: &[u8]) {
    let (Some((meta, record)), Some(first)) = (payload(bytes), bytes.first()) else {
        return;
    };
    let choice = usize::from(*first) / WIDTHS.len();
    let dtypes: Vec<DType> = DType::ALL
        .iter()
        .copied()
        .filter(|dtype| dtype.width() == Some(meta.width))
        .collect();
    let (rows, columns) = (meta.elements / meta.columns, meta.columns);
    let shape = match choice / dtypes.len() % 3 {
        1 if rows % 2 == 0 => [rows / 2, columns * 2],
        2 if columns % 2 == 0 => [rows * 2, columns / 2],
        _ => [rows, columns],
    };
    let file = file_of_record(&record, meta, dtypes[choice % dtypes.len()], &shape);
    let Ok(archive) = Archive::with_limits(&file, &limits()) else {
        return;
    };
    let tensor = archive.tensor_at(0);
    let dense = read_in_every_way(&tensor);
    check_products(&tensor, dense.as_deref(), &Isa::available());
}

/// Decoding: a tensor is the same in every way of reading it, its layout accounts for every
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
        check_products(&tensor, read.as_deref(), &[Isa::active()]);
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
            .for_each(|profile| drop(repack(&archive, *profile, Effort::default())));
    }
}

/// Repacks a good archive, on one thread: the files and tensors are the same.
pub(super) fn repack<D: AsRef<[u8]>>(
    archive: &Archive<D>,
    profile: Profile,
    effort: Effort,
) -> Vec<u8> {
    let options = RepackOptions {
        profile,
        effort,
        threads: 1,
        ..RepackOptions::default()
    };
    let (tfz, _) = repack_slice(archive.as_bytes(), &options).expect("it passes the check");
    let repacked = Archive::new(&tfz).expect("it has just been made");
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
    tfz
}

/// Reads a tensor in all ways, which must agree; its bytes, if they can be had. None of an opaque
/// tensor can.
pub(super) fn read_in_every_way(tensor: &Tensor<'_>) -> Option<Vec<u8>> {
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
    let mut chunks = Vec::with_capacity(n_bytes);
    let in_chunks = tensor.for_each_chunk(|first, bytes| {
        assert_eq!(first as usize * width, chunks.len());
        chunks.extend_from_slice(bytes);
        Ok(())
    });
    // An opaque tensor's elements can't be had, but for what there isn't.
    if tensor.is_readable() {
        assert_eq!(in_chunks.ok().map(|()| chunks), dense);
    }
    if tensor.payload().is_some() {
        assert_eq!(from_blocks(tensor, n_bytes).ok(), dense);
    }
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
    if tensor.dtype() == DType::Bool {
        match &dense {
            Some(bytes) if bytes.iter().any(|&byte| byte > 1) => check_no_bools(tensor),
            _ => compare::<bool>(tensor, dense.as_deref()),
        }
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

/// The elements of a tensor from the encoded streams of its blocks, as an embedder would decode them.
fn from_blocks(tensor: &Tensor<'_>, n_bytes: usize) -> Result<Vec<u8>> {
    let width = tensor.dtype().width().unwrap_or(1);
    let mut out = Vec::with_capacity(n_bytes);
    for block in tensor.blocks()? {
        let block = block?;
        let (start, n) = (out.len(), block.elements.end - block.elements.start);
        assert_eq!(block.elements.start as usize * width, start);
        out.extend(block.background.repeat(n as usize));
        let elements = &mut out[start..];
        let positions = match &block.positions {
            EncodedPositions::None => vec![],
            EncodedPositions::All => (0..n as u32).collect(),
            EncodedPositions::Rows(rows) => positions_of_rows(rows),
            EncodedPositions::Listed(positions) => positions.clone(),
        };
        let mut put = |position: u32, element: &[u8]| {
            elements[position as usize * width..][..width].copy_from_slice(element);
        };
        match &block.values {
            EncodedValues::Elements(values) => {
                assert_eq!(values.len(), positions.len() * width);
                for (&position, value) in positions.iter().zip(values.chunks_exact(width)) {
                    put(position, value);
                }
            }
            EncodedValues::Codes {
                packed,
                bits,
                codebook,
            } => {
                let bits = *bits as usize;
                assert_eq!(packed.len(), (positions.len() * bits).div_ceil(8));
                for (i, &position) in positions.iter().enumerate() {
                    let bit = |at: usize| usize::from(packed[at / 8] >> (at % 8) & 1);
                    let code = (0..bits).fold(0, |code, j| code | bit(i * bits + j) << j);
                    put(position, &codebook[code * width..][..width]);
                }
            }
        }
        let mut alternate = block.background.clone();
        alternate[width - 1] ^= 0x80;
        block
            .alternates
            .iter()
            .for_each(|&position| put(position, &alternate));
    }
    let last = out[out.len() - width..].to_vec();
    while out.len() < n_bytes {
        out.extend_from_slice(&last);
    }
    Ok(out)
}

/// The positions of the entries of rows, in their order.
fn positions_of_rows(rows: &EncodedRows<'_>) -> Vec<u32> {
    let mut positions = vec![];
    for group in 0..rows.n_groups() {
        let first = positions.len();
        let mut after = rows.positions(rows.rows_of(group)).start;
        for step in rows.steps_of(group) {
            match rows.step(step) {
                0 => after += (1 << rows.step_bits()) - 1,
                step => {
                    after += step;
                    positions.push(after - 1);
                }
            }
        }
        for row in rows.rows_of(group) {
            let Some(bitmap) = rows.bitmap(row) else {
                continue;
            };
            let of_row = rows.positions(row..row + 1).enumerate();
            let is_set = |(i, _): &(usize, u32)| bitmap[i / 8] >> (i % 8) & 1 == 1;
            positions.extend(of_row.filter(is_set).map(|(_, position)| position));
        }
        assert_eq!(first..positions.len(), rows.entries_of(group));
    }
    positions
}

/// Bytes that are neither 0 nor 1 are bytes, and no `bool`.
fn check_no_bools(tensor: &Tensor<'_>) {
    let is_corrupt = |read: Result<()>| {
        assert!(read.is_err_and(|error| error.kind() == ErrorKind::Corrupt));
    };
    let n = tensor.len() as usize;
    is_corrupt(tensor.to_vec::<bool>().map(drop));
    is_corrupt(tensor.csr::<bool>().map(drop));
    is_corrupt(tensor.read_into(&mut vec![true; n]));
    let mut memory = vec![MaybeUninit::<bool>::uninit(); n];
    is_corrupt(tensor.read_into_uninit(&mut memory).map(drop));
    let nonzeros = tensor.nonzeros::<bool>();
    is_corrupt(nonzeros.and_then(|mut entries| entries.find_map(Result::err).map_or(Ok(()), Err)));
}

/// Compares every typed way of reading a tensor with its dense bytes, or with their absence.
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
    let mut memory = vec![T::zeroed(); dense.map_or(0, <[u8]>::len) / size_of::<T>()];
    let into = tensor.read_into(&mut memory);
    let Some(dense) = dense else {
        let failed = [
            all.is_err(),
            csr.is_err(),
            nonzeros.is_err(),
            uninit.is_err(),
            into.is_err(),
        ];
        assert!(tensor.is_empty() || failed == [true; 5]);
        return;
    };
    assert!(into.is_ok() && le_bytes(&memory) == dense);
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
        // And with those after it.
        let rows = row..n_rows.min(row + 1 + n_rows / 4);
        let of_rows = &dense[at..at + row_bytes * (rows.end - rows.start) as usize];
        let mut elements = vec![T::zeroed(); of_rows.len() / width];
        let mut bytes = vec![0x55; of_rows.len()];
        assert!(tensor.rows_into(rows.clone(), &mut elements).is_ok());
        assert!(tensor.read_row_bytes_into(rows, &mut bytes).is_ok());
        assert!(le_bytes(&elements) == of_rows && bytes == of_rows);
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

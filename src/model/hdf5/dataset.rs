//! Datasets: element type, shape, and where the elements are.

use super::UNDEFINED;
use super::attribute::{self, GlobalHeap};
use super::datatype::{self, Datatype};
use super::object::{DATASPACE, DATATYPE, EXTERNAL_FILES, FILTERS, LAYOUT, Object};
use super::part::Part;
use super::space::Space;
use crate::error::Result;
use crate::model::TensorData;
use crate::tensor::{DType, element_count};
use std::ops::Range;

/// The highest rank that HDF5 knows.
const MAX_RANK: u8 = 32;

/// The class of a layout whose elements stand in one piece.
const CONTIGUOUS: u8 = 1;

/// The attribute by which Keras says which element type HDF5 has no word for.
const DTYPE: &[u8] = b"dtype";

/// A dataset that can be listed as a tensor.
#[derive(Clone, Debug)]
pub(super) struct Dataset {
    pub(super) dtype: DType,
    pub(super) shape: Vec<u64>,
    pub(super) data: TensorData,
}

/// Whether the object is a dataset.
pub(super) fn is_dataset(object: &Object<'_>) -> bool {
    object.has(LAYOUT)
}

/// Reads a dataset; `None` if it has no dtype or shape that a tensor can have.
pub(super) fn read<'a>(
    space: &mut Space<'a>,
    heap: &mut GlobalHeap<'a>,
    object: &Object<'a>,
) -> Result<Option<Dataset>> {
    let (Some(dataspace), Some(datatype)) = (object.message(DATASPACE), object.message(DATATYPE))
    else {
        return Ok(None);
    };
    let Some(shape) = read_shape(dataspace)? else {
        return Ok(None);
    };
    let (dtype, is_little_endian) = match datatype::read(datatype)? {
        Datatype::LittleEndian(dtype) => (dtype, true),
        Datatype::Foreign(dtype) => (dtype, false),
        Datatype::TwoBytes => match attribute::text(space, heap, object, DTYPE)? {
            Some(b"bfloat16") => (DType::Bfloat16, true),
            _ => return Ok(None),
        },
        Datatype::Unknown => return Ok(None),
    };
    let Ok(n_elements) = element_count(&shape) else {
        return Ok(None);
    };
    let width = dtype.width().filter(|_| is_little_endian);
    let range = match width.and_then(|width| n_elements.checked_mul(u64::try_from(width).ok()?)) {
        Some(n_bytes) => contiguous(space, object, n_bytes)?,
        None => None,
    };
    let data = match range {
        Some(range) => TensorData::Raw { range, repeats: 0 },
        None => TensorData::Opaque,
    };
    Ok(Some(Dataset { dtype, shape, data }))
}

/// A dataspace message: its dimensions, none for a scalar. `None` if it has no elements at all, or
/// is of a later version.
fn read_shape(mut message: Part<'_>) -> Result<Option<Vec<u64>>> {
    const NULL: u8 = 2;

    let (version, rank, _flags) = (message.u8()?, message.u8()?, message.u8()?);
    match version {
        1 => drop(message.take(5)?),
        2 if message.u8()? != NULL => {}
        _ => return Ok(None),
    }
    if rank > MAX_RANK {
        return Err(message.error(format!(
            "expected a rank of at most {MAX_RANK}, found {rank}"
        )));
    }
    (0..rank)
        .map(|_| message.u64())
        .collect::<Result<_>>()
        .map(Some)
}

/// Where the `n_bytes` of the elements are; `None` if they aren't stored, or not as they are in
/// memory and in one piece.
fn contiguous(
    space: &Space<'_>,
    object: &Object<'_>,
    n_bytes: u64,
) -> Result<Option<Range<usize>>> {
    let Some(mut layout) = object.message(LAYOUT) else {
        return Ok(None);
    };
    if object.has(FILTERS) || object.has(EXTERNAL_FILES) {
        return Ok(None);
    }
    // Versions 1 and 2 are those of HDF5 before 1.6.3, of 2004.
    let (version, class) = (layout.u8()?, layout.u8()?);
    if !matches!(version, 3 | 4) || class != CONTIGUOUS {
        return Ok(None);
    }
    let (address, len) = (layout.u64()?, layout.u64()?);
    if n_bytes == 0 {
        return Ok(Some(space.end()..space.end()));
    }
    if address == UNDEFINED || len != n_bytes {
        return Ok(None);
    }
    space.range(address, len, "a dataset").map(Some)
}

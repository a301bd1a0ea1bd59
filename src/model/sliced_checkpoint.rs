//! SavedTensorSlices, the checkpoint of TensorFlow 1: a LevelDB table, or several of them (shards),
//! each of which is understood on its own.
//!
//! The empty key has a SavedTensorSlices with a SavedTensorSliceMeta: name, dtype and shape of every
//! tensor. Every other key is made of a tensor's name and the place of a slice in it, and has a
//! SavedTensorSlices with the elements of that slice. TensorFlow goes by the key, so it is what
//! decides here.
//!
//! Elements are in a TensorProto without dtype and shape, in the field for values of the dtype.
//! Floating-point values stand there as they are. Integers and halves are varints: opaque.

use super::leveldb::{self, Entry, SliceKey, Table};
use super::tensor_proto::Shape;
use super::wire::{self, Message, Value};
use super::{
    Changed, Found, InputFile, Kind, ModelKind, ModelTensor, OutputFile, TensorData, numbered,
    numbered_mut,
};
use crate::cursor::range_len;
use crate::error::{Result, Within};
use crate::tensor::{DType, element_count};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

pub(super) const KIND: Kind = Kind {
    kind: ModelKind::SlicedCheckpoint,
    read,
    repair,
};

fn read(files: &[InputFile<'_>], file: usize) -> Result<Option<Found>> {
    let Some(table) = Table::open(numbered(files, file).bytes)? else {
        return Ok(None);
    };
    let Some(Some(variables)) = table.header(|entry| read_header(entry.message()))? else {
        return Ok(None);
    };
    let mut tensors = Vec::new();
    table.entries(|entry| {
        let place = || format!("entry {:?}", leveldb::printable(entry.key));
        tensors.extend(read_slice(file, &variables, entry).within(place)?);
        Ok(())
    })?;
    Ok(Some(Found {
        files: vec![file],
        tensors,
    }))
}

/// Dtype and shape of the tensors of a checkpoint, by name.
type Variables = HashMap<Vec<u8>, Variable>;

/// What a checkpoint says of a tensor as a whole.
#[derive(PartialEq)]
struct Variable {
    dtype: u64,
    shape: Vec<u64>,
}

/// Reads the SavedTensorSlices of the empty key. `None` if it is something else.
fn read_header(header: Message<'_>) -> Result<Option<Variables>> {
    let mut variables = None;
    for field in header.fields() {
        let field = field?;
        match (field.number, field.value) {
            (1, Value::Bytes(_)) => {
                read_meta(field.message()?, variables.get_or_insert_default())?;
            }
            // In a BundleHeaderProto this is a number.
            (1, _) => return Ok(None),
            _ => {}
        }
    }
    Ok(variables)
}

/// Reads a SavedTensorSliceMeta.
fn read_meta(meta: Message<'_>, variables: &mut Variables) -> Result<()> {
    for field in meta.fields() {
        let field = field?;
        match field.number {
            1 => read_variable(field.message()?, variables)?,
            2 => leveldb::check_version(field.message()?)?,
            _ => {}
        }
    }
    Ok(())
}

/// Reads a SavedSliceMeta.
fn read_variable(message: Message<'_>, variables: &mut Variables) -> Result<()> {
    let mut name: &[u8] = b"";
    let mut dtype = 0;
    let mut shape = Shape::default();
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => name = field.bytes()?.bytes,
            2 => shape.read(field.message()?)?,
            3 => dtype = field.varint()?,
            _ => {}
        }
    }
    let place = || format!("tensor {:?}", leveldb::printable(name));
    let Some(shape) = shape.dims().filter(|dims| element_count(dims).is_ok()) else {
        let detail = "expected a shape, found unknown or too large dimensions";
        return Err(wire::error(message.start(), detail)).within(place);
    };
    let variable = Variable {
        dtype,
        shape: shape.to_vec(),
    };
    if variables.get(name).is_some_and(|known| *known != variable) {
        let detail = "expected one dtype and shape for all slices, found several";
        return Err(wire::error(message.start(), detail)).within(place);
    }
    variables.insert(name.to_owned(), variable);
    Ok(())
}

/// The tensor that is stored under a key. `None` if that does not belong to any known tensor.
fn read_slice(
    file: usize,
    variables: &Variables,
    entry: &Entry<'_>,
) -> Result<Option<ModelTensor>> {
    let slice = SliceKey::decode(entry.key)
        .and_then(|key| Some((variables.get(&key.name)?, key)))
        .and_then(|(variable, key)| {
            let dtype = DType::from_id(u32::try_from(variable.dtype).ok()?)?;
            Some((dtype, key.ranges_in(&variable.shape)?, &variable.shape, key))
        });
    let Some((dtype, ranges, whole, key)) = slice else {
        return Ok(None);
    };
    let is_whole = ranges
        .iter()
        .zip(whole)
        .all(|(range, &dim)| *range == (0..dim));
    let name = if is_whole {
        leveldb::printable(&key.name)
    } else {
        key.name_with(&ranges)
    };
    let shape: Vec<u64> = ranges.iter().map(range_len).collect();
    let range = find_elements(entry, dtype, &shape)?;
    Ok(Some(ModelTensor {
        file,
        name: leveldb::limit_name(name)?,
        dtype,
        shape,
        data: range.map_or(TensorData::Opaque, |range| TensorData::Raw {
            range,
            repeats: 0,
        }),
    }))
}

/// Where the elements of a slice are in the file, if they are there as they are in memory, in one
/// piece.
fn find_elements(entry: &Entry<'_>, dtype: DType, shape: &[u64]) -> Result<Option<Range<usize>>> {
    let (Some(number), Some(_)) = (raw_field(dtype), entry.at) else {
        return Ok(None);
    };
    let Some(slice) = only_message(entry.message(), 2)? else {
        return Ok(None);
    };
    let Some(tensor) = only_message(slice, 3)? else {
        return Ok(None);
    };
    let mut values = tensor.end()..tensor.end();
    let mut n_values = 0usize;
    for field in tensor.fields() {
        let field = field?;
        if field.number == number {
            n_values = n_values.saturating_add(1);
            match field.value {
                Value::Bytes(bytes) => values = bytes.range(),
                // Not packed.
                _ => return Ok(None),
            }
        }
    }
    let width = dtype.width().and_then(|width| u64::try_from(width).ok());
    let expected = width
        .zip(element_count(shape).ok())
        .and_then(|(w, n)| w.checked_mul(n));
    let is_complete = n_values <= 1 && u64::try_from(values.len()).ok() == expected;
    Ok(is_complete.then_some(values))
}

/// The field of a TensorProto that has elements of this dtype as they are in memory.
fn raw_field(dtype: DType) -> Option<u32> {
    match dtype {
        DType::Float32 => Some(5),
        DType::Float64 => Some(6),
        DType::Complex64 => Some(9),
        DType::Complex128 => Some(12),
        _ => None,
    }
}

/// The message in field `number`; `None` if there isn't exactly one: protobuf would join several.
fn only_message(message: Message<'_>, number: u32) -> Result<Option<Message<'_>>> {
    let mut found = None;
    for field in message.fields() {
        let field = field?;
        if field.number == number && found.replace(field.message()?).is_some() {
            return Ok(None);
        }
    }
    Ok(found)
}

fn repair(
    files: &mut [OutputFile<'_>],
    part: &[usize],
    changed: &[Changed],
) -> Result<Vec<String>> {
    for &file in part {
        let bytes = &mut numbered_mut(files, file).bytes;
        let Some(table) = Table::open(bytes)? else {
            continue;
        };
        let changed = changed
            .iter()
            .filter(|c| c.file == file && !c.range.is_empty());
        let blocks: HashSet<Range<usize>> = changed
            .filter_map(|c| table.block_at(c.range.start).cloned())
            .collect();
        for block in blocks {
            leveldb::repair_block(bytes, &block)?;
        }
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests;

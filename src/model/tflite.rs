//! TFLite (LiteRT): a flatbuffer `tflite.Model`, whose tensors say which buffer holds their
//! elements.
//!
//! A buffer is a vector in the flatbuffer, or, in files of more than 2 GiB, bytes behind it. Tensors
//! that have none (what is computed when the model runs) are not listed, and a buffer that no tensor
//! uses is metadata and stays in the skeleton. Tensors may share a buffer; all are listed.
//!
//! | name | a tensor of |
//! |---|---|
//! | `TENSOR` | this name, in any subgraph |
//! | `TENSOR:values` | this name, whose buffer holds only the values that TFLite's own sparse encoding stores, as many as its one dimension says; the encoding's indices stay in the skeleton |
//!
//! What is no UTF-8 in a name, and control characters, show as U+FFFD. A buffer whose length isn't
//! that of its tensor is `Opaque`, and so are buffers that overlap others, and elements of less than
//! a byte. There are no checksums.

use super::wire::error;
use super::{
    Found, InputFile, Kind, ModelKind, ModelTensor, TensorData, nothing_to_repair, numbered,
};
use crate::error::{Result, Within};
use crate::tensor::{DType, element_count};
use flatbuffer::{Table, Vector, root};
use std::ops::Range;

pub(super) mod flatbuffer;

pub(super) const KIND: Kind = Kind {
    kind: ModelKind::TfLite,
    read,
    repair: nothing_to_repair,
};

/// Where the flatbuffer says that it is a TFLite model, and how.
const IDENTIFIER: (usize, &[u8]) = (4, b"TFL3");

/// The one version of the schema.
const VERSION: u32 = 3;

/// Numbers of fields in their tables.
pub(super) mod field {
    pub(in crate::model) const MODEL_VERSION: u16 = 0;
    pub(in crate::model) const MODEL_OPERATOR_CODES: u16 = 1;
    pub(in crate::model) const MODEL_SUBGRAPHS: u16 = 2;
    pub(in crate::model) const MODEL_BUFFERS: u16 = 4;
    pub(in crate::model) const SUBGRAPH_TENSORS: u16 = 0;
    pub(in crate::model) const SUBGRAPH_OUTPUTS: u16 = 2;
    pub(in crate::model) const SUBGRAPH_OPERATORS: u16 = 3;
    pub(in crate::model) const TENSOR_SHAPE: u16 = 0;
    pub(in crate::model) const TENSOR_TYPE: u16 = 1;
    pub(in crate::model) const TENSOR_BUFFER: u16 = 2;
    pub(in crate::model) const TENSOR_NAME: u16 = 3;
    pub(in crate::model) const TENSOR_QUANTIZATION: u16 = 4;
    pub(in crate::model) const TENSOR_SPARSITY: u16 = 6;
    pub(in crate::model) const BUFFER_DATA: u16 = 0;
    pub(in crate::model) const BUFFER_OFFSET: u16 = 1;
    pub(in crate::model) const BUFFER_SIZE: u16 = 2;
    pub(in crate::model) const QUANTIZATION_SCALE: u16 = 2;
    pub(in crate::model) const QUANTIZATION_ZERO_POINT: u16 = 3;
    pub(in crate::model) const QUANTIZATION_DIMENSION: u16 = 6;
    pub(in crate::model) const CODE_DEPRECATED_BUILTIN: u16 = 0;
    pub(in crate::model) const CODE_CUSTOM: u16 = 1;
    pub(in crate::model) const CODE_BUILTIN: u16 = 3;
    pub(in crate::model) const OPERATOR_CODE: u16 = 0;
    pub(in crate::model) const OPERATOR_INPUTS: u16 = 1;
    pub(in crate::model) const OPERATOR_OUTPUTS: u16 = 2;
}

/// The limits of what can be listed.
const MAX_NAME_BYTES: usize = 65_535;
const MAX_RANK: usize = 254;

/// What all listed tensors may take: tables, names and shapes can be shared, so that a small file
/// could otherwise buy a lot of memory. In bytes per byte of the file, and ever.
const MEMORY_PER_BYTE: usize = 16;
const MEMORY_ALWAYS: usize = 1 << 20;

fn read(files: &[InputFile<'_>], file: usize) -> Result<Option<Found>> {
    let bytes = numbered(files, file).bytes;
    let (at, identifier) = IDENTIFIER;
    if !bytes.get(at..).is_some_and(|b| b.starts_with(identifier)) {
        return Ok(None);
    }
    let listed = listed(bytes, file).within(|| KIND.kind.to_string())?;
    Ok(Some(Found {
        files: vec![file],
        tensors: listed.into_iter().map(|listed| listed.tensor).collect(),
    }))
}

/// A tensor that is listed, and where the model has it.
pub(super) struct Listed {
    pub(super) tensor: ModelTensor,
    /// Number of the subgraph.
    pub(super) subgraph: usize,
    /// Number among the tensors of that.
    pub(super) number: usize,
}

/// The tensors of a Model.
pub(super) fn listed(bytes: &[u8], file: usize) -> Result<Vec<Listed>> {
    let model = root(bytes)?;
    let version = model.u32(field::MODEL_VERSION)?;
    if version != VERSION {
        return Err(model.error(format!(
            "expected schema version {VERSION}, found {version}"
        )));
    }
    let subgraphs = model.required(field::MODEL_SUBGRAPHS, "subgraphs")?;
    if subgraphs.len() == 0 {
        return Err(model.error("expected subgraphs, found an empty list"));
    }
    let mut walk = Walk {
        file,
        n_bytes: bytes.len(),
        buffers: model.required(field::MODEL_BUFFERS, "buffers")?,
        tensors_left: bytes.len() / Vector::OFFSET_BYTES,
        memory_left: bytes
            .len()
            .saturating_mul(MEMORY_PER_BYTE)
            .saturating_add(MEMORY_ALWAYS),
        tensors: Vec::new(),
    };
    for i in 0..subgraphs.len() {
        walk.subgraph(i, subgraphs.table(i)?)?;
    }
    let mut tensors = walk.tensors;
    hide_overlaps(&mut tensors);
    Ok(tensors)
}

/// A walk through the tensors of all subgraphs. Time and memory are linear in the size of the file.
struct Walk<'a> {
    /// Number of the file.
    file: usize,
    /// Its length.
    n_bytes: usize,
    buffers: Vector<'a>,
    /// How many more tensors the file has room to name.
    tensors_left: usize,
    /// What is left of the memory that listed tensors may take.
    memory_left: usize,
    tensors: Vec<Listed>,
}

impl<'a> Walk<'a> {
    fn subgraph(&mut self, subgraph: usize, table: Table<'a>) -> Result<()> {
        let tensors = table.required(field::SUBGRAPH_TENSORS, "tensors")?;
        for number in 0..tensors.len() {
            let tensor = tensors.table(number)?;
            self.tensors_left = self
                .tensors_left
                .checked_sub(1)
                .ok_or_else(|| tensor.error("expected tensors that are not shared, found more"))?;
            if let Some(tensor) = self.tensor(tensor)? {
                self.tensors.push(Listed {
                    tensor,
                    subgraph,
                    number,
                });
            }
        }
        Ok(())
    }

    /// A tensor that can be listed: one that has elements.
    fn tensor(&mut self, tensor: Table<'a>) -> Result<Option<ModelTensor>> {
        let range = self.buffer(tensor)?;
        let type_id = tensor.u8(field::TENSOR_TYPE)?;
        let (false, Some(dtype)) = (range.is_empty(), dtype(type_id)) else {
            return Ok(None);
        };
        let shape = tensor.vector(field::TENSOR_SHAPE, 4)?;
        let name = tensor.vector(field::TENSOR_NAME, 1)?;
        let (rank, name_bytes) = (shape.map_or(0, Vector::len), name.map_or(0, Vector::len));
        if rank > MAX_RANK || name_bytes > MAX_NAME_BYTES {
            return Ok(None);
        }
        let shape_bytes = rank.saturating_mul(size_of::<u64>());
        self.memory_left = [size_of::<Listed>(), shape_bytes, name_bytes]
            .into_iter()
            .try_fold(self.memory_left, usize::checked_sub)
            .ok_or_else(|| {
                tensor.error(format!(
                    "expected tensors that take at most {MEMORY_PER_BYTE} times the file, found more"
                ))
            })?;
        let (Some(shape), mut name) = (dims(shape), text(name)) else {
            return Ok(None);
        };
        let is_sparse = tensor.has(field::TENSOR_SPARSITY)?;
        if is_sparse {
            name.push_str(":values");
        }
        if name.len() > MAX_NAME_BYTES {
            return Ok(None);
        }
        let (shape, data) = place(dtype, shape, range, is_sparse);
        Ok(Some(ModelTensor {
            file: self.file,
            name,
            dtype,
            shape,
            data,
        }))
    }

    /// Where the elements of a tensor are; empty where it has none.
    fn buffer(&self, tensor: Table<'a>) -> Result<Range<usize>> {
        let number = tensor.u32(field::TENSOR_BUFFER)?;
        let found = self.buffers.len();
        // Buffer 0 is the one for tensors that have none.
        let index = match usize::try_from(number) {
            Ok(0) => return Ok(0..0),
            Ok(index) if index < found => index,
            _ => {
                return Err(tensor.error(format!(
                    "expected a tensor's buffer among {found}, found buffer {number}"
                )));
            }
        };
        let buffer = self.buffers.table(index)?;
        let offset = buffer.u64(field::BUFFER_OFFSET)?;
        if offset <= 1 {
            let data = buffer.vector(field::BUFFER_DATA, 1)?;
            return Ok(data.map_or(0..0, |data| data.range()));
        }
        let size = buffer.u64(field::BUFFER_SIZE)?;
        let end = offset.checked_add(size);
        match (usize::try_from(offset), end.map(usize::try_from)) {
            (Ok(start), Some(Ok(end))) if end <= self.n_bytes => Ok(start..end),
            _ => Err(buffer.error(format!(
                "expected a buffer within {} bytes, found {size} bytes at offset {offset}",
                self.n_bytes
            ))),
        }
    }
}

/// What a tensor's shape and data are, whose buffer is at `range`.
fn place(
    dtype: DType,
    shape: Vec<u64>,
    range: Range<usize>,
    is_sparse: bool,
) -> (Vec<u64>, TensorData) {
    let whole = dtype
        .width()
        .filter(|&width| range.len().is_multiple_of(width));
    let stored = whole
        .and_then(|width| range.len().checked_div(width))
        .map(|n| n as u64);
    let raw = TensorData::Raw { range, repeats: 0 };
    match (stored, is_sparse) {
        (Some(stored), true) => (vec![stored], raw),
        (Some(stored), false) if element_count(&shape).is_ok_and(|n| n == stored) => (shape, raw),
        _ => (shape, TensorData::Opaque),
    }
}

/// The dtype of a TensorType.
fn dtype(type_id: u8) -> Option<DType> {
    let dtype = match type_id {
        0 => DType::Float32,
        1 => DType::Float16,
        2 => DType::Int32,
        3 => DType::Uint8,
        4 => DType::Int64,
        5 => DType::String,
        6 => DType::Bool,
        7 => DType::Int16,
        8 => DType::Complex64,
        9 => DType::Int8,
        10 => DType::Float64,
        11 => DType::Complex128,
        12 => DType::Uint64,
        13 => DType::Resource,
        14 => DType::Variant,
        15 => DType::Uint32,
        16 => DType::Uint16,
        17 => DType::Int4,
        18 => DType::Bfloat16,
        19 => DType::Int2,
        20 => DType::Uint4,
        _ => return None,
    };
    Some(dtype)
}

/// A shape, unless a dimension is unknown or there are too many elements. No shape is a scalar's.
fn dims(shape: Option<Vector<'_>>) -> Option<Vec<u64>> {
    let bytes = shape.map_or(&[][..], |shape| shape.bytes());
    let (dims, _) = bytes.as_chunks();
    let dims: Vec<u64> = dims
        .iter()
        .map(|&dim| u64::try_from(i32::from_le_bytes(dim)).ok())
        .collect::<Option<_>>()?;
    element_count(&dims).is_ok().then_some(dims)
}

/// A name as it can be shown.
fn text(name: Option<Vector<'_>>) -> String {
    let bytes = name.map_or(&[][..], |name| name.bytes());
    String::from_utf8_lossy(bytes).replace(char::is_control, "\u{fffd}")
}

/// Makes tensors opaque until no ranges overlap without being the same.
fn hide_overlaps(listed: &mut [Listed]) {
    let range = |tensor: &ModelTensor| match &tensor.data {
        TensorData::Raw { range, .. } => Some((range.start, range.end)),
        TensorData::Opaque => None,
    };
    let mut ranges: Vec<_> = listed.iter().filter_map(|l| range(&l.tensor)).collect();
    ranges.sort_unstable();
    ranges.dedup();
    // Joins what overlaps: a range that is a place by itself can stay.
    let mut places: Vec<(usize, usize)> = Vec::new();
    for (start, end) in ranges {
        match places.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => places.push((start, end)),
        }
    }
    for Listed { tensor, .. } in listed {
        if let Some(range) = range(tensor)
            && places.binary_search(&range).is_err()
        {
            tensor.data = TensorData::Opaque;
        }
    }
}

#[cfg(test)]
pub(super) mod build;
#[cfg(test)]
mod tests;

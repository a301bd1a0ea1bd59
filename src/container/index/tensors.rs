//! Tensors: what users name (spec §7).

#![warn(clippy::cast_possible_truncation)]

use super::{Manifest, Payload, Source, TensorRow};
use crate::error::{Error, Result, Within};
use crate::limits::Limits;
use crate::tensor::{DType, element_count};

/// Bytes of a decoded tensor that no limit allows to be passed (spec §1.2).
const MAX_BYTES: u64 = (1 << 63) - 1;

/// The tensors, with the names taken from the manifest's.
pub(super) fn tensors(
    m: &Manifest,
    names: Vec<String>,
    payloads: &[Payload],
    skeleton_bytes: u64,
    limits: &Limits,
    archive_bytes: u64,
) -> Result<Vec<TensorRow>> {
    let mut next_dim = 0usize;
    let mut tensors = Vec::with_capacity(names.len());
    for (i, name) in names.into_iter().enumerate() {
        let mut row = || {
            Limits::check("bytes of the name", name.len() as u64, limits.name_bytes)?;
            let file = m.tensor_file[i] as usize;
            if file >= m.file_name.len() {
                return Err(Error::corrupt(format!(
                    "file {file} of {}",
                    m.file_name.len()
                )));
            }
            let dtype = DType::from_id(m.tensor_dtype[i])
                .ok_or_else(|| Error::unsupported(format!("dtype {}", m.tensor_dtype[i])))?;
            Limits::check("rank", u64::from(m.tensor_rank[i]), limits.rank)?;
            let dims = next_dim..next_dim + m.tensor_rank[i] as usize;
            next_dim = dims.end;
            let shape = m
                .tensor_dim
                .get(dims.clone())
                .ok_or_else(|| Error::corrupt("dimensions are missing"))?;
            let elements =
                element_count(shape).map_err(|e| Error::corrupt(e.detail().to_owned()))?;
            let repeats = m.tensor_repeats[i];
            let stored = elements.checked_sub(repeats).ok_or_else(|| {
                Error::corrupt(format!("{repeats} of {elements} elements repeat"))
            })?;
            let width = dtype.width();
            let nnz = m.tensor_nnz[i];
            if nnz > elements {
                return Err(Error::corrupt(format!(
                    "{nnz} of {elements} elements are nonzero"
                )));
            }
            let source = source(m, i, width, stored, payloads, skeleton_bytes)?;
            if source == Source::Opaque {
                // It is never decoded: its size costs nothing.
                if (repeats, nnz) != (0, 0) {
                    return Err(Error::corrupt("an opaque tensor with repeats or nnz"));
                }
            } else {
                let decoded = elements.saturating_mul(width.unwrap_or(0) as u64);
                let limit = limits.tensor_bytes.min(MAX_BYTES);
                Limits::check("bytes of the tensor", decoded, limit)?;
                limits.check_expansion(decoded, archive_bytes)?;
            }
            Ok(TensorRow {
                name: String::new(),
                file,
                dtype,
                dims,
                source,
                elements,
                repeats,
                nnz,
            })
        };
        let row = row().within(|| format!("tensor {i} {name:?}"))?;
        tensors.push(TensorRow { name, ..row });
    }
    if next_dim != m.tensor_dim.len() {
        return Err(Error::corrupt(format!(
            "{} dimensions, expected {next_dim}",
            m.tensor_dim.len()
        )));
    }
    Ok(tensors)
}

fn source(
    m: &Manifest,
    i: usize,
    width: Option<usize>,
    stored: u64,
    payloads: &[Payload],
    skeleton_bytes: u64,
) -> Result<Source> {
    let at = m.tensor_at[i];
    match (m.tensor_source[i], width) {
        (0, _) if at == 0 => Ok(Source::Opaque),
        (0, _) => Err(Error::corrupt(format!("an opaque tensor at {at}"))),
        (1 | 2, None) => Err(Error::corrupt("elements of a dtype without a width")),
        (1, Some(width)) => {
            let payload = usize::try_from(at).ok().filter(|&p| p < payloads.len());
            let payload = payload
                .ok_or_else(|| Error::corrupt(format!("payload {at} of {}", payloads.len())))?;
            let meta = &payloads[payload].meta;
            if (meta.width, meta.elements) != (width, stored) {
                return Err(Error::corrupt(format!(
                    "{stored} elements of {width} bytes in a payload of {} elements of {}",
                    meta.elements, meta.width
                )));
            }
            Ok(Source::Payload(payload))
        }
        (2, Some(width)) => stored
            .checked_mul(width as u64)
            .and_then(|bytes| at.checked_add(bytes))
            .filter(|&end| end <= skeleton_bytes)
            .map(|_| Source::Skeleton(at))
            .ok_or_else(|| {
                Error::corrupt(format!(
                    "{stored} elements at {at} of a skeleton of {skeleton_bytes} bytes"
                ))
            }),
        (id, _) => Err(Error::unsupported(format!("tensor source {id}"))),
    }
}

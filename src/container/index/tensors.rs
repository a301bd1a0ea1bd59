//! Tensors: what users name (spec §7).

use super::columns::Columns;
use super::{Payload, Source};
use crate::container::names::Names;
use crate::error::{Error, Result, Within};
use crate::limits::Limits;
use crate::tensor::{DType, element_count};
use std::mem::take;

/// Bytes of a decoded tensor that no limit allows to be passed (spec §1.2).
const MAX_BYTES: u64 = (1 << 63) - 1;

/// The table of tensors, column by column as in the manifest: of a hundred thousand of them an app wants
/// one, as a rule.
#[derive(Debug, Default)]
pub(crate) struct Tensors {
    names: Names,
    file: Vec<u32>,
    dtype: Vec<u32>,
    /// Where the dimensions of each end in `dims`.
    dims_end: Vec<usize>,
    dims: Vec<u64>,
    source: Vec<u32>,
    at: Vec<u64>,
    repeats: Vec<u64>,
    nnz: Vec<u64>,
}

/// A tensor as the manifest has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TensorRow<'a> {
    pub(crate) name: &'a str,
    pub(crate) file: usize,
    pub(crate) dtype: DType,
    pub(crate) shape: &'a [u64],
    pub(crate) source: Source,
    /// Number of elements.
    pub(crate) elements: u64,
    pub(crate) repeats: u64,
    pub(crate) nnz: u64,
}

/// The same with numbers that nobody has looked at.
struct RawRow<'a> {
    name: &'a str,
    file: u32,
    dtype: u32,
    shape: &'a [u64],
    source: u32,
    at: u64,
    repeats: u64,
    nnz: u64,
}

impl Tensors {
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn get(&self, i: usize) -> Option<TensorRow<'_>> {
        let row = self.raw(i)?;
        let source = match row.source {
            0 => Source::Opaque,
            1 => Source::Payload(usize::try_from(row.at).ok()?),
            _ => Source::Skeleton(row.at),
        };
        Some(TensorRow {
            name: row.name,
            file: usize::try_from(row.file).ok()?,
            dtype: DType::from_id(row.dtype)?,
            shape: row.shape,
            source,
            // With a zero among them the others may be too much for a product.
            elements: row.shape.iter().fold(1, |n: u64, &d| n.saturating_mul(d)),
            repeats: row.repeats,
            nnz: row.nnz,
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = TensorRow<'_>> {
        (0..self.len()).map_while(|i| self.get(i))
    }

    fn raw(&self, i: usize) -> Option<RawRow<'_>> {
        let start = match i.checked_sub(1) {
            Some(before) => *self.dims_end.get(before)?,
            None => 0,
        };
        Some(RawRow {
            name: self.names.get(i)?,
            file: *self.file.get(i)?,
            dtype: *self.dtype.get(i)?,
            shape: self.dims.get(start..*self.dims_end.get(i)?)?,
            source: *self.source.get(i)?,
            at: *self.at.get(i)?,
            repeats: *self.repeats.get(i)?,
            nnz: *self.nnz.get(i)?,
        })
    }
}

/// What the rules for tensors refer to.
pub(super) struct Surroundings<'a> {
    pub(super) n_files: usize,
    pub(super) payloads: &'a [Payload],
    pub(super) skeleton_bytes: u64,
    pub(super) archive_bytes: u64,
    pub(super) limits: &'a Limits,
}

/// Takes the table of tensors out of the columns, checked.
pub(super) fn tensors(c: &mut Columns, around: &Surroundings<'_>) -> Result<Tensors> {
    let tensors = Tensors {
        dims_end: dims_end(&c.tensor_rank, c.tensor_dim.len(), around.limits)?,
        names: take(&mut c.tensor_name),
        file: take(&mut c.tensor_file),
        dtype: take(&mut c.tensor_dtype),
        dims: take(&mut c.tensor_dim),
        source: take(&mut c.tensor_source),
        at: take(&mut c.tensor_at),
        repeats: take(&mut c.tensor_repeats),
        nnz: take(&mut c.tensor_nnz),
    };
    for i in 0..tensors.len() {
        let row = tensors
            .raw(i)
            .ok_or_else(|| Error::corrupt(format!("tensor {i} is not in every column")))?;
        row.check(around)
            .within(|| format!("tensor {i} {:?}", row.name))?;
    }
    Ok(tensors)
}

/// Where the dimensions of each tensor end.
fn dims_end(ranks: &[u32], n_dims: usize, limits: &Limits) -> Result<Vec<usize>> {
    let mut end = 0usize;
    let mut ends = Vec::with_capacity(ranks.len());
    for (i, &rank) in ranks.iter().enumerate() {
        Limits::check("rank", u64::from(rank), limits.rank).within(|| format!("tensor {i}"))?;
        end = usize::try_from(rank)
            .ok()
            .and_then(|rank| end.checked_add(rank))
            .filter(|&end| end <= n_dims)
            .ok_or_else(|| Error::corrupt(format!("tensor {i}: dimensions are missing")))?;
        ends.push(end);
    }
    if end != n_dims {
        return Err(Error::corrupt(format!(
            "{n_dims} dimensions, expected {end}"
        )));
    }
    Ok(ends)
}

impl RawRow<'_> {
    fn check(&self, around: &Surroundings<'_>) -> Result<()> {
        let limits = around.limits;
        Limits::check(
            "bytes of the name",
            self.name.len() as u64,
            limits.name_bytes,
        )?;
        if self.file as usize >= around.n_files {
            return Err(Error::corrupt(format!(
                "file {} of {}",
                self.file, around.n_files
            )));
        }
        let dtype = DType::from_id(self.dtype)
            .ok_or_else(|| Error::unsupported(format!("dtype {}", self.dtype)))?;
        let elements =
            element_count(self.shape).map_err(|e| Error::corrupt(e.detail().to_owned()))?;
        let stored = elements.checked_sub(self.repeats).ok_or_else(|| {
            Error::corrupt(format!("{} of {elements} elements repeat", self.repeats))
        })?;
        if self.nnz > elements {
            return Err(Error::corrupt(format!(
                "{} of {elements} elements are nonzero",
                self.nnz
            )));
        }
        match (self.source, dtype.width()) {
            (0, _) => return self.check_opaque(),
            (1 | 2, None) => return Err(Error::corrupt("elements of a dtype without a width")),
            (1, Some(width)) => self.check_payload(width, stored, around.payloads)?,
            (2, Some(width)) => self.check_skeleton(width, stored, around.skeleton_bytes)?,
            (id, _) => return Err(Error::unsupported(format!("tensor source {id}"))),
        }
        let decoded = elements.saturating_mul(dtype.width().unwrap_or(0) as u64);
        let limit = limits.tensor_bytes.min(MAX_BYTES);
        Limits::check("bytes of the tensor", decoded, limit)?;
        limits.check_expansion(decoded, around.archive_bytes)
    }

    /// It is never decoded: its size costs nothing.
    fn check_opaque(&self) -> Result<()> {
        match (self.at, self.repeats, self.nnz) {
            (0, 0, 0) => Ok(()),
            (0, ..) => Err(Error::corrupt("an opaque tensor with repeats or nnz")),
            (at, ..) => Err(Error::corrupt(format!("an opaque tensor at {at}"))),
        }
    }

    fn check_payload(&self, width: usize, stored: u64, payloads: &[Payload]) -> Result<()> {
        let payload = usize::try_from(self.at)
            .ok()
            .and_then(|at| payloads.get(at));
        let meta = &payload
            .ok_or_else(|| Error::corrupt(format!("payload {} of {}", self.at, payloads.len())))?
            .meta;
        if (meta.width, meta.elements) != (width, stored) {
            return Err(Error::corrupt(format!(
                "{stored} elements of {width} bytes in a payload of {} elements of {}",
                meta.elements, meta.width
            )));
        }
        Ok(())
    }

    fn check_skeleton(&self, width: usize, stored: u64, skeleton_bytes: u64) -> Result<()> {
        stored
            .checked_mul(width as u64)
            .and_then(|bytes| self.at.checked_add(bytes))
            .filter(|&end| end <= skeleton_bytes)
            .map(drop)
            .ok_or_else(|| {
                Error::corrupt(format!(
                    "{stored} elements at {} of a skeleton of {skeleton_bytes} bytes",
                    self.at
                ))
            })
    }
}

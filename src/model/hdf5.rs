//! HDF5 files, as Keras writes `.h5` and `.weights.h5`: where the elements of contiguous datasets
//! are. No value is decoded.
//!
//! A tensor is called what its dataset's path is, without the slash in front. A dataset with
//! several hard links is listed under each, and a group with several under the one that is found
//! first, so that cycles end. `Raw` is what stands in one piece as it does in memory. Other
//! layouts (chunked, compressed, compact, in other files), byte orders and strings are `Opaque`,
//! and what has no dtype in TensorFlow is not listed.

mod attribute;
#[cfg(test)]
pub(super) mod build;
mod dataset;
mod datatype;
mod group;
mod object;
mod part;
mod space;

pub(super) use part::{Part, error as offset_error};

use super::{
    Found, InputFile, Kind, ModelKind, ModelTensor, TensorData, nothing_to_repair, numbered,
};
use crate::error::Result;
use attribute::GlobalHeap;
use dataset::Dataset;
use object::{DRIVER_INFO, Object};
use space::Space;
use std::collections::HashMap;
use std::ops::Range;

/// How an HDF5 file begins, or what a user put in front of it ends.
const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Where the signature is looked for: here, and at twice the offset again and again.
const FIRST_USER_BLOCK: usize = 512;

/// The address of what there isn't, or has not been stored.
const UNDEFINED: u64 = u64::MAX;

/// The longest name of a tensor, or of a link, in bytes.
const MAX_NAME_BYTES: usize = 65_535;

pub(super) const KIND: Kind = Kind {
    kind: ModelKind::Hdf5,
    read,
    repair: nothing_to_repair,
};

fn read(files: &[InputFile<'_>], file: usize) -> Result<Option<Found>> {
    let bytes = numbered(files, file).bytes;
    let tensors = tensors(file, bytes, 0..bytes.len(), "")?;
    Ok(tensors.map(|tensors| Found {
        files: vec![file],
        tensors,
    }))
}

/// The tensors of the HDF5 file that is the range `place` of file number `file`, whose content is
/// `bytes`; their names start with `prefix`. `None` if there is no HDF5 file.
pub(super) fn tensors(
    file: usize,
    bytes: &[u8],
    place: Range<usize>,
    prefix: &str,
) -> Result<Option<Vec<ModelTensor>>> {
    let bytes = bytes.get(..place.end).unwrap_or(bytes);
    let Some(start) = find_signature(bytes, place.start) else {
        return Ok(None);
    };
    let Some((mut space, root)) = read_superblock(bytes, start)? else {
        return Ok(Some(Vec::new()));
    };
    let mut walk = Walk::new(file, &mut space);
    walk.run(root, prefix)?;
    refuse_overlaps(&walk.objects)?;
    Ok(Some(walk.tensors))
}

/// Where the HDF5 file starts that is in `bytes` from `start` on.
fn find_signature(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = bytes.get(start..)?;
    let user_blocks = std::iter::successors(Some(FIRST_USER_BLOCK), |len| len.checked_mul(2));
    std::iter::once(0)
        .chain(user_blocks.take_while(|&len| len < rest.len()))
        .find(|&len| {
            rest.get(len..)
                .is_some_and(|file| file.starts_with(SIGNATURE))
        })
        .and_then(|len| start.checked_add(len))
}

/// Reads the superblock at `start`: the address space, and the address of the root group. `None`
/// if the file is of a later version, or has numbers of other widths than 8 bytes, or is one of
/// several that make up an address space.
fn read_superblock(bytes: &[u8], start: usize) -> Result<Option<(Space<'_>, u64)>> {
    let mut block = Part::of(bytes, start, "an HDF5 superblock");
    block.take(SIGNATURE.len())?;
    let version = block.u8()?;
    let widths = match version {
        0 | 1 => {
            block.take(4)?;
            let widths = block.array()?;
            block.take(if version == 0 { 9 } else { 13 })?;
            widths
        }
        2 | 3 => {
            let widths = block.array()?;
            block.take(1)?;
            widths
        }
        _ => return Ok(None),
    };
    if widths != [8, 8] {
        return Ok(None);
    }
    // Of free space, or of the superblock's extension.
    let (base, extra) = (block.u64()?, block.u64()?);
    let end_at = block.at();
    let end = block.u64()?;
    let driver_info = if version < 2 { block.u64()? } else { UNDEFINED };
    if version < 2 {
        // The root group's name.
        block.take(8)?;
    }
    let root = block.u64()?;

    let bytes = up_to_end(bytes, start, end.saturating_sub(base), end_at)?;
    let mut space = Space::new(bytes, start);
    let is_split = driver_info != UNDEFINED
        || version >= 2 && extra != UNDEFINED && Object::read(&mut space, extra)?.has(DRIVER_INFO);
    Ok((!is_split).then_some((space, root)))
}

/// What is before the end of an HDF5 file that starts at `start` and has `len` bytes, as it says
/// at `at`. HDF5 refuses one that has been cut short.
fn up_to_end(bytes: &[u8], start: usize, len: u64, at: usize) -> Result<&[u8]> {
    let end = usize::try_from(len)
        .ok()
        .and_then(|len| start.checked_add(len));
    end.and_then(|end| bytes.get(..end)).ok_or_else(|| {
        part::error(
            at,
            format!(
                "expected an HDF5 file of {len} bytes from offset {start} on, found {}",
                bytes.len().saturating_sub(start)
            ),
        )
    })
}

/// A walk through all objects that hard links lead to.
struct Walk<'w, 'a> {
    file: usize,
    space: &'w mut Space<'a>,
    heap: GlobalHeap<'a>,
    /// The objects that were read, by address; those that are no dataset that can be listed have
    /// nothing.
    objects: HashMap<u64, Option<Dataset>>,
    tensors: Vec<ModelTensor>,
}

impl<'w, 'a> Walk<'w, 'a> {
    fn new(file: usize, space: &'w mut Space<'a>) -> Self {
        Self {
            file,
            space,
            heap: GlobalHeap::default(),
            objects: HashMap::new(),
            tensors: Vec::new(),
        }
    }

    /// Lists what is reached from the group at address `root`, in the order of paths as far as
    /// groups have one.
    fn run(&mut self, root: u64, prefix: &str) -> Result<()> {
        // Objects and their names, the next one last: a stack instead of recursion.
        let mut pending = Vec::new();
        self.visit(root, prefix, "", &mut pending)?;
        while let Some((address, name)) = pending.pop() {
            self.visit(address, &name, "/", &mut pending)?;
        }
        Ok(())
    }

    /// Lists the dataset at an address, or puts the members of the group that is there on the
    /// stack, unless it has been met before.
    fn visit(
        &mut self,
        address: u64,
        name: &str,
        separator: &str,
        pending: &mut Vec<(u64, String)>,
    ) -> Result<()> {
        match self.objects.get(&address) {
            Some(Some(dataset)) => return self.list(name, dataset.clone()),
            Some(None) => return Ok(()),
            None => {}
        }
        let object = Object::read(self.space, address)?;
        let dataset = match dataset::is_dataset(&object) {
            true => dataset::read(self.space, &mut self.heap, &object)?,
            false => None,
        };
        self.objects.insert(address, dataset.clone());
        if let Some(dataset) = dataset {
            return self.list(name, dataset);
        }
        if dataset::is_dataset(&object) {
            return Ok(());
        }
        for link in group::links(self.space, &object)?.into_iter().rev() {
            let name = [name, separator, link.name].concat();
            if name.len() > MAX_NAME_BYTES {
                return Err(part::error(
                    object.at,
                    format!(
                        "expected members with paths of at most {MAX_NAME_BYTES} bytes, found {}",
                        name.len()
                    ),
                ));
            }
            self.space.spend(size_of::<(u64, String)>())?;
            self.space.spend(name.len())?;
            pending.push((link.address, name));
        }
        Ok(())
    }

    fn list(&mut self, name: &str, dataset: Dataset) -> Result<()> {
        self.space.spend(size_of::<ModelTensor>())?;
        self.space.spend(size_of_val(dataset.shape.as_slice()))?;
        self.tensors.push(ModelTensor {
            file: self.file,
            name: name.to_owned(),
            dtype: dataset.dtype,
            shape: dataset.shape,
            data: dataset.data,
        });
        Ok(())
    }
}

/// Refuses two datasets that share some of their elements' bytes, as no HDF5 library writes them.
fn refuse_overlaps(objects: &HashMap<u64, Option<Dataset>>) -> Result<()> {
    let mut ranges: Vec<&Range<usize>> = objects
        .values()
        .flatten()
        .filter_map(|dataset| match &dataset.data {
            TensorData::Raw { range, .. } if !range.is_empty() => Some(range),
            _ => None,
        })
        .collect();
    ranges.sort_by_key(|range| range.start);
    for pair in ranges.windows(2) {
        if let [before, after] = pair
            && before.end > after.start
        {
            return Err(part::error(
                after.start,
                format!(
                    "expected a dataset after the end of another at {}, found them to overlap",
                    before.end
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

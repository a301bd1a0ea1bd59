//! TensorBundle, the checkpoint of TensorFlow 2: an index `X.index`, which is a LevelDB table, and
//! data shards `X.data-00000-of-00001`, in which the elements stand as they are.
//!
//! The empty key of the index has a BundleHeaderProto, every other key a BundleEntryProto: dtype,
//! shape, and which bytes of which shard. A partitioned variable has an entry without bytes under
//! its name, which is not listed, and entries of its pieces under keys that are made of the name and
//! the place of the piece: those are listed as `p/d[0:2,0:3]`.
//!
//! Entries hold a checksum of their bytes, which TensorFlow checks when it loads them. Strings have
//! one of another kind; it is left to TensorFlow.

use super::leveldb::{self, Entry, SliceKey, Table};
use super::tensor_proto::Shape;
use super::wire::{self, Message, Value};
use super::{
    Changed, Found, InputFile, Kind, ModelKind, ModelTensor, OutputFile, TensorData, numbered,
    numbered_mut, put_at,
};
use crate::error::{Error, Result, Within};
use crate::tensor::{DType, element_count};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// How the name of an index ends.
const INDEX_SUFFIX: &str = ".index";

pub(super) const KIND: Kind = Kind {
    kind: ModelKind::TensorBundle,
    read,
    repair,
};

fn read(files: &[InputFile<'_>], file: usize) -> Result<Option<Found>> {
    let &InputFile { name, bytes } = numbered(files, file);
    let Some(table) = Table::open(bytes)? else {
        return Ok(None);
    };
    let Some(Some(n_shards)) = table.header(|entry| read_header(entry.message()))? else {
        return Ok(None);
    };
    let shards = find_shards(files, name, n_shards)?;
    let bytes_of = |&shard: &usize| numbered(files, shard).bytes;
    let shard_bytes: Vec<&[u8]> = shards.iter().map(bytes_of).collect();
    let variables = read_variables(&table, &shard_bytes)?;
    for variable in &variables {
        variable.check(&shard_bytes)?;
    }
    let tensors = variables
        .into_iter()
        .filter_map(|variable| variable.tensor(&shards))
        .collect();
    Ok(Some(Found {
        files: [&[file], shards.as_slice()].concat(),
        tensors,
    }))
}

/// Reads a BundleHeaderProto: the number of shards. `None` if it is something else.
fn read_header(header: Message<'_>) -> Result<Option<u64>> {
    let (mut n_shards, mut endianness) = (None, 0);
    for field in header.fields() {
        let field = field?;
        match (field.number, field.value) {
            (1, Value::Varint(value)) => n_shards = Some(value),
            // In a SavedTensorSlices this is a message.
            (1, _) => return Ok(None),
            (2, _) => endianness = field.varint()?,
            (3, _) => leveldb::check_version(field.message()?)?,
            _ => {}
        }
    }
    if n_shards.is_some() && endianness != 0 {
        return Err(wire::error(
            header.start(),
            "expected a little-endian checkpoint, found a big-endian one; load it with TensorFlow \
             on a little-endian machine and save it again",
        ));
    }
    Ok(n_shards)
}

/// Finds the shards of the index with this name among the files.
fn find_shards(files: &[InputFile<'_>], index: &str, n_shards: u64) -> Result<Vec<usize>> {
    let Some(stem) = index.strip_suffix(INDEX_SUFFIX) else {
        return Err(Error::model(format!(
            "expected the index of a checkpoint to be called NAME{INDEX_SUFFIX}, found {index:?}: \
             its data shards cannot be found"
        )));
    };
    if n_shards < 1 {
        return Err(Error::model(format!(
            "expected at least one data shard, found {n_shards}"
        )));
    }
    let numbers: HashMap<&str, usize> = files
        .iter()
        .enumerate()
        .map(|(number, file)| (file.name, number))
        .collect();
    // This ends at the first shard that is missing, however many there are said to be.
    (0..n_shards)
        .map(|shard| {
            let name = format!("{stem}.data-{shard:05}-of-{n_shards:05}");
            numbers.get(name.as_str()).copied().ok_or_else(|| {
                Error::model(format!(
                    "expected the data shard {name:?}, found no such file"
                ))
            })
        })
        .collect()
}

/// The key under which TensorFlow 2 saves what its objects are: a string.
const OBJECT_GRAPH: &[u8] = b"_CHECKPOINTABLE_OBJECT_GRAPH";

/// The TrackableObjectGraph of a checkpoint, whose files are the index and the shards.
pub(super) fn object_graph<'a>(
    files: &[InputFile<'a>],
    part: &[usize],
) -> Result<Option<&'a [u8]>> {
    let [index, shards @ ..] = part else {
        return Ok(None);
    };
    let bytes_of = |&file: &usize| numbered(files, file).bytes;
    let shards: Vec<&'a [u8]> = shards.iter().map(bytes_of).collect();
    let mut found = None;
    if let Some(table) = Table::open(bytes_of(index))? {
        table.entries(|entry| {
            if entry.key == OBJECT_GRAPH
                && let Some(variable) = Variable::read(entry, &shards)?
            {
                found = shards
                    .get(variable.shard)
                    .and_then(|bytes| bytes.get(variable.range))
                    .and_then(only_string);
            }
            Ok(())
        })?;
    }
    Ok(found)
}

/// The string that is stored as the only element of a tensor: its length, a checksum of that, and it.
fn only_string(mut bytes: &[u8]) -> Option<&[u8]> {
    let len = leveldb::take_varint(&mut bytes)?;
    let string = bytes.get(size_of::<u32>()..)?;
    (u64::try_from(string.len()).ok() == Some(len)).then_some(string)
}

/// What an index says of a variable, or of a piece of one, that has bytes in a shard.
struct Variable {
    name: String,
    /// `None` if it is not known here.
    dtype: Option<DType>,
    shape: Vec<u64>,
    shard: usize,
    /// Where its bytes are in the shard.
    range: Range<usize>,
    checksum: u32,
    /// Where the index has the checksum; `None` if that is left out, or stands in a compressed block.
    checksum_at: Option<usize>,
    /// The block of the index with the entry.
    block: Range<usize>,
}

/// All variables with bytes in the shards, in the order of these.
fn read_variables(table: &Table<'_>, shards: &[&[u8]]) -> Result<Vec<Variable>> {
    let mut variables = Vec::new();
    table.entries(|entry| {
        if entry.key.is_empty() {
            return Ok(());
        }
        let place = || format!("entry {:?}", leveldb::printable(entry.key));
        variables.extend(Variable::read(entry, shards).within(place)?);
        Ok(())
    })?;
    variables.sort_by_key(|v| (v.shard, v.range.start, v.range.end));
    let with_bytes: Vec<&Variable> = variables.iter().filter(|v| !v.range.is_empty()).collect();
    for pair in with_bytes.windows(2) {
        let [a, b] = pair else { continue };
        let is_shared = a.range == b.range && a.is_raw() && b.is_raw();
        if a.shard == b.shard && a.range.end > b.range.start && !is_shared {
            return Err(Error::model(format!(
                "expected variables that share all their bytes or none, found {:?} at {:?} and {:?} \
                 at {:?} of data shard {}",
                a.name, a.range, b.name, b.range, a.shard
            )));
        }
    }
    Ok(variables)
}

impl Variable {
    /// Reads a BundleEntryProto; `None` if it has no bytes of its own because its pieces have.
    fn read(entry: &Entry<'_>, shards: &[&[u8]]) -> Result<Option<Self>> {
        let message = entry.message();
        let (mut dtype, mut shard, mut offset, mut size) = (0, 0, 0, 0);
        let (mut checksum, mut checksum_at) = (0, None);
        let mut shape = Shape::default();
        let mut has_pieces = false;
        let mut fields = message.fields().peekable();
        while let Some(field) = fields.next() {
            let field = field?;
            match field.number {
                1 => dtype = field.varint()?,
                2 => shape.read(field.message()?)?,
                3 => shard = field.varint()?,
                4 => offset = field.varint()?,
                5 => size = field.varint()?,
                6 => {
                    let end = fields.peek().and_then(|next| next.as_ref().ok());
                    let end = end.map_or(message.end(), |next| next.at);
                    let end_in_message = end.checked_sub(message.start());
                    checksum = end_in_message
                        .and_then(|end| read_checksum(entry, field.value, end))
                        .ok_or_else(|| wire::error(field.at, "expected a checksum of 32 bits"))?;
                    checksum_at = entry
                        .at
                        .and_then(|_| end.checked_sub(size_of_val(&checksum)));
                }
                7 => has_pieces = true,
                _ => {}
            }
        }
        let refuse = |expected: String, found: String| {
            Err(wire::error(
                message.start(),
                format!("expected {expected}, found {found}"),
            ))
        };
        let Some(shape) = shape.dims().filter(|dims| element_count(dims).is_ok()) else {
            return refuse(
                "a shape".to_owned(),
                "unknown or too large dimensions".to_owned(),
            );
        };
        if has_pieces {
            return Ok(None);
        }
        let dtype = u32::try_from(dtype).ok().and_then(DType::from_id);
        let expected = dtype.and_then(DType::width).and_then(|width| {
            element_count(shape)
                .ok()?
                .checked_mul(u64::try_from(width).ok()?)
        });
        if let Some(expected) = expected
            && size != expected
        {
            return refuse(
                format!("{expected} bytes of shape {shape:?}"),
                format!("{size}"),
            );
        }
        let bytes = usize::try_from(shard)
            .ok()
            .and_then(|n| Some((n, shards.get(n)?)));
        let Some((shard, bytes)) = bytes else {
            return refuse(
                format!("a data shard below {}", shards.len()),
                format!("{shard}"),
            );
        };
        let Some(range) = range_in(bytes, offset, size) else {
            return refuse(
                format!(
                    "a range of data shard {shard}, which has {} bytes",
                    bytes.len()
                ),
                format!("{size} bytes at {offset}"),
            );
        };
        Ok(Some(Self {
            name: leveldb::limit_name(name(entry.key, shape))?,
            dtype,
            shape: shape.to_vec(),
            shard,
            range,
            checksum,
            checksum_at,
            block: entry.block.clone(),
        }))
    }

    /// Whether its bytes are elements as they are in memory.
    fn is_raw(&self) -> bool {
        self.dtype.is_some_and(|dtype| dtype.width().is_some())
    }

    /// Its checksum as it should be.
    fn right_checksum(&self, shards: &[&[u8]]) -> u32 {
        let bytes = shards
            .get(self.shard)
            .and_then(|bytes| bytes.get(self.range.clone()));
        bytes.map_or(0, leveldb::masked_crc32c)
    }

    /// Compares its checksum with its elements.
    fn check(&self, shards: &[&[u8]]) -> Result<()> {
        if !self.is_raw() || cfg!(fuzzing) {
            return Ok(());
        }
        let (expected, found) = (self.checksum, self.right_checksum(shards));
        if found != expected {
            return Err(Error::model(format!(
                "expected elements with checksum {expected:08x} at {:?} of data shard {}, found \
                 {found:08x}",
                self.range, self.shard
            ))
            .within(format_args!("entry {:?}", self.name)));
        }
        Ok(())
    }

    /// The tensor of a model, if the dtype is known.
    fn tensor(self, shards: &[usize]) -> Option<ModelTensor> {
        let data = if self.is_raw() {
            TensorData::Raw {
                range: self.range,
                repeats: 0,
            }
        } else {
            TensorData::Opaque
        };
        Some(ModelTensor {
            file: *shards.get(self.shard)?,
            name: self.name,
            dtype: self.dtype?,
            shape: self.shape,
            data,
        })
    }
}

/// The fixed32 that ends at `end` of an entry's value.
fn read_checksum(entry: &Entry<'_>, value: Value<'_>, end: usize) -> Option<u32> {
    let bytes = entry.value.get(..end)?.last_chunk()?;
    (value == Value::Fixed32).then(|| u32::from_le_bytes(*bytes))
}

/// The range of `size` bytes at `offset`, if there is one. Where nothing is, it is at the beginning,
/// where it cuts no other range in two.
fn range_in(bytes: &[u8], offset: u64, size: u64) -> Option<Range<usize>> {
    if size == 0 {
        return Some(0..0);
    }
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    (end <= bytes.len()).then_some(start..end)
}

/// What the variable or the piece with this key and shape is called.
fn name(key: &[u8], shape: &[u64]) -> String {
    let slice = SliceKey::decode(key);
    let piece = slice.and_then(|slice| Some(slice.name_with(&slice.ranges_of(shape)?)));
    piece.unwrap_or_else(|| leveldb::printable(key))
}

fn repair(
    files: &mut [OutputFile<'_>],
    part: &[usize],
    changed: &[Changed],
) -> Result<Vec<String>> {
    let [index, shards @ ..] = part else {
        return Ok(Vec::new());
    };
    let changes = Changes::new(shards, changed);
    let index_bytes = &numbered(files, *index).bytes;
    let Some(table) = Table::open(index_bytes)?.filter(|_| !changes.0.is_empty()) else {
        return Ok(Vec::new());
    };
    // A compressed index has no places that could be changed, so it becomes one that isn't.
    let plain = table
        .is_compressed()
        .then(|| table.decompressed())
        .transpose()?;
    let bytes = plain.as_deref().unwrap_or(index_bytes);
    let bytes_of = |&shard: &usize| numbered(files, shard).bytes.as_slice();
    let shard_bytes: Vec<&[u8]> = shards.iter().map(bytes_of).collect();
    let repairs = Repairs::find(bytes, &shard_bytes, &changes)?;
    let index = numbered_mut(files, *index);
    if let Some(plain) = plain.filter(|_| !repairs.checksums.is_empty()) {
        index.bytes = plain;
    }
    for &(at, checksum) in &repairs.checksums {
        put_at(&mut index.bytes, at, &checksum.to_le_bytes())?;
    }
    for block in &repairs.blocks {
        leveldb::repair_block(&mut index.bytes, block)?;
    }
    match repairs.complaint(index.name) {
        Some(refused) => Err(Error::model(refused)),
        None => Ok(Vec::new()),
    }
}

/// What must be changed in an index.
#[derive(Default)]
struct Repairs {
    /// New checksums of entries, and where they go.
    checksums: Vec<(usize, u32)>,
    /// The blocks that these are in.
    blocks: HashSet<Range<usize>>,
    /// Variables whose checksum is left out of the index, because it was zero.
    impossible: Vec<String>,
}

impl Repairs {
    /// Compares the checksums of variables that share bytes with what has changed.
    fn find(index: &[u8], shards: &[&[u8]], changes: &Changes) -> Result<Self> {
        let variables = match Table::open(index)? {
            Some(table) => read_variables(&table, shards)?,
            None => Vec::new(),
        };
        let mut repairs = Self::default();
        for variable in variables.into_iter().filter(|v| changes.touch(v)) {
            let checksum = variable.right_checksum(shards);
            match variable.checksum_at {
                _ if checksum == variable.checksum => {}
                None => repairs.impossible.push(variable.name),
                Some(at) => {
                    repairs.checksums.push((at, checksum));
                    repairs.blocks.insert(variable.block);
                }
            }
        }
        Ok(repairs)
    }

    fn complaint(&self, index: &str) -> Option<String> {
        let (first, others) = self.impossible.split_first()?;
        let more = match others.len() {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        Some(format!(
            "{index} has no place for the checksum of the changed tensor {first:?}{more}: \
             TensorFlow would refuse to load it"
        ))
    }
}

/// Ranges of shards that have changed: shard, start and end, ascending.
struct Changes(Vec<(usize, usize, usize)>);

impl Changes {
    fn new(shards: &[usize], changed: &[Changed]) -> Self {
        let numbers: HashMap<usize, usize> = shards
            .iter()
            .enumerate()
            .map(|(number, &file)| (file, number))
            .collect();
        let changed = changed.iter().filter(|change| !change.range.is_empty());
        let mut changes: Vec<_> = changed
            .filter_map(|c| Some((*numbers.get(&c.file)?, c.range.start, c.range.end)))
            .collect();
        changes.sort_unstable();
        Self(changes)
    }

    /// Whether one of them has bytes of this variable.
    fn touch(&self, variable: &Variable) -> bool {
        let Variable { shard, range, .. } = variable;
        // Ranges are the same or apart, so their ends ascend too.
        let first = self
            .0
            .partition_point(|&(s, _, end)| (s, end) <= (*shard, range.start));
        self.0
            .get(first)
            .is_some_and(|&(s, start, _)| s == *shard && start < range.end)
    }
}

#[cfg(test)]
mod tests;

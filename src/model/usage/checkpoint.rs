//! The checkpoint that belongs to a graph, by the names of files and of tensors.
//!
//! | graph | checkpoint |
//! |---|---|
//! | `X/saved_model.pb` | `X/variables/variables.index` |
//! | `P.meta` | `P.index`; or of TensorFlow 1 `P`, or `P-00000-of-00001` and so on |
//! | any other | the only one in its folder |

use super::findings::of_file;
use crate::error::Result;
use crate::model::{InputFile, Model, ModelKind, folder_of, leveldb, numbered, tensor_bundle};
use std::collections::HashMap;

/// The tensors of a checkpoint. Empty for a graph that has none.
#[derive(Default)]
pub(super) struct Checkpoint<'m> {
    tensors: HashMap<&'m str, usize>,
    /// Numbers of the pieces of a variable, by its name.
    pieces: HashMap<&'m str, Vec<usize>>,
    /// The files of a TensorBundle, its index first.
    bundle: &'m [usize],
}

/// What a key stands for in a checkpoint.
pub(super) enum Stored<'c> {
    /// A tensor: all that was saved.
    Whole(usize),
    /// Tensors that are its pieces.
    Pieces(&'c [usize]),
    Nothing,
}

impl<'m> Checkpoint<'m> {
    /// The checkpoint of the graph in file number `file`, of this kind.
    pub(super) fn of(
        model: &'m Model,
        files: &[InputFile<'_>],
        file: usize,
        kind: ModelKind,
    ) -> Self {
        let graph = numbered(files, file).name;
        let folder = folder_of(graph);
        let mut is_one = true;
        let mut prefix = None;
        let mut parts = Vec::new();
        for part in &model.parts {
            let Some(name) = part.files.first().and_then(|&file| files.get(file)) else {
                continue;
            };
            let name = name.name;
            let of_part = match part.kind {
                ModelKind::TensorBundle => name.strip_suffix(".index").unwrap_or(name),
                ModelKind::SlicedCheckpoint => without_shard(name),
                _ => continue,
            };
            let belongs = match kind {
                ModelKind::SavedModel => {
                    of_part.strip_prefix(folder) == Some("variables/variables")
                }
                ModelKind::MetaGraphDef => graph.strip_suffix(".meta") == Some(of_part),
                _ => folder_of(name) == folder,
            };
            if belongs {
                is_one &= *prefix.get_or_insert(of_part) == of_part;
                parts.push(part);
            }
        }
        let mut checkpoint = Self::default();
        if !is_one {
            return checkpoint;
        }
        for part in parts {
            if part.kind == ModelKind::TensorBundle {
                checkpoint.bundle = &part.files;
            }
            for &file in &part.files {
                for number in of_file(model, file) {
                    checkpoint.add(&numbered(&model.tensors, number).name, number);
                }
            }
        }
        checkpoint
    }

    fn add(&mut self, name: &'m str, number: usize) {
        self.tensors.insert(name, number);
        if let Some((variable, _)) = name
            .strip_suffix(']')
            .and_then(|name| name.rsplit_once('['))
        {
            self.pieces.entry(variable).or_default().push(number);
        }
    }

    /// The tensors that are stored under a key. `slice` is what TensorFlow's savers say of a piece:
    /// the whole shape and the ranges, as `90 20 0,30:0,20`; empty for all of a tensor.
    pub(super) fn stored(&self, key: &[u8], slice: &[u8]) -> Stored<'_> {
        let key = leveldb::printable(key);
        let piece = name_of_piece(&key, slice);
        let piece = piece.and_then(|name| self.tensors.get(name.as_str()));
        if let Some(&number) = piece.or_else(|| self.tensors.get(key.as_str())) {
            return Stored::Whole(number);
        }
        match self.pieces.get(key.as_str()) {
            Some(pieces) => Stored::Pieces(pieces),
            None => Stored::Nothing,
        }
    }

    /// Numbers of all its tensors.
    pub(super) fn tensors(&self) -> impl Iterator<Item = usize> {
        self.tensors.values().copied()
    }

    /// The TrackableObjectGraph that TensorFlow 2 saves with the variables of objects.
    pub(super) fn objects<'a>(&self, files: &[InputFile<'a>]) -> Result<Option<&'a [u8]>> {
        match self.bundle {
            [] => Ok(None),
            bundle => tensor_bundle::object_graph(files, bundle),
        }
    }
}

/// The name of a shard without its number.
fn without_shard(name: &str) -> &str {
    let is_number = |part: &str| part.len() == 5 && part.bytes().all(|b| b.is_ascii_digit());
    let stem = name.rsplit_once("-of-").and_then(|(rest, count)| {
        let (stem, shard) = rest.rsplit_once('-')?;
        (is_number(count) && is_number(shard)).then_some(stem)
    });
    stem.unwrap_or(name)
}

/// What a piece of a variable is called in a checkpoint.
fn name_of_piece(key: &str, slice: &[u8]) -> Option<String> {
    let slice = std::str::from_utf8(slice).ok()?;
    let (shape, ranges) = slice.rsplit_once(' ')?;
    let dims = shape.split(' ').map(|dim| dim.parse::<u64>().ok());
    let dims: Vec<u64> = dims.collect::<Option<_>>()?;
    let ranges: Vec<String> = ranges
        .split(':')
        .zip(&dims)
        .map(|(range, dim)| match range.split_once(',') {
            None if range == "-" => Some(format!("0:{dim}")),
            None => None,
            Some((start, len)) => {
                let (start, len): (u64, u64) = (start.parse().ok()?, len.parse().ok()?);
                Some(format!("{start}:{}", start.checked_add(len)?))
            }
        })
        .collect::<Option<_>>()?;
    Some(format!("{key}[{}]", ranges.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_named_as_in_checkpoints() {
        let name = |slice: &str| name_of_piece("p/d", slice.as_bytes());
        assert_eq!(name("90 20 0,30:0,20").unwrap(), "p/d[0:30,0:20]");
        assert_eq!(name("90 20 30,30:-").unwrap(), "p/d[30:60,0:20]");
        for odd in [
            "",
            "90",
            "90 20 0,30:x",
            "x 0,30",
            "90 1,18446744073709551615",
        ] {
            assert_eq!(name(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_shard_is_known_by_its_number() {
        assert_eq!(without_shard("a/export-00000-of-00001"), "a/export");
        for whole in ["export", "export-0-of-1", "x-of-00001", "model.ckpt-7"] {
            assert_eq!(without_shard(whole), whole);
        }
    }
}

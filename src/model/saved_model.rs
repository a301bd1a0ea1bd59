//! `tensorflow.SavedModel`: the MetaGraphDefs of a SavedModel folder, its `saved_model.pb`.
//!
//! Its tensors are those of its MetaGraphDefs, with the same names; most have one MetaGraphDef, and
//! keep the weights as a checkpoint in `variables/`. Any schema version is read, as TensorFlow does,
//! which writes 1 and does not look.
//!
//! Beside it stands `fingerprint.pb`, with hashes that name a version of a model: of the index in
//! `variables/`, which is repaired, and of what `saved_model.pb` says once TensorFlow has parsed,
//! sorted and serialised it, which is not. TensorFlow does not compare them with what it loads.

use super::graph_def::Walk;
use super::meta_graph::{content, is_meta_graph, meta_graph};
use super::wire::{Message, Value};
use super::{
    Changed, Found, InputFile, Kind, ModelKind, OutputFile, folder_of, numbered, numbered_mut,
};
use crate::error::{Result, Within};
use fingerprint64::fingerprint64;
use std::ops::Range;

mod fingerprint64;

pub(super) const KIND: Kind = Kind {
    kind: ModelKind::SavedModel,
    read,
    repair,
};

/// The files of a SavedModel folder that matter here.
const FINGERPRINT: &str = "fingerprint.pb";
const VARIABLES: &str = "variables/";
const INDEX: &str = "variables/variables.index";

/// FingerprintDef's `checkpoint_hash`: of the index as bytes.
const CHECKPOINT_HASH: u32 = 5;

fn read(files: &[InputFile<'_>], file: usize) -> Result<Option<Found>> {
    let bytes = numbered(files, file).bytes;
    if !is_saved_model(bytes) {
        return Ok(None);
    }
    let mut walk = Walk::new(files, file);
    saved_model(&mut walk, Message::root(bytes)).within(|| KIND.kind.to_string())?;
    Ok(Some(walk.found()))
}

/// Whether `bytes` start as a SavedModel: with a MetaGraphDef in field 2, and no message in field 1
/// (a MetaGraphDef has one there).
fn is_saved_model(bytes: &[u8]) -> bool {
    content(bytes, 1).is_none() && content(bytes, 2).is_some_and(is_meta_graph)
}

/// The MetaGraphDefs of a SavedModel.
pub(super) fn meta_graphs(saved_model: Message<'_>) -> impl Iterator<Item = Result<Message<'_>>> {
    saved_model.messages(2)
}

/// SavedModel.
fn saved_model(walk: &mut Walk, saved_model: Message<'_>) -> Result<()> {
    for field in saved_model.fields() {
        let field = field?;
        match field.number {
            1 => drop(field.varint()?),
            2 => meta_graph(walk, field.message()?)?,
            _ => {}
        }
    }
    Ok(())
}

/// Brings `fingerprint.pb` up to date with the index of the variables, which must have been
/// repaired before.
fn repair(
    files: &mut [OutputFile<'_>],
    part: &[usize],
    changed: &[Changed],
) -> Result<Vec<String>> {
    let &[file] = part else {
        return Ok(Vec::new());
    };
    let folder = folder_of(numbered(files, file).name);
    let find = |name: &str| {
        files.iter().position(|file| {
            let name_in_folder = file.name.strip_prefix(folder);
            name_in_folder == Some(name)
        })
    };
    let Some(fingerprint) = find(FINGERPRINT) else {
        return Ok(Vec::new());
    };
    let name = numbered(files, fingerprint).name;
    let warning = |what: &str| format!("{name}: {what}; TensorFlow loads the model all the same");
    let mut warnings = Vec::new();
    if changed.iter().any(|change| change.file == file) {
        let what = "its hashes of saved_model.pb are those of the model before the change";
        warnings.push(warning(what));
    }
    let variables = format!("{folder}{VARIABLES}");
    let is_of_variables =
        |change: &Changed| numbered(files, change.file).name.starts_with(&variables);
    if changed.iter().any(is_of_variables)
        && let Some(index) = find(INDEX)
    {
        let hash = fingerprint64(&numbered(files, index).bytes);
        let fingerprint = numbered_mut(files, fingerprint);
        match with_checkpoint_hash(&fingerprint.bytes, hash) {
            Ok(bytes) => fingerprint.bytes = bytes,
            Err(_) => {
                let what = "its hash of variables.index is that of the model before the change";
                warnings.push(warning(what));
            }
        }
    }
    Ok(warnings)
}

/// A FingerprintDef with another hash of the checkpoint, if it has one.
fn with_checkpoint_hash(fingerprint: &[u8], hash: u64) -> Result<Vec<u8>> {
    let mut new = Vec::with_capacity(fingerprint.len().saturating_add(9));
    let mut kept_to = 0;
    // They ascend, and lie in the message.
    for place in places_of_hash(fingerprint)? {
        new.extend(fingerprint.get(kept_to..place.start).unwrap_or_default());
        push_varint(&mut new, u64::from(CHECKPOINT_HASH) << 3);
        push_varint(&mut new, hash);
        kept_to = place.end;
    }
    new.extend(fingerprint.get(kept_to..).unwrap_or_default());
    Ok(new)
}

/// The fields of a FingerprintDef, tags included, that are hashes of the checkpoint.
fn places_of_hash(fingerprint: &[u8]) -> Result<Vec<Range<usize>>> {
    let mut places: Vec<Range<usize>> = Vec::new();
    let mut is_open = false;
    for field in Message::root(fingerprint).fields() {
        let field = field?;
        if is_open && let Some(place) = places.last_mut() {
            place.end = field.at;
        }
        is_open = field.number == CHECKPOINT_HASH && matches!(field.value, Value::Varint(_));
        if is_open {
            places.push(field.at..fingerprint.len());
        }
    }
    Ok(places)
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests;

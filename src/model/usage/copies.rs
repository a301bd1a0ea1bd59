//! Copies of a constant: a Python function that is traced several times leaves as many functions in
//! the library, each with a copy of the constants that it was written with.
//!
//! TensorFlow calls them `__inference_NAME_NUMBER`, with another number for each trace, and their
//! nodes the same in each. So these are one thing: constants of the same name, dtype, shape and bytes,
//! in functions of one file whose names differ in that number only. One of these alone says too
//! little: a node is called `Const` everywhere, and untrained layers are equal. Only what can be a
//! weight is looked at.

use super::findings::{Findings, may_be_weight};
use crate::model::{InputFile, ModelKind, TensorData, numbered};
use std::collections::{HashMap, HashSet};

/// Joins the copies that a model has.
pub(super) fn find(findings: &mut Findings<'_>, files: &[InputFile<'_>]) {
    let model = findings.model;
    let mut have_functions: HashSet<usize> = HashSet::new();
    for part in &model.parts {
        if let ModelKind::GraphDef | ModelKind::MetaGraphDef | ModelKind::SavedModel = part.kind {
            have_functions.extend(&part.files);
        }
    }
    let mut copies: HashMap<_, Vec<usize>> = HashMap::new();
    for (number, tensor) in model.tensors.iter().enumerate() {
        let place = tensor.name.split_once('/');
        let place = place.and_then(|(function, node)| Some((stem(function)?, node)));
        if let (Some(place), true, true) = (
            place,
            may_be_weight(tensor),
            have_functions.contains(&tensor.file),
        ) && !tensor.name.contains(':')
            && let TensorData::Raw { .. } = tensor.data
        {
            let what = (tensor.file, place, tensor.dtype, &tensor.shape);
            copies.entry(what).or_default().push(number);
        }
    }
    // Elements are compared only where all else is the same.
    for numbers in copies.values().filter(|numbers| numbers.len() > 1) {
        let mut first: HashMap<(&[u8], u64), usize> = HashMap::new();
        for &number in numbers {
            let tensor = numbered(&model.tensors, number);
            if let TensorData::Raw { range, repeats } = &tensor.data
                && let Some(bytes) = numbered(files, tensor.file).bytes.get(range.clone())
            {
                let first = *first.entry((bytes, *repeats)).or_insert(number);
                findings.join(first, number);
            }
        }
    }
}

/// The name of a traced function without the number of the trace.
fn stem(function: &str) -> Option<&str> {
    let (stem, number) = function.rsplit_once('_')?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (is_number && function.starts_with("__inference_")).then_some(stem)
}

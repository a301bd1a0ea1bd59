//! The pruning pass over any graph, by any rule.

use crate::model::{self, InputFile, TensorData};
use crate::prune::{Assigned, Pattern, PruneOptions, Pruned, Rule, ShareBits, prune};

/// Bytes before the graph.
const HEAD_BYTES: usize = 4;

/// Pruning: whatever graph can be pruned is a graph with the same tensors after it, of which none that
/// is not reported has changed, and what is reported of the others fits together. The first four
/// bytes are the rule and its numbers, and which tensors there are to be pruned.
///
/// # Panics
/// If that does not hold.
pub fn pruning(bytes: &[u8]) {
    let Some(pruned) = pruned(bytes) else {
        return;
    };
    let bytes = &bytes[HEAD_BYTES..];
    let files = [InputFile {
        name: "m.pb",
        bytes,
    }];
    let Ok(before) = model::read(&files) else {
        panic!("a graph that was pruned is read");
    };
    let after = InputFile {
        name: "m.pb",
        bytes: &pruned.rewritten.files[0],
    };
    match model::read(&[after]) {
        Ok(after) => assert_eq!(after.tensors, before.tensors),
        Err(e) => panic!("a pruned graph is read: {e}"),
    }
    let is_pruned = |name: &String| {
        let mut tensors = pruned.report.tensors.iter();
        tensors.any(|t| t.name == *name || t.copies.contains(name))
    };
    let mut unchanged = vec![true; bytes.len()];
    for tensor in &before.tensors {
        if let (TensorData::Raw { range, .. }, true) = (&tensor.data, is_pruned(&tensor.name)) {
            unchanged[range.clone()].fill(false);
        }
    }
    assert_eq!(after.bytes.len(), bytes.len());
    for (i, _) in unchanged.iter().enumerate().filter(|(_, same)| **same) {
        assert_eq!(after.bytes[i], bytes[i], "byte {i}");
    }
    for tensor in &pruned.report.tensors {
        assert!(tensor.left <= tensor.nnz && tensor.nnz <= tensor.parameters);
        assert_eq!(tensor.mask.len() as u64, tensor.parameters);
        assert!(tensor.left <= tensor.mask.left() as u64);
        assert!(tensor.relative_error >= 0.0 || tensor.relative_error.is_nan());
    }
}

/// What pruning makes of a graph, if it can be pruned.
pub(super) fn pruned(bytes: &[u8]) -> Option<Pruned> {
    let (head, bytes) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let files = [InputFile {
        name: "m.pb",
        bytes,
    }];
    prune(&files, &options(*head)).ok()
}

/// A rule with one of a few hundred numbers, or weights that are shared, or both.
fn options([rule, number, more, flags]: [u8; HEAD_BYTES]) -> PruneOptions {
    let (size, share) = (f64::from(number) / 64.0, f64::from(number) / 255.0);
    let of = usize::from(more % 16) + 1;
    let rule = match rule % 9 {
        0 => Rule::Std(size),
        1 => Rule::Magnitude(size),
        2 => Rule::Sparsity(share),
        3 => Rule::Global(share),
        4 => Rule::Norm(size),
        5 => Rule::ColumnVariance,
        6 => Rule::Nm {
            keep: usize::from(number) % (of + 1),
            of,
        },
        7 => Rule::Block {
            rows: of,
            columns: usize::from(more / 16) + 1,
            sparsity: share,
        },
        _ => Rule::Error(share),
    };
    let mut options = PruneOptions::default();
    if flags & 1 == 0 {
        options.rules.push(Assigned::to_all(rule));
    }
    if let Ok(bits) = ShareBits::new(flags >> 2 & 15) {
        options.share.push(Assigned::to_all(bits));
    }
    if flags & 2 != 0 {
        options.include.extend(Pattern::new("*"));
    }
    options
}

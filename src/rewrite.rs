//! Model files with other elements: what a pass over weights writes.

use crate::error::{Error, Result, Within};
use crate::model::{self, Change, Input, ModelTensor, TensorData};
use crate::output;
use std::fs;
use std::io::Write;
use std::path::Path;

/// What rewriting came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RewriteReport {
    /// Names of the tensors that were changed.
    pub changed: Vec<String>,
    /// What could not be repaired, and what that means to TensorFlow.
    pub warnings: Vec<String>,
}

/// Writes the model at `input` to `output` with other elements in some tensors, as a model of the
/// same kind that TensorFlow loads: checksums that its files keep of the elements are repaired.
///
/// `change` gets each tensor whose elements stand in one piece, and their little-endian bytes (the
/// stored ones: see [`TensorData::Raw`]); it returns as many new bytes, or `None` to leave it alone.
/// `input` is a model as for [`pack_file`](crate::pack_file); it is mapped, and the changed model is
/// held in memory.
///
/// # Errors
/// As [`model::rewrite`] and [`pack_file`](crate::pack_file); what `change` returns.
pub fn rewrite_file(
    input: impl AsRef<Path>,
    output: impl AsRef<Path>,
    overwrite: bool,
    mut change: impl FnMut(&ModelTensor, &[u8]) -> Result<Option<Vec<u8>>>,
) -> Result<RewriteReport> {
    let (path, output) = (input.as_ref(), output.as_ref());
    let input = Input::open(path)?;
    let files = input.files();
    let model = model::read(&files).within(|| path.display().to_string())?;
    let mut changes = Vec::new();
    for (number, tensor) in model.tensors.iter().enumerate() {
        if let TensorData::Raw { range, .. } = &tensor.data {
            let bytes = change(tensor, &files[tensor.file].bytes[range.clone()])?;
            changes.extend(bytes.map(|bytes| Change {
                tensor: number,
                bytes,
            }));
        }
    }
    let rewritten = model::rewrite(&files, &changes).within(|| path.display().to_string())?;
    write(&input, &rewritten.files, output, overwrite)?;
    Ok(RewriteReport {
        changed: changes
            .iter()
            .map(|change| model.tensors[change.tensor].name.clone())
            .collect(),
        warnings: rewritten.warnings,
    })
}

/// Writes files with the names of `input`.
pub(crate) fn write(
    input: &Input,
    contents: &[Vec<u8>],
    output: &Path,
    overwrite: bool,
) -> Result<()> {
    let put = |file: &mut fs::File, bytes: &[u8]| {
        file.write_all(bytes)
            .map_err(|e| Error::io(format!("cannot write {}", output.display()), e))
    };
    if let (false, [bytes]) = (input.is_folder, contents) {
        return output::write_file(output, overwrite, |file| put(file, bytes));
    }
    output::write_folder(output, overwrite, |folder| {
        output::make_folders(folder, input.empty_folders.iter().map(String::as_str))?;
        input
            .files
            .iter()
            .zip(contents)
            .try_for_each(|(file, bytes)| {
                output::write_new(&folder.join(&file.name), |out| put(out, bytes))
            })
    })
}

//! A model on disk, pruned in memory: to be looked at, written, or packed.

use crate::container::Root;
use crate::error::{Result, Within};
use crate::model::{Input, InputFile};
use crate::pack::{self, PackOptions, PackReport};
use crate::parallel;
use crate::prune::{PruneOptions, PruneReport, Pruned, prune};
use crate::rewrite;
use std::fmt;
use std::io;
use std::path::Path;

/// A pruned model. All its files are in memory.
///
/// ```no_run
/// use tfzip::PrunedModel;
/// use tfzip::prune::PruneOptions;
///
/// # fn main() -> tfzip::Result<()> {
/// let mut options = PruneOptions::default();
/// options.rules = vec!["std:1.5".parse()?, "conv*=error:0.1".parse()?];
/// let pruned = PrunedModel::of_file("saved_model", &options, 0)?;
/// for tensor in &pruned.report().tensors {
///     println!("{} {:.1}%", tensor.name, 100.0 * tensor.density());
/// }
/// pruned.write("pruned_model", false)?;
/// # Ok(())
/// # }
/// ```
pub struct PrunedModel {
    input: Input,
    pruned: Pruned,
}

impl PrunedModel {
    /// Prunes the model at `path`, which is one as for [`pack_file`](crate::pack_file), on `threads`
    /// threads; 0 is one for each processor. The result doesn't depend on it.
    ///
    /// # Errors
    /// As [`prune`]; `Io`.
    pub fn of_file(path: impl AsRef<Path>, options: &PruneOptions, threads: usize) -> Result<Self> {
        let path = path.as_ref();
        let input = Input::open(path)?;
        let pruned = parallel::with_threads(threads, || prune(&input.files(), options))
            .within(|| path.display().to_string())?;
        Ok(Self { input, pruned })
    }

    /// What was pruned.
    pub fn report(&self) -> &PruneReport {
        &self.pruned.report
    }

    /// What could not be repaired in the files, and what that means to TensorFlow.
    pub fn warnings(&self) -> &[String] {
        &self.pruned.rewritten.warnings
    }

    /// The pruned files.
    pub fn files(&self) -> Vec<InputFile<'_>> {
        let names = self.input.files.iter().map(|file| file.name.as_str());
        names
            .zip(&self.pruned.rewritten.files)
            .map(|(name, bytes)| InputFile { name, bytes })
            .collect()
    }

    /// Writes the pruned model, a file or a folder like the one that was read.
    ///
    /// # Errors
    /// `InvalidArgument` if there is something and `overwrite` is not set; `Io`. Then nothing is left
    /// behind, and what was there before is as it was.
    pub fn write(&self, output: impl AsRef<Path>, overwrite: bool) -> Result<()> {
        let contents = &self.pruned.rewritten.files;
        rewrite::write(&self.input, contents, output.as_ref(), overwrite)
    }

    /// Finds out what packing the pruned model would come to; writes nothing, and proves nothing.
    ///
    /// # Errors
    /// As [`pack_file`](crate::pack_file).
    pub fn packed(&self, options: &PackOptions) -> Result<PackReport> {
        let root = Root {
            is_folder: self.input.is_folder,
            empty_folders: self.input.empty_folders.clone(),
        };
        parallel::with_threads(options.threads, || {
            let (_, report) = pack::pack(&self.files(), &root, options, io::sink())?;
            Ok(report)
        })
    }
}

impl fmt::Debug for PrunedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report();
        f.debug_struct("PrunedModel")
            .field("report", report)
            .finish_non_exhaustive()
    }
}

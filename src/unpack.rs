//! Unpacking: from a `.tfz` to the model it was, proven before it gets its name.

use crate::archive::Archive;
use crate::error::{Error, Result, Within};
use crate::mapped::Mapped;
use crate::output;
use crate::parallel;
use crate::progress::{Meter, Phase, Progress};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// How to unpack.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UnpackOptions {
    /// Threads to use; 0 is one for each processor.
    pub threads: usize,
    /// Overwrite the output.
    pub overwrite: bool,
    /// Told how far the work is.
    pub progress: Option<Progress>,
}

/// What unpacking came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnpackReport {
    /// Where the model is.
    pub output: PathBuf,
    /// Its files, in the order of the archive.
    pub files: Vec<RestoredFile>,
}

/// A file that was restored, and whose hash has been proven.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoredFile {
    /// Its name inside the model.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// SHA-256 of the file that was packed, if a pass changed it on the way.
    pub source_sha256: Option<[u8; 32]>,
}

/// Restores the model in the `.tfz` file `input`, a file or a folder; every SHA-256 is proven before
/// it gets its name.
///
/// Without an `output` it goes beside the input: a file under the name that it had when it was
/// packed, a folder under the input's name without its extension. The input is mapped: it must not
/// be changed meanwhile (see [`Mapped::open`]).
///
/// # Errors
/// `Corrupt`, `Truncated`, `Unsupported` or `LimitExceeded` if the input is not a good archive,
/// `InvalidArgument` if the output exists and is not to be overwritten, `Io`.
pub fn unpack_file(
    input: impl AsRef<Path>,
    output: Option<&Path>,
    options: &UnpackOptions,
) -> Result<UnpackReport> {
    let input = input.as_ref();
    let opened =
        File::open(input).map_err(|e| Error::io(format!("cannot open {}", input.display()), e))?;
    let place = || input.display().to_string();
    let archive = Archive::new(Mapped::for_one_call(&opened, input)?).within(place)?;
    let output = match output {
        Some(output) => output.to_owned(),
        None => default_output(input, &archive)?,
    };
    let mut done = 0;
    parallel::with_threads(options.threads, || {
        let mut restore = |file: usize, out: &mut File| {
            let mut meter = Meter::new(
                options.progress.as_ref(),
                Phase::Unpacking,
                archive.restored_bytes(),
            );
            meter.add(done);
            let mut out = meter.through(BufWriter::with_capacity(1 << 20, out));
            archive.restore(file, &mut out).within(place)?;
            out.flush()
                .map_err(|e| Error::io(format!("cannot write {}", output.display()), e))?;
            done = done.saturating_add(archive.files().nth(file).map_or(0, |file| file.bytes));
            Ok(())
        };
        if archive.is_folder() {
            output::write_folder(&output, options.overwrite, |folder| {
                output::make_folders(folder, archive.empty_folders())?;
                let names: Vec<&str> = archive.files().map(|file| file.name).collect();
                for (number, name) in names.into_iter().enumerate() {
                    output::write_new(&folder.join(name), |out| restore(number, out))?;
                }
                Ok(())
            })
        } else {
            output::write_file(&output, options.overwrite, |out| restore(0, out))
        }
    })?;
    let files = archive.files().map(|file| RestoredFile {
        name: file.name.to_owned(),
        bytes: file.bytes,
        sha256: file.sha256,
        source_sha256: file.source_sha256,
    });
    Ok(UnpackReport {
        output,
        files: files.collect(),
    })
}

/// Where a model goes when nothing else is asked for.
fn default_output(input: &Path, archive: &Archive<Mapped>) -> Result<PathBuf> {
    if !archive.is_folder() {
        return Ok(archive
            .files()
            .next()
            .map_or_else(PathBuf::new, |file| input.with_file_name(file.name)));
    }
    let output = input.with_extension("");
    if output == input {
        return Err(Error::invalid(format!(
            "{} has no extension to take off: name an output",
            input.display()
        )));
    }
    Ok(output)
}

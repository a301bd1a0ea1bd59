//! Unpacking: from a `.tfz` to the model file it was, proven before it gets its name.

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
#[derive(Clone, Default)]
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
    /// Where the model file is.
    pub output: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, which has been proven.
    pub sha256: [u8; 32],
    /// SHA-256 of the file that was packed, if a pass changed it on the way.
    pub source_sha256: Option<[u8; 32]>,
}

/// Restores the model file in the `.tfz` file `input`; its SHA-256 is proven before it gets its
/// name.
///
/// Without an `output` it goes beside the input, under the name that it had when it was packed.
/// The input is mapped: it must not be changed meanwhile (see [`Mapped::open`]).
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
    let mut files = archive.files();
    let (Some(file), None) = (files.next(), files.next()) else {
        let n_files = archive.files().len();
        return Err(Error::unsupported(format!(
            "it holds {n_files} files; this release restores archives of one"
        ))
        .within(place()));
    };
    let output = output.map_or_else(|| input.with_file_name(file.name), Path::to_owned);
    parallel::with_threads(options.threads, || {
        output::write_file(&output, options.overwrite, |out| {
            let out = BufWriter::with_capacity(1 << 20, out);
            let mut out =
                Meter::new(options.progress.as_ref(), Phase::Unpacking, file.bytes).through(out);
            archive.restore(0, &mut out).within(place)?;
            out.flush()
                .map_err(|e| Error::io(format!("cannot write {}", output.display()), e))
        })
    })?;
    Ok(UnpackReport {
        output,
        bytes: file.bytes,
        sha256: file.sha256,
        source_sha256: file.source_sha256,
    })
}

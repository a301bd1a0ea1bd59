//! Archives in files: read whole, or mapped, which is the one place where a file's bytes are used without
//! having been read.
#![allow(unsafe_code)]

use crate::archive::Archive;
use crate::error::{Error, Result, Within};
use std::fs::File;
use std::path::Path;

/// A file in memory by `mmap`.
#[derive(Debug)]
pub struct Mapped(memmap2::Mmap);

impl Mapped {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// `Io` if it can't be opened or mapped.
    ///
    /// # Safety
    /// While the map lives, nobody may change the file or truncate it, in this process or in
    /// another. A byte that changes under a reader is undefined behaviour; a page that was
    /// truncated away ends the process with `SIGBUS`. tfzip itself never does that to a file: it
    /// writes a new one and renames it, and a map of the old one stays whole.
    pub unsafe fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path)
            .map_err(|e| Error::io(format!("cannot open {}", path.display()), e))?;
        // SAFETY: the caller promises that nobody changes or truncates the file.
        unsafe { Self::of_file(&file, path) }
    }

    /// Maps a file for the length of one call of a whole-file operation.
    ///
    /// These operations ([`crate::pack_file`], [`crate::unpack_file`], [`crate::repack_file`], [`crate::with_mapped`]) are
    /// documented as mapping their input, and are for files that nobody is writing. What packing
    /// and unpacking produce is proven by its SHA-256.
    pub(crate) fn for_one_call(file: &File, path: &Path) -> Result<Self> {
        // SAFETY: the documented condition of the operations that call this.
        unsafe { Self::of_file(file, path) }
    }

    /// # Safety
    /// As [`open`](Self::open).
    unsafe fn of_file(file: &File, path: &Path) -> Result<Self> {
        if file.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(Error::invalid(format!("{} is not a file", path.display())));
        }
        // SAFETY: the caller promises that nobody changes or truncates the file.
        let map = unsafe { memmap2::Mmap::map(file) };
        map.map(Self)
            .map_err(|e| Error::io(format!("cannot map {}", path.display()), e))
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Archive<Vec<u8>> {
    /// Reads the whole file at `path` into memory and opens it.
    ///
    /// # Errors
    /// `Io` if it can't be read; otherwise as [`new`](Self::new).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let data = std::fs::read(path)
            .map_err(|e| Error::io(format!("cannot read {}", path.display()), e))?;
        Self::new(data)
    }
}

impl Archive<Mapped> {
    /// Maps the file at `path` and opens it: nothing is read that isn't asked for.
    ///
    /// # Errors
    /// `Io` if it can't be mapped; otherwise as [`new`](Self::new).
    ///
    /// # Safety
    /// As [`Mapped::open`]: nobody may change or truncate the file while it is mapped.
    pub unsafe fn map(path: impl AsRef<Path>) -> Result<Self> {
        // SAFETY: the caller promises what `Mapped::open` asks for.
        Self::new(unsafe { Mapped::open(path) }?)
    }
}

/// Opens the `.tfz` file at `path`, mapped, for the length of one call of `f`.
///
/// For programs that look at a file and end. As with [`pack_file`](crate::pack_file), the file must
/// not be changed meanwhile: see [`Mapped::open`] for what could happen. An app that keeps an
/// archive open says so with [`Archive::map`].
///
/// # Errors
/// `Io` if the file can't be mapped; as [`Archive::new`]; what `f` returns. All name the file.
pub fn with_mapped<R>(
    path: impl AsRef<Path>,
    f: impl FnOnce(&Archive<Mapped>) -> Result<R>,
) -> Result<R> {
    let path = path.as_ref();
    let file =
        File::open(path).map_err(|e| Error::io(format!("cannot open {}", path.display()), e))?;
    let mapped = Mapped::for_one_call(&file, path)?;
    Archive::new(mapped)
        .and_then(|archive| f(&archive))
        .within(|| path.display().to_string())
}

//! The system's cache of a file, and how to get it out of there.

use std::path::Path;
use tfzip::{Error, Result};

/// Drops the pages of the file at `path` from the system's cache, where that can be asked for.
///
/// # Errors
/// `Io` if the file can't be opened.
#[cfg(target_os = "linux")]
pub fn drop_pages(path: &Path) -> Result<()> {
    let file = open(path)?;
    // Pages that are not on disk yet stay. (On a file that is only read, and on some systems, there
    // is nothing to write: then it may fail.)
    let _ = file.sync_all();
    // Advice: nothing follows from its failure but what `can_drop` finds.
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    Ok(())
}

/// Whether [`drop_pages`] does what it says: not every file system lets go of them, least of all
/// one that lives in memory.
///
/// # Errors
/// As [`drop_pages`].
#[cfg(target_os = "linux")]
pub fn can_drop(path: &Path) -> Result<bool> {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};
    use std::io::IoSliceMut;

    drop_pages(path)?;
    let file = open(path)?;
    let middle = file.metadata().map_or(0, |metadata| metadata.len()) / 2;
    let mut byte = [0];
    let mut into = [IoSliceMut::new(&mut byte)];
    // Reads only what is in memory.
    let read = preadv2(&file, &mut into, middle, ReadWriteFlags::NOWAIT);
    Ok(read == Err(Errno::AGAIN))
}

/// On other systems than Linux nothing is dropped.
///
/// # Errors
/// Never.
#[cfg(not(target_os = "linux"))]
pub fn drop_pages(_: &Path) -> Result<()> {
    Ok(())
}

/// On other systems than Linux nothing is dropped.
///
/// # Errors
/// Never.
#[cfg(not(target_os = "linux"))]
pub fn can_drop(_: &Path) -> Result<bool> {
    Ok(false)
}

#[cfg(target_os = "linux")]
fn open(path: &Path) -> Result<std::fs::File> {
    std::fs::File::open(path).map_err(|e| Error::io(format!("cannot open {}", path.display()), e))
}

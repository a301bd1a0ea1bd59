//! Files that are either whole or not there: written beside their name, then renamed.

use crate::error::{Error, Result};
use std::fs::File;
use std::io;
use std::path::Path;

/// Writes `path` by `write`, which gets an open temporary file in the same folder.
///
/// The file has its name only once `write` has succeeded and the bytes are on disk; if anything
/// fails, nothing is left behind, and a file that was there before is as it was.
///
/// # Errors
/// `InvalidArgument` if there is a file and `overwrite` is not set; `Io`; what `write` returns.
pub(crate) fn write_file<R>(
    path: &Path,
    overwrite: bool,
    write: impl FnOnce(&mut File) -> Result<R>,
) -> Result<R> {
    check_writable(path, overwrite)?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let failed = |e: io::Error| {
        // The error of a temporary file names it; the user knows only the file that was asked for.
        let e = if e.raw_os_error().is_none() {
            io::Error::from(e.kind())
        } else {
            e
        };
        Error::io(format!("cannot write {}", path.display()), e)
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tfzip-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What any new file gets; the umask takes its part.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut temporary = builder.tempfile_in(folder).map_err(failed)?;
    let result = write(temporary.as_file_mut())?;
    temporary.as_file().sync_all().map_err(failed)?;
    let renamed = if overwrite {
        temporary.persist(path)
    } else {
        temporary.persist_noclobber(path)
    };
    renamed.map_err(|e| failed(e.error))?;
    sync_folder(folder).map_err(failed)?;
    Ok(result)
}

/// Fails if there is something at `path` that is not to be overwritten, or can't be: a device, a
/// folder. A link is replaced, not followed.
fn check_writable(path: &Path, overwrite: bool) -> Result<()> {
    let wrong = match path.symlink_metadata() {
        Ok(_) if !overwrite => "exists; it is overwritten only when that is asked for",
        Ok(there) if !there.is_file() && !there.is_symlink() => "is not a file",
        _ => return Ok(()),
    };
    Err(Error::invalid(format!("{} {wrong}", path.display())))
}

/// Makes a rename in `folder` last through a power cut, where the system can.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use std::io::Write;

    #[test]
    fn a_failure_leaves_nothing_behind_and_the_old_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let fail = |path: &Path| {
            write_file(path, true, |file| {
                file.write_all(b"half").unwrap();
                Err::<(), _>(Error::model("no"))
            })
        };
        fail(&path).unwrap_err();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::write(&path, b"old").unwrap();
        fail(&path).unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_overwritten_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let put = |bytes: &'static [u8], overwrite| {
            write_file(&path, overwrite, |file| {
                file.write_all(bytes).map_err(|e| Error::io("", e))
            })
        };
        put(b"one", false).unwrap();
        assert_eq!(
            put(b"two", false).unwrap_err().kind(),
            ErrorKind::InvalidArgument
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        put(b"two", true).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
    }
}

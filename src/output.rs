//! Files and folders that are either whole or not there: written beside their name, then renamed.

mod unnamed;

use crate::error::{Error, ErrorKind, Result};
use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use tempfile::{NamedTempFile, TempDir};

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
    check_writable(path, overwrite, Metadata::is_file)?;
    let folder = parent(path);
    let failed = |e| failed(path, e);
    // Without a name it is gone with the process, however that ends.
    let result = match unnamed::file_in(folder).map_err(failed)? {
        Some(mut file) => {
            let result = write(&mut file)?;
            file.sync_all().map_err(failed)?;
            let named = temporary(0o666).make_in(folder, |path| unnamed::give_name(&file, path));
            rename(named.map_err(failed)?, path, overwrite).map_err(failed)?;
            result
        }
        None => {
            let mut named = temporary(0o666).tempfile_in(folder).map_err(failed)?;
            let result = write(named.as_file_mut())?;
            named.as_file().sync_all().map_err(failed)?;
            rename(named, path, overwrite).map_err(failed)?;
            result
        }
    };
    sync_folder(folder).map_err(failed)?;
    Ok(result)
}

/// Gives a temporary file the name `path`.
fn rename<F>(temporary: NamedTempFile<F>, path: &Path, overwrite: bool) -> io::Result<()> {
    let renamed = match overwrite {
        true => temporary.persist(path),
        false => temporary.persist_noclobber(path),
    };
    renamed.map(drop).map_err(|e| e.error)
}

/// Says where an error arose while `output` was made from `input`: as that is mapped, nothing but writing is
/// `Io`.
pub(crate) fn placed<T>(result: Result<T>, input: &Path, output: &Path) -> Result<T> {
    result.map_err(|error| {
        let at = match error.kind() {
            ErrorKind::Io => output,
            _ => input,
        };
        error.within(at.display())
    })
}

/// A file beside `path` that has no name, and is gone once it is closed.
pub(crate) fn nameless_file(path: &Path) -> io::Result<File> {
    tempfile::tempfile_in(parent(path))
}

/// Fills the folder `path` by `fill`, which gets an empty temporary folder beside it.
///
/// The folder has its name only once `fill` has succeeded. A folder that was there before is deleted only
/// when the new one has its name: they trade their names where the system can, so that there is one
/// or the other at any time; else the old one is moved aside first.
///
/// # Errors
/// As [`write_file`].
pub(crate) fn write_folder(
    path: &Path,
    overwrite: bool,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    check_writable(path, overwrite, Metadata::is_dir)?;
    let folder = parent(path);
    let failed = |e| failed(path, e);
    let new = temporary(0o777).tempdir_in(folder).map_err(failed)?;
    fill(new.path())?;
    sync_tree(new.path()).map_err(failed)?;
    sync_folder(folder).map_err(failed)?;
    if path.symlink_metadata().is_err() {
        fs::rename(new.path(), path).map_err(failed)?;
    } else if unnamed::exchange(new.path(), path).map_err(failed)? {
        sync_folder(folder).map_err(failed)?;
        // What was there before has the name of the new one.
        return remove(new).map_err(failed);
    } else {
        replace_folder(new.path(), path, folder)?;
    }
    // It has another name now: there is nothing left to clean up.
    let _ = new.keep();
    sync_folder(folder).map_err(failed)
}

/// Deletes what has the name of a temporary folder: a folder, or the link that it was exchanged for.
fn remove(temporary: TempDir) -> io::Result<()> {
    match fs::symlink_metadata(temporary.path())?.is_dir() {
        true => temporary.close(),
        false => fs::remove_file(temporary.keep()),
    }
}

/// Gives the folder `new` the name `path`, and deletes what had that name.
fn replace_folder(new: &Path, path: &Path, folder: &Path) -> Result<()> {
    let failed = |e| failed(path, e);
    let aside = temporary(0o777).tempdir_in(folder).map_err(failed)?;
    let old = aside.path().join("old");
    fs::rename(path, &old).map_err(failed)?;
    let Err(error) = fs::rename(new, path) else {
        return Ok(());
    };
    if fs::rename(&old, path).is_err() {
        let kept = aside.keep().join("old");
        return Err(Error::io(
            format!(
                "cannot write {}; what it was is now {}",
                path.display(),
                kept.display()
            ),
            error,
        ));
    }
    Err(failed(error))
}

/// Writes a new file inside a folder that is being filled, and the folders that lead to it.
///
/// # Errors
/// `Io`; what `write` returns.
pub(crate) fn write_new(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let failed = |e| failed(path, e);
    fs::create_dir_all(parent(path)).map_err(failed)?;
    let mut file = File::create_new(path).map_err(failed)?;
    write(&mut file)?;
    file.sync_all().map_err(failed)
}

/// Makes folders inside a folder that is being filled.
///
/// # Errors
/// `Io`.
pub(crate) fn make_folders<'a>(
    folder: &Path,
    mut names: impl Iterator<Item = &'a str>,
) -> Result<()> {
    names.try_for_each(|name| {
        let path = folder.join(name);
        fs::create_dir_all(&path).map_err(|e| failed(&path, e))
    })
}

/// The error for `path`, which could not be written.
fn failed(path: &Path, error: io::Error) -> Error {
    // The error of a temporary file names it; the user knows only what was asked for.
    let error = match error.raw_os_error() {
        Some(_) => error,
        None => error.kind().into(),
    };
    Error::io(format!("cannot write {}", path.display()), error)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A temporary file or folder with the permissions that any new one gets; the umask takes its part.
fn temporary(mode: u32) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tfzip-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// Fails if there is something at `path` that is not to be overwritten, or not of the `right` kind:
/// a device, a folder for a file. A link is replaced, not followed.
fn check_writable(path: &Path, overwrite: bool, right: impl Fn(&Metadata) -> bool) -> Result<()> {
    let wrong = match path.symlink_metadata() {
        Ok(_) if !overwrite => "exists; it is overwritten only when that is asked for",
        Ok(there) if !right(&there) && !there.is_symlink() => {
            "is something else, which is not overwritten"
        }
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

/// [`sync_folder`] for all folders in `folder`; its files have been synced when they were written.
fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn a_folder_is_replaced_only_by_a_whole_one() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("model");
        let fill = |text: &'static [u8]| {
            move |folder: &Path| {
                write_new(&folder.join("a/b"), |file| {
                    file.write_all(text).map_err(|e| Error::io("", e))
                })
            }
        };
        write_folder(&path, false, fill(b"one")).unwrap();
        assert_eq!(
            write_folder(&path, false, fill(b"two")).unwrap_err().kind(),
            ErrorKind::InvalidArgument
        );
        write_folder(&path, true, |_| Err(Error::model("no"))).unwrap_err();
        assert_eq!(fs::read(path.join("a/b")).unwrap(), b"one");
        write_folder(&path, true, fill(b"two")).unwrap();
        assert_eq!(fs::read(path.join("a/b")).unwrap(), b"two");
        assert_eq!(
            fs::read_dir(&root).unwrap().count(),
            1,
            "nothing else is left"
        );
    }
}

//! Where a program writes: what it may replace, and files that are whole or not there.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use tfzip::{Error, ErrorKind, Result};

/// Fails if `path` must not be written: something is there, and it is not to be overwritten or is
/// neither file nor folder (renaming over a device would replace the device).
///
/// # Errors
/// `InvalidArgument`, with the way out.
pub fn check(path: &Path, overwrite: bool) -> Result<()> {
    let refused = |why| Err(Error::new(ErrorKind::InvalidArgument, why).within(path.display()));
    match path.metadata() {
        Err(_) if path.symlink_metadata().is_err() => Ok(()),
        Ok(there) if !there.is_file() && !there.is_dir() => {
            refused("exists and is no file; name another output")
        }
        _ if !overwrite => refused("exists; --force overwrites it"),
        _ => Ok(()),
    }
}

/// Writes the file `path` by `write`, under another name until all of it is there.
///
/// # Errors
/// As [`check`]; `Io`. Then nothing is left behind, and what was there before is as it was.
pub fn write(
    path: &Path,
    overwrite: bool,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    check(path, overwrite)?;
    let write_and_rename = || {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".tfzip-").suffix(".tmp");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // What any new file gets; the umask takes its part.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let mut temporary = builder.tempfile_in(folder)?;
        let mut out = BufWriter::new(&mut temporary);
        write(&mut out)?;
        out.flush()?;
        drop(out);
        let renamed = if overwrite {
            temporary.persist(path)
        } else {
            temporary.persist_noclobber(path)
        };
        renamed.map(drop).map_err(|e| e.error)
    };
    write_and_rename().map_err(|e| Error::io(format!("cannot write {}", path.display()), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_are_overwritten_and_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        check(&path, false).unwrap();
        std::fs::write(&path, "old").unwrap();
        assert!(
            check(&path, false)
                .unwrap_err()
                .detail()
                .contains("--force")
        );
        check(&path, true).unwrap();
        assert!(check(folder.path(), false).is_err());
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let error = write(&path, false, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("full"))
        })
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot write {}: full", path.display())
        );
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }
}

//! Restored files against the model that they should be, without holding either.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use tfzip::{Archive, Error, ErrorKind, FileInfo, Result};

/// Restores the files of `archive` and compares them with the model at `path`, byte by byte: a file;
/// a folder; the prefix or the index of a checkpoint. `progress` is told how many bytes were equal so
/// far.
///
/// # Errors
/// `Corrupt` if they differ: the message says in which file, at which offset, and both bytes. `Io`;
/// what restoring gives.
pub fn with_model<D: AsRef<[u8]>>(
    archive: &Archive<D>,
    path: &Path,
    mut progress: impl FnMut(u64),
) -> Result<()> {
    if path.is_dir() {
        compare_names(archive, path)?;
    }
    let mut done = 0;
    for (number, file) in archive.files().enumerate() {
        let model = match archive.is_folder() {
            false => path.to_owned(),
            true if path.is_dir() => path.join(file.name),
            true => path.with_file_name(file.name),
        };
        with_file(archive, number, &file, &model, |equal| {
            progress(done + equal);
        })?;
        done += file.bytes;
    }
    Ok(())
}

/// Fails unless `folder` holds the files and empty folders of `archive` and no others.
fn compare_names<D: AsRef<[u8]>>(archive: &Archive<D>, folder: &Path) -> Result<()> {
    let mut restored: BTreeSet<String> = archive.files().map(|file| file.name.to_owned()).collect();
    restored.extend(archive.empty_folders().map(|name| format!("{name}/")));
    let mut there = BTreeSet::new();
    add_names(folder, "", &mut there)
        .map_err(|e| Error::io(format!("cannot read {}", folder.display()), e))?;
    match restored.symmetric_difference(&there).next() {
        None => Ok(()),
        Some(name) if restored.contains(name) => Err(differs(format!(
            "{name} is missing in {}",
            folder.display()
        ))),
        Some(name) => Err(differs(format!(
            "{name} is in {}, and not in the archive",
            folder.display()
        ))),
    }
}

/// Adds the names of all files in `folder`, and with a `/` those of its empty folders.
fn add_names(folder: &Path, name: &str, names: &mut BTreeSet<String>) -> io::Result<()> {
    let mut is_empty = true;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        is_empty = false;
        let part = path.file_name().unwrap_or_default().to_string_lossy();
        let name = if name.is_empty() {
            part.into_owned()
        } else {
            format!("{name}/{part}")
        };
        if path.is_dir() {
            add_names(&path, &name, names)?;
        } else {
            names.insert(name);
        }
    }
    if is_empty && !name.is_empty() {
        names.insert(format!("{name}/"));
    }
    Ok(())
}

/// Restores file number `number` and compares it with the one at `path`.
fn with_file<D: AsRef<[u8]>>(
    archive: &Archive<D>,
    number: usize,
    file: &FileInfo<'_>,
    path: &Path,
    progress: impl FnMut(u64),
) -> Result<()> {
    let model =
        File::open(path).map_err(|e| Error::io(format!("cannot open {}", path.display()), e))?;
    let mut comparison = Comparison {
        name: path.display().to_string(),
        hint: match file.source_sha256 {
            Some(_) => " (packing made its zeros canonical)",
            None => "",
        },
        model: BufReader::new(model),
        scratch: Vec::new(),
        offset: 0,
        failure: None,
        progress,
    };
    let restored = archive.restore(number, &mut comparison);
    // A failed comparison makes restoring fail too; the first one knows why.
    comparison.failure.take().map_or(restored, Err)?;
    comparison.check_end()
}

/// Takes the restored file; fails at the first byte that the model file has otherwise.
struct Comparison<R, F> {
    name: String,
    /// What may have made a byte differ.
    hint: &'static str,
    model: R,
    scratch: Vec<u8>,
    /// Bytes that were equal.
    offset: u64,
    failure: Option<Error>,
    progress: F,
}

impl<R: Read, F> Comparison<R, F> {
    fn check(&mut self, restored: &[u8]) -> Result<()> {
        self.read_model(restored.len() as u64)?;
        let mut pairs = restored.iter().zip(&self.scratch);
        if let Some(i) = pairs.position(|(restored, model)| restored != model) {
            let offset = self.offset + i as u64;
            return Err(differs(format!(
                "restored byte {offset} is 0x{:02x}, {} has 0x{:02x}{}",
                restored[i], self.name, self.scratch[i], self.hint
            )));
        }
        self.offset += self.scratch.len() as u64;
        if self.scratch.len() < restored.len() {
            return Err(differs(format!(
                "the restored file goes on at byte {}, where {} ends",
                self.offset, self.name
            )));
        }
        Ok(())
    }

    fn check_end(&mut self) -> Result<()> {
        self.read_model(1)?;
        if self.scratch.is_empty() {
            return Ok(());
        }
        Err(differs(format!(
            "the restored file ends at byte {}, where {} goes on",
            self.offset, self.name
        )))
    }

    /// Puts the next `n_bytes` of the model file into `scratch`, fewer at its end.
    fn read_model(&mut self, n_bytes: u64) -> Result<()> {
        self.scratch.clear();
        let read = (&mut self.model)
            .take(n_bytes)
            .read_to_end(&mut self.scratch);
        match read {
            Ok(_) => Ok(()),
            Err(e) => Err(Error::io(format!("cannot read {}", self.name), e)),
        }
    }
}

impl<R: Read, F: FnMut(u64)> Write for Comparison<R, F> {
    fn write(&mut self, restored: &[u8]) -> io::Result<usize> {
        if let Err(failure) = self.check(restored) {
            self.failure = Some(failure);
            return Err(io::Error::other("it was compared, and differs"));
        }
        (self.progress)(self.offset);
        Ok(restored.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn differs(detail: String) -> Error {
    Error::new(ErrorKind::Corrupt, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares `restored`, written in pieces of three bytes, with `model`.
    fn compare(restored: &[u8], model: &[u8]) -> Result<u64> {
        let mut comparison = Comparison {
            name: "m.pb".to_owned(),
            hint: "",
            model,
            scratch: Vec::new(),
            offset: 0,
            failure: None,
            progress: |_| (),
        };
        let written = restored
            .chunks(3)
            .try_for_each(|piece| comparison.write_all(piece));
        assert_eq!(written.is_err(), comparison.failure.is_some());
        comparison.failure.take().map_or(Ok(()), Err)?;
        comparison.check_end().map(|()| comparison.offset)
    }

    #[test]
    fn equal_files_are_equal_to_the_end() {
        assert_eq!(compare(b"", b"").unwrap(), 0);
        assert_eq!(compare(b"12345678", b"12345678").unwrap(), 8);
    }

    #[test]
    fn a_difference_is_told_with_its_place() {
        for (restored, model, expected) in [
            (
                &b"12345"[..],
                &b"12335"[..],
                "restored byte 3 is 0x34, m.pb has 0x33",
            ),
            (
                b"12345",
                b"1234",
                "the restored file goes on at byte 4, where m.pb ends",
            ),
            (
                b"123",
                b"1234",
                "the restored file ends at byte 3, where m.pb goes on",
            ),
        ] {
            assert_eq!(compare(restored, model).unwrap_err().to_string(), expected);
        }
    }
}

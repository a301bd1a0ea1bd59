//! A restored file against the model file that it should be, without holding either.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use tfzip::{Archive, Error, ErrorKind, Result};

/// Restores the only file of `archive` and compares it with the one at `path`, byte by byte;
/// `progress` is told how many bytes were equal so far.
///
/// # Errors
/// `Corrupt` if they differ: the message says at which offset, and both bytes. `InvalidArgument` if
/// the archive does not hold one file. `Io`; what restoring gives.
pub fn with_model<D: AsRef<[u8]>>(
    archive: &Archive<D>,
    path: &Path,
    progress: impl FnMut(u64),
) -> Result<()> {
    let mut files = archive.files();
    let (Some(file), None) = (files.next(), files.next()) else {
        let n_files = archive.files().len();
        let detail = format!("it holds {n_files} files; one can be compared");
        return Err(Error::new(ErrorKind::InvalidArgument, detail));
    };
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
    let restored = archive.restore(0, &mut comparison);
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

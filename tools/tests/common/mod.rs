//! Running the programs, each test in a folder of its own.

// Every test crate takes what it needs.
#![allow(dead_code)]

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use assert_cmd::cargo::cargo_bin;
use std::fs;
use std::path::{Path, PathBuf};

/// The example model of the repository, and what packing calls its archive.
pub(crate) const MODEL: &str = "digits-300-100.pb";
pub(crate) const ARCHIVE: &str = "digits-300-100.tfz";

/// Numbers of TensorFlow's `DataType`.
pub(crate) const FLOAT32: u8 = 1;
pub(crate) const BFLOAT16: u8 = 14;

pub(crate) fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(MODEL)
}

/// A temporary folder that programs run in.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder with the example model.
    pub(crate) fn with_model() -> Self {
        let folder = Self::new();
        folder.write(MODEL, fs::read(example()).unwrap());
        folder
    }

    /// A folder with the example model and its archive.
    pub(crate) fn with_archive() -> Self {
        let folder = Self::with_model();
        folder.run("tfzip-pack", [MODEL]).success();
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Names of everything in the folder, hidden files included.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Runs `program` in this folder.
    pub(crate) fn run<'a>(&self, program: &str, args: impl IntoIterator<Item = &'a str>) -> Assert {
        Command::new(cargo_bin(program))
            .args(args)
            .current_dir(self.0.path())
            .assert()
    }

    /// Runs a program that must fail, and returns its one line on stderr. The line names `place`
    /// once, and the folder holds nothing new.
    #[track_caller]
    pub(crate) fn refused<'a>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = &'a str>,
        place: &str,
    ) -> String {
        let before = self.names();
        let run = self.run(program, args).code(1).stdout("");
        let line = stderr(&run);
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.starts_with(&format!("{program}: ")), "{line}");
        assert_eq!(line.matches(place).count(), 1, "{place} in: {line}");
        assert_eq!(self.names(), before, "{line}");
        line
    }
}

pub(crate) fn stdout(run: &Assert) -> String {
    String::from_utf8(run.get_output().stdout.clone()).unwrap()
}

pub(crate) fn stderr(run: &Assert) -> String {
    String::from_utf8(run.get_output().stderr.clone()).unwrap()
}

/// A GraphDef of one node, a constant; concatenated, several are a GraphDef of several nodes.
pub(crate) fn constant(name: &str, dtype: u8, shape: &[u8], content: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = shape.iter().flat_map(|&dim| field(2, &[8, dim])).collect();
    let tensor = [vec![8, dtype], field(2, &dims), field(4, content)].concat();
    let value = [field(1, b"value"), field(2, &field(8, &tensor))].concat();
    let node = [
        field(1, name.as_bytes()),
        field(2, b"Const"),
        field(5, &value),
    ]
    .concat();
    field(1, &node)
}

/// A field of a protobuf message that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut len = bytes.len();
    while len > 0x7f {
        field.push(len as u8 | 0x80);
        len >>= 7;
    }
    field.push(len as u8);
    field.extend(bytes);
    field
}

/// The bytes of float32 elements.
pub(crate) fn floats(elements: &[f32]) -> Vec<u8> {
    elements.iter().flat_map(|e| e.to_le_bytes()).collect()
}

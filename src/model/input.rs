//! What belongs to a model on disk: a file, a folder, or a checkpoint's index and shards.

use super::InputFile;
use crate::error::{Error, Result};
use crate::mapped::Mapped;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// How a LevelDB table ends, which the index of a checkpoint is.
const TABLE_END: &[u8] = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb";

/// Deepest nesting of folders.
const MAX_DEPTH: usize = 64;

/// The files of a model, mapped.
pub(crate) struct Input {
    /// In the order of their names.
    pub(crate) files: Vec<MappedFile>,
    /// Folders with nothing in them, in order.
    pub(crate) empty_folders: Vec<String>,
    /// Whether restoring makes a folder even of a single file.
    pub(crate) is_folder: bool,
    /// Names of files that are reached through a link.
    pub(crate) links: Vec<String>,
}

/// A file of a model.
pub(crate) struct MappedFile {
    /// Relative to the model, with `/` between folders.
    pub(crate) name: String,
    pub(crate) bytes: Mapped,
}

impl Input {
    /// Finds and maps the files that `path` means: a file; a folder with all that is in it; the
    /// index of a TensorFlow 2 checkpoint or the prefix of any, with all shards.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut input = Self {
            files: Vec::new(),
            empty_folders: Vec::new(),
            is_folder: true,
            links: Vec::new(),
        };
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => input.add_folder(path, "", 0)?,
            Ok(_) => {
                input.add_file(path, file_name(path)?)?;
                let shards = match &input.files[..] {
                    [index] => shards_of_index(path, index.bytes.as_ref())?,
                    _ => vec![],
                };
                input.is_folder = !shards.is_empty();
                input.add_all(shards)?;
            }
            Err(error) => {
                let files = files_of_prefix(path)?;
                if files.is_empty() {
                    return Err(Error::io(format!("cannot open {}", path.display()), error));
                }
                input.add_all(files)?;
            }
        }
        input.files.sort_by(|a, b| a.name.cmp(&b.name));
        input.empty_folders.sort();
        Ok(input)
    }

    /// The files as the kinds of models see them.
    pub(crate) fn files(&self) -> Vec<InputFile<'_>> {
        self.files
            .iter()
            .map(|file| InputFile {
                name: &file.name,
                bytes: file.bytes.as_ref(),
            })
            .collect()
    }

    fn add_all(&mut self, paths: Vec<PathBuf>) -> Result<()> {
        paths
            .iter()
            .try_for_each(|path| self.add_file(path, file_name(path)?))
    }

    fn add_file(&mut self, path: &Path, name: String) -> Result<()> {
        let cannot = |e| Error::io(format!("cannot open {}", path.display()), e);
        if fs::symlink_metadata(path).map_err(cannot)?.is_symlink() {
            self.links.push(name.clone());
        }
        let file = File::open(path).map_err(cannot)?;
        if !file.metadata().map_err(cannot)?.is_file() {
            return Err(Error::invalid(format!(
                "{} is neither a file nor a folder",
                path.display()
            )));
        }
        let bytes = Mapped::for_one_call(&file, path)?;
        self.files.push(MappedFile { name, bytes });
        Ok(())
    }

    /// Adds what is in `folder`, whose name in the model is `name`.
    fn add_folder(&mut self, folder: &Path, name: &str, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::limit(format!(
                "{} is nested deeper than {MAX_DEPTH} folders",
                folder.display()
            )));
        }
        let cannot = |e| Error::io(format!("cannot read {}", folder.display()), e);
        let mut is_empty = true;
        for entry in fs::read_dir(folder).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            is_empty = false;
            let part = file_name(&path)?;
            let name = if name.is_empty() {
                part
            } else {
                format!("{name}/{part}")
            };
            let link = fs::symlink_metadata(&path).map_err(cannot)?.is_symlink();
            match path.is_dir() {
                true if link => {
                    return Err(Error::invalid(format!(
                        "{} is a link to a folder; only links to files are followed",
                        path.display()
                    )));
                }
                true => self.add_folder(&path, &name, depth.saturating_add(1))?,
                false => self.add_file(&path, name)?,
            }
        }
        if is_empty && !name.is_empty() {
            self.empty_folders.push(name.to_owned());
        }
        Ok(())
    }
}

fn file_name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned)
        .ok_or_else(|| Error::invalid(format!("{} has no portable file name", path.display())))
}

/// The data shards beside `path`, if that is the index of a checkpoint.
fn shards_of_index(path: &Path, bytes: &[u8]) -> Result<Vec<PathBuf>> {
    match path.to_str().and_then(|path| path.strip_suffix(".index")) {
        Some(prefix) if bytes.ends_with(TABLE_END) => numbered(Path::new(prefix), ".data-"),
        _ => Ok(Vec::new()),
    }
}

/// The files of the checkpoint with this prefix: of TensorFlow 2, else the shards of TensorFlow 1.
fn files_of_prefix(prefix: &Path) -> Result<Vec<PathBuf>> {
    let mut index = prefix.as_os_str().to_owned();
    index.push(".index");
    if Path::new(&index).is_file() {
        let mut files = numbered(prefix, ".data-")?;
        files.push(index.into());
        return Ok(files);
    }
    numbered(prefix, "-")
}

/// The files `PREFIX` + `infix` + `NNNNN-of-NNNNN`.
fn numbered(prefix: &Path, infix: &str) -> Result<Vec<PathBuf>> {
    let (Some(folder), Some(stem)) = (
        prefix.parent(),
        prefix.file_name().and_then(|name| name.to_str()),
    ) else {
        return Ok(Vec::new());
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let start = format!("{stem}{infix}");
    let mut files = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|e| Error::io(format!("cannot read {}", folder.display()), e))?
            .path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_prefix(&start));
        if number.is_some_and(is_shard_number) {
            files.push(path);
        }
    }
    Ok(files)
}

/// Whether it is `NNNNN-of-NNNNN`.
fn is_shard_number(text: &str) -> bool {
    let is_number = |part: &str| part.len() == 5 && part.bytes().all(|b| b.is_ascii_digit());
    text.split_once("-of-")
        .is_some_and(|(shard, count)| is_number(shard) && is_number(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        Input::open(path)
            .unwrap()
            .files
            .into_iter()
            .map(|file| file.name)
            .collect()
    }

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(
                path,
                if file.ends_with(".index") {
                    TABLE_END
                } else {
                    b"x"
                },
            )
            .unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_is_everything_in_it() {
        let folder = folder_with(&["b/c", "a", "b/d/e"]);
        fs::create_dir_all(folder.path().join("empty/inner")).unwrap();
        assert_eq!(names(folder.path()), ["a", "b/c", "b/d/e"]);
        let input = Input::open(folder.path()).unwrap();
        assert_eq!(input.empty_folders, ["empty/inner"]);
        assert!(input.is_folder);
        assert!(!Input::open(&folder.path().join("a")).unwrap().is_folder);
    }

    #[test]
    fn a_checkpoint_is_its_index_and_shards() {
        let all = ["m.index", "m.data-00000-of-00002", "m.data-00001-of-00002"];
        let folder = folder_with(
            &[
                &all[..],
                &["m.meta", "m.data-1-of-2", "mm.data-00000-of-00001"],
            ]
            .concat(),
        );
        let expected = ["m.data-00000-of-00002", "m.data-00001-of-00002", "m.index"];
        assert_eq!(names(&folder.path().join("m")), expected);
        assert_eq!(names(&folder.path().join("m.index")), expected);
        assert_eq!(names(&folder.path().join("m.meta")), ["m.meta"]);
        assert!(Input::open(&folder.path().join("n")).is_err());
        let folder = folder_with(&["m-00000-of-00001", "m-1"]);
        assert_eq!(names(&folder.path().join("m")), ["m-00000-of-00001"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_files_are_followed_and_said() {
        let folder = folder_with(&["a"]);
        std::os::unix::fs::symlink(folder.path().join("a"), folder.path().join("l")).unwrap();
        let input = Input::open(folder.path()).unwrap();
        assert_eq!((input.files.len(), input.links), (2, vec!["l".to_owned()]));
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        assert!(Input::open(folder.path()).is_err());
    }
}

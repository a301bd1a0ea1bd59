//! Reading: an open `.tfz` file, its files and its tensors.

mod csr;
mod encoded;
mod layout;
mod nonzeros;
#[cfg(feature = "restore")]
mod restore;
mod rows;
mod skeleton;
mod tensor;

pub use csr::Csr;
pub use encoded::{Block, Blocks, EncodedPositions, EncodedRows, EncodedValues};
pub use layout::Layout;
pub use nonzeros::Nonzeros;
pub use tensor::Tensor;

#[cfg(feature = "pack")]
pub(crate) use restore::Segment;

use crate::container::{Index, SectionKind};
use crate::cursor::range_len;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::profile::Profile;
use std::collections::HashMap;
use std::iter;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Look-ups that compare all names. Making a table takes as long as about so many.
const LOOKUPS_WITHOUT_TABLE: usize = 16;

/// Tensors of one name that an error tells apart.
const MAX_PLACES: usize = 4;

/// An open `.tfz` file.
///
/// Opening reads the footer and the manifest. Everything else is read, and its checksums are
/// compared, when it is asked for. An archive can be shared between threads.
///
/// `D` is where the bytes are: a `Vec<u8>`, a slice, a [`Mapped`](crate::Mapped) file.
#[derive(Debug)]
pub struct Archive<D> {
    data: D,
    index: Index,
    /// Look-ups so far, until there is a table.
    n_lookups: AtomicUsize,
    /// Tensors by name; made when there have been [`LOOKUPS_WITHOUT_TABLE`].
    by_name: OnceLock<HashMap<String, Vec<usize>>>,
}

impl<D: AsRef<[u8]>> Archive<D> {
    /// Opens the `.tfz` file that `data` holds, with the default [`Limits`].
    ///
    /// # Errors
    /// `Truncated`, `Corrupt` or `Unsupported` if header, footer or manifest break a rule of the
    /// spec; `LimitExceeded` if the manifest announces more than the limits allow.
    pub fn new(data: D) -> Result<Self> {
        Self::with_limits(data, &Limits::default())
    }

    /// Opens the `.tfz` file that `data` holds.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_limits(data: D, limits: &Limits) -> Result<Self> {
        let index = Index::read(data.as_ref(), limits)?;
        Ok(Self {
            data,
            index,
            n_lookups: AtomicUsize::new(0),
            by_name: OnceLock::new(),
        })
    }

    /// What its manifest says.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// What the file is for, if it says so: informative.
    pub fn profile(&self) -> Option<Profile> {
        self.index.profile
    }

    /// The bytes of the `.tfz` file itself.
    pub fn as_bytes(&self) -> &[u8] {
        self.data.as_ref()
    }

    /// All tensors, in the order of the model files' bytes.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor<'_>> {
        (0..self.index.tensors.len()).map(|number| self.tensor_at(number))
    }

    /// The tensor with this [number](Tensor::number), if there is one.
    pub fn tensor_by_number(&self, number: usize) -> Option<Tensor<'_>> {
        let row = self.index.tensors.get(number)?;
        Some(Tensor::new(self.as_bytes(), &self.index, number, row))
    }

    /// The tensor with this number, which exists.
    #[expect(
        clippy::expect_used,
        reason = "callers number the tensors of this archive, and all columns have one for each"
    )]
    pub(crate) fn tensor_at(&self, number: usize) -> Tensor<'_> {
        self.tensor_by_number(number)
            .expect("a number of this archive")
    }

    /// Names of all tensors, in the order of [`tensors`](Self::tensors); need not be unique.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.index.tensors.names().iter()
    }

    /// The tensor called `name`. A few look-ups compare all names; then a table is made of them, and a
    /// look-up takes the same time for any number of tensors.
    ///
    /// # Errors
    /// `InvalidArgument` if there is none, or if there are several: the message names them, and
    /// [`tensors`](Self::tensors) can tell them apart.
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>> {
        // Only a hint: nothing hangs on whose look-up is counted when.
        if self.n_lookups.load(Ordering::Relaxed) < LOOKUPS_WITHOUT_TABLE {
            self.n_lookups.fetch_add(1, Ordering::Relaxed);
            let found = self.names().enumerate().filter(|(_, of)| *of == name);
            return self.only_tensor(name, found.map(|(row, _)| row));
        }
        let by_name = self.by_name.get_or_init(|| {
            let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
            for (row, name) in self.names().enumerate() {
                by_name.entry(name.to_owned()).or_default().push(row);
            }
            by_name
        });
        let rows = by_name.get(name).map_or(&[][..], Vec::as_slice);
        self.only_tensor(name, rows.iter().copied())
    }

    /// The one tensor that is called `name`, of those that are.
    fn only_tensor(&self, name: &str, mut rows: impl Iterator<Item = usize>) -> Result<Tensor<'_>> {
        match (rows.next(), rows.next()) {
            (Some(row), None) => Ok(self.tensor_at(row)),
            (None, _) => Err(Error::invalid(format!("no tensor is called {name:?}"))),
            (Some(first), Some(second)) => {
                // A few: a small file can give one name to a million tensors.
                let mut rows = [first, second].into_iter().chain(rows);
                let places: Vec<String> = rows
                    .by_ref()
                    .take(MAX_PLACES)
                    .map(|row| format!("#{row} in {}", self.tensor_at(row).file_name()))
                    .collect();
                let n_more = rows.count();
                let more = if n_more > 0 { ", ..." } else { "" };
                Err(Error::invalid(format!(
                    "{} tensors are called {name:?}: {}{more}",
                    places.len().saturating_add(n_more),
                    places.join(", ")
                )))
            }
        }
    }

    /// The model files that restoring writes.
    pub fn files(&self) -> impl ExactSizeIterator<Item = FileInfo<'_>> {
        self.index.files.iter().map(|file| FileInfo {
            name: &file.name,
            bytes: file.bytes,
            sha256: file.sha256,
            source_sha256: file.source_sha256,
        })
    }

    /// Folders with nothing in them, which restoring makes.
    pub fn empty_folders(&self) -> impl ExactSizeIterator<Item = &str> {
        self.index.empty_folders.iter()
    }

    /// Whether it holds a folder, and not just a file.
    pub fn is_folder(&self) -> bool {
        self.index.is_folder
    }

    /// The parts of the `.tfz` file, in order, without gaps: what every byte of it is for.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part {
            kind: PartKind::Header,
            offset: 0,
            bytes: 0,
            payloads: 0,
        }];
        // Payloads stand in the order of their sections.
        let mut payloads = self.index.payloads.iter().peekable();
        for (number, section) in self.index.sections.iter().enumerate() {
            if !section.padding.is_empty() {
                parts.push(Part {
                    kind: PartKind::Padding,
                    offset: section.padding.start as u64,
                    bytes: 0,
                    payloads: 0,
                });
            }
            let kind = match section.kind {
                SectionKind::SkeletonFrame => PartKind::SkeletonFrame,
                SectionKind::Payloads => PartKind::Payloads,
            };
            let here = iter::from_fn(|| payloads.next_if(|payload| payload.section == number));
            parts.push(Part {
                kind,
                offset: section.range.start as u64,
                bytes: 0,
                payloads: here.count() as u64,
            });
        }
        let manifest = self
            .index
            .sections
            .last()
            .map_or(crate::container::HEADER_BYTES, |s| s.range.end) as u64;
        parts.push(Part {
            kind: PartKind::Manifest,
            offset: manifest,
            bytes: 0,
            payloads: 0,
        });
        parts.push(Part {
            kind: PartKind::Footer,
            offset: manifest.saturating_add(self.index.manifest_stored_bytes),
            bytes: 0,
            payloads: 0,
        });
        // Each ends where the next begins: they have no gaps.
        let mut end = self.as_bytes().len() as u64;
        for part in parts.iter_mut().rev() {
            part.bytes = range_len(&(part.offset..end));
            end = part.offset;
        }
        parts
    }

    /// Bytes of all restored files.
    pub fn restored_bytes(&self) -> u64 {
        self.index.files.iter().map(|file| file.bytes).sum()
    }

    /// Bytes of all skeletons, decoded: what the model files hold besides payloads.
    pub fn skeleton_bytes(&self) -> u64 {
        self.index.skeleton_bytes
    }
}

/// A model file inside an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileInfo<'a> {
    /// Where it belongs, relative to the target, with `/` between folders.
    pub name: &'a str,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes as restored.
    pub sha256: [u8; 32],
    /// SHA-256 of its bytes before packing, where a pass changed them (`canonical_zeros`).
    pub source_sha256: Option<[u8; 32]>,
}

/// A contiguous part of a `.tfz` file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
    /// Number of payloads in a section of payloads.
    pub payloads: u64,
}

/// What a part of a `.tfz` file is (spec §2, §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PartKind {
    /// Magic, version and features.
    Header,
    /// Zero bytes before an aligned section.
    Padding,
    /// A section with one frame of the skeleton.
    SkeletonFrame,
    /// A section with payloads.
    Payloads,
    /// What finds everything else.
    Manifest,
    /// What finds the manifest.
    Footer,
}

impl PartKind {
    /// The name that the spec uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Padding => "padding",
            Self::SkeletonFrame => "skeleton frame",
            Self::Payloads => "payloads",
            Self::Manifest => "manifest",
            Self::Footer => "footer",
        }
    }
}

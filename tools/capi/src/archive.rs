//! Opening and closing.

use crate::border::{self, Place, guard, invalid};
use crate::status::tfzip_status;
use std::ffi::{c_char, c_void};
use std::sync::{Arc, OnceLock};
use tfzip::{Archive, Error, Limits, Mapped, Result};

/// An open .tfz file.
pub struct tfzip_archive {
    shared: Shared,
    names: OnceLock<Names>,
}

impl tfzip_archive {
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The names of its tensors and of their files, for C; made when they are asked for first.
    pub(crate) fn names(&self) -> &Names {
        self.names.get_or_init(|| Names::new(self.shared.archive()))
    }
}

/// What the archive and its matrices have in common: closed with the last of them.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Archive<Bytes>>);

impl Shared {
    pub(crate) fn archive(&self) -> &Archive<Bytes> {
        &self.0
    }

    /// The archive, for what is kept beside a `Shared`.
    ///
    /// # Safety
    /// What is made of the result does not outlive `self` and all its clones.
    pub(crate) unsafe fn archive_while_shared(&self) -> &'static Archive<Bytes> {
        // SAFETY: an `Arc` keeps its contents where they are, and nobody has them mutably; the
        // caller promises not to use them longer than they are kept.
        unsafe { &*Arc::as_ptr(&self.0) }
    }

    /// Where the bytes of the file are.
    pub(crate) fn place(&self) -> Result<Place<'static>> {
        let bytes = self.0.as_bytes();
        border::place(bytes.as_ptr(), bytes.len(), "the archive")
    }
}

/// The header promises that threads may share an archive, and that any of them may close it.
const _: () = {
    const fn is_shareable<T: Send + Sync>() {}
    is_shareable::<tfzip_archive>();
};

/// Where the bytes of a .tfz file are.
pub(crate) enum Bytes {
    Owned(Vec<u8>),
    Mapped(Mapped),
    Borrowed(&'static [u8]),
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped(map) => map.as_ref(),
            Self::Borrowed(bytes) => bytes,
        }
    }
}

/// Names with a NUL after each.
pub(crate) struct Names {
    text: Vec<u8>,
    /// Where the names of each tensor and of its file start.
    starts: Vec<(usize, usize)>,
}

impl Names {
    fn new(archive: &Archive<Bytes>) -> Self {
        let mut text = Vec::new();
        let mut put = |name: &str| {
            let start = text.len();
            text.extend_from_slice(name.as_bytes());
            text.push(0);
            start
        };
        let mut starts = Vec::with_capacity(archive.tensors().len());
        // Tensors of one file stand together.
        let mut file = ("", put(""));
        for tensor in archive.tensors() {
            if tensor.file_name() != file.0 {
                file = (tensor.file_name(), put(tensor.file_name()));
            }
            starts.push((put(tensor.name()), file.1));
        }
        Self { text, starts }
    }

    /// The names of tensor `number` and of its file, which end at a NUL.
    pub(crate) fn of(&self, number: usize) -> Option<(*const c_char, *const c_char)> {
        let at = |start: usize| Some(self.text.get(start..)?.as_ptr().cast());
        let &(name, file) = self.starts.get(number)?;
        Some((at(name)?, at(file)?))
    }
}

/// What opening and reading may spend on a file that nobody vouches for. What is above a limit is
/// refused with TFZIP_STATUS_LIMIT_EXCEEDED before memory is reserved.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct tfzip_limits {
    /// Bytes of the manifest once decoded. Default 256 MiB.
    pub manifest_bytes: u64,
    /// Rows of each of the manifest's tables of files, empty folders, sections, payloads and
    /// tensors. Default 2^20.
    pub rows: u64,
    /// Rows of the manifest's table of holes. Default 2^24.
    pub holes: u64,
    /// Dimensions of all tensors together. Default 2^24.
    pub dims: u64,
    /// Dimensions of a tensor. Default 254, as in TensorFlow.
    pub rank: u64,
    /// Bytes of the name of a file or tensor. Default 65,535.
    pub name_bytes: u64,
    /// Bytes of one tensor, decoded. Default 2^36.
    pub tensor_bytes: u64,
    /// Bytes of all files that the archive restores. Default 2^38.
    pub total_bytes: u64,
    /// Bytes of all files that the archive restores, or of one tensor, decoded, for each byte of the
    /// archive. Default 2^20.
    pub expansion: u64,
    /// Folders that the name of a file leads through. Default 64.
    pub nesting: u64,
}

impl From<&tfzip_limits> for Limits {
    fn from(from: &tfzip_limits) -> Self {
        let mut limits = Self::default();
        limits.manifest_bytes = from.manifest_bytes;
        limits.rows = from.rows;
        limits.holes = from.holes;
        limits.dims = from.dims;
        limits.rank = from.rank;
        limits.name_bytes = from.name_bytes;
        limits.tensor_bytes = from.tensor_bytes;
        limits.total_bytes = from.total_bytes;
        limits.expansion = from.expansion;
        limits.nesting = from.nesting;
        limits
    }
}

impl From<&Limits> for tfzip_limits {
    fn from(from: &Limits) -> Self {
        Self {
            manifest_bytes: from.manifest_bytes,
            rows: from.rows,
            holes: from.holes,
            dims: from.dims,
            rank: from.rank,
            name_bytes: from.name_bytes,
            tensor_bytes: from.tensor_bytes,
            total_bytes: from.total_bytes,
            expansion: from.expansion,
            nesting: from.nesting,
        }
    }
}

/// ---- Opening and closing ----
///
/// Opening reads the footer and the manifest, and compares their checksums. Everything else is read,
/// and its checksums are compared, when it is asked for.
///
/// Where `limits` is null, the default limits hold. On failure *archive becomes null.
/// ***
/// Sets *limits to the defaults, which suit a server that opens files from strangers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_limits_default(limits: *mut tfzip_limits) -> tfzip_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let mut out = unsafe { border::out(limits, "limits") }?;
        out.set(tfzip_limits::from(&Limits::default()));
        Ok(())
    })
}

/// Reads the whole file at `path` into memory and opens it. The path is what the system's own
/// functions take on Unix, and UTF-8 on Windows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_open(
    path: *const c_char,
    limits: *const tfzip_limits,
    archive: *mut *mut tfzip_archive,
) -> tfzip_status {
    // SAFETY: the caller's promise, here and below.
    unsafe {
        open(limits, archive, || {
            let path = border::path_of(border::text(path, "path")?)?;
            std::fs::read(path)
                .map(Bytes::Owned)
                .map_err(|e| Error::io(format!("cannot read {}", path.display()), e))
        })
    }
}

/// Maps the file at `path` and opens it: nothing is read from disk that isn't asked for.
///
/// Until the archive is closed, and every matrix of it, nobody may change the file or cut it short,
/// in this process or in another: bytes that change under a reader are undefined behaviour, and a page that was cut off
/// ends the process with SIGBUS. To replace the file, write another one and rename it: the map
/// stays whole. tfzip's own programs do so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_map(
    path: *const c_char,
    limits: *const tfzip_limits,
    archive: *mut *mut tfzip_archive,
) -> tfzip_status {
    // SAFETY: the caller's promise, here and below; nobody changes the file or cuts it short.
    unsafe {
        open(limits, archive, || {
            let path = border::path_of(border::text(path, "path")?)?;
            Mapped::open(path).map(Bytes::Mapped)
        })
    }
}

/// Opens the .tfz file that stands in memory at `data`, and keeps a copy of its `data_bytes` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_open_copy(
    data: *const c_void,
    data_bytes: usize,
    limits: *const tfzip_limits,
    archive: *mut *mut tfzip_archive,
) -> tfzip_status {
    // SAFETY: the caller's promise, here and below.
    unsafe {
        open(limits, archive, || {
            let data: &[u8] = border::elements(data.cast(), data_bytes, "data")?;
            let mut copy = Vec::new();
            copy.try_reserve_exact(data.len())
                .map_err(|_| invalid(format!("no memory for {data_bytes} bytes")))?;
            copy.extend_from_slice(data);
            Ok(Bytes::Owned(copy))
        })
    }
}

/// Opens the .tfz file that stands in memory at `data`, without a copy of its `data_bytes` bytes.
/// They have to stay where they are, and nobody may change them, until the archive is closed, and
/// every matrix of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_open_borrowed(
    data: *const c_void,
    data_bytes: usize,
    limits: *const tfzip_limits,
    archive: *mut *mut tfzip_archive,
) -> tfzip_status {
    // SAFETY: the caller's promise, here and below; that of `data` lasts as long as the archive,
    // and nothing that is read from an archive lives longer.
    unsafe {
        open(limits, archive, || {
            border::elements(data.cast(), data_bytes, "data").map(Bytes::Borrowed)
        })
    }
}

/// Closes an archive; null is no archive, and nothing happens. What belongs to it goes with it: the
/// names and shapes of its tensors.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfzip_close(archive: *mut tfzip_archive) {
    // SAFETY: the caller promises that it is open, so that `open` made it, and that nobody uses it
    // any more.
    unsafe { border::close(archive) };
}

/// Opens the file that `read` brings.
///
/// # Safety
/// `limits` and `archive` are null or what their types say.
unsafe fn open(
    limits: *const tfzip_limits,
    archive: *mut *mut tfzip_archive,
    read: impl FnOnce() -> Result<Bytes>,
) -> tfzip_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let mut out = unsafe { border::out(archive, "archive") }?;
        out.set(std::ptr::null_mut());
        // SAFETY: the caller's promise.
        let limits = unsafe { border::optional(limits, "limits") }?;
        let limits = limits.map_or_else(Limits::default, Limits::from);
        let archive = Archive::with_limits(read()?, &limits)?;
        out.set(Box::into_raw(Box::new(tfzip_archive {
            shared: Shared(Arc::new(archive)),
            names: OnceLock::new(),
        })));
        Ok(())
    })
}

//! The functions of the header, called as C calls them.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the calls are what is tested"
)]

mod opening;
mod products;
mod reading;
mod status;

use crate::archive::*;
use crate::status::*;
use crate::tensor::*;
use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use tfzip::{Archive, DType};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/v1");

fn text(pointer: *const c_char) -> &'static str {
    unsafe { CStr::from_ptr(pointer) }.to_str().unwrap()
}

fn vector(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(VECTORS).join(name)).unwrap()
}

fn c_path(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().to_str().unwrap()).unwrap()
}

/// An archive that is closed when the test is over.
struct Opened(*mut tfzip_archive);

impl Opened {
    fn copy_of(bytes: &[u8]) -> Self {
        let mut archive = null_mut();
        let status =
            unsafe { tfzip_open_copy(bytes.as_ptr().cast(), bytes.len(), null(), &mut archive) };
        assert_eq!(status, tfzip_status::Ok, "{}", text(tfzip_last_error()));
        Self(archive)
    }

    fn describe(&self, number: usize) -> tfzip_tensor {
        let mut tensor = std::mem::MaybeUninit::uninit();
        let status = unsafe { tfzip_describe(self.0, number, tensor.as_mut_ptr()) };
        assert_eq!(status, tfzip_status::Ok);
        unsafe { tensor.assume_init() }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        unsafe { tfzip_close(self.0) };
    }
}

/// The call was refused as the caller's mistake, and the message says what was wrong.
#[track_caller]
fn refused(status: tfzip_status, because: &str) {
    let message = text(tfzip_last_error());
    assert_eq!(status, tfzip_status::InvalidArgument, "{message}");
    assert!(message.contains(because), "{message:?} lacks {because:?}");
}

/// The vectors whose names begin with `prefix`, in order.
fn vectors(prefix: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(VECTORS)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "tfz"))
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(prefix)
        })
        .collect();
    paths.sort();
    paths
}

/// The first vector with a matrix of float32 of several rows, opened; its bytes, and the number.
fn matrix() -> (Opened, Vec<u8>, usize) {
    let found = vectors("good-").into_iter().find_map(|path| {
        let bytes = std::fs::read(path).unwrap();
        let archive = Archive::new(&bytes[..]).unwrap();
        let number = archive.tensors().position(|tensor| {
            let is_float = tensor.dtype() == DType::Float32 && tensor.is_readable();
            is_float && tensor.nnz() > 1 && tensor.matrix_shape().0 > 1
        })?;
        Some((Opened::copy_of(&bytes), bytes, number))
    });
    found.expect("a matrix of float32")
}

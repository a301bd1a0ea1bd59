//! The border to C: pointers become references here, and panics a status.
//!
//! What C promises (the head of `tfzip.h`) can't be checked: that a pointer that is not null points
//! to what the header says it does, for as long as the call takes. What can be checked is: null,
//! alignment, lengths that no memory has, outputs that overlap.

use crate::status::{self, tfzip_status};
use std::any::Any;
use std::ffi::{CStr, OsStr, c_char};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::slice;
use tfzip::{Error, ErrorKind, Result};

/// The caller's mistake.
pub(crate) fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidArgument, detail)
}

/// Runs `f`; its error or panic becomes this thread's last error.
///
/// What `f` uses may be used again after a panic: an archive does not change once it is open, and a
/// buffer of the caller has unspecified contents after any failure.
pub(crate) fn guard(f: impl FnOnce() -> Result<()>) -> tfzip_status {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => tfzip_status::Ok,
        Ok(Err(error)) => status::fail(&error),
        Err(panic) => {
            status::set_last_error(format!("defect in tfzip: {}", message_of(&*panic)));
            tfzip_status::Internal
        }
    }
}

/// Runs `f`, which has no status to return; if it panics, the result is `otherwise`.
pub(crate) fn guard_or<T>(otherwise: T, f: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(otherwise)
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "no message",
    }
}

/// A place for one result.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    pub(crate) fn set(&mut self, value: T) {
        // SAFETY: made by `out` alone, whose caller promised that the place can be written; null
        // and alignment were checked there.
        unsafe { self.0.write(value) };
    }
}

/// The place that `pointer`, called `what` in the header, points to.
///
/// # Safety
/// Unless it is null, it points to a `T` that can be written while the result lives.
pub(crate) unsafe fn out<T>(pointer: *mut T, what: &str) -> Result<Out<T>> {
    check(pointer, 1, what)?;
    Ok(Out(pointer))
}

/// What `pointer`, called `what` in the header, points to.
///
/// # Safety
/// Unless it is null, it points to a valid `T` that nobody changes during `'a`.
pub(crate) unsafe fn reference<'a, T>(pointer: *const T, what: &str) -> Result<&'a T> {
    check(pointer, 1, what)?;
    // SAFETY: neither null nor unaligned; the rest is the caller's promise.
    Ok(unsafe { &*pointer })
}

/// As [`reference`], of a pointer that may be null.
///
/// # Safety
/// As [`reference`].
pub(crate) unsafe fn optional<'a, T>(pointer: *const T, what: &str) -> Result<Option<&'a T>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { reference(pointer, what) }.map(Some)
}

/// The `n` elements that `pointer`, called `what` in the header, points to; null will do for none.
///
/// # Safety
/// Unless it is null, it points to `n` elements that nobody changes during `'a`.
pub(crate) unsafe fn elements<'a, T: bytemuck::Pod>(
    pointer: *const T,
    n: usize,
    what: &str,
) -> Result<&'a [T]> {
    if n == 0 {
        return Ok(&[]);
    }
    check(pointer, n, what)?;
    // SAFETY: neither null nor unaligned, and no larger than memory can be; `T` is valid with any
    // bytes; the rest is the caller's promise.
    Ok(unsafe { slice::from_raw_parts(pointer, n) })
}

/// As [`elements`], to be written.
///
/// C may hand over memory that it has not written yet. These elements are written and not read, and
/// any bytes that they could hold are a valid `T`.
///
/// # Safety
/// Unless it is null, it points to `n` elements that nobody else uses during `'a`.
pub(crate) unsafe fn elements_mut<'a, T: bytemuck::Pod>(
    pointer: *mut T,
    n: usize,
    what: &str,
) -> Result<&'a mut [T]> {
    if n == 0 {
        return Ok(&mut []);
    }
    check(pointer, n, what)?;
    // SAFETY: neither null nor unaligned, and no larger than memory can be; `T` is valid with any
    // bytes; the rest is the caller's promise.
    Ok(unsafe { slice::from_raw_parts_mut(pointer, n) })
}

/// The text that `pointer`, called `what` in the header, points to.
///
/// # Safety
/// Unless it is null, it points to bytes up to a NUL that nobody changes during `'a`.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Result<&'a CStr> {
    check(pointer, 1, what)?;
    // SAFETY: not null; the rest is the caller's promise.
    Ok(unsafe { CStr::from_ptr(pointer) })
}

/// Drops what `pointer` owns, unless it is null.
///
/// # Safety
/// Unless it is null, it comes from `Box::into_raw`, and nobody uses it any more.
pub(crate) unsafe fn close<T>(pointer: *mut T) {
    guard_or((), || {
        if !pointer.is_null() {
            // SAFETY: the caller's promise.
            drop(unsafe { Box::from_raw(pointer) });
        }
    });
}

/// A path as the system has it: any bytes on Unix, UTF-8 elsewhere.
pub(crate) fn path_of(text: &CStr) -> Result<&Path> {
    #[cfg(unix)]
    let path = {
        use std::os::unix::ffi::OsStrExt;
        OsStr::from_bytes(text.to_bytes())
    };
    #[cfg(not(unix))]
    let path = OsStr::new(text.to_str().map_err(|_| invalid("path is not UTF-8"))?);
    Ok(Path::new(path))
}

/// A name of the header, and the addresses that it stands for.
pub(crate) type Place<'a> = (&'a str, Range<usize>);

/// The place of the `n` elements that `pointer`, called `what` in the header, points to.
pub(crate) fn place<T>(pointer: *const T, n: usize, what: &str) -> Result<Place<'_>> {
    if n == 0 {
        return Ok((what, 0..0));
    }
    let bytes = check(pointer, n, what)?;
    Ok((what, pointer.addr()..pointer.addr() + bytes))
}

/// Fails if the first place has a byte in common with one of the others.
pub(crate) fn check_apart((name, range): &Place<'_>, others: &[Place<'_>]) -> Result<()> {
    for (other_name, other) in others {
        if range.start.max(other.start) < range.end.min(other.end) {
            return Err(invalid(format!("{name} overlaps {other_name}")));
        }
    }
    Ok(())
}

/// Bytes of the `n` elements, one or more, that `pointer` points to; fails if it can't point to them.
fn check<T>(pointer: *const T, n: usize, what: &str) -> Result<usize> {
    if pointer.is_null() {
        return Err(invalid(format!("{what} is null")));
    }
    if !pointer.is_aligned() {
        return Err(invalid(format!(
            "{what} is at {pointer:p}, expected a multiple of {} bytes",
            align_of::<T>()
        )));
    }
    let bytes = n
        .checked_mul(size_of::<T>())
        .filter(|&bytes| isize::try_from(bytes).is_ok())
        .filter(|&bytes| pointer.addr().checked_add(bytes).is_some());
    bytes.ok_or_else(|| {
        invalid(format!(
            "{what} has {n} elements of {} bytes, more than memory has",
            size_of::<T>()
        ))
    })
}

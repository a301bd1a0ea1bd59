//! How a call ended, and the message of the last one that failed.

use crate::border;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use tfzip::{Error, ErrorKind};

/// How a call ended. The numbers never change.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum tfzip_status {
    /// It did what it was asked for.
    Ok = 0,
    /// The file ended before something that it announced.
    Truncated = 1,
    /// The bytes break a rule of the format, or a checksum does not match.
    Corrupt = 2,
    /// Well-formed, but written by a newer format, or a form that this library leaves out.
    Unsupported = 3,
    /// Legal, but more than the limits allow.
    LimitExceeded = 4,
    /// The caller asked for something that does not exist or does not fit: a null pointer, a short
    /// buffer, another dtype, a name that no tensor has.
    InvalidArgument = 5,
    /// Not a model file that this library understands.
    Model = 6,
    /// The operating system failed to read.
    Io = 7,
    /// A defect of this library. Nothing is lost but this call: please report the message.
    Internal = 100,
}

/// A status as it comes from C, where it can be any number.
pub type StatusNumber = i32;

impl tfzip_status {
    pub(crate) const ALL: [Self; 9] = [
        Self::Ok,
        Self::Truncated,
        Self::Corrupt,
        Self::Unsupported,
        Self::LimitExceeded,
        Self::InvalidArgument,
        Self::Model,
        Self::Io,
        Self::Internal,
    ];

    fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Truncated => Self::Truncated,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::LimitExceeded => Self::LimitExceeded,
            ErrorKind::InvalidArgument => Self::InvalidArgument,
            ErrorKind::Model => Self::Model,
            ErrorKind::Io => Self::Io,
            _ => Self::Internal,
        }
    }

    fn name(self) -> &'static CStr {
        match self {
            Self::Ok => c"ok",
            Self::Truncated => c"truncated",
            Self::Corrupt => c"corrupt",
            Self::Unsupported => c"unsupported",
            Self::LimitExceeded => c"limit-exceeded",
            Self::InvalidArgument => c"invalid-argument",
            Self::Model => c"model",
            Self::Io => c"io",
            Self::Internal => c"internal",
        }
    }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Keeps `message` for [`tfzip_last_error`]. A thread that is about to end keeps nothing.
pub(crate) fn set_last_error(message: String) {
    let mut bytes = message.into_bytes();
    // C would see its end there.
    bytes.retain(|&byte| byte != 0);
    let message = CString::new(bytes).unwrap_or_default();
    let _ = LAST_ERROR.try_with(|last| *last.borrow_mut() = message);
}

/// Keeps the message of `error` and returns its status.
pub(crate) fn fail(error: &Error) -> tfzip_status {
    set_last_error(error.to_string());
    tfzip_status::of_kind(error.kind())
}

/// ---- Errors ----
/// ***
/// What was wrong in the last call of this thread that failed: where, what was expected and what
/// was found, in one line of UTF-8. Empty if none has failed; calls that succeed leave it as it is.
/// It is valid until a call of the same thread fails, or the thread ends.
#[unsafe(no_mangle)]
pub extern "C" fn tfzip_last_error() -> *const c_char {
    LAST_ERROR
        .try_with(|last| last.borrow().as_ptr())
        .unwrap_or(c"".as_ptr())
}

/// Name of a status, for instance "limit-exceeded"; "unknown" for a number that is none.
#[unsafe(no_mangle)]
pub extern "C" fn tfzip_status_name(status: StatusNumber) -> *const c_char {
    border::guard_or(c"unknown", || {
        tfzip_status::ALL
            .into_iter()
            .find(|&known| known as i32 == status)
            .map_or(c"unknown", tfzip_status::name)
    })
    .as_ptr()
}

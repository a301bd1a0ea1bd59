//! The one error type: what kind of failure, where, and what was expected and found.

use std::borrow::Cow;
use std::fmt;

/// Result of every fallible operation of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, for callers that branch on it (spec §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input ended before something that it announced.
    Truncated,
    /// The bytes break a rule of the format, or a checksum does not match.
    Corrupt,
    /// Well-formed, but written by a newer format, or a form that this reader leaves out.
    Unsupported,
    /// Legal, but more than the reader's [`Limits`](crate::Limits) allow.
    LimitExceeded,
    /// The caller asked for something that does not exist or does not fit.
    InvalidArgument,
    /// The input is not a model file that this crate understands.
    Model,
    /// The operating system failed to read or write.
    Io,
}

impl ErrorKind {
    /// The kind's name as the spec and the test vectors write it, for instance `limit-exceeded`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::LimitExceeded => "limit-exceeded",
            Self::InvalidArgument => "invalid-argument",
            Self::Model => "model",
            Self::Io => "io",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure with its kind, its place and its story.
///
/// It displays as `place: detail`, in lower case, without a trailing full stop.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    at: String,
    detail: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `detail` says what was expected and what was found.
    pub fn new(kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            at: String::new(),
            detail: detail.into(),
            source: None,
        }))
    }

    pub(crate) fn truncated(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Truncated, detail)
    }

    pub(crate) fn corrupt(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Corrupt, detail)
    }

    pub(crate) fn unsupported(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unsupported, detail)
    }

    pub(crate) fn limit(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::LimitExceeded, detail)
    }

    pub(crate) fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidArgument, detail)
    }

    pub(crate) fn model(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Model, detail)
    }

    /// An operating-system failure while doing `what`, for instance `cannot create out.tfz`.
    pub fn io(what: impl fmt::Display, source: std::io::Error) -> Self {
        Self(Box::new(Inner {
            kind: ErrorKind::Io,
            at: String::new(),
            detail: format!("{what}: {source}").into(),
            source: Some(Box::new(source)),
        }))
    }

    /// Adds `place` in front of where the error happened: callers add the outer places.
    #[must_use]
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.0.at = if self.0.at.is_empty() {
            place.to_string()
        } else {
            format!("{place}: {}", self.0.at)
        };
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where it happened: section, tensor, block and offset, as far as known; may be empty.
    pub fn at(&self) -> &str {
        &self.0.at
    }

    /// What was expected and what was found.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.at.is_empty() {
            write!(f, "{}: ", self.0.at)?;
        }
        f.write_str(&self.0.detail)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|e| e as &(dyn std::error::Error + 'static))
    }
}

/// Adds the place to a result's error.
pub(crate) trait Within<T> {
    fn within(self, place: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Within<T> for Result<T> {
    fn within(self, place: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| e.within(place()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_from_the_outside_in() {
        let e = Error::corrupt("expected 3, found 4")
            .within("block 2")
            .within("tensor \"w\"");
        assert_eq!(e.to_string(), "tensor \"w\": block 2: expected 3, found 4");
        assert_eq!(e.kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn io_errors_keep_their_cause() {
        let e = Error::io("cannot read x", std::io::Error::other("no"));
        assert_eq!(e.to_string(), "cannot read x: no");
        assert!(std::error::Error::source(&e).is_some());
    }
}

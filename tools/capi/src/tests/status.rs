//! What calls that fail say, and what never changes.

use super::*;
use crate::border::guard;
use crate::version::*;
use tfzip::ErrorKind;

#[test]
fn numbers_never_change() {
    let statuses = tfzip_status::ALL.map(|status| status as i32);
    assert_eq!(statuses, [0, 1, 2, 3, 4, 5, 6, 7, 100]);
    let header = include_str!("../../tfzip.h");
    let lines: Vec<&str> = header.lines().map(str::trim).collect();
    for line in [
        "TFZIP_STATUS_OK = 0,",
        "TFZIP_STATUS_TRUNCATED = 1,",
        "TFZIP_STATUS_CORRUPT = 2,",
        "TFZIP_STATUS_UNSUPPORTED = 3,",
        "TFZIP_STATUS_LIMIT_EXCEEDED = 4,",
        "TFZIP_STATUS_INVALID_ARGUMENT = 5,",
        "TFZIP_STATUS_MODEL = 6,",
        "TFZIP_STATUS_IO = 7,",
        "TFZIP_STATUS_INTERNAL = 100,",
    ] {
        assert!(lines.contains(&line), "{line}");
    }
    for dtype in DType::ALL {
        let name = dtype.name().to_ascii_uppercase();
        let line = format!("TFZIP_DTYPE_{name} = {},", *dtype as u32);
        assert!(lines.contains(&line.as_str()), "{line}");
    }
    let count = |prefix: &str| lines.iter().filter(|line| line.starts_with(prefix)).count();
    assert_eq!(count("TFZIP_STATUS_"), tfzip_status::ALL.len());
    assert_eq!(count("TFZIP_DTYPE_"), DType::ALL.len());
}

#[test]
fn names_are_the_libraries() {
    let kinds = [
        ErrorKind::Truncated,
        ErrorKind::Corrupt,
        ErrorKind::Unsupported,
        ErrorKind::LimitExceeded,
        ErrorKind::InvalidArgument,
        ErrorKind::Model,
        ErrorKind::Io,
    ];
    for kind in kinds {
        let status = fail(&tfzip::Error::new(kind, "why"));
        assert_eq!(text(tfzip_status_name(status as i32)), kind.as_str());
        assert_eq!(text(tfzip_last_error()), "why");
    }
    assert_eq!(text(tfzip_status_name(0)), "ok");
    assert_eq!(text(tfzip_status_name(100)), "internal");
    for none in [-1, 8, 99, 101, i32::MIN, i32::MAX] {
        assert_eq!(text(tfzip_status_name(none)), "unknown");
    }
    for dtype in DType::ALL {
        assert_eq!(text(tfzip_dtype_name(*dtype as u32)), dtype.name());
    }
    for none in [0, 34, u32::MAX] {
        assert_eq!(text(tfzip_dtype_name(none)), "unknown");
    }
    assert_eq!(text(tfzip_version()), env!("CARGO_PKG_VERSION"));
    assert_eq!(tfzip_abi_version(), TFZIP_ABI_VERSION);
    assert_eq!(tfzip_format_version(), u32::from(tfzip::FORMAT_VERSION));
}

#[test]
fn panics_become_a_status_and_a_message() {
    let status = guard(|| panic!("row {} of 3", 4));
    assert_eq!(status, tfzip_status::Internal);
    assert_eq!(text(tfzip_last_error()), "defect in tfzip: row 4 of 3");
    assert_eq!(guard(|| panic!("no number")), tfzip_status::Internal);
    assert_eq!(text(tfzip_last_error()), "defect in tfzip: no number");
    let other = guard(|| std::panic::panic_any(7));
    assert_eq!(other, tfzip_status::Internal);
    assert_eq!(text(tfzip_last_error()), "defect in tfzip: no message");
    // A call after that works as ever.
    assert_eq!(guard(|| Ok(())), tfzip_status::Ok);
}

#[test]
fn messages_are_kept_for_each_thread_until_another_call_fails() {
    let mut number = 0;
    let archive = Opened::copy_of(&vector("good-complex-zero.tfz"));
    refused(
        unsafe { tfzip_find(archive.0, c"here".as_ptr(), &mut number) },
        "\"here\"",
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(text(tfzip_last_error()), "");
            refused(
                unsafe { tfzip_find(null(), null(), null_mut()) },
                "archive is null",
            );
        });
    });
    // A call that succeeds leaves it too.
    archive.describe(0);
    assert!(text(tfzip_last_error()).contains("\"here\""));
    // What C would take for the end of the message is left out.
    guard(|| Err(crate::border::invalid("a\0b")));
    assert_eq!(text(tfzip_last_error()), "ab");
}

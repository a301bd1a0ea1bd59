//! What general compressors need for the same model file.

use crate::counter::Counter;
use flate2::write::GzEncoder;
use liblzma::stream::PRESET_EXTREME;
use liblzma::write::XzEncoder;
use serde::Serialize;
use std::io::{self, Write};
use std::thread;
use tfzip::{Archive, Error, Result};

/// A compressor and what it came to.
#[derive(Debug, Serialize)]
pub struct Rival {
    /// Its name and level.
    pub name: &'static str,
    /// Bytes that it needs.
    pub bytes: u64,
}

/// What gzip, zstd and xz make of the restored files of `archive`, one after the other.
///
/// # Errors
/// What restoring gives; `Io` if a compressor fails.
pub fn measure<D: AsRef<[u8]> + Sync>(archive: &Archive<D>) -> Result<[Rival; 3]> {
    let gzip = || {
        let mut out = GzEncoder::new(Counter(0), flate2::Compression::new(9));
        restore(archive, &mut out)?;
        out.finish().map_err(failed)
    };
    let zstd = || {
        let new = || {
            let mut out = zstd::Encoder::new(Counter(0), 19)?;
            out.set_pledged_src_size(Some(archive.restored_bytes()))?;
            out.include_checksum(true)?;
            Ok(out)
        };
        let mut out = new().map_err(failed)?;
        restore(archive, &mut out)?;
        out.finish().map_err(failed)
    };
    let xz = || {
        let mut out = XzEncoder::new(Counter(0), 9 | PRESET_EXTREME);
        restore(archive, &mut out)?;
        out.finish().map_err(failed)
    };
    // They take long, each its own time.
    let (gzip, zstd, xz) = thread::scope(|scope| {
        let (gzip, zstd) = (scope.spawn(gzip), scope.spawn(zstd));
        let xz = xz();
        (join(gzip), join(zstd), xz)
    });
    let rival = |name, counter: Counter| Rival {
        name,
        bytes: counter.0,
    };
    Ok([
        rival("gzip -9", gzip?),
        rival("zstd -19", zstd?),
        rival("xz -9e", xz?),
    ])
}

fn restore<D: AsRef<[u8]>>(archive: &Archive<D>, out: &mut dyn Write) -> Result<()> {
    (0..archive.files().len()).try_for_each(|file| archive.restore(file, out))
}

fn failed(error: io::Error) -> Error {
    Error::io("cannot compress", error)
}

fn join<R>(thread: thread::ScopedJoinHandle<'_, R>) -> R {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

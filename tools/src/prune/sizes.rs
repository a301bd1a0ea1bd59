//! How large a pruned model is: as it is, gzipped, and packed.

use crate::counter::Counter;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use std::io::{self, Write};
use std::thread;
use tfzip::{Error, PackOptions, PrunedModel, Result};

/// Bytes of a model, and of what becomes of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sizes {
    /// All its files.
    pub model_bytes: u64,
    /// Each file by gzip with its default level, 6.
    pub gzip_bytes: u64,
    /// The `.tfz` file.
    pub archive_bytes: u64,
}

impl Sizes {
    /// Compresses the model in both ways, and writes neither.
    ///
    /// # Errors
    /// As [`PrunedModel::packed`].
    pub fn of(pruned: &PrunedModel, packing: &PackOptions) -> Result<Self> {
        let files = pruned.files();
        let gzip = || -> io::Result<u64> {
            let mut bytes = 0;
            for file in &files {
                let mut out = GzEncoder::new(Counter(0), Compression::new(6));
                out.write_all(file.bytes)?;
                bytes += out.finish()?.0;
            }
            Ok(bytes)
        };
        // The slower of them has a thread of its own.
        let (gzip_bytes, packed) = thread::scope(|scope| {
            let gzip = scope.spawn(gzip);
            let packed = pruned.packed(packing);
            let gzip_bytes = gzip
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (gzip_bytes, packed)
        });
        Ok(Self {
            model_bytes: files.iter().map(|file| file.bytes.len() as u64).sum(),
            gzip_bytes: gzip_bytes.map_err(|e| Error::io("cannot compress", e))?,
            archive_bytes: packed?.archive_bytes,
        })
    }
}

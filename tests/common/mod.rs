//! What several tests need: graphs, real files, and a second opinion on tensors.

#![allow(
    dead_code,
    clippy::large_enum_variant,
    reason = "each test uses its part; the messages are TensorFlow's"
)]

pub(crate) mod container;
pub(crate) mod graph_def;
pub(crate) mod models;
pub(crate) mod moods;
pub(crate) mod naive;
pub(crate) mod products;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tfzip::{Coding, PositionKind, ValueKind};

/// A folder of `../shared/data`, or all of it for an empty name.
///
/// `None`, with a word on stderr, where it is missing; a panic if the environment says
/// `TFZIP_REQUIRE_DATA=1`.
pub(crate) fn data(folder: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data")
        .join(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("TFZIP_REQUIRE_DATA").is_ok_and(|v| v == "1");
    assert!(!required, "there is no {}", folder.display());
    eprintln!("skipped: there is no {}", folder.display());
    None
}

/// The files below folders of [`data`], in the order of their paths.
pub(crate) fn shared_files(folders: &[&str]) -> Option<Vec<PathBuf>> {
    let mut open = folders
        .iter()
        .map(|folder| data(folder))
        .collect::<Option<Vec<_>>>()?;
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty());
    Some(files)
}

/// Every kind of positions, of values and of streams that is written is among those found.
#[track_caller]
pub(crate) fn assert_every_kind(
    positions: &BTreeSet<PositionKind>,
    values: &BTreeSet<ValueKind>,
    codings: &BTreeSet<Coding>,
) {
    use PositionKind as P;
    use ValueKind as V;
    let of_blocks = [
        P::None,
        P::All,
        P::Bitmap,
        P::RelativeIndex,
        P::Classes,
        P::Rows,
    ];
    assert!(positions.is_superset(&of_blocks.into()), "{positions:?}");
    let of_values = [V::Raw, V::Planes, V::Codebook, V::Coded, V::Aligned];
    assert!(values.is_superset(&of_values.into()), "{values:?}");
    let of_streams = [Coding::Packed, Coding::Zstd, Coding::Huffman];
    assert!(codings.is_superset(&of_streams.into()), "{codings:?}");
}

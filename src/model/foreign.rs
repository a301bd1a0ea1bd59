//! What else a file may be: a word for those who bring the wrong one.

use super::graph_def;
use crate::error::Error;

/// Files that are known by their first bytes.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (
        b"\x89TFZ\r\n\x1a\n",
        "it is a .tfz already; tfzip-unpack restores its model",
    ),
    (
        b"\x89HDF\r\n\x1a\n",
        "it is an HDF5 file, but not one of Keras",
    ),
    (
        b"PK\x03\x04",
        "it is a zip archive, but not one of Keras; unzip it",
    ),
    (
        b"\x1f\x8b",
        "it is compressed with gzip; decompress it first",
    ),
    (
        b"model_checkpoint_path:",
        "it only names a checkpoint; give the folder, or the checkpoint's .index file",
    ),
];

/// How a LevelDB table ends.
const TABLE_END: &[u8] = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb";

/// What the text forms of a GraphDef, a MetaGraphDef and a SavedModel start with.
const TEXT_FIELDS: &[&str] = &[
    "node",
    "library",
    "versions",
    "meta_info_def",
    "graph_def",
    "saved_model_schema_version",
    "meta_graphs",
];

/// The error for a file that is of no kind.
pub(super) fn error(bytes: &[u8]) -> Error {
    match describe(bytes) {
        Some(what) => Error::model(format!("not a model file: {what}")),
        None => graph_def::complaint(bytes)
            .within("not a model file that is understood; read as a GraphDef"),
    }
}

/// What `bytes` seem to be, and the way out.
fn describe(bytes: &[u8]) -> Option<&'static str> {
    if bytes.is_empty() {
        return Some("it is empty");
    }
    if let Some((_, what)) = BEGINNINGS.iter().find(|(b, _)| bytes.starts_with(b)) {
        return Some(what);
    }
    if bytes.ends_with(TABLE_END) {
        return Some("it is a LevelDB table, but not one of a checkpoint");
    }
    if is_text(bytes) {
        return Some("it is a model as text (pbtxt); convert it to binary first");
    }
    if has_replacements(bytes) {
        return Some("a text conversion has damaged it (U+FFFD found); get the original file");
    }
    is_floats(bytes).then_some(
        "it looks like bare numbers, as in a checkpoint's data shard; give the checkpoint's .index \
         file",
    )
}

/// Whether it starts as the text form of a model does.
fn is_text(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    TEXT_FIELDS.iter().any(|field| {
        start
            .strip_prefix(field.as_bytes())
            .and_then(|rest| rest.trim_ascii_start().first())
            .is_some_and(|byte| matches!(byte, b'{' | b':'))
    })
}

/// Whether bytes near the beginning were replaced as not being UTF-8.
fn has_replacements(bytes: &[u8]) -> bool {
    let near = bytes.get(..4096).unwrap_or(bytes);
    near.windows(3).any(|w| w == "\u{fffd}".as_bytes())
}

/// Whether it starts with 32-bit floats as weights are: nearly all zero, or of a size that is
/// nothing out of the common.
fn is_floats(bytes: &[u8]) -> bool {
    let near = bytes.get(..4096).unwrap_or(bytes);
    let floats = || {
        let (words, _) = near.as_chunks();
        words.iter().map(|&word| f32::from_le_bytes(word).abs())
    };
    let (n, n_zeros) = (floats().count(), floats().filter(|&x| x == 0.0).count());
    let n_weights = floats().filter(|x| (1e-9..1e4).contains(x)).count();
    let n_others = n.saturating_sub(n_weights).saturating_sub(n_zeros);
    n >= 16 && n_weights > 0 && n_others < n / 16
}

#[cfg(test)]
mod tests {
    use super::super::wire::build;
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn each_kind_is_told_by_its_content() {
        let table = [&[0; 100], TABLE_END].concat();
        let mut shard = vec![0; 400];
        for weight in [0.5f32, -1.25, 3e-8] {
            shard.extend(weight.to_le_bytes());
        }
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"\x89TFZ\r\n\x1a\n\0", ".tfz"),
            (b"\x89HDF\r\n\x1a\n\0", "HDF5"),
            (b"PK\x03\x04\0", "zip"),
            (b"\x1f\x8b\x08", "gzip"),
            (
                b"model_checkpoint_path: \"model.ckpt\"\n",
                "names a checkpoint",
            ),
            (&table, "LevelDB"),
            (b"\n node  {\n  name: \"x\"\n}", "text"),
            (b"versions {", "text"),
            (b"saved_model_schema_version: 1", "text"),
            (b"\x0a\xef\xbf\xbd\x09", "text conversion"),
            (&shard, "data shard"),
        ] {
            let e = error(bytes);
            assert_eq!(e.kind(), ErrorKind::Model);
            let text = e.to_string();
            assert!(text.starts_with("not a model file: "), "{text}");
            assert!(text.contains(word), "{bytes:?}: {text}");
        }
    }

    #[test]
    fn what_is_not_known_is_read_as_a_graph() {
        let node = build::bytes(1, [&build::bytes(1, [b"x"])]);
        let random: Vec<u8> = (0..999u32).map(|i| (i * i / 7).to_le_bytes()[0]).collect();
        for bytes in [
            &b"nodes of a graph"[..],
            b"TFL3",
            b"P",
            &[0; 400],
            &b"The quick brown fox jumps over the lazy dog. ".repeat(9),
            &random,
            &node,
            &build::bytes(2, [&node]),
            &build::varint(1, 1),
        ] {
            assert_eq!(describe(bytes), None, "{bytes:?}");
        }
        assert_eq!(
            error(&build::varint(3, 21)).to_string(),
            "not a model file that is understood; read as a GraphDef: offset 2: expected a node, \
             found the end of the file"
        );
    }
}

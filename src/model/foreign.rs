//! What else a file may be: a word for those who bring the wrong one.

use super::wire::{Field, Message, Value};

/// Files that are known by their first bytes.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (
        b"\x89TFZ\r\n\x1a\n",
        "it is a .tfz already; tfzip-unpack restores its model",
    ),
    (
        b"\x89HDF\r\n\x1a\n",
        "it is an HDF5 file, perhaps of Keras; freeze the model first",
    ),
    (
        b"PK\x03\x04",
        "it is a zip archive, perhaps of Keras; freeze the model first",
    ),
    (
        b"\x1f\x8b",
        "it is compressed with gzip; decompress it first",
    ),
];

/// Where a flatbuffer has its file identifier.
const TFLITE: (usize, &[u8]) = (4, b"TFL3");

/// How a LevelDB table ends.
const TABLE_END: &[u8] = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb";

/// What `bytes`, which are no GraphDef, seem to be, and the way out.
pub(super) fn describe(bytes: &[u8]) -> Option<&'static str> {
    if bytes.is_empty() {
        return Some("it is empty");
    }
    if let Some((_, what)) = BEGINNINGS.iter().find(|(b, _)| bytes.starts_with(b)) {
        return Some(what);
    }
    let (at, identifier) = TFLITE;
    if bytes.get(at..).is_some_and(|b| b.starts_with(identifier)) {
        return Some("it is a TFLite model; pack the frozen graph that it was made from");
    }
    if bytes.ends_with(TABLE_END) {
        return Some("it is a checkpoint or its index; freeze the graph with it first");
    }
    if is_text_graph(bytes) {
        return Some("it is a GraphDef as text (pbtxt); convert it to binary first");
    }
    if is_saved_model(bytes) {
        return Some("it is a SavedModel; freeze it first");
    }
    if is_meta_graph(bytes) {
        return Some("it is a MetaGraphDef (.meta); freeze its graph first");
    }
    has_replacements(bytes)
        .then_some("a text conversion has damaged it (U+FFFD found); get the original file")
}

/// Whether it starts as the text form of a GraphDef does.
fn is_text_graph(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    [&b"node"[..], b"library", b"versions"].iter().any(|field| {
        start
            .strip_prefix(*field)
            .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"{"))
    })
}

/// Whether it starts with a schema version and a MetaGraphDef.
fn is_saved_model(bytes: &[u8]) -> bool {
    let mut fields = Message::root(bytes).fields().map_while(Result::ok);
    matches!(
        (fields.next(), fields.next()),
        (
            Some(Field {
                number: 1,
                value: Value::Varint(_),
                ..
            }),
            Some(Field {
                number: 2,
                value: Value::Bytes(_),
                ..
            }),
        )
    )
}

/// Whether its field 2 starts as a GraphDef does: with a node that has a name and an op.
fn is_meta_graph(bytes: &[u8]) -> bool {
    let node = first(Message::root(bytes), 2)
        .and_then(|graph| first(graph.message().ok()?, 1))
        .and_then(|node| node.message().ok());
    let named = |node, number| {
        first(node, number).is_some_and(|f| f.name().is_ok_and(|name| !name.is_empty()))
    };
    node.is_some_and(|node| named(node, 1) && named(node, 2))
}

/// The first field `number` of a message.
fn first(message: Message<'_>, number: u32) -> Option<Field<'_>> {
    message
        .fields()
        .map_while(Result::ok)
        .find(|field| field.number == number)
}

/// Whether bytes near the beginning were replaced as not being UTF-8.
fn has_replacements(bytes: &[u8]) -> bool {
    let near = bytes.get(..4096).unwrap_or(bytes);
    near.windows(3).any(|w| w == "\u{fffd}".as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::wire::build;
    use super::*;

    #[test]
    fn each_kind_is_told_by_its_content() {
        let node = build::bytes(1, [&build::bytes(1, [b"x"]), &build::bytes(2, [b"NoOp"])]);
        let meta = [build::bytes(1, [b""]), build::bytes(2, [&node])].concat();
        let saved = [build::varint(1, 1), build::bytes(2, [&meta])].concat();
        let table = [&[0; 100], TABLE_END].concat();
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"\x89TFZ\r\n\x1a\n\0", ".tfz"),
            (b"\x89HDF\r\n\x1a\n\0", "HDF5"),
            (b"PK\x03\x04\0", "zip"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"\x1c\0\0\0TFL3\0", "TFLite"),
            (&table, "checkpoint"),
            (b"\n node  {\n  name: \"x\"\n}", "text"),
            (b"versions {", "text"),
            (&saved, "SavedModel"),
            (&meta, "MetaGraphDef"),
            (b"\x0a\xef\xbf\xbd\x09", "text conversion"),
        ] {
            let what = describe(bytes).unwrap();
            assert!(what.contains(word), "{bytes:?}: {what}");
        }
    }

    #[test]
    fn what_is_not_known_gets_no_word() {
        let node = build::bytes(1, [&build::bytes(1, [b"x"])]);
        for bytes in [
            &b"nodes of a graph"[..],
            b"TFL3",
            b"PK",
            &node,
            &build::bytes(2, [&node]),
            &build::varint(1, 1),
        ] {
            assert_eq!(describe(bytes), None, "{bytes:?}");
        }
    }
}

//! `tensorflow.MetaGraphDef`: a graph and what a session needs to run it, the `.meta` file beside a
//! TensorFlow 1 checkpoint.
//!
//! Its tensors are those of its graph, with the same names, and:
//!
//! | name | a tensor in |
//! |---|---|
//! | `OP:ATTR`, … | a default or allowed value of an attribute in the list of the graph's ops |
//! | `SIGNATURE:INPUT` | the default of a signature's input |
//!
//! What functions take when they are called from Python (in the object graph) is not looked into: a
//! tensor there is a default argument, and stays in the skeleton.

use super::graph_def::{Walk, last_name};
use super::wire::Message;
use super::{Found, InputFile, Kind, ModelKind, nothing_to_repair, numbered};
use crate::error::{Result, Within};

pub(super) const KIND: Kind = Kind {
    kind: ModelKind::MetaGraphDef,
    read,
    repair: nothing_to_repair,
};

fn read(files: &[InputFile<'_>], file: usize) -> Result<Option<Found>> {
    let bytes = numbered(files, file).bytes;
    if !is_meta_graph(bytes) {
        return Ok(None);
    }
    let mut walk = Walk::new(files, file);
    meta_graph(&mut walk, Message::root(bytes)).within(|| KIND.kind.to_string())?;
    Ok(Some(walk.found()))
}

/// Whether `bytes` start as a MetaGraphDef: with a graph whose first node has a name and an op.
///
/// No GraphDef does. Its field 2 is a library, whose field 1 is a function, whose field 1 is a
/// message: that is no name, since it starts with a control character.
pub(super) fn is_meta_graph(bytes: &[u8]) -> bool {
    let node = content(bytes, 2).and_then(|graph| content(graph, 1));
    node.is_some_and(|node| is_name(content(node, 1)) && is_name(content(node, 2)))
}

fn is_name(bytes: Option<&[u8]>) -> bool {
    bytes
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .is_some_and(|name| !name.is_empty() && !name.contains(char::is_control))
}

/// The content of the first field `number` of a message, as far as there is one: a file that was
/// cut off is still of its kind.
pub(super) fn content(message: &[u8], number: u64) -> Option<&[u8]> {
    let mut rest = message;
    loop {
        let (tag, value) = varint(rest)?;
        let (len, value) = match tag & 7 {
            0 => (0, varint(value)?.1),
            1 => (8, value),
            2 => varint(value)?,
            5 => (4, value),
            _ => return None,
        };
        let field = usize::try_from(len).ok().and_then(|len| value.get(..len));
        if tag >> 3 == number {
            return (tag & 7 == 2).then(|| field.unwrap_or(value));
        }
        rest = value.get(field?.len()..)?;
    }
}

/// A varint and what is behind it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let last = bytes.iter().take(10).position(|&byte| byte < 0x80)?;
    let (before, rest) = bytes.split_at_checked(last)?;
    let (last, rest) = rest.split_first()?;
    let value = before
        .iter()
        .chain([last])
        .rev()
        .fold(0, |value, &byte| value << 7 | u64::from(byte & 0x7f));
    Some((value, rest))
}

/// The GraphDefs of a MetaGraphDef: one, or parts that protobuf would join.
pub(super) fn graphs(meta_graph: Message<'_>) -> impl Iterator<Item = Result<Message<'_>>> {
    meta_graph.messages(2)
}

/// The SavedObjectGraph of a MetaGraphDef, which TensorFlow 2 writes. If there are several, the last.
pub(super) fn object_graph(meta_graph: Message<'_>) -> Result<Option<Message<'_>>> {
    meta_graph.messages(7).last().transpose()
}

/// MetaGraphDef.
pub(super) fn meta_graph(walk: &mut Walk, meta_graph: Message<'_>) -> Result<()> {
    for field in meta_graph.fields() {
        let field = field?;
        match field.number {
            1 => info(walk, field.message()?)?,
            2 => walk.graph(field.message()?)?,
            5 => signature(walk, field.message()?)?,
            3 | 4 | 6 | 7 => drop(field.bytes()?),
            _ => {}
        }
    }
    Ok(())
}

/// MetaInfoDef: its list of ops.
fn info(walk: &mut Walk, info: Message<'_>) -> Result<()> {
    for field in info.fields() {
        let field = field?;
        if field.number == 2 {
            ops(walk, field.message()?)?;
        }
    }
    Ok(())
}

/// OpList.
fn ops(walk: &mut Walk, ops: Message<'_>) -> Result<()> {
    for field in ops.fields() {
        let field = field?;
        if field.number == 1 {
            let op = field.message()?;
            walk.at(&[last_name(op, 1)?], |walk| walk.op_attrs(op))?;
        }
    }
    Ok(())
}

/// An entry of the map from names to SignatureDefs.
fn signature(walk: &mut Walk, entry: Message<'_>) -> Result<()> {
    let merged = entry.count(2)? > 1;
    let name = last_name(entry, 1)?;
    walk.at(&[name, ":"], |walk| {
        for field in entry.fields() {
            let field = field?;
            if field.number == 2 {
                defaults(walk, field.message()?, merged)?;
            }
        }
        Ok(())
    })
}

/// SignatureDef: its map from the names of inputs to their defaults.
fn defaults(walk: &mut Walk, signature: Message<'_>, merged: bool) -> Result<()> {
    for field in signature.fields() {
        let field = field?;
        if field.number == 4 {
            let entry = field.message()?;
            let merged = merged || entry.count(2)? > 1;
            walk.at(&[last_name(entry, 1)?], |walk| default(walk, entry, merged))?;
        }
    }
    Ok(())
}

/// An entry of that map.
fn default(walk: &mut Walk, entry: Message<'_>, merged: bool) -> Result<()> {
    for field in entry.fields() {
        let field = field?;
        if field.number == 2 {
            walk.tensor_here(field.message()?, merged)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::TensorData;
    use super::super::graph_def;
    use super::super::wire::build::{bytes, varint};
    use super::*;
    use crate::error::{Error, ErrorKind};
    use proptest::prelude::*;

    /// A float32 TensorProto of shape [2].
    fn tensor() -> Vec<u8> {
        let shape = bytes(2, [&bytes(2, [&varint(1, 2)])]);
        [varint(1, 1), shape, bytes(4, [b"12345678"])].concat()
    }

    /// A map's entry in field `number`.
    fn entry(number: u64, key: &str, values: &[&[u8]]) -> Vec<u8> {
        let values: Vec<u8> = values.iter().flat_map(|v| bytes(2, [v])).collect();
        bytes(number, [&bytes(1, [key.as_bytes()]), &values])
    }

    /// A MetaGraphDef with a tensor in every place, in this signature.
    fn sample(signature: &[u8]) -> Vec<u8> {
        let value = bytes(8, [&tensor()]);
        let attr = bytes(4, [&bytes(1, [b"A"]), &bytes(3, [&value])]);
        let ops = bytes(2, [&bytes(1, [&bytes(1, [b"Op"]), &attr])]);
        let node = [
            &bytes(1, [b"node"])[..],
            &bytes(2, [b"Const"]),
            &entry(5, "value", &[&value]),
        ]
        .concat();
        [
            &bytes(1, [&bytes(1, [b"v"]), &ops, &bytes(4, [b"serve"])])[..],
            &bytes(2, [&bytes(1, [&node]), &bytes(4, [b""])]),
            &bytes(3, [b"?"]),
            &bytes(4, [b"?"]),
            &entry(5, "sig", &[signature]),
            &bytes(6, [b"?"]),
            &bytes(7, [b"?"]),
            &varint(99, 1),
        ]
        .concat()
    }

    fn signature() -> Vec<u8> {
        [
            bytes(3, [b"tensorflow/serving/predict"]),
            entry(4, "x", &[&tensor()]),
        ]
        .concat()
    }

    fn find(bytes: &[u8]) -> Result<Option<Found>> {
        read(&[InputFile { name: "", bytes }], 0)
    }

    /// Names of tensors, and whether they are raw.
    fn names(bytes: &[u8]) -> Vec<(String, bool)> {
        let found = find(bytes).unwrap().unwrap();
        assert_eq!(found.files, [0]);
        let named = found.tensors.into_iter().map(|tensor| {
            if let TensorData::Raw { range, repeats } = &tensor.data {
                assert_eq!((&bytes[range.clone()], *repeats), (&b"12345678"[..], 0));
            }
            let is_raw = tensor.data != TensorData::Opaque;
            (tensor.name, is_raw)
        });
        named.collect()
    }

    fn complaint(bytes: &[u8]) -> String {
        let error = |e: Error| {
            assert_eq!(e.kind(), ErrorKind::Model);
            e.to_string()
        };
        find(bytes).map(|_| ()).map_err(error).unwrap_err()
    }

    #[test]
    fn tensors_are_found_everywhere() {
        let raw = |name: &str| (name.to_owned(), true);
        assert_eq!(
            names(&sample(&signature())),
            [raw("Op:A"), raw("node"), raw("sig:x")]
        );
    }

    #[test]
    fn what_protobuf_would_merge_is_opaque() {
        let twice = entry(4, "x", &[&tensor(), &tensor()]);
        let opaque = ("sig:x".to_owned(), false);
        assert_eq!(
            names(&sample(&twice))[2..],
            [opaque.clone(), opaque.clone()]
        );

        let file = [
            sample(b""),
            entry(5, "sig", &[&signature(), b""]),
            entry(5, "new", &[&signature()]),
        ]
        .concat();
        assert_eq!(names(&file)[2..], [opaque, ("new:x".to_owned(), true)]);
    }

    #[test]
    fn graphs_and_meta_graphs_are_told_apart() {
        let file = sample(&signature());
        assert!(is_meta_graph(&file));
        let files = [InputFile {
            name: "",
            bytes: &file,
        }];
        assert!((graph_def::KIND.read)(&files, 0).unwrap().is_none());

        let node = bytes(1, [&bytes(1, [b"n"]), &bytes(2, [b"NoOp"])]);
        let function = bytes(1, [&bytes(1, [&bytes(1, [b"f"])]), &bytes(3, [b""])]);
        let graph = [node.clone(), bytes(2, [&function])].concat();
        for bytes in [
            &b""[..],
            b"some text",
            &graph,
            &node,
            &bytes(2, [&bytes(1, [&bytes(1, [b"n"])])]),
            &bytes(2, [&bytes(1, [&bytes(1, [b"n"]), &bytes(2, [b"\n"])])]),
            &bytes(2, [&varint(1, 1)]),
            &[varint(2, 1), bytes(2, [&node])].concat(),
        ] {
            assert!(find(bytes).unwrap().is_none(), "{bytes:?}");
        }
        assert_eq!(names(&bytes(2, [&node])), []);
    }

    #[test]
    fn damage_behind_the_first_node_is_an_error() {
        let file = sample(&signature());
        let mut n_errors = 0;
        for len in 0..file.len() {
            match find(&file[..len]) {
                Ok(None) => assert_eq!(n_errors, 0, "{len}"),
                Ok(Some(_)) => {}
                Err(e) => {
                    assert!(e.to_string().starts_with("MetaGraphDef: offset "), "{e}");
                    n_errors += 1;
                }
            }
        }
        assert!(n_errors > 50);
        for number in 1..8 {
            let file = [&file[..], &varint(number, 1)].concat();
            assert!(complaint(&file).contains(&format!("in field {number}, found a varint")));
        }
    }

    #[test]
    fn content_is_found_in_any_message() {
        let fields = [
            &varint(1, 300)[..],
            b"\x11abcdefgh",
            &bytes(3, [b"three"]),
            b"\x25abcd",
            &bytes(5, [b"five"]),
        ]
        .concat();
        assert_eq!(content(&fields, 3), Some(&b"three"[..]));
        assert_eq!(content(&fields, 5), Some(&b"five"[..]));
        for number in [1, 2, 4, 6] {
            assert_eq!(content(&fields, number), None);
        }
        let n = fields.len();
        assert_eq!(content(&fields[..n - 2], 5), Some(&b"fi"[..]));
        assert_eq!(content(&fields[..n - 2], 6), None);
        assert_eq!(content(b"\x0b\x0c", 2), None);
        assert_eq!(content(&[0xff; 12], 2), None);
        assert_eq!(
            content(b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a", 2),
            Some(&b"a"[..])
        );
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let _ = (find(&bytes), content(&bytes, 2));
        }

        #[test]
        fn damaged_meta_graphs_never_panic(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut file = sample(&signature());
            for (at, byte) in damage {
                let at = at.index(file.len());
                file[at] = byte;
            }
            for tensor in find(&file).ok().flatten().into_iter().flat_map(|f| f.tensors) {
                if let TensorData::Raw { range, .. } = tensor.data {
                    prop_assert!(file.get(range).is_some());
                }
            }
        }
    }
}

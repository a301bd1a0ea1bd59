//! Writers for tests: HDF5 files, legal or not.

use super::UNDEFINED;
use super::object::{ATTRIBUTE, DATASPACE, DATATYPE, LAYOUT, LINK, SYMBOL_TABLE};

/// Where a file of version 0 has its end and its root group, and one of version 2 or 3.
const END_AT: usize = 40;
const ROOT_AT: usize = 64;
const END_2_AT: usize = 28;
const ROOT_2_AT: usize = 36;

/// Datatypes.
pub(in crate::model) const F16: &[u8] =
    b"\x11\x20\x0f\0\x02\0\0\0\0\0\x10\0\x0a\x05\0\x0a\x0f\0\0\0";
pub(in crate::model) const F32: &[u8] =
    b"\x11\x20\x1f\0\x04\0\0\0\0\0\x20\0\x17\x08\0\x17\x7f\0\0\0";
pub(in crate::model) const F64: &[u8] =
    b"\x11\x20\x3f\0\x08\0\0\0\0\0\x40\0\x34\x0b\0\x34\xff\x03\0\0";
pub(in crate::model) const TWO_BYTES: &[u8] = b"\x15\0\0\0\x02\0\0\0";
pub(in crate::model) const VARIABLE_STRING: &[u8] =
    b"\x19\x11\0\0\x10\0\0\0\x10\0\0\0\x01\0\0\0\0\0\x08\0\0\0\0\0";

/// A message of an object header: its type, its flags, its body.
pub(in crate::model) type Message = (u16, u8, Vec<u8>);

/// An HDF5 file that grows at its end.
pub(in crate::model) struct File {
    pub(in crate::model) bytes: Vec<u8>,
    version: u8,
}

impl File {
    /// A file with a superblock of version 0, 1, 2 or 3.
    pub(in crate::model) fn new(version: u8) -> Self {
        let mut bytes = [super::SIGNATURE, &[version]].concat();
        if version < 2 {
            bytes.extend([0, 0, 0, 0, 8, 8, 0]);
            bytes.extend([4, 0, 16, 0, 0, 0, 0, 0]);
            bytes.extend([0; 4].iter().take(4 * usize::from(version)));
            bytes.extend(numbers(&[0, UNDEFINED, 0, UNDEFINED, 0, 0]));
            bytes.extend([0; 24]);
        } else {
            bytes.extend([8, 8, 0]);
            bytes.extend(numbers(&[0, UNDEFINED, 0, 0]));
            bytes.extend([0; 4]);
        }
        Self { bytes, version }
    }

    /// Where the next part will start.
    pub(in crate::model) fn next(&self) -> u64 {
        u64::try_from(self.bytes.len().next_multiple_of(8)).unwrap()
    }

    pub(in crate::model) fn add(&mut self, part: &[u8]) -> u64 {
        let at = self.next();
        self.bytes.resize(usize::try_from(at).unwrap(), 0);
        self.bytes.extend(part);
        at
    }

    /// The file with this root group.
    pub(in crate::model) fn finish(mut self, root: u64) -> Vec<u8> {
        let (end_at, root_at) = match self.version {
            0 => (END_AT, ROOT_AT),
            1 => (END_AT + 4, ROOT_AT + 4),
            _ => (END_2_AT, ROOT_2_AT),
        };
        let end = u64::try_from(self.bytes.len()).unwrap();
        self.put(end_at, end);
        self.put(root_at, root);
        self.bytes
    }

    pub(in crate::model) fn put(&mut self, at: usize, number: u64) {
        self.bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }

    /// An object, with a header of the version that goes with that of the superblock.
    pub(in crate::model) fn object(&mut self, messages: &[Message]) -> u64 {
        let (framed, len) = self.framed(messages);
        if self.version < 2 {
            let count = u16::try_from(messages.len()).unwrap().to_le_bytes();
            self.add(&[&[1, 0], &count[..], &[1, 0, 0, 0], &len, &[0; 4], &framed].concat())
        } else {
            // With times, and four bytes that say how long the messages are.
            let checksum = [0; 4];
            self.add(&[b"OHDR\x02\x22", &[0; 16][..], &len, &framed, &checksum].concat())
        }
    }

    /// A message that says where more messages are.
    pub(in crate::model) fn continuation(&mut self, messages: &[Message]) -> Message {
        let (mut chunk, _) = self.framed(messages);
        if self.version >= 2 {
            chunk = [b"OCHK", &chunk[..], b"gap", &[0; 4]].concat();
        }
        let at = self.add(&chunk);
        (0x10, 0, numbers(&[at, u64::try_from(chunk.len()).unwrap()]))
    }

    fn framed(&self, messages: &[Message]) -> (Vec<u8>, [u8; 4]) {
        let mut framed = Vec::new();
        for (kind, flags, body) in messages {
            let mut body = body.clone();
            if self.version < 2 {
                body.resize(body.len().next_multiple_of(8), 0);
            }
            let len = u16::try_from(body.len()).unwrap().to_le_bytes();
            let [kind, kind_high] = kind.to_le_bytes();
            if self.version < 2 {
                framed.extend([kind, kind_high, len[0], len[1], *flags, 0, 0, 0]);
            } else {
                framed.extend([kind, len[0], len[1], *flags]);
            }
            framed.extend(body);
        }
        let len = u32::try_from(framed.len()).unwrap().to_le_bytes();
        (framed, len)
    }

    /// A group of hard links.
    pub(in crate::model) fn group(&mut self, links: &[(&str, u64)]) -> u64 {
        if self.version >= 2 {
            let links: Vec<Message> = links.iter().map(|(name, to)| link(name, *to)).collect();
            return self.object(&links);
        }
        let entries: Vec<_> = links.iter().map(|&(name, to)| (name, to, 0)).collect();
        let (names, node) = self.symbol_node(&entries);
        let tree = self.tree_node(0, &[node]);
        self.old_group(tree, names)
    }

    /// A group of a B-tree and a heap.
    pub(in crate::model) fn old_group(&mut self, tree: u64, names: u64) -> u64 {
        self.object(&[(SYMBOL_TABLE, 0, numbers(&[tree, names]))])
    }

    /// A heap and a symbol table node, whose entries have names, addresses and what is cached.
    pub(in crate::model) fn symbol_node(&mut self, entries: &[(&str, u64, u32)]) -> (u64, u64) {
        let mut heap = vec![0; 8];
        let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
        let mut node = [b"SNOD\x01\0", &count[..]].concat();
        for &(name, to, cached) in entries {
            node.extend(numbers(&[u64::try_from(heap.len()).unwrap(), to]));
            node.extend(cached.to_le_bytes());
            node.extend([0; 20]);
            heap.extend(name.as_bytes());
            heap.push(0);
        }
        (self.heap(&heap), self.add(&node))
    }

    pub(in crate::model) fn heap(&mut self, names: &[u8]) -> u64 {
        let data = self.add(names);
        let len = u64::try_from(names.len()).unwrap();
        self.add(&[b"HEAP\0\0\0\0", &numbers(&[len, UNDEFINED, data])[..]].concat())
    }

    pub(in crate::model) fn tree_node(&mut self, level: u8, children: &[u64]) -> u64 {
        let count = u16::try_from(children.len()).unwrap().to_le_bytes();
        let mut node = [b"TREE\0", &[level][..], &count].concat();
        node.extend(numbers(&[UNDEFINED, UNDEFINED]));
        for &child in children {
            node.extend(numbers(&[0, child]));
        }
        node.extend(numbers(&[0]));
        self.add(&node)
    }

    /// A contiguous dataset; its address and that of its elements.
    pub(in crate::model) fn dataset(
        &mut self,
        datatype: &[u8],
        dims: &[u64],
        elements: &[u8],
    ) -> (u64, u64) {
        let data = self.add(elements);
        let len = u64::try_from(elements.len()).unwrap();
        let messages = dataset(datatype, dims, contiguous(data, len));
        (self.object(&messages), data)
    }
}

/// The messages of a dataset.
pub(in crate::model) fn dataset(datatype: &[u8], dims: &[u64], layout: Vec<u8>) -> Vec<Message> {
    vec![
        (DATASPACE, 0, dataspace(dims)),
        (DATATYPE, 0, datatype.to_vec()),
        (LAYOUT, 0, layout),
    ]
}

pub(in crate::model) fn dataspace(dims: &[u64]) -> Vec<u8> {
    let rank = u8::try_from(dims.len()).unwrap();
    [&[1, rank, 0, 0, 0, 0, 0, 0], &numbers(dims)[..]].concat()
}

pub(in crate::model) fn contiguous(address: u64, len: u64) -> Vec<u8> {
    [&[3, 1], &numbers(&[address, len])[..]].concat()
}

pub(in crate::model) fn link(name: &str, to: u64) -> Message {
    let len = u8::try_from(name.len()).unwrap();
    let body = [&[1, 0, len], name.as_bytes(), &to.to_le_bytes()].concat();
    (LINK, 0, body)
}

/// The attribute `name` in a message of any version, with a scalar value.
pub(in crate::model) fn attribute(
    version: u8,
    name: &str,
    datatype: &[u8],
    value: &[u8],
) -> Message {
    let parts = [
        [name.as_bytes(), b"\0"].concat(),
        datatype.to_vec(),
        dataspace(&[]),
    ];
    let mut body = vec![version, 0];
    for part in &parts {
        body.extend(u16::try_from(part.len()).unwrap().to_le_bytes());
    }
    body.extend([1].iter().take(usize::from(version == 3)));
    for mut part in parts {
        if version == 1 {
            part.resize(part.len().next_multiple_of(8), 0);
        }
        body.extend(part);
    }
    body.extend(value);
    (ATTRIBUTE, 0, body)
}

pub(in crate::model) fn numbers(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

/// A file as Keras writes it, with one kernel and one bias.
pub(in crate::model) fn keras(version: u8) -> Vec<u8> {
    let mut file = File::new(version);
    let kernel: Vec<u8> = (1..=24).collect();
    let (kernel, _) = file.dataset(F32, &[2, 3], &kernel);
    let (bias, _) = file.dataset(F16, &[3], &[9; 6]);
    let vars = file.group(&[("0", kernel), ("1", bias)]);
    let dense = file.group(&[("vars", vars)]);
    let layers = file.group(&[("dense", dense)]);
    let root = file.group(&[("layers", layers)]);
    file.finish(root)
}

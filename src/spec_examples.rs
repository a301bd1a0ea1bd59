//! The worked examples of the spec (§14), so that its prose can't rot.

use crate::archive::Archive;
use crate::cursor::{Cursor, put_crc};
use crate::kernels::{Isa, Store};
use crate::payload::{PayloadMeta, Record};
use crate::sparse::{self, Rows};
use crate::word::with_word;
use std::collections::HashMap;

const SPEC: &str = include_str!("../spec/FORMAT.md");

/// A fenced block of the spec: its parameters and what stands in it, without comments.
struct Fence {
    parameters: HashMap<String, String>,
    text: String,
}

impl Fence {
    fn all(info: &str) -> Vec<Self> {
        SPEC.split("\n```")
            .filter_map(|part| part.strip_prefix(info)?.split_once('\n'))
            .map(|(parameters, text)| Self {
                parameters: parameters
                    .split_whitespace()
                    .filter_map(|word| word.split_once('='))
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .collect(),
                text: text
                    .lines()
                    .flat_map(|line| line.split(';').next())
                    .collect::<Vec<_>>()
                    .join(" "),
            })
            .collect()
    }

    fn name(&self) -> &str {
        &self.parameters["name"]
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.parameters.get(key).map(|value| value.parse().unwrap())
    }

    fn hex(&self) -> Vec<u8> {
        let digits: String = self.text.split_whitespace().collect();
        (0..digits.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
            .collect()
    }
}

fn positions(example: &Fence) -> Vec<u32> {
    let n = example.number("n").unwrap();
    let columns = example.number("columns").unwrap_or(n);
    let rows = Rows {
        columns,
        first_element: example.number("first").unwrap_or(0),
    };
    let bytes = example.hex();
    let mut cursor = Cursor::new(&bytes);
    let set = sparse::read_entries(&mut cursor, Isa::active(), n as u32, rows, None).unwrap();
    cursor.finish().unwrap();
    set.positions.ascending(n as u32).unwrap().positions
}

fn payload(example: &Fence, bytes: &[u8], table_bytes: u64) -> Vec<u8> {
    let elements = example.number("elements").unwrap();
    let meta = PayloadMeta {
        width: example.number("width").unwrap() as usize,
        elements,
        columns: example.number("columns").unwrap_or(elements),
        stored_bytes: bytes.len() as u64,
        table_bytes,
        blocks: example.number("blocks").unwrap_or(1),
    };
    let record = Record::new(bytes, meta).unwrap();
    let mut out = vec![0; meta.decoded_bytes() as usize];
    with_word!(meta.width, W => {
        let tables = record.tables::<W>().unwrap();
        for block in 0..record.n_blocks() {
            let range = record.elements(block);
            let range = range.start as usize * meta.width..range.end as usize * meta.width;
            let decoded = record.decode::<W>(block, &tables).unwrap();
            decoded.fill(&mut out[range], Store::Cached).unwrap();
        }
    });
    out
}

/// A block alone is a payload of one block; what it needs of the tables is put before it.
fn block(example: &Fence) -> Vec<u8> {
    let hex = |key: &str| {
        let text = example.parameters.get(key)?.clone();
        Some(
            Fence {
                parameters: HashMap::new(),
                text,
            }
            .hex(),
        )
    };
    let width = example.number("width").unwrap() as usize;
    let (background, codebook) = (hex("background"), hex("codebook"));
    let mut bytes = Vec::new();
    if background.is_some() || codebook.is_some() {
        bytes.push(u8::from(background.is_some()) | u8::from(codebook.is_some()) << 1);
        bytes.extend(background.unwrap_or_default());
        if let Some(codebook) = codebook {
            bytes.push((codebook.len() / width - 1) as u8);
            bytes.extend(codebook);
        }
        put_crc(&mut bytes, 0);
    }
    let table_bytes = bytes.len() as u64;
    bytes.extend(example.hex());
    payload(example, &bytes, table_bytes)
}

#[test]
fn every_example_decodes_to_what_it_says() {
    let examples = Fence::all("tfz-example ");
    let expected = Fence::all("tfz-expect ");
    assert!(examples.len() >= 11);
    for example in &examples {
        let name = example.name();
        let expected = expected.iter().find(|e| e.name() == name).unwrap();
        let bytes = example.hex();
        match example.parameters["kind"].as_str() {
            "position-set" => {
                let members: Vec<u32> = expected
                    .text
                    .split_whitespace()
                    .map(|n| n.parse().unwrap())
                    .collect();
                assert_eq!(positions(example), members, "{name}");
            }
            "block" => assert_eq!(block(example), expected.hex(), "{name}"),
            "payload" => {
                let table_bytes = example.number("table_bytes").unwrap_or(0);
                assert_eq!(
                    payload(example, &bytes, table_bytes),
                    expected.hex(),
                    "{name}"
                );
            }
            "file" => {
                let archive = Archive::new(&bytes).unwrap();
                archive.verify().unwrap();
                let mut restored = Vec::new();
                archive.restore(0, &mut restored).unwrap();
                assert_eq!(restored, expected.hex(), "{name}");
            }
            other => panic!("{name}: kind {other}"),
        }
    }
}

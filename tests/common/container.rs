//! The container of the spec (§3 to §5), taken apart and put together without asking the library:
//! archives that say what no writer would.

use super::naive;
use prost::Message;
use std::ops::Range;
use tfzip::{Archive, PartKind};

pub(crate) const HEADER_BYTES: usize = 24;
pub(crate) const FOOTER_BYTES: usize = 32;

/// The manifest with columns of whatever number a varint holds.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Manifest {
    #[prost(string, repeated, tag = "1")]
    pub(crate) file_name: Vec<String>,
    #[prost(uint64, repeated, tag = "2")]
    pub(crate) file_bytes: Vec<u64>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) file_sha256: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) file_source_sha256: Vec<u8>,
    #[prost(uint64, repeated, tag = "5")]
    pub(crate) file_holes: Vec<u64>,
    #[prost(uint64, repeated, tag = "6")]
    pub(crate) hole_gap: Vec<u64>,
    #[prost(uint64, repeated, tag = "7")]
    pub(crate) hole_payload: Vec<u64>,
    #[prost(uint64, repeated, tag = "8")]
    pub(crate) section_kind: Vec<u64>,
    #[prost(uint64, repeated, tag = "9")]
    pub(crate) section_bytes: Vec<u64>,
    #[prost(uint64, repeated, tag = "10")]
    pub(crate) section_align: Vec<u64>,
    #[prost(uint64, repeated, tag = "11")]
    pub(crate) section_payloads: Vec<u64>,
    #[prost(uint64, repeated, tag = "12")]
    pub(crate) payload_width: Vec<u64>,
    #[prost(uint64, repeated, tag = "13")]
    pub(crate) payload_elements: Vec<u64>,
    #[prost(uint64, repeated, tag = "14")]
    pub(crate) payload_columns: Vec<u64>,
    #[prost(uint64, repeated, tag = "15")]
    pub(crate) payload_stored_bytes: Vec<u64>,
    #[prost(uint64, repeated, tag = "16")]
    pub(crate) payload_table_bytes: Vec<u64>,
    #[prost(uint64, repeated, tag = "17")]
    pub(crate) payload_blocks: Vec<u64>,
    #[prost(string, repeated, tag = "18")]
    pub(crate) tensor_name: Vec<String>,
    #[prost(uint64, repeated, tag = "19")]
    pub(crate) tensor_file: Vec<u64>,
    #[prost(uint64, repeated, tag = "20")]
    pub(crate) tensor_dtype: Vec<u64>,
    #[prost(uint64, repeated, tag = "21")]
    pub(crate) tensor_rank: Vec<u64>,
    #[prost(uint64, repeated, tag = "22")]
    pub(crate) tensor_dim: Vec<u64>,
    #[prost(uint64, repeated, tag = "23")]
    pub(crate) tensor_source: Vec<u64>,
    #[prost(uint64, repeated, tag = "24")]
    pub(crate) tensor_at: Vec<u64>,
    #[prost(uint64, repeated, tag = "25")]
    pub(crate) tensor_repeats: Vec<u64>,
    #[prost(uint64, repeated, tag = "26")]
    pub(crate) tensor_nnz: Vec<u64>,
    #[prost(string, repeated, tag = "27")]
    pub(crate) empty_folder: Vec<String>,
    #[prost(bool, tag = "28")]
    pub(crate) is_folder: bool,
    #[prost(uint32, tag = "29")]
    pub(crate) profile: u32,
}

impl Manifest {
    /// What a good archive says.
    pub(crate) fn of(tfz: &[u8]) -> Self {
        let range = manifest_range(tfz);
        let footer = &tfz[range.end..];
        match u32_at(footer, 20) {
            0 => Self::decode(&tfz[range]).unwrap(),
            _ => Self::decode(&zstd::stream::decode_all(&tfz[range]).unwrap()[..]).unwrap(),
        }
    }

    /// Adds an empty file of this name.
    pub(crate) fn add_file(&mut self, name: &str, content: &[u8]) {
        use sha2::{Digest, Sha256};
        self.file_name.push(name.to_owned());
        self.file_bytes.push(content.len() as u64);
        self.file_holes.push(0);
        self.file_sha256.extend(Sha256::digest(content));
    }

    /// Adds a tensor of bytes without one that is stored: all of them are zeros.
    pub(crate) fn add_zeros(&mut self, name: &str, shape: &[u64]) {
        const UINT8: u64 = 4;
        const SKELETON: u64 = 2;
        self.tensor_name.push(name.to_owned());
        self.tensor_file.push(0);
        self.tensor_dtype.push(UINT8);
        self.tensor_rank.push(shape.len() as u64);
        self.tensor_dim.extend(shape);
        self.tensor_source.push(SKELETON);
        self.tensor_at.push(0);
        self.tensor_repeats.push(shape.iter().product());
        self.tensor_nnz.push(0);
    }

    /// Adds payloads of one zero byte each and a hole for each of them, in one section and in the
    /// last file; returns their records.
    pub(crate) fn add_payloads(&mut self, n: usize) -> Vec<u8> {
        // No entries and no alternates.
        let mut block = vec![0, 0];
        block.extend(crc32fast::hash(&block).to_le_bytes());
        let columns = [
            (&mut self.payload_width, 1),
            (&mut self.payload_elements, 1),
            (&mut self.payload_columns, 1),
            (&mut self.payload_stored_bytes, block.len() as u64),
            (&mut self.payload_table_bytes, 0),
            (&mut self.payload_blocks, 1),
            (&mut self.hole_gap, 0),
        ];
        for (column, value) in columns {
            column.extend(vec![value; n]);
        }
        let first = self.hole_payload.len() as u64;
        self.hole_payload.extend(first..first + n as u64);
        *self.file_holes.last_mut().unwrap() += n as u64;
        let records = block.repeat(n);
        self.section_kind.push(2);
        self.section_bytes.push(records.len() as u64);
        self.section_align.push(0);
        self.section_payloads.push(n as u64);
        records
    }

    /// All columns of numbers, by the names of the spec.
    pub(crate) fn columns(&mut self) -> Vec<(&'static str, &mut Vec<u64>)> {
        vec![
            ("file_bytes", &mut self.file_bytes),
            ("file_holes", &mut self.file_holes),
            ("hole_gap", &mut self.hole_gap),
            ("hole_payload", &mut self.hole_payload),
            ("section_kind", &mut self.section_kind),
            ("section_bytes", &mut self.section_bytes),
            ("section_align", &mut self.section_align),
            ("section_payloads", &mut self.section_payloads),
            ("payload_width", &mut self.payload_width),
            ("payload_elements", &mut self.payload_elements),
            ("payload_columns", &mut self.payload_columns),
            ("payload_stored_bytes", &mut self.payload_stored_bytes),
            ("payload_table_bytes", &mut self.payload_table_bytes),
            ("payload_blocks", &mut self.payload_blocks),
            ("tensor_file", &mut self.tensor_file),
            ("tensor_dtype", &mut self.tensor_dtype),
            ("tensor_rank", &mut self.tensor_rank),
            ("tensor_dim", &mut self.tensor_dim),
            ("tensor_source", &mut self.tensor_source),
            ("tensor_at", &mut self.tensor_at),
            ("tensor_repeats", &mut self.tensor_repeats),
            ("tensor_nnz", &mut self.tensor_nnz),
        ]
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Where the manifest of a good archive is.
pub(crate) fn manifest_range(tfz: &[u8]) -> Range<usize> {
    let end = tfz.len() - FOOTER_BYTES;
    end - u64_at(tfz, end) as usize..end
}

/// `body` (header and sections) with this manifest, not compressed, and a footer that is right.
pub(crate) fn with_manifest(body: &[u8], manifest: &Manifest) -> Vec<u8> {
    let manifest = manifest.encode_to_vec();
    let mut tfz = [body, &manifest].concat();
    let mut footer = [(manifest.len() as u64).to_le_bytes(); 2].concat();
    footer.extend(crc32fast::hash(&manifest).to_le_bytes());
    footer.extend(0u32.to_le_bytes());
    footer.extend(crc32fast::hash(&footer).to_le_bytes());
    footer.extend(b"ZFT\x89");
    tfz.extend(footer);
    tfz
}

/// An archive of these sections.
pub(crate) fn archive(sections: &[u8], manifest: &Manifest) -> Vec<u8> {
    let mut body = b"\x89TFZ\r\n\x1a\n".to_vec();
    body.extend(tfzip::FORMAT_VERSION.to_le_bytes());
    body.extend([0; 10]);
    body.extend(crc32fast::hash(&body).to_le_bytes());
    body.extend(sections);
    with_manifest(&body, manifest)
}

/// Makes the last four bytes of the range the checksum of those before it.
pub(crate) fn repair(tfz: &mut [u8], range: &Range<usize>) {
    let end = range.end - 4;
    let crc = crc32fast::hash(&tfz[range.start..end]);
    tfz[end..range.end].copy_from_slice(&crc.to_le_bytes());
}

/// Makes the checksums of the manifest, as far as the footer's length of it can be true, and of
/// the footer right.
pub(crate) fn repair_footer(tfz: &mut [u8]) {
    let end = tfz.len() - FOOTER_BYTES;
    let start = usize::try_from(u64_at(tfz, end))
        .ok()
        .and_then(|n| end.checked_sub(n));
    if let Some(start) = start {
        let crc = crc32fast::hash(&tfz[start..end]);
        tfz[end + 16..end + 20].copy_from_slice(&crc.to_le_bytes());
    }
    repair(tfz, &(end..end + 28));
}

/// What in a good archive has a checksum behind it, that being the last four bytes of each range.
#[derive(Default)]
pub(crate) struct Covered {
    pub(crate) frames: Vec<Range<usize>>,
    pub(crate) tables: Vec<Range<usize>>,
    pub(crate) blocks: Vec<Range<usize>>,
    pub(crate) directories: Vec<Range<usize>>,
}

impl Covered {
    pub(crate) fn of(tfz: &[u8]) -> Self {
        let manifest = Manifest::of(tfz);
        let mut covered = Self::default();
        let mut payload = 0;
        for part in Archive::new(tfz).unwrap().parts() {
            let mut start = part.offset as usize;
            match part.kind {
                PartKind::SkeletonFrame => {
                    covered.frames.push(start..start + part.bytes as usize);
                }
                PartKind::Payloads => {
                    for _ in 0..part.payloads {
                        covered.add_record(tfz, start, &manifest, payload);
                        start += manifest.payload_stored_bytes[payload] as usize;
                        payload += 1;
                    }
                }
                _ => {}
            }
        }
        covered
    }

    fn add_record(&mut self, tfz: &[u8], start: usize, m: &Manifest, payload: usize) {
        let end = start + m.payload_stored_bytes[payload] as usize;
        let first_block = start + m.payload_table_bytes[payload] as usize;
        if start < first_block {
            self.tables.push(start..first_block);
        }
        let rows = m.payload_blocks[payload] as usize - 1;
        let directory = end - if rows > 0 { rows * 16 + 4 } else { 0 };
        if rows > 0 {
            self.directories.push(directory..end);
        }
        let mut block = first_block;
        for row in 0..rows {
            let end = first_block + u64_at(tfz, directory + row * 16 + 8) as usize;
            self.blocks.push(block..end);
            block = end;
        }
        self.blocks.push(block..directory);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Range<usize>> {
        let records = self.tables.iter().chain(&self.blocks);
        self.frames.iter().chain(records).chain(&self.directories)
    }
}

/// Whether the elements of a tensor come out the same in each way of reading, as far as numbers
/// tell: its nonzero elements, and the bytes of its last rows.
pub(crate) fn agree(dtype: tfzip::DType, dense: &[u8], rows: &[u8], nnz: usize) -> bool {
    dense.ends_with(rows) && naive::nnz(dtype, dense) == nnz as u64
}

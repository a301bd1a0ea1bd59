//! The manifest's message, read column by column (spec §5.2).
//!
//! A byte of a message can become many bytes of memory, and a model with a hundred thousand tensors waits for
//! this: so room for the values of a column is made once, when they have been counted, and no column becomes
//! longer than the limits allow.

use crate::container::SHA256_BYTES;
use crate::container::names::{Names, RawNames};
use crate::error::{Error, Result, Within};
use crate::limits::Limits;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// The columns of a manifest, by the names of `spec/manifest.proto`. Nothing but their lengths has been
/// checked.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) file_name: Names,
    pub(super) file_bytes: Vec<u64>,
    pub(super) file_sha256: Vec<u8>,
    pub(super) file_source_sha256: Vec<u8>,
    pub(super) file_holes: Vec<u64>,
    pub(super) hole_gap: Vec<u64>,
    pub(super) hole_payload: Vec<u64>,
    pub(super) section_kind: Vec<u32>,
    pub(super) section_bytes: Vec<u64>,
    pub(super) section_align: Vec<u32>,
    pub(super) section_payloads: Vec<u64>,
    pub(super) payload_width: Vec<u32>,
    pub(super) payload_elements: Vec<u64>,
    pub(super) payload_columns: Vec<u64>,
    pub(super) payload_stored_bytes: Vec<u64>,
    pub(super) payload_table_bytes: Vec<u64>,
    pub(super) payload_blocks: Vec<u64>,
    pub(super) tensor_name: Names,
    pub(super) tensor_file: Vec<u32>,
    pub(super) tensor_dtype: Vec<u32>,
    pub(super) tensor_rank: Vec<u32>,
    pub(super) tensor_dim: Vec<u64>,
    pub(super) tensor_source: Vec<u32>,
    pub(super) tensor_at: Vec<u64>,
    pub(super) tensor_repeats: Vec<u64>,
    pub(super) tensor_nnz: Vec<u64>,
    pub(super) empty_folder: Names,
    pub(super) is_folder: bool,
    pub(super) profile: u32,
}

impl Columns {
    /// Reads a `Manifest` message. Columns of one table have equally many values.
    pub(super) fn read(message: &[u8], limits: &Limits) -> Result<Self> {
        let columns = Self::parse(message, limits)?;
        columns.check_lengths()?;
        Ok(columns)
    }

    fn parse(mut message: &[u8], limits: &Limits) -> Result<Self> {
        let mut columns = Self::default();
        let [mut file_name, mut tensor_name, mut empty_folder] = <[RawNames; 3]>::default();
        while !message.is_empty() {
            let before = message;
            let (field, wire_type) = decode_key(&mut message).map_err(unparsable)?;
            let names = match field {
                1 => Some((&mut file_name, "files")),
                18 => Some((&mut tensor_name, "tensors")),
                27 => Some((&mut empty_folder, "empty folders")),
                _ => None,
            };
            let n_key = before.len().saturating_sub(message.len());
            let of = Content {
                key: before.get(..n_key).unwrap_or_default(),
                field,
                wire_type,
                message: &mut message,
            };
            match names {
                Some((names, table)) => of.names(names, table, limits.rows),
                None => columns.merge(of, limits),
            }
            .within(|| format!("field {field}"))?;
        }
        for (column, names) in [
            (&mut columns.file_name, file_name),
            (&mut columns.tensor_name, tensor_name),
            (&mut columns.empty_folder, empty_folder),
        ] {
            *column = names
                .check()
                .ok_or_else(|| unparsable("a name is not UTF-8"))?;
        }
        Ok(columns)
    }

    /// Every column has as many values as its table has rows.
    fn check_lengths(&self) -> Result<()> {
        let table =
            |what: &str, rows: usize, columns: &[usize]| match columns.iter().find(|&&n| n != rows)
            {
                None => Ok(()),
                Some(n) => Err(Error::corrupt(format!(
                    "columns of {what} have {rows} and {n} values"
                ))),
            };
        table(
            "files",
            self.file_name.len(),
            &[self.file_bytes.len(), self.file_holes.len()],
        )?;
        let hashes = Some(self.file_name.len());
        let n_hashes = |bytes: &[u8]| match bytes.as_chunks::<SHA256_BYTES>() {
            (hashes, []) => Some(hashes.len()),
            _ => None,
        };
        if n_hashes(&self.file_sha256) != hashes
            || !(self.file_source_sha256.is_empty() || n_hashes(&self.file_source_sha256) == hashes)
        {
            return Err(Error::corrupt(format!(
                "hashes of {} and {} bytes for {} files",
                self.file_sha256.len(),
                self.file_source_sha256.len(),
                self.file_name.len()
            )));
        }
        table("holes", self.hole_gap.len(), &[self.hole_payload.len()])?;
        table(
            "sections",
            self.section_kind.len(),
            &[
                self.section_bytes.len(),
                self.section_align.len(),
                self.section_payloads.len(),
            ],
        )?;
        table(
            "payloads",
            self.payload_width.len(),
            &[
                self.payload_elements.len(),
                self.payload_columns.len(),
                self.payload_stored_bytes.len(),
                self.payload_table_bytes.len(),
                self.payload_blocks.len(),
            ],
        )?;
        table(
            "tensors",
            self.tensor_name.len(),
            &[
                self.tensor_file.len(),
                self.tensor_dtype.len(),
                self.tensor_rank.len(),
                self.tensor_source.len(),
                self.tensor_at.len(),
                self.tensor_repeats.len(),
                self.tensor_nnz.len(),
            ],
        )
    }

    /// Takes the content of a field that is no name.
    fn merge(&mut self, mut of: Content<'_, '_>, limits: &Limits) -> Result<()> {
        let rows = limits.rows;
        match of.field {
            2 => of.numbers(&mut self.file_bytes, "files", rows),
            // Of several, the last counts.
            3 => of.bytes().map(|hashes| self.file_sha256 = hashes.to_vec()),
            4 => of
                .bytes()
                .map(|hashes| self.file_source_sha256 = hashes.to_vec()),
            5 => of.numbers(&mut self.file_holes, "files", rows),
            6 => of.numbers(&mut self.hole_gap, "holes", limits.holes),
            7 => of.numbers(&mut self.hole_payload, "holes", limits.holes),
            8 => of.numbers(&mut self.section_kind, "sections", rows),
            9 => of.numbers(&mut self.section_bytes, "sections", rows),
            10 => of.numbers(&mut self.section_align, "sections", rows),
            11 => of.numbers(&mut self.section_payloads, "sections", rows),
            12 => of.numbers(&mut self.payload_width, "payloads", rows),
            13 => of.numbers(&mut self.payload_elements, "payloads", rows),
            14 => of.numbers(&mut self.payload_columns, "payloads", rows),
            15 => of.numbers(&mut self.payload_stored_bytes, "payloads", rows),
            16 => of.numbers(&mut self.payload_table_bytes, "payloads", rows),
            17 => of.numbers(&mut self.payload_blocks, "payloads", rows),
            19 => of.numbers(&mut self.tensor_file, "tensors", rows),
            20 => of.numbers(&mut self.tensor_dtype, "tensors", rows),
            21 => of.numbers(&mut self.tensor_rank, "tensors", rows),
            22 => of.numbers(&mut self.tensor_dim, "dimensions", limits.dims),
            23 => of.numbers(&mut self.tensor_source, "tensors", rows),
            24 => of.numbers(&mut self.tensor_at, "tensors", rows),
            25 => of.numbers(&mut self.tensor_repeats, "tensors", rows),
            26 => of.numbers(&mut self.tensor_nnz, "tensors", rows),
            28 => of.varint().map(|is_folder| self.is_folder = is_folder != 0),
            29 => of.varint().and_then(number).map(|id| self.profile = id),
            _ => {
                let context = DecodeContext::default();
                skip_field(of.wire_type, of.field, of.message, context).map_err(unparsable)
            }
        }
    }
}

/// What follows a key.
struct Content<'m, 'a> {
    /// The key's bytes.
    key: &'a [u8],
    field: u32,
    wire_type: WireType,
    message: &'m mut &'a [u8],
}

impl<'a> Content<'_, 'a> {
    fn varint(&mut self) -> Result<u64> {
        match self.wire_type {
            WireType::Varint => decode_varint(self.message).map_err(unparsable),
            other => Err(unparsable(format_args!("a number of wire type {other:?}"))),
        }
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        if self.wire_type != WireType::LengthDelimited {
            return Err(unparsable(format_args!(
                "bytes of wire type {:?}",
                self.wire_type
            )));
        }
        let length = decode_varint(self.message).map_err(unparsable)?;
        let (content, rest) = usize::try_from(length)
            .ok()
            .and_then(|length| self.message.split_at_checked(length))
            .ok_or_else(|| {
                unparsable(format_args!(
                    "expected {length} bytes, found {}",
                    self.message.len()
                ))
            })?;
        *self.message = rest;
        Ok(content)
    }

    /// A name, and those that follow with the same key: a hundred thousand of them are a third of what is
    /// waited for when a file is opened.
    fn names(mut self, column: &mut RawNames, table: &str, limit: u64) -> Result<()> {
        check_room(column.len(), 1, table, limit)?;
        column.push(self.bytes()?);
        while let Some([length @ ..0x80, rest @ ..]) = self.message.strip_prefix(self.key)
            && let Some((name, rest)) = rest.split_at_checked(usize::from(*length))
        {
            check_room(column.len(), 1, table, limit)?;
            column.push(name);
            *self.message = rest;
        }
        Ok(())
    }

    /// One number, or a packed piece of a column.
    fn numbers<T: TryFrom<u64>>(
        &mut self,
        column: &mut Vec<T>,
        table: &str,
        limit: u64,
    ) -> Result<()> {
        if self.wire_type == WireType::Varint {
            check_room(column.len(), 1, table, limit)?;
            column.push(number(self.varint()?)?);
            return Ok(());
        }
        let mut packed = self.bytes()?;
        let n = n_varints(packed);
        check_room(column.len(), n, table, limit)?;
        column.reserve(n);
        while let [first, rest @ ..] = packed {
            let value = match *first {
                small @ ..0x80 => {
                    packed = rest;
                    u64::from(small)
                }
                _ => decode_varint(&mut packed).map_err(unparsable)?,
            };
            column.push(number(value)?);
        }
        Ok(())
    }
}

fn unparsable(e: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("not a Manifest message: {e}"))
}

fn number<T: TryFrom<u64>>(value: u64) -> Result<T> {
    T::try_from(value).map_err(|_| unparsable(format_args!("{value} in a column of 32 bits")))
}

/// Fails if a column of `found` values can't have `more`.
fn check_room(found: usize, more: usize, table: &str, limit: u64) -> Result<()> {
    Limits::check(table, found.saturating_add(more) as u64, limit)
}

/// How many varints end in `content`: each with the one byte whose top bit is clear.
fn n_varints(content: &[u8]) -> usize {
    // So few that a byte counts them, and the compiler counts a register of bytes at once.
    const CHUNK: usize = 128;
    let ends = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(*byte < 0x80)).sum::<u8>();
    content
        .chunks(CHUNK)
        .map(|chunk| usize::from(ends(chunk)))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::container::manifest::Manifest;
    use proptest::prelude::*;
    use prost::Message;

    fn limits() -> Limits {
        Limits {
            rows: 1000,
            holes: 1000,
            dims: 1000,
            ..Limits::default()
        }
    }

    /// The message that these columns stand for.
    fn manifest(c: Columns) -> Manifest {
        let strings = |names: &Names| names.iter().map(str::to_owned).collect();
        Manifest {
            file_name: strings(&c.file_name),
            file_bytes: c.file_bytes,
            file_sha256: c.file_sha256,
            file_source_sha256: c.file_source_sha256,
            file_holes: c.file_holes,
            hole_gap: c.hole_gap,
            hole_payload: c.hole_payload,
            section_kind: c.section_kind,
            section_bytes: c.section_bytes,
            section_align: c.section_align,
            section_payloads: c.section_payloads,
            payload_width: c.payload_width,
            payload_elements: c.payload_elements,
            payload_columns: c.payload_columns,
            payload_stored_bytes: c.payload_stored_bytes,
            payload_table_bytes: c.payload_table_bytes,
            payload_blocks: c.payload_blocks,
            tensor_name: strings(&c.tensor_name),
            tensor_file: c.tensor_file,
            tensor_dtype: c.tensor_dtype,
            tensor_rank: c.tensor_rank,
            tensor_dim: c.tensor_dim,
            tensor_source: c.tensor_source,
            tensor_at: c.tensor_at,
            tensor_repeats: c.tensor_repeats,
            tensor_nnz: c.tensor_nnz,
            empty_folder: strings(&c.empty_folder),
            is_folder: c.is_folder,
            profile: c.profile,
        }
    }

    /// A field with any key and any content, in a form that parses.
    fn field() -> impl Strategy<Value = Vec<u8>> {
        let varint = any::<u64>().prop_flat_map(|value| {
            (0u32..64).prop_map(move |shift| {
                let mut bytes = Vec::new();
                prost::encoding::encode_varint(value >> shift, &mut bytes);
                bytes
            })
        });
        let packed = prop::collection::vec(varint.clone(), 0..40).prop_map(|all| all.concat());
        let content = prop_oneof![
            varint.prop_map(|content| (WireType::Varint, content)),
            packed.prop_map(|content| (WireType::LengthDelimited, content)),
            "[a-zäß/]{0,9}".prop_map(|name| (WireType::LengthDelimited, name.into_bytes())),
            any::<[u8; 4]>().prop_map(|bytes| (WireType::ThirtyTwoBit, bytes.to_vec())),
        ];
        (1u32..32, content).prop_map(|(field, (wire_type, content))| {
            let mut bytes = Vec::new();
            prost::encoding::encode_key(field, wire_type, &mut bytes);
            if wire_type == WireType::LengthDelimited {
                prost::encoding::encode_varint(content.len() as u64, &mut bytes);
            }
            bytes.extend(content);
            bytes
        })
    }

    proptest! {
        /// As prost reads it: every field in every form, in pieces, unknown ones, and what does not parse.
        #[test]
        fn messages_are_read_as_by_the_library(
            fields in prop::collection::vec(field(), 0..30),
            damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut message = fields.concat();
            if let (Some((at, with)), false) = (damage, message.is_empty()) {
                let at = at.index(message.len());
                message[at] = with;
            }
            match (Columns::parse(&message, &Limits::default()), Manifest::decode(&message[..])) {
                (Ok(found), expected) => prop_assert_eq!(Ok(manifest(found)), expected),
                (Err(e), Err(_)) => prop_assert_eq!(e.kind(), ErrorKind::Corrupt),
                // The library cuts such numbers off.
                (Err(e), Ok(_)) => prop_assert!(e.to_string().contains("column of 32 bits"), "{}", e),
            }
        }
    }

    #[test]
    fn no_column_is_longer_than_the_limits_allow() {
        let names = |n| Manifest {
            empty_folder: vec![String::new(); n],
            ..Manifest::default()
        };
        let dims = |n| Manifest {
            tensor_dim: vec![300; n],
            ..Manifest::default()
        };
        let kind = |m: Manifest| {
            let message = m.encode_to_vec();
            Columns::parse(&message, &limits())
                .map(drop)
                .map_err(|e| e.kind())
        };
        for longest in [kind(names(1000)), kind(dims(1000))] {
            assert_eq!(longest, Ok(()));
        }
        for longer in [kind(names(1001)), kind(dims(1001))] {
            assert_eq!(longer, Err(ErrorKind::LimitExceeded));
        }
        // In two pieces, and one by one.
        let pieces = [dims(600), dims(600)].map(|m| m.encode_to_vec()).concat();
        let singles = [0xb0, 1, 7].repeat(1001);
        for message in [pieces, singles] {
            let error = Columns::parse(&message, &limits()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        }
    }
}

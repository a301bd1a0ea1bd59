//! What all blocks of a payload share (spec §8.2).

use crate::cursor::{Cursor, check_crc, put_crc};
use crate::error::{Error, Result, Within};
use crate::kernels::huffman::DecodeTable;
use crate::sparse::Classes;
use crate::stream::bits::{BitReader, BitWriter};
use crate::values::{Codebook, ValueCoder, ValueCoderHead, ValueTables, padding};
use crate::word::Word;
use std::iter;

const HAS_BACKGROUND: u8 = 1 << 0;
const HAS_CODEBOOK: u8 = 1 << 1;
const HAS_CLASSES: u8 = 1 << 2;
const HAS_VALUE_CODER: u8 = 1 << 3;
const IS_ALIGNED: u8 = 1 << 4;
const ALL_FLAGS: u8 = HAS_BACKGROUND | HAS_CODEBOOK | HAS_CLASSES | HAS_VALUE_CODER | IS_ALIGNED;

/// Bytes of the CRC-32 at the end of the tables.
const CRC_BYTES: usize = 4;

/// Background, codebook, classes and value coder of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tables<W> {
    /// The pattern of elements that are not stored.
    pub(crate) background: W,
    pub(crate) codebook: Option<Codebook<W>>,
    pub(crate) classes: Option<Classes>,
    pub(crate) coder: Option<ValueCoder>,
    /// Tables and blocks are padded to a multiple of eight bytes.
    pub(crate) aligned: bool,
}

/// The decode tables of a payload's prefix codes.
#[derive(Default)]
pub(crate) struct Decoders {
    /// For each part of the classes.
    pub(crate) parts: Vec<Option<DecodeTable>>,
    /// For each value table.
    pub(crate) values: Vec<DecodeTable>,
}

impl<W: Word> Tables<W> {
    /// Tables with nothing but a background.
    pub(crate) fn of_background(background: W) -> Self {
        Self {
            background,
            codebook: None,
            classes: None,
            coder: None,
            aligned: false,
        }
    }

    /// What values are written with.
    pub(crate) fn value_tables(&self) -> ValueTables<'_, W> {
        ValueTables {
            codebook: self.codebook.as_ref(),
            coder: self.coder.as_ref(),
        }
    }

    /// What decoding looks up.
    pub(crate) fn decoders(&self) -> Decoders {
        Decoders {
            parts: self
                .classes
                .as_ref()
                .map(Classes::decode_tables)
                .unwrap_or_default(),
            values: self
                .coder
                .as_ref()
                .map(ValueCoder::decode_tables)
                .unwrap_or_default(),
        }
    }

    fn flags(&self) -> u8 {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        flag(self.background != W::default(), HAS_BACKGROUND)
            | flag(self.codebook.is_some(), HAS_CODEBOOK)
            | flag(self.classes.is_some(), HAS_CLASSES)
            | flag(self.coder.is_some(), HAS_VALUE_CODER)
            | flag(self.aligned, IS_ALIGNED)
    }

    /// The bytes of the tables; empty where there is nothing to say.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let flags = self.flags();
        if flags == 0 {
            return Ok(out);
        }
        out.push(flags);
        if flags & HAS_BACKGROUND != 0 {
            out.extend_from_slice(&crate::values::to_le_bytes(&[self.background]));
        }
        if let Some(codebook) = &self.codebook {
            codebook.write_table(&mut out);
        }
        if let Some(classes) = &self.classes {
            classes.write(&mut out)?;
        }
        if let Some(coder) = &self.coder {
            let classes = self.classes.as_ref();
            coder.write(&mut out, classes.map(|classes| &classes.value_tables[..]));
        }
        let mut bits = BitWriter::default();
        if let Some(coder) = &self.coder {
            coder.write_bins(&mut bits, W::WIDTH);
        }
        if let Some(classes) = &self.classes {
            classes.write_codes(&mut bits);
        }
        if let Some(coder) = &self.coder {
            coder.write_codes(&mut bits);
        }
        out.extend(bits.finish());
        if self.aligned {
            align(&mut out);
        }
        put_crc(&mut out, 0);
        Ok(out)
    }

    /// Reads the tables of a payload in rows of `columns`, and checks their CRC-32.
    pub(crate) fn from_bytes(bytes: &[u8], columns: u64) -> Result<Self> {
        let mut tables = Self::of_background(W::default());
        if bytes.is_empty() {
            return Ok(tables);
        }
        let mut cursor = Cursor::new(check_crc(bytes, "tables")?);
        let flags = cursor.u8()?;
        if flags & !ALL_FLAGS != 0 {
            return Err(Error::unsupported(format!("table flags {flags:#04x}")));
        }
        let has = |flag: u8| flags & flag != 0;
        if has(HAS_BACKGROUND) {
            tables.background = W::from_le(cursor.take(W::WIDTH)?);
        }
        if has(HAS_CODEBOOK) {
            tables.codebook = Some(Codebook::read_table(&mut cursor)?);
        }
        let mut n_symbols = Vec::new();
        if has(HAS_CLASSES) {
            let (classes, n) = Classes::read(&mut cursor, columns).within(|| "classes".into())?;
            tables.classes = Some(classes);
            n_symbols = n;
        }
        let mut head = None;
        if has(HAS_VALUE_CODER) {
            let coder = ValueCoderHead::read(
                &mut cursor,
                tables.codebook.as_ref(),
                tables.classes.as_mut(),
            );
            head = Some(coder.within(|| "value coder".into())?);
        }
        let mut bits = BitReader::new(cursor.rest());
        if let Some(head) = &mut head {
            head.read_bins(&mut bits, W::WIDTH)
                .within(|| "bins".into())?;
        }
        if let Some(classes) = &mut tables.classes {
            classes
                .read_codes(&mut bits, &n_symbols)
                .within(|| "codes of classes".into())?;
        }
        if let Some(head) = head {
            tables.coder = Some(
                head.read_codes(&mut bits)
                    .within(|| "codes of values".into())?,
            );
        }
        cursor.take(bits.finish()?)?;
        tables.aligned = has(IS_ALIGNED);
        if tables.aligned {
            check_aligned(&mut cursor)?;
        }
        cursor.finish()?;
        Ok(tables)
    }
}

/// Pads tables or a block so that with the CRC-32 to come they end at a multiple of eight bytes.
pub(super) fn align(out: &mut Vec<u8>) {
    out.extend(iter::repeat_n(0, padding_bytes(out.len())));
}

/// Bytes of the padding that begins at a byte.
fn padding_bytes(at: usize) -> usize {
    padding(at.saturating_add(CRC_BYTES))
}

/// Reads the padding of tables or a block.
pub(super) fn check_aligned(cursor: &mut Cursor<'_>) -> Result<()> {
    let padding = cursor.take(padding_bytes(cursor.position()))?;
    match padding.iter().all(|&byte| byte == 0) {
        true => Ok(()),
        false => Err(Error::corrupt("the padding before the CRC-32 is not zero")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn tables_come_back() {
        for background in [0u16, 0x0380] {
            for codebook in [None, Codebook::of([1, 2, 0xffff])] {
                for aligned in [false, true] {
                    let tables = Tables {
                        codebook: codebook.clone(),
                        aligned,
                        ..Tables::of_background(background)
                    };
                    let bytes = tables.to_bytes().unwrap();
                    assert!(!tables.aligned || bytes.len().is_multiple_of(8));
                    assert_eq!(Tables::from_bytes(&bytes, 1).unwrap(), tables);
                }
            }
        }
        assert!(Tables::of_background(0u32).to_bytes().unwrap().is_empty());
    }

    #[test]
    fn flags_of_the_future_are_unsupported() {
        let mut bytes = vec![0x20];
        put_crc(&mut bytes, 0);
        assert_eq!(
            Tables::<u32>::from_bytes(&bytes, 1).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    }
}

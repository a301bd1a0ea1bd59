//! What all blocks of a payload share: the background and the codebook (spec §8.2).

use crate::cursor::{Cursor, check_crc, put_crc};
use crate::error::{Error, Result};
use crate::values::Codebook;
use crate::word::Word;

const HAS_BACKGROUND: u8 = 1 << 0;
const HAS_CODEBOOK: u8 = 1 << 1;

/// Background and codebook of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tables<W> {
    /// The pattern of elements that are not stored.
    pub(crate) background: W,
    pub(crate) codebook: Option<Codebook<W>>,
}

impl<W: Word> Tables<W> {
    /// The bytes of the tables; empty where there is nothing to say.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut flags = 0;
        if self.background != W::default() {
            flags |= HAS_BACKGROUND;
        }
        if self.codebook.is_some() {
            flags |= HAS_CODEBOOK;
        }
        if flags == 0 {
            return out;
        }
        out.push(flags);
        if flags & HAS_BACKGROUND != 0 {
            out.extend_from_slice(&crate::values::to_le_bytes(&[self.background]));
        }
        if let Some(codebook) = &self.codebook {
            codebook.write_table(&mut out);
        }
        put_crc(&mut out, 0);
        out
    }

    /// Reads the tables and checks their CRC-32.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut tables = Self {
            background: W::default(),
            codebook: None,
        };
        if bytes.is_empty() {
            return Ok(tables);
        }
        let mut cursor = Cursor::new(check_crc(bytes, "tables")?);
        let flags = cursor.u8()?;
        if flags & !(HAS_BACKGROUND | HAS_CODEBOOK) != 0 {
            return Err(Error::unsupported(format!("table flags {flags:#04x}")));
        }
        if flags & HAS_BACKGROUND != 0 {
            tables.background = W::from_le(cursor.take(W::WIDTH)?);
        }
        if flags & HAS_CODEBOOK != 0 {
            tables.codebook = Some(Codebook::read_table(&mut cursor)?);
        }
        cursor.finish()?;
        Ok(tables)
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
                let tables = Tables {
                    background,
                    codebook,
                };
                assert_eq!(Tables::from_bytes(&tables.to_bytes()).unwrap(), tables);
            }
        }
        assert!(
            Tables {
                background: 0u32,
                codebook: None
            }
            .to_bytes()
            .is_empty()
        );
    }

    #[test]
    fn flags_of_the_future_are_unsupported() {
        let mut bytes = vec![4];
        put_crc(&mut bytes, 0);
        assert_eq!(
            Tables::<u32>::from_bytes(&bytes).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    }
}

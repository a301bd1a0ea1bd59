//! Header and footer: the fixed ends of a file (spec §3, §5.1).

use crate::cursor::{Cursor, compare_crc, put_crc};
use crate::error::{Error, Result};

/// First bytes of every `.tfz` file.
pub(super) const MAGIC: [u8; 8] = [0x89, b'T', b'F', b'Z', 0x0d, 0x0a, 0x1a, 0x0a];

/// Last bytes of every `.tfz` file.
const END_MAGIC: [u8; 4] = [b'Z', b'F', b'T', 0x89];

/// The format version that this crate reads and writes.
pub(crate) const VERSION: u16 = 1;

/// Required features that this crate knows (spec §12): none yet.
const KNOWN_FEATURES: u64 = 0;

const VERSION_AT: usize = MAGIC.len();
const RESERVED_AT: usize = VERSION_AT + size_of::<u16>();
const FEATURES_AT: usize = RESERVED_AT + size_of::<u16>();
const HEADER_CRC_AT: usize = FEATURES_AT + size_of::<u64>();

/// Bytes of the header.
pub(crate) const HEADER_BYTES: usize = HEADER_CRC_AT + size_of::<u32>();

const MANIFEST_BYTES_AT: usize = size_of::<u64>();
const MANIFEST_CRC_AT: usize = MANIFEST_BYTES_AT + size_of::<u64>();
const MANIFEST_CODING_AT: usize = MANIFEST_CRC_AT + size_of::<u32>();
const FOOTER_CRC_AT: usize = MANIFEST_CODING_AT + size_of::<u32>();
const END_MAGIC_AT: usize = FOOTER_CRC_AT + size_of::<u32>();

/// Bytes of the footer.
pub(super) const FOOTER_BYTES: usize = END_MAGIC_AT + END_MAGIC.len();

/// The header of the files that this crate writes.
pub(super) fn header() -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&0u16.to_le_bytes());
    out.extend_from_slice(&0u64.to_le_bytes());
    put_crc(&mut out, 0);
    out
}

/// Checks the header at the start of `file`.
pub(super) fn check_header(file: &[u8]) -> Result<()> {
    // A file that ends before has the right magic as far as it goes.
    if !MAGIC.starts_with(file.get(..MAGIC.len()).unwrap_or(file)) {
        return Err(Error::corrupt(
            "not a .tfz file: it does not begin with the magic",
        ));
    }
    if file.len() < HEADER_BYTES + FOOTER_BYTES {
        return Err(Error::truncated(format!(
            "expected at least {} bytes, found {}",
            HEADER_BYTES + FOOTER_BYTES,
            file.len()
        )));
    }
    let mut cursor = Cursor::new(file);
    let body = cursor.take(HEADER_CRC_AT)?;
    compare_crc(body, cursor.u32()?, "header")?;
    let mut cursor = Cursor::new(body);
    cursor.take(MAGIC.len())?;
    let (version, reserved) = (cursor.u16()?, cursor.u16()?);
    let features = cursor.u64()?;
    if version != VERSION {
        let hint = match version {
            0 => "it was the draft",
            _ => "a newer tfzip may read it",
        };
        return Err(Error::unsupported(format!(
            "format version {version}, expected {VERSION}: {hint}"
        )));
    }
    if reserved != 0 {
        return Err(Error::unsupported(format!(
            "reserved header bits {reserved:#06x}"
        )));
    }
    if features & !KNOWN_FEATURES != 0 {
        return Err(Error::unsupported(format!(
            "required features {features:#x}"
        )));
    }
    Ok(())
}

/// How the manifest is coded in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ManifestCoding {
    Stored = 0,
    Zstd = 1,
}

/// Where the manifest is and what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    /// Bytes of the manifest in the file.
    pub(super) stored_bytes: u64,
    /// Bytes of the manifest once decoded.
    pub(super) manifest_bytes: u64,
    /// CRC-32 of the stored bytes.
    pub(super) crc: u32,
    pub(super) coding: ManifestCoding,
}

impl Footer {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER_BYTES);
        out.extend_from_slice(&self.stored_bytes.to_le_bytes());
        out.extend_from_slice(&self.manifest_bytes.to_le_bytes());
        out.extend_from_slice(&self.crc.to_le_bytes());
        out.extend_from_slice(&(self.coding as u32).to_le_bytes());
        put_crc(&mut out, 0);
        out.extend_from_slice(&END_MAGIC);
        out
    }

    /// Reads the footer at the end of `file`.
    pub(super) fn read(file: &[u8]) -> Result<Self> {
        let footer = file.last_chunk::<FOOTER_BYTES>();
        let footer = footer.filter(|footer| footer.ends_with(&END_MAGIC));
        let mut cursor = Cursor::new(footer.ok_or_else(|| {
            Error::truncated(
                "the file does not end with a footer: it was cut, or something was appended",
            )
        })?);
        let body = cursor.take(FOOTER_CRC_AT)?;
        compare_crc(body, cursor.u32()?, "footer")?;
        let mut cursor = Cursor::new(body);
        let (stored_bytes, manifest_bytes) = (cursor.u64()?, cursor.u64()?);
        let crc = cursor.u32()?;
        let coding = cursor.u32()?;
        let coding = match coding {
            0 => ManifestCoding::Stored,
            1 => ManifestCoding::Zstd,
            id => return Err(Error::unsupported(format!("manifest coding {id}"))),
        };
        Ok(Self {
            stored_bytes,
            manifest_bytes,
            crc,
            coding,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn never_change_these_constants() {
        assert_eq!(MAGIC, *b"\x89TFZ\r\n\x1a\n");
        assert_eq!(END_MAGIC, *b"ZFT\x89");
        assert_eq!((HEADER_BYTES, FOOTER_BYTES), (24, 32));
        assert_eq!((VERSION_AT, FEATURES_AT, HEADER_CRC_AT), (8, 12, 20));
        assert_eq!(
            (MANIFEST_CRC_AT, MANIFEST_CODING_AT, FOOTER_CRC_AT),
            (16, 20, 24)
        );
        assert_eq!(
            (ManifestCoding::Stored as u32, ManifestCoding::Zstd as u32),
            (0, 1)
        );
    }

    fn file(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut header = header();
        change(&mut header);
        header.truncate(HEADER_CRC_AT);
        put_crc(&mut header, 0);
        header.resize(HEADER_BYTES + FOOTER_BYTES, 0);
        header
    }

    #[test]
    fn newer_files_are_unsupported_and_damaged_ones_corrupt() {
        let kind = |file: Vec<u8>| check_header(&file).map_err(|e| e.kind());
        assert_eq!(kind(file(|_| ())), Ok(()));
        assert_eq!(
            kind(file(|h| h[VERSION_AT] = 2)),
            Err(ErrorKind::Unsupported)
        );
        assert_eq!(
            kind(file(|h| h[RESERVED_AT] = 1)),
            Err(ErrorKind::Unsupported)
        );
        assert_eq!(
            kind(file(|h| h[FEATURES_AT + 7] = 0x80)),
            Err(ErrorKind::Unsupported)
        );
        assert_eq!(kind(file(|h| h[0] = 0x88)), Err(ErrorKind::Corrupt));
        let mut damaged = file(|_| ());
        damaged[FEATURES_AT] = 1;
        assert_eq!(kind(damaged), Err(ErrorKind::Corrupt));
        assert_eq!(kind(header()), Err(ErrorKind::Truncated));
        assert_eq!(kind(vec![]), Err(ErrorKind::Truncated));
        assert_eq!(kind(b"hello".to_vec()), Err(ErrorKind::Corrupt));
    }

    #[test]
    fn footers_come_back() {
        let footer = Footer {
            stored_bytes: 5,
            manifest_bytes: 1 << 40,
            crc: 77,
            coding: ManifestCoding::Zstd,
        };
        let mut file = vec![0; HEADER_BYTES];
        file.extend(footer.to_bytes());
        assert_eq!(Footer::read(&file).unwrap(), footer);
        file.push(0);
        assert_eq!(
            Footer::read(&file).unwrap_err().kind(),
            ErrorKind::Truncated
        );
    }
}

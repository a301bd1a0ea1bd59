//! What a reader may spend on a file that nobody vouches for (spec §11).

/// Limits of a reader, checked before memory is reserved.
///
/// The defaults suit a server that opens files from strangers: they admit every model that
/// TensorFlow itself can load.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the manifest once decoded. Default 256 MiB.
    pub manifest_bytes: u64,
    /// Rows of each of the manifest's tables of files, empty folders, sections, payloads and
    /// tensors. Default 2^20.
    pub rows: u64,
    /// Rows of the manifest's table of holes. Default 2^24.
    pub holes: u64,
    /// Dimensions of all tensors together. Default 2^24.
    pub dims: u64,
    /// Dimensions of a tensor. Default 254, as in TensorFlow.
    pub rank: u64,
    /// Bytes of a file's or tensor's name. Default 65,535.
    pub name_bytes: u64,
    /// Bytes of one tensor, decoded. Default 2^36.
    pub tensor_bytes: u64,
    /// Bytes of all restored files. Default 2^38.
    pub total_bytes: u64,
    /// Bytes of all restored files, or of one tensor, decoded, for each byte of the `.tfz` file. Default
    /// 2^20: what is all zeros comes near it, and with few payloads in many places a file can
    /// be made to go far beyond.
    pub expansion: u64,
    /// Folders that the name of a file leads through. Default 64.
    pub nesting: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 256 << 20,
            rows: 1 << 20,
            holes: 1 << 24,
            dims: 1 << 24,
            rank: 254,
            name_bytes: 65_535,
            tensor_bytes: 1 << 36,
            total_bytes: 1 << 38,
            expansion: 1 << 20,
            nesting: 64,
        }
    }
}

impl Limits {
    /// Fails if `found` is above `limit`; `what` names both.
    pub(crate) fn check(what: &str, found: u64, limit: u64) -> crate::Result<()> {
        if found <= limit {
            return Ok(());
        }
        Err(crate::Error::limit(format!(
            "{what}: found {found}, the limit is {limit}"
        )))
    }

    /// Fails if `decoded` bytes are more than those of the archive may become.
    pub(crate) fn check_expansion(&self, decoded: u64, archive_bytes: u64) -> crate::Result<()> {
        let limit = self.expansion.saturating_mul(archive_bytes);
        Self::check("bytes decoded, by expansion", decoded, limit)
    }

    /// Fails if a name is too long or leads through too many folders.
    pub(crate) fn check_file_name(&self, name: &str) -> crate::Result<()> {
        Self::check("bytes of the name", name.len() as u64, self.name_bytes)?;
        let n_folders = name.bytes().filter(|&byte| byte == b'/').count() as u64;
        Self::check("folders in the name", n_folders, self.nesting)
    }
}

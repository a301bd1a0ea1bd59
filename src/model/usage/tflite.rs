//! stub
use super::findings::Findings;
use crate::error::Result;
pub(super) fn usage(_: &mut Findings<'_>, _: &[u8], _: usize) -> Result<()> {
    Ok(())
}

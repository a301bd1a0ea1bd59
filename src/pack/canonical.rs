//! Zeros made positive, before a model is packed.

use crate::error::Result;
use crate::model::{self, Change, InputFile, Rewritten, TensorData};
use crate::tensor::ElementClass;

/// The files with +0.0 in place of every −0.0 of their float tensors; `None` if there is none.
///
/// Checksums that the files keep are repaired. The files are held in memory.
pub(super) fn canonical_zeros(files: &[InputFile<'_>]) -> Result<Option<Rewritten>> {
    let model = model::read(files)?;
    let mut changes = Vec::new();
    for (number, tensor) in model.tensors.iter().enumerate() {
        if let (TensorData::Raw { range, .. }, ElementClass::Float) =
            (&tensor.data, tensor.dtype.class())
        {
            let mut bytes = files[tensor.file].bytes[range.clone()].to_vec();
            if make_positive(&mut bytes, tensor.dtype.width().unwrap_or(1)) {
                changes.push(Change {
                    tensor: number,
                    bytes,
                });
            }
        }
    }
    if changes.is_empty() {
        return Ok(None);
    }
    model::rewrite(files, &changes).map(Some)
}

/// Clears the sign of every zero; says whether there was one with a sign.
fn make_positive(bytes: &mut [u8], width: usize) -> bool {
    let mut found = false;
    for element in bytes.chunks_exact_mut(width) {
        if let Some((top @ 0x80, rest)) = element.split_last_mut()
            && rest.iter().all(|&b| b == 0)
        {
            *top = 0;
            found = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_negative_zeros_change() {
        let mut bytes: Vec<u8> = [-0.0f32, 0.0, -1.0, f32::from_bits(0x8000_0001), f32::NAN]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let before = bytes.clone();
        assert!(make_positive(&mut bytes, 4));
        assert_eq!(bytes[..4], [0; 4]);
        assert_eq!(bytes[4..], before[4..]);
        assert!(!make_positive(&mut bytes, 4));
    }
}

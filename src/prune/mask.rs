//! Masks: which weights of a tensor are left.

use crate::error::{Error, Result};
use bitvec::order::Lsb0;
use bitvec::vec::BitVec;
use std::collections::BTreeMap;

/// Bits that are made and read together.
const WORD_BITS: usize = usize::BITS as usize;

/// One bit for each element of a tensor, in row-major order: whether the weight is left.
///
/// What was zero already is not left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask(BitVec<usize, Lsb0>);

impl Mask {
    /// A mask in which nothing is left of `len` elements.
    pub fn none_of(len: usize) -> Self {
        Self(BitVec::repeat(false, len))
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of elements that are left.
    pub fn left(&self) -> usize {
        self.0.count_ones()
    }

    /// Each element's bit, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = bool> + Clone + '_ {
        let words = self.0.as_raw_slice();
        (0..self.len()).map(|i| words[i / WORD_BITS] >> (i % WORD_BITS) & 1 != 0)
    }

    /// Leaves only what `other` leaves too.
    ///
    /// # Panics
    /// If the masks differ in length.
    pub fn and(&mut self, other: &Self) {
        assert_eq!(self.len(), other.len(), "masks of one tensor");
        self.0 &= &other.0;
    }
}

impl FromIterator<bool> for Mask {
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
        let mut bits = bits.into_iter();
        let mut words = Vec::with_capacity(bits.size_hint().0.div_ceil(WORD_BITS));
        let mut len = 0;
        loop {
            let (mut word, mut n) = (0, 0);
            for bit in bits.by_ref().take(WORD_BITS) {
                word |= usize::from(bit) << n;
                n += 1;
            }
            len += n;
            match n {
                0 => break,
                _ => words.push(word),
            }
        }
        let mut mask = BitVec::from_vec(words);
        mask.truncate(len);
        Self(mask)
    }
}

/// Masks by the names of tensors.
pub type Masks = BTreeMap<String, TensorMask>;

/// A mask for a tensor of a certain shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorMask {
    /// The tensor's dimensions, outermost first.
    pub shape: Vec<u64>,
    /// Which of its elements are left.
    pub mask: Mask,
}

impl TensorMask {
    /// Fails unless it is for a tensor of `shape`.
    pub(super) fn check(&self, shape: &[u64]) -> Result<()> {
        let elements = shape.iter().product::<u64>();
        if self.shape == shape && self.mask.len() as u64 == elements {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "expected shape {shape:?}, found {:?} with {} elements",
            self.shape,
            self.mask.len()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_count_and_meet() {
        let mut mask: Mask = [true, false, true, true].into_iter().collect();
        assert_eq!((mask.len(), mask.left(), mask.is_empty()), (4, 3, false));
        mask.and(&[true, true, false, true].into_iter().collect());
        assert_eq!(mask.iter().collect::<Vec<_>>(), [true, false, false, true]);
        assert_eq!(Mask::none_of(9).left(), 0);
        for len in [0, 1, 63, 64, 65, 200] {
            let bits: Vec<bool> = (0..len).map(|i| i % 3 == 0).collect();
            let mask: Mask = bits.iter().copied().collect();
            assert_eq!(mask.iter().collect::<Vec<_>>(), bits);
            assert_eq!(mask.len(), len);
        }
        assert!(Mask::default().is_empty());
    }
}

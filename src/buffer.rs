//! Buffers that are used again: reserving and clearing memory for every block would take as long as
//! decoding it.

use bytemuck::Pod;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// Buffers that a thread keeps for the next block.
const MAX_KEPT: usize = 16;

/// Bytes of the largest buffer that is kept: a little more than the values of a full block.
const MAX_KEPT_BYTES: usize = 1 << 20;

thread_local! {
    static KEPT: RefCell<Vec<Vec<u128>>> = const { RefCell::new(Vec::new()) };
}

/// `len` elements with arbitrary values to begin with.
#[derive(Debug)]
pub(crate) struct Buffer<T> {
    words: Vec<u128>,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a buffer is for what is in memory, or for a block"
    )]
    pub(crate) fn new(len: usize) -> Self {
        let n_words = (len * size_of::<T>()).div_ceil(size_of::<u128>());
        let mut words = KEPT.with_borrow_mut(|kept| {
            // One that is large enough, or else any.
            let fits = kept.iter().rposition(|words| words.len() >= n_words);
            match fits {
                Some(i) => kept.swap_remove(i),
                None => kept.pop().unwrap_or_default(),
            }
        });
        if words.len() < n_words {
            // Not grown: what it holds need not be copied.
            words = vec![0; n_words];
        }
        Self {
            words,
            len,
            element: PhantomData,
        }
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        let words = std::mem::take(&mut self.words);
        if size_of_val(words.as_slice()) <= MAX_KEPT_BYTES {
            // A thread that is about to end keeps nothing.
            let _ = KEPT.try_with(|kept| {
                let mut kept = kept.borrow_mut();
                if kept.len() < MAX_KEPT {
                    kept.push(words);
                }
            });
        }
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "there are words for `len` elements"
)]
impl<T: Pod> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "there are words for `len` elements"
)]
impl<T: Pod> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_has_its_length_and_its_memory_is_used_again() {
        let mut buffer = Buffer::<u32>::new(1001);
        buffer.fill(7);
        assert_eq!((buffer.len(), buffer[1000]), (1001, 7));
        let address = buffer.as_ptr();
        drop(buffer);
        let again = Buffer::<u16>::new(2002);
        assert_eq!(again.as_ptr().cast(), address);
        assert!(Buffer::<u8>::new(0).is_empty());
    }
}

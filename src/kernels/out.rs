//! Memory that is written without having been cleared: each byte once, by whichever part of the
//! decoder it falls to.
#![allow(unsafe_code)]

use super::pages::prefer_huge_pages;
use crate::error::{Error, Result};
use bytemuck::{CheckedBitPattern, NoUninit};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Elements to be written, in memory that is initialised or not.
///
/// Invariants:
/// 1. Nothing is written through it but initialised values, so that memory which was initialised
///    stays so. Kernels, which reach into it, keep that; nobody else can break it.
pub(crate) struct Slots<'a, T>(pub(super) &'a mut [MaybeUninit<T>]);

impl<'a, T: Copy> From<&'a mut [T]> for Slots<'a, T> {
    fn from(values: &'a mut [T]) -> Self {
        let values: *mut [T] = values;
        // SAFETY: a `MaybeUninit<T>` is laid out as a `T`, the borrow is the same, and by invariant 1
        // the values stay initialised.
        Self(unsafe { &mut *(values as *mut [MaybeUninit<T>]) })
    }
}

impl<'a, T: Copy> Slots<'a, T> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Those of `range`.
    ///
    /// # Panics
    /// If it is not within them.
    pub(super) fn range(self, range: Range<usize>) -> Self {
        Slots(&mut self.0[range])
    }

    /// The same for longer, without what comes after this.
    pub(super) fn reborrow(&mut self) -> Slots<'_, T> {
        Slots(self.0)
    }

    /// Makes each of them `value`.
    pub(super) fn fill(self, value: T) -> &'a mut [T] {
        self.0.fill(MaybeUninit::new(value));
        // SAFETY: all of them have just been written.
        unsafe { self.0.assume_init_mut() }
    }
}

impl<'a> Slots<'a, u8> {
    /// The words that the bytes are, where they are aligned to be.
    pub(super) fn words<W: NoUninit>(self) -> Option<Slots<'a, W>> {
        // SAFETY: any bytes may be seen as words that need not be initialised. Words have no padding:
        // with one, all of its bytes are written, so that invariant 1 holds for the bytes as well.
        let (before, words, after) = unsafe { self.0.align_to_mut::<MaybeUninit<W>>() };
        (before.is_empty() && after.is_empty()).then_some(Slots(words))
    }
}

/// A part of some memory, to be written as a whole.
///
/// Invariants:
/// 2. The parts of one memory are disjoint, and together with what has been written they are all of it.
/// 3. `left` counts the bytes of parts that have not been written; a part takes its own off, once,
///    after each of its bytes has been written. So when it is zero, all of the memory is initialised.
pub(crate) struct Out<'a> {
    slots: Slots<'a, u8>,
    left: &'a AtomicUsize,
}

impl<'a> Out<'a> {
    /// Number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its first `n` bytes, and the others.
    ///
    /// # Panics
    /// If it has fewer.
    pub(crate) fn split_at(self, n: usize) -> (Self, Self) {
        let (first, second) = self.slots.0.split_at_mut(n);
        // Invariant 2: they are disjoint, and `self` is gone.
        let part = |slots| Self {
            slots: Slots(slots),
            left: self.left,
        };
        (part(first), part(second))
    }

    /// Writes it as `bytes`.
    ///
    /// # Panics
    /// If it has not as many.
    pub(crate) fn copy_from(self, bytes: &[u8]) {
        self.slots.0.write_copy_of_slice(bytes);
        // SAFETY: all bytes have just been written.
        unsafe { self.assume_written() };
    }

    /// Writes it as `pattern`, over and over.
    pub(crate) fn repeat(self, pattern: &[u8]) {
        for (byte, &value) in self.slots.0.iter_mut().zip(pattern.iter().cycle()) {
            byte.write(value);
        }
        if !pattern.is_empty() {
            // SAFETY: a cycle does not end, so that each byte has just been written.
            unsafe { self.assume_written() };
        }
    }

    /// Those of its bytes that are wanted.
    pub(super) fn slots(&mut self) -> Slots<'_, u8> {
        self.slots.reborrow()
    }

    /// Its bytes, written.
    ///
    /// # Safety
    /// Each of its bytes has been written.
    pub(super) unsafe fn assume_written(self) -> &'a mut [u8] {
        // Invariant 3. Whoever sees zero sees all that was written before.
        self.left.fetch_sub(self.slots.len(), Ordering::AcqRel);
        // SAFETY: the caller says so.
        unsafe { self.slots.0.assume_init_mut() }
    }
}

/// Lets `write` write all of `out`; returns its bytes.
///
/// # Errors
/// What `write` returns; `Corrupt` if it left anything out.
fn write_slots(
    out: &mut [MaybeUninit<u8>],
    write: impl FnOnce(Out<'_>) -> Result<()>,
) -> Result<&mut [u8]> {
    let left = AtomicUsize::new(out.len());
    // Invariants 2 and 3: it is the one part there is, and nothing of it has been written.
    write(Out {
        slots: Slots(&mut *out),
        left: &left,
    })?;
    match left.into_inner() {
        // SAFETY: invariant 3.
        0 => Ok(unsafe { out.assume_init_mut() }),
        n => Err(Error::corrupt(format!(
            "{n} bytes of the elements are nowhere"
        ))),
    }
}

/// Lets `write` write all of `out`.
///
/// # Errors
/// What `write` returns; the contents of `out` are unspecified then.
pub(crate) fn overwrite(out: &mut [u8], write: impl FnOnce(Out<'_>) -> Result<()>) -> Result<()> {
    write_slots(Slots::from(out).0, write).map(drop)
}

/// Lets `write` write the bytes of all of `out`, and returns the values that they are.
///
/// # Errors
/// What `write` returns; `Corrupt` if something else than a value was written.
pub(crate) fn write_uninit<'a, T: CheckedBitPattern + NoUninit>(
    out: &'a mut [MaybeUninit<T>],
    write: impl FnOnce(Out<'_>) -> Result<()>,
) -> Result<&'a mut [T]> {
    let n_bytes = size_of_val(out);
    // SAFETY: these are the bytes of `out`, which is borrowed until they are given back. Any memory may be
    // seen as bytes that need not be initialised, and a `MaybeUninit` may hold whatever is written into
    // them.
    let bytes: &'a mut [MaybeUninit<u8>] =
        unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast(), n_bytes) };
    let bytes = write_slots(bytes, write)?;
    bytemuck::checked::try_cast_slice_mut(bytes).map_err(|_| not_a_value::<T>())
}

/// As [`write_uninit`], of a new vector of `n` values.
///
/// # Errors
/// As [`write_uninit`]; `LimitExceeded` if there is no memory for them.
pub(crate) fn write_vec<T: CheckedBitPattern + NoUninit>(
    n: usize,
    write: impl FnOnce(Out<'_>) -> Result<()>,
) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values
        .try_reserve_exact(n)
        .map_err(|_| Error::limit(format!("no memory for {n} elements")))?;
    let spare = &mut values.spare_capacity_mut()[..n];
    prefer_huge_pages(spare);
    write_uninit(spare, write)?;
    // SAFETY: the first `n` have just been written.
    unsafe { values.set_len(n) };
    Ok(values)
}

/// What a pattern is that no value of the type has.
pub(crate) fn not_a_value<T>() -> Error {
    Error::corrupt(format!(
        "an element that no {} is",
        std::any::type_name::<T>()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_an_error() {
        let mut out = [MaybeUninit::<u16>::uninit(); 10];
        let wrote = write_uninit(&mut out, |out| {
            let (first, rest) = out.split_at(6);
            first.copy_from(&[1, 2, 3, 4, 5, 6]);
            let (_, last) = rest.split_at(4);
            last.repeat(&[7, 8]);
            Ok(())
        });
        assert!(wrote.unwrap_err().to_string().starts_with("4 bytes"));
        let wrote = write_uninit(&mut out, |out| {
            let (first, rest) = out.split_at(6);
            rest.repeat(&[7, 8]);
            first.copy_from(&[1, 1, 2, 2, 3, 3]);
            Ok(())
        });
        let pattern: u16 = bytemuck::cast([7u8, 8]);
        assert_eq!(
            wrote.unwrap(),
            [257, 514, 771]
                .iter()
                .copied()
                .chain([pattern; 7])
                .collect::<Vec<_>>()
        );
        assert!(write_vec::<u8>(3, |_| Ok(())).is_err());
        assert!(
            write_vec::<u8>(3, |out| {
                out.repeat(&[]);
                Ok(())
            })
            .is_err()
        );
        assert!(write_vec::<f64>(0, |_| Ok(())).unwrap().is_empty());
        assert!(
            overwrite(&mut [1, 2], |out| {
                out.split_at(1).0.repeat(&[0]);
                Ok(())
            })
            .is_err()
        );
    }

    #[test]
    fn patterns_that_are_no_values_are_not_given_out() {
        let write = |bytes: [u8; 3]| {
            write_vec::<bool>(3, |out| {
                out.copy_from(&bytes);
                Ok(())
            })
        };
        assert_eq!(write([1, 0, 1]).unwrap(), [true, false, true]);
        assert_eq!(
            write([1, 2, 1]).unwrap_err().kind(),
            crate::ErrorKind::Corrupt
        );
    }

    #[test]
    fn parts_may_be_written_by_other_threads() {
        let mut out = vec![MaybeUninit::uninit(); 1000];
        let bytes = write_uninit(&mut out, |out| {
            let (first, second) = out.split_at(300);
            std::thread::scope(|threads| {
                threads.spawn(|| first.repeat(&[1]));
                threads.spawn(|| second.repeat(&[2]));
            });
            Ok(())
        });
        assert_eq!(
            bytes
                .unwrap()
                .iter()
                .map(|&byte: &u8| usize::from(byte))
                .sum::<usize>(),
            1700
        );
    }
}

//! What is said to the system of memory that is about to be written.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// Buffers from this size on are asked to be in huge pages: two of the usual 2 MiB at least.
const MANY_BYTES: usize = 4 << 20;

/// Asks the system to keep a large buffer in huge pages, before it is written for the first time.
///
/// The system clears each page when it is touched first. In pages of 4 KiB that takes longer than
/// decoding.
pub(super) fn prefer_huge_pages<T>(buffer: &mut [MaybeUninit<T>]) {
    #[cfg(target_os = "linux")]
    if size_of_val(buffer) >= MANY_BYTES {
        // SAFETY: it has no preconditions.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let Ok(page) = usize::try_from(page) else {
            return;
        };
        let address = buffer.as_mut_ptr().cast::<u8>();
        let start = address.align_offset(page);
        let n_bytes = size_of_val(buffer).saturating_sub(start) / page * page;
        if n_bytes > 0 {
            // SAFETY: the whole pages are part of the buffer, and the advice changes neither their
            // contents nor their addresses. An error means that the system has no such pages.
            unsafe { libc::madvise(address.add(start).cast(), n_bytes, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (buffer, MANY_BYTES);
}

#[cfg(test)]
mod tests {
    use super::super::out::Slots;
    use super::*;

    #[test]
    fn advice_changes_nothing() {
        for shift in [0, 1, 4096, 5000] {
            let mut buffer: Vec<u8> = (0..MANY_BYTES + 10_000).map(|i| i as u8).collect();
            prefer_huge_pages(Slots::from(&mut buffer[shift..]).0);
            assert!(buffer.iter().enumerate().all(|(i, &byte)| byte == i as u8));
        }
        prefer_huge_pages::<u32>(&mut []);
    }
}

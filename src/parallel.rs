//! Doing the same to several blocks at once. Results keep the order of their inputs, so that no
//! byte depends on the number of threads.

use crate::error::Result;
#[cfg(feature = "parallel")]
use rayon::prelude::*;
use std::cell::Cell;

thread_local! {
    /// Whether this thread was asked to do everything itself.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Threads that [`map`] uses.
pub(crate) fn n_threads() -> usize {
    #[cfg(feature = "parallel")]
    if !ALONE.get() {
        return rayon::current_num_threads();
    }
    1
}

/// Blocks that are worked on before what came of them is taken: so many that threads seldom wait for the
/// last one, and few enough to be in memory.
pub(crate) fn batch() -> usize {
    match n_threads() {
        1 => 1,
        n => n.saturating_mul(8),
    }
}

/// `f` of every item, in order.
pub(crate) fn map<'i, T: Sync, R: Send>(
    items: &'i [T],
    f: impl Fn(&'i T) -> R + Sync + Send,
) -> Vec<R> {
    #[cfg(feature = "parallel")]
    if items.len() > 1 && n_threads() > 1 {
        return items.par_iter().map(f).collect();
    }
    items.iter().map(f).collect()
}

/// As [`map`], for work on an item that is too little for a thread to be asked.
pub(crate) fn map_chunks<T: Sync, R: Send>(
    items: &[T],
    f: impl Fn(&T) -> R + Sync + Send,
) -> Vec<R> {
    const CHUNK: usize = 256;
    #[cfg(feature = "parallel")]
    if items.len() > CHUNK && n_threads() > 1 {
        return items.par_iter().with_min_len(CHUNK).map(f).collect();
    }
    let _ = CHUNK;
    items.iter().map(f).collect()
}

/// Does `f` to every item; the first error, in the order of the items, wins.
pub(crate) fn try_for_each<T: Send>(
    items: Vec<T>,
    f: impl Fn(T) -> Result<()> + Sync + Send,
) -> Result<()> {
    #[cfg(feature = "parallel")]
    if items.len() > 1 && n_threads() > 1 {
        let results: Vec<Result<()>> = items.into_par_iter().map(f).collect();
        return results.into_iter().collect();
    }
    items.into_iter().try_for_each(f)
}

/// Runs `work` with [`map`] on `threads` threads; 0 is one for each processor, or what the caller's
/// rayon pool has.
///
/// Without the feature `parallel` there is always one.
pub(crate) fn with_threads<R: Send>(
    threads: usize,
    work: impl FnOnce() -> Result<R> + Send,
) -> Result<R> {
    if threads == 1 {
        let before = ALONE.replace(true);
        // Put back also when the work panics.
        struct PutBack(bool);
        impl Drop for PutBack {
            fn drop(&mut self) {
                ALONE.set(self.0);
            }
        }
        let _put_back = PutBack(before);
        return work();
    }
    #[cfg(feature = "parallel")]
    if threads > 1 {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|e| crate::Error::io("cannot start threads", std::io::Error::other(e)))?;
        return pool.install(work);
    }
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_is_the_callers_own() {
        let caller = std::thread::current().id();
        let items: Vec<u32> = (0..1000).collect();
        with_threads(1, || {
            assert_eq!(n_threads(), 1);
            let threads = map(&items, |_| std::thread::current().id());
            assert!(threads.iter().all(|&thread| thread == caller));
            Ok(())
        })
        .unwrap();
        assert!(!ALONE.get());
    }

    #[test]
    fn results_are_in_order_whatever_the_number_of_threads() {
        let items: Vec<u32> = (0..1000).collect();
        for threads in [0, 1, 2, 5] {
            let doubled = with_threads(threads, || Ok(map(&items, |i| 2 * i))).unwrap();
            assert!(doubled.iter().zip(&items).all(|(d, i)| *d == 2 * i));
            assert_eq!(
                with_threads(threads, || Ok(map_chunks(&items, |i| 2 * i))).unwrap(),
                doubled
            );
        }
    }
}

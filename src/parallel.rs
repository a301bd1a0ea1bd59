//! Doing the same to several blocks at once. Results keep the order of their inputs, so that no
//! byte depends on the number of threads.

use crate::error::Result;
#[cfg(feature = "parallel")]
use rayon::ThreadPool;
#[cfg(feature = "parallel")]
use rayon::prelude::*;
use std::cell::Cell;
#[cfg(feature = "parallel")]
use std::sync::{Arc, Mutex, PoisonError};

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
/// last one, and few enough for twice as many to be in memory.
pub(crate) fn batch() -> usize {
    match n_threads() {
        1 => 1,
        n => n.saturating_mul(16),
    }
}

/// `f` of every item, in order.
pub(crate) fn map<'i, T: Sync, R: Send>(
    items: &'i [T],
    f: impl Fn(&'i T) -> R + Sync + Send,
) -> Vec<R> {
    #[cfg(feature = "parallel")]
    if items.len() > 1 && n_threads() > 1 {
        return items.par_iter().with_max_len(1).map(f).collect();
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

/// What `one` and `other` come to, which have to do with `n` elements: at the same time, where that is enough for
/// another thread to be asked.
pub(crate) fn both<A: Send, B: Send>(
    n: usize,
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    const ENOUGH: usize = 1 << 14;
    #[cfg(feature = "parallel")]
    if n >= ENOUGH && n_threads() > 1 {
        return rayon::join(one, other);
    }
    let _ = (n, ENOUGH);
    (one(), other())
}

/// Does `work` to one batch after the other, and `take`s what came of each, in order, while other threads do the
/// next one; `take` is only called by this thread. The first error ends it.
pub(crate) fn in_turn<B: Send, R: Send, E>(
    mut batches: impl Iterator<Item = B>,
    work: impl Fn(B) -> R + Sync,
    mut take: impl FnMut(R) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let mut done = batches.next().map(&work);
    while let Some(results) = done {
        let Some(next) = batches.next() else {
            return take(results);
        };
        let mut coming = None;
        beside(|| coming = Some(work(next)), || take(results))?;
        done = coming;
    }
    Ok(())
}

/// Does `here` on this thread, and `elsewhere` on another one at the same time, if there is one.
fn beside<R>(elsewhere: impl FnOnce() + Send, here: impl FnOnce() -> R) -> R {
    #[cfg(feature = "parallel")]
    if n_threads() > 1 {
        return rayon::in_place_scope(|scope| {
            scope.spawn(|_| elsewhere());
            here()
        });
    }
    elsewhere();
    here()
}

/// Does `f` to every item; the first error, in the order of the items, wins.
pub(crate) fn try_for_each<T: Send>(
    items: Vec<T>,
    f: impl Fn(T) -> Result<()> + Sync + Send,
) -> Result<()> {
    #[cfg(feature = "parallel")]
    if items.len() > 1 && n_threads() > 1 {
        let results: Vec<Result<()>> = items.into_par_iter().with_max_len(1).map(f).collect();
        return results.into_iter().collect();
    }
    items.into_iter().try_for_each(f)
}

/// A pool of so many threads: that of the last call, if it had as many. Starting them takes longer than a small
/// tensor, and what they have allocated before need not be mapped again.
#[cfg(feature = "parallel")]
fn pool(threads: usize) -> Result<Arc<ThreadPool>> {
    static LAST: Mutex<Option<(u32, usize, Arc<ThreadPool>)>> = Mutex::new(None);
    let process = std::process::id();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((of_process, n, pool)) = &*last
        && (*of_process, *n) == (process, threads)
    {
        return Ok(pool.clone());
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| crate::Error::io("cannot start threads", std::io::Error::other(e)))?;
    let pool = Arc::new(pool);
    let before = last.replace((process, threads, pool.clone()));
    // What a fork copied of a pool has no threads that could end.
    if let Some(copied) = before.filter(|(of_process, ..)| *of_process != process) {
        std::mem::forget(copied);
    }
    Ok(pool)
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
        return pool(threads)?.install(work);
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
    #[cfg(feature = "parallel")]
    fn there_are_as_many_threads_as_were_asked_for() {
        for threads in [2, 5, 5, 2, 3] {
            assert_eq!(with_threads(threads, || Ok(n_threads())).unwrap(), threads);
        }
    }

    #[test]
    fn both_are_done() {
        for threads in [1, 2] {
            let sums = with_threads(threads, || Ok(both(1 << 20, || 1 + 2, || "ab".len())));
            assert_eq!(sums.unwrap(), (3, 2));
        }
    }

    #[test]
    fn what_comes_of_batches_is_taken_in_order_by_the_caller() {
        let items: Vec<u32> = (0..100).collect();
        for threads in [1, 2, 5] {
            with_threads(threads, || {
                let caller = std::thread::current().id();
                let mut all = vec![];
                let work = |batch: &[u32]| batch.iter().map(|i| 2 * i).collect::<Vec<_>>();
                let taken = in_turn(items.chunks(7), work, |doubled| {
                    assert_eq!(std::thread::current().id(), caller);
                    all.extend(doubled);
                    if all.len() < 50 {
                        Ok(())
                    } else {
                        Err(all.len())
                    }
                });
                assert_eq!(taken, Err(56));
                assert!(all.iter().zip(&items).all(|(d, i)| *d == 2 * i));
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(in_turn([0u8; 0].iter(), |_| (), |()| Err(())), Ok(()));
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

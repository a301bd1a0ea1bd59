//! Doing the same to several blocks at once. Results keep the order of their inputs, so that no
//! byte depends on the number of threads.

use crate::error::Result;

/// Threads that [`map`] uses.
pub(crate) fn n_threads() -> usize {
    #[cfg(feature = "parallel")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "parallel"))]
    return 1;
}

/// `f` of every item, in order.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
    #[cfg(feature = "parallel")]
    if items.len() > 1 && n_threads() > 1 {
        use rayon::prelude::*;
        return items.par_iter().map(f).collect();
    }
    items.iter().map(f).collect()
}

/// As [`map`], for work on an item that is too little for a thread to be asked.
pub(crate) fn map_chunks<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
    const CHUNK: usize = 256;
    #[cfg(feature = "parallel")]
    if items.len() > CHUNK && n_threads() > 1 {
        use rayon::prelude::*;
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
        use rayon::prelude::*;
        let results: Vec<Result<()>> = items.into_par_iter().map(f).collect();
        return results.into_iter().collect();
    }
    items.into_iter().try_for_each(f)
}

/// Runs `work` with [`map`] on `threads` threads; 0 is one for each processor.
///
/// Without the feature `parallel` there is always one.
pub(crate) fn with_threads<R: Send>(
    threads: usize,
    work: impl FnOnce() -> Result<R> + Send,
) -> Result<R> {
    #[cfg(feature = "parallel")]
    {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|e| crate::Error::io("cannot start threads", std::io::Error::other(e)))?;
        pool.install(work)
    }
    #[cfg(not(feature = "parallel"))]
    {
        let _ = threads;
        work()
    }
}

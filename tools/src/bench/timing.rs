//! Times of work, each beside those of a memcpy of as many bytes that was timed in turn with it: on a
//! machine that does other things too, what the two have in common falls out of their ratio.

use memmap2::MmapMut;
use serde::Serialize;
use std::hint::black_box;
use std::time::Instant;
use tfzip::{Error, Result};

/// Work that takes less than this is done several times for each time that is taken.
const SHORTEST_SECONDS: f64 = 2e-3;

/// Most times that it is.
const MOST_REPETITIONS: f64 = 1000.0;

/// How often work is timed.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// At least so often.
    pub runs: usize,
    /// And until so many seconds have passed.
    pub seconds: f64,
}

/// Times of some work.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// How many times were taken.
    pub runs: usize,
    /// What the work took.
    pub seconds: Spread,
    /// What a memcpy of as many bytes took.
    pub memcpy_seconds: Spread,
    /// Speed of the work as a share of the memcpy's: medians.
    pub of_memcpy: f64,
}

/// The quartiles of some numbers, and both ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// A quarter is smaller.
    pub q1: f64,
    /// Half is smaller.
    pub median: f64,
    /// A quarter is larger.
    pub q3: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of at least one number.
    fn of(mut numbers: Vec<f64>) -> Self {
        numbers.sort_by(f64::total_cmp);
        let at = |quarters: usize| {
            // Between the two neighbours, where there is none.
            let place = quarters as f64 / 4.0 * (numbers.len() - 1) as f64;
            let (low, high) = (
                numbers[place.floor() as usize],
                numbers[place.ceil() as usize],
            );
            low + (high - low) * place.fract()
        };
        Self {
            min: at(0),
            q1: at(1),
            median: at(2),
            q3: at(3),
            max: at(4),
        }
    }
}

impl Budget {
    /// Times `work` on the buffer `out`, which is the same each time and is there already; as is
    /// what the memcpy from `source` writes.
    ///
    /// # Errors
    /// What `work` returns.
    pub fn warm(
        self,
        out: &mut [u8],
        source: &[u8],
        mut work: impl FnMut(&mut [u8]) -> Result<()>,
    ) -> Result<Timing> {
        let copy = |out: &mut [u8]| {
            black_box(&mut *out).copy_from_slice(black_box(source));
            Ok(())
        };
        let (once, ()) = timed(|| work(out))?;
        let n = repetitions(once);
        copy(out)?;
        let (once, ()) = timed(|| copy(out))?;
        let n_copies = repetitions(once);
        self.take(|| {
            let (copied, ()) = timed(|| (0..n_copies).try_for_each(|_| copy(out)))?;
            let (worked, ()) = timed(|| (0..n).try_for_each(|_| work(out)))?;
            Ok([worked / n as f64, copied / n_copies as f64])
        })
    }

    /// Times `work` on a buffer that nobody has touched before, like that of the memcpy from
    /// `source`, after `prepare`.
    ///
    /// # Errors
    /// What `prepare` and `work` return; `Io` if there is no memory.
    pub fn cold(
        self,
        source: &[u8],
        mut prepare: impl FnMut() -> Result<()>,
        mut work: impl FnMut(&mut [u8]) -> Result<()>,
    ) -> Result<Timing> {
        // A map, because an allocator may give back memory that was in use before. Making it counts,
        // giving it back doesn't.
        let fresh = || {
            MmapMut::map_anon(source.len())
                .map_err(|e| Error::io(format!("no memory for {} bytes", source.len()), e))
        };
        self.take(|| {
            let (copied, _) = timed(|| {
                let mut out = fresh()?;
                black_box(&mut out[..]).copy_from_slice(source);
                Ok(out)
            })?;
            prepare()?;
            let (worked, _) = timed(|| {
                let mut out = fresh()?;
                work(&mut out)?;
                Ok(out)
            })?;
            Ok([worked, copied])
        })
    }

    /// Takes as many times of work and memcpy as it says.
    fn take(self, mut both: impl FnMut() -> Result<[f64; 2]>) -> Result<Timing> {
        let start = Instant::now();
        let (mut work, mut memcpy) = (Vec::new(), Vec::new());
        while work.len() < self.runs.max(1) || start.elapsed().as_secs_f64() < self.seconds {
            let [worked, copied] = both()?;
            work.push(worked);
            memcpy.push(copied);
        }
        let runs = work.len();
        let (seconds, memcpy_seconds) = (Spread::of(work), Spread::of(memcpy));
        Ok(Timing {
            runs,
            seconds,
            memcpy_seconds,
            of_memcpy: memcpy_seconds.median / seconds.median,
        })
    }
}

/// Seconds that `work` took; what it made lives on until they have been taken.
fn timed<R>(work: impl FnOnce() -> Result<R>) -> Result<(f64, R)> {
    let start = Instant::now();
    let made = work()?;
    // A clock that stands still must not make speeds infinite.
    Ok((start.elapsed().as_secs_f64().max(1e-9), made))
}

fn repetitions(seconds: f64) -> usize {
    (SHORTEST_SECONDS / seconds).clamp(1.0, MOST_REPETITIONS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_neighbours() {
        let spread = Spread::of(vec![4.0, 1.0, 2.0, 3.0, 9.0]);
        let found = [spread.min, spread.q1, spread.median, spread.q3, spread.max];
        assert_eq!(found, [1.0, 2.0, 3.0, 4.0, 9.0]);
        let spread = Spread::of(vec![2.0, 1.0]);
        assert_eq!((spread.q1, spread.median, spread.q3), (1.25, 1.5, 1.75));
        let spread = Spread::of(vec![7.0]);
        assert_eq!((spread.min, spread.median, spread.max), (7.0, 7.0, 7.0));
    }

    #[test]
    fn work_is_timed_as_often_as_asked() {
        let source = vec![1; 100];
        let mut out = vec![0; 100];
        let budget = Budget {
            runs: 3,
            seconds: 0.0,
        };
        let timing = budget
            .warm(&mut out, &source, |out| {
                out.fill(7);
                Ok(())
            })
            .unwrap();
        assert_eq!(timing.runs, 3);
        assert_eq!(out, [7; 100]);
        let mut order = Vec::new();
        let order = std::cell::RefCell::new(&mut order);
        let timing = budget
            .cold(
                &source,
                || {
                    order.borrow_mut().push("prepare");
                    Ok(())
                },
                |out| {
                    assert!(out == [0; 100]);
                    out.fill(7);
                    order.borrow_mut().push("work");
                    Ok(())
                },
            )
            .unwrap();
        assert_eq!(timing.runs, 3);
        assert_eq!(**order.borrow(), ["prepare", "work"].repeat(3));
        assert!(timing.seconds.min > 0.0 && timing.memcpy_seconds.min > 0.0);
    }

    #[test]
    fn a_failure_ends_it() {
        let budget = Budget {
            runs: 2,
            seconds: 0.0,
        };
        let fail = || Error::new(tfzip::ErrorKind::Corrupt, "no");
        assert!(budget.warm(&mut [0], &[0], |_| Err(fail())).is_err());
        assert!(budget.cold(&[0], || Err(fail()), |_| Ok(())).is_err());
    }
}

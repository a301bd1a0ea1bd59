//! Telling a caller how far long work is.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The model file is encoded.
    Packing,
    /// The payloads of an archive are decoded and encoded again.
    Repacking,
    /// What was written is decoded and its hash compared.
    Proving,
    /// The model file is restored.
    Unpacking,
}

/// A function that is called now and then with the phase, the bytes done and the bytes in all.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(Phase, u64, u64) + Send + Sync>);

impl Progress {
    /// Calls `f` as the work goes on.
    pub fn new(f: impl Fn(Phase, u64, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(f))
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// Counts bytes on their way to nowhere or, by [`through`](Self::through), to another writer.
pub(crate) struct Meter<'a> {
    progress: Option<&'a Progress>,
    phase: Phase,
    done: u64,
    total: u64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(progress: Option<&'a Progress>, phase: Phase, total: u64) -> Self {
        Self {
            progress,
            phase,
            done: 0,
            total,
        }
    }

    pub(crate) fn add(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
        if let Some(Progress(f)) = self.progress {
            f(self.phase, self.done, self.total);
        }
    }

    /// A writer that counts what goes through it to `out`.
    pub(crate) fn through<W: Write>(self, out: W) -> Metered<'a, W> {
        Metered { meter: self, out }
    }
}

impl Write for Meter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// See [`Meter::through`].
pub(crate) struct Metered<'a, W> {
    meter: Meter<'a>,
    out: W,
}

impl<W: Write> Write for Metered<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.meter.add(n as u64);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

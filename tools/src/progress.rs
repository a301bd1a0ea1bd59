//! Progress on stderr: only on a terminal, only for work that takes a moment.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;
use tfzip::{Phase, Progress};

/// Work that is done before this has passed shows no bar.
const DELAY: Duration = Duration::from_millis(500);

const REDRAW: Duration = Duration::from_millis(100);

/// A bar that may be seen; a spinner until it has been [`set`](Self::set).
#[derive(Clone)]
pub struct Bar(ProgressBar);

impl Bar {
    /// Shows how far the work called `label` is, in bytes.
    pub fn set(&self, label: &'static str, done: u64, total: u64) {
        if self.0.length() != Some(total) || self.0.message() != label {
            self.0.set_length(total);
            self.0.set_message(label);
            self.0.set_style(style(
                "{msg} [{bar:32}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            ));
            self.0.reset();
        }
        self.0.set_position(done);
    }

    /// What the library calls to move the bar.
    pub fn callback(&self) -> Progress {
        let bar = self.clone();
        Progress::new(move |phase, done, total| {
            let label = match phase {
                Phase::Packing => "packing",
                Phase::Repacking => "repacking",
                Phase::Proving => "proving",
                Phase::Unpacking => "unpacking",
                _ => "working",
            };
            bar.set(label, done, total);
        })
    }
}

/// Does `work` with a bar that is gone afterwards; `label` stands beside it until it is set.
pub fn during<R>(quiet: bool, label: &'static str, work: impl FnOnce(&Bar) -> R) -> R {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        .with_style(style("{spinner} {msg} {elapsed}"))
        .with_message(label);
    if !quiet && io::stderr().is_terminal() {
        let bar = bar.downgrade();
        thread::spawn(move || {
            thread::sleep(DELAY);
            if let Some(bar) = bar.upgrade().filter(|bar| !bar.is_finished()) {
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(REDRAW);
            }
        });
    }
    let result = work(&Bar(bar.clone()));
    bar.finish_and_clear();
    result
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the templates are in this file")
        .progress_chars("=> ")
}

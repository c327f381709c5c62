//! Progress on standard error: a bar on a terminal, or one JSON object a line.

use super::args::{Common, ProgressChoice};
use crate::bytes::{printable, printable_json};
use crate::prepare::copy::Progress;
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Milliseconds between two lines of JSON, at least.
const JSON_EVERY: u64 = 200;

/// Progress of files that are worked on at the same time: their bars stand below each other, in one column.
#[derive(Debug)]
pub(super) struct Bars {
    how: How,
    /// Characters of the longest name.
    widest: usize,
}

/// How progress is shown.
#[derive(Debug)]
enum How {
    Silent,
    Bars(MultiProgress),
    Json,
}

impl Bars {
    /// For files of these names.
    pub(super) fn new<'a>(common: &Common, names: impl Iterator<Item = &'a str>) -> Self {
        let how = match common.progress {
            ProgressChoice::Json => How::Json,
            ProgressChoice::Auto if io::stderr().is_terminal() && !common.quiet => {
                How::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr()))
            }
            ProgressChoice::Auto | ProgressChoice::None => How::Silent,
        };
        Self { how, widest: names.map(|name| printable(name).chars().count()).max().unwrap_or(0) }
    }
}

/// Progress of one file.
#[derive(Debug)]
pub(super) enum Shown {
    /// Nothing.
    Silent,
    /// A bar, and the bytes that were skipped as empty.
    Bar(ProgressBar, AtomicU64),
    /// Lines.
    Json(Lines),
}

/// Progress as lines of JSON.
#[derive(Debug)]
pub(super) struct Lines {
    event: &'static str,
    file: String,
    total: u64,
    done: AtomicU64,
    skipped: AtomicU64,
    started: Instant,
    /// Milliseconds after the start at which the last line was written.
    last: AtomicU64,
}

impl Shown {
    /// Progress of `event` ("write", "verify") on a file of `total` bytes.
    pub(super) fn new(bars: &Bars, event: &'static str, file: &str, total: u64) -> Self {
        match &bars.how {
            How::Json => Self::Json(Lines {
                event,
                file: file.to_owned(),
                total,
                done: AtomicU64::new(0),
                skipped: AtomicU64::new(0),
                started: Instant::now(),
                last: AtomicU64::new(0),
            }),
            How::Bars(all) => {
                let style =
                    ProgressStyle::with_template("{msg} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} {prefix} empty {eta} left");
                let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
                let bar = all.add(ProgressBar::new(total).with_style(style));
                let widest = bars.widest;
                bar.set_message(format!("{event} {:<widest$}", printable(file)));
                Self::Bar(bar, AtomicU64::new(0))
            }
            How::Silent => Self::Silent,
        }
    }

    /// Takes the bar away, or writes the last line.
    pub(super) fn finish(&self, bars: &Bars) {
        match self {
            Self::Silent => {}
            Self::Bar(bar, _) => {
                bar.finish_and_clear();
                if let How::Bars(all) = &bars.how {
                    all.remove(bar);
                }
            }
            Self::Json(lines) => lines.write(true),
        }
    }
}

impl Progress for Shown {
    fn advance(&self, data: u64, skipped: u64) {
        match self {
            Self::Silent => {}
            Self::Bar(bar, empty) => {
                let empty = empty.fetch_add(skipped, Ordering::Relaxed).saturating_add(skipped);
                bar.set_prefix(HumanBytes(empty).to_string());
                bar.inc(data.saturating_add(skipped));
            }
            Self::Json(lines) => {
                lines.done.fetch_add(data.saturating_add(skipped), Ordering::Relaxed);
                lines.skipped.fetch_add(skipped, Ordering::Relaxed);
                lines.write(false);
            }
        }
    }
}

impl Lines {
    fn write(&self, last: bool) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if !last && now.saturating_sub(self.last.load(Ordering::Relaxed)) < JSON_EVERY {
            return;
        }
        self.last.store(now, Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed);
        let rate = done.saturating_mul(1000).checked_div(now).unwrap_or_default();
        let line = json!({
            "event": self.event,
            "file": self.file,
            "done_bytes": done,
            "total_bytes": self.total,
            "skipped_bytes": self.skipped.load(Ordering::Relaxed),
            "bytes_per_second": rate,
            "seconds_left": self.total.saturating_sub(done).checked_div(rate),
        });
        // Progress that nobody can read is no reason to stop the work.
        writeln!(io::stderr().lock(), "{}", printable_json(&line.to_string())).ok();
    }
}

//! SIGINT, SIGTERM and SIGHUP.
//!
//! A command that only reads ends at once. One that writes is told to stop, cleans up, and ends with the same status; a second signal
//! ends it at once all the same.

use super::Status;
use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

struct Signals {
    /// Whether the next signal ends the process at once.
    at_once: Arc<AtomicBool>,
    /// Whether somebody asked to stop.
    stop: Arc<AtomicBool>,
    /// The last signal's number.
    number: Arc<AtomicUsize>,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

/// Installs the handlers, once for the process.
pub(super) fn install() -> anyhow::Result<()> {
    let signals =
        Signals { at_once: Arc::new(AtomicBool::new(true)), stop: Arc::new(AtomicBool::new(false)), number: Arc::new(AtomicUsize::new(0)) };
    for (signal, number) in asking_to_stop() {
        let status = i32::from(Status::Interrupted(number).code());
        // Actions run in this order: the first looks at what the last one sets.
        flag::register_conditional_shutdown(signal, status, signals.at_once.clone()).context("cannot handle signals")?;
        flag::register_usize(signal, signals.number.clone(), usize::from(number)).context("cannot handle signals")?;
        flag::register(signal, signals.stop.clone()).context("cannot handle signals")?;
        flag::register(signal, signals.at_once.clone()).context("cannot handle signals")?;
    }
    // A file size limit is to be an error of the write, not the end of the process.
    #[cfg(unix)]
    flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false))).context("cannot handle signals")?;
    SIGNALS.get_or_init(|| signals);
    Ok(())
}

/// Signals that ask to stop, with their numbers.
fn asking_to_stop() -> Vec<(i32, u8)> {
    let mut signals = vec![(SIGINT, 2), (SIGTERM, 15)];
    // The terminal goes away. Under nohup it may.
    #[cfg(unix)]
    if !is_hangup_ignored() {
        signals.push((signal_hook::consts::SIGHUP, 1));
    }
    signals
}

/// Whether who started us wants us to outlive the terminal. Only Linux tells without changing it.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

/// From here on a signal is a request: the flag that asks to stop.
pub(super) fn defer() -> Arc<AtomicBool> {
    match SIGNALS.get() {
        Some(signals) => {
            signals.at_once.store(false, Ordering::SeqCst);
            signals.stop.clone()
        }
        None => Arc::default(),
    }
}

/// From here on a signal ends the process at once again.
pub(super) fn at_once() {
    if let Some(signals) = SIGNALS.get() {
        signals.at_once.store(true, Ordering::SeqCst);
    }
}

/// The status of a run that was asked to stop.
pub(super) fn status() -> Status {
    let number = SIGNALS.get().map_or(0, |signals| signals.number.load(Ordering::SeqCst));
    Status::Interrupted(u8::try_from(number).ok().filter(|number| *number > 0).unwrap_or(2))
}

//! Exit statuses.

use crate::rules::Verdict;
use std::process::ExitCode;

/// How a run ended; greater is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// 0: asked and answered; ready, everything decided.
    Ready,
    /// 1: not ready, or an error rule is undecided.
    NotReady,
    /// 2: it could not be done.
    Failed,
    /// 128 and the signal: interrupted, with nothing left behind.
    Interrupted(u8),
}

impl Status {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ready => 0,
            Self::NotReady => 1,
            Self::Failed => 2,
            Self::Interrupted(signal) => 128_u8.saturating_add(signal),
        }
    }
}

impl From<Verdict> for Status {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Ready => Self::Ready,
            Verdict::Undecided | Verdict::NotReady => Self::NotReady,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
}

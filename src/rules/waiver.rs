//! What was accepted beforehand.

use serde::Serialize;

/// A finding of this rule is accepted, and does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiver {
    /// The rule's code.
    pub code: String,
    /// Why.
    pub reason: String,
    /// The last day on which it holds: `2026-12-31`.
    pub expires: Option<String>,
    /// Whether it holds.
    pub state: WaiverState,
    /// File and line where it stands; `None` for the command line.
    pub source: Option<String>,
}

/// Whether a waiver holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WaiverState {
    /// It does.
    Active,
    /// Its last day has passed: findings count again.
    Expired,
}

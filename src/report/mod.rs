//! Telling it: one value, several tongues. A renderer is pure and total; it shows everything that it is given and filters nothing.

pub mod json;
pub mod junit;
pub mod markdown;
pub mod sarif;
pub mod text;

use crate::facts::DiskFacts;
use crate::prepare::{Manifest, Plan};
use crate::rules::{Found, Outcomes, Target, Verdict, Waiver};

/// How text should look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Whether to colour.
    pub color: bool,
    /// Columns to fit into.
    pub width: usize,
    /// Whether to show what is left out otherwise.
    pub verbose: bool,
}

/// Disks with the answers of all rules.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// The disks, in the order given.
    pub disks: &'a [&'a DiskFacts],
    /// What the rules said.
    pub outcomes: &'a Outcomes,
    /// What was asked.
    pub target: &'a Target,
    /// `os-image` or `vm-image`, where the disks are one image.
    pub image: Option<&'static str>,
    /// LUNs of the disks, in their order; empty where they are no image.
    pub luns: &'a [Option<u8>],
}

impl Checked<'_> {
    /// The verdict on everything.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.outcomes.verdict(self.target, None)
    }
}

/// A disk that could not be opened, and so is in no verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unopened {
    /// Its path, as given.
    pub path: String,
    /// Why: one sentence that names the path.
    pub reason: String,
}

/// A waiver that has expired, in a sentence.
fn waiver_told(waiver: &Waiver) -> String {
    let Waiver { code, reason, .. } = waiver;
    let day = waiver.expires.as_ref().map(|day| format!(" on {day}")).unwrap_or_default();
    let stands = waiver.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
    format!("the waiver of {code} expired{day}, and its findings count again; its reason was: {reason}{stands}")
}

/// One disk on its way to being written.
#[derive(Debug)]
pub struct Planned<'a> {
    /// Its source.
    pub source: &'a DiskFacts,
    /// Path of its output.
    pub output: String,
    /// What is to be done; `None` where no plan can be made.
    pub plan: Option<&'a Plan>,
}

/// How far `prepare` came.
#[derive(Debug)]
pub enum Stage<'a> {
    /// Only asked what would be done.
    DryRun,
    /// Findings that only a person can cure stand in the way, in the order to cure them.
    Blocked(Vec<&'a Found>),
    /// An error rule is undecided, and that was not accepted.
    Undecided,
    /// The plan would not cure the image: the findings on the planned disks.
    NotCured(&'a Checked<'a>),
    /// Written, with its manifest.
    Written {
        /// What was published.
        manifest: &'a Manifest,
        /// Into which directory.
        directory: String,
        /// Bytes that were skipped as empty.
        skipped: u64,
    },
}

/// A run of `prepare`.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// The verdict on the sources.
    pub checked: Checked<'a>,
    /// The disks.
    pub disks: Vec<Planned<'a>>,
    /// How far it came.
    pub stage: Stage<'a>,
}

/// A run of `verify`.
#[derive(Debug)]
pub struct VerifiedImage<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// The disks that are there, with the answers of all rules.
    pub checked: Checked<'a>,
    /// Differences from the manifest, each a sentence that names its file.
    pub mismatches: Vec<String>,
    /// Digests that agree: file and digest's name.
    pub digests: Vec<(String, &'static str)>,
}

impl VerifiedImage<'_> {
    /// Whether all that is undecided was accepted so when the image was prepared.
    #[must_use]
    pub fn undecided_as_accepted(&self) -> bool {
        self.checked.outcomes.undecided_errors().all(|outcome| self.manifest.undecided.iter().any(|code| code == outcome.rule.code))
    }
}

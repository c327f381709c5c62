//! Telling it: one value, several tongues. A renderer is pure and total; it shows everything that it is given and filters nothing.

pub mod json;
pub mod junit;
pub mod markdown;
pub mod sarif;
pub mod text;

use crate::facts::DiskFacts;
use crate::generalize::{self, Planned as PlannedChanges, Wishes};
use crate::prepare::{Manifest, Plan};
use crate::rules::{Found, Outcomes, Target, Verdict, Waiver};
use crate::trim::Trimmed;

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

/// How many disks came to which verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Ready.
    pub ready: usize,
    /// Not ready.
    pub not_ready: usize,
    /// Undecided.
    pub undecided: usize,
    /// Not opened, and so in no verdict.
    pub unreadable: usize,
}

impl Summary {
    /// Of disks that were judged.
    #[must_use]
    pub fn of(checked: &Checked<'_>) -> Self {
        let mut summary = Self::default();
        (0..checked.disks.len()).for_each(|place| summary.add(checked.outcomes.verdict(checked.target, Some(place))));
        summary
    }

    /// Counts one more verdict.
    pub fn add(&mut self, verdict: Verdict) {
        let number = match verdict {
            Verdict::Ready => &mut self.ready,
            Verdict::NotReady => &mut self.not_ready,
            Verdict::Undecided => &mut self.undecided,
        };
        *number = number.saturating_add(1);
    }

    /// All disks.
    #[must_use]
    pub fn disks(&self) -> usize {
        [self.ready, self.not_ready, self.undecided, self.unreadable].into_iter().fold(0, usize::saturating_add)
    }
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

/// What generalizing a disk comes to.
#[derive(Debug, Clone, Copy)]
pub struct Generalization<'a> {
    /// Path of the OS disk, as given.
    pub disk: &'a str,
    /// Its system in a few words, where one was found.
    pub system: Option<&'a str>,
    /// What its owner wants done.
    pub wishes: &'a Wishes,
    /// What changes, what is to be decided, what remains.
    pub planned: &'a PlannedChanges,
    /// Why it must be generalized in the guest, where it must.
    pub in_guest: Option<&'a InGuest>,
    /// Whether what is free is left out.
    pub trims: bool,
    /// The command that asked, word for word, for options to be added to.
    pub command: &'a [String],
}

/// Why a disk must be generalized in its running guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InGuest {
    /// Why, without a full stop.
    pub why: String,
    /// What to do there, in this order.
    pub steps: Vec<String>,
}

/// What generalizing comes to, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generalizable {
    /// All that was asked for can be done.
    Possible,
    /// Nothing is left to do.
    NothingToDo,
    /// Somebody must decide first.
    ToDecide,
    /// Only the running guest can do it.
    InGuest,
}

impl Generalizable {
    /// As documents have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::NothingToDo => "nothing_to_do",
            Self::ToDecide => "to_decide",
            Self::InGuest => "in_guest",
        }
    }

    /// Whether nothing stands in the way.
    #[must_use]
    pub fn goes(self) -> bool {
        matches!(self, Self::Possible | Self::NothingToDo)
    }
}

impl Generalization<'_> {
    /// What it comes to.
    #[must_use]
    pub fn verdict(&self) -> Generalizable {
        if self.in_guest.is_some() {
            Generalizable::InGuest
        } else if !self.planned.problems.is_empty() {
            Generalizable::ToDecide
        } else if self.planned.changes.is_empty() {
            Generalizable::NothingToDo
        } else {
            Generalizable::Possible
        }
    }

    /// The operations, each with whether it is asked for.
    fn operations(&self) -> impl Iterator<Item = (&'static generalize::Operation, bool)> {
        generalize::OPERATIONS.iter().map(|one| (*one, self.wishes.operations.contains(one.name)))
    }

    /// What one operation changes.
    fn changes<'c>(&'c self, operation: &'c str) -> impl Iterator<Item = &'c generalize::Change> {
        self.planned.changes.iter().filter(move |change| change.operation == operation)
    }
}

/// How far `prepare` came.
#[derive(Debug)]
pub enum Stage<'a> {
    /// Only asked what would be done.
    DryRun,
    /// The guest cannot be generalized as it was asked.
    NotGeneralized,
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
    /// What is done to make a template of the guest, where that was asked for.
    pub generalization: Option<Generalization<'a>>,
    /// What its file systems call free, where that is looked for.
    pub trimmed: &'a [Trimmed],
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

//! The rule book: what Azure demands, as pure functions of facts.
//!
//! A rule looks at one disk, or at an image of several, and ends in one of four ways: it passes, it has findings, it does not apply,
//! or it is undecided because a fact that it needs is unknown. `?` on [`Fact::known`](crate::facts::Fact::known) gives the last by itself.
//!
//! To add a rule, write one file with a `static RULE` beside its check function, and put it into the `RULES` of its folder; a test
//! refuses a rule that is in a file and not in the list. Codes are for ever: `VHD003` checks requirement `C-03`, `GEN005` requirement
//! `G-05`, `WIN016` requirement `W-16`, `LNX001` requirement `L-01`, `WGN001` and `LGN001` those of generalized guests (`WG-01`,
//! `LG-01`), `IMG008` requirement `M-08`; rules beyond a catalogue row count from 101.

pub mod azure;
mod boot;
mod container;
mod disk;
mod errors;
mod finding;
mod image;
mod judge;
mod linux;
mod registry;
mod shared;
mod source;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod unknowns;
mod waiver;
mod windows;
mod word;

pub use errors::{ERRORS, KnownError, errors, rules_saying};
pub use finding::{Finding, Need, Place, Remedy};
pub(crate) use image::{OFFLINE, generalize_windows};
pub use judge::{Found, Outcome, Outcomes, Verdict, judge};
pub(crate) use linux::generalize_steps::generalize_steps;
pub(crate) use linux::{Distribution, Guest, people, provisioner, template};
pub use registry::{ADVICE, Advice, Elsewhere, RULES, find, of_row};
pub use waiver::{Waiver, WaiverState};
pub(crate) use word::sh;

use crate::facts::{DiskFacts, Fact, Role, State, Unknown};
use serde::Serialize;
use std::collections::BTreeSet;

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// `VHD003`.
    pub code: &'static str,
    /// The problem in kebab-case: `size-not-whole-mib`.
    pub name: &'static str,
    /// Row of the requirement catalogue: `C-03`.
    pub requirement: &'static str,
    /// Other rows that it checks as well.
    pub also: &'static [&'static str],
    /// How heavy a finding is, in the profile `azure`.
    pub severity: Severity,
    /// How heavy it is in the profile `marketplace`, where certification takes it otherwise.
    pub marketplace: Option<Severity>,
    /// The profile from which on the rule is asked.
    pub profile: Profile,
    /// To which disks it applies, in words.
    pub applies_to: &'static str,
    /// The requirement in one sentence.
    pub summary: &'static str,
    /// The text that Azure shows, where it has one.
    pub azure_error: Option<&'static str>,
    /// Where the requirement stands: an address.
    pub source: &'static str,
    /// The rule's page in Markdown: what it checks, why it matters, how to fix it.
    pub docs: &'static str,
    /// The check.
    pub check: Check,
}

impl Rule {
    /// How heavy a finding is in a profile.
    #[must_use]
    pub fn severity_in(&self, profile: Profile) -> Severity {
        self.marketplace.filter(|_| profile == Profile::Marketplace).unwrap_or(self.severity)
    }

    /// What it concerns, by its code, in a word.
    #[must_use]
    pub fn family(&self) -> &'static str {
        match self.code.get(..3) {
            Some("GEN") => "boot",
            Some("WIN" | "WGN") => "windows",
            Some("LNX" | "LGN") => "linux",
            Some("IMG") => "image",
            _ => "container",
        }
    }

    /// Every row of the catalogue that it checks, its own first.
    pub fn rows(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.requirement).chain(self.also.iter().copied())
    }
}

/// What a check looks at.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// One disk at a time.
    Disk(fn(&Subject<'_>, &Target) -> Judgement),
    /// All disks of the image together.
    Image(fn(&[Subject<'_>], &Target) -> Judgement),
}

/// One disk, and what it is in the image.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// What is known about it.
    pub facts: &'a DiskFacts,
    /// The role to judge it by: as the user says, else as found.
    pub role: Fact<Role>,
    /// Its LUN, for a data disk of an image.
    pub lun: Option<u8>,
    /// Whether it is judged as part of an image with data disks.
    pub in_image: bool,
}

/// The question that is asked of the disks.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The state that the image is for; demands an OS disk.
    pub state: Option<State>,
    /// Which rules are asked.
    pub profile: Profile,
    /// The Hyper-V generation that it is for.
    pub generation: Option<u8>,
    /// The lowest severity that makes an image not ready.
    pub fail_on: Severity,
    /// Accounts that stay on a template because its owner says so; what is theirs is no leftover.
    pub kept: BTreeSet<String>,
}

impl Target {
    /// Whether an account stays knowingly.
    pub(in crate::rules) fn keeps(&self, account: &str) -> bool {
        self.kept.contains(account)
    }
}

/// `Ok` with no findings is a pass.
pub type Judgement = Result<Vec<Finding>, Skip>;

/// Why a rule gave no judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// The rule does not concern such a disk.
    NotApplicable(String),
    /// A fact that it needs is unknown.
    Undecided(String),
}

impl Skip {
    /// Not applicable, with the reason as a short clause.
    pub fn not_applicable(reason: impl Into<String>) -> Self {
        Self::NotApplicable(reason.into())
    }
}

impl From<Unknown> for Skip {
    fn from(unknown: Unknown) -> Self {
        Self::Undecided(unknown.0)
    }
}

/// How heavy a finding is. Heavier ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Works, but something will go wrong for somebody, or support refuses it.
    Warning,
    /// The upload, the boot, the provisioning or the connection fails.
    #[default]
    Error,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Rule sets; the second includes the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// What any VM in Azure needs.
    #[default]
    Azure,
    /// What Marketplace certification demands besides.
    Marketplace,
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Azure => "azure",
            Self::Marketplace => "marketplace",
        })
    }
}

impl Subject<'_> {
    /// Goes on only for a disk of the given role. A role that is not known leaves the rule undecided.
    ///
    /// # Errors
    ///
    /// [`Skip::NotApplicable`] for the other role, [`Skip::Undecided`] where the role is unknown.
    pub fn demand(&self, role: Role) -> Result<(), Skip> {
        match self.role.known()? {
            Some(found) if *found == role => Ok(()),
            _ => Err(Skip::not_applicable(match role {
                Role::Os => "not an OS disk",
                Role::Data => "not a data disk",
            })),
        }
    }
}

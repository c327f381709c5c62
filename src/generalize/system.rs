//! What an operation looks at.

use crate::facts::{DiskFacts, LinuxFacts, OsFacts};
use crate::fs::Tree;
use crate::rules::Distribution;
use std::collections::BTreeSet;

/// A Linux that is to become a template, and what its owner wants.
#[derive(Debug, Clone, Copy)]
pub struct System<'a> {
    /// Its files, as they are before anything is changed; what earlier operations plan is seen through [`Draft`](super::Draft) only.
    pub tree: &'a Tree,
    /// The operating system.
    pub os: &'a OsFacts,
    /// What is known of it, before anything is changed.
    pub linux: &'a LinuxFacts,
    /// Whose ways it follows.
    pub(crate) distribution: Distribution,
    /// What its owner wants.
    pub wishes: &'a Wishes,
    /// The disk that its root is on, where that is known; file systems are named by it.
    pub disk: Option<&'a DiskFacts>,
}

/// What the owner of a disk wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wishes {
    /// Names of the operations to do.
    pub operations: BTreeSet<String>,
    /// Accounts that stay as they are, every machine's owner knowing them.
    pub keep: BTreeSet<String>,
    /// Accounts to remove.
    pub remove: BTreeSet<String>,
}

impl Default for Wishes {
    /// Every operation that is done unless somebody says otherwise; no account named.
    fn default() -> Self {
        let operations = super::OPERATIONS.iter().filter(|one| one.default).map(|one| one.name.to_owned()).collect();
        Self { operations, keep: BTreeSet::new(), remove: BTreeSet::new() }
    }
}

impl<'a> System<'a> {
    /// A Linux with its facts; `None` where the facts are not those of a Linux.
    #[must_use]
    pub fn new(tree: &'a Tree, os: &'a OsFacts, wishes: &'a Wishes) -> Option<Self> {
        let linux = os.linux.value()?;
        Some(Self { tree, os, linux, distribution: Distribution::of(os), wishes, disk: None })
    }

    /// The same with the disk that its root is on.
    #[must_use]
    pub fn with_disk(self, disk: &'a DiskFacts) -> Self {
        Self { disk: Some(disk), ..self }
    }
}

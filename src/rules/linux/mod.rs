//! Rules about a Linux on the disk.

pub(in crate::rules) mod agents;
pub(in crate::rules) mod boot;
mod distribution;
pub(in crate::rules) mod generalize_steps;
pub(in crate::rules) mod leftovers;
pub(in crate::rules) mod network;
pub(crate) mod people;
pub(crate) mod provisioner;
pub(in crate::rules) mod storage;
pub(crate) mod template;

use super::{Skip, Subject};
use crate::facts::{LinuxFacts, OsFacts, Role};
pub(crate) use distribution::Distribution;

/// The Linux that a rule looks at.
#[derive(Clone, Copy)]
pub(crate) struct Guest<'a> {
    pub(crate) os: &'a OsFacts,
    pub(crate) linux: &'a LinuxFacts,
}

impl Guest<'_> {
    /// Whose commands the cure takes.
    pub(in crate::rules) fn distribution(&self) -> Distribution {
        Distribution::of(self.os)
    }
}

/// Goes on only for OS disks with a Linux.
pub(in crate::rules) fn guest<'a>(subject: &Subject<'a>) -> Result<Guest<'a>, Skip> {
    let none = || Skip::not_applicable("there is no Linux on it");
    // What is found comes before the role: no role is needed to see that there is no Linux.
    let os = subject.facts.os.known()?.ok_or_else(none)?;
    let linux = os.linux.known()?.ok_or_else(none)?;
    subject.demand(Role::Os)?;
    Ok(Guest { os, linux })
}

//! Rules about a Windows on the disk.

pub(in crate::rules) mod agent;
pub(in crate::rules) mod checks;
pub(in crate::rules) mod commands;
pub(in crate::rules) mod remote;
pub(in crate::rules) mod settings;
pub(in crate::rules) mod startup;
pub(in crate::rules) mod sysprep;

use super::{Skip, Subject};
use crate::facts::{OsFacts, Role, WindowsFacts};

/// The Windows that a rule looks at.
#[derive(Clone, Copy)]
pub(in crate::rules) struct Guest<'a> {
    pub(in crate::rules) os: &'a OsFacts,
    pub(in crate::rules) windows: &'a WindowsFacts,
}

/// Goes on only for OS disks with a Windows.
pub(in crate::rules) fn guest<'a>(subject: &Subject<'a>) -> Result<Guest<'a>, Skip> {
    let none = || Skip::not_applicable("there is no Windows on it");
    let os = subject.facts.os.known()?.ok_or_else(none)?;
    let windows = os.windows.known()?.ok_or_else(none)?;
    subject.demand(Role::Os)?;
    Ok(Guest { os, windows })
}

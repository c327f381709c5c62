//! Rules about what the image is for, and about its disks together.

use crate::facts::State;
use crate::rules::{Advice, Elsewhere, Rule, Skip, Subject, Target};
pub(crate) use state_mismatch::OFFLINE;

pub(in crate::rules) mod disk_identity;
mod expected;
pub(in crate::rules) mod file_system_identity;
pub(crate) mod generalize_windows;
pub(in crate::rules) mod luns;
pub(in crate::rules) mod no_operating_system;
pub(in crate::rules) mod second_system;
pub(in crate::rules) mod state_mismatch;
pub(in crate::rules) mod volume_groups;

/// The rules of this folder.
pub(super) static RULES: &[&Rule] = &[
    &no_operating_system::RULE,
    &luns::INVALID,
    &luns::GAPS,
    &state_mismatch::RULE,
    &second_system::RULE,
    &state_mismatch::INCONSISTENT,
    &second_system::ACTIVE,
    &disk_identity::RULE,
    &file_system_identity::MOUNTED,
    &file_system_identity::SHARED,
    &volume_groups::NEEDED,
    &volume_groups::OTHER,
    &volume_groups::INCOMPLETE,
];

/// Rows of the catalogue beside them that no rule checks.
pub(in crate::rules) static ADVICE: &[Advice] = &[
    ("M-05", Elsewhere::Recipe, "what a legacy managed image takes is a choice of the deployment; the recipe makes gallery versions"),
    (
        "M-06",
        Elsewhere::Recipe,
        "the definition in the gallery is not in the file; the recipe fills it in with what was found on the OS disk",
    ),
    ("M-07", Elsewhere::Recipe, "the recipe for a specialized image gives no name and no accounts; those on the disk stay"),
    ("M-09", Elsewhere::Nowhere, "a purchase plan is a property of the image in Azure, and leaves no mark on the disk"),
    (
        "M-10",
        Elsewhere::Recipe,
        "rights on a storage account are not in the file; the recipe uploads to managed disks, which needs none there",
    ),
    ("M-11", Elsewhere::Recipe, "how a disk is attached is a choice of the deployment; the recipe makes managed disks"),
    (
        "M-12",
        Elsewhere::Recipe,
        "the kind of managed disk is a choice of the deployment; the recipe makes OS disks of a kind that can be one",
    ),
    ("M-13", Elsewhere::Recipe, "caching is a property of the attachment; the recipe leaves it to Azure's defaults"),
    (
        "M-14",
        Elsewhere::Facts,
        "words only: reports and the manifest say os-image without data disks and vm-image with them, in either state",
    ),
    (
        "M-15",
        Elsewhere::Recipe,
        "whether an agent is on the disk is judged by rules of the guest; the recipe says when to deploy without one",
    ),
    ("M-16", Elsewhere::Nowhere, "which part of the Windows agent comes from the platform does not depend on the disk"),
    ("M-17", Elsewhere::Nowhere, "the platform's clock is the same for every disk; rules say what would let it run out"),
    (
        "X-06",
        Elsewhere::Recipe,
        "the disk boots in what it was made for; the recipe names the generation, which Azure otherwise takes for V1",
    ),
    ("X-07", Elsewhere::Nowhere, "how an archive was unpacked leaves no mark; holes of a file are kept by prepare, and zeros become holes"),
    ("X-08", Elsewhere::Nowhere, "how many machines are made from an image at one time is not in the file"),
    ("X-09", Elsewhere::Recipe, "extensions are asked for at deployment; the recipe says when to deploy without an agent"),
    (
        "X-11",
        Elsewhere::Recipe,
        "the disk controller of a machine is chosen when it is made; the definition in the gallery says what the disk can",
    ),
];

/// The state asked for; it is asked of the OS disk alone.
fn demand_state(subject: &Subject<'_>, target: &Target) -> Result<State, Skip> {
    if subject.lun.is_some() {
        return Err(Skip::not_applicable("a data disk of the image"));
    }
    target.state.ok_or_else(|| Skip::not_applicable("no state was asked for"))
}

/// Goes on only for several disks.
fn demand_several(subjects: &[Subject<'_>]) -> Result<(), Skip> {
    if subjects.len() > 1 { Ok(()) } else { Err(Skip::not_applicable("a single disk")) }
}

/// The disk from which the image starts.
fn os_disk<'a, 'b>(subjects: &'a [Subject<'b>]) -> Option<&'a Subject<'b>> {
    subjects.iter().find(|subject| subject.lun.is_none())
}

/// A disk as messages name it.
fn named(subject: &Subject<'_>) -> String {
    match subject.lun {
        Some(lun) => format!("'{}' (LUN {lun})", subject.facts.path),
        None => format!("'{}'", subject.facts.path),
    }
}

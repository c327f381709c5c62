//! Rules about a generalized Windows.

use crate::rules::{Advice, Rule};

pub(in crate::rules) mod answer_files;
pub(in crate::rules) mod failure;
pub(in crate::rules) mod half_installed;
pub(in crate::rules) mod image_state;
pub(in crate::rules) mod leftovers;
pub(in crate::rules) mod setup;

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[
    &half_installed::RULE,
    &answer_files::RULE,
    &answer_files::CUSTOM_DATA,
    &failure::APPX,
    &failure::OTHERS,
    &image_state::UNDEPLOYABLE,
    &image_state::AUDIT,
    &image_state::NOT_GENERALIZED,
    &image_state::WITNESSES,
    &setup::NOT_PENDING,
    &setup::PENDING,
    &setup::CHILDREN,
    &leftovers::STATUS,
    &leftovers::TAG,
    &leftovers::IDENTITY,
    &leftovers::REARM,
];

/// Rows of the catalogue beside them that no rule checks.
pub(in crate::rules) static ADVICE: &[Advice] = &[];

/// What Sysprep leaves for Azure.
const GENERALIZED: &str = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE";
/// What an installed machine has.
const COMPLETE: &str = "IMAGE_STATE_COMPLETE";
/// How a Windows is generalized for Azure.
const SYSPREP: &str = r"& $env:SystemRoot\System32\Sysprep\sysprep.exe /generalize /oobe /mode:vm /shutdown";

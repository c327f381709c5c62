//! Rules about the Azure VM agent, and about software that Azure does not support.

use crate::rules::Rule;

pub(in crate::rules) mod extensions;
pub(in crate::rules) mod installed;
pub(in crate::rules) mod unsupported;

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[
    &installed::MISSING,
    &installed::DISABLED,
    &installed::OLD,
    &extensions::RULE,
    &unsupported::ROLES,
    &unsupported::HYPER_V,
    &unsupported::SQL_SERVER,
];

//! Rules about the disk inside the file: its partition table and what lies on it.

use super::Rule;

pub(in crate::rules) mod first_mib_not_free;
pub(in crate::rules) mod gpt_backup_misplaced;
pub(in crate::rules) mod partition_table;
pub(in crate::rules) mod sector_size_4096;

/// The rules of this folder.
pub(super) static RULES: &[&Rule] = &[
    &sector_size_4096::RULE,
    &gpt_backup_misplaced::RULE,
    &first_mib_not_free::RULE,
    &partition_table::DAMAGED,
    &partition_table::OVERLAP,
    &partition_table::UNUSUAL,
    &partition_table::PAST_END,
];

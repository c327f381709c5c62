//! Rules about the disk inside the file: its partition table and what lies on it.

pub(in crate::rules) mod first_mib_not_free;
pub(in crate::rules) mod gpt_backup_misplaced;
pub(in crate::rules) mod partition_table;
pub(in crate::rules) mod sector_size_4096;

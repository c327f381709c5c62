//! Rules about the file: one file per rule, or per tight family.

pub(in crate::rules) mod above_old_limit;
pub(in crate::rules) mod data_disk_size;
pub(in crate::rules) mod duplicate_unique_id;
pub(in crate::rules) mod dynamic_structures;
pub(in crate::rules) mod file_length_mismatch;
pub(in crate::rules) mod file_length_not_whole_sectors;
pub(in crate::rules) mod file_name;
pub(in crate::rules) mod footer_checksum_mismatch;
pub(in crate::rules) mod footer_copies_differ;
pub(in crate::rules) mod footer_field_unusual;
pub(in crate::rules) mod geometry;
pub(in crate::rules) mod marketplace_size;
pub(in crate::rules) mod not_a_vhd;
pub(in crate::rules) mod not_fixed;
pub(in crate::rules) mod os_disk_size;
pub(in crate::rules) mod page_blob_too_large;
pub(in crate::rules) mod parent_damaged;
pub(in crate::rules) mod parent_missing;
pub(in crate::rules) mod saved_state;
pub(in crate::rules) mod size_not_whole_mib;
pub(in crate::rules) mod stale_footer;
pub(in crate::rules) mod unreadable;
pub(in crate::rules) mod upload_size;
pub(in crate::rules) mod vhdx;

//! Rules about the file: one file per rule, or per tight family.

use super::Rule;

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

/// The rules of this folder.
pub(super) static RULES: &[&Rule] = &[
    &not_a_vhd::RULE,
    &not_fixed::RULE,
    &size_not_whole_mib::RULE,
    &file_length_mismatch::RULE,
    &file_length_not_whole_sectors::RULE,
    &upload_size::TOO_SMALL,
    &upload_size::TOO_LARGE,
    &os_disk_size::GENERATION_1,
    &os_disk_size::ANY,
    &data_disk_size::ANY,
    &page_blob_too_large::RULE,
    &file_name::EXTENSION,
    &vhdx::RULE,
    &geometry::DIFFERS,
    &geometry::ROUNDED,
    &footer_checksum_mismatch::RULE,
    &parent_missing::RULE,
    &saved_state::RULE,
    &duplicate_unique_id::RULE,
    &stale_footer::RULE,
    &marketplace_size::OS,
    &marketplace_size::DATA,
    &data_disk_size::IN_GALLERY,
    &above_old_limit::RULE,
    &file_name::CHARACTERS,
    &footer_field_unusual::RULE,
    &footer_copies_differ::RULE,
    &dynamic_structures::HEADER,
    &dynamic_structures::BLOCKS,
    &dynamic_structures::BITMAPS,
    &unreadable::ENCRYPTED,
    &unreadable::UNREADABLE,
    &stale_footer::NESTED,
    &parent_damaged::RULE,
];

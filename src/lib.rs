//! vhdkit tells whether VHD disks are ready for Azure, why not, and writes the ones that are.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::string_slice,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::let_underscore_must_use,
        reason = "a test may panic"
    )
)]

pub mod bytes;
pub mod cli;
pub mod container;
pub mod partition;
pub mod volume;

pub mod facts;
pub mod fs;
pub mod inspect;
pub mod prepare;
pub mod report;
pub mod rules;

//! vhdkit tells whether VHD disks are ready for Azure, why not, and writes the ones that are.
//!
//! The library is an hourglass: many formats below, many rules and reports above, plain facts between them.
//!
//! ```text
//!        cli                  words in, words out, exit status
//!       report                tell it
//!       recipe                what deploys it                  (pure)
//!       prepare               plan → write → reread → publish
//!   generalize  trim          what a template leaves behind, what nobody needs
//!        rules                facts → findings            (pure)
//!   ───  facts  ───           the waist: plain data, no I/O, no opinions
//!       inspect               read everything, learn what can be learnt
//!    guest  fs                what an OS's files mean; trees of files
//!      volume                 what lies between a partition and a file system
//!      partition              regions of a disk
//!      container              a disk inside a file
//!        bytes                bytes at offsets
//! ```
//!
//! A module uses only those below it; a test refuses an arrow that points up. Five sentences carry the house:
//!
//! 1. **[`ReadAt`](bytes::ReadAt) all the way up.** A host file, the disk in a VHD, a partition, a logical volume, a guest's file, a
//!    registry hive: one trait, each wrapping the one below,
//!    and holes that a lower layer knows stay visible to the upper ones.
//! 2. **An inspection never fails; it only learns less.** Corruption is a fact. [`Known`](facts::Fact::Known),
//!    [`Absent`](facts::Fact::Absent) and [`Unknown`](facts::Fact::Unknown) are three different things.
//! 3. **Facts do not judge, rules do not read.** A rule is a pure function of facts and of the question asked.
//! 4. **A rule ends in one of four ways**: pass, findings, not applicable, undecided. `?` on an unknown fact makes it undecided by itself.
//! 5. **A plan is a value; what is printed is what is done**, and what is judged is what will be written: bytes over the untouched source.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//! use vhdkit::bytes::{Bytes, HostFile, host::Access};
//! use vhdkit::container::{ParentSearch, Source};
//! use vhdkit::rules::{Subject, Target, judge};
//!
//! let path = Path::new("disk.vhd");
//! let file: Bytes = Arc::new(HostFile::open(path, Access::Mapped)?);
//! let source = Source { file: &file, path, search: &ParentSearch::default() };
//! let inspected = vhdkit::inspect::disk(&source, vhdkit::inspect::Options::default())?;
//!
//! let facts = &inspected.facts;
//! let subject = Subject { facts, role: facts.role.clone(), lun: None, in_image: false };
//! let target = Target::default();
//! let outcomes = judge(&[subject], &target, &[]);
//! println!("{}", outcomes.verdict(&target, None).as_str());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
pub mod generalize;
pub mod guest;
pub mod inspect;
pub mod prepare;
pub mod recipe;
pub mod report;
pub mod rules;
pub mod trim;

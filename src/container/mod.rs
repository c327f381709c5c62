//! A disk inside a file.
//!
//! [`FORMATS`] lists the containers that vhdkit opens, raw disks last: any bytes are a raw disk, unless they are a format that is
//! known and not opened here. [`open`] finds the right one by content; the name of a file says nothing.

mod chain;
mod open;
mod raw;
pub mod sniff;
pub mod vhd;
pub mod vhdx;

pub use chain::{Parent, ParentError, ParentSearch};
pub use open::{FORMATS, open};

use crate::bytes::{Bytes, ReadError};
use std::path::Path;

/// A container format.
#[derive(Debug)]
pub struct Format {
    /// Its name in facts.
    pub name: &'static str,
    /// Makes a container of the file where this is its format.
    pub open: fn(&Source<'_>) -> Result<Option<Container>, ReadError>,
}

/// A file, and where its parents may be.
#[derive(Debug)]
pub struct Source<'a> {
    /// The file's bytes.
    pub file: &'a Bytes,
    /// Its path; a differencing disk looks for its parent from there.
    pub path: &'a Path,
    /// Other places for parents.
    pub search: &'a ParentSearch,
}

/// What a file is, and the disk inside it where that can be read.
#[derive(Debug)]
pub struct Container {
    /// The format, whatever the file's name says.
    pub format: &'static str,
    /// More about it, in plain words.
    pub detail: Option<String>,
    /// What to do with a format that is not opened here.
    pub advice: Option<&'static str>,
    /// What the file says as a VHD.
    pub vhd: Option<vhd::Vhd>,
    /// What the file says as a VHDX.
    pub vhdx: Option<vhdx::Vhdx>,
    /// Size of the disk inside, in bytes.
    pub virtual_size: Option<u64>,
    /// The parents of a differencing disk, nearest first.
    pub parents: Vec<Parent>,
    /// The disk inside, or why it cannot be read.
    pub disk: Result<Bytes, OpenError>,
}

/// Why the disk inside a file cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// The file is damaged, or uses what is not supported.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A parent is missing or unfit.
    #[error(transparent)]
    Parent(#[from] ParentError),
    /// The file is another format, or no disk.
    #[error("the file is {0}")]
    NotOpened(String),
}

//! Regions of a disk: GPT and MBR partition tables.
//!
//! [`read`] learns what it can from a disk and fails only when the disk cannot be read. Whatever contradicts the
//! specification becomes a [`Problem`] with its place; whether a problem matters is for the rules to say. [`rebuild`] gives the
//! bytes that make a GPT right for a disk of another size.
//!
//! Documents: UEFI specification 2.10, section 5 (GUID Partition Table disk layout), which in 5.2 also holds the MBR.
//! Chains of logical partitions are written down nowhere with authority; this module follows what Linux does
//! (`block/partitions/msdos.c`).

mod boot_code;
mod boot_sector;
mod gpt;
mod gpt_check;
mod gpt_write;
mod mbr;
mod mbr_extended;
mod problem;
mod read;
pub mod types;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod samples;

pub use boot_code::{BootCode, Loader, Proof, identify};
pub use gpt::{Gpt, GptCopy, GptHeader, HeaderState};
pub use gpt_write::{CannotRebuild, Patch, rebuild};
pub use mbr::{Mbr, MbrEntry, MbrUse};
pub use problem::{Problem, ProblemKind};
pub use read::read;
pub use types::type_name;

use crate::bytes::Guid;
use std::fmt;

/// How a disk is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// GUID partition table.
    Gpt,
    /// Master boot record.
    Mbr,
}

/// The schemes that [`read`] knows.
pub static SCHEMES: &[Scheme] = &[Scheme::Gpt, Scheme::Mbr];

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gpt => "gpt",
            Self::Mbr => "mbr",
        })
    }
}

/// What a disk says about its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionTable {
    /// The scheme that counts; a disk may hold remains of the other.
    pub scheme: Scheme,
    /// Bytes per sector for which the table was made: 512 or 4096. An MBR does not tell, and is taken to be made for 512.
    pub sector_size: u64,
    /// Sector 0, when it is a master boot record: the table itself, or what protects a GPT.
    pub mbr: Option<Mbr>,
    /// Both copies of the GPT. With [`Scheme::Mbr`]: `None`, also when a stale GPT lies there.
    pub gpt: Option<Gpt>,
    /// The partitions that are in use, by number.
    pub partitions: Vec<Partition>,
    /// What contradicts the specification, in the order in which it was met.
    pub problems: Vec<Problem>,
}

impl PartitionTable {
    /// Whether a problem of this kind was found.
    #[must_use]
    pub fn has(&self, kind: ProblemKind) -> bool {
        self.problems.iter().any(|problem| problem.kind == kind)
    }
}

/// One partition. Its bytes may pass the end of the disk: then there is a [`ProblemKind::PastEnd`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The number that Linux gives it. GPT: place in the array, from 1. MBR: 1 to 4, logical ones from 5.
    pub number: u32,
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub size: u64,
    /// What it is for.
    pub kind: PartitionType,
    /// GPT: its name, when it has one. Characters that are no UTF-16 are replaced; control characters are not.
    pub name: Option<String>,
    /// GPT: its own GUID.
    pub guid: Option<Guid>,
    /// MBR: marked active (0x80). GPT: attribute bit 2, "legacy BIOS bootable".
    pub bootable: bool,
    /// GPT: all 64 attribute bits. MBR: 0.
    pub attributes: u64,
    /// Where in the table it stands.
    pub role: Role,
    /// The byte of the disk at which its entry starts.
    pub at: u64,
}

impl Partition {
    /// First byte after the partition.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }
}

/// A partition's type, in its scheme's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartitionType {
    /// The type byte of an MBR entry.
    Mbr(u8),
    /// The type GUID of a GPT entry.
    Gpt(Guid),
}

impl fmt::Display for PartitionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mbr(byte) => write!(f, "{byte:02x}"),
            Self::Gpt(guid) => guid.fmt(f),
        }
    }
}

/// Where in its table a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// In the table itself.
    Primary,
    /// MBR: a container of logical partitions.
    Extended,
    /// MBR: in a chain inside an extended partition.
    Logical,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Extended => "extended",
            Self::Logical => "logical",
        })
    }
}

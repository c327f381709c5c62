//! VHDX: a virtual disk of up to 64 TiB with a log that makes changes of its metadata atomic.
//!
//! Document: \[MS-VHDX\], *Virtual Hard Disk v2 (VHDX) File Format*. All numbers are little-endian.
//!
//! ```text
//! 0         file identifier                                      2.2.1   header
//! 64 KiB    header 1  ┐ one is current; it points to the log     2.2.2   header
//! 128 KiB   header 2  ┘
//! 192 KiB   region table 1 ┐ the same twice                      2.2.3   region
//! 256 KiB   region table 2 ┘
//! 1 MiB ..  log                                                  2.3     log
//!           block allocation table (BAT)                         2.5     table
//!           metadata: sizes, identity, parent                    2.6     metadata, locator
//!           payload blocks, sector bitmap blocks                 2.4     disk
//! ```
//!
//! A log that was left to replay is replayed in memory, over the file, which stays as it is. [`read`] learns what can be
//! learnt even from a damaged file; [`open`] gives the disk only when nothing in its way is in doubt.

mod crc32c;
mod disk;
mod header;
mod locator;
mod log;
mod metadata;
mod notes;
mod open;
mod region;
mod table;
#[cfg(test)]
mod tests;

pub use open::{open, read};

/// First bytes of a VHDX file.
pub const SIGNATURE: [u8; 8] = *b"vhdxfile";

use crate::bytes::{Guid, ReadError};

/// What a VHDX file says about itself. `None` is what could not be learnt.
#[derive(Debug, Clone)]
pub struct Vhdx {
    /// The software that made the file, in its own words; may be empty.
    pub creator: String,
    /// Which of the two headers are valid.
    pub headers: [bool; 2],
    /// Changes whenever the content of the virtual disk does; a child names its parent by it.
    pub data_write_guid: Option<Guid>,
    /// What the log held.
    pub log: LogState,
    /// Which of the two region tables are valid, after the log was replayed.
    pub region_tables: [bool; 2],
    /// Size in bytes of one payload block.
    pub block_size: Option<u32>,
    /// Whether blocks stay allocated when they are no longer used: a fixed disk.
    pub leave_allocated: Option<bool>,
    /// Whether this is a differencing disk, of which the rest is in a parent file.
    pub has_parent: Option<bool>,
    /// Size in bytes of the virtual disk.
    pub virtual_size: Option<u64>,
    /// Identity of the virtual disk (SCSI page 83).
    pub disk_id: Option<Guid>,
    /// Bytes in a sector as the virtual disk is addressed: 512 or 4096.
    pub logical_sector_size: Option<u32>,
    /// Bytes in a sector as the virtual disk says it is made: 512 or 4096.
    pub physical_sector_size: Option<u32>,
    /// Where the parent of a differencing disk is.
    pub parent: Option<ParentLocator>,
    /// The payload blocks by state.
    pub blocks: Option<PayloadBlocks>,
    /// Everything found that the document does not allow, harmless or not, in the order in which it was met.
    pub deviations: Vec<Deviation>,
    /// Why [`open`] refuses; `None` when it does not.
    pub refusal: Option<ReadError>,
}

/// What the log held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogState {
    /// It could not be told: there is no valid header, or the log is damaged.
    Unknown,
    /// The file was closed: there is no log to replay.
    Clean,
    /// The file was not closed, but the log has nothing to change.
    Empty {
        /// Valid entries in the active sequence.
        entries: u64,
    },
    /// The file was not closed; what follows was read as it is after the replay.
    Replayed {
        /// Valid entries in the active sequence.
        entries: u64,
        /// Sectors of 4096 bytes that they change.
        sectors: u64,
    },
}

/// Payload blocks by the state of their entries in the block allocation table (section 2.5.1.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PayloadBlocks {
    /// Blocks that the virtual disk needs.
    pub total: u64,
    /// Never written; zeros, or the parent's content.
    pub not_present: u64,
    /// Content not defined; read as zeros.
    pub undefined: u64,
    /// Zeros.
    pub zero: u64,
    /// Discarded by the guest; read as zeros.
    pub unmapped: u64,
    /// In the file.
    pub fully_present: u64,
    /// In the file for some sectors, in the parent for the others.
    pub partially_present: u64,
}

/// Where the parent of a differencing disk is (section 2.6.2.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentLocator {
    /// How the entries are to be understood; [`ParentLocator::VHDX`] in all known files.
    pub kind: Guid,
    /// Keys and values in stored order, as they stand there.
    pub entries: Vec<(String, String)>,
}

impl ParentLocator {
    /// The kind whose parent is another VHDX file.
    pub const VHDX: Guid = Guid([0xb0, 0x4a, 0xef, 0xb7, 0xd1, 0x9e, 0x4a, 0x81, 0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13]);

    /// The value of a key such as `relative_path` or `parent_linkage`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|(stored, _)| stored == key).map(|(_, value)| value.as_str())
    }
}

/// Something that the document does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// Absolute byte in the file; 0 where it is about the file as a whole.
    pub at: u64,
    /// What is there, and what should be.
    pub message: String,
}

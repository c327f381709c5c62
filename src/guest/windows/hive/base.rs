//! The base block: the first 4096 bytes of a hive, and the first sector of its logs.

use super::BASE_BLOCK;
use super::error::{Damage, HiveError};
use super::fields::{u32_at, u64_at};
use crate::bytes::{Bytes, printable, read_vec};

/// The bytes of the base block that carry the fields and their checksum.
pub(super) const HEAD: usize = 512;
/// Where the checksum stands; it covers what lies before.
const CHECKSUM: usize = 508;
/// Bins grow by this much.
pub(super) const PAGE: u32 = 4096;

/// Fields of a base block ("Windows registry file format specification", Base block).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BaseBlock {
    /// Raised before the hive is written.
    pub(super) primary_sequence: u32,
    /// Raised after the hive was written.
    pub(super) secondary_sequence: u32,
    /// When, as FILETIME.
    pub(super) written: u64,
    pub(super) major: u32,
    pub(super) minor: u32,
    /// 0 for a hive; 1, 2 and 6 for logs.
    pub(super) file_type: u32,
    /// 1: cells as they are in memory.
    pub(super) format: u32,
    /// Cell of the root key, from the start of the bins.
    pub(super) root: u32,
    /// Bytes of all bins.
    pub(super) bins_size: u32,
    /// Whether the checksum is right.
    pub(super) checksum_fits: bool,
}

impl BaseBlock {
    /// Reads the base block of a hive or of a log.
    ///
    /// # Errors
    ///
    /// [`HiveError::NotAHive`] when the signature is missing.
    pub(super) fn read(bytes: &Bytes) -> Result<Self, HiveError> {
        let len = usize::try_from(bytes.size()).unwrap_or(HEAD).min(HEAD);
        let head = read_vec(bytes, 0, len)?;
        Self::parse(&head)
    }

    /// As [`BaseBlock::read`], from the first sector.
    pub(super) fn parse(head: &[u8]) -> Result<Self, HiveError> {
        if !head.starts_with(b"regf") {
            return Err(HiveError::NotAHive(stranger(head)));
        }
        let fields = || {
            Some(Self {
                primary_sequence: u32_at(head, 4)?,
                secondary_sequence: u32_at(head, 8)?,
                written: u64_at(head, 12)?,
                major: u32_at(head, 20)?,
                minor: u32_at(head, 24)?,
                file_type: u32_at(head, 28)?,
                format: u32_at(head, 32)?,
                root: u32_at(head, 36)?,
                bins_size: u32_at(head, 40)?,
                checksum_fits: u32_at(head, CHECKSUM)? == checksum(head),
            })
        };
        fields().ok_or_else(|| HiveError::NotAHive(format!("it ends within its base block, after {} bytes", head.len())))
    }

    /// Refuses versions and kinds of files that are not read here.
    pub(super) fn check_kind(&self) -> Result<(), HiveError> {
        match (self.major, self.minor) {
            // 1.0 and 1.1 (before Windows NT 3.5) have another cell header.
            (1, 2..=6) => {}
            (major, minor) => return Err(HiveError::Unsupported(format!("registry hive version {major}.{minor}"))),
        }
        match self.file_type {
            1 | 2 | 6 => Err(HiveError::NotAHive("it is a registry transaction log".to_owned())),
            _ => Ok(()),
        }
    }

    /// Whether Windows would recover the hive before it reads it.
    pub(super) fn is_dirty(&self) -> bool {
        !self.checksum_fits || self.primary_sequence != self.secondary_sequence
    }

    /// What contradicts the format or the size of the file.
    pub(super) fn damage(&self, file_size: u64) -> Vec<Damage> {
        let mut found = Vec::new();
        if !self.checksum_fits {
            found.push(Damage::base("its checksum is wrong"));
        }
        if self.file_type != 0 || self.format != 1 {
            found.push(Damage::base(format!("file type {} and format {} are not those of a hive", self.file_type, self.format)));
        }
        if self.bins_size == 0 || !self.bins_size.is_multiple_of(PAGE) {
            found.push(Damage::base(format!("{} bytes of bins are no whole pages", self.bins_size)));
        }
        let behind = file_size.saturating_sub(BASE_BLOCK);
        if u64::from(self.bins_size) > behind {
            found.push(Damage::base(format!("{} bytes of bins are announced and {behind} are there", self.bins_size)));
        }
        found
    }
}

/// XOR of the words before the checksum; never 0 or all ones.
pub(super) fn checksum(head: &[u8]) -> u32 {
    let words = head.as_chunks::<4>().0.iter().take(CHECKSUM / 4);
    match words.fold(0, |sum, word| sum ^ u32::from_le_bytes(*word)) {
        0 => 1,
        u32::MAX => u32::MAX - 1,
        sum => sum,
    }
}

/// What bytes without a hive's signature look like.
fn stranger(head: &[u8]) -> String {
    match head {
        [] => "it is empty".to_owned(),
        [b'C', b'R', b'E', b'G', ..] => "it is a Windows 9x registry file (CREG)".to_owned(),
        [b'M', b'Z', ..] => "it is an executable (MZ)".to_owned(),
        [b'H', b'v', b'L', b'E', ..] => "it is an entry of a registry transaction log (HvLE)".to_owned(),
        _ if crate::bytes::is_zero(head) => "it begins with zeros".to_owned(),
        _ => {
            let first: String = head.iter().take(4).copied().map(char::from).collect();
            format!("it begins with \"{}\", not \"regf\"", printable(&first))
        }
    }
}

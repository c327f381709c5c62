//! The dynamic header: 1024 bytes that describe the blocks of a dynamic or differencing disk.
//!
//! Source: "Virtual Hard Disk Image Format Specification" 1.0 (2006), section "Dynamic Disk Header Format". Big-endian.

use super::footer::checksum_of;
use super::locator::{self, Locator};
use crate::bytes::{Corrupt, Guid};
use byteorder::{BigEndian, ReadBytesExt};
use std::io::Read;

/// `cxsparse`.
pub(super) const COOKIE: [u8; 8] = *b"cxsparse";
/// Bytes of the header.
pub(super) const HEADER_LEN: usize = 1024;
/// The only version there ever was: 1.0.
pub(super) const HEADER_VERSION: u32 = 0x0001_0000;

const CHECKSUM_AT: usize = 36;
const RESERVED_AT: u32 = 768;

/// A dynamic header as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamicHeader {
    /// Byte 0: `cxsparse`.
    pub cookie: [u8; 8],
    /// Byte 8: unused, all ones.
    pub data_offset: u64,
    /// Byte 16: place of the block allocation table in the file.
    pub table_offset: u64,
    /// Byte 24: 0x00010000, which means 1.0.
    pub header_version: u32,
    /// Byte 28: entries of the table.
    pub max_table_entries: u32,
    /// Byte 32: bytes of data in a block, without its bitmap.
    pub block_size: u32,
    /// Byte 36: the checksum that stands there.
    pub checksum: u32,
    /// Byte 40: unique id of the parent of a differencing disk.
    pub parent_unique_id: Guid,
    /// Byte 56: modification time of the parent's file, seconds since 2000-01-01 UTC.
    pub parent_timestamp: u32,
    /// Byte 64: the parent's file name, UTF-16 big-endian, up to its first NUL; unpaired surrogates replaced.
    pub parent_name: String,
    /// Byte 576: eight places for ways to find the parent; the used ones.
    pub locators: Vec<Locator>,
    /// First byte from 768 on (or of the four at 60) that is not zero, counted from the header's start.
    pub reserved_not_zero: Option<u32>,
    /// The checksum that the bytes have.
    pub computed: u32,
    /// Where it stands in the file, in bytes.
    pub offset: u64,
}

impl DynamicHeader {
    /// Parses the 1024 bytes that stand at `offset` of a file.
    ///
    /// # Errors
    ///
    /// When the cookie is another: then this is no dynamic header at all. Everything else can be represented.
    pub fn parse(bytes: &[u8; HEADER_LEN], offset: u64) -> Result<Self, Corrupt> {
        let header =
            Self::decode(bytes, offset).map_err(|error| Corrupt::new("dynamic header", offset, "1024 bytes", error.to_string()))?;
        if header.cookie == COOKIE {
            Ok(header)
        } else {
            Err(Corrupt::new("dynamic header", offset, "the cookie 'cxsparse'", format!("'{}'", header.cookie.escape_ascii())))
        }
    }

    fn decode(bytes: &[u8; HEADER_LEN], offset: u64) -> std::io::Result<Self> {
        let mut at = bytes.as_slice();
        let mut cookie = [0; 8];
        at.read_exact(&mut cookie)?;
        let data_offset = at.read_u64::<BigEndian>()?;
        let table_offset = at.read_u64::<BigEndian>()?;
        let header_version = at.read_u32::<BigEndian>()?;
        let max_table_entries = at.read_u32::<BigEndian>()?;
        let block_size = at.read_u32::<BigEndian>()?;
        let checksum = at.read_u32::<BigEndian>()?;
        let mut parent_unique_id = Guid::NIL;
        at.read_exact(&mut parent_unique_id.0)?;
        let parent_timestamp = at.read_u32::<BigEndian>()?;
        let reserved = at.read_u32::<BigEndian>()?;
        let mut name = [0; 256];
        at.read_u16_into::<BigEndian>(&mut name)?;
        let mut locators = Vec::new();
        for place in 0..8 {
            locators.extend(locator::decode(&mut at, place)?);
        }
        let tail = at.iter().zip(RESERVED_AT..).find(|(byte, _)| **byte != 0).map(|(_, place)| place);
        Ok(Self {
            cookie,
            data_offset,
            table_offset,
            header_version,
            max_table_entries,
            block_size,
            checksum,
            parent_unique_id,
            parent_timestamp,
            parent_name: char::decode_utf16(name.into_iter().take_while(|unit| *unit != 0))
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect(),
            locators,
            reserved_not_zero: if reserved == 0 { tail } else { Some(60) },
            computed: checksum_of(bytes, CHECKSUM_AT),
            offset,
        })
    }

    /// Whether the stored checksum is the one that the bytes have.
    #[must_use]
    pub fn checksum_holds(&self) -> bool {
        self.checksum == self.computed
    }
}

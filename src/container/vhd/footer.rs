//! The footer: 512 bytes at the end of every VHD, and again at the start of dynamic and differencing ones.
//!
//! Source: "Virtual Hard Disk Image Format Specification" 1.0 (2006), section "Hard Disk Footer Format". All fields are big-endian.

use super::Geometry;
use crate::bytes::{Corrupt, Guid};
use byteorder::{BigEndian, ReadBytesExt};
use std::io::Read;

/// `conectix`: the creator of the format was named Connectix.
pub const COOKIE: [u8; 8] = *b"conectix";
/// XenServer writes this over the cookie of a disk that must not be opened any more.
pub(super) const POISONED: [u8; 8] = *b"v_poison";
/// Bytes of a footer.
pub const FOOTER_LEN: usize = 512;
/// Virtual PC before 2004 wrote one byte less.
pub(super) const SHORT_FOOTER_LEN: usize = 511;
/// Feature bit that is always set.
pub(super) const FEATURE_RESERVED: u32 = 2;
/// Feature bit of a disk that may be deleted at shutdown.
pub(super) const FEATURE_TEMPORARY: u32 = 1;
/// The only version there ever was: 1.0.
pub(super) const FORMAT_VERSION: u32 = 0x0001_0000;
/// Data offset of a fixed disk: there is no next structure.
pub(super) const NO_OFFSET: u64 = u64::MAX;
/// Seconds from 1970-01-01 to 2000-01-01 UTC, where the format's clock starts.
pub const EPOCH: i64 = 946_684_800;

/// Where the checksum stands in a footer.
pub(super) const CHECKSUM_AT: usize = 64;
/// Where XenServer keeps its "hidden" mark, first of the reserved bytes.
pub(super) const HIDDEN_AT: usize = 85;

/// What kind of disk a footer says it is; every value is possible, few have a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskType(pub u32);

impl DiskType {
    /// The payload stands in the file as it is.
    pub const FIXED: Self = Self(2);
    /// Blocks are allocated when they are first written.
    pub const DYNAMIC: Self = Self(3);
    /// As dynamic, over a parent disk.
    pub const DIFFERENCING: Self = Self(4);

    /// Its name, where it has one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::FIXED => Some("fixed"),
            Self::DYNAMIC => Some("dynamic"),
            Self::DIFFERENCING => Some("differencing"),
            _ => None,
        }
    }

    /// Whether it has a dynamic header and a block allocation table.
    #[must_use]
    pub fn is_sparse(self) -> bool {
        matches!(self, Self::DYNAMIC | Self::DIFFERENCING)
    }
}

impl std::fmt::Display for DiskType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "type {}", self.0),
        }
    }
}

/// A footer as it stands in a file: any bit pattern can be represented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    /// Byte 0: `conectix`.
    pub cookie: [u8; 8],
    /// Byte 8: 2, or 3 for a temporary disk.
    pub features: u32,
    /// Byte 12: 0x00010000, which means 1.0.
    pub format_version: u32,
    /// Byte 16: place of the dynamic header; all ones in fixed disks.
    pub data_offset: u64,
    /// Byte 24: creation or change, seconds since 2000-01-01 00:00 UTC.
    pub timestamp: u32,
    /// Byte 28: the program, four characters.
    pub creator_application: [u8; 4],
    /// Byte 32: its version, two 16-bit halves.
    pub creator_version: u32,
    /// Byte 36: `Wi2k`, `Mac `, or zeros from XenServer.
    pub creator_host_os: [u8; 4],
    /// Byte 40: size in bytes when created.
    pub original_size: u64,
    /// Byte 48: size in bytes now; the size that counts.
    pub current_size: u64,
    /// Byte 56: the size again, in cylinders, heads and sectors.
    pub geometry: Geometry,
    /// Byte 60.
    pub disk_type: DiskType,
    /// Byte 64: the checksum that stands there.
    pub checksum: u32,
    /// Byte 68.
    pub unique_id: Guid,
    /// Byte 84: 1 when a machine was saved with this disk.
    pub saved_state: u8,
    /// Byte 85: XenServer's hidden mark; zero elsewhere.
    pub hidden: u8,
    /// First byte from 86 on that is not zero, counted from the footer's start.
    pub reserved_not_zero: Option<u32>,
    /// The checksum that the bytes have.
    pub computed: u32,
    /// The checksum that the bytes have with the hidden mark taken as zero: early XenServer set the mark and left the sum.
    pub computed_unhidden: u32,
    /// Where it stands in the file, in bytes.
    pub offset: u64,
    /// 512, or 511 where an old Virtual PC wrote it.
    pub length: u32,
}

impl Footer {
    /// Parses 511 or 512 bytes that stand at `offset` of a file.
    ///
    /// # Errors
    ///
    /// Only when fewer bytes are given; every pattern of bits is a footer of some kind.
    pub fn parse(bytes: &[u8], offset: u64) -> Result<Self, Corrupt> {
        let mut whole = [0; FOOTER_LEN];
        let length = bytes.len().min(FOOTER_LEN);
        if length < SHORT_FOOTER_LEN {
            return Err(Corrupt::new("footer", offset, "512 bytes", format!("{length} bytes")));
        }
        for (to, from) in whole.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self::decode(&whole, offset, if length == FOOTER_LEN { 512 } else { 511 })
            .map_err(|error| Corrupt::new("footer", offset, "512 bytes", error.to_string()))
    }

    fn decode(whole: &[u8; FOOTER_LEN], offset: u64, length: u32) -> std::io::Result<Self> {
        let mut unhidden = *whole;
        if let Some(byte) = unhidden.get_mut(HIDDEN_AT) {
            *byte = 0;
        }
        let mut at = whole.as_slice();
        let mut cookie = [0; 8];
        at.read_exact(&mut cookie)?;
        let features = at.read_u32::<BigEndian>()?;
        let format_version = at.read_u32::<BigEndian>()?;
        let data_offset = at.read_u64::<BigEndian>()?;
        let timestamp = at.read_u32::<BigEndian>()?;
        let mut creator_application = [0; 4];
        at.read_exact(&mut creator_application)?;
        let creator_version = at.read_u32::<BigEndian>()?;
        let mut creator_host_os = [0; 4];
        at.read_exact(&mut creator_host_os)?;
        let original_size = at.read_u64::<BigEndian>()?;
        let current_size = at.read_u64::<BigEndian>()?;
        let geometry = Geometry { cylinders: at.read_u16::<BigEndian>()?, heads: at.read_u8()?, sectors: at.read_u8()? };
        let disk_type = DiskType(at.read_u32::<BigEndian>()?);
        let checksum = at.read_u32::<BigEndian>()?;
        let mut unique_id = Guid::NIL;
        at.read_exact(&mut unique_id.0)?;
        let saved_state = at.read_u8()?;
        let hidden = at.read_u8()?;
        let reserved_not_zero = at.iter().zip(86_u32..).find(|(byte, _)| **byte != 0).map(|(_, place)| place);
        Ok(Self {
            cookie,
            features,
            format_version,
            data_offset,
            timestamp,
            creator_application,
            creator_version,
            creator_host_os,
            original_size,
            current_size,
            geometry,
            disk_type,
            checksum,
            unique_id,
            saved_state,
            hidden,
            reserved_not_zero,
            computed: checksum_of(whole, CHECKSUM_AT),
            computed_unhidden: checksum_of(&unhidden, CHECKSUM_AT),
            offset,
            length,
        })
    }

    /// The 512 bytes of this footer, with its stored checksum and zeros in what is reserved.
    #[must_use]
    pub fn encode(&self) -> [u8; FOOTER_LEN] {
        let mut out = [0; FOOTER_LEN];
        let fields: [(usize, &[u8]); 16] = [
            (0, &self.cookie),
            (8, &self.features.to_be_bytes()),
            (12, &self.format_version.to_be_bytes()),
            (16, &self.data_offset.to_be_bytes()),
            (24, &self.timestamp.to_be_bytes()),
            (28, &self.creator_application),
            (32, &self.creator_version.to_be_bytes()),
            (36, &self.creator_host_os),
            (40, &self.original_size.to_be_bytes()),
            (48, &self.current_size.to_be_bytes()),
            (56, &self.geometry.cylinders.to_be_bytes()),
            (58, &[self.geometry.heads, self.geometry.sectors]),
            (60, &self.disk_type.0.to_be_bytes()),
            (CHECKSUM_AT, &self.checksum.to_be_bytes()),
            (68, &self.unique_id.0),
            (84, &[self.saved_state, self.hidden]),
        ];
        for (place, field) in fields {
            for (to, from) in out.iter_mut().skip(place).zip(field) {
                *to = *from;
            }
        }
        out
    }

    /// The footer with the checksum that its other fields ask for.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.checksum = checksum_of(&self.encode(), CHECKSUM_AT);
        self.computed = self.checksum;
        self
    }

    /// Whether the stored checksum is the one that the bytes have, XenServer's late hidden mark allowed for.
    #[must_use]
    pub fn checksum_holds(&self) -> bool {
        self.checksum == self.computed || self.checksum == self.computed_unhidden
    }

    /// Whether the cookie is one that VHD files carry.
    #[must_use]
    pub fn is_footer(&self) -> bool {
        self.cookie == COOKIE || self.cookie == POISONED
    }

    /// Byte after the footer.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.length))
    }
}

/// One's complement of the sum of all bytes, the four at `checksum_at` taken as zero.
pub(super) fn checksum_of(bytes: &[u8], checksum_at: usize) -> u32 {
    let skipped = checksum_at..checksum_at.saturating_add(4);
    !bytes.iter().enumerate().filter(|(place, _)| !skipped.contains(place)).fold(0_u32, |sum, (_, byte)| sum.wrapping_add(u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer of Hyper-V's make, as Convert-VHD writes it for a fixed disk of 4 MiB.
    fn sample() -> Footer {
        Footer {
            cookie: COOKIE,
            features: FEATURE_RESERVED,
            format_version: FORMAT_VERSION,
            data_offset: NO_OFFSET,
            timestamp: 655_986_198,
            creator_application: *b"win ",
            creator_version: 0x000a_0000,
            creator_host_os: *b"Wi2k",
            original_size: 4 << 20,
            current_size: 4 << 20,
            geometry: Geometry { cylinders: 120, heads: 4, sectors: 17 },
            disk_type: DiskType::FIXED,
            checksum: 0,
            unique_id: Guid([0x5f, 0xa2, 0x1a, 0x55, 0xf3, 0x94, 0xaa, 0x4d, 0x99, 0x58, 0x19, 0x51, 0xa6, 0x7d, 0x55, 0x40]),
            saved_state: 0,
            hidden: 0,
            reserved_not_zero: None,
            computed: 0,
            computed_unhidden: 0,
            offset: 0,
            length: 512,
        }
        .sealed()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let footer = sample();
        let read = Footer::parse(&footer.encode(), 4 << 20).unwrap();
        assert!(read.checksum_holds());
        assert_eq!(Footer { offset: 0, computed_unhidden: 0, ..read }, footer);
        // The checksum that the real file with these fields carries.
        assert_eq!(footer.checksum, 4_294_961_374);
    }

    #[test]
    fn any_flipped_bit_but_those_of_the_sum_itself_breaks_the_checksum() {
        let good = sample().encode();
        for place in 0..FOOTER_LEN {
            let mut bad = good;
            bad[place] ^= 0x10;
            let read = Footer::parse(&bad, 0).unwrap();
            // The hidden mark is forgiven: early XenServer set it without a new sum.
            assert_eq!(read.checksum_holds(), place == HIDDEN_AT, "byte {place}");
        }
    }

    #[test]
    fn a_footer_of_511_bytes_is_read_and_one_of_510_is_not() {
        let good = sample().encode();
        let short = Footer::parse(&good[..511], 7).unwrap();
        assert_eq!((short.length, short.offset, short.checksum_holds()), (511, 7, true));
        assert!(Footer::parse(&good[..510], 7).is_err());
    }

    #[test]
    fn unknown_types_print_as_themselves() {
        assert_eq!(DiskType(7).to_string(), "type 7");
        assert_eq!(DiskType::DYNAMIC.to_string(), "dynamic");
    }
}

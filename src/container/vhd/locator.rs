//! Parent locators: the ways by which a differencing disk names its parent.
//!
//! Source: "Virtual Hard Disk Image Format Specification" 1.0 (2006), section "Parent Locator Entry". The entry is big-endian, the
//! paths of `W2ru` and `W2ku` are UTF-16 little-endian.

use crate::bytes::{ReadAt, ReadError, SECTOR, int_usize, read_vec};
use byteorder::{BigEndian, ReadBytesExt};

/// The longest path that is read from a locator, in bytes: Windows' own limit of 32,767 UTF-16 units.
const MAX_PATH: u64 = 65_536;

/// One way to the parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locator {
    /// Which of the eight places it stands in, from 0.
    pub place: u32,
    /// The platform: `W2ru`, `W2ku`, `Wi2r`, `Wi2k`, `Mac `, `MacX`.
    pub platform: [u8; 4],
    /// Room for the data: sectors by the specification, bytes as Virtual PC, Hyper-V and VirtualBox write it.
    pub data_space: u32,
    /// Bytes of the data.
    pub data_length: u32,
    /// Where the data stands in the file, in bytes.
    pub data_offset: u64,
}

/// Takes the next 24 bytes; `None` for an unused place.
pub(super) fn decode(at: &mut &[u8], place: u32) -> std::io::Result<Option<Locator>> {
    let platform = at.read_u32::<BigEndian>()?.to_be_bytes();
    let data_space = at.read_u32::<BigEndian>()?;
    let data_length = at.read_u32::<BigEndian>()?;
    let _reserved = at.read_u32::<BigEndian>()?;
    let data_offset = at.read_u64::<BigEndian>()?;
    Ok((platform != [0; 4]).then_some(Locator { place, platform, data_space, data_length, data_offset }))
}

impl Locator {
    /// Room for the data in bytes. Values below 512 can only be sectors; others are bytes, as every known writer stores them.
    #[must_use]
    pub fn space_bytes(&self) -> u64 {
        match u64::from(self.data_space) {
            sectors if sectors < SECTOR => sectors.saturating_mul(SECTOR),
            bytes => bytes,
        }
    }

    /// Whether the path is meant from the child's directory on.
    #[must_use]
    pub fn is_relative(&self) -> bool {
        matches!(&self.platform, b"W2ru" | b"Wi2r")
    }

    /// The path that it holds, as text; `None` for a platform that stores no readable path.
    ///
    /// # Errors
    ///
    /// When the data lies outside the file or is longer than any path.
    pub fn path(&self, file: &dyn ReadAt) -> Result<Option<String>, ReadError> {
        let length = u64::from(self.data_length);
        if length > MAX_PATH {
            return Err(ReadError::OutOfBounds { offset: self.data_offset, length, size: file.size() });
        }
        let data = read_vec(file, self.data_offset, int_usize(length))?;
        Ok(match &self.platform {
            b"W2ru" | b"W2ku" => {
                let units = data.chunks_exact(2).filter_map(|pair| pair.try_into().ok()).map(u16::from_le_bytes);
                let text = char::decode_utf16(units.take_while(|unit| *unit != 0));
                Some(text.map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
            }
            b"Wi2r" | b"Wi2k" | b"MacX" => {
                let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
                let text = String::from_utf8_lossy(data.get(..end).unwrap_or_default()).into_owned();
                Some(if self.platform == *b"MacX" { from_file_url(&text) } else { text })
            }
            _ => None,
        })
    }
}

/// The path of a `file://` URL, percent signs decoded; other text as it is.
fn from_file_url(text: &str) -> String {
    let Some(rest) = text.strip_prefix("file://") else { return text.to_owned() };
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    let mut bytes = Vec::with_capacity(path.len());
    let mut at = path.as_bytes().iter();
    while let Some(byte) = at.next() {
        let ahead = at.as_slice().get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (*byte, ahead.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(decoded)) => {
                bytes.push(decoded);
                at.nth(1);
            }
            _ => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Memory;

    fn locator(platform: [u8; 4], data: &[u8]) -> (Locator, Memory) {
        let length = u32::try_from(data.len()).unwrap();
        let mut file = vec![0xee; 100];
        file.extend_from_slice(data);
        (Locator { place: 0, platform, data_space: 512, data_length: length, data_offset: 100 }, Memory(file))
    }

    #[test]
    fn paths_are_read_in_every_dialect() {
        let utf16: Vec<u8> = ".\\parent é.vhd".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (platform, data, expected) in [
            (*b"W2ru", utf16.as_slice(), Some(".\\parent é.vhd")),
            (*b"W2ku", b"C\0:\0\\\0a\0\0\0x\0", Some("C:\\a")),
            (*b"Wi2r", b".\\old.vhd\0junk", Some(".\\old.vhd")),
            (*b"MacX", b"file://localhost/disks/my%20parent.vhd", Some("/disks/my parent.vhd")),
            (*b"MacX", b"file:///d/50%25%zz", Some("/d/50%%zz")),
            (*b"Mac ", b"\0\0alias", None),
        ] {
            let (locator, file) = locator(platform, data);
            assert_eq!(locator.path(&file).unwrap().as_deref(), expected);
        }
    }

    #[test]
    fn data_outside_the_file_is_an_error() {
        let (mut locator, file) = locator(*b"W2ru", b"x\0");
        locator.data_length = 3;
        assert!(locator.path(&file).is_err());
        locator.data_length = u32::MAX;
        assert!(locator.path(&file).is_err());
        locator.data_length = 2;
        locator.data_offset = u64::MAX;
        assert!(locator.path(&file).is_err());
    }

    #[test]
    fn room_is_sectors_when_small_and_bytes_when_not() {
        let (mut locator, _) = locator(*b"W2ru", b"");
        locator.data_space = 1;
        assert_eq!(locator.space_bytes(), 512);
        locator.data_space = 512;
        assert_eq!(locator.space_bytes(), 512);
    }
}

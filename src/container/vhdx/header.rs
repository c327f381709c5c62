//! File identifier and headers: \[MS-VHDX\] 2.2.1 and 2.2.2.

use super::crc32c;
use super::notes::{Notes, require, settle, structure};
use crate::bytes::{Guid, KIB, ReadAt, ReadError, int_usize, read_vec};
use byteorder::{LittleEndian, ReadBytesExt};
use std::io::{self, Read};

/// Places of the two headers.
const PLACES: [u64; 2] = [64 * KIB, 128 * KIB];
/// Bytes of a header, all under its checksum.
const SIZE: usize = 4096;
/// The only version of the format.
const VERSION: u16 = 1;

/// The creator of a file that begins as a VHDX does.
///
/// # Errors
///
/// Corrupt when it does not, and what reading gives.
pub(super) fn identifier(file: &dyn ReadAt) -> Result<String, ReadError> {
    const NAME: &str = "file identifier";
    let signature: [u8; 8] = structure(file, NAME, 0)?;
    require(signature == super::SIGNATURE, NAME, 0, "'vhdxfile'", signature.escape_ascii())?;
    // 256 UTF-16 units for people to read; nothing depends on them.
    let stored = read_vec(file, 8, int_usize(file.size().saturating_sub(8).min(512)))?;
    Ok(utf16(&stored))
}

/// Stored UTF-16 up to a NUL.
pub(super) fn utf16(stored: &[u8]) -> String {
    let units = stored.chunks_exact(2).filter_map(<[u8]>::first_chunk).copied().map(u16::from_le_bytes);
    char::decode_utf16(units.take_while(|unit| *unit != 0)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// A GUID as the format stores it.
pub(super) fn guid(from: &mut impl Read) -> io::Result<Guid> {
    let mut stored = [0; 16];
    from.read_exact(&mut stored)?;
    Ok(Guid::from_mixed_endian(stored))
}

/// A header, field by field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Where it stands; not stored.
    pub(super) at: u64,
    signature: [u8; 4],
    checksum: u32,
    sequence_number: u64,
    pub(super) data_write_guid: Guid,
    /// Nil when there is no log to replay.
    pub(super) log_guid: Guid,
    pub(super) log_version: u16,
    version: u16,
    pub(super) log_length: u32,
    pub(super) log_offset: u64,
}

impl Header {
    fn parse(at: u64, mut from: &[u8]) -> io::Result<Self> {
        let mut signature = [0; 4];
        from.read_exact(&mut signature)?;
        let checksum = from.read_u32::<LittleEndian>()?;
        let sequence_number = from.read_u64::<LittleEndian>()?;
        let _file_write_guid = guid(&mut from)?;
        let data_write_guid = guid(&mut from)?;
        let log_guid = guid(&mut from)?;
        let log_version = from.read_u16::<LittleEndian>()?;
        let version = from.read_u16::<LittleEndian>()?;
        let log_length = from.read_u32::<LittleEndian>()?;
        let log_offset = from.read_u64::<LittleEndian>()?;
        Ok(Self { at, signature, checksum, sequence_number, data_write_guid, log_guid, log_version, version, log_length, log_offset })
    }
}

/// Which headers are valid, and the current one: the valid one with the higher sequence number.
///
/// # Errors
///
/// Corrupt when neither is valid, or when two that differ claim the same sequence number.
pub(super) fn current(file: &dyn ReadAt, valid: &mut [bool; 2], notes: &mut Notes) -> Result<Header, ReadError> {
    let [one, two] = PLACES.map(|at| settle(header(file, at)));
    let (one, two) = (one?, two?);
    *valid = [one.is_ok(), two.is_ok()];
    match (one, two) {
        (Ok((one, stored_one)), Ok((two, stored_two))) => {
            let contradict = one.sequence_number == two.sequence_number && stored_one != stored_two;
            let found = format_args!("{} in both, which differ", two.sequence_number);
            require(!contradict, "header", two.at.saturating_add(8), "another sequence number than the first header's", found)?;
            Ok(if two.sequence_number > one.sequence_number { two } else { one })
        }
        (Ok((header, _)), Err(fault)) | (Err(fault), Ok((header, _))) => {
            notes.deviation(header.at, format!("only one of two headers is valid: {fault}"));
            Ok(header)
        }
        // An intact header of another version says more than a damaged one.
        (Err(_), Err(fault @ ReadError::Unsupported(_))) | (Err(fault), Err(_)) => Err(fault),
    }
}

/// A valid header and its bytes.
fn header(file: &dyn ReadAt, at: u64) -> Result<(Header, [u8; SIZE]), ReadError> {
    const NAME: &str = "header";
    let stored: [u8; SIZE] = structure(file, NAME, at)?;
    let header = Header::parse(at, &stored).map_err(|error| ReadError::host(at, SIZE, error))?;
    require(&header.signature == b"head", NAME, at, "'head'", header.signature.escape_ascii())?;
    let sum = crc32c::of_structure(&stored, []);
    let checksum_at = at.saturating_add(4);
    require(header.checksum == sum, NAME, checksum_at, &format!("CRC-32C {sum:#010x}"), format_args!("{:#010x}", header.checksum))?;
    if header.version != VERSION {
        return Err(ReadError::Unsupported(format!("VHDX version {}", header.version)));
    }
    Ok((header, stored))
}

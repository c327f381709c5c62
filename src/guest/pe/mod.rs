//! PE programs: what UEFI and Windows start.
//!
//! Source: Microsoft, "PE Format" (learn.microsoft.com/windows/win32/debug/pe-format): the MS-DOS stub, the COFF file header, the optional
//! header with its data directories, the section table, and the attribute certificate table. Sections of a unified kernel image: UAPI
//! Group, "UKI specification". Only headers and the sections that are asked for are read; a loader of many megabytes costs a few reads.

mod sbat;
mod signature;

pub use sbat::{SbatEntry, sbat};
pub use signature::{Signature, Signer};

use crate::bytes::field::{le16 as u16_at, le32 as u32_at};
use crate::bytes::{ReadAt, ReadError, int_u64, int_usize, read_vec};

/// Sections of one program at most; the format allows 96 for what Windows loads.
const MAX_SECTIONS: u16 = 512;
/// Where `e_lfanew` of the MS-DOS stub stands.
const NEW_HEADER_AT: u64 = 0x3c;
/// Bytes of the COFF file header with the signature `PE\0\0` before it.
const COFF_SIZE: usize = 24;
/// Bytes of the optional header up to its data directories: of PE32, and of PE32+.
const DIRECTORIES_AT: [(u16, usize); 2] = [(0x10b, 96), (0x20b, 112)];
/// The data directory of the attribute certificate table.
const CERTIFICATES: usize = 4;
/// `IMAGE_SUBSYSTEM_EFI_APPLICATION`.
pub const EFI_APPLICATION: u16 = 10;

/// A PE program's headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pe {
    /// `Machine`: the processor that it is for.
    pub machine: u16,
    /// `Subsystem`: [`EFI_APPLICATION`] for a boot loader.
    pub subsystem: u16,
    /// Its sections, in the order of the file.
    pub sections: Vec<Section>,
    /// Offset and size of the attribute certificate table; `None` in an unsigned program.
    certificates: Option<(u32, u32)>,
}

/// A section of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// At most eight bytes: `.text`; bytes that are not UTF-8 replaced. A longer name stands in a table elsewhere, and here its place: `/4`.
    pub name: String,
    /// Bytes in memory.
    pub virtual_size: u32,
    /// First byte in the file.
    pub offset: u32,
    /// Bytes in the file; padded, so often more than in memory.
    pub size: u32,
}

/// Bytes that are no program, or a damaged one.
#[derive(Debug, thiserror::Error)]
pub enum PeError {
    /// Something else.
    #[error("not a PE program: {0}")]
    Foreign(&'static str),
    /// A program that contradicts itself.
    #[error("damaged PE program: {0}")]
    Damaged(String),
    /// The bytes below could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Pe {
    /// Reads the headers.
    ///
    /// # Errors
    ///
    /// When it is not a PE program, or headers or sections pass the end.
    pub fn read(bytes: &dyn ReadAt) -> Result<Self, PeError> {
        if bytes.size() < NEW_HEADER_AT.saturating_add(4) {
            return Err(PeError::Foreign("too short"));
        }
        let stub = read_vec(bytes, 0, 64.min(int_usize(bytes.size())))?;
        if !stub.starts_with(b"MZ") {
            return Err(PeError::Foreign("it does not begin with MZ"));
        }
        let at = u64::from(u32_at(&stub, int_usize(NEW_HEADER_AT)).unwrap_or_default());
        let Some(left) = bytes.size().checked_sub(at).filter(|left| *left >= 4) else {
            return Err(PeError::Foreign("its PE header lies past the end"));
        };
        let coff = read_vec(bytes, at, COFF_SIZE.min(int_usize(left)))?;
        if !coff.starts_with(b"PE\0\0") {
            return Err(PeError::Foreign("no PE header"));
        }
        let short = || PeError::Damaged("the headers pass the end".to_owned());
        let field = |place: usize| u16_at(&coff, place).ok_or_else(short);
        let (machine, count, optional_size) = (field(4)?, field(6)?, field(20)?);
        if count > MAX_SECTIONS {
            return Err(PeError::Damaged(format!("{count} sections; at most {MAX_SECTIONS} are read")));
        }
        let optional_at = at.saturating_add(int_u64(COFF_SIZE));
        let optional = part(bytes, optional_at, usize::from(optional_size)).ok_or_else(short)??;
        let sections_at = optional_at.saturating_add(u64::from(optional_size));
        let table = part(bytes, sections_at, usize::from(count).saturating_mul(40)).ok_or_else(short)??;
        let sections = table.chunks_exact(40).filter_map(Section::decode).collect();
        Ok(Self { machine, subsystem: u16_at(&optional, 68).unwrap_or_default(), sections, certificates: certificate_table(&optional) })
    }

    /// The processor by the name that Azure has for it: `x64`, `Arm64`, `x86`; others by their own, or by number.
    #[must_use]
    pub fn architecture(&self) -> String {
        match self.machine {
            0x8664 => "x64".to_owned(),
            0xaa64 => "Arm64".to_owned(),
            0x014c => "x86".to_owned(),
            0x01c0 | 0x01c2 | 0x01c4 => "Arm".to_owned(),
            0x0200 => "Itanium".to_owned(),
            0x5064 => "RISC-V 64".to_owned(),
            0x6264 => "LoongArch 64".to_owned(),
            0x0ebc => "EFI byte code".to_owned(),
            other => format!("machine {other:#06x}"),
        }
    }

    /// The first section of that name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// What a section holds, without padding; `None` where there is none of that name.
    ///
    /// # Errors
    ///
    /// When it is longer than `limit`, or passes the end of the file.
    pub fn content(&self, bytes: &dyn ReadAt, name: &str, limit: u32) -> Result<Option<Vec<u8>>, PeError> {
        let Some(section) = self.section(name) else { return Ok(None) };
        let size = match section.virtual_size {
            0 => section.size,
            size => size.min(section.size),
        };
        if size > limit {
            return Err(PeError::Damaged(format!("section {name} has {size} bytes; at most {limit} are read")));
        }
        let past = || PeError::Damaged(format!("section {name} passes the end"));
        Ok(Some(part(bytes, u64::from(section.offset), int_usize(u64::from(size))).ok_or_else(past)??))
    }

    /// What a section of text holds, as text without NULs and white space at its end; `None` where there is none of that name.
    ///
    /// # Errors
    ///
    /// As [`Pe::content`].
    pub fn text(&self, bytes: &dyn ReadAt, name: &str, limit: u32) -> Result<Option<String>, PeError> {
        let content = self.content(bytes, name, limit)?;
        Ok(content.map(|content| String::from_utf8_lossy(&content).trim_end_matches(['\0', '\n', '\r', ' ', '\t']).to_owned()))
    }

    /// Who signed it, one for each entry of the attribute certificate table; none in an unsigned program. Nothing is verified: neither the
    /// digest of the program nor the signatures.
    ///
    /// # Errors
    ///
    /// When the table passes the end, or its entries contradict it. An entry that cannot be read is an error in its place.
    pub fn signatures(&self, bytes: &dyn ReadAt) -> Result<Vec<Result<Signature, String>>, PeError> {
        self.certificates.map_or(Ok(vec![]), |(offset, size)| signature::table(bytes, offset, size))
    }

    /// Whether it is a unified kernel image: a kernel within the program.
    #[must_use]
    pub fn is_unified_kernel(&self) -> bool {
        self.section(".linux").is_some()
    }
}

impl Section {
    fn decode(entry: &[u8]) -> Option<Self> {
        let name = entry.get(..8)?.split(|byte| *byte == 0).next()?;
        Some(Self {
            name: String::from_utf8_lossy(name).into_owned(),
            virtual_size: u32_at(entry, 8)?,
            size: u32_at(entry, 16)?,
            offset: u32_at(entry, 20)?,
        })
    }
}

/// The attribute certificate table of an optional header: its "virtual address" is an offset in the file.
fn certificate_table(optional: &[u8]) -> Option<(u32, u32)> {
    let magic = u16_at(optional, 0)?;
    let (_, directories) = DIRECTORIES_AT.into_iter().find(|(kind, _)| *kind == magic)?;
    let count = u32_at(optional, directories.checked_sub(4)?)?;
    if int_usize(u64::from(count)) <= CERTIFICATES {
        return None;
    }
    let at = directories.checked_add(CERTIFICATES.checked_mul(8)?)?;
    let (offset, size) = (u32_at(optional, at)?, u32_at(optional, at.checked_add(4)?)?);
    (offset != 0 && size != 0).then_some((offset, size))
}

/// Bytes of the file; `None` where they pass its end.
fn part(bytes: &dyn ReadAt, offset: u64, len: usize) -> Option<Result<Vec<u8>, ReadError>> {
    match read_vec(bytes, offset, len) {
        Err(ReadError::OutOfBounds { .. }) => None,
        other => Some(other),
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

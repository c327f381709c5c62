//! Records of the master file table, and the attributes in them.
//!
//! "FILE record" and "Attributes" in the Linux-NTFS project's documentation.

use super::raw::{byte, le16, le32, le64, len16, len32, part, units};

/// `$STANDARD_INFORMATION`.
pub(super) const STANDARD_INFORMATION: u32 = 0x10;
/// `$ATTRIBUTE_LIST`.
pub(super) const ATTRIBUTE_LIST: u32 = 0x20;
/// `$FILE_NAME`.
pub(super) const FILE_NAME: u32 = 0x30;
/// `$VOLUME_INFORMATION`.
pub(super) const VOLUME_INFORMATION: u32 = 0x70;
/// `$DATA`.
pub(super) const DATA: u32 = 0x80;
/// `$INDEX_ROOT`.
pub(super) const INDEX_ROOT: u32 = 0x90;
/// `$INDEX_ALLOCATION`.
pub(super) const INDEX_ALLOCATION: u32 = 0xa0;
/// `$BITMAP`.
pub(super) const BITMAP: u32 = 0xb0;
/// `$REPARSE_POINT`.
pub(super) const REPARSE_POINT: u32 = 0xc0;
/// What stands after the last attribute.
const END: u32 = 0xffff_ffff;
/// Flag of a record: it is in use.
pub(super) const IN_USE: u16 = 1;
/// Flag of a record: it is a directory.
const DIRECTORY: u16 = 2;

/// A record, parsed.
#[derive(Debug)]
pub(super) struct Record {
    /// Its place in the table.
    pub number: u64,
    /// How often the place was used.
    pub sequence: u16,
    /// Names that lead to it, those of the DOS namespace among them.
    pub links: u16,
    /// Whether it is a directory.
    pub directory: bool,
    /// The reference of the record that this one continues; 0 where it continues none.
    pub base: u64,
    /// Its attributes, in their order.
    pub attributes: Vec<Attribute>,
}

/// An attribute, or a part of one.
#[derive(Debug)]
pub(super) struct Attribute {
    /// What it is: [`DATA`] and the like.
    pub kind: u32,
    /// Its number within the record.
    pub id: u16,
    /// Its name; empty for most.
    pub name: Vec<u16>,
    /// Compressed, encrypted, sparse.
    pub flags: u16,
    /// What it holds.
    pub value: Value,
}

/// What an attribute holds.
#[derive(Debug)]
pub(super) enum Value {
    /// The bytes themselves.
    Resident(Vec<u8>),
    /// Where they are.
    Mapped(Mapped),
}

/// Where the bytes of an attribute are.
#[derive(Debug)]
pub(super) struct Mapped {
    /// Cluster of the stream at which this part begins.
    pub first: u64,
    /// Clusters of a compression unit, as the exponent of two; 0 where there are none.
    pub unit: u8,
    /// Bytes of the stream; only in its first part, as the following.
    pub size: u64,
    /// Bytes that were written; those after them read as zeros.
    pub initialized: u64,
    /// The run list.
    pub pairs: Vec<u8>,
}

/// Puts back the last two bytes of each 512, which a write replaced by its number to show whether all of it arrived.
pub(super) fn fix_up(block: &mut [u8], magic: &[u8; 4]) -> Result<(), String> {
    if part(block, 0, 4) != Some(magic) {
        return Err(format!("it does not begin with {}", String::from_utf8_lossy(magic)));
    }
    let array = len16(block, 4).zip(len16(block, 6)).and_then(|(at, count)| part(block, at, count.checked_mul(2)?));
    let array = units(array.unwrap_or_default());
    let Some((number, saved)) = array.split_first().filter(|(_, saved)| saved.len() == block.len() / 512) else {
        return Err("its update sequence has a wrong length".to_owned());
    };
    for (sector, saved) in block.as_chunks_mut::<512>().0.iter_mut().zip(saved) {
        let Some(end) = sector.last_chunk_mut::<2>() else { continue };
        if *end != number.to_le_bytes() {
            return Err("it was not written whole".to_owned());
        }
        *end = saved.to_le_bytes();
    }
    Ok(())
}

impl Record {
    /// Parses the bytes of a record. What is wrong is said without its number.
    pub(super) fn parse(number: u64, mut bytes: Vec<u8>) -> Result<Self, String> {
        fix_up(&mut bytes, b"FILE")?;
        Self::parse_fixed(number, &bytes).unwrap_or_else(|| Err("it ends within its header".to_owned()))
    }

    fn parse_fixed(number: u64, bytes: &[u8]) -> Option<Result<Self, String>> {
        let flags = le16(bytes, 22)?;
        if flags & IN_USE == 0 {
            return Some(Err("it is not in use".to_owned()));
        }
        let used = part(bytes, 0, len32(bytes, 24)?).unwrap_or(bytes);
        let mut at = len16(bytes, 20)?;
        let mut attributes = Vec::new();
        // Each attribute takes 24 bytes or more, so the loop ends with the record.
        while let Some(kind) = le32(used, at).filter(|kind| *kind != END) {
            let length = len32(used, at.checked_add(4)?).unwrap_or_default();
            let attribute = part(used, at, length).filter(|_| length >= 24).and_then(|bytes| Attribute::parse(kind, bytes));
            let Some(attribute) = attribute else { return Some(Err(format!("its attribute at byte {at} is damaged"))) };
            attributes.push(attribute);
            at = at.checked_add(length)?;
        }
        Some(Ok(Self {
            number,
            sequence: le16(bytes, 16)?,
            links: le16(bytes, 18)?,
            directory: flags & DIRECTORY != 0,
            base: le64(bytes, 32)?,
            attributes,
        }))
    }

    /// The first attribute of this kind and name in this very record.
    pub(super) fn own(&self, kind: u32, name: &[u16]) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.kind == kind && attribute.name == name)
    }
}

impl Attribute {
    fn parse(kind: u32, bytes: &[u8]) -> Option<Self> {
        let name = match byte(bytes, 9)? {
            0 => vec![],
            count => units(part(bytes, len16(bytes, 10)?, usize::from(count).checked_mul(2)?)?),
        };
        let value = if byte(bytes, 8)? == 0 {
            Value::Resident(part(bytes, len16(bytes, 20)?, len32(bytes, 16)?)?.to_vec())
        } else {
            Value::Mapped(Mapped {
                first: le64(bytes, 16)?,
                unit: byte(bytes, 34)?,
                size: le64(bytes, 48)?,
                initialized: le64(bytes, 56)?,
                pairs: bytes.get(len16(bytes, 32)?..)?.to_vec(),
            })
        };
        Some(Self { kind, id: le16(bytes, 14)?, name, flags: le16(bytes, 12)?, value })
    }

    /// The bytes of a resident attribute.
    pub(super) fn resident(&self) -> Option<&[u8]> {
        match &self.value {
            Value::Resident(bytes) => Some(bytes),
            Value::Mapped(_) => None,
        }
    }
}

//! BitLocker: what its metadata says without a key.
//!
//! Sources: libbde, "BitLocker Drive Encryption (BDE) format", sections 4 (volume headers) and 5 (metadata); dislocker,
//! `metadata.priv.h` (states, validation); cryptsetup, `lib/bitlk/bitlk.c` (protectors, volumes that are encrypted as they are written).
//! Microsoft documents none of it.

use super::super::block::Block;
use super::super::text::{label_utf16, uuid};
use super::super::{Content, Probed};
use crate::bytes::{Guid, ReadAt, ReadError, int_usize};

/// A volume that Windows encrypted, or prepared for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitLocker {
    /// Who laid it out.
    pub layout: Layout,
    /// Whether only what is written after it was turned on is encrypted ("used disk space only").
    pub used_space_only: bool,
    /// What its metadata says; `None` where no copy of it can be read.
    pub metadata: Option<Metadata>,
}

/// The metadata of a BitLocker volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Version: 1 of Windows Vista, 2 since Windows 7.
    pub version: u16,
    /// How far the volume is encrypted.
    pub state: Conversion,
    /// The state that is being reached; the same as `state` when nothing goes on.
    pub next_state: Conversion,
    /// Bytes from the start that are, or are to be, encrypted; unknown to Windows Vista.
    pub encrypted_size: Option<u64>,
    /// How the sectors are encrypted; `None` for methods without a known name.
    pub method: Option<&'static str>,
    /// What can open it, in the order of the metadata.
    pub protectors: Vec<Protector>,
    /// Identity of the volume.
    pub uuid: Option<String>,
    /// When encryption was set up, in seconds since 1970-01-01 UTC.
    pub created: Option<i64>,
    /// Windows' own description: by habit the computer's name, the volume's and a date.
    pub description: Option<String>,
    /// Whether the block's checksum is right; `None` where there is none.
    pub checksum: Option<bool>,
}

/// Which boot sector a BitLocker volume has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Windows Vista: the metadata is found through the NTFS fields.
    Vista,
    /// Windows 7 and later.
    Seven,
    /// To Go: a FAT32 boot sector before the "discovery" volume that old systems see.
    ToGo,
}

/// How far a volume is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// Not any more, or not yet.
    Decrypted,
    /// It is being encrypted or decrypted.
    Converting,
    /// Encrypted as it is written.
    OnWrite,
    /// Wholly.
    Encrypted,
    /// Encryption or decryption was begun and is paused.
    Paused,
    /// A state without a known name.
    Other(u16),
}

/// What opens a volume: a way in which its master key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protector {
    /// Nothing: the key lies in the clear, which suspends the protection.
    ClearKey,
    /// The TPM of one machine.
    Tpm,
    /// A key in a file, on a USB stick or, to unlock data volumes by themselves, on another volume.
    StartupKey,
    /// The TPM with a PIN.
    TpmPin,
    /// The 48 digits.
    RecoveryPassword,
    /// A certificate.
    SmartCard,
    /// A password.
    Password,
    /// A type without a known name.
    Other(u16),
}

impl From<u16> for Conversion {
    fn from(number: u16) -> Self {
        match number {
            1 => Self::Decrypted,
            2 => Self::Converting,
            3 => Self::OnWrite,
            4 => Self::Encrypted,
            5 => Self::Paused,
            other => Self::Other(other),
        }
    }
}

impl From<u16> for Protector {
    fn from(number: u16) -> Self {
        match number {
            0x0000 => Self::ClearKey,
            0x0100 => Self::Tpm,
            0x0200 => Self::StartupKey,
            0x0500 => Self::TpmPin,
            0x0800 => Self::RecoveryPassword,
            0x1000 => Self::SmartCard,
            0x2000 => Self::Password,
            other => Self::Other(other),
        }
    }
}

impl std::fmt::Display for Protector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ClearKey => "clear key",
            Self::Tpm => "TPM",
            Self::StartupKey => "startup key",
            Self::TpmPin => "TPM and PIN",
            Self::RecoveryPassword => "recovery password",
            Self::SmartCard => "smart card",
            Self::Password => "password",
            Self::Other(kind) => return write!(f, "type {kind:#06x}"),
        })
    }
}

impl Layout {
    const fn name(self) -> &'static str {
        match self {
            Self::Vista => "Windows Vista layout",
            Self::Seven => "Windows 7 layout",
            Self::ToGo => "To Go layout",
        }
    }
}

fn method(number: u16) -> Option<&'static str> {
    Some(match number {
        0x8000 => "AES-CBC 128-bit with diffuser",
        0x8001 => "AES-CBC 256-bit with diffuser",
        0x8002 => "AES-CBC 128-bit",
        0x8003 => "AES-CBC 256-bit",
        0x8004 => "AES-XTS 128-bit",
        0x8005 => "AES-XTS 256-bit",
        _ => return None,
    })
}

/// The block header and the metadata header.
const HEADERS: usize = 64 + 48;
/// Windows reserves 64 KiB for a metadata block.
const BLOCK_MAX: usize = 65536;
const SIGNATURE: &[u8; 8] = b"-FVE-FS-";
/// `92a84d3b-dd80-4d0e-9e4e-b1e3284eaed8`, as it is kept: only used space is encrypted.
const USED_SPACE: [u8; 16] = [0x3b, 0x4d, 0xa8, 0x92, 0x80, 0xdd, 0x0e, 0x4d, 0x9e, 0x4e, 0xb1, 0xe3, 0x28, 0x4e, 0xae, 0xd8];

/// A boot sector of BitLocker's.
struct Boot {
    layout: Layout,
    sector: Block,
}

impl Boot {
    fn read(bytes: &dyn ReadAt) -> Result<Option<Self>, ReadError> {
        let Some(sector) = Block::at(bytes, 0, 512)? else { return Ok(None) };
        let layout = if sector.has(0, b"\xeb\x52\x90-FVE-FS-") {
            Layout::Vista
        } else if sector.has(0, b"\xeb\x58\x90-FVE-FS-") {
            Layout::Seven
        } else if sector.has(0, b"\xeb\x58\x90MSWIN4.1") {
            Layout::ToGo
        } else {
            return Ok(None);
        };
        let boot = Self { layout, sector };
        // libblkid checks nothing of Vista's. A disk that was cut short ends before the metadata, and is to it and to us no
        // BitLocker volume; a FAT32 file system without any is none, either.
        let [first, ..] = boot.places();
        let there = layout == Layout::Vista || first != 0 && Block::at(bytes, first, 8)?.is_some_and(|block| block.has(0, SIGNATURE));
        Ok(there.then_some(boot))
    }

    /// Where the boot sector's identity lies; Vista's has none.
    fn identity(&self) -> usize {
        if self.layout == Layout::ToGo { 424 } else { 160 }
    }

    /// Where the metadata blocks lie, as far as the boot sector says; Vista names only the first, as a cluster.
    fn places(&self) -> [u64; 3] {
        if self.layout == Layout::Vista {
            let cluster = u64::from(self.sector.le16(11)).saturating_mul(u64::from(self.sector.u8(13)));
            return [self.sector.le64(56).saturating_mul(cluster), 0, 0];
        }
        [16, 24, 32].map(|field: usize| self.sector.le64(self.identity().saturating_add(field)))
    }
}

/// Whether a BitLocker volume begins here. Its boot sector also looks like NTFS or FAT.
pub(crate) fn is_bitlocker(bytes: &dyn ReadAt) -> Result<bool, ReadError> {
    Ok(Boot::read(bytes)?.is_some())
}

/// `BitLocker`, also while its protection is suspended: then the key lies in the clear, but the sectors stay encrypted.
pub(in super::super) fn probe(bytes: &dyn ReadAt) -> Probed {
    Ok(BitLocker::read(bytes)?.map(|found| Content {
        version: found.metadata.as_ref().map(|metadata| metadata.version.to_string()),
        detail: found.phrases(),
        ..Content::new("BitLocker")
    }))
}

impl BitLocker {
    /// Reads the boot sector and the best of the copies of the metadata: the first whose checksum is right, or else the first.
    pub(super) fn read(bytes: &dyn ReadAt) -> Result<Option<Self>, ReadError> {
        let Some(boot) = Boot::read(bytes)? else { return Ok(None) };
        let mut best: Option<Metadata> = None;
        for place in boot.places().into_iter().filter(|place| *place != 0) {
            let found = Metadata::read(bytes, place)?;
            let right = found.as_ref().is_some_and(|metadata| metadata.checksum == Some(true));
            if right || best.is_none() {
                best = found;
            }
            if right {
                break;
            }
        }
        let used_space_only = boot.layout != Layout::Vista && boot.sector.array::<16>(boot.identity()) == USED_SPACE;
        Ok(Some(Self { layout: boot.layout, used_space_only, metadata: best }))
    }

    /// Whether the volume is protected: encrypted, and no key lies in the clear. `None` where the metadata does not tell.
    #[must_use]
    pub fn is_protected(&self) -> Option<bool> {
        let metadata = self.metadata.as_ref()?;
        match metadata.state {
            Conversion::Decrypted => Some(false),
            _ if metadata.protectors.is_empty() => None,
            _ => Some(!metadata.protectors.contains(&Protector::ClearKey)),
        }
    }

    fn phrases(&self) -> Vec<String> {
        let mut phrases = vec![self.layout.name().to_owned()];
        let Some(metadata) = &self.metadata else { return phrases };
        phrases.extend(metadata.method.map(str::to_owned));
        phrases.extend(metadata.progress());
        if self.used_space_only {
            phrases.push("used space only".to_owned());
        }
        if metadata.protectors.contains(&Protector::ClearKey) {
            phrases.push("protection is suspended".to_owned());
        }
        if !metadata.protectors.is_empty() {
            let names: Vec<_> = metadata.protectors.iter().map(ToString::to_string).collect();
            phrases.push(format!("key protectors: {}", names.join(", ")));
        }
        phrases
    }
}

impl Metadata {
    /// The metadata block at `place`; `None` where there is none.
    fn read(bytes: &dyn ReadAt, place: u64) -> Result<Option<Self>, ReadError> {
        let Some(head) = Block::at(bytes, place, HEADERS)?.filter(|block| block.has(0, SIGNATURE)) else { return Ok(None) };
        let rest = int_usize(bytes.size().saturating_sub(place));
        let Some(block) = Block::at(bytes, place, rest.min(BLOCK_MAX))? else { return Ok(None) };
        let version = head.le16(10);
        // The length of the block counts bytes in version 1 and 16 of them in version 2; the checksum lies behind it.
        let unit = if version == 1 { 1 } else { 16 };
        let length = usize::from(head.le16(8)).saturating_mul(unit);
        let seal = length >= HEADERS && length.saturating_add(8) <= block.as_slice().len();
        let checksum = seal.then(|| crc32fast::hash(block.slice(0, length)) == block.le32(length.saturating_add(4)));
        let entries = int_usize(u64::from(head.le32(64))).clamp(48, BLOCK_MAX).saturating_add(64);
        let entries = Entries { block: block.slice(0, entries), at: HEADERS };
        let mut found = Self {
            version,
            state: head.le16(12).into(),
            next_state: head.le16(14).into(),
            encrypted_size: (version == 2).then(|| head.le64(16)),
            method: method(head.le16(64 + 36)),
            protectors: Vec::new(),
            uuid: uuid(Guid::from_mixed_endian(head.array(64 + 16)).0),
            created: unix(head.le64(64 + 40)),
            description: None,
            checksum,
        };
        for (kind, value, data) in entries {
            match (kind, value) {
                (VMK, VMK_VALUE) => {
                    let kind = data.get(26..28).and_then(<[u8]>::first_chunk).map(|pair| u16::from_le_bytes(*pair));
                    found.protectors.extend(kind.map(Protector::from));
                }
                (DESCRIPTION, STRING_VALUE) if found.description.is_none() => found.description = label_utf16(data, false),
                _ => {}
            }
        }
        Ok(Some(found))
    }

    /// What goes on with the volume, in words; nothing for states without a name.
    fn progress(&self) -> Option<String> {
        let text = match (self.state, self.next_state) {
            (Conversion::Encrypted, Conversion::Decrypted) | (Conversion::Converting, Conversion::Decrypted) => "being decrypted",
            (Conversion::Converting | Conversion::Decrypted, Conversion::Encrypted) => "being encrypted",
            (Conversion::Encrypted, _) => "fully encrypted",
            (Conversion::Decrypted, _) => "decrypted",
            (Conversion::Converting, _) => "being converted",
            (Conversion::OnWrite, _) => "encrypted on write",
            (Conversion::Paused, Conversion::Decrypted) => "decryption is paused",
            (Conversion::Paused, _) => "conversion is paused",
            (Conversion::Other(_), _) => return None,
        };
        Some(text.to_owned())
    }
}

/// The kinds of entries and of their values that are read.
const VMK: u16 = 2;
const VMK_VALUE: u16 = 8;
const DESCRIPTION: u16 = 7;
const STRING_VALUE: u16 = 2;

/// The entries of a metadata block: length, kind, kind of value, version, value.
struct Entries<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (u16, u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.block.get(self.at..)?;
        let (header, _) = rest.split_first_chunk::<8>()?;
        let [length, kind, value, _] = *header.as_chunks::<2>().0 else { return None };
        let length = usize::from(u16::from_le_bytes(length));
        // An entry has a header of 8 bytes; a shorter one ends the list.
        let data = rest.get(8..length)?;
        self.at = self.at.saturating_add(length);
        Some((u16::from_le_bytes(kind), u16::from_le_bytes(value), data))
    }
}

/// A time of Windows, in 100 ns since 1601-01-01, as seconds since 1970; zero and what was before are none.
fn unix(filetime: u64) -> Option<i64> {
    const EPOCH: u64 = 116_444_736_000_000_000;
    i64::try_from(filetime.checked_sub(EPOCH)? / 10_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{disk, matches};
    use super::*;
    use crate::bytes::{Bytes, Overlay};
    use std::sync::Arc;

    /// A metadata block with these entries and its checksum.
    fn metadata(version: u16, states: [u16; 2], entries: &[&[u8]]) -> Vec<u8> {
        let mut block = vec![0; HEADERS];
        block[..8].copy_from_slice(SIGNATURE);
        block[10..12].copy_from_slice(&version.to_le_bytes());
        block[12..14].copy_from_slice(&states[0].to_le_bytes());
        block[14..16].copy_from_slice(&states[1].to_le_bytes());
        block[16..24].copy_from_slice(&(3_u64 << 20).to_le_bytes());
        block[80..96].copy_from_slice(&Guid::from_mixed_endian(super::super::super::testing::id()).0);
        block[100..102].copy_from_slice(&0x8004_u16.to_le_bytes());
        block[104..112].copy_from_slice(&132_223_104_000_000_000_u64.to_le_bytes());
        block.extend(entries.concat());
        let length = u32::try_from(block.len() - 64).unwrap();
        block[64..68].copy_from_slice(&length.to_le_bytes());
        block.resize(block.len().next_multiple_of(16), 0);
        let unit = if version == 1 { 1 } else { 16 };
        let size = u16::try_from(block.len() / unit).unwrap();
        block[8..10].copy_from_slice(&size.to_le_bytes());
        let crc = crc32fast::hash(&block);
        block.extend([8, 0, 1, 0]);
        block.extend(crc.to_le_bytes());
        block
    }

    fn key(protection: u16) -> Vec<u8> {
        let mut entry = vec![0; 36];
        entry[0] = 36;
        entry[2] = 2;
        entry[4] = 8;
        entry[34..36].copy_from_slice(&protection.to_le_bytes());
        entry
    }

    fn described(text: &str) -> Vec<u8> {
        let mut entry = vec![0, 0, 7, 0, 2, 0, 1, 0];
        entry.extend(text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        entry[0] = u8::try_from(entry.len()).unwrap();
        entry
    }

    #[test]
    fn what_protects_it() {
        let block = metadata(2, [4, 4], &[&described("PC C: 1/1/2020"), &key(0x0100), &key(0x0800), &key(0x0300), &[3, 0]]);
        let at = 0x10000_u64;
        let boot: &[(u64, &[u8])] = &[(0, b"\xeb\x58\x90-FVE-FS-"), (176, &[0, 0, 1]), (at, &block)];
        let found = matches(probe, 1 << 20, boot, &[0, 10, 178, at]);
        assert_eq!((found.version.as_deref(), found.uuid), (Some("2"), None));
        assert_eq!(
            found.detail,
            ["Windows 7 layout", "AES-XTS 128-bit", "fully encrypted", "key protectors: TPM, recovery password, type 0x0300"]
        );
        let told = BitLocker::read(&disk(1 << 20, boot)).unwrap().unwrap();
        assert_eq!((told.is_protected(), told.used_space_only), (Some(true), false));
        let metadata = told.metadata.unwrap();
        assert_eq!(metadata.protectors, [Protector::Tpm, Protector::RecoveryPassword, Protector::Other(0x0300)]);
        assert_eq!(metadata.description.as_deref(), Some("PC C: 1/1/2020"));
        assert_eq!((metadata.created, metadata.encrypted_size), (Some(1_577_836_800), Some(3 << 20)));
        assert_eq!(metadata.uuid.as_deref(), Some(super::super::super::testing::ID));
        assert_eq!(metadata.checksum, Some(true));
    }

    #[test]
    fn suspended_and_to_go() {
        let block = metadata(2, [4, 4], &[&key(0)]);
        let togo: &[(u64, &[u8])] = &[(0, b"\xeb\x58\x90MSWIN4.1"), (440, &[0, 0, 1]), (424, &USED_SPACE), (0x10000, &block)];
        let found = matches(probe, 1 << 20, togo, &[10, 442, 0x10000]);
        assert_eq!(found.detail[2..], ["fully encrypted", "used space only", "protection is suspended", "key protectors: clear key"]);
        assert_eq!(BitLocker::read(&disk(1 << 20, togo)).unwrap().unwrap().is_protected(), Some(false));
        assert!(!is_bitlocker(&disk(1 << 20, &[(0, b"\xeb\x58\x90MSWIN4.1")])).unwrap());
    }

    #[test]
    fn vista_by_its_cluster() {
        matches(probe, 1 << 20, &[(0, b"\xeb\x52\x90-FVE-FS-")], &[10]);
        let block = metadata(1, [5, 1], &[&key(0x0200)]);
        let vista: &[(u64, &[u8])] = &[(0, b"\xeb\x52\x90-FVE-FS-\0\x02\x08"), (56, &[0x10]), (0x10000, &block)];
        let found = matches(probe, 1 << 20, vista, &[10]);
        assert_eq!(found.version.as_deref(), Some("1"));
        assert_eq!(found.detail, ["Windows Vista layout", "AES-XTS 128-bit", "decryption is paused", "key protectors: startup key"]);
        let told = BitLocker::read(&disk(1 << 20, vista)).unwrap().unwrap().metadata.unwrap();
        assert_eq!((told.encrypted_size, told.checksum), (None, Some(true)));
    }

    #[test]
    fn the_copy_with_the_right_checksum() {
        let mut bad = metadata(2, [4, 4], &[&key(0x2000)]);
        let good = metadata(2, [4, 1], &[&key(0)]);
        bad[12] = 1;
        let boot: &[(u64, &[u8])] =
            &[(0, b"\xeb\x58\x90-FVE-FS-"), (176, &[0, 0, 1]), (184, &[0, 0, 2]), (192, &[0, 0, 3]), (0x10000, &bad)];
        let one = disk(1 << 20, boot);
        let told = BitLocker::read(&one).unwrap().unwrap();
        assert_eq!(told.is_protected(), Some(false));
        assert_eq!(told.metadata.unwrap().checksum, Some(false));
        let mut both = Overlay::new(one);
        both.patch(0x30000, good).unwrap();
        let told = BitLocker::read(&both).unwrap().unwrap();
        assert_eq!(told.metadata.as_ref().unwrap().checksum, Some(true));
        assert_eq!(told.phrases()[2..], ["being decrypted", "protection is suspended", "key protectors: clear key"]);
    }

    #[test]
    fn damage_is_endured() {
        let block = metadata(2, [4, 4], &[&described("PC C:"), &key(0x0100), &key(0x0800)]);
        let whole: Bytes = disk(0x11000, &[(0, b"\xeb\x58\x90-FVE-FS-"), (176, &[0, 0, 1]), (0x10000, &block)]);
        for (at, byte) in block.iter().enumerate() {
            for change in [0xff, 0x80, 1] {
                let mut layer = Overlay::new(whole.clone());
                layer.patch(0x10000 + crate::bytes::int_u64(at), vec![byte ^ change]).unwrap();
                probe(&layer).unwrap();
            }
            let cut =
                Overlay::resized(Arc::new(crate::bytes::Slice::clamped(whole.clone(), 0, 0x11000)), 0x10000 + crate::bytes::int_u64(at));
            probe(&cut).unwrap();
        }
    }
}

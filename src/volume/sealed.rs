//! Encrypted and verified volumes: recognised, never opened.
//!
//! LUKS: the LUKS1 specification 1.2.3 and the LUKS2 on-disk format 1.1, section 2. BitLocker: the libbde project's
//! "BitLocker Drive Encryption (BDE) format". dm-verity and dm-integrity: the headers that cryptsetup writes.

use super::block::{Block, sized};
use super::text::{label, uuid};
use super::{Content, Probed};
use crate::bytes::{ReadAt, ReadError, int_usize};

/// `crypto_LUKS`: the first header, or where that is gone, LUKS2's second one at one of its fixed places.
pub(super) fn luks(bytes: &dyn ReadAt) -> Probed {
    const SECOND: [u64; 9] = [0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000];
    let places = std::iter::once((0, b"LUKS\xba\xbe")).chain(SECOND.map(|at| (at, b"SKUL\xba\xbe")));
    for (at, magic) in places {
        let Some(header) = Block::at(bytes, at, 512)? else { break };
        let version = header.be16(6);
        let here = version == 1 && at == 0 || version == 2 && header.be64(256) == at;
        if !header.has(0, magic) || !here {
            continue;
        }
        let mut detail = Vec::new();
        if version == 1 {
            let [cipher, mode] = [8, 40].map(|field| label(header.slice(field, 32)).unwrap_or_default());
            detail.push(format!("cipher {cipher}-{mode}"));
        } else if at != 0 {
            detail.push("the first header is gone".to_owned());
        }
        return Ok(Some(Content {
            uuid: label(header.slice(168, 40)),
            label: if version == 2 { label(header.slice(24, 48)) } else { None },
            version: Some(version.to_string()),
            detail,
            ..Content::new("crypto_LUKS")
        }));
    }
    Ok(None)
}

/// `DM_verity_hash`: the hash tree of another volume.
pub(super) fn verity(bytes: &dyn ReadAt) -> Probed {
    let Some(sb) = Block::at(bytes, 0, 512)? else { return Ok(None) };
    if !sb.has(0, b"verity\0\0") || sb.le32(8) != 1 {
        return Ok(None);
    }
    let data = sized(sb.le64(72), u64::from(sb.le32(64)));
    Ok(Some(Content {
        uuid: uuid(sb.array(16)),
        version: Some("1".to_owned()),
        detail: data.map(|size| format!("hashes {size} bytes")).into_iter().collect(),
        ..Content::new("DM_verity_hash")
    }))
}

/// `DM_integrity`: a volume whose sectors carry tags.
pub(super) fn integrity(bytes: &dyn ReadAt) -> Probed {
    let Some(sb) = Block::at(bytes, 0, 512)? else { return Ok(None) };
    let version = sb.u8(8);
    if !sb.has(0, b"integrt\0") || version == 0 {
        return Ok(None);
    }
    Ok(Some(Content { size: sized(sb.le64(16), 512), version: Some(version.to_string()), ..Content::new("DM_integrity") }))
}

/// The three boot sectors with which a BitLocker volume can begin.
#[derive(Clone, Copy)]
enum BitLocker {
    /// Windows Vista: the metadata is found through the NTFS fields.
    Vista,
    /// Windows 7 and later.
    Seven,
    /// To Go: a FAT32 boot sector before the "discovery" volume that old systems see.
    ToGo,
}

/// Where a BitLocker volume keeps its metadata; `None` when it is none. Vista says nothing that libblkid would check.
fn bitlocker_metadata(bytes: &dyn ReadAt) -> Result<Option<(BitLocker, Option<Block>)>, ReadError> {
    let Some(boot) = Block::at(bytes, 0, 512)? else { return Ok(None) };
    let (kind, offset) = if boot.has(0, b"\xeb\x52\x90-FVE-FS-") {
        return Ok(Some((BitLocker::Vista, None)));
    } else if boot.has(0, b"\xeb\x58\x90-FVE-FS-") {
        (BitLocker::Seven, boot.le64(176))
    } else if boot.has(0, b"\xeb\x58\x90MSWIN4.1") {
        (BitLocker::ToGo, boot.le64(440))
    } else {
        return Ok(None);
    };
    if offset == 0 {
        return Ok(None);
    }
    // A disk that was cut short ends before its metadata and is then, to libblkid and to us, no BitLocker volume.
    let block = Block::at(bytes, offset, METADATA_HEADERS)?.filter(|block| block.has(0, b"-FVE-FS-"));
    let Some(block) = block else { return Ok(None) };
    let whole = int_usize(u64::from(block.le32(64))).clamp(48, METADATA_MAX).saturating_add(64);
    Ok(Some((kind, Some(Block::at(bytes, offset, whole)?.unwrap_or(block)))))
}

/// The metadata block header and the metadata header.
const METADATA_HEADERS: usize = 64 + 48;
/// Windows reserves 64 KiB for a metadata block.
const METADATA_MAX: usize = 65536 - 64;

/// Whether a BitLocker volume begins here. Its boot sector also looks like NTFS or FAT.
pub(crate) fn is_bitlocker(bytes: &dyn ReadAt) -> Result<bool, ReadError> {
    Ok(bitlocker_metadata(bytes)?.is_some())
}

/// `BitLocker`, also while its protection is suspended: then the key lies in the clear, but the sectors stay encrypted.
pub(super) fn bitlocker(bytes: &dyn ReadAt) -> Probed {
    let Some((kind, metadata)) = bitlocker_metadata(bytes)? else { return Ok(None) };
    let layout = match kind {
        BitLocker::Vista => "Windows Vista layout",
        BitLocker::Seven => "Windows 7 layout",
        BitLocker::ToGo => "To Go layout",
    };
    let mut found = Content { detail: vec![layout.to_owned()], ..Content::new("BitLocker") };
    if let Some(metadata) = metadata {
        found.version = Some(metadata.le16(10).to_string());
        found.detail.extend(cipher(metadata.le16(64 + 36)).map(str::to_owned));
        let protectors = protectors(&metadata);
        if protectors.contains(&CLEAR_KEY) {
            found.detail.push("protection is suspended".to_owned());
        }
        if !protectors.is_empty() {
            let names: Vec<_> = protectors.into_iter().map(protector).collect();
            found.detail.push(format!("key protectors: {}", names.join(", ")));
        }
    }
    Ok(Some(found))
}

fn cipher(method: u16) -> Option<&'static str> {
    Some(match method {
        0x8000 => "AES-CBC 128-bit with diffuser",
        0x8001 => "AES-CBC 256-bit with diffuser",
        0x8002 => "AES-CBC 128-bit",
        0x8003 => "AES-CBC 256-bit",
        0x8004 => "AES-XTS 128-bit",
        0x8005 => "AES-XTS 256-bit",
        _ => return None,
    })
}

/// Protection type of a key that is not protected at all.
const CLEAR_KEY: u16 = 0;

fn protector(kind: u16) -> String {
    let name = match kind {
        CLEAR_KEY => "clear key",
        0x0100 => "TPM",
        0x0200 => "startup key",
        0x0500 => "TPM and PIN",
        0x0800 => "recovery password",
        0x2000 => "password",
        kind => return format!("type {kind:#06x}"),
    };
    name.to_owned()
}

/// The protection types of the volume master key's copies, in the order of the metadata.
fn protectors(metadata: &Block) -> Vec<u16> {
    /// The volume master key among the entries, and the type of its value.
    const VMK: (u16, u16) = (2, 8);
    let mut kinds = Vec::new();
    let mut at = METADATA_HEADERS;
    let end = metadata.as_slice().len();
    while at.saturating_add(8) <= end {
        let length = usize::from(metadata.le16(at));
        let field = |offset: usize| metadata.le16(at.saturating_add(offset));
        // An entry has a header of 8 bytes; a shorter one ends the list.
        if length < 8 || at.saturating_add(length) > end {
            break;
        }
        if (field(2), field(4)) == VMK && length >= 36 {
            kinds.push(field(8 + 26));
        }
        at = at.saturating_add(length);
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ID, disk, id, matches};
    use super::*;

    #[test]
    fn luks_1_and_2() {
        let uuid = ID.as_bytes();
        let one: &[(u64, &[u8])] = &[(0, b"LUKS\xba\xbe\0\x01aes"), (40, b"xts-plain64"), (168, uuid)];
        let found = matches(luks, 1 << 20, one, &[0, 5, 6, 7]);
        assert_eq!(found.uuid.as_deref(), Some(ID));
        assert_eq!((found.version.as_deref(), found.label), (Some("1"), None));
        assert_eq!(found.detail, ["cipher aes-xts-plain64"]);

        let two: &[(u64, &[u8])] = &[(0, b"LUKS\xba\xbe\0\x02"), (24, b"data"), (168, uuid)];
        let found = matches(luks, 1 << 20, two, &[0, 5, 6, 7, 263]);
        assert_eq!(found.label.as_deref(), Some("data"));

        let second: &[(u64, &[u8])] = &[(0x8000, b"SKUL\xba\xbe\0\x02"), (0x8000 + 168, uuid), (0x8000 + 256 + 6, &[0x80])];
        let found = matches(luks, 1 << 20, second, &[0x8000, 0x8000 + 262]);
        assert_eq!(found.detail, ["the first header is gone"]);
    }

    #[test]
    fn device_mapper_headers() {
        let found = matches(verity, 4096, &[(0, b"verity\0\0\x01\0\0\0\x01"), (16, &id::<16>())], &[0, 7, 8]);
        assert_eq!(found.uuid.as_deref(), Some(ID));
        let found = matches(integrity, 4096, &[(0, b"integrt\0\x05"), (16, &[8])], &[0, 7]);
        assert_eq!((found.version.as_deref(), found.size), (Some("5"), Some(4096)));
    }

    fn metadata(entries: &[&[u8]]) -> Vec<u8> {
        let mut block = vec![0; METADATA_HEADERS];
        block[..8].copy_from_slice(b"-FVE-FS-");
        block[10] = 2;
        block[64 + 36..64 + 38].copy_from_slice(&0x8004_u16.to_le_bytes());
        block.extend(entries.concat());
        let length = u32::try_from(block.len() - 64).unwrap();
        block[64..68].copy_from_slice(&length.to_le_bytes());
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

    #[test]
    fn bitlocker_and_what_protects_it() {
        let block = metadata(&[&[8, 0, 7, 0, 2, 0, 1, 0], &key(0x0100), &key(0x0800), &[3, 0]]);
        let at = 0x10000_u64;
        let boot: &[(u64, &[u8])] = &[(0, b"\xeb\x58\x90-FVE-FS-"), (176, &[0, 0, 1]), (at, &block)];
        let found = matches(bitlocker, 1 << 20, boot, &[0, 10, 178, at]);
        assert_eq!((found.version.as_deref(), found.uuid), (Some("2"), None));
        assert_eq!(found.detail, ["Windows 7 layout", "AES-XTS 128-bit", "key protectors: TPM, recovery password"]);

        let block = metadata(&[&key(CLEAR_KEY)]);
        let togo: &[(u64, &[u8])] = &[(0, b"\xeb\x58\x90MSWIN4.1"), (440, &[0, 0, 1]), (at, &block)];
        let found = matches(bitlocker, 1 << 20, togo, &[10, 442, at]);
        assert_eq!(found.detail[2..], ["protection is suspended", "key protectors: clear key"]);

        matches(bitlocker, 1 << 20, &[(0, b"\xeb\x52\x90-FVE-FS-")], &[10]);
        assert!(!is_bitlocker(&disk(1 << 20, &[(0, b"\xeb\x58\x90MSWIN4.1")])).unwrap());
    }
}

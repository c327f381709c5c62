//! Members of pools, caches and replicas.
//!
//! bcache: `include/uapi/linux/bcache.h` up to Linux 5.x. DRBD: `drbd_meta_data.h`, the 4 KiB at the end of "internal" meta
//! data. VMFS, VDO, Stratis (Stratis Software Design, section 3), UBI (`drivers/mtd/ubi/ubi-media.h`).

use super::block::{Block, sized};
use super::checksum::{crc32_le, crc32c};
use super::text::{label, uuid};
use super::{Content, Probed};
use crate::bytes::{Guid, MIB, ReadAt, ReadError};

/// `bcache`: a cache or what is cached.
pub(super) fn bcache(bytes: &dyn ReadAt) -> Probed {
    const MAGIC: [u8; 16] = [0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81];
    let Some(sb) = Block::at(bytes, 0x1000, 256)? else { return Ok(None) };
    // The superblock knows in which sector it lies.
    if !sb.has(24, &MAGIC) || sb.le64(8) != 8 {
        return Ok(None);
    }
    let version = sb.le64(16);
    let mut detail = vec![if matches!(version, 1 | 4 | 6) { "backing device" } else { "cache device" }.to_owned()];
    detail.extend(label(sb.slice(72, 32)).map(|name| format!("labelled {name}")));
    Ok(Some(Content { uuid: uuid(sb.array(40)), version: Some(version.to_string()), detail, ..Content::new("bcache") }))
}

/// `ceph_bluestore`: the storage of a Ceph OSD.
pub(super) fn bluestore(bytes: &dyn ReadAt) -> Probed {
    let Some(header) = Block::at(bytes, 0, 64)? else { return Ok(None) };
    // The magic is the first line of a text; the identity in text form is the second.
    if !header.has(0, b"bluestore block device") {
        return Ok(None);
    }
    Ok(Some(Content::new("ceph_bluestore")))
}

/// `drbd`: a replicated volume with its meta data inside.
pub(super) fn drbd(bytes: &dyn ReadAt) -> Probed {
    const VERSION_8: u32 = 0x8374_026b;
    const VERSION_8_UNCLEAN: u32 = 0x8374_026c;
    const VERSION_9: u32 = 0x8374_026d;
    let size = bytes.size();
    if size < 0x10000 {
        return Ok(None);
    }
    let Some(meta) = Block::at(bytes, size.saturating_sub(4096), 128)? else { return Ok(None) };
    // The magic stayed where it was; the device's identity moved.
    let (version, clean, id) = match meta.be32(60) {
        VERSION_8 => ("v08", None, meta.be64(40)),
        VERSION_8_UNCLEAN => ("v08", Some(false), meta.be64(40)),
        VERSION_9 => ("v09", None, meta.be64(48)),
        _ => return Ok(None),
    };
    Ok(Some(Content {
        uuid: (id != 0).then(|| format!("{id:x}")),
        size: sized(meta.be64(0), 512),
        clean,
        version: Some(version.to_owned()),
        ..Content::new("drbd")
    }))
}

/// VMware's order of the bytes of an identity: two little-endian words, a half word, and six bytes.
pub(crate) fn vmware_uuid([a, b, c, d, e, f, g, h, i, j, rest @ ..]: [u8; 16]) -> Option<String> {
    let [k, l, m, n, o, p] = rest;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let text = [hex(&[d, c, b, a]), hex(&[h, g, f, e]), hex(&[j, i]), hex(&[k, l, m, n, o, p])].join("-");
    text.bytes().any(|byte| byte != b'0' && byte != b'-').then_some(text)
}

/// `VMFS_volume_member`: an extent of a VMware datastore.
pub(super) fn vmfs_volume(bytes: &dyn ReadAt) -> Probed {
    let Some(header) = Block::at(bytes, MIB, 1024)? else { return Ok(None) };
    if !header.has(0, &[0x0d, 0xd0, 0x01, 0xc0]) {
        return Ok(None);
    }
    Ok(Some(Content {
        // The identity of the datastore's volume, kept as text 20 bytes into the second sector.
        uuid: label(header.slice(512 + 20, 35)),
        version: Some(header.le32(4).to_string()),
        ..Content::new("VMFS_volume_member")
    }))
}

/// `ubi`: an image for raw flash.
pub(super) fn ubi(bytes: &dyn ReadAt) -> Probed {
    let Some(header) = Block::at(bytes, 0, 64)? else { return Ok(None) };
    if !header.has(0, b"UBI#") || crc32_le(u32::MAX, header.slice(0, 60)) != header.be32(60) {
        return Ok(None);
    }
    let sequence = header.be32(24);
    Ok(Some(Content {
        uuid: (sequence != 0).then(|| sequence.to_string()),
        version: Some(header.u8(4).to_string()),
        ..Content::new("ubi")
    }))
}

/// `vdo`: a deduplicating volume.
pub(super) fn vdo(bytes: &dyn ReadAt) -> Probed {
    let Some(sb) = Block::at(bytes, 0, 56)? else { return Ok(None) };
    Ok(sb.has(0, b"dmvdo001").then(|| Content { uuid: uuid(sb.array(40)), ..Content::new("vdo") }))
}

/// `stratis`: two copies of the static header, in sectors 1 and 9.
pub(super) fn stratis(bytes: &dyn ReadAt) -> Probed {
    for at in [512, 9 * 512] {
        let Some(header) = Block::at(bytes, at, 512)? else { break };
        if !header.has(4, b"!Stra0tis\x86\xff\x02^\x41rh") || crc32c(header.slice(4, 508)) != header.le32(0) {
            continue;
        }
        return Ok(Some(Content {
            uuid: hyphenated(header.slice(64, 32)),
            size: sized(header.le64(20), 512),
            detail: hyphenated(header.slice(32, 32)).map(|pool| format!("pool {pool}")).into_iter().collect(),
            ..Content::new("stratis")
        }));
    }
    Ok(None)
}

/// 32 hexadecimal digits with the hyphens of a UUID.
fn hyphenated(digits: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(36);
    for (place, digit) in digits.iter().enumerate() {
        if !digit.is_ascii_graphic() {
            return None;
        }
        if matches!(place, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(char::from(*digit));
    }
    Some(text)
}

/// A disk of a Windows storage pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageSpaces {
    /// Identity of the pool.
    pub pool: Option<String>,
    /// Identity of this disk in the pool.
    pub disk: Option<String>,
}

impl StorageSpaces {
    /// Reads the header: at the start of the pool's partition, or 4 KiB into it.
    ///
    /// Microsoft documents none of it. What is known comes from two readers, StorageSpaceReconstructor (`SSR/storagespace.py`) and
    /// StorageSpace (`Data/SPACEDB.cs`): numbers are big-endian, and a field says where the two identities lie, in units of 16 bytes.
    /// The names of pool and spaces stand in a database behind the header, which is not read.
    pub(super) fn read(bytes: &dyn ReadAt) -> Result<Option<Self>, ReadError> {
        for at in [0, 4096] {
            let Some(header) = Block::at(bytes, at, 512)? else { break };
            if header.has(0, b"SPACEDB ") {
                let place = usize::from(header.be16(8)).saturating_mul(16);
                // One of the two layouts that were seen, or the identities are not where they are sought.
                let known = matches!(place, 16 | 32);
                let identity = |place: usize| if known { uuid(Guid::from_mixed_endian(header.array(place)).0) } else { None };
                return Ok(Some(Self { pool: identity(place), disk: identity(place.saturating_add(16)) }));
            }
        }
        Ok(None)
    }
}

/// `storage_spaces`. The name is ours: libblkid does not know the format.
pub(super) fn storage_spaces(bytes: &dyn ReadAt) -> Probed {
    Ok(StorageSpaces::read(bytes)?.map(|found| Content {
        detail: found.pool.map(|pool| format!("pool {pool}")).into_iter().collect(),
        ..Content::new("storage_spaces")
    }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ID, disk, id, matches};
    use super::*;

    #[test]
    fn bcache_knows_its_place() {
        let mut sb = vec![0; 256];
        sb[8] = 8;
        sb[16] = 1;
        sb[24..40].copy_from_slice(&[0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81]);
        sb[40..56].copy_from_slice(&id::<16>());
        let found = matches(bcache, 1 << 20, &[(4096, &sb)], &[4096 + 8, 4096 + 24, 4096 + 39]);
        assert_eq!(found.uuid.as_deref(), Some(ID));
        assert_eq!(found.detail, ["backing device"]);
    }

    #[test]
    fn drbd_at_the_end() {
        let at = (1 << 20) - 4096;
        let found = matches(drbd, 1 << 20, &[(at + 40, &id::<8>()), (at + 60, &[0x83, 0x74, 0x02, 0x6c])], &[at + 60, at + 63]);
        assert_eq!(found.uuid.as_deref(), Some("1112131415161718"));
        assert_eq!((found.version.as_deref(), found.clean), (Some("v08"), Some(false)));
    }

    #[test]
    fn magics_at_the_start() {
        matches(bluestore, 4096, &[(0, b"bluestore block device\n")], &[0, 21]);
        let found = matches(vdo, 4096, &[(0, b"dmvdo001"), (40, &id::<16>())], &[7]);
        assert_eq!(found.uuid.as_deref(), Some(ID));
        matches(storage_spaces, 8192, &[(4096, b"SPACEDB ")], &[4096, 4103]);
        let stored = Guid::from_mixed_endian(id::<16>()).0;
        let found = matches(storage_spaces, 8192, &[(0, b"SPACEDB \0\x02"), (32, &stored)], &[0, 7]);
        assert_eq!(found.detail, [format!("pool {ID}")]);
        let vmfs: &[(u64, &[u8])] = &[(MIB, &[0x0d, 0xd0, 0x01, 0xc0, 5]), (MIB + 532, b"4f3e1a2b-5c6d7e8f-9a0b-1c2d3e4f5a6b")];
        let found = matches(vmfs_volume, 2 * MIB, vmfs, &[MIB]);
        assert_eq!(found.uuid.as_deref(), Some("4f3e1a2b-5c6d7e8f-9a0b-1c2d3e4f5a6b"));
    }

    #[test]
    fn checksums_decide() {
        let mut header = vec![0; 512];
        header[4..20].copy_from_slice(b"!Stra0tis\x86\xff\x02^\x41rh");
        header[20..28].copy_from_slice(&2048_u64.to_le_bytes());
        header[32..64].copy_from_slice(&[b'a'; 32]);
        header[64..96].copy_from_slice(&[b'b'; 32]);
        let crc = crc32c(&header[4..]);
        header[..4].copy_from_slice(&crc.to_le_bytes());
        for at in [512, 9 * 512] {
            let found = matches(stratis, 1 << 20, &[(at, &header)], &[at, at + 4, at + 100]);
            assert_eq!(found.uuid.as_deref(), Some("bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb"));
            assert_eq!(found.size, Some(MIB));
        }
        let mut flash = vec![0; 64];
        flash[..5].copy_from_slice(b"UBI#\x01");
        flash[27] = 9;
        let crc = crc32_le(u32::MAX, &flash[..60]);
        flash[60..].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(matches(ubi, 4096, &[(0, &flash)], &[0, 10, 60]).uuid.as_deref(), Some("9"));
        assert_eq!(stratis(&disk(1000, &[])).unwrap(), None);
    }
}

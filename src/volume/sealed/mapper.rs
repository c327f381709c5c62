//! Volumes that the Linux device mapper verifies: the headers that cryptsetup writes.
//!
//! dm-verity: `lib/verity/verity.c`; dm-integrity: `lib/integrity/integrity.h` of cryptsetup.

use super::super::block::{Block, sized};
use super::super::text::uuid;
use super::super::{Content, Probed};
use crate::bytes::ReadAt;

/// `DM_verity_hash`: the hash tree of another volume.
pub(in super::super) fn verity(bytes: &dyn ReadAt) -> Probed {
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
pub(in super::super) fn integrity(bytes: &dyn ReadAt) -> Probed {
    let Some(sb) = Block::at(bytes, 0, 512)? else { return Ok(None) };
    let version = sb.u8(8);
    if !sb.has(0, b"integrt\0") || version == 0 {
        return Ok(None);
    }
    Ok(Some(Content { size: sized(sb.le64(16), 512), version: Some(version.to_string()), ..Content::new("DM_integrity") }))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{ID, id, matches};
    use super::*;

    #[test]
    fn device_mapper_headers() {
        let found = matches(verity, 4096, &[(0, b"verity\0\0\x01\0\0\0\x01"), (16, &id::<16>())], &[0, 7, 8]);
        assert_eq!(found.uuid.as_deref(), Some(ID));
        let found = matches(integrity, 4096, &[(0, b"integrt\0\x05"), (16, &[8])], &[0, 7]);
        assert_eq!((found.version.as_deref(), found.size), (Some("5"), Some(4096)));
    }
}

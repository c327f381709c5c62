//! ZFS pool members.
//!
//! Four labels of 256 KiB, two at each end: "ZFS On-Disk Specification" (draft, 2006), chapter 1. A label holds a list of
//! names and values in XDR form at 16 KiB, and 128 uberblocks from 128 KiB on.

use crate::bytes::{KIB, MIB, ReadAt, int_usize};
use crate::volume::block::Block;
use crate::volume::text::label;
use crate::volume::{Content, Probed};

const LABEL: u64 = 256 * KIB;
const UBERBLOCK_MAGIC: u64 = 0x00ba_b10c;
/// So many uberblocks in all labels together make a member.
const WANTED: usize = 4;

/// `zfs_member`.
pub(in crate::fs) fn zfs(bytes: &dyn ReadAt) -> Probed {
    const MIN_SIZE: u64 = 64 * MIB;
    let size = bytes.size();
    if size < MIN_SIZE {
        return Ok(None);
    }
    let whole = size & !(LABEL - 1);
    let mut seen = 0_usize;
    for at in [0, LABEL, whole.saturating_sub(2 * LABEL), whole.saturating_sub(LABEL)] {
        let Some(blocks) = Block::at(bytes, at.saturating_add(128 * KIB), int_usize(128 * KIB))? else { continue };
        let mut last = None;
        for place in (0..blocks.as_slice().len()).step_by(1024) {
            for big in [false, true] {
                if blocks.quad(place, big) == UBERBLOCK_MAGIC {
                    seen = seen.saturating_add(1);
                    last = Some(blocks.quad(place.saturating_add(8), big));
                }
            }
        }
        if let Some(version) = last.filter(|_| seen >= WANTED) {
            let mut found = Content { version: Some(version.to_string()), ..Content::new("zfs_member") };
            if let Some(list) = Block::at(bytes, at.saturating_add(16 * KIB), int_usize(4 * KIB))? {
                describe(&mut found, &list);
            }
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Takes the pool's name and identity from the list of names and values.
fn describe(found: &mut Content, list: &Block) {
    const UINT64: u32 = 8;
    const STRING: u32 = 9;
    let number = |at: usize| int_usize(u64::from(list.be32(at)));
    let end = list.as_slice().len();
    // Encoding, version and flags precede the first pair.
    let mut at = 12;
    while at < end {
        // Size as stored, size when decoded, name, type, count of values, value. Each pair is at least its own header.
        let (size, name_length) = (number(at), number(at.saturating_add(8)));
        if size < 24 || name_length > size || at.saturating_add(size) > end {
            break;
        }
        let name = list.slice(at.saturating_add(12), name_length);
        let value = at.saturating_add(12).saturating_add(name_length.next_multiple_of(4));
        match (name, list.be32(value)) {
            (b"name", STRING) => {
                let length = number(value.saturating_add(8)).min(size);
                found.label = label(list.slice(value.saturating_add(12), length));
            }
            (b"pool_guid", UINT64) => {
                let id = list.be64(value.saturating_add(8));
                found.uuid = (id != 0).then(|| id.to_string());
            }
            _ => {}
        }
        at = at.saturating_add(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::testing::{disk, matches};

    fn pair(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
        let mut pair = [name.len(), name.len()].map(|_| [0; 4]).concat();
        pair.extend(u32::try_from(name.len()).unwrap().to_be_bytes());
        pair.extend(name.as_bytes());
        pair.resize(12 + name.len().next_multiple_of(4), 0);
        pair.extend(kind.to_be_bytes());
        pair.extend(1_u32.to_be_bytes());
        pair.extend(value);
        let size = u32::try_from(pair.len()).unwrap().to_be_bytes();
        pair[..4].copy_from_slice(&size);
        pair
    }

    #[test]
    fn four_uberblocks_make_a_member() {
        let list = [pair("version", 8, &[0; 8]), pair("name", 9, b"\0\0\0\x04tank"), pair("pool_guid", 8, &[0, 0, 0, 0, 0, 0, 1, 0])];
        let list = list.concat();
        for big in [false, true] {
            let blocks: Vec<u8> = (0..4)
                .flat_map(|_| {
                    let fields = [UBERBLOCK_MAGIC, 5000].map(|n| if big { n.to_be_bytes() } else { n.to_le_bytes() });
                    [fields.concat(), vec![0; 1008]].concat()
                })
                .collect();
            let at = 64 * MIB - LABEL;
            let parts: &[(u64, &[u8])] = &[(at + 16 * KIB + 12, &list), (at + 128 * KIB, &blocks)];
            let magic = at + 128 * KIB + 3072;
            let found = matches(zfs, 64 * MIB + 4096, parts, &[magic + 3 + u64::from(big)]);
            assert_eq!((found.label.as_deref(), found.uuid.as_deref()), (Some("tank"), Some("256")));
            assert_eq!(found.version.as_deref(), Some("5000"));
            assert_eq!(zfs(&disk(64 * MIB - 1, &[])).unwrap(), None);
        }
    }
}

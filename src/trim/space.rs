//! What a region calls free, and what speaks against it.

use super::{Fault, kept, walk};
use crate::bytes::{Guid, KIB, MIB};
use crate::facts::ContentFacts;
use crate::fs::{self, FileSystem, OTHER_SIGNATURE};
use crate::inspect::Region;
use crate::partition::types::{self, FLATCAR_USR};
use std::ops::Range;

/// Partitions that an image's builder may have sealed with dm-verity, whose hashes are of all blocks, free ones too. The hashes of
/// Flatcar's lie behind its file system, without a superblock.
const SEALED: [Guid; 4] = [FLATCAR_USR, types::LINUX_USR_X86, types::LINUX_USR_X86_64, types::LINUX_USR_ARM64];
/// Partitions that hold the hashes of others.
const HASHES: [Guid; 6] = [
    types::LINUX_ROOT_VERITY_X86,
    types::LINUX_ROOT_VERITY_X86_64,
    types::LINUX_ROOT_VERITY_ARM64,
    types::LINUX_USR_VERITY_X86,
    types::LINUX_USR_VERITY_X86_64,
    types::LINUX_USR_VERITY_ARM64,
];
/// Where superblocks of Btrfs and their copies are, which its records of extents do not list: the first MiB is kept free of all else
/// ("On-disk Format" in the documentation of Btrfs).
const BTRFS_KEPT: [Range<u64>; 3] = [0..MIB, 64 * MIB..64 * MIB + 4 * KIB, (256 << 30)..(256 << 30) + 4 * KIB];

/// Why nothing at all may be dropped: systems that sleep will write what they have in memory when they wake, over whatever is free on their
/// disks, and hashes of whole file systems hold their free space, too.
pub(super) fn stop(regions: &[Region]) -> Result<Option<String>, Fault> {
    for region in regions {
        let place = &region.place;
        let kind = region.content.as_ref().map_or("", |content| content.kind.as_str());
        if kind == "swsuspend" {
            return Ok(Some(format!("a system that hibernates has its memory in {place}; start it and shut it down, then run again")));
        }
        if kind == "DM_verity_hash" || of_type(region, &HASHES) {
            return Ok(Some(format!("{place} holds hashes of another volume, its free space among them (dm-verity)")));
        }
        if kind == "ntfs"
            && let Some(fs) = region.opened()
        {
            match fs::is_hibernated(&**fs).map_err(Fault::from) {
                Ok(false) => {}
                Ok(true) => {
                    return Ok(Some(format!(
                        "a hibernated Windows, or one shut down with fast startup, has its memory in hiberfil.sys of {place}; start it and \
                         shut it down with 'shutdown /s /t 0', then run again"
                    )));
                }
                Err(Fault::Kept(why)) => return Ok(Some(format!("whether a hibernated Windows is on {place} cannot be told: {why}"))),
                Err(host) => return Err(host),
            }
        }
    }
    Ok(None)
}

fn of_type(region: &Region, kinds: &[Guid]) -> bool {
    region.partition_type.as_deref().is_some_and(|kind| kinds.iter().any(|one| one.to_string() == kind))
}

/// What is free on a region: ranges of its bytes, in order and apart.
pub(super) fn of(region: &Region, content: &ContentFacts) -> Result<Vec<Range<u64>>, Fault> {
    if let Some(other) = content.detail.iter().find(|detail| detail.contains(OTHER_SIGNATURE)) {
        return kept(format!("it {other}, so that it is not certain what it is"));
    }
    if of_type(region, &SEALED) {
        return kept("a /usr partition of this type may be sealed with dm-verity, whose hashes are of free blocks, too");
    }
    match (content.kind.as_str(), &region.fs) {
        ("swap", _) => match fs::swap_space(&region.bytes)? {
            Some(space) => Ok(vec![space]),
            None => kept("it is swap space of another version than 1, or longer than its place"),
        },
        ("crypto_LUKS" | "BitLocker", _) => kept("it is encrypted"),
        (kind, None) => kept(format!("what is free on {kind} is not known")),
        (_, Some(Err(error))) => Err(error.clone().into()),
        (kind, Some(Ok(fs))) => file_system(&**fs, kind, region.bytes.size()),
    }
}

/// What is free on a file system, held against its counts and its files.
fn file_system(fs: &dyn FileSystem, kind: &str, size: u64) -> Result<Vec<Range<u64>>, Fault> {
    if !fs.clean()? {
        return kept("it was not left in order; start its system and shut it down, then run again");
    }
    let free = fs.free()?;
    let mut next = 0;
    let mut sum = 0_u64;
    for range in &free {
        if range.start < next || range.start >= range.end || range.end > size {
            return kept(format!("its free space is not in order at byte {}", range.start));
        }
        next = range.end;
        sum = sum.saturating_add(range.end.saturating_sub(range.start));
    }
    let usage = fs.usage()?;
    // So does a volume that goes on elsewhere, or in stripes.
    if usage.size > size {
        return kept(format!("it spans {} bytes, more than the {size} of its place", usage.size));
    }
    let counted = usage.free;
    // Btrfs counts what files use, not what its copies take; XFS counts blocks as free that it keeps for its own trees.
    let equal = !matches!(kind, "btrfs" | "xfs");
    if sum > counted || equal && sum != counted {
        return kept(format!("it lists {sum} bytes as free and counts {counted}"));
    }
    if kind == "btrfs" && free.iter().any(|range| BTRFS_KEPT.iter().any(|kept| kept.start < range.end && range.start < kept.end)) {
        return kept("it lists one of its own superblocks as free");
    }
    walk::check(fs, &free)?;
    with_idle(free, fs.idle()?, size)
}

/// The free ranges and the idle ones, in order. What is both contradicts itself.
fn with_idle(mut free: Vec<Range<u64>>, idle: Vec<Range<u64>>, size: u64) -> Result<Vec<Range<u64>>, Fault> {
    free.extend(idle);
    free.sort_by_key(|range| range.start);
    let mut next = 0;
    for range in &free {
        if range.start < next || range.end > size {
            return kept(format!("its journal is not in order at byte {}", range.start));
        }
        next = range.end;
    }
    Ok(free)
}

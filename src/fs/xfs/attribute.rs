//! Extended attributes.
//!
//! Few lie in the inode (`struct xfs_attr_sf_hdr`); more in leaf blocks, under nodes where there are several, long values in blocks of
//! their own: `fs/xfs/libxfs/xfs_da_format.h`, `xfs_attr_remote.c`.

use super::super::Error;
use super::extents::{Extent, disjoint, extents, find};
use super::fields::{be16, be32, byte, part};
use super::geometry::load;
use super::inode::{Format, Inode};
use super::{Header, Volume};
use crate::bytes::int_usize;

/// Flags of an entry.
const LOCAL: u8 = 0x1;
const TRUSTED: u8 = 0x2;
const SECURITY: u8 = 0x4;
const INCOMPLETE: u8 = 0x80;

/// The longest value.
const MAX_VALUE: u32 = 64 * 1024;
/// Levels of nodes at most.
const MAX_DEPTH: u32 = 5;

/// A parent pointer, which the kernel shows to nobody.
const PARENT: u8 = 0x8;

/// Which attributes are wanted, by the flags of their entry and their name.
type Wanted<'a> = &'a dyn Fn(u8, &[u8]) -> bool;

/// An attribute: the flags of its entry, its name, its value.
type Found = (u8, Vec<u8>, Vec<u8>);

/// A value, by its name: `security.selinux`. Access control lists are `trusted.SGI_ACL_FILE`, as they are stored.
///
/// # Errors
///
/// When attributes are damaged.
pub(super) fn attribute(volume: &Volume, inode: &Inode, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let (flag, name) = match name.split_once('.') {
        Some(("user", name)) => (0, name),
        Some(("trusted", name)) => (TRUSTED, name),
        Some(("security", name)) => (SECURITY, name),
        _ => return Ok(None),
    };
    let found = gather(volume, inode, &|flags, stored| flags & !LOCAL == flag && stored == name.as_bytes(), true)?;
    Ok(found.into_iter().next().map(|(_, _, value)| value))
}

/// All attributes with their values, sorted by name, named as [`attribute`] does; without parent pointers.
///
/// # Errors
///
/// When attributes are damaged, or have names that are not UTF-8.
pub(super) fn attributes(volume: &Volume, inode: &Inode) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut all = Vec::new();
    for (flags, name, value) in gather(volume, inode, &|flags, _| flags & PARENT == 0, false)? {
        let space = match flags & !LOCAL {
            0 => "user",
            TRUSTED => "trusted",
            SECURITY => "security",
            other => return Err(inode.damaged(&format!("attributes: unknown flags {other:#x}"))),
        };
        let Ok(name) = std::str::from_utf8(&name) else {
            return Err(Error::Unsupported(format!("inode {}: an attribute with a name that is not UTF-8", inode.number)));
        };
        all.push((format!("{space}.{name}"), value));
    }
    all.sort();
    if all.array_windows::<2>().any(|[one, next]| one.0 == next.0) {
        return Err(inode.damaged("attributes: one name twice"));
    }
    Ok(all)
}

/// The attributes that are wanted, only the first where that is enough.
fn gather(volume: &Volume, inode: &Inode, wanted: Wanted, first: bool) -> Result<Vec<Found>, Error> {
    let Some(fork) = &inode.attributes else { return Ok(vec![]) };
    match fork.format {
        Format::Local => short(inode.fork(fork), wanted).ok_or_else(|| inode.damaged("its attributes pass the end of the inode")),
        Format::Extents if fork.extents == 0 => Ok(vec![]),
        _ => {
            let extents = extents(volume, inode, fork)?;
            disjoint(inode, &extents)?;
            Blocks { volume, inode, extents }.find(wanted, first)
        }
    }
}

/// Attributes in the inode; `None` where they are damaged.
fn short(fork: &[u8], wanted: Wanted) -> Option<Vec<Found>> {
    let fork = fork.get(..usize::from(be16(fork, 0)))?;
    let mut at = 4_usize;
    part(fork, 0, at)?;
    let mut found = Vec::new();
    for _ in 0..byte(fork, 2) {
        let [name_length, length, flags] = part(fork, at, 3)?.first_chunk::<3>()?;
        let name = part(fork, at.checked_add(3)?, usize::from(*name_length))?;
        let value = at.checked_add(3)?.checked_add(name.len())?;
        let content = part(fork, value, usize::from(*length))?;
        if wanted(*flags, name) {
            found.push((*flags, name.to_vec(), content.to_vec()));
        }
        at = value.checked_add(content.len())?;
    }
    Some(found)
}

/// Attributes in blocks.
struct Blocks<'a> {
    volume: &'a Volume,
    inode: &'a Inode,
    extents: Vec<Extent>,
}

impl Blocks<'_> {
    fn damaged(&self, what: &str) -> Error {
        self.inode.damaged(&format!("attributes: {what}"))
    }

    /// A block of the fork, with its checksum verified.
    fn block(&self, number: u32, header: Header) -> Result<Vec<u8>, Error> {
        let geometry = &self.volume.geometry;
        let place = find(&self.extents, u64::from(number)).and_then(|start| geometry.place(start, 1));
        let at = place.ok_or_else(|| self.damaged(&format!("block {number} is a hole")))?;
        let block = load(&*self.volume.bytes, at, geometry.block_len())?;
        let sound = self.volume.verify(&block, at, self.inode.number, header);
        sound.map_err(|what| self.damaged(&format!("block {number}: {what}")))?;
        Ok(block)
    }

    /// Looks through the leaves from the first one on.
    fn find(&self, wanted: Wanted, first: bool) -> Result<Vec<Found>, Error> {
        let checked = self.volume.geometry.checked;
        let (leaf, node, count_at, entries) = if checked { (0x3bee, 0x3ebe, 56, 64_usize) } else { (0xfbee, 0xfebe, 12, 16) };
        let mut block = self.block(0, Header::INDEX)?;
        for _ in 0..MAX_DEPTH {
            if be16(&block, 8) != node {
                break;
            }
            if be16(&block, count_at) == 0 {
                return Err(self.damaged("a node without children"));
            }
            // The child after the hash: of the first entry, the leftmost.
            block = self.block(be32(&block, entries.saturating_add(4)), Header::INDEX)?;
        }
        // No chain of leaves is longer than the fork.
        let most: u64 = self.extents.iter().map(|extent| extent.count).sum();
        let mut found = Vec::new();
        for _ in 0..most {
            if be16(&block, 8) != leaf {
                return Err(self.damaged("no leaf where one should be"));
            }
            self.leaf(&block, wanted, &mut found)?;
            match be32(&block, 0) {
                _ if first && !found.is_empty() => return Ok(found),
                0 => return Ok(found),
                next => block = self.block(next, Header::INDEX)?,
            }
        }
        Err(self.damaged("leaves go round in a circle"))
    }

    fn leaf(&self, block: &[u8], wanted: Wanted, found: &mut Vec<Found>) -> Result<(), Error> {
        let (count_at, entries) = if self.volume.geometry.checked { (56, 80) } else { (12, 32) };
        let count = usize::from(be16(block, count_at));
        let short = || self.damaged("an entry passes the end of its block");
        let entries = part(block, entries, count.saturating_mul(8)).ok_or_else(short)?;
        for entry in entries.as_chunks::<8>().0 {
            let (at, flags) = (usize::from(be16(entry, 4)), byte(entry, 6));
            if flags & INCOMPLETE != 0 {
                continue;
            }
            let record = block.get(at..).ok_or_else(short)?;
            if flags & LOCAL != 0 {
                let (length, name_length) = (usize::from(be16(record, 0)), usize::from(byte(record, 2)));
                let name = part(record, 3, name_length).ok_or_else(short)?;
                if wanted(flags, name) {
                    let value = part(record, name_length.saturating_add(3), length).ok_or_else(short)?;
                    found.push((flags, name.to_vec(), value.to_vec()));
                }
            } else {
                let name = part(record, 9, usize::from(byte(record, 8))).ok_or_else(short)?;
                if wanted(flags, name) {
                    found.push((flags, name.to_vec(), self.remote(be32(record, 0), be32(record, 4))?));
                }
            }
        }
        Ok(())
    }

    /// A value in blocks of its own.
    fn remote(&self, first: u32, length: u32) -> Result<Vec<u8>, Error> {
        if length > MAX_VALUE {
            return Err(self.damaged("a value longer than 64 KiB"));
        }
        let length = usize::try_from(length).unwrap_or_default();
        let header = if self.volume.geometry.checked { 56 } else { 0 };
        let room = int_usize(self.volume.geometry.block).saturating_sub(header).max(1);
        let mut value = Vec::with_capacity(length);
        for number in (first..).take(length.div_ceil(room)) {
            let block = self.block(number, Header::VALUE)?;
            let rest = length.saturating_sub(value.len()).min(room);
            if self.volume.geometry.checked
                && (!block.starts_with(b"XARM")
                    || usize::try_from(be32(&block, 4)) != Ok(value.len())
                    || usize::try_from(be32(&block, 8)) != Ok(rest))
            {
                return Err(self.damaged("a value is not where it should be"));
            }
            value.extend(part(&block, header, rest).unwrap_or_default());
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_attributes_are_found_by_name_and_namespace() {
        let mut fork = vec![0, 0, 3, 0];
        for (flags, name, value) in [(0, "a", "one"), (SECURITY, "selinux", "label"), (TRUSTED, "a", "")] {
            fork.extend([name.len() as u8, value.len() as u8, flags]);
            fork.extend(name.as_bytes());
            fork.extend(value.as_bytes());
        }
        let len = fork.len();
        fork[1] = len as u8;
        fork.extend([0xff; 20]);
        let find = |fork: &[u8], flag, name: &[u8]| {
            let found = short(fork, &|flags, stored| flags & !LOCAL == flag && stored == name)?;
            Some(found.into_iter().next().map(|(_, _, value)| value))
        };
        assert_eq!(find(&fork, 0, b"a"), Some(Some(b"one".to_vec())));
        assert_eq!(find(&fork, SECURITY, b"selinux"), Some(Some(b"label".to_vec())));
        assert_eq!(find(&fork, TRUSTED, b"a"), Some(Some(vec![])));
        assert_eq!(find(&fork, SECURITY, b"a"), Some(None));
        for cut in 0..len {
            assert_eq!(find(&fork[..cut], TRUSTED, b"none"), None, "{cut}");
            fork[1] = cut as u8;
            assert!(cut < 4 || find(&fork, TRUSTED, b"none").is_none(), "{cut}");
            fork[1] = len as u8;
        }
    }
}

//! New places for content: runs of free sectors, with all that counts them.
//!
//! `struct btrfs_extent_item`, `btrfs_extent_data_ref`, `btrfs_file_extent_item` in `include/uapi/linux/btrfs_tree.h`.

use super::block::{len64, put, put64, signed};
use super::forest::{EXTENT_TREE, Forest};
use super::space::{DATA, DATA_REFERENCE, EXTENT, after};
use crate::bytes::{MIB, int_usize};
use crate::fs::Error;
use crate::fs::btrfs::item::Inode;
use crate::fs::btrfs::tree::Key;

/// Bytes of the item of an extent that has a place, and its kind.
const PLACED: usize = 53;
const REGULAR: u8 = 1;
/// Bytes of an extent at most: `BTRFS_MAX_EXTENT_SIZE`.
const MAX_EXTENT: u64 = 128 * MIB;

impl Forest {
    /// Gives a file without extents this content, in new extents that are neither compressed nor shared. Gives the bytes that it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] where block groups for data have no room.
    pub(super) fn place_content(&mut self, tree: u64, inode: &Inode, content: &[u8]) -> Result<u64, Error> {
        // What was freed before counts as free.
        self.settle()?;
        let sector = self.volume.superblock.sector;
        let end = len64(content).checked_next_multiple_of(sector).unwrap_or(u64::MAX);
        let (mut from, mut most) = (0, MAX_EXTENT);
        while from < end {
            let mut len = end.saturating_sub(from).min(most);
            let at = loop {
                if let Some(at) = self.find_run(len)? {
                    break at;
                }
                // Shorter runs, where there is none as long.
                len = (len / 2).checked_next_multiple_of(sector).filter(|half| *half < len).ok_or_else(|| {
                    let (number, left) = (inode.number, end.saturating_sub(from));
                    Error::Full(format!("inode {number}: no block group for data has {left} bytes free"))
                })?;
            };
            most = len;
            let mut bytes = content.get(int_usize(from)..).unwrap_or_default().to_vec();
            bytes.resize(int_usize(len), 0);
            self.take_data(tree, inode.number, (at, len), from)?;
            if inode.checksums {
                self.add_sums(at, &bytes)?;
            }
            self.content.insert(at, bytes);
            let mut item = vec![0; PLACED];
            for (field, value) in [(0, self.generation), (8, len), (21, at), (29, len), (45, len)] {
                put64(&mut item, field, value);
            }
            put(&mut item, 20, &[REGULAR]);
            self.insert(tree, Key::new(inode.number, Key::EXTENT, from), item)?;
            // Blocks that became full are counted before a place is looked for again.
            self.settle()?;
            from = from.saturating_add(len);
        }
        Ok(end)
    }

    /// Notes that an extent of data is used, once, by this inode, from this byte of it on.
    fn take_data(&mut self, tree: u64, inode: u64, (at, len): (u64, u64), from: u64) -> Result<(), Error> {
        let mut item = vec![0; EXTENT];
        for (field, value) in [(0, 1), (8, self.generation), (16, DATA)] {
            put64(&mut item, field, value);
        }
        item.push(DATA_REFERENCE);
        for field in [tree, inode, from] {
            item.extend(field.to_le_bytes());
        }
        item.extend(1_u32.to_le_bytes());
        self.insert(EXTENT_TREE, Key::new(at, Key::ALLOCATED, len), item)?;
        self.count(at, signed(len))?;
        self.take(at, len)?;
        self.settle()
    }

    /// The first run of free bytes of this length in a block group for data.
    fn find_run(&mut self, len: u64) -> Result<Option<u64>, Error> {
        let (sector, node) = (self.volume.superblock.sector, u64::from(self.volume.superblock.node));
        let groups = self.volume.chunks().filter(|(_, chunk)| chunk.kind & DATA != 0);
        let groups: Vec<(u64, u64)> = groups.map(|(start, chunk)| (start, start.saturating_add(chunk.len))).collect();
        for (start, end) in groups {
            let (mut candidate, mut key) = (start, Key::new(start, 0, 0));
            loop {
                let next = self.next(EXTENT_TREE, key)?.filter(|(key, _)| key.object < end);
                let stop = next.as_ref().map_or(end, |(key, _)| key.object);
                while candidate.saturating_add(len) <= stop {
                    if !self.beside_superblock(candidate, len) {
                        return Ok(Some(candidate));
                    }
                    candidate = candidate.saturating_add(sector);
                }
                let Some((found, _)) = next else { break };
                let used = match found.kind {
                    Key::ALLOCATED => found.offset,
                    Key::BLOCK => node,
                    _ => 0,
                };
                candidate = candidate.max(found.object.saturating_add(used)).checked_next_multiple_of(sector).unwrap_or(end);
                key = after(found);
            }
        }
        Ok(None)
    }
}

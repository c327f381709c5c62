//! Large directories, from the front.
//!
//! The writer looks for a name from a directory's first block on, and writes every block up to the one that it finds it in: to remove all
//! names of a directory of n blocks would take n² of them. So the block that is at hand is shown to it in the place of the first, and that
//! one in its place. Blocks of entries may stand anywhere: nothing in them says where, and what is written goes to where it belongs.

use crate::fs::ext::writing::Placed;
use std::collections::BTreeMap;

/// Blocks from which on a directory is large.
pub(super) const LARGE: u64 = 8;

/// A large directory whose names are being removed.
#[derive(Debug)]
pub(super) struct Front {
    names: BTreeMap<Vec<u8>, (u64, u64, u32)>,
    /// The first block that has entries, behind that with `.` and `..` or the root of the index.
    first: Option<u64>,
    /// The block that is shown there.
    shown: Option<u64>,
}

impl Front {
    pub(super) fn new(names: Vec<Placed>) -> Self {
        let first = names.iter().find(|one| one.logical > 0).map(|one| one.block);
        let names = names.into_iter().map(|one| (one.name, (one.logical, one.block, one.inode))).collect();
        Self { names, first, shown: first }
    }

    /// The inode of a name; and the two blocks to show in each other's places, where that is not how they are shown already.
    pub(super) fn find(&mut self, name: &[u8]) -> Option<(u32, Option<(u64, u64)>)> {
        let (logical, block, inode) = self.names.get(name).copied()?;
        if logical == 0 || self.shown == Some(block) {
            return Some((inode, None));
        }
        self.shown = Some(block);
        Some((inode, self.first.map(|first| (first, block))))
    }
}

/// Blocks that are shown in other places.
#[derive(Debug, Default)]
pub(super) struct View {
    block_size: u64,
    /// By place; two each.
    moved: BTreeMap<u64, u64>,
}

impl View {
    /// Shows two blocks in each other's places, and no others in the first's.
    pub(super) fn swap(&mut self, block_size: u64, first: u64, block: u64) {
        self.block_size = block_size;
        if let Some(before) = self.moved.remove(&first) {
            self.moved.remove(&before);
        }
        if first != block {
            self.moved.extend([(first, block), (block, first)]);
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.moved.is_empty()
    }

    /// Where the bytes at an offset are, and how many of `len` follow each other there.
    pub(super) fn find(&self, offset: u64, len: usize) -> (u64, usize) {
        let (Some(block), Some(within)) = (offset.checked_div(self.block_size), offset.checked_rem(self.block_size)) else {
            return (offset, len);
        };
        if self.is_plain() {
            return (offset, len);
        }
        let left = crate::bytes::int_usize(self.block_size.saturating_sub(within));
        let at = self.moved.get(&block).copied().unwrap_or(block);
        (at.saturating_mul(self.block_size).saturating_add(within), len.min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_change_places() {
        let mut view = View::default();
        assert_eq!(view.find(5000, 9000), (5000, 9000));
        view.swap(1024, 2, 7);
        assert_eq!((view.find(2048, 4096), view.find(7 * 1024 + 100, 50), view.find(3000, 400)), ((7168, 1024), (2148, 50), (8120, 72)));
        view.swap(1024, 2, 5);
        assert_eq!((view.find(7168, 9), view.find(5120, 9), view.find(2048, 9)), ((7168, 9), (2048, 9), (5120, 9)));
        view.swap(1024, 2, 2);
        assert!(view.is_plain());
    }

    #[test]
    fn names_behind_the_first_blocks_are_brought_forward() {
        let placed = |logical, block, name: &str| Placed { logical, block, name: name.as_bytes().to_vec(), inode: 9 };
        let mut front = Front::new(vec![placed(0, 40, "a"), placed(2, 42, "b"), placed(3, 77, "c"), placed(3, 77, "d")]);
        let mut find = |name: &str| front.find(name.as_bytes()).map(|(_, swap)| swap);
        assert_eq!([find("a"), find("b"), find("c"), find("d")], [Some(None), Some(None), Some(Some((42, 77))), Some(None)]);
        assert_eq!([find("b"), find("x")], [Some(Some((42, 42))), None]);
    }
}

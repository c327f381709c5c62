//! The fs-verity digest of a file, computed from its bytes.
//!
//! Source: Linux kernel documentation, "fs-verity: read-only file-based authenticity protection"
//! (<https://docs.kernel.org/filesystems/fsverity.html>), sections "Merkle tree" and "fs-verity descriptor". The parameters are the
//! defaults of `fsverity digest`: SHA-256, blocks of 4096 bytes, no salt, no signature.
//!
//! The file is cut into blocks, the last one filled up with zeros, and each block is hashed. The hashes, 128 to a block and the last
//! block filled up with zeros, form the next level, and so on until one block is left; its hash is the root. A file of at most one
//! block has no level at all: the hash of that block is the root, and the root of an empty file is all zeros. The digest of the file is
//! the hash of a descriptor that holds the root and the file's length.
//!
//! A tree keeps one hash for 512 KiB of file, and only until the 127 others of its block have come: blocks of hashes are folded as soon
//! as they are full. What is zero costs nothing, because whole levels of zeros have one hash each, known beforehand.

use crate::bytes::{int_u64, int_usize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// Bytes in a block, of the file as of the tree.
pub const BLOCK: usize = 4096;
/// Hashes in a block of the tree.
const FANOUT: u64 = 128;
/// Bytes of the file under one block of hashes: what [`group_digest`] takes and [`Tree`] counts in.
pub const GROUP: usize = 512 * 1024;

/// SHA-256 of 4096 zeros.
const ZERO_BLOCK: Digest = Digest([
    0xad, 0x7f, 0xac, 0xb2, 0x58, 0x6f, 0xc6, 0xe9, 0x66, 0xc0, 0x04, 0xd7, 0xd1, 0xd1, 0x6b, 0x02, 0x4f, 0x58, 0x05, 0xff, 0x7c, 0xb4,
    0x7c, 0x7a, 0x85, 0xda, 0xbd, 0x8b, 0x48, 0x89, 0x2c, 0xa7,
]);

/// A SHA-256 digest, of whatever its owner says; prints as `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digits alone, as `sha256sum` prints them.
    #[must_use]
    pub fn hex(self) -> String {
        self.to_string().split_off("sha256:".len())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The digest that stands for one group in the [`Tree`] of a file of `size` bytes.
///
/// `blocks` are the group's blocks of [`BLOCK`] bytes in their order, `None` for one that is all zeros; the last block of the file may be
/// shorter. Needs no tree, so that groups can be hashed in any order and in parallel.
#[must_use]
pub fn group_digest<'a>(size: u64, blocks: impl IntoIterator<Item = Option<&'a [u8]>>) -> Digest {
    let mut hashes = Vec::with_capacity(BLOCK);
    for block in blocks.into_iter().take(int_usize(FANOUT)) {
        let digest = block.map_or(ZERO_BLOCK, block_digest);
        if size <= int_u64(BLOCK) {
            // No level of hashes above a single block.
            return digest;
        }
        hashes.extend_from_slice(&digest.0);
    }
    block_digest(&hashes)
}

/// The hash of a block, filled up with zeros.
fn block_digest(block: &[u8]) -> Digest {
    let missing = BLOCK.saturating_sub(block.len());
    let hash = Sha256::new().chain_update(block).chain_update([0; BLOCK].get(..missing).unwrap_or_default());
    Digest(hash.finalize().into())
}

/// The Merkle tree of a file, folded while the digests of its groups come in.
///
/// Groups may come in any order. Memory is bounded by how far they run ahead of the first that is missing: 4 KiB and a bit for each level
/// (there are four at 32 TiB) when they come in order.
#[derive(Debug)]
pub struct Tree {
    size: u64,
    groups: u64,
    /// The first group that has not come.
    next: u64,
    /// What came too early, by first group.
    ahead: BTreeMap<u64, Run>,
    /// For each level the block of hashes that is being filled; level 0 takes the digests of groups.
    levels: Vec<Vec<u8>>,
    /// For each level, and the root, what a subtree of zeros puts there.
    zeros: Vec<Digest>,
    root: Option<Digest>,
    /// A group came twice, or one that the file does not have.
    muddled: bool,
}

/// Groups that came together.
#[derive(Debug, Clone, Copy)]
enum Run {
    One(Digest),
    Zeros(u64),
}

impl Run {
    fn count(self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Zeros(count) => count,
        }
    }
}

impl Tree {
    /// The tree of a file of `size` bytes, of which nothing is known yet.
    #[must_use]
    pub fn new(size: u64) -> Self {
        let groups = size.div_ceil(int_u64(GROUP));
        let mut levels = Vec::new();
        let mut zeros = vec![block_digest(&ZERO_BLOCK.0.repeat(int_usize(FANOUT)))];
        let mut width = groups;
        while width > 1 {
            width = width.div_ceil(FANOUT);
            levels.push(Vec::with_capacity(BLOCK));
            zeros.extend(zeros.last().map(|below| block_digest(&below.0.repeat(int_usize(FANOUT)))));
        }
        // The root of an empty file is all zeros.
        let root = (groups == 0).then_some(Digest([0; 32]));
        Self { size, groups, next: 0, ahead: BTreeMap::new(), levels, zeros, root, muddled: false }
    }

    /// Takes the digest of the group that starts at byte `index` × [`GROUP`].
    pub fn put(&mut self, index: u64, digest: Digest) {
        self.take(index, Run::One(digest));
    }

    /// Learns that these groups hold zeros only; costs the same for one and for millions.
    pub fn put_zeros(&mut self, groups: Range<u64>) {
        if !groups.is_empty() {
            self.take(groups.start, Run::Zeros(groups.end.saturating_sub(groups.start)));
        }
    }

    /// The digest of the file; `None` unless every group came exactly once.
    #[must_use]
    pub fn finish(mut self) -> Option<Digest> {
        if self.muddled || self.next != self.groups {
            return None;
        }
        for level in 0..self.levels.len() {
            self.fold(level);
        }
        self.root.map(|root| descriptor_digest(self.size, root))
    }

    fn take(&mut self, first: u64, run: Run) {
        let after = first.saturating_add(run.count());
        let meets = self.ahead.range(..after).next_back().is_some_and(|(start, other)| start.saturating_add(other.count()) > first);
        if first < self.next || after > self.groups || meets {
            self.muddled = true;
            return;
        }
        self.ahead.insert(first, run);
        while let Some(run) = self.ahead.remove(&self.next) {
            self.settle(run);
        }
    }

    /// Puts the next groups into their places.
    fn settle(&mut self, run: Run) {
        self.next = self.next.saturating_add(run.count());
        match run {
            Run::One(digest) => self.push(0, digest),
            Run::Zeros(count) => {
                // The last group of the file may be short; then the hashes that it lacks are zeros, not hashes of zeros.
                let blocks = self.size.div_ceil(int_u64(BLOCK)) % FANOUT;
                if self.next == self.groups && blocks != 0 {
                    self.push_zeros(0, count.saturating_sub(1));
                    self.push(0, group_digest(self.size, std::iter::repeat_n(None, int_usize(blocks))));
                } else {
                    self.push_zeros(0, count);
                }
            }
        }
    }

    fn push(&mut self, level: usize, digest: Digest) {
        match self.levels.get_mut(level) {
            None => self.root = Some(digest),
            Some(block) => {
                block.extend_from_slice(&digest.0);
                if block.len() >= BLOCK {
                    self.fold(level);
                }
            }
        }
    }

    fn push_zeros(&mut self, level: usize, mut count: u64) {
        while count > 0 {
            if count >= FANOUT && self.levels.get(level).is_some_and(Vec::is_empty) {
                self.push_zeros(level.saturating_add(1), count / FANOUT);
                count %= FANOUT;
            } else if let Some(digest) = self.zeros.get(level).copied() {
                self.push(level, digest);
                count = count.saturating_sub(1);
            } else {
                // Above the root; a count that fits the file never gets here.
                return;
            }
        }
    }

    /// Hashes what a level has, and hands it to the next.
    fn fold(&mut self, level: usize) {
        let Some(block) = self.levels.get_mut(level).filter(|block| !block.is_empty()) else { return };
        let digest = block_digest(block);
        block.clear();
        self.push(level.saturating_add(1), digest);
    }
}

/// The hash of `struct fsverity_descriptor`.
fn descriptor_digest(size: u64, root: Digest) -> Digest {
    let hash = Sha256::new()
        .chain_update([1]) // version
        .chain_update([1]) // hash_algorithm: SHA-256
        .chain_update([12]) // log_blocksize
        .chain_update([0]) // salt_size
        .chain_update([0; 4]) // __reserved_0x04
        .chain_update(size.to_le_bytes()) // data_size
        .chain_update(root.0) // root_hash[64], of which SHA-256 fills one half
        .chain_update([0; 32])
        .chain_update([0; 32]) // salt
        .chain_update([0; 144]); // __reserved
    Digest(hash.finalize().into())
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a list of one range is meant")]
pub(super) mod tests {
    use super::*;

    /// The digest as the documentation tells it: all levels in memory, one after the other.
    pub(crate) fn naive(file: &[u8]) -> Digest {
        let hash_blocks = |bytes: &[u8]| -> Vec<u8> {
            let padded = |block: &[u8]| [block, &vec![0; BLOCK - block.len()]].concat();
            bytes.chunks(BLOCK).flat_map(|block| Sha256::digest(padded(block)).to_vec()).collect()
        };
        let mut level = hash_blocks(file);
        while level.len() > 32 {
            level = hash_blocks(&level);
        }
        level.resize(64, 0);
        let mut descriptor = vec![1, 1, 12, 0, 0, 0, 0, 0];
        descriptor.extend((file.len() as u64).to_le_bytes());
        descriptor.extend(level);
        descriptor.resize(256, 0);
        Digest(Sha256::digest(descriptor).into())
    }

    fn by_tree(file: &[u8], order: impl Fn(&mut Vec<(u64, &[u8])>)) -> Option<Digest> {
        let size = file.len() as u64;
        let mut tree = Tree::new(size);
        let mut groups: Vec<(u64, &[u8])> = (0..).zip(file.chunks(GROUP)).collect();
        order(&mut groups);
        for (index, group) in groups {
            if crate::bytes::is_zero(group) {
                tree.put_zeros(index..index + 1);
            } else {
                tree.put(index, group_digest(size, group.chunks(BLOCK).map(|b| (!crate::bytes::is_zero(b)).then_some(b))));
            }
        }
        tree.finish()
    }

    #[test]
    fn the_known_digest_of_a_zero_block_is_right() {
        assert_eq!(block_digest(&[]), ZERO_BLOCK);
        assert_eq!(block_digest(&[0; BLOCK]), ZERO_BLOCK);
    }

    #[test]
    fn prints_like_fsverity_digest() {
        // What fsverity-utils 1.5 prints for an empty file.
        let empty = Tree::new(0).finish().unwrap();
        assert_eq!(empty.to_string(), "sha256:3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95");
        assert_eq!(empty.hex(), "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95");
    }

    #[test]
    fn equals_the_documentation_at_every_border() {
        let pattern: Vec<u8> = (0..3 * GROUP).map(|n| (n / 7 + n / 4096) as u8).collect();
        for border in [0, 1, 512, BLOCK, 2 * BLOCK, GROUP - BLOCK, GROUP, GROUP + 512, GROUP + BLOCK, 2 * GROUP, 3 * GROUP - 1] {
            for len in [border.saturating_sub(1), border, border + 1] {
                let file = &pattern[..len];
                assert_eq!(by_tree(file, |_| ()), Some(naive(file)), "{len} bytes");
                assert_eq!(by_tree(file, |groups| groups.reverse()), Some(naive(file)), "{len} bytes from behind");
                let zeros = vec![0; len];
                assert_eq!(by_tree(&zeros, |_| ()), Some(naive(&zeros)), "{len} zeros");
            }
        }
    }

    #[test]
    fn levels_fold_alike_in_any_order() {
        // Two levels above the groups: 128 of them fill a block.
        for groups in [127, 128, 129, 257] {
            for tail in [0, 1, BLOCK, GROUP - 1] {
                let mut file = vec![0; groups * GROUP + tail];
                for place in [0, 5 * GROUP + 77, 126 * GROUP, file.len() - 1] {
                    file[place] = 1;
                }
                let expected = Some(naive(&file));
                assert_eq!(by_tree(&file, |_| ()), expected, "{groups} groups and {tail}");
                assert_eq!(by_tree(&file, |g| g.reverse()), expected, "{groups} groups and {tail}, from behind");
                assert_eq!(by_tree(&file, |g| g.sort_by_key(|(n, _)| (n * 37) % 101)), expected, "{groups} groups and {tail}, mixed");
            }
        }
    }

    #[test]
    fn zeros_cost_nothing_at_any_size() {
        let groups = |size: u64| size.div_ceil(int_u64(GROUP));
        // A small one checked against the documentation, told at once and in two parts.
        let size = 300 * int_u64(GROUP) + 5000;
        let expected = Some(naive(&vec![0; size as usize]));
        for split in [0, 1, 127, 128, 129, 200, 256, 300, 301] {
            let mut tree = Tree::new(size);
            tree.put_zeros(split..groups(size));
            tree.put_zeros(0..split);
            assert_eq!(tree.finish(), expected, "told in two parts, at {split}");
        }
        // And 32 TiB, which would take hours otherwise.
        let size = 32 << 40;
        let mut tree = Tree::new(size);
        tree.put_zeros(1..groups(size));
        tree.put_zeros(0..1);
        assert!(tree.finish().is_some());
    }

    #[test]
    fn gives_nothing_unless_every_group_came_once() {
        let size = 4 * int_u64(GROUP);
        let digest = Digest([7; 32]);
        let tell = |runs: &[Range<u64>]| {
            let mut tree = Tree::new(size);
            runs.iter().for_each(|run| tree.put_zeros(run.clone()));
            tree.put(2, digest);
            tree.finish()
        };
        assert!(tell(&[0..2, 3..4]).is_some());
        assert!(tell(&[0..2]).is_none(), "one is missing");
        assert!(tell(&[0..2, 1..2, 3..4]).is_none(), "one came twice");
        assert!(tell(&[3..4, 0..3]).is_none(), "the one to come was told as zeros");
        assert!(tell(&[0..2, 3..5]).is_none(), "one is past the end");
    }
}

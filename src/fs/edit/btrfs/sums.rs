//! Checksums of content: items that hold one for each sector of a run.

use super::block::{len64, put};
use super::forest::{CHECKSUM_TREE, Forest};
use crate::bytes::int_usize;
use crate::fs::Error;
use crate::fs::btrfs::tree::Key;

/// The object of all checksums.
const CHECKSUMS: u64 = 0_u64.wrapping_sub(10);

fn key(at: u64) -> Key {
    Key::new(CHECKSUMS, Key::CHECKSUMS, at)
}

impl Forest {
    /// The first item of checksums of a sector at an address or behind it: its first address, that of its end, and its checksums.
    fn sums(&mut self, at: u64) -> Result<Option<(u64, u64, Vec<u8>)>, Error> {
        let (sector, digest) = (self.volume.superblock.sector, self.volume.superblock.checksum.digest_len());
        let all = |(key, sums): (Key, Vec<u8>)| {
            let count = sums.len().checked_div(digest).unwrap_or_default();
            let end = key.offset.saturating_add(sector.saturating_mul(u64::try_from(count).unwrap_or(u64::MAX)));
            ((key.object, key.kind) == (CHECKSUMS, Key::CHECKSUMS)).then_some((key.offset, end, sums))
        };
        let before = self.before(CHECKSUM_TREE, key(at.saturating_add(1)))?.and_then(all).filter(|(_, end, _)| *end > at);
        match before {
            Some(found) => Ok(Some(found)),
            None => Ok(self.next(CHECKSUM_TREE, key(at))?.and_then(all)),
        }
    }

    /// Removes the checksums of these addresses.
    pub(super) fn drop_sums(&mut self, from: u64, to: u64) -> Result<(), Error> {
        let (sector, digest) = (self.volume.superblock.sector, self.volume.superblock.checksum.digest_len());
        let place = |bytes: u64| int_usize(bytes.checked_div(sector).unwrap_or_default()).saturating_mul(digest);
        let mut at = from;
        while at < to
            && let Some((start, end, sums)) = self.sums(at)?
            && start < to
        {
            let (cut, stop) = (start.max(from), end.min(to));
            let left = sums.get(..place(cut.saturating_sub(start))).unwrap_or_default().to_vec();
            let right = sums.get(place(stop.saturating_sub(start))..).unwrap_or_default().to_vec();
            match (left.is_empty(), right.is_empty()) {
                (true, true) => self.remove(CHECKSUM_TREE, key(start))?,
                (false, true) => self.set(CHECKSUM_TREE, key(start), left)?,
                (true, false) => self.replace(CHECKSUM_TREE, key(start), key(stop), right)?,
                (false, false) => {
                    self.set(CHECKSUM_TREE, key(start), left)?;
                    self.insert(CHECKSUM_TREE, key(stop), right)?;
                }
            }
            at = stop;
        }
        Ok(())
    }

    /// Adds the checksums of content at an address that has none.
    pub(super) fn add_sums(&mut self, from: u64, content: &[u8]) -> Result<(), Error> {
        let (sector, digest) = (self.volume.superblock.sector, self.volume.superblock.checksum.digest_len());
        // Items of a quarter of a leaf, so that there is a place for each.
        let most = (self.volume.superblock.node_len() / 4).checked_div(digest).unwrap_or(1).max(1);
        let mut at = from;
        for part in content.chunks(int_usize(sector).saturating_mul(most).max(1)) {
            let mut sums = Vec::new();
            for one in part.chunks(int_usize(sector).max(1)) {
                sums.extend_from_slice(self.volume.superblock.checksum.digest(one).get(..digest).unwrap_or_default());
            }
            self.insert(CHECKSUM_TREE, key(at), sums)?;
            at = at.saturating_add(len64(part));
        }
        Ok(())
    }

    /// Puts the checksums right of content that is written at an address; all of them must be there.
    pub(super) fn set_sums(&mut self, from: u64, content: &[u8]) -> Result<(), Error> {
        let (sector, digest) = (self.volume.superblock.sector, self.volume.superblock.checksum.digest_len());
        let to = from.saturating_add(len64(content));
        let mut at = from;
        while at < to {
            let found = self.sums(at)?.filter(|(start, _, _)| *start <= at);
            let (start, end, mut sums) = found.ok_or_else(|| Error::Damaged(format!("content at address {at}: has no checksum")))?;
            while at < end.min(to) {
                let part = content.get(int_usize(at.saturating_sub(from))..).unwrap_or_default();
                let part = part.get(..int_usize(sector)).unwrap_or(part);
                let sum = self.volume.superblock.checksum.digest(part);
                let slot = int_usize(at.saturating_sub(start).checked_div(sector).unwrap_or_default()).saturating_mul(digest);
                put(&mut sums, slot, sum.get(..digest).unwrap_or_default());
                at = at.saturating_add(sector);
            }
            self.set(CHECKSUM_TREE, key(start), sums)?;
        }
        Ok(())
    }
}

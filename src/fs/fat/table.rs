//! The boot sector's geometry, and the file allocation table that chains clusters.
//!
//! Microsoft's "FAT: General Overview of On-Disk Format", version 1.03. Where it leaves a choice, Linux (`fs/fat/inode.c`) decides.

use crate::bytes::{Bytes, Corrupt, MIB, ReadAt, ReadError, int_usize, read_array, read_vec};
use crate::fs::Error;
use crate::volume::block::Block;

/// Most clusters of FAT12 and of FAT32.
const FAT12_MAX: u64 = 0xff4;
const FAT32_MAX: u64 = 0x0fff_fff6;
/// Stretches of one chain that are kept; a file in more pieces is not read.
const MAX_STRETCHES: usize = 1 << 20;

/// How wide a table's entries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Fat12,
    Fat16,
    Fat32,
}

/// Where the root directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// At a fixed place: first byte and length.
    Fixed(u64, u64),
    /// In a chain, as any other.
    Chain(u32),
}

/// An open volume: its geometry, sizes in bytes, and its table.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) bytes: Bytes,
    pub(super) width: Width,
    pub(super) cluster: u64,
    /// Clusters there are; the first has number 2.
    pub(super) clusters: u64,
    pub(super) root: Root,
    pub(super) size: u64,
    /// Where the table in use begins.
    pub(super) table: u64,
    /// Where the other tables begin that are written with it.
    pub(super) copies: Vec<u64>,
    /// The byte that the table begins with.
    pub(super) media: u8,
    /// Where cluster 2 begins.
    pub(super) data: u64,
    /// The boot sector says that it was not unmounted.
    marked: bool,
}

/// Clusters that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Bytes of the chain before it.
    pub(super) start: u64,
    /// Where it lies.
    pub(super) at: u64,
    pub(super) len: u64,
}

impl Volume {
    pub(super) fn read(bytes: Bytes) -> Result<Self, Error> {
        let boot = Block::at(&*bytes, 0, 512)?.ok_or_else(|| damaged("it is not there".to_owned()))?;
        let [sector, reserved, entries] = [0xb, 0xe, 0x11].map(|at| u64::from(boot.le16(at)));
        let [per_cluster, tables] = [0xd, 0x10].map(|at| u64::from(boot.u8(at)));
        if !sector.is_power_of_two() || !(512..=4096).contains(&sector) {
            return Err(damaged(format!("sectors of {sector} bytes")));
        }
        if !per_cluster.is_power_of_two() || reserved == 0 || tables == 0 {
            return Err(damaged(format!("{per_cluster} sectors in a cluster, {reserved} reserved, {tables} tables")));
        }
        let (short, long) = (u64::from(boot.le16(0x16)), u64::from(boot.le32(0x24)));
        let length = if short == 0 { long } else { short };
        let sectors = match boot.le16(0x13) {
            0 => u64::from(boot.le32(0x20)),
            few => u64::from(few),
        };
        let root = entries.saturating_mul(32);
        let before = reserved.saturating_add(tables.saturating_mul(length));
        let data = before.saturating_add(root.div_ceil(sector));
        let clusters = sectors.checked_sub(data).and_then(|left| left.checked_div(per_cluster));
        let Some(clusters) = clusters.filter(|clusters| (1..=FAT32_MAX).contains(clusters) && length != 0) else {
            return Err(damaged(format!("{sectors} sectors, {data} of them before the first cluster")));
        };
        let width = match (short, clusters) {
            (0, _) => Width::Fat32,
            (_, ..=FAT12_MAX) => Width::Fat12,
            _ => Width::Fat16,
        };
        // A table may be too short for the clusters; those beyond it cannot be used.
        let room = length.saturating_mul(sector).saturating_mul(8).checked_div(width.bits()).unwrap_or_default();
        let flags = boot.le16(0x28);
        // One of several FATs may be the only one that is kept up to date.
        let active = if width == Width::Fat32 && flags & 0x80 != 0 { u64::from(flags & 0xf) } else { 0 };
        if active >= tables {
            return Err(damaged(format!("table {active} of {tables} is the one in use")));
        }
        let at = |number: u64| reserved.saturating_add(number.saturating_mul(length)).saturating_mul(sector);
        let mirrored = width != Width::Fat32 || flags & 0x80 == 0;
        let state = if width == Width::Fat32 { 0x41 } else { 0x25 };
        Ok(Self {
            width,
            cluster: per_cluster.saturating_mul(sector),
            clusters: clusters.min(room.saturating_sub(2)),
            root: match width {
                Width::Fat32 => Root::Chain(boot.le32(0x2c)),
                _ => Root::Fixed(before.saturating_mul(sector), root),
            },
            size: sectors.saturating_mul(sector),
            table: at(active),
            copies: (1..tables).filter(|_| mirrored).map(at).collect(),
            media: boot.u8(0x15),
            data: data.saturating_mul(sector),
            marked: boot.u8(state) & 1 == 1,
            bytes,
        })
    }

    /// An entry of the table.
    fn entry(&self, cluster: u32) -> Result<u32, ReadError> {
        let number = u64::from(cluster);
        let at = |offset: u64| self.table.saturating_add(offset);
        Ok(match self.width {
            Width::Fat12 => {
                let pair = u16::from_le_bytes(read_array(&*self.bytes, at(number.saturating_add(number / 2)))?);
                u32::from(if cluster.is_multiple_of(2) { pair & 0xfff } else { pair >> 4 })
            }
            Width::Fat16 => u32::from(u16::from_le_bytes(read_array(&*self.bytes, at(number.saturating_mul(2)))?)),
            Width::Fat32 => u32::from_le_bytes(read_array(&*self.bytes, at(number.saturating_mul(4)))?) & 0x0fff_ffff,
        })
    }

    /// Whether a number is that of a cluster.
    pub(super) fn has(&self, cluster: u32) -> bool {
        u64::from(cluster).checked_sub(2).is_some_and(|index| index < self.clusters)
    }

    /// A chain from its first cluster, as far as `wanted` bytes or to its end.
    pub(super) fn chain(&self, first: u32, wanted: u64) -> Result<Vec<Stretch>, Error> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let (mut cluster, mut start) = (first, 0_u64);
        // A chain that returns to a cluster never ends; the mark moves on less and less often (Brent), so any loop meets it.
        let (mut mark, mut steps, mut patience) = (0_u32, 0_u64, 1_u64);
        while start < wanted {
            if !self.has(cluster) {
                if start > 0 && cluster >= self.width.end() {
                    break;
                }
                return Err(Error::Damaged(format!("the chain of cluster {first} leads to cluster {cluster} of {}", self.clusters)));
            }
            if cluster == mark {
                return Err(Error::Damaged(format!("the chain of cluster {first} returns to cluster {cluster}")));
            }
            steps = steps.saturating_add(1);
            if steps == patience {
                (mark, steps, patience) = (cluster, 0, patience.saturating_mul(2));
            }
            let at = u64::from(cluster).saturating_sub(2).saturating_mul(self.cluster).saturating_add(self.data);
            match stretches.last_mut().filter(|last| last.at.saturating_add(last.len) == at) {
                Some(last) => last.len = last.len.saturating_add(self.cluster),
                None => stretches.push(Stretch { start, at, len: self.cluster }),
            }
            if stretches.len() > MAX_STRETCHES {
                return Err(Error::Unsupported(format!("a file in more than {MAX_STRETCHES} pieces")));
            }
            start = start.saturating_add(self.cluster);
            if start < wanted {
                cluster = self.entry(cluster)?;
            }
        }
        Ok(stretches)
    }

    /// Clusters that are free, counted in the table.
    pub(super) fn free(&self) -> Result<u64, Error> {
        // A MiB holds whole entries of 16 and 32 bits; all of FAT12 fits.
        let end = self.clusters.saturating_add(2).saturating_mul(self.width.bits()).div_ceil(8);
        let (mut free, mut at) = (0_u64, 0_u64);
        while at < end {
            let len = end.saturating_sub(at).min(MIB);
            let part = read_vec(&*self.bytes, self.table.saturating_add(at), int_usize(len))?;
            free = free.saturating_add(self.width.zeros(&part));
            at = at.saturating_add(len);
        }
        // The two entries before the first cluster's are never zero in a table that is in order.
        Ok(free.min(self.clusters))
    }

    /// Whether it was unmounted: the boot sector's mark of Linux and Windows, and the table's second entry but for FAT12.
    pub(super) fn clean(&self) -> Result<bool, Error> {
        let in_table = match self.width {
            Width::Fat12 => true,
            Width::Fat16 => self.entry(1)? & 0x8000 != 0,
            Width::Fat32 => self.entry(1)? & 0x0800_0000 != 0,
        };
        Ok(in_table && !self.marked)
    }
}

impl Width {
    pub(super) const fn bits(self) -> u64 {
        match self {
            Self::Fat12 => 12,
            Self::Fat16 => 16,
            Self::Fat32 => 32,
        }
    }

    /// The least number that ends a chain.
    const fn end(self) -> u32 {
        match self {
            Self::Fat12 => 0xff8,
            Self::Fat16 => 0xfff8,
            Self::Fat32 => 0x0fff_fff8,
        }
    }

    /// Entries of zero in a part of the table.
    fn zeros(self, part: &[u8]) -> u64 {
        let count = match self {
            Self::Fat12 => {
                let pairs = part.chunks(3).map(|three| match *three {
                    [low, middle, high] => {
                        [u16::from(low) | (u16::from(middle & 0xf) << 8), u16::from(middle >> 4) | (u16::from(high) << 4)]
                    }
                    // An odd number of entries ends in the middle of a byte.
                    [low, middle] => [u16::from(low) | (u16::from(middle & 0xf) << 8), 1],
                    _ => [1, 1],
                });
                pairs.flatten().filter(|entry| *entry == 0).count()
            }
            Self::Fat16 => part.chunks_exact(2).filter(|entry| entry.iter().all(|byte| *byte == 0)).count(),
            Self::Fat32 => part.chunks_exact(4).filter(|entry| matches!(entry, [0, 0, 0, top] if top & 0xf == 0)).count(),
        };
        crate::bytes::int_u64(count)
    }
}

/// A chain as bytes at offsets.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) bytes: Bytes,
    pub(super) stretches: Vec<Stretch>,
    pub(super) size: u64,
}

impl ReadAt for Chain {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        crate::bytes::check_bounds(offset, buf.len(), self.size)?;
        let first = self.stretches.partition_point(|stretch| stretch.start.saturating_add(stretch.len) <= offset);
        let (mut at, mut rest) = (offset, buf);
        for stretch in self.stretches.iter().skip(first) {
            let within = at.saturating_sub(stretch.start);
            let len = int_usize(stretch.len.saturating_sub(within)).min(rest.len());
            let (now, later) = std::mem::take(&mut rest).split_at_mut_checked(len).unwrap_or_default();
            self.bytes.read_at(stretch.at.saturating_add(within), now)?;
            at = at.saturating_add(crate::bytes::int_u64(len));
            rest = later;
            if rest.is_empty() {
                return Ok(());
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(Corrupt::new("content", at, "a cluster", "the end of its chain").into()) }
    }
}

fn damaged(what: String) -> Error {
    Error::Damaged(format!("boot sector: {what}"))
}

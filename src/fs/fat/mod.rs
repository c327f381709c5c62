//! FAT12, FAT16 and FAT32.
//!
//! A node's number is the place of its 32 bytes in a directory, so that any node can be read by itself; the root, which has none, is 0.
//! The crate fatfs has no such numbers, a cursor instead of positions, and no bound on a chain that loops.

mod free;
mod name;
mod table;

use super::system::within;
use super::{Entry, Error, Extent, FileSystem, Node, NodeId, NodeKind, Usage, is_name};
use crate::bytes::{Bytes, Cached, MIB, read_array};
use name::Long;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use table::{Chain, Root, Stretch, Volume};

/// Number of the root; no entry lies at byte 0, where the boot sector is.
const ROOT: NodeId = NodeId(0);
/// The longest directory: 65536 entries.
const MAX_DIRECTORY: u64 = 2 * MIB;
const ENTRY: u64 = 32;

/// Attributes of an entry.
mod attribute {
    pub(super) const LABEL: u8 = 0x8;
    pub(super) const DIRECTORY: u8 = 0x10;
    /// All of read-only, hidden, system and label: a part of a long name.
    pub(super) const LONG: u8 = 0xf;
    pub(super) const LONG_MASK: u8 = 0x3f;
}

/// Opens the file system.
pub(super) fn open(bytes: Bytes) -> Result<Arc<dyn FileSystem>, Error> {
    let volume = Volume::read(Arc::new(Cached::new(bytes)))?;
    Ok(Arc::new(Fat { volume }))
}

/// An open file system.
#[derive(Debug)]
struct Fat {
    volume: Volume,
}

/// An entry's 32 bytes, in the order of the document's section 6.
#[derive(Debug, Clone, Copy)]
struct Record {
    name: [u8; 11],
    attributes: u8,
    lower: u8,
    time: u16,
    date: u16,
    cluster: u32,
    size: u32,
}

impl Record {
    fn parse(raw: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, attributes, lower, rest @ ..] = *raw;
        let [_, _, _, _, _, _, _, high0, high1, time0, time1, date0, date1, low0, low1, s0, s1, s2, s3] = rest;
        Self {
            name: [a, b, c, d, e, f, g, h, i, j, k],
            attributes,
            lower,
            time: u16::from_le_bytes([time0, time1]),
            date: u16::from_le_bytes([date0, date1]),
            cluster: u32::from_le_bytes([low0, low1, high0, high1]),
            size: u32::from_le_bytes([s0, s1, s2, s3]),
        }
    }

    const fn directory(&self) -> bool {
        self.attributes & attribute::DIRECTORY != 0
    }

    /// Seconds since 1970, the clock on the wall taken for UTC; `None` for what is no date.
    fn modified(&self) -> Option<i64> {
        let [year, month, day] = [self.date >> 9, (self.date >> 5) & 0xf, self.date & 0x1f].map(i64::from);
        let [hour, minute, second] = [self.time >> 11, (self.time >> 5) & 0x3f, (self.time & 0x1f).saturating_mul(2)].map(i64::from);
        if !(1..=12).contains(&month) || day == 0 || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        // Days of a year that begins in March, so that the leap day is its last.
        let (year, month) = if month > 2 {
            (year.saturating_add(1980), month.saturating_sub(3))
        } else {
            (year.saturating_add(1979), month.saturating_add(9))
        };
        let leap = (year / 4).saturating_sub(year / 100).saturating_add(year / 400);
        let before = month.saturating_mul(153).saturating_add(2) / 5;
        let days = year.saturating_mul(365).saturating_add(leap).saturating_add(before).saturating_add(day).saturating_sub(719_469);
        Some(
            days.saturating_mul(86_400)
                .saturating_add(hour.saturating_mul(3600))
                .saturating_add(minute.saturating_mul(60))
                .saturating_add(second),
        )
    }
}

impl Fat {
    /// The entry of a node; `None` for the root.
    fn record(&self, id: NodeId) -> Result<Option<Record>, Error> {
        if id == ROOT {
            return Ok(None);
        }
        let mut record = Record::parse(&read_array(&*self.volume.bytes, id.0)?);
        if self.volume.width != table::Width::Fat32 {
            record.cluster &= 0xffff;
        }
        Ok(Some(record))
    }

    /// Where a file's content lies, and its length.
    fn content(&self, file: NodeId) -> Result<(Vec<Stretch>, u64), Error> {
        let Some(record) = self.record(file)?.filter(|record| !record.directory()) else {
            return Err(Error::Unsupported("a directory, not a file".to_owned()));
        };
        let size = u64::from(record.size);
        let stretches = if size == 0 { vec![] } else { self.volume.chain(record.cluster, size)? };
        let len = stretches.last().map_or(0, |last| last.start.saturating_add(last.len));
        if len < size {
            return Err(Error::Damaged(format!("{len} of {size} bytes are in the chain of cluster {}", record.cluster)));
        }
        Ok((stretches, size))
    }

    /// Where a directory's entries lie.
    fn stretches(&self, directory: NodeId) -> Result<Vec<Stretch>, Error> {
        let cluster = match (self.record(directory)?, self.volume.root) {
            (Some(record), _) if !record.directory() => return Err(Error::Unsupported("a file, not a directory".to_owned())),
            (Some(record), _) => record.cluster,
            (None, Root::Chain(cluster)) => cluster,
            (None, Root::Fixed(at, len)) => return Ok(vec![Stretch { start: 0, at, len }]),
        };
        let stretches = self.volume.chain(cluster, MAX_DIRECTORY.saturating_add(self.volume.cluster))?;
        let len = stretches.last().map_or(0, |last| last.start.saturating_add(last.len));
        if len > MAX_DIRECTORY.max(self.volume.cluster) {
            return Err(Error::Damaged(format!("the directory at cluster {cluster} is longer than {MAX_DIRECTORY} bytes")));
        }
        Ok(stretches)
    }
}

impl FileSystem for Fat {
    fn kind(&self) -> &'static str {
        "vfat"
    }

    fn folds_case(&self) -> bool {
        true
    }

    fn root(&self) -> NodeId {
        ROOT
    }

    fn node(&self, id: NodeId) -> Result<Node, Error> {
        let record = self.record(id)?;
        let directory = record.is_none_or(|record| record.directory());
        Ok(Node {
            kind: if directory { NodeKind::Directory } else { NodeKind::File },
            size: if directory { 0 } else { record.map_or(0, |record| u64::from(record.size)) },
            mode: None,
            uid: None,
            gid: None,
            modified: record.and_then(|record| record.modified()),
            links: 1,
            device: None,
        })
    }

    fn entries(&self, directory: NodeId, each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Error> {
        let mut long = Long::default();
        for stretch in self.stretches(directory)? {
            for place in (0..stretch.len / ENTRY).map(|index| stretch.at.saturating_add(index.saturating_mul(ENTRY))) {
                let raw = read_array(&*self.volume.bytes, place)?;
                let record = Record::parse(&raw);
                match record.name.first() {
                    // No entry was ever made from here on.
                    Some(0) => return Ok(()),
                    Some(0xe5) => {
                        long = Long::default();
                        continue;
                    }
                    _ => {}
                }
                if record.attributes & attribute::LONG_MASK == attribute::LONG {
                    long.take(&raw);
                    continue;
                }
                let name = long.finish(&record.name);
                if record.attributes & attribute::LABEL != 0 {
                    continue;
                }
                let name = name.unwrap_or_else(|| name::short(&record.name, record.lower));
                if matches!(name.as_str(), "." | "..") {
                    continue;
                }
                if !is_name(name.as_bytes()) {
                    return Err(Error::Damaged(format!("the entry at byte {place} has no name")));
                }
                if each(Entry { name: name.into_bytes(), node: NodeId(place) }).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn open(&self, file: NodeId) -> Result<Bytes, Error> {
        let (stretches, size) = self.content(file)?;
        Ok(Arc::new(Chain { bytes: self.volume.bytes.clone(), stretches, size }))
    }

    fn target(&self, _link: NodeId) -> Result<Vec<u8>, Error> {
        Err(Error::Unsupported("FAT has no symlinks".to_owned()))
    }

    fn extents(&self, file: NodeId) -> Result<Option<Vec<Extent>>, Error> {
        let (stretches, size) = self.content(file)?;
        let extent = |stretch: Stretch| {
            let len = stretch.len.min(size.saturating_sub(stretch.start));
            Extent { from: stretch.start, at: stretch.at..stretch.at.saturating_add(len) }
        };
        let extents: Vec<Extent> = stretches.into_iter().map(extent).collect();
        within("the file", self.volume.bytes.size(), extents.iter().map(|extent| &extent.at))?;
        Ok((size > 0).then_some(extents))
    }

    fn free(&self) -> Result<Vec<Range<u64>>, Error> {
        self.volume.free_ranges()
    }

    fn usage(&self) -> Result<Usage, Error> {
        let free = self.volume.free()?.saturating_mul(self.volume.cluster);
        let size = self.volume.size;
        let used = size.checked_sub(free).ok_or_else(|| Error::Damaged(format!("{free} bytes are free of {size}")))?;
        Ok(Usage { size, used, free })
    }

    fn clean(&self) -> Result<bool, Error> {
        self.volume.clean()
    }
}

#[cfg(test)]
mod tests;

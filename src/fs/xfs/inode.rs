//! Inodes.
//!
//! `struct xfs_dinode` in `fs/xfs/libxfs/xfs_format.h`; checks as in `xfs_inode_buf.c`.

use super::super::{Error, Node, NodeKind};
use super::Volume;
use super::fields::{array, be16, be32, be64, byte, sealed};
use super::geometry::load;
use std::ops::Range;

/// Offset of the checksum of version 3.
pub(in crate::fs) const CHECKSUM: usize = 100;
/// Where the data fork begins: after the core of versions 1 and 2, of version 3.
pub(super) const CORE_2: usize = 100;
pub(in crate::fs) const CORE_3: usize = 176;

/// `di_flags`: content lies on the realtime device.
const REALTIME: u16 = 1;
/// `di_flags2` bits.
pub(in crate::fs) const BIG_TIME: u64 = 1 << 3;
pub(super) const LARGE_COUNTS: u64 = 1 << 4;

/// What a fork holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Device,
    Local,
    Extents,
    Tree,
}

/// One of an inode's two forks.
#[derive(Debug, Clone)]
pub(super) struct Fork {
    pub(super) format: Format,
    /// Where in the inode.
    pub(super) range: Range<usize>,
    /// Extents that it counts.
    pub(super) extents: u64,
}

/// An inode.
#[derive(Debug, Clone)]
pub(super) struct Inode {
    pub(super) number: u64,
    pub(super) node: Node,
    pub(super) realtime: bool,
    pub(super) data: Fork,
    pub(super) attributes: Option<Fork>,
    raw: Vec<u8>,
}

impl Inode {
    /// Reads an inode in use.
    ///
    /// # Errors
    ///
    /// When it is damaged or free.
    pub(super) fn read(volume: &Volume, number: u64) -> Result<Self, Error> {
        let geometry = &volume.geometry;
        let damaged = |what: &str| Error::Damaged(format!("inode {number}: {what}"));
        let at = geometry.inode_at(number).ok_or_else(|| damaged("lies outside"))?;
        let raw = load(&*volume.bytes, at, geometry.inode_len())?;
        if !raw.starts_with(b"IN") {
            return Err(damaged("no magic number"));
        }
        let version = byte(&raw, 4);
        let core = match (geometry.checked, version) {
            (false, 1 | 2) => CORE_2,
            (true, 3) => CORE_3,
            _ => return Err(damaged("impossible version")),
        };
        if geometry.checked {
            if !sealed(&raw, CHECKSUM) {
                return Err(damaged("checksum is wrong"));
            }
            if be64(&raw, 152) != number || array(&raw, 160) != geometry.meta_uuid {
                return Err(damaged("another inode stands in its place"));
            }
        }
        let mode = be16(&raw, 2);
        let kind = match NodeKind::of_mode(u32::from(mode)) {
            Some(kind) => kind,
            None if mode == 0 => return Err(damaged("is free")),
            None => return Err(damaged("impossible type")),
        };
        let more = if version == 3 { be64(&raw, 120) } else { 0 };
        let (extents, attribute_extents) = if more & LARGE_COUNTS != 0 {
            (be64(&raw, 24), u64::from(be32(&raw, 76)))
        } else {
            (u64::from(be32(&raw, 76)), u64::from(be16(&raw, 80)))
        };
        let split = usize::from(byte(&raw, 82)).saturating_mul(8).saturating_add(core);
        if split > raw.len() {
            return Err(damaged("attribute fork begins outside"));
        }
        let has_attributes = split > core;
        let data_end = if has_attributes { split } else { raw.len() };
        let data = Fork { format: format(byte(&raw, 5)).ok_or_else(|| damaged("unknown fork format"))?, range: core..data_end, extents };
        let attributes = if has_attributes {
            let format = format(byte(&raw, 83)).ok_or_else(|| damaged("unknown attribute fork format"))?;
            Some(Fork { format, range: split..raw.len(), extents: attribute_extents })
        } else {
            None
        };
        let size = be64(&raw, 56);
        let local = data.format == Format::Local && usize::try_from(size).map_or(true, |size| size > data.range.len());
        if i64::try_from(size).is_err() || local {
            return Err(damaged("impossible size"));
        }
        let device = (data.format == Format::Device).then(|| be32(&raw, core)).map(|number| (number >> 18, number & 0x3_ffff));
        if matches!(kind, NodeKind::BlockDevice | NodeKind::CharacterDevice) != device.is_some()
            && !matches!(kind, NodeKind::Fifo | NodeKind::Socket)
        {
            return Err(damaged("fork format does not fit its type"));
        }
        let node = Node {
            kind,
            size,
            mode: Some(mode & 0o7777),
            uid: Some(be32(&raw, 8)),
            gid: Some(be32(&raw, 12)),
            modified: Some(seconds(array(&raw, 40), more & BIG_TIME != 0)),
            links: if version == 1 { u32::from(be16(&raw, 6)) } else { be32(&raw, 16) },
            device: device.filter(|_| matches!(kind, NodeKind::BlockDevice | NodeKind::CharacterDevice)),
        };
        Ok(Self { number, node, realtime: be16(&raw, 90) & REALTIME != 0, data, attributes, raw })
    }

    /// The bytes of a fork.
    pub(super) fn fork(&self, fork: &Fork) -> &[u8] {
        self.raw.get(fork.range.clone()).unwrap_or_default()
    }

    /// Content that lies in the inode itself.
    pub(super) fn local(&self) -> &[u8] {
        let fork = self.fork(&self.data);
        usize::try_from(self.node.size).ok().and_then(|size| fork.get(..size)).unwrap_or(fork)
    }

    pub(super) fn damaged(&self, what: &str) -> Error {
        Error::Damaged(format!("inode {}: {what}", self.number))
    }
}

fn format(raw: u8) -> Option<Format> {
    Some(match raw {
        0 => Format::Device,
        1 => Format::Local,
        2 => Format::Extents,
        3 => Format::Tree,
        _ => return None,
    })
}

/// Seconds since 1970. Big timestamps are nanoseconds since the earliest time that 32 bits of seconds can say.
pub(in crate::fs) fn seconds(stored: [u8; 8], big: bool) -> i64 {
    let whole = u64::from_be_bytes(stored);
    if big {
        i64::try_from(whole / 1_000_000_000).unwrap_or_default().saturating_add(i64::from(i32::MIN))
    } else {
        let [a, b, c, d, ..] = stored;
        i64::from(i32::from_be_bytes([a, b, c, d]))
    }
}

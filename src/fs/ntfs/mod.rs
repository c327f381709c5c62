//! NTFS.
//!
//! Written against the Linux-NTFS project's documentation and held against ntfs-3g's tools. What is read is the state on the disk:
//! `$LogFile` is not replayed, and [`FileSystem::clean`] says whether it holds work. Symlinks are those that Windows follows; what Interix
//! and ntfs-3g keep in system files that begin with `IntxLNK` are files.

mod bits;
mod boot;
mod chunks;
mod compressed;
mod free;
mod index;
mod log;
mod lznt1;
mod lzx;
mod names;
mod raw;
mod record;
mod reparse;
mod runs;
mod stream;
mod table;
mod wof;
mod xpress;

pub use free::is_hibernated;

use super::system::within;
use super::{Entry, Error, Extent, FileSystem, Node, NodeId, NodeKind, Usage, is_name};
use crate::bytes::{Bytes, Cached, ReadAt, int_u64, int_usize, is_zero, read_vec};
use boot::Geometry;
use compressed::Compressed;
use index::Directory;
use names::UpCase;
use raw::{byte, le16, le64, units};
use record::{BITMAP, DATA, INDEX_ALLOCATION, INDEX_ROOT, REPARSE_POINT, STANDARD_INFORMATION, VOLUME_INFORMATION, Value};
use reparse::{Reparse, Target};
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, OnceLock};
use table::{Content, File, Table, number_of};

/// Opens the file system.
pub(super) fn open(bytes: Bytes) -> Result<Arc<dyn FileSystem>, Error> {
    let volume: Bytes = Arc::new(Cached::new(bytes));
    let geometry = Geometry::read(&volume)?;
    let table = Table::open(volume, geometry)?;
    Ok(Arc::new(Ntfs { table, case: OnceLock::new() }))
}

/// The record of `$LogFile`.
const LOG: u64 = 2;
/// The record of `$Volume`.
const VOLUME: u64 = 3;
/// The record of the root directory.
const ROOT: u64 = 5;
/// The record of `$Bitmap`.
const CLUSTERS: u64 = 6;
/// The record of `$UpCase`.
const UPCASE: u64 = 10;
/// Records below this belong to the file system itself.
const FIRST_USER_RECORD: u64 = 24;
/// The name of a directory's attributes.
const I30: [u16; 4] = [0x24, 0x49, 0x33, 0x30];
/// The longest bitmap of a directory: blocks for 32 GiB of names.
const MAX_INDEX_BITMAP: u64 = 1 << 20;
/// The longest reparse point.
const MAX_REPARSE: u64 = 16 << 10;
/// `$UpCase`: a unit for each unit.
const UPCASE_SIZE: u64 = 2 << 16;
/// Flags of an attribute: how it is compressed.
const COMPRESSED: u16 = 0x00ff;
/// Flag of an attribute: encrypted.
const ENCRYPTED: u16 = 0x4000;

/// An NTFS volume.
#[derive(Debug)]
struct Ntfs {
    table: Table,
    case: OnceLock<UpCase>,
}

fn damaged(file: &File, what: impl std::fmt::Display) -> Error {
    Error::Damaged(format!("record {}: {what}", file.record.number))
}

impl Ntfs {
    /// How names are folded; the volume's own table where it can be read.
    fn case(&self) -> &UpCase {
        self.case.get_or_init(|| {
            let content = self.table.record(UPCASE).and_then(|file| self.table.content(&file, DATA, &[]));
            let whole = content.ok().flatten().and_then(|content| content.whole(UPCASE_SIZE).ok().flatten());
            UpCase::new(whole.map(|bytes| units(&bytes)).unwrap_or_default())
        })
    }

    /// What the reparse point of a file says; `None` where it has none.
    fn reparse(&self, file: &Arc<File>) -> Result<Option<Reparse>, Error> {
        let Some(content) = self.table.content(file, REPARSE_POINT, &[])? else { return Ok(None) };
        let value = content.whole(MAX_REPARSE)?.unwrap_or_default();
        Reparse::parse(&value).map(Some).ok_or_else(|| damaged(file, "its reparse point is damaged"))
    }

    /// Where a link leads; `Err` with words where that has no path in the guest's tree.
    ///
    /// Which volume has which letter only the running system knows. One thing is certain enough: a volume with a `\Windows` of its own
    /// is `C:` to the system that boots from it.
    fn path(&self, target: Target) -> Result<Result<Vec<u8>, String>, Error> {
        Ok(match target {
            Target::Path(path) => Ok(path),
            Target::Elsewhere(text) => Err(format!("the link leads to another volume or to a network: {text}")),
            Target::Drive(letter, path) => {
                if letter == b'C' && self.lookup(self.root(), b"Windows")?.is_some() {
                    Ok(path)
                } else {
                    Err(format!("the link leads to drive {}:, which may be any volume", char::from(letter)))
                }
            }
        })
    }

    /// Bytes of the unnamed data.
    fn size(&self, file: &Arc<File>) -> Result<u64, Error> {
        let data = self.table.find(file, DATA, &[])?;
        Ok(match data.as_deref().map(|data| &data.value) {
            Some(Value::Resident(bytes)) => int_u64(bytes.len()),
            Some(Value::Mapped(mapped)) => mapped.size,
            None => 0,
        })
    }

    /// The bytes of a stream as its reader would see them.
    fn stream(&self, file: &Arc<File>, name: &[u16]) -> Result<Bytes, Error> {
        let Some(data) = self.table.find(file, DATA, name)? else {
            let name = names::to_text(name);
            return Err(damaged(file, if name.is_empty() { "it has no data".to_owned() } else { format!("it has no stream {name}") }));
        };
        if data.flags & ENCRYPTED != 0 {
            return Err(Error::Unsupported("the file is encrypted (EFS), and only the guest has the keys".to_owned()));
        }
        let unit = match &data.value {
            Value::Mapped(mapped) if data.flags & COMPRESSED != 0 => Some(mapped.unit),
            _ => None,
        };
        match (self.table.content(file, DATA, name)?, unit) {
            (Some(Content::Stream(stream)), Some(unit)) => match Compressed::new(stream, unit) {
                Some(compressed) => Ok(Arc::new(compressed)),
                None => Err(damaged(file, format_args!("a compression unit of 2^{unit} clusters"))),
            },
            (Some(content), _) => Ok(content.into_bytes()),
            (None, _) => Err(damaged(file, "it has no data")),
        }
    }

    fn directory(&self, id: NodeId) -> Result<Directory, Error> {
        let file = self.table.file(id.0)?;
        if let Some(Reparse::Foreign { tag, name }) = self.reparse(&file)?.filter(|reparse| !reparse.is_transparent()) {
            return Err(Error::Unsupported(format!("the directory belongs to {name} (reparse tag {tag:#010x})")));
        }
        let Some(Content::Resident(root)) = self.table.content(&file, INDEX_ROOT, &I30)? else {
            return Err(damaged(&file, "it is not a directory"));
        };
        let blocks = match self.table.content(&file, INDEX_ALLOCATION, &I30)? {
            Some(Content::Stream(stream)) => {
                let bitmap = self.table.content(&file, BITMAP, &I30)?;
                let bitmap = bitmap.ok_or_else(|| damaged(&file, "its index has no bitmap"))?.whole(MAX_INDEX_BITMAP)?;
                let bitmap = bitmap.ok_or_else(|| damaged(&file, "the bitmap of its index is longer than that of any directory"))?;
                let blocks: Bytes = Arc::new(stream);
                Some((blocks, bitmap))
            }
            Some(Content::Resident(_)) => return Err(damaged(&file, "the blocks of its index are resident")),
            None => None,
        };
        Directory::new(file.record.number, root, self.table.geometry.cluster, blocks)
    }
}

impl FileSystem for Ntfs {
    fn kind(&self) -> &'static str {
        "ntfs"
    }

    fn folds_case(&self) -> bool {
        true
    }

    fn root(&self) -> NodeId {
        NodeId(ROOT)
    }

    fn node(&self, id: NodeId) -> Result<Node, Error> {
        let file = self.table.file(id.0)?;
        let times = self.table.find(&file, STANDARD_INFORMATION, &[])?;
        let modified = times.as_ref().and_then(|times| le64(times.resident()?, 8)).map(seconds);
        let (kind, size) = match self.reparse(&file)? {
            Some(Reparse::Link(target)) => (NodeKind::Symlink, int_u64(self.path(target)?.map_or(0, |path| path.len()))),
            Some(Reparse::Special(kind)) => (kind, 0),
            _ if file.record.directory => (NodeKind::Directory, 0),
            _ => (NodeKind::File, self.size(&file)?),
        };
        // A long name and the short one beside it are one link to people, two to NTFS.
        let names = self.table.names(&file)?;
        let short = names.iter().filter(|name| name.resident().and_then(|name| byte(name, 65)) == Some(index::DOS)).count();
        let links = u32::from(file.record.links).saturating_sub(u32::try_from(short).unwrap_or(u32::MAX));
        Ok(Node { kind, size, mode: None, uid: None, gid: None, modified, links, device: None })
    }

    fn entries(&self, directory: NodeId, each: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), Error> {
        let root = number_of(directory.0) == ROOT;
        let mut impossible = None;
        let directory = self.directory(directory)?;
        directory.list(&mut |name| {
            let own = root && number_of(name.file) < FIRST_USER_RECORD && name.units.first() == Some(&u16::from(b'$'));
            let dots = name.units.iter().all(|unit| *unit == u16::from(b'.')) && name.units.len() <= 2;
            if name.short || own || dots {
                return ControlFlow::Continue(());
            }
            let bytes = names::to_bytes(&name.units);
            if !is_name(&bytes) {
                impossible = Some(name.file);
                return ControlFlow::Break(());
            }
            each(Entry { name: bytes, node: NodeId(name.file) })
        })?;
        impossible.map_or(Ok(()), |file| Err(directory.damaged(format_args!("what it calls file {} is no name", number_of(file)))))
    }

    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<Option<NodeId>, Error> {
        let Some(wanted) = names::to_units(name) else { return Ok(None) };
        Ok(self.directory(directory)?.find(&wanted, self.case())?.map(NodeId))
    }

    fn open(&self, file: NodeId) -> Result<Bytes, Error> {
        let file = self.table.file(file.0)?;
        match self.reparse(&file)? {
            _ if file.record.directory => Err(Error::Unsupported("a directory has no content".to_owned())),
            None => self.stream(&file, &[]),
            Some(Reparse::Overlaid(algorithm)) => {
                let name: Vec<u16> = "WofCompressedData".encode_utf16().collect();
                let stored = self.stream(&file, &name)?;
                Ok(Arc::new(wof::Overlaid::new(stored, algorithm, self.size(&file)?)))
            }
            Some(Reparse::Foreign { tag, name }) => {
                Err(Error::Unsupported(format!("the content belongs to {name} (reparse tag {tag:#010x}) and is not in the file itself")))
            }
            Some(Reparse::Link(_) | Reparse::Special(_)) => Err(Error::Unsupported("it is not a regular file".to_owned())),
        }
    }

    fn target(&self, link: NodeId) -> Result<Vec<u8>, Error> {
        let file = self.table.file(link.0)?;
        match self.reparse(&file)? {
            Some(Reparse::Link(target)) => self.path(target)?.map_err(Error::Unsupported),
            _ => Err(damaged(&file, "it is not a link")),
        }
    }

    /// Of a file that the system compresses (WOF) the place in the compressed stream is told, of all that is compressed whole clusters.
    fn extents(&self, file: NodeId) -> Result<Option<Vec<Extent>>, Error> {
        let file = self.table.file(file.0)?;
        let overlaid: Vec<u16> = match self.reparse(&file)? {
            _ if file.record.directory => return Err(Error::Unsupported("a directory has no content".to_owned())),
            Some(Reparse::Link(_) | Reparse::Special(_)) => return Err(Error::Unsupported("it is not a regular file".to_owned())),
            Some(Reparse::Overlaid(_)) => "WofCompressedData".encode_utf16().collect(),
            None | Some(Reparse::Foreign { .. }) => vec![],
        };
        let flags = self.table.find(&file, DATA, &overlaid)?.map_or(0, |data| data.flags);
        let Some(Content::Stream(stream)) = self.table.content(&file, DATA, &overlaid)? else { return Ok(None) };
        let extents = free::extents(&stream, flags & (COMPRESSED | ENCRYPTED) != 0);
        within("the file", self.table.volume.size(), extents.iter().map(|extent| &extent.at))?;
        Ok(Some(extents))
    }

    fn free(&self) -> Result<Vec<Range<u64>>, Error> {
        free::ranges(self)
    }

    fn usage(&self) -> Result<Usage, Error> {
        let geometry = self.table.geometry;
        let file = self.table.record(CLUSTERS)?;
        let bitmap = self.stream(&file, &[])?;
        if bitmap.size() < geometry.clusters.div_ceil(8) {
            return Err(damaged(&file, format_args!("{} bytes of bitmap for {} clusters", bitmap.size(), geometry.clusters)));
        }
        let size = geometry.clusters.saturating_mul(geometry.cluster);
        let used = count(&*bitmap, geometry.clusters)?.saturating_mul(geometry.cluster);
        Ok(Usage { size, used, free: size.saturating_sub(used) })
    }

    /// Work that waits in the log is not carried out: what is read is the state on the disk.
    fn clean(&self) -> Result<bool, Error> {
        const DIRTY: u16 = 1;
        let volume = self.table.record(VOLUME)?;
        let flags = self.table.find(&volume, VOLUME_INFORMATION, &[])?.and_then(|found| le16(found.resident()?, 10));
        let flags = flags.ok_or_else(|| damaged(&volume, "it has no volume information"))?;
        if flags & DIRTY != 0 {
            return Ok(false);
        }
        let log = self.table.record(LOG)?;
        let done = log::is_done(&*self.stream(&log, &[])?)?;
        done.ok_or_else(|| damaged(&log, "the log has no restart area"))
    }
}

/// How many of the first `bits` bits are set.
fn count(bitmap: &dyn ReadAt, bits: u64) -> Result<u64, Error> {
    const PIECE: u64 = 64 << 10;
    let end = bits.div_ceil(8);
    let (mut at, mut set) = (0_u64, 0_u64);
    while let Some(range) = bitmap.data(at).filter(|range| range.start < end) {
        let until = range.end.min(end).min(range.start.saturating_add(PIECE));
        let mut piece = read_vec(bitmap, range.start, int_usize(until.saturating_sub(range.start)))?;
        // Bits after the last cluster mean nothing.
        if let Some(last) = piece.last_mut().filter(|_| until == end && !bits.is_multiple_of(8)) {
            *last &= u8::MAX.checked_shr(u32::try_from(8_u64.saturating_sub(bits % 8)).unwrap_or(8)).unwrap_or_default();
        }
        if !is_zero(&piece) {
            set = set.saturating_add(piece.iter().map(|byte| u64::from(byte.count_ones())).sum());
        }
        at = until;
    }
    Ok(set)
}

/// A time in units of 100 ns since 1601 as seconds since 1970.
fn seconds(time: u64) -> i64 {
    const SINCE_1601: i64 = 11_644_473_600;
    i64::try_from(time / 10_000_000).unwrap_or(i64::MAX).saturating_sub(SINCE_1601)
}

#[cfg(test)]
mod tests;

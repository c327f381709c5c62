//! Directories: a tree of names, its root in the record, its other nodes in blocks of their own.
//!
//! "$INDEX_ROOT" and "$INDEX_ALLOCATION" in the Linux-NTFS project's documentation. A lookup walks the tree; a listing takes the blocks as
//! they lie, those that the bitmap has in use, and so ends whatever the nodes say of each other.

use super::names::UpCase;
use super::raw::{byte, le16, le64, len16, len32, part, units};
use super::record::fix_up;
use crate::bytes::{Bytes, int_u64, int_usize, read_vec};
use crate::fs::Error;
use std::cmp::Ordering;
use std::ops::ControlFlow;

/// The namespace of short names that Windows makes beside long ones.
pub(super) const DOS: u8 = 2;
/// More levels than any tree of names has.
const MAX_LEVELS: u32 = 32;

/// A directory, opened.
#[derive(Debug)]
pub(super) struct Directory {
    /// Its record, for messages.
    pub number: u64,
    /// `$INDEX_ROOT`.
    root: Vec<u8>,
    /// Bytes of a block.
    block: u64,
    /// Bytes in which the numbers of blocks count.
    unit: u64,
    /// `$INDEX_ALLOCATION` and `$BITMAP`, where it has them.
    blocks: Option<(Bytes, Vec<u8>)>,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub units: Vec<u16>,
    /// The file, as a reference.
    pub file: u64,
    /// Whether it is a short name beside a long one.
    pub short: bool,
}

/// An entry of a node.
#[derive(Debug)]
struct Entry {
    /// `None` for the last.
    name: Option<Name>,
    /// The block with the names that go before this one.
    child: Option<u64>,
}

impl Directory {
    /// From the content of its attributes.
    pub(super) fn new(number: u64, root: Vec<u8>, cluster: u64, blocks: Option<(Bytes, Vec<u8>)>) -> Result<Self, Error> {
        let block = int_u64(len32(&root, 8).unwrap_or_default());
        if !block.is_power_of_two() || !(512..=65536).contains(&block) {
            return Err(Error::Damaged(format!("record {number}: a directory with blocks of {block} bytes")));
        }
        Ok(Self { number, root, block, unit: if cluster <= block { cluster } else { 512 }, blocks })
    }

    pub(super) fn damaged(&self, what: impl std::fmt::Display) -> Error {
        Error::Damaged(format!("record {}: in its index, {what}", self.number))
    }

    fn root(&self) -> Result<Vec<Entry>, Error> {
        let node = self.root.get(16..).unwrap_or_default();
        entries(node).ok_or_else(|| self.damaged("the root is damaged"))
    }

    /// The entries of the block of this number.
    fn block(&self, vcn: u64) -> Result<Vec<Entry>, Error> {
        let Some((blocks, _)) = &self.blocks else { return Err(self.damaged("a block is named where there are none")) };
        let at = vcn.checked_mul(self.unit).filter(|at| at.is_multiple_of(self.block));
        let at = at.filter(|at| at.saturating_add(self.block) <= blocks.size());
        let at = at.ok_or_else(|| self.damaged(format_args!("block {vcn} lies outside")))?;
        let mut block = read_vec(blocks, at, int_usize(self.block))?;
        fix_up(&mut block, b"INDX").map_err(|what| self.damaged(format_args!("block {vcn}: {what}")))?;
        if le64(&block, 16) != Some(vcn) {
            return Err(self.damaged(format_args!("block {vcn} says that it is another one")));
        }
        entries(block.get(24..).unwrap_or_default()).ok_or_else(|| self.damaged(format_args!("block {vcn} is damaged")))
    }

    /// Gives every name to `each`, short ones too, until it breaks.
    pub(super) fn list(&self, each: &mut dyn FnMut(Name) -> ControlFlow<()>) -> Result<(), Error> {
        for name in self.root()?.into_iter().filter_map(|entry| entry.name) {
            if each(name).is_break() {
                return Ok(());
            }
        }
        let Some((blocks, used)) = &self.blocks else { return Ok(()) };
        let count = blocks.size().checked_div(self.block).unwrap_or_default();
        let per_block = self.block.checked_div(self.unit).unwrap_or(1);
        let bits = used
            .iter()
            .zip((0_u64..).step_by(8))
            .flat_map(|(bits, first)| (0..8_u32).zip(first..).filter(move |(bit, _)| bits.checked_shr(*bit).unwrap_or_default() & 1 != 0));
        for (_, number) in bits {
            if number >= count {
                return Err(self.damaged(format_args!("block {number} is in use and lies outside")));
            }
            for name in self.block(number.saturating_mul(per_block))?.into_iter().filter_map(|entry| entry.name) {
                if each(name).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The file of this name, short or long: the exact one, or else one that differs in case only.
    pub(super) fn find(&self, wanted: &[u16], case: &UpCase) -> Result<Option<u64>, Error> {
        if !case.is_of_the_volume() {
            return self.find_unsorted(wanted, case);
        }
        // Names that differ in case only are sorted by their units, so that one of them is met on the way to where another would be.
        let mut folded = None;
        let mut node = self.root()?;
        for _ in 0..MAX_LEVELS {
            let mut down = None;
            for entry in node {
                let order = entry
                    .name
                    .as_ref()
                    .map_or(Ordering::Less, |name| case.compare(wanted, &name.units).then_with(|| wanted.cmp(name.units.as_slice())));
                let same = entry.name.as_ref().filter(|name| case.compare(wanted, &name.units).is_eq());
                folded = folded.or(same.map(|name| name.file));
                match (order, entry.name) {
                    (Ordering::Equal, Some(name)) => return Ok(Some(name.file)),
                    (Ordering::Greater, _) => {}
                    _ => {
                        down = entry.child;
                        break;
                    }
                }
            }
            match down {
                Some(vcn) => node = self.block(vcn)?,
                None => return Ok(folded),
            }
        }
        Err(self.damaged(format_args!("more than {MAX_LEVELS} levels")))
    }

    fn find_unsorted(&self, wanted: &[u16], case: &UpCase) -> Result<Option<u64>, Error> {
        let (mut exact, mut folded) = (None, None);
        self.list(&mut |name| {
            if name.units == wanted {
                exact = Some(name.file);
                return ControlFlow::Break(());
            }
            if folded.is_none() && case.compare(wanted, &name.units).is_eq() {
                folded = Some(name.file);
            }
            ControlFlow::Continue(())
        })?;
        Ok(exact.or(folded))
    }
}

/// The entries of a node, which begins with its header; `None` where it is damaged.
fn entries(node: &[u8]) -> Option<Vec<Entry>> {
    const HAS_CHILD: u16 = 1;
    const LAST: u16 = 2;
    let node = part(node, 0, len32(node, 4)?)?;
    let mut at = len32(node, 0)?;
    let mut entries = Vec::new();
    // An entry takes 16 bytes or more, so the loop ends with the node.
    loop {
        let entry = part(node, at, len16(node, at.checked_add(8)?).filter(|length| *length >= 16)?)?;
        let flags = le16(entry, 12)?;
        let child = if flags & HAS_CHILD == 0 { None } else { Some(le64(entry, entry.len().checked_sub(8)?)?) };
        if flags & LAST != 0 {
            entries.push(Entry { name: None, child });
            return Some(entries);
        }
        let key = part(entry, 16, len16(entry, 10)?)?;
        let units = units(part(key, 66, usize::from(byte(key, 64)?).saturating_mul(2))?);
        let name = Name { units, file: le64(entry, 0)?, short: byte(key, 65)? == DOS };
        entries.push(Entry { name: Some(name), child });
        at = at.checked_add(entry.len())?;
    }
}

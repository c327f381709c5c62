//! Bins and the cells in them.
//!
//! A cell is known by its offset from the start of the bins. It begins with its size, negative while the cell is in use; what follows is one
//! record. Cells are read one at a time, through the bytes below.

use super::base::{BaseBlock, PAGE};
use super::error::{Damage, HiveError};
use super::fields::u32_at;
use super::{BASE_BLOCK, Mode};
use crate::bytes::{Bytes, int_u64, int_usize, read_array, read_vec};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Damage that is kept; more is only counted.
const MOST_DAMAGE: usize = 100;
/// Keys that are accepted under the list they stand in although their own word for their parent is no key.
const MOST_ADOPTED: usize = 1024;
/// A bin's header.
const BIN_HEADER: u32 = 32;

/// The bins of a hive, and what was found wrong with them so far.
#[derive(Debug)]
pub(super) struct Cells {
    bytes: Bytes,
    /// Bytes of bins that are there.
    size: u32,
    /// The root key's cell.
    pub(super) root: u32,
    /// Minor version of the format.
    pub(super) minor: u32,
    mode: Mode,
    /// Where bins start, when the hive was opened strictly.
    bins: Vec<u32>,
    damage: Mutex<(Vec<Damage>, usize)>,
    adopted: Mutex<BTreeMap<u32, u32>>,
}

/// One cell, without its size.
#[derive(Debug)]
pub(super) struct Cell {
    /// Bytes that the cell has for its record.
    pub(super) room: u32,
    /// As many of them as were asked for.
    pub(super) data: Vec<u8>,
}

impl Cells {
    /// The bins behind a base block: as many bytes as it says, or as many as there are.
    ///
    /// # Errors
    ///
    /// In strict mode, when the bins are not what the format says.
    pub(super) fn new(bytes: Bytes, base: &BaseBlock, mode: Mode) -> Result<Self, HiveError> {
        let there = u32::try_from(bytes.size().saturating_sub(BASE_BLOCK)).unwrap_or(u32::MAX);
        let size = base.bins_size.min(there);
        let mut cells = Self {
            bytes,
            size,
            root: base.root,
            minor: base.minor,
            mode,
            bins: Vec::new(),
            damage: Mutex::default(),
            adopted: Mutex::new(BTreeMap::new()),
        };
        if mode == Mode::Strict {
            cells.bins = cells.walk()?;
        }
        Ok(cells)
    }

    /// Where bins start. They follow each other without gaps.
    fn walk(&self) -> Result<Vec<u32>, HiveError> {
        let mut starts = Vec::new();
        let mut at = 0_u32;
        while at < self.size {
            let header: [u8; 12] = read_array(&self.bytes, BASE_BLOCK.saturating_add(u64::from(at)))?;
            if !header.starts_with(b"hbin") {
                return Err(Damage::new("bin", at, "it does not begin with \"hbin\"").into());
            }
            let offset = u32_at(&header, 4).unwrap_or_default();
            if offset != at {
                return Err(Damage::new("bin", at, format!("it says that it stands at {offset:#x}")).into());
            }
            let size = u32_at(&header, 8).unwrap_or_default();
            let end = at.checked_add(size).filter(|end| size != 0 && size.is_multiple_of(PAGE) && *end <= self.size);
            starts.push(at);
            at = end.ok_or_else(|| Damage::new("bin", at, format!("its size of {size} bytes is not possible")))?;
        }
        Ok(starts)
    }

    /// Takes note of damage and goes on; in strict mode, ends.
    ///
    /// # Errors
    ///
    /// The damage, in strict mode.
    pub(super) fn tolerate(&self, damage: Damage) -> Result<(), HiveError> {
        match self.mode {
            Mode::Strict => Err(damage.into()),
            Mode::Lenient => {
                let mut kept = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
                let (list, more) = &mut *kept;
                if list.contains(&damage) {
                } else if list.len() < MOST_DAMAGE {
                    list.push(damage);
                } else {
                    *more = more.saturating_add(1);
                }
                Ok(())
            }
        }
    }

    /// As [`Cells::tolerate`] for an error from below: only damage can be tolerated.
    pub(super) fn tolerate_error(&self, error: HiveError) -> Result<(), HiveError> {
        match error {
            HiveError::Damage(damage) => self.tolerate(damage),
            other => Err(other),
        }
    }

    /// What was found wrong so far.
    pub(super) fn damage(&self) -> Vec<Damage> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Whether the key at `child`, whose word for its parent is nonsense, may stand below `parent`: where it was met first, and nowhere else.
    pub(super) fn adopt(&self, child: u32, parent: u32) -> bool {
        let mut adopted = self.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        match adopted.get(&child) {
            Some(first) => *first == parent,
            None if adopted.len() < MOST_ADOPTED => {
                adopted.insert(child, parent);
                true
            }
            None => false,
        }
    }

    /// The cell at `at`, and at most `most` bytes of its record. `structure` is what the caller looks for there.
    ///
    /// # Errors
    ///
    /// [`HiveError::Damage`] when no cell can be there; in strict mode also when the cell is not in use or passes its bin.
    pub(super) fn cell(&self, at: u32, structure: &'static str, most: usize) -> Result<Cell, HiveError> {
        let fail = |problem: &str| HiveError::Damage(Damage::new(structure, at, problem));
        if at < BIN_HEADER || !at.is_multiple_of(8) {
            return Err(fail("no cell can begin here"));
        }
        if at > self.size.saturating_sub(4) {
            return Err(fail("the cell begins behind the last bin"));
        }
        let offset = BASE_BLOCK.saturating_add(u64::from(at));
        let stored = i32::from_le_bytes(read_array(&self.bytes, offset)?);
        let size = stored.unsigned_abs();
        if stored >= 0 {
            self.tolerate(Damage::new(structure, at, "the cell is not in use"))?;
        }
        if !size.is_multiple_of(8) {
            self.tolerate(Damage::new(structure, at, format!("the cell's size of {size} bytes is no multiple of 8")))?;
        }
        let end = at.checked_add(size).filter(|end| *end <= self.bin_end(at));
        let room = match (end, size.checked_sub(4)) {
            (Some(_), Some(room)) => room,
            (_, None) => return Err(fail("the cell has no room for anything")),
            (None, Some(_)) => return Err(fail(&format!("the cell's {size} bytes pass the end of its bin"))),
        };
        let len = int_usize(u64::from(room)).min(most);
        let data = read_vec(&self.bytes, offset.saturating_add(4), len)?;
        Ok(Cell { room, data })
    }

    /// The end of the bin around `at`; the end of all bins where bins were not looked at.
    fn bin_end(&self, at: u32) -> u32 {
        let next = self.bins.partition_point(|start| *start <= at);
        self.bins.get(next).copied().unwrap_or(self.size)
    }

    /// How many records of at least `size` bytes the bins have room for: the most that any honest list can name.
    pub(super) fn room_for(&self, size: u32) -> u64 {
        u64::from(self.size).checked_div(u64::from(size)).unwrap_or_default()
    }

    /// Whether any damage is an error.
    pub(super) fn is_strict(&self) -> bool {
        self.mode == Mode::Strict
    }

    /// Whether `len` bytes are more than the bins hold.
    pub(super) fn exceeds(&self, len: usize) -> bool {
        int_u64(len) > u64::from(self.size)
    }
}

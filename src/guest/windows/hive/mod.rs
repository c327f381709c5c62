//! Registry hives: the files in which Windows keeps its registry.
//!
//! A hive is a base block of 4096 bytes and bins full of cells: keys (`nk`), values (`vk`), lists of them, and data. Hives are read cell by
//! cell; nothing is loaded as a whole.
//!
//! Sources: "Windows registry file format specification" (github.com/msuhanov/regf), "Windows NT Registry File (REGF) format"
//! (libyal/libregf, documentation).

mod base;
mod cells;
mod error;
mod fields;
mod keys;
mod lists;
mod log;
mod marvin;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod values;

pub use error::{Damage, HiveError};
pub(super) use fields::utf16;
pub use keys::Key;
pub use values::{Value, kind};

use crate::bytes::{Bytes, Cached};
use base::BaseBlock;
use cells::Cells;
use log::Recovered;
use std::sync::Arc;

/// Bytes before the first bin.
const BASE_BLOCK: u64 = 4096;
/// The first cell of the first bin, where writers put the root key.
const FIRST_CELL: u32 = 32;

/// How a hive is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Anything that is not as the format says is an error.
    Strict,
    /// What can be read is read; [`Hive::damage`] tells what could not.
    Lenient,
}

/// What became of changes that stand in the logs and not in the hive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// The hive was closed cleanly, and the logs hold nothing newer.
    Clean,
    /// Log entries were laid over the hive, as Windows would at the next start.
    Replayed {
        /// How many; a log of the old format (before Windows 8.1) counts as one.
        entries: u32,
        /// The sequence number that the hive then has.
        sequence: u32,
        /// Newer entries that do not continue the others, and so were left out.
        left_out: u32,
    },
    /// The hive says that it was closed cleanly, and so its logs do not count although they hold newer entries. Programs that edit a hive
    /// without its logs leave it so.
    Ignored {
        /// The highest sequence number in the logs.
        newest: u32,
    },
    /// The logs do not help, for this reason; the hive is read as it is.
    Failed(String),
}

/// A registry hive.
#[derive(Debug)]
pub struct Hive {
    cells: Cells,
    dirty: bool,
    recovery: Recovery,
}

impl Hive {
    /// Opens a hive. `logs` are its `.LOG1` and `.LOG2`, or its `.LOG`, as far as there are any.
    ///
    /// # Errors
    ///
    /// When the bytes are no hive or one of an unknown version; in strict mode, when the hive is not clean and cannot be recovered, or when
    /// its base block or bins are damaged.
    pub fn open(bytes: Bytes, logs: &[Bytes], mode: Mode) -> Result<Self, HiveError> {
        let base = BaseBlock::read(&bytes)?;
        base.check_kind()?;
        let Recovered { bytes, base, dirty, recovery } = log::recover(bytes, base, logs);
        if let (Mode::Strict, Recovery::Failed(reason)) = (mode, &recovery) {
            return Err(HiveError::Dirty(reason.clone()));
        }
        let bytes: Bytes = Arc::new(Cached::new(bytes));
        let damage = base.damage(bytes.size());
        if let (Mode::Strict, Some(first)) = (mode, damage.first()) {
            return Err(first.clone().into());
        }
        let mut cells = Cells::new(bytes, &base, mode)?;
        for one in damage {
            cells.tolerate(one)?;
        }
        if let Err(error) = Key::read(&cells, cells.root, 0) {
            cells.tolerate_error(error)?;
            cells.root = FIRST_CELL;
        }
        Ok(Self { cells, dirty, recovery })
    }

    /// The root key.
    ///
    /// # Errors
    ///
    /// When it cannot be read where the base block says; in lenient mode, when the hive's first cell is no key either.
    pub fn root(&self) -> Result<Key<'_>, HiveError> {
        Key::read(&self.cells, self.cells.root, 0)
    }

    /// The key at `path`: `ControlSet001\Services`, in any case.
    ///
    /// # Errors
    ///
    /// As [`Key::key`].
    pub fn key(&self, path: &str) -> Result<Option<Key<'_>>, HiveError> {
        self.root()?.key(path)
    }

    /// The value `name` of the key at `key`; `None` when the key or the value does not exist.
    ///
    /// # Errors
    ///
    /// As [`Key::key`] and [`Key::value`].
    pub fn value(&self, key: &str, name: &str) -> Result<Option<Value>, HiveError> {
        match self.key(key)? {
            Some(key) => key.value(name),
            None => Ok(None),
        }
    }

    /// Whether Windows had not finished writing: sequence numbers differ, the base block's checksum is wrong, or logs hold newer entries.
    #[must_use]
    pub fn was_dirty(&self) -> bool {
        self.dirty
    }

    /// What was taken from the logs, or why nothing was.
    #[must_use]
    pub fn recovered(&self) -> Recovery {
        self.recovery.clone()
    }

    /// What was found damaged so far, at most the first hundred; always empty in strict mode.
    ///
    /// Only what was read is looked at, so the list grows with use.
    #[must_use]
    pub fn damage(&self) -> Vec<Damage> {
        self.cells.damage()
    }
}

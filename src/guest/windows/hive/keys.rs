//! Keys: `nk` cells.

use super::cells::Cells;
use super::error::{Damage, HiveError};
use super::fields::{name, name_hash, same_name, slice_at, u16_at, u32_at, u64_at, utf16};
use super::lists::{Element, Found, Hint, elements};
use super::values::{self, Value};

/// Keys below each other at most; Windows allows 512 levels ("Registry Element Size Limits").
pub(super) const MOST_DEPTH: usize = 512;
/// The fields before the name.
const NODE: usize = 76;
/// A key node with the longest name that its length field can say.
const MOST_NODE: usize = NODE + 0xffff;
/// No cell.
const NONE: u32 = u32::MAX;

/// Flags of a key node.
const COMPRESSED_NAME: u16 = 0x0020;
/// The count of values is a handle that means something to a running Windows only.
const PREDEFINED_HANDLE: u16 = 0x0040;

/// One key of a hive.
#[derive(Debug, Clone)]
pub struct Key<'h> {
    cells: &'h Cells,
    at: u32,
    /// Levels below the root.
    depth: usize,
    name: String,
    flags: u16,
    written: u64,
    parent: u32,
    subkeys: (u32, u32),
    values: (u32, u32),
    class: (u32, u16),
}

impl<'h> Key<'h> {
    /// The key node at `at`.
    pub(super) fn read(cells: &'h Cells, at: u32, depth: usize) -> Result<Self, HiveError> {
        if depth > MOST_DEPTH {
            return Err(HiveError::TooDeep(MOST_DEPTH));
        }
        let cell = cells.cell(at, "key node", MOST_NODE)?;
        let data = cell.data.as_slice();
        if !data.starts_with(b"nk") {
            return Err(Damage::new("key node", at, "it does not begin with nk").into());
        }
        let fields = || {
            let flags = u16_at(data, 2)?;
            Some((
                usize::from(u16_at(data, 72)?),
                Self {
                    cells,
                    at,
                    depth,
                    name: String::new(),
                    flags,
                    written: u64_at(data, 4)?,
                    parent: u32_at(data, 16)?,
                    subkeys: (u32_at(data, 20)?, u32_at(data, 28)?),
                    values: (u32_at(data, 36)?, u32_at(data, 40)?),
                    class: (u32_at(data, 48)?, u16_at(data, 74)?),
                },
            ))
        };
        let (len, mut key) = fields().ok_or_else(|| Damage::new("key node", at, "the cell is too small"))?;
        let stored = slice_at(data, NODE, len).ok_or_else(|| Damage::new("key node", at, "its name passes the end of the cell"))?;
        key.name = name(stored, key.flags & COMPRESSED_NAME != 0);
        Ok(key)
    }

    /// The key's own name; for the root, whatever the writer called it.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// When the key was last changed, as FILETIME: 100-nanosecond steps since 1601-01-01 UTC.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The class name, if the key has one.
    ///
    /// # Errors
    ///
    /// When its cell cannot be read.
    pub fn class(&self) -> Result<Option<String>, HiveError> {
        let (at, len) = self.class;
        if at == NONE || len == 0 {
            return Ok(None);
        }
        let len = usize::from(len);
        let cell = self.cells.cell(at, "class name", len)?;
        if cell.data.len() < len {
            return Err(Damage::new("class name", at, format!("{len} bytes pass the end of the cell")).into());
        }
        Ok(Some(utf16(&cell.data)))
    }

    /// All subkeys, in the order in which the hive keeps them (by upper-case name). Volatile keys are not on the disk.
    ///
    /// Of a hive opened leniently, those that can be read; [`Hive::damage`](super::Hive::damage) names the others.
    ///
    /// # Errors
    ///
    /// When the bytes cannot be read; in strict mode, at any damage.
    pub fn keys(&self) -> Result<Vec<Self>, HiveError> {
        let mut keys = Vec::new();
        for element in self.elements()?.0 {
            match self.child(element) {
                Ok(key) => keys.push(key),
                Err(error) => self.cells.tolerate_error(error)?,
            }
        }
        Ok(keys)
    }

    /// The key at `path` below this one: names between backslashes, in any case. An empty path is this key.
    ///
    /// # Errors
    ///
    /// As [`Key::keys`]; and when the key was not found among what could be read, but something could not be read.
    pub fn key(&self, path: &str) -> Result<Option<Self>, HiveError> {
        let mut key = self.clone();
        for part in path.split('\\').filter(|part| !part.is_empty()) {
            match key.subkey(part)? {
                Some(next) => key = next,
                None => return Ok(None),
            }
        }
        Ok(Some(key))
    }

    /// All values, in the order in which the key keeps them.
    ///
    /// # Errors
    ///
    /// As [`Key::keys`].
    pub fn values(&self) -> Result<Vec<Value>, HiveError> {
        let (count, list) = self.value_list();
        values::all(self.cells, count, list)
    }

    /// The value called `name`, in any case; "" is the default value.
    ///
    /// # Errors
    ///
    /// When the value is there and cannot be read; and when it was not found among what could be read, but something could not be read.
    pub fn value(&self, name: &str) -> Result<Option<Value>, HiveError> {
        let (count, list) = self.value_list();
        values::one(self.cells, count, list, name)
    }

    /// How many values the key has, and the cell that lists them.
    fn value_list(&self) -> (u32, u32) {
        if self.flags & PREDEFINED_HANDLE != 0 { (0, NONE) } else { self.values }
    }

    /// What the lists of subkeys say, and what of them was lost.
    fn elements(&self) -> Result<Found, HiveError> {
        let (count, list) = self.subkeys;
        if count == 0 {
            return Ok((Vec::new(), None));
        }
        let (found, lost) = elements(self.cells, list)?;
        if lost.is_none() && usize::try_from(count).ok() != Some(found.len()) {
            let problem = format!("it has {count} subkeys and lists {}", found.len());
            self.cells.tolerate(Damage::new("key node", self.at, problem))?;
        }
        Ok((found, lost))
    }

    /// The key that an element of this key's lists stands for.
    fn child(&self, element: Element) -> Result<Self, HiveError> {
        if element.key == self.cells.root {
            return Err(Damage::new("subkey list", self.at, "it names the root key").into());
        }
        let key = Key::read(self.cells, element.key, self.depth.saturating_add(1))?;
        if key.parent != self.at {
            let damage = Damage::new("key node", key.at, format!("it says that its parent is at {:#x}, not {:#x}", key.parent, self.at));
            // Where the parent it names is a key, that is the one it belongs to; so nothing is reached on two ways, or without end.
            if Key::read(self.cells, key.parent, 0).is_ok() || !self.cells.adopt(key.at, self.at) {
                return Err(damage.into());
            }
            self.cells.tolerate(damage)?;
        }
        Ok(key)
    }

    /// The subkey called `wanted`.
    fn subkey(&self, wanted: &str) -> Result<Option<Self>, HiveError> {
        let (found, mut lost) = self.elements()?;
        let hash = name_hash(wanted);
        // First those that the hints point to, then, since hints may lie, the others.
        let (likely, others): (Vec<Element>, Vec<Element>) = found.into_iter().partition(|element| may_be(element.hint, wanted, hash));
        let trusted = self.cells.is_strict() && wanted.is_ascii();
        let others = if trusted { Vec::new() } else { others };
        for element in likely.into_iter().chain(others) {
            match self.child(element) {
                Ok(key) if same_name(&key.name, wanted) => return Ok(Some(key)),
                Ok(_) => {}
                Err(error) => {
                    self.cells.tolerate_error(error.clone())?;
                    lost.get_or_insert(error);
                }
            }
        }
        lost.map_or(Ok(None), Err)
    }
}

/// Whether a list's hint allows that the key is called `wanted`.
fn may_be(hint: Hint, wanted: &str, hash: u32) -> bool {
    match hint {
        Hint::None => true,
        Hint::Hash(stored) => stored == hash,
        Hint::First(stored) => {
            let first = wanted.bytes().chain([0; 4]);
            !wanted.is_ascii() || stored.iter().zip(first).all(|(one, other)| one.eq_ignore_ascii_case(&other))
        }
    }
}

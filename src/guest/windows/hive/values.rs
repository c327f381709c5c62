//! Values: `vk` cells and their data.

use super::cells::Cells;
use super::error::{Damage, HiveError};
use super::fields::{name, same_name, slice_at, u16_at, u32_at, utf16};
use crate::bytes::int_usize;
use std::collections::BTreeSet;

/// The fields before the name.
const VALUE: usize = 20;
/// A value with the longest name that its length field can say.
const MOST_VALUE: usize = VALUE + 0xffff;
/// Data of one value at most. Windows keeps values of a megabyte and advises against more.
const MOST_DATA: usize = 64 << 20;
/// Data of all values of one key at most.
const MOST_KEY_DATA: usize = 256 << 20;
/// Data of one segment of big data, all but the last.
const SEGMENT: usize = 16344;
/// Set in a size when the data stands in the value itself.
const RESIDENT: u32 = 0x8000_0000;
/// The name has one byte per character.
const COMPRESSED_NAME: u16 = 1;

/// Kinds of values ("Registry Value Types").
pub mod kind {
    /// No kind.
    pub const NONE: u32 = 0;
    /// Text.
    pub const SZ: u32 = 1;
    /// Text with `%variables%`.
    pub const EXPAND_SZ: u32 = 2;
    /// Bytes.
    pub const BINARY: u32 = 3;
    /// 32 bits, little-endian.
    pub const DWORD: u32 = 4;
    /// 32 bits, big-endian.
    pub const DWORD_BIG_ENDIAN: u32 = 5;
    /// The path of another key.
    pub const LINK: u32 = 6;
    /// Texts.
    pub const MULTI_SZ: u32 = 7;
    /// 64 bits, little-endian.
    pub const QWORD: u32 = 11;
}

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its name; empty for the key's default value.
    pub name: String,
    /// What the data is, as one of [`kind`]; other numbers occur.
    pub kind: u32,
    /// The data as it is stored.
    pub data: Vec<u8>,
}

impl Value {
    /// The text of an `SZ`, `EXPAND_SZ` or `LINK` value, up to the first NUL.
    ///
    /// Some writers leave other bytes behind the NUL, or an odd byte at the end; both are no part of the text.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        matches!(self.kind, kind::SZ | kind::EXPAND_SZ | kind::LINK).then(|| {
            let whole = utf16(&self.data);
            whole.split('\0').next().unwrap_or_default().to_owned()
        })
    }

    /// The texts of a `MULTI_SZ` value; the one text of an `SZ` or `EXPAND_SZ` value.
    ///
    /// Empty texts at the end are the end mark and left out. Others stay: lists of pairs (`PendingFileRenameOperations`) have them.
    #[must_use]
    pub fn texts(&self) -> Option<Vec<String>> {
        if self.kind != kind::MULTI_SZ {
            return self.text().map(|text| vec![text]);
        }
        let whole = utf16(&self.data);
        Some(whole.trim_end_matches('\0').split('\0').filter(|_| whole.chars().any(|c| c != '\0')).map(str::to_owned).collect())
    }

    /// The number of a `DWORD` or `DWORD_BIG_ENDIAN` value of four bytes.
    #[must_use]
    pub fn dword(&self) -> Option<u32> {
        let bytes: [u8; 4] = self.data.as_slice().try_into().ok()?;
        match self.kind {
            kind::DWORD => Some(u32::from_le_bytes(bytes)),
            kind::DWORD_BIG_ENDIAN => Some(u32::from_be_bytes(bytes)),
            _ => None,
        }
    }

    /// The number of a `QWORD` value of eight bytes.
    #[must_use]
    pub fn qword(&self) -> Option<u64> {
        let bytes: [u8; 8] = self.data.as_slice().try_into().ok()?;
        (self.kind == kind::QWORD).then(|| u64::from_le_bytes(bytes))
    }
}

/// A value before its data was read.
struct Node {
    at: u32,
    name: String,
    kind: u32,
    size: u32,
    /// The data's cell, or the data itself.
    data: [u8; 4],
}

/// All values in a list, as [`Key::values`](super::Key::values) gives them.
pub(super) fn all(cells: &Cells, count: u32, list: u32) -> Result<Vec<Value>, HiveError> {
    let (places, _) = places(cells, count, list)?;
    let mut found = Vec::new();
    let mut budget = MOST_KEY_DATA;
    for at in places {
        match node(cells, at).and_then(|node| data(cells, node, budget)) {
            Ok(value) => {
                budget = budget.saturating_sub(value.data.len());
                found.push(value);
            }
            Err(error) => cells.tolerate_error(error)?,
        }
    }
    Ok(found)
}

/// One value of a list, as [`Key::value`](super::Key::value) gives it.
pub(super) fn one(cells: &Cells, count: u32, list: u32, wanted: &str) -> Result<Option<Value>, HiveError> {
    let (places, mut lost) = places(cells, count, list)?;
    for at in places {
        match node(cells, at) {
            Ok(node) if same_name(&node.name, wanted) => return data(cells, node, MOST_KEY_DATA).map(Some),
            Ok(_) => {}
            Err(error) => {
                cells.tolerate_error(error.clone())?;
                lost.get_or_insert(error);
            }
        }
    }
    lost.map_or(Ok(None), Err)
}

/// The cells of the values in a list, each once; and what of the list was lost.
fn places(cells: &Cells, count: u32, list: u32) -> Result<(Vec<u32>, Option<HiveError>), HiveError> {
    if count == 0 {
        return Ok((Vec::new(), None));
    }
    let mut lost = None;
    let mut lose = |damage: Damage| {
        lost.get_or_insert(HiveError::Damage(damage.clone()));
        cells.tolerate(damage)
    };
    let most = cells.room_for(4).min(u64::from(count));
    let data = match cells.cell(list, "value list", int_usize(most.saturating_mul(4))) {
        Ok(cell) => cell.data,
        Err(HiveError::Damage(damage)) => {
            lose(damage)?;
            Vec::new()
        }
        Err(other) => return Err(other),
    };
    let stored = data.as_chunks::<4>().0;
    if lost.is_none() && u32::try_from(stored.len()).ok() != Some(count) {
        let damage = Damage::new("value list", list, format!("its {count} elements pass the end of the cell"));
        lost.get_or_insert(HiveError::Damage(damage.clone()));
        cells.tolerate(damage)?;
    }
    let mut seen = BTreeSet::new();
    let mut places = Vec::new();
    for at in stored.iter().map(|bytes| u32::from_le_bytes(*bytes)) {
        if seen.insert(at) {
            places.push(at);
        } else {
            cells.tolerate(Damage::new("value list", list, format!("it names the value at {at:#x} twice")))?;
        }
    }
    Ok((places, lost))
}

/// The value at `at`, without its data.
fn node(cells: &Cells, at: u32) -> Result<Node, HiveError> {
    let cell = cells.cell(at, "value", MOST_VALUE)?;
    let bytes = cell.data.as_slice();
    if !bytes.starts_with(b"vk") {
        return Err(Damage::new("value", at, "it does not begin with vk").into());
    }
    let fields = || {
        let len = usize::from(u16_at(bytes, 2)?);
        let data = bytes.get(8..)?.first_chunk().copied()?;
        Some((len, u32_at(bytes, 4)?, data, u32_at(bytes, 12)?, u16_at(bytes, 16)?))
    };
    let (len, size, data, kind, flags) = fields().ok_or_else(|| Damage::new("value", at, "the cell is too small"))?;
    let stored = slice_at(bytes, VALUE, len).filter(|_| len != 0);
    let stored = if len == 0 { Some(&[][..]) } else { stored };
    let stored = stored.ok_or_else(|| Damage::new("value", at, "its name passes the end of the cell"))?;
    Ok(Node { at, name: name(stored, flags & COMPRESSED_NAME != 0), kind, size, data })
}

/// The value with its data, of which there may be `budget` bytes.
fn data(cells: &Cells, node: Node, budget: usize) -> Result<Value, HiveError> {
    let Node { at, name, kind, size, data } = node;
    let fail = |problem: String| HiveError::Damage(Damage::new("value", at, problem));
    let len = int_usize(u64::from(size & !RESIDENT));
    let bytes = if size & RESIDENT != 0 {
        let bytes = data.get(..len).ok_or_else(|| fail(format!("{len} bytes of data cannot stand in the value itself")))?;
        bytes.to_vec()
    } else if len == 0 {
        Vec::new()
    } else if cells.exceeds(len) || len > MOST_DATA || len > budget {
        return Err(fail(format!("{len} bytes of data are more than the hive holds, or more than are read")));
    } else {
        stored(cells, u32::from_le_bytes(data), len).map_err(|error| match error {
            HiveError::Damage(damage) => fail(format!(
                "its data ({name:?}): {} at cell {:#x}: {}",
                damage.structure,
                damage.cell.unwrap_or_default(),
                damage.problem
            )),
            other => other,
        })?
    };
    Ok(Value { name, kind, data: bytes })
}

/// `len` bytes of data in the cell at `at`, or in the segments that it lists.
fn stored(cells: &Cells, at: u32, len: usize) -> Result<Vec<u8>, HiveError> {
    let cell = cells.cell(at, "data", len)?;
    if len > SEGMENT && cells.minor > 3 && cell.data.starts_with(b"db") {
        return segments(cells, at, &cell.data, len);
    }
    if cell.data.len() < len {
        return Err(Damage::new("data", at, format!("{len} bytes pass the end of the cell, which has room for {}", cell.room)).into());
    }
    Ok(cell.data)
}

/// Big data: `len` bytes in segments.
fn segments(cells: &Cells, at: u32, head: &[u8], len: usize) -> Result<Vec<u8>, HiveError> {
    let fail = |problem: String| HiveError::Damage(Damage::new("big data", at, problem));
    let count = u16_at(head, 2).map(usize::from).unwrap_or_default();
    let needed = len.div_ceil(SEGMENT);
    if count < needed {
        return Err(fail(format!("it has {count} segments, and {len} bytes take {needed}")));
    }
    let list = u32_at(head, 4).ok_or_else(|| fail("the cell is too small".to_owned()))?;
    let list = cells.cell(list, "big data list", needed.saturating_mul(4))?.data;
    let mut seen = BTreeSet::new();
    let mut data = Vec::with_capacity(len);
    for place in 0..needed {
        let segment = u32_at(&list, place.saturating_mul(4)).ok_or_else(|| fail("its list of segments is cut short".to_owned()))?;
        if !seen.insert(segment) {
            return Err(fail(format!("it names the segment at {segment:#x} twice")));
        }
        let wanted = len.saturating_sub(data.len()).min(SEGMENT);
        let cell = cells.cell(segment, "big data segment", wanted)?;
        if cell.data.len() < wanted {
            return Err(fail(format!("the segment at {segment:#x} has {} bytes, not {wanted}", cell.data.len())));
        }
        data.extend_from_slice(&cell.data);
    }
    Ok(data)
}

//! Lists of subkeys: `lf`, `lh` and `li` leaves, and `ri` lists of leaves.

use super::cells::Cells;
use super::error::{Damage, HiveError};
use super::fields::{u16_at, u32_at};
use std::collections::BTreeSet;

/// Bytes of a list at most: 65535 elements of 8 bytes behind 4 bytes.
const MOST_LIST: usize = 4 + 65535 * 8;

/// What a list says of a key besides where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    /// Nothing (`li`).
    None,
    /// The first four characters of its name (`lf`).
    First([u8; 4]),
    /// The hash of its name (`lh`).
    Hash(u32),
}

/// One key in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    /// Its key node's cell.
    pub(super) key: u32,
    pub(super) hint: Hint,
}

/// Elements, and the first part of their lists that could not be read.
pub(super) type Found = (Vec<Element>, Option<HiveError>);

/// All keys that the list at `at` names, each once, in the list's order; and whether a part of the list could not be read.
///
/// # Errors
///
/// In strict mode, any damage; else only what is not damage.
pub(super) fn elements(cells: &Cells, at: u32) -> Result<Found, HiveError> {
    let mut walk = Walk { cells, found: Vec::new(), keys: BTreeSet::new(), budget: cells.room_for(4), lost: None };
    let mut leaves = BTreeSet::new();
    let (signature, data) = match list(cells, at) {
        Ok(list) => list,
        Err(error) => {
            walk.lose(error)?;
            return Ok((walk.found, walk.lost));
        }
    };
    if signature != *b"ri" {
        walk.leaf(at, signature, &data)?;
        return Ok((walk.found, walk.lost));
    }
    for place in places(&data, 4) {
        let leaf = u32_at(&data, place).unwrap_or_default();
        if !leaves.insert(leaf) {
            walk.lose(Damage::new("index root", at, format!("it names the list at {leaf:#x} twice")).into())?;
            continue;
        }
        match list(cells, leaf) {
            Ok((inner, _)) if inner == *b"ri" => {
                walk.lose(Damage::new("index root", at, "it leads to another index root").into())?;
            }
            Ok((inner, data)) => walk.leaf(leaf, inner, &data)?,
            Err(error) => walk.lose(error)?,
        }
    }
    Ok((walk.found, walk.lost))
}

/// Where elements of `size` bytes stand in a list whose count has been checked.
fn places(data: &[u8], size: usize) -> impl Iterator<Item = usize> + use<> {
    (4..data.len()).step_by(size.max(1))
}

/// The signature and the bytes of a list, cut to its elements.
fn list(cells: &Cells, at: u32) -> Result<([u8; 2], Vec<u8>), HiveError> {
    let cell = cells.cell(at, "subkey list", MOST_LIST)?;
    let signature = *cell.data.first_chunk::<2>().ok_or_else(|| Damage::new("subkey list", at, "the cell is too small"))?;
    let size = match &signature {
        b"lf" | b"lh" => 8,
        b"li" | b"ri" => 4,
        _ => return Err(Damage::new("subkey list", at, "it does not begin with lf, lh, li or ri").into()),
    };
    let count = usize::from(u16_at(&cell.data, 2).unwrap_or_default());
    let mut data = cell.data;
    let wanted = count.saturating_mul(size).saturating_add(4);
    if data.len() < wanted {
        cells.tolerate(Damage::new("subkey list", at, format!("its {count} elements pass the end of the cell")))?;
        let whole = data.len().saturating_sub(4).checked_div(size).unwrap_or_default();
        data.truncate(whole.saturating_mul(size).saturating_add(4));
    } else {
        data.truncate(wanted);
    }
    Ok((signature, data))
}

struct Walk<'c> {
    cells: &'c Cells,
    found: Vec<Element>,
    keys: BTreeSet<u32>,
    /// Elements that may still be looked at.
    budget: u64,
    lost: Option<HiveError>,
}

impl Walk<'_> {
    /// A part that cannot be read: noted, and remembered so that a name that is not found is not called absent.
    fn lose(&mut self, error: HiveError) -> Result<(), HiveError> {
        self.cells.tolerate_error(error.clone())?;
        self.lost.get_or_insert(error);
        Ok(())
    }

    fn leaf(&mut self, at: u32, signature: [u8; 2], data: &[u8]) -> Result<(), HiveError> {
        for place in places(data, if signature == *b"li" { 4 } else { 8 }) {
            let Some(left) = self.budget.checked_sub(1) else {
                return self.lose(Damage::new("subkey list", at, "the lists of one key name more keys than the hive has room for").into());
            };
            self.budget = left;
            let Some(key) = u32_at(data, place) else { continue };
            let second = place.checked_add(4).and_then(|place| data.get(place..)?.first_chunk::<4>().copied()).unwrap_or_default();
            let hint = match &signature {
                b"lh" => Hint::Hash(u32::from_le_bytes(second)),
                b"lf" => Hint::First(second),
                _ => Hint::None,
            };
            if self.keys.insert(key) {
                self.found.push(Element { key, hint });
            } else {
                self.cells.tolerate(Damage::new("subkey list", at, format!("it names the key at {key:#x} twice")))?;
            }
        }
        Ok(())
    }
}

//! From a file to what it says, and to the disk inside.

use super::disk::Disk;
use super::notes::Notes;
use super::table::{Shape, Table};
use super::{LogState, Vhdx, header, log, metadata, region};
use crate::bytes::{Bytes, Corrupt, ReadError};
use std::ops::Range;
use std::sync::Arc;

/// Learns what a VHDX file says about itself, however damaged it is.
///
/// # Errors
///
/// [`ReadError::Corrupt`] when the file does not begin as a VHDX does, and [`ReadError::Host`]. Everything else is in
/// [`Vhdx::refusal`] and [`Vhdx::deviations`].
pub fn read(bytes: &Bytes) -> Result<Vhdx, ReadError> {
    survey(bytes).map(|(facts, _)| facts)
}

/// What the file says about itself, and the virtual disk inside, as it is after the log was replayed.
///
/// # Errors
///
/// As [`read`], and [`Vhdx::refusal`]: [`ReadError::Corrupt`] for the first contradiction that puts the content in doubt, and
/// [`ReadError::Unsupported`] for a differencing disk, for what requires parts that are not known, and beyond named limits.
pub fn open(bytes: &Bytes) -> Result<(Vhdx, Bytes), ReadError> {
    let (facts, disk) = survey(bytes)?;
    match (disk, &facts.refusal) {
        (Some(disk), None) => Ok((facts, disk)),
        (_, Some(refusal)) => Err(refusal.clone()),
        (None, None) => Err(ReadError::Unsupported("a VHDX whose disk cannot be told".to_owned())),
    }
}

/// What the file says, and its disk where nothing stands against it.
fn survey(file: &Bytes) -> Result<(Vhdx, Option<Bytes>), ReadError> {
    let mut facts = unknown(header::identifier(file)?);
    let mut notes = Notes::default();
    let explored = explore(file, &mut facts, &mut notes);
    let disk = notes.keep(explored)?;
    facts.deviations = notes.deviations;
    facts.refusal = notes.refusal;
    let disk = disk.filter(|_| facts.refusal.is_none()).map(|disk| -> Bytes { Arc::new(disk) });
    Ok((facts, disk))
}

/// Follows the file from its headers to its blocks. What does not bar the way is noted, and the way goes on.
fn explore(file: &Bytes, facts: &mut Vhdx, notes: &mut Notes) -> Result<Disk, ReadError> {
    let header = header::current(file, &mut facts.headers, notes);
    let header = notes.keep(header)?;
    facts.data_write_guid = header.as_ref().map(|header| header.data_write_guid);
    let (file, log) = replay(file, header.as_ref(), facts, notes)?;
    let regions = region::regions(&file, log.clone(), &mut facts.region_tables, notes)?;
    metadata::fill(&file, &regions.metadata, facts, notes)?;

    let unknown = || Corrupt::new("metadata", regions.metadata.start, "sizes that make a disk", "none");
    let shape = Shape {
        virtual_size: facts.virtual_size.ok_or_else(unknown)?,
        block_size: facts.block_size.ok_or_else(unknown)?,
        logical_sector_size: facts.logical_sector_size.ok_or_else(unknown)?,
        has_parent: facts.has_parent.ok_or_else(unknown)?,
    };
    let table = Table::new(Arc::clone(&file), &regions.bat, shape)?;
    let taken: Vec<Range<u64>> = regions.others.into_iter().chain([regions.bat, regions.metadata]).chain(log).collect();
    facts.blocks = table.survey(&taken, notes)?;
    if shape.has_parent {
        let parent = facts.parent.as_ref().and_then(|parent| parent.get("relative_path").or_else(|| parent.get("absolute_win32_path")));
        let name = crate::bytes::printable(parent.unwrap_or("a file that it does not name"));
        notes.refuse(ReadError::Unsupported(format!("a differencing VHDX; its parent is {name}")));
    }
    Ok(Disk { file, table })
}

/// The file after its log, and the place of the log where it is known. A damaged log is noted, and the file as it is.
fn replay(
    file: &Bytes,
    header: Option<&header::Header>,
    facts: &mut Vhdx,
    notes: &mut Notes,
) -> Result<(Bytes, Option<Range<u64>>), ReadError> {
    let Some(header) = header else { return Ok((Arc::clone(file), None)) };
    let place = log::place(header, file.size());
    if header.log_guid.is_nil() {
        facts.log = LogState::Clean;
        return Ok(match place {
            Ok(place) => (Arc::clone(file), Some(place)),
            // Nobody will look there before a writer has made a new one.
            Err(error) => {
                notes.deviation(header.at, error.to_string());
                (Arc::clone(file), None)
            }
        });
    }
    let Some(place) = notes.keep(place)? else { return Ok((Arc::clone(file), None)) };
    let replayed = log::replay(file, header, &place, notes);
    Ok(match notes.keep(replayed)? {
        Some((state, replayed)) => {
            facts.log = state;
            (replayed, Some(place))
        }
        None => (Arc::clone(file), Some(place)),
    })
}

/// Nothing learnt yet.
fn unknown(creator: String) -> Vhdx {
    Vhdx {
        creator,
        headers: [false; 2],
        data_write_guid: None,
        log: LogState::Unknown,
        region_tables: [false; 2],
        block_size: None,
        leave_allocated: None,
        has_parent: None,
        virtual_size: None,
        disk_id: None,
        logical_sector_size: None,
        physical_sector_size: None,
        parent: None,
        blocks: None,
        deviations: Vec::new(),
        refusal: None,
    }
}

//! Free space: what the guests' own file systems do not use is not worth uploading, and may hold what was deleted.
//!
//! ```text
//! regions ─space─→ what each calls free, held against every file that can be reached
//!         ─group─→ extents that no logical volume uses
//!         ─claim─→ nothing of regions that claim the same bytes
//!         ─Region::on_disks─→ bytes of the disks ─tally─→ how many are not zero
//! ```
//!
//! Only what is known to be free is dropped. Where anything about a region is not in order, or not known, nothing of it is, and the reason
//! is told. What lies between partitions, BIOS boot partitions, what is encrypted and what is not recognised stays as it is.

mod claim;
mod group;
mod space;
mod tally;
mod walk;

use crate::bytes::{Bytes, ReadError};
use crate::fs;
use crate::inspect::{Place, Region};
use claim::Claims;
use std::ops::Range;
pub use tally::count;

/// Pages, in which what is not zero is counted: holes of files and of images are made of whole ones.
const PAGE: u64 = 4096;

/// What was found free on one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trimmed {
    /// The region: `partition 1`, `vg0/root`, `free extents of vg0`; with more than one disk `partition 1 of disk 2`.
    pub region: String,
    /// blkid's name of what stands on it.
    pub kind: String,
    /// What may be dropped: which of the disks given, and bytes of it; or why nothing may.
    pub free: Result<Vec<(usize, Range<u64>)>, String>,
    /// Bytes that may be dropped.
    pub free_bytes: u64,
    /// Bytes among them that are not zero, counted in pieces of 4096.
    pub dropped_bytes: u64,
}

/// Why nothing of a region is dropped.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// For a reason that lies in the image.
    #[error("{0}")]
    Kept(String),
    /// For one that lies in the host, which ends everything.
    #[error(transparent)]
    Host(ReadError),
}

impl From<fs::Error> for Fault {
    fn from(error: fs::Error) -> Self {
        match error {
            fs::Error::Read(error) => error.into(),
            other => Self::Kept(other.to_string()),
        }
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        if error.is_host() { Self::Host(error) } else { Self::Kept(error.to_string()) }
    }
}

fn kept<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Kept(why.into()))
}

/// Finds what may be dropped on the disks: `disks` are their bytes, `regions` what stands on them; both with the changes that were made,
/// where there were any.
///
/// A file system whose journal holds work is left as it is: what is free on it is certain once the journal was replayed and written back,
/// or its system was shut down.
///
/// # Errors
///
/// When the host cannot read.
pub fn find(regions: &[Region], disks: &[Bytes]) -> Result<Vec<Trimmed>, ReadError> {
    let mut groups = group::of(regions)?;
    let claims = Claims::of(regions);
    let stop = match space::stop(regions) {
        Ok(stop) => stop,
        Err(Fault::Kept(why)) => Some(why),
        Err(Fault::Host(error)) => return Err(error),
    };
    let mut found = Vec::new();
    for (place, region) in regions.iter().enumerate() {
        let Some(content) = region.content.as_ref().filter(|content| content.kind != group::MEMBER) else { continue };
        let free = match (&stop, claims.contested(place), group::trouble(&groups, region)) {
            (Some(why), ..) => kept(why.clone()),
            (None, Some(why), _) => kept(why),
            (None, None, Some(why)) => kept(why),
            (None, None, None) => space::of(region, content).and_then(|free| on_disks(region, &free)),
        };
        found.push(trimmed(name(region, disks), content.kind.clone(), free, disks)?);
    }
    for group in &mut groups {
        let contested = group.members.iter().find_map(|place| claims.contested(*place));
        let free = match stop.clone().or(contested) {
            Some(why) => kept(why),
            None => group.free(regions),
        };
        found.push(trimmed(format!("free extents of {}", group.name), group::MEMBER.to_owned(), free, disks)?);
    }
    Ok(found)
}

/// A region by its name.
fn name(region: &Region, disks: &[Bytes]) -> String {
    match region.place {
        Place::Volume(_) => region.place.to_string(),
        _ if disks.len() < 2 => region.place.to_string(),
        Place::Whole => format!("disk {}", region.disk.saturating_add(1)),
        Place::Partition(_) => format!("{} of disk {}", region.place, region.disk.saturating_add(1)),
    }
}

/// Free ranges of a region as bytes of the disks.
fn on_disks(region: &Region, free: &[Range<u64>]) -> Result<Vec<(usize, Range<u64>)>, Fault> {
    match region.on_disks(free) {
        Some(found) => Ok(found),
        None if region.lies.is_empty() => kept("where its bytes lie on the disks is not known, or other volumes need them"),
        None => kept("what it calls free passes its end"),
    }
}

/// Counts, and puts together.
fn trimmed(region: String, kind: String, free: Result<Vec<(usize, Range<u64>)>, Fault>, disks: &[Bytes]) -> Result<Trimmed, ReadError> {
    let counted = free.and_then(|free| {
        let free = tally::joined(free, disks)?;
        let dropped = tally::count(&free, disks)?;
        Ok((free, dropped))
    });
    let region = crate::bytes::printable(&region);
    match counted {
        Ok((free, dropped_bytes)) => {
            let free_bytes = free.iter().fold(0_u64, |sum, (_, range)| sum.saturating_add(range.end.saturating_sub(range.start)));
            Ok(Trimmed { region, kind, free: Ok(free), free_bytes, dropped_bytes })
        }
        Err(Fault::Kept(why)) => Ok(Trimmed { region, kind, free: Err(crate::bytes::printable(&why)), free_bytes: 0, dropped_bytes: 0 }),
        Err(Fault::Host(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests;

//! Finding the container by content.

use super::{Container, Format, OpenError, Source, chain, raw, vhd, vhdx};
use crate::bytes::{Bytes, ReadAt, ReadError, printable, read_array};

/// The containers that vhdkit opens. The first that recognises a file has it; raw is last.
pub static FORMATS: &[&Format] = &[&VHD, &VHDX, &raw::FORMAT];

static VHD: Format = Format { name: "vhd", open: open_vhd };
static VHDX: Format = Format { name: "vhdx", open: open_vhdx };

/// Opens a file as what it is.
///
/// # Errors
///
/// Only when the host cannot read. A file that is no disk, or a damaged one, is a container whose disk is an error.
pub fn open(source: &Source<'_>) -> Result<Container, ReadError> {
    for format in FORMATS {
        if let Some(container) = (format.open)(source)? {
            return Ok(container);
        }
    }
    Ok(raw::no_disk("nothing that is known", None))
}

fn open_vhd(source: &Source<'_>) -> Result<Option<Container>, ReadError> {
    vhd::read(&**source.file)?.map(|vhd| from_vhd(vhd, source)).transpose()
}

/// Opens what was recognised as a VHD, with its parents.
pub(super) fn from_vhd(vhd: vhd::Vhd, source: &Source<'_>) -> Result<Container, ReadError> {
    let mut parents = Vec::new();
    let disk: Result<Bytes, OpenError> = if vhd.disk_type() == Some(vhd::DiskType::DIFFERENCING) {
        match chain::parents_of(&vhd, source.file, source.path, source.search) {
            Ok((found, parent)) => {
                parents = found;
                vhd::open(&vhd, source.file, Some(parent)).map_err(OpenError::from)
            }
            // What the host cannot read is not a parent that is missing or unfit.
            Err(chain::ParentError::Host { path, cause }) => return Err(ReadError::Parent { path, cause }),
            Err(error) => Err(error.into()),
        }
    } else {
        vhd::open(&vhd, source.file, None).map_err(OpenError::from)
    };
    if let Err(OpenError::Read(error)) = &disk
        && error.is_host()
    {
        return Err(error.clone());
    }
    Ok(Container { format: "vhd", detail: None, advice: None, virtual_size: vhd.virtual_size(), vhd: Some(vhd), vhdx: None, parents, disk })
}

fn open_vhdx(source: &Source<'_>) -> Result<Option<Container>, ReadError> {
    if source.file.size() < 8 || read_array(&**source.file, 0)? != vhdx::SIGNATURE {
        return Ok(None);
    }
    let (vhdx, disk) = match vhdx::open(source.file) {
        Ok((vhdx, disk)) => (vhdx, Ok(disk)),
        Err(error) if error.is_host() => return Err(error),
        Err(error) => (vhdx::read(source.file)?, Err(OpenError::from(error))),
    };
    let mut detail = Vec::new();
    if !vhdx.creator.is_empty() {
        detail.push(format!("made by {}", printable(&vhdx.creator)));
    }
    detail.extend(vhdx.logical_sector_size.filter(|size| *size != 512).map(|size| format!("sectors of {size} bytes")));
    if let vhdx::LogState::Replayed { entries, .. } = vhdx.log {
        detail.push(format!("not closed cleanly: its log ({entries} entries) was replayed in memory"));
    }
    Ok(Some(Container {
        format: "vhdx",
        detail: (!detail.is_empty()).then(|| detail.join(", ")),
        advice: None,
        virtual_size: vhdx.virtual_size,
        vhd: None,
        vhdx: Some(vhdx),
        parents: Vec::new(),
        disk,
    }))
}

//! Finding the container by content.

use super::{Container, Format, OpenError, Source, chain, raw, vhd};
use crate::bytes::{Bytes, ReadError};

/// The containers that vhdkit opens. The first that recognises a file has it; raw is last.
pub static FORMATS: &[&Format] = &[&VHD, &raw::FORMAT];

static VHD: Format = Format { name: "vhd", open: open_vhd };

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
    Ok(Container { format: "vhd", detail: None, advice: None, virtual_size: vhd.virtual_size(), vhd: Some(vhd), parents, disk })
}

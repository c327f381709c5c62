//! Raw disks: bytes as they are, and the formats that are recognised and not opened.

use super::{Container, Format, OpenError, Source, open, sniff, vhd};
use crate::bytes::ReadError;

/// Any bytes are a raw disk; last in the registry.
pub(super) static FORMAT: Format = Format { name: "raw", open: open_raw };

fn open_raw(source: &Source<'_>) -> Result<Option<Container>, ReadError> {
    let sniffed = sniff::sniff(&**source.file)?;
    if sniffed.format != "raw" {
        let said = sniffed.detail.clone().unwrap_or_else(|| sniffed.format.to_owned());
        let mut container = no_disk(sniffed.format, Some(said));
        container.advice = Some(sniffed.advice);
        container.virtual_size = sniffed.virtual_size;
        return Ok(Some(container));
    }
    // Only now: it reads the file's last megabytes.
    if let Some(displaced) = vhd::read_displaced(&**source.file)? {
        return open::from_vhd(displaced, source).map(Some);
    }
    Ok(Some(Container {
        format: "raw",
        detail: sniffed.detail,
        advice: Some(sniffed.advice),
        vhd: None,
        vhdx: None,
        virtual_size: Some(source.file.size()),
        parents: Vec::new(),
        disk: Ok(source.file.clone()),
    }))
}

/// A container without a disk that can be read.
pub(super) fn no_disk(format: &'static str, detail: Option<String>) -> Container {
    Container {
        format,
        advice: None,
        vhd: None,
        vhdx: None,
        virtual_size: None,
        parents: Vec::new(),
        disk: Err(OpenError::NotOpened(detail.clone().unwrap_or_else(|| format.to_owned()))),
        detail,
    }
}

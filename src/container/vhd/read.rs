//! From a file to what it says, and from that to a disk.

use super::bitmap::{self, BitmapSurvey};
use super::deviation::{Deviation, Kind};
use super::disk::{BlockDisk, FixedDisk};
use super::footer::{DiskType, FEATURE_RESERVED, FEATURE_TEMPORARY, FORMAT_VERSION, Footer, HIDDEN_AT, NO_OFFSET, POISONED};
use super::header::{DynamicHeader, HEADER_LEN, HEADER_VERSION};
use super::{MAX_DYNAMIC, Vhd, scan, table, xen};
use crate::bytes::{ByteSize, Bytes, Corrupt, ReadAt, ReadError, SECTOR, int_u64, read_array};
use std::sync::Arc;

/// Learns what a file says of itself as a VHD; `None` when no footer stands at its end and no copy of one at its start.
///
/// # Errors
///
/// Only when the host cannot read. Whatever is wrong with the file is a [`Deviation`], or an error kept beside what could be read.
pub fn read(file: &dyn ReadAt) -> Result<Option<Vhd>, ReadError> {
    let mut footer = scan::at_end(file)?;
    // A footer that is all there is to the file is no copy of itself.
    let apart = footer.as_ref().is_none_or(|end| end.offset >= SECTOR);
    let front = if apart { scan::at_start(file)? } else { None };
    // At the start only the copy of a sparse disk counts; a fixed disk's payload may begin with anything.
    let copy = front.clone().filter(|copy| copy.disk_type.is_sparse());
    if footer.is_none() {
        if !copy.as_ref().is_some_and(Footer::checksum_holds) {
            return Ok(None);
        }
        footer = scan::near_end(file)?;
    }
    assemble(file, footer, front, copy).map(Some)
}

/// Looks for a VHD whose footer stands somewhat before the end of the file, behind which something was appended.
///
/// Reads the file's last megabytes, so it is asked last, for files that are nothing else.
///
/// # Errors
///
/// As [`read`].
pub fn read_displaced(file: &dyn ReadAt) -> Result<Option<Vhd>, ReadError> {
    let Some(footer) = scan::near_end(file)? else { return Ok(None) };
    // A dynamic VHD that is kept as a file on a raw disk has such a footer too, but its header is not where the footer says.
    if footer.disk_type.is_sparse() {
        match read_header(file, &footer) {
            Ok(_) => {}
            Err(error) if error.is_host() => return Err(error),
            Err(_) => return Ok(None),
        }
    }
    assemble(file, Some(footer), None, None).map(Some)
}

fn assemble(file: &dyn ReadAt, footer: Option<Footer>, front: Option<Footer>, copy: Option<Footer>) -> Result<Vhd, ReadError> {
    let copy_is_used = copy.as_ref().is_some_and(Footer::checksum_holds);
    // A sound fixed footer at the end makes a copy at the start part of the payload.
    let fixed = footer.as_ref().is_some_and(|end| end.disk_type == DiskType::FIXED && (end.checksum_holds() || !copy_is_used));
    let mut vhd = Vhd {
        copy: if fixed { None } else { copy },
        footer,
        header: None,
        table: None,
        batmap: None,
        deviations: Vec::new(),
        file_size: file.size(),
    };
    describe_footers(&mut vhd, fixed && front.is_some());
    if vhd.disk_type().is_some_and(DiskType::is_sparse) {
        read_sparse(file, &mut vhd)?;
    } else {
        describe_payload(&mut vhd);
    }
    Ok(vhd)
}

/// Deviations of the footer and its copy.
fn describe_footers(vhd: &mut Vhd, nested: bool) {
    let mut out = Vec::new();
    let Some(authority) = vhd.authority().cloned() else { return };
    match &vhd.footer {
        None => out.push(Deviation::new(
            Kind::FooterMissing,
            vhd.file_size.saturating_sub(SECTOR),
            SECTOR,
            "a footer in the last 512 bytes",
            "none; the copy at byte 0 is used",
        )),
        Some(end) => {
            describe_fields(end, &mut out);
            let behind = vhd.file_size.saturating_sub(end.end());
            if behind > 0 {
                let found = format!("{behind} bytes behind it");
                out.push(Deviation::new(
                    Kind::FooterNotAtEnd,
                    end.offset,
                    u64::from(end.length),
                    "the footer at the end of the file",
                    found,
                ));
            }
        }
    }
    if nested {
        out.push(Deviation::new(Kind::PayloadBeginsWithFooter, 0, SECTOR, "a boot sector or data", "the cookie 'conectix'"));
    }
    if authority.disk_type.is_sparse() {
        describe_copy(vhd, &mut out);
        if authority.current_size > MAX_DYNAMIC {
            let at = authority.offset.saturating_add(48);
            out.push(Deviation::new(Kind::DynamicTooLarge, at, 8, "at most 2040 GiB", ByteSize(authority.current_size).to_string()));
        }
    }
    vhd.deviations.append(&mut out);
}

/// Deviations of one footer's fields.
fn describe_fields(footer: &Footer, out: &mut Vec<Deviation>) {
    let mut note = |kind, place: u64, length, expected: &str, found: String| {
        out.push(Deviation::new(kind, footer.offset.saturating_add(place), length, expected, found));
    };
    if footer.length == 511 {
        note(Kind::FooterShort, 0, 511, "512 bytes", "511 bytes".to_owned());
    }
    if footer.cookie == POISONED {
        note(Kind::FooterPoisoned, 0, 8, "'conectix'", "'v_poison'".to_owned());
    }
    if footer.features != FEATURE_RESERVED && footer.features != FEATURE_RESERVED | FEATURE_TEMPORARY {
        note(Kind::FooterFeatures, 8, 4, "2 or 3", format!("{:#x}", footer.features));
    }
    if footer.format_version != FORMAT_VERSION {
        note(Kind::FooterVersion, 12, 4, "0x10000", format!("{:#x}", footer.format_version));
    }
    if footer.disk_type == DiskType::FIXED && footer.data_offset != NO_OFFSET {
        note(Kind::FooterDataOffset, 16, 8, "0xffffffffffffffff", format!("{:#x}", footer.data_offset));
    }
    if footer.disk_type.name().is_none() {
        note(Kind::FooterDiskType, 60, 4, "2 (fixed), 3 (dynamic) or 4 (differencing)", footer.disk_type.0.to_string());
    }
    if !footer.checksum_holds() {
        note(Kind::FooterChecksum, 64, 4, &format!("{:#010x}", footer.computed), format!("{:#010x}", footer.checksum));
    }
    if !footer.current_size.is_multiple_of(SECTOR) {
        note(Kind::SizeNotSectors, 48, 8, "a multiple of 512", footer.current_size.to_string());
    }
    if footer.unique_id.is_nil() {
        note(Kind::FooterNoUniqueId, 68, 16, "a unique id", "zeros".to_owned());
    }
    if footer.hidden != 0 {
        if footer.creator_application == xen::CREATOR {
            note(Kind::FooterHidden, int_u64(HIDDEN_AT), 1, "0", footer.hidden.to_string());
        } else {
            note(Kind::FooterReserved, int_u64(HIDDEN_AT), 1, "zeros", format!("{:#04x}", footer.hidden));
        }
    }
    if let Some(place) = footer.reserved_not_zero {
        note(Kind::FooterReserved, u64::from(place), 1, "zeros", "other bytes".to_owned());
    }
}

/// Deviations between a sparse disk's footer and its copy.
fn describe_copy(vhd: &Vhd, out: &mut Vec<Deviation>) {
    let Some(copy) = &vhd.copy else {
        out.push(Deviation::new(Kind::CopyMissing, 0, SECTOR, "a copy of the footer", "other bytes"));
        return;
    };
    if !copy.checksum_holds() {
        let (expected, found) = (format!("{:#010x}", copy.computed), format!("{:#010x}", copy.checksum));
        out.push(Deviation::new(Kind::CopyChecksum, 64, 4, expected, found));
    }
    let Some(end) = &vhd.footer else {
        describe_fields(copy, out);
        return;
    };
    let fields = differing_fields(end, copy);
    if !fields.is_empty() {
        out.push(Deviation::new(Kind::CopyDiffers, 0, SECTOR, format!("the footer at byte {}", end.offset), fields.join(", ")));
    }
}

/// The fields in which two footers differ, each with the end's value and the copy's.
fn differing_fields(end: &Footer, copy: &Footer) -> Vec<String> {
    let mut out = Vec::new();
    let mut compare = |name: &str, end: String, copy: String| {
        if end != copy {
            out.push(format!("{name} {copy} instead of {end}"));
        }
    };
    compare("features", format!("{:#x}", end.features), format!("{:#x}", copy.features));
    compare("format version", format!("{:#x}", end.format_version), format!("{:#x}", copy.format_version));
    compare("data offset", end.data_offset.to_string(), copy.data_offset.to_string());
    compare("time stamp", end.timestamp.to_string(), copy.timestamp.to_string());
    compare("creator", end.creator_application.escape_ascii().to_string(), copy.creator_application.escape_ascii().to_string());
    compare("creator version", format!("{:#x}", end.creator_version), format!("{:#x}", copy.creator_version));
    compare("host OS", end.creator_host_os.escape_ascii().to_string(), copy.creator_host_os.escape_ascii().to_string());
    compare("original size", end.original_size.to_string(), copy.original_size.to_string());
    compare("current size", end.current_size.to_string(), copy.current_size.to_string());
    compare("geometry", end.geometry.to_string(), copy.geometry.to_string());
    compare("disk type", end.disk_type.to_string(), copy.disk_type.to_string());
    compare("unique id", end.unique_id.to_string(), copy.unique_id.to_string());
    compare("saved state", end.saved_state.to_string(), copy.saved_state.to_string());
    out
}

/// The footer's size against the bytes before it, in a fixed disk.
fn describe_payload(vhd: &mut Vhd) {
    let Some(size) = vhd.virtual_size().filter(|_| vhd.disk_type() == Some(DiskType::FIXED)) else { return };
    let present = vhd.payload_end();
    let found = format!("{present} bytes");
    if size > present {
        vhd.deviations.push(Deviation::new(
            Kind::PayloadShort,
            present,
            size.saturating_sub(present),
            format!("{size} bytes before the footer"),
            found,
        ));
    } else if size < present {
        vhd.deviations.push(Deviation::new(
            Kind::PayloadLong,
            size,
            present.saturating_sub(size),
            format!("{size} bytes before the footer"),
            found,
        ));
    }
}

/// Header, table and XenServer's additions of a dynamic or differencing disk.
fn read_sparse(file: &dyn ReadAt, vhd: &mut Vhd) -> Result<(), ReadError> {
    let Some(footer) = vhd.authority().cloned() else { return Ok(()) };
    let header = match read_header(file, &footer) {
        Err(error) if error.is_host() => return Err(error),
        Err(error) => {
            let at = footer.data_offset.min(vhd.file_size);
            vhd.deviations.push(Deviation::new(Kind::HeaderMissing, at, int_u64(HEADER_LEN), "a dynamic header", error.to_string()));
            vhd.header = Some(Err(error));
            return Ok(());
        }
        Ok(header) => header,
    };
    describe_header(file, &header, &footer, &mut vhd.deviations);
    let limit = vhd.payload_end();
    vhd.table = match table::read(file, &header, footer.current_size, limit, &mut vhd.deviations) {
        Err(error) if error.is_host() => return Err(error),
        outcome => Some(outcome),
    };
    vhd.batmap = xen::batmap(file, &footer, &header)?;
    if let Some(batmap) = vhd.batmap {
        vhd.deviations.push(Deviation::new(Kind::Batmap, batmap.offset, SECTOR, "nothing", "XenServer's batmap"));
        if batmap.encrypted {
            vhd.deviations.push(Deviation::new(Kind::Encrypted, batmap.offset, SECTOR, "plain data", "a key hash: the data is encrypted"));
        }
    }
    if xen::bitmaps_are_swapped(&footer) {
        let at = footer.offset.saturating_add(32);
        vhd.deviations.push(Deviation::new(Kind::BitmapsLittleEndian, at, 4, "bitmaps with the first byte first", "XenServer 0.1"));
    }
    vhd.header = Some(Ok(header));
    Ok(())
}

fn read_header(file: &dyn ReadAt, footer: &Footer) -> Result<DynamicHeader, ReadError> {
    let bytes: [u8; HEADER_LEN] = match read_array(file, footer.data_offset) {
        Err(ReadError::OutOfBounds { .. }) => {
            let expected = format!("a dynamic header inside the file's {} bytes", file.size());
            return Err(Corrupt::new("footer", footer.offset.saturating_add(16), expected, format!("{:#x}", footer.data_offset)).into());
        }
        outcome => outcome?,
    };
    Ok(DynamicHeader::parse(&bytes, footer.data_offset)?)
}

/// Deviations of the dynamic header but those of the table.
fn describe_header(file: &dyn ReadAt, header: &DynamicHeader, footer: &Footer, out: &mut Vec<Deviation>) {
    let mut note = |kind, place: u64, length, expected: &str, found: String| {
        out.push(Deviation::new(kind, header.offset.saturating_add(place), length, expected, found));
    };
    if !header.checksum_holds() {
        note(Kind::HeaderChecksum, 36, 4, &format!("{:#010x}", header.computed), format!("{:#010x}", header.checksum));
    }
    if header.header_version != HEADER_VERSION {
        note(Kind::HeaderVersion, 24, 4, "0x10000", format!("{:#x}", header.header_version));
    }
    if header.data_offset != NO_OFFSET {
        note(Kind::HeaderDataOffset, 8, 8, "0xffffffffffffffff", format!("{:#x}", header.data_offset));
    }
    if let Some(place) = header.reserved_not_zero {
        note(Kind::HeaderReserved, u64::from(place), 1, "zeros", "other bytes".to_owned());
    }
    if footer.disk_type != DiskType::DIFFERENCING {
        return;
    }
    if header.locators.is_empty() && header.parent_name.is_empty() {
        note(Kind::ParentUnnamed, 64, 512, "a parent's name or locator", "none".to_owned());
    }
    for locator in &header.locators {
        if locator.data_offset.saturating_add(u64::from(locator.data_length)) > file.size() {
            let place = 576_u64.saturating_add(u64::from(locator.place).saturating_mul(24));
            note(Kind::LocatorOutside, place, 24, "data inside the file", format!("byte {}", locator.data_offset));
        }
    }
}

/// Opens the virtual disk. A differencing disk needs its parent's disk.
///
/// # Errors
///
/// When the disk cannot be known: its header or table could not be read, its type has no meaning, its data is encrypted, or a parent is
/// needed and not given. Damage that concerns some blocks only shows when those are read.
pub fn open(vhd: &Vhd, file: &Bytes, parent: Option<Bytes>) -> Result<Bytes, ReadError> {
    let Some(footer) = vhd.authority() else { return Err(ReadError::Unsupported("a VHD without a footer".to_owned())) };
    if vhd.is_encrypted() {
        return Err(ReadError::Unsupported("the data is encrypted by XenServer".to_owned()));
    }
    match footer.disk_type {
        DiskType::FIXED => Ok(Arc::new(FixedDisk { file: file.clone(), size: footer.current_size, present: vhd.payload_end() })),
        DiskType::DYNAMIC => Ok(Arc::new(block_disk(vhd, footer, file, None)?)),
        DiskType::DIFFERENCING if parent.is_none() => Err(ReadError::Unsupported("a differencing disk without its parent".to_owned())),
        DiskType::DIFFERENCING => Ok(Arc::new(block_disk(vhd, footer, file, parent)?)),
        other => Err(Corrupt::new("footer", footer.offset.saturating_add(60), "disk type 2, 3 or 4", other.to_string()).into()),
    }
}

fn block_disk(vhd: &Vhd, footer: &Footer, file: &Bytes, parent: Option<Bytes>) -> Result<BlockDisk, ReadError> {
    if let Some(Err(error)) = &vhd.header {
        return Err(error.clone());
    }
    let table = match &vhd.table {
        Some(Ok(table)) => table,
        Some(Err(error)) => return Err(error.clone()),
        None => return Err(ReadError::Unsupported("a disk without a block allocation table".to_owned())),
    };
    Ok(BlockDisk {
        file: file.clone(),
        size: footer.current_size,
        entries: table.entries.clone(),
        shape: table.shape,
        limit: vhd.payload_end(),
        parent,
        swapped_bitmaps: xen::bitmaps_are_swapped(footer),
    })
}

/// Compares the sector bitmaps of a dynamic disk with its data: the bitmaps alone, or with `deep` the data under their clear bits too.
/// `None` for other disks, and for disks that cannot be opened.
///
/// # Errors
///
/// When the host cannot read.
pub fn survey_bitmaps(vhd: &Vhd, file: &Bytes, deep: bool) -> Result<Option<BitmapSurvey>, ReadError> {
    match vhd.authority() {
        Some(footer) if footer.disk_type == DiskType::DYNAMIC => match block_disk(vhd, footer, file, None) {
            Ok(disk) => bitmap::survey(&disk, deep).map(Some),
            Err(_) => Ok(None),
        },
        _ => Ok(None),
    }
}

//! Facts about the file.

use super::disk::Options;
use crate::bytes::{Bytes, ReadAt, ReadError, SECTOR, printable};
use crate::container::vhd::{self, BlockTable, Deviation, DiskType, DynamicHeader, Footer, Vhd};
use crate::container::{Container, OpenError, Parent, Source, vhdx};
use crate::facts::{
    BitmapFacts, BlockTableFacts, ChecksumFacts, DeviationFacts, DiskFacts, DiskKind, DynamicHeaderFacts, Fact, FooterFacts, GeometryFacts,
    LocatorFacts, ParentDiskFacts, ParentFacts, StaleFooterFacts, rfc3339,
};

/// Everything that the container says; what lies on the disk is still blank.
pub(super) fn facts(source: &Source<'_>, container: &Container, options: Options) -> Result<DiskFacts, ReadError> {
    let vhd = container.vhd.as_ref();
    let readable = match &container.disk {
        Ok(_) => Fact::Known(true),
        Err(OpenError::NotOpened(_)) => Fact::Absent,
        Err(error) => Fact::unknown(printable(&error.to_string())),
    };
    Ok(DiskFacts {
        path: source.path.to_string_lossy().into_owned(),
        role: Fact::Absent,
        role_evidence: vec![],
        format: container.format.to_owned(),
        format_detail: container.detail.clone(),
        kind: kind(container),
        virtual_size: container.virtual_size.into(),
        sector_size: match (vhd, &container.vhdx) {
            (Some(_), _) => Fact::Known(SECTOR),
            (None, Some(vhdx)) => vhdx
                .logical_sector_size
                .map_or_else(|| Fact::unknown("the VHDX does not say how large its sectors are"), |size| Fact::Known(u64::from(size))),
            (None, None) => Fact::Absent,
        },
        file_size: source.file.size(),
        allocated_size: Fact::Absent,
        footer: vhd.and_then(|vhd| vhd.footer.as_ref()).map(footer).into(),
        footer_copy: vhd.and_then(|vhd| vhd.copy.as_ref()).map(footer).into(),
        dynamic_header: match vhd.and_then(|vhd| vhd.header.as_ref()) {
            None => Fact::Absent,
            Some(Err(error)) => Fact::unknown(error.to_string()),
            Some(Ok(header)) => Fact::Known(dynamic_header(header, vhd, source.file, container)),
        },
        block_table: vhd.map_or(Fact::Absent, block_table),
        bitmaps: bitmaps(vhd, source.file, options)?,
        parents: parents(container),
        stale_footers: stale_footers(container, options)?,
        deviations: match &container.vhdx {
            Some(vhdx) => vhdx_deviations(vhdx),
            None => vhd.map(|vhd| deviations(&vhd.deviations)).unwrap_or_default(),
        },
        readable,
        advice: container.advice.map(str::to_owned),
        partition_table: Fact::Absent,
        partitions: Fact::Absent,
        content: Fact::Absent,
        volumes: Fact::Absent,
        volume_groups: Fact::Absent,
        boot: Fact::Absent,
        os: Fact::Absent,
    })
}

fn kind(container: &Container) -> Fact<DiskKind> {
    if let Some(vhdx) = &container.vhdx {
        return match (vhdx.has_parent, vhdx.leave_allocated) {
            (Some(true), _) => Fact::Known(DiskKind::Differencing),
            (Some(false), Some(true)) => Fact::Known(DiskKind::Fixed),
            (Some(false), Some(false)) => Fact::Known(DiskKind::Dynamic),
            _ => Fact::unknown("the VHDX does not say how it stores its disk"),
        };
    }
    match container.vhd.as_ref().and_then(Vhd::disk_type) {
        None => Fact::Absent,
        Some(DiskType::FIXED) => Fact::Known(DiskKind::Fixed),
        Some(DiskType::DYNAMIC) => Fact::Known(DiskKind::Dynamic),
        Some(DiskType::DIFFERENCING) => Fact::Known(DiskKind::Differencing),
        Some(other) => Fact::unknown(format!("the footer says disk {other}, which has no meaning")),
    }
}

/// Bytes as text, one character each, so that none is lost: NULs stay NULs.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// A time of the format's clock.
fn time(seconds: u32) -> String {
    rfc3339(vhd::EPOCH.saturating_add(i64::from(seconds)))
}

fn footer(footer: &Footer) -> FooterFacts {
    FooterFacts {
        cookie: latin1(&footer.cookie),
        features: footer.features,
        format_version: footer.format_version,
        data_offset: footer.data_offset,
        timestamp: time(footer.timestamp),
        creator_application: latin1(&footer.creator_application),
        creator_version: footer.creator_version,
        creator_host_os: latin1(&footer.creator_host_os),
        original_size: footer.original_size,
        current_size: footer.current_size,
        geometry: GeometryFacts { cylinders: footer.geometry.cylinders, heads: footer.geometry.heads, sectors: footer.geometry.sectors },
        disk_type: footer.disk_type.0,
        checksum: ChecksumFacts { stored: footer.checksum, computed: footer.computed },
        unique_id: footer.unique_id.to_string(),
        saved_state: footer.saved_state != 0,
        offset: footer.offset,
        length: footer.length,
    }
}

fn dynamic_header(header: &DynamicHeader, vhd: Option<&Vhd>, file: &Bytes, container: &Container) -> DynamicHeaderFacts {
    let differencing = vhd.and_then(Vhd::disk_type) == Some(DiskType::DIFFERENCING);
    DynamicHeaderFacts {
        table_offset: header.table_offset,
        header_version: header.header_version,
        max_table_entries: header.max_table_entries,
        block_size: header.block_size,
        checksum: ChecksumFacts { stored: header.checksum, computed: header.computed },
        parent: differencing.then(|| parent(header, file, container)).into(),
        offset: header.offset,
    }
}

fn parent(header: &DynamicHeader, file: &Bytes, container: &Container) -> ParentFacts {
    let locators = header.locators.iter().map(|locator| LocatorFacts {
        platform: latin1(&locator.platform),
        path: match locator.path(&**file) {
            Ok(path) => path.into(),
            Err(error) => Fact::unknown(error.to_string()),
        },
    });
    ParentFacts {
        unique_id: header.parent_unique_id.to_string(),
        timestamp: time(header.parent_timestamp),
        name: header.parent_name.clone(),
        locators: locators.collect(),
        path: match (&container.disk, container.parents.first()) {
            (_, Some(parent)) => Fact::Known(parent.path.to_string_lossy().into_owned()),
            (Err(error), None) => Fact::unknown(printable(&error.to_string())),
            (Ok(_), None) => Fact::Absent,
        },
    }
}

fn table_facts(table: &BlockTable) -> BlockTableFacts {
    BlockTableFacts {
        entries: table.shape.needed,
        allocated: table.allocated,
        out_of_range: table.out_of_range,
        overlapping: table.overlapping,
    }
}

/// The table, or why it cannot be had.
fn block_table(vhd: &Vhd) -> Fact<BlockTableFacts> {
    match (&vhd.table, &vhd.header) {
        (Some(Ok(table)), _) => Fact::Known(table_facts(table)),
        (Some(Err(error)), _) | (None, Some(Err(error))) => Fact::unknown(error.to_string()),
        (None, _) => Fact::Absent,
    }
}

fn bitmaps(vhd: Option<&Vhd>, file: &Bytes, options: Options) -> Result<Fact<BitmapFacts>, ReadError> {
    let Some(survey) = vhd.map(|vhd| vhd::survey_bitmaps(vhd, file, options.deep)).transpose()?.flatten() else {
        return Ok(Fact::Absent);
    };
    let reason = if survey.read < survey.blocks {
        format!("the bitmaps of {} of {} blocks were not read; --deep reads all", survey.blocks.saturating_sub(survey.read), survey.blocks)
    } else {
        format!("whether the {} sectors that are marked as never written hold data is told by --deep", survey.clear_sectors)
    };
    Ok(Fact::Known(BitmapFacts {
        blocks: survey.blocks,
        read: survey.read,
        clear_sectors: survey.clear_sectors,
        conflicts: survey.conflicts.map_or_else(|| Fact::unknown(reason), Fact::Known),
        first_conflict: survey.first_conflict,
    }))
}

fn parents(container: &Container) -> Fact<Vec<ParentDiskFacts>> {
    match &container.disk {
        Err(OpenError::Parent(error)) => Fact::unknown(error.to_string()),
        _ if container.parents.is_empty() => Fact::Absent,
        _ => Fact::Known(container.parents.iter().map(parent_disk).collect()),
    }
}

fn parent_disk(parent: &Parent) -> ParentDiskFacts {
    let vhd = parent.vhd.as_ref();
    ParentDiskFacts {
        path: parent.path.to_string_lossy().into_owned(),
        kind: vhd.and_then(Vhd::disk_type).map_or_else(|| "raw".to_owned(), |kind| kind.to_string()),
        virtual_size: vhd.map_or_else(|| Some(parent.file.size()), Vhd::virtual_size),
        unique_id: vhd.and_then(Vhd::authority).map(|footer| footer.unique_id.to_string()),
        block_table: vhd.map_or(Fact::Absent, block_table),
        deviations: vhd.map(|vhd| deviations(&vhd.deviations)).unwrap_or_default(),
    }
}

fn deviations(found: &[Deviation]) -> Vec<DeviationFacts> {
    let one = |deviation: &Deviation| DeviationFacts {
        code: deviation.kind.code().to_owned(),
        offset: deviation.at,
        length: deviation.length,
        expected: deviation.expected.clone(),
        found: deviation.found.clone(),
    };
    found.iter().map(one).collect()
}

fn vhdx_deviations(vhdx: &vhdx::Vhdx) -> Vec<DeviationFacts> {
    let one = |deviation: &vhdx::Deviation| DeviationFacts {
        code: "vhdx".to_owned(),
        offset: deviation.at,
        length: 0,
        expected: "what [MS-VHDX] says".to_owned(),
        found: printable(&deviation.message),
    };
    vhdx.deviations.iter().map(one).collect()
}

/// Footers inside the disk: where older sizes would have left them, and at the places that growing uses.
fn stale_footers(container: &Container, options: Options) -> Result<Fact<Vec<StaleFooterFacts>>, ReadError> {
    let Ok(disk) = &container.disk else { return Ok(Fact::Absent) };
    let mut hints = Vec::new();
    for footer in container.vhd.iter().flat_map(|vhd| [&vhd.footer, &vhd.copy]).flatten() {
        hints.extend([footer.original_size, footer.geometry.bytes()]);
    }
    let found = match vhd::stale_footers(&**disk, &hints, options.deep) {
        Err(error) if error.is_host() => return Err(error),
        Err(error) => return Ok(Fact::unknown(error.to_string())),
        Ok(found) => found,
    };
    let one = |stale: vhd::StaleFooter| StaleFooterFacts { offset: stale.offset, current_size: stale.current_size, valid: stale.valid };
    Ok(Fact::Known(found.into_iter().map(one).collect()))
}

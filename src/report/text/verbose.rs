//! What `inspect -v` adds.

use super::inspect::{checksum, creator, entry};
use super::paint::{Ink, Page, Span, plain, size};
use crate::facts::{BitmapFacts, BootFacts, DiskFacts, Fact, FooterFacts, PartitionFacts};

/// A key with its value, below a heading.
fn field(page: &mut Page<'_>, key: &str, body: &[Span]) {
    page.entry(4, &Ink::Dim.text(key), 10, body);
}

/// Every field of the file's structures.
pub(super) fn container(page: &mut Page<'_>, facts: &DiskFacts) {
    if let Some(one) = facts.footer.value() {
        footer(page, "footer", one);
    }
    if let Some(one) = facts.footer_copy.value() {
        footer(page, "copy of the footer", one);
    }
    if let Some(header) = facts.dynamic_header.value() {
        page.heading(Ink::Bold, &format!("  dynamic header at byte {}", header.offset));
        field(page, "checksum", &checksum(header.checksum.stored, header.checksum.computed));
        field(page, "version", &[plain(version(header.header_version))]);
        field(page, "table", &[plain(format!("{} entries at byte {}", header.max_table_entries, header.table_offset))]);
        field(page, "blocks", &[plain(format!("{} each", size(header.block_size.into())))]);
        if let Some(parent) = header.parent.value() {
            field(page, "parent", &[plain(format!("{}, id {}, {}", parent.name, parent.unique_id, parent.timestamp))]);
            for locator in &parent.locators {
                let path = match &locator.path {
                    Fact::Known(path) => path.as_str(),
                    Fact::Absent => "no path",
                    Fact::Unknown(reason) => &reason.0,
                };
                field(page, "locator", &[plain(format!("{}: {path}", trimmed(&locator.platform)))]);
            }
        }
    }
    if let Some(bitmaps) = facts.bitmaps.value() {
        field(page, "bitmaps", &[plain(told(bitmaps))]);
    }
    page.blank();
}

/// What the bitmaps say; of bitmaps that were not read nothing.
fn told(bitmaps: &BitmapFacts) -> String {
    if bitmaps.read == 0 && bitmaps.blocks > 0 {
        return format!("none of {} read; --deep reads all", bitmaps.blocks);
    }
    format!("{} of {} read, {} sectors marked as never written", bitmaps.read, bitmaps.blocks, bitmaps.clear_sectors)
}

fn trimmed(code: &str) -> &str {
    code.trim_matches(|c: char| c == '\0' || c == ' ')
}

/// `1.0` for 65536.
fn version(number: u32) -> String {
    format!("{}.{}", number >> 16, number & 0xffff)
}

fn footer(page: &mut Page<'_>, title: &str, footer: &FooterFacts) {
    page.heading(Ink::Bold, &format!("  {title} at byte {}, {} bytes", footer.offset, footer.length));
    field(page, "cookie", &[plain(format!("\"{}\"", footer.cookie))]);
    field(page, "checksum", &checksum(footer.checksum.stored, footer.checksum.computed));
    let kind = match footer.disk_type {
        2 => "fixed",
        3 => "dynamic",
        4 => "differencing",
        _ => "no meaning",
    };
    field(page, "type", &[plain(format!("{} ({kind}), format {}", footer.disk_type, version(footer.format_version)))]);
    field(page, "features", &[plain(format!("{:#010x}", footer.features))]);
    let header = if footer.data_offset == u64::MAX { "none".to_owned() } else { format!("byte {}", footer.data_offset) };
    field(page, "header", &[plain(header)]);
    let host = trimmed(&footer.creator_host_os);
    field(page, "creator", &[plain(format!("{} on \"{host}\", {}", creator(footer), footer.timestamp))]);
    field(page, "size", &[plain(format!("{} now, {} at first", size(footer.current_size), size(footer.original_size)))]);
    let chs = &footer.geometry;
    field(page, "geometry", &[plain(format!("{}/{}/{}", chs.cylinders, chs.heads, chs.sectors))]);
    field(page, "id", &[plain(&footer.unique_id)]);
    field(page, "saved", &[plain(if footer.saved_state { "yes" } else { "no" })]);
}

/// Every field of the partitions.
pub(super) fn partitions(page: &mut Page<'_>, list: &[PartitionFacts]) {
    for one in list {
        page.heading(Ink::Bold, &format!("  partition {}", one.number));
        field(page, "bytes", &[plain(format!("{} from byte {}", one.size, one.start))]);
        field(page, "type", &[plain(&one.kind)]);
        for (key, value) in [("name", &one.name), ("guid", &one.guid), ("boot code", &one.boot_code)] {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                field(page, key, &[plain(value)]);
            }
        }
        let Some(content) = one.content.value() else { continue };
        field(page, "content", &[plain(&content.kind)]);
        for (key, value) in [("label", &content.label), ("uuid", &content.uuid)] {
            if let Some(value) = value {
                field(page, key, &[plain(value)]);
            }
        }
        for (key, value) in [("size", &content.size), ("used", &content.used)] {
            if let Some(value) = value.value() {
                field(page, key, &[plain(size(*value))]);
            }
        }
        if let Some(clean) = content.clean.value() {
            field(page, "clean", &[plain(if *clean { "yes" } else { "no" })]);
        }
        for detail in &content.detail {
            field(page, "detail", &[plain(detail)]);
        }
    }
}

/// Boot loaders and architecture.
pub(super) fn boot(page: &mut Page<'_>, boot: &BootFacts) {
    for one in boot.loaders.value().into_iter().flatten() {
        entry(page, "loader", &[plain(format!("{} in {} (generation {})", one.name, one.place, one.generation))]);
    }
    if let Some(architecture) = boot.architecture.value() {
        entry(page, "cpu", &[plain(architecture)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitmaps_that_were_not_read_mark_nothing() {
        let with = |blocks, read, clear_sectors| {
            told(&BitmapFacts { blocks, read, clear_sectors, conflicts: Fact::unknown("not compared"), first_conflict: None })
        };
        assert_eq!(with(2010, 0, 0), "none of 2010 read; --deep reads all");
        assert_eq!(with(18, 18, 5), "18 of 18 read, 5 sectors marked as never written");
        assert_eq!(with(0, 0, 0), "0 of 0 read, 0 sectors marked as never written");
    }
}

//! What a disk is, on one screen.

use super::paint::{Ink, Page, Span, plain, short, size};
use super::{guest, headline, joined, role_word, trouble, verbose};
use crate::facts::{ContentFacts, DiskFacts, Fact, FooterFacts, PartitionFacts};
use crate::report::Look;

/// Columns of a key and the space behind it.
const KEY: usize = 10;

/// `inspect`.
#[must_use]
pub fn inspect(disks: &[&DiskFacts], look: &Look) -> String {
    let mut page = Page::new(look);
    for facts in disks {
        page.blank();
        disk(&mut page, facts);
    }
    page.text()
}

/// A key with its value.
pub(super) fn entry(page: &mut Page<'_>, key: &str, body: &[Span]) {
    page.entry(2, &Ink::Dim.text(key), KEY, body);
}

fn disk(page: &mut Page<'_>, facts: &DiskFacts) {
    headline(page, facts);
    page.blank();
    if let Some(reason) = facts.readable.reason() {
        page.flow(&[plain("  "), Ink::Red.text("unreadable: ")], 4, &[plain(reason)]);
    }
    guest::os(page, facts);
    file(page, facts);
    if let Some(advice) = &facts.advice {
        entry(page, "advice", &[plain(advice)]);
    }
    footer(page, facts);
    blocks(page, facts);
    parents(page, facts);
    if page.verbose() {
        verbose::container(page, facts);
    }
    table(page, facts);
    partitions(page, facts);
    booting(page, facts);
    trouble::problems(page, facts);
    trouble::unknown(page, facts);
}

fn file(page: &mut Page<'_>, facts: &DiskFacts) {
    entry(page, "file", &[plain(size(facts.file_size))]);
    if let Some(footer) = facts.footer.value().or_else(|| facts.footer_copy.value()) {
        entry(page, "made by", &[plain(format!("{}, {}", creator(footer), footer.timestamp))]);
    }
    if let Some(detail) = facts.format_detail.as_ref().filter(|detail| **detail != facts.format) {
        entry(page, "format", &[plain(detail)]);
    }
    let Some(virtual_size) = facts.virtual_size.value() else { return };
    let allocated = match facts.allocated_size.value() {
        Some(bytes) if bytes == virtual_size => ", all of it allocated".to_owned(),
        Some(0) => ", none of it allocated".to_owned(),
        Some(bytes) => format!(", {} allocated", if page.verbose() { size(*bytes) } else { short(*bytes) }),
        None => String::new(),
    };
    entry(page, "disk", &[plain(size(*virtual_size)), plain(allocated)]);
}

/// Who made it: `Windows or Hyper-V 10.0 (win)`.
pub(super) fn creator(footer: &FooterFacts) -> String {
    let code = footer.creator_application.trim_matches(|c: char| c == '\0' || c == ' ');
    let version = format!("{}.{}", footer.creator_version >> 16, footer.creator_version & 0xffff);
    let name = match code {
        "vpc" => "Virtual PC",
        "vs" => "Virtual Server",
        "win" => "Windows or Hyper-V",
        "d2v" => "Disk2vhd",
        "qemu" => return format!("qemu {version}"),
        "qem2" => return format!("qemu {version} (force_size)"),
        "vbox" => "VirtualBox",
        "tap" => "XenServer",
        "CTXS" => "XenConvert",
        "xo" => "Xen Orchestra",
        "wa" => "Azure",
        "dutl" => "DiscUtils",
        "" => return format!("an unnamed program {version}"),
        other => return format!("\"{other}\" {version}"),
    };
    format!("{name} {version} ({code})")
}

fn footer(page: &mut Page<'_>, facts: &DiskFacts) {
    let Some(footer) = facts.footer.value() else {
        match (&facts.footer, facts.footer_copy.value()) {
            (Fact::Unknown(reason), _) => entry(page, "footer", &[Ink::Red.text(&reason.0)]),
            (_, Some(copy)) => {
                entry(page, "footer", &[Ink::Red.text("missing"), plain("; the copy at the start of the file is used")]);
                entry(page, "id", &[plain(&copy.unique_id)]);
            }
            _ => {}
        }
        return;
    };
    let mut body = vec![plain("checksum ")];
    body.extend(checksum(footer.checksum.stored, footer.checksum.computed));
    body.push(plain(format!(", at byte {}", footer.offset)));
    if footer.saved_state {
        body.push(Ink::Yellow.text(", a machine was saved with this disk"));
    }
    entry(page, "footer", &body);
    entry(page, "id", &[plain(&footer.unique_id)]);
    let geometry = &footer.geometry;
    let cylinder = u64::from(geometry.heads).saturating_mul(u64::from(geometry.sectors)).saturating_mul(512);
    let short_by = footer.current_size.checked_sub(geometry.bytes());
    // Geometry counts whole cylinders: less than one of them is always left over.
    let agrees = geometry.is_max() || short_by.is_some_and(|rest| rest < cylinder);
    if page.verbose() || !agrees {
        let chs =
            format!("{} cylinders, {} heads, {} sectors: {}", geometry.cylinders, geometry.heads, geometry.sectors, size(geometry.bytes()));
        let remark = if agrees { plain("") } else { Ink::Yellow.text("; disagrees with the size") };
        entry(page, "geometry", &[plain(chs), remark]);
    }
}

/// Whether a checksum holds.
pub(super) fn checksum(stored: u32, computed: u32) -> Vec<Span> {
    if stored == computed {
        return vec![plain("ok")];
    }
    vec![Ink::Red.text("BAD"), plain(format!(": stored {stored:#010x} ≠ computed {computed:#010x}"))]
}

fn blocks(page: &mut Page<'_>, facts: &DiskFacts) {
    match &facts.block_table {
        Fact::Absent => {}
        Fact::Unknown(reason) if facts.readable.reason() == Some(&reason.0) => {}
        Fact::Unknown(reason) => entry(page, "blocks", &[Ink::Red.text(&reason.0)]),
        Fact::Known(table) => {
            let of = facts.dynamic_header.value().map(|header| format!(" of {}", short(header.block_size.into()))).unwrap_or_default();
            let mut body = vec![plain(format!("{}{of}, {} allocated", table.entries, table.allocated))];
            for (number, what) in [(table.out_of_range, "out of range"), (table.overlapping, "overlapping")] {
                if number > 0 || page.verbose() {
                    let ink = if number > 0 { Ink::Red } else { Ink::Plain };
                    body.extend([plain(", "), ink.text(format!("{number} {what}"))]);
                }
            }
            entry(page, "blocks", &body);
        }
    }
}

fn parents(page: &mut Page<'_>, facts: &DiskFacts) {
    if let Some(parent) = facts.dynamic_header.value().and_then(|header| header.parent.value())
        && facts.parents.value().is_none()
    {
        entry(page, "wants", &[plain(format!("{}, id {}", parent.name, parent.unique_id))]);
    }
    for parent in facts.parents.value().into_iter().flatten() {
        let mut text = format!("{}: {}", parent.path, parent.kind);
        text.extend(parent.virtual_size.map(|bytes| format!(", {}", short(bytes))));
        if page.verbose() {
            text.extend(parent.unique_id.as_ref().map(|id| format!(", id {id}")));
        }
        entry(page, "parent", &[plain(text)]);
    }
}

fn table(page: &mut Page<'_>, facts: &DiskFacts) {
    let Some(table) = facts.partition_table.value() else {
        if let Some(content) = facts.content.value() {
            entry(page, "content", &content_line(content));
        }
        return;
    };
    let mut parts = vec![plain(table.scheme.to_ascii_uppercase())];
    parts.extend(table.disk_guid.as_ref().or(table.disk_signature.as_ref()).map(|id| plain(format!(", disk id {id}"))));
    for (valid, what) in [(table.primary_valid, "primary"), (table.backup_valid, "backup")] {
        if valid == Some(false) {
            parts.extend([plain(", "), Ink::Red.text(format!("{what} copy BAD"))]);
        }
    }
    if table.sector_size != 512 {
        parts.push(Ink::Yellow.text(format!(", made for sectors of {} bytes", table.sector_size)));
    }
    if table.hybrid {
        parts.push(Ink::Yellow.text(", hybrid MBR"));
    }
    entry(page, "table", &parts);
}

/// What stands on a whole disk or a volume, in one line.
fn content_line(content: &ContentFacts) -> Vec<Span> {
    let mut spans = content_cell(content);
    spans.extend(content.label.as_ref().map(|label| plain(format!(" \"{label}\""))));
    spans.extend(content.uuid.as_ref().map(|uuid| plain(format!(", uuid {uuid}"))));
    spans
}

fn content_cell(content: &ContentFacts) -> Vec<Span> {
    let dirty = content.clean.value() == Some(&false);
    vec![plain(&content.kind), if dirty { Ink::Yellow.text(", dirty") } else { plain("") }]
}

fn partitions(page: &mut Page<'_>, facts: &DiskFacts) {
    let list = facts.partitions.value().map(Vec::as_slice).unwrap_or_default();
    if !list.is_empty() {
        page.blank();
        let rows = rows(list, page.width());
        page.table(2, &[0, 1, 2], &rows);
        if page.verbose() {
            verbose::partitions(page, list);
        }
        page.blank();
    }
    for volume in facts.volumes.value().into_iter().flatten() {
        let mut body = vec![plain(format!("{}, {}", volume.name, short(volume.size)))];
        if let Some(content) = volume.content.value() {
            body.push(plain(", "));
            body.extend(content_line(content));
        }
        entry(page, "volume", &body);
    }
}

/// The table of partitions. File systems' uuids are shown where all of them fit.
fn rows(list: &[PartitionFacts], width: usize) -> Vec<Vec<Span>> {
    let contents = || list.iter().filter_map(|partition| partition.content.value());
    let labels = contents().any(|content| content.label.is_some());
    let build = |uuids: bool| -> Vec<Vec<Span>> {
        let head = ["", "start", "size", "type", "content"].into_iter();
        let head = head.chain(labels.then_some("label")).chain(uuids.then_some("uuid"));
        let head = head.map(|word| Ink::Dim.text(word)).collect();
        std::iter::once(head).chain(list.iter().map(|partition| row(partition, labels, uuids))).collect()
    };
    let with = build(true);
    let longest = super::paint::natural_width(2, &with);
    if longest <= width && contents().any(|content| content.uuid.is_some()) { with } else { build(false) }
}

fn row(partition: &PartitionFacts, labels: bool, uuids: bool) -> Vec<Span> {
    let mut kind = partition.type_name.clone().unwrap_or_else(|| partition.kind.clone());
    if partition.bootable {
        kind.push_str(if partition.kind.starts_with("0x") { ", active" } else { ", legacy boot" });
    }
    let content = match &partition.content {
        Fact::Known(content) if content.clean.value() == Some(&false) => Ink::Yellow.text(format!("{}, dirty", content.kind)),
        Fact::Known(content) => plain(&content.kind),
        Fact::Absent => Ink::Dim.text("–"),
        Fact::Unknown(_) => Ink::Yellow.text("not readable"),
    };
    let of = |pick: fn(&ContentFacts) -> Option<&String>| plain(partition.content.value().and_then(pick).map_or("", String::as_str));
    let mut cells = vec![
        Ink::Bold.text(partition.number.to_string()),
        plain(short(partition.start)),
        plain(short(partition.size)),
        plain(kind),
        content,
    ];
    if labels {
        cells.push(of(|content| content.label.as_ref()));
    }
    if uuids {
        cells.push(of(|content| content.uuid.as_ref()));
    }
    cells
}

fn booting(page: &mut Page<'_>, facts: &DiskFacts) {
    if let Some(boot) = facts.boot.value() {
        for (place, line) in boot.evidence.iter().enumerate() {
            entry(page, if place == 0 { "boot" } else { "" }, &[plain(line)]);
        }
        if page.verbose() {
            verbose::boot(page, boot);
        }
    }
    if !facts.role_evidence.is_empty() {
        let why = joined(facts.role_evidence.iter().map(String::as_str), "; ");
        entry(page, "role", &[plain(format!("{}: {why}", role_word(facts)))]);
    }
}

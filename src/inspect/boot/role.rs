//! OS disk or data disk.

use super::{Path, Uefi, is_esp};
use crate::bytes::Guid;
use crate::facts::{DiskFacts, Fact, PartitionFacts, Role};
use crate::partition::{PartitionTable, Scheme, types};

/// OS disk by positive marks; data disk where nothing on it could start; otherwise not known.
pub(super) fn learn(
    bios: &Path,
    uefi: &Uefi,
    table: Option<&PartitionTable>,
    partitions: &[PartitionFacts],
    facts: &DiskFacts,
    os: Option<&str>,
) -> (Fact<Role>, Vec<String>) {
    let mut marks = Vec::new();
    marks.extend(os.map(|name| format!("{name} is installed on it")));
    marks.extend([bios, &uefi.path].into_iter().filter_map(|path| match path {
        Path::Yes(text) => Some(text.clone()),
        Path::No(_) | Path::Perhaps(_) => None,
    }));
    for partition in partitions {
        let mark = os_mark(partition, table, uefi);
        marks.extend(mark.map(|mark| format!("partition {}: {mark}", partition.number)));
    }
    if !marks.is_empty() {
        return (Fact::Known(Role::Os), marks);
    }
    match (bios, &uefi.path) {
        (Path::No(bios), Path::No(uefi)) => {
            let empty = table.is_none() && matches!(facts.content, Fact::Absent);
            let first = if empty { "nothing is on it".to_owned() } else { format!("nothing on it can start: {bios}, {uefi}") };
            (Fact::Known(Role::Data), vec![first])
        }
        (Path::Perhaps(text), _) | (_, Path::Perhaps(text)) => (Fact::unknown(text.clone()), vec![]),
        // A way to boot was a mark above.
        _ => (Fact::unknown("the ways to boot contradict each other"), vec![]),
    }
}

/// What on a partition shows that the disk carries an operating system.
fn os_mark(partition: &PartitionFacts, table: Option<&PartitionTable>, uefi: &Uefi) -> Option<&'static str> {
    let gpt = table.is_some_and(|table| table.scheme == Scheme::Gpt);
    let is = |guid: Guid| gpt && partition.kind == guid.to_string();
    let fat = partition.content.value().is_some_and(|content| content.kind == "vfat");
    // One that is empty came with the partitioning: macOS makes it on every disk. One that cannot be read may hold a loader.
    let empty = matches!(&uefi.esp, Fact::Known(_)) && uefi.loaders.is_empty();
    if gpt && is_esp(partition) && fat && !empty && !matches!(uefi.path, Path::Yes(_)) {
        return Some("an EFI system partition");
    }
    if is(types::BIOS_BOOT) {
        return Some("a BIOS boot partition");
    }
    if [types::LINUX_ROOT_X86, types::LINUX_ROOT_X86_64, types::LINUX_ROOT_ARM64].into_iter().any(is) {
        return Some("a root partition by its type");
    }
    None
}

//! The boot configuration store.

use super::Machine;
use super::partitions::{by_guid, by_offset};
use super::registry::{open_hive, windows_path};
use crate::bytes::printable;
use crate::facts::{BcdEntryFacts, BootDeviceFacts, BootStoreFacts, BootmgrFacts, DiskFacts, Fact, PartitionReferenceFacts, Unknown};
use crate::fs::Tree;
use crate::guest::windows::bcd::{Device, Locate, Object, Partition, Setting, Store, element, kind, known};

/// Where stores are: on the partition that starts Windows, and on the volume of Windows itself.
const PLACES: [&str; 2] = ["/EFI/Microsoft/Boot/BCD", "/Boot/BCD"];

/// The same, that of the firmware first which starts the disk: a system partition made for both kinds has both stores, and a BIOS, which
/// is what an MBR is for, reads the second.
fn places(disks: &[&DiskFacts]) -> [&'static str; 2] {
    let [efi, bios] = PLACES;
    let table = disks.first().and_then(|disk| disk.partition_table.value());
    if table.is_some_and(|table| table.scheme == "mbr") { [bios, efi] } else { [efi, bios] }
}

/// Learns `boot_store`.
pub(super) fn boot_store(machine: &Machine<'_>) -> Fact<BootStoreFacts> {
    for tree in machine.boot.into_iter().chain([machine.tree]) {
        for path in places(machine.disks) {
            match store(tree, path, machine.disks) {
                Ok(Some(facts)) => return Fact::Known(facts),
                Ok(None) => {}
                Err(reason) => return Fact::Unknown(reason),
            }
        }
    }
    Fact::Absent
}

fn store(tree: &Tree, path: &str, disks: &[&DiskFacts]) -> Result<Option<BootStoreFacts>, Unknown> {
    let Some((hive, troubles)) = open_hive(tree, path)? else { return Ok(None) };
    let store = Store::read(&hive).map_err(|error| Unknown(printable(&format!("{}: {error}", windows_path(path)))))?;
    let ems = store.object(known::EMS_SETTINGS);
    let ems_integer = |id: u32| ems.map_or(Fact::Absent, |object| integer(&store, object, id));
    Ok(Some(BootStoreFacts {
        path: windows_path(path),
        on: tree.mounts().next().map(|mount| printable(&mount.from)).unwrap_or_default(),
        dirty: hive.was_dirty(),
        problems: store.problems().iter().chain(&troubles).map(|problem| printable(problem)).collect(),
        manager: store.boot_manager().map(|object| manager(&store, object, disks)).into(),
        default: store.default_object().map(|object| entry(&store, object, disks)).into(),
        entries: store.display_order().len(),
        ems_port: ems_integer(element::EMS_PORT),
        ems_baud_rate: ems_integer(element::EMS_BAUD_RATE),
    }))
}

fn manager(store: &Store, object: &Object, disks: &[&DiskFacts]) -> BootmgrFacts {
    BootmgrFacts {
        device: device(store, object, element::DEVICE, disks),
        path: text(store, object, element::PATH),
        default: match store.effective(object, element::DEFAULT_OBJECT) {
            Some(Setting::Guid(id)) => Fact::Known(id.to_string()),
            Some(other) => odd(object, element::DEFAULT_OBJECT, &other),
            None => Fact::Absent,
        },
        display_menu: boolean(store, object, element::DISPLAY_MENU),
        timeout: integer(store, object, element::TIMEOUT),
        ems: boolean(store, object, element::BOOT_EMS),
        no_integrity_checks: boolean(store, object, element::NO_INTEGRITY_CHECKS),
        test_signing: boolean(store, object, element::TEST_SIGNING),
    }
}

fn entry(store: &Store, object: &Object, disks: &[&DiskFacts]) -> BcdEntryFacts {
    BcdEntryFacts {
        id: object.id.to_string(),
        kind: object
            .kind
            .map(|number| match number {
                kind::LOADER => "loader".to_owned(),
                kind::RESUME => "resume".to_owned(),
                other => format!("{other:#010x}"),
            })
            .into(),
        description: text(store, object, element::DESCRIPTION),
        device: device(store, object, element::DEVICE, disks),
        path: text(store, object, element::PATH),
        os_device: device(store, object, element::OS_DEVICE, disks),
        system_root: text(store, object, element::SYSTEM_ROOT),
        recovery_enabled: boolean(store, object, element::RECOVERY_ENABLED),
        boot_status_policy: integer(store, object, element::BOOT_STATUS_POLICY),
        boot_ems: boolean(store, object, element::BOOT_EMS),
        ems: boolean(store, object, element::EMS),
        no_integrity_checks: boolean(store, object, element::NO_INTEGRITY_CHECKS),
        test_signing: boolean(store, object, element::TEST_SIGNING),
        safe_boot: integer(store, object, element::SAFE_BOOT),
    }
}

/// An element that is not in the form that its number asks for.
fn odd<T>(object: &Object, id: u32, found: &Setting) -> Fact<T> {
    let form = match found {
        Setting::Other(_, bytes) => format!("{} bytes", bytes.len()),
        _ => "another form".to_owned(),
    };
    Fact::unknown(format!("element {id:08x} of {} cannot be read: {form}", object.id))
}

fn text(store: &Store, object: &Object, id: u32) -> Fact<String> {
    match store.effective(object, id) {
        Some(Setting::Text(text)) => Fact::Known(printable(&text)),
        Some(other) => odd(object, id, &other),
        None => Fact::Absent,
    }
}

fn boolean(store: &Store, object: &Object, id: u32) -> Fact<bool> {
    match store.effective(object, id) {
        Some(Setting::Boolean(value)) => Fact::Known(value),
        Some(other) => odd(object, id, &other),
        None => Fact::Absent,
    }
}

fn integer(store: &Store, object: &Object, id: u32) -> Fact<u64> {
    match store.effective(object, id) {
        Some(Setting::Integer(value)) => Fact::Known(value),
        Some(other) => odd(object, id, &other),
        None => Fact::Absent,
    }
}

fn device(store: &Store, object: &Object, id: u32, disks: &[&DiskFacts]) -> Fact<BootDeviceFacts> {
    match store.effective(object, id) {
        Some(Setting::Device { device, .. }) => {
            let partition = partition(&device).map(|partition| reference(partition, disks));
            Fact::Known(BootDeviceFacts {
                kind: kind_of(&device).to_owned(),
                text: printable(&words(&device)),
                partition: partition.into(),
            })
        }
        Some(other) => odd(object, id, &other),
        None => Fact::Absent,
    }
}

fn reference(partition: Partition, disks: &[&DiskFacts]) -> PartitionReferenceFacts {
    match partition {
        Partition::Mbr { signature, offset } => by_offset(disks, signature, offset),
        Partition::Gpt { disk, partition } => by_guid(disks, Some(disk), partition),
    }
}

/// The partition that a device is, or is a file on; the store's reader bounds how deep they stand within each other.
fn partition(device: &Device) -> Option<Partition> {
    match device {
        Device::Partition(partition) => Some(*partition),
        Device::File { on, .. } | Device::RamDisk { on, .. } | Device::VirtualDisk(on) => partition(on),
        _ => None,
    }
}

fn kind_of(device: &Device) -> &'static str {
    match device {
        Device::Boot => "boot",
        Device::Partition(_) => "partition",
        Device::Disk(_) => "disk",
        Device::Number(_) => "number",
        Device::File { .. } => "file",
        Device::RamDisk { .. } => "ram disk",
        Device::VirtualDisk(_) => "virtual disk",
        Device::Locate { .. } => "locate",
        Device::Other(..) => "other",
    }
}

/// A device in words.
fn words(device: &Device) -> String {
    match device {
        Device::Boot => "the device that the machine was started from".to_owned(),
        Device::Partition(Partition::Mbr { signature, offset }) => {
            format!("the partition at byte {offset} of the disk with signature {signature:#010x}")
        }
        Device::Partition(Partition::Gpt { disk, partition }) => format!("partition {partition} of disk {disk}"),
        Device::Disk(Partition::Mbr { signature, .. }) => format!("the disk with signature {signature:#010x}"),
        Device::Disk(Partition::Gpt { disk, .. }) => format!("disk {disk}"),
        Device::Number(number) => format!("partition number {number}"),
        Device::File { on, path } => format!("{path} on {}", words(on)),
        Device::RamDisk { on, path } => format!("a RAM disk from {path} on {}", words(on)),
        Device::VirtualDisk(file) => format!("the virtual disk {}", words(file)),
        Device::Locate { by: Locate::Element(id), .. } => format!("the first device that has what element {id:08x} names"),
        Device::Locate { by: Locate::Path(path), .. } => format!("the first device that has {path}"),
        Device::Other(number, bytes) => format!("a device of type {number} in {} bytes", bytes.len()),
    }
}

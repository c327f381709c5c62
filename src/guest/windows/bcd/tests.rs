//! Stores made for the purpose, with devices as Windows writes them.

use super::super::hive::testing::{Node, wide};
use super::super::hive::{Mode, kind as form};
use super::*;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A descriptor of this type around `body`.
fn descriptor(kind: u32, body: &[u8]) -> Vec<u8> {
    [words(&[kind, 0, body.len() as u32 + 16, 0]), body.to_vec()].concat()
}

fn mbr(signature: u32, offset: u64) -> Vec<u8> {
    let mut body = offset.to_le_bytes().to_vec();
    body.resize(16, 0);
    body.extend(words(&[0, 1, signature]));
    body.resize(56, 0);
    descriptor(6, &body)
}

fn gpt(disk: Guid, partition: Guid) -> Vec<u8> {
    let mut body = partition.to_mixed_endian().to_vec();
    body.extend(words(&[0, 0]));
    body.extend(disk.to_mixed_endian());
    body.resize(56, 0);
    descriptor(6, &body)
}

/// A path on a device, with its header.
fn path(on: &[u8], text: &str) -> Vec<u8> {
    let inner = [on, &wide(text)].concat();
    [words(&[1, inner.len() as u32 + 12, 5]), inner].concat()
}

fn element(device: &[u8]) -> Vec<u8> {
    [vec![0; 16], device.to_vec()].concat()
}

const DISK: Guid = Guid([1; 16]);
const PART: Guid = Guid([0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00]);

#[test]
fn devices_read() {
    let on_mbr = Device::Partition(Partition::Mbr { signature: 0xb3eb_a8f1, offset: 0x15f0_0000 });
    let on_gpt = Device::Partition(Partition::Gpt { disk: DISK, partition: PART });
    let vhd_file = descriptor(0, &[words(&[5]), path(&mbr(0xb3eb_a8f1, 0x15f0_0000), "\\a.vhd")].concat());
    let vhd = descriptor(0, &[words(&[6, 0, 0, 0, 0, 0]), vhd_file].concat());
    let ram = [words(&[3, 0, 0, 0, 0, 0]), path(&gpt(DISK, PART), "\\boot.wim")].concat();
    let located = |mode: u32, element: u32, text: &str, on: Option<&[u8]>| {
        let text = wide(text);
        let parent = on.map_or(0, |_| 28 + text.len() as u32);
        descriptor(8, &[words(&[mode, element, parent]), text, on.unwrap_or_default().to_vec()].concat())
    };
    for (bytes, device) in [
        (mbr(0xb3eb_a8f1, 0x15f0_0000), on_mbr.clone()),
        (gpt(DISK, PART), on_gpt.clone()),
        (descriptor(5, &[0; 56]), Device::Boot),
        (descriptor(2, &words(&[3, 0, 1, 7])), Device::Number(3)),
        (descriptor(0, &words(&[0, 1, 0x1234_5678])), Device::Disk(Partition::Mbr { signature: 0x1234_5678, offset: 0 })),
        (descriptor(0, &ram), Device::RamDisk { on: Box::new(on_gpt), path: "\\boot.wim".to_owned() }),
        (vhd.clone(), Device::VirtualDisk(Box::new(Device::File { on: Box::new(on_mbr.clone()), path: "\\a.vhd".to_owned() }))),
        (located(0, 0x2200_0002, "", None), Device::Locate { by: Locate::Element(0x2200_0002), on: None }),
        (
            located(1, 0, "\\Windows", Some(&mbr(0xb3eb_a8f1, 0x15f0_0000))),
            Device::Locate { by: Locate::Path("\\Windows".to_owned()), on: Some(Box::new(on_mbr)) },
        ),
        (descriptor(4, &[1, 2, 3]), Device::Other(4, vec![1, 2, 3])),
        (descriptor(6, &words(&[0, 0, 0, 0, 6, 0])), Device::Other(6, words(&[0, 0, 0, 0, 6, 0]))),
    ] {
        assert_eq!(device::read(&element(&bytes)), Some((device, None)));
        // Cut anywhere, it may become something else, and never a panic.
        for len in 0..bytes.len() {
            device::read(&element(&bytes[..len]));
        }
    }
    let deep = (0..20).fold(descriptor(5, &[]), |inner, _| descriptor(0, &[words(&[6, 0, 0, 0, 0, 0]), inner].concat()));
    assert!(device::read(&element(&deep)).is_some());
    let with_options = [PART.to_mixed_endian().to_vec(), descriptor(5, &[])].concat();
    assert_eq!(device::read(&with_options), Some((Device::Boot, Some(PART))));
}

fn set(root: &mut Node, object: &str, number: u32, kind: u32, data: &[u8]) {
    let key = root.at(&format!("Objects\\{{{object}}}\\Elements\\{number:08x}"));
    *key = Node::new(&format!("{number:08X}")).value("Element", kind, data);
}

const LOADER: &str = "733b62e5-f608-11eb-825c-c112f60133ab";

fn store() -> Node {
    let mut root = Node::new("NewStoreRoot");
    let manager = known::BOOT_MANAGER.to_string();
    for (object, kind) in
        [(manager.as_str(), kind::BOOT_MANAGER), (LOADER, kind::LOADER), (&known::GLOBAL_SETTINGS.to_string(), 0x2010_0000)]
    {
        let key = root.at(&format!("Objects\\{{{object}}}\\Description"));
        *key = Node::new("Description").dword("Type", kind);
    }
    set(&mut root, &manager, element::DEFAULT_OBJECT, form::SZ, &wide(&format!("{{{LOADER}}}")));
    let order = [wide(&format!("{{{LOADER}}}")), wide(&format!("{{{}}}", known::MEMORY_TEST)), vec![0, 0]].concat();
    set(&mut root, &manager, element::DISPLAY_ORDER, form::MULTI_SZ, &order);
    set(&mut root, &manager, element::TIMEOUT, form::BINARY, &[0x1e]);
    set(&mut root, &manager, element::DISPLAY_MENU, form::BINARY, &[1]);
    set(&mut root, LOADER, element::OS_DEVICE, form::BINARY, &super::tests::element(&mbr(7, 1 << 20)));
    set(&mut root, LOADER, element::PATH, form::SZ, &wide("\\Windows\\system32\\winload.exe"));
    set(&mut root, LOADER, 0x1700_0077, form::BINARY, &[0x75, 0, 0, 0x15, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    set(&mut root, LOADER, element::INHERIT, form::MULTI_SZ, &wide(&format!("{{{}}}", known::GLOBAL_SETTINGS)));
    let settings = known::GLOBAL_SETTINGS.to_string();
    set(&mut root, &settings, element::EMS_BAUD_RATE, form::BINARY, &[0, 0xc2, 1]);
    set(&mut root, &settings, element::INHERIT, form::MULTI_SZ, &wide(&format!("{{{LOADER}}}")));
    root
}

fn open(root: &Node) -> Result<Store, BcdError> {
    Store::read(&Hive::open(root.bytes(), &[], Mode::Lenient).unwrap())
}

#[test]
fn a_store_says_what_is_started_and_from_where() {
    let store = open(&store()).unwrap();
    assert_eq!(store.problems(), [""; 0]);
    assert_eq!(store.objects().len(), 3);
    let manager = store.boot_manager().unwrap();
    assert_eq!(manager.kind, Some(kind::BOOT_MANAGER));
    assert_eq!(manager.setting(element::TIMEOUT), Some(Setting::Integer(30)));
    assert_eq!(manager.setting(element::DISPLAY_MENU), Some(Setting::Boolean(true)));
    let loader = store.default_object().unwrap();
    assert_eq!((loader.id.to_string().as_str(), loader.kind), (LOADER, Some(kind::LOADER)));
    assert_eq!(store.object(known::DEFAULT).map(|object| object.id), Some(loader.id));
    assert_eq!(store.display_order(), [loader.id, known::MEMORY_TEST]);
    assert_eq!(loader.text(element::PATH).as_deref(), Some("\\Windows\\system32\\winload.exe"));
    assert_eq!(loader.setting(0x1700_0077), Some(Setting::Integers(vec![0x1500_0075, 1])));
    let device = Device::Partition(Partition::Mbr { signature: 7, offset: 1 << 20 });
    assert_eq!(loader.setting(element::OS_DEVICE), Some(Setting::Device { device, options: None }));
    // Inherited, although the settings inherit from the loader again.
    assert_eq!(loader.setting(element::EMS_BAUD_RATE), None);
    assert_eq!(store.effective(loader, element::EMS_BAUD_RATE), Some(Setting::Integer(115_200)));
    assert_eq!(store.effective(loader, element::SAFE_BOOT), None);
}

#[test]
fn what_does_not_fit_is_kept_or_named() {
    let mut root = store();
    set(&mut root, LOADER, element::OS_DEVICE, form::BINARY, &[1, 2, 3]);
    set(&mut root, LOADER, 0x1800_0001, form::BINARY, &[9]);
    set(&mut root, LOADER, element::PATH, form::DWORD, &[9, 0, 0, 0]);
    set(&mut root, LOADER, element::TIMEOUT, form::BINARY, &[0; 9]);
    root.at(&format!("Objects\\{{{LOADER}}}\\Elements\\xyz"));
    root.at(&format!("Objects\\{{{LOADER}}}\\Elements\\15000001"));
    root.at("Objects\\{nothing}");
    let store = open(&root).unwrap();
    let loader = store.default_object().unwrap();
    assert_eq!(loader.setting(element::OS_DEVICE), Some(Setting::Other(1, vec![1, 2, 3])));
    assert_eq!(loader.setting(0x1800_0001), Some(Setting::Other(8, vec![9])));
    assert_eq!(loader.setting(element::PATH), Some(Setting::Other(2, vec![9, 0, 0, 0])));
    assert_eq!(loader.setting(element::TIMEOUT), Some(Setting::Other(5, vec![0; 9])));
    assert_eq!(store.problems().len(), 3, "{:?}", store.problems());
    assert!(matches!(open(&Node::new("SYSTEM")), Err(BcdError::NotAStore)));
}

#[test]
fn guids_have_five_groups() {
    assert_eq!(parse_guid("{9dea862c-5cdd-4e70-acc1-f32b344d4795}"), Some(known::BOOT_MANAGER));
    assert_eq!(parse_guid("9DEA862C-5CDD-4E70-ACC1-F32B344D4795"), Some(known::BOOT_MANAGER));
    for text in
        ["", "{}", "{9dea862c-5cdd-4e70-acc1-f32b344d4795", "9dea862c5cdd4e70acc1f32b344d4795", "{+dea862c-5cdd-4e70-acc1-f32b344d4795}"]
    {
        assert_eq!(parse_guid(text), None, "{text}");
    }
}

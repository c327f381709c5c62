//! The reader of registry hives against hivex, on real hives and on hives that hivex made, and a real machine's hive whose last changes
//! stand in its logs. A test whose tool or file is missing says SKIPPED and passes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::string_slice,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::let_underscore_must_use,
    clippy::print_stderr,
    reason = "a test may panic, and says what it skips"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use vhdkit::bytes::{Bytes, Memory};
use vhdkit::guest::windows::bcd::{Device, Partition, Setting, Store, element, known};
use vhdkit::guest::windows::hive::{Hive, HiveError, Key, Mode, Recovery};

/// When a key was written, and its values (name, kind and data in hex) in order.
type Content = (u64, Vec<(String, u32, String)>);

/// Every key of a hive by its path.
type Tree = BTreeMap<String, Content>;

/// Prints every key and value of a hive, one key a line.
const DUMP: &str = r#"
import hivex, json, sys
h = hivex.Hivex(sys.argv[1])
todo = [(h.root(), [])]
while todo:
    node, path = todo.pop()
    values = []
    for v in h.node_values(node):
        kind, data = h.value_value(v)
        values.append([h.value_key(v), kind & 0xffffffff, data.hex()])
    print(json.dumps([path, h.node_timestamp(node), values]))
    for child in h.node_children(node):
        todo.append((child, path + [h.node_name(child)]))
"#;

/// The shared corpus, where there is one.
fn corpus() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["../shared/corpus", "../../shared/corpus"].iter().map(|place| root.join(place)).find(|place| place.is_dir());
    if found.is_none() {
        eprintln!("SKIPPED: the corpus of foreign files is not here");
    }
    found
}

/// A file of the corpus, unpacked.
fn load(corpus: &Path, name: &str) -> Option<Vec<u8>> {
    let path = corpus.join(name);
    let unpack = |tool: &str| Command::new(tool).args(["-dc"]).arg(&path).stdin(Stdio::null()).output().ok().map(|out| out.stdout);
    let found = match path.extension().and_then(|end| end.to_str()) {
        _ if !path.is_file() => None,
        Some("xz") => unpack("xz"),
        Some("zst") => unpack("zstd"),
        _ => std::fs::read(&path).ok(),
    };
    if found.as_ref().is_none_or(Vec::is_empty) {
        eprintln!("SKIPPED: {name} is not in the corpus, or cannot be unpacked");
        return None;
    }
    found
}

fn bytes(content: &[u8]) -> Bytes {
    Arc::new(Memory(content.to_vec()))
}

/// What hivex reads in a hive; `None` without hivex.
fn by_hivex(content: &[u8], name: &str) -> Option<Tree> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let output = Command::new("/usr/bin/python3").arg("-c").arg(DUMP).arg(file.path()).stdin(Stdio::null()).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        eprintln!("SKIPPED: {name}: python3 with hivex is not here, or refuses it");
        return None;
    };
    let lines = String::from_utf8(output.stdout).unwrap();
    let mut tree = Tree::new();
    for line in lines.lines() {
        let (path, time, values): (Vec<String>, u64, Vec<(String, u32, String)>) = serde_json::from_str(line).unwrap();
        assert!(tree.insert(path.join("\\"), (time, values)).is_none(), "{name}: {path:?} twice");
    }
    Some(tree)
}

fn hex(data: &[u8]) -> String {
    data.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// What we read, by walking.
fn by_us(hive: &Hive) -> Tree {
    fn walk(key: &Key<'_>, path: &str, tree: &mut Tree) {
        let values = key.values().unwrap().into_iter().map(|v| (v.name, v.kind, hex(&v.data))).collect();
        tree.insert(path.to_owned(), (key.written(), values));
        for child in key.keys().unwrap() {
            let path = if path.is_empty() { child.name() } else { format!("{path}\\{}", child.name()) };
            walk(&child, &path, tree);
        }
    }
    let mut tree = Tree::new();
    walk(&hive.root().unwrap(), "", &mut tree);
    tree
}

/// Both trees, key by key, so that a difference is readable.
fn same(name: &str, ours: &Tree, theirs: &Tree) {
    for (path, key) in theirs {
        assert_eq!(ours.get(path), Some(key), "{name}: {path}");
    }
    let more: Vec<_> = ours.keys().filter(|path| !theirs.contains_key(*path)).collect();
    assert!(more.is_empty(), "{name}: only we read {more:?}");
}

/// Every key and every value by its name, through the lists' hints and hashes.
fn lookups(hive: &Hive, tree: &Tree) {
    for (path, (written, values)) in tree {
        let key = hive.key(&path.to_lowercase()).unwrap().unwrap_or_else(|| panic!("{path} is not found"));
        assert_eq!(key.written(), *written, "{path}");
        for (name, kind, data) in values {
            let value = key.value(name).unwrap().unwrap();
            assert_eq!((value.kind, hex(&value.data)), (*kind, data.clone()), "{path} {name}");
        }
        assert!(key.value("\u{1}no such value").unwrap().is_none());
        assert!(key.key("\u{1}no such key").unwrap().is_none());
    }
}

/// Real hives: Windows 7 to 10 machines, boot configuration stores.
const HIVES: &[(&str, Mode)] = &[
    ("src-regipy/SYSTEM_2.xz", Mode::Lenient),
    ("src-regipy/SYSTEM_B.xz", Mode::Lenient),
    ("src-regipy/BCD.xz", Mode::Strict),
    ("src-ezregistry/BCD", Mode::Strict),
    ("src-python-registry/issue22.hive", Mode::Strict),
];

#[test]
fn real_hives_read_as_hivex_reads_them() {
    let Some(corpus) = corpus() else { return };
    for (name, mode) in HIVES {
        let Some(content) = load(&corpus, name) else { continue };
        let hive = Hive::open(bytes(&content), &[], *mode).unwrap();
        let ours = by_us(&hive);
        eprintln!("{name}: {} keys, {} values", ours.len(), ours.values().map(|key| key.1.len()).sum::<usize>());
        if let Some(theirs) = by_hivex(&content, name) {
            same(name, &ours, &theirs);
        }
        lookups(&hive, &ours);
        assert_eq!(hive.damage(), [], "{name}");
    }
}

#[test]
fn strangers_are_refused_by_name() {
    let Some(corpus) = corpus() else { return };
    for (name, word) in [("src-dfwinreg/SYSTEM.DAT", "Windows 9x"), ("src-ezregistry/NotAHive", "executable")] {
        let Some(content) = load(&corpus, name) else { continue };
        let error = Hive::open(bytes(&content), &[], Mode::Lenient).unwrap_err();
        assert!(matches!(error, HiveError::NotAHive(_)) && error.to_string().contains(word), "{name}: {error}");
    }
}

/// Replays logs by the format's description, with no check of hashes, and prints what it applied; a second opinion in another language.
const REPLAY: &str = r#"
import struct, sys
hive = bytearray(open(sys.argv[1], 'rb').read())
need = struct.unpack_from('<I', hive, 8)[0]
entries = []
for name in sys.argv[3:]:
    log = open(name, 'rb').read()
    at, expect = 512, struct.unpack_from('<I', log, 4)[0]
    while log[at:at + 4] == b'HvLE':
        size, flags, sequence, bins, pages = struct.unpack_from('<5I', log, at + 4)
        if sequence != expect:
            break
        entries.append((sequence, bins, log[at:at + size], pages))
        at, expect = at + size, sequence + 1
for sequence, bins, entry, pages in sorted(entries):
    if sequence < need:
        continue
    if len(hive) < 4096 + bins:
        hive.extend(bytes(4096 + bins - len(hive)))
    data = 40 + 8 * pages
    for page in range(pages):
        offset, size = struct.unpack_from('<2I', entry, 40 + 8 * page)
        hive[4096 + offset:4096 + offset + size] = entry[data:data + size]
        data += size
    struct.pack_into('<2I', hive, 4, sequence, sequence)
    struct.pack_into('<I', hive, 40, bins)
total = 0
for word in struct.unpack_from('<127I', hive, 0):
    total ^= word
struct.pack_into('<I', hive, 508, total)
open(sys.argv[2], 'wb').write(hive)
print(len(entries), struct.unpack_from('<I', hive, 4)[0], struct.unpack_from('<I', hive, 40)[0])
"#;

/// A real Windows 10 machine's SYSTEM hive that was not closed cleanly, with both its logs.
#[test]
fn a_real_dirty_hive_is_recovered() {
    let Some(corpus) = corpus() else { return };
    let names = ["src-regipy/SYSTEM_B.xz", "src-regipy/SYSTEM_B.LOG1.xz", "src-regipy/SYSTEM_B.LOG2.xz"];
    let Some(files) = names.iter().map(|name| load(&corpus, name)).collect::<Option<Vec<_>>>() else { return };
    let logs = [bytes(&files[1]), bytes(&files[2])];
    assert!(matches!(Hive::open(bytes(&files[0]), &[], Mode::Strict), Err(HiveError::Dirty(_))));
    let stale = Hive::open(bytes(&files[0]), &[], Mode::Lenient).unwrap();
    assert!(stale.was_dirty() && matches!(stale.recovered(), Recovery::Failed(_)));

    let hive = Hive::open(bytes(&files[0]), &logs, Mode::Strict).unwrap();
    assert!(hive.was_dirty());
    assert_eq!(hive.recovered(), Recovery::Replayed { entries: 24, sequence: 2130, left_out: 0 });
    let (before, after) = (by_us(&stale), by_us(&hive));
    lookups(&hive, &after);

    let values = |tree: &Tree| -> BTreeMap<String, (u32, String)> {
        let each = |(path, (_, values)): (&String, &Content)| {
            values.iter().map(|(name, kind, data)| (format!("{path}\\\\{name}"), (*kind, data.clone()))).collect::<Vec<_>>()
        };
        tree.iter().flat_map(each).collect()
    };
    let (old, new) = (values(&before), values(&after));
    assert_eq!(new.keys().filter(|name| !old.contains_key(*name)).count(), 3944);
    assert_eq!(old.iter().filter(|(name, value)| new.get(*name).is_some_and(|now| now != *value)).count(), 96);
    let services = |hive: &Hive| hive.key("ControlSet001\\Services").unwrap().unwrap().keys().unwrap().len();
    assert_eq!((services(&stale), services(&hive)), (655, 656));
    assert!(stale.value("MountedDevices", "\\DosDevices\\F:").unwrap().is_none());
    assert_eq!(hex(&hive.value("MountedDevices", "\\DosDevices\\F:").unwrap().unwrap().data), "8159d4760000100000000000");

    // One log alone: the first ends where the second would go on; the second does not join on to the hive's own sequence number either, but
    // nothing says that it should.
    let first = Hive::open(bytes(&files[0]), &logs[..1], Mode::Lenient).unwrap();
    assert_eq!(first.recovered(), Recovery::Replayed { entries: 4, sequence: 2110, left_out: 0 });

    let home = tempfile::tempdir().unwrap();
    let place = |name: &str| home.path().join(name);
    for (name, content) in ["hive", "log1", "log2"].iter().zip(&files) {
        std::fs::write(place(name), content).unwrap();
    }
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", REPLAY]).args(["hive", "out", "log1", "log2"].map(place)).stdin(Stdio::null());
    let Some(output) = python.output().ok().filter(|output| output.status.success()) else {
        eprintln!("SKIPPED: python3 is not here");
        return;
    };
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "24 2130 12591104");
    let replayed = std::fs::read(place("out")).unwrap();
    same("our replay and python's", &after, &by_us(&Hive::open(bytes(&replayed), &logs, Mode::Strict).unwrap()));
    if let Some(theirs) = by_hivex(&replayed, "the replayed SYSTEM_B") {
        same("SYSTEM_B with its logs", &after, &theirs);
    }
}

/// Two real logs whose hive is not here, over a hive of nothing: each entry's hashes, and the step from one log to the other.
#[test]
fn entries_of_logs_without_their_hive_are_whole() {
    let Some(corpus) = corpus() else { return };
    let names = ["src-notatin/system.log1", "src-notatin/system.log2.zst"];
    let Some(logs) = names.iter().map(|name| load(&corpus, name)).collect::<Option<Vec<_>>>() else { return };
    let Some(content) = load(&corpus, "src-regipy/SYSTEM_B.xz") else { return };
    let recovered = |logs: &[&Vec<u8>]| {
        let logs: Vec<Bytes> = logs.iter().map(|log| bytes(log)).collect();
        Hive::open(bytes(&content), &logs, Mode::Lenient).map(|hive| hive.recovered())
    };
    let replayed = |entries: u32, sequence: u32| Recovery::Replayed { entries, sequence, left_out: 0 };
    assert_eq!(recovered(&[&logs[0]]).unwrap(), replayed(3, 4066));
    assert_eq!(recovered(&[&logs[1]]).unwrap(), replayed(7, 4073));
    assert_eq!(recovered(&[&logs[1], &logs[0]]).unwrap(), replayed(10, 4073));
}

/// What a Windows 10 machine with a GPT boots, and what a Windows setup medium boots.
#[test]
fn real_boot_stores_say_what_they_boot() {
    let Some(corpus) = corpus() else { return };
    let store = |name: &str| {
        let hive = Hive::open(bytes(&load(&corpus, name)?), &[], Mode::Strict).unwrap();
        let store = Store::read(&hive).unwrap();
        assert_eq!(store.problems(), [""; 0], "{name}");
        for element in store.objects().iter().flat_map(|object| &object.elements) {
            let setting = element.setting();
            assert!(!matches!(setting, Setting::Other(..)), "{name}: {:08x}: {setting:?}", element.id);
            assert!(!matches!(setting, Setting::Device { device: Device::Other(..), .. }), "{name}: {:08x}: {setting:?}", element.id);
        }
        Some(store)
    };
    if let Some(store) = store("src-regipy/BCD.xz") {
        assert_eq!(store.objects().len(), 17);
        let loader = store.default_object().unwrap();
        assert_eq!(loader.id.to_string(), "733b62e5-f608-11eb-825c-c112f60133ab");
        assert_eq!(store.display_order(), [loader.id]);
        assert_eq!(loader.text(element::PATH).as_deref(), Some("\\Windows\\system32\\winload.efi"));
        for id in [element::DEVICE, element::OS_DEVICE] {
            let Some(Setting::Device { device: Device::Partition(Partition::Gpt { disk, partition }), options: None }) = loader.setting(id)
            else {
                panic!("{:?}", loader.setting(id))
            };
            assert_eq!(disk.to_string(), "0b2394a9-095e-487d-8d48-719ecd4d78ca");
            assert_eq!(partition.to_string(), "8e0f2c38-e4ea-47ba-b7fc-9d8c74dccf0b");
        }
        assert_eq!(store.boot_manager().unwrap().setting(element::TIMEOUT), Some(Setting::Integer(30)));
        let recovery =
            store.objects().iter().find(|object| object.text(element::DESCRIPTION).as_deref() == Some("Windows Recovery Environment"));
        let Some(Setting::Device { device: Device::RamDisk { on, path }, options: Some(options) }) =
            recovery.unwrap().setting(element::DEVICE)
        else {
            panic!("{recovery:?}")
        };
        assert_eq!(path, "\\Recovery\\WindowsRE\\Winre.wim");
        assert_eq!(options.to_string(), "733b62e7-f608-11eb-825c-c112f60133ab");
        assert!(matches!(*on, Device::Partition(Partition::Gpt { .. })));
    }
    if let Some(store) = store("src-ezregistry/BCD") {
        let loader = store.default_object().unwrap();
        let Some(Setting::Device { device: Device::RamDisk { on, path }, .. }) = loader.setting(element::OS_DEVICE) else {
            panic!("{loader:?}")
        };
        assert_eq!((*on, path.as_str()), (Device::Boot, "\\sources\\boot.wim"));
        // Numbers of one and of three bytes.
        assert_eq!(store.boot_manager().unwrap().setting(element::TIMEOUT), Some(Setting::Integer(30)));
        assert_eq!(store.object(known::DEBUGGER_SETTINGS).unwrap().setting(0x1500_0014), Some(Setting::Integer(115_200)));
        assert_eq!(loader.setting(element::EMS), Some(Setting::Boolean(false)));
    }
}

/// Puts keys and values of all kinds into a copy of a hive.
const MAKE: &str = r#"
import hivex, sys
h = hivex.Hivex(sys.argv[1], write=True)
root = h.root()
def put(node, values):
    h.node_set_values(node, [{'key': key, 't': kind, 'value': data} for key, kind, data in values])
wide = lambda text: (text + '\0').encode('utf-16le')
many = h.node_add_child(root, 'many')
for number in range(1500):
    put(h.node_add_child(many, 'key %d' % (number * 7919 % 1500)), [('n', 4, number.to_bytes(4, 'little')), ('', 1, wide('x' * (number % 40)))])
names = h.node_add_child(root, 'names')
for name in ['Grün', 'Straße', 'Ключ', '鍵', 'a.b', '{guid}', ' ', 'MiXeD', 'é' * 100]:
    put(h.node_add_child(names, name), [(name, 7, wide('one') + wide(name) + b'\0\0')])
data = h.node_add_child(root, 'data')
put(data, [('size %d' % size, 3, bytes(at % 253 for at in range(size))) for size in (0, 1, 2, 3, 4, 5, 7, 8, 100, 4096, 16343, 16344, 16345, 50000)])
node = root
for depth in range(100):
    node = h.node_add_child(node, 'deep')
put(node, [('bottom', 11, bytes(range(8)))])
h.commit(sys.argv[2])
"#;

#[test]
fn hives_that_hivex_made_read_the_same() {
    let Some(corpus) = corpus() else { return };
    let home = tempfile::tempdir().unwrap();
    // An empty SYSTEM-like hive, a store of Windows 10, and a large hive that grows.
    for name in ["src-python-registry/issue22.hive", "src-regipy/BCD.xz", "src-regipy/SYSTEM_2.xz"] {
        let Some(content) = load(&corpus, name) else { continue };
        let (from, to) = (home.path().join("from"), home.path().join("to"));
        std::fs::write(&from, content).unwrap();
        let made = Command::new("/usr/bin/python3").args(["-c", MAKE]).args([&from, &to]).stdin(Stdio::null()).output().unwrap();
        if !made.status.success() {
            eprintln!("SKIPPED: python3 with hivex is not here: {}", String::from_utf8_lossy(&made.stderr));
            return;
        }
        let content = std::fs::read(&to).unwrap();
        let hive = Hive::open(bytes(&content), &[], Mode::Lenient).unwrap();
        let ours = by_us(&hive);
        same(name, &ours, &by_hivex(&content, name).unwrap());
        if ours.len() < 10_000 {
            lookups(&hive, &ours);
        }
        assert_eq!(hive.value("data", "size 50000").unwrap().unwrap().data.len(), 50_000);
        eprintln!("{name}: {:?}, {:?}", hive.recovered(), hive.damage());
    }
}

/// Real hives with bytes changed: read to an end, in reasonable time, in both modes.
#[test]
fn damaged_real_hives_are_read_to_an_end() {
    let Some(corpus) = corpus() else { return };
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |most: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % most as u64) as usize
    };
    for (name, rounds) in [("src-regipy/BCD.xz", 300), ("src-ezregistry/BCD", 200), ("src-regipy/SYSTEM_2.xz", 4)] {
        let Some(sound) = load(&corpus, name) else { continue };
        for _ in 0..rounds {
            let mut content = sound.clone();
            // Where the cells of a small store are; anywhere in a large hive.
            let most = if rounds > 100 { content.len().min(4096 + 24_576) } else { content.len() };
            for _ in 0..=next(if rounds > 100 { 12 } else { 2000 }) {
                let at = next(most - 4096) + 4096;
                content[at] = [0, 0xff, 0x80, next(256) as u8][next(4)];
            }
            for mode in [Mode::Strict, Mode::Lenient] {
                let Ok(hive) = Hive::open(bytes(&content), &[], mode) else { continue };
                Store::read(&hive).ok();
                let mut todo: Vec<Key<'_>> = hive.root().into_iter().collect();
                let mut seen = 0;
                while let Some(key) = todo.pop() {
                    key.values().ok();
                    todo.extend(key.keys().unwrap_or_default());
                    seen += 1;
                    assert!(seen < 100_000, "{name}: more keys than there can be");
                }
            }
        }
    }
}

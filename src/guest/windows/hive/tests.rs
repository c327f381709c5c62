//! Hives as they should be, hives with one thing wrong, and hives with any thing wrong.

use super::testing::{List, Node, base_block, bitmap_log, log, seal, wide};
use super::*;
use crate::bytes::Memory;

fn open(content: &[u8], mode: Mode) -> Result<Hive, HiveError> {
    Hive::open(Arc::new(Memory(content.to_vec())), &[], mode)
}

fn with_logs(content: &[u8], logs: &[Vec<u8>], mode: Mode) -> Result<Hive, HiveError> {
    let logs: Vec<Bytes> = logs.iter().map(|log| -> Bytes { Arc::new(Memory(log.clone())) }).collect();
    Hive::open(Arc::new(Memory(content.to_vec())), &logs, mode)
}

/// A key with every kind of value, and keys below it in every kind of list.
fn tree() -> Node {
    let big: Vec<u8> = (0..40_000_u32).map(|at| (at % 251) as u8).collect();
    let mut root = Node::new("ROOT")
        .class("Class of it")
        .text("", "default")
        .text("Name", "grün 世界")
        .value("TimeZoneKeyName", kind::SZ, &[wide("UTC"), vec![0x41, 0x99, 0x07]].concat())
        .value("multi", kind::MULTI_SZ, &[wide("one"), wide(""), wide("two"), vec![0, 0]].concat())
        .dword("number", 0x8000_0001)
        .value("big end", kind::DWORD_BIG_ENDIAN, &[0x80, 0, 0, 1])
        .value("long", kind::QWORD, &u64::MAX.to_le_bytes())
        .value("none", kind::NONE, &[])
        .value("big", kind::BINARY, &big)
        .value("one segment", kind::BINARY, &big[..16344])
        .value("世", kind::BINARY, &[1, 2, 3]);
    for (name, list) in [("lf", List::Lf), ("lh", List::Lh), ("li", List::Li), ("ri", List::Ri(3))] {
        let mut key = Node::new(name).list(list);
        for below in ["a", "Abcdef", "abc", "ZZ", "Grün", "世界", "x.y z", "0", "{9dea862c}"] {
            key = key.key(Node::new(below).text("path", &format!("{name}\\{below}")));
        }
        root = root.key(key);
    }
    root
}

fn names(keys: &[Key<'_>]) -> Vec<String> {
    keys.iter().map(Key::name).collect()
}

#[test]
fn every_list_name_and_value_reads() {
    for minor in [2, 3, 5, 6] {
        let hive = open(&tree().hive(minor), Mode::Strict).unwrap();
        let root = hive.root().unwrap();
        assert_eq!((root.name().as_str(), root.class().unwrap().as_deref()), ("ROOT", Some("Class of it")));
        assert_eq!(root.written(), 0x01d7_0000_0000_0000);
        assert_eq!(names(&root.keys().unwrap()), ["lf", "lh", "li", "ri"]);
        let get = |name: &str| root.value(name).unwrap().unwrap();
        assert_eq!(get("").text().as_deref(), Some("default"));
        assert_eq!(get("NAME").text().as_deref(), Some("grün 世界"));
        assert_eq!(get("TimeZoneKeyName").text().as_deref(), Some("UTC"));
        assert_eq!(get("multi").texts().unwrap(), ["one", "", "two"]);
        assert_eq!(get("number").dword(), Some(0x8000_0001));
        assert_eq!(get("big end").dword(), Some(0x8000_0001));
        assert_eq!(get("long").qword(), Some(u64::MAX));
        assert_eq!((get("none").data.len(), get("none").text()), (0, None));
        assert_eq!(get("世").data, [1, 2, 3]);
        assert_eq!(get("big").data.len(), 40_000);
        assert!(get("big").data.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251));
        assert_eq!(get("one segment").data.len(), 16344);
        assert_eq!(root.values().unwrap().len(), 11);
        for list in ["lf", "lh", "li", "ri"] {
            let key = hive.key(list).unwrap().unwrap();
            assert_eq!(key.keys().unwrap().len(), 9);
            for below in ["A", "abcDEF", "ABC", "zz", "GRÜN", "世界", "X.Y Z", "0", "{9DEA862C}"] {
                let found = hive.key(&format!("\\{list}\\{below}\\")).unwrap().unwrap_or_else(|| panic!("{list}\\{below}"));
                let path = found.value("path").unwrap().unwrap().text().unwrap();
                assert_eq!(path.to_uppercase(), format!("{list}\\{below}").to_uppercase());
            }
            for missing in ["b", "Abcde", "Gr", "界"] {
                assert!(key.key(missing).unwrap().is_none(), "{list}\\{missing}");
            }
        }
        assert!(hive.value("lf\\a", "nothing").unwrap().is_none());
        assert!(hive.value("lf\\nothing", "path").unwrap().is_none());
        assert_eq!((hive.was_dirty(), hive.recovered(), hive.damage()), (false, Recovery::Clean, Vec::new()));
    }
}

#[test]
fn texts_end_where_they_end() {
    let value = |kind: u32, data: &[u8]| Value { name: String::new(), kind, data: data.to_vec() };
    for (kind, data, texts) in [
        (kind::SZ, &b"a\0b\0"[..], Some(vec!["ab"])),
        (kind::SZ, b"", Some(vec![""])),
        (kind::EXPAND_SZ, b"a\0\0\0b\0", Some(vec!["a"])),
        (kind::LINK, b"a\0b\0c", Some(vec!["ab"])),
        (kind::MULTI_SZ, b"", Some(vec![])),
        (kind::MULTI_SZ, b"\0\0\0\0", Some(vec![])),
        (kind::MULTI_SZ, b"a\0", Some(vec!["a"])),
        (kind::MULTI_SZ, b"a\0\0\0b\0\0\0\0\0x", Some(vec!["a", "b"])),
        (kind::MULTI_SZ, b"\0\0a\0\0\0", Some(vec!["", "a"])),
        (kind::BINARY, b"a\0", None),
    ] {
        assert_eq!(value(kind, data).texts(), texts.map(|texts| texts.into_iter().map(str::to_owned).collect()), "{kind} {data:?}");
    }
    assert_eq!(value(kind::DWORD, &[1, 0, 0]).dword(), None);
    assert_eq!(value(kind::BINARY, &[1, 0, 0, 0]).dword(), None);
    assert_eq!(value(kind::QWORD, &[1, 0, 0, 0]).qword(), None);
}

#[test]
fn other_files_are_refused_by_name() {
    let mut old = tree().hive(5);
    old[24] = 1;
    seal(&mut old);
    for (content, words) in [
        (Vec::new(), "not a registry hive: it is empty"),
        (b"regf".to_vec(), "not a registry hive: it ends within its base block, after 4 bytes"),
        (b"CREG\0\0".to_vec(), "not a registry hive: it is a Windows 9x registry file (CREG)"),
        (vec![0; 9000], "not a registry hive: it begins with zeros"),
        (b"\x1b[2J".to_vec(), "not a registry hive: it begins with \"\\u{1b}[2J\", not \"regf\""),
        (log(&[]), "not a registry hive: it is a registry transaction log"),
        (old, "not supported: registry hive version 1.1"),
    ] {
        for mode in [Mode::Strict, Mode::Lenient] {
            assert_eq!(open(&content, mode).unwrap_err().to_string(), words);
        }
    }
}

/// Sets bytes of a hive at an offset in its bins.
fn set(hive: &mut [u8], at: usize, bytes: &[u8]) {
    hive[4096 + at..4096 + at + bytes.len()].copy_from_slice(bytes);
}

/// Where a record begins with these bytes: the offset of its cell.
fn find(hive: &[u8], record: &[u8]) -> usize {
    let at = (4096..hive.len()).step_by(4).find(|at| hive[*at..].starts_with(record)).unwrap();
    at - 4096 - 4
}

/// Where the key node called `name` is.
fn find_key(hive: &[u8], name: &str) -> usize {
    let starts =
        |at: &usize| hive[*at..].starts_with(b"nk") && hive[*at + 76..].starts_with(name.as_bytes()) && hive[*at + 72] == name.len() as u8;
    (4096..hive.len() - 100).step_by(4).find(starts).unwrap() - 4096 - 4
}

/// A root with the keys one, two and three.
fn three(list: List) -> Vec<u8> {
    ["one", "two", "three"].iter().fold(Node::new("root").list(list), |root, name| root.key(Node::new(name).dword("n", 7))).hive(5)
}

#[test]
fn a_bad_hash_hides_no_key_from_a_lenient_reader() {
    let mut hive = three(List::Lh);
    let list = find(&hive, b"lh");
    set(&mut hive, list + 12, &[0; 4]);
    let hive = open(&hive, Mode::Lenient).unwrap();
    for name in ["one", "two", "three"] {
        assert_eq!(hive.value(name, "n").unwrap().unwrap().dword(), Some(7), "{name}");
    }
}

#[test]
fn damage_is_never_taken_for_absence() {
    let sound = three(List::Lf);
    let two = find_key(&sound, "two");
    for (at, bytes) in [(two + 4, &b"xx"[..]), (two, &[0; 4]), (two, &(-65_536_i32).to_le_bytes()), (two + 4 + 72, &[0xff, 0xff])] {
        let mut hive = sound.clone();
        set(&mut hive, at, bytes);
        let strict = open(&hive, Mode::Strict).unwrap();
        assert!(strict.root().unwrap().keys().is_err());
        let hive = open(&hive, Mode::Lenient).unwrap();
        let root = hive.root().unwrap();
        assert_eq!(names(&root.keys().unwrap()), ["one", "three"]);
        assert!(hive.key("three").unwrap().is_some());
        let error = hive.key("two").unwrap_err();
        assert!(error.to_string().contains(&format!("at cell {two:#x}: ")), "{error}");
        assert!(hive.key("four").is_err());
        assert!(!hive.damage().is_empty());
    }
}

#[test]
fn lists_that_lead_nowhere_end() {
    let sound = three(List::Ri(2));
    let ri = find(&sound, b"ri");
    let first = u32::from_le_bytes(sound[4096 + ri + 8..4096 + ri + 12].try_into().unwrap());
    let cases: [(usize, Vec<u8>, &str); 5] = [
        (ri + 12, first.to_le_bytes().to_vec(), "twice"),
        (ri + 12, (ri as u32).to_le_bytes().to_vec(), "another index root"),
        (ri + 12, vec![0xf8, 0xff, 0xff, 0x7f], "behind the last bin"),
        (ri + 12, vec![0x21, 0, 0, 0], "no cell can begin here"),
        (first as usize + 8, vec![0x20, 0, 0, 0], "root key"),
    ];
    for (at, bytes, words) in cases {
        let mut hive = sound.clone();
        set(&mut hive, at, &bytes);
        let hive = open(&hive, Mode::Lenient).unwrap();
        assert!(hive.root().unwrap().keys().unwrap().len() < 3);
        assert!(hive.damage().iter().any(|damage| damage.to_string().contains(words)), "{words}: {:?}", hive.damage());
        assert!(hive.key("four").is_err(), "{words}");
    }
}

#[test]
fn a_key_stands_at_one_place_only() {
    let sound = Node::new("root").key(Node::new("a").key(Node::new("b"))).hive(5);
    let (a, b) = (find_key(&sound, "a"), find_key(&sound, "b"));
    // b lists a, which has b below it.
    let mut cycle = sound.clone();
    let list = find(&sound, b"lh") as u32;
    set(&mut cycle, b + 4 + 20, &1_u32.to_le_bytes());
    set(&mut cycle, b + 4 + 28, &list.to_le_bytes());
    let hive = open(&cycle, Mode::Lenient).unwrap();
    assert!(hive.key("a\\b").unwrap().unwrap().keys().unwrap().is_empty());
    assert!(hive.key("a\\b\\b").is_err());
    // A key whose parent is nonsense stays where it is listed.
    let mut orphan = sound.clone();
    set(&mut orphan, b + 4 + 16, &0x7777_u32.to_le_bytes());
    assert!(open(&orphan, Mode::Strict).unwrap().key("a\\b").is_err());
    let hive = open(&orphan, Mode::Lenient).unwrap();
    assert!(hive.key("a\\b").unwrap().is_some());
    assert_eq!(hive.damage().len(), 1);
    assert!(a < b);
}

#[test]
fn depth_has_an_end() {
    let deep = (0..600).fold(Node::new("x"), |below, _| Node::new("x").key(below));
    let hive = open(&deep.hive(5), Mode::Lenient).unwrap();
    assert!(hive.key(&"x\\".repeat(512)).unwrap().is_some());
    assert!(matches!(hive.key(&"x\\".repeat(513)), Err(HiveError::TooDeep(512))));
}

#[test]
fn values_that_cannot_be_read_are_not_absent() {
    let sound = Node::new("root").value("a", kind::BINARY, &[7; 100]).value("b", kind::BINARY, &[8; 40_000]).dword("c", 1).hive(5);
    let (a, big) = (find(&sound, b"vk"), find(&sound, b"db"));
    let segments = u32::from_le_bytes(sound[4096 + big + 8..4096 + big + 12].try_into().unwrap()) as usize;
    let first = &sound[4096 + segments + 4..4096 + segments + 8];
    for (name, at, bytes) in [
        ("a", a + 4 + 4, &200_u32.to_le_bytes()[..]),
        ("a", a + 4 + 4, &0x7fff_ffff_u32.to_le_bytes()),
        ("a", a + 4 + 4, &0x8000_0005_u32.to_le_bytes()),
        ("a", a + 4 + 8, &u32::MAX.to_le_bytes()),
        ("b", big + 4, b"xb"),
        ("b", big + 6, &[2, 0]),
        ("b", segments + 8, first),
        ("b", big + 8, &[0; 4]),
    ] {
        let mut hive = sound.clone();
        set(&mut hive, at, bytes);
        assert!(open(&hive, Mode::Strict).unwrap().root().unwrap().values().is_err());
        let hive = open(&hive, Mode::Lenient).unwrap();
        let root = hive.root().unwrap();
        assert_eq!(root.values().unwrap().len(), 2, "{name} {bytes:x?}");
        assert!(root.value(name).is_err());
        assert_eq!(root.value("c").unwrap().unwrap().dword(), Some(1));
        assert!(root.value("d").unwrap().is_none());
    }
    // A name that cannot be read may be the one that is looked for.
    let mut hive = sound;
    set(&mut hive, a + 4, b"xx");
    let hive = open(&hive, Mode::Lenient).unwrap();
    assert_eq!(hive.value("", "c").unwrap().unwrap().dword(), Some(1));
    assert!(hive.value("", "d").is_err());
}

#[test]
fn a_damaged_base_block_is_kept_as_damage() {
    let sound = three(List::Lh);
    for (change, words) in [
        (&(|hive: &mut Vec<u8>| hive[508] ^= 1) as &dyn Fn(&mut Vec<u8>), "checksum"),
        (&|hive| hive[36] = 0x28, "key node at cell 0x28"),
        (&|hive| hive[40] = 1, "no whole pages"),
        (&|hive| hive.truncate(hive.len() - 512), "are there"),
    ] {
        let mut hive = sound.clone();
        change(&mut hive);
        if words != "checksum" {
            seal(&mut hive);
        }
        assert!(open(&hive, Mode::Strict).is_err(), "{words}");
        let hive = open(&hive, Mode::Lenient).unwrap();
        assert_eq!(hive.root().unwrap().keys().unwrap().len(), 3, "{words}");
        assert!(hive.damage().iter().any(|damage| damage.to_string().contains(words)), "{words}: {:?}", hive.damage());
        assert_eq!(hive.was_dirty(), words == "checksum");
    }
}

/// A hive that is dirty from 7 to 8, what it is to become, and both as pages of entries.
fn change() -> (Vec<u8>, Vec<u8>) {
    let mut before = three(List::Lh);
    let mut after = ["one", "two", "three", "four"].iter().fold(Node::new("root"), |root, name| root.key(Node::new(name).dword("n", 8)));
    after = after.value("grown", kind::BINARY, &[3; 9000]);
    let after = after.hive(5);
    before[..4096].copy_from_slice(&base_block((8, 7), 4096, 5, 0));
    assert_eq!((before.len(), after.len()), (8192, 4096 + 3 * 4096));
    (before, after[4096..].to_vec())
}

fn page(bins: &[u8], number: usize) -> (u32, Vec<u8>) {
    (number as u32 * 4096, bins[number * 4096..number * 4096 + 4096].to_vec())
}

#[test]
fn entries_are_replayed_in_order_from_both_logs() {
    let (before, after) = change();
    let size = after.len() as u32;
    let wrong = [(0, vec![0xee; 4096])];
    let old = log(&[(5, 4096, &wrong), (6, 4096, &wrong)]);
    let first = log(&[(7, size, &[wrong[0].clone(), page(&after, 2)]), (8, size, &[page(&after, 0)])]);
    let second = log(&[(9, size, &[page(&after, 1)])]);
    let grown = Recovery::Replayed { entries: 3, sequence: 9, left_out: 0 };
    for logs in
        [vec![first.clone(), second.clone()], vec![second.clone(), first.clone()], vec![old, Vec::new(), second.clone(), first.clone()]]
    {
        let hive = with_logs(&before, &logs, Mode::Strict).unwrap();
        assert!(hive.was_dirty());
        assert_eq!(hive.recovered(), grown);
        assert_eq!(hive.root().unwrap().keys().unwrap().len(), 4);
        assert_eq!(hive.value("four", "n").unwrap().unwrap().dword(), Some(8));
        assert_eq!(hive.value("", "grown").unwrap().unwrap().data, vec![3; 9000]);
    }
    // What comes after a gap is left out.
    let late = log(&[(10, size, &wrong), (11, size, &wrong)]);
    let hive = with_logs(&before, &[log(&[(8, size, &[page(&after, 0), page(&after, 1), page(&after, 2)])]), late], Mode::Strict).unwrap();
    assert_eq!(hive.recovered(), Recovery::Replayed { entries: 1, sequence: 8, left_out: 2 });
    assert_eq!(hive.root().unwrap().keys().unwrap().len(), 4);
    // A torn entry and all after it do not count.
    let whole = (8, size, &[page(&after, 0), page(&after, 1), page(&after, 2)][..]);
    let mut torn = log(&[whole, (9, size, &wrong), (10, size, &wrong)]);
    let at = torn.len() - 4608 - 512;
    torn[at] ^= 1;
    let hive = with_logs(&before, &[torn], Mode::Strict).unwrap();
    assert_eq!(hive.recovered(), Recovery::Replayed { entries: 1, sequence: 8, left_out: 0 });
    // A hive with a wrong checksum takes the log's base block.
    let mut broken = before;
    broken[36] = 0x99;
    let hive = with_logs(&broken, &[first, second], Mode::Strict).unwrap();
    assert_eq!((hive.recovered(), hive.was_dirty()), (grown, true));
}

#[test]
fn a_clean_hive_keeps_what_it_has() {
    let hive = three(List::Lh);
    let wrong = [(0, vec![0xee; 4096])];
    let opened = with_logs(&hive, &[log(&[(6, 4096, &wrong), (7, 4096, &wrong)])], Mode::Strict).unwrap();
    assert_eq!((opened.recovered(), opened.was_dirty()), (Recovery::Clean, false));
    let opened = with_logs(&hive, &[log(&[(7, 4096, &wrong), (8, 4096, &wrong)])], Mode::Strict).unwrap();
    assert_eq!((opened.recovered(), opened.was_dirty()), (Recovery::Ignored { newest: 8 }, true));
    assert_eq!(opened.root().unwrap().keys().unwrap().len(), 3);
}

#[test]
fn sectors_of_old_logs_are_replayed() {
    let (before, after) = change();
    let sectors: Vec<(usize, [u8; 512])> = after.as_chunks::<512>().0.iter().copied().enumerate().filter(|(at, _)| *at != 10).collect();
    let logged = bitmap_log(8, after.len() as u32, &sectors);
    let hive = with_logs(&before, &[Vec::new(), logged.clone()], Mode::Lenient).unwrap();
    assert_eq!(hive.recovered(), Recovery::Replayed { entries: 1, sequence: 8, left_out: 0 });
    assert_eq!(hive.root().unwrap().keys().unwrap().len(), 4);
    let mut grown = vec![3; 9000];
    let start = after.windows(9000).position(|part| part == grown).unwrap();
    grown[10 * 512 - start..11 * 512 - start].fill(0);
    assert_eq!(hive.value("", "grown").unwrap().unwrap().data, grown);
    // Of another time, cut short, or unfinished.
    let mut other = logged.clone();
    other[13] ^= 1;
    seal(&mut other);
    let mut unfinished = logged.clone();
    unfinished[4] ^= 1;
    seal(&mut unfinished);
    for (log, words) in
        [(other, "no log belongs to the last"), (unfinished, "no log belongs"), (logged[..logged.len() - 1].to_vec(), "a log is cut short")]
    {
        let hive = with_logs(&before, &[log], Mode::Lenient).unwrap();
        assert!(matches!(hive.recovered(), Recovery::Failed(reason) if reason.contains(words)), "{words}: {:?}", hive.recovered());
    }
}

#[test]
fn a_dirty_hive_without_a_usable_log_says_so() {
    let (before, after) = change();
    let size = after.len() as u32;
    let old = log(&[(5, size, &[page(&after, 0)]), (6, size, &[page(&after, 1)])]);
    let mut sum = old.clone();
    sum[508] ^= 1;
    for (logs, words) in [
        (vec![], "there is no log that can be read"),
        (vec![Vec::new(), Vec::new()], "there is no log that can be read"),
        (vec![old], "the logs hold no newer entries"),
        (vec![sum], "wrong checksum"),
        (vec![b"regf".to_vec()], "ends within its base block"),
        (vec![before.clone()], "file type 0"),
    ] {
        let error = with_logs(&before, &logs, Mode::Strict).unwrap_err().to_string();
        assert!(error.contains("not closed cleanly") && error.contains(words), "{error}");
        let hive = with_logs(&before, &logs, Mode::Lenient).unwrap();
        assert!(hive.was_dirty());
        assert!(matches!(hive.recovered(), Recovery::Failed(reason) if reason.contains(words)), "{words}: {:?}", hive.recovered());
        assert_eq!(hive.root().unwrap().keys().unwrap().len(), 3);
    }
}

/// Reads everything there is; how many keys that were.
fn walk(key: &Key<'_>, visit: &mut usize) {
    *visit += 1;
    key.class().ok();
    key.values().ok();
    key.value("n").ok();
    key.key("two\\three").ok();
    for below in key.keys().unwrap_or_default() {
        walk(&below, visit);
    }
}

#[test]
fn any_bytes_are_read_to_an_end() {
    let sound = tree().hive(5);
    let (before, after) = change();
    let size = after.len() as u32;
    let logged = log(&[(7, size, &[page(&after, 0), page(&after, 2)]), (8, size, &[page(&after, 1)])]);
    let mut seed = 0x1234_5678_9abc_def1_u64;
    let mut next = |most: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % most as u64) as usize
    };
    for round in 0..1500 {
        let (mut hive, mut logs) = if round % 3 == 0 { (before.clone(), vec![logged.clone()]) } else { (sound.clone(), Vec::new()) };
        for _ in 0..=next(8) {
            let target = if logs.is_empty() || next(2) == 0 { &mut hive } else { &mut logs[0] };
            let at = if next(4) == 0 { next(target.len()) } else { next(target.len().min(if round % 2 == 0 { 8192 } else { 6144 })) };
            match next(4) {
                0 => target[at] ^= 1 << next(8),
                1 => target[at] = [0, 0xff, 0x7f, 0x80, 0x20][next(5)],
                2 => {
                    let word = [0, u32::MAX, 0x20, 0x8000_0000, 0x1000, 0x0fff_fff8][next(6)];
                    let at = (at & !3).min(target.len() - 4);
                    target[at..at + 4].copy_from_slice(&word.to_le_bytes());
                }
                _ => {
                    // Offsets of other cells, so that structures meet.
                    let at = (at & !3).min(target.len() - 4);
                    let word = (next(target.len()) & !7) as u32;
                    target[at..at + 4].copy_from_slice(&word.to_le_bytes());
                }
            }
        }
        if next(10) == 0 {
            let len = next(hive.len()).max(512);
            hive.truncate(len);
        }
        seal(&mut hive);
        for mode in [Mode::Strict, Mode::Lenient] {
            if let Ok(hive) = with_logs(&hive, &logs, mode)
                && let Ok(root) = hive.root()
            {
                let mut visited = 0;
                walk(&root, &mut visited);
                assert!(visited <= 4000, "round {round}: {visited} keys");
                assert!(mode == Mode::Lenient || hive.damage().is_empty());
            }
        }
    }
}

#[test]
fn a_hive_cut_anywhere_is_read_to_an_end() {
    let sound = three(List::Ri(1));
    for len in (0..sound.len()).step_by(5) {
        for mode in [Mode::Strict, Mode::Lenient] {
            if let Ok(hive) = open(&sound[..len], mode)
                && let Ok(root) = hive.root()
            {
                walk(&root, &mut 0);
            }
        }
    }
}

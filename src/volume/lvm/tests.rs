//! Groups made by hand.

use super::super::checksum::crc32_le;
use super::label::CRC_START;
use super::*;
use crate::bytes::{Bytes, Memory, Overlay, ReadAt, int_u64, read_vec};
use std::sync::Arc;

/// Extents of the groups here: 4 KiB, so that disks stay small.
const EXTENT: u64 = 4096;
/// The first extent of every physical volume here, and its size.
const START: u64 = 64 << 10;
const EXTENTS: u64 = 16;
const SIZE: u64 = START + EXTENTS * EXTENT;

/// A metadata area: where, how long, and where in it its text lies.
struct Ring<'a> {
    at: u64,
    size: u64,
    offset: u64,
    text: &'a str,
    flags: u32,
}

const fn ring(text: &str) -> Ring<'_> {
    Ring { at: 4096, size: 32 << 10, offset: 512, text, flags: 0 }
}

/// An identity of 32 equal characters.
fn id(letter: char) -> String {
    letter.to_string().repeat(32)
}

/// The same as it is printed.
fn shown(letter: char) -> String {
    let part = |n: usize| letter.to_string().repeat(n);
    [part(6), part(4), part(4), part(4), part(4), part(4), part(6)].join("-")
}

fn put(bytes: &mut [u8], at: u64, value: &[u8]) {
    let at = usize::try_from(at).unwrap();
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Redoes the checksum of a label.
fn seal_label(bytes: &mut [u8]) {
    let crc = crc32_le(CRC_START, &bytes[512 + 20..1024]);
    put(bytes, 512 + 16, &crc.to_le_bytes());
}

/// Redoes the checksum of the header of a metadata area.
fn seal_header(bytes: &mut [u8], at: u64) {
    let start = usize::try_from(at).unwrap();
    let crc = crc32_le(CRC_START, &bytes[start + 4..start + 512]);
    put(bytes, at, &crc.to_le_bytes());
}

/// A physical volume whose every data byte tells its place.
fn disk(letter: char, rings: &[Ring<'_>]) -> Vec<u8> {
    let seed = u8::try_from(letter).unwrap();
    let mut bytes: Vec<u8> = (0..SIZE).map(|at| if at < START { 0 } else { pattern(seed, at - START) }).collect();
    put(&mut bytes, 512, b"LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001");
    put(&mut bytes, 544, id(letter).as_bytes());
    put(&mut bytes, 576, &SIZE.to_le_bytes());
    put(&mut bytes, 584, &START.to_le_bytes());
    for (ring, number) in rings.iter().zip(0..) {
        put(&mut bytes, 616 + 16 * number, &ring.at.to_le_bytes());
        put(&mut bytes, 624 + 16 * number, &ring.size.to_le_bytes());
        put(&mut bytes, ring.at + 4, b" LVM2 x[5A%r0N*>\x01\0\0\0");
        put(&mut bytes, ring.at + 24, &ring.at.to_le_bytes());
        put(&mut bytes, ring.at + 32, &ring.size.to_le_bytes());
        if !ring.text.is_empty() {
            put(&mut bytes, ring.at + 40, &ring.offset.to_le_bytes());
            put(&mut bytes, ring.at + 48, &int_u64(ring.text.len()).to_le_bytes());
            put(&mut bytes, ring.at + 56, &crc32_le(CRC_START, ring.text.as_bytes()).to_le_bytes());
            put(&mut bytes, ring.at + 60, &ring.flags.to_le_bytes());
            let first = usize::try_from(ring.size - ring.offset).unwrap().min(ring.text.len());
            put(&mut bytes, ring.at + ring.offset, &ring.text.as_bytes()[..first]);
            put(&mut bytes, ring.at + 512, &ring.text.as_bytes()[first..]);
        }
        seal_header(&mut bytes, ring.at);
    }
    seal_label(&mut bytes);
    bytes
}

fn pattern(seed: u8, at: u64) -> u8 {
    u8::try_from((at / EXTENT * 37 + at) % 251).unwrap() ^ seed
}

/// `count` extents of a disk from `extent` on.
fn extents(letter: char, extent: u64, count: u64) -> Vec<u8> {
    (extent * EXTENT..(extent + count) * EXTENT).map(|at| pattern(u8::try_from(letter).unwrap(), at)).collect()
}

fn found(bytes: Vec<u8>) -> PhysicalVolume {
    let bytes: Bytes = Arc::new(Memory(bytes));
    physical_volume(&bytes).unwrap().unwrap()
}

/// A group of the physical volumes `a`, `b`, ... with these logical volumes.
fn text(name: &str, letter: char, sequence: u32, disks: &str, logical: &str) -> String {
    let disk = |letter| {
        format!(
            "pv_{letter} {{\nid = \"{}\"\ndevice = \"/dev/sd{letter}\"\nstatus = [\"ALLOCATABLE\"]\nflags = []\ndev_size = {}\n\
             pe_start = {}\npe_count = {EXTENTS}\n}}\n",
            shown(letter),
            SIZE / 512,
            START / 512
        )
    };
    let disks: String = disks.chars().map(disk).collect();
    format!(
        "{name} {{\nid = \"{}\"\nseqno = {sequence}\nformat = \"lvm2\"\nstatus = [\"RESIZEABLE\", \"READ\", \"WRITE\"]\nflags = []\n\
         extent_size = {}\nphysical_volumes {{\n{disks}}}\n\nlogical_volumes {{\n{logical}}}\n}}\n# By hand\n\
         contents = \"Text Format Volume Group\"\nversion = 1\n\ndescription = \"\"\n\0",
        shown(letter),
        EXTENT / 512
    )
}

/// A logical volume with these segments, each its type and what else it says; every one is as long as the first word says.
fn logical(name: &str, status: &str, segments: &[(u64, &str)]) -> String {
    let mut next = 0;
    let mut out = format!("{name} {{\nid = \"{}\"\nstatus = [{status}]\nsegment_count = {}\n", shown('L'), segments.len());
    for (number, (count, rest)) in segments.iter().enumerate() {
        out += &format!("segment{} {{\nstart_extent = {next}\nextent_count = {count}\n{rest}\n}}\n", number + 1);
        next += count;
    }
    out + "}\n"
}

const SHOWN: &str = "\"READ\", \"WRITE\", \"VISIBLE\"";

fn linear(letter: char, extent: u64) -> String {
    format!("type = \"striped\"\nstripe_count = 1\nstripes = [\"pv_{letter}\", {extent}]")
}

/// The only group of these disks.
fn group(disks: Vec<Vec<u8>>) -> VolumeGroup {
    let mut groups = assemble(disks.into_iter().map(found).collect());
    assert_eq!(groups.len(), 1);
    groups.remove(0)
}

fn volume<'a>(group: &'a VolumeGroup, name: &str) -> &'a LogicalVolume {
    group.logical_volumes.iter().find(|volume| volume.name == name).unwrap()
}

fn all(bytes: &Bytes) -> Vec<u8> {
    read_vec(bytes, 0, usize::try_from(bytes.size()).unwrap()).unwrap()
}

/// Why the only logical volume of a group over disks `a` and `b` cannot be read.
fn refusal(volume_text: &str) -> String {
    let text = text("vg", 'G', 1, "ab", volume_text);
    let group = group(vec![disk('a', &[ring(&text)]), disk('b', &[ring(&text)])]);
    volume(&group, "lv").bytes.clone().unwrap_err()
}

#[test]
fn pieces_and_stripes_over_three_disks() {
    let striped = "type = \"striped+WRITE_LOCKED\"\nstripe_count = 3\nstripe_size = 2\nstripes = [\"pv_a\", 0, \"pv_b\", 4, \"pv_c\", 9]";
    let volumes = logical("data", SHOWN, &[(2, &linear('c', 0)), (1, &linear('a', 15)), (3, "type = \"zero\"")])
        + &logical("fast", SHOWN, &[(6, striped)])
        + &logical("hidden", "\"READ\"", &[(1, &linear('b', 0))]);
    let text = text("vg-0", 'G', 7, "abc", &volumes);
    // One of three carries the text.
    let group = group(vec![disk('b', &[]), disk('a', &[ring(&text)]), disk('c', &[ring("")])]);
    assert_eq!((group.name.as_str(), group.uuid, group.sequence), ("vg-0", shown('G'), 7));
    assert_eq!((group.extent_size, group.extent_count, group.free_extents), (EXTENT, 48, 48 - 10));
    assert_eq!(group.problems, [""; 0]);
    assert!(group.physical_volumes.iter().all(|member| member.present && member.size == Some(SIZE)));
    assert_eq!(group.logical_volumes.len(), 2);
    assert_eq!(mapper_name(&group.name, "root"), "vg--0-root");

    let data = &group.logical_volumes[0];
    assert_eq!((data.size, data.uuid.as_str()), (6 * EXTENT, shown('L').as_str()));
    assert_eq!(data.segment_types, ["striped", "zero"]);
    let zeros = vec![0; usize::try_from(3 * EXTENT).unwrap()];
    assert!(all(data.bytes.as_ref().unwrap()) == [extents('c', 0, 2), extents('a', 15, 1), zeros].concat());
    assert_eq!(data.bytes.as_ref().unwrap().data(3 * EXTENT), None);

    let parts = [extents('a', 0, 2), extents('b', 4, 2), extents('c', 9, 2)];
    let expected: Vec<u8> = (0..8).flat_map(|row| parts.iter().flat_map(move |part| part[row * 1024..][..1024].to_vec())).collect();
    let fast = &group.logical_volumes[1];
    assert_eq!(fast.segment_types, ["striped"]);
    assert!(all(fast.bytes.as_ref().unwrap()) == expected);
}

#[test]
fn places_of_a_volume_hold_its_bytes() {
    let striped = "type = \"striped\"\nstripe_count = 2\nstripe_size = 2\nstripes = [\"pv_b\", 4, \"pv_a\", 9]";
    let volumes = logical("lv", SHOWN, &[(2, &linear('b', 0)), (4, striped), (1, &linear('a', 15))])
        + &logical("zeros", SHOWN, &[(1, &linear('a', 0)), (1, "type = \"zero\"")]);
    let text = text("vg", 'G', 1, "ab", &volumes);
    let disks = [disk('a', &[ring(&text)]), disk('b', &[ring(&text)])];
    let group = group(disks.to_vec());
    let lv = volume(&group, "lv");
    let placed = lv.placed(18).unwrap();
    assert_eq!((placed.len(), placed[0].member, placed[0].at.clone()), (18, 1, START..START + 2 * EXTENT));
    let there: Vec<u8> = placed.iter().flat_map(|one| disks[one.member][one.at.start as usize..one.at.end as usize].to_vec()).collect();
    assert!(there == all(lv.bytes.as_ref().unwrap()));
    assert!(placed.is_sorted_by_key(|one| one.from));
    assert_eq!(lv.placed(17), None);
    assert_eq!(volume(&group, "zeros").placed(99), None);
}

#[test]
fn origins_of_others_have_no_place() {
    let note = |rest: &str| {
        let volumes = logical("base", SHOWN, &[(1, &linear('a', 0))])
            + &logical("other", SHOWN, &[(1, &linear('a', 1))])
            + &logical("note", "\"READ\"", &[(1, rest)]);
        let text = text("vg", 'G', 1, "a", &volumes);
        group(vec![disk('a', &[ring(&text)])])
    };
    for rest in
        ["type = \"snapshot\"\norigin = \"base\"\ncow_store = \"cow\"", "type = \"thin\"\nthin_pool = \"p\"\nexternal_origin = \"base\""]
    {
        let group = note(rest);
        assert!(volume(&group, "base").bytes.is_ok());
        assert_eq!(volume(&group, "base").placed(9), None, "{rest}");
        assert!(volume(&group, "other").placed(9).is_some());
    }
}

#[test]
fn free_extents_are_those_that_nobody_uses() {
    let at = |first: u64, end: u64| START + first * EXTENT..START + end * EXTENT;
    let of = |volumes: &str| {
        let text = text("vg", 'G', 1, "ab", volumes);
        group(vec![disk('a', &[ring(&text)]), disk('b', &[ring(&text)])]).free
    };
    let shown = logical("lv", SHOWN, &[(2, &linear('a', 3)), (1, &linear('b', 15))]);
    let hidden = logical("hidden", "\"READ\"", &[(3, &linear('a', 5))]);
    let free = vec![(0, at(0, 3)), (0, at(8, 16)), (1, at(0, 15))];
    assert_eq!(of(&(shown.clone() + &hidden)), Ok(free.clone()));
    for kind in ["zero", "error", "raid1", "raid5_ls", "thin-pool", "cache"] {
        let other = logical("other", SHOWN, &[(4, &format!("type = \"{kind}\""))]);
        assert_eq!(of(&(shown.clone() + &hidden + &other)), Ok(free.clone()), "{kind}");
    }
    assert_eq!(of(""), Ok(vec![(0, at(0, 16)), (1, at(0, 16))]));
    for (rest, why) in [
        ("type = \"mirror\"\nmirror_count = 2\nmirrors = [\"pv_a\", 0, \"pv_b\", 0]", "type mirror takes is not known"),
        ("type = \"new\"", "type new takes is not known"),
        ("type = \"striped\"\nstripe_count = 1\nstripes = [\"pv_z\", 0]", "lies on pv_z, which the group does not have"),
        ("type = \"striped\"\nstripe_count = 2\nstripes = [\"pv_a\", 0]", "cannot be followed"),
        ("type = \"striped\"\nstripe_count = 1\nstripes = [\"pv_a\", 14]", "used twice, or lie behind its end"),
        ("type = \"striped\"\nstripe_count = 1\nstripes = [\"pv_a\", 4]", "used twice"),
    ] {
        let told = of(&(shown.clone() + &logical("other", SHOWN, &[(4, rest)]))).unwrap_err();
        assert!(told.contains(why), "{told}, not {why}");
    }
    // Not whole, and with extents over a metadata area.
    let text_of = |volumes: &str| text("vg", 'G', 1, "ab", volumes);
    let alone = group(vec![disk('a', &[ring(&text_of(&shown))])]).free.unwrap_err();
    assert!(alone.contains("is not among the disks given"), "{alone}");
    let late = |text: &str| text.replace(&format!("pe_start = {}", START / 512), "pe_start = 16");
    let text = late(&text_of(&shown));
    let over = group(vec![disk('a', &[ring(&text)]), disk('b', &[ring(&text)])]).free.unwrap_err();
    assert!(over.contains("lie over its own structures at byte 4096"), "{over}");
}

#[test]
fn the_newest_state_counts() {
    let states: Vec<_> =
        (1..=4).map(|seq| text("vg", 'G', seq, "ab", &logical("lv", SHOWN, &[(u64::from(seq), &linear('a', 0))]))).collect();
    let second = |text| Ring { at: 40 << 10, size: 16 << 10, offset: 1024, text, flags: 0 };
    // The newer of two areas of one disk.
    let one = group(vec![disk('a', &[ring(&states[0]), second(&states[1])]), disk('b', &[])]);
    assert_eq!((one.sequence, volume(&one, "lv").size), (2, 2 * EXTENT));
    assert_eq!(one.problems, [format!("Physical volume {} holds an older state of the group: 1, not 2.", shown('a'))]);
    // The newer one of two disks; what is ignored counts only alone, and is not old.
    let ignored = |text| Ring { flags: 1, ..ring(text) };
    let two = group(vec![disk('a', &[ring(&states[2])]), disk('b', &[ignored(&states[3])])]);
    assert_eq!((two.sequence, two.problems.len()), (3, 0));
    let three = group(vec![disk('a', &[ignored(&states[1]), Ring { flags: 1, ..second(&states[0]) }]), disk('b', &[])]);
    assert_eq!((three.sequence, three.problems.len()), (2, 0));
    // A newer one that is damaged.
    let mut damaged = disk('b', &[ring(&states[3])]);
    damaged[4096 + 600] ^= 1;
    let four = group(vec![disk('a', &[ring(&states[0])]), damaged]);
    assert_eq!(four.sequence, 1);
    let told = format!("Physical volume {} (last seen as /dev/sdb): the metadata area at byte 4096 cannot be used: ", shown('b'));
    assert_eq!(four.problems, [told + "the checksum of its text is wrong."]);
    // Two different ones of the same number.
    let other = text("vg", 'G', 4, "ab", "");
    let five = group(vec![disk('a', &[ring(&states[3])]), disk('b', &[ring(&other)])]);
    assert_eq!((five.logical_volumes.len(), five.sequence), (1, 4));
    assert_eq!(five.problems, [format!("Physical volume {} holds another state 4 of the group.", shown('b'))]);
}

#[test]
fn texts_wrap_at_the_end_of_the_ring() {
    let text = text("vg", 'G', 1, "a", &logical("lv", SHOWN, &[(1, &linear('a', 3))]));
    let last = (32 << 10) - 1;
    for offset in [last, last - 100, (32 << 10) - int_u64(text.len()), (32 << 10) + 1 - int_u64(text.len())] {
        let group = group(vec![disk('a', &[Ring { offset, ..ring(&text) }])]);
        assert!(all(volume(&group, "lv").bytes.as_ref().unwrap()) == extents('a', 3, 1), "{offset}");
    }
    let long = " ".repeat(32 << 10) + &text;
    let mut bytes = disk('a', &[ring(&text)]);
    put(&mut bytes, 4096 + 48, &int_u64(long.len()).to_le_bytes());
    seal_header(&mut bytes, 4096);
    assert_eq!(
        found(bytes).problems,
        [format!("the metadata area at byte 4096 cannot be used: its text of {} bytes is longer than the area of 32768 bytes", long.len())]
    );
}

#[test]
fn headers_that_cannot_be_used() {
    let text = text("vg", 'G', 1, "a", "");
    for (at, value, seal, problem) in [
        (5, &b"x"[..], true, "its header has not the magic of one"),
        (0, b"x", false, "the checksum of its header is wrong"),
        (20, b"\x02", true, "its header has version 2"),
        (24, b"\x01", true, "its header believes to be at byte 4097"),
        (40, b"\x01\0", true, "its text of 663 bytes at byte 1 lies outside the area of 32768 bytes"),
        (48, b"\0\0\0\x02", true, "its text of 33554432 bytes is longer than the 16777216 that are read"),
        (56, b"\0\0\0\0", true, "the checksum of its text is wrong"),
    ] {
        let mut bytes = disk('a', &[ring(&text)]);
        put(&mut bytes, 4096 + at, value);
        if seal {
            seal_header(&mut bytes, 4096);
        }
        let problem = problem.replace("663", &text.len().to_string());
        let volume = found(bytes);
        assert_eq!(volume.problems, [format!("the metadata area at byte 4096 cannot be used: {problem}")]);
        assert_eq!(volume.group, None);
        assert!(assemble(vec![volume]).is_empty());
    }
    for (from, to, problem) in [
        ("version = 1", "version = 2", "it is not the description of a volume group in version 1"),
        ("seqno = 1", "number = 1", "group vg has no seqno"),
        ("extent_size = 8", "extent_size = 0", "group vg has extents of 0 bytes"),
        ("GGGG-", "GGG-", "group vg has no identity"),
        ("pe_count", "count", "physical volume pv_a has no pe_count"),
        ("pe_start = 128", "pe_start = 36028797018963968", "physical volume pv_a has impossible sizes"),
        ("vg {", "vg [", "neither a section nor a value at byte 3 of the text"),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        let found = found(disk('a', &[ring(&changed)]));
        assert_eq!(found.problems, [format!("the metadata area at byte 4096 cannot be used: {problem}")]);
    }
}

#[test]
fn disks_that_are_not_given() {
    let volumes = logical("lv", SHOWN, &[(1, &linear('a', 0)), (1, &linear('b', 0))]) + &logical("whole", SHOWN, &[(1, &linear('a', 1))]);
    let text_both = text("vg", 'G', 1, "ab", &volumes);
    let one = group(vec![disk('a', &[ring(&text_both)])]);
    let missing = format!("hysical volume {} (last seen as /dev/sdb) is not among the disks given", shown('b'));
    assert_eq!(one.problems, [format!("P{missing}.")]);
    assert_eq!(volume(&one, "lv").bytes.as_ref().unwrap_err(), &format!("p{missing}"));
    assert_eq!(volume(&one, "lv").size, 2 * EXTENT);
    assert!(volume(&one, "whole").bytes.is_ok());
    assert_eq!(one.physical_volumes.iter().map(|member| member.present).collect::<Vec<_>>(), [true, false]);

    // The same disk twice: the first is used.
    let mut clone = disk('a', &[ring(&text_both)]);
    let at = usize::try_from(START).unwrap();
    clone[at..].fill(0);
    let two = group(vec![disk('a', &[ring(&text_both)]), disk('b', &[]), clone.clone()]);
    assert_eq!(
        two.problems,
        [format!("Physical volume {} (last seen as /dev/sda) was given more than once; the first is used.", shown('a'))]
    );
    assert!(all(volume(&two, "whole").bytes.as_ref().unwrap()) == extents('a', 1, 1));

    // A disk that was cut off, or was away while the group was changed.
    let mut short = disk('b', &[]);
    short.truncate(at);
    let three = group(vec![disk('a', &[ring(&text_both)]), short]);
    assert!(three.problems[0].contains("ends at byte 65536; its extents end at byte 131072"), "{:?}", three.problems);
    assert!(volume(&three, "lv").bytes.as_ref().unwrap_err().ends_with("which is cut off at byte 65536"));
    let away = text_both.replacen("flags = []\ndev", "flags = [\"MISSING\"]\ndev", 1);
    let four = group(vec![disk('a', &[ring(&away)]), disk('b', &[])]);
    assert!(volume(&four, "whole").bytes.as_ref().unwrap_err().contains("was missing when the group was last changed"));
}

#[test]
fn groups_of_the_same_name() {
    let one = text("vg", 'G', 1, "a", &logical("lv", SHOWN, &[(1, &linear('a', 0))]));
    let two = text("vg", 'H', 1, "b", &logical("lv", SHOWN, &[(1, &linear('b', 0))]))
        .replace("flags = []\nextent", "flags = [\"EXPORTED\"]\nextent");
    let groups = assemble(vec![found(disk('b', &[ring(&two)])), found(disk('a', &[ring(&one)])), found(disk('c', &[]))]);
    let names: Vec<_> = groups.iter().map(|group| (group.name.as_str(), group.uuid.clone(), group.exported)).collect();
    assert_eq!(names, [("vg", shown('H'), true), ("vg", shown('G'), false)]);
    assert!(all(volume(&groups[0], "lv").bytes.as_ref().unwrap()) == extents('b', 0, 1));
    assert!(all(volume(&groups[1], "lv").bytes.as_ref().unwrap()) == extents('a', 0, 1));
}

#[test]
fn segments_that_cannot_be_followed() {
    let a = linear('a', 0);
    let two = |rest: &str| format!("type = \"striped\"\nstripe_count = 2\n{rest}\nstripes = [\"pv_a\", 0, \"pv_b\", 0]");
    for (segments, why) in [
        (vec![(1, "type = \"thin\"\nthin_pool = \"pool\"")], "segments of type thin are not supported"),
        (vec![(1, a.as_str()), (1, "type = \"error\"")], "segments of type error are not supported"),
        (vec![(1, "type = \"thin-pool+METADATA_FORMAT\"")], "segments of type thin-pool are not supported"),
        (vec![], "it has no segments"),
        (vec![(17, a.as_str())], "its segment at extent 0 passes the end of physical volume "),
        (vec![(1, a.as_str()), (1, &linear('b', u64::MAX))], "its segment at extent 1 passes the end of physical volume "),
        (vec![(1, &linear('x', 0))], "its segment at extent 0 lies on pv_x, which the group does not have"),
        (vec![(u64::MAX, a.as_str())], "its size is impossible"),
        (vec![(0, a.as_str())], "its segment1 has no extents"),
        (vec![(1, "stripes = [\"pv_a\", 0]")], "its segment1 has no type"),
        (vec![(1, "type = \"striped\"\nstripes = [\"pv_a\", 0]")], "its segment1 does not list the stripes that it counts"),
        (vec![(1, "type = \"striped\"\nstripe_count = 1\nstripes = [\"pv_a\"]")], "its segment1 does not list the stripes that it counts"),
        (vec![(1, "type = \"striped\"\nstripe_count = 1\nstripes = [0, 0]")], "its segment1 lists stripes that are no volume and extent"),
        (vec![(3, &two("stripe_size = 8"))], "its segment at extent 0 cannot be divided into 2 stripes in chunks of 4096 bytes"),
        (vec![(2, &two(""))], "its segment at extent 0 cannot be divided into 2 stripes in chunks of 0 bytes"),
        (vec![(2, &two("stripe_size = 3"))], "its segment at extent 0 cannot be divided into 2 stripes in chunks of 1536 bytes"),
        (vec![(1, a.as_str()), (1, a.as_str())], "extent 0 of pv_a is used twice, by lv and lv"),
    ] {
        let told = refusal(&logical("lv", SHOWN, &segments));
        assert!(told.starts_with(why), "{told}\n{why}");
    }
    for (from, to, why) in [
        ("start_extent = 1", "start_extent = 2", "its segment at extent 2 leaves a gap before it"),
        ("start_extent = 1", "start_extent = 0", "its segment at extent 0 overlaps the one before it"),
        ("segment_count = 2", "segment_count = 3", "it should have 3 segments and has 2"),
    ] {
        let text = logical("lv", SHOWN, &[(1, &a), (1, &linear('b', 0))]);
        assert_eq!(refusal(&text.replace(from, to)), why);
    }
}

#[test]
fn volumes_that_are_not_what_their_segments_say() {
    let moved = logical("lv", SHOWN, &[(1, "type = \"striped\"\nstripe_count = 1\nstripes = [\"pvmove0\", 0]")])
        + &logical("pvmove0", "\"PVMOVE\"", &[(1, "type = \"mirror\"\nmirrors = [\"pv_a\", 0, \"pv_b\", 0]")]);
    assert_eq!(refusal(&moved), "its segment at extent 0 lies on the logical volume pvmove0 of type mirror, which is not supported");
    // The store of a snapshot is shown though it is hidden, and hidden while it is merged.
    let origin = logical("origin", SHOWN, &[(1, &linear('a', 1))]);
    for (key, names, why) in [
        ("cow_store", vec!["lv", "origin"], "a snapshot of origin, which is not supported"),
        ("merging_store", vec!["origin"], "a snapshot, lv, is being merged into it, which is not supported"),
    ] {
        let snapshot = format!("type = \"snapshot\"\nchunk_size = 8\norigin = \"origin\"\n{key} = \"lv\"");
        let volumes = logical("lv", "\"READ\"", &[(1, &linear('a', 0))]) + &origin + &logical("snapshot0", SHOWN, &[(1, &snapshot)]);
        let text = text("vg", 'G', 1, "a", &volumes);
        let group = group(vec![disk('a', &[ring(&text)])]);
        assert_eq!(group.logical_volumes.iter().map(|volume| volume.name.as_str()).collect::<Vec<_>>(), names);
        assert_eq!(group.logical_volumes[0].segment_types, ["snapshot", "striped"]);
        assert_eq!(group.logical_volumes[0].bytes.as_ref().unwrap_err(), why);
        assert_eq!(volume(&group, "origin").bytes.is_ok(), key == "cow_store");
    }
    let volumes =
        logical("lv", SHOWN, &[(2, &linear('a', 0))]) + &logical("other", SHOWN, &[(2, &linear('a', 1))]) + &origin.replace(", 1]", ", 3]");
    let text = text("vg", 'G', 1, "a", &volumes);
    let group = group(vec![disk('a', &[ring(&text)])]);
    assert_eq!(group.problems, ["Extent 1 of pv_a is used twice, by lv and other."]);
    assert!(volume(&group, "other").bytes.is_err() && volume(&group, "origin").bytes.is_ok());
}

/// Changes at random places, with all checksums made right again: no panic, and what can be read lies within bounds.
#[test]
fn damage_is_endured() {
    let striped = "type = \"striped\"\nstripe_count = 2\nstripe_size = 2\nstripes = [\"pv_a\", 2, \"pv_b\", 4]";
    let volumes = logical("lv", SHOWN, &[(2, &linear('a', 0)), (1, &linear('b', 15))]) + &logical("fast", SHOWN, &[(4, striped)]);
    let text = text("vg", 'G', 1, "ab", &volumes);
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let (good_a, good_b) = (disk('a', &[ring(&text)]), disk('b', &[]));
    for round in 0..3000 {
        let mut changed = text.clone().into_bytes();
        let mut bytes = good_a.clone();
        for _ in 0..=random(3) {
            match round % 3 {
                0 => {
                    let at = random(changed.len());
                    changed[at] = b"0123456789{}[]\"= \n,#a\\\xff\0"[random(24)];
                }
                // Another number in the place of one.
                1 => {
                    let digits: Vec<usize> = changed.iter().enumerate().filter(|(_, b)| b.is_ascii_digit()).map(|(at, _)| at).collect();
                    let at = digits[random(digits.len())];
                    let number = ["0", "1", "18446744073709551615", "4294967296", "9", "36028797018963967"][random(6)];
                    changed.splice(at..=at, number.bytes());
                }
                _ => {
                    let places = [512 + random(200), 4096 + 4 + random(80)];
                    bytes[places[random(2)]] = [0, 1, 0xff, 0x80][random(4)];
                }
            }
        }
        if round % 3 < 2 {
            bytes = disk('a', &[ring(&String::from_utf8_lossy(&changed))]);
        }
        seal_header(&mut bytes, 4096);
        seal_label(&mut bytes);
        let bytes: Bytes = Arc::new(Memory(bytes));
        let Some(first) = physical_volume(&bytes).unwrap() else { continue };
        for group in assemble(vec![first, found(good_b.clone())]) {
            for volume in group.logical_volumes {
                let Ok(bytes) = volume.bytes else { continue };
                assert_eq!(bytes.size(), volume.size);
                let mut at = 0;
                while let Some(range) = bytes.data(at).filter(|_| at < 1 << 20) {
                    assert!(range.start >= at && range.start < range.end && range.end <= bytes.size());
                    at = range.end;
                }
                for at in [0, bytes.size() / 2, bytes.size().saturating_sub(512)] {
                    let len = usize::try_from((bytes.size() - at).min(512)).unwrap();
                    read_vec(&bytes, at, len).unwrap();
                }
            }
        }
    }
    // Every length of a disk that was cut off.
    for len in (0..6000).step_by(7) {
        let cut: Bytes = Arc::new(Overlay::resized(Arc::new(Memory(good_a.clone())), len));
        let volumes: Vec<_> = physical_volume(&cut).unwrap().into_iter().collect();
        assert!(assemble(volumes).iter().flat_map(|group| &group.logical_volumes).all(|volume| volume.bytes.is_err()));
    }
}

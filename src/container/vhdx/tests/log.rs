//! What a replay changes, and what is no log.

use super::*;

/// Whether block 1 is present, which the log of these tests decides.
fn replayed(image: &Image) -> (LogState, bool) {
    let (facts, disk) = open(&image.bytes()).unwrap_or_else(|error| panic!("{error}"));
    (facts.log, disk.data(MIB).is_some_and(|data| data.start < 2 * MIB))
}

/// A ninth MiB with content, for the log to give to block 1.
fn image() -> Image {
    let mut image = Image::new();
    image.size = 8 * MIB;
    image.parts.insert(7 * MIB, vec![0xa1; 4096]);
    image
}

fn there(image: &Image) -> Change {
    bat_sector(image, 1, (7 * MIB) | 6)
}

fn gone(image: &Image) -> Change {
    bat_sector(image, 1, 0)
}

#[test]
fn sectors_and_zeros_are_replayed_and_the_source_stays() {
    let mut image = image();
    image.log(0, 0, 5, &[there(&image), Change::Zero(4 * MIB, 4096)]);
    let (file, before) = (image.bytes(), read_vec(&image.bytes(), 0, 8 << 20).unwrap());
    let (facts, disk) = open(&file).unwrap();
    assert_eq!((facts.log, facts.deviations), (LogState::Replayed { entries: 1, sectors: 2 }, vec![]));
    assert_eq!(read_array(&disk, MIB).unwrap(), [0xa1; 4096]);
    assert_eq!(read_array(&disk, 0).unwrap(), [0; 4096], "zeros over what block 0 held");
    assert!(read_vec(&file, 0, 8 << 20).unwrap() == before);
}

#[test]
fn the_sequence_from_the_newest_tail_counts() {
    let (one, two) = (LogState::Replayed { entries: 1, sectors: 1 }, LogState::Replayed { entries: 2, sectors: 1 });
    // Each is 8192 bytes long.
    let base = image();
    let mut both = base.clone();
    both.log(0, 0, 5, &[gone(&base)]).log(8192, 0, 6, &[there(&base)]);
    assert_eq!(replayed(&both), (two, true), "the later entry wins");
    let mut tail = base.clone();
    tail.log(0, 0, 5, &[there(&base)]).log(8192, 8192, 6, &[Change::Zero(7 * MIB + 65_536, 4096)]);
    assert_eq!(replayed(&tail), (one, false), "what lies before the tail is done");
    let mut wrapped = base.clone();
    wrapped.log(MIB - 4096, MIB - 4096, 9, &[gone(&base)]).log(4096, MIB - 4096, 10, &[there(&base)]);
    assert_eq!(replayed(&wrapped), (two, true), "the ring closes");
    let mut older = base.clone();
    older.log(0, 0, 5, &[there(&base)]).log(65_536, 65_536, 4, &[gone(&base)]);
    assert_eq!(replayed(&older), (one, true), "an older sequence is history");
}

#[test]
fn a_torn_entry_ends_the_sequence() {
    let base = image();
    let mut torn = base.clone();
    torn.log(0, 0, 5, &[there(&base)]).log(8192, 0, 6, &[gone(&base)]).unsealed(LOG + 8192);
    assert_eq!(replayed(&torn), (LogState::Replayed { entries: 1, sectors: 1 }, true));
    let mut lost = base.clone();
    lost.log(0, 0, 5, &[there(&base)]).log(16_384, 0, 7, &[gone(&base)]);
    assert_eq!(replayed(&lost).0, LogState::Replayed { entries: 1, sectors: 1 });
    assert!(lost.facts().deviations[0].message.contains("newer than its active sequence"));
}

#[test]
fn entries_without_changes_are_no_replay() {
    let mut image = image();
    image.log(0, 0, 5, &[]).log(4096, 0, 6, &[]);
    assert_eq!(replayed(&image), (LogState::Empty { entries: 2 }, false));
}

#[test]
fn what_cannot_be_replayed_is_refused_by_name() {
    let cases: &[Case] = &[
        ("expected an active sequence", |i| i.both(HEADERS, 48, &LOG_GUID)),
        ("expected an active sequence", |i| i.log(0, 0, 5, &[]).unsealed(LOG)),
        ("expected an active sequence", |i| i.log(0, 0, 5, &[]).both(HEADERS, 48, &[0x78])),
        ("expected an active sequence", |i| i.log(0, 4096, 5, &[])),
        ("expected an active sequence", |i| i.log(0, 0, 5, &[Change::Zero(HEADERS[0], 4096)])),
        ("expected an active sequence", |i| i.log(0, 0, 5, &[Change::Zero(LOG, 4096)])),
        ("expected an active sequence", |i| i.log(0, 0, 5, &[Change::Zero(4 * MIB + 1, 4096)])),
        ("expected an active sequence", |i| i.log(0, 0, 5, &[Change::Zero(4 * MIB, u64::MAX - 4095)])),
        ("expected an active sequence", |i| i.log(0, 0, 5, &[Change::Data(4 * MIB, vec![9; 4096])]).put(LOG, 4096, b"x")),
        ("expected an active sequence", |i| i.log(0, 0, 5, &[]).put(LOG, 24, &[255; 4])),
        ("expected one newest sequence, found two that end in entry 5", |i| i.log(0, 0, 5, &[]).log(8192, 8192, 5, &[])),
        ("expected a file of at least 9437184 bytes, found 8388608", |i| i.log(0, 0, 5, &[]).put(LOG, 48, &(9 * MIB).to_le_bytes())),
        ("log at byte 1048576: expected changes inside the file", |i| i.log(0, 0, 5, &[Change::Zero(8 * MIB, 4096)])),
        ("a VHDX log that changes more than 65536 sectors", |i| i.log(0, 0, 5, &[Change::Zero(2 * MIB, TIB)])),
        ("a VHDX log of version 1", |i| i.log(0, 0, 5, &[]).both(HEADERS, 64, &[1])),
        ("expected a log inside the file", |i| i.log(0, 0, 5, &[]).both(HEADERS, 72, &(8 * MIB).to_le_bytes())),
        ("expected a log of whole MiB, found 1048577", |i| i.log(0, 0, 5, &[]).both(HEADERS, 68, &[1])),
    ];
    for (n, (expected, corrupt)) in cases.iter().enumerate() {
        let mut image = image();
        corrupt(&mut image);
        let refusal = image.refusal();
        assert!(refusal.contains(expected), "case {n}: expected '{expected}' in '{refusal}'");
        assert_eq!(image.facts().log, LogState::Unknown);
        assert_eq!(image.facts().virtual_size, Some(5 * MIB + 4096), "the rest is learnt from the file as it is");
    }
}

#[test]
fn the_file_grows_to_what_the_log_knows() {
    let mut image = image();
    let sector = bat_sector(&image, 1, (8 * MIB) | 6);
    image.log(0, 0, 5, &[sector]).put(LOG, 56, &(9 * MIB).to_le_bytes());
    let (_, disk) = open(&image.bytes()).unwrap();
    assert_eq!(read_array(&disk, MIB).unwrap(), [0; 4096]);
}

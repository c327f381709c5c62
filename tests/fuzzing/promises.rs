//! What is promised of every disk, and one case through the whole pipeline that holds it to that.

use super::{Dice, Image, Kind, MIB, SECTOR};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use vhdkit::bytes::{Bytes, ReadAt, ReadError, is_zero, read_vec};
use vhdkit::container::{ParentSearch, Source};
use vhdkit::facts::{Fact, Role, State};
use vhdkit::inspect::{self, Inspected, Options};
use vhdkit::prepare::{self, Identity, Plan};
use vhdkit::report::{Checked, Look, json, junit, sarif, text};
use vhdkit::rules::{Check, Outcomes, Profile, RULES, Remedy, Severity, Subject, Target, Verdict, judge};

/// Bytes of data up to which a built disk is read to its end.
const READABLE: u64 = 48 * MIB;

pub fn question(dice: &mut Dice) -> (Option<Role>, Target) {
    let role = dice.pick(&[None, Some(Role::Os), Some(Role::Data), Some(Role::Data)]);
    let target = Target {
        state: dice.pick(&[None, None, Some(State::Generalized), Some(State::Specialized)]),
        profile: dice.pick(&[Profile::Azure, Profile::Marketplace]),
        generation: dice.pick(&[None, None, Some(1), Some(2)]),
        fail_on: dice.pick(&[Severity::Error, Severity::Error, Severity::Warning]),
        kept: std::collections::BTreeSet::new(),
    };
    (role, target)
}

pub fn look_at(file: &Bytes, path: &Path, deep: bool) -> Inspected {
    let search = ParentSearch::default();
    inspect::disk(&Source { file, path, search: &search }, Options { deep }).expect("memory can always be read")
}

/// Judges, and holds the answers against what is promised of every report.
pub fn ask(inspected: &Inspected, role: Option<Role>, target: &Target) -> Outcomes {
    let facts = &inspected.facts;
    let subject = Subject { facts, role: role.map_or_else(|| facts.role.clone(), Fact::Known), lun: None, in_image: false };
    let outcomes = judge(std::slice::from_ref(&subject), target, &[]);
    for rule in RULES.iter().filter(|rule| rule.profile <= target.profile) {
        let disk = matches!(rule.check, Check::Disk(_)).then_some(0);
        let answers = outcomes.outcomes.iter().filter(|outcome| outcome.rule.code == rule.code && outcome.disk == disk).count();
        assert_eq!(answers, 1, "answers of {}", rule.code);
    }
    let checked = Checked { disks: &[facts], outcomes: &outcomes, target, image: None, luns: &[] };
    reports_hold(&checked);
    outcomes
}

/// Judges a disk as a data disk of an image, with a sound one as the disk that it starts from, or the other way around.
pub fn ask_of_two(inspected: &Inspected, sound: &Inspected, first: bool, target: &Target) {
    let pair = if first { [&inspected.facts, &sound.facts] } else { [&sound.facts, &inspected.facts] };
    let roles = [Role::Os, Role::Data].map(Fact::Known);
    let subjects: Vec<Subject<'_>> = (pair.into_iter().zip(roles).zip([None, Some(5)]))
        .map(|((facts, role), lun)| Subject { facts, role, lun, in_image: true })
        .collect();
    let outcomes = judge(&subjects, target, &[]);
    for rule in RULES.iter().filter(|rule| rule.profile <= target.profile) {
        let wanted = if matches!(rule.check, Check::Disk(_)) { 2 } else { 1 };
        assert_eq!(outcomes.outcomes.iter().filter(|outcome| outcome.rule.code == rule.code).count(), wanted, "answers of {}", rule.code);
    }
    reports_hold(&Checked { disks: &pair, outcomes: &outcomes, target, image: None, luns: &[None, Some(5)] });
}

/// Every report of it can be read by whom it is for.
fn reports_hold(checked: &Checked<'_>) {
    let document = json::check(checked).unwrap();
    for unknown in document["disks"].as_array().unwrap().iter().flat_map(|disk| disk["unknown"].as_array().unwrap()) {
        let at = unknown["at"].as_str().unwrap();
        assert_eq!(document.pointer(at), Some(&Value::Null), "{at}");
        assert!(!unknown["reason"].as_str().unwrap().is_empty(), "{at}");
    }
    let parsed: Value = serde_json::from_str(&document.to_string()).unwrap();
    assert_eq!(parsed, document);
    for verbose in [false, true] {
        let look = Look { color: false, width: 80, verbose };
        for told in [text::check(checked, &look), text::inspect(checked.disks, &look)] {
            assert!(!told.chars().any(|c| c.is_control() && c != '\n'), "{told:?}");
        }
    }
    // A part of the cases is enough for what is slow.
    if !crc32fast::hash(document.to_string().as_bytes()).is_multiple_of(4) {
        return;
    }
    sarif_holds(&sarif::check(checked, &[]));
    let page = junit::check(checked, &[]);
    let elements = well_formed(&page);
    assert!(elements > checked.outcomes.outcomes.len(), "{elements} elements: {page}");
}

/// Each result names its rule by code and place, and where it was found by a URI.
fn sarif_holds(log: &Value) {
    assert_eq!(serde_json::from_str::<Value>(&log.to_string()).unwrap(), *log);
    let run = &log["runs"][0];
    for result in run["results"].as_array().unwrap() {
        let place = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(run["tool"]["driver"]["rules"][place]["id"], result["ruleId"]);
        for location in result["locations"].as_array().into_iter().flatten() {
            let Some(uri) = location["physicalLocation"]["artifactLocation"]["uri"].as_str() else { continue };
            assert!(!uri.is_empty() && uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)), "{uri:?}");
        }
    }
}

/// Whether a page is well-formed XML, as far as this writer's own can be: elements nest, values are quoted, entities are known, and
/// every character is one that XML has. Returns how many elements it has.
fn well_formed(page: &str) -> usize {
    let has = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(page.chars().all(has), "{page:?}");
    let (mut open, mut elements): (Vec<&str>, usize) = (vec![], 0);
    let mut rest = page.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("a declaration");
    let entities = |text: &str| {
        for after in text.split('&').skip(1) {
            let name = after.split_once(';').expect("an entity ends").0;
            assert!(matches!(name, "amp" | "lt" | "gt" | "quot" | "apos") || name.starts_with('#'), "&{name};");
        }
    };
    while let Some((before, after)) = rest.split_once('<') {
        entities(before);
        assert!(!open.is_empty() || before.trim().is_empty(), "text outside of the root: {before:?}");
        // `>` may stand in a value.
        let mut quoted = false;
        let end = after
            .find(|c: char| {
                quoted ^= c == '"';
                c == '>' && !quoted
            })
            .expect("a tag ends");
        let (tag, left) = after.split_at(end);
        rest = left.strip_prefix('>').unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        let (name, attributes) = tag.split_once([' ', '\n']).unwrap_or((tag.trim_end_matches('/'), ""));
        elements += 1;
        for (number, part) in attributes.trim_end_matches('/').split('"').enumerate() {
            assert!(number % 2 == 1 || part.trim().is_empty() || part.ends_with('='), "{tag:?}");
            assert!(!part.contains('<'), "{tag:?}");
            entities(part);
        }
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} is open, and {rest:?} is left");
    elements
}

/// What Azure asks of the file, without a line of vhdkit's.
fn is_what_azure_takes(image: &Image) -> bool {
    let foot = image.get(image.size.saturating_sub(SECTOR), 512);
    let size = u64::from_be_bytes(foot[48..56].try_into().unwrap());
    let mut bare = foot.clone();
    bare[64..68].fill(0);
    foot.starts_with(b"conectix")
        && foot[60..64] == [0, 0, 0, 2]
        && size.is_multiple_of(MIB)
        && size >= 20 * MIB
        && image.size == size + SECTOR
        && foot[64..68] == vhd_sum(&bare).to_be_bytes()
}

/// Ranges with data, of at most `READABLE` bytes in all.
pub fn data_of(bytes: &dyn ReadAt) -> Option<Vec<Range<u64>>> {
    let (mut out, mut from, mut total): (Vec<Range<u64>>, _, _) = (vec![], 0, 0);
    while let Some(range) = bytes.data(from) {
        assert!(range.start >= from && range.start < range.end && range.end <= bytes.size(), "{range:?} from {from}");
        total += range.end - range.start;
        if total > READABLE || out.len() > 100_000 {
            return None;
        }
        from = range.end;
        out.push(range);
    }
    Some(out)
}

/// All that is not zero, sector by sector.
pub fn content(bytes: &dyn ReadAt, ranges: &[Range<u64>]) -> Result<BTreeMap<u64, Vec<u8>>, ReadError> {
    let mut out: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for range in ranges {
        let mut at = range.start / SECTOR * SECTOR;
        while at < range.end {
            let step = (range.end - at).min(MIB).next_multiple_of(SECTOR).min(bytes.size() - at);
            let part = read_vec(bytes, at, step as usize)?;
            for (place, sector) in (at..).step_by(512).zip(part.chunks(512)).filter(|(_, sector)| !is_zero(sector)) {
                let mut sector = sector.to_vec();
                sector.resize(512, 0);
                out.insert(place, sector);
            }
            at += step;
        }
    }
    Ok(out)
}

/// Holes are zeros, wherever one looks.
pub fn holes_are_zero(bytes: &dyn ReadAt, ranges: &[Range<u64>], dice: &mut Dice) {
    for _ in 0..4 {
        let len = (dice.below(8192) + 1).min(bytes.size());
        let at = dice.below(bytes.size() - len + 1);
        let Ok(part) = read_vec(bytes, at, len as usize) else { continue };
        for (place, byte) in (at..).zip(part) {
            assert!(byte == 0 || ranges.iter().any(|range| range.contains(&place)), "byte {place} lies in a hole and is {byte:#x}");
        }
    }
}

fn build(plan: &Plan, file: &Bytes, inspected: &Inspected, identity: &Identity) -> Result<Bytes, String> {
    prepare::build(plan, file, &inspected.container, inspected.table.as_ref(), identity, &prepare::Changed::default())
        .map_err(|error| error.to_string())
}

/// One case through the whole pipeline. Returns what became of it.
pub fn run(kind: &Kind, image: Image, dice: &mut Dice) -> &'static str {
    let (role, target) = question(dice);
    let plain = image.clone();
    let file: Bytes = Arc::new(image);
    let inspected = look_at(&file, &kind.path, dice.one_in(8));
    let before = ask(&inspected, role, &target);
    if dice.one_in(4) {
        let sound = look_at(&(Arc::new(kind.image.clone()) as Bytes), &kind.path, false);
        ask_of_two(&inspected, &sound, dice.one_in(2), &target);
    }
    let verdict = before.verdict(&target, None);
    if verdict == Verdict::Ready && target.fail_on <= Severity::Error {
        assert!(is_what_azure_takes(&plain), "ready, but not what Azure takes");
    }
    if let Ok(disk) = &inspected.container.disk
        && disk.size() > 0
        && let Some(ranges) = data_of(&**disk)
    {
        holes_are_zero(&**disk, &ranges, dice);
    }
    let blocked = !prepare::blockers(before.findings.iter(), target.fail_on, &[]).is_empty();
    let undecided = before.undecided_errors().next().is_some();
    let Ok(identity) = Identity::of(&inspected.container, "out.vhd") else {
        assert!(blocked || undecided, "the start of the disk cannot be read, and nothing says so");
        return "no identity";
    };
    let id = identity.unique_id.to_string();
    let Ok(plan) = prepare::plan(&inspected.facts, &id, before.findings.iter(), None) else {
        assert!(blocked || undecided, "there is no plan, and nothing says why");
        return "no plan";
    };
    if blocked || undecided {
        return if blocked { "blocked" } else { "undecided" };
    }
    let built = build(&plan, &file, &inspected, &identity).unwrap_or_else(|error| {
        panic!("prepare has no objection to {plan:?}, but cannot build: {error}; {:?}", inspected.facts.partition_table)
    });
    let planned = look_at(&built, Path::new("out.vhd"), false);
    let after = ask(&planned, role.or(inspected.facts.role.value().copied()), &target);
    let left: Vec<_> = after.findings.iter().filter(|found| matches!(found.finding.remedy, Remedy::Prepare(_))).collect();
    assert!(left.is_empty(), "the plan {plan:?} left {left:?}");
    let again = prepare::plan(&planned.facts, &id, after.findings.iter(), None).unwrap();
    assert!(again.is_empty(), "a second run would {:?}", again.steps);
    assert_eq!(built.size(), plan.size + if plan.is_empty() { built.size() - plan.size } else { SECTOR });

    let Some(ranges) = data_of(&*built) else { return "too much to read" };
    let bytes = content(&*built, &ranges).unwrap_or_else(|error| panic!("prepare has no objection, but cannot read: {error}"));
    let twin = build(&plan, &file, &inspected, &identity).unwrap();
    assert!(bytes == content(&*twin, &data_of(&*twin).unwrap()).unwrap(), "built twice, and not the same");
    let disk = inspected.container.disk.as_ref().unwrap();
    let source = content(&**disk, &data_of(&**disk).unwrap()).unwrap();
    let table = plan.steps.iter().any(|step| matches!(step, prepare::Step::RebuildGpt { .. }));
    if !table {
        let payload: BTreeMap<u64, Vec<u8>> = bytes.into_iter().filter(|(at, _)| *at < plan.size).collect();
        assert!(payload == source, "the written disk is not the disk of the source");
    }
    if plan.is_empty() { "ready" } else { "prepared" }
}

fn vhd_sum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)))
}

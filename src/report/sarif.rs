//! For code scanners: SARIF 2.1.0, one run.
//!
//! Every rule stands in `tool.driver.rules`, whether it found something or not; those of a profile that was not asked are not enabled.
//! A disk is an artifact of the host; what stands inside a guest is a logical location, never a path of the host.

use super::{Checked, Unopened, waiver_told};
use crate::rules::{Found, Outcome, Place, RULES, Rule, Severity, Skip, Verdict, WaiverState};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Where the schema stands.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// `check`.
#[must_use]
pub fn check(checked: &Checked<'_>, unopened: &[Unopened]) -> Value {
    let rules: Vec<&Rule> = RULES.iter().copied().collect();
    let artifacts: Vec<Value> = checked
        .disks
        .iter()
        .map(|disk| json!({ "location": { "uri": uri(&disk.path) }, "length": disk.file_size, "roles": ["analysisTarget"] }))
        .collect();
    let mut seen = BTreeMap::new();
    let results: Vec<Value> = checked.outcomes.findings.iter().map(|found| result(found, checked, &rules, &mut seen)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "vhdkit",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|rule| descriptor(rule, checked)).collect::<Vec<_>>(),
            }},
            "invocations": [invocation(checked, unopened, &rules)],
            "artifacts": artifacts,
            "results": results,
            "properties": {
                "verdict": if checked.disks.is_empty() { None } else { Some(checked.verdict().as_str()) },
                "profile": checked.target.profile,
                "imageKind": checked.image,
            },
        }],
    })
}

/// A rule, as viewers show it.
fn descriptor(rule: &Rule, checked: &Checked<'_>) -> Value {
    let mut properties = json!({
        "requirement": rule.requirement,
        "requirements": rule.rows().collect::<Vec<_>>(),
        "profile": rule.profile,
        "appliesTo": rule.applies_to,
        "tags": ["azure", rule.family()],
    });
    if let (Some(text), Value::Object(bag)) = (rule.azure_error, &mut properties) {
        bag.insert("azureError".to_owned(), json!(text));
    }
    json!({
        "id": rule.code,
        "name": rule.name,
        "shortDescription": { "text": rule.summary },
        "fullDescription": { "text": full_description(rule) },
        "help": { "text": plain(rule.docs), "markdown": rule.docs },
        "helpUri": rule.source,
        "defaultConfiguration": {
            "enabled": rule.profile <= checked.target.profile,
            "level": level(rule.severity_in(checked.target.profile)),
        },
        "properties": properties,
    })
}

/// What the rule's page says that it checks, as one paragraph.
fn full_description(rule: &Rule) -> String {
    let lines = rule.docs.lines().skip(1).map(str::trim).skip_while(|line| line.is_empty());
    let first: Vec<&str> = lines.take_while(|line| !line.is_empty() && !line.starts_with('#')).collect();
    if first.is_empty() { rule.summary.to_owned() } else { first.join(" ").replace(['`', '*'], "") }
}

/// Markdown without its marks.
fn plain(markdown: &str) -> String {
    let line = |line: &str| line.trim_start_matches('#').trim_end().replace(['`', '*'], "");
    let lines: Vec<String> = markdown.lines().filter(|one| !one.trim_start().starts_with("```")).map(line).collect();
    lines.iter().map(|line| line.strip_prefix(' ').filter(|rest| !rest.starts_with(' ')).unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn result(found: &Found, checked: &Checked<'_>, rules: &[&Rule], seen: &mut BTreeMap<String, usize>) -> Value {
    let finding = &found.finding;
    let mut result = json!({
        "ruleId": found.rule.code,
        "kind": "fail",
        "level": level(found.severity),
        "message": { "text": message(found) },
        "locations": locations(found, checked),
        "partialFingerprints": { "vhdkit/v1": fingerprint(found, checked, seen) },
        "properties": {
            "actual": finding.actual,
            "required": finding.required,
            "remedy": finding.remedy.text(),
            "remedyBy": finding.remedy.by(),
            "azureError": found.rule.azure_error,
        },
    });
    if let Value::Object(bag) = &mut result {
        if let Some(index) = rules.iter().position(|rule| rule.code == found.rule.code) {
            bag.insert("ruleIndex".to_owned(), json!(index));
        }
        if let Some(reason) = &found.waived {
            let suppression = json!({ "kind": "external", "status": "accepted", "justification": reason });
            bag.insert("suppressions".to_owned(), json!([suppression]));
        }
    }
    result
}

/// The finding in sentences, its cure last: many viewers show nothing else.
fn message(found: &Found) -> String {
    let finding = &found.finding;
    let mut text = format!("{}.", finding.message.trim_end_matches('.'));
    let at = match &finding.place {
        Some(Place::File { path, line: Some(line) }) => Some(format!("{path}, line {line}")),
        Some(Place::File { path, line: None }) => Some(path.clone()),
        Some(Place::Registry(value)) => Some(value.clone()),
        Some(Place::Bytes { .. }) | None => None,
    };
    let parts = [
        ("At", at),
        ("Found", Some(finding.actual.clone())),
        ("Needed", Some(finding.required.clone())),
        ("Cure", Some(finding.remedy.text())),
    ];
    for (word, part) in parts {
        if let Some(part) = part.filter(|part| !part.is_empty()) {
            text.push_str(&format!(" {word}: {part}."));
        }
    }
    text
}

/// The disk with the place in it; for a finding on the image, every disk of it.
fn locations(found: &Found, checked: &Checked<'_>) -> Value {
    let disks = checked.disks.iter().enumerate().filter(|(place, _)| found.disk.is_none_or(|disk| disk == *place));
    let location = |(index, path): (usize, &str)| {
        let mut physical = json!({ "artifactLocation": { "uri": uri(path), "index": index } });
        let mut location = Map::new();
        match &found.finding.place {
            Some(Place::Bytes { offset, length }) => {
                if let Value::Object(bag) = &mut physical {
                    bag.insert("region".to_owned(), json!({ "byteOffset": offset, "byteLength": length }));
                }
            }
            Some(Place::File { path, line }) => {
                let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path);
                let mut logical = json!({ "name": name, "fullyQualifiedName": path, "kind": "resource" });
                if let (Some(line), Value::Object(bag)) = (line, &mut logical) {
                    bag.insert("properties".to_owned(), json!({ "line": line }));
                }
                location.insert("logicalLocations".to_owned(), json!([logical]));
            }
            Some(Place::Registry(value)) => {
                let name = value.rsplit('\\').find(|part| !part.is_empty()).unwrap_or(value);
                location.insert("logicalLocations".to_owned(), json!([{ "name": name, "fullyQualifiedName": value, "kind": "value" }]));
            }
            None => {}
        }
        location.insert("physicalLocation".to_owned(), physical);
        Value::Object(location)
    };
    disks.map(|(index, disk)| location((index, &disk.path))).collect()
}

/// What stays the same when sizes and lines move: the rule, the place by its name, and which of several it is on its disk.
fn fingerprint(found: &Found, checked: &Checked<'_>, seen: &mut BTreeMap<String, usize>) -> String {
    let place = match &found.finding.place {
        Some(Place::Bytes { .. }) => "bytes",
        Some(Place::File { path, .. }) => path,
        Some(Place::Registry(value)) => value,
        None => "",
    };
    let role = match found.disk {
        // Disks of one image are told apart by their place in it, others by their path, which viewers add by themselves.
        Some(disk) if checked.image == Some("vm-image") => format!("disk {disk}"),
        Some(_) => "disk".to_owned(),
        None => "image".to_owned(),
    };
    let key = format!("{}|{role}|{place}", found.rule.code);
    let number = seen.entry(format!("{:?}|{key}", found.disk)).or_default();
    *number = number.saturating_add(1);
    format!("{key}|{number}")
}

fn invocation(checked: &Checked<'_>, unopened: &[Unopened], rules: &[&Rule]) -> Value {
    let associated = |code: &str| {
        let index = rules.iter().position(|rule| rule.code == code);
        match index {
            Some(index) => json!({ "id": code, "index": index }),
            None => json!({ "id": code }),
        }
    };
    let undecided = checked.outcomes.undecided_errors().map(|outcome| undecided(outcome, checked, &associated));
    let unopened_notes = unopened.iter().map(|disk| {
        json!({
            "level": "error",
            "descriptor": { "id": "unopened" },
            "message": { "text": disk.reason },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(&disk.path) } } }],
        })
    });
    let expired = checked.outcomes.waivers.iter().filter(|waiver| waiver.state == WaiverState::Expired).map(|waiver| {
        json!({
            "level": "warning",
            "descriptor": { "id": "waiver-expired" },
            "message": { "text": format!("{}.", waiver_told(waiver)) },
            "associatedRule": associated(&waiver.code),
        })
    });
    let status = match checked.verdict() {
        _ if !unopened.is_empty() => 2,
        Verdict::Ready => 0,
        Verdict::Undecided | Verdict::NotReady => 1,
    };
    json!({
        "executionSuccessful": unopened.is_empty(),
        "exitCode": status,
        "toolExecutionNotifications": undecided.chain(unopened_notes).collect::<Vec<_>>(),
        "toolConfigurationNotifications": expired.collect::<Vec<_>>(),
    })
}

/// An error rule that gave no answer: silence is not a pass.
fn undecided(outcome: &Outcome, checked: &Checked<'_>, associated: &dyn Fn(&str) -> Value) -> Value {
    let reason = match &outcome.result {
        Err(Skip::Undecided(reason)) => reason.as_str(),
        _ => "",
    };
    let disk = outcome.disk.and_then(|place| Some((place, checked.disks.get(place)?)));
    let mut note = json!({
        "level": "warning",
        "descriptor": { "id": "undecided" },
        "message": { "text": format!("{} {} could not be decided: {reason}.", outcome.rule.code, outcome.rule.name) },
        "associatedRule": associated(outcome.rule.code),
    });
    if let (Some((index, disk)), Value::Object(bag)) = (disk, &mut note) {
        let artifact = json!({ "uri": uri(&disk.path), "index": index });
        bag.insert("locations".to_owned(), json!([{ "physicalLocation": { "artifactLocation": artifact } }]));
    }
    note
}

/// A path of the host as a URI: relative where it was given so.
fn uri(path: &str) -> String {
    let windows = path.as_bytes().get(1) == Some(&b':') && path.as_bytes().get(2).is_some_and(|byte| matches!(byte, b'\\' | b'/'));
    if windows {
        return format!("file:///{}", encoded(&path.replace('\\', "/")));
    }
    if path.starts_with('/') {
        return format!("file://{}", encoded(path));
    }
    // A colon before the first slash would be read as a scheme's.
    let scheme = path.split('/').next().is_some_and(|first| first.contains(':'));
    format!("{}{}", if scheme { "./" } else { "" }, encoded(path))
}

/// Percent-encoded, but for what a path may hold (RFC 3986, `pchar` and `/`).
fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::text::sample;
    use super::*;
    use crate::facts::DiskFacts;
    use crate::rules::{Finding, Outcomes, Profile, Remedy, Target, Waiver};

    const TARGET: Target = Target {
        state: None,
        profile: Profile::Azure,
        generation: None,
        fail_on: Severity::Error,
        kept: std::collections::BTreeSet::new(),
    };

    fn document(facts: &DiskFacts, outcomes: &Outcomes) -> Value {
        check(&Checked { disks: &[facts], outcomes, target: &TARGET, image: None, luns: &[] }, &[])
    }

    #[test]
    fn paths_become_uris() {
        for (path, wanted) in [
            ("disk.vhd", "disk.vhd"),
            ("out/my disk.vhd", "out/my%20disk.vhd"),
            ("../a#b?c%.vhd", "../a%23b%3Fc%25.vhd"),
            ("c:d/e.vhd", "./c:d/e.vhd"),
            ("/srv/grün.vhd", "file:///srv/gr%C3%BCn.vhd"),
            ("C:\\vm\\a b.vhd", "file:///C:/vm/a%20b.vhd"),
            ("a\nb\u{1b}", "a%0Ab%1B"),
        ] {
            assert_eq!(uri(path), wanted, "{path}");
        }
    }

    #[test]
    fn a_clean_run_lists_every_rule() {
        for (profile, number) in
            [(Profile::Azure, RULES.iter().filter(|rule| rule.profile == Profile::Azure).count()), (Profile::Marketplace, RULES.len())]
        {
            let (facts, outcomes, target) = (sample::disk(), Outcomes::default(), Target { profile, ..TARGET });
            let document = check(&Checked { disks: &[&facts], outcomes: &outcomes, target: &target, image: None, luns: &[] }, &[]);
            let run = &document["runs"][0];
            let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
            let enabled = rules.iter().filter(|rule| rule["defaultConfiguration"]["enabled"] == true).count();
            assert_eq!((rules.len(), enabled), (RULES.len(), number));
            assert_eq!(run["results"], json!([]));
            assert_eq!(run["invocations"][0]["executionSuccessful"], true);
            assert_eq!(run["invocations"][0]["exitCode"], 0);
            for rule in run["tool"]["driver"]["rules"].as_array().unwrap() {
                for key in ["shortDescription", "fullDescription", "help"] {
                    assert!(rule[key]["text"].as_str().unwrap().len() > 10, "{rule}");
                }
                assert!(!rule["help"]["text"].as_str().unwrap().contains("##"), "{rule}");
            }
        }
    }

    #[test]
    fn a_guests_path_is_a_logical_location() {
        let (facts, outcomes) = (sample::disk(), sample::hard());
        let document = document(&facts, &outcomes);
        let results = document["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), outcomes.findings.len());
        let waived = results.iter().find(|result| !result["suppressions"].is_null()).unwrap();
        assert_eq!(waived["suppressions"], json!([{ "kind": "external", "status": "accepted", "justification": "known" }]));
        let location = &waived["locations"][0];
        assert_eq!(
            location["logicalLocations"],
            json!([{ "name": "fstab", "fullyQualifiedName": "/etc/fstab", "kind": "resource", "properties": { "line": 7 } }])
        );
        assert_eq!(location["physicalLocation"], json!({ "artifactLocation": { "uri": "disk.vhd", "index": 0 } }));
        let bytes = &results[0]["locations"][0]["physicalLocation"]["region"];
        assert_eq!(*bytes, json!({ "byteOffset": 1_258_353_724_u64, "byteLength": 4 }));
        let notes = document["runs"][0]["invocations"][0]["toolExecutionNotifications"].as_array().unwrap();
        assert_eq!(notes.len(), 1);
        assert_eq!(notes[0]["message"]["text"], "LNX030 no-agent could not be decided: file systems are not read by this version.");
    }

    #[test]
    fn fingerprints_do_not_move_with_offsets_and_lines() {
        let facts = sample::disk();
        let prints = |change: fn(&mut Finding)| -> Vec<Value> {
            let mut outcomes = sample::hard();
            outcomes.findings.push(sample::found(&sample::BOOT, Remedy::hand("again")));
            outcomes.findings.iter_mut().for_each(|found| change(&mut found.finding));
            let document = document(&facts, &outcomes);
            document["runs"][0]["results"].as_array().unwrap().iter().map(|result| result["partialFingerprints"].clone()).collect()
        };
        let before = prints(|_| {});
        let after = prints(|finding| match &mut finding.place {
            Some(Place::Bytes { offset, .. }) => *offset += 512,
            Some(Place::File { line, .. }) => *line = Some(9),
            _ => finding.actual.push('x'),
        });
        assert_eq!(before, after);
        let distinct: std::collections::BTreeSet<String> = before.iter().map(Value::to_string).collect();
        assert_eq!(distinct.len(), before.len(), "{before:?}");
    }

    #[test]
    fn what_could_not_be_opened_and_what_has_expired_is_told() {
        let facts = sample::disk();
        let outcomes = Outcomes {
            waivers: vec![Waiver {
                code: "VHD003".to_owned(),
                reason: "old".to_owned(),
                expires: Some("2020-01-01".to_owned()),
                state: WaiverState::Expired,
                source: Some("vhdkit.toml:3".to_owned()),
            }],
            ..Outcomes::default()
        };
        let gone = Unopened { path: "gone.vhd".to_owned(), reason: "cannot open 'gone.vhd'".to_owned() };
        let document = check(&Checked { disks: &[&facts], outcomes: &outcomes, target: &TARGET, image: None, luns: &[] }, &[gone]);
        let invocation = &document["runs"][0]["invocations"][0];
        assert_eq!((&invocation["executionSuccessful"], &invocation["exitCode"]), (&json!(false), &json!(2)));
        assert_eq!(invocation["toolExecutionNotifications"][0]["level"], "error");
        let told = invocation["toolConfigurationNotifications"][0]["message"]["text"].as_str().unwrap();
        assert!(told.contains("VHD003") && told.contains("2020-01-01"), "{told}");
    }
}

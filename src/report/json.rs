//! For programs: the documents of the contract.

use super::{Checked, Generalization, Prepared, Stage, Summary, Unopened, VerifiedImage};
use crate::bytes::{printable, printable_json};
use crate::facts::{DiskFacts, json};
use crate::generalize::Operation;
use crate::prepare::action;
use crate::rules::{Found, Place, Rule, Skip};
use crate::trim::Trimmed;
use serde_json::{Map, Value, json};

/// Why a document could not be made; none of our values can cause it.
pub type Error = serde_json::Error;

/// `inspect`.
///
/// # Errors
///
/// None in practice.
pub fn inspect(disks: &[&DiskFacts]) -> Result<Value, Error> {
    let mut document = json::head();
    document.insert("disks".to_owned(), disks_of(disks)?);
    Ok(Value::Object(document))
}

/// Disks with their unknown facts listed in each.
fn disks_of(disks: &[&DiskFacts]) -> Result<Value, Error> {
    let mut out = Vec::new();
    for (place, facts) in disks.iter().enumerate() {
        let (mut value, unknown) = json::split(facts, &format!("/disks/{place}"))?;
        if let Value::Object(disk) = &mut value {
            disk.insert("unknown".to_owned(), Value::Array(unknown));
        }
        out.push(value);
    }
    Ok(Value::Array(out))
}

/// `check`.
///
/// # Errors
///
/// None in practice.
pub fn check(checked: &Checked<'_>) -> Result<Value, Error> {
    let mut document = json::head();
    insert_checked(&mut document, checked)?;
    Ok(Value::Object(document))
}

fn insert_checked(document: &mut Map<String, Value>, checked: &Checked<'_>) -> Result<(), Error> {
    let target = checked.target;
    let asked = json!({
        "as": target.state.map(|state| state.to_string()),
        "profile": target.profile,
        "generation": target.generation,
        "fail_on": target.fail_on,
    });
    document.insert("target".to_owned(), asked);
    document.insert("verdict".to_owned(), json!(checked.verdict().as_str()));
    document.insert("image".to_owned(), json!({ "kind": checked.image }));
    let mut disks = disks_of(checked.disks)?;
    for (disk, lun) in disks.as_array_mut().into_iter().flatten().zip(checked.luns) {
        if let Value::Object(disk) = disk {
            disk.insert("lun".to_owned(), json!(lun));
        }
    }
    document.insert("disks".to_owned(), disks);
    document.insert("findings".to_owned(), checked.outcomes.findings.iter().map(finding).collect());
    document.insert("rules".to_owned(), outcomes(checked));
    document.insert("waivers".to_owned(), serde_json::to_value(&checked.outcomes.waivers)?);
    Ok(())
}

fn finding(found: &Found) -> Value {
    let place = found.finding.place.as_ref().map(|place| match place {
        Place::Bytes { offset, length } => json!({ "offset": offset, "length": length }),
        Place::File { path, line } => json!({ "path": path, "line": line }),
        Place::Registry(value) => json!({ "registry": value }),
    });
    json!({
        "code": found.rule.code,
        "rule": found.rule.name,
        "requirement": found.rule.requirement,
        "also": found.rule.also,
        "severity": found.severity,
        "disk": found.disk,
        "message": found.finding.message,
        "actual": found.finding.actual,
        "required": found.finding.required,
        "place": place,
        "azure_error": found.rule.azure_error,
        "remedy": { "by": found.finding.remedy.by(), "text": found.finding.remedy.text(), "steps": found.finding.remedy.steps() },
        "waived": found.waived,
    })
}

fn outcomes(checked: &Checked<'_>) -> Value {
    let one = |outcome: &crate::rules::Outcome| {
        let (word, reason) = match &outcome.result {
            Ok(0) => ("pass", None),
            Ok(_) => ("finding", None),
            Err(Skip::NotApplicable(reason)) => ("not_applicable", Some(reason)),
            Err(Skip::Undecided(reason)) => ("undecided", Some(reason)),
        };
        json!({ "code": outcome.rule.code, "outcome": word, "disk": outcome.disk, "reason": reason })
    };
    checked.outcomes.outcomes.iter().map(one).collect()
}

/// A line of JSON: a document without spaces between its parts.
///
/// # Errors
///
/// None in practice.
pub fn line(document: &Value) -> Result<String, Error> {
    serde_json::to_string(document).map(|text| printable_json(&text) + "\n")
}

/// The line of a disk that could not be opened.
#[must_use]
pub fn unopened(disk: &Unopened) -> Value {
    let mut document = json::head();
    document.insert("error".to_owned(), json!({ "path": printable(&disk.path), "message": printable(&disk.reason) }));
    Value::Object(document)
}

/// The last line of `check`: how many disks came to which verdict, and the exit status.
#[must_use]
pub fn check_summary(summary: &Summary, status: u8) -> Value {
    let counts = json!({
        "disks": summary.disks(),
        "ready": summary.ready,
        "not_ready": summary.not_ready,
        "undecided": summary.undecided,
        "unreadable": summary.unreadable,
        "status": status,
    });
    let mut document = json::head();
    document.insert("summary".to_owned(), counts);
    Value::Object(document)
}

/// The last line of `inspect`.
#[must_use]
pub fn inspect_summary(read: usize, unreadable: usize, status: u8) -> Value {
    let mut document = json::head();
    let counts = json!({ "disks": read.saturating_add(unreadable), "read": read, "unreadable": unreadable, "status": status });
    document.insert("summary".to_owned(), counts);
    Value::Object(document)
}

/// `prepare`: as `check`, then the plan, and the manifest where one was written.
///
/// # Errors
///
/// None in practice.
pub fn prepare(prepared: &Prepared<'_>) -> Result<Value, Error> {
    let mut document = json::head();
    insert_checked(&mut document, &prepared.checked)?;
    let plans: Vec<Value> = prepared
        .disks
        .iter()
        .map(|disk| {
            json!({
                "source": disk.source.path,
                "output": disk.output,
                "virtual_size": disk.plan.map(|plan| plan.size),
                "steps": disk.plan.map(|plan| &plan.steps),
            })
        })
        .collect();
    document.insert("plan".to_owned(), Value::Array(plans));
    let generalization = prepared.generalization.as_ref().map(|one| Value::Object(generalization(one).into_iter().collect()));
    document.insert("generalize".to_owned(), json!(generalization));
    document.insert("trim".to_owned(), trimmed(prepared.trimmed));
    let (stage, blocked_by, planned, manifest) = match &prepared.stage {
        Stage::NotGeneralized => ("not-generalized", Value::Array(vec![]), Value::Null, Value::Null),
        Stage::DryRun => ("dry-run", Value::Array(vec![]), Value::Null, Value::Null),
        Stage::Blocked(found) => ("blocked", found.iter().map(|found| finding(found)).collect(), Value::Null, Value::Null),
        Stage::Undecided => ("undecided", undecided(&prepared.checked), Value::Null, Value::Null),
        Stage::NotCured(checked) => {
            ("not-cured", checked.outcomes.findings.iter().map(finding).collect(), json!(checked.verdict().as_str()), Value::Null)
        }
        Stage::Written { manifest, .. } => ("written", Value::Array(vec![]), json!(manifest.verdict), serde_json::to_value(manifest)?),
    };
    document.insert("stage".to_owned(), json!(stage));
    document.insert("blocked_by".to_owned(), blocked_by);
    document.insert("planned_verdict".to_owned(), planned);
    document.insert("manifest".to_owned(), manifest);
    Ok(Value::Object(document))
}

fn undecided(checked: &Checked<'_>) -> Value {
    let one = |outcome: &crate::rules::Outcome| match &outcome.result {
        Err(Skip::Undecided(reason)) => json!({ "code": outcome.rule.code, "disk": outcome.disk, "reason": reason }),
        _ => Value::Null,
    };
    checked.outcomes.undecided_errors().map(one).collect()
}

/// `generalize`.
#[must_use]
pub fn generalize(generalized: &Generalization<'_>, trim: &[Trimmed]) -> Value {
    let mut document = json::head();
    document.insert("disk".to_owned(), json!(printable(generalized.disk)));
    let [operations, problems, remaining, in_guest, verdict] = generalization(generalized);
    document.extend([operations, problems, remaining, in_guest, ("trim".to_owned(), trimmed(trim)), verdict]);
    Value::Object(document)
}

fn generalization(one: &Generalization<'_>) -> [(String, Value); 5] {
    let change = |change: &crate::generalize::Change| {
        let (action, names) = action(change.action);
        json!({ "path": printable(&change.path), "action": action, "names": names, "why": printable(&change.why) })
    };
    let operations = one.operations().map(|(operation, done)| {
        let changes: Vec<Value> = one.changes(operation.name).map(change).collect();
        json!({ "name": operation.name, "requirement": operation.requirement, "done": done, "changes": changes })
    });
    let all = |list: &[String]| list.iter().map(|text| printable(text)).collect::<Vec<String>>();
    let problems = one.planned.problems.iter().map(|problem| {
        json!({
            "operation": problem.operation,
            "requirement": problem.requirement,
            "message": printable(&problem.message),
            "remedies": all(&problem.remedies),
        })
    });
    let remaining = one
        .planned
        .remaining
        .iter()
        .map(|left| json!({ "operation": left.operation, "message": printable(&left.message), "commands": all(&left.commands) }));
    let in_guest = one.in_guest.map(|guest| json!({ "why": printable(&guest.why), "steps": all(&guest.steps) }));
    [
        ("operations".to_owned(), operations.collect()),
        ("problems".to_owned(), problems.collect()),
        ("remaining".to_owned(), remaining.collect()),
        ("in_guest".to_owned(), json!(in_guest)),
        ("verdict".to_owned(), json!(one.verdict().as_str())),
    ]
}

fn trimmed(all: &[Trimmed]) -> Value {
    let one = |one: &Trimmed| {
        json!({
            "region": printable(&one.region),
            "kind": one.kind,
            "free_bytes": one.free_bytes,
            "dropped_bytes": one.dropped_bytes,
            "reason": one.free.as_ref().err().map(|reason| printable(reason)),
        })
    };
    all.iter().map(one).collect()
}

/// `generalize --list-operations`.
#[must_use]
pub fn operations(operations: &[&Operation]) -> Value {
    let one =
        |one: &&Operation| json!({ "name": one.name, "default": one.default, "requirement": one.requirement, "summary": one.summary });
    operations.iter().map(one).collect()
}

/// `verify`: as `check`, then what differs from the manifest.
///
/// # Errors
///
/// None in practice.
pub fn verify(verified: &VerifiedImage<'_>) -> Result<Value, Error> {
    let mut document = json::head();
    insert_checked(&mut document, &verified.checked)?;
    document.insert("manifest".to_owned(), serde_json::to_value(verified.manifest)?);
    document.insert("mismatches".to_owned(), json!(verified.mismatches));
    let digests: Vec<Value> = verified.digests.iter().map(|(file, name)| json!({ "file": file, "digest": name })).collect();
    document.insert("digests_verified".to_owned(), Value::Array(digests));
    Ok(Value::Object(document))
}

/// `rules`.
#[must_use]
pub fn rules(rules: &[&Rule]) -> Value {
    rules
        .iter()
        .map(|rule| {
            json!({
                "code": rule.code,
                "rule": rule.name,
                "requirement": rule.requirement,
                "also": rule.also,
                "severity": rule.severity,
                "profile": rule.profile,
                "applies_to": rule.applies_to,
                "summary": rule.summary,
                "source": rule.source,
            })
        })
        .collect()
}

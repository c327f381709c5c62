//! What may be said of a disk that could not be read in some place, held against what is said of it when it can.
//!
//! A fact is the same, or it is unknown. A rule answers the same, or it is undecided. A finding is one of those that there were, or it says
//! itself that something could not be read. So nothing is taken for absent, and nothing for well, because of a read that failed.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What an error of the host says: EIO and EMFILE in words, and what is made of a file that shrank.
pub const WORDS: [&str; 4] = ["Input/output error", "os error 5", "os error 24", "cannot be read"];

/// Keys that speak of other facts, and follow from them; and what the host's file system is asked for alone: where it does not say what is a
/// hole, all counts as data.
const FOLLOW: [&str; 5] = ["unknown", "role_evidence", "advice", "path", "allocated_size"];

/// Whether a text says that something could not be read.
pub fn tells_of_a_fault(text: &str) -> bool {
    WORDS.iter().any(|words| text.contains(words))
}

/// Everything that the report of a run with a fault says, and the report of the run without contradicts.
pub fn lies(healthy: &Value, faulty: &Value) -> Vec<String> {
    let mut lies = Vec::new();
    let empty = Vec::new();
    let disks = |document: &'_ Value| document["disks"].as_array().cloned().unwrap_or_default();
    let (before, after) = (disks(healthy), disks(faulty));
    if before.len() != after.len() {
        lies.push(format!("{} disks became {}", before.len(), after.len()));
    }
    for (place, (before, after)) in before.iter().zip(&after).enumerate() {
        let unknown = after["unknown"].as_array().unwrap_or(&empty).iter();
        let unknown: BTreeSet<&str> = unknown.map(|one| one["at"].as_str().unwrap()).collect();
        facts(&format!("/disks/{place}"), before, after, &unknown, &mut lies);
    }
    let told = findings(healthy);
    let fresh: Vec<&Value> =
        faulty["findings"].as_array().unwrap_or(&empty).iter().filter(|finding| !told.contains(&finding_key(finding))).collect();
    for finding in &fresh {
        if !tells_of_a_fault(&finding.to_string()) {
            lies.push(format!("a finding of its own: {} {}", finding["code"], finding["message"]));
        }
    }
    let (before, after) = (outcomes(healthy), outcomes(faulty));
    for (rule, (outcome, reason)) in &after {
        let Some((was, why)) = before.get(rule) else {
            lies.push(format!("{rule:?} was not asked before"));
            continue;
        };
        let own = fresh.iter().any(|finding| finding["code"].as_str() == Some(&rule.0));
        let good = outcome == was || outcome == "undecided" || (outcome == "finding" && own);
        if !good {
            lies.push(format!("{} was {was} ({why}) and is {outcome} ({reason})", rule.0));
        }
    }
    lies.extend(before.keys().filter(|rule| !after.contains_key(*rule)).map(|rule| format!("{rule:?} is not asked any more")));
    let verdict = |document: &Value| document["verdict"].as_str().unwrap_or_default().to_owned();
    let (was, is) = (verdict(healthy), verdict(faulty));
    let told = is == "not_ready" && !fresh.is_empty();
    if is != was && is != "undecided" && !told {
        lies.push(format!("the verdict was {was} and is {is}"));
    }
    lies
}

/// Facts that differ and are not unknown.
fn facts(at: &str, before: &Value, after: &Value, unknown: &BTreeSet<&str>, lies: &mut Vec<String>) {
    if before == after || unknown.contains(at) || FOLLOW.iter().any(|key| at.ends_with(&format!("/{key}"))) {
        return;
    }
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let of = |object: &serde_json::Map<String, Value>| object.get(key).cloned().unwrap_or_default();
                facts(&format!("{at}/{key}"), &of(before), &of(after), unknown, lies);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (place, (before, after)) in before.iter().zip(after).enumerate() {
                facts(&format!("{at}/{place}"), before, after, unknown, lies);
            }
        }
        // A sentence in the place of a fact, where the fact has a place for it.
        (_, Value::String(text)) if tells_of_a_fault(text) => {}
        _ => {
            let short = |value: &Value| value.to_string().chars().take(160).collect::<String>();
            lies.push(format!("{at} was {} and is {}", short(before), short(after)));
        }
    }
}

fn finding_key(finding: &Value) -> String {
    format!("{} {} {}", finding["code"], finding["disk"], finding["message"])
}

fn findings(document: &Value) -> BTreeSet<String> {
    document["findings"].as_array().into_iter().flatten().map(finding_key).collect()
}

/// By rule and disk: its outcome, and why.
fn outcomes(document: &Value) -> BTreeMap<(String, String), (String, String)> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = document["rules"].as_array().into_iter().flatten();
    all.map(|rule| ((word(&rule["code"]), rule["disk"].to_string()), (word(&rule["outcome"]), word(&rule["reason"])))).collect()
}

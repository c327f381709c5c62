//! Facts as JSON, with what is unknown listed beside them.

use super::fact::UNKNOWN_KEY;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Version of the JSON documents; a change that breaks their readers raises it.
pub const SCHEMA_VERSION: u32 = 1;

/// The first keys of every document: its version and the tool.
#[must_use]
pub fn head() -> Map<String, Value> {
    let mut head = Map::new();
    head.insert("schema_version".to_owned(), json!(SCHEMA_VERSION));
    head.insert("tool".to_owned(), json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") }));
    head
}

/// Serializes facts. Unknown ones become `null`; each is returned with its JSON pointer below `base`, as `{"at", "reason"}`.
///
/// # Errors
///
/// As `serde_json::to_value`; none of our types can fail.
pub fn split<T: Serialize>(facts: &T, base: &str) -> Result<(Value, Vec<Value>), serde_json::Error> {
    let mut value = serde_json::to_value(facts)?;
    let mut unknown = Vec::new();
    extract(&mut value, &mut base.to_owned(), &mut unknown);
    Ok((value, unknown))
}

/// Takes out what is unknown of a value at the pointer `at`, which is grown for its parts and comes back as it was.
fn extract(value: &mut Value, at: &mut String, unknown: &mut Vec<Value>) {
    let here = at.len();
    match value {
        Value::Object(map) => {
            if let Some(reason) = map.remove(UNKNOWN_KEY) {
                unknown.push(json!({ "at": at, "reason": reason }));
                *value = Value::Null;
                return;
            }
            for (key, child) in map {
                at.push('/');
                key.chars().for_each(|c| match c {
                    '~' => at.push_str("~0"),
                    '/' => at.push_str("~1"),
                    other => at.push(other),
                });
                extract(child, at, unknown);
                at.truncate(here);
            }
        }
        Value::Array(items) => {
            for (place, child) in items.iter_mut().enumerate() {
                at.push_str(&format!("/{place}"));
                extract(child, at, unknown);
                at.truncate(here);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fact;
    use super::*;

    #[test]
    fn unknown_becomes_null_with_a_pointer_and_a_reason() {
        #[derive(Serialize)]
        struct Inner {
            a: Fact<u32>,
            b: Fact<u32>,
        }
        #[derive(Serialize)]
        struct Outer {
            list: Vec<Fact<Inner>>,
            none: Fact<u32>,
        }
        let facts = Outer {
            list: vec![Fact::unknown("torn"), Fact::Known(Inner { a: Fact::Known(1), b: Fact::unknown("far") })],
            none: Fact::Absent,
        };
        let (value, unknown) = split(&facts, "/disks/0").unwrap();
        assert_eq!(value, json!({ "list": [null, { "a": 1, "b": null }], "none": null }));
        assert_eq!(unknown, [json!({ "at": "/disks/0/list/0", "reason": "torn" }), json!({ "at": "/disks/0/list/1/b", "reason": "far" })]);
    }
}

//! The registry of a Windows: its hives, opened, and typed questions to them.
//!
//! A key's path begins with the hive it is in (`SYSTEM`, `SOFTWARE`, `SAM`, `SECURITY`), or with `CCS` for the control set that
//! `SYSTEM\Select` names. A value that is not set is absent; one of another type than its readers expect is unknown.

use crate::bytes::{Bytes, printable};
use crate::facts::{Fact, HiveFacts, HivesFacts, Unknown};
use crate::fs::{Error, Tree};
use crate::guest::windows::hive::{Hive, Key, Mode, Recovery, Value};

/// Where the hives are.
const CONFIG: &str = "/Windows/System32/config";
/// Longer texts are not taken into facts; paths of Windows have at most 32767 characters.
const MOST_TEXT: usize = 32 << 10;
/// Texts of a value at most.
const MOST_TEXTS: usize = 4096;

/// A hive, or why it cannot be read.
#[derive(Debug)]
struct Source {
    name: &'static str,
    hive: Result<Hive, Unknown>,
    /// Logs that could not be read.
    troubles: Vec<String>,
}

/// The hives of a Windows.
#[derive(Debug)]
pub(super) struct Registry {
    system: Source,
    software: Source,
    sam: Source,
    security: Source,
    /// The control set's key.
    control_set: Result<String, Unknown>,
}

/// A hive with its logs; `None` where there is no such file.
pub(super) fn open_hive(tree: &Tree, path: &str) -> Result<Option<(Hive, Vec<String>)>, Unknown> {
    let unknown = |error: &dyn std::fmt::Display| Unknown(printable(&format!("{}: {error}", windows_path(path))));
    let Some(bytes) = tree.open(path).map_err(|error| Unknown(printable(&error.to_string())))? else { return Ok(None) };
    let mut troubles = Vec::new();
    let mut logs: Vec<Bytes> = Vec::new();
    for end in [".LOG1", ".LOG2", ".LOG"] {
        match tree.open(&format!("{path}{end}")) {
            // Windows keeps an empty .LOG beside the two that it uses.
            Ok(log) => logs.extend(log.filter(|log| log.size() > 0)),
            Err(error) => troubles.push(printable(&error.to_string())),
        }
    }
    let hive = Hive::open(bytes, &logs, Mode::Lenient).map_err(|error| unknown(&error))?;
    Ok(Some((hive, troubles)))
}

/// A path of a tree in Windows' own spelling.
pub(super) fn windows_path(path: &str) -> String {
    path.replace('/', "\\")
}

/// What became of a hive's logs, in words; `None` where nothing is to tell.
pub(super) fn recovery(hive: &Hive, troubles: &[String]) -> Option<String> {
    let told = match hive.recovered() {
        Recovery::Clean => None,
        Recovery::Replayed { entries, left_out: 0, .. } => Some(format!("{entries} log entries were applied")),
        Recovery::Replayed { entries, left_out, .. } => {
            Some(format!("{entries} log entries were applied, {left_out} newer ones do not follow them"))
        }
        Recovery::Ignored { .. } => Some("the logs hold newer entries, but the hive says that it was closed cleanly".to_owned()),
        Recovery::Failed(reason) => Some(format!("the logs do not help: {reason}")),
    };
    let parts: Vec<String> = told.into_iter().chain(troubles.iter().cloned()).collect();
    (!parts.is_empty()).then(|| printable(&parts.join("; ")))
}

impl Source {
    fn open(tree: &Tree, name: &'static str) -> Self {
        let path = format!("{CONFIG}/{name}");
        let missing = || Unknown(format!("{} is missing", windows_path(&path)));
        match open_hive(tree, &path).and_then(|found| found.ok_or_else(missing)) {
            Ok((hive, troubles)) => Self { name, hive: Ok(hive), troubles },
            Err(reason) => Self { name, hive: Err(reason), troubles: vec![] },
        }
    }

    fn key(&self, path: &str) -> Result<Option<Key<'_>>, Unknown> {
        let hive = self.hive.as_ref().map_err(Clone::clone)?;
        hive.key(path).map_err(|error| Unknown(printable(&format!("{}\\{path}: {error}", self.name))))
    }

    fn facts(&self) -> Fact<HiveFacts> {
        self.hive
            .as_ref()
            .map(|hive| HiveFacts {
                path: windows_path(&format!("{CONFIG}/{}", self.name)),
                dirty: hive.was_dirty(),
                recovery: recovery(hive, &self.troubles).into(),
                damage: hive.damage().iter().map(|damage| printable(&damage.to_string())).collect(),
            })
            .into()
    }
}

impl Registry {
    /// Opens the hives. One that is missing or cannot be read leaves the others.
    pub(super) fn open(tree: &Tree) -> Self {
        let system = Source::open(tree, "SYSTEM");
        let control_set = control_set(&system);
        Self {
            system,
            software: Source::open(tree, "SOFTWARE"),
            sam: Source::open(tree, "SAM"),
            security: Source::open(tree, "SECURITY"),
            control_set,
        }
    }

    /// What is known of the hives. Damage is found by reading, so this is asked last.
    pub(super) fn facts(&self) -> HivesFacts {
        HivesFacts {
            system: self.system.facts(),
            software: self.software.facts(),
            sam: self.sam.facts(),
            security: self.security.facts(),
            control_set: self.control_set.clone().into(),
        }
    }

    /// The key at a path; `None` where there is none.
    pub(super) fn key(&self, path: &str) -> Result<Option<Key<'_>>, Unknown> {
        let (hive, rest) = path.split_once('\\').unwrap_or((path, ""));
        match hive {
            "CCS" => {
                let set = self.control_set.as_ref().map_err(Clone::clone)?;
                self.system.key(&format!("{set}\\{rest}"))
            }
            "SYSTEM" => self.system.key(rest),
            "SOFTWARE" => self.software.key(rest),
            "SAM" => self.sam.key(rest),
            "SECURITY" => self.security.key(rest),
            _ => Ok(None),
        }
    }

    /// The keys below a key; `None` where there is no such key.
    pub(super) fn keys(&self, path: &str) -> Result<Option<Vec<Key<'_>>>, Unknown> {
        let Some(key) = self.key(path)? else { return Ok(None) };
        key.keys().map(Some).map_err(|error| Unknown(printable(&format!("{path}: {error}"))))
    }

    /// All values of a key; none where there is no such key.
    pub(super) fn values(&self, path: &str) -> Result<Vec<Value>, Unknown> {
        let Some(key) = self.key(path)? else { return Ok(vec![]) };
        key.values().map_err(|error| Unknown(printable(&format!("{path}: {error}"))))
    }

    /// A value; `None` where it is not set.
    pub(super) fn value(&self, path: &str, name: &str) -> Result<Option<Value>, Unknown> {
        let Some(key) = self.key(path)? else { return Ok(None) };
        key.value(name).map_err(|error| Unknown(printable(&format!("{path}\\{name}: {error}"))))
    }

    /// A value of type `DWORD`.
    pub(super) fn dword(&self, path: &str, name: &str) -> Fact<u32> {
        typed(self.value(path, name), &|| format!("{path}\\{name}"), "a DWORD", Value::dword)
    }

    /// A text.
    pub(super) fn text(&self, path: &str, name: &str) -> Fact<String> {
        typed(self.value(path, name), &|| format!("{path}\\{name}"), "a text", short_text)
    }

    /// A text that is not empty; an empty one is absent.
    pub(super) fn full_text(&self, path: &str, name: &str) -> Fact<String> {
        filled(self.text(path, name))
    }

    /// A list of texts.
    pub(super) fn texts(&self, path: &str, name: &str) -> Fact<Vec<String>> {
        typed(self.value(path, name), &|| format!("{path}\\{name}"), "a list of texts", short_texts)
    }

    /// Whether a key exists.
    pub(super) fn exists(&self, path: &str) -> Fact<bool> {
        self.key(path).map(|key| key.is_some()).into()
    }
}

/// The control set that Windows uses.
fn control_set(system: &Source) -> Result<String, Unknown> {
    let current = system.key("Select")?.map(|key| key.value("Current")).transpose();
    let current = current.map_err(|error| Unknown(printable(&format!("SYSTEM\\Select: {error}"))))?;
    let number = current.flatten().and_then(|value| value.dword()).filter(|number| (1..=999).contains(number));
    let number = number.ok_or_else(|| Unknown("SYSTEM\\Select\\Current does not name a control set".to_owned()))?;
    let name = format!("ControlSet{number:03}");
    match system.key(&name)? {
        Some(_) => Ok(name),
        None => Err(Unknown(format!("SYSTEM\\Select names {name}, and the hive has no such key"))),
    }
}

/// A value in the type that its readers expect.
fn typed<T>(
    value: Result<Option<Value>, Unknown>,
    place: &dyn Fn() -> String,
    expected: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Fact<T> {
    match value {
        Ok(None) => Fact::Absent,
        Ok(Some(value)) => match read(&value) {
            Some(read) => Fact::Known(read),
            None => Fact::unknown(printable(&format!("{} is not {expected}: type {}, {} bytes", place(), value.kind, value.data.len()))),
        },
        Err(reason) => Fact::Unknown(reason),
    }
}

/// A text of bounded length, made printable.
fn short_text(value: &Value) -> Option<String> {
    if value.data.len() > MOST_TEXT.saturating_mul(2) {
        return None;
    }
    value.text().map(|text| printable(&text))
}

/// Texts of bounded length, made printable.
fn short_texts(value: &Value) -> Option<Vec<String>> {
    if value.data.len() > MOST_TEXT.saturating_mul(2) {
        return None;
    }
    value.texts().filter(|texts| texts.len() <= MOST_TEXTS).map(|texts| texts.iter().map(|text| printable(text)).collect())
}

/// A `DWORD` of a key that is at hand.
pub(super) fn dword_of(key: &Key<'_>, name: &str) -> Fact<u32> {
    typed(value_of(key, name), &|| format!("{}\\{name}", key.name()), "a DWORD", Value::dword)
}

/// A text of a key that is at hand.
pub(super) fn text_of(key: &Key<'_>, name: &str) -> Fact<String> {
    typed(value_of(key, name), &|| format!("{}\\{name}", key.name()), "a text", short_text)
}

/// A list of texts of a key that is at hand.
pub(super) fn texts_of(key: &Key<'_>, name: &str) -> Fact<Vec<String>> {
    typed(value_of(key, name), &|| format!("{}\\{name}", key.name()), "a list of texts", short_texts)
}

/// Whether a key that is at hand has a value that is not empty.
pub(super) fn has_value(key: &Key<'_>, name: &str) -> Fact<bool> {
    value_of(key, name).map(|value| value.is_some_and(|value| value.data.iter().any(|byte| *byte != 0))).into()
}

fn value_of(key: &Key<'_>, name: &str) -> Result<Option<Value>, Unknown> {
    key.value(name).map_err(|error| Unknown(printable(&format!("{}\\{name}: {error}", key.name()))))
}

/// A text that is not empty.
pub(super) fn filled(text: Fact<String>) -> Fact<String> {
    match text {
        Fact::Known(text) if text.trim().is_empty() => Fact::Absent,
        other => other,
    }
}

/// A fact from what may be missing and may be unreadable.
pub(super) fn optional<T, E: std::fmt::Display>(read: Result<Option<T>, E>) -> Fact<T> {
    match read {
        Ok(value) => value.into(),
        Err(error) => Fact::unknown(printable(&error.to_string())),
    }
}

/// A fact from what may be unreadable, said in printable words.
pub(super) fn known<T>(read: Result<T, Error>) -> Fact<T> {
    optional(read.map(Some))
}

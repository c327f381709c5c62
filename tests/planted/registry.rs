//! Registry hives, as lists of keys and values that hivex writes.

use super::windows::Change;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A value: its type and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value(pub u32, pub Vec<u8>);

impl Value {
    pub fn dword(value: u32) -> Self {
        Self(4, value.to_le_bytes().to_vec())
    }

    pub fn text(text: &str) -> Self {
        Self(1, wide(text))
    }

    pub fn texts(texts: &[&str]) -> Self {
        Self(7, texts.iter().flat_map(|text| wide(text)).chain([0, 0]).collect())
    }

    /// An integer of a boot store.
    pub fn integer(value: u64) -> Self {
        Self(3, value.to_le_bytes().to_vec())
    }

    /// A yes or no of a boot store.
    pub fn boolean(value: bool) -> Self {
        Self(3, vec![u8::from(value)])
    }

    /// A device of a boot store: a partition of a disk with a GPT.
    pub fn partition(disk: [u8; 16], partition: [u8; 16]) -> Self {
        let mut bytes = vec![0; 16];
        for word in [6_u32, 0, 0x48, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(partition);
        bytes.extend([0; 8]);
        bytes.extend(disk);
        bytes.extend([0; 16]);
        Self(3, bytes)
    }
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// Keys by path, the hive's name first, with their values. `CCS` stands for the control set in use.
#[derive(Debug, Clone, Default)]
pub struct Registry(BTreeMap<String, BTreeMap<String, Value>>);

/// Makes hives from JSON: a directory, and for each hive its keys with their values.
const MAKE: &str = r#"
import hivex, json, os, struct, sys
def empty():
    base = bytearray(4096)
    struct.pack_into('<4s2IQ6I', base, 0, b'regf', 1, 1, 0, 1, 3, 0, 1, 0x20, 4096)
    struct.pack_into('<I', base, 44, 1)
    total = 0
    for word in struct.unpack_from('<127I', base, 0):
        total ^= word
    struct.pack_into('<I', base, 508, total)
    bins = bytearray(4096)
    struct.pack_into('<4s2I', bins, 0, b'hbin', 0, 4096)
    none = 0xffffffff
    struct.pack_into('<i2sHQ2I2I2I2I2I5I2H4s', bins, 0x20, -0x58, b'nk', 0x2c, 0, 0, 0, 0, 0, none, none, 0, none, 0x78, none, 0, 0, 0, 0, 0, 4, 0, b'ROOT')
    struct.pack_into('<i2sH4I2BH4I', bins, 0x78, -0x30, b'sk', 0, 0x78, 0x78, 1, 20, 1, 0, 0x8000, 0, 0, 0, 0)
    struct.pack_into('<i', bins, 0xa8, 4096 - 0xa8)
    return base + bins
where, hives = json.load(sys.stdin)
os.makedirs(where, exist_ok=True)
for name, keys in hives.items():
    path = os.path.join(where, name)
    open(path, 'wb').write(empty())
    h = hivex.Hivex(path, write=True)
    nodes = {(): h.root()}
    def node(parts):
        if parts not in nodes:
            nodes[parts] = h.node_add_child(node(parts[:-1]), parts[-1])
        return nodes[parts]
    for key, values in keys:
        at = node(tuple(part for part in key.split('\\') if part))
        h.node_set_values(at, [{'key': k, 't': t, 'value': bytes.fromhex(v)} for k, t, v in values])
    h.commit(None)
"#;

impl Registry {
    /// Sets a value.
    pub fn set(&mut self, key: &str, name: &str, value: Value) {
        self.0.entry(full(key)).or_default().insert(name.to_owned(), value);
    }

    /// Applies a change; the hive that it concerns.
    pub fn change(&mut self, change: &Change) -> Option<&'static str> {
        let key = match change {
            Change::Set(key, name, value) => {
                self.set(key, name, value.clone());
                key
            }
            Change::Unset(key, name) => {
                let values = self.0.get_mut(&full(key)).unwrap_or_else(|| panic!("the healthy disk has no {key}"));
                assert!(values.remove(name).is_some(), "the healthy disk has no {key} {name}");
                key
            }
            Change::Key(key) => {
                self.0.entry(full(key)).or_default();
                key
            }
            Change::DropKey(key) => {
                let (at, below) = (full(key), format!("{}\\", full(key)));
                let before = self.0.len();
                self.0.retain(|key, _| *key != at && !key.starts_with(&below));
                assert!(self.0.len() < before, "the healthy disk has no {key}");
                key
            }
            _ => return None,
        };
        let full = full(key);
        let hive = full.split('\\').next().unwrap_or_default();
        ["SYSTEM", "SOFTWARE", "SAM", "SECURITY", "BCD"].into_iter().find(|name| *name == hive)
    }

    /// Writes those hives into a directory; `false` where hivex is missing.
    pub fn write(&self, directory: &Path, hives: &[&str]) -> bool {
        let keys = |hive: &str| -> Vec<Json> {
            let start = format!("{hive}\\");
            let below = self.0.iter().filter_map(|(key, values)| Some((key.strip_prefix(&start)?, values)));
            below
                .map(|(key, values)| {
                    let values: Vec<Json> = values.iter().map(|(name, value)| json!([name, value.0, hex(&value.1)])).collect();
                    json!([key, values])
                })
                .collect()
        };
        let hives: serde_json::Map<String, Json> = hives.iter().map(|hive| ((*hive).to_owned(), Json::from(keys(hive)))).collect();
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", MAKE]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let Ok(mut child) = command.spawn() else { return false };
        let sent = child.stdin.take().unwrap().write_all(json!([directory, hives]).to_string().as_bytes());
        let output = child.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || words.contains("No module named"), "{words}");
        sent.is_ok() && output.status.success()
    }
}

fn full(key: &str) -> String {
    key.strip_prefix("CCS\\").map_or_else(|| key.to_owned(), |rest| format!("SYSTEM\\ControlSet001\\{rest}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

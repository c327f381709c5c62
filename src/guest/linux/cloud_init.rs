//! cloud-init's configuration, and `ds-identify.cfg`.
//!
//! Documents: cloud-init's `cloudinit/util.py` (`read_conf_with_confd`, `mergemanydict`), `cloudinit/mergers/m_dict.py` and
//! `tools/ds-identify`.

use super::yaml::Value;
use std::collections::HashMap;

/// Keys that are told of every file: those that decide how a machine is provisioned.
pub const KEYS: &[&str] = &[
    "bootcmd",
    "chpasswd",
    "cloud_config_modules",
    "cloud_final_modules",
    "cloud_init_modules",
    "conf_d",
    "datasource.Azure",
    "datasource.NoCloud",
    "datasource_list",
    "disable_root",
    "disk_setup",
    "fqdn",
    "fs_setup",
    "growpart",
    "hostname",
    "manual_cache_clean",
    "merge_how",
    "merge_type",
    "mounts",
    "network",
    "output",
    "password",
    "preserve_hostname",
    "reporting",
    "resize_rootfs",
    "runcmd",
    "ssh_authorized_keys",
    "ssh_deletekeys",
    "ssh_genkeytypes",
    "ssh_keys",
    "ssh_pwauth",
    "swap",
    "system_info.default_user",
    "users",
];

/// Keys under which a password, a hash or a key stands.
const SECRETS: &[&str] = &[
    "chpasswd",
    "hashed_passwd",
    "passwd",
    "password",
    "plain_text_passwd",
    "private_key",
    "ssh_authorized_keys",
    "ssh-authorized-keys",
    "ssh_keys",
];
/// Places of secrets that are told; a configuration has a few.
const MAX_SECRETS: usize = 64;

/// Adds to a configuration what one that comes after it sets besides: keys that it does not have, and the same within maps. Lists and
/// texts stay as they are, which is how cloud-init merges unless a file asks for another way by [`merges_its_own_way`].
pub fn merge(first: &mut Value, second: Value) {
    let (Value::Map(pairs), Value::Map(more)) = (first, second) else { return };
    let places: HashMap<String, usize> = pairs.iter().enumerate().map(|(place, (key, _))| (key.clone(), place)).collect();
    for (key, value) in more {
        match places.get(&key).and_then(|place| pairs.get_mut(*place)) {
            Some((_, there)) => merge(there, value),
            None => pairs.push((key, value)),
        }
    }
}

/// Whether a file says by itself how it is merged.
#[must_use]
pub fn merges_its_own_way(value: &Value) -> bool {
    ["merge_how", "merge_type"].iter().any(|key| value.get(key).is_some_and(|how| !how.is_null()))
}

/// What of [`KEYS`] a configuration sets.
#[must_use]
pub fn keys(value: &Value) -> Vec<String> {
    let set = KEYS.iter().filter(|key| value.at(&key.split('.').collect::<Vec<_>>()).is_some());
    set.map(|key| (*key).to_owned()).collect()
}

/// Where passwords, hashes and keys stand, and never which.
#[must_use]
pub fn secrets(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect_secrets(value, "", &mut found);
    found
}

/// The nesting of YAML values is bounded, and so is this recursion.
fn collect_secrets(value: &Value, above: &str, found: &mut Vec<String>) {
    let below = |name: &str| if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
    match value {
        Value::Map(pairs) => {
            for (key, value) in pairs {
                if found.len() >= MAX_SECRETS {
                    return;
                }
                if SECRETS.contains(&key.as_str()) {
                    if holds_something(value) {
                        found.push(below(key));
                    }
                } else {
                    collect_secrets(value, &below(key), found);
                }
            }
        }
        Value::List(items) => {
            for item in items {
                let name = item.get("name").and_then(Value::as_str);
                collect_secrets(item, &name.map_or(above.to_owned(), below), found);
            }
        }
        Value::Scalar { .. } => {}
    }
}

/// Whether a secret is there: not null, not empty, and not a list of nothing.
fn holds_something(value: &Value) -> bool {
    match value {
        Value::Scalar { text, .. } => !value.is_null() && !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(pairs) => pairs.iter().any(|(key, value)| key != "expire" && holds_something(value)),
    }
}

/// What a value means where cloud-init wants a switch (`util.translate_bool`): what is not true is false.
#[must_use]
pub fn switch(value: &Value) -> bool {
    let words = ["true", "1", "on", "yes"];
    value.as_bool().unwrap_or_else(|| value.as_str().is_some_and(|text| words.contains(&text.trim().to_lowercase().as_str())))
}

/// A setting of `ds-identify.cfg`: a name, a colon and a value a line, quotes and a comment around it left out. The last one counts.
#[must_use]
pub fn ds_identify(text: &str, wanted: &str) -> Option<String> {
    let mut found = None;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        if let Some((name, value)) = line.split_once(':')
            && name.trim() == wanted
        {
            let value = value.trim().trim_matches(['"', '\'']);
            found = (!value.is_empty()).then(|| value.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::yaml::parse;
    use super::*;

    fn merged(texts: &[&str]) -> Value {
        let mut all = Value::empty();
        for text in texts {
            merge(&mut all, parse(text).unwrap());
        }
        all
    }

    #[test]
    fn what_came_first_stays() {
        let first = "a: 1\nc: [1, 2, 3]\nd: {a: 1, b: 2}\nn: ~\ns: x\n";
        let second = "a: 10\nc: [4]\nd: {a: 3, f: 10}\ne: 20\nn: 5\ns: {t: 1}\n";
        assert_eq!(merged(&[first, second]), parse("a: 1\nc: [1, 2, 3]\nd: {a: 1, b: 2, f: 10}\nn: ~\ns: x\ne: 20\n").unwrap());
        assert_eq!(merged(&["[1]", "text"]), Value::empty());
    }

    #[test]
    fn keys_are_told() {
        let value =
            parse("datasource_list: [ Azure ]\ndatasource: {Azure: {a: 1}, Ec2: {}}\nsystem_info: {distro: debian}\nmounts: ~\n").unwrap();
        assert_eq!(keys(&value), ["datasource.Azure", "datasource_list", "mounts"]);
        assert!(keys(&Value::empty()).is_empty());
        assert!(merges_its_own_way(&parse("merge_how: list(append)").unwrap()));
        assert!(!merges_its_own_way(&value));
    }

    #[test]
    fn secrets_are_told_by_place_alone() {
        let text = "users:\n  - default\n  - name: admin\n    hashed_passwd: $6$x$y\n    ssh_authorized_keys: [ssh-rsa AAAA]\n  - name: other\n    passwd: ''\n\
            chpasswd: {list: 'root:secret', expire: false}\npassword: hunter2\nsystem_info: {default_user: {passwd: x}}\n";
        let found = secrets(&parse(text).unwrap());
        let expected =
            ["users.admin.hashed_passwd", "users.admin.ssh_authorized_keys", "chpasswd", "password", "system_info.default_user.passwd"];
        assert_eq!(found, expected);
        assert!(secrets(&parse("chpasswd: {expire: true}\nssh_authorized_keys: []\n").unwrap()).is_empty());
    }

    #[test]
    fn switches_are_true_or_false() {
        for (text, on) in
            [("true", true), ("'yes'", true), ("on", true), ("1", true), ("'On '", true), ("2", false), ("", false), ("[x]", false)]
        {
            assert_eq!(switch(&parse(text).unwrap()), on, "{text}");
        }
    }

    #[test]
    fn ds_identify_is_read() {
        let text = "# x\npolicy: search,found=all,maybe=none,notfound=disabled # y\ndatasource: 'Azure'\n";
        assert_eq!(ds_identify(text, "policy").as_deref(), Some("search,found=all,maybe=none,notfound=disabled"));
        assert_eq!(ds_identify(text, "datasource").as_deref(), Some("Azure"));
        assert_eq!(ds_identify(text, "ci.datasource"), None);
    }
}

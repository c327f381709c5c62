//! cloud-init.

use super::cloud_config::config;
use super::{program, waagent::version};
use crate::facts::{CloudConfigFacts, CloudConfigFileFacts, CloudInitFacts, DsIdentifyFacts, Fact, OverrideFacts};
use crate::fs::{Error, NodeKind, Tree};
use crate::guest::linux::cloud_init::{ds_identify, keys, merge, merges_its_own_way};
use crate::guest::linux::systemd;
use crate::guest::linux::yaml::{self, Value};

const CONFIGURATION: &str = "/etc/cloud/cloud.cfg";
/// Files beside it that are read at most; distributions bring a few.
const MAX_PARTS: usize = 256;
/// Where its modules may be.
const MODULES: &[&str] = &[
    "/usr/lib/python*/*-packages/cloudinit/version.py",
    "/usr/local/lib/python*/*-packages/cloudinit/version.py",
    "/opt/*/lib/python*/*-packages/cloudinit/version.py",
];
/// Files of installers: Ubuntu's subiquity and curtin.
const LEFTOVERS: &[&str] = &[
    "/etc/cloud/cloud.cfg.d/50-curtin-networking.cfg",
    "/etc/cloud/cloud.cfg.d/90-installer-network.cfg",
    "/etc/cloud/cloud.cfg.d/99-installer.cfg",
    "/etc/cloud/cloud.cfg.d/curtin-preserve-sources.cfg",
    "/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg",
    "/etc/netplan/00-installer-config.yaml",
    "/etc/netplan/00-installer-config-wifi.yaml",
];
/// The start of a file that is a template, which instance data would fill.
const TEMPLATE: &str = "## template:jinja";

/// Learns of cloud-init; absent where there is neither a program, nor its modules, nor a configuration.
pub(super) fn cloud_init(tree: &Tree) -> Fact<CloudInitFacts> {
    let program = program(tree, &["cloud-init"]);
    let version = cloud_init_version(tree);
    let (configuration, files) = configuration(tree);
    if program == Fact::Absent && version == Fact::Absent && configuration == Fact::Absent {
        return Fact::Absent;
    }
    Fact::Known(CloudInitFacts {
        program,
        version,
        disabled_by_file: tree.exists("/etc/cloud/cloud-init.disabled").into(),
        ds_identify: identify(tree),
        configuration,
        files,
        installer_leftovers: leftovers(tree).into(),
        configuration_override: elsewhere(tree).map_or_else(|error| Fact::unknown(error.to_string()), Fact::from),
    })
}

/// Packages write their version where the source has `@@PACKAGED_VERSION@@`; that one is what cloud-init itself tells.
fn cloud_init_version(tree: &Tree) -> Fact<String> {
    let packaged = version(tree, MODULES, "_PACKAGED_VERSION");
    match packaged {
        Fact::Known(packaged) if !packaged.starts_with("@@") => Fact::Known(packaged),
        _ => version(tree, MODULES, "__VERSION__"),
    }
}

fn leftovers(tree: &Tree) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for path in LEFTOVERS {
        if tree.exists(path)? {
            found.push((*path).to_owned());
        }
    }
    Ok(found)
}

fn identify(tree: &Tree) -> Fact<DsIdentifyFacts> {
    match tree.text("/etc/cloud/ds-identify.cfg") {
        Ok(Some(text)) => {
            Fact::Known(DsIdentifyFacts { policy: ds_identify(&text, "policy"), datasource: ds_identify(&text, "datasource") })
        }
        Ok(None) => Fact::Absent,
        Err(error) => Fact::unknown(error.to_string()),
    }
}

/// The configuration, and the files that it comes from.
fn configuration(tree: &Tree) -> (Fact<CloudConfigFacts>, Vec<CloudConfigFileFacts>) {
    let mut files = Vec::new();
    let main = read(tree, CONFIGURATION);
    if let Some(main) = &main {
        files.push(file(CONFIGURATION, main));
    }
    let directory = match &main {
        Some(Ok(main)) if main.get("conf_d").is_some() => {
            main.get("conf_d").and_then(Value::as_str).map(|path| path.trim().to_owned()).filter(|path| !path.is_empty())
        }
        _ => Some(format!("{CONFIGURATION}.d")),
    };
    let parts = match directory.map_or_else(|| Ok(vec![]), |directory| parts(tree, &directory)) {
        Ok(parts) => parts,
        Err(error) => return (Fact::unknown(error.to_string()), files),
    };
    if main.is_none() && parts.is_empty() {
        return (Fact::Absent, files);
    }
    let mut values: Vec<Result<Value, String>> = main.into_iter().collect();
    for path in parts {
        if let Some(value) = read(tree, &path) {
            files.push(file(&path, &value));
            values.push(value);
        }
    }
    let mut merged = Value::empty();
    for value in values.into_iter().rev() {
        match value {
            Ok(value) if merges_its_own_way(&value) => return (Fact::unknown("a file says by itself how it is merged"), files),
            Ok(value) => merge(&mut merged, value),
            Err(reason) => return (Fact::unknown(reason), files),
        }
    }
    (Fact::Known(config(&merged)), files)
}

/// The parts of a configuration: files whose names end in `.cfg`, in the order of their names.
fn parts(tree: &Tree, directory: &str) -> Result<Vec<String>, Error> {
    let mut parts = Vec::new();
    for name in tree.names(directory)?.iter().filter(|name| name.ends_with(".cfg")) {
        let path = format!("{}/{name}", directory.trim_end_matches('/'));
        if tree.find(&path)?.is_some_and(|found| found.node.kind == NodeKind::File) {
            parts.push(path);
        }
        if parts.len() > MAX_PARTS {
            return Err(Error::Unsupported(format!("more than {MAX_PARTS} parts of a configuration")).at(directory));
        }
    }
    Ok(parts)
}

/// A file of the configuration: `None` where there is none; its map, or else why cloud-init and we cannot tell what it sets.
fn read(tree: &Tree, path: &str) -> Option<Result<Value, String>> {
    let text = match tree.text(path) {
        Ok(text) => text?,
        Err(error) => return Some(Err(error.to_string())),
    };
    if text.trim_start().starts_with(TEMPLATE) {
        return Some(Err(format!("{path}: a template, which only a running machine can fill")));
    }
    Some(match yaml::parse(&text) {
        Ok(value @ Value::Map(_)) => Ok(value),
        Ok(value) if value.is_null() => Ok(Value::empty()),
        Ok(_) => Err(format!("{path}: not a map of keys")),
        Err(error) => Err(format!("{path}: {error}")),
    })
}

/// A file and what it sets.
fn file(path: &str, value: &Result<Value, String>) -> CloudConfigFileFacts {
    CloudConfigFileFacts { path: path.to_owned(), sets: value.as_ref().map(keys).into() }
}

/// `CLOUD_CFG` in the environment that systemd gives to all services.
fn elsewhere(tree: &Tree) -> Result<Option<OverrideFacts>, Error> {
    let mut paths = vec!["/etc/systemd/system.conf".to_owned()];
    for directory in ["/usr/lib/systemd/system.conf.d", "/etc/systemd/system.conf.d"] {
        let names = tree.names(directory)?;
        paths.extend(names.iter().filter(|name| name.ends_with(".conf")).map(|name| format!("{directory}/{name}")));
    }
    let mut found = None;
    for path in paths {
        let Some(text) = tree.text(&path)? else { continue };
        for setting in systemd::settings(&text) {
            if setting.section != "Manager" || setting.name != "DefaultEnvironment" {
                continue;
            }
            if setting.value.is_empty() {
                found = None;
            }
            for (name, value) in systemd::environment(&setting.value) {
                if name == "CLOUD_CFG" {
                    found = Some(OverrideFacts { path: path.clone(), value });
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    fn learn(files: &[(&str, &str)]) -> CloudInitFacts {
        cloud_init(&tree(files)).value().unwrap().clone()
    }

    #[test]
    fn parts_go_before_the_file_and_later_parts_before_earlier() {
        let found = learn(&[
            ("/usr/bin/cloud-init", ""),
            (
                "/usr/lib/python3/dist-packages/cloudinit/version.py",
                "__VERSION__ = \"22.4.2\"\n_PACKAGED_VERSION = \"@@PACKAGED_VERSION@@\"\n",
            ),
            (
                "/etc/cloud/cloud.cfg",
                "disable_root: true\nusers: [default]\nsystem_info: {default_user: {name: debian, lock_passwd: True}}\n",
            ),
            ("/etc/cloud/cloud.cfg.d/90_dpkg.cfg", "datasource_list: [ NoCloud, Azure ]\n"),
            (
                "/etc/cloud/cloud.cfg.d/91-azure_datasource.cfg",
                "datasource_list: [ Azure ]\ndatasource: {Azure: {apply_network_config: false}}\n",
            ),
            ("/etc/cloud/cloud.cfg.d/99-off.cfg.disabled", "datasource_list: [ None ]\n"),
            ("/etc/cloud/cloud.cfg.d/README", "not: read\n"),
            ("/etc/cloud/cloud.cfg.d/99-user.cfg", "system_info: {default_user: {name: azureuser}}\n"),
            ("/etc/cloud/ds-identify.cfg", "policy: enabled\n"),
        ]);
        let configuration = found.configuration.value().unwrap();
        assert_eq!(configuration.datasource_list.as_deref(), Some(&["Azure".to_owned()][..]));
        assert_eq!(configuration.azure.as_ref().unwrap().apply_network_config, Some(false));
        assert_eq!((configuration.default_user.as_deref(), configuration.disable_root), (Some("azureuser"), Some(true)));
        assert_eq!(found.version, Fact::Known("22.4.2".to_owned()));
        assert_eq!(found.ds_identify.value().unwrap().policy.as_deref(), Some("enabled"));
        let files: Vec<&str> = found.files.iter().map(|file| file.path.rsplit_once('/').unwrap().1).collect();
        assert_eq!(files, ["cloud.cfg", "90_dpkg.cfg", "91-azure_datasource.cfg", "99-user.cfg"]);
        assert_eq!(found.files[2].sets, Fact::Known(vec!["datasource.Azure".to_owned(), "datasource_list".to_owned()]));
        assert_eq!((found.disabled_by_file, found.configuration_override), (Fact::Known(false), Fact::Absent));
    }

    #[test]
    fn a_packaged_version_goes_first() {
        let module = "__VERSION__ = \"24.1\"\n_PACKAGED_VERSION = \"24.1.3-0ubuntu1\"\n";
        let found = learn(&[("/usr/lib/python3/dist-packages/cloudinit/version.py", module)]);
        assert_eq!((found.version, found.configuration), (Fact::Known("24.1.3-0ubuntu1".to_owned()), Fact::Absent));
    }

    #[test]
    fn a_file_that_cannot_be_told_makes_the_whole_unknown() {
        for text in ["a: [", "[1]", "!damaged", "## template:jinja\n{{ x }}: 1\n", "merge_how: 'list(append)'\n"] {
            let found = learn(&[
                ("/etc/cloud/cloud.cfg", "disable_root: true\n"),
                ("/etc/cloud/cloud.cfg.d/10.cfg", text),
                ("/etc/cloud/cloud.cfg.d/20.cfg", ""),
            ]);
            assert!(found.configuration.reason().is_some(), "{text}");
            assert_eq!(found.files.len(), 3, "{text}");
        }
        let found = learn(&[("/etc/cloud/cloud.cfg", "!damaged"), ("/etc/cloud/cloud.cfg.d/10.cfg", "mounts: []\n")]);
        assert!(found.configuration.reason().is_some());
        assert_eq!(found.files.len(), 2);
    }

    #[test]
    fn conf_d_moves_the_parts() {
        let found = learn(&[
            ("/etc/cloud/cloud.cfg", "conf_d: /srv/parts\n"),
            ("/srv/parts/1.cfg", "hostname: a\n"),
            ("/etc/cloud/cloud.cfg.d/1.cfg", "hostname: b\n"),
        ]);
        assert_eq!(found.configuration.value().unwrap().hostname.as_deref(), Some("a"));
        let found = learn(&[("/etc/cloud/cloud.cfg", "conf_d: ~\n"), ("/etc/cloud/cloud.cfg.d/1.cfg", "hostname: b\n")]);
        assert_eq!(found.configuration.value().unwrap().hostname, None);
    }

    #[test]
    fn what_stops_or_moves_it_is_told() {
        let found = learn(&[
            ("/etc/cloud/cloud-init.disabled", ""),
            ("/etc/cloud/cloud.cfg", ""),
            ("/etc/netplan/00-installer-config.yaml", ""),
            ("/etc/systemd/system.conf", "[Manager]\nDefaultEnvironment=\"CLOUD_CFG=/etc/cloud/cloud.cfg.d/00-azure-swap.cfg\"\n"),
        ]);
        assert_eq!(found.disabled_by_file, Fact::Known(true));
        assert_eq!(found.installer_leftovers, Fact::Known(vec!["/etc/netplan/00-installer-config.yaml".to_owned()]));
        assert_eq!(found.configuration_override.value().unwrap().value, "/etc/cloud/cloud.cfg.d/00-azure-swap.cfg");
        assert_eq!(cloud_init(&tree(&[])), Fact::Absent);
    }
}

//! What cloud-init's configuration sets, as facts.

use crate::facts::{AzureSourceFacts, CloudConfigFacts};
use crate::guest::linux::cloud_init::{secrets, switch};
use crate::guest::linux::yaml::Value;

/// The facts of a merged configuration.
pub(super) fn config(value: &Value) -> CloudConfigFacts {
    let flag = |key: &str| value.get(key).map(switch);
    let text = |keys: &[&str]| value.at(keys).and_then(words);
    let network = value.get("network");
    let network_disabled = network.and_then(|network| network.get("config")).and_then(Value::as_str) == Some("disabled");
    CloudConfigFacts {
        datasource_list: value.get("datasource_list").map(names),
        azure: value.at(&["datasource", "Azure"]).map(azure),
        default_user: text(&["system_info", "default_user", "name"]),
        distro: text(&["system_info", "distro"]),
        init_modules: value.get("cloud_init_modules").map(names),
        config_modules: value.get("cloud_config_modules").map(names),
        final_modules: value.get("cloud_final_modules").map(names),
        ssh_deletekeys: flag("ssh_deletekeys"),
        ssh_genkeytypes: value.get("ssh_genkeytypes").map(names),
        disable_root: flag("disable_root"),
        ssh_pwauth: text(&["ssh_pwauth"]),
        preserve_hostname: flag("preserve_hostname"),
        manual_cache_clean: flag("manual_cache_clean"),
        network_disabled,
        network_configured: !network_disabled && network.is_some_and(|network| !network.is_null()),
        output: value.get("output").and_then(|output| output.get("all").map_or_else(|| words(output), words)),
        telemetry: text(&["reporting", "telemetry", "type"]),
        users: value.get("users").map(users),
        growpart_mode: text(&["growpart", "mode"]),
        resize_rootfs: text(&["resize_rootfs"]),
        hostname: text(&["fqdn"]).or_else(|| text(&["hostname"])),
        mounts: value.get("mounts").and_then(Value::as_list).is_some_and(|mounts| !mounts.is_empty()),
        swap: value.get("swap").is_some_and(|swap| !swap.is_null()),
        disk_setup: ["disk_setup", "fs_setup"].iter().any(|key| value.get(key).is_some_and(|setup| !setup.is_null())),
        secrets: secrets(value),
    }
}

/// Text, or texts joined; a map gives its keys.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::Scalar { .. } => value.as_str().map(str::to_owned),
        Value::List(_) | Value::Map(_) => Some(names(value).join(", ")),
    }
}

/// Names in a list: texts, the first text of a list (a module with its frequency), or the keys of a map. One text alone stands for a list
/// of one, as cloud-init takes it.
fn names(value: &Value) -> Vec<String> {
    match value {
        Value::Scalar { .. } => value.as_str().map(str::to_owned).into_iter().collect(),
        Value::Map(pairs) => pairs.iter().map(|(key, _)| key.clone()).collect(),
        Value::List(items) => {
            // `None` is the name of a data source, and no null to YAML.
            let first = |item: &Value| match item {
                Value::List(parts) => parts.first().and_then(Value::as_str).map(str::to_owned),
                Value::Map(pairs) => pairs.first().map(|(key, _)| key.clone()),
                Value::Scalar { .. } => item.as_str().map(str::to_owned),
            };
            items.iter().filter_map(first).collect()
        }
    }
}

/// Names of users: texts, or the names in maps.
fn users(value: &Value) -> Vec<String> {
    match value {
        Value::List(items) => {
            let name = |item: &Value| match item.get("name").or_else(|| item.get("snapuser")) {
                Some(name) => name.as_str().map(str::to_owned),
                None => item.as_str().map(str::to_owned),
            };
            items.iter().filter_map(name).collect()
        }
        other => names(other),
    }
}

fn azure(value: &Value) -> AzureSourceFacts {
    AzureSourceFacts {
        apply_network_config: value.get("apply_network_config").map(switch),
        agent_command: value.get("agent_command").and_then(words),
        set_hostname: value.get("set_hostname").map(switch),
        ephemeral_disk: value.at(&["disk_aliases", "ephemeral0"]).and_then(words),
        data_dir: value.get("data_dir").and_then(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::linux::yaml::parse;

    #[test]
    fn keys_become_facts() {
        let text = "datasource_list: [ Azure, None ]\ndatasource: {Azure: {apply_network_config: true, disk_aliases: {ephemeral0: /dev/disk/cloud/azure_resource}, agent_command: [service, walinuxagent, start]}}\n\
            cloud_init_modules: [migrator, [ssh, always], growpart]\nssh_deletekeys: 0\nssh_genkeytypes: [rsa, ed25519]\nssh_pwauth: unchanged\n\
            network: {config: disabled}\noutput: {all: '| tee -a /var/log/cloud-init-output.log'}\nreporting: {telemetry: {type: hyperv}}\n\
            users: [default, {name: admin, hashed_passwd: $6$x}]\nmounts: []\nswap: {filename: /swap}\nresize_rootfs: noblock\npreserve_hostname: false\nfqdn: a.b\nhostname: c\n";
        let found = config(&parse(text).unwrap());
        let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(found.datasource_list, texts(&["Azure", "None"]));
        assert_eq!(found.init_modules, texts(&["migrator", "ssh", "growpart"]));
        assert_eq!((found.ssh_deletekeys, found.ssh_genkeytypes), (Some(false), texts(&["rsa", "ed25519"])));
        assert_eq!((found.ssh_pwauth.as_deref(), found.preserve_hostname), (Some("unchanged"), Some(false)));
        assert_eq!((found.network_disabled, found.network_configured), (true, false));
        assert_eq!(found.output.as_deref(), Some("| tee -a /var/log/cloud-init-output.log"));
        assert_eq!((found.telemetry.as_deref(), found.users), (Some("hyperv"), texts(&["default", "admin"])));
        assert_eq!((found.mounts, found.swap, found.disk_setup), (false, true, false));
        assert_eq!((found.resize_rootfs.as_deref(), found.hostname.as_deref()), (Some("noblock"), Some("a.b")));
        assert_eq!(found.secrets, ["users.admin.hashed_passwd"]);
        let azure = found.azure.unwrap();
        assert_eq!((azure.apply_network_config, azure.agent_command.as_deref()), (Some(true), Some("service, walinuxagent, start")));
        assert_eq!(azure.ephemeral_disk.as_deref(), Some("/dev/disk/cloud/azure_resource"));
        assert_eq!(config(&Value::empty()), CloudConfigFacts::default());
        let network = config(&parse("network: {version: 2, ethernets: {}}").unwrap());
        assert_eq!((network.network_disabled, network.network_configured), (false, true));
    }
}

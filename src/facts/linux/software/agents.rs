//! Provisioning agents.

use crate::facts::Fact;
use serde::Serialize;
use std::collections::BTreeMap;

/// Provisioning agents.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AgentsFacts {
    /// The Azure Linux agent.
    pub waagent: Fact<WaagentFacts>,
    /// cloud-init.
    pub cloud_init: Fact<CloudInitFacts>,
    /// The program of the Azure proxy agent, which the metadata security protocol needs.
    pub azure_proxy_agent: Fact<String>,
}

/// The Azure Linux agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WaagentFacts {
    /// Its program.
    pub program: Fact<String>,
    /// The version that is installed, from its own code: `2.7.3.0`.
    pub version: Fact<String>,
    /// Versions that it has fetched since, the newest last.
    pub fetched: Fact<Vec<String>>,
    /// Its configuration.
    pub configuration: Fact<WaagentConfigurationFacts>,
    /// Whether a file `disable_agent` stops it.
    pub disabled_by_file: Fact<bool>,
}

/// `waagent.conf`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WaagentConfigurationFacts {
    /// Where it is.
    pub path: String,
    /// The keys of interest that it sets, each with its last value; what it does not set has the agent's default.
    pub settings: BTreeMap<String, String>,
}

impl WaagentConfigurationFacts {
    /// A key that is a switch: `None` where it is not set to `y` or `n`, so that the agent's default counts.
    #[must_use]
    pub fn switch(&self, key: &str) -> Option<bool> {
        let value = self.settings.get(key)?;
        [("y", true), ("n", false)].into_iter().find_map(|(word, on)| value.eq_ignore_ascii_case(word).then_some(on))
    }
}

/// cloud-init.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CloudInitFacts {
    /// Its program.
    pub program: Fact<String>,
    /// Its version, from its own code: `22.4.2`; some packages write theirs there: `24.1.3-0ubuntu1`.
    pub version: Fact<String>,
    /// Whether `/etc/cloud/cloud-init.disabled` stops it.
    pub disabled_by_file: Fact<bool>,
    /// `/etc/cloud/ds-identify.cfg`, which says how a data source is found before cloud-init starts.
    pub ds_identify: Fact<DsIdentifyFacts>,
    /// What its configuration comes to: `cloud.cfg` with the parts beside it, merged as cloud-init merges them. What they do not set has
    /// cloud-init's default.
    pub configuration: Fact<CloudConfigFacts>,
    /// The files that it comes from, in the order in which they are read: a later one goes before an earlier one.
    pub files: Vec<CloudConfigFileFacts>,
    /// Files of installers that pin a data source or the network.
    pub installer_leftovers: Fact<Vec<String>>,
    /// A setting of systemd that has cloud-init read another file instead of `cloud.cfg`.
    pub configuration_override: Fact<OverrideFacts>,
}

/// `/etc/cloud/ds-identify.cfg`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DsIdentifyFacts {
    /// `policy`: `enabled`, `disabled`, or `search,found=all,…`.
    pub policy: Option<String>,
    /// `datasource`: the only one that counts.
    pub datasource: Option<String>,
}

/// A setting of the environment that moves cloud-init's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OverrideFacts {
    /// The file that sets it.
    pub path: String,
    /// The file that cloud-init reads then.
    pub value: String,
}

/// A file of cloud-init's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CloudConfigFileFacts {
    /// Where it is.
    pub path: String,
    /// The keys of interest that it sets: `datasource_list`, `datasource.Azure`, `network`.
    pub sets: Fact<Vec<String>>,
}

/// What cloud-init's configuration sets. Passwords, hashes and keys are not here, only that there are some.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CloudConfigFacts {
    /// `datasource_list`.
    pub datasource_list: Option<Vec<String>>,
    /// `datasource: Azure`.
    pub azure: Option<AzureSourceFacts>,
    /// Name of `system_info: default_user`.
    pub default_user: Option<String>,
    /// `system_info: distro`.
    pub distro: Option<String>,
    /// Names of `cloud_init_modules`.
    pub init_modules: Option<Vec<String>>,
    /// Names of `cloud_config_modules`.
    pub config_modules: Option<Vec<String>>,
    /// Names of `cloud_final_modules`.
    pub final_modules: Option<Vec<String>>,
    /// `ssh_deletekeys`.
    pub ssh_deletekeys: Option<bool>,
    /// `ssh_genkeytypes`.
    pub ssh_genkeytypes: Option<Vec<String>>,
    /// `disable_root`.
    pub disable_root: Option<bool>,
    /// `ssh_pwauth`: `true`, `no`, `unchanged`.
    pub ssh_pwauth: Option<String>,
    /// `preserve_hostname`.
    pub preserve_hostname: Option<bool>,
    /// `manual_cache_clean`.
    pub manual_cache_clean: Option<bool>,
    /// Whether `network: {config: disabled}` keeps cloud-init away from the network.
    pub network_disabled: bool,
    /// Whether `network` holds a configuration of its own.
    pub network_configured: bool,
    /// `output: all`, or what stands there instead of it.
    pub output: Option<String>,
    /// `reporting: telemetry: type`.
    pub telemetry: Option<String>,
    /// Names under `users`; `default` for the default user.
    pub users: Option<Vec<String>>,
    /// `growpart: mode`.
    pub growpart_mode: Option<String>,
    /// `resize_rootfs`.
    pub resize_rootfs: Option<String>,
    /// `hostname` or `fqdn`.
    pub hostname: Option<String>,
    /// Whether `mounts` lists something to mount.
    pub mounts: bool,
    /// Whether `swap` asks for swap space.
    pub swap: bool,
    /// Whether `disk_setup` or `fs_setup` lays out disks.
    pub disk_setup: bool,
    /// Places where a password, a hash or a key stands: `users.admin.hashed_passwd`, `chpasswd`.
    pub secrets: Vec<String>,
}

/// `datasource: Azure` in cloud-init's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AzureSourceFacts {
    /// `apply_network_config`: whether network settings come from the metadata service.
    pub apply_network_config: Option<bool>,
    /// `agent_command`: `__builtin__`, or words that start an agent.
    pub agent_command: Option<String>,
    /// `set_hostname`.
    pub set_hostname: Option<bool>,
    /// `disk_aliases: ephemeral0`.
    pub ephemeral_disk: Option<String>,
    /// `data_dir`.
    pub data_dir: Option<String>,
}

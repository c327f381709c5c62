//! What running leaves behind.

use crate::facts::Fact;
use serde::Serialize;

/// What running leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResidueFacts {
    /// State of cloud-init under `/var/lib/cloud`; absent where there is none.
    pub cloud_init: Fact<CloudInitStateFacts>,
    /// State of the Azure Linux agent under `/var/lib/waagent`; absent where the directory is missing or empty.
    pub waagent: Fact<WaagentStateFacts>,
    /// Histories of shells and other programs, in all homes.
    pub histories: Fact<Vec<FileFacts>>,
    /// Leases of DHCP clients.
    pub leases: Fact<Vec<String>>,
    /// Logs that tell of this machine.
    pub logs: Fact<Vec<FileFacts>>,
    /// Random seeds and the secret of systemd's credentials, which no two machines may share.
    pub seeds: Fact<Vec<String>>,
    /// Tokens and keys of cloud tools and of Kerberos, by path; never their content.
    pub credentials: Fact<Vec<String>>,
    /// Entries of `/tmp` and `/var/tmp`.
    pub temporary: Fact<usize>,
    /// `/etc/resolv.conf`: `file`, `link to …`; absent where there is none.
    pub resolv_conf: Fact<String>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileFacts {
    /// Path.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// State of cloud-init.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CloudInitStateFacts {
    /// Instances that were set up, by id.
    pub instances: Vec<String>,
    /// Whether `instance` leads to one of them, or `data/instance-id` names one: it was provisioned.
    pub provisioned: bool,
    /// The data source of the last boot, as cloud-init wrote it.
    pub datasource: Fact<String>,
    /// Seeds: directories under `/var/lib/cloud/seed` that hold something.
    pub seeds: Vec<String>,
}

/// State of the Azure Linux agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaagentStateFacts {
    /// Whether `provisioned` is there.
    pub provisioned: bool,
    /// Whether `ovf-env.xml`, the answer file of an earlier provisioning, is there.
    pub ovf_env: bool,
    /// The account that it names.
    pub ovf_user: Fact<String>,
    /// Certificates and private keys, counted; never their content.
    pub certificates: usize,
    /// Goal states, wire server address, shared configuration.
    pub goal_states: usize,
    /// Extensions, by directory.
    pub extensions: Vec<String>,
    /// Whether `disable_agent` is there.
    pub disabled: bool,
}

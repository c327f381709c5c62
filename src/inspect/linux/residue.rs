//! What running leaves behind: state of the agents, histories, leases, logs, seeds.

use super::mounts::optional;
use crate::facts::{CloudInitStateFacts, Fact, FileFacts, ResidueFacts, WaagentStateFacts};
use crate::fs::{Error, NodeKind, Tree};
use crate::guest::linux::{accounts, ovf_env};

/// Histories, below each home.
pub(crate) const HISTORIES: [&str; 12] = [
    ".bash_history",
    ".zsh_history",
    ".ash_history",
    ".history",
    ".python_history",
    ".mysql_history",
    ".psql_history",
    ".sqlite_history",
    ".node_repl_history",
    ".rediscli_history",
    ".lesshst",
    ".viminfo",
];
/// Tokens and keys of cloud tools, below each home.
pub(crate) const CREDENTIALS: [&str; 9] = [
    ".azure/msal_token_cache.json",
    ".azure/accessTokens.json",
    ".azure/service_principal_entries.json",
    ".aws/credentials",
    ".config/gcloud/credentials.db",
    ".kube/config",
    ".docker/config.json",
    ".git-credentials",
    ".netrc",
];
/// Leases of dhclient, dhcpcd, NetworkManager, wicked and networkd.
const LEASES: [&str; 9] = [
    "/var/lib/dhcp/*.leases",
    "/var/lib/dhcp/*.lease",
    "/var/lib/dhclient/*.lease*",
    "/var/lib/dhcpcd/*.lease*",
    "/var/lib/dhcpcd5/*.lease*",
    "/var/lib/NetworkManager/*.lease",
    "/var/lib/wicked/lease-*",
    "/var/lib/systemd/network/*.lease",
    "/run/systemd/netif/leases/*",
];
/// Logs that tell of this machine; `*` within a name.
const LOGS: [&str; 18] = [
    "/var/log/waagent.log*",
    "/var/log/cloud-init.log*",
    "/var/log/cloud-init-output.log*",
    "/var/log/azure/*",
    "/var/log/azure/*/*",
    "/var/log/journal/*/*",
    "/var/log/syslog*",
    "/var/log/messages*",
    "/var/log/auth.log*",
    "/var/log/secure*",
    "/var/log/kern.log*",
    "/var/log/daemon.log*",
    "/var/log/wtmp*",
    "/var/log/btmp*",
    "/var/log/lastlog",
    "/var/log/faillog",
    "/var/log/audit/*",
    "/var/log/sa/*",
];
/// Random seeds, and the secret with which systemd seals credentials.
const SEEDS: [&str; 7] = [
    "/var/lib/systemd/random-seed",
    "/var/lib/random-seed",
    "/var/lib/urandom/random-seed",
    "/var/lib/misc/random-seed",
    "/var/lib/systemd/credential.secret",
    "/boot/efi/loader/random-seed",
    "/boot/loader/random-seed",
];

/// Learns `residue`.
pub(super) fn residue(tree: &Tree) -> ResidueFacts {
    let homes = homes(tree);
    let in_homes = |names: &[&str]| match &homes {
        Ok(homes) => files(tree, homes.iter().flat_map(|home| names.iter().map(move |name| format!("{home}/{name}")))),
        Err(error) => Err(error.clone()),
    };
    let mut credentials = in_homes(&CREDENTIALS).map(paths);
    if let (Ok(paths), Ok(true)) = (&mut credentials, tree.exists("/etc/krb5.keytab")) {
        paths.push("/etc/krb5.keytab".to_owned());
    }
    ResidueFacts {
        cloud_init: optional(cloud_init(tree)),
        waagent: optional(waagent(tree)),
        histories: in_homes(&HISTORIES).into(),
        leases: globs(tree, &LEASES).map(paths).into(),
        logs: globs(tree, &LOGS).into(),
        seeds: files(tree, SEEDS.into_iter().map(str::to_owned)).map(paths).into(),
        credentials: credentials.into(),
        temporary: temporary(tree).into(),
        resolv_conf: optional(resolv_conf(tree)),
    }
}

fn paths(files: Vec<FileFacts>) -> Vec<String> {
    files.into_iter().map(|file| file.path).collect()
}

/// Homes of all accounts, and what stands below `/home` without one.
fn homes(tree: &Tree) -> Result<Vec<String>, Error> {
    let users = accounts::passwd(&tree.text("/etc/passwd")?.unwrap_or_default());
    let mut homes: Vec<String> = users.into_iter().map(|user| user.home.trim_end_matches('/').to_owned()).collect();
    homes.extend(tree.glob("/home/*")?);
    homes.push("/root".to_owned());
    homes.retain(|home| home.starts_with('/'));
    homes.sort();
    homes.dedup();
    Ok(homes)
}

/// Those of the paths that are regular files, not followed.
fn files(tree: &Tree, paths: impl Iterator<Item = String>) -> Result<Vec<FileFacts>, Error> {
    let mut out = Vec::new();
    for path in paths {
        if let Some(found) = tree.find_link(&path)?
            && found.node.kind == NodeKind::File
        {
            out.push(FileFacts { path, size: found.node.size });
        }
    }
    Ok(out)
}

fn globs(tree: &Tree, patterns: &[&str]) -> Result<Vec<FileFacts>, Error> {
    let mut out = Vec::new();
    for pattern in patterns {
        out.extend(files(tree, tree.glob(pattern)?.into_iter())?);
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out.dedup();
    Ok(out)
}

fn cloud_init(tree: &Tree) -> Result<Option<CloudInitStateFacts>, Error> {
    const STATE: &str = "/var/lib/cloud";
    if tree.names(STATE)?.is_empty() {
        return Ok(None);
    }
    let instances = tree.names("/var/lib/cloud/instances")?;
    let named = tree.text("/var/lib/cloud/data/instance-id")?.is_some_and(|text| !text.trim().is_empty());
    let linked = tree.target("/var/lib/cloud/instance")?.is_some();
    let datasource = ["/var/lib/cloud/instance/datasource", "/var/lib/cloud/data/previous-datasource"];
    let datasource = datasource.into_iter().find_map(|path| tree.text(path).transpose()).transpose()?;
    let mut seeds = Vec::new();
    for name in tree.names("/var/lib/cloud/seed")? {
        let path = format!("/var/lib/cloud/seed/{name}");
        if !tree.names(&path)?.is_empty() {
            seeds.push(path);
        }
    }
    let provisioned = named || linked || !instances.is_empty();
    let datasource: Option<String> = datasource.map(|text| text.trim().to_owned());
    if !provisioned && seeds.is_empty() && datasource.is_none() {
        // Directories that the package makes hold no state.
        return Ok(None);
    }
    Ok(Some(CloudInitStateFacts { instances, provisioned, datasource: datasource.into(), seeds }))
}

fn waagent(tree: &Tree) -> Result<Option<WaagentStateFacts>, Error> {
    const STATE: &str = "/var/lib/waagent";
    let Some(entries) = tree.list(STATE)? else { return Ok(None) };
    if entries.is_empty() {
        return Ok(None);
    }
    let has = |name: &str| entries.iter().any(|entry| entry.name == name);
    let ends = |ends: &[&str]| entries.iter().filter(|entry| ends.iter().any(|end| entry.name.ends_with(end))).count();
    let begins = |begins: &[&str]| entries.iter().filter(|entry| begins.iter().any(|begin| entry.name.starts_with(begin))).count();
    let extension = |entry: &&crate::fs::Listed| {
        entry.node.kind == NodeKind::Directory
            && entry.name.contains('.')
            && entry.name.contains('-')
            && !entry.name.starts_with("WALinuxAgent-")
    };
    let ovf_user = match tree.text("/var/lib/waagent/ovf-env.xml") {
        Ok(text) => text.as_deref().and_then(ovf_env::user_name).into(),
        Err(error) => Fact::unknown(error.to_string()),
    };
    Ok(Some(WaagentStateFacts {
        provisioned: has("provisioned"),
        ovf_env: has("ovf-env.xml"),
        ovf_user,
        certificates: ends(&[".prv", ".crt", ".pem", ".p7m"]),
        goal_states: begins(&[
            "GoalState",
            "WireServerEndpoint",
            "SharedConfig",
            "HostingEnvironmentConfig",
            "ExtensionsConfig",
            "ManifestUri",
        ]),
        extensions: entries.iter().filter(extension).map(|entry| entry.name.clone()).collect(),
        disabled: has("disable_agent"),
    }))
}

fn temporary(tree: &Tree) -> Result<usize, Error> {
    Ok(tree.names("/tmp")?.len().saturating_add(tree.names("/var/tmp")?.len()))
}

fn resolv_conf(tree: &Tree) -> Result<Option<String>, Error> {
    if let Some(target) = tree.target("/etc/resolv.conf")? {
        return Ok(Some(format!("link to {target}")));
    }
    Ok(tree.find_link("/etc/resolv.conf")?.map(|_file| "file".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    #[test]
    fn a_machine_that_ran() {
        let facts = residue(&tree(&[
            ("/etc/passwd", "root:x:0:0::/root:/bin/bash\na:x:1000:1000::/home/a:/bin/bash\n"),
            ("/root/.bash_history", "secret"),
            ("/home/a/.bash_history", "-> /dev/null"),
            ("/home/gone/.python_history", "xx"),
            ("/home/a/.azure/msal_token_cache.json", "token"),
            ("/var/lib/dhcp/dhclient.eth0.leases", "x"),
            ("/var/lib/cloud/instances/5d0c8a3e/obj.pkl", "x"),
            ("/var/lib/cloud/instance", "-> instances/5d0c8a3e"),
            ("/var/lib/cloud/instances/5d0c8a3e/datasource", "DataSourceAzure: DataSourceAzure\n"),
            ("/var/lib/cloud/seed/nocloud/meta-data", "x"),
            ("/var/lib/waagent/ovf-env.xml", "<wa:UserName>a</wa:UserName><wa:UserPassword>REDACTED</wa:UserPassword>"),
            ("/var/lib/waagent/provisioned", "x"),
            ("/var/lib/waagent/TransportPrivate.pem", "x"),
            ("/var/lib/waagent/GoalState.1.xml", "x"),
            ("/var/lib/waagent/Microsoft.Azure.Extensions.CustomScript-2.1.3/", ""),
            ("/var/lib/waagent/WALinuxAgent-2.9.1.1/", ""),
            ("/var/log/waagent.log", "x"),
            ("/var/log/journal/8f3c/system.journal", "x"),
            ("/var/lib/systemd/random-seed", "x"),
            ("/tmp/x", ""),
            ("/etc/resolv.conf", "-> ../run/systemd/resolve/stub-resolv.conf"),
        ]));
        let cloud = facts.cloud_init.value().unwrap();
        assert!(cloud.provisioned);
        assert_eq!(cloud.datasource.value().unwrap(), "DataSourceAzure: DataSourceAzure");
        assert_eq!(cloud.seeds, ["/var/lib/cloud/seed/nocloud"]);
        let agent = facts.waagent.value().unwrap();
        assert_eq!((agent.provisioned, agent.ovf_env, agent.certificates, agent.goal_states, agent.disabled), (true, true, 1, 1, false));
        assert_eq!(agent.ovf_user, Fact::Known("a".to_owned()));
        assert_eq!(agent.extensions, ["Microsoft.Azure.Extensions.CustomScript-2.1.3"]);
        assert_eq!(paths(facts.histories.value().unwrap().clone()), ["/home/gone/.python_history", "/root/.bash_history"]);
        assert_eq!(facts.credentials, Fact::Known(vec!["/home/a/.azure/msal_token_cache.json".to_owned()]));
        assert_eq!(facts.leases, Fact::Known(vec!["/var/lib/dhcp/dhclient.eth0.leases".to_owned()]));
        assert_eq!(facts.logs.value().unwrap().len(), 2);
        assert_eq!(facts.seeds.value().unwrap().len(), 1);
        assert_eq!(facts.temporary, Fact::Known(1));
        assert!(facts.resolv_conf.value().unwrap().starts_with("link to "));
    }

    #[test]
    fn a_machine_that_did_not() {
        let facts = residue(&tree(&[("/var/lib/waagent/", ""), ("/var/lib/cloud/seed/", ""), ("/var/lib/cloud/instances/", "")]));
        assert_eq!(facts.cloud_init, Fact::Absent);
        assert_eq!(facts.waagent, Fact::Absent);
        assert_eq!(facts.histories, Fact::Known(vec![]));
        let facts = residue(&tree(&[("/etc/passwd", "!damaged"), ("/tmp/a", "")]));
        assert!(facts.histories.reason().is_some());
        assert_eq!(facts.temporary, Fact::Known(1));
    }
}

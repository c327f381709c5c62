//! The Azure Linux agent.

use super::first_of;
use crate::facts::{Fact, WaagentConfigurationFacts, WaagentFacts};
use crate::fs::{Error, Tree};
use crate::guest::linux::package_version;
use crate::guest::linux::python::assigned_text;
use crate::guest::linux::waagent::settings;

/// Where the agent may be; the second to last are Flatcar's.
const PROGRAMS: &[&str] =
    &["/usr/sbin/waagent", "/usr/bin/waagent", "/usr/local/sbin/waagent", "/usr/share/oem/bin/waagent", "/oem/bin/waagent"];
/// Where its configuration may be: most systems, Flatcar, Clear Linux.
const CONFIGURATIONS: &[&str] =
    &["/etc/waagent.conf", "/usr/share/oem/waagent.conf", "/oem/waagent.conf", "/usr/share/defaults/waagent/waagent.conf"];
/// Where its modules may be.
const MODULES: &[&str] = &[
    "/usr/lib/python*/*-packages/azurelinuxagent/common/version.py",
    "/usr/local/lib/python*/*-packages/azurelinuxagent/common/version.py",
    "/usr/share/oem/python/lib*/python*/*-packages/azurelinuxagent/common/version.py",
    "/oem/python/lib*/python*/*-packages/azurelinuxagent/common/version.py",
    "/usr/lib/python*/*-packages/*.egg/azurelinuxagent/common/version.py",
    "/usr/local/lib/python*/*-packages/*.egg/azurelinuxagent/common/version.py",
];
/// Its directory unless its configuration says another.
const STATE: &str = "/var/lib/waagent";
/// Keys of interest. Those that may hold a password, as a proxy's address may, are left out.
const KEYS: &[&str] = &[
    "AutoUpdate.Enabled",
    "AutoUpdate.GAFamily",
    "AutoUpdate.UpdateToLatestVersion",
    "Extension.LogDir",
    "Extensions.Enabled",
    "Lib.Dir",
    "Logs.Collect",
    "Logs.Console",
    "Logs.Verbose",
    "OS.AllowHTTP",
    "OS.EnableFIPS",
    "OS.EnableFirewall",
    "OS.EnableRDMA",
    "OS.HomeDir",
    "OS.MonitorDhcpClientRestartPeriod",
    "OS.OpensslPath",
    "OS.PasswordPath",
    "OS.RootDeviceScsiTimeout",
    "OS.SshClientAliveInterval",
    "OS.SshDir",
    "OS.SudoersDir",
    "Provisioning.Agent",
    "Provisioning.AllowResetSysUser",
    "Provisioning.DecodeCustomData",
    "Provisioning.DeleteRootPassword",
    "Provisioning.Enabled",
    "Provisioning.ExecuteCustomData",
    "Provisioning.MonitorHostName",
    "Provisioning.RegenerateSshHostKeyPair",
    "Provisioning.SshHostKeyPairType",
    "Provisioning.UseCloudInit",
    "ResourceDisk.EnableSwap",
    "ResourceDisk.EnableSwapEncryption",
    "ResourceDisk.Filesystem",
    "ResourceDisk.Format",
    "ResourceDisk.MountOptions",
    "ResourceDisk.MountPoint",
    "ResourceDisk.SwapSizeMB",
];

/// Learns of the agent; absent where there is neither a program, nor its modules, nor a configuration.
pub(super) fn waagent(tree: &Tree) -> Fact<WaagentFacts> {
    let program = first_of(tree, PROGRAMS.iter().map(|path| (*path).to_owned()));
    let configuration: Fact<WaagentConfigurationFacts> =
        configuration(tree).map_or_else(|error| Fact::unknown(error.to_string()), Fact::from);
    let version = version(tree, MODULES, "AGENT_VERSION");
    if program == Fact::Absent && configuration == Fact::Absent && version == Fact::Absent {
        return Fact::Absent;
    }
    let state = configuration.value().and_then(|configuration| configuration.settings.get("Lib.Dir")).filter(|path| path.starts_with('/'));
    let state = state.map_or(STATE, |path| path.trim_end_matches('/')).to_owned();
    Fact::Known(WaagentFacts {
        program,
        version,
        fetched: fetched(tree, &state).into(),
        configuration,
        disabled_by_file: tree.exists(&format!("{state}/disable_agent")).into(),
    })
}

fn configuration(tree: &Tree) -> Result<Option<WaagentConfigurationFacts>, Error> {
    for path in CONFIGURATIONS {
        if let Some(text) = tree.text(path)? {
            let of_interest = settings(&text).into_iter().filter(|(key, _)| KEYS.contains(&key.as_str()));
            return Ok(Some(WaagentConfigurationFacts { path: (*path).to_owned(), settings: of_interest.collect() }));
        }
    }
    Ok(None)
}

/// Versions in directories that the agent has made for its updates.
fn fetched(tree: &Tree, state: &str) -> Result<Vec<String>, Error> {
    let names = tree.names(state)?;
    let versions = names.iter().filter_map(|name| name.strip_prefix("WALinuxAgent-"));
    let is_version = |text: &&str| {
        text.starts_with(|digit: char| digit.is_ascii_digit()) && text.bytes().all(|sign| sign.is_ascii_digit() || sign == b'.')
    };
    let mut versions: Vec<String> = versions.filter(is_version).map(str::to_owned).collect();
    versions.sort_by(|a, b| package_version::rpm_part(a, b));
    Ok(versions)
}

/// What the first of these modules assigns to a name; absent where there is no such module.
pub(super) fn version(tree: &Tree, modules: &[&str], name: &str) -> Fact<String> {
    let mut trouble = None;
    for pattern in modules {
        let paths = match tree.glob(pattern) {
            Ok(paths) => paths,
            Err(error) => {
                trouble.get_or_insert(error.to_string());
                continue;
            }
        };
        for path in paths {
            match tree.text(&path) {
                Ok(Some(text)) => match assigned_text(&text, name) {
                    Some(version) => return Fact::Known(version),
                    None => trouble = trouble.or(Some(format!("{path} assigns no text to {name}"))),
                },
                Ok(None) => {}
                Err(error) => trouble = trouble.or(Some(error.to_string())),
            }
        }
    }
    trouble.map_or(Fact::Absent, Fact::unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    #[test]
    fn the_agent_is_learnt() {
        let files = [
            ("/usr/sbin/waagent", "#!/usr/bin/python3\n"),
            (
                "/etc/waagent.conf",
                "Provisioning.Agent=auto\nResourceDisk.Format=y\nHttpProxy.Host=user:secret@host\nLib.Dir=/var/lib/waagent\n",
            ),
            ("/usr/lib/python3/dist-packages/azurelinuxagent/common/version.py", "AGENT_NAME = 'W'\nAGENT_VERSION = '2.7.3.0'\n"),
            ("/var/lib/waagent/WALinuxAgent-2.9.1.1/", ""),
            ("/var/lib/waagent/WALinuxAgent-2.11.1.4/", ""),
            ("/var/lib/waagent/WALinuxAgent-2.9.1.1.zip", ""),
            ("/var/lib/waagent/disable_agent", ""),
        ];
        let found = waagent(&tree(&files));
        let found = found.value().unwrap();
        assert_eq!(found.program, Fact::Known("/usr/sbin/waagent".to_owned()));
        assert_eq!(found.version, Fact::Known("2.7.3.0".to_owned()));
        assert_eq!(found.fetched, Fact::Known(vec!["2.9.1.1".to_owned(), "2.11.1.4".to_owned()]));
        assert_eq!(found.disabled_by_file, Fact::Known(true));
        let configuration = found.configuration.value().unwrap();
        assert_eq!((configuration.switch("ResourceDisk.Format"), configuration.switch("Provisioning.Agent")), (Some(true), None));
        assert!(!configuration.settings.contains_key("HttpProxy.Host"));
    }

    #[test]
    fn parts_that_cannot_be_read_are_unknown() {
        assert_eq!(waagent(&tree(&[])), Fact::Absent);
        let found = waagent(&tree(&[("/etc/waagent.conf", "!damaged")]));
        let found = found.value().unwrap();
        assert!(found.configuration.reason().is_some());
        assert_eq!((&found.program, &found.version, &found.disabled_by_file), (&Fact::Absent, &Fact::Absent, &Fact::Known(false)));
        let found = waagent(&tree(&[("/usr/lib/python3.9/site-packages/azurelinuxagent/common/version.py", "AGENT_VERSION = x\n")]));
        assert!(found.value().unwrap().version.reason().unwrap().contains("assigns no text"));
    }
}

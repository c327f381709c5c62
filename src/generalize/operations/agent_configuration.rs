//! The agents' configuration: L-22 to L-27. One of cloud-init and the Azure Linux agent sets up a new machine, and each knows which.

use crate::facts::{Fact, LinuxFacts};
use crate::fs::Error;
use crate::generalize::{Draft, Operation, Sample, System};
use crate::guest::linux::waagent::settings;
use crate::guest::linux::yaml::{self, Value};
use crate::rules::provisioner::{CloudInit, Provisioner, cloud_init, provisioner};
use crate::rules::{Distribution, Guest, Skip};

pub(super) static AGENT_CONFIGURATION: Operation = Operation {
    name: "agent-configuration",
    requirement: "L-24",
    summary: "have exactly one of cloud-init and the Azure Linux agent set up new machines",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/sbin/init", "-> ../usr/lib/systemd/systemd"),
            ("/usr/lib/systemd/systemd", ""),
            ("/usr/bin/cloud-init", ""),
            ("/usr/sbin/waagent", ""),
            ("/etc/cloud/cloud.cfg", "disable_root: true\n"),
            ("/etc/cloud/cloud.cfg.d/90_dpkg.cfg", "datasource_list: [ NoCloud, None ]\n"),
            ("/etc/cloud/cloud-init.disabled", ""),
            ("/etc/cloud/ds-identify.cfg", "datasource: NoCloud\n"),
            ("/etc/machine-id", ""),
            ("/etc/waagent.conf", "# x\nProvisioning.Agent=disabled\nResourceDisk.Format=y\nResourceDisk.EnableSwap=y\n"),
            ("/usr/lib/systemd/system/cloud-init-local.service", "[Install]\nWantedBy=multi-user.target\n"),
            ("/usr/lib/systemd/system/cloud-init.service", "[Install]\nWantedBy=multi-user.target\n"),
            ("/usr/lib/systemd/system/cloud-config.service", "[Install]\nWantedBy=multi-user.target\n"),
            ("/usr/lib/systemd/system/cloud-final.service", "[Install]\nWantedBy=multi-user.target\n"),
            ("/usr/lib/systemd/system/waagent.service", "[Install]\nWantedBy=multi-user.target\n"),
            ("/etc/systemd/system/multi-user.target.wants/cloud-init-local.service", "-> /usr/lib/systemd/system/cloud-init-local.service"),
            ("/etc/systemd/system/multi-user.target.wants/cloud-init.service", "-> /usr/lib/systemd/system/cloud-init.service"),
            ("/etc/systemd/system/multi-user.target.wants/cloud-config.service", "-> /usr/lib/systemd/system/cloud-config.service"),
            ("/etc/systemd/system/multi-user.target.wants/cloud-final.service", "-> /usr/lib/systemd/system/cloud-final.service"),
            ("/etc/systemd/system/multi-user.target.wants/waagent.service", "-> /usr/lib/systemd/system/waagent.service"),
        ],
        after: &[
            ("/etc/cloud/cloud-init.disabled", None),
            ("/etc/cloud/ds-identify.cfg", Some("")),
            ("/etc/cloud/cloud.cfg.d/91-azure_datasource.cfg", Some("datasource_list: [ Azure ]\n")),
            ("/etc/waagent.conf", Some("# x\nProvisioning.Agent=auto\nResourceDisk.Format=n\nResourceDisk.EnableSwap=n\n")),
        ],
    },
};

/// Keys of the agent's configuration that decide who sets up a machine, and who makes its host keys.
const AGENT: &str = "Provisioning.Agent";
const KEYS: &str = "Provisioning.RegenerateSshHostKeyPair";
const DISABLED: &str = "/etc/cloud/cloud-init.disabled";
const PARTS: &str = "/etc/cloud/cloud.cfg.d";
const IDENTIFY: &str = "/etc/cloud/ds-identify.cfg";

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    // Ignition sets those up.
    if system.distribution == Distribution::Flatcar {
        return Ok(());
    }
    let mut facts = system.linux.clone();
    if let Fact::Known(cloud) = &mut facts.agents.cloud_init {
        cloud.disabled_by_file = Fact::Known(false);
        if let Fact::Known(identify) = &mut cloud.ds_identify {
            identify.policy = identify.policy.take().filter(|policy| policy != "disabled");
        }
    }
    let guest = |linux| Guest { os: system.os, linux };
    match cloud_init(&guest(&facts)) {
        Ok(CloudInit::Starts) => by_cloud_init(system, draft, &mut facts),
        Ok(other) => by_agent(system, draft, &mut facts, &other),
        Err(reason) => {
            undecided(draft, &reason);
            Ok(())
        }
    }
}

/// What is known of a guest, with what is planned of the agents' configuration: who provisions is what the template says, not the machine.
///
/// # Errors
///
/// When a file cannot be read.
pub(super) fn as_planned(system: &System<'_>, draft: &Draft<'_>) -> Result<LinuxFacts, Error> {
    let mut facts = system.linux.clone();
    if let Fact::Known(cloud) = &mut facts.agents.cloud_init {
        if cloud.disabled_by_file == Fact::Known(true) {
            cloud.disabled_by_file = Fact::Known(draft.exists(DISABLED)?);
        }
        if let Fact::Known(identify) = &mut cloud.ds_identify
            && identify.policy.as_deref() == Some("disabled")
        {
            let text = draft.read(IDENTIFY)?.unwrap_or_default();
            if !text.split(|byte| *byte == b'\n').any(|line| identified(line).0 == "policy") {
                identify.policy = None;
            }
        }
    }
    if let Fact::Known(agent) = &mut facts.agents.waagent
        && let Fact::Known(configuration) = &mut agent.configuration
        && let Some(text) = draft.text(&configuration.path)?
    {
        let planned = settings(&text).into_iter();
        configuration.settings.extend(planned.filter(|(key, _)| key == AGENT || key == KEYS));
    }
    Ok(facts)
}

/// Name and value of a line of `ds-identify.cfg`.
fn identified(line: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(line);
    let (name, value) = text.split('#').next().unwrap_or_default().split_once(':').unwrap_or_default();
    (name.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned())
}

fn undecided(draft: &mut Draft<'_>, reason: &Skip) {
    let (Skip::Undecided(reason) | Skip::NotApplicable(reason)) = reason;
    draft.remains(format!("who sets up new machines could not be told: {reason}; the agents' configuration stays as it is"), vec![]);
}

/// cloud-init starts, and provisions.
fn by_cloud_init(system: &System<'_>, draft: &mut Draft<'_>, facts: &mut LinuxFacts) -> Result<(), Error> {
    draft.remove(DISABLED, "it keeps cloud-init from setting up new machines")?;
    draft.lines(IDENTIFY, "it keeps cloud-init from finding Azure", |line| {
        let (name, value) = identified(line);
        let azure = value.split([',', ' ']).any(|one| one.eq_ignore_ascii_case("azure"));
        let hinders = match name.as_str() {
            "policy" => value == "disabled",
            "datasource" => !value.is_empty() && !azure,
            _ => false,
        };
        (!hinders).then(|| line.to_vec())
    })?;
    data_source(system, draft)?;
    tell_agent(system, draft, facts, Provisioner::CloudInit, &["auto", "cloud-init"])?;
    let Some(agent) = facts.agents.waagent.value().and_then(|agent| agent.configuration.value()) else { return Ok(()) };
    let path = agent.path.clone();
    for key in ["ResourceDisk.Format", "ResourceDisk.EnableSwap"] {
        if agent.switch(key) == Some(true) {
            set(draft, &path, key, "n", "cloud-init prepares the temporary disk, and both would")?;
        }
    }
    Ok(())
}

/// Has the last list of data sources name Azure.
fn data_source(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    if let Some(other) = system.linux.agents.cloud_init.value().and_then(|cloud| cloud.configuration_override.value()) {
        let message = format!(
            "{} has cloud-init read {} instead of /etc/cloud/cloud.cfg; which data sources it looks for is not seen",
            other.path, other.value
        );
        draft.remains(message, vec!["cloud-init query --all datasource_list".to_owned()]);
        return Ok(());
    }
    let mut files = draft.glob(&format!("{PARTS}/*.cfg"))?;
    files.insert(0, "/etc/cloud/cloud.cfg".to_owned());
    let mut name = "91-azure_datasource.cfg".to_owned();
    for path in files.iter().rev() {
        let Some(text) = draft.text(path)? else { continue };
        let Ok(value) = yaml::parse(&text) else {
            draft.remains(format!("{path} cannot be read as YAML; which data sources cloud-init looks for is not seen"), vec![]);
            return Ok(());
        };
        let Some(list) = value.get("datasource_list") else { continue };
        let names: Vec<&str> = match list {
            Value::List(items) => items.iter().filter_map(Value::as_str).collect(),
            other => other.as_str().into_iter().collect(),
        };
        if names.iter().any(|name| name.eq_ignore_ascii_case("azure")) {
            return Ok(());
        }
        let last = path.rsplit('/').next().unwrap_or_default();
        if path.starts_with(PARTS) && last >= name.as_str() {
            // The file that is read last counts, and an underscore comes behind the dot.
            name = format!("{}_azure.cfg", last.trim_end_matches(".cfg"));
        }
        break;
    }
    if draft.exists(PARTS)? {
        let why = "without it cloud-init does not look for Azure, or among all other data sources as well";
        draft.create(&format!("{PARTS}/{name}"), 0o644, b"datasource_list: [ Azure ]\n".to_vec(), why)?;
    } else {
        let command = format!("mkdir -p {PARTS} && echo 'datasource_list: [ Azure ]' > {PARTS}/{name}");
        draft.remains(format!("there is no {PARTS} for a file that has cloud-init look for Azure"), vec![command]);
    }
    Ok(())
}

/// cloud-init does not start: the agent provisions, or somebody must see to it.
fn by_agent(system: &System<'_>, draft: &mut Draft<'_>, facts: &mut LinuxFacts, cloud: &CloudInit) -> Result<(), Error> {
    tell_agent(system, draft, facts, Provisioner::Waagent, &["auto", "waagent"])?;
    let who = match provisioner(&Guest { os: system.os, linux: facts }) {
        Ok(who) => who,
        Err(reason) => {
            undecided(draft, &reason);
            return Ok(());
        }
    };
    if who == Provisioner::Waagent {
        let configuration = facts.agents.waagent.value().and_then(|agent| agent.configuration.value());
        if let Some(configuration) = configuration
            && configuration.switch(KEYS) != Some(true)
        {
            let path = configuration.path.clone();
            set(draft, &path, KEYS, "y", "nobody else makes host keys for each machine")?;
        }
        return Ok(());
    }
    let distribution = system.distribution;
    let (message, command) = match cloud {
        CloudInit::Stopped(units) => {
            let list = units.join(" ");
            (
                format!("cloud-init does not start whole (not enabled: {list}), and nothing else sets up new machines"),
                distribution.enable(&list),
            )
        }
        CloudInit::Disabled(by) => (
            format!("cloud-init is switched off by {by}, and nothing else sets up new machines"),
            format!("take {by} away, and make the boot loader's configuration anew"),
        ),
        CloudInit::Missing | CloudInit::Starts => (
            "neither cloud-init nor an Azure Linux agent that starts is installed: nobody sets up new machines".to_owned(),
            format!("{}, and enable its units", distribution.install("cloud-init")),
        ),
    };
    draft.remains(message, vec![command]);
    Ok(())
}

/// Has the agent's `Provisioning.Agent` come to what is wanted, by the first value that does.
fn tell_agent(
    system: &System<'_>,
    draft: &mut Draft<'_>,
    facts: &mut LinuxFacts,
    wanted: Provisioner,
    values: &[&str],
) -> Result<(), Error> {
    let comes_to = |facts: &LinuxFacts| provisioner(&Guest { os: system.os, linux: facts }).is_ok_and(|who| who == wanted);
    let configuration = facts.agents.waagent.value().and_then(|agent| agent.configuration.value());
    let Some(path) = configuration.map(|configuration| configuration.path.clone()) else { return Ok(()) };
    // Told to provision nothing the agent reports a machine ready at once, before cloud-init has set it up.
    let told = configuration.and_then(|configuration| configuration.settings.get(AGENT)).map(String::as_str);
    let waits = wanted == Provisioner::Waagent || told.is_none_or(|value| matches!(value, "auto" | "cloud-init"));
    if comes_to(facts) && waits {
        return Ok(());
    }
    for value in values {
        let mut other = facts.clone();
        if let Fact::Known(agent) = &mut other.agents.waagent
            && let Fact::Known(configuration) = &mut agent.configuration
        {
            configuration.settings.insert(AGENT.to_owned(), (*value).to_owned());
        }
        if comes_to(&other) {
            let why = if wanted == Provisioner::CloudInit { "cloud-init sets up new machines" } else { "nobody else sets up new machines" };
            set(draft, &path, AGENT, value, why)?;
            *facts = other;
            return Ok(());
        }
    }
    Ok(())
}

/// Sets a key of `waagent.conf`: in its lines where it has some, else in one more at the end.
fn set(draft: &mut Draft<'_>, path: &str, key: &str, value: &str, why: &str) -> Result<(), Error> {
    let before = draft.read(path)?.unwrap_or_default();
    let mut after = Vec::with_capacity(before.len());
    let mut found = false;
    for raw in before.split_inclusive(|byte| *byte == b'\n') {
        let name = raw.split(|byte| *byte == b'=').next().filter(|name| name.len() < raw.len() && !name.starts_with(b"#"));
        if name.is_some_and(|name| name.trim_ascii() == key.as_bytes()) {
            found = true;
            let end: &[u8] = if raw.ends_with(b"\r\n") {
                b"\r\n"
            } else if raw.ends_with(b"\n") {
                b"\n"
            } else {
                b""
            };
            after.extend([key.as_bytes(), b"=", value.as_bytes(), end].concat());
        } else {
            after.extend(raw);
        }
    }
    if !found {
        if !after.is_empty() && !after.ends_with(b"\n") {
            after.push(b'\n');
        }
        after.extend(format!("{key}={value}\n").into_bytes());
    }
    draft.rewrite(path, after, why).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::trial::{after, planned, wishes};
    use super::AGENT_CONFIGURATION;

    fn without(leave_out: &[&str], more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        let mut files: Vec<(&str, &str)> = AGENT_CONFIGURATION.sample.before.to_vec();
        files.retain(|(path, _)| !leave_out.iter().any(|word| path.contains(word)) && !more.iter().any(|(other, _)| other == path));
        files.extend(more);
        files
    }

    #[test]
    fn the_agent_provisions_where_cloud_init_does_not() {
        let files = without(&["cloud"], &[("/etc/waagent.conf", "Provisioning.Agent=cloud-init\r\nResourceDisk.Format=y")]);
        let left = after("agent-configuration", &files, &wishes(&[], &[]));
        let expected = "Provisioning.Agent=auto\r\nResourceDisk.Format=y\nProvisioning.RegenerateSshHostKeyPair=y\n";
        assert_eq!(left["/etc/waagent.conf"], expected);
    }

    #[test]
    fn what_needs_the_running_guest_is_told() {
        for (leave_out, said) in [
            (&["cloud", "waagent"][..], "apt-get install cloud-init"),
            (&["wants/cloud-final", "waagent"], "systemctl enable cloud-final.service"),
        ] {
            let files = without(leave_out, &[("/etc/os-release", "ID=debian\n")]);
            let remaining = planned("agent-configuration", &files, &wishes(&[], &[])).remaining;
            assert!(remaining.iter().any(|one| one.commands.join(" ").contains(said)), "{said}: {remaining:?}");
        }
    }

    #[test]
    fn the_file_that_is_read_last_names_azure() {
        for (path, text, made) in [
            ("/etc/cloud/cloud.cfg.d/99-x.cfg", "datasource_list: [None]\n", Some("/etc/cloud/cloud.cfg.d/99-x_azure.cfg")),
            ("/etc/cloud/cloud.cfg.d/99-x.cfg", "datasource_list: [Azure]\n", None),
            ("/etc/cloud/cloud.cfg.d/99-x.cfg", "other: 1\n", Some("/etc/cloud/cloud.cfg.d/91-azure_datasource.cfg")),
            ("/etc/cloud/cloud.cfg.d/99-x.cfg", "\t: [broken", None),
        ] {
            let files = without(&[], &[(path, text)]);
            let left = after("agent-configuration", &files, &wishes(&[], &[]));
            let new = left.keys().find(|path| path.contains("azure") && path.ends_with(".cfg")).map(String::as_str);
            assert_eq!(new, made, "{text}");
        }
    }
}

//! The keys by which SSH clients know this machine: LG-03.

use super::agent_configuration::as_planned;
use super::lines::{assign, assigned};
use super::paths::{decisive, reason};
use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, Operation, Sample, System};
use crate::rules::template::{KeyMaker, Template};

pub(super) static SSH_HOST_KEYS: Operation = Operation {
    name: "ssh-host-keys",
    requirement: "LG-03",
    summary: "remove SSH host keys, where something makes new ones",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/usr/sbin/sshd", "x"),
            ("/usr/lib/systemd/system/sshd-keygen@.service", "[Service]\n"),
            ("/etc/ssh/ssh_host_rsa_key", "PRIVATE"),
            ("/etc/ssh/ssh_host_rsa_key.pub", "ssh-rsa AAAA"),
            ("/etc/ssh/ssh_host_rsa_key-cert.pub", "cert"),
            ("/etc/ssh/moduli", "x"),
        ],
        after: &[
            ("/etc/ssh/ssh_host_rsa_key", None),
            ("/etc/ssh/ssh_host_rsa_key.pub", None),
            ("/etc/ssh/ssh_host_rsa_key-cert.pub", None),
        ],
    },
};

const WHY: &str = "every machine made from the template would show the same key";
const SETTING: &str = "Provisioning.RegenerateSshHostKeyPair";
/// Where a distribution itself makes missing keys before sshd starts: Red Hat, Azure Linux and Debian 13; Arch; SUSE; Alpine; Red Hat 6.
const MAKERS: [&str; 15] = [
    "/usr/lib/systemd/system/sshd-keygen@.service",
    "/usr/lib/systemd/system/sshd-keygen.service",
    "/usr/lib/systemd/system/sshdgenkeys.service",
    "/usr/lib/systemd/system/ssh-keygen.service",
    "/lib/systemd/system/sshd-keygen@.service",
    "/lib/systemd/system/sshd-keygen.service",
    "/lib/systemd/system/sshdgenkeys.service",
    "/etc/systemd/system/sshd-keygen.service",
    "/etc/systemd/system/sshd-keygen@.service",
    "/usr/sbin/sshd-gen-keys-start",
    "/usr/sbin/sshd-keygen",
    "/usr/libexec/openssh/sshd-keygen",
    "/usr/libexec/sshd-keygen",
    // Those of Debian make none.
    "/etc/rc.d/init.d/sshd",
    "/etc/init.d/sshd",
];

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    let keys = draft.glob("/etc/ssh/ssh_host_*key*")?;
    let elsewhere = elsewhere(system, draft)?;
    if keys.is_empty() && elsewhere.is_empty() && decisive(&system.linux.ssh.installed)? != Some(&true) {
        return Ok(());
    }
    if !are_made(system, draft, keys.is_empty() && elsewhere.is_empty())? {
        return Ok(());
    }
    for path in keys {
        draft.remove(&path, WHY)?;
    }
    for path in elsewhere {
        draft.problem(
            format!("sshd takes a host key from {path}, where nothing makes a new one"),
            vec![format!("Take {path} out of sshd's configuration, so that it takes those of /etc/ssh, and remove the file")],
        );
    }
    dropbear(draft)
}

/// Host keys that sshd's configuration names outside the names that everything makes anew, and that are there.
fn elsewhere(system: &System<'_>, draft: &Draft<'_>) -> Result<Vec<String>, Error> {
    let settings = decisive(&system.linux.ssh.settings)?.map(Vec::as_slice).unwrap_or_default();
    let mut out = Vec::new();
    for one in settings.iter().filter(|one| one.keyword == "hostkey") {
        let path = one.value.trim();
        let usual = path.strip_prefix("/etc/ssh/ssh_host_").is_some_and(|rest| !rest.contains('/') && rest.contains("key"));
        if path.starts_with('/') && !usual && draft.exists(path)? && !out.iter().any(|known| known == path) {
            out.push(path.to_owned());
        }
    }
    Ok(out)
}

/// Whether something makes the keys that are missing; says what to do where nothing does. `missing` says that there are none even now.
fn are_made(system: &System<'_>, draft: &mut Draft<'_>, missing: bool) -> Result<bool, Error> {
    for path in MAKERS {
        // A unit that is masked makes nothing.
        let name = path.rsplit('/').next().unwrap_or_default();
        let masked = system.tree.target(&format!("/etc/systemd/system/{name}"))?.is_some_and(|target| target == "/dev/null");
        if !masked && system.tree.find(path)?.is_some_and(|found| found.node.kind == NodeKind::File && found.node.size > 0) {
            return Ok(true);
        }
    }
    let facts = as_planned(system, draft)?;
    let maker = Template::new(system.os, &facts).key_maker();
    let remedies = || {
        vec![
            "Install cloud-init, which makes SSH host keys on every new machine, and have it start".to_owned(),
            format!("Have the Azure Linux agent provision, with {SETTING}=y in its configuration"),
        ]
    };
    match maker {
        Ok(KeyMaker::CloudInit) => return Ok(true),
        Ok(KeyMaker::Agent) => {
            late(draft);
            return Ok(true);
        }
        Ok(KeyMaker::AgentUntold(path)) => {
            tell(draft, path)?;
            late(draft);
            return Ok(true);
        }
        // Without keys it is no worse than before; other findings tell that nobody provisions the machine.
        _ if missing || decisive(&system.linux.ssh.installed)? == Some(&false) => return Ok(true),
        Ok(KeyMaker::Nobody) => draft.problem("nothing makes new SSH host keys, and sshd does not start without", remedies()),
        Err(skip) => draft.problem(format!("it is not certain that anything makes new SSH host keys: {}", reason(skip)), remedies()),
    }
    Ok(false)
}

/// Tells that sshd comes before the agent, which starts after all else: on Debian 12 (agent 2.7.3.0) `systemctl try-reload-or-restart ssh`
/// is all that it does for sshd then, and that leaves a unit that has failed as it is.
fn late(draft: &mut Draft<'_>) {
    let message = "sshd does not start on a new machine before the Azure Linux agent has made its keys, and the agent only reloads an sshd \
                   that runs: nobody gets in by SSH before the machine is started again, unless sshd makes keys first";
    let lines = "[Service]\\nExecStartPre=\\nExecStartPre=/usr/bin/ssh-keygen -A\\nExecStartPre=/usr/sbin/sshd -t\\n";
    let place = "/etc/systemd/system/ssh.service.d/host-keys.conf";
    draft.remains(
        message,
        vec![
            format!("printf '{lines}' | install -D -m 644 /dev/stdin {place}"),
            "Or install cloud-init, which makes them before sshd starts".to_owned(),
        ],
    );
}

/// Has the Azure Linux agent make keys.
fn tell(draft: &mut Draft<'_>, path: &str) -> Result<(), Error> {
    let Some(before) = draft.read(path)? else { return Ok(()) };
    let why = "the agent makes SSH host keys on every new machine only where it is told to, and nothing else does";
    if before.split(|byte| *byte == b'\n').any(|line| assigned(line, SETTING).is_some()) {
        draft.lines(path, why, |line| Some(if assigned(line, SETTING).is_some() { assign(line, "y") } else { line.to_vec() }))?;
        return Ok(());
    }
    let break_before: &[u8] = if before.is_empty() || before.ends_with(b"\n") { b"" } else { b"\n" };
    draft.rewrite(path, [&before, break_before, SETTING.as_bytes(), b"=y\n"].concat(), why)?;
    Ok(())
}

/// Dropbear's keys: Alpine's script makes missing ones, others do so at installation only.
fn dropbear(draft: &mut Draft<'_>) -> Result<(), Error> {
    let keys = draft.glob("/etc/dropbear/dropbear_*_host_key")?;
    if keys.is_empty() {
        return Ok(());
    }
    if draft.exists("/etc/init.d/dropbear")? && draft.exists("/etc/conf.d/dropbear")? {
        for path in keys {
            draft.remove(&path, WHY)?;
        }
        return Ok(());
    }
    let message = format!("Dropbear's host keys stay, because nothing is known to make new ones: {}", keys.join(", "));
    draft.remains(
        message,
        keys.iter().map(|path| format!("rm -f {path} && dropbearkey -t ed25519 -f {path}, on each new machine")).collect(),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{exists, planned, text};
    use super::super::trial::{made, plan_all, wishes};
    use super::*;

    const KEY: (&str, &str) = ("/etc/ssh/ssh_host_ed25519_key", "PRIVATE");
    const SSHD: (&str, &str) = ("/usr/sbin/sshd", "x");
    const AGENT: [(&str, &str); 5] = [
        ("/usr/lib/systemd/systemd", "x"),
        ("/sbin/init", "-> ../usr/lib/systemd/systemd"),
        ("/usr/sbin/waagent", "#!/usr/bin/python3\n"),
        (
            "/usr/lib/systemd/system/walinuxagent.service",
            "[Service]\nExecStart=/usr/sbin/waagent -daemon\n[Install]\nWantedBy=multi-user.target\n",
        ),
        ("/etc/systemd/system/multi-user.target.wants/walinuxagent.service", "-> /usr/lib/systemd/system/walinuxagent.service"),
    ];

    #[test]
    fn each_distribution_makes_them_in_its_own_way() {
        for maker in MAKERS {
            assert!(!exists(&SSH_HOST_KEYS, &[SSHD, KEY, (maker, "x")], KEY.0), "{maker}");
        }
        let unit = ("/usr/lib/systemd/system/sshd-keygen.service", "[Service]\n");
        for masked in [("/usr/lib/systemd/system/sshd-keygen.service", ""), ("/etc/systemd/system/sshd-keygen.service", "-> /dev/null")] {
            assert!(exists(&SSH_HOST_KEYS, &[SSHD, KEY, unit, masked], KEY.0), "{masked:?}");
        }
        let nobody = planned(&SSH_HOST_KEYS, &[SSHD, KEY, ("/etc/os-release", "ID=debian\nVERSION_ID=12\n")]);
        assert_eq!((nobody.changes.len(), nobody.problems.len()), (0, 1));
        assert!(!exists(&SSH_HOST_KEYS, &[KEY], KEY.0), "without sshd nothing needs them");
        assert!(planned(&SSH_HOST_KEYS, &[SSHD]).problems.is_empty());
    }

    #[test]
    fn the_agent_is_told() {
        for (before, after) in [
            (
                "Provisioning.Agent=waagent\nProvisioning.RegenerateSshHostKeyPair=n\n",
                "Provisioning.Agent=waagent\nProvisioning.RegenerateSshHostKeyPair=y\n",
            ),
            ("# x\r\nProvisioning.Agent=waagent", "# x\r\nProvisioning.Agent=waagent\nProvisioning.RegenerateSshHostKeyPair=y\n"),
            (
                "Provisioning.Agent=waagent\nProvisioning.RegenerateSshHostKeyPair=y\n",
                "Provisioning.Agent=waagent\nProvisioning.RegenerateSshHostKeyPair=y\n",
            ),
        ] {
            let mut files = AGENT.to_vec();
            files.extend([SSHD, KEY, ("/etc/waagent.conf", before), ("/etc/os-release", "ID=debian\nVERSION_ID=12\n")]);
            let planned = planned(&SSH_HOST_KEYS, &files);
            assert_eq!(planned.problems, [], "{before}");
            assert!(planned.remaining.iter().any(|one| one.message.starts_with("sshd does not start")), "{before}");
            assert_eq!(text(&SSH_HOST_KEYS, &files, "/etc/waagent.conf").as_deref(), Some(after));
            assert!(!exists(&SSH_HOST_KEYS, &files, KEY.0));
        }
    }

    /// What is planned decides, not what is there: Debian's agent waits for a cloud-init that is not installed.
    #[test]
    fn the_agents_planned_configuration_decides() {
        for (before, after) in [
            ("Provisioning.Agent=cloud-init\n", "Provisioning.Agent=auto\nProvisioning.RegenerateSshHostKeyPair=y\n"),
            (
                "Provisioning.RegenerateSshHostKeyPair=n\nProvisioning.Agent=disabled\n",
                "Provisioning.RegenerateSshHostKeyPair=y\nProvisioning.Agent=auto\n",
            ),
        ] {
            let mut files = AGENT.to_vec();
            files.extend([SSHD, KEY, ("/etc/waagent.conf", before), ("/etc/os-release", "ID=debian\nVERSION_ID=12\n")]);
            let planned = plan_all(&files, &wishes(&[], &[]));
            assert_eq!(planned.problems, [], "{before}");
            let left = made(&files, &planned);
            assert_eq!(left.get("/etc/waagent.conf").map(String::as_str), Some(after));
            assert!(!left.contains_key(KEY.0));
            // Without that, nobody makes any.
            assert_eq!(super::super::testing::planned(&SSH_HOST_KEYS, &files).problems.len(), 1, "{before}");
        }
    }

    #[test]
    fn keys_elsewhere_are_somebody_s_to_decide() {
        let files = [
            SSHD,
            KEY,
            ("/usr/sbin/sshd-gen-keys-start", "x"),
            ("/etc/ssh/sshd_config", "HostKey /etc/ssh/ssh_host_ed25519_key\nHostKey /srv/keys/host\nHostKey /srv/keys/none\n"),
            ("/srv/keys/host", "PRIVATE"),
        ];
        let planned = planned(&SSH_HOST_KEYS, &files);
        assert_eq!((planned.unlinks.len(), planned.problems.len()), (1, 1));
        assert!(!format!("{planned:?}").contains("PRIVATE"));
    }
}

//! What an installation lacks of a state.

use crate::facts::{Fact, LinuxFacts, OsFacts, State, SysprepFacts};
use std::collections::BTreeSet;

const GENERALIZED: &str = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE";
const COMPLETE: &str = "IMAGE_STATE_COMPLETE";

/// What is missing so that the installation is in that state, as far as it is known; empty where nothing can be named. A template may have
/// the accounts that are kept.
pub(super) fn missing(os: &OsFacts, wanted: State, kept: &BTreeSet<String>) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(windows) = os.windows.value() {
        of_windows(&windows.sysprep, wanted, &mut out);
    }
    if let Some(linux) = os.linux.value() {
        of_linux(linux, wanted, kept, &mut out);
    }
    out
}

fn of_windows(marks: &SysprepFacts, wanted: State, out: &mut Vec<String>) {
    let needed = if wanted == State::Generalized { GENERALIZED } else { COMPLETE };
    let image = marks.image_state.value().or(marks.image_state_file.value());
    if let Some(state) = image.filter(|state| *state != needed) {
        out.push(format!("ImageState {needed} (it is {state})"));
    }
    let number = |fact: &Fact<u32>| fact.value().copied().unwrap_or(0);
    let setup = &marks.setup;
    let command = setup.command.value().map(String::as_str).unwrap_or_default();
    let deploys = command.to_ascii_lowercase().replace('/', "\\").contains("oobe\\windeploy.exe");
    if wanted == State::Generalized {
        if number(&setup.in_progress) != 1 || number(&setup.kind) != 2 || !deploys {
            out.push("setup that runs at the next start (SYSTEM\\Setup)".to_owned());
        }
    } else if number(&setup.in_progress) != 0 || number(&setup.kind) != 0 || number(&setup.oobe_in_progress) != 0 {
        out.push("setup that has ended (SYSTEM\\Setup)".to_owned());
    }
}

fn of_linux(linux: &LinuxFacts, wanted: State, kept: &BTreeSet<String>, out: &mut Vec<String>) {
    let id = linux.identity.machine_id.value().map(|id| id.state.as_str());
    let able: Vec<&str> = linux
        .accounts
        .users
        .value()
        .into_iter()
        .flatten()
        .filter(|user| user.person && user.can_log_in == Fact::Known(true))
        .map(|user| user.name.as_str())
        .collect();
    if wanted == State::Generalized {
        if linux.residue.cloud_init.value().is_some_and(|cloud| cloud.provisioned) {
            out.push("cloud-init's state removed (/var/lib/cloud)".to_owned());
        }
        if linux.residue.waagent.value().is_some_and(|agent| agent.provisioned || agent.ovf_env || agent.goal_states > 0) {
            out.push("the Azure Linux agent's state removed (/var/lib/waagent)".to_owned());
        }
        let able: Vec<&str> = able.into_iter().filter(|name| !kept.contains(*name)).collect();
        if !able.is_empty() {
            out.push(format!("accounts of the machine removed ({})", able.join(", ")));
        }
        if id == Some("set") {
            out.push("an empty /etc/machine-id".to_owned());
        }
        return;
    }
    if id != Some("set") {
        out.push("an id in /etc/machine-id".to_owned());
    }
    if able.is_empty() && linux.accounts.users.value().is_some() {
        out.push("an account that somebody can log in with".to_owned());
    }
    let keys = linux.ssh.host_keys.value();
    if linux.ssh.installed == Fact::Known(true) && keys.is_some_and(|keys| !keys.iter().any(|key| key.private)) {
        out.push("host keys of the SSH server".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::DiskFacts;
    use crate::rules::testing::*;

    fn asked(facts: &DiskFacts, wanted: State) -> String {
        missing(facts.os.value().unwrap(), wanted, &BTreeSet::new()).join("; ")
    }

    #[test]
    fn what_a_linux_lacks() {
        assert_eq!(asked(&healthy_os(), State::Generalized), "");
        assert_eq!(asked(&specialized_linux(|_| {}), State::Specialized), "");
        let lacks = asked(&specialized_linux(|_| {}), State::Generalized);
        assert!(lacks.contains("azureuser") && lacks.contains("machine-id"), "{lacks}");
        let lacks = asked(&healthy_os(), State::Specialized);
        assert!(lacks.contains("an id in") && lacks.contains("log in"), "{lacks}");
    }

    #[test]
    fn what_a_windows_lacks() {
        assert_eq!(asked(&windows(|_| {}), State::Generalized), "");
        assert_eq!(asked(&specialized_windows(|_| {}), State::Specialized), "");
        let started = windows(|w| {
            w.sysprep.setup = Default::default();
        });
        assert_eq!(asked(&started, State::Generalized), "setup that runs at the next start (SYSTEM\\Setup)");
        assert_eq!(asked(&started, State::Specialized), format!("ImageState {COMPLETE} (it is {GENERALIZED})"));
    }
}

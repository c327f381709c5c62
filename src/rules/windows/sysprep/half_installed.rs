//! W-47: the agent is whole when Sysprep runs.

use crate::facts::State;
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN047",
    name: "vm-agent-half-installed",
    requirement: "W-47",
    also: &[],
    // That a directory without services means an unfinished installation, and not a removed one, is inferred.
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows, for generalized images",
    summary: "The Azure VM agent is either whole or not there.",
    azure_error: None,
    source: source::PACKER,
    docs: r"## What it checks

On a disk for a generalized image: where there is a directory `\WindowsAzure`, one of the services `RdAgent` and `WindowsAzureGuestAgent`
must be registered.

## Why it matters

The agent takes part in Sysprep. Where a machine is generalized before its agent is ready, as image builders do that do not wait for it,
the image keeps an agent that is neither there nor missing, and provisioning may fail.

## How to fix it

Start the machine, wait until both services run, and generalize it again; or delete `C:\WindowsAzure`, so that Azure installs the agent
anew.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    if guest.windows.agent.half_installed.known()? != Some(&true) {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: r"\WindowsAzure is there, but no service of the VM agent is: it was generalized before the agent was installed".to_owned(),
        actual: r"\WindowsAzure without services".to_owned(),
        required: "the services RdAgent and WindowsAzureGuestAgent, or no such directory".to_owned(),
        place: shared::file(r"\WindowsAzure", None),
        remedy: Remedy::hand(
            "start the machine, wait for Get-Service RdAgent, WindowsAzureGuestAgent to say Running, and generalize it again",
        ),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &windows(|_| {})), "pass");
        assert_eq!(ask(&RULE, &windows(|w| w.agent.half_installed = Fact::Known(true))), "hand");
        assert_eq!(ask(&RULE, &windows(|w| w.agent.half_installed = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &specialized_windows(|w| w.agent.half_installed = Fact::Known(true))), "not applicable");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
    }
}

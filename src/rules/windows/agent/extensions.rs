//! W-48: no extensions of an earlier machine.

use crate::facts::State;
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN048",
    name: "extensions-left",
    requirement: "W-48",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows, for generalized images",
    summary: "No extensions of an earlier machine are on a generalized disk.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

On a disk for a generalized image the directories `\Packages\Plugins` and `\WindowsAzure\Logs\Plugins` must be empty or missing.

## Why it matters

Every machine made from the image begins with the extensions of the first one, with settings and state that are not its own; some of them
then report failure, or do not install.

## How to fix it

Remove the extensions from the machine in Azure before it is generalized; then delete what is left of the two directories.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    let agent = &guest.windows.agent;
    let places = [(r"\Packages\Plugins", &agent.extensions), (r"\WindowsAzure\Logs\Plugins", &agent.extension_logs)];
    let mut found = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut unknown = None;
    for (place, list) in places {
        match list.known() {
            Ok(Some(list)) if !list.is_empty() => {
                found.push(place);
                names.extend(list.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<String>>());
            }
            Ok(_) => {}
            Err(reason) => unknown = Some(reason),
        }
    }
    let Some(first) = found.first() else { return unknown.map_or(Ok(vec![]), |reason| Err(Skip::from(reason))) };
    let listed = shared::first_three(&names, ", ");
    Ok(vec![Finding {
        message: format!("extensions of an earlier machine are left in {}: {listed}; new machines begin with them", found.join(" and ")),
        actual: listed,
        required: "none".to_owned(),
        place: shared::file(first, None),
        remedy: Remedy::hand(format!(
            "remove the extensions before generalizing, then in an elevated PowerShell: {}",
            found.iter().map(|place| format!(r"Remove-Item -Recurse -Force C:{place}\*")).collect::<Vec<_>>().join("; ")
        )),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        let left = || Fact::Known(vec!["Microsoft.Compute.CustomScriptExtension".to_owned()]);
        assert_eq!(ask(&RULE, &windows(|_| {})), "pass");
        assert_eq!(ask(&RULE, &windows(|w| w.agent.extensions = left())), "hand");
        assert_eq!(ask(&RULE, &windows(|w| (w.agent.extensions, w.agent.extension_logs) = (Fact::unknown("x"), left()))), "hand");
        assert_eq!(ask(&RULE, &windows(|w| w.agent.extensions = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &specialized_windows(|w| w.agent.extensions = left())), "not applicable");
    }
}

//! M-08: the installation is in the state that the image is for.

use super::demand_state;
use crate::facts::{Role, State};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "IMG008",
    name: "state-mismatch",
    requirement: "M-08",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks, where --as is given",
    summary: "The installation is generalized or specialized as the image says.",
    azure_error: Some(
        "OS Provisioning for VM '<n>' did not finish in the allotted time. The VM may still finish provisioning successfully…",
    ),
    source: source::IMAGE_ERRORS,
    docs: r"## What it checks

With `--as generalized` or `--as specialized`: the marks on the disk must say the same. A disk with marks of both states is neither.

## Why it matters

From a generalized image Azure gives every machine a name and accounts of its own, and waits until the guest says that it is done. A
specialized installation does not take them: it comes up with its old name and users, and Azure reports `OSProvisioningTimedOut` after
40 minutes. The other way round, a generalized Windows that is used as specialized waits at its first-run screens for somebody who is
not there.

## How to fix it

Use the state that the disk has, or change the disk in its machine: `sysprep /generalize /oobe /shutdown` for Windows,
`waagent -deprovision+user` or `cloud-init clean` for Linux. A specialized installation cannot be had back from a generalized one: start a
machine from it.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let wanted = demand_state(subject, target)?;
    subject.demand(Role::Os)?;
    // It may be one that vhdkit does not know; that is no pass.
    let none = || Skip::Undecided("no operating system that is known was found on the disk".to_owned());
    let os = subject.facts.os.known()?.ok_or_else(none)?;
    let found = *os.state.known()?.ok_or_else(none)?;
    if found == wanted {
        return Ok(vec![]);
    }
    let why = shared::because(&os.state_evidence);
    let (effect, cure) = match (found, wanted) {
        (State::Specialized, _) => (
            "used as generalized, it keeps its old name and accounts, and Azure gives up after 40 minutes",
            "generalize it in its machine (sysprep /generalize /oobe, or waagent -deprovision+user), or use it with --as specialized",
        ),
        (State::Generalized, _) => (
            "used as specialized, it waits for a first set-up that nobody gives it",
            "use it with --as generalized, or start a machine from it and take that machine's disk",
        ),
        (State::Inconsistent, _) => (
            "it bears marks of both states, so that provisioning may fail either way",
            "start its machine, and generalize it again until the tool ends without an error",
        ),
    };
    Ok(vec![Finding {
        message: format!("the installation is {found}{why}, but --as {wanted} was asked for; {effect}"),
        actual: found.to_string(),
        required: wanted.to_string(),
        place: None,
        remedy: Remedy::hand(cure),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::*;

    fn in_state(state: Fact<State>) -> DiskFacts {
        os(|f| known(&mut f.os).state = state)
    }

    fn asked(facts: &DiskFacts, wanted: State) -> String {
        ask_for(&RULE, &subject(facts), &Target { state: Some(wanted), ..Target::default() })
    }

    #[test]
    fn states_are_compared() {
        use State::{Generalized, Inconsistent, Specialized};
        for (found, wanted, said) in [
            (Generalized, Generalized, "pass"),
            (Specialized, Specialized, "pass"),
            (Specialized, Generalized, "hand"),
            (Generalized, Specialized, "hand"),
            (Inconsistent, Generalized, "hand"),
            (Inconsistent, Specialized, "hand"),
        ] {
            assert_eq!(asked(&in_state(Fact::Known(found)), wanted), said, "{found} as {wanted}");
        }
    }

    #[test]
    fn table() {
        let wanted = State::Generalized;
        assert_eq!(ask(&RULE, &in_state(Fact::Known(State::Specialized))), "not applicable");
        assert_eq!(asked(&in_state(Fact::unknown("x")), wanted), "undecided");
        assert_eq!(asked(&os(|f| f.os = Fact::unknown("x")), wanted), "undecided");
        assert_eq!(asked(&os(|f| f.os = Fact::Absent), wanted), "undecided");
        assert_eq!(asked(&healthy_data(), wanted), "not applicable");
        let facts = in_state(Fact::Known(State::Specialized));
        let target = Target { state: Some(wanted), ..Target::default() };
        assert_eq!(ask_for(&RULE, &Subject { lun: Some(0), ..subject(&facts) }, &target), "not applicable");
    }
}

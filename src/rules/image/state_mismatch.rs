//! M-08: the installation is in the state that the image is for.

use super::{demand_state, expected, generalize_windows};
use crate::facts::{DiskFacts, Fact, OsFacts, OsRoot, Role, State};
use crate::rules::linux::generalize_steps::generalize_steps;
use crate::rules::linux::{Distribution, Guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "IMG008",
    name: "state-mismatch",
    requirement: "M-08",
    also: &["M-04"],
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
Accounts that stay on a template on purpose (`--keep-user`) do not count.

## Why it matters

From a generalized image Azure gives every machine a name and accounts of its own, and waits until the guest says that it is done. A
specialized installation does not take them, or not all. A Windows comes up with its old name and users, and Azure reports
`OSProvisioningTimedOut` after 40 minutes; a Linux brings its old users, keys and identity to every machine. The other way round, a
generalized Windows that is used as specialized waits at its first-run screens for somebody who is not there. Where no system is found that
vhdkit knows, the rule is undecided: neither the state nor the label, Windows or Linux, that Azure needs to provision it can be told.

## How to fix it

Use the state that the disk has, or change the disk in its machine; the finding lists the steps for the guest at hand. Those of Windows
end with `sysprep /generalize /oobe /shutdown /mode:vm`, those of Linux contain `waagent -deprovision+user` or `cloud-init clean`. A Linux
need not even run: `vhdkit prepare --generalize` makes a template of it offline, beside the disk. A specialized installation cannot be had
back from a generalized one: keep a copy first, or start a machine from the image.",
    check: Check::Disk(check),
};

pub(in crate::rules) static INCONSISTENT: Rule = Rule {
    code: "IMG108",
    name: "state-inconsistent",
    requirement: "M-08",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks, where --as is not given",
    summary: "The installation is either generalized or specialized.",
    azure_error: None,
    source: source::IMAGE_ERRORS,
    docs: r"## What it checks

Where no state is asked for: the disk must not bear marks of both states, such as an empty machine id beside accounts that can log in, or
a Windows that Sysprep has generalized and that was started since.

## Why it matters

Such a disk was generalized by halves, or started afterwards. As a generalized image it may keep names and accounts, or never end its
provisioning; as a specialized one it may wait for a first set-up.

## How to fix it

Decide what the image is to be and ask with `--as generalized` or `--as specialized`: the finding of IMG008 then lists the steps.",
    check: Check::Disk(inconsistent),
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
    let lacks = expected::missing(os, wanted, &target.kept);
    if wanted == State::Generalized && lacks.is_empty() && keeps_somebody(os, target) {
        return Ok(vec![]);
    }
    let lacks = if lacks.is_empty() { String::new() } else { format!("; missing for that: {}", shared::first_three(&lacks, ", ")) };
    let why = shared::because(&os.state_evidence);
    let message = match found {
        State::Specialized => {
            // cloud-init and the Azure Linux agent notice another machine, and set that up as far as they can.
            let effect = if os.windows.value().is_some() {
                "it keeps its old name and accounts, and Azure gives up after 40 minutes"
            } else {
                "every machine has its old accounts, keys and identity, and provisioning may fail"
            };
            format!("the installation is specialized{why}, but --as {wanted} was asked for; used so, {effect}")
        }
        State::Generalized => format!(
            "the installation is generalized{why}, but --as {wanted} was asked for; used so, it waits for a first set-up that nobody gives it"
        ),
        State::Inconsistent => format!(
            "the installation is inconsistent, between generalized and specialized{why}, but --as {wanted} was asked for{lacks}; provisioning \
             may fail either way"
        ),
    };
    let remedy = match wanted {
        State::Generalized => Remedy::Steps(generalize(subject, os, found)),
        _ if found == State::Generalized => {
            Remedy::hand("use it with --as generalized, or start a machine from it and take that machine's disk")
        }
        _ => Remedy::Steps(finish(os)),
    };
    Ok(vec![Finding { message, actual: found.to_string(), required: wanted.to_string(), place: None, remedy }])
}

/// Whether an account that can log in is one that stays knowingly.
fn keeps_somebody(os: &OsFacts, target: &Target) -> bool {
    let users = os.linux.value().and_then(|linux| linux.accounts.users.value());
    users.into_iter().flatten().any(|user| user.can_log_in == Fact::Known(true) && target.keeps(&user.name))
}

/// How to make a template of this guest.
fn generalize(subject: &Subject<'_>, os: &OsFacts, found: State) -> Vec<String> {
    if let Some(windows) = os.windows.value() {
        let steps = generalize_windows::steps(subject.facts, windows);
        return if found == State::Inconsistent { end_setup().into_iter().chain(steps).collect() } else { steps };
    }
    if let Some(linux) = os.linux.value() {
        let guest = Guest { os, linux };
        let steps = generalize_steps(&guest);
        let offline = is_changed_offline(subject.facts, &guest).then(|| OFFLINE.to_owned());
        return offline.into_iter().chain(steps).collect();
    }
    vec!["generalize it in its machine with its own tools, shut it down, and export its disk again".to_owned()]
}

/// The way that needs no machine.
pub(crate) const OFFLINE: &str = "vhdkit prepare --generalize makes the template offline, beside this disk, and 'vhdkit generalize' tells what \
                                  it would change; or, without it, in the machine:";

/// Whether the installation is one whose files can be changed offline: Ignition's are made templates otherwise, and not every file system
/// can be written to.
fn is_changed_offline(facts: &DiskFacts, guest: &Guest<'_>) -> bool {
    let content = match guest.os.root.value() {
        Some(OsRoot::Partition(number)) => facts
            .partitions
            .value()
            .into_iter()
            .flatten()
            .find(|partition| partition.number == *number)
            .and_then(|partition| partition.content.value()),
        Some(OsRoot::Volume(name)) => {
            facts.volumes.value().into_iter().flatten().find(|volume| volume.name == *name).and_then(|volume| volume.content.value())
        }
        None => None,
    };
    guest.distribution() != Distribution::Flatcar && content.is_some_and(|content| WRITABLE.contains(&content.kind.as_str()))
}

/// Kinds of file systems whose files can be changed offline.
const WRITABLE: [&str; 5] = ["btrfs", "ext2", "ext3", "ext4", "xfs"];

/// What comes first with a Windows whose setup did not end.
fn end_setup() -> [String; 1] {
    ["start the machine and let setup end: reg query HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup\\State /v ImageState says \
      IMAGE_STATE_COMPLETE, or IMAGE_STATE_SPECIALIZE_RESEAL_TO_AUDIT in audit mode; where it never does, take a copy from before Sysprep"
        .to_owned()]
}

/// How to make one machine of a guest between the states.
fn finish(os: &OsFacts) -> Vec<String> {
    let first = if os.windows.value().is_some() {
        end_setup()
    } else {
        ["start the machine and complete its set-up: systemd-machine-id-setup, ssh-keygen -A, and an account that can log in".to_owned()]
    };
    let rest = [
        "log in over the network, as you will in Azure".to_owned(),
        "shut it down cleanly, export its disk, and check it again with --as specialized".to_owned(),
    ];
    first.into_iter().chain(rest).collect()
}

fn inconsistent(subject: &Subject<'_>, target: &Target) -> Judgement {
    if subject.lun.is_some() {
        return Err(Skip::not_applicable("a data disk of the image"));
    }
    if target.state.is_some() {
        return Err(Skip::not_applicable("a state was asked for, and IMG008 compares it"));
    }
    let none = || Skip::not_applicable("no operating system was found");
    let os = subject.facts.os.known()?.ok_or_else(none)?;
    subject.demand(Role::Os)?;
    if *os.state.known()?.ok_or_else(none)? != State::Inconsistent {
        return Ok(vec![]);
    }
    let lacks = |state| {
        let list = expected::missing(os, state, &std::collections::BTreeSet::new());
        if list.is_empty() { String::new() } else { format!("; missing for {state}: {}", shared::first_three(&list, ", ")) }
    };
    Ok(vec![Finding {
        message: format!(
            "the installation is neither generalized nor specialized{}{}{}; as it is, provisioning may fail either way",
            shared::because(&os.state_evidence),
            lacks(State::Generalized),
            lacks(State::Specialized)
        ),
        actual: State::Inconsistent.to_string(),
        required: "generalized or specialized".to_owned(),
        place: None,
        remedy: Remedy::hand(
            "decide what it is to be, and ask with --as generalized or --as specialized: the finding then says what to do, step by step",
        ),
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

    fn remedy(facts: &DiskFacts, wanted: State) -> Vec<String> {
        let found = findings(&RULE, facts, &Target { state: Some(wanted), ..Target::default() });
        found[0].remedy.steps()
    }

    #[test]
    fn the_cure_is_that_of_the_guest() {
        let steps = remedy(&specialized_windows(|_| {}), State::Generalized);
        assert!(steps[0].contains("keep a copy") && steps.iter().any(|step| step.contains("sysprep.exe /generalize /oobe")), "{steps:#?}");
        let steps = remedy(&specialized_linux(|_| {}), State::Generalized);
        assert!(steps.len() > 1 && !steps.iter().any(|step| step.contains("sysprep")), "{steps:#?}");
        assert_eq!(remedy(&healthy_os(), State::Specialized).len(), 1);
        let halves = windows_disk(|f| known(&mut f.os).state = Fact::Known(State::Inconsistent));
        for wanted in [State::Generalized, State::Specialized] {
            let steps = remedy(&halves, wanted);
            assert!(steps[0].contains("let setup end"), "{steps:#?}");
        }
        let steps = remedy(&in_state(Fact::Known(State::Inconsistent)), State::Specialized);
        assert!(steps[0].contains("ssh-keygen -A"), "{steps:#?}");
    }

    #[test]
    fn a_linux_need_not_run() {
        let kind = |kind: &str| {
            specialized_linux(|f| {
                let Some(OsRoot::Partition(number)) = known(&mut f.os).root.value().cloned() else { panic!("no partition") };
                let root = known(&mut f.partitions).iter_mut().find(|one| one.number == number).unwrap();
                known(&mut root.content).kind = kind.to_owned();
            })
        };
        for (name, offline) in [("ext4", true), ("xfs", true), ("btrfs", true), ("f2fs", false)] {
            let steps = remedy(&kind(name), State::Generalized);
            assert_eq!(steps[0] == OFFLINE, offline, "{name}: {steps:#?}");
            assert!(steps.iter().any(|step| step == "sudo -i"), "{steps:#?}");
        }
        let mut flatcar = kind("ext4");
        known(&mut flatcar.os).id = Fact::Known("flatcar".to_owned());
        assert_ne!(remedy(&flatcar, State::Generalized)[0], OFFLINE);
    }

    #[test]
    fn an_inconsistent_state_says_what_is_missing() {
        let halves = specialized_linux(|f| known(&mut f.os).state = Fact::Known(State::Inconsistent));
        let found = findings(&RULE, &halves, &Target { state: Some(State::Generalized), ..Target::default() });
        assert!(
            found[0].message.contains("missing for that: ") && found[0].message.contains("accounts of the machine removed (azureuser)"),
            "{}",
            found[0].message
        );
        assert_eq!(ask(&INCONSISTENT, &halves), "hand");
        let found = findings(&INCONSISTENT, &halves, &Target::default());
        assert!(found[0].message.contains("missing for generalized: "), "{}", found[0].message);
    }

    #[test]
    fn states_that_nobody_asked_for() {
        assert_eq!(ask(&INCONSISTENT, &healthy_os()), "pass");
        assert_eq!(ask(&INCONSISTENT, &healthy_data()), "not applicable");
        assert_eq!(ask(&INCONSISTENT, &in_state(Fact::unknown("x"))), "undecided");
        let halves = in_state(Fact::Known(State::Inconsistent));
        assert_eq!(ask(&INCONSISTENT, &DiskFacts { role: Fact::Known(Role::Data), ..halves.clone() }), "not applicable");
        assert_eq!(asked_of(&INCONSISTENT, &halves, Some(State::Specialized)), "not applicable");
        assert_eq!(ask_for(&INCONSISTENT, &Subject { lun: Some(0), ..subject(&halves) }, &Target::default()), "not applicable");
    }

    fn asked_of(rule: &Rule, facts: &DiskFacts, state: Option<State>) -> String {
        ask_for(rule, &subject(facts), &Target { state, ..Target::default() })
    }
}

//! M-01: an image has an OS disk.

use super::demand_state;
use crate::facts::Role;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "IMG001",
    name: "no-operating-system",
    requirement: "M-01",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "the OS disk of an image, where --as is given",
    summary: "The disk that an image starts from is an OS disk.",
    azure_error: None,
    source: source::IMAGE_VERSION,
    docs: r"## What it checks

With `--as generalized` or `--as specialized`: the disk must be an OS disk. Data disks of the image, those with a LUN, are not asked.

## Why it matters

An image has one source for its operating system. A data disk in that place makes an image from which no machine starts.

## How to fix it

Give the OS disk, or leave `--as` away and use `--role data` to have the disk prepared as a data disk. If it holds an operating system
that vhdkit does not recognise, say `--role os`.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let state = demand_state(subject, target)?;
    match subject.role.known()? {
        Some(Role::Os) => Ok(vec![]),
        None => Err(Skip::not_applicable("there is no disk in the file")),
        Some(Role::Data) => {
            let name = shared::file_name(&subject.facts.path);
            Ok(vec![Finding {
                message: format!("'{name}' is a data disk; --as {state} is for an image with an operating system"),
                actual: "a data disk".to_owned(),
                required: "an OS disk".to_owned(),
                place: None,
                remedy: Remedy::hand(
                    "leave --as away and use --role data to prepare it as a data disk; use --role os if there is an operating system \
                     on it after all",
                ),
            }])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact, State};
    use crate::rules::testing::*;

    fn asked(facts: &DiskFacts, lun: Option<u8>) -> String {
        let target = Target { state: Some(State::Generalized), ..Target::default() };
        ask_for(&RULE, &Subject { lun, ..subject(facts) }, &target)
    }

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_data()), "not applicable");
        assert_eq!(asked(&healthy_os(), None), "pass");
        assert_eq!(asked(&healthy_data(), None), "hand");
        assert_eq!(asked(&healthy_data(), Some(0)), "not applicable");
        assert_eq!(asked(&gzip(), None), "not applicable");
        assert_eq!(asked(&data(|f| f.role = Fact::unknown("x")), None), "undecided");
    }
}

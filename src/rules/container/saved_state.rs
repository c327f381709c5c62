//! C-19: no machine was saved with the disk.

use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD019",
    name: "saved-state",
    requirement: "C-19",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "VHDs",
    summary: "The disk is not that of a machine in saved state.",
    azure_error: None,
    source: source::VHD_FORMAT,
    docs: r"## What it checks

The footer's Saved State must be 0. A virtual machine that is suspended sets it to 1.

## Why it matters

The memory of a suspended machine holds what its file systems had not yet written. Without it the disk is that of a machine whose plug
was pulled: journals are replayed at best, and a hibernated Windows may not boot.

## How to fix it

Start the machine, shut it down cleanly, and export the disk again.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    if !shared::footer(subject.facts)?.saved_state {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: "the footer says that a machine was saved with the disk in use; what its memory held is not on the disk".to_owned(),
        actual: "1".to_owned(),
        required: "0".to_owned(),
        place: shared::footer_place(subject.facts, 84, 1),
        remedy: Remedy::hand("start the machine, shut it down cleanly, and export the disk again"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &gzip()), "not applicable");
        assert_eq!(ask(&RULE, &os(|f| known(&mut f.footer).saved_state = true)), "hand");
        assert_eq!(ask(&RULE, &os(|f| f.footer = Fact::unknown("x"))), "undecided");
    }
}

//! W-69: somebody can log on to a specialized Windows.

use crate::facts::State;
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN069",
    name: "no-enabled-local-account",
    requirement: "W-69",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows outside a domain, for specialized images",
    summary: "A local account is enabled.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

On a specialized disk of a machine that is no member of a domain, at least one local account besides Guest and the ones that Windows keeps
for itself must be enabled. Which of them are administrators is not looked at.

## Why it matters

Azure makes no account on a specialized disk. If all are disabled, nobody can log on.

## How to fix it

In the machine: `net user NAME * /active:yes`, which asks for a new password, and check that it is in the group Administrators
(`net localgroup Administrators`).",
    check: Check::Disk(check),
};

/// Guest, and the accounts of Windows' own: default account, Defender's sandbox.
const NOBODY: [u32; 3] = [501, 503, 504];

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Specialized)?;
    let windows = guest.windows;
    if windows.product.product_type.known()?.is_some_and(|kind| kind.eq_ignore_ascii_case("LanmanNT")) {
        return Err(Skip::not_applicable("a domain controller has no local accounts"));
    }
    if windows.name.domain.known()?.is_some() || windows.name.nv_domain.known()?.is_some() {
        return Err(Skip::not_applicable("a member of a domain, whose accounts can log on"));
    }
    let users = windows.accounts.users.known()?.map(Vec::as_slice).unwrap_or_default();
    let people: Vec<_> = users.iter().filter(|user| !NOBODY.contains(&user.rid)).collect();
    if people.iter().any(|user| user.disabled.value() == Some(&false)) {
        return Ok(vec![]);
    }
    for user in &people {
        user.disabled.known()?;
    }
    let names: Vec<String> = people.iter().map(|user| user.name.clone()).collect();
    let actual = if names.is_empty() { "no local account".to_owned() } else { format!("disabled: {}", shared::first_three(&names, ", ")) };
    Ok(vec![Finding {
        message: format!("no local account is enabled ({actual}); Azure makes none on a specialized disk, and nobody can log on"),
        actual,
        required: "an enabled local account".to_owned(),
        place: Some(Place::Registry(r"HKLM\SAM\SAM\Domains\Account\Users".to_owned())),
        remedy: Remedy::hand(
            "in an elevated PowerShell: net user NAME * /active:yes, which asks for its password; net localgroup Administrators NAME /add",
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
        let none = || specialized_windows(|w| known(&mut w.accounts.users).iter_mut().for_each(|user| user.disabled = Fact::Known(true)));
        assert_eq!(ask(&RULE, &specialized_windows(|_| {})), "pass");
        assert_eq!(ask(&RULE, &windows(|_| {})), "not applicable");
        assert_eq!(ask(&RULE, &none()), "hand");
        assert_eq!(ask(&RULE, &specialized_windows(|w| known(&mut w.accounts.users).clear())), "hand");
        assert_eq!(ask(&RULE, &specialized_windows(|w| w.accounts.users = Fact::unknown("x"))), "undecided");
        let odd = specialized_windows(|w| known(&mut w.accounts.users)[0].disabled = Fact::unknown("x"));
        assert_eq!(ask(&RULE, &odd), "undecided");
        let guest = specialized_windows(|w| {
            let users = known(&mut w.accounts.users);
            users.truncate(1);
            (users[0].rid, users[0].disabled) = (501, Fact::Known(false));
        });
        assert_eq!(ask(&RULE, &guest), "hand");
        let member = specialized_windows(|w| {
            known(&mut w.accounts.users).clear();
            w.name.domain = Fact::Known("corp.example".to_owned());
        });
        assert_eq!(ask(&RULE, &member), "not applicable");
    }
}

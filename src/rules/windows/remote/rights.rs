//! W-38: policy lets people log on from afar.

use crate::facts::{LogonRightsFacts, Unknown, WindowsFacts};
use crate::rules::windows::checks::in_domain;
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN138",
    name: "remote-logon-denied",
    requirement: "W-38",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Local policy lets administrators log on from the network and by remote desktop.",
    azure_error: Some("The connection was denied because the user account is not authorized for remote login."),
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

The rights to log on in the local policy (`SECURITY\Policy\Accounts`): the group Administrators, or one that all its members are in, must
have the right to log on through Remote Desktop Services and to access the computer from the network, and none of these groups may be
denied either. Outside of a domain, that goes for the groups of local accounts too.

## Why it matters

The account that Azure makes is a local one in the group Administrators. Hardening templates deny such accounts the logon from afar:
machines of a domain have others for that, and a machine in Azure has no screen.

## How to fix it

`secpol.msc`, Local Policies, User Rights Assignment: take the groups out of the two rights that begin with Deny, and put Administrators
into the two that allow. Where the domain sets these rights, change its group policy.",
    check: Check::Disk(check),
};

pub(in crate::rules) static REDUCED: Rule = Rule {
    code: "WIN238",
    name: "network-logon-reduced",
    requirement: "W-38",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The right to access the computer from the network has the groups that Azure's preparation article lists.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

Administrators, Backup Operators, Everyone and Users should have the right to access the computer from the network.

## Why it matters

Azure's preparation article lists these groups, which a new Windows has. Hardening templates take some away; accounts that are only in
those cannot log on by remote desktop with network level authentication.

## How to fix it

`secpol.msc`, Local Policies, User Rights Assignment, Access this computer from the network; or leave it where the template is meant.",
    check: Check::Disk(reduced),
};

const ADMINISTRATORS: &str = "S-1-5-32-544";
/// Groups that every administrator is in.
const ALL: [&str; 4] = [ADMINISTRATORS, "S-1-1-0", "S-1-5-11", "S-1-5-32-545"];
/// Groups that a local administrator is in: those of local accounts.
const LOCAL: [&str; 2] = ["S-1-5-113", "S-1-5-114"];
/// Who has the right to access the computer from the network in a new Windows.
const ADVISED: [(&str, &str); 4] =
    [(ADMINISTRATORS, "Administrators"), ("S-1-5-32-551", "Backup Operators"), ("S-1-1-0", "Everyone"), ("S-1-5-32-545", "Users")];

fn rights(windows: &WindowsFacts) -> Result<&[LogonRightsFacts], Skip> {
    let all = windows.accounts.logon_rights.known()?.map(Vec::as_slice).unwrap_or_default();
    // Every Windows has some; a policy without any was not read as it is.
    if all.is_empty() { Err(Unknown("the local policy names no rights to log on".to_owned()).into()) } else { Ok(all) }
}

fn name(of: &LogonRightsFacts) -> &str {
    of.name.as_deref().unwrap_or(&of.sid)
}

fn has(of: &LogonRightsFacts, right: &str) -> bool {
    of.rights.iter().any(|known| known == right)
}

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let all = rights(windows)?;
    let mut found = Vec::new();
    for (right, called, deny) in [
        ("remote interactive", "log on through Remote Desktop Services", "SeDenyRemoteInteractiveLogonRight"),
        ("network", "access the computer from the network", "SeDenyNetworkLogonRight"),
    ] {
        let denied = denied(all, windows, &format!("deny {right}"))?;
        if let Some(group) = denied {
            found.push(Finding {
                message: format!("policy denies {} the right to {called}; the administrator that Azure makes cannot log in", name(group)),
                actual: format!("{} is denied to {called}", name(group)),
                required: "no denial for administrators".to_owned(),
                place: place(group),
                remedy: Remedy::hand(format!(
                    "remove {} from the right {deny}: secpol.msc, Local Policies, User Rights Assignment, Deny {}, or the domain's \
                     group policy",
                    name(group),
                    if right == "network" { "access to this computer from the network" } else { "log on through Remote Desktop Services" }
                )),
            });
        } else if !all.iter().any(|of| ALL.contains(&of.sid.as_str()) && has(of, right)) {
            found.push(Finding {
                message: format!(
                    "policy does not give administrators the right to {called}; the administrator that Azure makes cannot log in"
                ),
                actual: format!("no right to {called} for Administrators"),
                required: format!("the right to {called} for Administrators"),
                place: Some(Place::Registry(format!(r"HKLM\SECURITY\Policy\Accounts\{ADMINISTRATORS}\ActSysAc"))),
                remedy: Remedy::hand(format!(
                    "add Administrators to the right to {called}: secpol.msc, Local Policies, User Rights Assignment, or the \
                     domain's group policy"
                )),
            });
        }
    }
    Ok(found)
}

/// A group of administrators that is denied a right; outside of a domain, groups of local accounts too.
fn denied<'a>(all: &'a [LogonRightsFacts], windows: &WindowsFacts, right: &str) -> Result<Option<&'a LogonRightsFacts>, Unknown> {
    if let Some(group) = all.iter().find(|of| ALL.contains(&of.sid.as_str()) && has(of, right)) {
        return Ok(Some(group));
    }
    match all.iter().find(|of| LOCAL.contains(&of.sid.as_str()) && has(of, right)) {
        Some(group) if !in_domain(windows)? => Ok(Some(group)),
        _ => Ok(None),
    }
}

fn place(of: &LogonRightsFacts) -> Option<Place> {
    Some(Place::Registry(format!(r"HKLM\SECURITY\Policy\Accounts\{}\ActSysAc", of.sid)))
}

fn reduced(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let all = rights(windows)?;
    let may = |sid: &str| all.iter().any(|of| of.sid == sid && has(of, "network"));
    let missing: Vec<&str> = ADVISED.iter().filter(|(sid, _)| !may(sid)).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return Ok(vec![]);
    }
    let list = missing.join(", ");
    Ok(vec![Finding {
        message: format!("the right to access the computer from the network lacks {list}, which Azure's preparation article lists"),
        actual: format!("without {list}"),
        required: ADVISED.map(|(_, name)| name).join(", "),
        place: Some(Place::Registry(r"HKLM\SECURITY\Policy\Accounts".to_owned())),
        remedy: Remedy::hand(format!(
            "add {list}: secpol.msc, Local Policies, User Rights Assignment, Access this computer from the network, or the domain's group \
             policy"
        )),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::{ask, findings, healthy_os, known, windows};

    fn given(sid: &str, rights: &[&str]) -> impl FnOnce(&mut WindowsFacts) {
        let new = LogonRightsFacts { sid: sid.to_owned(), name: None, rights: rights.iter().map(|right| (*right).to_owned()).collect() };
        move |w| known(&mut w.accounts.logon_rights).push(new)
    }

    #[test]
    fn denials_lock_administrators_out() {
        assert_eq!(ask(&RULE, &windows(|_| {})), "pass");
        for (sid, right, said) in [
            (ADMINISTRATORS, "deny remote interactive", "hand"),
            ("S-1-1-0", "deny network", "hand"),
            ("S-1-5-113", "deny remote interactive", "hand"),
            ("S-1-5-114", "deny network", "hand"),
            ("S-1-5-32-546", "deny network", "pass"),
            ("S-1-5-32-546", "deny remote interactive", "pass"),
            (ADMINISTRATORS, "deny batch", "pass"),
        ] {
            assert_eq!(ask(&RULE, &windows(given(sid, &[right]))), said, "{sid} {right}");
        }
        let member = windows(|w| {
            given("S-1-5-114", &["deny network", "deny remote interactive"])(w);
            w.name.domain = Fact::Known("corp.example".to_owned());
        });
        assert_eq!(ask(&RULE, &member), "pass");
        assert_eq!(ask(&RULE, &windows(|w| w.accounts.logon_rights = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &windows(|w| known(&mut w.accounts.logon_rights).clear())), "undecided");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
    }

    #[test]
    fn rights_that_were_taken_away() {
        let lost = windows(|w| known(&mut w.accounts.logon_rights)[0].rights.retain(|right| right != "remote interactive"));
        let told = findings(&RULE, &lost, &Target::default());
        assert!(told.len() == 1 && told[0].message.contains("Remote Desktop"), "{told:?}");
        // Others that administrators are in still give them the right.
        assert_eq!(ask(&RULE, &windows(|w| known(&mut w.accounts.logon_rights)[0].rights.retain(|right| right != "network"))), "pass");
    }

    #[test]
    fn fewer_groups_are_a_note() {
        assert_eq!(ask(&REDUCED, &windows(|_| {})), "pass");
        let hardened = windows(|w| known(&mut w.accounts.logon_rights).retain(|of| of.sid != "S-1-1-0"));
        assert_eq!(findings(&REDUCED, &hardened, &Target::default())[0].actual, "without Everyone");
        assert_eq!(ask(&REDUCED, &windows(|w| w.accounts.logon_rights = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&REDUCED, &healthy_os()), "not applicable");
    }
}

//! W-05: domain controllers and members of domains.

use crate::facts::{State, WindowsFacts};
use crate::rules::windows::{checks, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static CONTROLLER: Rule = Rule {
    code: "WIN105",
    name: "domain-controller",
    requirement: "W-05",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with a domain controller, not for generalized images",
    summary: "A domain controller needs further steps before it is moved to Azure.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

Whether Windows is a domain controller (`ProductType` `LanmanNT`).

## Why it matters

Its database must not lie on a disk that Azure caches for writing, the password of the Directory Services Restore Mode must be known, and
an old copy of its disk must not come back beside the machine that went on.

## How to fix it

Follow the steps that Azure's preparation article names for domain controllers. A new controller in Azure that replicates from the old one
is the safer way.",
    check: Check::Disk(controller),
};

pub(in crate::rules) static GENERALIZED: Rule = Rule {
    code: "WIN205",
    name: "generalized-domain-controller",
    requirement: "W-05",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows for generalized images",
    summary: "A generalized image is not that of a domain controller.",
    azure_error: None,
    source: source::GENERALIZE,
    docs: r"## What it checks

On disks for generalized images: Windows must not be a domain controller (`ProductType` `LanmanNT`).

## Why it matters

Sysprep does not support the role. Machines made from such an image would all be the same controller.

## How to fix it

Use the disk as specialized, or demote the controller in its machine before Sysprep: `Uninstall-ADDSDomainController`.",
    check: Check::Disk(generalized),
};

pub(in crate::rules) static MEMBER: Rule = Rule {
    code: "WIN305",
    name: "domain-member",
    requirement: "W-05",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with a member of a domain, not for generalized images",
    summary: "Policies of a domain may undo settings that Azure needs.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

Whether Windows belongs to a domain: it has a primary DNS suffix (`Tcpip\Parameters\Domain`), which joining one sets.

## Why it matters

The domain's group policies are applied again when the machine reaches a controller, and can turn off remote desktop or its rules in the
firewall after the disk was found ready. Without a way to a controller, people log in with accounts that the machine has cached, or local
ones.

## How to fix it

Check the policies for remote desktop, the firewall and rights to log on that apply to the machine (`gpresult /h report.html`).",
    check: Check::Disk(member),
};

const PRODUCT_KEY: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\ProductOptions";
const TCPIP: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters";

fn is_controller(windows: &WindowsFacts) -> Result<bool, Skip> {
    Ok(windows.product.product_type.known()?.is_some_and(|kind| kind.eq_ignore_ascii_case("LanmanNT")))
}

fn told(windows: &WindowsFacts, message: &str, required: &str, cure: &str) -> Judgement {
    Ok(vec![Finding {
        message: message.to_owned(),
        actual: "domain controller".to_owned(),
        required: required.to_owned(),
        place: checks::place(windows, PRODUCT_KEY, "ProductType"),
        remedy: Remedy::hand(cure),
    }])
}

fn controller(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    if !is_controller(guest.windows)? {
        return Err(Skip::not_applicable("not a domain controller"));
    }
    if shared::purpose(guest.os, target)? == Some(State::Generalized) {
        return Err(Skip::not_applicable("for a generalized image"));
    }
    told(
        guest.windows,
        "Windows is a domain controller, which needs further steps before and after the upload: its database on a disk without write \
         caching, and a known password for the Directory Services Restore Mode",
        "the steps for domain controllers done",
        "put NTDS and SYSVOL on a data disk without host caching, set the restore password (ntdsutil, set dsrm password), and let no copy \
         of the old machine start again",
    )
}

fn generalized(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    if !is_controller(guest.windows)? {
        return Ok(vec![]);
    }
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    told(
        guest.windows,
        "Windows is a domain controller, and Sysprep does not support the role; machines made from the image would be the same controller",
        "no domain controller",
        "use the disk as specialized, or demote the controller before Sysprep: Uninstall-ADDSDomainController",
    )
}

fn member(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    let name = &guest.windows.name;
    let domain = match name.nv_domain.known()? {
        Some(domain) => Some(domain),
        None => name.domain.known()?,
    };
    let none = || Skip::not_applicable("not a member of a domain");
    let domain = domain.ok_or_else(none)?;
    if is_controller(guest.windows)? {
        return Err(none());
    }
    if shared::purpose(guest.os, target)? == Some(State::Generalized) {
        return Err(Skip::not_applicable("for a generalized image"));
    }
    Ok(vec![Finding {
        message: format!(
            "Windows belongs to the domain {domain}; its group policies may undo settings that Azure needs when they are applied again"
        ),
        actual: format!("domain {domain}"),
        required: "policies that leave remote desktop, the firewall's rules and rights to log on as they are".to_owned(),
        place: checks::place(guest.windows, TCPIP, "Domain"),
        remedy: Remedy::hand(
            "check the policies that apply to the machine (gpresult /h report.html), and that it reaches a controller from Azure",
        ),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::{ask, ask_for, healthy_os, specialized_windows, subject, windows};

    fn make_controller(w: &mut WindowsFacts) {
        w.product.product_type = Fact::Known("LanmanNT".to_owned());
    }

    fn join(w: &mut WindowsFacts) {
        w.name.domain = Fact::Known("corp.example".to_owned());
    }

    #[test]
    fn controllers() {
        assert_eq!(ask(&CONTROLLER, &specialized_windows(make_controller)), "hand");
        assert_eq!(ask(&CONTROLLER, &windows(make_controller)), "not applicable");
        assert_eq!(ask(&CONTROLLER, &specialized_windows(|_| {})), "not applicable");
        assert_eq!(ask(&GENERALIZED, &windows(make_controller)), "hand");
        assert_eq!(ask(&GENERALIZED, &windows(|_| {})), "pass");
        assert_eq!(ask(&GENERALIZED, &specialized_windows(make_controller)), "not applicable");
        let target = Target { state: Some(State::Generalized), ..Target::default() };
        assert_eq!(ask_for(&GENERALIZED, &subject(&specialized_windows(make_controller)), &target), "hand");
        for rule in [&CONTROLLER, &GENERALIZED] {
            assert_eq!(ask(rule, &windows(|w| w.product.product_type = Fact::unknown("x"))), "undecided");
            assert_eq!(ask(rule, &healthy_os()), "not applicable");
        }
    }

    #[test]
    fn members() {
        assert_eq!(ask(&MEMBER, &specialized_windows(join)), "hand");
        assert_eq!(ask(&MEMBER, &specialized_windows(|_| {})), "not applicable");
        assert_eq!(ask(&MEMBER, &windows(join)), "not applicable");
        let controller = specialized_windows(|w| {
            join(w);
            make_controller(w);
        });
        assert_eq!(ask(&MEMBER, &controller), "not applicable");
        assert_eq!(ask(&MEMBER, &specialized_windows(|w| w.name.nv_domain = Fact::unknown("x"))), "undecided");
    }
}

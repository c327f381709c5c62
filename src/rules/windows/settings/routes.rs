//! W-08: no persistent routes.

use crate::facts::WindowsFacts;
use crate::rules::windows::{checks, guest};
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, source};

pub(in crate::rules) static CAPTURED: Rule = Rule {
    code: "WIN108",
    name: "persistent-route-for-azure",
    requirement: "W-08",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "No persistent route leads away what is meant for Azure's own addresses.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

No route under `Tcpip\Parameters\PersistentRoutes` may cover 168.63.129.16 or 169.254.169.254, as a route for all addresses does.

## Why it matters

At the first address Azure answers DHCP, DNS, provisioning and the VM agent, at the second it tells the machine about itself. A route of
the network that the disk comes from sends that to a gateway which does not exist: the machine does not finish its provisioning, or nobody
reaches it.

## How to fix it

`route.exe print` shows the routes, `route.exe delete <destination>` removes one, in an elevated PowerShell.",
    check: Check::Disk(captured),
};

pub(in crate::rules) static OTHERS: Rule = Rule {
    code: "WIN208",
    name: "persistent-routes",
    requirement: "W-08",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "There are no persistent routes.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`Tcpip\Parameters\PersistentRoutes` must be empty. Routes that cover Azure's own addresses are told by WIN108.

## Why it matters

In Azure the network's route tables decide where packets go. A route of the old network sends those for its destination to a gateway that
does not exist in the new one.

## How to fix it

`route.exe print` shows the routes, `route.exe delete <destination>` removes one, in an elevated PowerShell.",
    check: Check::Disk(others),
};

const ROUTES: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\PersistentRoutes";
/// Addresses at which Azure itself answers.
const AZURE: [&str; 2] = ["168.63.129.16", METADATA];
/// That of the service which tells a machine about itself.
const METADATA: &str = "169.254.169.254";

/// The bits of an IPv4 address.
fn bits(text: &str) -> Option<u32> {
    let parts: Vec<u8> = text.trim().split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    Some(u32::from_be_bytes(parts.try_into().ok()?))
}

/// The address of Azure's that a route covers: `destination,mask,gateway,metric`.
fn covers(route: &str) -> Option<&'static str> {
    let mut parts = route.split(',').map(bits);
    let destination = parts.next()??;
    let mask = parts.next()??;
    AZURE.into_iter().find(|address| bits(address).is_some_and(|address| address & mask == destination & mask))
}

fn routes(windows: &WindowsFacts) -> Result<&[String], Skip> {
    Ok(windows.network.persistent_routes.known()?.map(Vec::as_slice).unwrap_or_default())
}

/// `10.0.0.0 mask 255.0.0.0 through 10.1.1.1`.
fn in_words(route: &str) -> String {
    let mut parts = route.split(',');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(destination), Some(mask), Some(gateway)) => format!("{destination} mask {mask} through {gateway}"),
        _ => route.to_owned(),
    }
}

fn finding(windows: &WindowsFacts, route: &str, message: String) -> Finding {
    let mut parts = route.split(',').map(str::trim);
    let destination = parts.next().unwrap_or(route);
    let mask = parts.next().map(|mask| format!(" mask {}", word::powershell(mask))).unwrap_or_default();
    Finding {
        message,
        actual: in_words(route),
        required: "no persistent route".to_owned(),
        place: checks::place(windows, ROUTES, route),
        remedy: Remedy::hand(format!("route.exe delete {}{mask}", word::powershell(destination))),
    }
}

fn captured(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let found = routes(windows)?.iter().filter_map(|route| {
        let address = covers(route)?;
        let effect = if address == METADATA { "what asks Azure about the machine fails" } else { "provisioning and the agent fail" };
        let message = format!(
            "the persistent route to {} also takes what is meant for {address}, Azure's own address; without it {effect}",
            in_words(route)
        );
        Some(finding(windows, route, message))
    });
    Ok(found.collect())
}

fn others(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let found = routes(windows)?.iter().filter(|route| covers(route).is_none()).map(|route| {
        let message = format!("there is a persistent route to {}, a gateway that the machine does not have in Azure", in_words(route));
        finding(windows, route, message)
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::{ask, findings, healthy_os, known, windows};

    #[test]
    fn routes_are_told_by_what_they_cover() {
        for (route, azure, other) in [
            ("0.0.0.0,0.0.0.0,192.168.1.1,1", "hand", "pass"),
            ("168.63.129.16,255.255.255.255,10.0.0.1,1", "hand", "pass"),
            ("169.254.0.0,255.255.0.0,10.0.0.1,1", "hand", "pass"),
            ("10.0.0.0,255.0.0.0,10.1.1.1,1", "pass", "hand"),
            ("168.63.129.17,255.255.255.255,10.0.0.1,1", "pass", "hand"),
            ("what is this", "pass", "hand"),
            ("10.0.0.0", "pass", "hand"),
        ] {
            let facts = windows(|w| known(&mut w.network.persistent_routes).push(route.to_owned()));
            assert_eq!((ask(&CAPTURED, &facts).as_str(), ask(&OTHERS, &facts).as_str()), (azure, other), "{route}");
        }
        for rule in [&CAPTURED, &OTHERS] {
            assert_eq!(ask(rule, &windows(|_| {})), "pass");
            assert_eq!(ask(rule, &windows(|w| w.network.persistent_routes = Fact::unknown("x"))), "undecided");
            assert_eq!(ask(rule, &healthy_os()), "not applicable");
        }
    }

    #[test]
    fn the_remedy_names_the_route() {
        let facts = windows(|w| known(&mut w.network.persistent_routes).push("0.0.0.0,0.0.0.0,192.168.1.1,1".to_owned()));
        assert_eq!(findings(&CAPTURED, &facts, &Target::default())[0].remedy.text(), "route.exe delete 0.0.0.0 mask 0.0.0.0");
    }
}

//! W-18 and W-19: where remote desktop listens.

use super::STATION;
use crate::facts::{RdpStationFacts, WindowsFacts};
use crate::rules::windows::{checks, commands, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, source};

/// Where remote desktop listens that nobody changed.
pub(super) const DEFAULT_PORT: u32 = 3389;

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN118",
    name: "remote-desktop-port",
    requirement: "W-18",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Remote desktop listens on port 3389.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`PortNumber` of `WinStations\RDP-Tcp` must be 3389. A value that is not set means the same.

## Why it matters

What Azure opens for a new machine and what its portal connects to is port 3389. A machine that listens elsewhere cannot be reached
until somebody opens the other port in its network security group, in Windows' firewall, and names it in the client.

## How to fix it

Set the port back before the upload and change it when the machine runs in Azure. Where the other port is meant, and both firewalls are
open for it, accept the finding.",
    check: Check::Disk(port_is_usual),
};

pub(in crate::rules) static ADAPTER: Rule = Rule {
    code: "WIN119",
    name: "remote-desktop-one-adapter",
    requirement: "W-19",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Remote desktop listens on every network adapter.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`LanAdapter` of `WinStations\RDP-Tcp` must be 0, which stands for all adapters. A value that is not set means the same.

## Why it matters

Another number binds remote desktop to one adapter of the machine that the disk comes from. The machine in Azure has a new adapter, on
which nothing listens.

## How to fix it

In an elevated PowerShell: `reg add 'HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server\WinStations\RDP-Tcp' /v LanAdapter
/t REG_DWORD /d 0 /f` on one line.",
    check: Check::Disk(every_adapter),
};

/// What listens; switches::RULE tells that it is missing.
fn station(windows: &WindowsFacts) -> Result<&RdpStationFacts, Skip> {
    windows.rdp.station.known()?.ok_or_else(|| Skip::not_applicable("remote desktop has no station to listen"))
}

/// Where remote desktop listens.
pub(super) fn port(windows: &WindowsFacts) -> Result<u32, Skip> {
    let Some(station) = windows.rdp.station.known()? else { return Ok(DEFAULT_PORT) };
    Ok(station.port.known()?.copied().unwrap_or(DEFAULT_PORT))
}

fn port_is_usual(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let found = station(windows)?.port.known()?.copied().unwrap_or(DEFAULT_PORT);
    if found == DEFAULT_PORT {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!(
            "remote desktop listens on port {found} instead of {DEFAULT_PORT}; what Azure opens and connects to is {DEFAULT_PORT}"
        ),
        actual: found.to_string(),
        required: DEFAULT_PORT.to_string(),
        place: checks::place(windows, STATION, "PortNumber"),
        remedy: Remedy::hand(commands::reg_add(STATION, "PortNumber", "REG_DWORD", &DEFAULT_PORT.to_string())),
    }])
}

fn every_adapter(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let found = match station(windows)?.lan_adapter.known()? {
        None | Some(0) => return Ok(vec![]),
        Some(found) => found,
    };
    Ok(vec![Finding {
        message: format!("remote desktop listens on adapter {found} alone, and not on the one that the machine gets in Azure"),
        actual: format!("LanAdapter {found}"),
        required: "LanAdapter 0".to_owned(),
        place: checks::place(windows, STATION, "LanAdapter"),
        remedy: Remedy::hand(commands::reg_add(STATION, "LanAdapter", "REG_DWORD", "0")),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::{ask, healthy_os, known, windows};

    #[test]
    fn the_port_is_3389() {
        for (port, said) in
            [(Fact::Known(3389), "pass"), (Fact::Absent, "pass"), (Fact::Known(3390), "hand"), (Fact::unknown("x"), "undecided")]
        {
            assert_eq!(ask(&RULE, &windows(|w| known(&mut w.rdp.station).port = port.clone())), said, "{port:?}");
        }
    }

    #[test]
    fn all_adapters_listen() {
        for (adapter, said) in
            [(Fact::Known(0), "pass"), (Fact::Absent, "pass"), (Fact::Known(2), "hand"), (Fact::unknown("x"), "undecided")]
        {
            assert_eq!(ask(&ADAPTER, &windows(|w| known(&mut w.rdp.station).lan_adapter = adapter.clone())), said, "{adapter:?}");
        }
    }

    #[test]
    fn without_a_station() {
        for rule in [&RULE, &ADAPTER] {
            assert_eq!(ask(rule, &windows(|w| w.rdp.station = Fact::Absent)), "not applicable");
            assert_eq!(ask(rule, &windows(|w| w.rdp.station = Fact::unknown("x"))), "undecided");
            assert_eq!(ask(rule, &healthy_os()), "not applicable");
        }
    }
}

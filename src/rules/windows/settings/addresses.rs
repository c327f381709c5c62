//! W-15: adapters take their addresses from Azure.

use crate::facts::{WindowsFacts, WindowsInterfaceFacts};
use crate::rules::windows::checks::{self, Checks, Wrong};
use crate::rules::windows::guest;
use crate::rules::{Check, Judgement, Profile, Rule, Severity, Skip, Subject, Target, source};

// A warning, and no error: Windows gives the adapter that it finds in Azure a key of its own, with DHCP on, so that the old key's address
// is usually left behind with the old adapter.
pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN115",
    name: "static-ip-address",
    requirement: "W-15",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Network adapters take their addresses from DHCP.",
    azure_error: None,
    source: source::MIGRATION,
    docs: r"## What it checks

No interface under `Tcpip\Parameters\Interfaces` may have addresses of its own without `EnableDHCP` 1. That the service `Dhcp` starts is
checked by WIN113.

## Why it matters

Azure tells a machine its address by DHCP. Windows usually treats the adapter in Azure as a new one and asks for an address; where it takes
the old settings over, nobody reaches the machine. Settings of an adapter that is gone also keep their address from being set again.

## How to fix it

`Set-NetIPInterface -InterfaceAlias <name> -Dhcp Enabled` and `Set-DnsClientServerAddress -InterfaceAlias <name> -ResetServerAddresses` in
an elevated PowerShell; in Azure a fixed address is a setting of the network interface resource.",
    check: Check::Disk(check),
};

pub(in crate::rules) static NAME_SERVERS: Rule = Rule {
    code: "WIN215",
    name: "static-name-servers",
    requirement: "W-15",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Network adapters take their name servers from DHCP.",
    azure_error: None,
    source: source::MIGRATION,
    docs: r"## What it checks

No interface under `Tcpip\Parameters\Interfaces` should have name servers of its own (`NameServer`).

## Why it matters

Azure tells a machine its name servers by DHCP, and in the settings of the virtual network. Servers of the old network answer only where
the machine reaches it, for a member of a domain often on purpose.

## How to fix it

`Set-DnsClientServerAddress -InterfaceAlias <name> -ResetServerAddresses` in an elevated PowerShell, and set the servers in the virtual
network.",
    check: Check::Disk(name_servers),
};

const INTERFACES: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\Interfaces";

fn interfaces(windows: &WindowsFacts) -> Result<&[WindowsInterfaceFacts], Skip> {
    Ok(windows.network.interfaces.known()?.map(Vec::as_slice).unwrap_or_default())
}

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let mut checks = Checks::of(windows);
    for interface in interfaces(windows)? {
        let Some(dhcp) = checks.ask(&interface.dhcp) else { continue };
        let Some(addresses) = checks.ask(&interface.addresses) else { continue };
        let addresses = addresses.map(Vec::as_slice).unwrap_or_default();
        if dhcp == Some(&1) || addresses.is_empty() {
            continue;
        }
        checks.add(Wrong {
            found: format!("{} has {}", interface.id, addresses.join(" and ")),
            required: "EnableDHCP 1".to_owned(),
            place: checks::place(windows, &format!(r"{INTERFACES}\{}", interface.id), "IPAddress"),
            cure: "Get-NetIPInterface -AddressFamily IPv4 | Where-Object InterfaceAlias -notlike 'Loopback*' | Set-NetIPInterface -Dhcp Enabled"
                .to_owned(),
        });
    }
    checks.finding(|list| format!("the interface {list}, set by hand; in Azure machines take their address from DHCP"))
}

fn name_servers(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let mut checks = Checks::of(windows);
    for interface in interfaces(windows)? {
        let Some(Some(servers)) = checks.ask(&interface.name_servers) else { continue };
        if servers.is_empty() {
            continue;
        }
        checks.add(Wrong {
            found: format!("{} uses {}", interface.id, servers.join(" and ")),
            required: "no NameServer".to_owned(),
            place: checks::place(windows, &format!(r"{INTERFACES}\{}", interface.id), "NameServer"),
            cure: "Get-NetAdapter | Set-DnsClientServerAddress -ResetServerAddresses".to_owned(),
        });
    }
    checks.finding(|list| format!("the interface {list} as name servers, set by hand; they must be within reach in Azure"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::{ask, healthy_os, known, windows};

    #[test]
    fn addresses_without_dhcp_are_told() {
        let asked = |dhcp: Fact<u32>, addresses: &[&str]| {
            ask(
                &RULE,
                &windows(|w| {
                    let interface = &mut known(&mut w.network.interfaces)[0];
                    interface.dhcp = dhcp;
                    interface.addresses = Fact::Known(addresses.iter().map(|one| (*one).to_owned()).collect());
                }),
            )
        };
        assert_eq!(asked(Fact::Known(1), &["10.0.0.4"]), "pass");
        assert_eq!(asked(Fact::Known(0), &[]), "pass");
        assert_eq!(asked(Fact::Known(0), &["10.0.0.4"]), "hand");
        assert_eq!(asked(Fact::Absent, &["10.0.0.4"]), "hand");
        assert_eq!(asked(Fact::unknown("x"), &["10.0.0.4"]), "undecided");
        assert_eq!(ask(&RULE, &windows(|w| w.network.interfaces = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &windows(|w| w.network.interfaces = Fact::Absent)), "pass");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
    }

    #[test]
    fn name_servers_are_told() {
        let asked =
            |servers: Fact<Vec<String>>| ask(&NAME_SERVERS, &windows(|w| known(&mut w.network.interfaces)[0].name_servers = servers));
        assert_eq!(asked(Fact::Known(vec![])), "pass");
        assert_eq!(asked(Fact::Absent), "pass");
        assert_eq!(asked(Fact::Known(vec!["10.0.0.1".to_owned()])), "hand");
        assert_eq!(asked(Fact::unknown("x")), "undecided");
        assert_eq!(ask(&NAME_SERVERS, &healthy_os()), "not applicable");
    }
}

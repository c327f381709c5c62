//! L-43, L-48, L-49: firewalls, competing programs, the host name.

use super::dialect;
use crate::rules::linux::{self, Guest};
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX043",
    name: "dhcp-sets-the-host-name",
    requirement: "L-43",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "SUSE's Linux OS disks",
    summary: "The host name does not come from DHCP.",
    azure_error: None,
    source: source::PREPARE_SUSE,
    docs: r#"## What it checks

`DHCLIENT_SET_HOSTNAME` in `/etc/sysconfig/network/dhcp`, as SUSE has it. The host name itself is another rule's.

## Why it matters

Azure gives the machine its name at provisioning. With DHCP setting it too the name may change with the lease.

## How to fix it

Set `DHCLIENT_SET_HOSTNAME="no"`."#,
    check: Check::Disk(check),
};

pub(in crate::rules) static FIREWALL: Rule = Rule {
    code: "LNX048",
    name: "firewall-may-block-the-platform",
    requirement: "L-48",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks with a firewall",
    summary: "The firewall lets the machine talk to the platform.",
    azure_error: Some(
        "OS Provisioning for VM '<n>' did not finish in the allotted time. The VM may still finish provisioning successfully…",
    ),
    source: source::LINUX_CLOUD_INIT,
    docs: r"## What it checks

Rules of nftables, iptables and ufw that are loaded at boot and drop what leaves the machine unless a rule allows it, without any rule
that names 168.63.129.16 or 169.254.169.254. A rule may allow the traffic without naming the address; read the rules then.

## Why it matters

The machine fetches its certificates from 168.63.129.16 (ports 80 and 32526) and its data from 169.254.169.254, and reports itself ready
to the former. With both out of reach provisioning fails.

## How to fix it

Allow both addresses, for root at least.",
    check: Check::Disk(firewall),
};

pub(in crate::rules) static TWO: Rule = Rule {
    code: "LNX049",
    name: "two-programs-configure-eth0",
    requirement: "L-49",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks",
    summary: "One program configures eth0.",
    azure_error: None,
    source: source::LINUX_ACCELERATED,
    docs: r"## What it checks

Where systemd-networkd starts beside ifupdown or NetworkManager, and files of both are for `eth0`. netplan and what it writes for count as
one.

## Why it matters

Both ask for an address and write the name servers. Which of them wins is chance, and one takes away what the other has set.

## How to fix it

Disable one of them, and delete its files.",
    check: Check::Disk(two),
};

fn check(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    let value = guest.linux.network.dhcp_sets_host_name.known()?.ok_or_else(|| Skip::not_applicable("it has no such setting"))?;
    if !value.eq_ignore_ascii_case("yes") {
        return Ok(vec![]);
    }
    let path = "/etc/sysconfig/network/dhcp";
    Ok(vec![Finding {
        message: format!("{path} has DHCP set the host name, which Azure gives at provisioning"),
        actual: format!("DHCLIENT_SET_HOSTNAME={value}"),
        required: "DHCLIENT_SET_HOSTNAME=no".to_owned(),
        place: shared::file(path, None),
        remedy: Remedy::hand(format!("sed -i 's/^DHCLIENT_SET_HOSTNAME=.*/DHCLIENT_SET_HOSTNAME=\"no\"/' {path}")),
    }])
}

/// Units that load the rules of a firewall.
fn loads(kind: &str) -> &'static [&'static str] {
    match kind {
        "nftables" => &["nftables.service"],
        "iptables" => &["iptables.service", "netfilter-persistent.service"],
        "ufw" => &["ufw.service"],
        _ => &["firewalld.service"],
    }
}

/// Not an error: a rule may let the traffic out by its port or its owner.
fn firewall(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    let files = guest.linux.security.firewalls.known()?.map(Vec::as_slice).unwrap_or_default();
    let mut out = Vec::new();
    for file in files.iter().filter(|file| file.drops_output) {
        let named = files.iter().any(|other| other.kind == file.kind && !other.platform_lines.is_empty());
        if named || !linux::provisioner::starts(&guest, loads(&file.kind))? {
            continue;
        }
        out.push(Finding {
            message: format!(
                "{} drops what leaves the machine unless a rule allows it, and no rule names 168.63.129.16; without it provisioning fails",
                file.path
            ),
            actual: "output is dropped, 168.63.129.16 is not named".to_owned(),
            required: "168.63.129.16 (ports 80 and 32526) and 169.254.169.254 (port 80) are reached".to_owned(),
            place: shared::file(&file.path, None),
            remedy: Remedy::hand(allow(&file.kind, &file.path)),
        });
    }
    Ok(out)
}

fn allow(kind: &str, path: &str) -> String {
    match kind {
        "nftables" => format!("add 'ip daddr {{ 168.63.129.16, 169.254.169.254 }} accept' to the output chain in {path}"),
        "iptables" => format!("add '-A OUTPUT -d 168.63.129.16 -j ACCEPT' and '-A OUTPUT -d 169.254.169.254 -j ACCEPT' to {path}"),
        "ufw" => "ufw allow out to 168.63.129.16; ufw allow out to 169.254.169.254".to_owned(),
        _ => format!("allow 168.63.129.16 and 169.254.169.254 in {path}"),
    }
}

fn two(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest: Guest<'_> = linux::guest(subject)?;
    dialect::demand_files(&guest)?;
    let programs = dialect::programs(&guest);
    let network = &guest.linux.network;
    let entry = |fact: &crate::facts::Fact<Vec<crate::facts::InterfaceFacts>>| -> Result<Option<String>, Skip> {
        let is = |one: &&crate::facts::InterfaceFacts| one.path.starts_with("/etc/") && dialect::is_for_eth0(one) && !one.unmanaged;
        Ok(fact.known()?.into_iter().flatten().find(is).map(|one| one.path.clone()))
    };
    let none = || Skip::not_applicable("systemd-networkd does not configure eth0 beside another program");
    if guest.linux.network.netplan.known()?.is_some() {
        return Err(none());
    }
    let networkd = entry(&network.networkd)?.ok_or_else(none)?;
    if !programs.starts("systemd-networkd")? {
        return Err(none());
    }
    for (program, unit, fact) in
        [("ifupdown", "networking.service", &network.ifupdown), ("NetworkManager", "NetworkManager.service", &network.network_manager)]
    {
        if let Some(other) = entry(fact)?
            && programs.starts(program)?
        {
            return Ok(vec![Finding {
                message: format!(
                    "{program} ({other}) and systemd-networkd ({networkd}) both start and both configure eth0; which of them wins is chance"
                ),
                actual: format!("{program} and systemd-networkd"),
                required: "one program".to_owned(),
                place: shared::file(&other, None),
                remedy: Remedy::hand(format!(
                    "systemctl disable {unit} && rm {}, or systemctl disable systemd-networkd.service && rm {}",
                    word::sh(&other),
                    word::sh(&networkd)
                )),
            }]);
        }
    }
    Ok(vec![])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::linux::{interface, unit};
    use crate::rules::testing::*;

    #[test]
    fn host_names_and_leases() {
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
        for (value, said) in [("yes", "hand"), ("no", "pass")] {
            assert_eq!(ask(&RULE, &linux(|l| l.network.dhcp_sets_host_name = Fact::Known(value.to_owned()))), said);
        }
    }

    #[test]
    fn firewalls_let_the_platform_through() {
        let with = |drops_output, platform_lines: &[usize], starts| {
            linux(|l| {
                l.security.firewalls = Fact::Known(vec![FirewallFacts {
                    kind: "nftables".to_owned(),
                    path: "/etc/nftables.conf".to_owned(),
                    drops_output,
                    platform_lines: platform_lines.to_vec(),
                }]);
                let state = if starts { UnitState::Enabled } else { UnitState::Disabled };
                known(&mut l.services).units.push(unit("nftables.service", state));
            })
        };
        for (drops, lines, starts, said) in
            [(true, &[][..], true, "hand"), (true, &[7], true, "pass"), (false, &[], true, "pass"), (true, &[], false, "pass")]
        {
            assert_eq!(ask(&FIREWALL, &with(drops, lines, starts)), said, "{drops} {lines:?} {starts}");
        }
        assert_eq!(ask(&FIREWALL, &linux(|l| l.security.firewalls = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn one_program_configures_it() {
        assert_eq!(ask(&TWO, &healthy_os()), "not applicable");
        let both = |change: fn(&mut NetworkFacts)| {
            linux(|l| {
                known(&mut l.services).units.push(unit("systemd-networkd.service", UnitState::Enabled));
                l.network.networkd = Fact::Known(vec![interface("/etc/systemd/network/20-eth0.network", "e*")]);
                change(&mut l.network);
            })
        };
        assert_eq!(ask(&TWO, &both(|_| {})), "hand");
        assert_eq!(ask(&TWO, &both(|n| n.ifupdown = Fact::Absent)), "pass");
        assert_eq!(ask(&TWO, &both(|n| n.netplan = Fact::Known(vec![]))), "not applicable");
        assert_eq!(ask(&TWO, &both(|n| n.networkd = Fact::unknown("x"))), "undecided");
    }
}

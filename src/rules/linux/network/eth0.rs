//! L-40, L-41, L-44: the first interface takes its address from DHCP.

use super::dialect::{self, Configured, covers};
use crate::facts::{InterfaceFacts, UnitState};
use crate::rules::linux::{self, Distribution, Guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX040",
    name: "eth0-without-dhcp",
    requirement: "L-40",
    also: &["X-12"],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks",
    summary: "Something configures eth0 by DHCP.",
    azure_error: Some("failure to find primary DHCP interface"),
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

Where cloud-init does not write the network's configuration by itself: that an entry for `eth0`, or a pattern that fits it, takes an
address from DHCP and starts by itself, in the files of a program that starts (netplan, NetworkManager, ifcfg, ifupdown, systemd-networkd,
wicked). NetworkManager makes such a connection by itself unless it is told not to.

## Why it matters

The network adapter of a machine in Azure is `eth0`. An entry for `ens3`, `ens160` or `enp0s3` is one for an adapter that is not there.
Without an address nobody reaches the machine, and the machine does not reach Azure: it is never reported ready.

## How to fix it

Write an entry for `eth0` with DHCP.",
    check: Check::Disk(check),
};

pub(in crate::rules) static STATIC: Rule = Rule {
    code: "LNX041",
    name: "static-address",
    requirement: "L-41",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks",
    summary: "No entry gives eth0 an address of its own.",
    azure_error: None,
    source: source::PREPARE_UBUNTU,
    docs: r"## What it checks

Entries for `eth0`, or for a pattern that fits it, that list an address and do not use DHCP, in the files of a program that starts. Files
that cloud-init writes anew are left out.

## Why it matters

Azure hands the address out by DHCP, and lets nothing through that comes from another one. A machine with an address of its former network
is not reached by anybody.

## How to fix it

Have the entry use DHCP. A fixed address is set in Azure, on the network interface.",
    check: Check::Disk(fixed),
};

pub(in crate::rules) static BOUND: Rule = Rule {
    code: "LNX141",
    name: "network-bound-to-hardware-address",
    requirement: "L-41",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks",
    summary: "The configuration of eth0 is not bound to the hardware address of another machine.",
    azure_error: None,
    source: source::PREPARE_SUSE,
    docs: r"## What it checks

Where nothing else gives `eth0` an address by DHCP: entries that are for one hardware address only (`match: macaddress`, `HWADDR`,
`mac-address`).

## Why it matters

Every network interface in Azure has a hardware address of its own. The entry does not fit it, and the machine has no network.

## How to fix it

Take the hardware address out of the entry.",
    check: Check::Disk(bound),
};

pub(in crate::rules) static FOREIGN: Rule = Rule {
    code: "LNX241",
    name: "foreign-interface",
    requirement: "L-41",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks",
    summary: "No entry waits for a network adapter that Azure does not have.",
    azure_error: None,
    source: source::PREPARE_UBUNTU,
    docs: r"## What it checks

Where `eth0` is configured: further entries for names such as `ens3`, `ens160` or `enp0s3`.

## Why it matters

The adapter is not there. Programs that bring up the network wait for it at every boot, up to some minutes, and report a failure.

## How to fix it

Delete the entry.",
    check: Check::Disk(foreign),
};

pub(in crate::rules) static SERVICE: Rule = Rule {
    code: "LNX044",
    name: "network-service-not-enabled",
    requirement: "L-44",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks",
    summary: "A program that configures the network starts by itself.",
    azure_error: None,
    source: source::PREPARE_RHEL,
    docs: r"## What it checks

That one of NetworkManager, systemd-networkd, ifupdown, the scripts of Red Hat and SUSE, wicked and dhcpcd starts by itself, where one of
them is installed. netplan starts what it needs.

## Why it matters

Without it `eth0` has no address. Nobody reaches the machine, and the machine does not reach Azure.

## How to fix it

Enable the one that your configuration is for.",
    check: Check::Disk(service),
};

/// What is written for `eth0`, where cloud-init does not write it.
fn asked<'a>(subject: &Subject<'a>) -> Result<(Guest<'a>, Configured<'a>), Skip> {
    let guest = linux::guest(subject)?;
    dialect::demand_files(&guest)?;
    if dialect::by_cloud_init(&guest)? {
        return Err(Skip::not_applicable("cloud-init configures the network"));
    }
    let configured = dialect::configured(&guest)?;
    if configured.programs.is_empty() && configured.interfaces.is_empty() {
        return Err(Skip::not_applicable("no program that is known configures the network"));
    }
    Ok((guest, configured))
}

/// Whether `eth0` gets an address by DHCP on any machine.
fn has_address(guest: &Guest<'_>, configured: &Configured<'_>) -> Result<bool, Skip> {
    if configured.covers() || configured.programs.contains(&"dhcpcd") {
        return Ok(true);
    }
    // A distribution may bring a file for every adapter; those that systemd brings for others than adapters match no names.
    let brought = guest.linux.network.networkd.value().into_iter().flatten().any(|one| !one.name.is_empty() && covers(one));
    if brought && configured.programs.contains(&"systemd-networkd") {
        return Ok(true);
    }
    let unmanaged = configured.interfaces.iter().any(|one| dialect::is_for_eth0(one) && one.unmanaged);
    Ok(configured.programs.contains(&"NetworkManager") && !unmanaged && dialect::makes_connections(guest.linux)?)
}

/// Whether `eth0` gets an address by DHCP on any machine, from cloud-init or from files.
pub(in crate::rules::linux) fn has_network(guest: &Guest<'_>) -> Result<bool, Skip> {
    Ok(dialect::by_cloud_init(guest)? || has_address(guest, &dialect::configured(guest)?)?)
}

fn is_static(one: &InterfaceFacts) -> bool {
    dialect::is_for_eth0(one)
        && one.mac.is_none()
        && one.dhcp4 != Some(true)
        && !one.addresses.is_empty()
        && !one.unmanaged
        && one.starts != Some(false)
}

/// Entries that give `eth0` an address of one machine, whichever adapter they are bound to.
pub(in crate::rules::linux) fn static_entries<'a>(guest: &Guest<'a>) -> Result<Vec<&'a InterfaceFacts>, Skip> {
    dialect::demand_files(guest)?;
    let mut entries = dialect::configured(guest)?.interfaces;
    entries.retain(|one| is_static(&InterfaceFacts { mac: None, ..(*one).clone() }));
    Ok(entries)
}

fn is_bound(one: &InterfaceFacts) -> bool {
    one.mac.is_some() && matches!(one.kind.as_str(), "ethernet" | "") && one.starts != Some(false) && !one.unmanaged
}

/// How an entry for `eth0` with DHCP is made with these programs.
fn cure(guest: &Guest<'_>, configured: &Configured<'_>) -> String {
    if guest.linux.network.netplan.value().is_some() {
        return "set eth0 with dhcp4: true in a file of /etc/netplan, then netplan generate".to_owned();
    }
    match (configured.programs.first().copied(), guest.distribution()) {
        (Some("NetworkManager"), _) => {
            "nmcli connection add type ethernet ifname eth0 con-name eth0 ipv4.method auto connection.autoconnect yes".to_owned()
        }
        (Some("systemd-networkd"), _) => {
            "printf '[Match]\\nName=eth0\\n[Network]\\nDHCP=yes\\n' > /etc/systemd/network/20-eth0.network".to_owned()
        }
        (Some("ifupdown"), _) => "printf 'auto eth0\\niface eth0 inet dhcp\\n' > /etc/network/interfaces.d/eth0".to_owned(),
        (_, Distribution::Suse) => "printf \"BOOTPROTO='dhcp'\\nSTARTMODE='auto'\\n\" > /etc/sysconfig/network/ifcfg-eth0".to_owned(),
        _ => "printf 'DEVICE=eth0\\nONBOOT=yes\\nBOOTPROTO=dhcp\\nTYPE=Ethernet\\n' > /etc/sysconfig/network-scripts/ifcfg-eth0".to_owned(),
    }
}

fn check(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let (guest, configured) = asked(subject)?;
    // Other rules tell why an entry that is there does not do.
    if has_address(&guest, &configured)? || configured.interfaces.iter().any(|one| is_static(one) || is_bound(one)) {
        return Ok(vec![]);
    }
    let names: Vec<String> = configured
        .interfaces
        .iter()
        .filter(|one| one.kind != "loopback" && one.name != "lo" && !one.name.is_empty())
        .map(|one| format!("{} ({})", one.name, one.path))
        .collect();
    let (found, place) = match configured.interfaces.iter().find(|one| one.name != "lo" && one.kind != "loopback") {
        Some(one) => (format!("only {} configured", describe(&names)), shared::file(&one.path, None)),
        None => ("no interface is configured".to_owned(), None),
    };
    Ok(vec![Finding {
        message: format!("{found}, but nothing gives eth0 an address by DHCP, which is the network adapter of every machine in Azure"),
        actual: found,
        required: "eth0 with DHCP, started at boot".to_owned(),
        place,
        remedy: Remedy::hand(cure(&guest, &configured)),
    }])
}

fn describe(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", shared::first_three(names, ", "))
}

fn fixed(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    dialect::demand_files(&guest)?;
    let rewritten = dialect::by_cloud_init(&guest)?;
    let configured = dialect::configured(&guest)?;
    let entries =
        configured.interfaces.iter().filter(|one| is_static(one) && !(rewritten && linux::generalize_steps::is_rendered(&one.path)));
    let found = entries.map(|one| Finding {
        message: format!(
            "{} gives {} the address {} instead of asking DHCP; Azure lets nothing through from an address that it has not handed out",
            one.path,
            if one.name.is_empty() { "every interface" } else { &one.name },
            one.addresses.join(", ")
        ),
        actual: one.addresses.join(", "),
        required: "DHCP".to_owned(),
        place: shared::file(&one.path, None),
        remedy: Remedy::hand(format!(
            "have {} use DHCP, without addresses and gateways; set a fixed address on the network interface in Azure",
            one.path
        )),
    });
    Ok(found.collect())
}

fn bound(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let (guest, configured) = asked(subject)?;
    if !configured.interfaces.iter().any(|one| is_bound(one)) || has_address(&guest, &configured)? {
        return Ok(vec![]);
    }
    let found = configured.interfaces.iter().filter(|one| is_bound(one)).map(|one| {
        let mac = one.mac.as_deref().unwrap_or_default();
        Finding {
            message: format!(
                "{} is for the network adapter with the hardware address {mac} only, which a machine in Azure does not have",
                one.path
            ),
            actual: mac.to_owned(),
            required: "an entry for eth0 without a hardware address".to_owned(),
            place: shared::file(&one.path, None),
            remedy: Remedy::hand(format!("take the hardware address out of {}", one.path)),
        }
    });
    Ok(found.collect())
}

fn foreign(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    dialect::demand_files(&guest)?;
    let rewritten = dialect::by_cloud_init(&guest)?;
    let configured = dialect::configured(&guest)?;
    if !rewritten && !has_address(&guest, &configured)? {
        return Err(Skip::not_applicable("eth0 is not configured"));
    }
    let entries = configured.interfaces.iter().filter(|one| {
        dialect::is_foreign(one)
            && one.starts != Some(false)
            && !one.unmanaged
            && !(rewritten && linux::generalize_steps::is_rendered(&one.path))
    });
    let found = entries.map(|one| Finding {
        message: format!("{} configures {}, an adapter that machines in Azure do not have; the boot may wait for it", one.path, one.name),
        actual: one.name.clone(),
        required: "eth0 only".to_owned(),
        place: shared::file(&one.path, None),
        remedy: Remedy::hand(format!("take {} out of {}", one.name, one.path)),
    });
    Ok(found.collect())
}

fn service(subject: &Subject<'_>, _target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    dialect::demand_files(&guest)?;
    let programs = dialect::programs(&guest);
    if !programs.starting.is_empty() || guest.linux.network.netplan.known()?.is_some() {
        return Ok(vec![]);
    }
    programs.all_known()?;
    // netplan has started what it writes for, and cloud-init writes its files anew at the first boot: a template may have none.
    let netplan = guest.linux.packages.known()?.is_none_or(|packages| packages.named("netplan.io").next().is_some());
    if guest.distribution() == Distribution::Debian && netplan && dialect::by_cloud_init(&guest)? {
        return Err(Skip::Undecided(
            "cloud-init writes netplan's configuration at the first boot, and netplan starts what that asks for".to_owned(),
        ));
    }
    let services = guest.linux.services.known()?;
    let state = |unit: &&&str| {
        let found = services.map(|services| services.state(unit));
        found.and_then(|state| state.value().copied()).is_some_and(|state| state != UnitState::Missing)
    };
    let installed: Vec<&str> = dialect::NETWORKS.iter().filter_map(|(_, units)| units.iter().find(|unit| state(unit)).copied()).collect();
    let Some(first) = installed.first() else {
        return Err(Skip::Undecided("no program that configures the network is known here".to_owned()));
    };
    Ok(vec![Finding {
        message: format!(
            "no program that configures the network starts by itself ({} installed and not enabled); eth0 gets no address",
            installed.join(", ")
        ),
        actual: format!("not enabled: {}", installed.join(", ")),
        required: "one of them enabled".to_owned(),
        place: None,
        remedy: Remedy::hand(guest.distribution().enable(first)),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::linux::{interface, unit};
    use crate::rules::testing::*;

    const ALL: [(&str, &Rule); 5] =
        [("LNX040", &RULE), ("LNX041", &STATIC), ("LNX141", &BOUND), ("LNX241", &FOREIGN), ("LNX044", &SERVICE)];

    fn found(facts: &DiskFacts) -> Vec<&'static str> {
        ALL.iter().filter(|(_, rule)| ask(rule, facts).starts_with("hand")).map(|(code, _)| *code).collect()
    }

    /// Without cloud-init, so that the files count.
    fn alone(change: impl FnOnce(&mut LinuxFacts)) -> DiskFacts {
        linux(|l| {
            l.agents.cloud_init = Fact::Absent;
            known(&mut l.packages).of_interest.retain(|one| one.name != "cloud-init");
            change(l);
        })
    }

    fn entry(name: &str, change: impl FnOnce(&mut InterfaceFacts)) -> InterfaceFacts {
        let mut one = interface("/etc/network/interfaces", name);
        change(&mut one);
        one
    }

    #[test]
    fn ifupdown() {
        let with = |one: Vec<InterfaceFacts>| alone(|l| l.network.ifupdown = Fact::Known(one));
        let fixed = |one: &mut InterfaceFacts| (one.dhcp4, one.addresses) = (Some(false), vec!["10.0.0.4".to_owned()]);
        assert_eq!(found(&alone(|_| {})), Vec::<&str>::new());
        assert_eq!(found(&with(vec![entry("ens3", |_| {})])), ["LNX040"]);
        assert_eq!(found(&with(vec![entry("lo", |one| one.kind = "loopback".to_owned())])), ["LNX040"]);
        assert_eq!(found(&with(vec![entry("eth0", |_| {}), entry("ens3", |_| {})])), ["LNX241"]);
        assert_eq!(found(&with(vec![entry("eth0", fixed)])), ["LNX041"]);
        assert_eq!(found(&with(vec![entry("eth0", |one| one.mac = Some("00:0d:3a:aa:bb:cc".to_owned()))])), ["LNX141"]);
        assert_eq!(found(&with(vec![entry("eth0", |one| one.starts = Some(false))])), ["LNX040"]);
    }

    #[test]
    fn cloud_init_writes_it() {
        let with = |path: &str, disabled| {
            linux(|l| {
                let fixed = |one: &mut InterfaceFacts| (one.dhcp4, one.addresses) = (Some(false), vec!["10.0.0.4".to_owned()]);
                let mut one = entry("eth0", fixed);
                one.path = path.to_owned();
                l.network.ifupdown = Fact::Known(vec![one]);
                known(&mut known(&mut l.agents.cloud_init).configuration).network_disabled = disabled;
            })
        };
        assert_eq!(found(&linux(|l| l.network.ifupdown = Fact::Absent)), Vec::<&str>::new());
        assert_eq!(found(&with("/etc/network/interfaces.d/50-cloud-init", false)), Vec::<&str>::new());
        assert_eq!(found(&with("/etc/network/interfaces.d/50-cloud-init", true)), ["LNX041"]);
        assert_eq!(found(&with("/etc/network/interfaces", false)), ["LNX041"]);
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
    }

    #[test]
    fn network_manager_makes_connections() {
        let with = |server: bool, ifcfg: Option<InterfaceFacts>| {
            alone(|l| {
                l.network.ifupdown = Fact::Absent;
                l.network.ifcfg = ifcfg.map_or(Fact::Absent, |one| Fact::Known(vec![one]));
                known(&mut l.services).units.push(unit("NetworkManager.service", UnitState::Enabled));
                if server {
                    let package = PackageFacts {
                        name: "NetworkManager-config-server".to_owned(),
                        version: "1".to_owned(),
                        architecture: "noarch".to_owned(),
                    };
                    known(&mut l.packages).of_interest.push(package);
                }
            })
        };
        assert_eq!(found(&with(false, None)), Vec::<&str>::new());
        assert_eq!(found(&with(true, None)), ["LNX040"]);
        let bound = || Some(entry("eth0", |one| one.mac = Some("00:0d:3a:aa:bb:cc".to_owned())));
        assert_eq!(found(&with(false, bound())), Vec::<&str>::new(), "it makes one of its own");
        assert_eq!(found(&with(true, bound())), ["LNX141"]);
        assert_eq!(found(&with(true, Some(entry("ens160", |_| {})))), ["LNX040"]);
    }

    #[test]
    fn a_program_starts() {
        let with = |units: Vec<UnitFacts>| alone(|l| known(&mut l.services).units = units);
        assert_eq!(found(&with(vec![unit("networking.service", UnitState::Disabled)])), ["LNX044"]);
        assert_eq!(ask(&SERVICE, &with(vec![])), "undecided");
        let netplan = alone(|l| {
            known(&mut l.services).units = vec![unit("systemd-networkd.service", UnitState::Disabled)];
            l.network.netplan = Fact::Known(vec![entry("eth0", |_| {})]);
        });
        assert_eq!(found(&netplan), Vec::<&str>::new());
    }

    /// CentOS 7 in Azure: the scripts bring eth0 up, and NetworkManager keeps its hands off it.
    #[test]
    fn scripts_read_what_network_manager_does_not() {
        let with = |units: &[&str]| {
            alone(|l| {
                known(&mut l.services).units = units.iter().map(|name| unit(name, UnitState::Enabled)).collect();
                l.network.ifupdown = Fact::Absent;
                let mut one = entry("eth0", |one| one.unmanaged = true);
                one.path = "/etc/sysconfig/network-scripts/ifcfg-eth0".to_owned();
                l.network.ifcfg = Fact::Known(vec![one]);
            })
        };
        assert_eq!(found(&with(&["network.service", "NetworkManager.service"])), Vec::<&str>::new());
        assert_eq!(found(&with(&["NetworkManager.service"])), ["LNX040"]);
    }

    #[test]
    fn the_distribution_may_bring_the_configuration() {
        let with = |name: &str| {
            alone(|l| {
                known(&mut l.services).units = vec![unit("systemd-networkd.service", UnitState::Enabled)];
                l.network.ifupdown = Fact::Absent;
                let mut one = entry(name, |_| {});
                one.path = "/usr/lib/systemd/network/80-all.network".to_owned();
                l.network.networkd = Fact::Known(vec![one]);
            })
        };
        assert_eq!(found(&with("e*")), Vec::<&str>::new());
        assert_eq!(found(&with("host0")), ["LNX040"]);
        assert_eq!(found(&with("")), ["LNX040"], "for wireless adapters");
    }

    /// Ubuntu Server, generalized: systemd-networkd is not enabled, and /etc/netplan is empty until cloud-init fills it.
    #[test]
    fn cloud_init_and_netplan_start_what_is_needed() {
        let with = |package: &str| {
            linux(|l| {
                let services = known(&mut l.services);
                services.units.retain(|unit| unit.name != "networking.service");
                services.units.push(unit("systemd-networkd.service", UnitState::Disabled));
                l.network.ifupdown = Fact::Absent;
                let package = PackageFacts { name: package.to_owned(), version: "1".to_owned(), architecture: "amd64".to_owned() };
                known(&mut l.packages).of_interest.push(package);
            })
        };
        assert_eq!(ask(&SERVICE, &with("netplan.io")), "undecided");
        assert_eq!(ask(&SERVICE, &with("ifupdown")), "hand");
    }

    #[test]
    fn table() {
        for (_, rule) in ALL {
            assert_eq!(ask(rule, &healthy_data()), "not applicable");
            assert_eq!(ask(rule, &linux(|l| l.services = Fact::unknown("x"))), "undecided");
            assert_eq!(ask(rule, &os(|f| known(&mut f.os).id = Fact::Known("flatcar".to_owned()))), "not applicable");
        }
        assert_eq!(ask(&RULE, &alone(|l| l.network.ifupdown = Fact::unknown("x"))), "undecided");
    }
}

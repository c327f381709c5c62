//! Which program configures the network of a Linux, and what it makes of the first interface.
//!
//! Azure's synthetic network adapter is `eth0` on every Linux: the names that udev makes from slots and paths do not exist for it.

use crate::facts::{Fact, InterfaceFacts, LinuxFacts};
use crate::rules::Skip;
use crate::rules::linux::provisioner::{CloudInit, cloud_config, cloud_init, starts};
use crate::rules::linux::{Distribution, Guest};

/// Programs that configure a network, each with the units that start it.
pub(super) const NETWORKS: [(&str, &[&str]); 6] = [
    ("NetworkManager", &["NetworkManager.service", "networkmanager"]),
    ("systemd-networkd", &["systemd-networkd.service"]),
    ("ifupdown", &["networking.service"]),
    ("network", &["network.service"]),
    ("wicked", &["wicked.service", "wickedd.service"]),
    ("dhcpcd", &["dhcpcd.service"]),
];

/// What an installation makes of its network.
pub(super) struct Configured<'a> {
    /// Programs that start by themselves.
    pub(super) programs: Vec<&'static str>,
    /// What files tell those programs, without what packages bring.
    pub(super) interfaces: Vec<&'a InterfaceFacts>,
}

/// Goes on only for systems whose network is configured in files that are read here.
pub(in crate::rules::linux) fn demand_files(guest: &Guest<'_>) -> Result<(), Skip> {
    if guest.distribution() == Distribution::Flatcar {
        return Err(Skip::not_applicable("its network is configured in its image"));
    }
    Ok(())
}

/// Whether cloud-init writes the network's configuration at every first boot.
pub(in crate::rules::linux) fn by_cloud_init(guest: &Guest<'_>) -> Result<bool, Skip> {
    // A stage that is missing is another rule's finding; the first one configures the network.
    let runs = match cloud_init(guest)? {
        CloudInit::Starts => true,
        CloudInit::Stopped(stages) => !stages.iter().any(|stage| stage.starts_with("cloud-init-local") || stage.ends_with(".target")),
        CloudInit::Missing | CloudInit::Disabled(_) => false,
    };
    if !runs {
        return Ok(false);
    }
    Ok(cloud_config(guest)?.is_none_or(|config| !config.network_disabled))
}

/// Programs that configure the network: those that start by themselves, and those of which that is not known.
pub(super) struct Programs {
    pub(super) starting: Vec<&'static str>,
    pub(super) unknown: Vec<(&'static str, Skip)>,
}

impl Programs {
    /// Whether that program starts by itself.
    pub(super) fn starts(&self, program: &str) -> Result<bool, Skip> {
        match self.unknown.iter().find(|(name, _)| *name == program) {
            Some((_, skip)) => Err(skip.clone()),
            None => Ok(self.starting.contains(&program)),
        }
    }

    /// Goes on only where it is known of all of them.
    pub(super) fn all_known(&self) -> Result<(), Skip> {
        self.unknown.first().map_or(Ok(()), |(_, skip)| Err(skip.clone()))
    }
}

/// Programs that configure the network.
pub(super) fn programs(guest: &Guest<'_>) -> Programs {
    let mut out = Programs { starting: Vec::new(), unknown: Vec::new() };
    for (program, units) in NETWORKS {
        match starts(guest, units) {
            Ok(true) => out.starting.push(program),
            Ok(false) => {}
            Err(skip) => out.unknown.push((program, skip)),
        }
    }
    out
}

/// What the files say to the programs that start.
pub(super) fn configured<'a>(guest: &Guest<'a>) -> Result<Configured<'a>, Skip> {
    let programs = programs(guest);
    let network = &guest.linux.network;
    let mut interfaces = Vec::new();
    let own = |fact: &'a Fact<Vec<InterfaceFacts>>| -> Result<Vec<&'a InterfaceFacts>, Skip> {
        Ok(fact.known()?.into_iter().flatten().filter(|one| !is_of_a_package(&one.path)).collect())
    };
    // netplan's own generator starts the program that it writes for.
    interfaces.extend(own(&network.netplan)?);
    for (program, fact) in [
        ("NetworkManager", &network.network_manager),
        ("NetworkManager", &network.ifcfg),
        ("network", &network.ifcfg),
        ("wicked", &network.ifcfg),
        ("ifupdown", &network.ifupdown),
        ("systemd-networkd", &network.networkd),
    ] {
        if programs.starting.contains(&program) {
            interfaces.extend(own(fact)?);
        } else if let Some((_, skip)) = programs.unknown.iter().find(|(name, _)| *name == program)
            && !own(fact)?.is_empty()
        {
            // Whether what it is told counts is not known.
            return Err(skip.clone());
        }
    }
    interfaces.dedup();
    if interfaces.is_empty() && programs.starting.is_empty() {
        programs.all_known()?;
    }
    Ok(Configured { programs: programs.starting, interfaces })
}

/// Whether a file came with a package: nobody's machine is in it.
fn is_of_a_package(path: &str) -> bool {
    path.starts_with("/usr/lib/") || path.starts_with("/lib/")
}

/// Whether an entry concerns `eth0` by its name: it names it, or a pattern or the lack of a name fits.
pub(super) fn is_for_eth0(one: &InterfaceFacts) -> bool {
    let physical = matches!(one.kind.as_str(), "ethernet" | "link" | "");
    let driver = one.driver.as_deref().is_none_or(|driver| driver.split_ascii_whitespace().any(|word| fits(word, "hv_netvsc")));
    physical && driver && (one.name.is_empty() || one.name.split_ascii_whitespace().any(|word| fits(word, "eth0")))
}

/// Whether an entry gives `eth0` of any machine an address by DHCP.
pub(in crate::rules::linux) fn covers(one: &InterfaceFacts) -> bool {
    asks_for_address(one) && !one.unmanaged
}

/// The same, whoever's hands are off it.
fn asks_for_address(one: &InterfaceFacts) -> bool {
    is_for_eth0(one) && one.mac.is_none() && one.dhcp4 == Some(true) && one.starts != Some(false)
}

impl Configured<'_> {
    /// Whether a file gives `eth0` of any machine an address by DHCP.
    pub(super) fn covers(&self) -> bool {
        // NM_CONTROLLED=no of an ifcfg file says nothing to the scripts that read it too.
        let scripts = self.programs.iter().any(|program| matches!(*program, "network" | "wicked"));
        self.interfaces.iter().any(|one| covers(one) || (scripts && one.path.contains("/ifcfg-") && asks_for_address(one)))
    }
}

/// Whether a pattern with `*` and `?` fits a name.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().take(64).collect(), name.chars().take(64).collect());
    // The prefixes of the name that the pattern so far fits, by length.
    let mut fitting = vec![false; name.len().saturating_add(1)];
    if let Some(first) = fitting.first_mut() {
        *first = true;
    }
    for letter in pattern {
        let mut next = vec![false; fitting.len()];
        let mut any = false;
        for (length, slot) in next.iter_mut().enumerate() {
            any |= fitting.get(length).copied().unwrap_or_default();
            let before = length.checked_sub(1);
            let took = before.is_some_and(|before| {
                fitting.get(before).copied().unwrap_or_default() && (letter == '?' || name.get(before) == Some(&letter))
            });
            *slot = if letter == '*' { any } else { took };
        }
        fitting = next;
    }
    fitting.last().copied().unwrap_or_default()
}

/// Whether a name is one that udev makes of a slot, a path or a hardware address, or that another hypervisor's adapter had.
pub(super) fn is_foreign(one: &InterfaceFacts) -> bool {
    let predictable = ["ens", "enp", "eno", "enx"]
        .iter()
        .any(|start| one.name.strip_prefix(start).is_some_and(|rest| rest.chars().next().is_some_and(|digit| digit.is_ascii_hexdigit())));
    one.kind == "ethernet" && predictable
}

/// Whether NetworkManager makes a connection of its own for an interface that none is written for.
pub(super) fn makes_connections(linux: &LinuxFacts) -> Result<bool, Skip> {
    let Some(packages) = linux.packages.known()? else { return Ok(true) };
    Ok(packages.named("NetworkManager-config-server").next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::linux::interface;

    #[test]
    fn patterns_fit() {
        for (pattern, name, expected) in [
            ("eth0", "eth0", true),
            ("e*", "eth0", true),
            ("en*", "eth0", false),
            ("eth?", "eth0", true),
            ("*", "eth0", true),
            ("*h0", "eth0", true),
            ("eth", "eth0", false),
            ("eth00", "eth0", false),
            ("", "eth0", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern}");
        }
    }

    #[test]
    fn entries_concern_eth0() {
        let named = |name: &str| interface("/etc/netplan/01.yaml", name);
        assert!(covers(&named("eth0")) && covers(&named("")) && !covers(&named("ens3")));
        assert!(covers(&named("en* eth*")));
        let with = |change: fn(&mut InterfaceFacts)| {
            let mut one = named("eth0");
            change(&mut one);
            covers(&one)
        };
        assert!(with(|one| one.driver = Some("hv_netvsc".to_owned())));
        for change in [
            |one: &mut InterfaceFacts| one.driver = Some("virtio_net".to_owned()),
            |one: &mut InterfaceFacts| one.kind = "bridge".to_owned(),
            |one: &mut InterfaceFacts| one.mac = Some("00:0d:3a:aa:bb:cc".to_owned()),
            |one: &mut InterfaceFacts| one.dhcp4 = Some(false),
            |one: &mut InterfaceFacts| one.starts = Some(false),
            |one: &mut InterfaceFacts| one.unmanaged = true,
        ] {
            assert!(!with(change));
        }
        assert!(is_foreign(&named("ens160")) && is_foreign(&named("enp0s3")) && !is_foreign(&named("eth0")) && !is_foreign(&named("en*")));
    }
}

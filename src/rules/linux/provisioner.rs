//! Who provisions a machine that is made from the disk: cloud-init, the Azure Linux agent, or nobody.
//!
//! The agent asks systemd whether `cloud-init-local.service` is enabled, and `Provisioning.Agent` of its configuration what to do then
//! (`azurelinuxagent/pa/provision/factory.py` and `default.py`).

use super::{Distribution, Guest};
use crate::facts::{CloudConfigFacts, CloudInitFacts, Fact, PackagesFacts, UnitState, WaagentFacts};
use crate::rules::Skip;

/// Who provisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provisioner {
    /// cloud-init does, and the agent waits for it where there is one.
    CloudInit,
    /// The agent does it by itself.
    Waagent,
    /// The agent is told to, finds cloud-init doing the same, and gives up.
    Conflict,
    /// The agent waits for a cloud-init that does not start.
    Waits,
    /// The agent reports the machine ready and sets nothing up.
    ReportsOnly,
    /// No agent starts.
    Nobody,
}

/// What becomes of cloud-init at boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CloudInit {
    /// It is not installed.
    Missing,
    /// It is switched off, by what is named.
    Disabled(String),
    /// These units of it do not start by themselves.
    Stopped(Vec<String>),
    /// All of it starts.
    Starts,
}

/// Names of the agent's package.
const WAAGENT_PACKAGES: &[&str] = &["WALinuxAgent", "walinuxagent", "waagent", "python3-azure-agent", "python-azure-agent"];
/// Names of the agent's unit.
pub(in crate::rules) const WAAGENT_UNITS: &[&str] = &["walinuxagent.service", "waagent.service"];
/// The unit that the agent asks for.
const LOCAL: &str = "cloud-init-local.service";
/// Units of cloud-init until 24.2, and since 24.3.
const STAGES: [&str; 4] = ["cloud-init-local.service", "cloud-init.service", "cloud-config.service", "cloud-final.service"];
const STAGES_OF_TODAY: [&str; 5] =
    ["cloud-init-main.service", "cloud-init-local.service", "cloud-init-network.service", "cloud-config.service", "cloud-final.service"];

/// Goes on only for systems that cloud-init or the agent provisions.
pub(in crate::rules) fn demand_agents(guest: &Guest<'_>) -> Result<(), Skip> {
    if guest.distribution() == Distribution::Flatcar { Err(Skip::not_applicable("Ignition provisions it")) } else { Ok(()) }
}

/// Who provisions.
pub(crate) fn provisioner(guest: &Guest<'_>) -> Result<Provisioner, Skip> {
    demand_agents(guest)?;
    let cloud_init = cloud_init(guest)?;
    let runs = cloud_init == CloudInit::Starts;
    if !starts(guest, WAAGENT_UNITS)? || waagent(guest)?.is_none() {
        return Ok(if runs { Provisioner::CloudInit } else { Provisioner::Nobody });
    }
    let told = told(guest)?;
    // The unit stays enabled where a file or the command line switches cloud-init off: the agent does not see that.
    let enabled = cloud_init != CloudInit::Missing && starts(guest, &[LOCAL])? && !is_static(guest);
    Ok(match told {
        Told::Waagent if enabled => Provisioner::Conflict,
        Told::Auto if !enabled => Provisioner::Waagent,
        Told::Waagent => Provisioner::Waagent,
        _ if runs => Provisioner::CloudInit,
        Told::CloudInit | Told::Auto => Provisioner::Waits,
        Told::Nothing => Provisioner::ReportsOnly,
    })
}

/// Whether cloud-init's first stage is started by a link of its package, which systemctl does not call enabled.
fn is_static(guest: &Guest<'_>) -> bool {
    guest.linux.services.value().is_some_and(|services| services.state(LOCAL) == Fact::Known(UnitState::Static))
}

/// What the agent's configuration has it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Auto,
    CloudInit,
    Waagent,
    Nothing,
}

fn told(guest: &Guest<'_>) -> Result<Told, Skip> {
    let Some(agent) = waagent(guest)? else { return Ok(Told::Nothing) };
    let Some(configuration) = agent.configuration.known()? else { return Ok(Told::Auto) };
    if let Some(value) = configuration.settings.get("Provisioning.Agent") {
        return Ok(match value.as_str() {
            "auto" => Told::Auto,
            "cloud-init" => Told::CloudInit,
            "disabled" => Told::Nothing,
            _ => Told::Waagent,
        });
    }
    // Agents before 2.2.45 knew two switches instead; those of today do not look at them.
    let old = version(guest).is_some_and(|version| is_below(version, &[2, 2, 45]));
    Ok(match (old, configuration.switch("Provisioning.UseCloudInit"), configuration.switch("Provisioning.Enabled")) {
        (true, Some(true), _) => Told::CloudInit,
        (true, _, Some(false)) => Told::Nothing,
        _ => Told::Auto,
    })
}

/// The agent, where it is installed.
pub(in crate::rules) fn waagent<'a>(guest: &Guest<'a>) -> Result<Option<&'a WaagentFacts>, Skip> {
    let Some(agent) = guest.linux.agents.waagent.known()? else { return Ok(None) };
    Ok(is_installed(&agent.program, &guest.linux.packages, WAAGENT_PACKAGES)?.then_some(agent))
}

/// The version of the agent that is installed: of its own code, or else of its package.
pub(in crate::rules) fn version<'a>(guest: &Guest<'a>) -> Option<&'a str> {
    let own = guest.linux.agents.waagent.value().and_then(|agent| agent.version.value());
    own.map(String::as_str).or_else(|| {
        let packages = guest.linux.packages.value()?;
        let package = packages.of_interest.iter().find(|package| WAAGENT_PACKAGES.contains(&package.name.as_str()))?;
        Some(&package.version)
    })
}

/// The numbers that a version begins with, behind its epoch.
pub(in crate::rules) fn numbers(version: &str) -> Vec<u64> {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let numbers = version.split(['.', '-', '+', '~']).map_while(|part| part.parse().ok());
    numbers.collect()
}

/// Whether a version is below a floor; one that begins with no number is not.
pub(in crate::rules) fn is_below(version: &str, floor: &[u64]) -> bool {
    let numbers = numbers(version);
    !numbers.is_empty() && numbers.as_slice() < floor
}

/// cloud-init, where it is installed.
pub(in crate::rules) fn installed_cloud_init<'a>(guest: &Guest<'a>) -> Result<Option<&'a CloudInitFacts>, Skip> {
    let Some(cloud) = guest.linux.agents.cloud_init.known()? else { return Ok(None) };
    Ok(is_installed(&cloud.program, &guest.linux.packages, &["cloud-init"])?.then_some(cloud))
}

fn is_installed(program: &Fact<String>, packages: &Fact<PackagesFacts>, names: &[&str]) -> Result<bool, Skip> {
    let package = packages.value().is_some_and(|packages| packages.of_interest.iter().any(|one| names.contains(&one.name.as_str())));
    Ok(package || program.known()?.is_some())
}

/// What becomes of cloud-init at boot.
pub(crate) fn cloud_init(guest: &Guest<'_>) -> Result<CloudInit, Skip> {
    let cloud = installed_cloud_init(guest)?;
    if cloud.is_none() && !is_installed(&Fact::Absent, &guest.linux.packages, &["cloud-init"])? {
        return Ok(CloudInit::Missing);
    }
    let parameters = guest.linux.boot.parameters.value();
    let told = |word: &str| parameters.is_some_and(|words| words.iter().any(|one| one == word));
    if told("cloud-init=disabled") {
        return Ok(CloudInit::Disabled("cloud-init=disabled on the kernel command line".to_owned()));
    }
    if !told("cloud-init=enabled") {
        if cloud.is_some_and(|cloud| cloud.disabled_by_file == Fact::Known(true)) {
            return Ok(CloudInit::Disabled("/etc/cloud/cloud-init.disabled".to_owned()));
        }
        let policy = cloud.and_then(|cloud| cloud.ds_identify.value()).and_then(|identify| identify.policy.as_deref());
        if policy == Some("disabled") {
            return Ok(CloudInit::Disabled("policy: disabled in /etc/cloud/ds-identify.cfg".to_owned()));
        }
    }
    let Some(services) = guest.linux.services.known()? else {
        return Err(Skip::Undecided("what starts its services was not found".to_owned()));
    };
    let of_today = services.units.iter().any(|unit| matches!(unit.name.as_str(), "cloud-init-main.service" | "cloud-init-main"));
    let stages: &[&str] = if of_today { &STAGES_OF_TODAY } else { &STAGES };
    let mut stopped = Vec::new();
    for stage in stages {
        if !starts(guest, &[stage])? {
            stopped.push((*stage).to_owned());
        }
    }
    // The stages are wanted by a target that cloud-init's generator has started.
    let by_target = services.units.iter().any(|unit| unit.by.as_deref().is_some_and(|link| link.contains("cloud-init.target.")));
    if by_target && services.cloud_init_generator.known()? == Some(&false) && !starts(guest, &["cloud-init.target"])? {
        stopped.push("cloud-init.target".to_owned());
    }
    if !stopped.is_empty() {
        return Ok(CloudInit::Stopped(stopped));
    }
    if let Some(cloud) = cloud {
        cloud.disabled_by_file.known()?;
    }
    Ok(CloudInit::Starts)
}

/// What cloud-init's configuration comes to, where it is known which file it reads.
pub(in crate::rules) fn cloud_config<'a>(guest: &Guest<'a>) -> Result<Option<&'a CloudConfigFacts>, Skip> {
    let Some(cloud) = guest.linux.agents.cloud_init.known()? else { return Ok(None) };
    if let Some(other) = cloud.configuration_override.known()? {
        return Err(Skip::Undecided(format!("{} has cloud-init read {} instead of its configuration", other.path, other.value)));
    }
    Ok(cloud.configuration.known()?)
}

/// Whether one of these units starts by itself; other inits have them without the suffix.
pub(in crate::rules) fn starts(guest: &Guest<'_>, units: &[&str]) -> Result<bool, Skip> {
    let Some(services) = guest.linux.services.known()? else {
        return Err(Skip::Undecided("what starts its services was not found".to_owned()));
    };
    let systemd = services.init.known()?.is_some_and(|init| init == "systemd");
    let name = |unit: &str| if systemd { unit.to_owned() } else { unit.trim_end_matches(".service").to_owned() };
    if units.iter().any(|unit| services.starts(&name(unit)) == Fact::Known(true)) {
        return Ok(true);
    }
    // Without a machine id the next boot is a first boot, at which presets enable units.
    let first_boot = systemd
        && match guest.linux.identity.machine_id.known()? {
            None => true,
            Some(id) => id.state == "uninitialized",
        };
    for unit in units {
        services.starts(&name(unit)).known()?;
        if first_boot && services.state(&name(unit)) == Fact::Known(UnitState::Disabled) {
            return Err(Skip::Undecided(format!("presets may enable {unit} at the first boot")));
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::linux::unit;
    use crate::rules::testing::*;

    fn of(facts: &DiskFacts) -> Result<Provisioner, Skip> {
        let os = facts.os.value().unwrap();
        provisioner(&Guest { os, linux: os.linux.value().unwrap() })
    }

    fn with(agent: &str, without: &[&str]) -> DiskFacts {
        linux(|l| {
            let configuration = known(&mut known(&mut l.agents.waagent).configuration);
            configuration.settings.insert("Provisioning.Agent".to_owned(), agent.to_owned());
            known(&mut l.services).units.retain(|unit| !without.contains(&unit.name.as_str()));
        })
    }

    #[test]
    fn the_agent_and_systemd_decide_together() {
        use Provisioner::*;
        let (local, agent) = ("cloud-init-local.service", "walinuxagent.service");
        for (told, without, who) in [
            ("auto", &[][..], CloudInit),
            ("cloud-init", &[], CloudInit),
            ("disabled", &[], CloudInit),
            ("waagent", &[], Conflict),
            ("auto", &[local], Waagent),
            ("waagent", &[local], Waagent),
            ("cloud-init", &[local], Waits),
            ("disabled", &[local], ReportsOnly),
            ("auto", &["cloud-final.service"], Waits),
            ("waagent", &["cloud-final.service"], Conflict),
            ("auto", &[agent], CloudInit),
            ("waagent", &[agent], CloudInit),
            ("auto", &[local, agent], Nobody),
        ] {
            assert_eq!(of(&with(told, without)), Ok(who), "{told} without {without:?}");
        }
    }

    #[test]
    fn the_agent_does_not_see_that_cloud_init_is_switched_off() {
        for (told, who) in [("auto", Provisioner::Waits), ("waagent", Provisioner::Conflict), ("disabled", Provisioner::ReportsOnly)] {
            let mut facts = with(told, &[]);
            known(&mut known(&mut known(&mut facts.os).linux).agents.cloud_init).disabled_by_file = Fact::Known(true);
            assert_eq!(of(&facts), Ok(who), "{told}");
        }
    }

    #[test]
    fn old_agents_have_two_switches() {
        let old = |version: &str, key: &str, value: &str| {
            linux(|l| {
                known(&mut l.services).units.retain(|unit| !unit.name.starts_with("cloud-init-local"));
                let agent = known(&mut l.agents.waagent);
                agent.version = Fact::Known(version.to_owned());
                let settings = &mut known(&mut agent.configuration).settings;
                settings.remove("Provisioning.Agent");
                settings.insert(key.to_owned(), value.to_owned());
            })
        };
        assert_eq!(of(&old("2.2.40", "Provisioning.UseCloudInit", "y")), Ok(Provisioner::Waits));
        assert_eq!(of(&old("2.2.40", "Provisioning.Enabled", "n")), Ok(Provisioner::ReportsOnly));
        assert_eq!(of(&old("2.9.1", "Provisioning.Enabled", "n")), Ok(Provisioner::Waagent));
    }

    #[test]
    fn cloud_init_of_today_has_other_units() {
        let facts = linux(|l| {
            let services = known(&mut l.services);
            services.units.retain(|unit| unit.name != "cloud-init.service");
            services.units.push(unit("cloud-init-network.service", UnitState::Enabled));
            services.units.push(unit("cloud-init-main.service", UnitState::Enabled));
        });
        assert_eq!(of(&facts), Ok(Provisioner::CloudInit));
    }

    #[test]
    fn the_target_needs_its_generator() {
        let facts = |generator| {
            linux(|l| {
                let services = known(&mut l.services);
                services.cloud_init_generator = generator;
                services.units[0].by = Some("/etc/systemd/system/cloud-init.target.wants/cloud-init-local.service".to_owned());
                services.units.retain(|unit| unit.name != "walinuxagent.service");
            })
        };
        assert_eq!(of(&facts(Fact::Known(true))), Ok(Provisioner::CloudInit));
        assert_eq!(of(&facts(Fact::Known(false))), Ok(Provisioner::Nobody));
        assert!(of(&facts(Fact::unknown("x"))).is_err());
    }

    #[test]
    fn presets_may_enable_what_is_not() {
        let facts = |state: Option<&str>| {
            linux(|l| {
                let services = known(&mut l.services);
                services.units = vec![unit("cloud-init-local.service", UnitState::Disabled)];
                l.identity.machine_id =
                    state.map_or(Fact::Absent, |state| Fact::Known(MachineIdFacts { state: state.to_owned(), id: None }));
            })
        };
        assert_eq!(of(&facts(Some("empty"))), Ok(Provisioner::Nobody));
        assert!(of(&facts(Some("uninitialized"))).is_err());
        assert!(of(&facts(None)).is_err());
    }

    #[test]
    fn other_inits_and_systems() {
        let facts = linux(|l| {
            let services = known(&mut l.services);
            services.init = Fact::Known("openrc".to_owned());
            for unit in &mut services.units {
                unit.name = unit.name.trim_end_matches(".service").to_owned();
            }
            l.identity.machine_id = Fact::Absent;
        });
        assert_eq!(of(&facts), Ok(Provisioner::CloudInit));
        assert!(matches!(of(&os(|f| known(&mut f.os).id = Fact::Known("flatcar".to_owned()))), Err(Skip::NotApplicable(_))));
        assert!(matches!(of(&linux(|l| l.services = Fact::Absent)), Err(Skip::Undecided(_))));
    }

    #[test]
    fn versions_are_compared_by_number() {
        for (version, floor, below) in [
            ("2.2.46", &[2, 2, 53, 1][..], true),
            ("2.2.53.1", &[2, 2, 53, 1], false),
            ("2.12.0.2-1", &[2, 2, 53, 1], false),
            ("2.2.46-0ubuntu5.1", &[2, 2, 53, 1], true),
            ("1:3.13.5-1", &[3, 13], false),
            ("git", &[1], false),
        ] {
            assert_eq!(is_below(version, floor), below, "{version}");
        }
    }
}

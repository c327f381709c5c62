//! What the OS disk itself tells about how it can be deployed: each hint with its reason, for the comment beside the switch.

use crate::facts::{BootFacts, DiskFacts, Fact, KernelFacts, LinuxFacts, LoaderFacts, OsFamily, StartType, Unknown, WindowsFacts};

/// Authorities whose signatures Azure's firmware accepts; with one of them Secure Boot starts the loader.
const TRUSTED: &[&str] =
    &["Microsoft Corporation UEFI CA 2011", "Microsoft UEFI CA 2023", "Microsoft Windows Production PCA 2011", "Windows UEFI CA 2023"];

/// The first build of Windows whose own drivers do accelerated networking: Windows Server 2016.
const FIRST_ACCELERATED_BUILD: u32 = 14393;

/// An answer with its reason, one line without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// It is so.
    Yes(String),
    /// It is not so.
    No(String),
    /// It could not be learnt.
    Unknown(String),
}

impl Hint {
    /// Whether it is known to be so.
    #[must_use]
    pub fn is_yes(&self) -> bool {
        matches!(self, Self::Yes(_))
    }

    /// Whether it is known not to be so.
    #[must_use]
    pub fn is_no(&self) -> bool {
        matches!(self, Self::No(_))
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Yes(reason) | Self::No(reason) | Self::Unknown(reason) => reason,
        }
    }
}

impl From<Result<Self, Unknown>> for Hint {
    fn from(result: Result<Self, Unknown>) -> Self {
        result.unwrap_or_else(|Unknown(reason)| Self::Unknown(reason))
    }
}

/// What an OS disk tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hints {
    /// Whether Secure Boot starts it: its loaders are signed by whom Azure's firmware trusts.
    pub secure_boot: Hint,
    /// Whether it finds its root file system behind an NVMe controller.
    pub nvme: Hint,
    /// Whether it has the drivers of accelerated networking.
    pub accelerated_network: Hint,
    /// Whether a VM agent of Azure is installed.
    pub agent: Hint,
    /// Whether a Linux has anything that provisions it: the agent or cloud-init.
    pub provisioner: Hint,
}

impl Hints {
    /// The hints of one inspected OS disk.
    #[must_use]
    pub fn of(disk: &DiskFacts) -> Self {
        let secure_boot = boot(&disk.boot).into();
        let unknown = |reason: &str| {
            let hint = || Hint::Unknown(reason.to_owned());
            Self { secure_boot: hint(), nvme: hint(), accelerated_network: hint(), agent: hint(), provisioner: hint() }
        };
        let os = match disk.os.known() {
            Ok(Some(os)) => os,
            Ok(None) => return Self { secure_boot, ..unknown("no operating system was found on the disk") },
            Err(Unknown(reason)) => return Self { secure_boot, ..unknown(&reason) },
        };
        match (os.family.value(), os.linux.value(), os.windows.value()) {
            (Some(OsFamily::Linux), Some(linux), _) => Self {
                secure_boot,
                nvme: linux_nvme(&linux.kernels).into(),
                accelerated_network: linux_network(&linux.kernels).into(),
                agent: linux_agent(linux).into(),
                provisioner: linux_provisioner(linux).into(),
            },
            (Some(OsFamily::Windows), _, Some(windows)) => Self {
                secure_boot,
                nvme: windows_nvme(windows).into(),
                accelerated_network: windows_network(windows).into(),
                agent: windows_agent(windows).into(),
                provisioner: Hint::Yes("Azure brings what provisions a Windows".to_owned()),
            },
            _ => Self { secure_boot, ..unknown("the operating system was not recognized") },
        }
    }
}

fn boot(boot: &Fact<BootFacts>) -> Result<Hint, Unknown> {
    let Some(boot) = boot.known()? else { return Ok(Hint::No("the disk has no boot loader".to_owned())) };
    let loaders = boot.loaders.known()?.map(Vec::as_slice).unwrap_or_default();
    let Some(first) = loaders.iter().find(|loader| loader.fallback) else {
        return Ok(Hint::No("there is no loader that firmware finds by itself".to_owned()));
    };
    let path = first.path.as_deref().unwrap_or("the first loader");
    let Some(authority) = authority(first)? else {
        return Ok(Hint::No(format!("{path} is not signed by an authority that Azure's firmware trusts")));
    };
    let second = boot.esp.known()?.and_then(|esp| esp.fallback.value()).and_then(|fallback| fallback.grub.as_deref());
    if let Some(path) = second {
        let Some(grub) = loaders.iter().find(|loader| loader.path.as_deref() == Some(path)) else {
            return Ok(Hint::Unknown(format!("it is not known who signed {path}")));
        };
        if grub.signed_by.known()?.is_none_or(Vec::is_empty) {
            return Ok(Hint::No(format!("{path}, which shim starts, is not signed")));
        }
    }
    Ok(Hint::Yes(format!("{path} is signed by {authority}")))
}

/// The authority that Azure trusts among those who signed a loader.
fn authority(loader: &LoaderFacts) -> Result<Option<&'static str>, Unknown> {
    let signers = loader.signed_by.known()?.map(Vec::as_slice).unwrap_or_default();
    let mut above = signers.iter().flat_map(|signer| signer.issuer.iter().chain(&signer.chain));
    Ok(above.find_map(|name| TRUSTED.iter().find(|trusted| *trusted == name).copied()))
}

/// The kernels that may start: all but rescue kernels.
fn kernels(kernels: &Fact<Vec<KernelFacts>>) -> Result<Vec<&KernelFacts>, Unknown> {
    Ok(kernels.known()?.map(Vec::as_slice).unwrap_or_default().iter().filter(|kernel| !kernel.rescue).collect())
}

fn linux_nvme(facts: &Fact<Vec<KernelFacts>>) -> Result<Hint, Unknown> {
    let kernels = kernels(facts)?;
    for kernel in &kernels {
        for name in ["nvme", "pci_hyperv"] {
            let release = &kernel.release;
            let driver = kernel.drivers.get(name).ok_or_else(|| Unknown(format!("nothing is known of {name} in {release}")))?;
            if !driver.is_early()? {
                return Ok(Hint::No(format!("{name} is not in the initramfs of {release}")));
            }
        }
    }
    let found = |newest: &&KernelFacts| Hint::Yes(format!("nvme and pci_hyperv are there early in {}", newest.release));
    Ok(kernels.first().map_or_else(|| Hint::Unknown("no kernel was found".to_owned()), found))
}

fn linux_network(facts: &Fact<Vec<KernelFacts>>) -> Result<Hint, Unknown> {
    let kernels = kernels(facts)?;
    let Some(newest) = kernels.first() else { return Ok(Hint::Unknown("no kernel was found".to_owned())) };
    let release = &newest.release;
    for name in ["hv_netvsc", "pci_hyperv", "mlx5_core"] {
        let driver = newest.drivers.get(name).ok_or_else(|| Unknown(format!("nothing is known of {name} in {release}")))?;
        if !driver.is_there()? {
            return Ok(Hint::No(format!("{name} is not there in {release}")));
        }
    }
    Ok(Hint::Yes(format!("hv_netvsc, pci_hyperv and mlx5_core are there in {release}")))
}

fn linux_agent(linux: &LinuxFacts) -> Result<Hint, Unknown> {
    let version = |agent: &crate::facts::WaagentFacts| agent.version.value().map(|version| format!(" {version}")).unwrap_or_default();
    Ok(match linux.agents.waagent.known()? {
        Some(agent) if agent.program.known()?.is_some() => Hint::Yes(format!("the Azure Linux agent{} is installed", version(agent))),
        _ => Hint::No("the Azure Linux agent is not installed".to_owned()),
    })
}

fn linux_provisioner(linux: &LinuxFacts) -> Result<Hint, Unknown> {
    let agent = linux_agent(linux);
    if agent.as_ref().is_ok_and(Hint::is_yes) {
        return agent;
    }
    if linux.agents.cloud_init.known()?.is_some() {
        return Ok(Hint::Yes("cloud-init is installed".to_owned()));
    }
    agent?;
    Ok(Hint::No("neither the Azure Linux agent nor cloud-init is installed".to_owned()))
}

fn windows_nvme(windows: &WindowsFacts) -> Result<Hint, Unknown> {
    let Some(driver) = windows.service("stornvme")? else { return Ok(Hint::No("the driver stornvme is not registered".to_owned())) };
    if driver.file_present.known()? == Some(&false) {
        return Ok(Hint::No("the file of the driver stornvme is missing".to_owned()));
    }
    if driver.start.known()? != Some(&StartType::Boot) {
        return Ok(Hint::No("the driver stornvme does not start at boot".to_owned()));
    }
    // Windows makes StartOverride for boot drivers that the machine did not need; what is not zero there keeps the driver from starting.
    if driver.start_override.known()?.is_some_and(|values| values.values().any(|value| *value != 0)) {
        return Ok(Hint::No("StartOverride keeps the driver stornvme from starting at boot".to_owned()));
    }
    Ok(Hint::Yes("the driver stornvme starts at boot".to_owned()))
}

fn windows_network(windows: &WindowsFacts) -> Result<Hint, Unknown> {
    Ok(match windows.product.build.known()? {
        Some(build) if *build >= FIRST_ACCELERATED_BUILD => Hint::Yes(format!("Windows of build {build} brings the drivers")),
        Some(build) => Hint::No(format!("Windows of build {build} does not bring the drivers")),
        None => Hint::Unknown("the build of Windows is not known".to_owned()),
    })
}

fn windows_agent(windows: &WindowsFacts) -> Result<Hint, Unknown> {
    Ok(match windows.agent.registered.known()? {
        Some(true) => Hint::Yes("the Azure VM agent is installed".to_owned()),
        _ => Hint::No("the Azure VM agent is not installed".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DriverFacts, DriverState, EspFacts, FallbackFacts, SignerFacts};
    use std::collections::BTreeMap;

    fn loader(path: &str, issuer: Option<&str>, fallback: bool) -> LoaderFacts {
        let signer = |issuer: &str| SignerFacts { subject: "signer".to_owned(), issuer: Some(issuer.to_owned()), chain: vec![] };
        LoaderFacts {
            path: Some(path.to_owned()),
            signed_by: Fact::Known(issuer.map(signer).into_iter().collect()),
            fallback,
            ..LoaderFacts::default()
        }
    }

    fn disk(loaders: Vec<LoaderFacts>) -> Fact<BootFacts> {
        let fallback = FallbackFacts {
            path: "first".to_owned(),
            grub: Some("second".to_owned()),
            entry_maker: None,
            entry_lists: vec![],
            complete: Fact::Known(true),
            evidence: String::new(),
        };
        let esp = EspFacts {
            partition: 1,
            directories: vec![],
            windows_boot_manager: Fact::Known(false),
            bcd: Fact::Known(false),
            grub_configs: Fact::Absent,
            fallback: Fact::Known(fallback),
        };
        Fact::Known(BootFacts { loaders: Fact::Known(loaders), esp: Fact::Known(esp), ..BootFacts::default() })
    }

    #[test]
    fn secure_boot_asks_who_signed_the_chain() {
        let ask = |loaders| Hint::from(boot(&disk(loaders)));
        let microsoft = Some("Microsoft UEFI CA 2023");
        let yes = ask(vec![loader("first", microsoft, true), loader("second", Some("Debian"), false)]);
        assert_eq!(yes, Hint::Yes("first is signed by Microsoft UEFI CA 2023".to_owned()));
        assert!(ask(vec![loader("first", Some("Debian"), true), loader("second", Some("Debian"), false)]).is_no());
        assert!(ask(vec![loader("first", microsoft, true), loader("second", None, false)]).is_no());
        assert!(ask(vec![loader("first", None, true)]).is_no());
        assert!(ask(vec![loader("first", microsoft, false)]).is_no());
        assert!(matches!(ask(vec![loader("first", microsoft, true)]), Hint::Unknown(_)));
        assert!(matches!(Hint::from(boot(&Fact::unknown("unread"))), Hint::Unknown(_)));
        assert!(Hint::from(boot(&Fact::Absent)).is_no());
    }

    fn kernel(release: &str, rescue: bool, drivers: &[(&str, Option<DriverState>, bool)]) -> KernelFacts {
        let driver = |(name, state, early): &(&str, Option<DriverState>, bool)| {
            let state = state.map_or(Fact::unknown("not read"), Fact::Known);
            let facts = DriverFacts { state, path: Fact::Absent, in_initramfs: Fact::Known(*early), evidence: String::new() };
            ((*name).to_owned(), facts)
        };
        KernelFacts {
            release: release.to_owned(),
            numbers: vec![],
            rescue,
            image: Fact::Absent,
            config: Fact::Absent,
            modules: Fact::Absent,
            initramfs: Fact::Absent,
            drivers: drivers.iter().map(driver).collect::<BTreeMap<_, _>>(),
        }
    }

    #[test]
    fn nvme_must_be_early_in_every_kernel_that_may_start() {
        use DriverState::{BuiltIn, Missing, Module};
        let ask = |kernels| Hint::from(linux_nvme(&Fact::Known(kernels)));
        let good = || kernel("6.1", false, &[("nvme", Some(Module), true), ("pci_hyperv", Some(BuiltIn), false)]);
        assert!(ask(vec![good()]).is_yes());
        assert!(ask(vec![good(), kernel("rescue", true, &[])]).is_yes());
        let late = kernel("5.10", false, &[("nvme", Some(Module), false), ("pci_hyperv", Some(BuiltIn), false)]);
        assert!(ask(vec![good(), late]).is_no());
        let unread = kernel("5.10", false, &[("nvme", None, false), ("pci_hyperv", Some(Missing), false)]);
        assert!(matches!(ask(vec![unread]), Hint::Unknown(_)));
        assert!(matches!(ask(vec![kernel("5.10", false, &[])]), Hint::Unknown(_)));
        assert!(matches!(ask(vec![]), Hint::Unknown(_)));

        let ask = |kernels| Hint::from(linux_network(&Fact::Known(kernels)));
        let all = |state| [("hv_netvsc", Some(Module), true), ("pci_hyperv", Some(Module), true), ("mlx5_core", Some(state), false)];
        assert!(ask(vec![kernel("6.1", false, &all(Module))]).is_yes());
        assert!(ask(vec![kernel("6.1", false, &all(Missing))]).is_no());
    }
}

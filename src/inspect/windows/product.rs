//! Which Windows it is.

use super::Identity;
use super::registry::{Registry, filled, known, optional};
use crate::bytes::{int_usize, read_vec};
use crate::facts::{Fact, WindowsFacts, WindowsNameFacts, WindowsProductFacts};
use crate::fs::{Error, Tree};
use crate::guest::windows::{account, coff};

const CURRENT: &str = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion";
/// The first build of Windows 11.
const WINDOWS_11: u32 = 22_000;
/// Bytes of a program that are looked at for its header.
const HEAD: u64 = 4096;

/// Learns `product`.
pub(super) fn product(registry: &Registry, tree: &Tree) -> WindowsProductFacts {
    let text = |name: &str| registry.full_text(CURRENT, name);
    let registry_name = text("ProductName");
    let build = build(registry);
    let revision = registry.dword(CURRENT, "UBR");
    let installation_type = text("InstallationType");
    let product_type = registry.full_text("CCS\\Control\\ProductOptions", "ProductType");
    WindowsProductFacts {
        name: name(&registry_name, &build, &installation_type, &product_type),
        version: version(registry, &build, &revision),
        registry_name,
        edition: text("EditionID"),
        installation_type,
        build,
        revision,
        display_version: text("DisplayVersion"),
        release_id: text("ReleaseId"),
        processor: registry.full_text("CCS\\Control\\Session Manager\\Environment", "PROCESSOR_ARCHITECTURE"),
        kernel_machine: kernel_machine(tree),
        product_type,
        system_root: text("SystemRoot"),
        dot_net_4: dot_net_4(registry),
    }
}

/// The build: a text in the registry.
fn build(registry: &Registry) -> Fact<u32> {
    let number = |text: Fact<String>| match text {
        Fact::Known(text) => text.trim().parse().map_err(|_not_a_number| format!("CurrentBuild is not a number: '{text}'")).into(),
        Fact::Absent => Fact::Absent,
        Fact::Unknown(reason) => Fact::Unknown(reason),
    };
    match number(registry.full_text(CURRENT, "CurrentBuild")) {
        Fact::Absent => number(registry.full_text(CURRENT, "CurrentBuildNumber")),
        found => found,
    }
}

/// The product's name. From build 22000 on, a client is Windows 11, and the registry goes on to say Windows 10.
fn name(registry: &Fact<String>, build: &Fact<u32>, installation: &Fact<String>, kind: &Fact<String>) -> Fact<String> {
    let client = match installation.value() {
        Some(installation) => installation.eq_ignore_ascii_case("Client"),
        None => kind.value().is_some_and(|kind| kind.eq_ignore_ascii_case("WinNT")),
    };
    let eleven = client && build.value().is_some_and(|build| *build >= WINDOWS_11);
    registry.clone().map(|name| match name.strip_prefix("Windows 10") {
        Some(rest) if eleven => format!("Windows 11{rest}"),
        _ => name,
    })
}

fn version(registry: &Registry, build: &Fact<u32>, revision: &Fact<u32>) -> Fact<String> {
    let major = registry.dword(CURRENT, "CurrentMajorVersionNumber");
    let minor = registry.dword(CURRENT, "CurrentMinorVersionNumber");
    // Before Windows 10 there is one text: 6.3.
    let start = match (&major, &minor) {
        (Fact::Known(major), Fact::Known(minor)) => Fact::Known(format!("{major}.{minor}")),
        (Fact::Unknown(reason), _) | (_, Fact::Unknown(reason)) => Fact::Unknown(reason.clone()),
        (Fact::Known(major), Fact::Absent) => Fact::Known(format!("{major}.0")),
        (Fact::Absent, _) => match registry.full_text(CURRENT, "CurrentVersion") {
            // Windows 10 and later say 6.3 there.
            Fact::Known(text) if text == "6.3" && build.value().is_some_and(|build| *build >= 10_240) => Fact::Known("10.0".to_owned()),
            other => other,
        },
    };
    match (&start, build) {
        (Fact::Known(start), Fact::Known(build)) => {
            let revision = revision.value().map(|revision| format!(".{revision}")).unwrap_or_default();
            Fact::Known(format!("{start}.{build}{revision}"))
        }
        (Fact::Unknown(reason), _) | (_, Fact::Unknown(reason)) => Fact::Unknown(reason.clone()),
        _ => Fact::Absent,
    }
}

/// The machine that the kernel was built for.
fn kernel_machine(tree: &Tree) -> Fact<String> {
    let read = || -> Result<Option<String>, Error> {
        let Some(bytes) = tree.open("/Windows/System32/ntoskrnl.exe")? else { return Ok(None) };
        let head = read_vec(&*bytes, 0, int_usize(bytes.size().min(HEAD)))?;
        let machine = coff::machine(&head).ok_or_else(|| Error::Damaged("ntoskrnl.exe is no program".to_owned()))?;
        Ok(Some(coff::name(machine)))
    };
    optional(read())
}

fn dot_net_4(registry: &Registry) -> Fact<String> {
    const FULL: &str = "SOFTWARE\\Microsoft\\NET Framework Setup\\NDP\\v4\\Full";
    match registry.dword(FULL, "Install") {
        Fact::Known(1) => match registry.full_text(FULL, "Version") {
            Fact::Absent => Fact::Known("4".to_owned()),
            version => version,
        },
        Fact::Known(_) | Fact::Absent => Fact::Absent,
        Fact::Unknown(reason) => Fact::Unknown(reason),
    }
}

/// Learns `name`.
pub(super) fn names(registry: &Registry) -> WindowsNameFacts {
    const NAMES: &str = "CCS\\Control\\ComputerName";
    const TCPIP: &str = "CCS\\Services\\Tcpip\\Parameters";
    let primary = registry.value("SECURITY\\Policy\\PolPrDmN", "").map(|value| value.and_then(|value| account::policy_text(&value.data)));
    WindowsNameFacts {
        computer_name: registry.full_text(&format!("{NAMES}\\ComputerName"), "ComputerName"),
        active_computer_name: registry.full_text(&format!("{NAMES}\\ActiveComputerName"), "ComputerName"),
        host_name: registry.full_text(TCPIP, "Hostname"),
        nv_host_name: registry.full_text(TCPIP, "NV Hostname"),
        domain: registry.full_text(TCPIP, "Domain"),
        nv_domain: registry.full_text(TCPIP, "NV Domain"),
        logon_domain: registry.full_text(&format!("{CURRENT}\\Winlogon"), "DefaultDomainName"),
        primary_domain: filled(optional(primary.map(|text| text.map(|text| crate::bytes::printable(&text))))),
    }
}

/// What every operating system is asked.
pub(super) fn identity(facts: &WindowsFacts) -> Identity {
    let product = &facts.product;
    let architecture = match &product.kernel_machine {
        Fact::Known(machine) => Fact::Known(machine.clone()),
        other => match product.processor.clone().map(|name| match name.to_ascii_uppercase().as_str() {
            "AMD64" => "x64".to_owned(),
            "X86" => "x86".to_owned(),
            "ARM64" => "Arm64".to_owned(),
            _ => name,
        }) {
            Fact::Absent => other.clone(),
            found => found,
        },
    };
    let first = |names: [&Fact<String>; 3]| {
        let known = names.iter().find(|name| name.value().is_some());
        known.or_else(|| names.iter().find(|name| name.reason().is_some())).map_or(Fact::Absent, |name| (*name).clone())
    };
    Identity {
        version: product.version.clone(),
        name: product.name.clone(),
        architecture,
        host_name: first([&facts.name.computer_name, &facts.name.nv_host_name, &facts.name.host_name]),
    }
}

/// Whether a path of the volume leads to anything.
pub(super) fn there(tree: &Tree, path: &str) -> Fact<bool> {
    known(tree.exists(path))
}

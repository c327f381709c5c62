//! Rules about starting a Windows: boot configuration store, drivers, what waits for the next start.

use crate::facts::{StartType, WindowsFacts};
use crate::rules::registry::Elsewhere;
use crate::rules::{Advice, Rule, Skip};

pub(in crate::rules) mod boot_entry;
pub(in crate::rules) mod boot_settings;
pub(in crate::rules) mod drive_letters;
pub(in crate::rules) mod hibernation;
pub(in crate::rules) mod local_accounts;
pub(in crate::rules) mod network_driver;
pub(in crate::rules) mod nvme;
pub(in crate::rules) mod pending_restart;
pub(in crate::rules) mod storage_drivers;

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[
    &storage_drivers::RULE,
    &storage_drivers::OVERRIDDEN,
    &storage_drivers::GENERATION_1,
    &network_driver::RULE,
    &nvme::RULE,
    &nvme::OVERRIDDEN,
    &pending_restart::RULE,
    &pending_restart::RENAMES,
    &boot_entry::DEVICE,
    &boot_entry::LOADER,
    &boot_entry::SAFE_MODE,
    &boot_settings::RECOVERY,
    &boot_settings::CONSOLE,
    &boot_settings::UNSIGNED,
    &hibernation::RULE,
    &local_accounts::RULE,
    &drive_letters::RULE,
];

/// Rows of the catalogue beside them that no rule checks.
pub(in crate::rules) static ADVICE: &[Advice] = &[
    (
        "W-44",
        Elsewhere::Facts,
        "versions of single system files are not read; the build with its update revision tells how old a Windows is",
    ),
    (
        "W-67",
        Elsewhere::Facts,
        "versions of srv.sys and srv2.sys are not read; the build with its update revision tells whether the fix of 2017 is in it",
    ),
];

/// Where services stand.
const REG_SERVICES: &str = r"HKLM\SYSTEM\CurrentControlSet\Services";

const NOT_REGISTERED: &str = "is not registered";

/// Sets how a driver starts.
fn reg_start(name: &str, value: u32) -> String {
    super::commands::reg_add(&format!(r"{REG_SERVICES}\{name}"), "Start", "REG_DWORD", &value.to_string())
}

/// Why a driver is not loaded, as in `is disabled`; `None` where it is. What is found counts before what is unknown.
fn driver_trouble(windows: &WindowsFacts, name: &str, starts: &[StartType]) -> Result<Option<String>, Skip> {
    let Some(service) = windows.service(name)? else { return Ok(Some(NOT_REGISTERED.to_owned())) };
    let start = service.start.known();
    match &start {
        Ok(None) => return Ok(Some("has no value Start".to_owned())),
        Ok(Some(StartType::Disabled)) if !starts.contains(&StartType::Disabled) => {
            return Ok(Some("is disabled (Start 4)".to_owned()));
        }
        Ok(Some(start)) if !starts.contains(start) => {
            let value = service.start_value.value().copied().unwrap_or_default();
            return Ok(Some(format!("starts too late ({start}, Start {value})")));
        }
        _ => {}
    }
    if service.file_present.value() == Some(&false) {
        let image = service.image_path.value().map(|path| format!(" ({path})")).unwrap_or_default();
        return Ok(Some(format!("has no file{image}")));
    }
    start?;
    service.file_present.known()?;
    Ok(None)
}

/// What brings drivers back, by their troubles.
fn driver_cures(found: &[(&str, String)], start: u32) -> String {
    let lost = |trouble: &str| trouble.starts_with("has no file");
    let mut cures: Vec<String> = found.iter().filter(|(_, trouble)| !lost(trouble)).map(|(name, _)| reg_start(name, start)).collect();
    if found.iter().any(|(_, trouble)| lost(trouble) || trouble == NOT_REGISTERED) {
        cures.push("dism /online /cleanup-image /restorehealth; sfc /scannow".to_owned());
    }
    format!("in an elevated PowerShell: {}", cures.join("; "))
}

#[cfg(test)]
mod tests {
    use crate::facts::{WindowsFacts, WindowsServiceFacts};
    use crate::rules::testing::known;

    /// A service of the healthy Windows.
    pub(in crate::rules) fn service_of<'a>(windows: &'a mut WindowsFacts, name: &str) -> &'a mut WindowsServiceFacts {
        known(&mut windows.services).iter_mut().find(|service| service.name.eq_ignore_ascii_case(name)).unwrap()
    }
}

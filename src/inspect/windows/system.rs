//! Settings of the system: clock, power, page files, policies, dumps.

use super::registry::{Registry, dword_of};
use crate::bytes::{printable, program_of};
use crate::facts::{AppLockerFacts, CrashFacts, Fact, Unknown, WindowsSystemFacts};

const SESSION: &str = "CCS\\Control\\Session Manager";

/// Learns `system`.
pub(super) fn system(registry: &Registry) -> WindowsSystemFacts {
    const REMOVABLE: &str = "SOFTWARE\\Policies\\Microsoft\\Windows\\RemovableStorageDevices";
    const ZONE: &str = "CCS\\Control\\TimeZoneInformation";
    let environment = format!("{SESSION}\\Environment");
    WindowsSystemFacts {
        real_time_is_universal: registry.dword(ZONE, "RealTimeIsUniversal"),
        time_zone: registry.full_text(ZONE, "TimeZoneKeyName"),
        san_policy: registry.dword("CCS\\Services\\partmgr\\Parameters", "SanPolicy"),
        power_scheme: registry
            .full_text("CCS\\Control\\Power\\User\\PowerSchemes", "ActivePowerScheme")
            .map(|text| text.to_ascii_lowercase()),
        temp: registry.text(&environment, "TEMP"),
        tmp: registry.text(&environment, "TMP"),
        page_files: full(registry.texts(&format!("{SESSION}\\Memory Management"), "PagingFiles")),
        boot_execute: full(registry.texts(SESSION, "BootExecute")).map(|entries| entries.iter().map(|entry| told(entry)).collect()),
        removable_storage_denied: registry.dword(REMOVABLE, "Deny_All"),
        cd_read_denied: registry.dword(&format!("{REMOVABLE}\\{{53f56308-b6bf-11d0-94f2-00a0c91efb8b}}"), "Deny_Read"),
        app_locker: super::registry::optional(app_locker(registry)),
    }
}

/// An entry of `BootExecute` as it is told: whole where it is Windows' own look at its volumes, and otherwise the program alone.
fn told(entry: &str) -> String {
    const OWN: [&str; 2] = ["autocheck", "autochk"];
    let words: Vec<&str> = entry.split_whitespace().collect();
    let begins = |count: usize| words.len() > count && words.iter().zip(OWN).take(count).all(|(word, own)| word.eq_ignore_ascii_case(own));
    let harmless = |word: &&str| word.starts_with(['/', '\\', '*']) && !word.contains('=');
    match words.split_first() {
        Some(_) if begins(2) && words.iter().skip(2).all(harmless) => entry.to_owned(),
        Some((first, rest)) if begins(1) => format!("{first} {}", program_of(&rest.join(" "))),
        _ => program_of(entry),
    }
}

/// Texts that are not empty.
pub(super) fn full(texts: Fact<Vec<String>>) -> Fact<Vec<String>> {
    texts.map(|texts| texts.into_iter().filter(|text| !text.trim().is_empty()).collect())
}

fn app_locker(registry: &Registry) -> Result<Option<Vec<AppLockerFacts>>, Unknown> {
    let Some(kinds) = registry.keys("SOFTWARE\\Policies\\Microsoft\\Windows\\SrpV2")? else { return Ok(None) };
    let facts = kinds.iter().take(64).map(|kind| {
        let rules = kind.keys().map_err(|error| Unknown(format!("AppLocker's rules: {error}")))?;
        Ok(AppLockerFacts { kind: printable(&kind.name()), enforcement: dword_of(kind, "EnforcementMode"), rules: rules.len() })
    });
    facts.collect::<Result<Vec<AppLockerFacts>, Unknown>>().map(Some)
}

/// Learns `crash`.
pub(super) fn crash(registry: &Registry) -> CrashFacts {
    const CONTROL: &str = "CCS\\Control\\CrashControl";
    const LOCAL: &str = "SOFTWARE\\Microsoft\\Windows\\Windows Error Reporting\\LocalDumps";
    CrashFacts {
        dump_enabled: registry.dword(CONTROL, "CrashDumpEnabled"),
        dump_file: registry.full_text(CONTROL, "DumpFile"),
        nmi_dump: registry.dword(CONTROL, "NMICrashDump"),
        auto_reboot: registry.dword(CONTROL, "AutoReboot"),
        local_dump_folder: registry.full_text(LOCAL, "DumpFolder"),
        local_dump_type: registry.dword(LOCAL, "DumpType"),
        local_dump_count: registry.dword(LOCAL, "DumpCount"),
        local_crash_count: registry.dword(LOCAL, "CrashCount"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_before_the_system_are_told_without_arguments() {
        for (entry, shown) in [
            ("autocheck autochk *", "autocheck autochk *"),
            ("autocheck autochk /k:D *", "autocheck autochk /k:D *"),
            (r"AutoCheck AutoChk /p \??\C:", r"AutoCheck AutoChk /p \??\C:"),
            ("autocheck autochk secret *", "autocheck autochk …"),
            ("autocheck tool /k:D secret", "autocheck tool …"),
            ("tool.exe -k secret", "tool.exe …"),
            ("sdnclean64.exe", "sdnclean64.exe"),
            ("autocheck", "autocheck"),
            ("", ""),
        ] {
            assert_eq!(told(entry), shown);
        }
    }
}

//! Faults in how a Windows starts, in its agent, and in its generalization.

use super::registry::Value;
use super::windows::*;
use super::windows_healthy::{EMS, IMAGE_STATE, LOADER, MANAGER};
use vhdkit::facts::State;
use vhdkit::rules::{Profile, Severity};

/// What may be said of a healthy disk all the same, and why.
const ACCEPTED: &[(&str, &str)] = &[("GEN012", "the boot manager of the sample is a stub that nobody signed")];

#[test]
fn healthy_disks_have_no_fault() {
    for state in [State::Generalized, State::Specialized] {
        for profile in [Profile::Azure, Profile::Marketplace] {
            let Some(Said { findings, undecided }) = healthy_disk(state, profile) else { return };
            let unexpected: Vec<_> = findings.iter().filter(|(code, ..)| !ACCEPTED.iter().any(|(accepted, _)| accepted == code)).collect();
            assert!(unexpected.iter().all(|(_, severity, _)| *severity < Severity::Warning), "{state}, {profile}: {unexpected:#?}");
            assert!(undecided.is_empty(), "{state}, {profile}: {undecided:?}");
            let loader = healthy_facts(state).unwrap().boot.value().and_then(|boot| boot.loaders.value().cloned()).unwrap_or_default();
            assert!(loader.iter().all(|one| one.name == "Windows Boot Manager"), "{loader:?}");
        }
    }
}

#[test]
fn healthy_disks_stay_ready() {
    healthy_stays_ready(State::Generalized);
    healthy_stays_ready(State::Specialized);
}

#[test]
fn generalizing_is_left_to_sysprep() {
    is_not_generalized_offline(State::Generalized);
    is_not_generalized_offline(State::Specialized);
}

/// Faults of starting.
fn startup() -> Vec<Fault> {
    let esp = || Value::partition([0x99; 16], WINDOWS_GUID);
    vec![
        generalized("storvsc is disabled", vec![start("storvsc", 4)], &["WIN042"]),
        specialized("vmbus starts on demand", vec![start("vmbus", 3)], &["WIN042"]),
        generalized("vmbus is not registered", vec![drop_key("CCS\\Services\\vmbus")], &["WIN042"]),
        generalized("the file of storvsc is gone", vec![remove("Windows/System32/drivers/storvsc.sys")], &["WIN042"]),
        generalized("storvsc is put off", vec![dword("CCS\\Services\\storvsc\\StartOverride", "0", 3)], &["WIN142"]),
        generalized("IDE does not matter to generation 2", vec![start("intelide", 4)], &[]),
        for_generation_1(generalized("IDE matters to generation 1", vec![start("intelide", 4)], &["WIN242"])),
        generalized("netvsc is disabled", vec![start("netvsc", 4)], &["WIN043"]),
        specialized("the file of netvsc is gone", vec![remove("Windows/System32/drivers/netvsc.sys")], &["WIN043"]),
        generalized("stornvme starts on demand", vec![start("stornvme", 3)], &["WIN045"]),
        generalized("stornvme is put off", vec![dword("CCS\\Services\\stornvme\\StartOverride", "0", 3)], &["WIN145"]),
        generalized("updates wait", vec![key(&format!("{SERVICING}\\RebootPending"))], &["WIN049"]),
        generalized("servicing waits", vec![write("Windows/WinSxS/pending.xml", b"<x/>")], &["WIN049"]),
        specialized("a new name waits", vec![text("CCS\\Control\\ComputerName\\ComputerName", "ComputerName", "NEW")], &["WIN049"]),
        generalized(
            "files wait to be renamed",
            vec![texts("CCS\\Control\\Session Manager", "PendingFileRenameOperations", &["\\??\\C:\\x", "!\\??\\C:\\y"])],
            &["WIN149"],
        ),
        generalized("Windows is on another disk", vec![element(LOADER, 0x2100_0001, esp())], &["WIN050"]),
        generalized("the loader is on another disk", vec![element(LOADER, 0x1100_0001, esp())], &["WIN050"]),
        specialized("the partition is not there", vec![element(LOADER, 0x2100_0001, Value::partition(DISK_GUID, [0x66; 16]))], &["WIN050"]),
        generalized("the entry names no device", vec![no_element(LOADER, 0x1100_0001)], &["WIN050"]),
        generalized(
            "the loader is that of a BIOS",
            vec![element(LOADER, 0x1200_0002, Value::text("\\Windows\\system32\\winload.exe"))],
            &["WIN051"],
        ),
        generalized("Windows is elsewhere", vec![element(LOADER, 0x2200_0002, Value::text("\\WinNT"))], &["WIN051"]),
        generalized("nothing is the default", vec![no_element(MANAGER, 0x2300_0003), no_element(MANAGER, 0x2400_0001)], &["WIN051"]),
        generalized("safe mode", vec![element(LOADER, 0x2500_0080, Value::integer(0))], &["WIN059"]),
        specialized("safe mode with network", vec![element(LOADER, 0x2500_0080, Value::integer(1))], &["WIN059"]),
        generalized("the recovery menu comes", vec![no_element(LOADER, 0x2500_00e0)], &["WIN054"]),
        generalized("the serial console has no port", vec![no_element(EMS, 0x1500_0022)], &["WIN055"]),
        generalized("test signatures count", vec![element(LOADER, 0x1600_0049, Value::boolean(true))], &["WIN058"]),
        specialized("hibernated", vec![write("hiberfil.sys", b"HIBR and what follows")], &["WIN063"]),
        specialized("resumed is right", vec![write("hiberfil.sys", b"WAKE and what follows")], &[]),
        specialized("D: is a volume", vec![binary("SYSTEM\\MountedDevices", "\\DosDevices\\D:", &letter([0x55; 16]))], &["WIN070"]),
        specialized("nobody can log on", vec![account("000003E9", true)], &["WIN069"]),
        generalized("the boot store is gone", vec![Change::RemoveEsp("EFI/Microsoft/Boot/BCD".to_owned())], &["GEN008"]),
        generalized("the boot manager is gone", vec![Change::RemoveEsp("EFI/Microsoft/Boot/bootmgfw.efi".to_owned())], &["GEN108"]),
    ]
}

/// Faults of the agent, and of what runs beside it.
fn agent() -> Vec<Fault> {
    let without = || vec![drop_key("CCS\\Services\\RdAgent"), drop_key("CCS\\Services\\WindowsAzureGuestAgent")];
    let nothing = || without().into_iter().chain([remove("WindowsAzure")]).collect::<Vec<Change>>();
    let service = |name: &str, value: u32| {
        let at = format!("CCS\\Services\\{name}");
        vec![start(name, value), dword(&at, "Type", 0x10), text(&at, "ImagePath", "C:\\x.exe")]
    };
    let older = vec![
        remove("WindowsAzure/GuestAgent_2.7.41491.1121_2024-03-01_101010"),
        write("WindowsAzure/GuestAgent_2.7.41491.901_2019-03-01_101010/WindowsAzureGuestAgent.exe", b"x"),
    ];
    vec![
        generalized("no agent", nothing(), &["WIN046"]),
        specialized("no agent on a machine", nothing(), &["WIN046"]),
        generalized("half an agent", without(), &["WIN047"]),
        specialized("half an agent on a machine", without(), &["WIN046"]),
        specialized("the agent is disabled", vec![start("RdAgent", 4)], &["WIN146"]),
        generalized("the agent is old", older, &["WIN246"]),
        generalized(
            "extensions are left",
            vec![write("Packages/Plugins/Microsoft.Compute.CustomScriptExtension/1.10.15/x", b"x")],
            &["WIN048"],
        ),
        specialized("extensions of a machine", vec![write("Packages/Plugins/X/1/x", b"x")], &[]),
        generalized("a DHCP server", service("DHCPServer", 2), &["WIN066"]),
        generalized("routing that is off", service("RemoteAccess", 4), &[]),
        specialized("Hyper-V", service("vmms", 2), &["WIN166"]),
        for_marketplace(generalized("SQL Server for the marketplace", service("MSSQL$EXPRESS", 2), &["WIN068"])),
        generalized("SQL Server for oneself", service("MSSQL$EXPRESS", 2), &[]),
    ]
}

/// Faults of generalizing; IMG008 tells the state as a whole, and these rules what is wrong with it.
fn sysprep() -> Vec<Fault> {
    let image = |state: &str| vec![text(IMAGE_STATE, "ImageState", state), write("Windows/Setup/State/State.ini", &ini(state))];
    let setup = |name: &str, value: u32| vec![dword("SYSTEM\\Setup", name, value)];
    let failed = |words: &str| {
        let log = format!("2026-11-20 10:00:00, Error                 SYSPRP {words}\r\n");
        let mut changes = image("IMAGE_STATE_UNDEPLOYABLE");
        changes.push(write("Windows/System32/Sysprep/Panther/setuperr.log", log.as_bytes()));
        changes
    };
    vec![
        generalized("a phase did not end", image("IMAGE_STATE_UNDEPLOYABLE"), &["IMG008", "WGN001"]),
        generalized("audit mode", image("IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT"), &["IMG008", "WGN101"]),
        generalized("not generalized", image("IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE"), &["IMG008", "WGN201"]),
        generalized("State.ini says otherwise", vec![write("Windows/Setup/State/State.ini", &ini("IMAGE_STATE_COMPLETE"))], &["WGN002"]),
        generalized("no setup is in progress", setup("SystemSetupInProgress", 0), &["IMG008", "WGN005"]),
        generalized("setup runs no command", vec![unset("SYSTEM\\Setup", "CmdLine")], &["IMG008", "WGN005"]),
        specialized("setup runs on a machine", setup("SetupType", 2), &["IMG008", "WGN105"]),
        specialized(
            "a command runs in place of the logon screen",
            vec![text("SYSTEM\\Setup", "CmdLine", "cmd.exe /k reset.cmd"), dword("SYSTEM\\Setup", "SetupType", 2)],
            &["IMG008", "WGN105"],
        ),
        generalized("setup stopped", vec![dword("SYSTEM\\Setup\\Status\\ChildCompletion", "oobeldr.exe", 1)], &["WGN006"]),
        generalized("cleaning up failed", vec![dword("SYSTEM\\Setup\\Status\\SysprepStatus", "CleanupState", 7)], &["WGN003"]),
        generalized("no tag", vec![remove("Windows/System32/Sysprep/Sysprep_succeeded.tag")], &["WGN007"]),
        generalized("a machine's GUID", vec![text("SOFTWARE\\Microsoft\\Cryptography", "MachineGuid", "8f3c1d2e")], &["WGN009"]),
        generalized(
            "a machine's drive letters",
            vec![binary("SYSTEM\\MountedDevices", "\\DosDevices\\C:", &letter(WINDOWS_GUID))],
            &["WGN009"],
        ),
        generalized(
            "no rearm",
            vec![dword("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\SoftwareProtectionPlatform", "SkipRearm", 1)],
            &["WIN065"],
        ),
        generalized("an answer file", vec![write("Windows/Panther/unattend.xml", b"<unattend/>")], &["WIN061"]),
        generalized("an answer file of Sysprep", vec![write("Windows/System32/Sysprep/unattend.xml", b"<unattend/>")], &["WIN061"]),
        generalized("an answer file in the registry", vec![text("SYSTEM\\Setup", "UnattendFile", "C:\\a.xml")], &["WIN061"]),
        specialized("an answer file of a machine", vec![write("Windows/Panther/unattend.xml", b"<unattend/>")], &[]),
        generalized("custom data", vec![write("AzureData/CustomData.bin", b"secret")], &["WGN012"]),
        generalized(
            "an app stopped Sysprep",
            failed("Failed to remove apps for the current user: 0x80073cf2."),
            &["IMG008", "WGN001", "WIN064"],
        ),
        generalized(
            "BitLocker stopped Sysprep",
            failed("BitLocker-Sysprep: BitLocker is on for the OS volume. (0x80310039)"),
            &["IMG008", "WGN001", "WGN008"],
        ),
    ]
}

const SERVICING: &str = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing";

/// A drive letter of a partition.
fn letter(partition: [u8; 16]) -> Vec<u8> {
    b"DMIO:ID:".iter().copied().chain(partition).collect()
}

fn ini(state: &str) -> Vec<u8> {
    format!("[State]\r\nImageState={state}\r\n").into_bytes()
}

/// The flags of an account.
fn account(rid: &str, disabled: bool) -> Change {
    let mut flags = vec![0; 80];
    flags[0x38] = 0x10 | u8::from(disabled);
    binary(&format!("SAM\\SAM\\Domains\\Account\\Users\\{rid}"), "F", &flags)
}

#[test]
fn faults_of_starting_are_found() {
    plant(&startup());
}

#[test]
fn faults_of_the_agent_are_found() {
    plant(&agent());
}

#[test]
fn faults_of_generalizing_are_found() {
    plant(&sysprep());
}

//! W-50, W-51, W-52, W-59: the boot store starts the Windows that is on this disk, and not in safe mode.

use crate::facts::{BcdEntryFacts, BootDeviceFacts, BootStoreFacts, Fact};
use crate::rules::windows::{Guest, guest};
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static DEVICE: Rule = Rule {
    code: "WIN050",
    name: "boot-entry-elsewhere",
    requirement: "W-50",
    also: &["W-52"],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows that have a boot store",
    summary: "The default boot entry names a partition of this disk.",
    azure_error: Some("Your PC/Device needs to be repaired. … Error code: 0xc000000e (in the boot diagnostics screenshot)"),
    source: source::BCD_ERROR,
    docs: r"## What it checks

`device` and `osdevice` of the default entry, where they name a partition, must name one of this disk: by its GPT's GUIDs, or by its MBR's
signature and the partition's place.

## Why it matters

A disk that was copied partition by partition, whose signature was changed, or whose partitions were moved, keeps the old names in its boot
store. The boot manager then does not find Windows and stops with 0xc000000e.

## How to fix it

Write the entry anew: `bcdboot C:\Windows` in the machine, or from a rescue machine with the disk attached
`bcdboot X:\Windows /s S: /f UEFI` (`/f BIOS` for generation 1), where `X:` is its Windows and `S:` its system partition.",
    check: Check::Disk(device),
};

pub(in crate::rules) static LOADER: Rule = Rule {
    code: "WIN051",
    name: "boot-entry-loader",
    requirement: "W-51",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "The boot store has a default entry, which starts winload of its firmware from \\Windows.",
    azure_error: Some("Your PC/Device needs to be repaired. … Error code: 0xc000000e (in the boot diagnostics screenshot)"),
    source: source::BCD_ERROR,
    docs: r"## What it checks

The boot manager of the store names a default object that is there and is a loader; its path ends in `winload.efi` (generation 2) or
`winload.exe` (generation 1), and its system root is `\Windows`.

## Why it matters

Otherwise the boot manager starts nothing, or shows a menu that nobody sees.

## How to fix it

Write the store anew: `bcdboot C:\Windows` in the machine, or from a rescue machine with the disk attached
`bcdboot X:\Windows /s S: /f UEFI` (`/f BIOS` for generation 1), where `X:` is its Windows and `S:` its system partition.",
    check: Check::Disk(loader),
};

pub(in crate::rules) static SAFE_MODE: Rule = Rule {
    code: "WIN059",
    name: "safe-mode",
    requirement: "W-59",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows that have a boot store",
    summary: "Windows does not start in safe mode.",
    azure_error: None,
    source: source::BCD_ERROR,
    docs: r"## What it checks

The default boot entry must have no element `safeboot`.

## Why it matters

In safe mode neither Azure's agent nor provisioning run, and without its network option remote desktop does not either. Nobody can reach the
machine to switch it off.

## How to fix it

In the machine: `bcdedit /deletevalue '{default}' safeboot`.",
    check: Check::Disk(safe_mode),
};

/// The store's place, as findings tell it.
fn place(store: &BootStoreFacts) -> Option<Place> {
    shared::file(&store.path, None)
}

fn store<'a>(guest: Guest<'a>) -> Result<&'a BootStoreFacts, Skip> {
    guest.windows.boot_store.known()?.ok_or_else(|| Skip::not_applicable("there is no boot store"))
}

/// The entry that is started; without one, [`LOADER`] tells it.
fn entry(store: &BootStoreFacts) -> Result<&BcdEntryFacts, Skip> {
    store.default.known()?.ok_or_else(|| Skip::not_applicable("the boot store has no default entry"))
}

fn rebuild(store: &BootStoreFacts) -> Remedy {
    let firmware = if store.path.to_ascii_lowercase().starts_with(r"\efi") { "UEFI" } else { "BIOS" };
    Remedy::hand(format!(
        "in the machine: bcdboot C:\\Windows; or with the disk attached to a rescue machine: bcdboot X:\\Windows /s S: /f {firmware}, \
         where X: is its Windows and S: its system partition"
    ))
}

fn device(subject: &Subject<'_>, _: &Target) -> Judgement {
    let store = store(guest(subject)?)?;
    let entry = entry(store)?;
    let mut wrong = Vec::new();
    let mut unknown = None;
    for (name, device) in [("device", &entry.device), ("osdevice", &entry.os_device)] {
        match trouble(device) {
            Ok(None) => {}
            Ok(Some(words)) => wrong.push((name, words)),
            Err(reason) => unknown = Some(reason),
        }
    }
    let told = match wrong.as_slice() {
        [] => return unknown.map_or(Ok(vec![]), Err),
        [(_, one), (_, other)] if one == other => format!("device and osdevice are {one}"),
        all => all.iter().map(|(name, words)| format!("{name} is {words}")).collect::<Vec<_>>().join(", and "),
    };
    Ok(vec![Finding {
        message: format!("in the boot store, {told}; the boot manager stops with 0xc000000e"),
        actual: told,
        required: "a partition of this disk".to_owned(),
        place: place(store),
        remedy: rebuild(store),
    }])
}

/// What is wrong with a device. Devices that are found at boot by what they hold, as Sysprep leaves them, lead to no partition and are
/// right.
fn trouble(device: &Fact<BootDeviceFacts>) -> Result<Option<String>, Skip> {
    let Some(device) = device.known()? else { return Ok(Some("not set".to_owned())) };
    let Some(partition) = device.partition.known()? else { return Ok(None) };
    let elsewhere = match partition.on_disk.known()? {
        None => "which is not this disk",
        Some(0) if partition.number.known()?.is_none() => "which this disk does not have",
        Some(0) => return Ok(None),
        Some(_) => "which is on another disk of the image",
    };
    Ok(Some(format!("{}, {elsewhere}", device.text)))
}

fn loader(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    let second = || shared::may_be_generation(subject.facts, target, 2);
    let tell = |what: &str, store: Option<&BootStoreFacts>| {
        Ok(vec![Finding {
            message: format!("{what}; the boot manager starts no Windows"),
            actual: what.to_owned(),
            required: r"a default entry that starts winload from \Windows".to_owned(),
            place: store.and_then(place),
            remedy: store.map_or_else(|| Remedy::hand(r"in the machine: bcdboot C:\Windows"), rebuild),
        }])
    };
    let Some(store) = guest.windows.boot_store.known()? else {
        if second()? {
            return Err(Skip::not_applicable("a generation 2 disk without a boot store is found by GEN008"));
        }
        return tell(r"there is no boot store (\Boot\BCD) on the disk", None);
    };
    let Some(entry) = store.default.known()? else { return tell("the boot store has no default entry", Some(store)) };
    if entry.kind.value().is_some_and(|kind| kind == "resume") {
        return tell("the default entry of the boot store resumes from hibernation", Some(store));
    }
    let Some(path) = entry.path.known()? else { return tell("the default entry of the boot store names no loader", Some(store)) };
    let (wanted, other) = if second()? { ("winload.efi", "winload.exe") } else { ("winload.exe", "winload.efi") };
    if shared::file_name(path).eq_ignore_ascii_case(other) {
        return tell(&format!("the default entry of the boot store starts {path} where this firmware needs {wanted}"), Some(store));
    }
    match entry.system_root.known()? {
        None => tell("the default entry of the boot store has no system root", Some(store)),
        Some(root) if !root.trim_end_matches('\\').eq_ignore_ascii_case(r"\Windows") => {
            tell(&format!(r"the default entry of the boot store has the system root {root}, while Windows is in \Windows"), Some(store))
        }
        Some(_) => Ok(vec![]),
    }
}

fn safe_mode(subject: &Subject<'_>, _: &Target) -> Judgement {
    let store = store(guest(subject)?)?;
    let Some(mode) = entry(store)?.safe_boot.known()? else { return Ok(vec![]) };
    let words = match mode {
        0 => "minimal".to_owned(),
        1 => "with network".to_owned(),
        2 => "directory services repair".to_owned(),
        other => other.to_string(),
    };
    Ok(vec![Finding {
        message: format!("Windows starts in safe mode ({words}), where Azure's agent and provisioning do not run"),
        actual: format!("safeboot: {words}"),
        required: "no safeboot".to_owned(),
        place: place(store),
        remedy: Remedy::hand("in an elevated PowerShell: bcdedit /deletevalue '{default}' safeboot"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, WindowsFacts};
    use crate::rules::testing::*;

    fn with(change: impl FnOnce(&mut BcdEntryFacts)) -> DiskFacts {
        windows(|w| change(known(&mut known(&mut w.boot_store).default)))
    }

    fn asked(rule: &Rule, facts: &DiskFacts) -> String {
        ask_for(rule, &subject(facts), &Target { generation: Some(2), ..Target::default() })
    }

    fn os_device(change: impl FnOnce(&mut BootDeviceFacts)) -> DiskFacts {
        with(|entry| change(known(&mut entry.os_device)))
    }

    #[test]
    fn devices() {
        assert_eq!(asked(&DEVICE, &windows(|_| {})), "pass");
        assert_eq!(asked(&DEVICE, &os_device(|d| known(&mut d.partition).on_disk = Fact::Absent)), "hand");
        assert_eq!(asked(&DEVICE, &os_device(|d| known(&mut d.partition).number = Fact::Absent)), "hand");
        assert_eq!(asked(&DEVICE, &os_device(|d| known(&mut d.partition).on_disk = Fact::Known(1))), "hand");
        assert_eq!(asked(&DEVICE, &os_device(|d| known(&mut d.partition).on_disk = Fact::unknown("x"))), "undecided");
        let locate = os_device(|d| (d.kind, d.partition) = ("locate".to_owned(), Fact::Absent));
        assert_eq!(asked(&DEVICE, &locate), "pass");
        assert_eq!(asked(&DEVICE, &with(|entry| entry.os_device = Fact::Absent)), "hand");
        assert_eq!(asked(&DEVICE, &with(|entry| entry.os_device = Fact::unknown("x"))), "undecided");
        let both = with(|entry| (entry.device, entry.os_device) = (Fact::unknown("x"), Fact::Absent));
        assert_eq!(asked(&DEVICE, &both), "hand");
        assert_eq!(asked(&DEVICE, &windows(|w| w.boot_store = Fact::Absent)), "not applicable");
        assert_eq!(asked(&DEVICE, &windows(|w| w.boot_store = Fact::unknown("x"))), "undecided");
        assert_eq!(asked(&DEVICE, &healthy_os()), "not applicable");
    }

    #[test]
    fn loaders() {
        let first = |facts: &DiskFacts| ask_for(&LOADER, &subject(facts), &Target { generation: Some(1), ..Target::default() });
        let path = |path: &str| with(|entry| entry.path = Fact::Known(path.to_owned()));
        assert_eq!(asked(&LOADER, &windows(|_| {})), "pass");
        assert_eq!(asked(&LOADER, &path(r"\Windows\system32\winload.exe")), "hand");
        assert_eq!(first(&path(r"\Windows\system32\winload.exe")), "pass");
        assert_eq!(first(&windows(|_| {})), "hand");
        assert_eq!(asked(&LOADER, &with(|entry| entry.path = Fact::Absent)), "hand");
        assert_eq!(asked(&LOADER, &with(|entry| entry.system_root = Fact::Known(r"\WINNT".to_owned()))), "hand");
        assert_eq!(asked(&LOADER, &with(|entry| entry.system_root = Fact::Known(r"\WINDOWS\".to_owned()))), "pass");
        assert_eq!(asked(&LOADER, &with(|entry| entry.kind = Fact::Known("resume".to_owned()))), "hand");
        let none = |w: &mut WindowsFacts| known(&mut w.boot_store).default = Fact::Absent;
        assert_eq!(asked(&LOADER, &windows(none)), "hand");
        assert_eq!(asked(&LOADER, &windows(|w| w.boot_store = Fact::Absent)), "not applicable");
        assert_eq!(first(&windows(|w| w.boot_store = Fact::Absent)), "hand");
    }

    #[test]
    fn safe_modes() {
        assert_eq!(asked(&SAFE_MODE, &windows(|_| {})), "pass");
        assert_eq!(asked(&SAFE_MODE, &with(|entry| entry.safe_boot = Fact::Known(0))), "hand");
        assert_eq!(asked(&SAFE_MODE, &with(|entry| entry.safe_boot = Fact::Known(1))), "hand");
        assert_eq!(asked(&SAFE_MODE, &with(|entry| entry.safe_boot = Fact::unknown("x"))), "undecided");
    }
}

//! G-17, G-18: an OS disk starts without anyone entering a key.

use crate::facts::{ContentFacts, Fact, Role};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static BITLOCKER: Rule = Rule {
    code: "GEN017",
    name: "bitlocker",
    requirement: "G-17",
    also: &["W-60"],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks",
    summary: "No volume of an OS disk is encrypted by BitLocker.",
    azure_error: Some("BitLocker-Sysprep: BitLocker is on for the OS volume. Turn BitLocker off to run Sysprep. (0x80310039)"),
    source: source::SERVER_SOFTWARE,
    docs: r"## What it checks

No partition or volume of an OS disk may be a BitLocker volume, not even one whose protection is suspended.

## Why it matters

The key is sealed to the TPM of the machine where the disk was made. In Azure the machine stops and asks for the recovery key, at a screen
that nobody sees. Sysprep refuses to run on such a volume.

## How to fix it

In the machine: `manage-bde -off C:`, and wait until `manage-bde -status` says fully decrypted, which can take hours. Suspending is not
enough. Then shut down and export again. In Azure, encrypt the machine by Azure's own means.",
    check: Check::Disk(bitlocker),
};

pub(in crate::rules) static LUKS: Rule = Rule {
    code: "GEN018",
    name: "luks",
    requirement: "G-18",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks",
    summary: "No volume of an OS disk is encrypted by LUKS.",
    azure_error: None,
    source: source::LUKS,
    docs: r"## What it checks

Whether a partition or volume of an OS disk is a LUKS volume.

## Why it matters

If the root file system is on it, the machine waits for a passphrase at a console that nobody watches. Azure has no way to give one. A
volume that is opened by a key file, or that the start does not need, does no harm; which it is cannot be seen from outside.

## How to fix it

Move the root file system to a volume without LUKS, decrypt it in place with `cryptsetup reencrypt --decrypt` from a rescue system, or make
sure that the start needs no passphrase and accept the finding: `--waive GEN018` for the verdict, `--allow GEN018` for `prepare`.",
    check: Check::Disk(luks),
};

fn bitlocker(subject: &Subject<'_>, _: &Target) -> Judgement {
    encrypted(subject, "BitLocker", |at, _| {
        (
            format!("{at} is encrypted by BitLocker; in Azure the machine stops and asks for the recovery key"),
            "decrypt it in the machine: manage-bde -off C:, wait until manage-bde -status says fully decrypted, shut down, export again",
        )
    })
}

fn luks(subject: &Subject<'_>, _: &Target) -> Judgement {
    encrypted(subject, "crypto_LUKS", |at, content| {
        let uuid = content.uuid.as_ref().map(|uuid| format!(" (UUID {uuid})")).unwrap_or_default();
        (
            format!("{at} is encrypted by LUKS{uuid}; if the start needs it, the machine waits for a passphrase that nobody can enter"),
            "move the root file system to a volume without LUKS; or make sure that the start needs no passphrase, and use --allow GEN018",
        )
    })
}

fn encrypted(subject: &Subject<'_>, kind: &str, tell: impl Fn(&str, &ContentFacts) -> (String, &'static str)) -> Judgement {
    // A data disk is settled, whatever stands on it.
    if subject.role == Fact::Known(Role::Data) {
        subject.demand(Role::Os)?;
    }
    // Windows encrypts partitions, never what LVM or md make of them: volumes that are not read leave no doubt about BitLocker.
    let contents = shared::contents(subject.facts, kind == "crypto_LUKS");
    let sealed: Vec<_> = contents.known.iter().filter(|(_, content)| content.kind == kind).collect();
    if sealed.is_empty() {
        return contents.unknown.map_or(Ok(vec![]), |reason| Err(reason.into()));
    }
    subject.demand(Role::Os)?;
    Ok(sealed
        .into_iter()
        .map(|(at, content)| {
            let (message, cure) = tell(at, content);
            Finding {
                message,
                actual: kind.to_owned(),
                required: "a volume that opens by itself".to_owned(),
                place: None,
                remedy: Remedy::hand(cure),
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, VolumeFacts};
    use crate::rules::testing::*;

    fn with(kind: &str, role: Fact<Role>) -> DiskFacts {
        os(|f| {
            known(&mut f.partitions)[2].content = Fact::Known(content(kind));
            f.role = role;
        })
    }

    #[test]
    fn both_kinds_are_found_on_os_disks() {
        for (rule, kind) in [(&BITLOCKER, "BitLocker"), (&LUKS, "crypto_LUKS")] {
            assert_eq!(ask(rule, &healthy_os()), "pass");
            assert_eq!(ask(rule, &healthy_data()), "not applicable");
            assert_eq!(ask(rule, &with(kind, Fact::Known(Role::Os))), "hand");
            assert_eq!(ask(rule, &with(kind, Fact::Known(Role::Data))), "not applicable");
            assert_eq!(ask(rule, &with(kind, Fact::unknown("x"))), "undecided");
            assert_eq!(ask(rule, &os(|f| f.role = Fact::unknown("x"))), "pass");
        }
    }

    #[test]
    fn volumes_count_and_what_is_unknown_may_hide_one() {
        let volume = VolumeFacts {
            name: "vg0/root".to_owned(),
            uuid: String::new(),
            size: 1,
            segments: vec![],
            content: Fact::Known(content("crypto_LUKS")),
        };
        let found = os(|f| {
            f.volumes = Fact::Known(vec![volume]);
            f.content = Fact::unknown("x");
        });
        assert!(findings(&LUKS, &found, &Target::default())[0].message.starts_with("volume vg0/root "));
        assert_eq!(ask(&BITLOCKER, &found), "undecided");
        assert_eq!(ask(&LUKS, &os(|f| f.volumes = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&BITLOCKER, &os(|f| f.volumes = Fact::unknown("x"))), "pass");
        assert_eq!(ask(&LUKS, &os(|f| f.partitions = Fact::unknown("x"))), "undecided");
    }
}

//! G-18: what the boot decrypts opens by itself.

use crate::facts::{ContentFacts, CrypttabLineFacts, SealedFacts};
use crate::rules::linux::guest;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

const CRYPTTAB: &str = "/etc/crypttab";

pub(in crate::rules) static RULE: Rule = Rule {
    code: "GEN118",
    name: "boot-asks-for-passphrase",
    requirement: "G-18",
    also: &[],
    // Its row rests on mechanism alone, but that is certain: systemd waits for the passphrase before it mounts.
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "No line of /etc/crypttab that the boot needs asks for a passphrase, or for a device that is not there.",
    azure_error: Some("Please enter passphrase for disk …"),
    source: source::CRYPTTAB,
    docs: r"## What it checks

Each line of `/etc/crypttab` without `nofail` or `noauto`: it must name a key file or a token (TPM, FIDO2, PKCS #11), or the encrypted
device must carry such a token itself (Clevis, `systemd-tpm2`); and the device must be on one of the disks given.

## Why it matters

The boot asks for the passphrase at a console that nobody watches, or waits for a device that does not come, and stops in emergency mode.
A token that is sealed to the TPM of the old machine does not open either.

## How to fix it

Move the data to a volume without LUKS and remove the line, or add a key file, or add `nofail` if the boot can do without it. In Azure,
encrypt the disks by Azure's own means.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let lines = guest.linux.mounts.crypttab.known()?.map(Vec::as_slice).unwrap_or_default();
    let contents = shared::contents(subject.facts, true);
    let mut found = Vec::new();
    let mut unknown = None;
    for line in lines.iter().filter(|line| is_needed(line)) {
        let place = shared::file(CRYPTTAB, u32::try_from(line.line).ok());
        let CrypttabLineFacts { name, source, .. } = line;
        let asks = line.key_file.is_none() && !has_token(line, &contents.known);
        let finding = |message: String, actual: &str| Finding {
            message,
            actual: actual.to_owned(),
            required: "a key file or a token, or nofail".to_owned(),
            place,
            remedy: Remedy::hand(format!(
                "remove {name} from {CRYPTTAB} and what mounts it, or give it a key file, or add nofail to both lines"
            )),
        };
        if asks {
            let message = format!("{CRYPTTAB} opens {name} ({source}) with a passphrase; the boot waits for somebody to enter it");
            found.push(finding(message, "a passphrase"));
            continue;
        }
        match line.on.known() {
            Ok(None) if !source.starts_with('/') || source.starts_with("/dev/") => {
                let message = format!(
                    "{CRYPTTAB} opens {name} from {source}, and none of the disks given holds it; the boot stops in emergency mode"
                );
                found.push(finding(message, "not found"));
            }
            Ok(_) => {}
            Err(reason) => unknown = Some(reason),
        }
    }
    match unknown {
        Some(reason) if found.is_empty() => Err(reason.into()),
        _ => Ok(found),
    }
}

fn is_needed(line: &CrypttabLineFacts) -> bool {
    !line.options.iter().any(|option| matches!(option.as_str(), "nofail" | "noauto"))
}

/// Whether it is opened by a token: as the line says, or as the header of the only such device says.
fn has_token(line: &CrypttabLineFacts, contents: &[(String, &ContentFacts)]) -> bool {
    let kinds = ["tpm2-device=", "fido2-device=", "pkcs11-uri=", "keyscript="];
    if line.options.iter().any(|option| kinds.iter().any(|kind| option.starts_with(kind))) {
        return true;
    }
    let wanted = line.source.strip_prefix("UUID=").map(|uuid| uuid.trim_matches('"'));
    let sealed =
        |content: &&ContentFacts| wanted.is_none_or(|uuid| content.uuid.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(uuid)));
    let tokens = |content: &ContentFacts| matches!(&content.sealed, Some(SealedFacts::Luks { tokens, .. }) if !tokens.is_empty());
    contents.iter().map(|(_, content)| *content).filter(sealed).any(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::*;

    fn with(key_file: Option<&str>, options: &[&str], on: Fact<String>) -> DiskFacts {
        let line = CrypttabLineFacts {
            line: 1,
            name: "data".to_owned(),
            source: "UUID=x".to_owned(),
            key_file: key_file.map(str::to_owned),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            on,
        };
        linux(|l| l.mounts.crypttab = Fact::Known(vec![line]))
    }

    fn on() -> Fact<String> {
        Fact::Known("partition 4".to_owned())
    }

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &with(None, &["luks"], on())), "hand");
        assert_eq!(ask(&RULE, &with(None, &["luks", "nofail"], on())), "pass");
        assert_eq!(ask(&RULE, &with(None, &["tpm2-device=auto"], on())), "pass");
        assert_eq!(ask(&RULE, &with(Some("/etc/key"), &["luks"], on())), "pass");
        assert_eq!(ask(&RULE, &with(Some("/etc/key"), &["luks"], Fact::Absent)), "hand");
        assert_eq!(ask(&RULE, &with(Some("/etc/key"), &["luks"], Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &linux(|l| l.mounts.crypttab = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &healthy_data()), "not applicable");
    }
}

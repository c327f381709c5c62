//! G-12, G-13: what Secure Boot of Trusted Launch accepts.

use crate::facts::{LoaderFacts, OsFamily, Role, SignerFacts};
use crate::rules::linux::guest;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

/// Names of the authorities that Azure's firmware trusts, those of 2023 first.
const NEW: [&str; 2] = ["Microsoft UEFI CA 2023", "Windows UEFI CA 2023"];
const OLD: [&str; 2] = ["Microsoft Corporation UEFI CA 2011", "Microsoft Windows Production PCA 2011"];

pub(in crate::rules) static UNSIGNED: Rule = Rule {
    code: "GEN012",
    name: "loader-not-trusted",
    requirement: "G-12",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks for generation 2",
    summary: "The boot loader is signed so that Secure Boot starts it.",
    azure_error: None,
    source: source::SECURE_BOOT,
    docs: r"## What it checks

The loader for removable media must be signed by a certificate of one of Microsoft's authorities for UEFI, and the GRUB that shim starts
must be signed at all. Only the names in the signatures are compared; the signatures themselves are not verified.

## Why it matters

New generation 2 machines have Trusted Launch with Secure Boot unless something else is asked for, and then do not start such a loader.
With the security type Standard, or with Secure Boot switched off, they do.

## How to fix it

Install the signed packages: Debian and Ubuntu `shim-signed` and `grub-efi-amd64-signed`, Red Hat `shim-x64` and `grub2-efi-x64`. Or
create the machine with `--security-type Standard`, and do not mark the image for Trusted Launch.",
    check: Check::Disk(unsigned),
};

pub(in crate::rules) static ONLY_2011: Rule = Rule {
    code: "GEN112",
    name: "loader-signed-for-2011-only",
    requirement: "G-12",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks for generation 2",
    summary: "The boot loader is signed by an authority of 2023.",
    azure_error: None,
    source: source::SECURE_BOOT,
    docs: r"## What it checks

Whether the loader for removable media has a signature whose certificate is of one of Microsoft's authorities of 2023, beside or instead
of that of 2011.

## Why it matters

The authorities of 2011 expire from June 2026 on. Machines in Azure trust both since March 2024 and go on starting loaders that were
signed before, but new versions of shim are signed by the new one only, and the old one may be revoked one day.

## How to fix it

Update shim (Linux) or Windows, and have the new loader installed for removable media too.",
    check: Check::Disk(only_2011),
};

pub(in crate::rules) static MODULES: Rule = Rule {
    code: "GEN013",
    name: "unsigned-kernel-modules",
    requirement: "G-13",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux for generation 2",
    summary: "Kernel modules that did not come with the kernel are signed.",
    azure_error: None,
    source: source::TRUSTED_LAUNCH,
    docs: r"## What it checks

Modules in `updates`, `extra` and the like below `/lib/modules`, whether they carry a signature, and sources that DKMS builds modules from.

## Why it matters

With Secure Boot the kernel loads signed modules only. Modules of DKMS are signed with a key of the machine, and the firmware of a new
machine does not have that key: it stays in the old one.

## How to fix it

Remove what Azure does not need (tools of other hypervisors, drivers of hardware), or create machines without Secure Boot.",
    check: Check::Disk(modules),
};

fn fallback<'a>(subject: &Subject<'a>, target: &Target) -> Result<(&'a LoaderFacts, &'a [LoaderFacts]), Skip> {
    shared::demand_possible_generation(subject.facts, target, 2)?;
    subject.demand(Role::Os)?;
    let none = || Skip::not_applicable("there is no loader for removable media");
    let boot = subject.facts.boot.known()?.ok_or_else(none)?;
    let loaders = boot.loaders.known()?.map(Vec::as_slice).unwrap_or_default();
    let loader = loaders.iter().find(|loader| loader.fallback).ok_or_else(none)?;
    if loader.program.known()? == Some(&false) {
        return Err(Skip::not_applicable("the loader for removable media is no program"));
    }
    Ok((loader, loaders))
}

/// Whether an authority is in a signature's chain.
fn is_by(signer: &SignerFacts, names: &[&str]) -> bool {
    signer.issuer.iter().chain(&signer.chain).any(|name| names.contains(&name.as_str()))
}

fn unsigned(subject: &Subject<'_>, target: &Target) -> Judgement {
    let (loader, loaders) = fallback(subject, target)?;
    let path = loader.path.as_deref().unwrap_or_default();
    let signers = loader.signed_by.known()?.map(Vec::as_slice).unwrap_or_default();
    let is_windows = subject.facts.os.value().and_then(|os| os.family.value()) == Some(&OsFamily::Windows);
    let cure = if is_windows {
        r"have Windows write its signed boot manager anew, in the machine: bcdboot C:\Windows; or create machines with --security-type Standard"
    } else {
        "install the distribution's signed shim and GRUB for removable media, or create machines with --security-type Standard"
    };
    // A loader of an unknown kind is told by its path alone.
    let path = match loader.name.as_str() {
        "" | "unknown" => path.to_owned(),
        name => format!("{path} ({name})"),
    };
    let finding = |what: String, actual: String| {
        let effect = "Secure Boot, which new generation 2 machines have unless told otherwise, does not start it";
        Ok(vec![Finding {
            message: format!("{what}; {effect}"),
            actual,
            required: "a signature that leads to Microsoft's authority for UEFI".to_owned(),
            place: None,
            remedy: Remedy::hand(cure),
        }])
    };
    if signers.is_empty() {
        return finding(format!("{path} is not signed"), "not signed".to_owned());
    }
    if !signers.iter().any(|signer| is_by(signer, &NEW) || is_by(signer, &OLD)) {
        let issuers: Vec<String> = signers.iter().map(|signer| signer.issuer.clone().unwrap_or_else(|| signer.subject.clone())).collect();
        let names = shared::first_three(&issuers, ", ");
        return finding(format!("{path} is signed by {names}, which Azure's firmware does not know"), names);
    }
    // shim starts what its distribution signed; what it is that one signs is in shim and not looked at.
    if loader.name == "shim" {
        let beside = r"\efi\boot\grubx64.efi";
        let grub = loaders.iter().find(|one| one.path.as_deref().is_some_and(|path| path.eq_ignore_ascii_case(beside)));
        if let Some(grub) = grub
            && grub.signed_by.known()?.is_none_or(Vec::is_empty)
        {
            let path = grub.path.as_deref().unwrap_or_default();
            return finding(format!("{path}, which shim starts, is not signed"), "not signed".to_owned());
        }
    }
    Ok(vec![])
}

fn only_2011(subject: &Subject<'_>, target: &Target) -> Judgement {
    let (loader, _) = fallback(subject, target)?;
    let signers = loader.signed_by.known()?.map(Vec::as_slice).unwrap_or_default();
    let by = |names: &[&str]| signers.iter().any(|signer| is_by(signer, names));
    if by(&NEW) {
        return Ok(vec![]);
    }
    if !by(&OLD) {
        return Err(Skip::not_applicable("it is not signed for Microsoft's authorities"));
    }
    Ok(vec![Finding {
        message: format!(
            "{} ({}) is signed by Microsoft's authority of 2011 only, which expires from June 2026 on; it starts today, and should be \
             updated",
            loader.path.as_deref().unwrap_or_default(),
            loader.name
        ),
        actual: "2011".to_owned(),
        required: "2023".to_owned(),
        place: None,
        remedy: Remedy::hand("update the boot loader in the machine, and have it installed for removable media too"),
    }])
}

fn modules(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    shared::demand_possible_generation(subject.facts, target, 2)?;
    let modules = &guest.linux.modules;
    let all = modules.out_of_tree.known()?.map(Vec::as_slice).unwrap_or_default();
    let unsigned: Vec<String> =
        all.iter().filter(|module| module.signed.value() == Some(&false)).map(|module| module.path.clone()).collect();
    let dkms = modules.dkms.known()?.cloned().unwrap_or_default();
    let mut parts = Vec::new();
    if !unsigned.is_empty() {
        parts.push(format!("not signed: {}", shared::first_three(&unsigned, ", ")));
    }
    if !dkms.is_empty() {
        parts.push(format!("built by DKMS: {}", shared::first_three(&dkms, ", ")));
    }
    if parts.is_empty() {
        return Ok(vec![]);
    }
    let text = parts.join("; ");
    Ok(vec![Finding {
        message: format!("kernel modules that Secure Boot does not load in Azure: {text}; the machine may start without them"),
        actual: text,
        required: "no such modules, or signed ones".to_owned(),
        place: None,
        remedy: Remedy::hand("remove those that Azure does not need, or create machines without Secure Boot"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact, OutOfTreeModuleFacts};
    use crate::rules::testing::*;

    fn signed(place: usize, issuers: &[&str]) -> DiskFacts {
        let signer = |issuer: &&str| SignerFacts { subject: "x".to_owned(), issuer: Some((*issuer).to_owned()), chain: vec![] };
        let signers = issuers.iter().map(signer).collect();
        os(|f| known(&mut known(&mut f.boot).loaders)[place].signed_by = Fact::Known(signers))
    }

    #[test]
    fn loaders_are_signed() {
        for (place, issuers, unsigned, old) in [
            (1, &["Microsoft UEFI CA 2023"][..], "pass", "pass"),
            (1, &["Microsoft Corporation UEFI CA 2011"], "pass", "hand"),
            (1, &["Microsoft Corporation UEFI CA 2011", "Microsoft UEFI CA 2023"], "pass", "pass"),
            (1, &["My own"], "hand", "not applicable"),
            (1, &[], "hand", "not applicable"),
            (2, &[], "hand", "pass"),
        ] {
            let facts = signed(place, issuers);
            assert_eq!((ask(&UNSIGNED, &facts), ask(&ONLY_2011, &facts)), (unsigned.to_owned(), old.to_owned()), "{issuers:?}");
        }
        assert_eq!(ask(&UNSIGNED, &windows_disk(|_| {})), "pass");
        assert_eq!(ask(&UNSIGNED, &os(|f| known(&mut f.boot).loaders = Fact::unknown("x"))), "undecided");
        let target = Target { generation: Some(1), ..Target::default() };
        assert_eq!(ask_for(&UNSIGNED, &subject(&signed(1, &[])), &target), "not applicable");
    }

    #[test]
    fn modules_of_others() {
        let module = |signed| OutOfTreeModuleFacts { path: "/x.ko".to_owned(), release: "6.1".to_owned(), signed };
        assert_eq!(ask(&MODULES, &healthy_os()), "pass");
        assert_eq!(ask(&MODULES, &linux(|l| l.modules.out_of_tree = Fact::Known(vec![module(Fact::Known(true))]))), "pass");
        assert_eq!(ask(&MODULES, &linux(|l| l.modules.out_of_tree = Fact::Known(vec![module(Fact::Known(false))]))), "hand");
        assert_eq!(ask(&MODULES, &linux(|l| l.modules.dkms = Fact::Known(vec!["zfs/2.1".to_owned()]))), "hand");
        assert_eq!(ask(&MODULES, &linux(|l| l.modules.dkms = Fact::unknown("x"))), "undecided");
    }
}

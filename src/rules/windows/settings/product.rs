//! W-03 and W-04: a Windows that Azure and its agent support.

use crate::rules::windows::{checks, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN103",
    name: "windows-not-supported",
    requirement: "W-03",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The version of Windows is one that Azure's VM agent supports.",
    azure_error: None,
    source: source::SERVER_SOFTWARE,
    docs: r"## What it checks

The build of Windows: Azure's preparation article begins with Windows Server 2008 R2 and Windows 7 (7600), its VM agent with Windows
Server 2016 (14393) and Windows 10 (10240). For Arm64 the agent supports Windows 11 alone.

## Why it matters

Older versions start in Azure. Microsoft helps only those who have an agreement for versions whose support has ended, and without an agent
there are no extensions: no backup, no monitoring, no reset of a password.

## How to fix it

Upgrade Windows in its machine before the upload, or accept the finding.",
    check: Check::Disk(check),
};

pub(in crate::rules) static DOT_NET: Rule = Rule {
    code: "WIN104",
    name: "dot-net-missing",
    requirement: "W-04",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The .NET Framework 4 is installed.",
    azure_error: None,
    source: source::WINDOWS_AGENT,
    docs: r"## What it checks

`NET Framework Setup\NDP\v4\Full` of the registry must say that the .NET Framework 4 is installed.

## Why it matters

The VM agent is a program for it. Without it the agent does not start, and no extension does. Windows Server 2012 and later have it from
the beginning; Windows Server 2008 R2 and Windows 7 have not.

## How to fix it

Install the .NET Framework 4.8, or the newest that the version of Windows takes, and restart the machine.",
    check: Check::Disk(dot_net),
};

/// Windows Server 2008 R2 and Windows 7.
const PREPARED: u32 = 7600;
/// Windows Server 2016.
const AGENT_SERVER: u32 = 14_393;
/// Windows 10.
const AGENT_CLIENT: u32 = 10_240;
/// Windows 11.
const ARM_CLIENT: u32 = 22_000;
const VERSION_KEY: &str = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion";

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let product = &guest.windows.product;
    let build = *product.build.known()?.ok_or_else(|| Skip::Undecided("the registry names no build of Windows".to_owned()))?;
    let finding = |message: &str, required: &str| {
        let name = product.name.value().map_or("this Windows", String::as_str);
        Ok(vec![Finding {
            message: format!("{name} (build {build}) is {message}"),
            actual: format!("build {build}"),
            required: required.to_owned(),
            place: checks::place(guest.windows, VERSION_KEY, "CurrentBuild"),
            remedy: Remedy::hand(
                "upgrade Windows in its machine before the upload, or accept the finding where you have an agreement for it",
            ),
        }])
    };
    if build < PREPARED {
        return finding(
            "older than Windows Server 2008 R2 and Windows 7, with which Azure's preparation begins; it has no VM agent and no support",
            "Windows Server 2016, Windows 10, or later",
        );
    }
    if build < AGENT_CLIENT {
        return finding(
            "older than Windows Server 2016 and Windows 10, with which the VM agent begins; support for it needs an agreement",
            "Windows Server 2016, Windows 10, or later",
        );
    }
    let client = product.product_type.known()?.is_some_and(|kind| kind.eq_ignore_ascii_case("WinNT"));
    if !client && build < AGENT_SERVER {
        return finding("older than Windows Server 2016, with which the VM agent begins", "Windows Server 2016 or later");
    }
    let arm = guest.os.architecture.known()?.is_some_and(|name| name.eq_ignore_ascii_case("Arm64"));
    if arm && (!client || build < ARM_CLIENT) {
        return finding("for Arm64, for which the VM agent supports Windows 11 alone", "Windows 11 for Arm64");
    }
    Ok(vec![])
}

fn dot_net(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    if windows.product.dot_net_4.known()?.is_some() {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: "the .NET Framework 4 is not installed; the VM agent does not start without it, and no extension does".to_owned(),
        actual: "not installed".to_owned(),
        required: ".NET Framework 4".to_owned(),
        place: checks::place(windows, r"HKLM\SOFTWARE\Microsoft\NET Framework Setup\NDP\v4\Full", "Install"),
        remedy: Remedy::hand("install the .NET Framework 4.8, or the newest that this Windows takes, and restart the machine"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::{ask, healthy_os, known, windows, windows_disk};

    fn version(build: u32, kind: &str, architecture: &str) -> DiskFacts {
        windows_disk(|disk| {
            let os = known(&mut disk.os);
            os.architecture = Fact::Known(architecture.to_owned());
            let product = &mut known(&mut os.windows).product;
            product.build = Fact::Known(build);
            product.product_type = Fact::Known(kind.to_owned());
        })
    }

    #[test]
    fn versions_have_a_floor() {
        for (build, kind, architecture, said) in [
            (6002, "ServerNT", "x64", "hand"),
            (7601, "WinNT", "x64", "hand"),
            (9600, "ServerNT", "x64", "hand"),
            (14_393, "ServerNT", "x64", "pass"),
            (10_240, "WinNT", "x64", "pass"),
            (10_586, "LanmanNT", "x64", "hand"),
            (26_100, "ServerNT", "x64", "pass"),
            (26_100, "ServerNT", "Arm64", "hand"),
            (19_045, "WinNT", "Arm64", "hand"),
            (22_000, "WinNT", "Arm64", "pass"),
        ] {
            assert_eq!(ask(&RULE, &version(build, kind, architecture)), said, "{build} {kind} {architecture}");
        }
        assert_eq!(ask(&RULE, &windows(|w| w.product.build = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &windows(|w| w.product.build = Fact::Absent)), "undecided");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
        // An old build is told whatever else is unknown.
        let old = windows(|w| {
            w.product.build = Fact::Known(9200);
            w.product.product_type = Fact::unknown("x");
        });
        assert_eq!(ask(&RULE, &old), "hand");
    }

    #[test]
    fn the_agent_needs_dot_net() {
        assert_eq!(ask(&DOT_NET, &windows(|_| {})), "pass");
        assert_eq!(ask(&DOT_NET, &windows(|w| w.product.dot_net_4 = Fact::Absent)), "hand");
        assert_eq!(ask(&DOT_NET, &windows(|w| w.product.dot_net_4 = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&DOT_NET, &healthy_os()), "not applicable");
    }
}

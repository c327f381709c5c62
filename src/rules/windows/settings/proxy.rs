//! W-09: services reach Azure's own address without a proxy.

use crate::rules::windows::{checks, guest};
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN109",
    name: "winhttp-proxy",
    requirement: "W-09",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "The proxy of WinHTTP, if there is one, is not used for 168.63.129.16.",
    azure_error: Some(
        "OS Provisioning for VM '<n>' did not finish in the allotted time. The VM may still finish provisioning successfully…",
    ),
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

Where services use a proxy (`WinHttpSettings`), its list of exceptions must contain 168.63.129.16, in words or by a pattern with `*`.

## Why it matters

Provisioning and the VM agent ask 168.63.129.16, an address that only the machine itself reaches. A proxy of the network that the disk
comes from is not there any more, and any other proxy cannot reach that address.

## How to fix it

`netsh winhttp reset proxy` in an elevated PowerShell. Where the machine needs a proxy:
`netsh winhttp set proxy proxy-server='<proxy>' bypass-list='<exceptions>;168.63.129.16'`.",
    check: Check::Disk(check),
};

const PLATFORM: &str = "168.63.129.16";
const CONNECTIONS: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings\Connections";

/// Whether a pattern, in which `*` stands for any text, is about `text`.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(start) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.find(part).and_then(|at| left.get(at.saturating_add(part.len())..)) {
            Some(behind) => left = behind,
            None => return false,
        }
    }
    true
}

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let Some(settings) = windows.network.winhttp_proxy.known()?.filter(|settings| settings.used) else { return Ok(vec![]) };
    let bypass = settings.bypass.as_deref().unwrap_or_default();
    let mut exceptions = bypass.split([';', ' ', ',']).map(|part| part.trim().trim_start_matches("http://"));
    if exceptions.any(|pattern| matches(pattern, PLATFORM)) {
        return Ok(vec![]);
    }
    let proxy = settings.proxy.as_deref().unwrap_or("unnamed");
    Ok(vec![Finding {
        message: format!(
            "services use the proxy {proxy} for {PLATFORM} too, Azure's own address, which no proxy reaches; provisioning and \
             the agent fail"
        ),
        actual: format!("proxy {proxy}, exceptions: {}", if bypass.is_empty() { "none" } else { bypass }),
        required: format!("no proxy, or {PLATFORM} among the exceptions"),
        place: checks::place(windows, CONNECTIONS, "WinHttpSettings"),
        remedy: Remedy::hand(format!(
            "netsh winhttp reset proxy; or, where the machine needs it: netsh winhttp set proxy proxy-server={} bypass-list={}",
            word::powershell_quoted(proxy),
            word::powershell_quoted(&if bypass.is_empty() { PLATFORM.to_owned() } else { format!("{bypass};{PLATFORM}") })
        )),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Fact, WinHttpProxyFacts};
    use crate::rules::testing::{ask, healthy_os, windows};

    #[test]
    fn exceptions_must_name_the_address() {
        let asked = |used: bool, bypass: Option<&str>| {
            let proxy = WinHttpProxyFacts { used, proxy: Some("proxy:8080".to_owned()), bypass: bypass.map(str::to_owned) };
            ask(&RULE, &windows(|w| w.network.winhttp_proxy = Fact::Known(proxy)))
        };
        for (used, bypass, said) in [
            (false, None, "pass"),
            (true, None, "hand"),
            (true, Some("<local>"), "hand"),
            (true, Some("<local>;168.63.129.16"), "pass"),
            (true, Some("10.*;168.63.*"), "pass"),
            (true, Some("*"), "pass"),
            (true, Some("168.63.129.160"), "hand"),
            (true, Some("*.63.*.17"), "hand"),
            (true, Some("*.63.*.16"), "pass"),
        ] {
            assert_eq!(asked(used, bypass), said, "{bypass:?}");
        }
        assert_eq!(ask(&RULE, &windows(|w| w.network.winhttp_proxy = Fact::Absent)), "pass");
        assert_eq!(ask(&RULE, &windows(|w| w.network.winhttp_proxy = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
    }
}

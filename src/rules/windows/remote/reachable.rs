//! W-27, W-28 and W-29: ping, Windows Remote Management, and rules for Azure's own address.

use super::filter;
use super::platform_address::PLATFORM;
use crate::facts::{StartType, WindowsFacts};
use crate::rules::windows::checks::{self, Checks, Wrong};
use crate::rules::windows::{commands, guest};
use crate::rules::{Check, Judgement, Profile, Rule, Severity, Subject, Target, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN127",
    name: "remote-management",
    requirement: "W-27",
    also: &["W-28", "W-29"],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows",
    summary: "Windows answers to ping and to Windows Remote Management, and its firewall names Azure's own address.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

What Azure's preparation article sets beside remote desktop: the firewall's rule `FPS-ICMP4-ERQ-In` is active; the service `WinRM` starts
by itself, has a listener that is on, and an active rule `WINRM-HTTP-In-TCP…` lets it in; rules allow 168.63.129.16 in and out.

## Why it matters

Ping and Windows Remote Management are the ways to find out what ails a machine whose remote desktop does not answer. The address
168.63.129.16 is that of Azure itself, to which the agent and the probes of load balancers talk; rules of its own keep it open when others
are tightened later. A machine works without any of them.

## How to fix it

`Set-NetFirewallRule -Name FPS-ICMP4-ERQ-In -Enabled True`, `Enable-PSRemoting -Force`, and for both directions
`New-NetFirewallRule -DisplayName AzurePlatform -Direction Inbound -RemoteAddress 168.63.129.16 -Profile Any -Action Allow` in an elevated
PowerShell.",
    check: Check::Disk(check),
};

const PING: &str = "FPS-ICMP4-ERQ-In";
const LISTENERS: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WSMAN\Listener";

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let mut checks = Checks::of(windows);
    firewall(&mut checks, windows);
    management(&mut checks, windows);
    checks.finding(|list| format!("Windows is not open in all the ways that Azure's preparation article advises: {list}"))
}

fn firewall(checks: &mut Checks<'_>, windows: &WindowsFacts) {
    let (rules, on) = match filter::rules(windows).and_then(|rules| Ok((rules, filter::is_on(filter::profile(windows)?.1)?))) {
        Ok(learnt) => learnt,
        Err(reason) => return checks.miss(reason),
    };
    // What is off lets everything pass.
    if !on {
        return;
    }
    let allows = |start: &str| {
        let begins = |id: &str| id.get(..start.len()).is_some_and(|part| part.eq_ignore_ascii_case(start));
        rules.iter().any(|rule| begins(&rule.rule.id) && rule.is_active("Allow", "In"))
    };
    let mut missing = |found: &str, required: &str, id: &str, cure: &str| {
        checks.add(Wrong {
            found: found.to_owned(),
            required: required.to_owned(),
            place: filter::place(windows, id),
            cure: cure.to_owned(),
        });
    };
    if !allows(PING) {
        missing("ping is not let in", "the rule FPS-ICMP4-ERQ-In active", PING, "Set-NetFirewallRule -Name FPS-ICMP4-ERQ-In -Enabled True");
    }
    if !allows("WINRM-HTTP-In-TCP") {
        missing("WinRM is not let in", "a rule WINRM-HTTP-In-TCP active", "WINRM-HTTP-In-TCP", "Enable-PSRemoting -Force");
    }
    let platform = |direction: &str| rules.iter().any(|rule| rule.is_active("Allow", direction) && rule.names_address(PLATFORM));
    if !platform("In") || !platform("Out") {
        let add = |direction: &str| {
            format!(
                "New-NetFirewallRule -DisplayName AzurePlatform -Direction {direction} -RemoteAddress {PLATFORM} -Profile Any -Action Allow"
            )
        };
        missing(
            "no rules of its own for 168.63.129.16",
            "rules that allow 168.63.129.16 in and out",
            "AzurePlatform",
            &commands::line(&[add("Inbound"), add("Outbound")]),
        );
    }
}

fn management(checks: &mut Checks<'_>, windows: &WindowsFacts) {
    checks.service("WinRM", "Automatic", |start| start != StartType::Auto);
    let Some(listeners) = checks.ask(&windows.winrm.listeners) else { return };
    let on = listeners.into_iter().flatten().any(|listener| listener.enabled.value() != Some(&0));
    if !on {
        checks.add(Wrong {
            found: "WinRM has no listener".to_owned(),
            required: "a listener of WinRM".to_owned(),
            place: checks::place(windows, LISTENERS, "*+HTTP"),
            cure: "Enable-PSRemoting -Force".to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::{ask, findings, healthy_os, known, windows};

    fn told(change: fn(&mut WindowsFacts)) -> String {
        let facts = windows(change);
        match ask(&RULE, &facts).as_str() {
            "hand" => findings(&RULE, &facts, &Target::default())[0].actual.clone(),
            other => other.to_owned(),
        }
    }

    fn without(windows: &mut WindowsFacts, id: &str) {
        known(&mut windows.firewall.rules).retain(|rule| rule.id != id);
    }

    #[test]
    fn each_way_counts() {
        assert_eq!(told(|_| {}), "pass");
        assert_eq!(told(|w| without(w, "FPS-ICMP4-ERQ-In")), "ping is not let in");
        assert_eq!(told(|w| without(w, "WINRM-HTTP-In-TCP")), "WinRM is not let in");
        assert_eq!(told(|w| without(w, "AzurePlatform-Out")), "no rules of its own for 168.63.129.16");
        assert_eq!(told(|w| known(&mut w.winrm.listeners).clear()), "WinRM has no listener");
        assert_eq!(told(|w| known(&mut w.winrm.listeners)[0].enabled = Fact::Known(0)), "WinRM has no listener");
        assert_eq!(
            told(|w| {
                let service = known(&mut w.services).iter_mut().find(|service| service.name == "WinRM").unwrap();
                service.start = Fact::Known(StartType::Manual);
            }),
            "WinRM is manual"
        );
        assert_eq!(told(|w| w.firewall.rules = Fact::unknown("x")), "undecided");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
    }

    #[test]
    fn everything_is_one_finding() {
        let facts = windows(|w| {
            known(&mut w.firewall.rules).clear();
            known(&mut w.winrm.listeners).clear();
        });
        let told = findings(&RULE, &facts, &Target::default());
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].remedy.text().matches("Enable-PSRemoting").count(), 1, "once for rule and listener: {told:?}");
        // A firewall that is off lets everything pass.
        let off = windows(|w| {
            known(&mut w.firewall.rules).clear();
            w.firewall.public.enabled = Fact::Known(0);
        });
        assert_eq!(ask(&RULE, &off), "pass");
    }
}

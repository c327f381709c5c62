//! W-24: no certificate is pinned for remote desktop.

use super::STATION;
use crate::facts::State;
use crate::rules::windows::{checks, commands, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN124",
    name: "remote-desktop-certificate-pinned",
    requirement: "W-24",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "disks with Windows for generalized images",
    summary: "A generalized Windows has no certificate pinned for remote desktop.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

`SSLCertificateSHA1Hash` of `WinStations\RDP-Tcp` must not be set on a disk for a generalized image.

## Why it matters

The value names a certificate of the machine that the image was made from. Sysprep takes the machine's private keys away, so that remote
desktop offers a certificate for which it has no key, and every connection ends before the logon. Without the value Windows makes itself a
new certificate.

## How to fix it

In an elevated PowerShell: `Remove-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server\WinStations\RDP-Tcp' -Name
SSLCertificateSHA1Hash` on one line, before Sysprep runs.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    let windows = guest.windows;
    let station = windows.rdp.station.known()?.ok_or_else(|| Skip::not_applicable("remote desktop has no station to listen"))?;
    if station.certificate_pinned.known()? != Some(&true) {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: "remote desktop has a certificate pinned whose key does not outlive Sysprep; connections to machines made from the image \
                  end before the logon"
            .to_owned(),
        actual: "SSLCertificateSHA1Hash is set".to_owned(),
        required: "no SSLCertificateSHA1Hash".to_owned(),
        place: checks::place(windows, STATION, "SSLCertificateSHA1Hash"),
        remedy: Remedy::hand(commands::reg_delete(STATION, "SSLCertificateSHA1Hash")),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Fact, WindowsFacts};
    use crate::rules::testing::{ask, ask_for, healthy_os, known, specialized_windows, subject, windows};

    #[test]
    fn generalized_images_have_none() {
        let pinned = |w: &mut WindowsFacts| known(&mut w.rdp.station).certificate_pinned = Fact::Known(true);
        assert_eq!(ask(&RULE, &windows(|_| {})), "pass");
        assert_eq!(ask(&RULE, &windows(pinned)), "hand");
        assert_eq!(ask(&RULE, &specialized_windows(pinned)), "not applicable");
        let target = Target { state: Some(State::Generalized), ..Target::default() };
        assert_eq!(ask_for(&RULE, &subject(&specialized_windows(pinned)), &target), "hand");
        assert_eq!(ask(&RULE, &windows(|w| w.rdp.station = Fact::Absent)), "not applicable");
        assert_eq!(ask(&RULE, &windows(|w| w.rdp.station = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
    }
}

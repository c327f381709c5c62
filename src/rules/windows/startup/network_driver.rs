//! W-43: the driver of Hyper-V's network card can start.

use super::{NOT_REGISTERED, REG_SERVICES, driver_cures, driver_trouble};
use crate::facts::StartType;
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "WIN043",
    name: "hyper-v-network-driver",
    requirement: "W-43",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "The driver netvsc (netvsc63 in Windows Server 2012 R2) is there and not disabled.",
    azure_error: None,
    source: source::PREPARE_WINDOWS,
    docs: r"## What it checks

The service `netvsc`, or `netvsc63`, must be registered with a `Start` of 3 or less, and its file must be in `\Windows\System32\drivers`.
Before Windows 8 and Windows Server 2012, Windows registers the driver only when it finds such a card, so that nothing is said where it is
not registered there.

## Why it matters

It drives the only network card that a machine in Azure has. Without it the machine starts, and nobody reaches it: neither remote desktop
nor Azure's agent work.

## How to fix it

In the machine: set `Start` of `netvsc` to 3; `sfc /scannow` brings a missing file back.",
    check: Check::Disk(check),
};

/// Windows Server 2012 and Windows 8, which have it registered from the beginning.
const HAS_IT: u32 = 9200;
const STARTABLE: &[StartType] = &[StartType::Boot, StartType::System, StartType::Auto, StartType::Manual];

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let name = if windows.service("netvsc")?.is_none() && windows.service("netvsc63")?.is_some() { "netvsc63" } else { "netvsc" };
    let Some(trouble) = driver_trouble(windows, name, STARTABLE)? else { return Ok(vec![]) };
    if trouble == NOT_REGISTERED && windows.product.build.known()?.is_some_and(|build| *build < HAS_IT) {
        return Err(Skip::Undecided("this Windows registers netvsc only when it finds a network card of Hyper-V".to_owned()));
    }
    Ok(vec![Finding {
        message: format!("the driver {name} {trouble}; in Azure the machine has no network, and nobody reaches it"),
        actual: format!("{name} {trouble}"),
        required: "netvsc with Start 3 (manual), and its file".to_owned(),
        place: Some(Place::Registry(format!(r"{REG_SERVICES}\{name}\Start"))),
        remedy: Remedy::hand(driver_cures(&[(name, trouble)], 3)),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::rules::testing::*;
    use crate::rules::windows::startup::tests::service_of;

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &windows(|_| {})), "pass");
        assert_eq!(ask(&RULE, &windows(|w| service_of(w, "netvsc").name = "netvsc63".to_owned())), "pass");
        assert_eq!(ask(&RULE, &windows(|w| service_of(w, "netvsc").start = Fact::Known(StartType::Disabled))), "hand");
        assert_eq!(ask(&RULE, &windows(|w| service_of(w, "netvsc").start = Fact::Known(StartType::Boot))), "pass");
        assert_eq!(ask(&RULE, &windows(|w| service_of(w, "netvsc").file_present = Fact::Known(false))), "hand");
        assert_eq!(ask(&RULE, &windows(|w| known(&mut w.services).retain(|one| one.name != "netvsc"))), "hand");
        let seven = |w: &mut crate::facts::WindowsFacts| {
            known(&mut w.services).retain(|one| one.name != "netvsc");
            w.product.build = Fact::Known(7601);
        };
        assert_eq!(ask(&RULE, &windows(seven)), "undecided");
        assert_eq!(ask(&RULE, &windows(|w| w.services = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &healthy_data()), "not applicable");
    }
}

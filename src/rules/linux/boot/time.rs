//! L-52: the clock follows its host's.

use super::started::started;
use crate::rules::linux::{Distribution, guest};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LNX052",
    name: "time-not-from-host",
    requirement: "L-52",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "OS disks with a Linux",
    summary: "chrony takes the time from the host: refclock PHC /dev/ptp_hyperv, and hv_utils is there.",
    azure_error: None,
    source: source::TIME_SYNC,
    docs: r"## What it checks

chrony must be set up with the reference clock of Hyper-V (`refclock PHC /dev/ptp_hyperv …`, or `/dev/ptp0`) and be allowed to step the
clock (`makestep`); the kernel must have `hv_utils`, which makes that clock.

## Why it matters

A machine in Azure that is paused or moved comes back with a clock that is late. The host's clock is exact, and needs no network; time
servers on the internet are the second best, and are not reached from closed networks.

## How to fix it

Install chrony, and put `refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0 stratum 2` and `makestep 1.0 -1` into its configuration.",
    check: Check::Disk(check),
};

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let guest = guest(subject)?;
    let distribution = guest.distribution();
    if distribution == Distribution::Flatcar {
        return Err(Skip::not_applicable("its image brings what sets the clock"));
    }
    let chrony = guest.linux.security.chrony.known()?;
    let mut missing = Vec::new();
    match chrony {
        None => missing.push("chrony is not set up"),
        Some(chrony) => {
            if chrony.refclock.is_none() {
                missing.push("chrony does not use Hyper-V's clock");
            }
            if chrony.makestep.is_none() {
                missing.push("chrony has no makestep");
            }
        }
    }
    let utils = started(&guest).and_then(|started| started.not_there(&["hv_utils"]));
    match utils {
        Ok(names) if !names.is_empty() => missing.push("the kernel has no hv_utils"),
        Err(reason) if missing.is_empty() => return Err(reason),
        _ => {}
    }
    if missing.is_empty() {
        return Ok(vec![]);
    }
    let what = missing.join(", and ");
    let in_folder = matches!(distribution, Distribution::Debian | Distribution::Alpine);
    let usual = if in_folder { "/etc/chrony/chrony.conf" } else { "/etc/chrony.conf" };
    let path = chrony.map_or(usual, |chrony| &chrony.path);
    let install = if chrony.is_none() { format!("{}; ", distribution.install("chrony")) } else { String::new() };
    Ok(vec![Finding {
        message: format!("the clock does not follow the host's: {what}; it may be late after a pause"),
        actual: what,
        required: "chrony with refclock PHC /dev/ptp_hyperv and makestep, and hv_utils".to_owned(),
        place: chrony.and_then(|chrony| shared::file(&chrony.path, None)),
        remedy: Remedy::hand(format!(
            "{install}put 'refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0 stratum 2' and 'makestep 1.0 -1' into {path}"
        )),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DriverState, Fact};
    use crate::rules::testing::linux::driver;
    use crate::rules::testing::*;

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "pass");
        assert_eq!(ask(&RULE, &linux(|l| l.security.chrony = Fact::Absent)), "hand");
        assert_eq!(ask(&RULE, &linux(|l| known(&mut l.security.chrony).refclock = None)), "hand");
        assert_eq!(ask(&RULE, &linux(|l| l.security.chrony = Fact::unknown("x"))), "undecided");
        let without = linux(|l| drop(known(&mut l.kernels)[0].drivers.insert("hv_utils".to_owned(), driver(DriverState::Missing, false))));
        assert_eq!(ask(&RULE, &without), "hand");
        assert_eq!(ask(&RULE, &linux(|l| l.kernels = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &healthy_data()), "not applicable");
    }
}

//! Settings of a Windows that are checked together, so that one finding lists all that are wrong.

use super::commands;
use crate::facts::{Fact, StartType, Unknown, WindowsFacts, WindowsServiceFacts};
use crate::rules::{Finding, Judgement, Place, Remedy, shared};

/// What was found wrong so far, and the first reason why something could not be learnt.
pub(in crate::rules) struct Checks<'a> {
    windows: &'a WindowsFacts,
    wrong: Vec<Wrong>,
    unknown: Option<Unknown>,
}

/// A setting that is not as it should be.
pub(in crate::rules) struct Wrong {
    /// What was found: `RealTimeIsUniversal is not set`.
    pub(in crate::rules) found: String,
    /// What should be: `RealTimeIsUniversal 1`.
    pub(in crate::rules) required: String,
    pub(in crate::rules) place: Option<Place>,
    /// What cures it: a command, or an instruction.
    pub(in crate::rules) cure: String,
}

/// What a setting means that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) enum Unset {
    /// As it should be.
    Right,
    /// Not as it should be.
    Wrong,
}

impl<'a> Checks<'a> {
    pub(in crate::rules) fn of(windows: &'a WindowsFacts) -> Self {
        Self { windows, wrong: Vec::new(), unknown: None }
    }

    /// The fact, where it is known; what is not is remembered.
    pub(in crate::rules) fn ask<'f, T>(&mut self, fact: &'f Fact<T>) -> Option<Option<&'f T>> {
        match fact.known() {
            Ok(value) => Some(value),
            Err(reason) => {
                self.miss(reason);
                None
            }
        }
    }

    pub(in crate::rules) fn miss(&mut self, reason: Unknown) {
        self.unknown.get_or_insert(reason);
    }

    pub(in crate::rules) fn add(&mut self, wrong: Wrong) {
        self.wrong.push(wrong);
    }

    /// A number of the registry that has to be `required`.
    pub(in crate::rules) fn number(&mut self, key: &str, name: &str, found: &Fact<u32>, required: u32, unset: Unset) {
        let Some(found) = self.ask(found) else { return };
        if found == Some(&required) || (found.is_none() && unset == Unset::Right) {
            return;
        }
        let place = place(self.windows, key, name);
        self.add(Wrong {
            found: found.map_or_else(|| format!("{name} is not set"), |found| format!("{name} is {found}")),
            required: format!("{name} {required}"),
            place,
            cure: commands::reg_add(key, name, "REG_DWORD", &required.to_string()),
        });
    }

    /// How a service starts, as `judge` wants it; `start` is what `Set-Service` sets to cure it. One that is not registered is not asked.
    pub(in crate::rules) fn service(&mut self, name: &str, wanted: &str, is_wrong: impl FnOnce(StartType) -> bool) {
        let windows = self.windows;
        match windows.service(name) {
            Err(reason) => self.miss(reason),
            Ok(None) => {}
            Ok(Some(service)) => self.start(service, wanted, is_wrong),
        }
    }

    fn start(&mut self, service: &WindowsServiceFacts, wanted: &str, is_wrong: impl FnOnce(StartType) -> bool) {
        let Some(Some(start)) = self.ask(&service.start) else { return };
        if is_wrong(*start) {
            let name = &service.name;
            let place = service_place(self.windows, name);
            self.add(Wrong {
                found: format!("{name} is {start}"),
                required: format!("{name} {}", wanted.to_ascii_lowercase()),
                place,
                cure: commands::service(name, wanted),
            });
        }
    }

    /// One finding with everything that is wrong; `message` gets the first three of them. Undecided where nothing is wrong in what is
    /// known, and something is not.
    pub(in crate::rules) fn finding(self, message: impl FnOnce(&str) -> String) -> Judgement {
        let Some(first) = self.wrong.first() else {
            return match self.unknown {
                Some(reason) => Err(reason.into()),
                None => Ok(vec![]),
            };
        };
        let found: Vec<String> = self.wrong.iter().map(|wrong| wrong.found.clone()).collect();
        let required: Vec<String> = self.wrong.iter().map(|wrong| wrong.required.clone()).collect();
        let cures: Vec<String> = self.wrong.iter().map(|wrong| wrong.cure.clone()).collect();
        Ok(vec![Finding {
            message: message(&shared::first_three(&found, ", ")),
            actual: found.join(", "),
            required: required.join(", "),
            place: first.place.clone(),
            remedy: Remedy::hand(commands::line(&cures)),
        }])
    }
}

/// A value of the registry, where it stands on the disk.
pub(in crate::rules) fn place(windows: &WindowsFacts, key: &str, name: &str) -> Option<Place> {
    let key = match windows.hives.control_set.value() {
        Some(set) => key.replacen("CurrentControlSet", set, 1),
        None => key.to_owned(),
    };
    Some(Place::Registry(format!(r"{key}\{name}")))
}

/// The value `Start` of a service or driver.
pub(in crate::rules) fn service_place(windows: &WindowsFacts, name: &str) -> Option<Place> {
    place(windows, &commands::service_key(name), "Start")
}

/// Whether a driver or service cannot start.
pub(in crate::rules) fn is_disabled(start: StartType) -> bool {
    start == StartType::Disabled
}

/// Whether it does not start by itself.
pub(in crate::rules) fn is_not_automatic(start: StartType) -> bool {
    matches!(start, StartType::Manual | StartType::Disabled)
}

/// Whether the machine belongs to a domain: it has a primary DNS suffix, which joining one sets.
pub(in crate::rules) fn in_domain(windows: &WindowsFacts) -> Result<bool, Unknown> {
    let controller = windows.product.product_type.value().is_some_and(|kind| kind.eq_ignore_ascii_case("LanmanNT"));
    Ok(controller || windows.name.nv_domain.known()?.is_some() || windows.name.domain.known()?.is_some())
}

/// Whether a drive letter leads to a partition of the disks that were given together. Without drive letters it does not.
pub(in crate::rules) fn is_given(windows: &WindowsFacts, letter: char) -> Result<bool, Unknown> {
    let drives = windows.drives.known()?.map(Vec::as_slice).unwrap_or_default();
    let is = |text: &str| text.chars().next().is_some_and(|first| first.eq_ignore_ascii_case(&letter));
    Ok(drives.iter().any(|drive| is(&drive.letter) && drive.partition.value().is_some_and(|partition| partition.on_disk.value().is_some())))
}

/// The letter of the drive that Windows is on, in its own words; `C` where it does not say.
pub(in crate::rules) fn system_drive(windows: &WindowsFacts) -> char {
    let root = windows.product.system_root.value();
    root.and_then(|root| drive_of(root)).unwrap_or('C')
}

/// The letter that a path begins with.
pub(in crate::rules) fn drive_of(path: &str) -> Option<char> {
    let mut chars = path.chars();
    let letter = chars.next().filter(char::is_ascii_alphabetic)?;
    (chars.next() == Some(':')).then(|| letter.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::windows as disk;

    fn of(change: impl FnOnce(&mut WindowsFacts)) -> WindowsFacts {
        crate::rules::testing::known(&mut crate::rules::testing::known(&mut disk(change).os).windows).clone()
    }

    #[test]
    fn places_name_the_control_set() {
        let key = r"HKLM\SYSTEM\CurrentControlSet\Control";
        assert_eq!(place(&of(|_| {}), key, "X"), Some(Place::Registry(r"HKLM\SYSTEM\ControlSet001\Control\X".to_owned())));
        assert_eq!(
            place(&of(|w| w.hives.control_set = Fact::unknown("x")), key, "X"),
            Some(Place::Registry(r"HKLM\SYSTEM\CurrentControlSet\Control\X".to_owned()))
        );
    }

    #[test]
    fn domains_and_drives() {
        assert_eq!(in_domain(&of(|_| {})), Ok(false));
        assert_eq!(in_domain(&of(|w| w.name.domain = Fact::Known("corp.example".to_owned()))), Ok(true));
        assert_eq!(in_domain(&of(|w| w.product.product_type = Fact::Known("LanmanNT".to_owned()))), Ok(true));
        assert!(in_domain(&of(|w| w.name.domain = Fact::unknown("x"))).is_err());
        assert_eq!((drive_of("d:\\x"), drive_of("?:\\x"), drive_of("%X%"), drive_of("")), (Some('D'), None, None, None));
        assert_eq!(system_drive(&of(|w| w.product.system_root = Fact::Known("E:\\Windows".to_owned()))), 'E');
        assert_eq!(is_given(&of(|_| {}), 'D'), Ok(false));
    }

    #[test]
    fn what_is_wrong_beats_what_is_unknown() {
        let windows = of(|_| {});
        let mut checks = Checks::of(&windows);
        checks.number("K", "A", &Fact::unknown("x"), 1, Unset::Wrong);
        assert!(Checks { windows: &windows, wrong: vec![], unknown: checks.unknown.clone() }.finding(str::to_owned).is_err());
        checks.number("K", "B", &Fact::Known(0), 1, Unset::Wrong);
        checks.number("K", "C", &Fact::Absent, 1, Unset::Right);
        checks.number("K", "D", &Fact::Absent, 1, Unset::Wrong);
        let findings = checks.finding(|list| format!("found {list}")).unwrap();
        assert_eq!(findings[0].message, "found B is 0, D is not set");
        assert_eq!(findings[0].required, "B 1, D 1");
    }
}

//! Which kernel starts by itself, with which initial ramdisk.

use crate::facts::{BootEntryFacts, DriverFacts, DriverState, InitramfsFacts, KernelFacts};
use crate::rules::linux::Guest;
use crate::rules::{Skip, shared};

/// The kernel that the default boot entry starts.
#[derive(Clone, Copy)]
pub(in crate::rules) struct Started<'a> {
    pub(in crate::rules) kernel: &'a KernelFacts,
    /// The entry; none where no loader's configuration was found.
    pub(in crate::rules) entry: Option<&'a BootEntryFacts>,
    /// Whether a configuration was followed only in part, so that an entry may say more than is known.
    partly: bool,
}

/// The entry that starts by itself, in the configuration that counts; none where there is no configuration.
pub(in crate::rules) fn default_entry<'a>(guest: &Guest<'a>) -> Result<Option<&'a BootEntryFacts>, Skip> {
    let entries = guest.linux.boot.entries.known()?.map(Vec::as_slice).unwrap_or_default();
    Ok(entries.iter().find(|entry| entry.default && entry.kernel.is_some()))
}

/// The kernel that starts by itself: that of the default entry, or the newest where nothing tells.
pub(in crate::rules) fn started<'a>(guest: &Guest<'a>) -> Result<Started<'a>, Skip> {
    let kernels = guest.linux.kernels.known()?.map(Vec::as_slice).unwrap_or_default();
    let entry = default_entry(guest)?;
    let partly = !guest.linux.boot.not_understood.is_empty();
    let usual: Vec<&KernelFacts> = kernels.iter().filter(|kernel| !kernel.rescue).collect();
    let Some(path) = entry.and_then(|entry| entry.kernel.as_deref()) else {
        let with_image = usual.iter().copied().find(|kernel| kernel.image.value().is_some());
        let kernel = with_image.or(usual.first().copied());
        return kernel.map(|kernel| Started { kernel, entry, partly }).ok_or_else(|| Skip::not_applicable("no kernel was found"));
    };
    let path_of = |kernel: &KernelFacts| kernel.image.value().map(|image| image.path.clone());
    let same = |kernel: &&&KernelFacts| path_of(kernel).as_deref() == Some(path);
    let named = |kernel: &&&KernelFacts| path_of(kernel).is_some_and(|own| shared::file_name(&own) == shared::file_name(path));
    let only = || usual.first().filter(|_| usual.len() == 1 && !path.to_ascii_lowercase().ends_with(".efi"));
    let rescue = kernels.iter().find(|kernel| kernel.rescue && path_of(kernel).as_deref() == Some(path));
    let kernel = usual.iter().find(same).or_else(|| usual.iter().find(named)).or_else(only).copied().or(rescue);
    let unknown = || Skip::Undecided(format!("which kernel {path} is that starts by itself is not known"));
    kernel.map(|kernel| Started { kernel, entry, partly }).ok_or_else(unknown)
}

impl<'a> Started<'a> {
    /// The release, as commands take it.
    pub(in crate::rules) fn release(&self) -> &'a str {
        &self.kernel.release
    }

    /// The initramfs that is loaded with it and was looked into; none where none is loaded.
    pub(in crate::rules) fn initramfs(&self) -> Result<Option<&'a InitramfsFacts>, Skip> {
        let own = self.kernel.initramfs.known()?;
        let Some(entry) = self.entry else { return Ok(own) };
        if entry.initrds.is_empty() {
            // An entry that was not read to its end may load one all the same.
            let told = own.is_none() || !self.partly;
            return if told { Ok(None) } else { Err(Skip::Undecided("which initial ramdisk is loaded is not known".to_owned())) };
        }
        let Some(own) = own else { return Err(self.other(entry)) };
        // Links such as /initrd.img lead to that of the newest kernel.
        let link = |path: &str| matches!(shared::file_name(path), "initrd.img" | "initrd" | "initramfs.img" | "initramfs");
        let loads = |path: &String| *path == own.path || shared::file_name(path) == shared::file_name(&own.path) || link(path);
        if entry.initrds.iter().any(loads) { Ok(Some(own)) } else { Err(self.other(entry)) }
    }

    fn other(&self, entry: &BootEntryFacts) -> Skip {
        let names = entry.initrds.join(", ");
        Skip::Undecided(format!("the default entry loads {names}, which was not looked into as the initial ramdisk of {}", self.release()))
    }

    /// A driver of the kernel.
    pub(in crate::rules) fn driver(&self, name: &str) -> Result<&'a DriverFacts, Skip> {
        self.kernel.drivers.get(name).ok_or_else(|| Skip::Undecided(format!("{name} was not looked for")))
    }

    /// Whether a driver is there before the root file system is mounted, as this entry starts it.
    pub(in crate::rules) fn is_early(&self, name: &str) -> Result<bool, Skip> {
        let driver = self.driver(name)?;
        if driver.state.value() == Some(&DriverState::BuiltIn) {
            return Ok(true);
        }
        match self.initramfs()? {
            Some(_) => match driver.is_early() {
                // Red Hat builds the drivers of Hyper-V as modules in all its releases, whether or not its lists are on the disk.
                Err(_) if self.is_red_hats() && name.starts_with("hv_") && driver.in_initramfs.value() == Some(&false) => Ok(false),
                early => Ok(early?),
            },
            None => {
                driver.state.known()?;
                Ok(false)
            }
        }
    }

    /// Whether it is a kernel of Red Hat Enterprise Linux or its kin; Oracle's own is not.
    fn is_red_hats(&self) -> bool {
        let after = self.release().split(".el").nth(1);
        after.is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit())) && !self.release().contains("uek")
    }

    /// Of those drivers the ones that are not there early. What is known to be missing comes before what is not known.
    pub(in crate::rules) fn not_early<'n>(&self, names: &[&'n str]) -> Result<Vec<&'n str>, Skip> {
        missing(names, |name| self.is_early(name))
    }

    /// Of those drivers the ones that are nowhere.
    pub(in crate::rules) fn not_there<'n>(&self, names: &[&'n str]) -> Result<Vec<&'n str>, Skip> {
        missing(names, |name| Ok(self.driver(name)?.is_there()?))
    }
}

fn missing<'n>(names: &[&'n str], is: impl Fn(&str) -> Result<bool, Skip>) -> Result<Vec<&'n str>, Skip> {
    let mut found = Vec::new();
    let mut unknown = None;
    for name in names {
        match is(name) {
            Ok(true) => {}
            Ok(false) => found.push(*name),
            Err(reason) => unknown = Some(reason),
        }
    }
    match unknown {
        Some(reason) if found.is_empty() => Err(reason),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact, LinuxFacts};
    use crate::rules::linux::guest;
    use crate::rules::testing::linux::kernel;
    use crate::rules::testing::*;

    fn told(change: impl FnOnce(&mut LinuxFacts)) -> Result<(String, bool), String> {
        let facts: DiskFacts = linux(change);
        let told = guest(&subject(&facts)).and_then(|guest| {
            let started = started(&guest)?;
            Ok((started.release().to_owned(), started.is_early("hv_storvsc")?))
        });
        told.map_err(|skip| format!("{skip:?}"))
    }

    fn older() -> KernelFacts {
        let mut kernel = kernel();
        kernel.release = "5.10.0-1-cloud-amd64".to_owned();
        known(&mut kernel.image).path = "/boot/vmlinuz-5.10.0-1-cloud-amd64".to_owned();
        known(&mut kernel.initramfs).path = "/boot/initrd.img-5.10.0-1-cloud-amd64".to_owned();
        kernel
    }

    #[test]
    fn the_default_entry_tells_the_kernel() {
        let new = "6.1.0-56-cloud-amd64".to_owned();
        assert_eq!(told(|_| {}), Ok((new.clone(), true)));
        assert_eq!(told(|l| known(&mut l.kernels).insert(0, older())), Ok((new.clone(), true)));
        let old = told(|l| {
            known(&mut l.kernels).push(older());
            let entry = &mut known(&mut l.boot.entries)[0];
            entry.kernel = Some("/boot/vmlinuz-5.10.0-1-cloud-amd64".to_owned());
            entry.initrds = vec!["/boot/initrd.img-5.10.0-1-cloud-amd64".to_owned()];
        });
        assert_eq!(old, Ok(("5.10.0-1-cloud-amd64".to_owned(), true)));
        assert_eq!(told(|l| l.boot.entries = Fact::Absent), Ok((new.clone(), true)));
        assert_eq!(told(|l| known(&mut l.boot.entries)[0].kernel = Some("/vmlinuz".to_owned())), Ok((new.clone(), true)));
        assert!(told(|l| l.boot.entries = Fact::unknown("x")).is_err());
        assert!(told(|l| l.kernels = Fact::Known(vec![])).is_err());
        let two = told(|l| {
            known(&mut l.kernels).push(older());
            known(&mut l.boot.entries)[0].kernel = Some("/vmlinuz".to_owned());
        });
        assert!(two.unwrap_err().contains("/vmlinuz"));
    }

    #[test]
    fn red_hats_drivers_are_modules() {
        let with = |release: &str| {
            let release = release.to_owned();
            told(|l| {
                let kernel = &mut known(&mut l.kernels)[0];
                kernel.release = release;
                let driver = kernel.drivers.get_mut("hv_storvsc").unwrap();
                (driver.state, driver.in_initramfs) = (Fact::unknown("x"), Fact::Known(false));
            })
        };
        assert!(!with("5.14.0-362.el9.x86_64").unwrap().1);
        assert!(with("5.15.0-1.el9uek.x86_64").is_err() && with("6.1.0").is_err());
    }

    #[test]
    fn the_initramfs_is_that_of_the_entry() {
        let new = "6.1.0-56-cloud-amd64".to_owned();
        assert_eq!(told(|l| known(&mut l.boot.entries)[0].initrds.clear()), Ok((new.clone(), false)));
        assert_eq!(told(|l| known(&mut l.boot.entries)[0].initrds = vec!["/initrd.img".to_owned()]), Ok((new, true)));
        assert!(told(|l| known(&mut l.boot.entries)[0].initrds = vec!["/boot/other.img".to_owned()]).is_err());
        let partly = told(|l| {
            known(&mut l.boot.entries)[0].initrds.clear();
            l.boot.not_understood.push("/boot/grub/grub.cfg: x".to_owned());
        });
        assert!(partly.is_err());
    }
}

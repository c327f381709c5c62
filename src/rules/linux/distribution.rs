//! Whose commands a cure takes.

use crate::facts::OsFacts;
use crate::rules::word;

/// Families of distributions that share their commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distribution {
    /// Debian, Ubuntu and what is made from them.
    Debian,
    /// Red Hat Enterprise Linux, CentOS, Alma, Rocky, Oracle, Fedora, Amazon.
    RedHat,
    /// SUSE Linux Enterprise, openSUSE.
    Suse,
    /// Azure Linux, CBL-Mariner.
    AzureLinux,
    /// Alpine.
    Alpine,
    /// Arch.
    Arch,
    /// Flatcar, CoreOS: the system is an image of its own.
    Flatcar,
    /// Any other.
    Other,
}

impl Distribution {
    /// Of a guest, by `ID` of os-release.
    pub(crate) fn of(os: &OsFacts) -> Self {
        let id = os.id.value().map(|id| id.to_ascii_lowercase()).unwrap_or_default();
        // Fedora's and Red Hat's CoreOS have the ID of the system that they are made from, and are images that Ignition sets up.
        if os.name.value().is_some_and(|name| name.contains("CoreOS")) {
            return Self::Flatcar;
        }
        match id.as_str() {
            "debian" | "ubuntu" | "linuxmint" | "kali" | "raspbian" | "devuan" => Self::Debian,
            "rhel" | "centos" | "almalinux" | "rocky" | "ol" | "fedora" | "amzn" | "scientific" | "cloudlinux" => Self::RedHat,
            "sles" | "sled" | "sle_hpc" | "sles_sap" | "suse" | "sle-micro" | "sl-micro" => Self::Suse,
            id if id.starts_with("opensuse") => Self::Suse,
            "azurelinux" | "mariner" => Self::AzureLinux,
            "alpine" => Self::Alpine,
            "arch" | "manjaro" => Self::Arch,
            "flatcar" | "coreos" => Self::Flatcar,
            _ => Self::Other,
        }
    }

    /// Installs packages.
    pub(crate) fn install(self, packages: &str) -> String {
        match self {
            Self::Debian => format!("apt-get install {packages}"),
            Self::RedHat | Self::AzureLinux => format!("dnf install {packages}"),
            Self::Suse => format!("zypper install {packages}"),
            Self::Alpine => format!("apk add {packages}"),
            Self::Arch => format!("pacman -S {packages}"),
            Self::Flatcar | Self::Other => format!("install {packages}"),
        }
    }

    /// Makes the initial ramdisk of one kernel anew.
    pub(in crate::rules) fn rebuild_initramfs(self, release: &str) -> String {
        let release = word::sh(release);
        match self {
            Self::Debian => format!("update-initramfs -u -k {release}"),
            Self::RedHat | Self::Suse | Self::AzureLinux => format!("dracut -f --kver {release}"),
            Self::Alpine => format!("mkinitfs {release}"),
            Self::Arch => "mkinitcpio -P".to_owned(),
            Self::Flatcar | Self::Other => format!("make the initial ramdisk of {release} anew"),
        }
    }

    /// Has drivers put into every initial ramdisk that is made from now on, and the kernel's made anew.
    pub(in crate::rules) fn add_drivers(self, drivers: &[&str], release: &str) -> String {
        let list = drivers.join(" ");
        let rebuild = self.rebuild_initramfs(release);
        match self {
            Self::Debian => format!("printf '%s\\n' {list} >> /etc/initramfs-tools/modules && {rebuild}"),
            Self::RedHat | Self::Suse | Self::AzureLinux => {
                format!("echo 'add_drivers+=\" {list} \"' > /etc/dracut.conf.d/azure.conf && {rebuild}")
            }
            Self::Arch => format!("add {list} to MODULES in /etc/mkinitcpio.conf, then {rebuild}"),
            Self::Alpine => {
                format!("list {list} in a file of /etc/mkinitfs/features.d and its name in /etc/mkinitfs/mkinitfs.conf, then {rebuild}")
            }
            Self::Flatcar | Self::Other => format!("have {list} included in the initial ramdisk, then {rebuild}"),
        }
    }

    /// Makes GRUB's configuration anew from `/etc/default/grub`.
    pub(in crate::rules) fn rebuild_grub(self) -> &'static str {
        match self {
            Self::Debian => "update-grub",
            Self::RedHat | Self::Suse | Self::AzureLinux => "grub2-mkconfig -o /boot/grub2/grub.cfg",
            _ => "grub-mkconfig -o /boot/grub/grub.cfg",
        }
    }

    /// The same where the configuration in use is known: Red Hat's up to release 8 have it on the EFI System Partition.
    pub(in crate::rules) fn rebuild_grub_in(self, config: Option<&str>) -> String {
        match (self, config.filter(|path| path.starts_with("/boot/efi/"))) {
            (Self::RedHat, Some(path)) => format!("grub2-mkconfig -o {path}"),
            _ => self.rebuild_grub().to_owned(),
        }
    }

    /// Sets kernel parameters for every kernel, now and later.
    pub(in crate::rules) fn add_parameters(self, parameters: &str) -> String {
        match self {
            Self::RedHat => format!("grubby --update-kernel=ALL --args=\"{parameters}\""),
            Self::Alpine => format!(
                "add {parameters} to default_kernel_opts in /etc/update-extlinux.conf, then update-extlinux (with GRUB: to \
                 GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, then {})",
                self.rebuild_grub()
            ),
            Self::Flatcar => {
                format!(
                    "add {parameters} to linux_append in /usr/share/oem/grub.cfg (Fedora CoreOS: rpm-ostree kargs --append='{parameters}')"
                )
            }
            _ => format!("add {parameters} to GRUB_CMDLINE_LINUX in /etc/default/grub, then {}", self.rebuild_grub()),
        }
    }

    /// Has a service start by itself.
    pub(crate) fn enable(self, units: &str) -> String {
        match self {
            Self::Alpine => {
                // OpenRC has no kinds of units.
                let services: Vec<&str> = units.split_whitespace().map(|unit| unit.strip_suffix(".service").unwrap_or(unit)).collect();
                format!("rc-update add {} default", services.join(" "))
            }
            _ => format!("systemctl enable {units}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{known, os};

    #[test]
    fn services_of_openrc_have_no_suffix() {
        let services = "cloud-init-local.service cloud-final";
        assert_eq!(Distribution::Alpine.enable(services), "rc-update add cloud-init-local cloud-final default");
        assert_eq!(Distribution::RedHat.enable(services), format!("systemctl enable {services}"));
    }

    #[test]
    fn core_os_is_an_image_of_its_own() {
        for (id, name, expected) in [
            ("fedora", "Fedora CoreOS 42.20250803.3.0", Distribution::Flatcar),
            ("rhel", "Red Hat Enterprise Linux CoreOS 418.94", Distribution::Flatcar),
            ("fedora", "Fedora Linux 42 (Cloud Edition)", Distribution::RedHat),
        ] {
            let mut facts = os(|_| {});
            let found = known(&mut facts.os);
            (found.id, found.name) = (crate::facts::Fact::Known(id.to_owned()), crate::facts::Fact::Known(name.to_owned()));
            assert_eq!(Distribution::of(found), expected, "{name}");
        }
    }

    #[test]
    fn distributions_are_told_by_their_id() {
        for (id, expected) in [
            ("debian", Distribution::Debian),
            ("ubuntu", Distribution::Debian),
            ("rhel", Distribution::RedHat),
            ("ol", Distribution::RedHat),
            ("opensuse-leap", Distribution::Suse),
            ("sles", Distribution::Suse),
            ("azurelinux", Distribution::AzureLinux),
            ("flatcar", Distribution::Flatcar),
            ("gentoo", Distribution::Other),
        ] {
            let mut facts = os(|_| {});
            known(&mut facts.os).id = crate::facts::Fact::Known(id.to_owned());
            assert_eq!(Distribution::of(known(&mut facts.os)), expected, "{id}");
        }
    }
}

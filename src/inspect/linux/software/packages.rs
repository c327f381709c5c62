//! Installed packages.

use super::distinct;
use crate::bytes::{Bytes, ReadAt};
use crate::facts::{Fact, PackageFacts, PackagesFacts};
use crate::fs::{Error, Tree};
use crate::guest::linux::packages::{self, Package};
use crate::guest::linux::rpm::{self, RpmPackage};

/// Packages of interest, sorted; a name that ends with `*` stands for all that begin so.
static OF_INTEREST: &[&str] = &[
    "NetworkManager*",
    "WALinuxAgent*",
    "amazon-ssm-agent",
    "apparmor",
    "auditd",
    "azure-proxy-agent*",
    "azure-vm-utils*",
    "chrony",
    "cloud-guest-utils",
    "cloud-init*",
    "cloud-initramfs*",
    "cloud-utils*",
    "cryptsetup*",
    "dhclient",
    "dhcp-client",
    "dhcpcd*",
    "dracut*",
    "ec2-*",
    "efibootmgr",
    "firewalld",
    "gdisk",
    "google-compute-engine*",
    "google-guest-agent*",
    "gptfdisk",
    "growpart",
    "grub-*",
    "grub2*",
    "hyper-v",
    "hyperv-*",
    "hypervfcopyd",
    "hypervkvpd",
    "hypervvssd",
    "ifupdown*",
    "initramfs-tools*",
    "insights-client",
    "isc-dhcp-client*",
    "kernel",
    "kernel-*",
    "kexec-tools",
    "kmod",
    "linux",
    "linux-azure*",
    "linux-cloud-tools*",
    "linux-hardened",
    "linux-hwe*",
    "linux-image-*",
    "linux-lts",
    "linux-modules-*",
    "linux-tools-*",
    "linux-virt",
    "lvm2",
    "mdadm",
    "multipath-tools*",
    "netplan.io",
    "network-manager",
    "networkd-dispatcher",
    "networkmanager",
    "nftables",
    "ntp",
    "ntpsec",
    "nvme-cli",
    "open-vm-tools*",
    "openssh",
    "openssh-server*",
    "openssl",
    "prltools*",
    "python-azure-agent*",
    "python2",
    "python3",
    "python3-azure-agent",
    "python3-crypt-r",
    "python3-pyasn1",
    "qemu-ga",
    "qemu-guest-agent",
    "rsyslog",
    "selinux-policy*",
    "shim",
    "shim-*",
    "spice-vdagent",
    "subscription-manager",
    "sudo",
    "suse-build-key",
    "suseconnect*",
    "systemd",
    "systemd-boot*",
    "systemd-networkd",
    "systemd-resolved",
    "systemd-timesyncd",
    "udev",
    "udisks2",
    "virt-what",
    "virtualbox-guest*",
    "waagent*",
    "walinuxagent*",
    "wicked",
    "xe-guest-utilities*",
    "xen-guest-agent",
];

/// Directories in which rpm keeps its database.
const RPM_DIRECTORIES: &[&str] = &["/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm"];

/// Whether a package is of interest.
fn of_interest(name: &str) -> bool {
    // The last pattern that is not past the name, or one before it that begins alike.
    let next = OF_INTEREST.partition_point(|pattern| pattern.trim_end_matches('*') <= name);
    let before = OF_INTEREST.get(..next).unwrap_or_default().iter().rev();
    let first = name.chars().next();
    let mut alike = before.take_while(|pattern| pattern.chars().next() == first);
    alike.any(|pattern| pattern.strip_suffix('*').map_or(*pattern == name, |start| name.starts_with(start)))
}

/// What a database gave so far.
#[derive(Debug, Default)]
struct Found {
    manager: &'static str,
    database: String,
    count: u64,
    of_interest: Vec<PackageFacts>,
}

impl Found {
    fn new(manager: &'static str, database: impl Into<String>) -> Self {
        Self { manager, database: database.into(), ..Self::default() }
    }

    fn add(&mut self, Package { name, version, architecture }: Package) {
        self.count = self.count.saturating_add(1);
        if of_interest(&name) {
            self.of_interest.push(PackageFacts { name, version, architecture });
        }
    }

    fn add_rpm(&mut self, package: RpmPackage) {
        let version = package.full_version();
        self.add(Package { version, architecture: package.architecture.unwrap_or_default(), name: package.name });
    }
}

/// What reads a manager's database; `None` where there is none.
type Reader = fn(&Tree) -> Result<Option<Found>, Error>;

/// Learns the installed packages. A system may have the tools of another's packages, with an empty database; the fullest one counts.
pub(super) fn packages(tree: &Tree) -> Fact<PackagesFacts> {
    let readers: [Reader; 4] = [dpkg, rpm, apk, pacman];
    let (mut best, mut trouble): (Option<Found>, _) = (None, None);
    for reader in readers {
        match reader(tree) {
            Ok(Some(found)) if best.as_ref().is_none_or(|best| best.count < found.count) => best = Some(found),
            Ok(_) => {}
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    match (best, trouble) {
        (Some(mut found), trouble) if found.count > 0 || trouble.is_none() => {
            found.of_interest.sort();
            let Found { count, of_interest, database, .. } = found;
            Fact::Known(PackagesFacts { manager: found.manager.to_owned(), database, count, of_interest })
        }
        (_, Some(error)) => Fact::unknown(error.to_string()),
        _ => Fact::Absent,
    }
}

fn dpkg(tree: &Tree) -> Result<Option<Found>, Error> {
    const STATUS: &str = "/var/lib/dpkg/status";
    const PARTS: &str = "/var/lib/dpkg/status.d";
    let (status, parts) = (tree.text(STATUS)?, tree.names(PARTS)?);
    if status.is_none() && parts.is_empty() {
        return Ok(None);
    }
    let mut found = Found::new("dpkg", if status.is_some() { STATUS } else { PARTS });
    packages::dpkg(&status.unwrap_or_default(), &mut |package| found.add(package));
    for name in parts.iter().filter(|name| !name.ends_with(".md5sums") && !name.ends_with(".list")) {
        if let Some(text) = tree.text(&format!("{PARTS}/{name}"))? {
            packages::dpkg(&text, &mut |package| found.add(package));
        }
    }
    Ok(Some(found))
}

fn apk(tree: &Tree) -> Result<Option<Found>, Error> {
    for path in ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"] {
        if let Some(text) = tree.text(path)? {
            let mut found = Found::new("apk", path);
            packages::apk(&text, &mut |package| found.add(package));
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn pacman(tree: &Tree) -> Result<Option<Found>, Error> {
    const LOCAL: &str = "/var/lib/pacman/local";
    let names = tree.names(LOCAL)?;
    if names.is_empty() {
        return Ok(None);
    }
    let mut found = Found::new("pacman", LOCAL);
    for name in names {
        let path = format!("{LOCAL}/{name}/desc");
        let Some(text) = tree.text(&path)? else { continue };
        match packages::pacman(&text) {
            Some(package) => found.add(package),
            None => return Err(Error::Damaged("a package without name or version".to_owned()).at(&path)),
        }
    }
    Ok(Some(found))
}

fn rpm(tree: &Tree) -> Result<Option<Found>, Error> {
    let mut empty = None;
    for directory in distinct(tree, RPM_DIRECTORIES)? {
        let readers: [(&str, RpmReader); 3] = [("rpmdb.sqlite", sqlite), ("Packages.db", ndb), ("Packages", bdb)];
        for (name, reader) in readers {
            let path = format!("{directory}/{name}");
            // A database that rpm has made and never filled may have no pages at all.
            let Some(bytes) = tree.open(&path)?.filter(|bytes| bytes.size() > 0) else { continue };
            let mut found = Found::new("rpm", path.clone());
            reader(tree, &path, &bytes, &mut found).map_err(|error| error.at(&path))?;
            if found.count > 0 {
                return Ok(Some(found));
            }
            empty = empty.or(Some(found));
        }
    }
    Ok(empty)
}

type RpmReader = fn(&Tree, &str, &Bytes, &mut Found) -> Result<(), Error>;

fn sqlite(tree: &Tree, path: &str, bytes: &Bytes, found: &mut Found) -> Result<(), Error> {
    // rpm keeps no such journal; one that is there was left by something else in the middle of a change.
    if tree.open(&format!("{path}-journal"))?.is_some_and(|journal| journal.size() > 0) {
        return Err(Error::Unsupported("a change was not finished: there is a rollback journal".to_owned()));
    }
    let log = tree.open(&format!("{path}-wal"))?;
    rpm::sqlite::packages(bytes, log.as_ref(), &mut |package| found.add_rpm(package)).map_err(described)
}

fn ndb(_tree: &Tree, _path: &str, bytes: &Bytes, found: &mut Found) -> Result<(), Error> {
    rpm::ndb::packages(bytes, &mut |package| found.add_rpm(package)).map_err(described)
}

fn bdb(_tree: &Tree, _path: &str, bytes: &Bytes, found: &mut Found) -> Result<(), Error> {
    rpm::bdb::packages(bytes, &mut |package| found.add_rpm(package)).map_err(described)
}

/// The error of a reader, so that the path of the database can stand with it.
fn described(error: crate::bytes::ReadError) -> Error {
    use crate::bytes::ReadError;
    match error {
        ReadError::Unsupported(what) => Error::Unsupported(what),
        ReadError::Host { .. } | ReadError::Parent { .. } => Error::Read(error),
        other => Error::Damaged(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    #[test]
    fn the_list_is_sorted_and_matches() {
        assert!(OF_INTEREST.is_sorted_by(|a, b| a.trim_end_matches('*') < b.trim_end_matches('*')), "{OF_INTEREST:?}");
        for (name, wanted) in [
            ("walinuxagent", true),
            ("walinuxagent-data", true),
            ("WALinuxAgent-udev", true),
            ("linux-image-6.1.0-56-cloud-amd64", true),
            ("kernel-core", true),
            ("kernel", true),
            ("kernelshark", false),
            ("linux-libc-dev", false),
            ("linux-azure-6.8", true),
            ("openssh", true),
            ("openssh-client", false),
            ("openssh-server-config-rootlogin", true),
            ("sudo", true),
            ("sudo-ldap", false),
            ("python3", true),
            ("python3-apt", false),
            ("a", false),
            ("zzz", false),
            ("", false),
        ] {
            assert_eq!(of_interest(name), wanted, "{name}");
        }
        for pattern in OF_INTEREST {
            assert!(of_interest(pattern.trim_end_matches('*')), "{pattern}");
        }
    }

    #[test]
    fn the_fullest_database_counts() {
        let status = "Package: sudo\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.9\n\nPackage: b\nStatus: install ok installed\nVersion: 1\n";
        let found = packages(&tree(&[("/var/lib/dpkg/status", status), ("/lib/apk/db/installed", "P:a\nV:1\n\n")]));
        let found = found.value().unwrap();
        assert_eq!((found.manager.as_str(), found.count, found.of_interest.len()), ("dpkg", 2, 1));
        assert_eq!(found.named("sudo").next().unwrap().version, "1.9");
        let found = packages(&tree(&[("/var/lib/dpkg/status", ""), ("/lib/apk/db/installed", "P:chrony\nV:1\nA:x86_64\n\n")]));
        assert_eq!(found.value().unwrap().manager, "apk");
        let found = packages(&tree(&[("/var/lib/pacman/local/linux-6/desc", "%NAME%\nlinux\n\n%VERSION%\n6\n")]));
        assert_eq!(found.value().unwrap().of_interest[0].name, "linux");
        assert_eq!(packages(&tree(&[])), Fact::Absent);
    }

    #[test]
    fn what_cannot_be_read_is_unknown_unless_another_is_known() {
        assert!(packages(&tree(&[("/var/lib/dpkg/status", "!damaged")])).reason().is_some());
        assert!(packages(&tree(&[("/var/lib/rpm/rpmdb.sqlite", "no database")])).reason().unwrap().contains("/var/lib/rpm/rpmdb.sqlite"));
        let files = [("/var/lib/rpm/Packages", "no database"), ("/lib/apk/db/installed", "P:a\nV:1\n\n")];
        assert_eq!(packages(&tree(&files)).value().unwrap().manager, "apk");
        let files = [("/var/lib/dpkg/status", ""), ("/var/lib/rpm/Packages", "no database")];
        assert!(packages(&tree(&files)).reason().is_some());
    }
}
